"""What stands in a replica's way: wrong names and passwords, databases and nodes that go away (rows A2, A14).

Each is refused or told by name, with what helps; nothing is left half made, and it goes on by itself when the
cause is gone.
"""

import concurrent.futures
import pathlib
import shutil
import signal
import sqlite3
import time
import unittest

from mariadb_server import SECRET, SECRET_USER, free_port
from replica_targets import KINDS, SERVERS, ReplicaCase, Replicas


def setUpModule():
    SERVERS.start()


class Refused(ReplicaCase):
    """What cannot be is refused by name with a remedy, and leaves nothing."""

    def setUp(self):
        super().setUp()
        self.ledger.query("CREATE TABLE orders (id INT PRIMARY KEY, v TEXT); INSERT INTO orders VALUES (1, 'a')")

    def refused(self, pattern, name, target, *more):
        before = self.replicas.names()
        done = self.replicas.tried("add", name, "--to", target, *more)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stderr, pattern)
        self.assertNotIn("panicked", done.stderr + self.ledger.log())
        self.assertEqual(self.replicas.names(), before)
        folder = self.ledger.directory / "replicas"
        left = {path.stem for path in folder.iterdir()} if folder.exists() else set()
        self.assertEqual(left, set(before), "files of a refused replica stay")
        self.ledger.query("UPDATE orders SET v = 'goes on'")

    def password(self, text):
        path = self.home / "password"
        path.write_text(text + "\n")
        return ["--password-file", path]

    def test_passwords(self):
        server = SERVERS.mariadb
        secret = self.database("mariadb")
        for target in [
            server.target(secret.database, SECRET_USER),
            f"mysql://{SECRET_USER}@127.0.0.1:{server.port}/{secret.database}",
        ]:
            self.refused("denied.*password", "secret", target, *self.password("wrong"))
            self.refused("denied.*password", "secret", target)
            self.replicas.add("secret", target, *self.password(SECRET))
            self.replicas.wait("secret")
            self.replicas.clean("secret")
            self.assertNotIn(SECRET, self.replicas.done("list", "--json") + self.ledger.log())
            kept = self.ledger.directory / "replicas" / "secret.password"
            self.assertEqual(kept.stat().st_mode & 0o077, 0, "others can read the password")
            # Changed there: the replica waits, and goes on with the new one.
            server.sql(f"SET PASSWORD FOR {SECRET_USER}@'localhost' = PASSWORD('second')")
            server.sql(f"SET PASSWORD FOR {SECRET_USER}@'127.0.0.1' = PASSWORD('second')")
            self.assertEqual(self.ledger.stop(), 0)
            self.ledger.start()
            self.assertIn("stele replica password", self.replicas.waits_for("secret", "refused")["reason"])
            self.replicas.done("password", "secret", *self.password("second"))
            self.replicas.wait("secret")
            self.assertFalse(self.replicas.tried("password", "secret", stdin="wrong\n").returncode)
            self.replicas.waits_for("secret", "refused")
            self.replicas.done("password", "secret", stdin="second\n")
            self.replicas.wait("secret")
            self.replicas.done("remove", "secret", "--drop-tables")
            self.assertFalse(kept.exists())
            text = SECRET.replace("\\", "\\\\").replace("'", "''")
            for host in ("localhost", "127.0.0.1"):
                server.sql(f"SET PASSWORD FOR {SECRET_USER}@'{host}' = PASSWORD('{text}')")
        self.refused("no such file|No such file|nowhere", "secret", server.target(secret.database), "--password-file", "/nowhere")

    def test_targets(self):
        postgres, mariadb = self.database("postgres"), self.database("mariadb")
        home = SERVERS.postgres.home
        self.refused("does not exist.*create", "x", postgres.target.replace(f"/{postgres.database}?", "/nowhere?"))
        self.refused("[Uu]nknown database.*create", "x", SERVERS.mariadb.target("nowhere"))
        self.refused("nobody", "x", f"postgres://nobody@localhost:5432/postgres?socket={home}")
        port = free_port()
        for scheme in ("postgres", "mysql"):
            self.refused("refused.*start the server", "x", f"{scheme}://app@127.0.0.1:{port}/db")
            self.refused("holds a password.*--password-file", "x", f"{scheme}://app:hush@127.0.0.1:{port}/db")
            self.refused("names no user", "x", f"{scheme}://127.0.0.1:{port}/db")
            self.refused("names no database", "x", f"{scheme}://app@127.0.0.1:{port}/")
            self.refused("no part of a target", "x", f"{scheme}://app@127.0.0.1:{port}/db?sslmode=disable")
            self.refused("start the server|mend the way", "x", f"{scheme}://app@localhost/db?socket={self.home}/none")
        # The password is not told back.
        done = self.replicas.tried("add", "x", "--to", "mysql://app:hush@h/db")
        self.assertNotIn("hush", done.stderr)
        for target in ["oracle://a@h/d", "file.db", "", "sqlite:", "postgres:", "mysql://", "sqlite", "://", "postgres://a@h:99999/d"]:
            self.refused("names no database|no user", "x", target)
        self.refused("folder|directory|write", "x", f"sqlite:{self.home}/none/file.db")
        self.refused("folder|directory|write", "x", f"sqlite:{self.home}")
        self.refused("node's alone", "x", f"sqlite:{self.ledger.directory}/mirror.db")
        self.refused("node's alone", "x", f"sqlite:{self.ledger.directory}/segments/../node.db")
        text = self.home / "text.db"
        text.write_text("no database " * 100)
        self.refused("no SQLite database|not a database", "x", f"sqlite:{text}")
        self.assertEqual(text.read_text(), "no database " * 100)
        self.assertEqual(mariadb.tables(), set())
        self.assertEqual(postgres.tables(), set())

    def test_names(self):
        database = self.database("sqlite")
        self.replicas.add("copy", database.target)
        self.refused("already.*another name", "copy", f"sqlite:{self.home}/second.db")
        self.refused("same target", "second", database.target)
        self.refused("same target", "second", f"sqlite:{self.home}/./{database.path.name}")
        for name in ["", "Bad", "a b", "../x", "a/b", "ä", "x" * 41, "a.b", "-" * 41]:
            self.refused("cannot name a replica|unexpected|required|invalid", name, f"sqlite:{self.home}/second.db")
        self.refused("--map", "second", f"sqlite:{self.home}/second.db", "--map", "orders")
        for command in ("status", "pause", "resume", "wait", "audit", "refill", "remove"):
            done = self.replicas.tried(command, "nobody")
            self.assertEqual(done.returncode, 1, command)
            self.assertIn("there are copy", done.stderr)
        self.replicas.wait("copy")
        self.replicas.clean("copy")

    def test_tables_that_are_taken(self):
        """A table of that name that is somebody else's is not touched."""
        for kind in KINDS:
            with self.subTest(kind):
                database = self.database(kind)
                database.run(f"CREATE TABLE {database.name('public.orders')} (id INTEGER, mine VARCHAR(9))")
                database.run(f"INSERT INTO {database.name('public.orders')} VALUES (7, 'mine')")
                self.assertEqual(self.replicas.tried("add", kind, "--to", database.target).returncode, 1)
                reason = self.replicas.waits_for(kind, "drift")["reason"]
                self.assertRegex(reason, r"has that name.*--map public.orders=")
                self.assertEqual(database.dump("public.orders", [("id", "integer"), ("mine", "varchar")]), [("7", "mine")])
                # Out of the way, it goes on by itself.
                old = database.name("public.orders")
                new = '"mine"' if kind != "mariadb" else "mine"
                database.run(f"ALTER TABLE {old} RENAME TO {new}")
                self.replicas.wait(kind)
                self.replicas.clean(kind)
                # The same of a table that comes later.
                database.run(f"CREATE TABLE {database.name('public.lines')} (id INTEGER)")
                self.ledger.query("CREATE TABLE lines (id INT PRIMARY KEY)")
                self.replicas.waits_for(kind, "drift")
                database.run(f"DROP TABLE {database.name('public.lines')}")
                self.replicas.wait(kind)
                self.replicas.clean(kind)
                self.ledger.query("DROP TABLE lines")

    def test_a_database_that_is_a_replicas_by_another_name(self):
        """A second worker and a second cursor there would undo the first."""
        for kind in KINDS:
            with self.subTest(kind):
                database = self.database(kind)
                self.replicas.add(kind, database.target)
                self.replicas.wait(kind)
                if kind == "sqlite":
                    (self.home / "link.db").symlink_to(database.path)
                    alias = f"sqlite:{self.home / 'link.db'}"
                else:
                    alias = database.target.replace("localhost", "127.0.0.1")
                self.assertNotEqual(alias, database.target)
                self.refused(f'database of replica "{kind}" by another name', "alias", alias)
                self.ledger.query("UPDATE orders SET v = v || '+'")
                self.replicas.wait(kind)
                self.replicas.clean(kind)

    def test_names_a_target_cannot_have(self):
        self.ledger.query('CREATE TABLE odd ("😀" INT PRIMARY KEY)')
        database = self.database("mariadb")
        self.replicas.tried("add", "mariadb", "--to", database.target)
        self.assertIn("public.odd", self.replicas.waits_for("mariadb", "unfit")["reason"])
        self.replicas.done("remove", "mariadb", "--drop-tables")
        self.replicas.add("mariadb", self.database("mariadb").target, "--table", "orders")
        self.replicas.wait("mariadb")
        self.replicas.clean("mariadb")

    def test_names_that_clash_in_the_target(self):
        self.ledger.query('CREATE SCHEMA a; CREATE TABLE a.b (id INT PRIMARY KEY); CREATE TABLE a_b (id INT PRIMARY KEY)')
        for kind in ("sqlite", "mariadb"):
            self.replicas.tried("add", kind, "--to", self.database(kind).target)
            self.assertIn("--map", self.replicas.waits_for(kind, "drift")["reason"])
            self.replicas.done("remove", kind, "--drop-tables")
            self.replicas.add(kind, self.database(kind).target, "--map", "a.b=ab")
            self.replicas.wait(kind)
            self.replicas.clean(kind)
        self.replicas.add("postgres", self.database("postgres").target)
        self.replicas.wait("postgres")
        self.replicas.clean("postgres")


class Interrupted(ReplicaCase):
    """Databases and the node go away and come back; nothing is lost or made twice."""

    COLUMNS = [("id", "integer"), ("v", "text")]

    def setUp(self):
        super().setUp()
        self.ledger.query("CREATE TABLE orders (id INT PRIMARY KEY, v TEXT); INSERT INTO orders VALUES (1, 'a')")
        self.databases = self.three()
        self.number = 1

    def write(self):
        for _ in range(5):
            self.number += 1
            self.ledger.query(f"INSERT INTO orders VALUES ({self.number}, 'v'); UPDATE orders SET v = v || '+' WHERE id < 3")
        self.ledger.query(f"ALTER TABLE orders ADD COLUMN n{self.number} INT DEFAULT {self.number}")

    def all_well(self):
        self.replicas.wait(*self.databases)
        self.replicas.clean(*self.databases)
        self.equal(self.databases, "public.orders", self.COLUMNS)

    def test_a2_a_server_that_stops_and_comes_back(self):
        servers = {
            "postgres": (SERVERS.postgres.halt, SERVERS.postgres.kill, SERVERS.postgres.launch),
            "mariadb": (SERVERS.mariadb.halt, SERVERS.mariadb.kill, SERVERS.mariadb.start),
        }
        for name, (halt, kill, start) in servers.items():
            for end in (halt, kill):
                with self.subTest(f"{name} {end.__name__}"):
                    end()
                    try:
                        self.write()
                        status = self.replicas.waits_for(name, "unreachable")
                        self.assertIn("by itself", status["reason"])
                        self.ledger.until(lambda: self.replicas.status(name).get("tries", 0) > 1, what="a second try")
                        self.assertNotIn("Error {", self.replicas.status(name)["reason"], "words for programmers")
                        self.assertGreater(status["ledger_height"], status["height"])
                        code = self.replicas.tried("audit", name)
                        self.assertEqual(code.returncode, 1, code.stdout)
                        # The others go on meanwhile.
                        self.replicas.wait("sqlite")
                    finally:
                        start()
                    self.all_well()

    def test_a2_servers_that_hang(self):
        """They take connections and say nothing: that is told, and holds up nobody else."""
        servers = {"postgres": SERVERS.postgres, "mariadb": SERVERS.mariadb}
        for server in servers.values():
            server.signal(signal.SIGSTOP)
        try:
            self.write()
            for name in servers:
                self.assertIn("by itself", self.replicas.waits_for(name, "unreachable")["reason"])
            # One of them is to rest, which takes as long as it is waited for; others are changed meanwhile.
            with concurrent.futures.ThreadPoolExecutor() as pool:
                rests = [pool.submit(self.replicas.tried, "pause", name) for name in servers]
                begun = time.monotonic()
                self.replicas.done("pause", "sqlite")
                self.replicas.done("resume", "sqlite")
                self.replicas.add("second", self.database("sqlite").target)
                self.replicas.wait("sqlite", "second")
                self.replicas.done("remove", "second", "--drop-tables")
                self.assertLess(time.monotonic() - begun, 8, "waits for the servers that hang")
                self.assertFalse(any(rest.done() for rest in rests), "the test shows nothing")
                for rest in rests:
                    self.assertEqual(rest.result().returncode, 0, rest.result().stderr)
            with concurrent.futures.ThreadPoolExecutor() as pool:
                hung = pool.submit(self.replicas.tried, "audit", "postgres")
                time.sleep(0.5)
                self.replicas.clean("sqlite")
                self.assertFalse(hung.done(), "the test shows nothing")
                done = hung.result()
            self.assertEqual(done.returncode, 1)
            self.assertIn("does not answer", done.stderr)
            for name in servers:
                self.replicas.done("resume", name)
        finally:
            for server in servers.values():
                server.signal(signal.SIGCONT)
        self.all_well()

    def test_a2_a_file_another_program_locks(self):
        locked = sqlite3.connect(self.databases["sqlite"].path, isolation_level=None)
        locked.execute("BEGIN IMMEDIATE")
        self.write()
        self.replicas.waits_for("sqlite", "unreachable")
        locked.execute("ROLLBACK")
        locked.close()
        self.all_well()

    def test_a17_a_node_that_stops_or_is_killed(self):
        for end in (self.ledger.stop, self.ledger.kill, self.ledger.kill):
            self.write()
            end()
            self.ledger.start()
            self.all_well()
            self.write()
            self.all_well()
        self.assertEqual(self.replicas.names(), ["mariadb", "postgres", "sqlite"])

    def test_a17_a_node_that_starts_while_its_databases_are_down(self):
        self.ledger.stop()
        SERVERS.postgres.halt()
        SERVERS.mariadb.halt()
        try:
            self.ledger.start()
            self.write()
            self.replicas.waits_for("postgres", "unreachable")
            self.replicas.waits_for("mariadb", "unreachable")
        finally:
            SERVERS.postgres.launch()
            SERVERS.mariadb.start()
        self.all_well()

    def test_a17_a_block_of_several_changes_that_is_cut_short(self):
        """What was done of a block before something came in the way is neither done again nor counted wrongly."""
        self.ledger.query("CREATE TABLE gone (id INT PRIMARY KEY); INSERT INTO gone VALUES (1)")
        self.replicas.wait(*self.databases)
        for name, database in self.databases.items():
            database.run(f"CREATE TABLE {database.name('public.second')} (mine INTEGER)")
        self.ledger.query(
            "BEGIN; UPDATE gone SET id = 2; DROP TABLE gone; CREATE TABLE first (id INT PRIMARY KEY, v TEXT);"
            "INSERT INTO first VALUES (1, 'a'); CREATE TABLE second (id INT PRIMARY KEY, v TEXT);"
            "INSERT INTO second VALUES (1, 'b'); ALTER TABLE orders ADD COLUMN n INT; UPDATE orders SET n = 1; COMMIT"
        )
        for name, database in self.databases.items():
            self.replicas.waits_for(name, "drift")
        self.ledger.kill()
        self.ledger.start()
        for name, database in self.databases.items():
            # The audit says what is so, or that it cannot be made now; it does not fail inside.
            done = self.replicas.tried("audit", name)
            self.assertNotIn("report this", done.stderr)
            database.run(f"DROP TABLE {database.name('public.second')}")
        self.all_well()
        for table in ("first", "second"):
            self.equal(self.databases, f"public.{table}", self.COLUMNS)
        self.equal(self.databases, "public.orders", [*self.COLUMNS, ("n", "integer")])

    def test_a17_columns_added_and_dropped_hundreds_of_times(self):
        """InnoDB keeps room for columns dropped at once, until a row would be too large."""
        for name in ("postgres", "sqlite"):
            self.replicas.done("remove", name)
        with self.ledger.connect() as connection:
            for _ in range(420):
                connection.execute("ALTER TABLE orders ADD COLUMN d TEXT DEFAULT 'd'; ALTER TABLE orders DROP COLUMN d")
        self.replicas.wait("mariadb")
        self.replicas.clean("mariadb")

    def test_a17_two_nodes_with_one_replica(self):
        """A copy of a node takes its databases over: the first stops, and can do no harm there."""
        self.replicas.wait(*self.databases)
        self.ledger.stop()
        shutil.copytree(self.ledger.directory, self.home / "copy")
        self.ledger.start()
        self.replicas.wait(*self.databases)
        copy = self.node("copy").start()
        second = Replicas(self, copy)
        for name in self.databases:
            # The first sees it once it writes.
            second.wait(name)
        self.write()
        for name in self.databases:
            with self.subTest(name):
                self.assertIn("taken this database over", self.replicas.waits_for(name, "overtaken")["reason"])
                refused = self.replicas.tried("remove", name, "--drop-tables")
                self.assertEqual(refused.returncode, 1, refused.stdout)
                self.assertIn("--forget", refused.stderr)
                self.replicas.done("remove", name, "--forget")
                second.wait(name)
                second.clean(name)

    def test_a2_a_file_that_is_moved(self):
        database = self.databases["sqlite"]
        moved = self.home / "moved.db"
        self.replicas.done("pause", "sqlite")
        database.path.rename(moved)
        # An audit looks; it makes nothing.
        done = self.replicas.tried("audit", "sqlite")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("not there", done.stderr)
        self.assertFalse(database.path.exists())
        done = self.replicas.tried("remove", "sqlite", "--drop-tables")
        self.assertEqual(done.returncode, 1, done.stdout)
        moved.rename(database.path)
        self.replicas.done("resume", "sqlite")
        self.all_well()
        # Under the replica's hands: nothing is written to where nobody reads.
        database.path.rename(moved)
        self.write()
        reason = self.replicas.waits_for("sqlite", "refused")["reason"]
        self.assertRegex(reason, "moved|-wal is, which holds rows of it")
        # What belongs to the file goes after it; another is made in its place.
        for ending in ("-wal", "-shm"):
            pathlib.Path(f"{database.path}{ending}").rename(f"{moved}{ending}")
        self.all_well()
        with sqlite3.connect(moved) as kept:
            self.assertEqual(kept.execute("SELECT count(*) FROM orders").fetchone()[0], self.number - 5)

    def test_a14_a_fresh_ledger_in_the_same_databases(self):
        """Another ledger is another source: the tables of the old one are in its way, its cursor is not."""
        self.ledger.stop()
        shutil.rmtree(self.ledger.directory)
        self.ledger.start()
        self.ledger.query("CREATE TABLE parts (id INT PRIMARY KEY, v TEXT); INSERT INTO parts VALUES (1, 'a')")
        for name, database in self.databases.items():
            self.replicas.add(name, database.target)
        self.replicas.wait(*self.databases)
        self.replicas.clean(*self.databases)
        self.equal(self.databases, "public.parts", self.COLUMNS)
        self.ledger.query("CREATE TABLE orders (id INT PRIMARY KEY, v TEXT)")
        for name in self.databases:
            self.replicas.waits_for(name, "drift")

    def test_a2_a_ledger_set_back(self):
        """A node whose data were restored from a copy is behind its replicas, and may go another way."""
        self.assertEqual(self.ledger.stop(), 0)
        shutil.copytree(self.ledger.directory, self.home / "kept")
        self.ledger.start()
        self.write()
        self.all_well()
        self.assertEqual(self.ledger.stop(), 0)
        shutil.rmtree(self.ledger.directory)
        shutil.copytree(self.home / "kept", self.ledger.directory)
        self.ledger.start()
        before = {name: one.dump("public.orders", self.COLUMNS) for name, one in self.databases.items()}
        for _ in range(12):
            self.ledger.query("INSERT INTO orders SELECT max(id) + 1, 'other' FROM orders")
        for name, database in self.databases.items():
            self.ledger.until(lambda: self.replicas.status(name)["phase"] == "waiting", what=f"trouble of {name}")
            status = self.replicas.status(name)
            self.assertRegex(status["reason"], "remove|refill|fork|other", status)
            self.assertEqual(database.dump("public.orders", self.COLUMNS), before[name])
            # Another history is nothing to compare with, or to mend by.
            for command in (("audit", name), ("audit", name, "--repair")):
                done = self.replicas.tried(*command)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn("another history", done.stderr)


if __name__ == "__main__":
    unittest.main()
