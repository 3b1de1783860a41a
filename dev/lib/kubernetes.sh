# shellcheck shell=bash
# The recipe for the Kubernetes binaries: Debian's source package, its Go compiler from backports, one library replaced.
# The cache key is this file's hash: whoever edits the recipe gets a fresh build.

KUBERNETES_VERSION=1.20.2
KUBERNETES_COMPONENTS=(kube-apiserver kube-controller-manager kube-scheduler kubelet)

kubernetes_dir() { printf '%s/kubernetes-%s-%s\n' "$CACHE_DIR" "$KUBERNETES_VERSION" "$(hash_of "$DEV_DIR/lib/kubernetes.sh")"; }

# Builds what is not in the cache; afterwards $(kubernetes_dir)/bin has the four components, etcd, containerd, runc and all.
build_kubernetes() {
  [ -e "$(kubernetes_dir)/complete" ] && return 0
  install_packages dpkg-dev gcc libc6-dev make rsync jq curl ca-certificates
  with_lock kubernetes build_kubernetes_locked
}

build_kubernetes_locked() {
  local dir
  dir=$(kubernetes_dir)
  [ -e "$dir/complete" ] && return 0
  say "Kubernetes $KUBERNETES_VERSION is built from source, once, into $dir (about 8 minutes on 2 cores)"
  rm -rf "$dir"
  mkdir -p "$dir/bin"
  step "fetching the source and Go 1.22" fetch_kubernetes "$dir"
  step "generating code" generate_kubernetes "$dir"
  step "compiling ${KUBERNETES_COMPONENTS[*]}" compile_kubernetes "$dir"
  step "unpacking etcd, containerd and runc" unpack_runtime "$dir"
  rm -rf "$dir/build"
  touch "$dir/complete"
}

fetch_kubernetes() { # DIR
  local build=$1/build
  mkdir -p "$build"
  refresh_apt release
  unpack_packages release "$build/tools" golang-1.22-go golang-1.22-src golang-github-modern-go-reflect2-dev
  # Debian's number reads 1.20.5+really1.20.2-…; its last part moves with security updates.
  (cd "$build" && private_apt release apt-get source -q --only-source kubernetes)
  mv "$build"/kubernetes-*"$KUBERNETES_VERSION" "$build/source"
}

generate_kubernetes() { # DIR: deep copies, conversions, OpenAPI: what plain `go build` expects to find
  local build=$1/build
  cd "$build/source"
  PATH=$build/tools/usr/lib/go-1.22/bin:$PATH GOCACHE=$build/gocache GOFLAGS='' make generated_files
}

# Files that the compiler takes instead of those in the tree:
# - Vendored reflect2 1.0.1 corrupts memory when compiled by Go 1.18 or later: the API server dies on the first custom
#   resource. Debian's 1.0.2 replaces it.
# - Two periods in the kubelet are shortened, so that a deleted pod is gone in 3 s instead of up to 18 s.
# - The kubelet's two log directories come from KUBELET_LOG_ROOT: two kubelets on one machine delete each other's logs.
# - Validation compares a value's address with that of Go's zero value. Go 1.22 gives both to an empty string, so that the API
#   server took every "" in a custom resource for null and refused it.
write_overlay() { # DIR TREE: prints the overlay as `go build` wants it
  local build=$1/build tree=$2 file
  patch_kubelet "$tree" "$build/overlay"
  patch_validation "$tree" "$build/overlay"
  {
    replace_reflect2 "$tree/vendor/github.com/modern-go/reflect2" "$build/tools/usr/share/gocode/src/github.com/modern-go/reflect2"
    (cd "$build/overlay" && find . -name '*.go') | while read -r file; do
      printf '%s %s\n' "$tree/${file#./}" "$build/overlay/${file#./}"
    done
  } | jq -R 'split(" ") | {(.[0]): .[1]}' | jq -s '{Replace: add}'
}

replace_reflect2() { # OLD NEW: a file that only the old one has is replaced by nothing
  local file
  for file in $( (ls "$1" "$2") | grep -E '\.(go|s)$' | grep -v _test.go | sort -u); do
    if [ -e "$2/$file" ]; then printf '%s %s\n' "$1/$file" "$2/$file"; else printf '%s \n' "$1/$file"; fi
  done
}

patch_kubelet() { # FROM TO
  local logs='os.Getenv("KUBELET_LOG_ROOT") +' kubelet=pkg/kubelet
  patch_file "$1" "$2" $kubelet/status/status_manager.go 's/const syncPeriod = 10 \* time.Second/const syncPeriod = 1 * time.Second/'
  patch_file "$1" "$2" $kubelet/kubelet.go 's/ContainerGCPeriod = time.Minute/ContainerGCPeriod = 2 * time.Second/' '/^\tContainerLogsDir = /d'
  printf 'var ContainerLogsDir = %s "/containers"\n' "$logs" >>"$2/$kubelet/kubelet.go"
  patch_file "$1" "$2" $kubelet/kuberuntime/legacy.go '/^\tlegacyContainerLogsDir = /d'
  patch_file "$1" "$2" $kubelet/kuberuntime/kuberuntime_manager.go '/^\tpodLogsRootDirectory = /d'
  printf 'var podLogsRootDirectory = %s "/pods"\nvar legacyContainerLogsDir = %s "/containers"\n' "$logs" "$logs" \
    >>"$2/$kubelet/kuberuntime/kuberuntime_manager.go"
}

patch_validation() { # FROM TO: null is nil, and nothing else
  patch_file "$1" "$2" vendor/k8s.io/kube-openapi/pkg/validation/validate/type.go \
    's/ || reflect.DeepEqual(reflect.Zero(reflect.TypeOf(data)), reflect.ValueOf(data))//'
}

patch_file() { # FROM TO FILE EXPRESSION...: every expression has to change something
  local from=$1 to=$2 file=$3 expression
  shift 3
  mkdir -p "$(dirname "$to/$file")"
  cp "$from/$file" "$to/$file"
  for expression in "$@"; do
    sed -i.before "$expression" "$to/$file"
    if cmp -s "$to/$file" "$to/$file.before"; then
      echo "nothing to change in $file by $expression: the source is not the one this recipe was made for" >&2
      return 1
    fi
    rm "$to/$file.before"
  done
}

linker_flags() { # the version that the binaries report; unset, clients take the server for v0.0.0
  local pair package
  printf '%s' '-s -w -buildid='
  for pair in "gitVersion=v$KUBERNETES_VERSION" gitMajor=1 gitMinor=20 gitTreeState=archive buildDate=2021-01-13T00:00:00Z; do
    for package in client-go/pkg/version component-base/version; do
      printf ' -X k8s.io/kubernetes/vendor/k8s.io/%s.%s' "$package" "$pair"
    done
  done
}

compile_kubernetes() { # DIR: all in one go, so that they share what they have in common
  local build=$1/build gopath tree
  gopath=$build/source/_output/local/go
  tree=$gopath/src/k8s.io/kubernetes
  if [ ! -e "$tree" ]; then
    mkdir -p "$gopath/src/k8s.io"
    ln -s "$build/source" "$tree"
  fi
  write_overlay "$1" "$tree" >"$build/overlay.json"
  # The compiler sees the tree by the link in GOPATH or by its own name; the overlay has to name both.
  jq --arg link "$tree" --arg real "$build/source" \
    '.Replace |= (. + with_entries(.key |= sub("^" + $link; $real)))' "$build/overlay.json" >"$build/overlay-both.json"
  cd "$tree"
  GO111MODULE=off GOPATH=$gopath GOCACHE=$build/gocache GOFLAGS='' GOTOOLCHAIN=local CGO_ENABLED=1 \
    "$build/tools/usr/lib/go-1.22/bin/go" build -v -overlay "$build/overlay-both.json" -trimpath -tags selinux,notest \
    -ldflags "$(linker_flags)" -o "$1/bin/" "${KUBERNETES_COMPONENTS[@]/#/k8s.io/kubernetes/cmd/}"
  gcc -Os -static -s -DVERSION=clickpipe -o "$1/bin/pause" "$build/source/build/pause/linux/pause.c"
}

unpack_runtime() { # DIR: etcd, containerd, runc, network plugins, and busybox for a shell in test images
  local root=$1/runtime
  unpack_packages release "$root" etcd-server containerd runc containernetworking-plugins busybox-static
  ln -sf ../runtime/usr/bin/{etcd,containerd,containerd-shim-runc-v2,ctr} "$1/bin/"
  ln -sf ../runtime/usr/sbin/runc "$1/bin/"
  ln -sf ../runtime/bin/busybox "$1/bin/"
  ln -sfn runtime/usr/lib/cni "$1/cni"
}
