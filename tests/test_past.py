"""The past in SQL: tables AS OF a height or time, who changed what, the difference between two heights."""

import datetime
import random
import unittest

from psycopg import errors

from stele_node import NodeCase, count, seeded

STEPS = count(150, 3000)
PLACES = count(40, 400)


class Past(NodeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connection = cls.node.connect()
        cls.addClassCleanup(cls.connection.close)
        cls.random = seeded("past")
        run = cls.connection.execute
        run("CREATE TABLE notes (region VARCHAR(4), id INTEGER, body TEXT, amount NUMERIC(10,2), PRIMARY KEY (region, id))")
        run("CREATE TABLE other (id INTEGER PRIMARY KEY)")
        cls.states, cls.changes, rows = {0: {}, cls.height(): {}}, [], {}
        for _ in range(STEPS):
            before = dict(rows)
            cls.step(rows)
            height = cls.height()
            cls.states[height] = dict(rows)
            for key in before.keys() | rows.keys():
                old, new = before.get(key), rows.get(key)
                if old != new:
                    operation = "INSERT" if old is None else "DELETE" if new is None else "UPDATE"
                    cls.changes.append((height, operation, *key, *(old or (None, None)), *(new or (None, None))))
        cls.first, cls.last = sorted(cls.states)[1], max(cls.states)

    @classmethod
    def height(cls):
        return cls.node.json("/v1/status")["height"]

    @classmethod
    def step(cls, rows):
        run, chance = cls.connection.execute, cls.random
        key = (chance.choice(["eu", "us"]), chance.randrange(12))
        value = (chance.choice(["a", "b", None]), chance.randrange(1000))
        kind = chance.randrange(6)
        if kind == 0:
            run("DELETE FROM notes WHERE region = %s AND id = %s", key)
            rows.pop(key, None)
        elif kind == 1:
            run("UPDATE notes SET amount = amount + 1 WHERE region = %s", (key[0],))
            rows.update({k: (body, amount + 1) for k, (body, amount) in rows.items() if k[0] == key[0]})
        elif kind == 2:
            # Several changes of a row in one transaction are one change.
            with cls.connection.transaction():
                run("DELETE FROM notes WHERE region = %s AND id = %s", key)
                run("INSERT INTO notes VALUES (%s, %s, 'x', 1)", key)
                run("UPDATE notes SET body = %s, amount = %s WHERE region = %s AND id = %s", (*value, *key))
            rows[key] = value
        elif kind == 3:
            run("INSERT INTO other SELECT coalesce(max(id), 0) + 1 FROM other")
        else:
            run("INSERT INTO notes VALUES (%s, %s, %s, %s) ON CONFLICT (region, id) "
                "DO UPDATE SET body = excluded.body, amount = excluded.amount", (*key, *value))
            rows[key] = value

    def rows(self, source, *parameters):
        got = self.connection.execute(f"SELECT region, id, body, amount FROM {source}", parameters).fetchall()
        return {(region, number): (body, amount) for region, number, body, amount in got}

    def state(self, height):
        return self.states[max(h for h in self.states if h <= height)]

    def places(self):
        return [self.random.randrange(self.first, self.last + 1) for _ in range(PLACES)]

    def test_a16_a_table_as_of_any_height_is_what_it_was(self):
        for height in self.places():
            with self.subTest(height=height):
                self.assertEqual(self.rows(f"notes FOR SYSTEM_TIME AS OF {height}"), self.state(height))
                self.assertEqual(self.rows("notes FOR SYSTEM_TIME AS OF %s::bigint AS n", height), self.state(height))
        self.assertEqual(self.rows("notes FOR SYSTEM_TIME AS OF 0"), {})

    def test_a16_a_table_as_of_any_time_in_any_zone_is_that_of_the_last_block_before(self):
        for height in self.places():
            time = self.node.json(f"/v1/blocks/{height}")["header"]["time_us"]
            at = datetime.datetime.fromtimestamp(0, datetime.timezone.utc) + datetime.timedelta(microseconds=time)
            for hours in [-8, 0, 5.5]:
                zone = datetime.timezone(datetime.timedelta(hours=hours))
                with self.subTest(height=height, zone=zone):
                    text = at.astimezone(zone).isoformat()
                    self.assertEqual(self.rows(f"notes FOR SYSTEM_TIME AS OF TIMESTAMPTZ '{text}'"), self.state(height))
                    self.assertEqual(self.rows(f"notes FOR SYSTEM_TIME AS OF '{text}'"), self.state(height))
            just_before = (at - datetime.timedelta(microseconds=1)).isoformat()
            self.assertEqual(self.rows(f"notes FOR SYSTEM_TIME AS OF '{just_before}'"), self.state(height - 1))
        self.assertEqual(self.rows("notes FOR SYSTEM_TIME AS OF now()"), self.state(self.last))
        self.assertEqual(self.rows("notes FOR SYSTEM_TIME AS OF '2001-01-01'"), {})

    def test_two_moments_join(self):
        a, b = sorted(self.places()[:2])
        gone = self.connection.execute(
            f"SELECT o.region, o.id FROM notes FOR SYSTEM_TIME AS OF {a} AS o "
            f"LEFT JOIN notes FOR SYSTEM_TIME AS OF {b} AS n USING (region, id) WHERE n.id IS NULL"
        ).fetchall()
        self.assertEqual(set(gone), self.state(a).keys() - self.state(b).keys())

    def test_a18_every_change_tells_when_in_which_transaction_and_by_whom(self):
        got = self.connection.execute(
            "SELECT _height, _operation, region, id, old_body, old_amount, new_body, new_amount FROM stele_changes('notes')"
        ).fetchall()
        self.assertEqual(sorted(got, key=repr), sorted(self.changes, key=repr))
        account = self.connection.execute("SELECT current_user").fetchone()[0]
        signed = self.connection.execute(
            "SELECT _height, _index, _time, _transaction, _account FROM stele_changes('notes') ORDER BY 1, 2 LIMIT 30"
        ).fetchall()
        for height, index, time, transaction, who in signed:
            found = self.node.json(f"/v1/transactions/{transaction}")
            self.assertEqual((found["height"], found["index"]), (height, index))
            self.assertEqual(who, found["transaction"]["account"])
            block = self.node.json(f"/v1/blocks/{height}")
            self.assertEqual(time.timestamp(), block["header"]["time_us"] / 1_000_000)
        self.assertTrue(account)

    def test_the_difference_of_two_heights(self):
        for _ in range(PLACES):
            a, b = sorted(self.random.randrange(self.first, self.last + 1) for _ in range(2))
            before, after = self.state(a), self.state(b)
            expected = set()
            for key in before.keys() | after.keys():
                old, new = before.get(key), after.get(key)
                if old != new:
                    operation = "INSERT" if old is None else "DELETE" if new is None else "UPDATE"
                    expected.add((operation, *key, *(old or (None, None)), *(new or (None, None))))
            with self.subTest(a=a, b=b):
                got = self.connection.execute(f"SELECT * FROM stele_diff('notes', {a}, {b})").fetchall()
                self.assertEqual(set(got), expected)
                self.assertEqual(len(got), len(expected))

    def test_what_is_refused(self):
        for sql, error, words in [
            (f"SELECT * FROM notes FOR SYSTEM_TIME AS OF {self.last + 1_000_000}", errors.InvalidParameterValue, "no height"),
            ("SELECT * FROM notes FOR SYSTEM_TIME AS OF -1", errors.InvalidParameterValue, "no height"),
            ("SELECT * FROM notes FOR SYSTEM_TIME AS OF true", errors.DatatypeMismatch, "height or a time"),
            ("SELECT * FROM nosuch FOR SYSTEM_TIME AS OF 1", errors.UndefinedTable, "nosuch"),
            ("SELECT * FROM stele_diff('notes', 5, 3)", errors.InvalidParameterValue, "before"),
            ("SELECT * FROM stele_changes(notes)", errors.SyntaxError, "quoted"),
            ("INSERT INTO other SELECT id + 9000 FROM notes FOR SYSTEM_TIME AS OF 3", errors.FeatureNotSupported, "past"),
            ("DELETE FROM other WHERE id IN (SELECT id FROM stele_history('notes'))", errors.FeatureNotSupported, "past"),
        ]:
            with self.subTest(sql), self.assertRaisesRegex(error, words):
                self.connection.execute(sql)

    def test_a_transaction_that_writes_may_look_back(self):
        with self.node.connect(autocommit=False) as connection:
            connection.execute("INSERT INTO other VALUES (1000000)")
            got = connection.execute(f"SELECT count(*) FROM notes FOR SYSTEM_TIME AS OF {self.last}").fetchone()[0]
            self.assertEqual(got, len(self.state(self.last)))
            connection.rollback()

    def test_names_that_are_words_of_the_syntax_still_work(self):
        self.assertEqual(self.connection.execute("SELECT at.id FROM other at WHERE at.id < 0").fetchall(), [])


if __name__ == "__main__":
    unittest.main()
