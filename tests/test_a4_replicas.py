"""Replicas changed by hand: an audit names what differs and mends it (row A4).

The same in SQLite, PostgreSQL and MariaDB: rows edited, deleted and added, shapes changed, and what the replica
remembers of itself.
"""

import re
import unittest

from replica_targets import SERVERS, ReplicaCase, ledger_dump


def setUpModule():
    SERVERS.start()


class ByHand:
    """Somebody changes a mirrored database: the audit names it and mends it (row A4)."""

    kind = None
    DRIFTS = ()
    COLUMNS = (("id", "integer"), ("v", "varchar"), ("n", "numeric"), ("b", "bytea"), ("at", "timestamptz"))

    def setUp(self):
        super().setUp()
        self.target = self.database(self.kind)
        self.ledger.query(
            r"""CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), n NUMERIC(10,2), b BYTEA, at TIMESTAMPTZ);
            CREATE TABLE other (day DATE, who VARCHAR(10), x DOUBLE PRECISION, PRIMARY KEY (who, day));
            INSERT INTO other VALUES ('0001-01-01', 'a', 1), ('9999-12-31', 'a', NULL), ('2000-01-01', 'b', 2);
            INSERT INTO t SELECT n, 'v' || n, n, '\xff00', '2026-01-01' FROM generate_series(1, 500) AS g(n);"""
        )
        self.written = self.ledger.status()["height"]
        self.replicas.add("copy", self.target.target)
        self.replicas.wait("copy")

    def by_hand(self, sql):
        self.target.run(sql.format(t=self.target.name("public.t"), other=self.target.name("public.other")))

    def found(self, table="public.t"):
        code, report = self.replicas.audit("copy")
        self.assertEqual(code, 2, report)
        wrong = self.replicas.only(report, table)
        self.assertNotEqual(wrong["root_found"], wrong["root_expected"])
        return wrong

    def mended(self, table="public.t"):
        report = self.replicas.repair("copy")
        self.assertTrue(any(line.startswith(table) for line in report["mended"]), report["mended"])
        expected = ledger_dump(self.ledger, "public.t", self.COLUMNS)
        self.assertEqual(self.target.dump("public.t", self.COLUMNS), expected)

    def test_a4_audits_run_by_themselves(self):
        self.replicas.done("remove", "copy", "--drop-tables")
        self.replicas.add("copy", self.target.target, "--audit-every", "1", "--audit-rate", "5000")

        def clean():
            return (self.replicas.status("copy").get("last_audit") or {}).get("clean")

        self.ledger.until(lambda: clean() is True, what="a first audit")
        self.by_hand("UPDATE {t} SET v = 'forged' WHERE id = 2")
        self.ledger.until(lambda: clean() is False, what="an audit that finds the row")
        (finding,) = self.replicas.status("copy")["last_audit"]["findings"]
        self.assertIn("public.t: 1 rows differ, first id = 2 (changed)", finding)
        self.assertIn('stele_replica_audit_clean{replica="copy"} 0', self.ledger.get("/metrics").decode())
        self.replicas.repair("copy")
        self.ledger.until(lambda: clean() is True, what="a clean audit")

    def test_a4_an_edited_row(self):
        self.by_hand("UPDATE {t} SET v = 'forged' WHERE id = 2")
        (row,) = self.found()["differences"]
        told = {"key": "id = 2", "kind": "changed", "column": "v", "expected": '"v2"', "found": '"forged"'}
        self.assertEqual(row, {**told, "wrong_since": self.written})
        shown = self.replicas.tried("audit", "copy")
        self.assertEqual(shown.returncode, 2)
        self.assertIn('id = 2: v is "forged", expected "v2"', shown.stdout)
        self.assertIn("audit copy --repair", shown.stdout)
        self.mended()

    def test_a4_several_columns_and_nulls(self):
        self.by_hand("UPDATE {t} SET v = NULL, n = '-1.00' WHERE id = 500")
        (row,) = self.found()["differences"]
        self.assertEqual((row["column"], row["expected"], row["found"]), ("v, n", '"v500", 500.00', "NULL, -1.00"))
        self.mended()

    def test_a4_a_deleted_row(self):
        self.by_hand("DELETE FROM {t} WHERE id = 1")
        (row,) = self.found()["differences"]
        self.assertEqual((row["key"], row["kind"], row["found"]), ("id = 1", "missing", None))
        self.assertIn('v = "v1"', row["expected"])
        self.assertEqual(row["wrong_since"], self.written)
        self.mended()

    def test_a4_an_added_row(self):
        # After a clean audit: it cannot have been wrong before.
        self.ledger.query("UPDATE t SET n = 0 WHERE id = 1")
        self.replicas.wait("copy")
        self.replicas.clean("copy")
        self.by_hand("INSERT INTO {t} (id, v) VALUES (0, 'forged')")
        (row,) = self.found()["differences"]
        self.assertEqual((row["key"], row["kind"], row["expected"]), ("id = 0", "foreign", None))
        self.assertIn('v = "forged"', row["found"])
        self.assertEqual(row["wrong_since"], self.written + 1)
        self.mended()

    def test_a4_a_changed_key_is_a_foreign_and_a_missing_row(self):
        self.by_hand("UPDATE {other} SET who = 'a ' WHERE who = 'b'")
        rows = self.found("public.other")["differences"]
        told = {(row["kind"], row["key"]) for row in rows}
        self.assertEqual(told, {("foreign", 'who = "a ", day = 2000-01-01'), ("missing", 'who = "b", day = 2000-01-01')})
        self.mended("public.other")

    def test_a4_many_rows(self):
        self.by_hand("DELETE FROM {t} WHERE id BETWEEN 100 AND 349")
        if self.kind != "sqlite":  # there a NUMERIC is text
            self.by_hand("UPDATE {t} SET n = n + 1 WHERE id > 480")
        else:
            self.by_hand("UPDATE {t} SET n = '7.77' WHERE id > 480")
        wrong = self.found()
        self.assertEqual(wrong["differences_total"], 250 + 20)
        self.assertEqual(len(wrong["differences"]), 100)
        self.mended()

    def test_a4_all_rows_gone(self):
        self.by_hand("DELETE FROM {t}")
        self.assertEqual(self.found()["differences_total"], 500)
        self.mended()

    def test_a4_the_shape_changed(self):
        for sql, told in self.DRIFTS:
            with self.subTest(sql):
                self.by_hand(sql)
                wrong = self.found()
                self.assertEqual(wrong["differences"], [])
                self.assertRegex(" ".join(wrong["drift"]), told)
                self.mended()
                # It is kept on, too.
                self.ledger.query("UPDATE t SET n = n + 1 WHERE id < 10")
                self.replicas.wait("copy")
                self.replicas.clean("copy")

    def test_a4_only_the_tables_asked_for_are_compared(self):
        self.by_hand("UPDATE {t} SET v = 'forged' WHERE id = 2")
        code, report = self.replicas.audit("copy", "--table", "other")
        self.assertEqual((code, [one["table"] for one in report["tables"]]), (0, ["public.other"]))
        code, report = self.replicas.audit("copy", "--table", "public.*")
        self.assertEqual((code, len(report["tables"])), (2, 2))
        refused = self.replicas.tried("audit", "copy", "--table", "nothing", "--json")
        self.assertEqual(refused.returncode, 1, f"an audit of no table says all is well: {refused.stdout}")

    def test_a4_an_edit_while_it_follows_stays_found(self):
        """A row changed by hand that the ledger then changes is right again; one it does not touch stays wrong."""
        self.by_hand("UPDATE {t} SET v = 'forged' WHERE id IN (3, 4)")
        self.ledger.query("UPDATE t SET n = 0 WHERE id = 3")
        self.replicas.wait("copy")
        self.assertEqual([row["key"] for row in self.found()["differences"]], ["id = 4"])
        self.mended()

    def test_a4_a_foreign_row_the_ledger_inserts(self):
        self.by_hand("INSERT INTO {t} (id, v) VALUES (1000, 'foreign')")
        self.ledger.query("BEGIN; UPDATE t SET v = 'half' WHERE id = 1; INSERT INTO t (id, v) VALUES (1000, 'own'); COMMIT")
        status = self.replicas.waits_for("copy", "foreign_row")
        self.assertIn("1000", status["reason"])
        self.assertIn("audit", status["reason"])
        self.assertEqual(status["height"], self.written)
        rows = dict(self.target.dump("public.t", [("id", "integer"), ("v", "varchar")]))
        self.assertEqual((rows["1"], rows["1000"]), ("v1", "foreign"), "the block was applied by half")
        self.by_hand("DELETE FROM {t} WHERE id = 1000")
        self.replicas.wait("copy")
        self.replicas.clean("copy")

    def test_a4_a_foreign_row_is_mended_away(self):
        self.by_hand("INSERT INTO {t} (id, v) VALUES (1000, 'foreign')")
        self.ledger.query("INSERT INTO t (id, v) VALUES (1000, 'own')")
        self.replicas.waits_for("copy", "foreign_row")
        self.mended()

    def test_a4_a_missing_row_the_ledger_changes(self):
        for change in ["UPDATE t SET v = 'new' WHERE id IN (1, 7)", "DELETE FROM t WHERE id IN (8, 9)"]:
            with self.subTest(change):
                self.by_hand("DELETE FROM {t} WHERE id IN (7, 8)")
                self.ledger.query(change)
                status = self.replicas.waits_for("copy", "missing_row")
                self.assertIn("repair", status["reason"])
                self.mended()

    def test_a4_a_dropped_table_the_ledger_writes(self):
        self.by_hand("DROP TABLE {t}")
        self.ledger.query("INSERT INTO t (id) VALUES (1000)")
        self.replicas.waits_for("copy", "drift")
        self.mended()

    def test_a4_a_dropped_table_the_ledger_alters_or_drops(self):
        for change in ["ALTER TABLE other ADD COLUMN z INT DEFAULT 5", "ALTER TABLE other RENAME TO others", "DROP TABLE others"]:
            with self.subTest(change):
                name = "others" if change.startswith("DROP") else "other"
                self.target.run(f"DROP TABLE {self.target.name('public.' + name)}")
                self.ledger.query(change)
                height = self.ledger.status()["height"]
                settled = lambda: self.replicas.status("copy")["phase"] == "waiting" or self.replicas.status("copy")["height"] == height
                self.ledger.until(settled, what="the change or trouble")
                if self.replicas.status("copy")["phase"] == "waiting":
                    self.replicas.repair("copy")
                self.replicas.wait("copy")
                self.replicas.clean("copy")

    def cursor(self):
        """Table and column of the cursor."""
        return ("stele." * (self.kind == "postgres") + "stele_cursor", "`cursor`" if self.kind == "mariadb" else "cursor")

    def test_a4_a_cursor_changed_by_hand(self):
        table, column = self.cursor()
        broken = r"'\x00'" if self.kind == "postgres" else "x'00'"
        self.target.run(f"UPDATE {table} SET {column} = {broken}")
        self.ledger.query("INSERT INTO t (id) VALUES (1000)")
        status = self.replicas.waits_for("copy", "cursor")
        self.assertIn("stele_cursor", status["reason"])
        self.assertIn("remove", status["reason"])
        # The remedy it names.
        self.replicas.done("remove", "copy", "--drop-tables")
        self.assertEqual(self.target.tables(), set())
        self.replicas.add("copy", self.target.target)
        self.replicas.wait("copy")
        self.replicas.clean("copy")

    def remembered(self):
        return "stele." * (self.kind == "postgres") + "stele_tables"

    def test_a4_a_table_forgotten_by_hand(self):
        """What the replica is to hold is the ledger's and its own settings' word, not its database's."""
        empty = r"''::bytea" if self.kind == "postgres" else "x''"
        for change in [
            f"DELETE FROM {self.remembered()} WHERE name LIKE '%t'",
            f"UPDATE {self.remembered()} SET filled_to = {empty} WHERE name LIKE '%t'",
        ]:
            with self.subTest(change):
                self.by_hand("UPDATE {t} SET v = 'forged' WHERE id = 2")
                self.target.run(change)
                code, report = self.replicas.audit("copy")
                self.assertEqual(code, 2, report)
                wrong = self.replicas.only(report, "public.t")
                self.assertIn("changed by hand", " ".join(wrong["drift"]))
                self.mended()
                self.ledger.query("UPDATE t SET n = n + 1 WHERE id < 10")
                self.replicas.wait("copy")
                self.replicas.clean("copy")

    def test_a4_names_and_numbers_changed_by_hand(self):
        """A name in `stele_tables` gives nobody's table away: not to an audit, a repair, a removal."""
        full = lambda name: f"public.{name}" if self.kind == "postgres" else name
        mine = self.target.name("public.mine")
        self.target.run(f"CREATE TABLE {mine} (id INT)")
        self.target.run(f"INSERT INTO {mine} VALUES (42)")
        for change, back in [
            (f"SET name = '{full('mine')}' WHERE name = '{full('t')}'", f"SET name = '{full('t')}' WHERE name = '{full('mine')}'"),
            ("SET id = id + 500", "SET id = id - 500"),
        ]:
            with self.subTest(change):
                self.target.run(f"UPDATE {self.remembered()} {change}")
                for command in [("audit", "copy"), ("audit", "copy", "--repair"), ("refill", "copy"), ("remove", "copy", "--drop-tables")]:
                    done = self.replicas.tried(*command)
                    self.assertEqual(done.returncode, 1, (command, done.stdout))
                    self.assertIn("stele_tables", done.stderr, command)
                self.target.run(f"UPDATE {self.remembered()} {back}")
                self.ledger.query("UPDATE t SET n = n + 1 WHERE id < 10")
                self.replicas.done("pause", "copy")
                self.replicas.done("resume", "copy")
                self.replicas.wait("copy")
                self.replicas.clean("copy")
        self.assertEqual(self.target.dump("public.mine", [("id", "integer")]), [("42",)])
        broken = r"'\x00'" if self.kind == "postgres" else "x'00'"
        self.target.run(f"UPDATE {self.remembered()} SET shape = {broken}")
        done = self.replicas.tried("remove", "copy", "--drop-tables")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("without --drop-tables", done.stderr)
        self.replicas.done("remove", "copy")
        self.assertEqual(len(self.target.dump("public.t", [("id", "integer")])), 500)

    def test_a4_what_is_remembered_dropped_by_hand(self):
        """Which tables are the replica's is not known then: none is taken for its own."""
        self.target.run(f"DROP TABLE {self.remembered()}")
        self.replicas.done("pause", "copy")
        self.replicas.done("resume", "copy")
        self.assertIn("stele_tables is gone", self.replicas.waits_for("copy", "cursor")["reason"])
        for command in [("audit", "copy"), ("audit", "copy", "--repair"), ("refill", "copy"), ("remove", "copy", "--drop-tables")]:
            done = self.replicas.tried(*command)
            self.assertEqual(done.returncode, 1, (command, done.stdout))
            self.assertIn("without --drop-tables", done.stderr, command)
        self.replicas.done("remove", "copy")
        self.by_hand("DROP TABLE {t}")
        self.by_hand("DROP TABLE {other}")
        self.replicas.add("copy", self.target.target)
        self.replicas.wait("copy")
        self.replicas.clean("copy")

    def test_a4_height_and_hash_that_people_read(self):
        table, _ = self.cursor()
        for column, value in [("height", "5"), ("block_hash", "'feed'")]:
            with self.subTest(column):
                self.target.run(f"UPDATE {table} SET {column} = {value}")
                done = self.replicas.tried("audit", "copy")
                self.assertEqual(done.returncode, 1, done.stdout)
                remedy = re.search(r"UPDATE stele_cursor SET .*'", done.stderr).group()
                self.target.run(remedy.replace("stele_cursor", table))
                self.replicas.clean("copy")

    def test_a4_a_mend_that_does_not_last(self):
        self.by_hand("UPDATE {t} SET v = 'other' WHERE id = 2")
        for sql in self.UNDO:
            self.by_hand(sql)
        done = self.replicas.tried("audit", "copy", "--repair")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("differ again", done.stderr)
        self.assertFalse(self.replicas.status("copy")["last_audit"]["clean"])
        self.by_hand(self.LET)
        self.mended()

    def test_a4_rows_and_shapes_are_mended_at_once(self):
        self.by_hand("UPDATE {other} SET x = 7 WHERE who = 'b'")
        self.by_hand("ALTER TABLE {t} ADD COLUMN extra INT")
        report = self.replicas.repair("copy")
        self.assertEqual(len(report["mended"]), 2, report["mended"])
        self.assertEqual(len(self.target.dump("public.t", self.COLUMNS)), 500)

    def test_a4_an_audit_of_some_tables_does_not_speak_for_all(self):
        self.by_hand("UPDATE {t} SET v = 'forged' WHERE id = 2")
        self.found()
        code, _ = self.replicas.audit("copy", "--table", "other")
        self.assertEqual(code, 0)
        self.assertFalse(self.replicas.status("copy")["last_audit"]["clean"])
        self.mended()
        self.assertTrue(self.replicas.status("copy")["last_audit"]["clean"])

    def test_a4_a_cursor_set_back_is_found(self):
        """With a restored older cursor blocks would be applied twice."""
        table, column = self.cursor()
        self.target.run(f"CREATE TABLE kept AS SELECT * FROM {table}")
        self.ledger.query("INSERT INTO t (id) VALUES (1000)")
        self.replicas.wait("copy")
        columns = (column, "height", "block_hash")
        back = ", ".join(f"{column} = (SELECT {column} FROM kept)" for column in columns)
        self.target.run(f"UPDATE {table} SET {back}")
        self.ledger.query("INSERT INTO t (id) VALUES (1001)")
        self.ledger.until(lambda: self.replicas.status("copy")["phase"] == "waiting", what="trouble")
        self.assertIn(self.replicas.status("copy")["kind"], ("overtaken", "cursor", "foreign_row"))
        self.replicas.repair("copy")
        self.assertEqual(len(self.target.dump("public.t", [("id", "integer")])), 502)


class SqliteByHand(ByHand, ReplicaCase):
    kind = "sqlite"
    UNDO = (
        "CREATE TRIGGER undone AFTER INSERT ON {t} BEGIN UPDATE {t} SET v = 'forged' WHERE id = NEW.id; END",
        "CREATE TRIGGER again AFTER UPDATE ON {t} WHEN NEW.v = 'v2' BEGIN UPDATE {t} SET v = 'forged' WHERE id = NEW.id; END",
    )
    LET = "DROP TABLE {t}"
    DRIFTS = (
        ("ALTER TABLE {t} DROP COLUMN v", "column v is not there"),
        ("ALTER TABLE {t} RENAME COLUMN v TO w", "column v is not there.*column w was added"),
        ("ALTER TABLE {t} ADD COLUMN extra TEXT", "column extra was added"),
        ("DROP TABLE {t}", "it is not there"),
        ("ALTER TABLE {t} RENAME TO moved", "it is not there"),
    )

    def test_a4_a_value_of_another_type(self):
        self.by_hand("UPDATE {t} SET n = '1.5' WHERE id = 2")
        (row,) = self.found()["differences"]
        self.assertEqual((row["key"], row["kind"], row["column"]), ("id = 2", "unreadable", "n"))
        self.assertEqual(row["found"], '"1.5", which is written "1.50" here')
        self.assertEqual((row["expected"], row["wrong_since"]), ("2.00", self.written))
        self.mended()

    def test_a4_a_table_made_anew_as_another_kind(self):
        self.target.run("DROP TABLE t")
        self.target.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v, n, b, at)")
        self.assertRegex(" ".join(self.found()["drift"]), "made anew")
        self.mended()
        self.target.run("DROP TABLE t")
        self.target.run("CREATE VIEW t AS SELECT 1 AS id")
        self.assertRegex(" ".join(self.found()["drift"]), "view")
        self.mended()


class PostgresByHand(ByHand, ReplicaCase):
    kind = "postgres"
    UNDO = (
        "CREATE FUNCTION undone() RETURNS trigger AS $$ BEGIN NEW.v := 'forged'; RETURN NEW; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER undone BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION undone()",
    )
    LET = "DROP TRIGGER undone ON {t}"
    DRIFTS = (
        ("ALTER TABLE {t} DROP COLUMN v", "column v is not there"),
        ("ALTER TABLE {t} RENAME COLUMN v TO w", "column v is not there.*column w was added"),
        ("ALTER TABLE {t} ADD COLUMN extra TEXT", "column extra was added"),
        ("ALTER TABLE {t} ALTER COLUMN v TYPE text", "column v is text instead of character varying"),
        ("ALTER TABLE {t} DROP CONSTRAINT t_pkey", "column id has another place in the primary key"),
        ("DROP TABLE {t}", "it is not there"),
        ("ALTER TABLE {t} RENAME TO moved", "it is not there"),
        ("DROP TABLE {t}; CREATE VIEW {t} AS SELECT 1 AS id", "it is no table"),
    )

    def test_a4_the_collation_of_a_key_changed(self):
        self.by_hand('ALTER TABLE {other} ALTER COLUMN who TYPE varchar(10) COLLATE "en-x-icu"')
        self.assertRegex(" ".join(self.found("public.other")["drift"]), "collation")
        self.mended("public.other")

    def test_a4_minus_nought(self):
        """SQLite and MariaDB make 0 of it when it is written."""
        self.ledger.query("UPDATE other SET x = 0 WHERE who = 'b'")
        self.replicas.wait("copy")
        self.by_hand("UPDATE {other} SET x = '-0'::float8 WHERE who = 'b'")
        self.assertEqual([row["kind"] for row in self.found("public.other")["differences"]], ["unreadable"])
        self.mended("public.other")

    def test_a4_a_table_that_inherits(self):
        """Its rows are somebody else's, and readers of the mirrored table see them."""
        self.by_hand("CREATE TABLE heir () INHERITS ({t})")
        self.target.run("INSERT INTO heir (id, v) VALUES (7, 'mine')")
        self.assertIn("heir inherits from it", " ".join(self.found()["drift"]))
        done = self.replicas.tried("audit", "copy", "--repair")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("heir", done.stderr)
        self.assertEqual(self.target.run("SELECT v FROM ONLY heir"), [("mine",)])
        self.target.run("ALTER TABLE heir NO INHERIT t")
        self.ledger.query("UPDATE t SET n = n + 1 WHERE id < 10")
        self.replicas.wait("copy")
        self.replicas.clean("copy")
        self.assertEqual(self.target.run("SELECT v FROM heir"), [("mine",)])

    def test_a4_a_table_another_view_stands_on(self):
        self.by_hand("CREATE VIEW seen AS SELECT v FROM {t}")
        self.by_hand("ALTER TABLE {t} ADD COLUMN extra TEXT")
        done = self.replicas.tried("audit", "copy", "--repair")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("seen", done.stderr)
        self.by_hand("DROP VIEW seen")
        self.mended()

    def test_a4_a_trigger_that_changes_rows_on_their_way_in(self):
        self.target.run("CREATE FUNCTION forge() RETURNS trigger AS $$ BEGIN NEW.v := 'forged'; RETURN NEW; END $$ LANGUAGE plpgsql")
        self.by_hand("CREATE TRIGGER forge BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION forge()")
        self.ledger.query("INSERT INTO t (id, v) VALUES (1000, 'own')")
        self.replicas.wait("copy")
        self.assertEqual([row["key"] for row in self.found()["differences"]], ["id = 1000"])
        self.by_hand("DROP TRIGGER forge ON {t}")
        self.mended()


class MariaByHand(ByHand, ReplicaCase):
    def test_a4_an_engine_without_transactions(self):
        self.by_hand("ALTER TABLE {t} ENGINE = MyISAM")
        self.assertIn("kept by MyISAM", " ".join(self.found()["drift"]))
        self.replicas.done("pause", "copy")
        self.replicas.done("resume", "copy")
        self.assertIn("ENGINE = InnoDB", self.replicas.waits_for("copy", "drift")["reason"])
        self.mended()

    kind = "mariadb"
    UNDO = (
        "CREATE TRIGGER undone BEFORE INSERT ON {t} FOR EACH ROW SET NEW.v = 'forged'",
        "CREATE TRIGGER again BEFORE UPDATE ON {t} FOR EACH ROW SET NEW.v = 'forged'",
    )
    LET = "DROP TRIGGER undone; DROP TRIGGER again"
    DRIFTS = (
        ("ALTER TABLE {t} DROP COLUMN v", "column v is not there"),
        ("ALTER TABLE {t} RENAME COLUMN v TO w", "column v is not there.*column w was added"),
        ("ALTER TABLE {t} ADD COLUMN extra TEXT", "column extra was added"),
        ("ALTER TABLE {t} MODIFY COLUMN n DOUBLE", "column n is double instead of decimal"),
        ("ALTER TABLE {t} MODIFY COLUMN v VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "collation"),
        ("ALTER TABLE {t} DROP PRIMARY KEY", "column id has another place in the primary key"),
        ("DROP TABLE {t}", "it is not there"),
        ("RENAME TABLE {t} TO moved", "it is not there"),
        ("DROP TABLE {t}; CREATE VIEW {t} AS SELECT 1 AS id", "."),
    )


if __name__ == "__main__":
    unittest.main()
