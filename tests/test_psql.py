"""psql, as people use it: the README's tour word for word, both protocols, errors and their hints."""

import contextlib
import re
import sqlite3
import subprocess
import unittest

from stele_node import REPOSITORY, DirectoryCase, NodeCase, binary, clean_environment, stele


def tour():
    """The fenced blocks of the README's tour, in order: (language, text)."""
    readme = (REPOSITORY / "README.md").read_text()
    section = readme.split("## Five minutes that prove something", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```(\w+)\n(.*?)```", section, re.S)


class ReadmeTour(DirectoryCase):
    """The tour, with nothing changed but ports and the path of the program."""

    def setUp(self):
        super().setUp()
        self.running = self.node("stele-data").start()

    def shell(self, command, stdin=""):
        program = binary()
        for written, meant in [
            ("cargo run --release --", program),
            ("-p 5433", f"-p {self.running.postgres_port}"),
            ("127.0.0.1:8080", f"127.0.0.1:{self.running.http_port}"),
        ]:
            command = command.replace(written, meant)
        return subprocess.run(
            ["bash", "-c", command], input=stdin, cwd=self.home, capture_output=True, text=True,
            timeout=60, env=clean_environment(),
        )

    def test_tour(self):
        blocks = tour()
        self.assertEqual([language for language, _ in blocks], ["sh", "sql", "sh", "sh", "sh"])
        (_, client), (_, statements), (_, proof), (_, copy), (_, villain) = blocks

        answer = self.shell(client, stdin=statements)
        self.assertEqual(answer.stderr, "")
        self.assertIn("1001 | paper | 100.00", answer.stdout)
        self.assertIn("1002 | ink   |  12.50", answer.stdout)

        checked = self.shell(proof)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn("OK row.proof", checked.stdout)
        self.assertIn("item  = paper", checked.stdout)

        # "Change one character of row.proof and check again: it is refused."
        file = self.home / "row.proof"
        good = file.read_text()
        middle = len(good) // 2
        file.write_text(good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :])
        refused = self.shell(proof.splitlines()[1])
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn("NOT OK row.proof", refused.stdout)
        self.assertIn("Nothing in this file is shown", refused.stdout)

        # "Ask for key 1003 and the proof shows that there is no such row."
        absent = self.shell(proof.replace("1001", "1003"))
        self.assertEqual(absent.returncode, 0, absent.stderr)
        self.assertRegex(absent.stdout, r"no (such )?row")

        # "Keep a copy in an ordinary database, forge a row there, and have it found and mended."
        add, forge, audit = copy.splitlines()
        port = f"--http http://127.0.0.1:{self.running.http_port}"
        added = self.shell(f"{add} {port}")
        self.assertEqual(added.returncode, 0, added.stderr)
        file, statement = re.fullmatch(r'sqlite3 (\S+) "(.*)"', forge).groups()
        with contextlib.closing(sqlite3.connect(self.home / file)) as database, database:
            self.assertEqual(database.execute(statement).rowcount, 1)
        mended = self.shell(f"{audit} {port}")
        self.assertEqual(mended.returncode, 0, mended.stderr)
        self.assertIn('id = 1001: item is "gold", expected "paper"', mended.stdout)
        self.assertIn("mended public.orders: 1 row", mended.stdout)
        with contextlib.closing(sqlite3.connect(self.home / file)) as database:
            self.assertEqual(database.execute("SELECT item FROM orders WHERE id = 1001").fetchall(), [("paper",)])

        # "It names the table and the key."
        self.running.stop()
        edit, check = villain.splitlines()
        file, statement = re.fullmatch(r'sqlite3 (\S+) "(.*)"', edit).groups()
        with contextlib.closing(sqlite3.connect(self.home / file)) as database, database:
            self.assertEqual(database.execute(statement).rowcount, 1)
        found = self.shell(check)
        self.assertNotEqual(found.returncode, 0, found.stdout)
        self.assertIn("orders", found.stdout)
        self.assertIn("1001", found.stdout)


class Sessions(NodeCase):
    def setUp(self):
        super().setUp()
        self.table = "t_" + self.id().rsplit(".", 1)[1]
        self.node.query(f"CREATE TABLE {self.table} (id INTEGER PRIMARY KEY, v TEXT)")

    def errors(self, sql, *options):
        return self.node.psql(sql, "-v", "VERBOSITY=verbose", *options).stderr

    def test_simple_protocol(self):
        lines = self.node.query(
            f"INSERT INTO {self.table} VALUES (1, 'one'), (2, NULL);\n"
            f"UPDATE {self.table} SET v = 'two' WHERE id = 2 RETURNING id, v;\n"
            f"SELECT count(*), max(v) FROM {self.table};"
        )
        self.assertEqual(lines, ["2|two", "2|two"])

    def test_command_tags(self):
        done = self.node.psql(
            f"\\set QUIET off\nINSERT INTO {self.table} VALUES (1, 'a'), (2, 'b');\n"
            f"UPDATE {self.table} SET v = 'c';\nDELETE FROM {self.table} WHERE id = 1;\nDROP TABLE {self.table};\n"
        )
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout.splitlines(), ["INSERT 0 2", "UPDATE 2", "DELETE 1", "DROP TABLE"])

    def test_extended_protocol(self):
        # \bind is younger than psql 15; \gdesc prepares and describes.
        described = self.node.psql(f"SELECT id, v FROM {self.table} \\gdesc\n")
        self.assertEqual(described.stderr, "")
        self.assertEqual(described.stdout.splitlines(), ["id|integer", "v|text"])

    def test_several_statements_in_one_message_are_one_transaction(self):
        self.node.query(f"INSERT INTO {self.table} VALUES (1, 'kept')")
        failed = self.node.psql("", "-c", f"INSERT INTO {self.table} VALUES (2, 'x'); INSERT INTO {self.table} VALUES (1, 'y')")
        self.assertIn("duplicate key", failed.stderr)
        self.assertEqual(self.node.query(f"SELECT id, v FROM {self.table}"), ["1|kept"])
        self.node.psql("", "-c", f"INSERT INTO {self.table} VALUES (2, 'x'); INSERT INTO {self.table} VALUES (3, 'y')")
        self.assertEqual(self.node.query(f"SELECT count(*) FROM {self.table}"), ["3"])

    def test_begin_commit_rollback(self):
        lines = self.node.query(
            f"BEGIN; INSERT INTO {self.table} VALUES (1, 'a');\nSELECT count(*) FROM {self.table};\nROLLBACK;\n"
            f"SELECT count(*) FROM {self.table};\n"
            f"BEGIN; INSERT INTO {self.table} VALUES (1, 'b');\nCOMMIT;\nSELECT v FROM {self.table};"
        )
        self.assertEqual(lines, ["1", "0", "b"])

    def test_a6_failed_statement_leaves_nothing_of_its_transaction(self):
        done = self.node.psql(
            f"\\set VERBOSITY verbose\nBEGIN;\nINSERT INTO {self.table} VALUES (1, 'a');\n"
            f"INSERT INTO {self.table} VALUES (1, 'b');\nSELECT 1;\nCOMMIT;\nSELECT count(*) FROM {self.table};"
        )
        self.assertIn("23505", done.stderr)
        self.assertIn("25P02", done.stderr)
        self.assertEqual(done.stdout.splitlines()[-1], "0")

    def test_a3_errors_carry_sqlstate(self):
        self.node.query(f"INSERT INTO {self.table} VALUES (1, 'a')")
        self.node.query("CREATE TABLE strict_table (id INT PRIMARY KEY, n SMALLINT NOT NULL CHECK (n > 0))")
        for sql, code in [
            (f"INSERT INTO {self.table} VALUES (1, 'b')", "23505"),
            ("INSERT INTO strict_table VALUES (1, NULL)", "23502"),
            ("INSERT INTO strict_table VALUES (1, -1)", "23514"),
            ("INSERT INTO strict_table VALUES (1, 40000)", "22003"),
            ("INSERT INTO strict_table VALUES (1, 'seven')", "22P02"),
            ("SELECT 1 / 0", "22012"),
            ("SELECT nothing FROM strict_table", "42703"),
            ("SELECT * FROM nowhere", "42P01"),
            ("SELECT frobnicate(1)", "42883"),
            ("CREATE TABLE strict_table (id INT PRIMARY KEY)", "42P07"),
            ("CREATE TABLE odd (id GEOMETRY PRIMARY KEY)", "42704"),
            ("SELEC 1", "42601"),
        ]:
            with self.subTest(sql):
                said = self.errors(sql)
                self.assertRegex(said, rf"ERROR:  {code}: \S")

    def test_what_is_not_taken_says_what_to_do(self):
        for sql, code, helps in [
            ("CREATE TABLE odd (id GEOMETRY PRIMARY KEY)", "42704", "NUMERIC"),
            ("LISTEN channel", "0A000", "HINT"),
            ("EXPLAIN ANALYZE SELECT 1", "0A000", "HINT"),
        ]:
            with self.subTest(sql):
                said = self.errors(sql)
                self.assertRegex(said, rf"ERROR:  ({code}): ")
                self.assertIn("HINT:", said)
                self.assertIn(helps, said)

    def test_copy_of_server_files_is_refused_and_the_session_goes_on(self):
        for copy in [f"COPY {self.table} FROM '/etc/passwd';", f"COPY {self.table} TO PROGRAM 'cat';"]:
            with self.subTest(copy):
                done = self.node.psql(f"\\set VERBOSITY verbose\n{copy}\nSELECT 'still here';\n")
                self.assertRegex(done.stderr, r"ERROR:  0A000: ")
                self.assertRegex(done.stderr, "STDIN|STDOUT")
                self.assertEqual(done.stdout.splitlines()[-1], "still here")

    def test_unknown_user_is_told_how_to_get_a_key(self):
        refused = self.node.psql("SELECT 1", user="nobody")
        self.assertEqual(refused.returncode, 2)
        self.assertIn('role "nobody" does not exist', refused.stderr)
        self.assertIn("stele keys new nobody", refused.stderr)

    def test_a_new_key_works_at_once(self):
        made = stele("keys", "--dir", self.node.directory, "new", "alice")
        self.assertEqual(made.returncode, 0, made.stderr)
        account = re.search(r"st1\w+", made.stdout)[0]
        self.assertEqual(self.node.psql("SELECT current_user", user="alice").stdout.strip(), account)

    def test_a_statement_over_the_limit_is_refused(self):
        done = self.node.psql(f"INSERT INTO {self.table} VALUES (1, '{'x' * 3_000_000}');\nSELECT 'still here';")
        self.assertIn("ERROR", done.stderr)
        self.assertEqual(self.node.query("SELECT 'still here'"), ["still here"])
        self.assertEqual(self.node.query(f"SELECT count(*) FROM {self.table}"), ["0"])


class Starting(DirectoryCase):
    def test_second_node_on_a_directory_is_refused_by_name(self):
        self.node().start()
        second = stele("start", "--dir", self.home / "data", "--postgres-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
        self.assertNotEqual(second.returncode, 0)
        self.assertRegex(second.stderr, r"held by stele node, process \d+")

    def test_restart_keeps_everything_and_stops_cleanly(self):
        node = self.node().start()
        node.query("CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'kept')")
        before = node.json("/v1/status")
        self.assertEqual(node.stop(), 0)
        node.start()
        after = node.json("/v1/status")
        for field in ["ledger", "height", "state_root", "log_size"]:
            self.assertEqual(before[field], after[field], field)
        self.assertEqual(node.query("SELECT v FROM t"), ["kept"])

    def test_misspelt_setting_names_the_nearest(self):
        (self.home / "stele.toml").write_text('[postgres]\nlissen = "127.0.0.1:0"\n')
        refused = stele("start", "--config", self.home / "stele.toml", "--dir", self.home / "data")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("lissen", refused.stderr)
        self.assertIn("listen", refused.stderr.replace("lissen", ""))


if __name__ == "__main__":
    unittest.main()
