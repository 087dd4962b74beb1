#!/usr/bin/env bash
# Installs what the benchmark measures and measures with: aria2, transmission, rtorrent, strace, perf and
# iproute2 from the distribution, libtorrent from PyPI into a virtual environment of its own (the one of
# `make interop`). Safe to run again; does nothing where everything is there. Without root, or where
# something cannot be had, it says what will be missing, and the benchmark runs without it.
#
#   tests/bench/setup.sh [CLIENT,CLIENT…]     only these clients
#
# rqbit is in no distribution: cargo install rqbit --version 9.0.1 --no-default-features --features default-tls
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${INTEROP_VENV:-$here/../../target/interop-venv}
wanted=,${1:-aria2,transmission,libtorrent,rtorrent,rqbit},

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
wants() { case $wanted in *",$1,"*) true ;; *) false ;; esac; }
need ip iproute2
need unshare util-linux
need strace strace
need perf linux-perf
if wants aria2; then need aria2c aria2; fi
if wants transmission; then need transmission-daemon transmission-daemon; need transmission-cli transmission-cli; fi
if wants rtorrent; then need rtorrent rtorrent; fi
if wants libtorrent; then
    /usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
fi
if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing ${packages[*]}" >&2
        apt-get update -qq >&2
        for package in "${packages[@]}"; do
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >&2 ||
                echo "without $package, which could not be installed" >&2
        done
    else
        echo "without ${packages[*]}: installing them takes root and apt-get" >&2
    fi
fi
if wants libtorrent && ! "$venv/bin/python" -c 'import libtorrent' 2>/dev/null; then
    echo "installing libtorrent into $(basename "$venv")" >&2
    { /usr/bin/python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check libtorrent==2.1.1; } >&2 ||
        echo "without libtorrent, which could not be installed" >&2
fi
if wants rqbit && [ -z "${BENCH_RQBIT:-}" ] && ! command -v rqbit >/dev/null; then
    echo "without rqbit; to have it: cargo install rqbit --version 9.0.1 --no-default-features --features default-tls" >&2
fi
