"""A25: real clients read and write, look at the catalogue, copy, and get proofs.

Drivers of other languages are small programs in `clients/`; `scripts/test.sh` fetches what they
need. One that is not installed is a failure, not a skip.
"""

import asyncio
import datetime
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
from decimal import Decimal

import asyncpg
import sqlalchemy as sa
from sqlalchemy import orm

from postgres_server import PostgresServer
from stele_node import NodeCase, clean_environment, stele

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
CLIENT_SECONDS_MAX = 180

SETUP = """
CREATE TABLE parts (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE, price NUMERIC(10,2) NOT NULL DEFAULT 0,
    stock INTEGER NOT NULL DEFAULT 0 CHECK (stock >= 0), added TIMESTAMPTZ NOT NULL DEFAULT now());
CREATE TABLE orders (region VARCHAR(8), number INTEGER, part BIGINT NOT NULL, note TEXT, PRIMARY KEY (region, number));
CREATE INDEX orders_part ON orders (part);
INSERT INTO parts (id, name) VALUES (1, 'bolt'), (2, 'nut');
"""

# Each with a pattern its answer holds.
PSQL = {
    r"\d": "parts",
    r"\d parts": r"parts_stock_check.* CHECK \(\(stock >= 0\)\)",
    r"\d+ parts": "parts_name_key.* UNIQUE CONSTRAINT, btree .name.",
    r"\d orders_part": "part .*bigint",
    r"\dt": "orders",
    r"\dt+": "permanent",
    r"\di": "orders_pkey.*orders",
    r"\dn": "public",
    r"\dn+": "public",
    r"\du": "st1",
    r"\df stele.*": "stele_assert",
    r"\l": "UTF8",
    r"\l+": "stele",
    r"\dp": "parts",
    r"\dv": r"\(\d+ rows?\)|^$",
    r"\ds": r"\(\d+ rows?\)|^$",
    r"\dx": r"\(\d+ rows?\)|^$",
    r"\dT": r"\(\d+ rows?\)|^$",
    r"\db": "pg_default",
    r"\dd": r"\(\d+ rows?\)|^$",
    r"\dL": r"\(\d+ rows?\)|^$",
    r"\dC": r"\(\d+ rows?\)|^$",
    r"\ddp": r"\(\d+ rows?\)|^$",
    r"\dRp": r"\(\d+ rows?\)|^$",
    r"\drds": r"\(\d+ rows?\)|^$",
}


class Clients(NodeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.query(SETUP)

    def run_client(self, *command, cwd):
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=CLIENT_SECONDS_MAX,
            env=clean_environment(HOME=os.environ.get("HOME", "/root")),
        )
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        return done.stdout

    def test_a25_psql_describes(self):
        for command, pattern in PSQL.items():
            with self.subTest(command):
                # With footers: what says which indexes and constraints there are.
                done = self.node.psql(command, "-P", "tuples_only=off")
                self.assertRegex(done.stderr, r"^(Did not find any .*)?$")
                self.assertRegex(done.stdout.replace("|", " "), pattern)

    def test_a25_psql_copies(self):
        self.node.query("CREATE TABLE copied (id INTEGER PRIMARY KEY, t TEXT, n NUMERIC(8,2), b BOOLEAN DEFAULT true)")
        with tempfile.TemporaryDirectory() as folder:
            given, back = pathlib.Path(folder, "in.csv"), pathlib.Path(folder, "out.csv")
            given.write_text('id,t,n\n1,"a,""b""\nc",1.50\n2,,2\n')
            self.node.query(f"\\copy copied (id, t, n) FROM '{given}' WITH (FORMAT csv, HEADER)")
            self.node.query(f"\\copy (SELECT id, t, n FROM copied ORDER BY id) TO '{back}' CSV HEADER")
            self.assertEqual(back.read_text(), 'id,t,n\n1,"a,""b""\nc",1.50\n2,,2.00\n')
        refused = self.node.psql("COPY copied (id, t) FROM STDIN;\n3\tx\n1\tagain\n\\.\n")
        self.assertIn("duplicate key", refused.stderr)
        self.assertEqual(self.node.query("SELECT count(*) FROM copied"), ["2"])
        refused = self.node.psql("COPY copied (id, t) FROM STDIN;\n3\n\\.\n")
        self.assertIn("missing data", refused.stderr)

    def test_a25_psycopg_copies_and_pipelines(self):
        connection = self.node.connect()
        self.addCleanup(connection.close)
        connection.execute("CREATE TABLE by_psycopg (id INTEGER PRIMARY KEY, t TEXT)")
        with connection.cursor() as cursor:
            with cursor.copy("COPY by_psycopg FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "text"])
                for number in range(1_000):
                    copy.write_row((number, f"row\t{number}"))
            self.assertEqual(cursor.rowcount, 1_000)
            with cursor.copy("COPY (SELECT * FROM by_psycopg ORDER BY id LIMIT 2) TO STDOUT (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "text"])
                self.assertEqual(list(copy.rows()), [(0, "row\t0"), (1, "row\t1")])
            with self.assertRaises(ValueError):
                with cursor.copy("COPY by_psycopg FROM STDIN") as copy:
                    copy.write_row((5_000, "given up"))
                    raise ValueError
            found = cursor.execute("SELECT array_agg(id ORDER BY id) FROM by_psycopg WHERE id = ANY (%s)", ([3, 4, 5_000],))
            self.assertEqual(found.fetchone(), ([3, 4],))
        with connection.pipeline():
            one = connection.execute("SELECT 1")
            two = connection.execute("INSERT INTO by_psycopg (id) VALUES (%s) RETURNING id", (7_000,))
            self.assertEqual((one.fetchone(), two.fetchone()), ((1,), (7_000,)))

    def test_a25_sqlalchemy_reflects_and_maps(self):
        engine = sa.create_engine(f"postgresql+psycopg://operator@127.0.0.1:{self.node.postgres_port}/stele")
        self.addCleanup(engine.dispose)
        inspector = sa.inspect(engine)
        columns = {column["name"]: column for column in inspector.get_columns("parts")}
        self.assertEqual(str(columns["price"]["type"]), "NUMERIC(10, 2)")
        self.assertEqual((columns["added"]["default"], columns["name"]["nullable"]), ("now()", False))
        self.assertEqual(inspector.get_pk_constraint("orders")["constrained_columns"], ["region", "number"])
        self.assertEqual(inspector.get_unique_constraints("parts")[0]["column_names"], ["name"])
        self.assertEqual(inspector.get_check_constraints("parts")[0]["sqltext"], "stock >= 0")
        self.assertIn(("orders_part", ["part"]), [(i["name"], i["column_names"]) for i in inspector.get_indexes("orders")])
        metadata = sa.MetaData()
        metadata.reflect(engine)
        self.assertIn("orders", metadata.tables)

        class Base(orm.DeclarativeBase):
            pass

        class Author(Base):
            __tablename__ = "authors"
            id = orm.mapped_column(sa.Uuid, primary_key=True)
            name = orm.mapped_column(sa.String(40), unique=True)

        import uuid

        Base.metadata.create_all(engine)
        Base.metadata.create_all(engine)
        with orm.Session(engine) as session:
            key = uuid.uuid4()
            session.add(Author(id=key, name="Ada"))
            session.commit()
            author = session.get(Author, key)
            author.name = "Ada Lovelace"
            session.commit()
            self.assertEqual(session.scalars(sa.select(Author.name).where(Author.id == key)).all(), ["Ada Lovelace"])
            session.delete(author)
            session.commit()
        Base.metadata.drop_all(engine)

    def test_a25_asyncpg(self):
        async def use():
            connection = await asyncpg.connect(
                host="127.0.0.1", port=self.node.postgres_port, user="operator", database="stele"
            )
            await connection.execute("CREATE TABLE by_asyncpg (id INTEGER PRIMARY KEY, t TEXT, n NUMERIC(8,2))")
            await connection.executemany("INSERT INTO by_asyncpg (id, t) VALUES ($1, $2)", [(i, str(i)) for i in range(50)])
            await connection.copy_records_to_table("by_asyncpg", records=[(100, "x")], columns=["id", "t"])
            async with connection.transaction():
                await connection.execute("UPDATE by_asyncpg SET n = $1 WHERE id = $2", 1, 100)
            row = await connection.fetchrow("SELECT * FROM by_asyncpg WHERE id = $1", 100)
            statement = await connection.prepare("INSERT INTO by_asyncpg (id, n) VALUES ($1, $2)")
            types = [parameter.name for parameter in statement.get_parameters()]
            kind = await connection.fetchval("SELECT relkind FROM pg_class WHERE relname = $1", "by_asyncpg")
            await connection.close()
            return str(row["n"]), types, kind

        self.assertEqual(asyncio.run(use()), ("1.00", ["int4", "numeric"], b"r"))

    def test_a25_asyncpg_arrays(self):
        async def use():
            connection = await asyncpg.connect(
                host="127.0.0.1", port=self.node.postgres_port, user="operator", database="stele"
            )
            await connection.execute("CREATE TABLE of_lists (id INT PRIMARY KEY, t TEXT, n NUMERIC(8,2), d DATE)")
            await connection.execute(
                "INSERT INTO of_lists SELECT * FROM unnest($1::int[], $2::text[], $3::numeric[], $4::date[])",
                [1, 2, 3], ["a", None, "c,{}"], [Decimal("1.5"), 2, None], [datetime.date(2026, 1, 2), None, None],
            )
            by_key = await connection.fetch("SELECT id, t FROM of_lists WHERE id = ANY($1) ORDER BY id", [1, 3, 9])
            by_number = await connection.fetchval("SELECT id FROM of_lists WHERE n = ANY($1)", [Decimal("1.50")])
            by_date = await connection.fetchval("SELECT id FROM of_lists WHERE d = ANY($1)", [datetime.date(2026, 1, 2)])
            gathered = await connection.fetchrow("SELECT array_agg(id ORDER BY id), array_agg(t ORDER BY id) FROM of_lists")
            back = await connection.fetchval("SELECT $1::int[]", [1, None, 3])
            await connection.close()
            return [tuple(row) for row in by_key], by_number, by_date, tuple(gathered), back

        self.assertEqual(
            asyncio.run(use()),
            ([(1, "a"), (3, "c,{}")], 1, 1, ([1, 2, 3], ["a", None, "c,{}"]), [1, None, 3]),
        )

    def test_a25_jdbc_metadata_and_rows(self):
        folder = CLIENTS / "jdbc"
        with tempfile.TemporaryDirectory() as classes:
            self.run_client("javac", "-d", classes, "Meta.java", cwd=folder)
            url = f"jdbc:postgresql://127.0.0.1:{self.node.postgres_port}/stele?user=operator"
            said = self.run_client("java", "-cp", f"{classes}:lib/postgresql.jar", "Meta", url, cwd=folder)
        self.assertIn("bad=0", said)
        self.assertRegex(said, "(?i)column_name=region key_seq=1 pk_name=orders_pkey")

    def test_a25_node_postgres(self):
        url = f"postgres://operator@127.0.0.1:{self.node.postgres_port}/stele"
        self.assertIn("23505", self.run_client("node", "client.js", url, cwd=CLIENTS / "node"))

    def test_a25_grafana_postgresql_source(self):
        """Its driver and its statements: Grafana itself is in no registry of packages."""
        server = PostgresServer().start()
        self.addCleanup(server.stop)
        urls = [
            f"postgres://operator@127.0.0.1:{self.node.postgres_port}/stele",
            f"postgres://postgres@/postgres?host={server.home}",
        ]
        said, expected = (
            dict(line.split(": ", 1) for line in self.run_client("go", "run", "./grafana", url, cwd=CLIENTS / "pgx").splitlines())
            for url in urls
        )
        self.assertEqual(said.keys(), expected.keys())
        self.assertRegex(said.pop("tables"), r"\brides;.* geo\.points$")
        self.assertEqual(said.pop("schemas").split("; "), sorted([*expected.pop("schemas").split("; "), "stele"]))
        self.assertRegex(expected.pop("tables"), r"\brides; geo\.points$")
        self.assertEqual(said, expected)
        self.assertGreaterEqual(len(said), 12)

    def test_a25_pgx(self):
        url = f"postgres://operator@127.0.0.1:{self.node.postgres_port}/stele"
        self.assertIn("copied 2", self.run_client("go", "run", ".", url, cwd=CLIENTS / "pgx"))

    def test_a19_proofs_in_sql(self):
        connection = self.node.connect()
        self.addCleanup(connection.close)
        present, = connection.execute("SELECT stele_proof('parts', 1)").fetchone()
        absent, = connection.execute("SELECT stele_proof('public.parts', %s::bigint) AS proof", (77,)).fetchone()
        of_range, = connection.execute("SELECT stele_range_proof('orders', ARRAY['a','1'], NULL)").fetchone()
        with tempfile.TemporaryDirectory() as folder:
            for name, proof in (("present", present), ("absent", absent), ("range", of_range)):
                file = pathlib.Path(folder, name)
                file.write_text(proof)
                done = stele("verify", "--trust", self.node.directory / "trust.txt", file)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            forged = pathlib.Path(folder, "forged")
            forged.write_text(re.sub(r"[A-Za-z]", "A", present))
            self.assertNotEqual(stele("verify", "--trust", self.node.directory / "trust.txt", forged).returncode, 0)
        for sql, code in (
            ("SELECT stele_proof('nix', 1)", "42P01"),
            ("SELECT stele_proof('parts')", "42883"),
            ("SELECT stele_proof('parts', 1), 2", "42601"),
            ("SELECT stele_transaction_proof('x')", "22P02"),
        ):
            with self.subTest(sql), self.assertRaises(Exception) as caught:
                connection.execute(sql)
            self.assertEqual(caught.exception.sqlstate, code)


if __name__ == "__main__":
    unittest.main()
