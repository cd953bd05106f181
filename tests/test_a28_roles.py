"""Separate processes by configuration: a node that orders, a replica in a process of its own that believes nobody, a client
that keeps nothing. Each may be killed; the tables are equal in the end."""

import json

from stele_node import DirectoryCase, Node, count, seeded, stele


class Database(Node):
    """A process that follows a node's blocks, checks and executes them, and keeps a database as the ledger is."""

    def __init__(self, directory, server, trust):
        super().__init__(directory)
        self.command = ["proxy", "--server", server, "--trust", trust]


class Roles(DirectoryCase):
    def test_a28_database_and_client_are_processes_of_their_own(self):
        node = self.node("ledger").start()
        node.query("CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT)")
        node.query("GRANT SELECT, INSERT ON parts TO PUBLIC")
        home = self.home / "database"
        home.mkdir()
        copy = home / "copy.db"
        (home / "stele.toml").write_text(f'[replica.copy]\ntarget = "sqlite:{copy}"\n')
        trust = node.directory / "trust.txt"
        database = Database(home / "data", f"http://127.0.0.1:{node.http_port}", trust)
        self.addCleanup(database.kill)
        database.start()
        keys = self.home / "keys-only"
        self.assertEqual(stele("keys", "new", "alice", "--dir", keys).returncode, 0)
        random = seeded("a28", usual=28)
        for number in range(count(12, 200)):
            sent = stele(
                "send", "--key", "alice", "--dir", keys, "--trust", trust,
                "--http", f"http://127.0.0.1:{node.http_port}", f"INSERT INTO parts VALUES ({number}, 'part {number}')",
            )
            self.assertEqual(sent.returncode, 0, sent.stderr)
            if random.random() < 0.3:
                database.kill()
                database.start()
        height = node.status()["height"]
        of_database = ["--http", f"http://127.0.0.1:{database.http_port}", "--json", "--user", "me"]

        def state():
            return json.loads(stele("replica", "status", "copy", *of_database).stdout)

        database.until(lambda: state()["phase"] == "following" and state()["height"] >= height, what="the replica")
        report = json.loads(stele("replica", "audit", "copy", *of_database).stdout)
        [table] = report["tables"]
        self.assertEqual((table["rows"], table["root_found"]), (count(12, 200), table["root_expected"]))
        # The database's process holds no key that could sign a checkpoint.
        self.assertFalse((home / "data" / "validator.key").exists())
