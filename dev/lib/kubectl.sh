# shellcheck shell=bash
# kubectl: the one on PATH when it knows `wait --for=jsonpath` (1.23), else the newest Debian has, unpacked into the cache.

kubectl_minor() { # COMMAND: its minor version, or 0
  "$1" version --client -o json 2>/dev/null | jq -r '.clientVersion.minor // "0"' | tr -cd 0-9 || true
}

cached_kubectl() { printf '%s/kubectl/usr/bin/kubectl\n' "$CACHE_DIR"; }

find_kubectl() { # sets KUBECTL
  local minor
  KUBECTL=$(command -v kubectl || true)
  if [ -n "$KUBECTL" ]; then
    install_packages jq
    minor=$(kubectl_minor "$KUBECTL")
    if ((${minor:-0} >= 23)); then return 0; fi
  fi
  KUBECTL=$(cached_kubectl)
  [ -x "$KUBECTL" ] && return 0
  step "fetching kubectl" with_lock kubectl fetch_kubectl
}

fetch_kubectl() {
  [ -x "$(cached_kubectl)" ] && return 0
  rm -rf "$CACHE_DIR/kubectl.new"
  unpack_packages sid "$CACHE_DIR/kubectl.new" kubectl
  "$CACHE_DIR/kubectl.new/usr/bin/kubectl" version --client
  mv "$CACHE_DIR/kubectl.new" "$CACHE_DIR/kubectl"
}
