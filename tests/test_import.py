"""`stele import`: tables that other programs wrote in real databases, taken into the ledger and shown to be equal.

The rows are compared once more here, by what each database's own client and the ledger say of them.
"""

import json
import signal
import sqlite3
import subprocess
import time

from mariadb_server import MariaDbServer
from postgres_server import PostgresServer
from stele_node import DirectoryCase, binary, clean_environment, count, seeded, stele

SHOP = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE orders (id serial PRIMARY KEY, who text NOT NULL DEFAULT 'x', total numeric(10,2), at timestamptz, m mood, tags text[],
                     j jsonb, f real, c char(4), day date, b bytea, u uuid);
INSERT INTO orders (who, total, at, m, tags, j, f, c, day, b, u)
SELECT E'c\t' || g, g * 1.1, '2026-11-30 10:00:00.5+02', 'ok', array['a', 'b'], '{"a": 1}', 0.1, 'ab', '0001-01-01', '\\x00ff', gen_random_uuid()
FROM generate_series(1, 3000) AS g;
CREATE TABLE "Weird Name" (k text PRIMARY KEY, v bytea);
INSERT INTO "Weird Name" VALUES ('ä', '\\x00'), ('Z', NULL), ('a', ''), ('b c', 'x');
CREATE TABLE empty (a int, b date, PRIMARY KEY (b, a));
CREATE SCHEMA s;
CREATE TABLE s.keyless (x int, y text);
INSERT INTO s.keyless VALUES (1, 'one'), (2, NULL);
"""

ITEMS = """
CREATE TABLE items (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, name VARCHAR(30), kind ENUM('a', 'b'), price DECIMAL(8,2), t TIME,
                    ts TIMESTAMP DEFAULT now(), flag TINYINT(1), big BIGINT UNSIGNED, f FLOAT, bl BLOB, js JSON);
INSERT INTO items (name, kind, price, t, flag, big, f, bl, js)
VALUES ('ä', 'a', 1.50, '10:11:12', 1, 18446744073709551615, 0.1, x'00ff', '{"a": 1}'), ('B', 'b', NULL, NULL, 0, 1, 2.5, '', NULL);
CREATE TABLE words (w VARCHAR(20) PRIMARY KEY) CHARSET latin1;
INSERT INTO words VALUES ('Zoo'), ('apple'), ('Äpfel');
"""


class Import(DirectoryCase):
    def setUp(self):
        super().setUp()
        self.ledger = self.node("data").start()

    def run_import(self, url, *options):
        return stele("import", *self.arguments(url, *options))

    def arguments(self, url, *options):
        return [
            *("--from", url, "--json", "--port", self.ledger.postgres_port),
            *("--http", f"http://127.0.0.1:{self.ledger.http_port}", "--trust", self.home / "data" / "trust.txt", *options),
        ]

    def taken(self, url, *options):
        done = self.run_import(url, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {table["table"]: table["rows"] for table in json.loads(done.stdout)["tables"]}

    def test_a16_tables_of_postgresql_are_taken_and_equal(self):
        server = PostgresServer().start()
        self.addCleanup(server.stop)
        with server.connect() as connection:
            connection.execute("CREATE DATABASE shop")
        url = f"postgres://postgres@localhost:5432/shop?socket={server.home}"
        import psycopg

        with psycopg.connect(host=str(server.home), user="postgres", dbname="shop", autocommit=True) as shop:
            shop.execute(SHOP)
            keyless = self.run_import(url)
            self.assertEqual(keyless.returncode, 1)
            self.assertIn("s.keyless has no primary key", keyless.stderr)
            self.assertEqual(self.ledger.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["0"])
            plan = self.run_import(url, "--dry-run", "--key", "s.keyless=x")
            self.assertEqual(len(json.loads(plan.stdout)["tables"]), 4)
            taken = self.taken(url, "--key", "s.keyless=x", "--map", "empty=archive.nothing")
            self.assertEqual(
                taken, {"public.Weird Name": 4, "archive.nothing": 0, "public.orders": 3000, "s.keyless": 2}
            )
            sql = "SELECT id, who, total, m::text, tags::text, c, day::text, encode(b, 'hex'), u::text FROM orders ORDER BY id"
            theirs = ["|".join("" if v is None else str(v) for v in row) for row in shop.execute(sql)]
            self.assertEqual(self.ledger.query(sql.replace("m::text, tags::text", "m, tags")), theirs)
            again = self.run_import(url, "--table", "orders")
            self.assertIn("the ledger has a table public.orders already", again.stderr)
            shop.execute("CREATE TABLE odd (id int PRIMARY KEY, n numeric); INSERT INTO odd VALUES (1, 1.5), (2, 'NaN')")
            odd = self.run_import(url, "--table", "odd")
            self.assertEqual(odd.returncode, 1)
            self.assertIn("public.odd, id = 2: column n holds \"NaN\"", odd.stderr)
            shop.execute("CREATE TABLE fine (id int PRIMARY KEY, n numeric); INSERT INTO fine VALUES (1, 0.123456789012)")
            self.assertIn("more digits", self.run_import(url, "--table", "fine").stderr)
            self.ledger.query("DROP TABLE fine")
            self.assertEqual(self.taken(url, "--table", "fine", "--type", "public.fine.n=NUMERIC(30,20)"), {"public.fine": 1})

    def test_a16_tables_of_mariadb_are_taken_and_equal(self):
        server = MariaDbServer().start()
        self.addCleanup(server.stop)
        server.sql("CREATE DATABASE shop")
        server.sql(ITEMS, "shop")
        taken = self.taken(server.target("shop"), "--map", "items=shop.items")
        self.assertEqual(taken, {"shop.items": 2, "public.words": 3})
        rows = self.ledger.query("SELECT id, name, kind, price, t, flag, big, bl, js FROM shop.items ORDER BY id")
        self.assertEqual(rows, ['1|ä|a|1.50|10:11:12|t|18446744073709551615|\\x00ff|{"a": 1}', "2|B|b|||f|1|\\x|"])
        self.assertEqual(self.ledger.query("SELECT w FROM words ORDER BY w"), ["Zoo", "apple", "Äpfel"])

    def test_a16_a_file_of_sqlite_is_taken_and_one_cut_short_goes_on(self):
        path = self.home / "old.db"
        with sqlite3.connect(path) as old:
            old.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, price DECIMAL(8,2), d DATETIME, b)")
            rows = [(g, f"n{g}", g / 4, "2026-01-31T10:00:00", b"x") for g in range(60_000)]
            old.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
        random = seeded("import", usual=6)
        url = f"sqlite:{path}"
        resume = ()
        for _ in range(count(3, 30)):
            process = subprocess.Popen(
                [binary(), "import", *map(str, self.arguments(url, *resume))],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=clean_environment(),
            )
            time.sleep(random.uniform(0.05, 0.25))
            process.send_signal(signal.SIGKILL)
            process.wait()
            there = self.ledger.query("SELECT count(*) FROM pg_tables WHERE tablename = 't'") == ["1"]
            resume = ("--resume",) if there else ()
        self.assertEqual(self.taken(url, *resume), {"public.t": 60_000})
        self.assertEqual(self.ledger.query("SELECT sum(price), count(d) FROM t"), ["449992500.00|60000"])
        # Another row on either side is noticed.
        self.ledger.query("UPDATE t SET name = 'other' WHERE id = 5")
        differs = self.run_import(url, "--resume")
        self.assertEqual(differs.returncode, 1)
        self.assertIn("are not equal", differs.stderr)

    def test_a16_a_file_that_is_no_database_is_named(self):
        path = self.home / "text.db"
        path.write_text("This is a text, long enough to be looked at as the head of a database.\n" * 20)
        done = self.run_import(f"sqlite:{path}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is no SQLite database", done.stderr)
        self.assertNotIn("move it away", done.stderr, "it is theirs")

    def test_a18_a_table_is_dumped_and_loaded_again(self):
        self.ledger.query("CREATE TABLE full_house (k VARCHAR(20), n NUMERIC(20,4), b BOOLEAN, i SMALLINT, d DOUBLE PRECISION, t TEXT, c CHAR(5),"
                          " y BYTEA, day DATE, at TIMESTAMPTZ, wall TIMESTAMP, u UUID, j JSON, PRIMARY KEY (k, n))")
        self.ledger.query("INSERT INTO full_house SELECT 'k' || g, g / 8.0, g % 2 = 0, g, g / 3.0::double precision, E'a\\tb\\n', 'ab', '\\x00ff',"
                          " '0001-01-01', now(), '9999-12-31 23:59:59.999999', gen_random_uuid(), '{\"a\":  1}' FROM generate_series(1, 500) AS g")
        self.ledger.query("INSERT INTO full_house (k, n) VALUES ('empty', -1)")
        dump = self.home / "dump.db"
        dumped = stele("restore", "--data", self.home / "data", "--table", "full_house", "--to", f"sqlite:{dump}", "--json")
        self.assertEqual(dumped.returncode, 0, dumped.stderr)
        self.assertEqual(self.taken(f"sqlite:{dump}", "--map", "full_house=public.loaded"), {"public.loaded": 501})
        both = [self.ledger.query(f"SELECT * FROM {table} ORDER BY k, n") for table in ("full_house", "loaded")]
        self.assertEqual(*both)
        types = "SELECT column_name, data_type, numeric_scale FROM information_schema.columns WHERE table_name = '{}' ORDER BY ordinal_position"
        self.assertEqual(self.ledger.query(types.format("loaded")), self.ledger.query(types.format("full_house")))
