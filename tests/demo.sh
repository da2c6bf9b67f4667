#!/usr/bin/env bash
# The main job, shown on real servers: three mailboxes signed in by OAuth, synchronized, a message sent and
# received, changes from outside, the daemon killed in the middle of a sync and back with nothing lost.
# Exit code 0 only if every step was checked. --stay leaves everything running and prints the addresses.
set -euo pipefail
cd "$(dirname "$0")/.."

stay=no; [ "${1:-}" = "--stay" ] && stay=yes
started=$(date +%s)
say()  { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { printf '\nFAILED: %s\n' "$*" >&2; [ -e "${log:-}" ] && tail -15 "$log" >&2; exit 1; }

need=()
for package in dovecot-imapd dovecot-lmtpd dovecot-pop3d postfix curl jq; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || need+=("$package")
done
if [ "${#need[@]}" -gt 0 ]; then
  say "Installing ${need[*]}"
  apt_log=$(mktemp)
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${need[@]}"; } \
    >"$apt_log" 2>&1 </dev/null || { tail -20 "$apt_log"; exit 1; }
fi

say "Building"
cargo build --locked --release --bin stafette
cargo build --locked --example world
target=${CARGO_TARGET_DIR:-target}
stafette=$target/release/stafette
world=$target/debug/examples/world

dir=$(mktemp -d)
chmod 755 "$dir"
log=$dir/stafette.log
daemon_pid=; world_pid=
end() {
  [ -n "$daemon_pid" ] && kill "$daemon_pid" 2>/dev/null
  [ -n "$world_pid" ] && kill "$world_pid" 2>/dev/null && wait "$world_pid" 2>/dev/null
  rm -rf "$dir"
}
trap end EXIT

say "Starting the mail world: Dovecot, Postfix, an Entra ID stand-in; 3,000 messages for anna"
"$world" start --dir "$dir/world" --mailboxes anna@makler.test,ben@makler.test,clara@makler.test --seed-messages 3000 >"$dir/world.out" 2>"$dir/world.err" </dev/null &
world_pid=$!
for _ in $(seq 600); do [ -s "$dir/world.out" ] && break; kill -0 "$world_pid" || fail "the world ended: $(cat "$dir/world.err")"; sleep 0.1; done
fact() { jq -r "$1" "$dir/world.out"; }
[ -n "$(fact .authority)" ] || fail "the world did not start"

port=$(( 20000 + RANDOM % 20000 ))
export STAFETTE_DATA_DIR=$dir/data STAFETTE_HTTP__LISTEN=127.0.0.1:$port STAFETTE_TLS__EXTRA_CA="[\"$(fact .ca)\"]"
export STAFETTE_TIMING__STATUS_INTERVAL=2s STAFETTE_TIMING__LIST_INTERVAL=4s STAFETTE_TIMING__FLAG_SCAN=4s
base=http://127.0.0.1:$port

serve() {
  "$stafette" serve >>"$log" 2>&1 </dev/null &
  daemon_pid=$!
  for _ in $(seq 200); do
    curl -sf -o /dev/null "$base/readyz" && return
    kill -0 "$daemon_pid" 2>/dev/null || fail "the daemon did not start"
    sleep 0.05
  done
  fail "the daemon does not answer"
}
api() { curl -sf -H "Authorization: Bearer $(cat "$dir/data/admin.key")" "$@"; }
# every event so far: events <jq filter on one event>
events() { "$stafette" events | jq -c "select($1)"; }
await_event() { # <what> <jq filter>
  for _ in $(seq 300); do
    found=$(events "$2" | head -1)
    [ -n "$found" ] && { echo "  $1: $(jq -c '{type, mailbox, folder: .data.folder, subject: .data.subject, origin: .data.origin}' <<<"$found")"; return; }
    sleep 0.1
  done
  fail "no event: $1"
}
await_live() { # ids…
  for _ in $(seq 1200); do
    list=$(api "$base/v1/mailboxes?limit=1000")
    all=yes
    for id in "$@"; do
      state=$(jq -r --arg id "$id" '.items[] | select(.id == $id) | "\(.state) \(.sync.backlog)"' <<<"$list")
      [ "$state" = "live 0" ] || all=no
    done
    printf '\r  %s' "$(jq -r '[.items[] | "\(.id) \(.state) \(.sync.messages)"] | join(" · ")' <<<"$list")          "
    [ "$all" = yes ] && { echo; return; }
    sleep 0.2
  done
  fail "not live: $(jq -c '.items[] | {id, state, diagnosis}' <<<"$list")"
}

say "Starting the daemon, adding the app and three mailboxes"
serve
fact .web_app.client_secret | "$stafette" app add o365 --tenant "$(fact .tenant_id)" \
  --client-id "$(fact .web_app.client_id)" --authority "$(fact .authority)" --secret-stdin
for address in anna@makler.test ben@makler.test clara@makler.test; do
  "$stafette" mailbox add "$address" --id "${address%%@*}" --app o365 \
    --imap "localhost:$(fact .ports.imaps):tls" --smtp "localhost:$(fact .ports.submission):starttls"
done

say "Signing in: each user opens his link, is sent to the provider, chooses his account, comes back"
for address in anna@makler.test ben@makler.test clara@makler.test; do
  id=${address%%@*}
  link=$("$stafette" mailbox sign-in "$id")
  curl -sf -o /dev/null "$link" || fail "the link's page does not open"
  authorize=$(curl -s -c "$dir/cookies" -o /dev/null -w '%{redirect_url}' -X POST "$link")
  [ -n "$authorize" ] || fail "the link leads nowhere"
  callback=$(curl -s -o /dev/null -w '%{redirect_url}' --data-urlencode "account=$address" "$authorize")
  [ -n "$callback" ] || fail "the provider did not send $address back"
  page=$(curl -s -b "$dir/cookies" "$callback")
  who=$(api "$base/v1/mailboxes/$id" | jq -r '.grant.signed_in_as.name')
  [ "$who" = "$address" ] || fail "$id is signed in as $who: $page"
  echo "  $id is signed in as $who"
done

say "Coming in step"
sync_started=$(date +%s%N)
await_live anna ben clara
sync_ms=$(( ($(date +%s%N) - sync_started) / 1000000 ))
"$stafette" folder anna

say "Sending from anna to ben, with an attachment"
head -c 100000 /dev/urandom >"$dir/offer.bin"
"$stafette" send anna --to ben@makler.test --subject "Your offer" --text "Attached." --attach "$dir/offer.bin"
await_event "accepted by the server" '.type == "submission.sent" and .mailbox == "anna"'
await_event "received by ben" '.type == "message.new" and .mailbox == "ben" and .data.subject == "Your offer"'
received=$(events '.type == "message.new" and .mailbox == "ben" and .data.subject == "Your offer"' | head -1)
[ "$(jq -r .data.has_attachments <<<"$received")" = true ] || fail "the attachment is missing"

say "Changing flags, moving and deleting on the server, from outside"
uid=$(jq -r .data.uid <<<"$received")
id=$(jq -r .data.message <<<"$received")
"$world" flags --dir "$dir/world" --user ben@makler.test --uid "$uid" --flags '\Flagged'
await_event "flagged" ".type == \"message.flags_changed\" and .data.message == \"$id\""
"$world" create-folder --dir "$dir/world" --user ben@makler.test --folder "Ablage"
"$world" move --dir "$dir/world" --user ben@makler.test --uid "$uid" --to "Ablage"
await_event "moved, with the same id" ".type == \"message.moved\" and .data.message == \"$id\" and .data.folder == \"Ablage\""
moved_uid=$(events ".type == \"message.moved\" and .data.message == \"$id\"" | head -1 | jq -r .data.uid)
"$world" delete --dir "$dir/world" --user ben@makler.test --folder Ablage --uid "$moved_uid"
await_event "deleted" ".type == \"message.deleted\" and .data.message == \"$id\""

say "Killing the daemon (SIGKILL) in the middle of a sync of 6,000 more messages for clara"
inbox=$dir/world/$(cd "$dir/world" && find . -type d -path '*clara*' -name Maildir | head -1)
"$world" seed --maildir "$inbox" --messages 6000 --seed 7 >/dev/null 2>&1 </dev/null &
seed_pid=$!
for _ in $(seq 1000); do
  stored=$(api "$base/v1/mailboxes/clara" | jq .sync.messages)
  [ "$stored" -gt 0 ] && break
  sleep 0.005
done
kill -9 "$daemon_pid"; wait "$daemon_pid" 2>/dev/null || true
wait "$seed_pid" || fail "the seeder failed"
echo "  killed with $stored of 6,000 messages stored"
[ "$stored" -gt 0 ] && [ "$stored" -lt 6000 ] || fail "the kill was not in the middle ($stored)"
serve
for _ in $(seq 600); do
  stored=$(api "$base/v1/mailboxes/clara" | jq .sync.messages)
  [ "$stored" -ge 6000 ] && break
  sleep 0.1
done
await_live anna ben clara

say "Comparing every message on the server with the store, by hash"
total=0
for address in anna@makler.test ben@makler.test clara@makler.test; do
  box=${address%%@*}
  "$world" list --dir "$dir/world" --user "$address" \
    | jq -r 'to_entries[] | .key as $f | .value[] | "\($f)\t\(.uid)\t\(.sha256)"' | sort >"$dir/server.$box"
  : >"$dir/urls"; : >"$dir/ids"; next=; mkdir -p "$dir/raw.$box"
  while :; do
    page=$(api "$base/v1/mailboxes/$box/messages?limit=1000${next:+&cursor=$next}")
    jq -r '.items[] | "\(.folder)\t\(.uid)\t\(.id)"' <<<"$page" >>"$dir/ids"
    next=$(jq -r '.next // empty' <<<"$page")
    [ -n "$next" ] || break
  done
  while IFS=$'\t' read -r _ _ message; do
    printf 'url = "%s/v1/mailboxes/%s/messages/%s/raw"\noutput = "%s/raw.%s/%s"\n' "$base" "$box" "$message" "$dir" "$box" "$message"
  done <"$dir/ids" >"$dir/urls"
  [ -s "$dir/urls" ] && api -K "$dir/urls"
  while IFS=$'\t' read -r folder message_uid message; do
    printf '%s\t%s\t%s\n' "$folder" "$message_uid" "$(sha256sum "$dir/raw.$box/$message" | cut -d' ' -f1)"
  done <"$dir/ids" | sort >"$dir/store.$box"
  cmp -s "$dir/server.$box" "$dir/store.$box" || { diff "$dir/server.$box" "$dir/store.$box" | head -5; fail "$box differs"; }
  count=$(wc -l <"$dir/server.$box")
  total=$((total + count))
  echo "  $box: $count messages, every one once, every byte right"
done
doubled=$(events '.type == "message.new"' | jq -r '"\(.mailbox) \(.data.folder_id) \(.data.uid)"' | sort | uniq -d | wc -l)
[ "$doubled" = 0 ] || fail "$doubled messages were announced twice"
if grep -E 'w8Q~|Bearer [A-Za-z0-9]|"1\.A' "$log" >/dev/null; then fail "a secret is in the log"; fi

say "Figures"
printf '  %-34s %s\n' "messages on the servers" "$total" "stored" "$total" "announced twice" "$doubled" \
  "first sync, three mailboxes" "${sync_ms} ms" \
  "resident memory of the daemon" "$(awk '/VmRSS/ {print int($2/1024) " MB"}' "/proc/$daemon_pid/status")" \
  "bytes on disk" "$(du -sh "$dir/data" | cut -f1)" "whole demo" "$(( $(date +%s) - started )) s"

if [ "$stay" = yes ]; then
  say "Left running: API $base (key in $dir/data/admin.key), world in $dir/world. Ctrl-C ends everything."
  wait "$daemon_pid"
fi
say "Every step was checked."
