"""COPY FROM of more than a transaction holds: `stele.copy_batches` stores it in several."""

import unittest

from psycopg import errors

from stele_node import NodeCase

ROWS = 60_000


class CopyBatches(NodeCase):
    def setUp(self):
        super().setUp()
        self.connection = self.node.connect(autocommit=True)
        self.addCleanup(self.connection.close)
        self.table = ("c_" + self.id().rsplit(".", 1)[1])[:63]
        self.connection.execute(f"CREATE TABLE {self.table} (id BIGINT PRIMARY KEY, v TEXT CHECK (v <> 'wrong'))")

    def copy(self, rows, command="COPY {} FROM STDIN"):
        with self.connection.cursor() as cursor:
            with cursor.copy(command.format(self.table)) as copy:
                for row in rows:
                    copy.write_row(row)
            return cursor.rowcount

    def stored(self):
        return self.connection.execute(f"SELECT count(*), min(id), max(id) FROM {self.table}").fetchone()

    def transactions(self):
        return self.node.status()["transactions"]

    def test_one_transaction_unless_asked(self):
        with self.assertRaises(errors.ProgramLimitExceeded) as refused:
            self.copy((i, "as agreed") for i in range(ROWS))
        self.assertIn("stele.copy_batches", refused.exception.diag.message_hint)
        self.assertEqual(self.stored()[0], 0)

    def test_all_rows_arrive_in_order_in_several_transactions(self):
        self.connection.execute("SET stele.copy_batches = on")
        before = self.transactions()
        self.assertEqual(self.copy((i, "as agreed") for i in range(ROWS)), ROWS)
        self.assertEqual(self.stored(), (ROWS, 0, ROWS - 1))
        self.assertGreaterEqual(self.transactions() - before, 3)
        # Long values fill a batch by their bytes.
        lengths = [100_000] * 20 + [1, 900_000, 90_000, 900_000, 1, 1]
        self.assertEqual(self.copy((ROWS + i, "x" * length) for i, length in enumerate(lengths)), len(lengths))
        self.assertEqual(self.stored()[0], ROWS + len(lengths))
        with self.assertRaises(errors.ProgramLimitExceeded) as refused:
            self.copy([(-1, "x"), (-2, "x" * 1_000_000)])
        self.assertIn("A row must fit", refused.exception.diag.message_hint)

    def test_what_is_stored_when_a_row_is_refused(self):
        self.connection.execute("SET stele.copy_batches = on")
        refusals = [
            ("by the ledger", errors.CheckViolation, "wrong"),
            ("when it is read", errors.BadCopyFileFormat, None),
        ]
        for name, error, value in refusals:
            with self.subTest(name):
                self.connection.execute(f"DELETE FROM {self.table}")
                bad = [(50_000,)] if value is None else [(50_000, value)]
                rows = [(i, "as agreed") for i in range(50_000)] + bad + [(i, "late") for i in range(50_001, ROWS)]
                with self.assertRaises(error) as refused:
                    self.copy(rows)
                count, first, last = self.stored()
                self.assertTrue(20_000 < count < 50_001, count)
                self.assertEqual((first, last), (0, count - 1))
                self.assertIn(f"the first {count} rows are stored, the others are not", refused.exception.diag.message_detail)

    def test_the_client_gives_up(self):
        self.connection.execute("SET stele.copy_batches = on")

        def rows():
            for i in range(30_000):
                yield i, "as agreed"
            raise KeyError("the file ends")

        with self.assertRaises(KeyError):
            self.copy(rows())
        count, first, last = self.stored()
        self.assertTrue(0 < count <= 30_000, count)
        self.assertEqual((first, last), (0, count - 1))

    def test_not_inside_a_transaction_block(self):
        with self.connection.transaction():
            self.connection.execute("SET LOCAL stele.copy_batches = on")
            with self.assertRaises(errors.ActiveSqlTransaction) as refused, self.connection.transaction():
                self.copy([(1, "x")])
            self.assertIn("COMMIT first", refused.exception.diag.message_hint)

    def test_as_an_option_of_the_connection_and_in_binary(self):
        with self.node.connect(options="-c stele.copy_batches=on") as connection:
            with connection.cursor() as cursor, cursor.copy(f"COPY {self.table} FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["int8", "text"])
                for i in range(ROWS):
                    copy.write_row((i, "as agreed"))
        self.assertEqual(self.stored(), (ROWS, 0, ROWS - 1))


if __name__ == "__main__":
    unittest.main()
