"""kill -9 of a working node, again and again (rows A6, B1, C2).

Clients write while the process is killed at a random moment, sometimes before it listens. After each
start on the same directory: what was acknowledged is there exactly once, what was not is there once
or not at all, no transaction is there in part, and the log's signed size never went back.

25 kills in CI, 1,000 with STELE_FULL=1; STELE_SEED repeats the moments.
"""

import json
import threading
import time
import unittest

import psycopg

from stele_node import DirectoryCase, count, seeded, stele

KILLS = count(25, 1_000)
INSERTERS = 4
MOVERS = 3
# Ids of a round lie above those of the rounds before, so that a check reads new rows only.
ROUND = 1_000_000
CLIENT = 100_000

TABLES = """
CREATE TABLE entries (id BIGINT PRIMARY KEY, v TEXT);
CREATE TABLE totals (id INT PRIMARY KEY, n BIGINT NOT NULL);
CREATE TABLE moves (id BIGINT PRIMARY KEY, client INT NOT NULL);
INSERT INTO totals VALUES {};
""".format(", ".join(f"({client}, 0)" for client in range(MOVERS)))


class Told:
    """What clients were told in a round; a client that lost its connection knows nothing of its last write."""

    def __init__(self):
        self.lock = threading.Lock()
        self.inserted, self.moved, self.unknown_inserts, self.unknown_moves = set(), {}, set(), {}
        self.surprises = []


class Client(threading.Thread):
    """Writes until its connection breaks."""

    def __init__(self, node, told, first):
        super().__init__(daemon=True)
        self.node, self.told, self.id = node, told, first

    def run(self):
        try:
            with self.node.connect() as connection:
                while True:
                    self.begin()
                    self.write(connection)
                    self.acknowledged()
                    self.id += 1
        except (psycopg.OperationalError, OSError):
            pass  # the kill
        except Exception as surprise:  # noqa: BLE001 - the test reports it
            self.told.surprises.append(f"{type(self).__name__}: {surprise!r}")


class Inserter(Client):
    def begin(self):
        with self.told.lock:
            self.told.unknown_inserts.add(self.id)

    def write(self, connection):
        connection.execute("INSERT INTO entries VALUES (%s, %s)", (self.id, "x" * (self.id % 300)))

    def acknowledged(self):
        with self.told.lock:
            self.told.unknown_inserts.discard(self.id)
            self.told.inserted.add(self.id)


class Mover(Client):
    """Counts in one table and writes the reason into another, in one transaction."""

    def __init__(self, node, told, first, client):
        super().__init__(node, told, first)
        self.client = client

    def begin(self):
        with self.told.lock:
            self.told.unknown_moves[self.id] = self.client

    def write(self, connection):
        with connection.transaction():
            connection.execute("UPDATE totals SET n = n + 1 WHERE id = %s", (self.client,))
            connection.execute("INSERT INTO moves VALUES (%s, %s)", (self.id, self.client))

    def acknowledged(self):
        with self.told.lock:
            self.told.unknown_moves.pop(self.id, None)
            self.told.moved[self.id] = self.client


class Watcher(threading.Thread):
    """Follows the checkpoint's size, as an outsider would."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.size, self.went_back = node, 0, None

    def run(self):
        try:
            while True:
                size = self.node.checkpoint_size()
                if size < self.size:
                    self.went_back = (self.size, size)
                self.size = size
                time.sleep(0.01)
        except (OSError, AssertionError, ValueError, IndexError):
            pass  # the kill
        except Exception:  # noqa: BLE001 - a broken answer of a dying process
            pass


class Kills(DirectoryCase):
    def test_a6_c2_kill_loop(self):
        random = seeded("kill_loop")
        node = self.node()
        node.start()
        node.query(TABLES)
        size_seen, writes = node.checkpoint_size(), 0
        self.total_entries = 0
        self.total_moves = 0

        for round_number in range(1, KILLS + 1):
            told, watcher = Told(), Watcher(node)
            base = round_number * ROUND
            clients = [Inserter(node, told, base + i * CLIENT) for i in range(INSERTERS)]
            clients += [Mover(node, told, base + (INSERTERS + i) * CLIENT, i) for i in range(MOVERS)]
            for thread in [watcher, *clients]:
                thread.start()
            time.sleep(random.uniform(0.0, 0.5))
            node.kill()
            for thread in [watcher, *clients]:
                thread.join(30)
                self.assertFalse(thread.is_alive(), "a client hangs on a dead node")
            self.assertEqual(told.surprises, [], f"round {round_number}")
            self.assertIsNone(watcher.went_back)
            size_seen = max(size_seen, watcher.size)

            # Now and then the next start is killed too, at any moment of it.
            while random.random() < 0.2:
                node.start_without_waiting()
                time.sleep(random.uniform(0.0, 0.4))
                node.kill()

            node.start()
            size = node.checkpoint_size()
            self.assertGreaterEqual(size, size_seen, f"round {round_number}: the signed log went back")
            size_seen = size
            self.check(node, told, base, f"round {round_number}")
            writes += len(told.inserted) + len(told.moved)
            if round_number % 100 == 0:
                print(f"  {round_number} of {KILLS} kills, {writes} acknowledged writes", flush=True)

        print(f"kill_loop: {KILLS} kills, {writes} acknowledged writes, log of {size_seen} leaves", flush=True)
        self.assertGreater(writes, KILLS, "the clients hardly wrote: the test shows little")
        self.check_everything(node)

    def check(self, node, told, base, where):
        with node.connect() as connection:
            entries = [row[0] for row in connection.execute("SELECT id FROM entries WHERE id >= %s", (base,))]
            moves = connection.execute("SELECT id, client FROM moves WHERE id >= %s", (base,)).fetchall()
            self.assertEqual(told.inserted - set(entries), set(), f"{where}: acknowledged inserts are lost")
            self.assertLessEqual(set(entries), told.inserted | told.unknown_inserts, where)
            self.assertEqual(len(entries), len(set(entries)), where)
            self.assertEqual(told.moved.items() - set(moves), set(), f"{where}: acknowledged transactions are lost")
            self.assertLessEqual(set(moves), told.moved.items() | told.unknown_moves.items(), where)

            self.total_entries += len(entries)
            self.total_moves += len(moves)
            self.assertEqual(connection.execute("SELECT count(*) FROM entries").fetchone()[0], self.total_entries, where)
            self.assertEqual(connection.execute("SELECT count(*) FROM moves").fetchone()[0], self.total_moves, where)
            # Half a transaction, or one applied twice, would show here.
            totals = dict(connection.execute("SELECT id, n FROM totals").fetchall())
            per_client = dict(connection.execute("SELECT client, count(*) FROM moves GROUP BY client").fetchall())
            self.assertEqual({k: v for k, v in totals.items() if v}, per_client, where)
        # Not waited for: the check that starts with the node reads all there is, more each round. The last one is.
        status = node.json("/v1/status")
        self.assertIn(status["store"], ["valid", "verifying"], where)
        self.assertIsNone(status["halted"], where)

    def check_everything(self, node):
        audited = stele("audit", "--http", f"http://127.0.0.1:{node.http_port}")
        self.assertEqual(audited.returncode, 0, audited.stdout + audited.stderr)
        self.assertEqual(node.stop(), 0)
        verified = stele("verify", "--trust", node.directory / "trust.txt", "--data", node.directory)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)


class Records(DirectoryCase):
    """Records over HTTP, each kind of acknowledgement followed by kill -9 (row B1)."""

    # Long enough that an accepted record is surely still pending when it is read and the node killed.
    INTERVAL_MS = 1_500

    def append(self, node, wait, body):
        status, headers, answer = node.http("POST", f"/v1/records?wait={wait}", body)
        return status, headers, json.loads(answer)

    def check_place(self, node, place, body):
        """A record with a place is there by identity and by place, for good."""
        for path in [f"/v1/records/{place['id']}", f"/v1/records/{place['height']}/{place['index']}"]:
            status, headers, found = node.http("GET", path)
            self.assertEqual((status, found), (200, body), path)
            self.assertEqual(headers["Stele-Pending"], "false")
            self.assertEqual(
                (int(headers["Stele-Height"]), int(headers["Stele-Index"])), (place["height"], place["index"]), path
            )

    def test_b1_a_record_acknowledged_as_committed_or_applied_survives_a_kill(self):
        random = seeded("record_kills")
        node = self.node()
        durable = []
        for number in range(count(6, 100)):
            node.start()
            for place, body in durable:
                self.check_place(node, place, body)
            body = random.randbytes(random.choice([0, 1, 700, 70_000])) + number.to_bytes(4, "big")
            status, headers, place = self.append(node, ["committed", "applied"][number % 2], body)
            node.kill()
            self.assertEqual(status, 200, place)
            self.assertEqual(int(headers["Stele-Height"]), place["height"])
            durable.append((place, body))
        node.start()
        for place, body in durable:
            self.check_place(node, place, body)
        self.assertEqual(len({(place["height"], place["index"]) for place, _ in durable}), len(durable))

    def test_b1_an_accepted_record_is_pending_and_then_there_or_gone_whole(self):
        random = seeded("pending_kills")
        node = self.node(block_interval_ms=self.INTERVAL_MS)
        there = 0
        for number in range(count(4, 50)):
            node.start()
            body = random.randbytes(3_000) + number.to_bytes(4, "big")
            status, _, accepted = self.append(node, "accepted", body)
            self.assertEqual(status, 202, accepted)
            self.assertNotIn("height", accepted)
            path = f"/v1/records/{accepted['id']}"
            status, headers, found = node.http("GET", path)
            self.assertEqual((status, headers["Stele-Pending"], found), (200, "true", body))
            self.assertIsNone(headers["Stele-Height"])
            # Killed at once, or when its block may have closed and been stored, or not yet.
            wait = number % 2 * self.INTERVAL_MS / 1_000
            time.sleep(wait + random.uniform(-0.1, 0.2) if wait else 0)
            node.kill()
            node.start()
            status, headers, found = node.http("GET", path)
            if status == 200:
                there += 1
                self.assertEqual(headers["Stele-Pending"], "false", "what was only pending is not kept as pending")
                place = {"id": accepted["id"], "height": headers["Stele-Height"], "index": headers["Stele-Index"]}
                self.check_place(node, {**place, "height": int(place["height"]), "index": int(place["index"])}, body)
            else:
                self.assertEqual(status, 404)
                self.assertEqual(json.loads(found)["code"], "unknown_record")
                # It may be appended again: the lost one left nothing in the way.
                status, _, place = self.append(node, "applied", body)
                self.assertEqual(status, 200, place)
                self.check_place(node, place, body)
            self.assertEqual(node.stop(), 0)
        print(f"pending_kills: {there} of {count(4, 50)} accepted records were in a block when the node was killed")


if __name__ == "__main__":
    unittest.main()
