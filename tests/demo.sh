#!/usr/bin/env bash
# A tracker, a seeder and a download on this machine, with nothing but this one binary and no network:
# tests/demo.sh PATH-OF-BITWREN
set -euo pipefail
bitwren=$(realpath "$1")
dir=$(mktemp -d)
children=()
tidy_up() {
    status=$?
    for child in "${children[@]}"; do kill -INT "$child" 2>/dev/null || true; done
    wait
    [ $status = 0 ] || { echo "the demo failed; what the tracker and the seeder said:"; cat "$dir"/*.log; } >&2 || true
    rm -rf "$dir"
    exit $status
}
trap tidy_up EXIT
# Waits until a line of a log matches, and prints what stands in the parentheses.
await() {
    for _ in $(seq 200); do
        found=$(sed -nE "s~.*$2.*~\\1~;T;p;q" "$1")
        [ -z "$found" ] || { echo "$found"; return 0; }
        sleep 0.05
    done
    echo "nothing like $2 in $1" >&2
    return 1
}
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. Some data to share: 96 MiB of noise."
mkdir "$dir/here" "$dir/there"
head -c 100663296 /dev/urandom >"$dir/here/noise.bin"

say "2. A tracker, on a port of this machine."
"$bitwren" tracker --json --bind 127.0.0.1 --port 0 >"$dir/tracker.log" 2>&1 &
children+=($!)
url=$(await "$dir/tracker.log" '(http://127\.0\.0\.1:[0-9]+/announce)')
echo "   $url"

say "3. A .torrent of the data."
"$bitwren" create --quiet --tracker "$url" --output "$dir/noise.torrent" "$dir/here/noise.bin" >/dev/null
"$bitwren" show "$dir/noise.torrent" | sed 's/^/   /'

say "4. A seeder, which announces itself to the tracker."
"$bitwren" seed --json --verbose --port 0 --no-dht --no-lsd --no-portmap --dir "$dir/here" "$dir/noise.torrent" >"$dir/seed.log" 2>&1 &
children+=($!)
await "$dir/seed.log" '"event":"(tracker[^"]*)"' >/dev/null
"$bitwren" scrape "$dir/noise.torrent" | sed 's/^/   /'

say "5. The download, from the peers that the tracker knows, at 32 MiB/s so that it can be watched."
"$bitwren" get --down 32M --port 0 --no-dht --no-lsd --no-portmap --dir "$dir/there" "$dir/noise.torrent"

say "6. Is every byte right?"
cmp "$dir/here/noise.bin" "$dir/there/noise.bin"
"$bitwren" verify --dir "$dir/there" "$dir/noise.torrent" | sed 's/^/   /'
echo "   Yes: both files are the same."
