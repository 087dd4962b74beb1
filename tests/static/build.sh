#!/usr/bin/env bash
# Builds bitwren as one fully static binary for a musl target and prints its path:
#     tests/static/build.sh TARGET [cargo arguments]
# TARGET is x86_64-unknown-linux-musl, aarch64-unknown-linux-musl or armv7-unknown-linux-musleabihf.
#
# For x86_64 with rustup's target of that name, if it is installed. Otherwise, and for the others, with
# Debian's rustc, which brings the source of std: that is compiled anew, as small and as unwinding-free as the
# rest, against Debian's musl, or (not x86_64) with zig from PyPI as the C compiler and linker. Installs what
# it needs by package name if it may. Symbols stay in PATH.symbols and the toolchain in PATH.toolchain, for
# tests/static/size.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$1
shift
mkdir -p "${CARGO_TARGET_DIR:-target}/static"
out=$(realpath "${CARGO_TARGET_DIR:-target}/static")
unset CARGO_TARGET_DIR RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
name=$(tr a-z- A-Z_ <<<"$target")

# Debian packages that are missing.
install() {
    missing=()
    for package; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
    [ ${#missing[@]} != 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "needs these packages of Debian: ${missing[*]}" >&2
        exit 1
    fi
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# A program that ends on panic never unwinds: std only wants these two to print a backtrace, for which a
# stripped binary has no names. $1 is the C compiler for the target.
without_unwinding() {
    mkdir -p "$out/$target-aux"
    cat >"$out/$target-aux/unwind.c" <<'C'
int _Unwind_Backtrace(void *each, void *data) { (void)each; (void)data; return 5; /* end of stack */ }
unsigned long _Unwind_GetIP(void *frame) { (void)frame; return 0; }
C
    (cd "$out/$target-aux" && $1 -Os -c unwind.c && rm -f libunwind.a && ar rcs libunwind.a unwind.o)
    echo "-C link-self-contained=no -C force-unwind-tables=no -L native=$out/$target-aux"
}

flags=
sysroot_has() { [ -d "$(rustc --print target-libdir --target "$1" 2>/dev/null)" ]; }

cargo=(cargo build)
std=Debian
case $target in
x86_64-unknown-linux-musl)
    install gcc musl-tools
    export CC_x86_64_unknown_linux_musl=musl-gcc
    if sysroot_has "$target"; then
        std=rustup
    else
        install rustc-web cargo-web rust-web-src lld
        export PATH=/usr/bin:/bin CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=musl-gcc
        # lld keeps one copy of functions that are the same to the byte: 30 KB less. To musl-gcc's specs every
        # binary is dynamic; binutils' linker ignores that where all is static, lld has to be told.
        flags="$(without_unwinding musl-gcc) -C relocation-model=static"
        flags+=" -C link-arg=-fuse-ld=lld -C link-arg=-Wl,--icf=all,--no-dynamic-linker"
    fi
    ;;
*)
    install rustc-web cargo-web rust-web-src python3-venv binutils
    if [ ! -x "$out/zig/bin/cargo-zigbuild" ]; then
        python3 -m venv "$out/zig"
        "$out/zig/bin/pip" install -q ziglang==0.15.2 cargo-zigbuild==0.24.0 >&2
    fi
    export PATH=$out/zig/bin:/usr/bin:/bin
    zig_target=${target/-unknown/}
    zig_target=${zig_target/armv7-/arm-}
    flags=$(without_unwinding "python -m ziglang cc -target $zig_target")
    cargo=(cargo zigbuild)
    ;;
esac
if [ $std = Debian ]; then
    # std can be built with this variable only, which Debian's stable compiler honours. It is made small as
    # the rest is: its sorts and its number formatting are the short ones, a backtrace is never printed.
    export RUSTC_BOOTSTRAP=1
    cargo+=(-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size)
fi
# Panic messages name source files: not by where this machine keeps them.
flags+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src="
export "CARGO_TARGET_${name}_RUSTFLAGS=$flags"
# Symbols for x86_64 only: binutils strips no others.
[ "${target%%-*}" != x86_64 ] || export CARGO_PROFILE_RELEASE_STRIP=none
toolchain="std of $std, $(rustc --version | cut -d ' ' -f 1,2)"
echo "$target with $toolchain" >&2
"${cargo[@]}" --quiet --locked --release --target "$target" --target-dir "$out" "$@" >&2
built=$out/$target/release/bitwren
echo "$toolchain" >"$built.toolchain"
if [ "${target%%-*}" = x86_64 ]; then
    cp "$built" "$built.symbols"
    strip -o "$built.stripped" "$built"
    mv "$built.stripped" "$built"
fi
echo "$built"
