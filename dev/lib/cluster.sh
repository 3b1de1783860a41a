# shellcheck shell=bash disable=SC2153  # the cluster's settings are read from its settings file
# A real single-node Kubernetes cluster on this machine: no systemd, no registry, no kubeadm. Several may run at once, each
# with its own bridge, subnets, ports, cgroup and state directory.

CLUSTER_COMPONENTS=(kubelet scheduler controller-manager containerd apiserver etcd)  # in the order in which they stop
PAUSE_IMAGE=clickpipe.local/pause:1
BUSYBOX_IMAGE=clickpipe.local/busybox:1

# use_cluster NAME: sets the variables that everything below works with.
use_cluster() {
  [[ $1 =~ ^[a-z][a-z0-9]{0,7}$ ]] || die "a cluster's name is up to 8 lower-case letters and digits, not \"$1\""
  CLUSTER=$1
  STATE=$RUN_DIR/$1
  BIN=$(kubernetes_dir)/bin
  CNI=$(kubernetes_dir)/cni
  SOCKET=$STATE/containerd.sock
  CLUSTER_KUBECONFIG=$STATE/admin.kubeconfig
  if [ -f "$STATE/settings" ]; then
    # shellcheck source=/dev/null
    . "$STATE/settings"
  fi
}

cluster_kubectl() { KUBECONFIG=$CLUSTER_KUBECONFIG "$KUBECTL" "$@"; }

cluster_running() {
  local component
  for component in "${CLUSTER_COMPONENTS[@]}"; do is_running "$STATE/pids/$component" || return 1; done
}

# ---- settings: subnets and ports that nothing on this machine uses yet

slot_is_free() { # NUMBER
  local first=$((130 + 2 * $1)) port used
  used=$(ip -4 route show table all; ip -4 addr show)
  if grep -qE "(^|[^0-9.])10\.($first|$((first + 1)))\." <<<"$used"; then return 1; fi
  for port in 0 1 2 3 4; do port_is_free 127.0.0.1 $((23790 + 10 * $1 + port)) || return 1; done
  ! grep -qs "^SLOT=$1$" "$RUN_DIR"/*/settings
}

choose_settings() {
  local slot=0 ports
  until slot_is_free "$slot"; do
    slot=$((slot + 1))
    ((slot < 20)) || { echo "found no free 10.130.0.0/16 … 10.169.0.0/16 subnets"; return 1; }
  done
  ports=$((23790 + 10 * slot))
  mkdir -p "$STATE"
  cat >"$STATE/settings" <<END
SLOT=$slot
BRIDGE=clickpipe$slot
NODE_ADDRESS=10.$((130 + 2 * slot)).0.1
POD_SUBNET=10.$((130 + 2 * slot)).0.0/16
POD_FIRST=10.$((130 + 2 * slot)).1.1
POD_LAST=10.$((130 + 2 * slot)).9.254
SERVICE_SUBNET=10.$((131 + 2 * slot)).0.0/16
SERVICE_ADDRESS=10.$((131 + 2 * slot)).0.1
ETCD_PORT=$ports
ETCD_PEER_PORT=$((ports + 1))
CONTROLLER_PORT=$((ports + 2))
SCHEDULER_PORT=$((ports + 3))
KUBELET_HEALTH_PORT=$((ports + 4))
BIN=$BIN
CNI=$CNI
END
  # shellcheck source=/dev/null
  . "$STATE/settings"
}

# ---- kernel: what the kubelet and the bridge plugin change is remembered by the first cluster and put back by the last

CHANGED_SYSCTLS=(net.ipv4.ip_forward net.ipv4.conf.all.route_localnet vm.overcommit_memory vm.panic_on_oom kernel.panic
  kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

save_sysctls() {
  local key
  [ -e "$RUN_DIR/sysctl.saved" ] && return 0
  for key in "${CHANGED_SYSCTLS[@]}"; do printf '%s=%s\n' "$key" "$(sysctl -n "$key")"; done >"$RUN_DIR/sysctl.saved"
}

restore_sysctls() { # unless another cluster still runs
  compgen -G "$RUN_DIR/*/settings" >/dev/null && return 0
  [ -e "$RUN_DIR/sysctl.saved" ] || return 0
  sysctl -q -p "$RUN_DIR/sysctl.saved" || true
  rm -f "$RUN_DIR/sysctl.saved"
}

# ---- network: a bridge that holds the node's address and that of the service `kubernetes`, so that pods reach the API
# without kube-proxy. What a pod sends off the bridge is dropped: nothing leaves the machine.

make_bridge() {
  ip link add "$BRIDGE" type bridge
  # Said once, the address stays. Else it follows the pods' that come and go, and who knew the old one waits for its ARP entry to age.
  ip link set "$BRIDGE" address "$(cat "/sys/class/net/$BRIDGE/address")"
  ip addr add "$NODE_ADDRESS/16" dev "$BRIDGE"
  ip addr add "$SERVICE_ADDRESS/32" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  iptables -w -I FORWARD -i "$BRIDGE" ! -o "$BRIDGE" -j DROP
}

remove_bridge() {
  while iptables -w -D FORWARD -i "$BRIDGE" ! -o "$BRIDGE" -j DROP 2>/dev/null; do :; done
  if ip link show "$BRIDGE" >/dev/null 2>&1; then ip link del "$BRIDGE"; fi
}

write_network() { # for the container network plugins
  mkdir -p "$STATE/cni/net.d" "$STATE/cni/data"
  cat >"$STATE/cni/net.d/10-bridge.conflist" <<END
{"cniVersion": "0.4.0", "name": "$BRIDGE", "plugins": [
  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$STATE/cni/data", "routes": [{"dst": "0.0.0.0/0"}],
     "ranges": [[{"subnet": "$POD_SUBNET", "rangeStart": "$POD_FIRST", "rangeEnd": "$POD_LAST", "gateway": "$NODE_ADDRESS"}]]}}]}
END
  printf 'nameserver %s\n' "$NODE_ADDRESS" >"$STATE/resolv.conf"
}

# ---- cgroups: the kubelet wants its root to exist; a subtree of its own keeps two clusters apart

make_cgroup() {
  local controller dir
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p "/sys/fs/cgroup/clickpipe-$CLUSTER"
    sed 's/\([a-z]\+\)/+\1/g' /sys/fs/cgroup/cgroup.controllers >"/sys/fs/cgroup/cgroup.subtree_control" || true
    return 0
  fi
  for controller in /sys/fs/cgroup/*/; do
    dir=${controller}clickpipe-$CLUSTER
    mkdir -p "$dir" 2>/dev/null || continue
    if [ -e "$dir/cpuset.cpus" ]; then  # a new cpuset is empty and takes no process
      cat "$controller/cpuset.cpus" >"$dir/cpuset.cpus"
      cat "$controller/cpuset.mems" >"$dir/cpuset.mems"
    fi
  done
}

remove_cgroup() {
  local dir
  for dir in /sys/fs/cgroup/clickpipe-"$CLUSTER" /sys/fs/cgroup/*/clickpipe-"$CLUSTER"; do
    if [ -d "$dir" ]; then find "$dir" -depth -type d -exec rmdir {} \; 2>/dev/null || true; fi
  done
}

# ---- certificates: elliptic-curve keys take milliseconds

make_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

make_certificate() { # NAME SUBJECT [ALTERNATIVE-NAMES]
  make_key "$1"
  {
    echo 'keyUsage=critical,digitalSignature,keyEncipherment'
    echo 'extendedKeyUsage=clientAuth,serverAuth'
    if [ -n "${3:-}" ]; then echo "subjectAltName=$3"; fi
  } >"$1.ext"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

make_pki() (
  umask 077
  mkdir -p "$STATE/pki"
  cd "$STATE/pki"
  make_key ca
  openssl req -x509 -new -key ca.key -subj "/CN=clickpipe-$CLUSTER" -days 3650 -out ca.crt \
    -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null
  make_key service-account
  openssl ec -in service-account.key -pubout -out service-account.pub 2>/dev/null
  make_certificate apiserver /CN=kube-apiserver \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:$SERVICE_ADDRESS,IP:$NODE_ADDRESS,IP:127.0.0.1"
  make_certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
  make_certificate kubelet "/O=system:nodes/CN=system:node:$CLUSTER" "DNS:$CLUSTER,IP:$NODE_ADDRESS"
  make_certificate admin /O=system:masters/CN=admin
  make_certificate controller-manager /CN=system:kube-controller-manager
  make_certificate scheduler /CN=system:kube-scheduler
  write_kubeconfig admin
  write_kubeconfig controller-manager
  write_kubeconfig scheduler
  write_kubeconfig kubelet
)

write_kubeconfig() { # CERTIFICATE
  cat >"$STATE/$1.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters:
- name: $CLUSTER
  cluster: {server: "https://$SERVICE_ADDRESS:443", certificate-authority-data: $(base64 -w0 ca.crt)}
users:
- name: $1
  user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}
contexts:
- name: $CLUSTER
  context: {cluster: $CLUSTER, user: $1}
current-context: $CLUSTER
END
}

# ---- the components

component() { # NAME COMMAND...
  local name=$1
  shift
  (cd "$STATE" && start_process "$STATE/pids/$name" "$STATE/log/$name.log" env PATH="$BIN:$PATH" "$@")
}

start_containerd() {
  mkdir -p "$STATE/registry/_default"
  # An image that was not loaded is looked for on a closed local port: pulling fails at once instead of leaving the machine.
  printf 'server = "http://127.0.0.1:9"\n[host."http://127.0.0.1:9"]\n  capabilities = ["pull", "resolve"]\n' >"$STATE/registry/_default/hosts.toml"
  cat >"$STATE/containerd.toml" <<END
version = 2
root = "$STATE/containerd"
state = "$STATE/containerd-state"
[grpc]
  address = "$SOCKET"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true  # in a container without CAP_SYS_RESOURCE nothing may lower oom_score_adj
  netns_mounts_under_state_dir = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$STATE/registry"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$CNI"
    conf_dir = "$STATE/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
END
  component containerd "$BIN/containerd" --config "$STATE/containerd.toml"
}

start_etcd() { # nothing here has to survive a power cut, so it need not wait for the disk
  local client=http://127.0.0.1:$ETCD_PORT peer=http://127.0.0.1:$ETCD_PEER_PORT
  component etcd "$BIN/etcd" --name "$CLUSTER" --data-dir "$STATE/etcd" --unsafe-no-fsync \
    --listen-client-urls "$client" --advertise-client-urls "$client" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "$CLUSTER=$peer"
}

start_apiserver() { # TTLAfterFinished is off by default in 1.20: ttlSecondsAfterFinished of Jobs would be dropped
  component apiserver "$BIN/kube-apiserver" --feature-gates=TTLAfterFinished=true \
    --etcd-servers="http://127.0.0.1:$ETCD_PORT" --bind-address="$SERVICE_ADDRESS" --advertise-address="$SERVICE_ADDRESS" \
    --secure-port=443 --service-cluster-ip-range="$SERVICE_SUBNET" --endpoint-reconciler-type=master-count \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --client-ca-file=pki/ca.crt --tls-cert-file=pki/apiserver.crt --tls-private-key-file=pki/apiserver.key --cert-dir=pki \
    --kubelet-certificate-authority=pki/ca.crt --kubelet-client-certificate=pki/apiserver-kubelet.crt \
    --kubelet-client-key=pki/apiserver-kubelet.key --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=pki/service-account.pub \
    --service-account-signing-key-file=pki/service-account.key
}

start_controllers() { # at the default query rate, controllers alone take 5 s longer to start
  local common=(--kube-api-qps=300 --kube-api-burst=600 --bind-address=127.0.0.1 --port=0 --leader-elect=false --cert-dir=pki)
  component controller-manager "$BIN/kube-controller-manager" --feature-gates=TTLAfterFinished=true "${common[@]}" \
    --kubeconfig=controller-manager.kubeconfig --secure-port="$CONTROLLER_PORT" --use-service-account-credentials=true \
    --service-account-private-key-file=pki/service-account.key --root-ca-file=pki/ca.crt \
    --cluster-signing-cert-file=pki/ca.crt --cluster-signing-key-file=pki/ca.key
  component scheduler "$BIN/kube-scheduler" "${common[@]}" --kubeconfig=scheduler.kubeconfig --secure-port="$SCHEDULER_PORT"
}

start_kubelet() {
  cat >"$STATE/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_ADDRESS
healthzBindAddress: 127.0.0.1
healthzPort: $KUBELET_HEALTH_PORT
readOnlyPort: 0
tlsCertFile: $STATE/pki/kubelet.crt
tlsPrivateKeyFile: $STATE/pki/kubelet.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $STATE/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /clickpipe-$CLUSTER
cgroupsPerQOS: true
enforceNodeAllocatable: [pods]
failSwapOn: false
oomScoreAdj: 0
featureGates: {DevicePlugins: false}  # its socket has a fixed path, the same for two kubelets
makeIPTablesUtilChains: false   # there is no kube-proxy; the machine's rules stay as they are
resolvConf: $STATE/resolv.conf
clusterDomain: cluster.local
clusterDNS: [$NODE_ADDRESS]     # nothing answers there; without it every pod gets a warning
nodeStatusUpdateFrequency: 1s   # Ready is reported with the second status, 10 s later by default
volumePluginDir: $STATE/kubelet/plugins-exec
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: "100Mi", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
kubeAPIQPS: 100
kubeAPIBurst: 200
serializeImagePulls: false
END
  mkdir -p "$STATE/kubelet" "$STATE/log/pods"
  # AWS_EC2_METADATA_DISABLED: its credential provider would otherwise ask the link-local metadata address.
  component kubelet env AWS_EC2_METADATA_DISABLED=true KUBELET_LOG_ROOT="$STATE/log" "$BIN/kubelet" --config="$STATE/kubelet.yaml" \
    --kubeconfig="$STATE/kubelet.kubeconfig" --root-dir="$STATE/kubelet" --cert-dir="$STATE/pki" --log-dir="$STATE/log" \
    --container-runtime=remote --container-runtime-endpoint="unix://$SOCKET" --pod-infra-container-image="$PAUSE_IMAGE" \
    --hostname-override="$CLUSTER" --node-ip="$NODE_ADDRESS"
}

# ---- images

containers() { "$BIN/ctr" -a "$SOCKET" -n k8s.io "$@"; }

import_image() { containers images import "$1"; }  # prints "unpacking NAME (digest)...done"

base_images() { # the pause container every pod has, and a shell for whoever wants one in a test
  local dir root
  dir=$(kubernetes_dir)/images
  [ -e "$dir/complete" ] && return 0
  rm -rf "$dir"
  mkdir -p "$dir/pause-root" "$dir/busybox-root"/{bin,tmp,etc}
  cp "$BIN/pause" "$dir/pause-root/pause"
  oci_image "$dir/pause-root" "$PAUSE_IMAGE" "$dir/pause.tar" '{"Entrypoint": ["/pause"]}'
  root=$dir/busybox-root
  chmod 1777 "$root/tmp"
  install_busybox "$root/bin"
  printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
  oci_image "$root" "$BUSYBOX_IMAGE" "$dir/busybox.tar" '{"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]}'
  touch "$dir/complete"
}

install_busybox() { # DIRECTORY: with a link for each of its commands
  local busybox name
  busybox=$(kubernetes_dir)/runtime/bin/busybox
  cp "$busybox" "$1/busybox"
  for name in $("$busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$1/$name"; done
}

# ---- up

node_is_ready() {
  [ "$(cluster_kubectl get node "$CLUSTER" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]
}

default_account_has_token() { # pods are refused until the controllers have made it
  [ -n "$(cluster_kubectl -n default get serviceaccount default -o 'jsonpath={.secrets[0].name}')" ]
}

start_cluster() {
  local image
  choose_settings
  save_sysctls
  make_bridge
  make_cgroup
  write_network
  make_pki
  start_containerd
  start_etcd
  wait_until etcd "$STATE/pids/etcd" 30 curl -sf "http://127.0.0.1:$ETCD_PORT/health"
  start_apiserver
  # The kubelet spends its first 5 s looking for Docker, so it does not wait for the API server; nor need the controllers.
  start_kubelet
  start_controllers
  wait_until containerd "$STATE/pids/containerd" 30 containers version
  base_images
  for image in "$(kubernetes_dir)"/images/*.tar; do import_image "$image"; done
  wait_until 'API server' "$STATE/pids/apiserver" 60 cluster_kubectl get --raw /readyz
  wait_until 'node' "$STATE/pids/kubelet" 90 node_is_ready
  wait_until 'default service account' "$STATE/pids/controller-manager" 60 default_account_has_token
}

# ---- down: what up recorded, and nothing found by a name that others may use too

stop_containers() {
  local id
  is_running "$STATE/pids/containerd" || return 0
  for id in $(containers tasks ls -q); do containers tasks kill -s KILL "$id" || true; done
  for ((i = 0; i < 50; i++)); do
    containers tasks ls | grep -q RUNNING || break
    sleep 0.1
  done
  for id in $(containers tasks ls -q); do containers tasks rm -f "$id" || true; done
  for id in $(containers containers ls -q); do containers containers rm "$id" || true; done
}

stop_shims() { # those whose parent socket is ours and that outlived their container
  local process
  for process in /proc/[0-9]*; do
    if { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -q -- "containerd-shim-runc-v2 .*-address $SOCKET"; then
      kill -s KILL "${process#/proc/}" 2>/dev/null || true
    fi
  done
}

unmount_state() {
  local mount
  awk -v prefix="$STATE/" 'index($2, prefix) == 1 {print $2}' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
}

remove_network_cache() { # the plugins' own records of our sandboxes, outside our directory; one tells the bridge, the other the loopback
  local sandbox
  grep -lsF "\"$BRIDGE\"" /var/lib/cni/results/* | grep -oE '[0-9a-f]{64}' | sort -u | while read -r sandbox; do
    rm -f /var/lib/cni/results/*-"$sandbox"-*
  done
}

stop_cluster() {
  local name
  for name in kubelet scheduler controller-manager; do stop_process "$STATE/pids/$name"; done
  stop_containers
  stop_process "$STATE/pids/containerd"
  stop_process "$STATE/pids/apiserver" 5
  stop_process "$STATE/pids/etcd"
  stop_shims
  unmount_state
  remove_cgroup
  if [ -n "${BRIDGE:-}" ]; then
    remove_bridge
    remove_network_cache || true
  fi
  keep_logs
  rm -rf "$STATE"
  # What runc and the network plugins leave at fixed places, when it is empty.
  rmdir /var/lib/cni/results /var/lib/cni /run/containerd/runc/k8s.io /run/containerd/runc /run/containerd/s /run/containerd 2>/dev/null || true
  restore_sysctls
}

keep_logs() { # of the last run, for whoever asks what went wrong
  [ -d "$STATE/log" ] || return 0
  rm -rf "$LOG_DIR/cluster-$CLUSTER"
  mv "$STATE/log" "$LOG_DIR/cluster-$CLUSTER"
}
