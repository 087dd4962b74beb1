#!/bin/bash
# Fuzzes bitwren: run.sh SECONDS [TARGET...], two targets at a time, and prints a table at the end. Ends with 1
# where anything was found, after naming the files.
#
# Any stable Rust will do: what `cargo fuzz` asks of a nightly is the address sanitizer, and there is no unsafe
# code here for it to look at. libFuzzer comes with the crate libfuzzer-sys, which needs a C++ compiler.
#
# `SEED=1` has the same inputs tried in the same order by everyone, as far as each machine gets.
#
# New inputs go to target/fuzz/TARGET, beside those kept in testdata/fuzz/TARGET. `MERGE=1` writes the
# smallest set of both that reaches all the same code back to testdata, and fuzzes nothing. `BUILD=1` builds
# the fuzzer and does nothing more.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:?how many seconds for each target}
shift

command -v g++ >/dev/null || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++
}

out=${CARGO_TARGET_DIR:-target}/fuzz
mkdir -p "$out"
triple=$(rustc -vV | sed -n 's/^host: //p')
# With --target the flags are for the program alone and not for build scripts.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS=$flags cargo build --quiet --locked --release --target "$triple" \
    --manifest-path tests/fuzz/Cargo.toml --target-dir "$out/build"
[ -z "${BUILD:-}" ] || exit 0
program=$out/build/$triple/release/bitwren-fuzz

if [ $# -eq 0 ]; then
    mapfile -t targets < <(sed -n 's/^ *("\([a-z_]*\)", [a-z_]*::[a-z_]*),$/\1/p' tests/fuzz/properties/mod.rs)
else
    targets=("$@")
fi

# Inputs past these lengths tell nothing new, and make every run slower.
longest() {
    case $1 in
    magnet) echo 8192 ;;
    frames | metainfo | paths | http_answer) echo 4096 ;;
    *) echo 2048 ;;
    esac
}

fuzz() {
    local target=$1 corpus=$out/$1/corpus kept=testdata/fuzz/$1
    mkdir -p "$corpus" "$out/$target/found" "$kept"
    # What was found before is tried again first, and no more than an input once it is mended.
    find "$out/$target/found" -type f -exec mv -t "$corpus" {} +
    # -timeout is for one input, and generous, as the machine may be busy.
    TARGET=$target "$program" "$corpus" "$kept" -max_len="$(longest "$target")" \
        -max_total_time="$seconds" ${SEED:+-seed="$SEED"} -timeout=10 -rss_limit_mb=512 -print_final_stats=1 \
        -artifact_prefix="$out/$target/found/" >"$out/$target/log" 2>&1 || true
}

merge() {
    local target=$1 kept=testdata/fuzz/$1
    mkdir -p "$out/$target/merged" "$out/$target/corpus" "$kept"
    rm -f "$out/$target/merged/"*
    TARGET=$target "$program" -set_cover_merge=1 -use_counters=0 -max_len="$(longest "$target")" \
        "$out/$target/merged" "$kept" "$out/$target/corpus" >"$out/$target/merge.log" 2>&1
    find "$kept" -type f ! -name 'crash-*' -delete
    cp "$out/$target/merged/"* "$kept/"
}

row() {
    local target=$1 log=$out/$1/log corpus=$out/$1/corpus
    local executions took found
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    took=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$log")
    found=$(find "$out/$target/found" -type f | wc -l)
    printf '| %s | %s | %s | %s | %s |\n' "$target" "${took:-ended}" "${executions:-?}" \
        "$(find "$corpus" "testdata/fuzz/$target" -type f | wc -l)" "$found"
}

if [ "${MERGE:-}" ]; then
    for target in "${targets[@]}"; do merge "$target"; done
    exit
fi

for target in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
    fuzz "$target" &
done
wait

echo '| target | seconds | executions | corpus | found |'
echo '|---|---|---|---|---|'
failed=
for target in "${targets[@]}"; do
    row "$target"
    # Without the last line of statistics the program did not come to its end.
    grep -q '^stat::number_of_executed_units' "$out/$target/log" || failed+=" $target"
    [ -z "$(find "$out/$target/found" -type f)" ] || failed+=" $target"
done
if [ "$failed" ]; then
    for target in $(printf '%s\n' $failed | sort -u); do
        echo "found in $target:"
        find "$out/$target/found" -type f
        grep -m 3 -A 3 -E 'panicked at|ERROR: libFuzzer|memory allocation' "$out/$target/log" || tail -5 "$out/$target/log"
    done
    exit 1
fi
