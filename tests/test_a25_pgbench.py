"""A25: pgbench, the PostgreSQL project's own, with its data generation and its scripts."""

import pathlib
import re
import shutil
import subprocess
import unittest

from stele_node import NodeCase, clean_environment, count

SECONDS = count(3, 30)
CLIENTS = 4
RUN_SECONDS_MAX = 300


def pgbench():
    found = shutil.which("pgbench") or "/usr/lib/postgresql/15/bin/pgbench"
    if not pathlib.Path(found).is_file():
        raise FileNotFoundError("pgbench is not there: install postgresql-15, as scripts/test.sh does")
    return found


class Pgbench(NodeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.filled = cls.pgbench("-i", "-I", "dtGvp", "-s", "1")

    @classmethod
    def pgbench(cls, *options):
        done = subprocess.run(
            [pgbench(), "-h", "127.0.0.1", "-p", str(cls.node.postgres_port), "-U", "operator", *options, "stele"],
            capture_output=True, text=True, timeout=RUN_SECONDS_MAX, env=clean_environment(),
        )
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        return done.stdout + done.stderr

    def balances(self):
        sums = "SELECT " + ", ".join(
            f"(SELECT coalesce(sum({column}), 0) FROM pgbench_{table})"
            for table, column in (("accounts", "abalance"), ("tellers", "tbalance"), ("branches", "bbalance"), ("history", "delta"))
        )
        return self.node.query(sums)[0].split("|")

    def transactions(self, said):
        failed = re.search(r"number of failed transactions: (\d+)", said)
        self.assertEqual(int(failed[1]), 0, said)
        return int(re.search(r"number of transactions actually processed: (\d+)", said)[1])

    def test_a25_it_fills_its_tables(self):
        self.assertIn("done in", self.filled)
        self.assertEqual(self.node.query("SELECT count(*), min(aid), max(aid) FROM pgbench_accounts"), ["100000|1|100000"])
        self.assertEqual(self.node.query("SELECT count(*) FROM pgbench_tellers"), ["10"])

    def test_a25_what_stops_the_rest_of_its_initialisation(self):
        # As docs/operations.md says: a COPY larger than a transaction.
        with self.assertRaisesRegex(AssertionError, "the transaction has more than 983040 bytes"):
            self.pgbench("-i", "-I", "g", "-s", "1")
        self.assertEqual(self.node.query("SELECT count(*) FROM pgbench_accounts"), ["100000"])
        self.assertIn("done in", self.pgbench("-i", "-I", "f", "-s", "1"))

    def test_a25_tpc_b_in_every_mode(self):
        for mode in ("simple", "extended", "prepared"):
            with self.subTest(mode):
                before = int(self.node.query("SELECT count(*) FROM pgbench_history")[0])
                said = self.pgbench("-n", "-M", mode, "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS), "--max-tries", "10000")
                done = self.transactions(said)
                self.assertGreater(done, 10, said)
                # Every transaction that pgbench counts is there, once, and nothing else.
                self.assertEqual(int(self.node.query("SELECT count(*) FROM pgbench_history")[0]), before + done)
                accounts, tellers, branches, history = self.balances()
                # What simple-update adds is in accounts and history alone.
                self.assertEqual((accounts, tellers), (history, branches))

    def test_a25_other_scripts(self):
        for script in ("select-only", "simple-update"):
            said = self.pgbench("-n", "-M", "prepared", "-b", script, "-c", str(CLIENTS), "-T", str(SECONDS), "--max-tries", "1000")
            self.assertGreater(self.transactions(said), 50, said)


if __name__ == "__main__":
    unittest.main()
