"""A25: EXPLAIN through psql and drivers, in the names people know."""

import re
import unittest

from psycopg import errors

from stele_node import NodeCase

SETUP = """
CREATE TABLE parts (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL UNIQUE, price NUMERIC(10,2), kind TEXT);
CREATE TABLE orders (region VARCHAR(8), number INTEGER, part BIGINT NOT NULL, note TEXT, PRIMARY KEY (region, number));
CREATE INDEX orders_part ON orders (part, number);
CREATE INDEX "odd ""name" ON parts (kind);
CREATE VIEW sold AS SELECT name, count(*) AS n FROM parts JOIN orders ON part = id GROUP BY name;
"""
INTERNAL = re.compile(r"\b[tcrh]\d+\b|\bi\d+_|sqlite_")


class Explain(NodeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.query(SETUP)
        cls.connection = cls.node.connect()
        cls.addClassCleanup(cls.connection.close)

    def explain(self, sql, parameters=None):
        cursor = self.connection.execute(f"EXPLAIN {sql}", parameters)
        self.assertEqual([column.name for column in cursor.description], ["QUERY PLAN"])
        plan = "\n".join(line for (line,) in cursor.fetchall())
        self.assertNotRegex(plan, INTERNAL)
        return plan

    def test_a25_plans_name_tables_columns_and_indexes(self):
        for sql, pattern in {
            "SELECT * FROM orders": r"^SCAN orders$",
            "SELECT * FROM orders WHERE part = 7 AND number > 3": r"^SEARCH orders USING .*INDEX orders_part \(part=\? AND number>\?\)$",
            "SELECT * FROM orders WHERE region = 'eu' AND number = 1": r"^SEARCH orders USING PRIMARY KEY \(region=\? AND number=\?\)$",
            "SELECT name FROM parts WHERE name = 'bolt'": r"^SEARCH parts USING .*INDEX parts_name_key \(name=\?\)$",
            "SELECT * FROM parts WHERE kind = 'x'": r'^SEARCH parts USING .*INDEX odd "name \(kind=\?\)$',
            "SELECT * FROM parts p JOIN orders o ON o.part = p.id WHERE p.name = 'a'": r"SEARCH orders USING .*INDEX orders_part \(part=\?\)",
            "SELECT note FROM orders ORDER BY note": r"USE TEMP B-TREE FOR ORDER BY",
            "SELECT * FROM orders FOR SYSTEM_TIME AS OF 3": r"SCAN orders \(earlier versions\)",
            "(SELECT 1) UNION ALL SELECT 2": r"UNION ALL",
            "SELECT * FROM sold WHERE n > 1": r"orders",
            "INSERT INTO orders SELECT 'x', id, id, name FROM parts": r"^Insert on orders\n  ->  SCAN parts",
            "INSERT INTO orders VALUES ('x', 1, 1, NULL)": r"^Insert on orders",
            "UPDATE orders SET note = 'x' WHERE part = 1": r"^Update on orders\n  ->  SEARCH orders USING .*orders_part \(part=\?\)",
            "DELETE FROM parts WHERE id = 3": r"^Delete on parts\n  ->  SEARCH parts USING PRIMARY KEY \(id=\?\)",
        }.items():
            with self.subTest(sql):
                self.assertRegex(self.explain(sql), pattern)
        self.assertIn("orders_part", self.explain("SELECT * FROM orders WHERE part = %s", (5,)))
        self.assertEqual(self.node.query("EXPLAIN SELECT * FROM orders"), ["SCAN orders"])
        self.assertEqual(self.node.query("SELECT count(*) FROM orders"), ["0"])

    def test_a25_steps_are_indented_below_theirs(self):
        plan = self.explain("SELECT * FROM orders WHERE part IN (SELECT id FROM parts WHERE kind = 'x')")
        self.assertRegex(plan, r"(?m)^  ->  ")

    def test_a25_what_is_not_taken_says_what_is(self):
        for sql, pattern in {
            "EXPLAIN ANALYZE SELECT 1": "without running",
            "EXPLAIN (FORMAT JSON) SELECT 1": "Write EXPLAIN and the statement",
            "EXPLAIN (ANALYZE, BUFFERS) SELECT 1": "Write EXPLAIN and the statement",
            "EXPLAIN VERBOSE SELECT 1": "Write EXPLAIN and the statement",
            "EXPLAIN CREATE TABLE x (id INTEGER PRIMARY KEY)": "read or change rows",
        }.items():
            with self.subTest(sql), self.assertRaises(errors.FeatureNotSupported) as caught:
                self.connection.execute(sql)
            self.assertIn(pattern, caught.exception.diag.message_hint)
        for sql in ("EXPLAIN", "EXPLAIN EXPLAIN SELECT 1", "EXPLAIN nonsense"):
            with self.subTest(sql), self.assertRaises(errors.Error):
                self.connection.execute(sql)
        with self.assertRaises(errors.UndefinedTable):
            self.connection.execute("EXPLAIN SELECT * FROM nowhere")


if __name__ == "__main__":
    unittest.main()
