#!/usr/bin/env bash
# Measures Stele beside Debian's PostgreSQL 15 and bare SQLite on this machine, in one run, and
# prints a Markdown table. Installs nothing: it needs PostgreSQL's programs (Debian: apt-get install
# postgresql-15) and Rust; with MariaDB's (mariadb-server) replicas in it are measured, too.
#
#   scripts/bench.sh                 everything, about ten minutes
#   scripts/bench.sh insert select   only measures whose names start so
#   scripts/bench.sh --quick         a first impression
#
# Environment:
#   BENCH_DIR    where the data lies while measuring [/var/tmp]; must be a real disk: on a memory disk
#                fsync costs nothing and the figures mean nothing
#   POSTGRES_BIN PostgreSQL's programs [/usr/lib/postgresql/15/bin]
#   PGBENCH      1 also runs pgbench against both: INSERTs, and TPC-B at scale 10 (30 clients, prepared)
set -euo pipefail

cd "$(dirname "$0")/.."
postgres_bin=${POSTGRES_BIN:-/usr/lib/postgresql/15/bin}
if [[ ! -x $postgres_bin/initdb ]]; then
    echo "no PostgreSQL in $postgres_bin: install it (Debian: apt-get install postgresql-15) or set POSTGRES_BIN" >&2
    exit 1
fi

base=$(mktemp -d "${BENCH_DIR:-/var/tmp}/stele-bench.XXXXXX")
chmod 755 "$base"
node=
mariadb=
as_postgres() { "$@"; }
if [[ $(id -u) == 0 ]]; then
    # PostgreSQL refuses to run as root.
    as_postgres() { (cd "$base" && setpriv --reuid=postgres --regid=postgres --clear-groups "$@"); }
fi
stop() {
    [[ -z $node ]] || kill "$node" 2>/dev/null || true
    as_postgres "$postgres_bin/pg_ctl" -D "$base/postgres" -m immediate stop >/dev/null 2>&1 || true
    [[ -z $mariadb ]] || kill "$mariadb" 2>/dev/null || true
    rm -rf "$base"
}
trap stop EXIT

mkdir "$base/postgres" "$base/stele"
[[ $(id -u) != 0 ]] || chown postgres: "$base/postgres"
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
port=$(free_port)
as_postgres "$postgres_bin/initdb" -D "$base/postgres" -U bench -A trust --encoding=UTF8 --no-locale >/dev/null
# Debian's defaults, but for the place, and more connections than the largest measure has clients.
as_postgres "$postgres_bin/pg_ctl" -D "$base/postgres" -w -l "$base/postgres/log" \
    -o "-p $port -k $base/postgres -c listen_addresses=127.0.0.1 -c max_connections=200 -c fsync=on -c synchronous_commit=on" \
    start >/dev/null
postgres=postgres://bench@127.0.0.1:$port/postgres

beside=()
if command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null; then
    owner=()
    mkdir "$base/mariadb"
    if [[ $(id -u) == 0 ]]; then
        chown mysql: "$base/mariadb"
        owner=(--user=mysql)
    fi
    mariadb-install-db --no-defaults "${owner[@]}" --datadir="$base/mariadb/data" \
        --auth-root-authentication-method=normal --skip-test-db >/dev/null
    mysql_port=$(free_port)
    # Its defaults, but for the place.
    mariadbd --no-defaults "${owner[@]}" --datadir="$base/mariadb/data" --bind-address=127.0.0.1 --port="$mysql_port" \
        --socket="$base/mariadb/socket" --pid-file="$base/mariadb/pid" >"$base/mariadb.log" 2>&1 &
    mariadb=$!
    for _ in $(seq 100); do
        mariadb --no-defaults -uroot -S "$base/mariadb/socket" -e \
            "CREATE DATABASE bench; CREATE USER bench@'127.0.0.1'; CREATE USER bench@localhost; GRANT ALL ON bench.* TO bench@'127.0.0.1'; GRANT ALL ON bench.* TO bench@localhost" \
            2>/dev/null && break
        sleep 0.2
    done
    beside=(--mysql "mysql://bench@127.0.0.1:$mysql_port/bench")
fi

cargo build --release --package stele >&2
stele=${CARGO_TARGET_DIR:-target}/release/stele

echo "$(date -u +%F), $(nproc) cores, $("$postgres_bin/postgres" --version)"
echo
status=0
"$stele" bench --markdown --dir "$base/stele" --postgres "$postgres" "${beside[@]}" "$@" || status=$?
# 2 says that a bar was missed: the table says which.
[[ $status == 0 || $status == 2 ]] || exit "$status"

if [[ ${PGBENCH:-0} == 1 ]]; then
    wire=$(free_port)
    "$stele" start --dir "$base/pgbench" --postgres-listen "127.0.0.1:$wire" \
        --http-listen "127.0.0.1:$(free_port)" >/dev/null 2>"$base/pgbench.log" &
    node=$!
    for _ in $(seq 100); do
        "$postgres_bin/psql" -qAt "postgres://operator@127.0.0.1:$wire/stele" -c 'SELECT 1' >/dev/null 2>&1 && break
        sleep 0.1
    done
    cat >"$base/insert.sql" <<'SQL'
\set id random(1, 9000000000000000000)
INSERT INTO pgbench_rows (id, account, note) VALUES (:id, 7, 'as agreed');
SQL
    echo
    echo "pgbench, prepared, 30 clients, random keys:"
    for url in "postgres://operator@127.0.0.1:$wire/stele" "$postgres"; do
        "$postgres_bin/psql" -qAt "$url" -c \
            'CREATE TABLE pgbench_rows (id BIGINT PRIMARY KEY, account BIGINT NOT NULL, note TEXT NOT NULL)'
        "$postgres_bin/pgbench" --no-vacuum --protocol=prepared --client=30 --jobs=2 --time=10 \
            --file="$base/insert.sql" "$url" | grep -E '^(latency average|tps)'
    done
    # TPC-B as pgbench has it, scale 10: its own tables, filled alike in both, in parts.
    {
        echo "INSERT INTO pgbench_branches SELECT g, 0, '' FROM generate_series(1, 10) AS g;"
        echo "INSERT INTO pgbench_tellers SELECT g, (g - 1) / 10 + 1, 0, '' FROM generate_series(1, 100) AS g;"
        for part in $(seq 0 9); do
            echo "INSERT INTO pgbench_accounts SELECT g, (g - 1) / 100000 + 1, 0, ''" \
                "FROM generate_series($((part * 100000 + 1)), $((part * 100000 + 100000))) AS g;"
        done
    } >"$base/fill.sql"
    echo
    echo "pgbench, TPC-B, scale 10, prepared, 30 clients:"
    for url in "postgres://operator@127.0.0.1:$wire/stele" "$postgres"; do
        "$postgres_bin/pgbench" -i -I dtp -q "$url" 2>/dev/null
        "$postgres_bin/psql" -q -v ON_ERROR_STOP=1 -f "$base/fill.sql" "$url"
        "$postgres_bin/pgbench" --no-vacuum --protocol=prepared --client=30 --jobs=2 --time=30 --max-tries=100 \
            --scale=10 "$url" 2>/dev/null |
            grep -E '^(latency average|tps|number of failed|total number of retries)'
    done
fi
exit "$status"
