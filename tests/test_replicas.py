"""Replicas in SQLite, PostgreSQL and MariaDB: equal to the ledger, checked, mended (rows A2, A4, A14).

A node mirrors its tables into real databases. Equal means twice: the audit's roots are those the validators
signed, and other clients (sqlite3, psycopg, mariadb) read the values the ledger gives.
"""

import threading
import time
import unittest

from mariadb_server import SECRET, SECRET_USER
from replica_targets import KINDS, LedgerWriter, Replicas, Servers, ledger_dump
from stele_node import DirectoryCase, count, seeded

ROUNDS = count(10, 400)
TRANSACTIONS = 12
SERVERS = Servers()


def setUpModule():
    unittest.addModuleCleanup(SERVERS.stop)
    SERVERS.start()


class ReplicaCase(DirectoryCase):
    """A node and a way to its replicas."""

    def setUp(self):
        super().setUp()
        self.ledger = self.node()
        self.ledger.start()
        self.replicas = Replicas(self, self.ledger)

    def database(self, kind):
        return SERVERS.database(kind, self.home)

    def three(self):
        """One replica of each kind, by name."""
        databases = {kind: self.database(kind) for kind in KINDS}
        for name, database in databases.items():
            self.replicas.add(name, database.target)
        return databases

    def equal(self, databases, table, columns):
        expected = ledger_dump(self.ledger, table, columns)
        for name, database in databases.items():
            self.assertEqual(database.dump(table, columns), expected, f"{table} in {name}")
        return len(expected)


class Mirrored(ReplicaCase):
    def test_a2_random_ddl_and_dml_arrive_in_all_three(self):
        random = seeded("replicas", 20)
        databases = self.three()
        writer = LedgerWriter(random, self.ledger)
        rows = 0
        for round_number in range(ROUNDS):
            writer.transactions(TRANSACTIONS)
            self.replicas.wait(*databases)
            self.replicas.clean(*databases)
            last = round_number == ROUNDS - 1
            for table in writer.tables if last else random.sample(writer.tables, min(2, len(writer.tables))):
                rows += self.equal(databases, table.full, table.read())
        print(f"replicas: {writer.taken} transactions, {len(writer.refused)} refused, {rows} rows compared", flush=True)
        self.assertGreater(writer.taken, len(writer.refused), writer.refused[:5])
        self.assertGreater(rows, ROUNDS, "hardly a row was compared: the test shows little")


if __name__ == "__main__":
    unittest.main()
