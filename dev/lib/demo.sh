# shellcheck shell=bash
# The steps of dev/demo, in the order in which it takes them.

CLUSTER_NAME=demo
DEMO=$RUN_DIR/demo-servers  # the state of what runs beside the cluster; settings and passwords for `env` and `down`
NAMESPACE=demo
OPERATOR_NAMESPACE=clickpipe-system
RELEASE=clickpipe-operator
CRD=clickpipes.clickpipe.dev
OURS=clickpipe.dev/demo=true  # on all that is removed again from a cluster that was given
DATABASE=pgbench
TABLES=(pgbench_accounts pgbench_branches pgbench_tellers pgbench_history)
PIPE_TIMEOUT=300  # seconds to Running; a demonstration that takes longer is stuck

STEPS=7
WORST=0    # the exit code: 1 when a comparison found a difference
WATCHER=   # pid of `kubectl get -w`

heading() { # NUMBER TEXT
  say ''
  say "$1/$STEPS $2   [$(elapsed "$SECONDS") so far]"
}

# Whoever ran eval "$(dev/demo env)" has our own servers in his environment; those are not servers that he wants used instead.
forget_own_exports() {
  use_cluster "$CLUSTER_NAME"
  if [ "${KUBECONFIG:-}" = "$CLUSTER_KUBECONFIG" ]; then unset KUBECONFIG; fi
  if [ "${CLICKHOUSE_URL:-}" = "$(recorded CLICKHOUSE_URL)" ]; then unset CLICKHOUSE_URL; fi
  unset PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE
  GIVEN_KUBECONFIG=${KUBECONFIG:-} GIVEN_CLICKHOUSE=${CLICKHOUSE_URL:-} GIVEN_POSTGRES=${POSTGRES_URL:-} GIVEN_IMAGE=${IMAGE:-}
}

# ---- what is remembered from one call to the next

record() { # NAME VALUE: one file each, readable by the owner alone, because some are passwords
  (umask 077 && mkdir -p "$DEMO" && printf '%s' "$2" >"$DEMO/$1")
}

recorded() { cat "$DEMO/$1" 2>/dev/null || true; }

password() { # one for this machine, made at the first run
  if [ -z "$(recorded password)" ]; then record password "$(openssl rand -hex 16)"; fi
  recorded password
}

# ---- 1

prepare_machine() {
  if [ -n "$GIVEN_KUBECONFIG" ] && [ -z "$GIVEN_IMAGE" ]; then
    die "KUBECONFIG is given, so IMAGE must name an operator image that this cluster has or can pull"
  fi
  [ -n "$GIVEN_KUBECONFIG" ] || need_root
  install_packages curl jq openssl ca-certificates iproute2
  find_postgres
  find_maven
  find_java
  find_kubectl
  if [ -z "$GIVEN_CLICKHOUSE" ]; then fetch_chdb; fi
  say "  ✓ JDK: $JAVA_HOME, Maven: $(command -v mvn), kubectl: $KUBECTL, Postgres: $PG_BIN"
}

# ---- 2

prepare_cluster() {
  if [ -n "$GIVEN_KUBECONFIG" ]; then
    export KUBECONFIG=$GIVEN_KUBECONFIG
    kubectl_ version >/dev/null 2>&1 || die "the cluster of KUBECONFIG=$KUBECONFIG does not answer"
    refuse_strangers
    # Its pods may come from anywhere; of this machine they can reach the address that it has outside.
    CLIENTS=0.0.0.0/0
    ADDRESS=$(ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')
    say "  ✓ using the cluster of KUBECONFIG=$KUBECONFIG"
  else
    KUBECONFIG=$("$DEV_DIR/cluster" up --name "$CLUSTER_NAME")
    export KUBECONFIG
    use_cluster "$CLUSTER_NAME"
    ADDRESS=$NODE_ADDRESS
    CLIENTS=$POD_SUBNET
  fi
  record kubeconfig.given "$GIVEN_KUBECONFIG"
}

kubectl_() { "$KUBECTL" "$@"; }

# What would be overwritten now, or removed by `down`, has to be a demonstration's: not somebody's own operator, say.
refuse_strangers() {
  local object label
  for object in "namespace/$NAMESPACE" "namespace/$OPERATOR_NAMESPACE" "crd/$CRD"; do
    label=$(kubectl_ get "$object" --ignore-not-found -o 'jsonpath=demo:{.metadata.labels.clickpipe\.dev/demo}')
    case $label in
      '' | demo:true) ;;
      *) die "the cluster of KUBECONFIG=$KUBECONFIG has its own $object, which the demonstration would overwrite: give it another cluster" ;;
    esac
  done
}

our_namespace() { # NAME
  kubectl_ create namespace "$1" --dry-run=client -o yaml | kubectl_ label --local -f - "$OURS" -o yaml | kubectl_ apply -f - >/dev/null
}

# ---- 3

prepare_servers() {
  mkdir -p "$DEMO"
  password >/dev/null
  if [ -n "$GIVEN_POSTGRES" ]; then
    parse_postgres_url
    say "  ✓ using the Postgres of POSTGRES_URL"
  else
    own_postgres
  fi
  if [ -n "$GIVEN_CLICKHOUSE" ]; then
    record CLICKHOUSE_URL "$GIVEN_CLICKHOUSE"
    say "  ✓ using the ClickHouse of CLICKHOUSE_URL"
  else
    build_jar # the engine's HTTP side is test code of this repository
    own_clickhouse
  fi
  parse_clickhouse_url "$(recorded CLICKHOUSE_URL)"
  clickhouse 'SELECT 1' >/dev/null || die "ClickHouse at $CH_HOST:$CH_PORT does not answer, or refuses the login"
}

free_port() { # FIRST: the next one at our address that nobody answers on
  local port=$1
  until port_is_free "$ADDRESS" "$port"; do port=$((port + 1)); done
  printf '%s\n' "$port"
}

# runs_here NAME: our server runs, and at the address that the cluster has now
runs_here() { is_running "$DEMO/$1/pid" && [ "$(recorded "$1.address")" = "$ADDRESS" ]; }

own_postgres() {
  export PGHOST=$ADDRESS PGUSER=clickpipe PGDATABASE=$DATABASE PGPASSWORD
  PGPASSWORD=$(password)
  if runs_here postgres; then
    say "  ✓ Postgres is running already"
  else
    stop_process "$DEMO/postgres/pid" 20 INT
    record postgres.port "$(free_port 15432)"
    step "starting Postgres" start_postgres "$DEMO/postgres" "$ADDRESS" "$(recorded postgres.port)" "$DEMO/password" "$CLIENTS"
    record postgres.address "$ADDRESS"
  fi
  PGPORT=$(recorded postgres.port)
  export PGPORT
  record postgres.env "$(postgres_exports)"
}

postgres_exports() {
  local name
  for name in PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE; do printf 'export %s=%q\n' "$name" "${!name}"; done
}

parse_postgres_url() {
  [[ $GIVEN_POSTGRES =~ ^postgres(ql)?://([^:@/]+):([^@/]*)@([^:/]+)(:([0-9]+))?/([^?]+)$ ]] ||
    die "POSTGRES_URL is not of the form postgres://user:password@host:port/database"
  export PGUSER=${BASH_REMATCH[2]} PGPASSWORD=${BASH_REMATCH[3]} PGHOST=${BASH_REMATCH[4]} PGPORT=${BASH_REMATCH[6]:-5432} PGDATABASE=${BASH_REMATCH[7]}
  psql_ -c 'SELECT 1' >/dev/null || die "Postgres at $PGHOST:$PGPORT does not answer, or refuses the login"
  record postgres.env "$(postgres_exports)"
}

psql_() { "$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }

own_clickhouse() {
  local port
  if runs_here clickhouse; then
    say "  ✓ ClickHouse is running already"
    return 0
  fi
  stop_process "$DEMO/clickhouse/pid"
  port=$(free_port 18123)
  step "starting ClickHouse" start_clickhouse "$DEMO/clickhouse" "$ADDRESS" "$port" clickpipe "$DEMO/password"
  record clickhouse.address "$ADDRESS"
  record CLICKHOUSE_URL "http://clickpipe:$(password)@$ADDRESS:$port/?database=$DATABASE"
}

parse_clickhouse_url() {
  [[ $1 =~ ^(https?)://([^:@/]+):([^@/]*)@([^:/]+):([0-9]+)/\?database=([A-Za-z0-9_]+)$ ]] ||
    die "CLICKHOUSE_URL is not of the form http://user:password@host:port/?database=name"
  CH_SCHEME=${BASH_REMATCH[1]} CH_USER=${BASH_REMATCH[2]} CH_PASSWORD=${BASH_REMATCH[3]}
  CH_HOST=${BASH_REMATCH[4]} CH_PORT=${BASH_REMATCH[5]} CH_DATABASE=${BASH_REMATCH[6]}
}

clickhouse() { # QUERY: its result; the login goes by a file descriptor, so that no process list shows it
  curl -sS --fail-with-body --max-time 60 -K <(printf 'user = "%s:%s"\n' "$CH_USER" "$CH_PASSWORD") \
    --data-binary "$1" "$CH_SCHEME://$CH_HOST:$CH_PORT/"
}

# ---- 4

prepare_image() {
  local result
  build_jar_if_needed
  if [ -n "$GIVEN_IMAGE" ]; then
    OPERATOR_IMAGE=$GIVEN_IMAGE
    say "  ✓ using IMAGE=$IMAGE"
    return 0
  fi
  result=$("$DEV_DIR/image")
  OPERATOR_IMAGE=$(sed -n 's/^IMAGE=//p' <<<"$result")
  if [ "$(cat "$STATE/loaded-image" 2>/dev/null)" = "$OPERATOR_IMAGE" ]; then
    say "  ✓ the cluster has it already"
    return 0
  fi
  step "loading the image into the cluster" "$DEV_DIR/cluster" load "$(sed -n 's/^ARCHIVE=//p' <<<"$result")" --name "$CLUSTER_NAME"
  printf '%s' "$OPERATOR_IMAGE" >"$STATE/loaded-image"
}

build_jar_if_needed() { # for the image, or for the Java Helm where there is no other
  if [ -z "$GIVEN_IMAGE" ] || ! have helm; then build_jar; fi
}

# ---- 5

helm_() {
  if have helm; then
    helm "$@"
  else
    "$JAVA_HOME/bin/java" -Xmx256m --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow \
      -cp "$(cat "$REPO_DIR/target/test.classpath"):$REPO_DIR/target/test-classes" dev.clickpipe.testbed.Helm "$@"
  fi
}

CHART=$REPO_DIR/helm/clickpipe-operator

server_minor() { kubectl_ get --raw /version | jq -r .minor | tr -cd 0-9; }

image_options() { # the chart's settings for OPERATOR_IMAGE: name@sha256:…, name:tag or name, which may have a port in it
  case ${OPERATOR_IMAGE##*/} in
    *@*) printf -- '--set\nimage.repository=%s\n--set\nimage.digest=%s\n' "${OPERATOR_IMAGE%@*}" "${OPERATOR_IMAGE##*@}" ;;
    *:*) printf -- '--set\nimage.repository=%s\n--set\nimage.tag=%s\n' "${OPERATOR_IMAGE%:*}" "${OPERATOR_IMAGE##*:}" ;;
    *) printf -- '--set\nimage.repository=%s\n--set\nimage.tag=latest\n' "$OPERATOR_IMAGE" ;;
  esac
}

install_operator() {
  local options
  mapfile -t options < <(image_options)
  our_namespace "$OPERATOR_NAMESPACE"
  if (($(server_minor) < 25)); then
    # An API server of that age does not know the CRD's rules, and a client that does refuses to send them.
    step "applying the CRD" kubectl_ apply --validate=false -f "$REPO_DIR/crds/"
    options+=(--set crds.create=false)
  fi
  step "installing the chart with Helm" helm_ upgrade --install "$RELEASE" "$CHART" --namespace "$OPERATOR_NAMESPACE" "${options[@]}"
  kubectl_ label --overwrite crd "$CRD" "$OURS" >/dev/null
  step "waiting for the operator" wait_for_operator
}

wait_for_operator() {
  local deployment pods=(kubectl_ -n "$OPERATOR_NAMESPACE" get pods) deadline=$((SECONDS + 120))
  deployment=$(kubectl_ -n "$OPERATOR_NAMESPACE" get deployment -o name | head -n 1)
  while ((SECONDS < deadline)); do
    if kubectl_ -n "$OPERATOR_NAMESPACE" rollout status "$deployment" --timeout=5s; then return 0; fi
    # One that has died twice will not come up by waiting.
    if "${pods[@]}" -o 'jsonpath={.items[*].status.containerStatuses[*].restartCount}' | grep -qE '(^| )([2-9]|[1-9][0-9])'; then break; fi
  done
  "${pods[@]}"
  { kubectl_ -n "$OPERATOR_NAMESPACE" logs "$deployment" | grep -E 'ERROR|Caused by|clickpipe:' || kubectl_ -n "$OPERATOR_NAMESPACE" logs "$deployment"; } | tail -n 8
  return 1
}

# ---- 6

fill_database() {
  if kubectl_ -n "$NAMESPACE" get clickpipe pgbench >/dev/null 2>&1; then
    step "deleting the pipe of the last run" kubectl_ -n "$NAMESPACE" delete clickpipe pgbench --timeout=150s
  fi
  if [ -z "$GIVEN_POSTGRES" ]; then fresh_postgres_database; fi
  fresh_clickhouse_database
  step "pgbench -i -s 10: a million accounts" "$PG_BIN/pgbench" -i -s 10
}

fresh_postgres_database() { # the role owns the tables, so that the pipe may publish them
  local admin=(psql_ -U postgres -d postgres)
  "${admin[@]}" -v password="$PGPASSWORD" >/dev/null <<END
SET client_min_messages = error;
SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = '$DATABASE' AND active;
SELECT pg_sleep(0.5) WHERE EXISTS (SELECT FROM pg_replication_slots WHERE database = '$DATABASE');
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '$DATABASE';
DROP DATABASE IF EXISTS $DATABASE WITH (FORCE);
DROP ROLE IF EXISTS $PGUSER;
CREATE ROLE $PGUSER LOGIN REPLICATION PASSWORD :'password';
CREATE DATABASE $DATABASE OWNER $PGUSER;
END
}

fresh_clickhouse_database() {
  local table
  if [ -z "$GIVEN_CLICKHOUSE" ]; then
    clickhouse "DROP DATABASE IF EXISTS $CH_DATABASE SYNC" >/dev/null
    clickhouse "CREATE DATABASE $CH_DATABASE ENGINE = Atomic" >/dev/null
  else
    for table in "${TABLES[@]}" pgbench_orders; do clickhouse "DROP TABLE IF EXISTS $CH_DATABASE.$table SYNC" >/dev/null; done
  fi
}

apply_secret() { # NAME USER PASSWORD: by files, so that no process list shows the password
  kubectl_ -n "$NAMESPACE" create secret generic "$1" --dry-run=client -o yaml \
    --from-file=username=<(printf '%s' "$2") --from-file=password=<(printf '%s' "$3") | kubectl_ apply -f - >/dev/null
}

pipe_manifest() { # examples/pgbench.yaml at our servers' addresses: there is no DNS that would know `postgres`
  sed -e "s/host: postgres\$/host: $PGHOST/" -e "s/port: 5432\$/port: $PGPORT/" -e "s/database: pgbench\$/database: @/" \
    -e "s/host: clickhouse\$/host: $CH_HOST/" -e "s/port: 8123\$/port: $CH_PORT/" "$REPO_DIR/examples/pgbench.yaml" |
    awk -v source="$PGDATABASE" -v target="$CH_DATABASE" '/database: @/ {sub(/@/, n++ ? target : source)} {print}'
}

apply_pipe() {
  our_namespace "$NAMESPACE"
  apply_secret postgres "$PGUSER" "$PGPASSWORD"
  apply_secret clickhouse "$CH_USER" "$CH_PASSWORD"
  pipe_manifest >"$DEMO/pgbench.yaml"
  say "  \$ kubectl apply -n $NAMESPACE -f examples/pgbench.yaml     (with this demonstration's addresses)"
  kubectl_ -n "$NAMESPACE" apply -f "$DEMO/pgbench.yaml" >/dev/null
}

# ---- 7

phase() { kubectl_ -n "$NAMESPACE" get clickpipe pgbench -o 'jsonpath={.status.phase}' 2>/dev/null || true; }

status_of() { kubectl_ -n "$NAMESPACE" get clickpipe pgbench -o "jsonpath={.status.$1}"; }

# watch_until PHASE [WHAT]: shows the pipe until its last edit has led there, and it is ready where that can be.
watch_until() {
  local deadline=$((SECONDS + PIPE_TIMEOUT)) started=$SECONDS failed=0
  say "  \$ kubectl get clickpipe pgbench -n $NAMESPACE -w"
  "$KUBECTL" -n "$NAMESPACE" get clickpipe pgbench -w >&2 & # the program itself, so that the pid is its own
  WATCHER=$!
  # A pipe that stays Failed will not get there by waiting; one that was, and has been edited, may take a moment.
  until is_there "$1" || ((SECONDS >= deadline || failed > 20)); do
    sleep 0.5
    if [ "$(phase)" = Failed ]; then failed=$((failed + 1)); else failed=0; fi
  done
  sleep 0.5 # so that the last line is shown
  stop_watching
  is_there "$1" || explain_failure "$1"
  say "  ✓ ${2:-$1} ($(elapsed $((SECONDS - started))))"
}

stop_watching() {
  if [ -n "$WATCHER" ]; then kill "$WATCHER" 2>/dev/null || true; fi
  WATCHER=
}

is_there() { # PHASE
  local generation observed phase ready
  read -r generation observed phase ready < <(kubectl_ -n "$NAMESPACE" get clickpipe pgbench -o \
    'jsonpath={.metadata.generation} {.status.observedGeneration} {.status.phase} {.status.conditions[?(@.type=="Ready")].status}{"\n"}') || return 1
  [ "$phase" = "$1" ] && [ "$generation" = "$observed" ] && { [ "$1" = Failed ] || [ "$ready" = True ]; }
}

explain_failure() { # PHASE that was waited for
  stop_watching
  {
    kubectl_ -n "$NAMESPACE" get events --sort-by=.lastTimestamp | tail -n 8
    kubectl_ -n "$NAMESPACE" get pods
    kubectl_ -n "$OPERATOR_NAMESPACE" logs --tail=10 -l app.kubernetes.io/name=clickpipe-operator
  } 2>&1 | sed 's/^/    /' >&2 || true
  die "the pipe is not $1 but $(phase), after at most $PIPE_TIMEOUT s: $(status_of message)"
}

change_rows() {
  say "  \$ pgbench -T 20 -c 4     (against the running pipe)"
  "$PG_BIN/pgbench" -n -T 20 -c 4 -j 2 -P 5 2>&1 | grep -E '^progress|actually processed|^tps' | sed 's/^/    /' >&2
}

# A row as text, the same on both sides; a table's checksum is the sum of its rows' hashes, so that order doesn't matter.
columns() { # TABLE postgres|clickhouse
  local integers=() name
  case $1 in
    pgbench_accounts) integers=(aid bid abalance) ;;
    pgbench_branches) integers=(bid bbalance) ;;
    pgbench_tellers) integers=(tid bid tbalance) ;;
    pgbench_history) integers=(tid bid aid delta) ;;
    pgbench_orders) integers=(oid aid amount) ;; # of the tour
  esac
  if [ "$2" = postgres ]; then
    for name in "${integers[@]}"; do printf "coalesce(%s::text, 'NULL') || '|' || " "$name"; done
    if [ "$1" = pgbench_history ]; then printf "coalesce(to_char(mtime, 'YYYY-MM-DD HH24:MI:SS.US'), 'NULL') || '|' || "; fi
    printf "coalesce(rtrim(filler), 'NULL')"
  else
    for name in "${integers[@]}"; do printf "ifNull(toString(%s), 'NULL') || '|' || " "$name"; done
    if [ "$1" = pgbench_history ]; then printf "ifNull(toString(mtime), 'NULL') || '|' || "; fi
    printf "ifNull(trimRight(filler), 'NULL')" # trailing blanks of char(n) mean nothing
  fi
}

postgres_checksum() { # TABLE: "rows checksum"
  psql_ -F ' ' -c "SELECT count(*), coalesce(sum(('x' || left(md5($(columns "$1" postgres)), 15))::bit(60)::bigint), 0) FROM $1"
}

clickhouse_checksum() { # TABLE: the same; FINAL where rows replace each other
  local final=FINAL
  if [ "$1" = pgbench_history ]; then final=''; fi
  clickhouse "SELECT count(), sum(toUInt128(bitShiftRight(reinterpretAsUInt64(reverse(substring(MD5($(columns "$1" clickhouse)), 1, 8))), 4)))
    FROM $CH_DATABASE.$1 $final FORMAT TabSeparated" | tr '\t' ' '
}

compare_tables() { # prints a line per table; fails when one differs
  local table here there equal=0
  for table in "${TABLES[@]}"; do
    here=$(postgres_checksum "$table")
    there=$(clickhouse_checksum "$table") || there="($there)"
    if [ "$here" = "$there" ]; then
      printf '  ✓ %-18s %9s rows, checksum %s on both sides\n' "$table" "${here% *}" "${here#* }"
    else
      printf '  ✗ %-18s Postgres: %s, ClickHouse: %s (rows checksum)\n' "$table" "$here" "$there"
      equal=1
    fi
  done
  return "$equal"
}

compare_until_equal() {
  local started=$SECONDS deadline=$((SECONDS + 120)) result history caught_up=''
  history=$(psql_ -c 'SELECT count(*) FROM pgbench_history') # one row a transaction: when they are there, all is there
  while ((SECONDS < deadline)) && [ "$caught_up" != "$history" ]; do
    caught_up=$(clickhouse "SELECT count() FROM $CH_DATABASE.pgbench_history") || true
    sleep 0.2
  done
  if [ "$caught_up" = "$history" ]; then say "  ✓ caught up with $history transactions ($(elapsed $((SECONDS - started))) after pgbench ended)"; fi
  until result=$(compare_tables); do
    ((SECONDS < deadline)) || break
    sleep 1
  done
  say "$result"
  ! grep -q '✗' <<<"$result"
}

verdict() {
  say ''
  if ((WORST)); then
    say "DIFFERENT: not all tables are equal in Postgres and ClickHouse (after $(elapsed "$SECONDS"))"
  else
    say "EQUAL: all ${#TABLES[@]} tables are the same in Postgres and ClickHouse (everything took $(elapsed "$SECONDS"))"
  fi
  cat >&2 <<END

Look around:
  eval "\$(dev/demo env)"
  kubectl get clickpipes -n $NAMESPACE -o wide
  kubectl describe clickpipe pgbench -n $NAMESPACE
  kubectl logs -n $OPERATOR_NAMESPACE -l app.kubernetes.io/name=clickpipe-operator
  psql -c "UPDATE pgbench_branches SET bbalance = 42 WHERE bid = 1"
  curl -s "\$CLICKHOUSE_URL" --data-binary "SELECT bid, bbalance FROM pgbench_branches FINAL ORDER BY bid"
More of it (pause and resume, add a table, resync, a failure and its remedy):
  dev/demo tour
Take it down:
  dev/demo down
END
  return "$WORST"
}

# ---- env and down

require_demo() { [ -n "$(recorded CLICKHOUSE_URL)" ] || die "the demonstration is not running: dev/demo starts it"; }

print_exports() {
  require_demo
  use_cluster "$CLUSTER_NAME"
  if [ -n "$(recorded kubeconfig.given)" ]; then
    printf 'export KUBECONFIG=%q\n' "$(recorded kubeconfig.given)"
  else
    "$DEV_DIR/cluster" env --name "$CLUSTER_NAME"
  fi
  printf '%s\n' "$(recorded postgres.env)"
  printf 'export CLICKHOUSE_URL=%q\n' "$(recorded CLICKHOUSE_URL)"
}

take_down() {
  if [ ! -d "$DEMO" ] && [ ! -d "$RUN_DIR/$CLUSTER_NAME" ]; then
    say "  ✓ nothing of the demonstration is running"
    return 0
  fi
  if [ -n "$(recorded kubeconfig.given)" ]; then
    take_down_elsewhere
  else
    "$DEV_DIR/cluster" down --name "$CLUSTER_NAME"
  fi
  step "stopping Postgres and ClickHouse" stop_servers
  rm -rf "$DEMO"
}

take_down_elsewhere() { # on a cluster that is not ours only what we put there
  local others=''
  KUBECONFIG=$(recorded kubeconfig.given)
  export KUBECONFIG
  find_kubectl
  find_java
  refuse_strangers
  if [ -n "$(kubectl_ get crd "$CRD" --ignore-not-found -o name)" ]; then
    step "deleting the pipe" kubectl_ -n "$NAMESPACE" delete clickpipe pgbench --ignore-not-found --timeout=150s
    others=$(kubectl_ get clickpipes --all-namespaces -o name)
  fi
  step "deleting the namespace $NAMESPACE" kubectl_ delete namespace "$NAMESPACE" --ignore-not-found --timeout=120s
  if [ -n "$others" ]; then
    say "  ✓ the operator stays, for the other ClickPipes of this cluster"
    return 0
  fi
  if [ -n "$(kubectl_ -n "$OPERATOR_NAMESPACE" get secret -l "owner=helm,name=$RELEASE" -o name)" ]; then
    step "uninstalling the operator" helm_ uninstall "$RELEASE" --namespace "$OPERATOR_NAMESPACE"
  fi
  step "deleting the namespace $OPERATOR_NAMESPACE" kubectl_ delete namespace "$OPERATOR_NAMESPACE" --ignore-not-found --timeout=120s
  step "deleting the CRD" kubectl_ delete crd "$CRD" --ignore-not-found --timeout=60s
}

stop_servers() {
  if [ -d "$DEMO/clickhouse" ]; then stop_process "$DEMO/clickhouse/pid"; fi
  if [ -d "$DEMO/postgres" ]; then stop_postgres "$DEMO/postgres"; fi
}
