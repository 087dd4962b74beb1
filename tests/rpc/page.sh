#!/usr/bin/env bash
# page.sh SERVER: page.mjs with all that it needs, installed where it is missing (root, Debian; npm): Chromium, libtorrent, and
# from npm puppeteer-core and axe-core, which go into target/page.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need chromium chromium
need node nodejs
need npm npm
/usr/bin/python3 -c 'import libtorrent' 2>/dev/null || packages+=(python3-libtorrent)
if [ ${#packages[@]} -gt 0 ]; then
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends "${packages[@]}" >&2
fi
export NODE_MODULES=${NODE_MODULES:-$root/target/page/node_modules}
if [ ! -d "$NODE_MODULES/axe-core" ] || [ ! -d "$NODE_MODULES/puppeteer-core" ]; then
    mkdir -p "$root/target/page"
    npm install --silent --no-save --ignore-scripts --prefix "$root/target/page" puppeteer-core axe-core >&2
fi
exec node "$here/page.mjs" "${1:?a server script, such as tests/rpc/server.sh}"
