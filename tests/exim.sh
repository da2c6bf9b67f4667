#!/usr/bin/env bash
# Unpacks Exim for the tests, unless it is there, and says where. As packages Exim and Postfix exclude each other:
# only the libraries are installed (as root); of Exim itself nothing is installed or started.
set -euo pipefail
cd "$(dirname "$0")/.."

place=${CARGO_TARGET_DIR:-target}/exim
mkdir -p "$place"
exec 9>"$place/lock"
flock 9
exim=$(realpath "$place")/root/usr/sbin/exim4
if [ ! -x "$exim" ]; then
  log=$place/log
  {
    apt-get update
    mapfile -t libraries < <(apt-cache depends exim4-daemon-light | awk '/Depends: lib/ {print $2}')
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${libraries[@]}"
    cd "$place"
    apt-get download exim4-daemon-light
    rm -rf unpacked
    dpkg-deb --extract exim4-daemon-light_*.deb unpacked
    mv unpacked root
  } >"$log" 2>&1 </dev/null || { tail -20 "$log" >&2; exit 1; }
fi
echo "$exim"
