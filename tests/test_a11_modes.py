"""docs/modes.md, run as it stands: the three ways to write. And what a client without a database does when it is lied to."""

import json
import pathlib
import re
import subprocess

from stele_node import REPOSITORY, DirectoryCase, binary, clean_environment, stele

COMMAND_SECONDS_MAX = 60


class Modes(DirectoryCase):
    def run_block(self, block):
        """Runs the lines of one block in a shell, the node's addresses in the place of the usual ones."""
        node = self.node_running
        tools = self.home / "bin"
        tools.mkdir(exist_ok=True)
        # `stele` of the page is the program under test.
        (tools / "stele").unlink(missing_ok=True)
        (tools / "stele").symlink_to(binary())
        block = block.replace("-p 5433", f"-p {node.postgres_port}").replace("localhost:8080", f"127.0.0.1:{node.http_port}")
        block = block.replace("stele-data/", f"{node.directory}/")
        environment = clean_environment(STELE_HTTP_LISTEN=f"127.0.0.1:{node.http_port}")
        environment["PATH"] = f"{tools}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-c", block], cwd=self.home, capture_output=True, text=True,
            timeout=COMMAND_SECONDS_MAX, env=environment,
        )
        self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def test_a11_a12_a13_the_page_runs_as_it_stands(self):
        self.node_running = self.node("data").start()
        page = (REPOSITORY / "docs" / "modes.md").read_text()
        blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
        said = [self.run_block(block) for block in blocks]
        direct, trial, sent = said[1], said[2], said[3]
        self.assertIn('"pending":true', direct.replace(" ", ""))
        self.assertNotIn("WARNING", direct)
        answers = [line for line in trial.replace("}{", "}\n{").splitlines() if line.strip()]
        self.assertIn("screw", answers[1])
        self.assertIn("bolt", answers[2])
        self.assertIn("applied, 1 rows affected", sent)
        self.assertEqual(self.node_running.query("SELECT id, name FROM parts ORDER BY id"), ["1|screw", "3|washer", "4|rivet"])
        import sqlite3

        with sqlite3.connect(self.home / "parts-copy.db") as copy:
            self.node_running.until(
                lambda: copy.execute("SELECT count(*) FROM parts").fetchone() == (3,), what="the replica's last row"
            )

    def test_a13_a_client_without_a_database_shows_what_is_proven_and_nothing_else(self):
        node = self.node("data").start()
        node.query("CREATE TABLE parts (id INTEGER PRIMARY KEY)")
        keys = self.home / "keys-only"
        self.assertEqual(stele("keys", "new", "alice", "--dir", keys).returncode, 0)
        trust = node.directory / "trust.txt"
        options = ["--key", "alice", "--dir", keys, "--trust", trust, "--http", f"http://127.0.0.1:{node.http_port}"]
        refused = stele("send", *options, "INSERT INTO parts VALUES (1)")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("42501", refused.stdout + refused.stderr)
        node.query("GRANT INSERT ON parts TO PUBLIC")
        sent = stele("send", *options, "--json", "INSERT INTO parts VALUES (1)", "INSERT INTO parts VALUES (2)")
        self.assertEqual(sent.returncode, 0, sent.stderr)
        self.assertEqual(json.loads(sent.stdout)["rows_affected"], 2)
        # A proof that cannot be kept is told before anything is written.
        nowhere = stele("send", *options, "--proof", self.home / "none" / "p", "INSERT INTO parts VALUES (9)")
        self.assertEqual(nowhere.returncode, 1)
        self.assertEqual(node.query("SELECT count(*) FROM parts WHERE id = 9"), ["0"])
        twice = stele("send", *options, "INSERT INTO parts VALUES (2)")
        self.assertEqual(twice.returncode, 1)
        self.assertIn("23505", twice.stdout)
        other = self.node("other").start()
        stranger = ["--key", "alice", "--dir", keys, "--trust", other.directory / "trust.txt"]
        wrong = stele("send", *stranger, "--http", f"http://127.0.0.1:{node.http_port}", "INSERT INTO parts VALUES (3)")
        self.assertEqual(wrong.returncode, 1)
        self.assertEqual(node.query("SELECT count(*) FROM parts"), ["2"])
        self.assertFalse(any(pathlib.Path(keys).glob("state.db*")) or (keys / "segments").exists())
