#!/usr/bin/env bash
# Installs what the tests need and runs everything. Debian or Ubuntu, as root or with sudo; needs
# Rust (rustup) and Python 3.11. A part alone: scripts/test.sh rust|lint|wire|verifier|fuzz|deny
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
say() { printf '\n== %s (%s)\n' "$1" "$(date -u +%H:%M:%S)"; }

install_packages() {
    command -v psql >/dev/null && [ -x /usr/lib/postgresql/15/bin/initdb ] && command -v mariadbd >/dev/null && return
    say "installing PostgreSQL and MariaDB: clients, and servers to compare with and to replicate into"
    as_root apt-get -o DPkg::Lock::Timeout=300 update -qq
    as_root apt-get -o DPkg::Lock::Timeout=300 install -y -qq postgresql-client postgresql-15 mariadb-server mariadb-client
}

# What the programs in tests/clients need: drivers from their own registries.
client_drivers() {
    local missing=()
    command -v javac >/dev/null || missing+=(default-jdk-headless)
    command -v mvn >/dev/null || missing+=(maven)
    command -v npm >/dev/null || missing+=(npm)
    command -v go >/dev/null || missing+=(golang-go)
    if [ ${#missing[@]} -gt 0 ]; then
        as_root apt-get -o DPkg::Lock::Timeout=300 update -qq
        as_root apt-get -o DPkg::Lock::Timeout=300 install -y -qq "${missing[@]}"
    fi
    if [ ! -f tests/clients/jdbc/lib/postgresql.jar ]; then
        mvn -q dependency:copy -Dartifact=org.postgresql:postgresql:42.7.4 \
            -DoutputDirectory="$PWD/tests/clients/jdbc/lib" -Dmdep.stripVersion=true
    fi
    [ -d tests/clients/node/node_modules ] || (cd tests/clients/node && npm install --silent --no-audit --no-fund --no-package-lock)
    (cd tests/clients/pgx && go mod download)
    (cd tests/clients/sqllogictest && cargo fetch --quiet --locked)
}

python_environment() {
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
}

part_lint() {
    say "format and lints"
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets --release -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --release --quiet
}

part_rust() {
    say "Rust tests"
    cargo test --workspace --release
}

part_wire() {
    say "real clients against the real process"
    install_packages
    python_environment
    client_drivers
    cargo build --release -p stele
    .venv/bin/python -m unittest discover -s tests -p 'test_*.py' -v
}

part_verifier() {
    say "the independent verifier"
    python_environment
    (cd verifier/python && ../../.venv/bin/python -m unittest -v test_verify)
}

part_fuzz() {
    say "fuzz targets, a short run each"
    fuzz/run.sh "${STELE_FUZZ_SECONDS:-5}"
}

part_deny() {
    say "licences, sources and bans of dependencies"
    command -v cargo-deny >/dev/null || cargo install --quiet --locked cargo-deny
    cargo deny check licenses bans sources
}

if [ $# -eq 0 ]; then set -- lint rust wire verifier fuzz deny; fi
for part in "$@"; do "part_$part"; done
say "all passed"
