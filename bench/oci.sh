#!/usr/bin/env bash
# oci.sh LAYOUT CONFIG-JSON LAYER-DIR=INSTRUCTION...
# Writes an OCI image layout (image-layout.md of the OCI image specification)
# of gzip layers from directories, lowest first. Overlay whiteouts (character
# devices 0/0) become .wh. files. The result depends on the input only.
set -euo pipefail
layout=$1 run=$2
shift 2
mkdir -p "$layout/blobs/sha256"
blob() { # blob FILE: moves it to its place, prints its digest
  local sum
  sum=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$layout/blobs/sha256/$sum"
  echo "sha256:$sum"
}
json() { sed 's/\\/\\\\/g; s/"/\\"/g' <<<"$1"; }
diffs= layers= history=
for spec in "$@"; do
  dir=${spec%%=*} by=${spec#*=}
  while IFS= read -r -d '' device; do # whiteouts of an overlay upper directory
    rm "$device"
    : >"$(dirname "$device")/.wh.$(basename "$device")"
  done < <(find "$dir" -type c -links 1 -size 0 -print0 | while IFS= read -r -d '' d; do [ "$(stat -c %t:%T "$d")" = 0:0 ] && printf '%s\0' "$d"; done)
  tar -C "$dir" --sort=name --mtime=@0 --numeric-owner --format=pax --pax-option=delete=atime,delete=ctime -cf "$layout/layer.tar" .
  diff=sha256:$(sha256sum "$layout/layer.tar" | cut -d' ' -f1)
  gzip -n6 "$layout/layer.tar"
  size=$(stat -c %s "$layout/layer.tar.gz")
  digest=$(blob "$layout/layer.tar.gz")
  diffs+="${diffs:+,}\"$diff\""
  layers+="${layers:+,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"$digest\",\"size\":$size}"
  history+="${history:+,}{\"created_by\":\"$(json "$by")\"}"
done
arch=$(dpkg --print-architecture 2>/dev/null || echo amd64)
printf '{"architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]},"history":[%s]}' "$arch" "$run" "$diffs" "$history" >"$layout/config"
size=$(stat -c %s "$layout/config") digest=$(blob "$layout/config")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%s},"layers":[%s]}' "$digest" "$size" "$layers" >"$layout/manifest"
size=$(stat -c %s "$layout/manifest") digest=$(blob "$layout/manifest")
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}' "$digest" "$size" >"$layout/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
