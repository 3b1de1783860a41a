# shellcheck shell=bash
# The ClickHouse engine: libchdb.so from npm, served over HTTP by the test bed's Java code.

CHDB_PACKAGE=@chdb/lib-linux-x64-gnu@26.7.3-stable.1
CHDB_MEGABYTES=566  # unpacked; only to show how far it is

chdb_library() { printf '%s/chdb/%s/libchdb.so\n' "$CACHE_DIR" "${CHDB_PACKAGE##*@}"; }

fetch_chdb() {
  [ -e "$(chdb_library)" ] && return 0
  if ! have npm; then install_packages npm; fi
  step "fetching the ClickHouse engine (${CHDB_PACKAGE##*@} from npm, $CHDB_MEGABYTES MB)" with_lock chdb fetch_chdb_locked
}

fetch_chdb_locked() {
  local library work watcher
  library=$(chdb_library)
  [ -e "$library" ] && return 0
  work=$(dirname "$library").new
  rm -rf "$work"
  mkdir -p "$work/package"
  while sleep 1; do du -sm "$work" | awk '{print $1 " MB so far"}'; done &
  watcher=$!
  # shellcheck disable=SC2064  # this watcher, now
  trap "kill $watcher 2>/dev/null || true" EXIT
  # A cache of npm's own would keep a copy that nobody needs again; and this way its progress can be seen.
  (cd "$work" && npm pack --loglevel=error --no-update-notifier --cache "$work/npm" "$CHDB_PACKAGE" >name)
  tar -C "$work" -xzf "$work/$(tail -n 1 "$work/name")"
  rm -f "$work"/*.tgz "$work/name"
  [ -e "$work/package/libchdb.so" ] || { echo "the npm package $CHDB_PACKAGE has no libchdb.so"; return 1; }
  rm -rf "$(dirname "$library")"
  mkdir -p "$(dirname "$(dirname "$library")")"
  mv "$work/package" "$(dirname "$library")"
  rm -rf "$work"
}

# start_clickhouse STATE ADDRESS PORT USER PASSWORD-FILE: from the compiled test classes. The engine keeps its data outside
# the Java heap, so a small heap is enough.
start_clickhouse() {
  local state=$1
  mkdir -p "$state/data"
  start_process "$state/pid" "$state/log" "$JAVA_HOME/bin/java" -Xmx512m --enable-native-access=ALL-UNNAMED \
    --sun-misc-unsafe-memory-access=allow -Dsun.net.httpserver.nodelay=true \
    -cp "$(cat "$REPO_DIR/target/test.classpath"):$REPO_DIR/target/test-classes" dev.clickpipe.testbed.ClickHouseServer \
    --listen "$2:$3" --data "$state/data" --user "$4" --password-file "$5" --library "$(chdb_library)"
  wait_until 'ClickHouse' "$state/pid" 60 curl -sf "http://$2:$3/ping"
}
