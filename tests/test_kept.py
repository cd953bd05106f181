"""What clients leave open is bounded in bytes: a client that keeps too much is refused (53200) and told what to
close, the others go on, and all of it is given back when it is closed or its connection ends."""

import contextlib
import pathlib
import struct
import time
import unittest

import psycopg

from stele_node import NodeCase
from test_wire_malformed import Wire, bind, fields, message, parse

MIB = 1024 * 1024
SESSION_MIB = 128
# One result is at most 64 MiB; rows of 1 MiB are quickly made.
ROWS = "SELECT repeat('x', 1000000) FROM generate_series(1, 40)"


class Kept(NodeCase):
    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.node.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) // 1024

    def wire(self):
        wire = Wire(self.node.postgres_port)
        self.addCleanup(wire.close)
        return wire.log_in()

    def refused(self, run):
        with self.assertRaises(psycopg.Error) as caught:
            run()
        self.assertEqual(caught.exception.sqlstate, "53200", caught.exception)
        return caught.exception.diag

    def test_held_cursors_of_one_connection(self):
        with self.node.connect() as connection:
            declare = lambda name: connection.execute(f"DECLARE {name} CURSOR WITH HOLD FOR {ROWS}")
            declare("a"), declare("b"), declare("c")
            said = self.refused(lambda: declare("d"))
            self.assertIn("this connection would keep more than 128 MiB", said.message_primary)
            self.assertIn("CLOSE", said.message_hint)
            # What is there goes on, and there is room once one is closed.
            self.assertEqual(len(connection.execute("FETCH 2 FROM a").fetchall()), 2)
            connection.execute("CLOSE b")
            declare("d")
            connection.execute("CLOSE ALL")
            declare("a"), declare("b"), declare("c")

    def test_all_connections_together(self):
        with contextlib.ExitStack() as open_ones:
            for _ in range(4):
                connection = open_ones.enter_context(self.node.connect())
                for name in "abc":
                    connection.execute(f"DECLARE {name} CURSOR WITH HOLD FOR {ROWS}")
            late = open_ones.enter_context(self.node.connect())
            with contextlib.suppress(psycopg.Error):
                late.execute(f"DECLARE a CURSOR WITH HOLD FOR {ROWS}")
            said = self.refused(lambda: late.execute(f"DECLARE b CURSOR WITH HOLD FOR {ROWS}"))
            self.assertIn("all connections together would keep more than 512 MiB", said.message_primary)
            # Little is always let through, and so is all that keeps nothing.
            late.execute("DECLARE small CURSOR WITH HOLD FOR SELECT generate_series FROM generate_series(1, 1000)")
            self.assertEqual(len(late.execute("FETCH ALL FROM small").fetchall()), 1000)
            self.assertEqual(len(late.execute(ROWS).fetchall()), 40)
            late.execute("CREATE TABLE t (id INT PRIMARY KEY)")
            late.execute("INSERT INTO t VALUES (%s)", [1], prepare=True)
        # The connections are gone, and what they kept.
        deadline = time.monotonic() + 10
        while True:
            with self.node.connect() as connection, contextlib.suppress(psycopg.Error):
                connection.execute(f"DECLARE a CURSOR WITH HOLD FOR {ROWS}")
                connection.execute(f"DECLARE b CURSOR WITH HOLD FOR {ROWS}")
                break
            self.assertLess(time.monotonic(), deadline, "what closed connections kept is not given back")
            time.sleep(0.1)

    def test_prepared_statements(self):
        with self.node.connect() as connection:
            text = "SELECT '" + "x" * 500_000 + "'"
            before = self.resident_mib()
            prepared = 0
            with self.assertRaises(psycopg.Error) as caught:
                for prepared in range(1000):
                    connection.execute(f"PREPARE p{prepared} AS {text}")
            self.assertEqual(caught.exception.sqlstate, "53200")
            self.assertIn("DEALLOCATE", caught.exception.diag.message_hint)
            # Eight bytes are counted for each of the text: about 33 of them fit.
            self.assertIn(prepared, range(25, 34))
            self.assertLess(self.resident_mib() - before, 300)
            connection.execute("DEALLOCATE ALL")
            connection.execute(f"PREPARE p AS {text}")

    def test_parameters_of_portals(self):
        wire = self.wire()
        wire.send(parse(b"s", b"SELECT $1::text") + message(b"S"))
        wire.until_ready()
        value = b"x" * 10_000_000
        given = struct.pack(">HHi", 0, 1, len(value)) + value + struct.pack(">H", 0)
        for number in range(20):
            wire.send(bind(b"p%d" % number, b"s", given))
        wire.send(message(b"S"))
        answers = wire.until_ready()
        errors = [fields(payload) for kind, payload in answers if kind == b"E"]
        self.assertEqual([error["C"] for error in errors], ["53200"], errors)
        # With them counts the message that has just arrived.
        self.assertIn(sum(kind == b"2" for kind, _ in answers), range(11, 14))

    def test_rows_of_portals_with_a_limit(self):
        wire = self.wire()
        wire.send(parse(b"s", ROWS.encode()))
        for number in range(5):
            wire.send(bind(b"p%d" % number, b"s"))
            wire.send(message(b"E", b"p%d\0" % number + struct.pack(">I", 1)))
        wire.send(message(b"S"))
        answers = wire.until_ready()
        errors = [fields(payload) for kind, payload in answers if kind == b"E"]
        self.assertEqual([error["C"] for error in errors], ["53200"], errors)
        self.assertEqual(sum(kind == b"s" for kind, _ in answers), 3)

    def test_messages_that_do_not_end(self):
        """Most of a message of 16 MiB on each of many connections: some are told, all others go on."""
        part = b"Q" + struct.pack(">I", 16 * MIB) + b"x" * (12 * MIB)
        wires = []
        for _ in range(60):
            wires.append(self.wire())
            wires[-1].send(part)
        refused = [error for wire in wires for error in self.errors_so_far(wire)]
        self.assertGreater(len(refused), 10)
        self.assertEqual({error["C"] for error in refused}, {"53200"})
        self.assertEqual({error["S"] for error in refused}, {"FATAL"})
        self.assertEqual(self.node.query("SELECT 1"), ["1"])
        self.assertLess(self.resident_mib(), 1024)

    def errors_so_far(self, wire):
        wire.socket.settimeout(0.5)
        try:
            return wire.errors()
        except TimeoutError:
            return []


if __name__ == "__main__":
    unittest.main()
