# shellcheck shell=bash
# A Postgres of our own from Debian's packages: its own data directory, port and password, run by a user who is not root.

postgres_bin() { # the newest version that is installed whole; pgbench is among the server's programs
  local dir
  for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
    if [ -x "$dir/initdb" ] && [ -x "$dir/pgbench" ]; then
      printf '%s\n' "$dir"
      return 0
    fi
  done
  return 1
}

find_postgres() { # sets PG_BIN
  if ! PG_BIN=$(postgres_bin); then
    install_packages postgresql postgresql-contrib
    PG_BIN=$(postgres_bin) || die "needs Postgres, and the package postgresql did not bring one under /usr/lib/postgresql"
  fi
}

as_postgres() { # Postgres refuses to run as root; the package made this user
  (cd / && setpriv --reuid postgres --regid postgres --clear-groups env -i PATH="$PG_BIN:/usr/bin:/bin" LC_ALL=C.UTF-8 "$@")
}

# start_postgres STATE ADDRESS PORT PASSWORD-FILE CLIENTS: CLIENTS is the subnet that may log in, with a password. The data
# directory lies under /var/lib, because the user postgres may not look into root's home, where the cache is.
start_postgres() {
  local data
  data=$(postgres_data "$1")
  mkdir -p "$1"
  if [ ! -e "$data/PG_VERSION" ]; then make_postgres "$data" "$4"; fi
  write_postgres_settings "$data" "$2" "$3" "$5"
  run_postgres "$1" "$2" "$3"
}

run_postgres() { # STATE ADDRESS PORT, as start_postgres has made it
  local state=$1 data
  data=$(postgres_data "$1")
  rm -f "$data/postmaster.pid"
  # setpriv replaces itself, so the recorded pid is Postgres' own.
  (cd / && start_process "$state/pid" "$state/log" setpriv --reuid postgres --regid postgres --clear-groups \
    env -i PATH="$PG_BIN:/usr/bin:/bin" LC_ALL=C.UTF-8 "$PG_BIN/postgres" -D "$data")
  wait_until 'Postgres' "$state/pid" 60 "$PG_BIN/pg_isready" -q -h "$2" -p "$3"
}

postgres_data() { printf '/var/lib/postgresql/clickpipe-%s\n' "$(basename "$(dirname "$1")")"; }

make_postgres() { # DATA PASSWORD-FILE
  rm -rf "$1"
  install -d -o postgres -g postgres -m 700 "$1"
  install -o postgres -g postgres -m 600 "$2" "$1.password"
  as_postgres "$PG_BIN/initdb" -D "$1" -U postgres --pwfile="$1.password" --auth=scram-sha-256 -E UTF8 --locale=C.UTF-8 --no-sync
  rm -f "$1.password"
}

write_postgres_settings() { # DATA ADDRESS PORT CLIENTS
  cat >"$1/clickpipe.conf" <<END
listen_addresses = '$2'
port = $3
unix_socket_directories = ''
wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_connections = 100
fsync = off  # a demonstration need not survive a power cut
log_timezone = UTC
END
  grep -q clickpipe.conf "$1/postgresql.conf" || echo "include 'clickpipe.conf'" >>"$1/postgresql.conf"
  printf 'host all,replication all %s scram-sha-256\n' "$4" >"$1/pg_hba.conf"
}

stop_postgres() { # STATE: `fast` (SIGINT) ends the sessions instead of waiting for them
  stop_process "$1/pid" 20 INT
  rm -rf "$(postgres_data "$1")"
}
