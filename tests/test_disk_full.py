"""A full disk and a directory that cannot be written: a clear error, nothing lost, the node stays up.

The full disk is a small tmpfs, which takes the right to mount. When room is made the block that
waited is applied by itself and writes go on; the outcome is what it would have been.
"""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import unittest

import psycopg

from stele_node import DirectoryCase, NodeFailed, binary, clean_environment, count, stele

DISK_MIB = 24
NOBODY = 65534
HEALED_SECONDS_MAX = 60


class FullDisk(DirectoryCase):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or not shutil.which("mount"):
            self.skipTest("a small tmpfs for the full disk takes root and mount(8)")
        disk = self.home / "disk"
        disk.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "stele-test", disk], capture_output=True, text=True
        )
        if mounted.returncode != 0:
            self.skipTest(f"cannot mount a small tmpfs: {mounted.stderr.strip()}")
        self.disk = disk
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=False)

    def test_a_backup_that_cannot_be_written_is_verified(self):
        node = self.node("copied").start()
        node.query("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
        # With a write-ahead log that was not copied into the database.
        node.kill()
        shutil.copytree(node.directory, self.disk / "copy", ignore=shutil.ignore_patterns("index", "log"))
        subprocess.run(["mount", "-o", "remount,ro", str(self.disk)], check=True)
        checked = stele("verify", "--data", self.disk / "copy", "--execute")
        self.assertEqual((checked.returncode, checked.stderr), (0, ""), checked.stdout)
        self.assertIn("1 rows of the state", checked.stdout)

    def fill(self):
        """Takes the room that is left; gives the file."""
        ballast = self.disk / "ballast"
        with open(ballast, "ab", buffering=0) as file:
            for block in [65536, 4096, 512]:
                try:
                    while True:
                        file.write(b"\0" * block)
                except OSError:
                    pass
        return ballast

    def test_a17_a_replica_without_room_waits_and_goes_on(self):
        node = self.node("data").start()
        http = ["--http", f"http://127.0.0.1:{node.http_port}", "--json"]
        node.query("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        node.query("INSERT INTO t SELECT g, 'x' FROM generate_series(1, 1000) AS g")
        added = stele("replica", "add", "copy", "--to", f"sqlite:{self.disk / 'copy.db'}", *http)
        self.assertEqual(added.returncode, 0, added.stderr)
        ballast = self.fill()

        def state():
            return json.loads(stele("replica", "status", "copy", *http).stdout)

        for first in range(2_000, 10_000, 1_000):
            node.query(f"INSERT INTO t SELECT g, repeat('y', 500) FROM generate_series({first}, {first + 999}) AS g")
        node.until(lambda: state().get("kind") == "full", what="a replica without room")
        self.assertIn("make room", state()["reason"])
        node.query("UPDATE t SET v = 'z' WHERE id <= 10")
        ballast.unlink()
        height = node.status()["height"]
        node.until(
            lambda: state()["phase"] == "following" and state()["height"] >= height,
            seconds=HEALED_SECONDS_MAX,
            what="a replica that has room again",
        )
        audit = stele("replica", "audit", "copy", *http)
        self.assertEqual(audit.returncode, 0, audit.stdout)

    def test_writes_are_refused_reads_answer_and_room_heals(self):
        node = self.node("disk/data")
        node.log_path = self.home / "node.log"
        node.start()
        node.query("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        acknowledged, waited, refused = set(), set(), set()
        for round_number in range(count(2, 20)):
            first = round_number * 1_000
            with node.connect() as connection:
                for key in range(first, first + 20):
                    connection.execute("INSERT INTO t VALUES (%s, %s)", (key, "x" * 5_000))
                    acknowledged.add(key)
            ballast = self.fill()

            # Whose block finds no room waits; who comes after is refused and told why.
            waiting = Waiting(node, first + 100)
            waiting.start()
            node.until(lambda: node.json("/v1/status")["halted"], what="a block that waits for room")
            status = node.status()
            self.assertRegex(status["halted"], "No space left on device")
            self.assertRegex(status["halted"], "free room")
            self.assertEqual(status["store"], "valid")
            self.assertEqual(node.http("GET", "/v1/health")[0], 503)
            for key in range(first + 200, first + 205):
                said = node.psql(f"INSERT INTO t VALUES ({key}, 'refused')", "-v", "VERBOSITY=verbose", timeout=20).stderr
                self.assertRegex(said, r"ERROR:  (57P03|53100): .*No space left on device.*free room")
                refused.add(key)
            self.assertEqual(int(node.query("SELECT count(*) FROM t")[0]), len(acknowledged))
            self.assertTrue(node.running())

            # A full disk at the moment of a crash: the next start says it, or comes up and waits.
            if round_number % 2:
                node.kill()
                waiting.join(30)
                with contextlib.suppress(NodeFailed):
                    node.start()
                if not node.running():
                    self.assertRegex(node.log(), "(?i)no space left|no room|full")
                    ballast.unlink()
                    node.start()

            ballast.unlink(missing_ok=True)
            self.healed(node, first + 300)
            acknowledged.add(first + 300)
            waiting.join(30)
            self.assertFalse(waiting.is_alive(), "the client that waited got no answer")
            (acknowledged if waiting.acknowledged else waited).add(first + 100)
            if not round_number % 2:
                self.assertTrue(waiting.acknowledged, f"the waiting block was not applied: {waiting.error}")
            self.check(node, acknowledged, waited, refused)

        self.assertEqual(node.stop(), 0)
        node.start()
        self.check(node, acknowledged, waited, refused)
        node.stop()
        verified = stele("verify", "--data", node.directory)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def healed(self, node, key):
        """Writes go on by themselves."""

        def writes():
            return not node.psql(f"INSERT INTO t VALUES ({key}, 'again')", timeout=30).stderr

        node.until(writes, HEALED_SECONDS_MAX, "a write after room was made")
        self.assertIsNone(node.json("/v1/status")["halted"])

    def check(self, node, acknowledged, waited, refused):
        found = {int(line) for line in node.query("SELECT id FROM t")}
        self.assertEqual(acknowledged - found, set(), "acknowledged rows are lost")
        self.assertEqual(found - acknowledged - waited, set(), "rows that were refused are there")
        self.assertEqual(found & refused, set())


class Waiting(threading.Thread):
    """One write that waits for its answer."""

    def __init__(self, node, key):
        super().__init__(daemon=True)
        self.node, self.key, self.acknowledged, self.error = node, key, False, None

    def run(self):
        try:
            with self.node.connect() as connection:
                connection.execute("INSERT INTO t VALUES (%s, %s)", (self.key, "x" * 20_000))
            self.acknowledged = True
        except (psycopg.Error, OSError) as error:
            self.error = error


class UnwritableDirectory(DirectoryCase):
    """Started as somebody who may not write; root may write anything, so it takes another user."""

    def setUp(self):
        super().setUp()
        self.prefix = ()
        if os.geteuid() == 0:
            if not shutil.which("setpriv"):
                self.skipTest("root may write everywhere: setpriv(1) is needed to run as nobody")
            self.prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
            # Nobody must be able to run the program and to reach the directory.
            self.program = self.home / "stele"
            shutil.copy(binary(), self.program)
            self.home.chmod(0o755)

    def start(self, directory):
        program = self.program if self.prefix else binary()
        return subprocess.run(
            [*self.prefix, program, "start", "--dir", directory]
            + ["--postgres-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"],
            cwd="/", capture_output=True, text=True, timeout=60, env=clean_environment(),
        )

    def assert_names(self, ended, path):
        self.assertEqual(ended.returncode, 1, ended.stdout + ended.stderr)
        self.assertIn(str(path), ended.stderr)
        self.assertIn("Permission denied", ended.stderr)
        self.assertNotIn("panicked", ended.stderr)

    def test_new_directory_in_a_read_only_place(self):
        place = self.home / "place"
        place.mkdir()
        place.chmod(0o555)
        self.assert_names(self.start(place / "data"), place / "data")

    def test_data_directory_of_somebody_else(self):
        self.node().start().stop()
        data = self.home / "data"
        for path in [data, *data.rglob("*")]:
            path.chmod(0o500 if path.is_dir() else 0o400)
        self.assert_names(self.start(data), data)

    def test_segments_of_somebody_else(self):
        self.node().start().stop()
        data = self.home / "data"
        if self.prefix:
            for path in [data, *data.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        segments = data / "segments"
        for path in segments.iterdir():
            path.chmod(0o444)
        segments.chmod(0o555)
        ended = self.start(data)
        self.assert_names(ended, segments)


if __name__ == "__main__":
    unittest.main()
