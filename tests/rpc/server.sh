#!/bin/bash
# server.sh start DIR PORT | stop DIR: a daemon on 127.0.0.1 alone, for recipes that drive it with other people's
# clients. "start" serves the RPC at http://127.0.0.1:PORT/transmission/rpc with its state in DIR/config and downloads in
# DIR/down, prints the URL, and returns when it answers; "stop" ends it. BITWREN names the program, AUTH=user:password
# turns authentication on, ROOTS names directories that requests may name in place of /tmp and /downloads (which some
# clients name by default). Peers are found by no means that would leave this machine.
set -eu
cmd=$1; dir=$2
here=$(cd "$(dirname "$0")/../.." && pwd)
case $cmd in
start)
  port=$3; mkdir -p "$dir/config" "$dir/down" "$dir/incomplete" "$dir/watch"
  program=${BITWREN:-$here/target/release/bitwren}
  [ -x "$program" ] || program=$here/target/debug/bitwren
  password=()
  if [ -n "${AUTH:-}" ]; then
    (umask 077; printf '%s\n' "$AUTH" > "$dir/password"); password=(--rpc-password-file "$dir/password")
  fi
  roots=(); for root in ${ROOTS:-/tmp /downloads}; do roots+=(--roots "$root"); done
  HOME=$dir nohup "$program" daemon --state-dir "$dir/config" --download-dir "$dir/down" "${roots[@]}" \
    --rpc-bind "127.0.0.1:$port" "${password[@]}" --port $((port + 1000)) --bind "${BIND:-127.0.0.1}" \
    --no-portmap --no-dht --no-lsd --no-pex --pid-file "$dir/pid" >"$dir/out" 2>"$dir/log" &
  for _ in $(seq 100); do
    if [ -s "$dir/pid" ]; then echo "http://127.0.0.1:$port/transmission/rpc"; exit 0; fi
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  echo "the daemon does not answer: $(cat "$dir/log")" >&2; exit 1;;
stop)
  pid=$(cat "$dir/pid" 2>/dev/null) || exit 0
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || exit 0; sleep 0.1; done
  echo "the daemon does not end" >&2; exit 1;;
esac
