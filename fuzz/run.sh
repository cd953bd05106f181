#!/usr/bin/env bash
# Runs every fuzz target for a short time, from seeds made of the fixtures.
#
#   fuzz/run.sh [SECONDS_PER_TARGET] [TARGET...]     default 10, all targets but sql
#
# Needs the nightly toolchain (rustup toolchain install nightly); cargo-fuzz is installed if missing.
# The parser's target builds SQLite, too: STELE_FUZZ_SQL=1 adds it.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-10}
shift || true
targets=("$@")
features=()
if [ "${STELE_FUZZ_SQL:-0}" = 1 ]; then features=(--features sql); fi
if [ ${#targets[@]} -eq 0 ]; then
    targets=(core_decoders core_text proof store snapshot)
    if [ ${#features[@]} -gt 0 ]; then targets+=(sql); fi
fi

command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal

python3 seeds.py corpus
# No address sanitiser: the decoders are free of unsafe, and without it the build takes half the time.
cargo +nightly fuzz build --fuzz-dir . --sanitizer none "${features[@]}"
for target in "${targets[@]}"; do
    printf '\n== fuzz %s for %s s\n' "$target" "$seconds"
    # A decoder may not allocate more than a small multiple of its input: no block above 64 MiB.
    cargo +nightly fuzz run --fuzz-dir . --sanitizer none "${features[@]}" "$target" "corpus/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=10 \
        -print_final_stats=0 -verbosity=0
done
echo "fuzz targets: nothing found"
