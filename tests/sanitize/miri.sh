#!/usr/bin/env bash
# What threads share that knows no socket and no file, under Miri: `make miri`. Every seed is another
# schedule and another choice of what a relaxed load may see. It takes a nightly with miri and rust-src.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "SKIPPED: there is no Miri: rustup +nightly component add miri rust-src" >&2
    exit 0
fi
export MIRIFLAGS="-Zmiri-many-seeds=0..${SEEDS:-16} -Zmiri-disable-isolation ${MIRIFLAGS:-}"
cargo +nightly miri test --locked --no-default-features --lib -- engine::runtime::mailbox engine::runtime::block_pool job::
cargo +nightly miri test --locked --no-default-features --test it -- choreography::leases
