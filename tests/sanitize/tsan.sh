#!/usr/bin/env bash
# The tests in which threads meet, under ThreadSanitizer: `make tsan`. What it needs is a compiler with the
# sources of its own standard library, which has to be instrumented too: a rustup nightly with rust-src, or
# Debian's packages, which are unpacked below target/ and installed nowhere. Without either it says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
root=$target/tsan/root
triple=x86_64-unknown-linux-gnu
# Without HTTPS: ring is C and assembly, which nobody instruments here.
features=cli,sys,tracker-server,fast-sha1
tests=${TESTS:-"choreography shutdown session download exchange magnet dht many"}

skip() {
    echo "SKIPPED: $*" >&2
    exit 0
}

# The runtime that fits: clang's, of the LLVM that the compiler was built with.
clang_runtime() {
    local llvm
    llvm=$("$RUSTC" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    (cd "$target/tsan/debs" && apt-get download -qq "libclang-rt-$llvm-dev" && dpkg -x libclang-rt-*.deb "$root")
    echo "$root/usr/lib/llvm-$llvm/lib/clang/$llvm/lib/linux/libclang_rt.tsan-x86_64.a"
}

# A compiler, its sources and the libraries they need that are not installed.
unpack() {
    local wanted
    mkdir -p "$root"
    for wanted in "rustc-web cargo-web rust-web-src" "rustc cargo rust-src"; do
        # shellcheck disable=SC2086
        apt-get install -s --no-install-recommends $wanted 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p' \
            >"$target/tsan/names" || continue
        grep -q src "$target/tsan/names" || continue
        (cd "$target/tsan/debs" && xargs apt-get download -qq <"$target/tsan/names" 2>/dev/null)
        for package in "$target"/tsan/debs/*.deb; do dpkg -x "$package" "$root"; done
        return
    done
    return 1
}

mkdir -p "$target/tsan/debs"
[ "$(uname -m)" = x86_64 ] || skip "ThreadSanitizer is set up for x86_64 alone"
nightly=$(rustc +nightly --print sysroot 2>/dev/null || true)
flags="-Zsanitizer=thread"
if [ -n "$nightly" ] && [ -d "$nightly/lib/rustlib/src/rust/library" ]; then
    cargo=(cargo +nightly)
elif command -v apt-get >/dev/null; then
    # Debian's, installed already, or unpacked here.
    prefix=""
    if [ ! -x /usr/bin/rustc ] || [ ! -d /usr/lib/rustlib/src ]; then
        prefix=$root
        [ -x "$root/usr/bin/rustc" ] || unpack ||
            skip "there is neither a nightly with rust-src (rustup +nightly component add rust-src) nor Debian's"
        export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu
    fi
    export RUSTC=$prefix/usr/bin/rustc RUSTC_BOOTSTRAP=1
    TSAN_RUNTIME=$(clang_runtime)
    export TSAN_RUNTIME
    flags="$flags -Zexternal-clangrt -Clinker=$PWD/tests/sanitize/cc.sh"
    cargo=("$prefix/usr/bin/cargo")
else
    skip "there is no nightly with rust-src: rustup +nightly component add rust-src"
fi
# Unoptimised, the sanitizer would make every test several times as slow once more.
export RUSTFLAGS="$flags" CARGO_TARGET_DIR=$target/tsan/build CARGO_PROFILE_DEV_OPT_LEVEL=1
export TSAN_OPTIONS="halt_on_error=0 external_symbolizer_path=$(command -v llvm-symbolizer || command -v addr2line) ${TSAN_OPTIONS:-}"
under() {
    "${cargo[@]}" test --locked -Zbuild-std --target $triple --no-default-features --features $features \
        --no-fail-fast "$@"
}
modules=()
for test in $tests; do modules+=("$test::"); done
status=0
# The sanitizer holds a signal back until the thread it came to calls something that it intercepts. That
# of `tracker`, which has nothing to do, does not for hours.
under --lib || status=$?
under --test it -- "${modules[@]}" --skip a_tracker_a_seed_and_a_download || status=$?
# Of the liars those over whom threads meet. The others are held to an amount of memory, which is several
# times as much here.
[ "${TESTS:-}" ] || under --test it -- hostile::peers:: hostile::sloths:: || status=$?
exit $status
