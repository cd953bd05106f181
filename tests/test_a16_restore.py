"""Restores, snapshots and archives: tables as they were, in an ordinary database, from blocks alone.

Each restore is compared with what the ledger itself says of that height (`FOR SYSTEM_TIME AS OF`), and one of all
tables with the state root its block commits to. What is damaged or forged is refused by name.
"""

import datetime
import io
import json
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import time

from mariadb_server import MariaDbServer
from postgres_server import PostgresServer
from stele_node import DirectoryCase, binary, clean_environment, count, seeded, stele

COLUMNS = "id, name, amount, at, note"
STEPS_MAX = 60


def text(value):
    """A value of psql or SQLite as the text PostgreSQL writes."""
    return "" if value is None else str(value)


class Restored:
    """What `stele restore --json` said."""

    def __init__(self, done):
        self.done = done
        self.report = json.loads(done.stdout) if done.returncode == 0 else None


class RestoreCase(DirectoryCase):
    """A ledger with a history, and ways to restore from it."""

    def ledger(self, random, steps=STEPS_MAX):
        """A node with a table that lived through changes of rows and shape; the heights worth a look."""
        node = self.node("data").start()
        node.query("CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(40), amount NUMERIC(12,2), at TIMESTAMPTZ, note TEXT)")
        node.query("CREATE TABLE other (a VARCHAR(20), b INTEGER, PRIMARY KEY (a, b))")
        node.query("CREATE SEQUENCE numbers")
        for step in range(steps):
            key = random.randrange(40)
            node.query(
                random.choice(
                    [
                        f"INSERT INTO items VALUES ({key}, 'n{step}', {step}.25, now(), E'a\\tb') ON CONFLICT (id) DO UPDATE SET amount = items.amount + 1",
                        f"UPDATE items SET note = NULL, amount = amount * 2 WHERE id >= {key}",
                        f"DELETE FROM items WHERE id = {key}",
                        f"INSERT INTO other SELECT 'x' || g, {step} FROM generate_series(1, 5) AS g",
                        "SELECT nextval('numbers')" if step % 2 else "INSERT INTO other VALUES ('seq', nextval('numbers') + 1000)",
                    ]
                )
            )
            if step == steps // 2:
                node.query("ALTER TABLE items ADD COLUMN extra INTEGER DEFAULT 7")
        return node

    def as_of(self, node, height):
        """The rows of `items` at a height, as the ledger says."""
        sql = f"SELECT {COLUMNS} FROM items FOR SYSTEM_TIME AS OF {height} ORDER BY id"
        return [line.split("|") for line in node.query(sql)]

    def restore(self, target, *options, data=None):
        data = data or self.home / "data"
        return Restored(stele("restore", "--data", data, "--to", target, "--json", *options))

    def rows(self, path):
        with sqlite3.connect(path) as copy:
            return [[text(value) for value in row] for row in copy.execute(f"SELECT {COLUMNS} FROM items ORDER BY id")]

    def must(self, restored):
        self.assertEqual(restored.done.returncode, 0, restored.done.stderr)
        return restored.report


class Restore(RestoreCase):
    def test_a16_any_height_and_time_from_blocks_alone_and_from_snapshots(self):
        random = seeded("a16_restore", usual=16)
        node = self.ledger(random)
        tip = node.status()["height"]
        self.assertEqual(stele("snapshot", "create", "--http", f"http://127.0.0.1:{node.http_port}").returncode, 0)
        node.query("INSERT INTO items VALUES (1000, 'after the snapshot', 1, now(), '')")
        newest = node.status()["height"]
        heights = {3, tip, newest, *random.sample(range(4, tip), count(4, 25))}
        for height in sorted(heights):
            with self.subTest(height=height):
                path = self.home / f"at-{height}.db"
                report = self.must(self.restore(f"sqlite:{path}", "--at", height, "--table", "*"))
                self.assertTrue(report["proven"])
                self.assertEqual(report["height"], height)
                self.assertEqual(report["from"], tip if height >= tip else 0)
                self.assertEqual(self.rows(path), self.as_of(node, height))
        with self.subTest("one table, from blocks though there is a snapshot"):
            path = self.home / "one.db"
            report = self.must(self.restore(f"sqlite:{path}", "--table", "items", "--from-blocks"))
            self.assertEqual((report["from"], report["proven"]), (0, False))
            self.assertEqual([table["table"] for table in report["tables"]], ["public.items"])
            self.assertEqual(self.rows(path), self.as_of(node, newest))
        with self.subTest("the same target goes further, and never back"):
            path = self.home / "on.db"
            self.must(self.restore(f"sqlite:{path}", "--at", 10, "--from-blocks"))
            self.must(self.restore(f"sqlite:{path}", "--at", 20, "--from-blocks"))
            self.assertEqual(self.rows(path), self.as_of(node, 20))
            back = self.restore(f"sqlite:{path}", "--at", 15, "--from-blocks").done
            self.assertIn("was restored to block 20 already", back.stderr)

    def test_a16_a_table_that_is_not_there_is_named(self):
        self.node("data").start().query("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        done = self.restore(f"sqlite:{self.home / 'none.db'}", "--table", "nosuch").done
        self.assertEqual(done.returncode, 1)
        self.assertIn("no table of block 1 is called nosuch", done.stderr)
        self.must(self.restore(f"sqlite:{self.home / 'some.db'}", "--table", "nosuch", "--table", "t"))

    def test_a16_a_target_that_cannot_take_it_stays_as_it_was(self):
        self.node("data").start().query("CREATE TABLE items (id INTEGER PRIMARY KEY)")
        path = self.home / "mine.db"
        with sqlite3.connect(path) as mine:
            mine.execute("CREATE TABLE items (mine TEXT)")
        for more in ([], ["--from-blocks"]):
            done = self.restore(f"sqlite:{path}", *more).done
            self.assertEqual(done.returncode, 1)
            self.assertIn("has that name", done.stderr)
            with sqlite3.connect(path) as mine:
                self.assertEqual(mine.execute("SELECT name, sql FROM sqlite_schema").fetchall(), [("items", "CREATE TABLE items (mine TEXT)")])

    def test_a16_times_name_their_zone(self):
        node = self.ledger(seeded("a16_times", usual=17), steps=10)
        tip = node.status()["height"]
        time_us = node.json(f"/v1/blocks/{tip - 2}")["leaf"]["time_us"]
        moment = datetime.datetime.fromtimestamp(time_us / 1e6, datetime.timezone.utc)
        for hours in (0, 8, -5):
            zone = datetime.timezone(datetime.timedelta(hours=hours))
            written = moment.astimezone(zone).isoformat()
            path = self.home / f"zone{hours}.db"
            report = self.must(self.restore(f"sqlite:{path}", "--at", written))
            self.assertEqual(report["height"], tip - 2, written)
        for wrong, why in [
            ("2026-11-30T09:00:00", "names no time zone"),
            ("yesterday", "neither a height nor a time"),
            (str(tip + 1), f"the newest block here is {tip}"),
        ]:
            done = self.restore(f"sqlite:{self.home / 'none.db'}", "--at", wrong).done
            self.assertEqual(done.returncode, 1)
            self.assertIn(why, done.stderr)
        self.assertFalse((self.home / "none.db").exists())

    def test_a16_kill_9_of_a_restore_loses_nothing(self):
        node = self.node("data").start()
        node.query("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, amount NUMERIC(12,2), at TIMESTAMPTZ, note TEXT)")
        for part in range(30):
            first = part * 2000
            node.query(f"INSERT INTO items SELECT g, 'n' || g, g / 4.0, now(), 'x' FROM generate_series({first}, {first + 1999}) AS g")
        node.stop()
        path = self.home / "killed.db"
        command = ["restore", "--data", self.home / "data", "--to", f"sqlite:{path}", "--table", "*", "--json"]
        random = seeded("a16_kill", usual=18)
        killed = 0
        for _ in range(count(6, 60)):
            process = subprocess.Popen(
                [binary(), *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()
            )
            time.sleep(random.uniform(0.02, 0.5))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += process.returncode == -signal.SIGKILL
        report = self.must(Restored(stele(*command)))
        self.assertTrue(report["proven"])
        self.assertEqual(sum(table["rows"] for table in report["tables"] if table["table"] == "public.items"), 60_000)
        self.assertGreater(killed, 0)

    def test_a16_into_servers(self):
        node = self.ledger(seeded("a16_servers", usual=19), steps=25)
        tip = node.status()["height"]
        postgres = PostgresServer().start()
        self.addCleanup(postgres.stop)
        mariadb = MariaDbServer().start()
        self.addCleanup(mariadb.stop)
        with postgres.connect() as connection:
            connection.execute("CREATE DATABASE restored")
        mariadb.sql("CREATE DATABASE restored")
        for target in (f"postgres://postgres@localhost:5432/restored?socket={postgres.home}", mariadb.target("restored")):
            report = self.must(self.restore(target, "--table", "*"))
            self.assertTrue(report["proven"], target)
            self.assertEqual(report["height"], tip)


class Archives(RestoreCase):
    def test_a24_an_archive_is_checked_before_it_is_believed(self):
        random = seeded("a24_archive", usual=24)
        node = self.ledger(random, steps=20)
        http = f"http://127.0.0.1:{node.http_port}"
        self.assertEqual(stele("snapshot", "create", "--http", http).returncode, 0)
        trust = self.home / "data" / "trust.txt"
        archive = self.home / "ledger.tar"
        made = stele("archive", "create", archive, "--data", self.home / "data")
        self.assertEqual(made.returncode, 0, made.stderr)
        imported = self.home / "imported"
        done = stele("archive", "import", archive, "--dir", imported, "--trust", trust)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(stele("verify", "--data", imported, "--trust", trust).returncode, 0)
        self.assertFalse((imported / "validator.key").exists() or (imported / "keys").exists())
        path = self.home / "theirs.db"
        self.assertTrue(self.must(self.restore(f"sqlite:{path}", "--table", "*", data=imported))["proven"])
        self.assertEqual(self.rows(path), self.as_of(node, node.status()["height"]))

        # The copy is as whole as what it was made from: a byte that is changed later is found.
        forged = self.home / "forged"
        shutil.copytree(imported, forged)
        segment = max((forged / "segments").iterdir(), key=lambda path: path.stat().st_size)
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 1
        segment.write_bytes(content)
        self.assertNotEqual(stele("verify", "--data", forged, "--trust", trust).returncode, 0)
        # No archive is made of what is damaged.
        done = stele("archive", "create", self.home / "forged.tar", "--data", forged)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertFalse((self.home / "forged.tar").exists())

        whole = archive.read_bytes()
        other = self.node("other").start()
        other.query("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        stranger = self.home / "other" / "trust.txt"
        refused = stele("archive", "import", archive, "--dir", self.home / "no", "--trust", stranger)
        self.assertIn("this is not the ledger you trust", refused.stderr)
        for number in range(count(12, 200)):
            damaged = bytearray(whole)
            place = random.randrange(len(whole) - 1024)
            damaged[place] ^= 1 << random.randrange(8)
            bad = self.home / "bad.tar"
            bad.write_bytes(damaged)
            target = self.home / f"bad{number}"
            done = stele("archive", "import", bad, "--dir", target, "--trust", trust)
            if done.returncode == 0:
                # Padding, or what is no part of the ledger, such as a file's mode.
                self.assertEqual(stele("verify", "--data", target, "--trust", trust).returncode, 0, place)
                shutil.rmtree(target)
            else:
                self.assertFalse(target.exists(), place)
                self.assertNotIn("panicked", done.stderr, place)
        def altered(name, change):
            """The archive with other members, unpacked under a trust file that is good."""
            path = self.home / name
            with tarfile.open(archive) as old, tarfile.open(path, "w") as new:
                for member in old:
                    for one, content in change(member, old.extractfile(member).read()):
                        one.size = len(content)
                        new.addfile(one, io.BytesIO(content))
            return stele("archive", "import", path, "--dir", self.home / f"{name}.dir", "--trust", trust)

        # What was pinned is kept, whatever the archive says of itself.
        done = altered("own.tar", lambda one, content: [(one, content.replace(b"one", b"two") if one.name == "trust.txt" else content)])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.home / "own.tar.dir" / "trust.txt").read_bytes(), trust.read_bytes())

        def renamed(one, content):
            if one.name.startswith("snapshots/"):
                one.name = "snapshots/0000000000000003.snapshot"
            return [(one, content)]

        self.assertIn("named it anew", altered("renamed.tar", renamed).stderr)
        self.assertIn("genesis twice", altered("twice.tar", lambda one, content: [(one, content)] * (1 + (one.name == "genesis"))).stderr)
        cut = self.home / "cut.tar"
        cut.write_bytes(whole[: len(whole) // 2])
        done = stele("archive", "import", cut, "--dir", self.home / "cut", "--trust", trust)
        self.assertEqual(done.returncode, 1)
        self.assertFalse((self.home / "cut").exists())

    def test_a24_every_changed_byte_of_a_snapshot_is_noticed(self):
        random = seeded("a24_snapshot", usual=25)
        node = self.ledger(random, steps=15)
        http = f"http://127.0.0.1:{node.http_port}"
        self.assertEqual(stele("snapshot", "create", "--http", http).returncode, 0)
        trust = self.home / "data" / "trust.txt"
        [snapshot] = (self.home / "data" / "snapshots").iterdir()
        good = stele("snapshot", "verify", snapshot, "--trust", trust)
        self.assertEqual(good.returncode, 0, good.stderr)
        whole = snapshot.read_bytes()
        bad = self.home / "bad.snapshot"
        for _ in range(count(40, len(whole))):
            damaged = bytearray(whole)
            place = random.randrange(len(whole))
            damaged[place] ^= 1 << random.randrange(8)
            bad.write_bytes(damaged)
            done = stele("snapshot", "verify", bad, "--trust", trust)
            self.assertEqual(done.returncode, 1, f"byte {place} was changed and nobody noticed")
            self.assertNotIn("panicked", done.stderr, place)
        for length in (0, 7, 12, len(whole) // 2, len(whole) - 1):
            bad.write_bytes(whole[:length])
            self.assertEqual(stele("snapshot", "verify", bad, "--trust", trust).returncode, 1, length)
