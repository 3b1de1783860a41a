# shellcheck shell=bash
# Background processes of ours: each is recorded by pid and kernel start time, so that stopping never hits a stranger that
# was given the same pid later.

start_time() { # PID: in clock ticks since boot; empty when it is gone or a zombie
  sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'
}

# start_process PIDFILE LOG COMMAND...: in a session of its own and without the callers' file descriptors (a lock, a pipe).
start_process() {
  local pidfile=$1 log=$2 pid
  shift 2
  mkdir -p "$(dirname "$pidfile")" "$(dirname "$log")"
  setsid nohup "$@" >"$log" 2>&1 </dev/null 3>&- 4>&- 9>&- &
  pid=$!
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$pidfile"
  disown "$pid"
}

is_running() { # PIDFILE
  local pid started
  [ -f "$1" ] || return 1
  read -r pid started <"$1" || return 1
  [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ]
}

# stop_process PIDFILE [SECONDS [SIGNAL]]: asks, waits, then kills.
stop_process() {
  local pidfile=$1 patience=${2:-10} signal=${3:-TERM} pid _
  if is_running "$pidfile"; then
    read -r pid _ <"$pidfile"
    kill -s "$signal" "$pid" 2>/dev/null || true
    for ((i = 0; i < patience * 10; i++)); do
      is_running "$pidfile" || break
      sleep 0.1
    done
    if is_running "$pidfile"; then kill -s KILL "$pid" 2>/dev/null || true; fi
  fi
  rm -f "$pidfile"
}

# wait_until WHAT PIDFILE SECONDS COMMAND...: polls; gives up at once when the process it waits for has died.
wait_until() {
  local what=$1 pidfile=$2 deadline=$((SECONDS + $3))
  shift 3
  until "$@" >/dev/null 2>&1; do
    if [ -n "$pidfile" ] && ! is_running "$pidfile"; then
      echo "$what: the process has died"
      return 1
    fi
    if ((SECONDS >= deadline)); then
      echo "$what: not within the time given (last tried: $*)"
      return 1
    fi
    sleep 0.1
  done
}

port_is_free() { # ADDRESS PORT
  ! (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}
