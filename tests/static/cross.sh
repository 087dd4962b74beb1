#!/usr/bin/env bash
# Builds the static binary for other machines and has each download under qemu-user, in directories that
# hold nothing but the binary:
#     tests/static/cross.sh TARGET...
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v qemu-arm-static >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-user-static
fi
for target; do
    case $target in
    armv7*) runner=qemu-arm-static ;;
    *) runner=qemu-${target%%-*}-static ;;
    esac
    binary=$(tests/static/build.sh "$target")
    machine=$(od -An -tu2 -j18 -N2 "$binary")
    printf '%s: %d bytes, ELF machine %d\n' "$target" "$(stat -c %s "$binary")" "$machine"
    tests/static/empty-root.sh "$binary" "$runner"
done
