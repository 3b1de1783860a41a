# shellcheck shell=bash
# The operator's image from the repository's Dockerfile: by Docker where a daemon answers, else by buildah on a base that is
# made from the JDK at hand, so that no registry is needed.

OFFICIAL_BASE=eclipse-temurin:25-jre
LOCAL_BASE=clickpipe.local/jre

buildah_() {
  buildah --root "$CACHE_DIR/buildah/storage" --runroot "$CACHE_DIR/buildah/run" --storage-driver overlay "$@"
}

docker_answers() { have docker && timeout 10 docker info >/dev/null 2>&1; }

# ---- the local base: what a Temurin image offers, a JRE on PATH and what it needs, and a shell for whoever looks into it

local_base_name() { # changes with the JDK and with this recipe
  printf '%s:%s-%s\n' "$LOCAL_BASE" "$JDK" "$(hash_of "$JAVA_HOME/release" "$DEV_DIR/lib/image.sh")"
}

make_base() { # OUT.tar
  local root
  root=$(mktemp -d "$CACHE_DIR/base.XXXXXX")
  chmod 755 "$root"
  mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev,lib64,opt/java}
  chmod 1777 "$root/tmp"
  base_jre "$root/opt/java/openjdk"
  base_libraries "$root"
  base_shell "$root/bin"
  printf 'root:x:0:0:root:/:/bin/sh\nclickpipe:x:1000:1000:clickpipe:/tmp:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nclickpipe:x:1000:\n' >"$root/etc/group"
  printf 'passwd: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
  if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    mkdir -p "$root/etc/ssl/certs"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  fi
  oci_image "$root" "$(local_base_name)" "$1" \
    '{"Env": ["PATH=/opt/java/openjdk/bin:/bin", "JAVA_HOME=/opt/java/openjdk", "LANG=C.UTF-8"]}'
  rm -rf "$root"
}

base_jre() { # DIRECTORY: every module but those for development; which of them Quarkus and the drivers use is theirs to change
  local modules
  modules=$("$JAVA_HOME/bin/java" --list-modules | sed 's/@.*//' |
    grep -vE '^jdk\.(jlink|jpackage|jshell|javadoc|compiler|jdeps|jconsole|hotspot\.agent|internal\..*|incubator\..*|editpad|jartool|jstatd|graal.*)$' | paste -sd ,)
  "$JAVA_HOME/bin/jlink" --add-modules "$modules" --strip-java-debug-attributes --no-header-files --no-man-pages \
    --compress zip-6 --output "$1"
  # Debian keeps configuration and certificates behind links into /etc.
  rm -rf "$1/conf" "$1/lib/security"
  cp -rL "$JAVA_HOME/conf" "$1/conf"
  cp -rL "$JAVA_HOME/lib/security" "$1/lib/security"
}

base_libraries() { # ROOT: the C library and its like, from where the JDK itself gets them
  local name dir
  mkdir -p "$1/lib/x86_64-linux-gnu"
  for name in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libnss_files.so.2 libnss_dns.so.2 \
    libz.so.1 libgcc_s.so.1 libstdc++.so.6 ld-linux-x86-64.so.2; do
    for dir in $(jdk_library_dirs); do
      if [ -e "$dir/$name" ]; then
        cp -L "$dir/$name" "$1/lib/x86_64-linux-gnu/$name"
        break
      fi
    done
  done
  cp "$1/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$1/lib64/"
}

base_shell() { # DIRECTORY: busybox with a link for each of its commands
  local name
  [ -x /bin/busybox ] || return 0
  cp /bin/busybox "$1/busybox"
  for name in $(/bin/busybox --list); do [ "$name" = busybox ] || ln -s busybox "$1/$name"; done
}

local_base_by_buildah() { # makes it unless it is there
  local archive=$CACHE_DIR/base.tar id
  buildah_ inspect --type image "$(local_base_name)" >/dev/null 2>&1 && return 0
  make_base "$archive"
  id=$(buildah_ pull -q "oci-archive:$archive")
  buildah_ tag "$id" "$(local_base_name)"
  rm -f "$archive"
}

local_base_by_docker() {
  local archive=$CACHE_DIR/base.tar
  docker image inspect "$(local_base_name)" >/dev/null 2>&1 && return 0
  make_base "$archive"
  docker load -i "$archive"
  rm -f "$archive"
}

# ---- the image

application_hash() { # of all that goes into the image
  (cd "$REPO_DIR" && find target/quarkus-app Dockerfile -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum | cut -c 1-12
}

build_by_buildah() { # BASE TAG OUT.tar
  local pull=--pull-never
  if [ "$1" != "$(local_base_name)" ]; then pull=--pull; fi
  buildah_ bud -q --isolation chroot "$pull" --format docker --build-arg "BASE=$1" -t "$2" -f "$REPO_DIR/Dockerfile" "$REPO_DIR"
  rm -f "$3"
  buildah_ push -q "$2" "docker-archive:$3:$2"
  buildah_ rmi -f "$2"  # the archive is what counts; the base stays
}

build_by_docker() { # BASE TAG OUT.tar
  docker build -q --build-arg "BASE=$1" -t "$2" "$REPO_DIR"
  docker save -o "$3" "$2"
}
