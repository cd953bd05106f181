"""What arrives on the PostgreSQL port need not be PostgreSQL. Whatever it is, the node stays up,
keeps its memory, answers within seconds and serves the next client."""

import contextlib
import pathlib
import socket
import struct
import unittest

from stele_node import NodeCase, count, seeded

PROTOCOL_3 = 196608
SSL_REQUEST = 80877103
CANCEL_REQUEST = 80877102
ANSWER_SECONDS_MAX = 10
RESIDENT_MIB_MAX = 300


def message(kind, payload=b"", length=None):
    return kind + struct.pack(">I", (len(payload) + 4) if length is None else length) + payload


def startup(user=b"operator", protocol=PROTOCOL_3, **parameters):
    text = b"user\0" + user + b"\0database\0stele\0"
    for name, value in parameters.items():
        text += name.encode() + b"\0" + value + b"\0"
    payload = struct.pack(">I", protocol) + text + b"\0"
    return struct.pack(">I", len(payload) + 4) + payload


def query(sql):
    return message(b"Q", sql + b"\0")


def parse(name, sql, count=0):
    return message(b"P", name + b"\0" + sql + b"\0" + struct.pack(">H", count))


def bind(portal, statement, rest=struct.pack(">HHH", 0, 0, 0)):
    return message(b"B", portal + b"\0" + statement + b"\0" + rest)


def fields(payload):
    """An ErrorResponse as {letter: text}."""
    return {part[:1].decode(): part[1:].decode() for part in payload.rstrip(b"\0").split(b"\0") if part}


class Wire:
    """A client that sends what it likes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS_MAX)

    def send(self, data):
        # The server may hang up while we still talk; what it said before is what counts.
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def exactly(self, length):
        got = b""
        while len(got) < length:
            with contextlib.suppress(ConnectionResetError):
                if part := self.socket.recv(length - len(got)):
                    got += part
                    continue
            raise EOFError
        return got

    def read(self):
        """One message: (kind, payload)."""
        kind, length = struct.unpack(">cI", self.exactly(5))
        return kind, self.exactly(length - 4)

    def until_ready(self):
        """Messages up to ReadyForQuery, or to the end of the connection (no Z at the end)."""
        got = []
        try:
            while not got or got[-1][0] != b"Z":
                got.append(self.read())
        except EOFError:
            pass
        return got

    def errors(self):
        return [fields(payload) for kind, payload in self.until_ready() if kind == b"E"]

    def log_in(self):
        self.send(startup())
        assert self.until_ready()[-1][0] == b"Z"
        return self

    def close(self):
        self.socket.close()


class Malformed(NodeCase):
    def wire(self):
        wire = Wire(self.node.postgres_port)
        self.addCleanup(wire.close)
        return wire

    def tearDown(self):
        self.assertTrue(self.node.running(), self.node.log()[-4000:])
        self.assertEqual(self.node.query("SELECT 1"), ["1"])
        self.assertNotIn("panicked", self.node.log())
        status = pathlib.Path(f"/proc/{self.node.process.pid}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0]) // 1024
        self.assertLess(resident, RESIDENT_MIB_MAX, "memory follows what strangers send")

    def goes_on(self, wire):
        """The same session still answers."""
        wire.send(query(b"SELECT 7"))
        rows = [payload for kind, payload in wire.until_ready() if kind == b"D"]
        self.assertEqual(rows, [b"\x00\x01\x00\x00\x00\x017"])

    # Before the session

    def test_garbage_instead_of_a_startup(self):
        random = seeded("garbage_instead_of_a_startup")
        wires = []
        for _ in range(count(100, 2_000)):
            wire = Wire(self.node.postgres_port)
            wire.send(random.randbytes(random.randrange(1, 300)))
            wires.append(wire)
            if len(wires) > 50:
                wires.pop(0).close()
        for wire in wires:
            wire.close()

    def test_http_on_the_wrong_port(self):
        wire = self.wire()
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertIsNotNone(wire.until_ready())

    def test_startup_lengths_that_lie(self):
        for length in [0, 1, 3, 4, 7, 8, 2**31 - 1, 2**31, 2**32 - 1]:
            with self.subTest(length):
                wire = self.wire()
                wire.send(struct.pack(">II", length, PROTOCOL_3))
                if length > 10_000 or length < 8:
                    wire.socket.shutdown(socket.SHUT_WR)
                    got = wire.until_ready()
                    self.assertNotIn(b"Z", [kind for kind, _ in got])

    def test_other_protocol_versions(self):
        wire = self.wire()
        wire.send(startup(protocol=2 << 16))
        (refused,) = wire.errors()
        self.assertEqual(refused["C"], "0A000")
        # A newer minor version is negotiated down, or refused by name; never a hang.
        wire = self.wire()
        wire.send(startup(protocol=(3 << 16) + 9999))
        self.assertTrue({kind for kind, _ in wire.until_ready()} & {b"v", b"E"})

    def test_startup_without_user_and_with_open_text(self):
        for payload in [b"\0", b"user", b"user\0operator", b"user\0\xff\xfe\0\0", b"\0\0\0\0\0"]:
            with self.subTest(payload):
                wire = self.wire()
                body = struct.pack(">I", PROTOCOL_3) + payload
                wire.send(struct.pack(">I", len(body) + 4) + body)
                wire.socket.shutdown(socket.SHUT_WR)
                self.assertNotIn(b"Z", [kind for kind, _ in wire.until_ready()])

    def test_ssl_is_declined_and_plain_text_goes_on(self):
        wire = self.wire()
        wire.send(struct.pack(">II", 8, SSL_REQUEST))
        self.assertEqual(wire.exactly(1), b"N")
        wire.log_in()
        self.goes_on(wire)

    def test_cancel_of_nobody(self):
        wire = self.wire()
        wire.send(struct.pack(">IIII", 16, CANCEL_REQUEST, 12345, 67890))
        self.assertEqual(wire.until_ready(), [])

    def test_half_a_startup_does_not_hold_others_up(self):
        held = [self.wire() for _ in range(50)]
        for wire in held:
            wire.send(startup()[:20])
        self.goes_on(self.wire().log_in())

    # Within the session

    def test_message_lengths_that_lie(self):
        for length in [0, 3, 2**31 - 1, 2**31, 2**32 - 1, 512 * 1024 * 1024]:
            with self.subTest(length):
                wire = self.wire().log_in()
                wire.send(message(b"Q", b"SELECT 1\0", length))
                wire.socket.shutdown(socket.SHUT_WR)
                got = wire.until_ready()
                self.assertNotIn(b"D", [kind for kind, _ in got])
                if got:
                    self.assertEqual(got[0][0], b"E")
                    self.assertIn(fields(got[0][1])["C"], ["08P01", "54000"])

    def test_message_cut_in_the_middle(self):
        whole = query(b"SELECT 1")
        for length in range(1, len(whole)):
            wire = self.wire().log_in()
            wire.send(whole[:length])
            wire.close()

    def test_unknown_kinds(self):
        for kind in [b"\0", b"z", b"?", b"\xff", b"R", b"Z"]:
            with self.subTest(kind):
                wire = self.wire().log_in()
                wire.send(message(kind, b"whatever"))
                refused = wire.errors()
                self.assertEqual([error["C"] for error in refused], ["08P01"])

    def test_messages_out_of_order(self):
        cases = {
            "execute of no portal": (message(b"E", b"none\0" + struct.pack(">I", 0)), "34000"),
            "bind of no statement": (bind(b"", b"none"), "26000"),
            "describe of no statement": (message(b"D", b"Snone\0"), "26000"),
            "describe of no portal": (message(b"D", b"Pnone\0"), "34000"),
        }
        for name, (sent, code) in cases.items():
            with self.subTest(name):
                wire = self.wire().log_in()
                wire.send(sent + message(b"S"))
                self.assertEqual([error["C"] for error in wire.errors()], [code])
                self.goes_on(wire)

    def test_copy_data_and_passwords_without_being_asked(self):
        for sent in [message(b"d", b"1\t2\n"), message(b"c"), message(b"f", b"no\0"), message(b"p", b"secret\0")]:
            with self.subTest(sent[:1]):
                wire = self.wire().log_in()
                # PostgreSQL ignores stray copy messages; an error is as good. Silence of the session is not.
                wire.send(sent + message(b"S"))
                self.assertTrue(wire.until_ready())

    def test_payloads_that_do_not_fit_their_kind(self):
        parsed = parse(b"s", b"SELECT $1::int", 0)
        cases = {
            "query without end": message(b"Q", b"SELECT 1"),
            "query not UTF-8": query(b"SELECT '\xff\xfe'"),
            "parse without types": message(b"P", b"\0SELECT 1\0"),
            "parse of too many types": message(b"P", b"\0SELECT 1\0" + struct.pack(">H", 65535)),
            "describe of another kind": message(b"D", b"X\0"),
            "close of another kind": message(b"C", b"X\0"),
            "execute without rows": message(b"E", b"\0"),
            "bind of too many formats": parsed + message(b"B", b"\0s\0" + struct.pack(">H", 65535)),
            "bind of a value longer than the message": parsed
            + bind(b"", b"s", struct.pack(">HHi", 0, 1, 2**31 - 1) + b"1"),
            "bind of a negative length": parsed + bind(b"", b"s", struct.pack(">HHi", 0, 1, -2) + struct.pack(">H", 0)),
            "bind of format 7": parsed + bind(b"", b"s", struct.pack(">HHHi", 1, 7, 1, 1) + b"1" + struct.pack(">H", 0)),
            "bind of too few values": parsed + bind(b"", b"s"),
            "bind of an integer of three bytes": parsed
            + bind(b"", b"s", struct.pack(">HHHi", 1, 1, 1, 3) + b"123" + struct.pack(">H", 0)),
        }
        for name, sent in cases.items():
            with self.subTest(name):
                wire = self.wire().log_in()
                wire.send(sent + message(b"S"))
                refused = wire.errors()
                self.assertEqual(len(refused), 1, refused)
                self.assertRegex(refused[0]["C"], "^(08P01|22021|22P03|22P02|54000|54023|0A000|42P02|22023)$")

    def test_garbage_in_a_session(self):
        random = seeded("garbage_in_a_session")
        for _ in range(count(60, 2_000)):
            wire = Wire(self.node.postgres_port).log_in()
            kind = random.choice(b"BCDEFHPQSXdcfp").to_bytes(1, "big")
            wire.send(message(kind, random.randbytes(random.randrange(0, 200))) + message(b"S"))
            wire.close()

    def test_everything_at_once_and_gone(self):
        wire = self.wire().log_in()
        wire.send(query(b"SELECT generate_series(1, 100000)") * 20)
        wire.close()

    def test_very_many_parameters(self):
        wire = self.wire().log_in()
        marks = b"+".join(b"$%d::int" % (i + 1) for i in range(2_000))
        wire.send(parse(b"", b"SELECT " + marks) + message(b"S"))
        self.assertTrue(wire.until_ready()[-1][0] == b"Z")
        self.goes_on(wire)

    def test_deep_nesting(self):
        for sql in [b"SELECT " + b"(" * 50_000, b"SELECT " + b"(" * 5_000 + b"1" + b")" * 5_000, b"SELECT " + b"-" * 2 + b"\n" + b"NOT " * 20_000 + b"true"]:
            wire = self.wire().log_in()
            wire.send(query(sql))
            (refused,) = wire.errors()
            self.assertIn(refused["C"], ["54001", "42601", "54000"])
            self.goes_on(wire)


if __name__ == "__main__":
    unittest.main()
