"""A16: a session that reads the past. `SET stele.as_of` turns every read of the session into one
`FOR SYSTEM_TIME AS OF`; writes are refused meanwhile."""

import datetime
import time
import unittest

from psycopg import errors

from stele_node import NodeCase


class AsOf(NodeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connection = cls.node.connect()
        cls.addClassCleanup(cls.connection.close)
        cls.execute = cls.connection.execute
        cls.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
        cls.execute("CREATE TABLE tags (note INTEGER PRIMARY KEY, tag TEXT)")
        cls.execute("CREATE VIEW tagged AS SELECT id, body, tag FROM notes JOIN tags ON note = id")
        cls.execute("INSERT INTO notes VALUES (1, 'first')")
        cls.execute("INSERT INTO tags VALUES (1, 'red')")
        cls.early = cls.node.json("/v1/status")["height"]
        time.sleep(0.01)
        cls.moment = datetime.datetime.now(datetime.UTC)
        time.sleep(0.01)
        cls.execute("UPDATE notes SET body = 'second' WHERE id = 1")
        cls.execute("UPDATE tags SET tag = 'blue'")
        cls.execute("INSERT INTO notes VALUES (2, 'new')")

    def setUp(self):
        super().setUp()
        self.execute("ROLLBACK")
        self.execute("RESET stele.as_of")

    def rows(self, sql, *parameters):
        return self.execute(sql, *parameters).fetchall()

    def set(self, moment):
        self.execute(f"SET stele.as_of = '{moment}'")

    def test_a16_every_read_is_of_then(self):
        reads = {
            "SELECT * FROM notes ORDER BY id": [(1, "first")],
            "SELECT count(*) FROM public.notes AS n": [(1,)],
            "SELECT body, tag FROM tagged": [("first", "red")],
            "SELECT (SELECT body FROM notes WHERE id = t.note) FROM tags t": [("first",)],
            "WITH w AS (SELECT body FROM notes) SELECT w.body FROM w": [("first",)],
            "TABLE notes": [(1, "first")],
            "SELECT body FROM notes UNION ALL SELECT tag FROM tags ORDER BY 1": [("first",), ("red",)],
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM notes WHERE id = 2)": [],
        }
        newest = {sql: self.rows(sql) for sql in reads}
        zone = datetime.timezone(datetime.timedelta(hours=9))
        for moment in (self.early, self.moment.isoformat(), self.moment.astimezone(zone).isoformat()):
            self.set(moment)
            for sql, expected in reads.items():
                with self.subTest(moment=moment, sql=sql):
                    self.assertEqual(self.rows(sql), expected)
                    self.assertNotEqual(self.rows(sql), newest[sql])
            self.assertEqual(self.rows("SHOW stele.as_of"), [(str(moment),)])
            self.assertEqual(self.rows("SELECT body FROM notes WHERE id = %s", (1,)), [("first",)])
        # What names its own moment keeps it.
        self.assertEqual(self.rows(f"SELECT count(*) FROM notes FOR SYSTEM_TIME AS OF {self.early + 3}"), [(2,)])
        self.execute("RESET stele.as_of")
        self.assertEqual({sql: self.rows(sql) for sql in reads}, newest)

    def test_a16_it_is_what_for_system_time_gives(self):
        tip = self.node.json("/v1/status")["height"]
        for height in range(2, tip + 1):
            one = self.rows(f"SELECT * FROM notes FOR SYSTEM_TIME AS OF {height} ORDER BY id")
            self.set(height)
            self.assertEqual(self.rows("SELECT * FROM notes ORDER BY id"), one, height)
            self.execute("RESET stele.as_of")

    def test_a16_writes_are_refused(self):
        self.set(self.early)
        for sql in (
            "INSERT INTO notes VALUES (3, 'x')",
            "INSERT INTO notes SELECT 4, body FROM notes",
            "UPDATE notes SET body = 'x'",
            "DELETE FROM notes WHERE id IN (SELECT note FROM tags)",
            "CREATE TABLE more (id INTEGER PRIMARY KEY)",
            "TRUNCATE notes",
            "COPY notes FROM STDIN",
        ):
            with self.subTest(sql), self.assertRaises(errors.ReadOnlySqlTransaction) as caught:
                if sql.startswith("COPY"):
                    with self.connection.cursor().copy(sql):
                        pass
                else:
                    self.execute(sql)
            self.assertIn("stele.as_of", caught.exception.diag.message_primary)
        self.execute("RESET stele.as_of")
        self.assertEqual(self.rows("SELECT count(*) FROM notes"), [(2,)])

    def test_a16_in_transactions(self):
        self.execute("BEGIN")
        self.execute("UPDATE notes SET body = 'mine' WHERE id = 2")
        self.execute(f"SET LOCAL stele.as_of = '{self.early}'")
        self.assertEqual(self.rows("SELECT * FROM notes"), [(1, "first")])
        self.execute("RESET stele.as_of")
        self.assertEqual(self.rows("SELECT body FROM notes WHERE id = 2"), [("mine",)])
        self.execute(f"SET LOCAL stele.as_of = '{self.early}'")
        self.execute("ROLLBACK")
        self.assertEqual(self.rows("SELECT count(*) FROM notes"), [(2,)])
        # A cursor keeps what it read.
        self.execute("BEGIN")
        self.execute(f"SET stele.as_of = '{self.early}'")
        self.execute("DECLARE then CURSOR FOR SELECT body FROM notes")
        self.execute("RESET stele.as_of")
        self.assertEqual(self.rows("FETCH ALL FROM then"), [("first",)])
        self.execute("COMMIT")

    def test_a16_prepared_statements_follow_the_setting(self):
        self.execute("PREPARE p AS SELECT body FROM notes WHERE id = $1")
        self.assertEqual(self.rows("EXECUTE p (1)"), [("second",)])
        self.set(self.early)
        self.assertEqual(self.rows("EXECUTE p (1)"), [("first",)])
        self.execute("RESET stele.as_of")
        self.assertEqual(self.rows("EXECUTE p (1)"), [("second",)])
        self.execute("DEALLOCATE p")

    def test_a16_a_connection_can_begin_in_the_past(self):
        with self.node.connect(options=f"-c stele.as_of={self.early}") as connection:
            self.assertEqual(connection.execute("SELECT body FROM notes").fetchall(), [("first",)])

    def test_a16_what_is_no_moment_is_refused(self):
        for moment in ("yesterday", "-1", "12.5", "2026-13-01", "1; DROP TABLE notes", "2026-01-01' OR '1"):
            with self.subTest(moment), self.assertRaises(errors.InvalidParameterValue) as caught:
                self.set(moment.replace("'", "''"))
            self.assertIn("height", caught.exception.diag.message_hint)
        self.set(self.node.json("/v1/status")["height"] + 1_000)
        with self.assertRaises(errors.Error):
            self.rows("SELECT * FROM notes")


if __name__ == "__main__":
    unittest.main()
