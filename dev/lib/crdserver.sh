# shellcheck shell=bash
# The recipe for a current Kubernetes' own CRD server (apiextensions-apiserver), from Debian sid's Go source packages and Go
# compiler, unpacked into the cache. Sid moves, so this may fail one day: then nothing is checked, and that is said.

CRD_SERVER_GO=1.26

crd_server_dir() { printf '%s/crd-server-%s\n' "$CACHE_DIR" "$(hash_of "$DEV_DIR/lib/crdserver.sh")"; }
crd_server_binary() { printf '%s/crd-server\n' "$(crd_server_dir)"; }

build_crd_server() {
  [ -x "$(crd_server_binary)" ] && return 0
  install_packages dpkg-dev ca-certificates
  with_lock crd-server build_crd_server_locked
}

build_crd_server_locked() {
  local dir
  dir=$(crd_server_dir)
  [ -x "$dir/crd-server" ] && return 0
  say "Kubernetes' current CRD server is built from source, once, into $dir (about 4 minutes on 2 cores)"
  rm -rf "$dir"
  mkdir -p "$dir"
  step "fetching the CRD server's source and Go $CRD_SERVER_GO" fetch_crd_server "$dir"
  step "compiling the CRD server" compile_crd_server "$dir"
  mv "$dir/built" "$dir/crd-server"
  rm -rf "$dir/root" "$dir/gocache"
}

crd_server_packages() { # every Go library that it needs, and the compiler; the closure's other packages are of no use here
  private_apt sid apt-get install -y --no-install-recommends --print-uris golang-k8s-apiextensions-apiserver-dev "golang-$CRD_SERVER_GO-go" |
    sed -n "s/^'[^']*' \([^ _]*\)_.*/\1/p" | grep -E "(-dev|^golang-${CRD_SERVER_GO/./\\.}-.*)$" | sort -u
}

fetch_crd_server() { # DIR
  local packages
  refresh_apt sid
  mapfile -t packages < <(crd_server_packages)
  ((${#packages[@]} > 1)) || { echo "sid has no golang-k8s-apiextensions-apiserver-dev that can be resolved"; return 1; }
  unpack_packages sid "$1/root" "${packages[@]}"
}

compile_crd_server() { # DIR
  local root=$1/root/usr
  cd "$root/share/gocode/src/k8s.io/apiextensions-apiserver"
  GOROOT=$root/lib/go-$CRD_SERVER_GO GOPATH=$root/share/gocode GO111MODULE=off GOFLAGS='' GOTOOLCHAIN=local \
    GOCACHE=$1/gocache CGO_ENABLED=0 "$root/lib/go-$CRD_SERVER_GO/bin/go" build -v -trimpath -ldflags '-s -w' -o "$1/built" .
}
