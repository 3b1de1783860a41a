# shellcheck shell=bash
# Debian packages: installed where a tool belongs to the machine, unpacked into the cache where it is only ours.
# apt is always run on private source lists made from the machine's own Debian sources: suites that the machine does not
# list (sources, backports, sid) are reached that way, third-party entries that don't answer don't matter, and nothing of
# the machine's apt configuration changes.

DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

debian_codename() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

debian_targets() { # "site suite" of each of the machine's sources that is Debian's own, also where no list was fetched yet
  local name
  name=$(debian_codename)
  apt-get indextargets --no-release-info --format '$(SITE) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
    awk -v n="$name" '$2 == n || $2 == n"-updates" || $2 == n"-security"' | sort -u
}

debian_site() { # the mirror that serves the release itself; it serves backports and sid too
  debian_targets | awk -v n="$(debian_codename)" '$2 == n {print $1; exit}'
}

source_entry() { # TYPES SITE SUITE
  printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$2" "$3" "$DEBIAN_KEYS"
}

write_sources() { # SCOPE FILE: scope `release` is what the machine runs, with sources and backports; `sid` is sid alone
  local site suite name
  site=$(debian_site)
  name=$(debian_codename)
  [ -n "$site" ] || die "this machine's apt has no Debian release source ($name) to take packages from"
  if [ "$1" = sid ]; then
    source_entry deb "$site" sid >"$2"
    return
  fi
  {
    debian_targets | while read -r site suite; do source_entry deb "$site" "$suite"; done
    source_entry deb-src "$site" "$name"
    source_entry deb "$site" "$name-backports"
  } >"$2"
}

# private_apt SCOPE TOOL ARGS...: apt-get or apt-cache on our own lists. In `sid` it also sees an empty dpkg status: packages from
# there are only ever unpacked, never installed.
private_apt() {
  local scope=$1 tool=$2 dir=$CACHE_DIR/apt/$1
  shift 2
  local options=(
    -o Dir::Etc::sourcelist="$dir/debian.sources" -o Dir::Etc::sourceparts=-
    -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache"
    -o Acquire::Retries=3 -o APT::Get::List-Cleanup=0 -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0
  )
  if [ "$scope" = sid ]; then options+=(-o Dir::State="$dir" -o Dir::State::status="$dir/status"); fi
  DEBIAN_FRONTEND=noninteractive "$tool" "${options[@]}" "$@"
}

refresh_apt() { # SCOPE: package lists not older than half a day
  local dir=$CACHE_DIR/apt/$1
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  touch "$dir/status"
  write_sources "$1" "$dir/debian.sources.new"
  if [ -n "$(find "$dir/updated" -mmin -720 2>/dev/null)" ] && cmp -s "$dir/debian.sources.new" "$dir/debian.sources"; then
    return 0
  fi
  mv "$dir/debian.sources.new" "$dir/debian.sources"
  private_apt "$1" apt-get update -qq
  touch "$dir/updated"
}

# fetch_source SUITE DIR NAME: a Debian source package's upstream files, unpacked into DIR. As in `sid`, on an empty status.
fetch_source() {
  local suite=$1 into=$2 name=$3 dir=$CACHE_DIR/apt/source-$1 options
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$into"
  touch "$dir/status"
  source_entry deb-src "$(debian_site)" "$suite" >"$dir/debian.sources"
  options=(
    -o Dir::Etc::sourcelist="$dir/debian.sources" -o Dir::Etc::sourceparts=- -o Dir::State="$dir"
    -o Dir::State::lists="$dir/lists" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache"
    -o Acquire::Retries=3 -o APT::Sandbox::User=root
  )
  apt-get "${options[@]}" update -qq &&
    (cd "$into" && apt-get "${options[@]}" source --download-only "$name" && tar -xzf "$name"_*.orig.tar.gz)
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing_packages() {
  local p
  for p in "$@"; do installed "$p" || printf '%s\n' "$p"; done
}

# install_packages NAME...: only those that are missing.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  have apt-get || die "needs the packages ${missing[*]}, and this machine has no apt-get to install them with"
  need_root
  step "installing ${missing[*]}" with_lock apt install_missing "${missing[@]}"
}

install_missing() {
  refresh_apt release
  # Services are not to be started because a package comes with one.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  private_apt release apt-get install -y --no-install-recommends "$@"
}

# unpack_packages SCOPE DIR NAME...: downloads and unpacks exactly these into DIR; their scripts don't run, nothing is installed.
# So containerd and etcd of ours never collide with a Docker or an etcd that the machine already has.
unpack_packages() {
  local scope=$1 dir=$2 deb
  shift 2
  refresh_apt "$scope"
  mkdir -p "$dir.debs" "$dir"
  (cd "$dir.debs" && private_apt "$scope" apt-get download "$@")
  for deb in "$dir.debs"/*.deb; do dpkg -x "$deb" "$dir"; done
  rm -rf "$dir.debs"
}
