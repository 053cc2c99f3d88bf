#!/usr/bin/env bash
# demo.sh: makes a real image on the spot (Debian with Python, Ruby, Node and
# an npm application, in three layers) and scans it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${SEKISHO_DEMO:-/var/tmp/sekisho-demo}
if [ ! -e "$work/demo/oci-layout" ]; then
  command -v debootstrap >/dev/null || { echo "demo.sh: debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
  command -v npm >/dev/null || { echo "demo.sh: npm is missing: apt-get install npm" >&2; exit 1; }
  echo "making an image in $work (once, a few minutes) …" >&2
  "$here/images.sh" "$work" demo >/dev/null
fi
exec "$here/../sekisho" scan "oci:$work/demo" "$@"
