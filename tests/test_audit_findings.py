"""Defects that were found by attacking a node from outside, each with the way it was found."""

import socket
import threading
import time
import unittest

import psycopg
import sqlalchemy as sa
from psycopg import errors

from stele_node import NodeCase, stele


class Finding(NodeCase):
    def setUp(self):
        super().setUp()
        self.connection = self.node.connect()
        self.addCleanup(self.connection.close)
        self.name = ("f_" + self.id().rsplit(".", 1)[1])[:40]

    def user(self, name):
        stele("keys", "--dir", self.node.directory, "new", name)
        return name

    def as_user(self, name):
        connection = self.node.connect(user=name)
        self.addCleanup(connection.close)
        return connection

    def one(self, sql, *parameters):
        return self.connection.execute(sql, parameters or None).fetchone()[0]


class Rights(Finding):
    def test_a_view_is_not_given_away_for_its_receiver_s_rights(self):
        bob = self.as_user(self.user("view_bob"))
        self.connection.execute(f"CREATE TABLE {self.name} (id INT PRIMARY KEY, secret TEXT)")
        self.connection.execute(f"INSERT INTO {self.name} VALUES (1, 'hidden')")
        self.connection.execute(f"GRANT SELECT (id) ON {self.name} TO view_bob")
        bob.execute(f"CREATE VIEW {self.name}_v AS SELECT * FROM {self.name}")
        with self.assertRaises(errors.InsufficientPrivilege):
            bob.execute(f"ALTER VIEW {self.name}_v OWNER TO operator")
        with self.assertRaises(errors.InsufficientPrivilege):
            bob.execute(f"ALTER TABLE {self.name}_v OWNER TO operator")
        with self.assertRaises(errors.InsufficientPrivilege):
            bob.execute(f"SELECT * FROM {self.name}_v")
        # A table, which has no rights of its own, may be.
        bob.execute(f"CREATE TABLE {self.name}_t (id INT PRIMARY KEY)")
        bob.execute(f"ALTER TABLE {self.name}_t OWNER TO operator")

    def test_a_role_does_not_take_a_user_s_name(self):
        bob = self.as_user(self.user("role_bob"))
        self.connection.execute(f"CREATE TABLE {self.name} (id INT PRIMARY KEY)")
        # The key is there, and has never been used.
        self.user("role_eve")
        with self.assertRaises(errors.DuplicateObject):
            bob.execute("CREATE ROLE role_eve")
        self.connection.execute(f"GRANT SELECT ON {self.name} TO role_eve")
        self.assertEqual(self.as_user("role_eve").execute(f"SELECT count(*) FROM {self.name}").fetchone(), (0,))
        # The role was there before the user.
        bob.execute("CREATE ROLE role_dave; GRANT role_dave TO role_bob")
        self.user("role_dave")
        with self.assertRaises(errors.AmbiguousAlias) as refused:
            self.connection.execute(f"GRANT SELECT ON {self.name} TO role_dave")
        self.assertIn("stele keys list", refused.exception.diag.message_hint)
        with self.assertRaises(errors.InsufficientPrivilege):
            bob.execute(f"SELECT * FROM {self.name}")


class Bounds(Finding):
    LONG = (
        "WITH RECURSIVE r(n, t) AS (SELECT 1, repeat('a', 1000000) UNION ALL SELECT n + 1, t FROM r) "
        "SELECT count(*) FROM r"
    )

    def bomb(self, sql, caught):
        def run():
            with self.node.connect() as connection:
                connection.execute("SET statement_timeout = '25s'")
                try:
                    connection.execute(sql)
                except psycopg.Error as error:
                    caught.append(error.sqlstate)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def test_long_reads_make_room_for_others(self):
        caught = []
        bombs = [self.bomb(self.LONG, caught) for _ in range(5)]
        time.sleep(6)
        begin = time.monotonic()
        self.assertEqual(self.one("SELECT 1"), 1)
        self.assertLess(time.monotonic() - begin, 20)
        for thread in bombs:
            thread.join(timeout=120)
            self.assertFalse(thread.is_alive())
        self.assertEqual(len(caught), 5)
        self.assertLessEqual(set(caught), {"53300", "54000", "57014"})
        self.assertIn("53300", caught)

    def test_compiling_many_patterns_is_counted(self):
        self.connection.execute(f"CREATE TABLE {self.name} (id INT PRIMARY KEY, n BIGINT)")
        pattern = "'abc' ~ (g::text || repeat('(a|b|c)', 400))"
        caught = []
        bomb = self.bomb(
            f"INSERT INTO {self.name} SELECT 1, count(*) FROM generate_series(1, 50000) g WHERE {pattern}", caught
        )
        time.sleep(0.5)
        begin = time.monotonic()
        self.connection.execute(f"INSERT INTO {self.name} VALUES (2, 2)")
        waited = time.monotonic() - begin
        bomb.join()
        self.assertEqual(caught, ["54000"])
        self.assertLess(waited, 30)

    def test_a_stopping_node_ends_its_reads(self):
        caught = []
        bomb = self.bomb(self.LONG, caught)
        time.sleep(1)
        self.node.stop()
        bomb.join(timeout=30)
        self.assertFalse(bomb.is_alive())
        self.node.start()

    def test_connections_without_a_word_are_told_and_forgotten(self):
        silent = []
        try:
            for _ in range(340):
                silent.append(socket.create_connection(("127.0.0.1", self.node.postgres_port)))
            time.sleep(0.5)
            with self.assertRaises(psycopg.OperationalError) as refused:
                psycopg.connect(
                    host="127.0.0.1", port=self.node.postgres_port, user="operator", dbname="stele", connect_timeout=5
                )
            # Newer clients name the place where it reached them.
            self.assertRegex(str(refused.exception), "too many clients|sent an error response")
            deadline = time.monotonic() + 20
            while True:
                try:
                    self.node.connect().close()
                    break
                except psycopg.OperationalError:
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.5)
        finally:
            for one in silent:
                one.close()


class Answers(Finding):
    def test_catalogue_relations_are_counted(self):
        for relation in ["pg_class", "pg_settings", "pg_type", "pg_roles", "pg_locks", "pg_stat_activity", "information_schema.schemata"]:
            with self.subTest(relation):
                self.connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
                self.connection.execute(f"SELECT EXISTS (SELECT 1 FROM {relation})").fetchone()

    def test_psql_describes_tables_with_foreign_keys(self):
        self.connection.execute(f"CREATE TABLE {self.name}_p (id INT PRIMARY KEY)")
        self.connection.execute(f"CREATE TABLE {self.name}_c (id INT PRIMARY KEY, p INT REFERENCES {self.name}_p)")
        said = "\n".join(self.node.query(f"\\t off\n\\d {self.name}_c"))
        self.assertRegex(said, rf"Foreign-key constraints:\n.*FOREIGN KEY \(p\) REFERENCES {self.name}_p\(id\)")
        said = "\n".join(self.node.query(f"\\t off\n\\d+ {self.name}_p"))
        self.assertRegex(said, rf"Referenced by:\n.*{self.name}_c")

    def test_sqlalchemy_reads_the_comment_of_a_table(self):
        self.connection.execute(f"CREATE TABLE {self.name} (id INT PRIMARY KEY)")
        self.connection.execute(f"COMMENT ON TABLE {self.name} IS 'what it is for'")
        engine = sa.create_engine(f"postgresql+psycopg://operator@127.0.0.1:{self.node.postgres_port}/stele")
        self.addCleanup(engine.dispose)
        self.assertEqual(sa.inspect(engine).get_table_comment(self.name), {"text": "what it is for"})

    def test_a_select_of_no_columns_keeps_the_protocol(self):
        self.assertEqual(self.node.query("SELECT FROM generate_series(1, 3); SELECT 'on'")[-1], "on")
        self.assertEqual(self.connection.execute("SELECT FROM pg_class").rowcount > 0, True)
        self.assertEqual(self.one("SELECT 1"), 1)

    def test_patterns_of_times_in_either_case(self):
        at = "TIMESTAMP '2024-06-05 10:11:12'"
        for sql, answer in [
            ("SELECT to_date('2024-01-05', 'yyyy-mm-dd')::text", "2024-01-05"),
            ("SELECT to_timestamp('2024-06-05 10:11:12', 'YYYY-MM-DD hh24:mi:ss')::text", "2024-06-05 10:11:12+00"),
            (f"SELECT to_char({at}, 'yyyy-mm-dd Hh24:Mi')", "2024-06-05 10:11"),
            (f"SELECT to_char({at}, 'Mon dd, yyyy')", "Jun 05, 2024"),
            (f"SELECT to_char({at}, 'fmMonth month')", "June june     "),
        ]:
            with self.subTest(sql):
                self.assertEqual(self.one(sql), answer)
        with self.assertRaises(errors.FeatureNotSupported):
            self.one(f"SELECT to_char({at}, 'y')")

    def test_arrays_in_json_and_in_comparisons(self):
        for sql, answer in [
            ("SELECT to_json(array_agg(x ORDER BY x))::text FROM generate_series(1, 2) x", "[1,2]"),
            ("SELECT json_build_object('t', ARRAY['a', 'b'])::text", '{"t" : ["a","b"]}'),
            ("SELECT json_agg(ARRAY[1, 2])::text", "[[1,2]]"),
            ("SELECT ARRAY[1] = '{1}'", True),
            ("SELECT ARRAY['a', 'b'] <> '{a,b}'", False),
            ("SELECT array_length(ARRAY[1], 2)", None),
            ("SELECT string_to_array('abc', NULL)", ["a", "b", "c"]),
            ("SELECT string_to_array('a,,c', ',', '')", ["a", None, "c"]),
            ("SELECT array_remove(ARRAY[1, 2, 1], 1)", [2]),
            ("SELECT parse_ident('Public.\"A b\"')", ["public", "A b"]),
        ]:
            with self.subTest(sql):
                self.assertEqual(self.one(sql), answer)
        for sql in ["SELECT ARRAY[10] > ARRAY[9]", "SELECT ARRAY[ARRAY[1], ARRAY[2]]", "SELECT max(ARRAY[x]) FROM generate_series(1, 2) x"]:
            with self.subTest(sql), self.assertRaises(errors.FeatureNotSupported):
                self.connection.execute(sql)

    def test_lists_as_parameters_keep_their_type(self):
        for sql, parameter, answer in [
            ("SELECT max(x) FROM unnest(%s) x", [9, 10], 10),
            ("SELECT sum(x)::bigint FROM unnest(%s) x", [9, 10], 19),
            ("SELECT %s", [1, 2], [1, 2]),
            ("SELECT count(*) FROM generate_series(1, 9) g JOIN unnest(%s) x ON x = g", [3, 4, 99], 2),
            ("SELECT count(*) FROM generate_series(1, 9) g WHERE g = ANY(%s)", [3, 4, 99], 2),
        ]:
            with self.subTest(sql):
                self.assertEqual(self.one(sql, parameter), answer)

    def test_is_null_in_postgresql_s_own_words(self):
        self.connection.execute(f"CREATE TABLE {self.name} (id INT PRIMARY KEY, x INT)")
        self.connection.execute(f"INSERT INTO {self.name} VALUES (1, NULL), (2, 5)")
        self.assertEqual(self.one(f"SELECT id FROM {self.name} WHERE x ISNULL"), 1)
        self.assertEqual(self.one(f"SELECT x ISNULL FROM {self.name} WHERE id = 1"), True)
        self.assertEqual(self.one(f"SELECT id FROM {self.name} WHERE x NOTNULL"), 2)


class Copies(Finding):
    def setUp(self):
        super().setUp()
        self.connection.execute(f"CREATE TABLE {self.name} (id INT PRIMARY KEY, t TEXT)")

    def copy(self, command, data):
        with self.connection.cursor() as cursor:
            with cursor.copy(command.format(self.name)) as copy:
                copy.write(data)

    def test_numbers_of_bytes_in_text(self):
        self.copy("COPY {} FROM STDIN", "1\t\\x41\\101\\x\\8\n2\t\\x4a4\\0617\n")
        rows = self.connection.execute(f"SELECT t FROM {self.name} ORDER BY id").fetchall()
        self.assertEqual(rows, [("AAx8",), ("J417",)])

    def test_a_header_that_must_match(self):
        command = "COPY {} FROM STDIN (FORMAT csv, HEADER match)"
        self.copy(command, "id,t\n1,a\n")
        for header in ["id,x", "id", "t,id"]:
            with self.subTest(header), self.assertRaises(errors.BadCopyFileFormat):
                self.copy(command, f"{header}\n2,b\n")
        self.assertEqual(self.one(f"SELECT count(*) FROM {self.name}"), 1)

    def test_cancel_and_time_out_reach_a_copy(self):
        with self.assertRaises(errors.QueryCanceled), self.connection.cursor() as cursor:
            with cursor.copy(f"COPY {self.name} FROM STDIN") as copy:
                copy.write("1\ta\n")
                time.sleep(0.3)
                self.connection.cancel()
                time.sleep(0.3)
                copy.write("2\tb\n")
        self.connection.execute("SET statement_timeout = '300ms'")
        with self.assertRaises(errors.QueryCanceled), self.connection.cursor() as cursor:
            with cursor.copy(f"COPY {self.name} FROM STDIN") as copy:
                copy.write("1\ta\n")
                time.sleep(0.8)
                copy.write("2\tb\n")
        self.connection.execute("RESET statement_timeout")
        self.assertEqual(self.one(f"SELECT count(*) FROM {self.name}"), 0)


if __name__ == "__main__":
    unittest.main()
