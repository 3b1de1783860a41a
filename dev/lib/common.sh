# shellcheck shell=bash
# Sourced by every script in dev/: messages, steps with progress, the cache.
# Progress goes to stderr, results to stdout, so that other programs can read the results.

DEV_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
REPO_DIR=$(cd "$DEV_DIR/.." && pwd)
# Outside the tree, so that a fresh checkout or a second worktree finds what was built before.
CACHE_DIR=${CLICKPIPE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/clickpipe}
RUN_DIR=$CACHE_DIR/run
LOG_DIR=$CACHE_DIR/log
mkdir -p "$RUN_DIR" "$LOG_DIR"

say() { printf '%s\n' "$*" >&2; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

elapsed() { # seconds as a person says them
  if (($1 < 60)); then printf '%d s' "$1"; else printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); fi
}

last_line() { # of a log, one that fits beside the elapsed time
  tail -c 2000 "$1" 2>/dev/null | tr '\r' '\n' | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-90
}

# step WHAT COMMAND...: runs it with its output in a log and shows that it lives: elapsed time and the log's last line.
# Never call it inside a condition: bash would ignore errors within the command.
step() {
  local what=$1 log started=$SECONDS pid rc=0
  shift
  log=$LOG_DIR/$(printf '%s' "$what" | tr -cs 'A-Za-z0-9' - | cut -c 1-60).$$.log
  # A process group of its own, so that an interrupt ends all of it: bash lets what runs in the background ignore Ctrl-C.
  set -m
  (set +m; "$@") >"$log" 2>&1 </dev/null &
  pid=$!
  set +m
  # shellcheck disable=SC2064  # this pid, now
  trap "kill -s TERM -- -$pid 2>/dev/null; exit 130" INT TERM
  show_progress "$pid" "$what" "$log" "$started"
  wait "$pid" || rc=$?
  trap - INT TERM
  if ((rc != 0)); then
    tail -n 20 "$log" | sed 's/^/    /' >&2
    die "failed: $what (exit code $rc, after $(elapsed $((SECONDS - started)))); everything it said is in $log"
  fi
  rm -f "$log"
  say "  ✓ $what ($(elapsed $((SECONDS - started))))"
}

show_progress() { # PID WHAT LOG STARTED: one line rewritten on a terminal, a line every 15 s elsewhere
  local every=15 next now
  next=$((SECONDS + 3))
  if [ -t 2 ]; then every=1; fi
  while kill -0 "$1" 2>/dev/null; do
    sleep 0.2
    now=$SECONDS
    ((now >= next)) || continue
    next=$((now + every))
    if [ -t 2 ]; then
      printf '\r\033[K  … %s, %s: %s' "$2" "$(elapsed $((now - $4)))" "$(last_line "$3" || true)" >&2
    else
      say "  … $2, $(elapsed $((now - $4))): $(last_line "$3" || true)"
    fi
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}

# with_lock NAME COMMAND...: two scripts never build the same thing at the same time; the second waits, then finds it built.
with_lock() {
  local name=$1
  shift
  (
    flock -n 9 || { say "  … waiting for another run that holds the lock \"$name\""; flock 9; }
    "$@"
  ) 9>"$RUN_DIR/$name.lock"
}

hash_of() { cat "$@" | sha256sum | cut -c 1-12; }

have() { command -v "$1" >/dev/null 2>&1; }

need_root() {
  [ "$(id -u)" = 0 ] || die "needs root: it installs packages, makes a bridge and runs containers"
}
