#!/bin/bash
# How long until N machines of a LAN have a file: `bitwren share` against a plain HTTP server, each
# machine a network namespace behind a limit of its own in both directions. Needs root, ip, tc, curl
# and python3; uses no network but the one it makes, and takes it down again.
#
#   tests/share/lan.sh [MACHINES [MIB [MBIT]]]     BITWREN names the program, target/release/bitwren;
#                                                  RUNS=3 repeats what it does, HTTP=no leaves HTTP out
set -eu
machines=${1:-10} mib=${2:-64} mbit=${3:-40}
here=$(cd "$(dirname "$0")/../.." && pwd)
bitwren=${BITWREN:-$here/target/release/bitwren}
work=$(mktemp -d)
prefix=bws$$

down() {
    for i in $(seq 0 "$machines"); do
        for pid in $(ip netns pids "$prefix-$i" 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
        ip netns del "$prefix-$i" 2>/dev/null || true
    done
    ip netns del "$prefix-lan" 2>/dev/null || true
    rm -rf "$work"
}
trap down EXIT
trap 'exit 1' INT TERM

# The switch has a namespace too. Machine 0 shares; each has 10.98.0.(i + 1).
ip netns add "$prefix-lan"
ip -n "$prefix-lan" link add lan type bridge
ip -n "$prefix-lan" link set lan up
limit() { tc -n "$1" qdisc add dev "$2" root tbf rate "${mbit}mbit" burst 64k latency 100ms; }
for i in $(seq 0 "$machines"); do
    ip netns add "$prefix-$i"
    ip -n "$prefix-lan" link add "port$i" type veth peer name eth0 netns "$prefix-$i"
    ip -n "$prefix-lan" link set "port$i" master lan up
    ip -n "$prefix-$i" addr add "10.98.0.$((i + 1))/24" dev eth0
    ip -n "$prefix-$i" link set lo up
    ip -n "$prefix-$i" link set eth0 up
    limit "$prefix-lan" "port$i"
    limit "$prefix-$i" eth0
done
on() { ip netns exec "$prefix-$1" "${@:2}"; }
now() { date +%s.%N; }
since() { awk "BEGIN { printf \"%.1f\", $(now) - $1 }"; }
cd "$work"
head -c "$((mib << 20))" /dev/urandom >disk.img

# share N: seconds until all N have it, the slowest and the fastest of them.
share() {
    on 0 "$bitwren" share --for "$1" disk.img >url 2>share.err &
    while ! grep -q http url; do sleep 0.05; done
    url=$(sed 's/^bitwren get //' url) begun=$(now) getting=
    for i in $(seq "$1"); do
        mkdir -p "got$i"
        (on "$i" "$bitwren" get -q -d "got$i" "$url" && echo "$(since "$begun")" >"took$i") &
        getting="$getting $!"
    done
    for pid in $getting; do wait "$pid"; done
    took=$(since "$begun")
    wait
    for i in $(seq "$1"); do cmp disk.img "got$i/disk.img"; done
    echo "bitwren share   to $1: $took s, the first after $(sort -n took* | sed -n 1p) s; $(tail -1 share.err)"
    rm -rf got* took* url
}

http() {
    on 0 python3 -m http.server 8000 >/dev/null 2>&1 &
    server=$!
    until on 1 curl -sfI http://10.98.0.1:8000/disk.img >/dev/null; do sleep 0.1; done
    begun=$(now) getting=
    for i in $(seq "$1"); do
        on "$i" curl -sf -o "got$i" http://10.98.0.1:8000/disk.img &
        getting="$getting $!"
    done
    for pid in $getting; do wait "$pid"; done
    took=$(since "$begun")
    for pid in $(ip netns pids "$prefix-0"); do kill "$pid"; done
    wait "$server" || true
    for i in $(seq "$1"); do cmp disk.img "got$i"; done
    echo "plain HTTP      to $1: $took s"
    rm -f got*
}

echo "$mib MiB, each machine behind $mbit Mbit/s up and down: the wire alone takes" \
    "$(awk "BEGIN { printf \"%.1f\", $mib * 1.048576 * 8 / $mbit }") s"
share 1
for _ in $(seq "${RUNS:-1}"); do share "$machines"; done
[ "${HTTP:-yes}" = yes ] || exit 0
http 1
http "$machines"
