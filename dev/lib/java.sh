# shellcheck shell=bash
# JDK 25 and Maven: those of the machine where there are any, else Debian's.

JDK=25

is_jdk() { # DIRECTORY: a JDK (not a JRE) of at least the version wanted
  local version
  [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || return 1
  version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release")
  ((${version:-0} >= JDK))
}

find_java() { # sets and exports JAVA_HOME
  local candidate
  for candidate in "${JAVA_HOME:-/nowhere}" /usr/lib/jvm/*"$JDK"* "$(path_java_home)" "$(cached_jdk)"; do
    if is_jdk "$candidate"; then
      export JAVA_HOME=$candidate
      return 0
    fi
  done
  install_packages ca-certificates-java dpkg-dev
  step "fetching JDK $JDK" with_lock jdk fetch_jdk
  JAVA_HOME=$(cached_jdk)
  export JAVA_HOME
}

path_java_home() {
  local java
  java=$(readlink -f "$(command -v java || echo /nowhere/bin/java)")
  printf '%s\n' "${java%/bin/java}"
}

jdk_root() { printf '%s/jdk-%s\n' "$CACHE_DIR" "$JDK"; }
cached_jdk() { printf '%s/usr/lib/jvm/java-%s-openjdk-amd64\n' "$(jdk_root)" "$JDK"; }

# Debian's newest JDK needs a newer C library than an older release has: its own copy of that comes with it, and the
# programs are told to use it. (Moved afterwards, it would not find it: so it is unpacked where it stays.)
fetch_jdk() {
  local root jdk libraries link program
  root=$(jdk_root) jdk=$(cached_jdk) libraries=$(jdk_root)/usr/lib/x86_64-linux-gnu
  is_jdk "$jdk" && return 0
  rm -rf "$root" "$root.tools"
  unpack_packages release "$root.tools" patchelf
  unpack_packages sid "$root" "openjdk-$JDK-jre-headless" "openjdk-$JDK-jdk-headless" libc6 libstdc++6 libgcc-s1 zlib1g
  for program in "$jdk"/bin/* "$jdk/lib/jspawnhelper"; do
    "$root.tools/usr/bin/patchelf" --set-interpreter "$libraries/ld-linux-x86-64.so.2" \
      --force-rpath --set-rpath "\$ORIGIN/../lib:\$ORIGIN:$libraries" "$program"
  done
  find "$jdk" -type l -lname "/etc/java-$JDK-openjdk/*" | while read -r link; do ln -sfn "$root$(readlink "$link")" "$link"; done
  rm -rf "$root.tools"
  "$jdk/bin/javac" -version || {
    rm -rf "$root"
    echo "no JDK $JDK in JAVA_HOME, in /usr/lib/jvm or on PATH, and Debian's does not run on this machine: install one and set JAVA_HOME"
    return 1
  }
}

jdk_library_dirs() { # where the JDK's own needs (libc and so on) are met from
  if [ "$JAVA_HOME" = "$(cached_jdk)" ]; then
    printf '%s\n' "$(jdk_root)/usr/lib/x86_64-linux-gnu"
  else
    printf '%s\n' /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu
  fi
}

find_maven() {
  have mvn && return 0
  install_packages maven
  have mvn || die "needs Maven, and the package maven did not bring mvn"
}
