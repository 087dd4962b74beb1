#!/usr/bin/env bash
# What is in the static binary, and whether it is still as small as recorded: per section, crate and module
# of ours, with HTTPS, and the total without. Fails when either is more than 5 % above tests/static/budget;
# with another compiler or std than recorded there, which is no fault of ours, more than 15 %:
#     tests/static/size.sh
# Instances of generics count for the crate of the generic, or of the type it is implemented for.
set -euo pipefail
cd "$(dirname "$0")/../.."
budget=tests/static/budget
failed=0

# by DEPTH [CRATE]: bytes of code and number of functions by the first parts of the path, largest first.
# No `head`: whoever still writes to it when it has read enough dies of that, and the script with it.
by() {
    nm --demangle --print-size --radix=d "$binary.symbols" | awk -v depth="$1" -v only="${2:-}" '
        $3 !~ /^[tT]$/ { next }
        {
            size = $2 + 0
            sub(/^[0-9]+ [0-9]+ . /, "")
            gsub(/^(core::ptr::drop_in_place(::)?|<|&|\*|mut |dyn |const |\[|\()+/, "")
            sub(/(<| as |>|\{|\[|\().*/, "")
            parts = split($0, part, "::")
            if (only != "" && part[1] != only) next
            # What C and assembly bring has no path.
            key = parts == 1 ? (part[1] ~ /^ring_core/ ? "ring (assembly)" : "C and others") : part[1]
            for (i = 2; i <= depth && i < parts; i++) key = key "::" part[i]
            bytes[key] += size
            count[key]++
        }
        END { for (key in bytes) printf "%9d %5d  %s\n", bytes[key], count[key], key }' | sort -rn |
        awk 'NR <= 25'
}

# check VARIANT: what is recorded for this one, and whether it still holds.
check() {
    bytes=$(stat -c %s "$binary")
    toolchain=$(cat "$binary.toolchain")
    line=$(grep "^$1"$'\t'"${toolchain%%,*}," "$budget") || {
        echo "$1: $bytes bytes; nothing is recorded in $budget for $toolchain"
        return
    }
    IFS=$'\t' read -r _ std allowed <<<"$line"
    slack=5
    [ "$std" = "$toolchain" ] || slack=15
    printf '%s: %d bytes, %d %% of the %d recorded (%s; now %s, %d %% more is allowed)\n' \
        "$1" "$bytes" $(((bytes * 100 + allowed / 2) / allowed)) "$allowed" "$std" "$toolchain" $slack
    if [ "$bytes" -gt $((allowed + allowed * slack / 100)) ]; then
        echo "    too large: make it smaller, or argue and record the new size in $budget" >&2
        failed=1
    fi
}

binary=$(tests/static/build.sh x86_64-unknown-linux-musl)
echo "sections of $(stat -c %s "$binary") bytes:"
size -A "$binary" | awk '$2 > 1000 && $1 ~ /^\./ { printf "%9d        %s\n", $2, $1 }' | sort -rn
echo "code by crate, with the number of functions:"
by 1
echo "code of bitwren by room:"
by 2 bitwren
echo "and by file:"
by 3 bitwren
check with-https
binary=$(tests/static/build.sh x86_64-unknown-linux-musl --no-default-features --features cli,fast-sha1)
check without-https
exit $failed
