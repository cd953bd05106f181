#!/usr/bin/env bash
# Runs every test with its full counts, which takes hours, and writes a dated summary.
#
#   scripts/full-run.sh                          all parts; summary to docs/full-run.md
#   scripts/full-run.sh store test_crash         these parts only
#   OUT=/tmp/run.md scripts/full-run.sh test_psql
#
# Parts: rust, store, sim, verifier, fuzz, demo, and each tests/test_*.py by its name.
#
# Environment:
#   OUT                 summary file [docs/full-run.md]
#   LOGS                folder for the complete output of each part [target/full-run]
#   STELE_SEEDS         seeds of the block store's crash tests [2000]
#   STELE_SIM_SEEDS     seeds of the simulation [1000]
#   STELE_FUZZ_SECONDS  seconds a fuzz target [300]
#   STELE_SEED          repeats the Python tests with one seed
#   STELE_FULL          0 for the counts of CI, to try this script [1]
set -euo pipefail
cd "$(dirname "$0")/.."

out=${OUT:-docs/full-run.md}
export STELE_FULL=${STELE_FULL:-1}
export STELE_SEEDS=${STELE_SEEDS:-2000}
export STELE_SIM_SEEDS=${STELE_SIM_SEEDS:-1000}
export STELE_FUZZ_SECONDS=${STELE_FUZZ_SECONDS:-300}
target=${CARGO_TARGET_DIR:-target}
logs=${LOGS:-$target/full-run}
program=${STELE_BIN:-$target/release/stele}
python=${PYTHON:-.venv/bin/python}
mkdir -p "$logs"

prepare() {
    [[ -n ${STELE_BIN:-} ]] || cargo build --release -p stele
    if [[ -z ${PYTHON:-} ]]; then
        [[ -x .venv/bin/python ]] || python3 -m venv .venv
        .venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
    fi
}

run_part() {
    case $1 in
    rust) cargo test --workspace --release ;;
    store) cargo test --release -p stele-store crash ;;
    sim) cargo run --release -p sim -- --seeds "$STELE_SIM_SEEDS" ;;
    verifier) scripts/test.sh verifier ;;
    fuzz) scripts/test.sh fuzz ;;
    demo) "$program" demo ;;
    test_*) (cd tests && STELE_BIN=$(realpath "../$program" 2>/dev/null || realpath "$program") \
        "$([[ $python = /* ]] && echo "$python" || echo "../$python")" -m unittest -v "$1") ;;
    *)
        echo "no part $1: see the head of $0" >&2
        return 2
        ;;
    esac
}

# What a part says of its counts: the summary lines of the test programs, and lines `name: what was done`.
counts_of() {
    {
        grep -hE '^Ran [0-9]+ tests?' "$1" | sed 's/ in .*//' || true
        grep -hoE '^(OK|FAILED) \(.*\)' "$1" || true
        awk '/^test result:/ { passed += $4; failed += $6 } END { if (NR && passed + failed) print passed " passed, " failed " failed" }' "$1"
        grep -hE '^[0-9]+ runs, .*' "$1" || true
        grep -hoE '(kill_loop|flipped_byte|flipped_proof_byte|replica_kills): [0-9{].*' "$1" || true
        grep -hoE '[a-z_]+: STELE_SEED=[0-9]+' "$1" | sed 's/: STELE_SEED=/ seed /' || true
    } | sed 's/|/\\|/g' | paste -sd';' | sed 's/;/; /g'
}

if [[ $# -eq 0 ]]; then
    set -- rust store sim verifier
    for file in tests/test_*.py; do set -- "$@" "$(basename "$file" .py)"; done
    set -- "$@" demo fuzz
fi
prepare

rows=() failed=0 begun=$SECONDS
for part in "$@"; do
    printf '== %s (%s)\n' "$part" "$(date -u +%H:%M:%S)"
    start=$SECONDS result=passed
    run_part "$part" >"$logs/$part.log" 2>&1 || { result='**failed**' failed=1; }
    rows+=("| $part | $result | $((SECONDS - start)) s | $(counts_of "$logs/$part.log") |")
    printf '   %s, %s s, %s\n' "$result" $((SECONDS - start)) "$logs/$part.log"
done

state=''
[[ -z $(git status --porcelain --untracked-files=no) ]] || state=' with uncommitted changes'
{
    echo '# Full run'
    echo
    echo 'Every test with its full counts; `scripts/full-run.sh` writes this page. CI runs the same code with fewer.'
    echo
    echo "- Date: $(date -u +%Y-%m-%d), finished $(date -u +%H:%M) UTC, took $(((SECONDS - begun) / 60)) min"
    echo "- Commit: $(git rev-parse --short=12 HEAD)$state"
    echo "- Machine: $(nproc) × $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(($(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo) / 1048576)) GiB, $(uname -sr)"
    echo "- Counts: STELE_FULL=$STELE_FULL, STELE_SEEDS=$STELE_SEEDS, STELE_FUZZ_SECONDS=$STELE_FUZZ_SECONDS"
    echo
    echo '| part | result | time | counts and seeds |'
    echo '|---|---|---|---|'
    printf '%s\n' "${rows[@]}"
} >"$out"
printf '== summary in %s\n' "$out"
exit "$failed"
