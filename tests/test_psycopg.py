"""psycopg 3, the driver most Python programs use: transactions, prepared statements, text and binary."""

import datetime
import decimal
import threading
import unittest
import uuid

import psycopg
from psycopg import errors
from psycopg.types.json import Json

from stele_node import NodeCase, count, seeded

UTC = datetime.timezone.utc
THREADS = 100

# Column type, and values that must come back as they went in.
ROUND_TRIPS = {
    "boolean": [True, False],
    "smallint": [-32768, 0, 32767],
    "integer": [-(2**31), 0, 2**31 - 1],
    "bigint": [-(2**63), 0, 2**63 - 1],
    "numeric(38,10)": [
        decimal.Decimal("0.0000000001"),
        decimal.Decimal("-9999999999999999999999999999.9999999999"),
        decimal.Decimal("0.1"),
        decimal.Decimal("0"),
    ],
    "double precision": [0.1, -1.7976931348623157e308, 5e-324, 0.0, 1e16],
    "text": ["", "plain", "two\nlines\ttab", "Ünïcödé 漢字 🦀", "quote ' and \\ backslash", "x" * 100_000],
    "varchar(40)": ["", "x" * 40, "漢" * 40],
    "bytea": [b"", b"\x00", bytes(range(256)), b"\xff" * 10_000],
    "date": [datetime.date(1, 1, 1), datetime.date(1970, 1, 1), datetime.date(9999, 12, 31)],
    "timestamp": [datetime.datetime(1, 1, 1), datetime.datetime(2026, 2, 28, 23, 59, 59, 999999)],
    "timestamptz": [
        datetime.datetime(1970, 1, 1, tzinfo=UTC),
        datetime.datetime(2026, 7, 1, 12, 0, 0, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=8))),
    ],
    "uuid": [uuid.UUID(int=0), uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")],
    "json": [{"a": [1, 2.5, None, "x"]}, [], "text", 7, None],
}


class PsycopgCase(NodeCase):
    def setUp(self):
        super().setUp()
        self.connection = self.node.connect()
        self.addCleanup(self.connection.close)
        self.table = ("p_" + self.id().rsplit(".", 1)[1])[:63]
        self.connection.execute(f"CREATE TABLE {self.table} (id INTEGER PRIMARY KEY, v TEXT)")

    def rows(self, connection=None):
        return (connection or self.connection).execute(f"SELECT id, v FROM {self.table} ORDER BY id").fetchall()


class Types(PsycopgCase):
    def test_truncate_of_tables_that_refer_to_each_other(self):
        with self.node.connect() as connection:
            connection.execute("CREATE TABLE trunk (id INT PRIMARY KEY)")
            connection.execute("CREATE TABLE twig (id INT PRIMARY KEY, trunk INT REFERENCES trunk ON DELETE CASCADE)")
            connection.execute("CREATE TABLE leaf (id INT PRIMARY KEY, twig INT REFERENCES twig)")
            fill = "INSERT INTO trunk VALUES (1); INSERT INTO twig VALUES (1, 1); INSERT INTO leaf VALUES (1, 1)"
            rows = "SELECT (SELECT count(*) FROM trunk), (SELECT count(*) FROM twig), (SELECT count(*) FROM leaf)"
            for order in ["trunk, twig, leaf", "leaf, trunk, twig", "twig, leaf, trunk"]:
                connection.execute(fill)
                # As PostgreSQL: no action is taken, a table that refers must be named.
                with self.assertRaises(psycopg.errors.FeatureNotSupported) as caught:
                    connection.execute("TRUNCATE trunk, leaf")
                self.assertIn("twig", caught.exception.diag.message_hint)
                self.assertEqual(connection.execute(rows).fetchone(), (1, 1, 1))
                connection.execute(f"TRUNCATE {order}")
                self.assertEqual(connection.execute(rows).fetchone(), (0, 0, 0), order)
            connection.execute("ALTER TABLE trunk ADD COLUMN leaf INT REFERENCES leaf DEFERRABLE")
            connection.execute(fill + "; UPDATE trunk SET leaf = 1")
            # A ring needs constraints that wait for the end: trunk and leaf alone have one that does.
            connection.execute("ALTER TABLE leaf DROP CONSTRAINT leaf_twig_fkey")
            connection.execute("ALTER TABLE leaf ADD FOREIGN KEY (id) REFERENCES trunk DEFERRABLE")
            connection.execute("DELETE FROM twig")
            with self.assertRaises(psycopg.errors.FeatureNotSupported):
                connection.execute("TRUNCATE trunk, leaf")
            with connection.transaction():
                connection.execute("SET CONSTRAINTS ALL DEFERRED")
                connection.execute("TRUNCATE trunk, leaf")
            self.assertEqual(connection.execute(rows).fetchone(), (0, 0, 0))

    def test_every_type_comes_back_in_text_and_binary(self):
        for number, (ty, values) in enumerate(ROUND_TRIPS.items()):
            table = f"types_{number}"
            self.connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, v {ty})")
            stored = dict(enumerate([*values, None]))
            for binary in [False, True]:
                marker = "%b" if binary else "%t"
                for key, value in stored.items():
                    sent = Json(value) if ty == "json" and key < len(values) else value
                    with self.subTest(ty, value=str(value)[:40], parameters_binary=binary):
                        self.connection.execute(
                            f"INSERT INTO {table} VALUES (%s, {marker}) ON CONFLICT (id) DO UPDATE SET v = excluded.v",
                            (key, sent),
                        )
                for results_binary in [False, True]:
                    cursor = self.connection.cursor(binary=results_binary)
                    got = dict(cursor.execute(f"SELECT id, v FROM {table}").fetchall())
                    for key, value in stored.items():
                        with self.subTest(ty, value=str(value)[:40], parameters_binary=binary, results_binary=results_binary):
                            self.assertEqual(got.get(key), value)

    def test_numeric_arithmetic_is_exact(self):
        got = self.connection.execute("SELECT 0.1::numeric(20,10) + 0.2::numeric(20,10) = 0.3").fetchone()[0]
        self.assertIs(got, True)
        total = self.connection.execute("SELECT sum(x) FROM (VALUES (0.1), (0.2), (0.3)) AS t(x)").fetchone()[0]
        self.assertEqual(total, decimal.Decimal("0.6"))

    def test_keys_of_several_columns_and_types(self):
        self.connection.execute(
            "CREATE TABLE composite (a VARCHAR(20), b DATE, c NUMERIC(10,2), v INT, PRIMARY KEY (a, b, c))"
        )
        key = ("x", datetime.date(2026, 1, 2), decimal.Decimal("1.50"))
        self.connection.execute("INSERT INTO composite VALUES (%s, %s, %s, 1)", key)
        with self.assertRaises(errors.UniqueViolation):
            self.connection.execute("INSERT INTO composite VALUES (%s, %s, %s, 2)", key)
        got = self.connection.execute("SELECT v FROM composite WHERE a = %s AND b = %s AND c = %s", key).fetchone()
        self.assertEqual(got, (1,))


class Statements(PsycopgCase):
    def test_prepared_statement_is_used_again(self):
        for i in range(20):
            self.connection.execute(f"INSERT INTO {self.table} VALUES (%s, %s)", (i, f"v{i}"), prepare=True)
        got = [
            self.connection.execute(f"SELECT v FROM {self.table} WHERE id = %s", (i,), prepare=True).fetchone()[0]
            for i in range(20)
        ]
        self.assertEqual(got, [f"v{i}" for i in range(20)])

    def test_executemany_and_returning(self):
        cursor = self.connection.cursor()
        cursor.executemany(f"INSERT INTO {self.table} VALUES (%s, %s)", [(i, str(i)) for i in range(100)])
        self.assertEqual(len(self.rows()), 100)
        cursor.executemany(
            f"UPDATE {self.table} SET v = v || '!' WHERE id = %s RETURNING v", [(1,), (2,)], returning=True
        )
        first = cursor.fetchone()
        self.assertTrue(cursor.nextset())
        self.assertEqual((first, cursor.fetchone()), (("1!",), ("2!",)))

    def test_pipeline(self):
        with self.connection.pipeline():
            cursors = [
                self.connection.execute(f"INSERT INTO {self.table} VALUES (%s, 'p') RETURNING id", (i,)) for i in range(50)
            ]
        self.assertEqual([c.fetchone()[0] for c in cursors], list(range(50)))

    def test_pipeline_error_skips_what_follows_it_until_sync(self):
        with self.assertRaises(errors.UniqueViolation):
            with self.connection.pipeline() as pipeline:
                self.connection.execute(f"INSERT INTO {self.table} VALUES (1, 'a')")
                pipeline.sync()
                self.connection.execute(f"INSERT INTO {self.table} VALUES (1, 'b')")
                pipeline.sync()
        self.assertEqual(self.rows(), [(1, "a")])

    def test_server_side_cursor(self):
        self.connection.cursor().executemany(f"INSERT INTO {self.table} VALUES (%s, 'c')", [(i,) for i in range(100)])
        with self.node.connect(autocommit=False) as connection:
            with connection.cursor(name="walk") as cursor:
                cursor.itersize = 7
                cursor.execute(f"SELECT id FROM {self.table} ORDER BY id")
                self.assertEqual(cursor.fetchmany(3), [(0,), (1,), (2,)])
                self.assertEqual([row[0] for row in cursor], list(range(3, 100)))

    def test_many_rows_stream(self):
        rows = 5_000
        values = ",".join(f"({i},'{i}')" for i in range(rows))
        self.connection.execute(f"INSERT INTO {self.table} VALUES {values}")
        streamed = self.connection.cursor().stream(f"SELECT id FROM {self.table} ORDER BY id")
        self.assertEqual([row[0] for row in streamed], list(range(rows)))

    def test_description(self):
        cursor = self.connection.execute(f"SELECT id, v, id + 1.5 AS more FROM {self.table}")
        self.assertEqual([column.name for column in cursor.description], ["id", "v", "more"])
        self.assertEqual([column.type_code for column in cursor.description], [23, 25, 1700])


class Transactions(PsycopgCase):
    def test_commit_and_rollback(self):
        with self.node.connect(autocommit=False) as connection:
            connection.execute(f"INSERT INTO {self.table} VALUES (1, 'a')")
            self.assertEqual(self.rows(connection), [(1, "a")])
            self.assertEqual(self.rows(), [], "others do not see an open transaction")
            connection.rollback()
            self.assertEqual(self.rows(connection), [])
            connection.execute(f"INSERT INTO {self.table} VALUES (2, 'b')")
            connection.commit()
        self.assertEqual(self.rows(), [(2, "b")])

    def test_transaction_block_undoes_on_exception(self):
        with self.assertRaises(ZeroDivisionError):
            with self.connection.transaction():
                self.connection.execute(f"INSERT INTO {self.table} VALUES (1, 'a')")
                1 / 0
        self.assertEqual(self.rows(), [])

    def test_a6_two_tables_all_or_nothing(self):
        self.connection.execute("CREATE TABLE other (id INT PRIMARY KEY, n INT CHECK (n < 10))")
        with self.assertRaises(errors.CheckViolation):
            with self.connection.transaction():
                self.connection.execute(f"INSERT INTO {self.table} VALUES (1, 'a')")
                self.connection.execute("INSERT INTO other VALUES (1, 10)")
        self.assertEqual(self.rows(), [])
        self.assertEqual(self.connection.execute("SELECT count(*) FROM other").fetchone(), (0,))

    def test_what_a_transaction_showed_is_what_it_stored(self):
        self.connection.execute(
            "CREATE TABLE made (n INT PRIMARY KEY, id UUID DEFAULT gen_random_uuid(), at TIMESTAMPTZ DEFAULT now())"
        )
        with self.connection.transaction():
            shown = self.connection.execute("INSERT INTO made (n) VALUES (1) RETURNING n, id, at").fetchone()
        self.assertEqual(self.connection.execute("SELECT * FROM made").fetchone(), shown)

    def race(self, step):
        """8 sessions run `step` in transactions of their own, 10 times each; gives how many COMMITs succeeded."""
        done, lock = [0], threading.Lock()

        def add():
            with self.node.connect(autocommit=False) as connection:
                for _ in range(10):
                    try:
                        step(connection)
                        connection.commit()
                        with lock:
                            done[0] += 1
                    except errors.SerializationFailure:
                        connection.rollback()

        run_threads([add] * 8)
        self.assertGreater(done[0], 0)
        return done[0]

    def test_racing_updates_are_all_counted(self):
        self.connection.execute("CREATE TABLE counter (id INT PRIMARY KEY, n INT)")
        self.connection.execute("INSERT INTO counter VALUES (1, 0)")
        committed = self.race(lambda c: c.execute("UPDATE counter SET n = n + 1 WHERE id = 1"))
        self.assertEqual(self.connection.execute("SELECT n FROM counter").fetchone(), (committed,))

    def test_a6_a_commit_fails_if_what_the_transaction_read_has_changed(self):
        self.connection.execute(f"INSERT INTO {self.table} VALUES (1, '0')")

        def read_then_write(connection):
            value = connection.execute(f"SELECT v FROM {self.table} WHERE id = 1").fetchone()[0]
            connection.execute(f"UPDATE {self.table} SET v = %s WHERE id = 1", (str(int(value) + 1),))

        committed = self.race(read_then_write)
        self.assertEqual(self.rows(), [(1, str(committed))])

    def test_errors_have_their_classes(self):
        self.connection.execute(
            "CREATE TABLE strict (id INT PRIMARY KEY, n INT NOT NULL CHECK (n > 0), u TEXT UNIQUE)"
        )
        self.connection.execute("INSERT INTO strict VALUES (1, 1, 'u')")
        for sql, error in [
            ("INSERT INTO strict VALUES (1, 1, 'other')", errors.UniqueViolation),
            ("INSERT INTO strict VALUES (2, 1, 'u')", errors.UniqueViolation),
            ("INSERT INTO strict VALUES (2, NULL, 'b')", errors.NotNullViolation),
            ("INSERT INTO strict VALUES (2, 0, 'b')", errors.CheckViolation),
            ("INSERT INTO strict VALUES (3000000000, 1, 'b')", errors.NumericValueOutOfRange),
            ("INSERT INTO strict VALUES ('x', 1, 'b')", errors.InvalidTextRepresentation),
            ("SELECT * FROM nowhere", errors.UndefinedTable),
            ("SELECT nothing FROM strict", errors.UndefinedColumn),
            ("SELECT nofunction(1)", errors.UndefinedFunction),
            ("SELECT 1/0", errors.DivisionByZero),
            ("SELEKT 1", errors.SyntaxError),
            ("CREATE TABLE strict (id INT PRIMARY KEY)", errors.DuplicateTable),
            ("COPY strict FROM PROGRAM 'cat'", errors.FeatureNotSupported),
        ]:
            with self.subTest(sql):
                with self.assertRaises(error):
                    self.connection.execute(sql)
        with self.assertRaises(errors.UniqueViolation) as raised:
            self.connection.execute("INSERT INTO strict VALUES (1, 1, 'other')")
        self.assertEqual(raised.exception.diag.constraint_name, "strict_pkey")
        self.assertEqual(self.connection.execute("SELECT * FROM strict").fetchall(), [(1, 1, "u")])


class Concurrency(PsycopgCase):
    def test_a21_many_threads_one_key(self):
        each = count(10, 100)
        acknowledged, lock = set(), threading.Lock()

        def write(thread):
            with self.node.connect() as connection:
                for i in range(each):
                    key = thread * each + i
                    connection.execute(f"INSERT INTO {self.table} VALUES (%s, 'w')", (key,))
                    with lock:
                        acknowledged.add(key)

        run_threads([lambda thread=thread: write(thread) for thread in range(THREADS)])
        self.assertEqual(len(acknowledged), THREADS * each)
        self.assertEqual({row[0] for row in self.rows()}, acknowledged)

    def test_a11_read_your_writes(self):
        with self.node.connect() as writer, self.node.connect() as reader:
            for i in range(count(100, 2_000)):
                writer.execute(f"INSERT INTO {self.table} VALUES (%s, 'r')", (i,))
                got = reader.execute(f"SELECT v FROM {self.table} WHERE id = %s", (i,)).fetchone()
                self.assertEqual(got, ("r",), f"write {i} was acknowledged")

    def test_random_writes_equal_a_dictionary(self):
        random, model = seeded("random_writes_equal_a_dictionary"), {}
        for _ in range(count(300, 10_000)):
            key, value = random.randrange(40), str(random.random())
            match random.randrange(4):
                case 0:
                    sql = f"INSERT INTO {self.table} VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET v = excluded.v"
                    self.connection.execute(sql, (key, value))
                    model[key] = value
                case 1:
                    done = self.connection.execute(f"UPDATE {self.table} SET v = %s WHERE id = %s", (value, key))
                    self.assertEqual(done.rowcount, int(key in model))
                    if key in model:
                        model[key] = value
                case 2:
                    done = self.connection.execute(f"DELETE FROM {self.table} WHERE id = %s", (key,))
                    self.assertEqual(done.rowcount, int(key in model))
                    model.pop(key, None)
                case 3:
                    try:
                        self.connection.execute(f"INSERT INTO {self.table} VALUES (%s, %s)", (key, value))
                        self.assertNotIn(key, model)
                        model[key] = value
                    except errors.UniqueViolation:
                        self.assertIn(key, model)
        self.assertEqual(self.rows(), sorted(model.items()))

    def test_connections_beyond_the_bound_are_refused(self):
        opened = []
        try:
            with self.assertRaisesRegex(psycopg.OperationalError, "too many|53300|connections"):
                for _ in range(400):
                    opened.append(self.node.connect())
        finally:
            for connection in opened:
                connection.close()
        self.assertGreater(len(opened), 200)
        self.node.until(lambda: not self.node.psql("SELECT 1").stderr, what="a free connection")


def run_threads(jobs):
    """Runs all at once; the first failure of any is raised here."""
    failures = []

    def guarded(job):
        try:
            job()
        except BaseException as failure:  # noqa: BLE001 - raised again below
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    unittest.main()
