"""Stores of several validators find what is damaged in them, and get it from each other (rows B4, B5, B6, B13, A15).

Real processes; bytes are changed in their files while they run and while they do not.
"""

import shutil
import sqlite3
import threading
import unittest
import urllib.error

from stele_node import DirectoryCase, seeded, stele
from test_a1_cluster import Testnet, http_get, setUpModule  # noqa: F401
from test_proxy import ProxyCase

REPAIR_SECONDS_MAX = 90
ROW_BYTES = 1500
SMALL_SEGMENTS = {"STELE_STORE_SEGMENT_MIB": "1", "STELE_STORE_SELF_CHECK_INTERVAL_S": "0"}


def fill(net, name, first, statements):
    with net.connect(name) as connection:
        for number in range(first, first + statements):
            rows = ", ".join(f"({number * 100 + row}, repeat('{number % 10}', {ROW_BYTES}))" for row in range(100))
            connection.execute(f"INSERT INTO t VALUES {rows}")


class Writers:
    """Clients of nodes that write until told to stop; what was acknowledged must be there."""

    def __init__(self, net, names):
        self.net = net
        self.stopping = threading.Event()
        self.acknowledged = []
        self.failed = []
        self.threads = [threading.Thread(target=self.run, args=(name, place)) for place, name in enumerate(names)]
        for thread in self.threads:
            thread.start()

    def run(self, name, place):
        number = 10_000_000 * (place + 1)
        try:
            with self.net.connect(name) as connection:
                while not self.stopping.is_set():
                    number += 1
                    connection.execute("INSERT INTO t VALUES (%s, 'load')", (number,))
                    self.acknowledged.append(number)
        except Exception as error:
            self.failed.append(f"{name}: {error}")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)


class Care(DirectoryCase):
    def setUp(self):
        super().setUp()
        self.random = seeded(self)
        self.net = Testnet(self, environment=SMALL_SEGMENTS).start()
        self.net.query("one", "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        fill(self.net, "one", 1, 16)
        self.net.equal()

    def segments(self, name):
        return sorted((self.net.directory / name / "data" / "segments").glob("*.seg"))

    def flip(self, path, place=None):
        place = place if place is not None else self.random.randrange(70, path.stat().st_size - 80)
        with open(path, "r+b") as file:
            file.seek(place)
            byte = file.read(1)
            file.seek(place)
            file.write(bytes([byte[0] ^ (1 << self.random.randrange(8))]))

    def audit(self, name):
        done = stele("audit", "--http", f"http://127.0.0.1:{self.net.members[name][1]}")
        self.assertIn(done.returncode, (0, 2), done.stdout + done.stderr)
        return done

    def events(self, name):
        return [event["kind"] for event in self.net.status(name)["store_events"]]

    def is_valid(self, name):
        try:
            status = self.net.status(name)
        except OSError:
            return False
        return status["store"] in ("valid", "sending") and not status["halted"]

    def until_valid(self, *names):
        for name in names:
            self.net.until(lambda: self.is_valid(name), REPAIR_SECONDS_MAX, f"{name} is valid again")

    def whole(self):
        """All stores are whole, and executed again give the same."""
        self.net.equal()
        self.net.stop()
        for name in self.net.members:
            data = self.net.directory / name / "data"
            checked = stele("verify", "--data", data, "--trust", data / "trust.txt", "--execute")
            self.assertEqual(checked.returncode, 0, f"{name}: {checked.stdout}{checked.stderr}")

    def test_b5_damage_under_load_is_found_and_mended_and_nobody_waits(self):
        self.assertGreaterEqual(len(self.segments("two")), 3)
        writers = Writers(self.net, ["one", "two", "three", "four"])
        # A sealed segment, the open one, and one that is gone.
        for damage in (
            lambda: self.flip(self.segments("two")[1]),
            lambda: self.flip(self.segments("two")[-1], 200),
            lambda: self.segments("two")[0].unlink(),
            lambda: [self.flip(path) for path in self.segments("two")[:-1]],
        ):
            before = self.events("two")
            damage()
            found = self.audit("two")
            self.assertEqual(found.returncode, 2, found.stdout + found.stderr)
            self.net.until(
                lambda: self.events("two")[-1:] == ["valid"] and len(self.events("two")) > len(before),
                REPAIR_SECONDS_MAX,
                "two is valid again",
            )
            happened = self.events("two")[len(before) :]
            self.assertEqual(happened[0], "damaged", happened)
            self.assertIn("receiving", happened)
            self.assertIn("repaired", happened)
            self.until_valid("two")
        helped = [name for name in ("one", "three", "four") if "sending" in self.events(name)]
        self.assertTrue(helped)
        self.until_valid(*helped)
        writers.stop()
        self.assertEqual(writers.failed, [])
        self.assertGreater(len(writers.acknowledged), 10)
        self.net.equal()
        for name in self.net.members:
            there = {row[0] for row in self.net.query(name, "SELECT id FROM t WHERE v = 'load'")}
            self.assertEqual(set(writers.acknowledged) - there, set())
        quarantine = self.net.directory / "two" / "data" / "segments" / "quarantine"
        self.assertTrue(list(quarantine.glob("*.seg")))
        metrics = http_get(f"http://127.0.0.1:{self.net.members['two'][1]}/metrics")
        self.assertIn("stele_repairs_total", metrics)
        self.whole()

    def edit_state(self, name, *statements):
        database = sqlite3.connect(self.net.directory / name / "data" / "state.db", timeout=30)
        with database:
            for statement in statements:
                self.assertGreaterEqual(database.execute(statement).rowcount, 1, statement)
        database.close()

    def state_table(self, name):
        """Name of the table t, and of its column v, in the state database."""
        database = sqlite3.connect(self.net.directory / name / "data" / "state.db", timeout=30)
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 't[0-9]*'")]
        filled = [table for table in tables if database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 1600]
        database.close()
        self.assertEqual(len(filled), 1)
        return filled[0]

    def test_b5_a_state_changed_by_hand_is_found_and_made_anew_under_load(self):
        table = self.state_table("two")
        writers = Writers(self.net, ["one", "two", "three"])
        edits = {
            "a row": [f"UPDATE {table} SET c2 = 'gold' WHERE c1 = 150"],
            "a row less": [f"DELETE FROM {table} WHERE c1 = 151"],
            "the tree": ["UPDATE _tree SET nodes = CAST(substr(nodes, 1, length(nodes) - 40) || zeroblob(32) || substr(nodes, -8) AS BLOB) WHERE level = 0"],
        }
        for what, statements in edits.items():
            with self.subTest(what):
                before = len(self.net.status("two")["store_events"])
                self.edit_state("two", *statements)
                self.audit("two")
                self.net.until(
                    lambda: "repaired" in self.events("two")[before:] and self.events("two")[-1] in ("valid", "repaired"),
                    REPAIR_SECONDS_MAX,
                    f"{what}: two is repaired",
                )
                self.until_valid("two")
                self.net.query("three", "UPDATE t SET v = v || '!' WHERE id = 150")
        writers.stop()
        if writers.failed:
            # The one whose state was damaged may say so; nobody else waits.
            self.assertTrue(all(failed.startswith("two:") for failed in writers.failed), writers.failed)
        self.net.equal()
        self.assertEqual(self.audit("two").returncode, 0)
        self.assertEqual(self.net.query("two", "SELECT v FROM t WHERE id = 150"), self.net.query("one", "SELECT v FROM t WHERE id = 150"))
        self.whole()

    def test_b5_a_state_changed_while_the_node_was_down_does_not_stop_it(self):
        table = self.state_table("two")
        self.net.play("--kill", "two")
        self.edit_state("two", f"UPDATE {table} SET c2 = 'gold' WHERE c1 = 150")
        self.net.play("--revive", "two")
        # Executed on the changed row, whether the self-check has seen it or not.
        self.net.query("one", "UPDATE t SET v = v || '!' WHERE id = 150")
        self.net.equal()
        self.until_valid("two")
        self.net.play("--kill", "two")
        state = self.net.directory / "two" / "data" / "state.db"
        state.write_bytes(b"no database at all" * 100)
        self.net.play("--revive", "two")
        self.until_valid("two")
        self.net.equal()
        self.assertEqual(self.audit("two").returncode, 0)

    def test_b5_changed_tile_files_are_computed_anew(self):
        # They are written from time to time, and when a node stops.
        self.net.stop()
        self.net.start()
        path = self.net.directory / "two" / "data" / "log" / "0"
        self.flip(path, 40)
        self.assertEqual(self.audit("two").returncode, 2)
        self.net.until(lambda: self.events("two")[-1:] == ["valid"], REPAIR_SECONDS_MAX, "two is valid again")
        self.assertEqual(self.events("two"), ["damaged", "repaired", "valid"])
        self.whole()

    def test_b5_all_but_one_are_damaged(self):
        writers = Writers(self.net, ["one", "four"])
        for name in ("one", "two", "three"):
            self.flip(self.segments(name)[1])
            self.flip(self.segments(name)[2])
        for name in ("one", "two", "three"):
            self.assertEqual(self.audit(name).returncode, 2)
        for name in ("one", "two", "three"):
            self.net.until(lambda: "valid" in self.events(name), REPAIR_SECONDS_MAX, f"{name} is valid again")
        writers.stop()
        self.assertEqual(writers.failed, [])
        self.whole()

    def test_b13_what_is_damaged_is_not_read_until_it_is_whole(self):
        http = f"http://127.0.0.1:{self.net.members['two'][1]}"
        for name in ("one", "three", "four"):
            self.net.play("--pause", name)
        second = self.segments("two")[1]
        self.flip(second)
        self.assertEqual(self.audit("two").returncode, 2)
        status = self.net.status("two")
        self.assertIn(status["store"], ("invalid", "receiving"))
        bad = status["first_bad_height"]
        with self.assertRaises(urllib.error.HTTPError) as refused:
            http_get(f"{http}/v1/blocks/{bad}")
        self.assertIn("00000002.seg", status["damage"])
        said = refused.exception.read().decode()
        self.assertIn("damaged", said)
        # What is good is read as before, blocks and tables.
        self.assertIn('"height"', http_get(f"{http}/v1/blocks/1"))
        self.assertIn('"height"', http_get(f"{http}/v1/blocks/{status['height']}"))
        self.assertEqual(self.net.query("two", "SELECT count(*) FROM t"), [(1600,)])
        shown = stele("status", "--http", http)
        self.assertEqual(shown.returncode, 1)
        self.assertRegex(shown.stdout, "block store +(invalid|receiving)")
        for name in ("one", "three", "four"):
            self.net.play("--revive", name)
        self.until_valid("two")
        self.assertIn(f'"height":{bad}', http_get(f"{http}/v1/blocks/{bad}").replace(" ", ""))
        self.whole()

    def test_b5_what_was_lost_while_the_node_was_down(self):
        def all_lost(data):
            for path in (data / "segments").glob("*"):
                path.unlink() if path.is_file() else shutil.rmtree(path)

        def last_lost(data):
            sorted((data / "segments").glob("*.seg"))[-1].unlink()

        def middle_lost(data):
            sorted((data / "segments").glob("*.seg"))[1].unlink()

        def last_flipped(data):
            self.flip(sorted((data / "segments").glob("*.seg"))[-1], 300)

        def last_cut(data):
            path = sorted((data / "segments").glob("*.seg"))[-1]
            with open(path, "r+b") as file:
                file.truncate(path.stat().st_size // 2)

        def state_lost(data):
            for path in data.glob("state.db*"):
                path.unlink()

        def index_lost_and_first_flipped(data):
            shutil.rmtree(data / "index")
            self.flip(sorted((data / "segments").glob("*.seg"))[0], 64 + 13)

        number = 100
        for damage in (middle_lost, last_flipped, last_cut, last_lost, index_lost_and_first_flipped, state_lost, all_lost):
            with self.subTest(damage.__name__):
                self.net.play("--kill", "two")
                damage(self.net.directory / "two" / "data")
                self.net.play("--revive", "two")
                self.until_valid("two")
                # Without a new block: what is there is all there is.
                self.net.equal()
                number += 1
                fill(self.net, "two", number, 1)
                self.net.equal()
                found = self.audit("two")
                self.assertEqual(found.returncode, 0, found.stdout + found.stderr)
        self.whole()


class Keys(DirectoryCase):
    """A key that has signed more than its directory knows must not sign again."""

    def test_a15_an_older_copy_of_a_directory_is_refused(self):
        net = Testnet(self).start()
        net.query("one", "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        net.equal()
        net.play("--kill", "two")
        data = net.directory / "two" / "data"
        shutil.copytree(data, self.home / "old")
        net.play("--revive", "two")
        net.equal()
        for number in range(12):
            net.query("two", f"INSERT INTO t VALUES ({number}, 'x')")
        net.equal()
        net.play("--kill", "two")
        shutil.move(data, self.home / "new")
        shutil.move(self.home / "old", data)
        net.play("--revive", "two")

        def halted():
            try:
                return net.status("two")["halted"] or ""
            except OSError:
                return ""

        net.until(lambda: "older copy" in halted(), 60, "the older copy is refused")
        self.assertIn("docs/operations.md", halted())
        # The others go on; with the newest directory so does this one.
        net.query("three", "INSERT INTO t VALUES (100, 'y')")
        net.play("--kill", "two")
        shutil.move(data, self.home / "refused")
        shutil.move(self.home / "new", data)
        net.play("--revive", "two")
        net.equal()
        net.query("two", "INSERT INTO t VALUES (101, 'z')")
        net.equal()
        self.assertEqual([net.status(name)["evidence"] for name in net.members], [0, 0, 0, 0])


class Followers(ProxyCase):
    def test_a15_a_follower_gets_it_from_its_server_and_names_one_that_lies(self):
        self.origin.query("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        for number in range(12):
            rows = ", ".join(f"({number * 100 + row}, repeat('{number % 10}', {ROW_BYTES}))" for row in range(100))
            self.origin.query(f"INSERT INTO t VALUES {rows}")
        proxy = self.proxy()
        proxy.settings.update(SMALL_SEGMENTS)
        proxy.start()
        proxy.until(lambda: proxy.json("/v1/chain")["height"] == self.origin.json("/v1/chain")["height"])

        def audit():
            return stele("audit", "--http", f"http://127.0.0.1:{proxy.http_port}")

        def kinds():
            return [event["kind"] for event in proxy.json("/v1/status")["store_events"]]

        def swapped(body):
            # A digit in the middle: a value of a row.
            place = body.index(b"77777777", len(body) // 3) if b"77777777" in body[len(body) // 3 :] else len(body) // 2
            return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]

        def another_state(body):
            """Everything fits together but the state root in the block leaf, which only the validators' signature shows."""
            block = int.from_bytes(body[:4])
            start = 8 + block
            effects = body[start : start + int.from_bytes(body[4 + block : start])]
            # The leaf ends with root, execution version and the hash of the next validators; then comes the certificate.
            note = effects.rfind(b"localhost/stele\n")
            if note < 0:
                return body  # a piece from the middle of a block
            root = start + note - 4 - 32 - 4 - 32
            return body[:root] + bytes([body[root] ^ 1]) + body[root + 1 :]

        lies = {
            "of another state": another_state,
            "altered": swapped,
            "garbage": lambda body: b"\xff" * 100,
            "of another place": lambda body: body[len(body) // 2 :],
            "too long": lambda body: body + body * 3,
        }
        segment = proxy.directory / "segments" / "00000002.seg"
        whole = segment.read_bytes()
        for what, lie in lies.items():
            with self.subTest(what):
                damaged = bytearray(whole)
                damaged[len(whole) // 3] ^= 4
                segment.write_bytes(damaged)
                self.relay.lie = lambda path, status, body: (status, lie(body) if "kept-blocks" in path else body)
                self.assertEqual(audit().returncode, 2)
                wanted = {"refused"} if lie is another_state else {"refused", "unanswered"}
                proxy.until(lambda: wanted & set(kinds()[-4:]))
                status = proxy.json("/v1/status")
                self.assertIn(status["store"], ("invalid", "receiving"))
                self.assertIn("127.0.0.1", str([event for event in status["store_events"] if event["kind"] in ("refused", "unanswered")][-1]))
                self.relay.lie = None
                proxy.until(lambda: kinds()[-1] == "valid", seconds=REPAIR_SECONDS_MAX)
                self.assertEqual(audit().returncode, 0)
        # What is lost while it is down comes again, and it says that it is well.
        proxy.kill()
        sorted((proxy.directory / "segments").glob("*.seg"))[-1].unlink()
        proxy.start()
        proxy.until(lambda: proxy.json("/v1/chain")["height"] == self.origin.json("/v1/chain")["height"])
        proxy.until(lambda: proxy.json("/v1/status")["store"] in ("valid", "verifying"))
        self.assertEqual(proxy.stop(), 0)
        checked = stele("verify", "--data", proxy.directory, "--trust", self.trust)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


if __name__ == "__main__":
    unittest.main()
