# shellcheck shell=bash
# The jar and the compiled test bed, built by Maven when pom.xml or anything under src/ has changed.

source_hash() {
  (cd "$REPO_DIR" && find pom.xml src -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum | cut -c 1-12
}

jar_is_current() {
  [ -f "$REPO_DIR/target/quarkus-app/quarkus-run.jar" ] && [ -f "$REPO_DIR/target/test.classpath" ] &&
    [ "$(cat "$REPO_DIR/target/built-from" 2>/dev/null)" = "$(source_hash)" ]
}

build_jar() {
  if jar_is_current; then
    say "  ✓ the jar is up to date"
    return 0
  fi
  step "building the jar with Maven (tests are dev/test's)" with_lock maven build_jar_locked
}

build_jar_locked() {
  local hash
  hash=$(source_hash)
  jar_is_current && return 0
  # Formatting is judged where the tests are; here it would only be in the way of trying something out.
  (cd "$REPO_DIR" && mvn -B -ntp -DskipTests -Dspotless.check.skip=true package)
  printf '%s\n' "$hash" >"$REPO_DIR/target/built-from"
}
