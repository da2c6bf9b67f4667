#!/usr/bin/env bash
# Everything that must hold before a change lands: formatting, lints, documentation, all tests.
# Installs the Debian packages the tests need (as root) and says so.
set -euo pipefail
cd "$(dirname "$0")/.."

need=()
packages="dovecot-imapd dovecot-lmtpd dovecot-pop3d postfix isync strace chromium chromium-driver"
# Cyrus: its IMAP daemon's package and Dovecot's exclude each other, so that one is unpacked beside (below)
packages="$packages cyrus-common sasl2-bin"
# outbound proxies: HTTP CONNECT and SOCKS5
packages="$packages tinyproxy-bin microsocks"
# Microsoft's and Google's own libraries, which the stand-in for identity providers is tried with (below)
packages="$packages python3-venv"
command -v node >/dev/null && command -v npm >/dev/null || packages="$packages nodejs npm"
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || need+=("$package")
done
if [ "${#need[@]}" -gt 0 ]; then
  echo "installing: ${need[*]}"
  log=$(mktemp)
  # the daemons these packages may start keep inherited pipes: output goes to a file
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${need[@]}"; } \
    >"$log" 2>&1 </dev/null || { tail -20 "$log"; exit 1; }
fi
echo "Exim: $(tests/exim.sh)"
cyrus=/opt/cyrus-imapd # tests/world/cyrus.rs looks there
if [ ! -x "$cyrus/usr/lib/cyrus/bin/imapd" ]; then
  echo "unpacking: cyrus-imapd into $cyrus"
  download=$(mktemp -d)
  version=$(dpkg-query -W -f='${Version}' cyrus-common)
  (cd "$download" && { apt-get download "cyrus-imapd=$version" || { apt-get update && apt-get download "cyrus-imapd=$version"; }; } \
    >log 2>&1 </dev/null) || { tail -20 "$download/log"; exit 1; }
  dpkg-deb -x "$download"/cyrus-imapd_*.deb "$cyrus"
  rm -r "$download"
fi
foreign=target/foreign # tests/world_selftest/foreign.rs looks there
wanted=$(cat tests/foreign/requirements.txt tests/foreign/package-lock.json | sha256sum)
if [ "$(cat "$foreign/installed" 2>/dev/null)" != "$wanted" ]; then
  echo "installing: the libraries of tests/foreign into $foreign"
  python3 -m venv "$foreign/venv"
  "$foreign/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/foreign/requirements.txt
  cp tests/foreign/package.json tests/foreign/package-lock.json "$foreign"
  (cd "$foreign" && npm ci --silent --no-audit --no-fund)
  echo "$wanted" >"$foreign/installed"
fi
for tool in nextest deny machete; do
  if ! cargo "$tool" --version >/dev/null 2>&1; then
    echo "installing: cargo-$tool"
    cargo install --locked "cargo-$tool"
  fi
done

step() { echo; echo "== $*"; }
step formatting;    cargo fmt --check
step lints;         cargo clippy --locked --all-targets --features faults -- -D warnings
step documentation; RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet
step dependencies;  cargo deny --locked check bans licenses sources
cargo machete
if [ -d "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs" ]; then # not everywhere can the database be fetched
  step advisories;  cargo deny --offline --locked check advisories
fi
step tests;         cargo nextest run --locked --features faults --no-fail-fast
step "doc tests";   cargo test --locked --doc --quiet
