#!/usr/bin/env bash
# Fetches a newer Docker engine than the machine has, with its containerd and
# buildx, from a newer Debian, into a directory of its own; nothing is
# installed. The first suite whose programs run here counts. Its directory is
# printed; where it is there already nothing is fetched.
set -euo pipefail
root=${XDG_CACHE_HOME:-$HOME/.cache}/sekisho-e2e/docker
[ -x "$root/usr/sbin/dockerd" ] && { echo "$root"; exit; }
mkdir -p "$(dirname "$root")"
for suite in forky trixie; do
  work=$(mktemp -d "$root.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/root"
  chmod 755 "$work"
  mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -1 || true)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} $suite main" >"$work/sources.list"
  apt=(apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work"
    -o "Dir::Cache::Archives=$work/archives" -o Acquire::Languages=none -o APT::Sandbox::User=root)
  "${apt[@]}" update >&2
  (cd "$work/archives" && "${apt[@]}" download docker.io docker-cli containerd docker-buildx >&2)
  for deb in "$work"/archives/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
  if "$work/root/usr/sbin/dockerd" --version >&2 && "$work/root/usr/bin/containerd" --version >&2; then
    rm -rf "$root"
    mv "$work/root" "$root"
    echo "$root"
    exit
  fi
  rm -rf "$work"
done
echo "no Debian suite has an engine that runs here" >&2
exit 1
