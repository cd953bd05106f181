"""A25: cancel requests, from psql's Ctrl-C and drivers: the statement under way ends, nothing else does."""

import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

from psycopg import errors

from stele_node import NodeCase, clean_environment

# Takes far longer than a test, if nobody stops it, or ends at its bound.
ENDLESS = "SELECT count(*) FROM digits a, digits b, digits c, digits d, digits e, digits f, digits g, digits h"
BOUND = "takes too many steps"


class Cancel(NodeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.query("CREATE TABLE digits (d INTEGER PRIMARY KEY); INSERT INTO digits SELECT g FROM generate_series(0, 9) AS g")

    def connect(self, **more):
        connection = self.node.connect(**more)
        self.addCleanup(connection.close)
        return connection

    def cancelled(self, connection, how, sql=ENDLESS):
        """The error of a statement that something stops."""
        done = threading.Event()

        def keep_asking():
            # The first may come before the statement.
            while not done.wait(0.02):
                how()

        asker = threading.Thread(target=keep_asking)
        asker.start()
        try:
            with self.assertRaises(errors.Error) as caught:
                connection.execute(sql)
        finally:
            done.set()
            asker.join()
        return caught.exception

    def test_a25_psycopg_cancels(self):
        connection = self.connect()
        for how in (connection.cancel, lambda: connection.cancel_safe(timeout=5)):
            error = self.cancelled(connection, how)
            self.assertIsInstance(error, errors.QueryCanceled)
            self.assertEqual(error.diag.message_primary, "canceling statement due to user request")
        # The session goes on, and a request that comes too late is forgotten.
        connection.cancel()
        time.sleep(0.1)
        self.assertEqual(connection.execute("SELECT 1").fetchone(), (1,))

    def test_a25_in_a_transaction(self):
        connection = self.connect(autocommit=False)
        connection.execute("INSERT INTO digits VALUES (10)")
        # It reads what the transaction wrote: a preview.
        self.assertIsInstance(self.cancelled(connection, connection.cancel), errors.QueryCanceled)
        with self.assertRaises(errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        self.assertEqual(connection.execute("SELECT count(*) FROM digits").fetchone(), (10,))
        connection.rollback()

    def test_a25_statement_timeout(self):
        connection = self.connect()
        connection.execute("SET statement_timeout = '50ms'")
        begun = time.monotonic()
        with self.assertRaises(errors.QueryCanceled) as caught:
            connection.execute(ENDLESS)
        self.assertGreaterEqual(time.monotonic() - begun, 0.05)
        self.assertEqual(caught.exception.diag.message_primary, "canceling statement due to statement timeout")
        # Each statement has its own time, and a write is not cut off.
        for number in range(6):
            connection.execute("INSERT INTO digits VALUES (%s)", (100 + number,))
            time.sleep(0.07)
        with connection.transaction():
            connection.execute("DELETE FROM digits WHERE d >= 100")
            time.sleep(0.4)
        self.assertEqual(connection.execute("SELECT count(*) FROM digits").fetchone(), (10,))
        connection.execute("RESET statement_timeout")
        self.assertIn(BOUND, str(self.assert_fails(connection)))

    def assert_fails(self, connection):
        with self.assertRaises(errors.Error) as caught:
            connection.execute(ENDLESS)
        return caught.exception

    def test_a25_psql_ctrl_c(self):
        psql = subprocess.Popen(
            ["psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(self.node.postgres_port), "-U", "operator", "stele"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
        )
        self.addCleanup(psql.kill)
        psql.stdin.write(f"SELECT 1;\n\\warn connected\n{ENDLESS};\n")
        psql.stdin.close()
        self.assertEqual(psql.stderr.readline(), "connected\n")
        time.sleep(0.2)
        psql.send_signal(signal.SIGINT)
        said, complained = psql.stdout.read(), psql.stderr.read()
        psql.wait(30)
        self.assertIn("canceling statement due to user request", complained)
        self.assertNotIn(BOUND, complained)
        self.assertEqual(self.node.query("SELECT 1"), ["1"], said)

    def test_a25_a_wrong_key_does_nothing(self):
        connection = self.connect()
        pid = connection.info.backend_pid

        def forge():
            for secret in (0, 1, -1, 0x7FFFFFFF):
                for process in (pid, pid + 1, 0, -1):
                    with socket.create_connection(("127.0.0.1", self.node.postgres_port), 5) as stream:
                        stream.sendall(struct.pack("!iiii", 16, 80877102, process, secret))
                        self.assertEqual(stream.recv(10), b"", "a cancel request is not answered")

        error = self.cancelled(connection, forge)
        self.assertIn(BOUND, error.diag.message_primary)
        # Nor does the right key of another session.
        other = self.connect()
        error = self.cancelled(connection, other.cancel)
        self.assertIn(BOUND, error.diag.message_primary)


if __name__ == "__main__":
    unittest.main()
