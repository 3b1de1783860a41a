# shellcheck shell=bash
# A one-layer OCI image made of nothing but a directory: for bases where no registry is reachable.

oci_blob() { # FILE MEDIA-TYPE: moves the file among the blobs beside it, prints its descriptor
  local digest size
  digest=$(sha256sum "$1" | cut -d ' ' -f 1)
  size=$(stat -c %s "$1")
  mv "$1" "$(dirname "$1")/blobs/sha256/$digest"
  jq -nc --arg type "$2" --arg digest "sha256:$digest" --argjson size "$size" '{mediaType: $type, digest: $digest, size: $size}'
}

# oci_image ROOTFS NAME OUT.tar CONFIG-JSON: CONFIG-JSON is the image configuration's `config` (Env, Entrypoint, User, …).
oci_image() {
  local work diff layer config manifest
  work=$(mktemp -d "$(dirname "$3")/oci.XXXXXX")
  mkdir -p "$work/blobs/sha256"
  tar --numeric-owner --owner=0 --group=0 --sort=name --mtime=@0 -C "$1" -cf "$work/layer" .
  diff=$(sha256sum "$work/layer" | cut -d ' ' -f 1)
  layer=$(oci_blob "$work/layer" application/vnd.oci.image.layer.v1.tar)
  jq -nc --argjson config "$4" --arg diff "sha256:$diff" \
    '{architecture: "amd64", os: "linux", config: $config, rootfs: {type: "layers", diff_ids: [$diff]}}' >"$work/config"
  config=$(oci_blob "$work/config" application/vnd.oci.image.config.v1+json)
  jq -nc --argjson config "$config" --argjson layer "$layer" \
    '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: $config, layers: [$layer]}' >"$work/manifest"
  manifest=$(oci_blob "$work/manifest" application/vnd.oci.image.manifest.v1+json)
  jq -nc --argjson manifest "$manifest" --arg name "$2" \
    '{schemaVersion: 2, manifests: [$manifest + {annotations: {"io.containerd.image.name": $name, "org.opencontainers.image.ref.name": $name}}]}' >"$work/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci-layout"
  tar -C "$work" -cf "$3" oci-layout index.json blobs
  rm -rf "$work"
}
