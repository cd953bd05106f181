"""Replicas in SQLite, PostgreSQL and MariaDB: equal to the ledger, checked, mended (rows A2, A14).

A node mirrors its tables into real databases. Equal means twice: the audit's roots are those the validators
signed, and other clients (sqlite3, psycopg, mariadb) read the values the ledger gives.
"""

import threading
import time
import unittest

from replica_targets import KINDS, SERVERS, LedgerWriter, ReplicaCase, Replicas
from stele_node import count, seeded

ROUNDS = count(10, 400)
TRANSACTIONS = 12


def setUpModule():
    SERVERS.start()


class Mirrored(ReplicaCase):
    def test_a2_random_ddl_and_dml_arrive_in_all_three(self):
        random = seeded("replicas", 20)
        databases = self.three()
        writer = LedgerWriter(random, self.ledger)
        rows = 0
        for round_number in range(ROUNDS):
            writer.transactions(TRANSACTIONS)
            self.replicas.wait(*databases)
            self.replicas.clean(*databases)
            last = round_number == ROUNDS - 1
            for table in writer.tables if last else random.sample(writer.tables, min(2, len(writer.tables))):
                rows += self.equal(databases, table.full, table.read())
        print(f"replicas: {writer.taken} transactions, {len(writer.refused)} refused, {rows} rows compared", flush=True)
        self.assertGreater(writer.taken, len(writer.refused), writer.refused[:5])
        self.assertGreater(rows, ROUNDS, "hardly a row was compared: the test shows little")

    def test_a2_numeric_keys_come_in_the_order_of_their_values(self):
        databases = self.three()
        self.ledger.query("CREATE TABLE wide (k NUMERIC(38,10) PRIMARY KEY, v INT)")
        self.ledger.query("CREATE TABLE deep (k NUMERIC(38,30), m NUMERIC(38,0), PRIMARY KEY (m, k))")
        keys = ["0", "1", "2", "-1", "99999999", "100000000", "-100000000", "-99999999.5", "9" * 28 + ".9999999999"]
        self.ledger.query("INSERT INTO wide VALUES " + ", ".join(f"({key}, 1)" for key in keys))
        most = "9" * 38
        self.ledger.query(f"INSERT INTO deep VALUES (0, {most}), (0.5, -{most}), (-99999999, 5), (99999999, 5), (0, -1)")
        self.replicas.wait(*databases)
        self.replicas.clean(*databases)
        self.assertEqual(self.equal(databases, "public.wide", [("k", "numeric"), ("v", "integer")]), len(keys))
        self.equal(databases, "public.deep", [("k", "numeric"), ("m", "numeric")])

    def test_a2_defaults_of_new_columns_stand_in_rows_there_were(self):
        databases = self.three()
        self.ledger.query("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
        defaults = {
            "quote": ("text", "text", "''''"),
            "control": ("text", "text", "E'\\n\\t\\x01'"),
            "far": ("varchar(20)", "varchar", "'ä 日本 😀'"),
            "slash": ("text", "text", "'\\ \\n \\\\'"),
            "empty": ("varchar(3)", "varchar", "''"),
            "blanks": ("text", "text", "'  a  '"),
            "doc": ("json", "json", """'{"a": "\\\\ '' ä"}'"""),
            "raw": ("bytea", "bytea", "'\\x00ff0a275c'"),
            "day": ("date", "date", "'0001-01-01'"),
            "at": ("timestamptz", "timestamptz", "'9999-12-31 23:59:59.999999+00'"),
            "least": ("bigint", "bigint", "'-9223372036854775807'"),
            "small": ("double precision", "double precision", "'5e-324'"),
            "most": ("numeric(38,30)", "numeric", "-99999999.999999999999999999999999999999"),
            "who": ("uuid", "uuid", "'00ff0a27-5c00-0000-0000-000000000000'"),
            "yes": ("boolean", "boolean", "true"),
        }
        for name, (sql_type, _, default) in defaults.items():
            self.ledger.query(f'ALTER TABLE t ADD COLUMN "{name}" {sql_type} DEFAULT {default}')
        self.ledger.query("INSERT INTO t (id) VALUES (3); ALTER TABLE t RENAME COLUMN far TO near")
        columns = [("near" if name == "far" else name, kind) for name, (_, kind, _) in defaults.items()]
        self.replicas.wait(*databases)
        self.replicas.clean(*databases)
        self.equal(databases, "public.t", [("id", "integer"), *columns])

    def test_a2_shapes_and_rows_change_in_one_block(self):
        databases, node = self.three(), self.ledger
        node.query("CREATE TABLE t (c TEXT, k INT PRIMARY KEY, d TEXT)")
        node.query("INSERT INTO t SELECT 'x' || n, n, 'y' FROM generate_series(1, 9) AS g(n)")
        for block in [
            "UPDATE t SET d = 'z' WHERE k = 2; ALTER TABLE t DROP COLUMN d; UPDATE t SET c = 'z' WHERE k = 2",
            "ALTER TABLE t ADD COLUMN a TEXT DEFAULT 'new'; UPDATE t SET a = 'other' WHERE k = 3; DELETE FROM t WHERE k = 4",
            "ALTER TABLE t ADD COLUMN b INT; UPDATE t SET b = k; ALTER TABLE t RENAME COLUMN b TO g; DELETE FROM t WHERE g = 5",
            "ALTER TABLE t RENAME COLUMN a TO x; ALTER TABLE t RENAME COLUMN c TO a; ALTER TABLE t RENAME COLUMN x TO c",
            "ALTER TABLE t ALTER COLUMN g TYPE BIGINT; UPDATE t SET g = 9223372036854775807 WHERE k > 7",
            "DELETE FROM t; ALTER TABLE t ADD COLUMN e INT; INSERT INTO t (k, e) VALUES (1, 1), (2, 2)",
            "UPDATE t SET k = k + 10; ALTER TABLE t RENAME TO u; UPDATE u SET k = k + 10; CREATE TABLE t (k INT)",
            "DROP TABLE t; ALTER TABLE u RENAME TO t; INSERT INTO t (k) VALUES (7); CREATE TABLE u (k INT); DROP TABLE u",
        ]:
            with self.subTest(block):
                node.query(f"BEGIN; {block}; COMMIT")
                self.replicas.wait(*databases)
                self.replicas.clean(*databases)
        self.equal(databases, "public.t", [("k", "integer"), ("a", "text"), ("c", "text"), ("g", "bigint")])

    def test_a2_a_column_before_the_key_goes_and_rows_go_in_one_block(self):
        databases = self.three()
        self.ledger.query("CREATE TABLE t (c TEXT, k INT PRIMARY KEY); INSERT INTO t VALUES ('x', 1), ('y', 2), ('z', 3)")
        self.ledger.query("BEGIN; ALTER TABLE t DROP COLUMN c; DELETE FROM t WHERE k = 1; COMMIT")
        self.replicas.wait(*databases)
        self.replicas.clean(*databases)
        self.equal(databases, "public.t", [("k", "integer")])

    def test_a2_rows_trade_keys(self):
        """A key that goes from one row to another in one statement is no foreign row."""
        databases = self.three()
        self.ledger.query("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)); CREATE UNIQUE INDEX ON t (v)")
        self.ledger.query("INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 300) AS g(n)")
        self.ledger.query("BEGIN; UPDATE t SET id = -id; UPDATE t SET id = 301 + id; COMMIT")
        self.ledger.query("BEGIN; UPDATE t SET id = -id WHERE id > 99; UPDATE t SET id = 1 - id WHERE id < 0; COMMIT")
        self.ledger.query("BEGIN; UPDATE t SET v = v || 'x' WHERE id < 5; UPDATE t SET id = -id WHERE id < 9; COMMIT")
        self.replicas.wait(*databases)
        self.replicas.clean(*databases)
        self.assertEqual(self.equal(databases, "public.t", [("id", "integer"), ("v", "varchar")]), 300)


class Chosen(ReplicaCase):
    """Some tables, other names, late beginnings, rest and removal (row A14)."""

    ORDERS = [("id", "integer"), ("v", "text")]

    def setUp(self):
        super().setUp()
        self.ledger.query(
            """CREATE SCHEMA sales; CREATE SCHEMA "salesX"; CREATE TABLE orders (id INT PRIMARY KEY, v TEXT);
            CREATE TABLE sales.orders (id INT PRIMARY KEY, v TEXT); CREATE TABLE sales.lines (id INT PRIMARY KEY, v TEXT);
            CREATE TABLE "salesX".lines (id INT PRIMARY KEY, v TEXT); CREATE TABLE notes (id INT PRIMARY KEY, v TEXT);"""
        )
        for table in ("orders", "sales.orders", "sales.lines", '"salesX".lines', "notes"):
            self.ledger.query(f"INSERT INTO {table} SELECT n, 'v' || n FROM generate_series(1, 50) AS g(n)")

    def kept(self, name):
        return {table for table, _ in self.replicas.status(name)["tables"]}

    def test_a14_some_tables_follow_a_selection(self):
        chosen = ["--table", "orders", "--table", "sales.*"]
        databases = {kind: self.database(kind) for kind in KINDS}
        for name, database in databases.items():
            self.replicas.add(name, database.target, *chosen)
        self.ledger.query("CREATE TABLE sales.late (id INT PRIMARY KEY, v TEXT); CREATE TABLE other (id INT PRIMARY KEY)")
        self.ledger.query("INSERT INTO sales.late VALUES (1, 'x'); INSERT INTO other VALUES (1); UPDATE notes SET v = ''")
        self.ledger.query("ALTER TABLE sales.lines RENAME TO rows; ALTER TABLE notes RENAME TO remarks")
        self.replicas.wait(*databases)
        tables = {"public.orders", "sales.orders", "sales.rows", "sales.late"}
        for name, database in databases.items():
            self.assertEqual(self.kept(name), tables, name)
            self.assertEqual(set(self.replicas.clean(name)), tables, name)
            names = {"orders", "sales_orders", "sales_rows", "sales_late", "stele_cursor", "stele_tables"}
            self.assertEqual(database.tables(), names)
        for table in tables:
            self.equal(databases, table, self.ORDERS)

    def test_a14_a_kept_table_stays_kept_under_another_name_and_a_new_one_comes(self):
        databases = {kind: self.database(kind) for kind in KINDS}
        for name, database in databases.items():
            self.replicas.add(name, database.target, "--table", "orders")
        self.ledger.query("ALTER TABLE orders RENAME TO old; ALTER TABLE notes RENAME TO orders; UPDATE old SET v = 'old'")
        self.ledger.query("UPDATE orders SET v = 'new' WHERE id < 9; DELETE FROM orders WHERE id = 10")
        self.replicas.wait(*databases)
        for name in databases:
            self.ledger.until(lambda: self.kept(name) == {"public.old", "public.orders"}, what=f"both tables in {name}")
        self.replicas.wait(*databases)
        self.replicas.clean(*databases)
        self.equal(databases, "public.old", self.ORDERS)
        self.equal(databases, "public.orders", self.ORDERS)

    def test_a14_other_names(self):
        databases = {kind: self.database(kind) for kind in KINDS}
        maps = ["--map", "public.orders=ledger_orders", "--map", "sales.lines=Line Items"]
        for name, database in databases.items():
            self.replicas.add(name, database.target, *maps)
        self.ledger.query("UPDATE orders SET v = 'x' WHERE id = 1; ALTER TABLE orders ADD COLUMN n INT DEFAULT 3")
        self.replicas.wait(*databases)
        self.replicas.clean(*databases)
        for name, database in databases.items():
            own, lines = ("public.", "sales.") if name == "postgres" else ("", "")
            named = dict(self.replicas.status(name)["tables"])
            self.assertEqual(named["public.orders"], own + "ledger_orders")
            self.assertEqual(named["sales.lines"], lines + "Line Items")
            self.assertIn("ledger_orders", database.tables())
            self.assertNotIn("orders", database.tables())
        # Its name here is chosen for good, that of the others follows.
        self.ledger.query("ALTER TABLE notes RENAME TO remarks")
        self.replicas.wait(*databases)
        self.replicas.clean(*databases)
        self.equal(databases, "public.remarks", self.ORDERS)

    def test_a14_one_added_late_has_the_roots_of_an_old_one(self):
        old = self.three()
        self.ledger.query("INSERT INTO orders SELECT n, 'w' FROM generate_series(100, 20000) AS g(n)")
        self.ledger.query("ALTER TABLE orders ADD COLUMN n NUMERIC(9,3) DEFAULT 1.5; DELETE FROM orders WHERE id % 7 = 0")
        stop = threading.Event()

        def write():
            number = 100_000
            with self.ledger.connect() as connection:
                while not stop.is_set():
                    connection.execute("INSERT INTO orders VALUES (%s, 'live')", (number,))
                    connection.execute("UPDATE orders SET v = 'live' WHERE id = %s", (number % 20_000,))
                    number += 1

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        late = {f"late-{kind}": self.database(kind) for kind in KINDS}
        for name, database in late.items():
            self.replicas.add(name, database.target)
            self.replicas.audit(name)
        stop.set()
        writer.join(30)
        self.replicas.wait(*old, *late)
        roots = [self.replicas.clean(name) for name in [*old, *late]]
        self.assertEqual(roots, [roots[0]] * 6)
        self.equal({**old, **late}, "public.orders", [*self.ORDERS, ("n", "numeric")])

    def test_a14_rest_while_the_ledger_is_written(self):
        databases = self.three()
        for name in databases:
            self.replicas.done("pause", name)
        heights = {name: self.replicas.status(name)["height"] for name in databases}
        before = {name: database.dump("public.orders", self.ORDERS) for name, database in databases.items()}
        self.ledger.query("UPDATE orders SET v = 'x'; ALTER TABLE notes ADD COLUMN n INT; DROP TABLE sales.lines")
        self.ledger.query("CREATE TABLE sales.lines (id VARCHAR(9) PRIMARY KEY)")
        self.assertEqual(self.ledger.stop(), 0)
        self.ledger.start()
        time.sleep(0.5)
        for name, database in databases.items():
            status = self.replicas.status(name)
            self.assertEqual((status["phase"], status["height"]), ("paused", heights[name]))
            self.assertEqual(database.dump("public.orders", self.ORDERS), before[name])
            # What is there is as it was signed then.
            code, report = self.replicas.audit(name)
            self.assertEqual((code, report["height"]), (0, heights[name]), report)
        for name in databases:
            self.replicas.done("resume", name)
        self.replicas.wait(*databases)
        self.replicas.clean(*databases)
        self.equal(databases, "public.orders", self.ORDERS)

    def test_a14_removal_with_and_without_tables(self):
        for name, database in self.three().items():
            with self.subTest(name):
                before = database.dump("public.orders", self.ORDERS)
                self.replicas.done("remove", name)
                self.ledger.query("UPDATE orders SET v = v || '!'")
                self.assertEqual(database.dump("public.orders", self.ORDERS), before)
                self.assertEqual(database.tables() & {"stele_cursor", "stele_tables"}, set())
                # Its tables are now somebody's own: nothing is written into them.
                again = self.replicas.tried("add", name, "--to", database.target)
                self.assertEqual(again.returncode, 1)
                status = self.replicas.waits_for(name, "drift")
                self.assertIn("orders", status["reason"])
                self.assertEqual(database.dump("public.orders", self.ORDERS), before)
                self.replicas.done("remove", name, "--drop-tables")
                self.assertIn("orders", database.tables(), "a table that is not the replica's was dropped")
                for table in sorted(database.tables()):
                    schema, _, bare = table.rpartition("_") if table.startswith("sales") else ("public", "", table)
                    database.run(f"DROP TABLE {database.name(f'{schema}.{bare}')}")
                self.replicas.add(name, database.target)
                self.replicas.wait(name)
                self.replicas.clean(name)
                self.replicas.done("remove", name, "--drop-tables")
                self.assertEqual(database.tables(), set())

    def test_a14_refill(self):
        databases = self.three()
        for name, database in databases.items():
            database.run(f"DELETE FROM {database.name('public.orders')}")
            self.replicas.done("refill", name, "--table", "orders")
            self.assertNotEqual(self.replicas.tried("refill", name, "--table", "nothing").returncode, 0)
        self.replicas.wait(*databases)
        self.replicas.clean(*databases)
        self.equal(databases, "public.orders", self.ORDERS)

    def test_a14_two_ledgers_in_one_database(self):
        """A second ledger is another source: it has a cursor of its own, and its names must be free."""
        other = self.node("other")
        other.start()
        other.query("CREATE TABLE theirs (id INT PRIMARY KEY, v TEXT); INSERT INTO theirs VALUES (1, 'x')")
        others = Replicas(self, other)
        for name, database in self.three().items():
            others.add(name, database.target)
            others.wait(name)
            self.assertEqual(set(others.clean(name)), {"public.theirs"})
            self.replicas.clean(name)
            others.done("remove", name, "--drop-tables")
            self.ledger.query(f"INSERT INTO notes VALUES ({100 + len(name)}, 'x')")
            self.replicas.wait(name)
            self.replicas.clean(name)


if __name__ == "__main__":
    unittest.main()
