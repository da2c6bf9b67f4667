#!/usr/bin/env bash
# Everything that must hold before a change lands: formatting, lints, documentation, all tests.
# Installs the Debian packages the tests need (as root) and says so.
set -euo pipefail
cd "$(dirname "$0")/.."

need=()
for package in dovecot-imapd dovecot-lmtpd dovecot-pop3d postfix isync strace chromium chromium-driver; do
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
if ! cargo nextest --version >/dev/null 2>&1; then
  echo "installing: cargo-nextest"
  cargo install --locked cargo-nextest
fi

step() { echo; echo "== $*"; }
step formatting;    cargo fmt --check
step lints;         cargo clippy --locked --all-targets --features faults -- -D warnings
step documentation; RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --quiet
if cargo deny --version >/dev/null 2>&1 && [ -e deny.toml ]; then
  step dependencies; cargo deny --offline check bans licenses sources
fi
step tests;         cargo nextest run --locked --features faults --no-fail-fast
step "doc tests";   cargo test --locked --doc --quiet
