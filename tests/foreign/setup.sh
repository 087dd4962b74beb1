#!/usr/bin/env bash
# Installs the other programs that the interoperability suite and the benchmark run: what is in the
# distribution with apt-get, libtorrent from PyPI into a virtual environment of its own. Safe to run again;
# does nothing where everything is there. Prints the path of the environment's python.
#
#   tests/foreign/setup.sh interop                   all of it is needed: fails where something cannot be had
#   tests/foreign/setup.sh bench [CLIENT,CLIENT…]    goes without what cannot be had, and says so
#
# rqbit is in no distribution: cargo install rqbit --version 9.0.1 --no-default-features --features default-tls
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${INTEROP_VENV:-$here/../../target/interop-venv}
suite=${1:?interop or bench}
wanted=,${2:-aria2,transmission,libtorrent,rtorrent,rqbit},

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
wants() { case $wanted in *",$1,"*) true ;; *) false ;; esac; }
# Goes on without something in the benchmark, and ends in the other suite.
without() {
    echo "without $*" >&2
    [ "$suite" = bench ] || exit 1
}
need ip iproute2
if [ "$suite" = bench ]; then
    need unshare util-linux
    need strace strace
    need perf linux-perf
    if wants rtorrent; then need rtorrent rtorrent; fi
    if wants transmission; then need transmission-cli transmission-cli; fi
else
    need opentracker opentracker
    need transmission-create transmission-cli
    need mktorrent mktorrent
    need curl curl
    need nft nftables
fi
if wants aria2; then need aria2c aria2; fi
if wants transmission; then need transmission-daemon transmission-daemon; fi
if wants libtorrent; then
    /usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
fi
if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing ${packages[*]}" >&2
        apt-get update -qq >&2
        for package in "${packages[@]}"; do
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >&2 ||
                without "$package, which could not be installed"
        done
    else
        without "${packages[*]}: installing them takes root and apt-get"
    fi
fi
if wants libtorrent && ! "$venv/bin/python" -c 'import libtorrent' 2>/dev/null; then
    echo "installing libtorrent into $venv" >&2
    { /usr/bin/python3 -m venv "$venv" &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check libtorrent==2.1.1; } >&2 ||
        without "libtorrent, which could not be installed"
fi
if [ "$suite" = bench ] && wants rqbit && [ -z "${BENCH_RQBIT:-}" ] && ! command -v rqbit >/dev/null; then
    echo "without rqbit; to have it: cargo install rqbit --version 9.0.1 --no-default-features --features default-tls" >&2
fi
echo "$venv/bin/python"
