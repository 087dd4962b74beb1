#!/usr/bin/env bash
# Shows that a static binary is all it takes: a tracker, a seeder and downloads, each in a root directory of
# its own that holds nothing but the binary and what it is to read. Over HTTP, then over HTTPS with a test CA
# that is found in each of the ways there are, and refused, with every path that was tried, when in none:
#     tests/static/empty-root.sh BINARY [RUNNER]
# With a RUNNER such as qemu-arm the binary runs under that, in the same directories but without chroot.
# Needs openssl and python3, which it installs if it may, and for chroot root or user namespaces.
set -euo pipefail
if ! command -v openssl >/dev/null || ! command -v python3 >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssl python3
fi
binary=$(realpath "$1")
runner=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
children=()
tidy_up() {
    status=$?
    for child in "${children[@]}"; do kill -TERM "$child" 2>/dev/null || true; done
    wait
    [ $status = 0 ] || { echo "failed; what was said:"; tail -n 20 "$dir"/*.log; } >&2 || true
    rm -rf "$dir"
    exit $status
}
trap tidy_up EXIT
# Waits until a line of a log matches, and prints what stands in the parentheses.
await() {
    for _ in $(seq 400); do
        found=$(sed -nE "s~.*$2.*~\\1~;T;p;q" "$1")
        [ -z "$found" ] || { echo "$found"; return 0; }
        sleep 0.05
    done
    echo "nothing like $2 in $1" >&2
    return 1
}
# run ROOT ARGUMENTS...: bitwren in there, with an environment as empty as the root. Never returns.
run() {
    root=$dir/$1
    shift
    cd "$root"
    if [ -n "$runner" ]; then
        exec env -i ${certs:+"$certs"} "$(command -v "$runner")" ./bitwren "$@"
    elif [ "$(id -u)" = 0 ]; then
        exec env -i ${certs:+"$certs"} "$(command -v chroot)" . /bitwren "$@"
    else
        exec unshare --map-root-user env -i ${certs:+"$certs"} "$(command -v chroot)" . /bitwren "$@"
    fi
}
certs=
alone=(--port 0 --no-dht --no-lsd --no-portmap)
for root in tracker seeder plain secure; do
    mkdir "$dir/$root"
    cp "$binary" "$dir/$root/bitwren"
done
mkdir "$dir/tls" "$dir/served"

head -c 33554432 /dev/urandom >"$dir/seeder/noise.bin"
(run tracker tracker --json --bind 127.0.0.1 --port 0) >"$dir/tracker.log" 2>&1 &
children+=($!)
tracker=$(await "$dir/tracker.log" '(http://127\.0\.0\.1:[0-9]+)/announce')
(run seeder create --quiet --tracker "$tracker/announce" --output plain.torrent noise.bin) >/dev/null
(run seeder seed --json --verbose "${alone[@]}" plain.torrent) >"$dir/seeder.log" 2>&1 &
children+=($!)
await "$dir/seeder.log" '"event":"(tracker[^"]*)"' >/dev/null

echo "a download, in a root that holds the binary only:"
(run plain get "${alone[@]}" -) <"$dir/seeder/plain.torrent"
cmp "$dir/seeder/noise.bin" "$dir/plain/noise.bin"

version=$(run plain --version)
if ! grep -q '^features:.*https' <<<"$version"; then
    echo "this build is without HTTPS: that was all"
    exit 0
fi
key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
cd "$dir/tls"
openssl req -x509 "${key[@]}" -keyout ca.key -out ca.pem -days 2 -subj "/CN=bitwren test CA" 2>openssl.log
openssl req "${key[@]}" -keyout server.key -out server.csr -subj "/CN=server" 2>>openssl.log
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem \
    -extfile <(echo "subjectAltName=IP:127.0.0.1") 2>>openssl.log
python3 "$here/tls.py" server.pem server.key "$dir/served" "$tracker" >"$dir/front.log" 2>"$dir/front-errors.log" &
children+=($!)
front=https://127.0.0.1:$(await "$dir/front.log" 'port ([0-9]+)')
(run seeder edit --replace-tracker "$tracker" "$front" -o secure.torrent plain.torrent) >/dev/null
mv "$dir/seeder/secure.torrent" "$dir/served/secure.torrent"

if [ -z "$runner" ]; then
    echo "no root certificates: refused, with the paths that were tried"
    code=0
    (run secure get --list "$front/secure.torrent") >"$dir/refused.log" 2>&1 || code=$?
    [ "$code" = 6 ]
    sed 's/^/    /' "$dir/refused.log"
    grep -q 'built-in roots.*/etc/ssl/certs/ca-certificates.crt.*/etc/ssl/cert.pem' "$dir/refused.log"
    echo "found where systems keep them"
    mkdir -p "$dir/secure/etc/ssl/certs"
    cp ca.pem "$dir/secure/etc/ssl/certs/ca-certificates.crt"
    (run secure get --list "$front/secure.torrent") >/dev/null
    rm -r "$dir/secure/etc"
fi
echo "found by SSL_CERT_DIR"
mkdir "$dir/secure/roots"
cp ca.pem "$dir/secure/roots/ca.pem"
certs=SSL_CERT_DIR=roots
(run secure get --list "$front/secure.torrent") >/dev/null
rm -r "$dir/secure/roots"
echo "found by SSL_CERT_FILE; a download with the .torrent and the tracker over HTTPS, from one address:"
cp ca.pem "$dir/secure/ca.pem"
certs=SSL_CERT_FILE=ca.pem
(run secure get "${alone[@]}" --bind 127.0.0.1 "$front/secure.torrent")
cmp "$dir/seeder/noise.bin" "$dir/secure/noise.bin"
