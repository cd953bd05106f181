"""kill -9 of a node or of the databases it mirrors into, again and again (row A17).

A writer inserts, updates, deletes and alters while the node, PostgreSQL or MariaDB is killed at a random moment and
started again. After each kill the replicas go on by themselves; now and then, and at the end, every audit is clean
and other clients read the rows of the ledger.

15 kills in CI, 1,000 with STELE_FULL=1; STELE_SEED repeats the moments.
"""

import threading
import time
import unittest

import psycopg

from replica_targets import SERVERS, ReplicaCase
from stele_node import count, seeded

KILLS = count(15, 1_000)
# Kills between two comparisons of everything.
COMPARED_EACH = 5
COLUMNS = [("id", "bigint"), ("v", "text"), ("n", "numeric")]


def setUpModule():
    SERVERS.start()


class Writer(threading.Thread):
    """Writes until the node goes away or it is told to end."""

    def __init__(self, case, first):
        super().__init__(daemon=True)
        self.node, self.random, self.first = case.ledger, case.random, first
        self.ended, self.surprise, self.written = threading.Event(), None, 0

    def run(self):
        try:
            with self.node.connect() as connection:
                while not self.ended.is_set():
                    connection.execute(self.transaction())
                    self.written += 1
        except (psycopg.OperationalError, OSError):
            pass  # the kill
        except Exception as surprise:  # noqa: BLE001 - the test reports it
            self.surprise = f"{surprise!r}"

    def transaction(self):
        random, number = self.random, self.first + self.written
        some = random.randrange(50)
        return random.choice(
            [
                f"INSERT INTO t (id, v) SELECT {number * 100} + g, 'v' || g FROM generate_series(1, 20) AS s(g)",
                f"INSERT INTO t (id, v) VALUES ({number * 100}, 'one')",
                f"UPDATE t SET n = coalesce(n, 0) + 1 WHERE id % 50 = {some}",
                f"UPDATE t SET id = -id WHERE id % 97 = {some}",
                f"DELETE FROM t WHERE id % 50 = {some}",
                f"BEGIN; UPDATE t SET v = 'x' WHERE id % 50 = {some}; DELETE FROM s.u WHERE id < {number}; "
                f"INSERT INTO s.u VALUES ({number}, 'u', {some}.5); COMMIT",
                # A few columns, again and again: InnoDB's rows have no room for hundreds.
                f"BEGIN; ALTER TABLE t DROP COLUMN IF EXISTS c{number % 8}; "
                f"ALTER TABLE t ADD COLUMN c{number % 8} INT DEFAULT {some}; COMMIT",
                f"ALTER TABLE t ADD COLUMN IF NOT EXISTS d{number % 8} INT DEFAULT {some}",
                f"BEGIN; ALTER TABLE t ADD COLUMN d TEXT DEFAULT 'd'; UPDATE t SET d = v WHERE id % 50 = {some}; "
                f"ALTER TABLE t DROP COLUMN d; ALTER TABLE s.u RENAME TO w; ALTER TABLE s.w RENAME TO u; COMMIT",
                f"BEGIN; CREATE TABLE m{number} (id BIGINT PRIMARY KEY, v TEXT, n NUMERIC(9,2)); "
                f"INSERT INTO m{number} VALUES (1, 'm', 1); DROP TABLE s.u; ALTER TABLE t RENAME COLUMN v TO w; "
                f"CREATE TABLE s.u (id BIGINT PRIMARY KEY, v TEXT, n NUMERIC(9,2)); DROP TABLE m{number}; "
                f"ALTER TABLE t RENAME COLUMN w TO v; COMMIT",
            ]
        )


class Kills(ReplicaCase):
    def test_a17_kill_loop(self):
        self.random = seeded("replica_kills", 17)
        self.ledger.query(
            "CREATE SCHEMA s; CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT, n NUMERIC(9,2));"
            "CREATE TABLE s.u (id BIGINT PRIMARY KEY, v TEXT, n NUMERIC(9,2))"
        )
        databases = self.three()
        victims = {
            "node": (self.ledger.kill, self.ledger.start),
            "postgres": (SERVERS.postgres.kill, SERVERS.postgres.launch),
            "mariadb": (SERVERS.mariadb.kill, SERVERS.mariadb.start),
        }
        written, killed = 1, dict.fromkeys(victims, 0)
        for number in range(1, KILLS + 1):
            victim = self.random.choice(list(victims))
            kill, start = victims[victim]
            writer = Writer(self, written)
            writer.start()
            try:
                time.sleep(self.random.uniform(0.0, 0.6))
                kill()
                # Some changes come while it is down.
                time.sleep(self.random.uniform(0.0, 0.3))
                start()
                time.sleep(self.random.uniform(0.0, 0.2))
            finally:
                writer.ended.set()
                writer.join(60)
            self.assertFalse(writer.is_alive(), "the writer hangs")
            self.assertIsNone(writer.surprise, f"kill {number}, of {victim}")
            # What was under way at the kill may have been written, too.
            written += writer.written + 1
            killed[victim] += 1
            if number % COMPARED_EACH == 0 or number == KILLS:
                self.compare(databases, f"after kill {number}, of {victim}")
            if number % 100 == 0:
                print(f"  {number} of {KILLS} kills, {written} transactions", flush=True)
        print(f"replica_kills: {killed}, {written} transactions", flush=True)
        self.assertGreater(written, KILLS, "the writer hardly wrote: the test shows little")

    def compare(self, databases, where):
        with self.subTest(where):
            self.replicas.wait(*databases)
            self.replicas.clean(*databases)
            for table in ("public.t", "s.u"):
                self.equal(databases, table, COLUMNS)


if __name__ == "__main__":
    unittest.main()
