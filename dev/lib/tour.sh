# shellcheck shell=bash
# The acts of dev/demo tour, on the demonstration that dev/demo left running.

ADDED=pgbench_orders    # the table of the second act
WRITERS=                # pid of the pgbench that writes all the time
READER=                 # pid of the loop that reads all the time
WANTED_STATE=           # what the pipe's manifest says beside the example's text
WANTED_RESYNC=
WANTED_TABLE=

begin_tour() {
  require_demo
  find_postgres
  find_kubectl
  use_cluster "$CLUSTER_NAME"
  KUBECONFIG=$(recorded kubeconfig.given)
  KUBECONFIG=${KUBECONFIG:-$CLUSTER_KUBECONFIG}
  export KUBECONFIG
  eval "$(recorded postgres.env)"
  parse_clickhouse_url "$(recorded CLICKHOUSE_URL)"
  [ -n "$(phase)" ] || die "there is no pipe: dev/demo makes it"
  trap end_tour EXIT
  trap 'exit 130' INT TERM
  as_dev_demo_left_it
  TOUR=$(date -u +%FT%TZ) # in every resync token, so that a second tour's are new ones
}

end_tour() {
  stop_writers
  stop_reader
  stop_watching
}

as_dev_demo_left_it() { # also after a tour that was broken off
  local before
  before=$(generation)
  tour_manifest >"$DEMO/tour.yaml"
  kubectl_ -n "$NAMESPACE" apply -f "$DEMO/tour.yaml" >/dev/null
  if [ "$(generation)" != "$before" ]; then watch_until Running "the pipe is as dev/demo leaves it"; fi
  psql_ -c 'SET client_min_messages = error' -c "DROP TABLE IF EXISTS $ADDED" >/dev/null
  clickhouse "DROP TABLE IF EXISTS $CH_DATABASE.$ADDED SYNC" >/dev/null
}

generation() { kubectl_ -n "$NAMESPACE" get clickpipe pgbench -o 'jsonpath={.metadata.generation}'; }

tour_manifest() {
  pipe_manifest | awk -v state="$WANTED_STATE" -v resync="$WANTED_RESYNC" -v table="$WANTED_TABLE" '
    /^  destination:/ && table != "" {
      print "    - sourceSchemaName: public\n      sourceTable: " table "\n      targetTable: " table
    }
    {print}
    /^spec:/ && state != "" {print "  state: " state}
    /^spec:/ && resync != "" {print "  resync: \"" resync "\""}'
}

commit() { # applies the manifest as it is wanted now; shows what is new in it, as a commit would
  tour_manifest >"$DEMO/tour.new.yaml"
  diff "$DEMO/tour.yaml" "$DEMO/tour.new.yaml" | sed -n 's/^< /    - /p; s/^> /    + /p' >&2 || true
  mv "$DEMO/tour.new.yaml" "$DEMO/tour.yaml"
  say "  \$ kubectl apply -n $NAMESPACE -f pgbench.yaml"
  kubectl_ -n "$NAMESPACE" apply -f "$DEMO/tour.yaml" >/dev/null
}

# ---- load

start_writers() { # a hundred transactions a second, so that there is always something to miss
  local scripts=(-b tpcb-like)
  if [ -n "$WANTED_TABLE" ]; then scripts+=(-f "$DEMO/orders.sql"); fi
  PGTZ=UTC "$PG_BIN/pgbench" -n -T 3600 -c 2 -R 100 "${scripts[@]}" >"$LOG_DIR/tour-pgbench.log" 2>&1 &
  WRITERS=$!
}

stop_writers() {
  if [ -n "$WRITERS" ]; then
    kill "$WRITERS" 2>/dev/null || true
    wait "$WRITERS" 2>/dev/null || true
    WRITERS=
    # what it had sent may still be committed
    until [ "$(psql_ -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'")" = 0 ]; do sleep 0.1; done
  fi
}

start_reader() { # asks for the accounts as fast as it gets an answer; each is a line
  while :; do
    clickhouse "SELECT count() FROM $CH_DATABASE.pgbench_accounts FINAL" || true
  done >"$DEMO/reader.log" 2>&1 &
  READER=$!
}

stop_reader() {
  if [ -n "$READER" ]; then
    kill "$READER" 2>/dev/null || true
    wait "$READER" 2>/dev/null || true
    READER=
  fi
}

lag() { # the age of the newest row in milliseconds; the writers make a hundred a second
  clickhouse "SELECT dateDiff('ms', max(mtime), now64(6)) FROM $CH_DATABASE.pgbench_history"
}

start_watching_lag() {
  until [ "$(lag)" -lt 10000 ]; do sleep 0.2; done
  while :; do lag || true; done >"$DEMO/reader.log" 2>&1 &
  READER=$!
}

worst_lag() {
  stop_reader
  sort -n "$DEMO/reader.log" | tail -n 1 | awk '{printf "%.1f s", $1 / 1000}'
}

reader_verdict() { # every answer must be the number of accounts, which no transaction changes
  local accounts answers others
  stop_reader
  accounts=$(psql_ -c 'SELECT count(*) FROM pgbench_accounts')
  answers=$(grep -cx "$accounts" "$DEMO/reader.log" || true)
  others=$(grep -vx "$accounts" "$DEMO/reader.log" | head -n 3 || true)
  if [ -n "$others" ] || [ "$answers" = 0 ]; then
    say "  ✗ a reader got $answers right answers, and also: $others"
    WORST=1
  else
    say "  ✓ a reader asked $answers times meanwhile, and was told $accounts accounts every time"
  fi
}

history_rows() {
  printf '%s rows in Postgres, %s in ClickHouse' "$(psql_ -c 'SELECT count(*) FROM pgbench_history')" \
    "$(clickhouse "SELECT count() FROM $CH_DATABASE.pgbench_history")"
}

compare_at_rest() {
  stop_writers
  if ! compare_until_equal; then WORST=1; fi
}

# ---- the acts

act_pause() {
  start_writers
  WANTED_STATE=Paused
  commit
  watch_until Paused
  say "    pgbench_history: $(history_rows)"
  sleep 5
  say "    pgbench_history: $(history_rows), 5 s later"
  say "    the source keeps $(status_of replication.retainedWalBytes) bytes of WAL for the pipe"
  WANTED_STATE=
  commit
  watch_until Running
  compare_at_rest
}

act_outage() {
  local down up
  if ! is_running "$DEMO/postgres/pid"; then
    say "  - left out: the server of POSTGRES_URL is not ours to stop"
    return 0
  fi
  say "  \$ pg_ctl stop -m immediate"
  stop_process "$DEMO/postgres/pid" 20 QUIT
  down=$(now_ms)
  until [ "$(ready)" = False ]; do sleep 0.2; done
  say "  ✓ Ready is False, $(since "$down") after the server was gone; the phase is still $(phase)"
  say "    $(status_of message)"
  step "starting Postgres again" run_postgres "$DEMO/postgres" "$PGHOST" "$PGPORT"
  up=$(now_ms)
  start_writers
  until [ "$(ready)" = True ]; do sleep 0.2; done
  say "  ✓ Ready is True, $(since "$up") after the server was back"
  compare_at_rest
}

ready() { status_of 'conditions[?(@.type=="Ready")].status'; }

now_ms() { date +%s%3N; }

since() { # MILLISECONDS
  awk -v from="$1" -v to="$(now_ms)" 'BEGIN {printf "%.1f s", (to - from) / 1000}'
}

act_add_table() {
  say "  \$ psql: CREATE TABLE $ADDED, with 200000 rows; from now on pgbench writes to it, too"
  psql_ -c "CREATE TABLE $ADDED (oid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, aid int, amount int, filler text)" \
    -c "INSERT INTO $ADDED (aid, amount, filler) SELECT i, i % 1000, 'before' FROM generate_series(1, 200000) i" >/dev/null
  cat >"$DEMO/orders.sql" <<END
\set oid random(1, 200000)
BEGIN;
INSERT INTO $ADDED (aid, amount, filler) VALUES (:oid, 1, 'new');
UPDATE $ADDED SET amount = amount + 1, filler = 'changed' WHERE oid = :oid;
DELETE FROM $ADDED WHERE oid = :oid + 7 AND filler = 'before';
COMMIT;
END
  WANTED_TABLE=$ADDED
  start_writers
  start_watching_lag
  sleep 5
  say "    the newest row of pgbench_history in ClickHouse is at most $(worst_lag) old before"
  start_watching_lag
  commit
  watch_until Running
  say "  ✓ and was at most $(worst_lag) old meanwhile: the other tables' changes went on"
  TABLES+=("$ADDED")
  compare_at_rest
}

act_resync() {
  start_writers
  start_reader
  WANTED_RESYNC="tour $TOUR"
  commit
  watch_until Running
  reader_verdict
  compare_at_rest
}

act_failure() {
  local slot
  start_writers
  slot=$(status_of replication.slot)
  say "  \$ psql: SELECT pg_drop_replication_slot('$slot')"
  drop_slot "$slot"
  watch_until Failed
  say "    $(status_of message)"
  start_reader
  WANTED_RESYNC="after the slot was dropped $TOUR"
  commit
  watch_until Running
  reader_verdict
  compare_at_rest
}

drop_slot() { # NAME: the worker holds it, and comes back when its connection is cut
  local deadline=$((SECONDS + 30))
  until psql_ -c "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = '$1' AND active" \
    -c "SELECT pg_drop_replication_slot('$1')" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || die "the slot $1 can't be dropped: the worker takes it up again each time"
  done
}

tour_verdict() {
  say ''
  if ((WORST)); then
    say "DIFFERENT: see above (everything took $(elapsed "$SECONDS"))"
  else
    say "EQUAL after every act, in all ${#TABLES[@]} tables (everything took $(elapsed "$SECONDS"))"
  fi
  say "The pipe's story: kubectl describe clickpipe pgbench -n $NAMESPACE"
  return "$WORST"
}
