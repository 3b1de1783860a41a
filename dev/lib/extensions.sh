# shellcheck shell=bash
# Debian's own Postgres with pgvector and PostGIS, for the test of their types: a copy of the installed server, beside which
# pgvector is compiled from the source package of the next release, for this one has none. Where it can't be had nothing of it is
# checked, and that is said.

PGVECTOR_SUITE=trixie

# Root's cache is nothing that the user postgres may look into.
extensions_dir() {
  local cache=$CACHE_DIR
  if [ "$(id -u)" = 0 ]; then cache=/var/cache/clickpipe; fi
  printf '%s/postgres-extensions-%s\n' "$cache" "$(hash_of "$DEV_DIR/lib/extensions.sh")"
}

find_extensions() { # prints the server's directory, with bin/postgres
  local version dir
  version=$(basename "$(dirname "$PG_BIN")")
  dir=$(extensions_dir)
  [ -e "$dir/made" ] || make_extensions "$version" "$dir" >&2 || return 1
  printf '%s/lib/postgresql/%s\n' "$dir" "$version"
}

make_extensions() { # VERSION DIR
  install_packages "postgresql-$1-postgis-3" gcc libc6-dev libpq-dev &&
    with_lock extensions step "compiling pgvector" copy_and_compile "$1" "$2"
}

copy_and_compile() { # VERSION DIR
  local version=$1 dir=$2
  rm -rf "$dir" && mkdir -p "$dir/source" "$dir/lib/postgresql" "$dir/share/postgresql" || return 1
  cp -a "/usr/lib/postgresql/$version" "$dir/lib/postgresql/" && cp -aL "/usr/share/postgresql/$version" "$dir/share/postgresql/" || return 1
  unpack_packages release "$dir/source/server" "postgresql-server-dev-$version" || return 1
  fetch_source "$PGVECTOR_SUITE" "$dir/source" pgvector || return 1
  cd "$dir"/source/pgvector-*/ || return 1
  local extensions=$dir/share/postgresql/$version/extension
  gcc -O1 -fPIC -shared -I"$dir/source/server/usr/include/postgresql/$version/server" -I/usr/include/postgresql \
    -I/usr/include/postgresql/internal -o "$dir/lib/postgresql/$version/lib/vector.so" src/*.c -lm || return 1
  cp vector.control "$extensions/" &&
    cp sql/vector.sql "$extensions/vector--$(sed -n "s/^default_version = '\(.*\)'/\1/p" vector.control).sql" || return 1
  cd / && rm -rf "$dir/source" && touch "$dir/made"
}
