#!/usr/bin/env bash
# Installs what the interoperability suite runs: opentracker, transmission, aria2, mktorrent, curl,
# nftables and iproute2 from the distribution, libtorrent from PyPI into a virtual environment of its own. Prints where that one's python
# is. Safe to run again; does nothing where everything is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${INTEROP_VENV:-$here/../../target/interop-venv}

packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need opentracker opentracker
need transmission-daemon transmission-daemon
need transmission-create transmission-cli
need aria2c aria2
need mktorrent mktorrent
need curl curl
need nft nftables
need ip iproute2
/usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
if [ ${#packages[@]} -gt 0 ]; then
    echo "installing ${packages[*]}" >&2
    [ "$(id -u)" = 0 ] || { echo "root is needed for that" >&2; exit 1; }
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
fi
if ! "$venv/bin/python" -c 'import libtorrent' 2>/dev/null; then
    echo "installing libtorrent into $venv" >&2
    /usr/bin/python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check libtorrent==2.1.1 >&2
fi
echo "$venv/bin/python"
