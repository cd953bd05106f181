"""`stele proxy` between psql and a server that lies in each way it can."""

import http.client
import http.server
import re
import shutil
import struct
import threading
import time
import unittest
import urllib.parse

from stele_node import FULL, DirectoryCase, Node, NodeFailed, stele


def unpack(body):
    """The (block, certificate) pairs of an answer of /v1/certified-blocks."""
    assert body[0] == 1
    (count,), at, pairs = struct.unpack_from(">I", body, 1), 5, []
    for _ in range(count):
        pair = []
        for _ in range(2):
            (length,) = struct.unpack_from(">I", body, at)
            pair.append(body[at + 4 : at + 4 + length])
            at += 4 + length
        pairs.append(tuple(pair))
    assert at == len(body)
    return pairs


def pack(pairs):
    pieces = [part for pair in pairs for part in pair]
    return b"\x01" + struct.pack(">I", len(pairs)) + b"".join(struct.pack(">I", len(p)) + p for p in pieces)


class Relay(http.server.ThreadingHTTPServer):
    """Passes requests on to a node; `lie(path, status, body)` may change what comes back, `swallow` keeps writes."""

    daemon_threads = True

    def __init__(self, node):
        super().__init__(("127.0.0.1", 0), Handler)
        self.node, self.lie, self.swallow = node, None, False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, method):
        relay = self.server
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if method == "POST" and relay.swallow:
            status, body = 202, b'{"id": "00"}'
        else:
            try:
                up = http.client.HTTPConnection("127.0.0.1", relay.node.http_port, timeout=30)
                kept = {"Content-Type": self.headers.get("Content-Type", "text/plain")} if sent else {}
                up.request(method, self.path, body=sent or None, headers=kept)
                got = up.getresponse()
                status, body = got.status, got.read()
                up.close()
            except OSError:
                status, body = 502, b"{}"
        if relay.lie:
            status, body = relay.lie(self.path, status, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer("GET")

    def do_POST(self):
        self.answer("POST")


class Proxy(Node):
    """A `stele proxy` process."""

    def __init__(self, directory, server, trust):
        super().__init__(directory)
        self.command = ["proxy", "--server", server, "--trust", trust]


class ProxyCase(DirectoryCase):
    def setUp(self):
        super().setUp()
        self.origin = self.node("node").start()
        self.origin.query("CREATE TABLE deals (id INT PRIMARY KEY, terms TEXT NOT NULL)")
        self.origin.query("GRANT SELECT, INSERT, UPDATE ON deals TO PUBLIC")
        self.origin.query("INSERT INTO deals VALUES (1, 'as agreed')")
        self.relay = Relay(self.origin)
        self.addCleanup(self.relay.server_close)
        self.addCleanup(self.relay.shutdown)
        self.trust = self.origin.directory / "trust.txt"

    def proxy(self, name="copy"):
        proxy = Proxy(self.home / name, self.relay.url, self.trust)
        self.addCleanup(proxy.kill)
        return proxy

    def rows(self, proxy, user="me"):
        done = proxy.psql("SELECT id, terms FROM deals ORDER BY id", user=user)
        return done.stdout.splitlines(), done.stderr


class Honest(ProxyCase):
    def test_reads_writes_and_proofs_with_an_own_key(self):
        proxy = self.proxy().start()
        self.assertEqual(self.rows(proxy), (["1|as agreed"], ""))
        done = proxy.psql("INSERT INTO deals VALUES (2, 'by me'); SELECT count(*) FROM deals", user="me")
        self.assertEqual((done.stdout, done.stderr), ("2\n", ""))
        # It is in the ledger, signed by the account whose key is here and nowhere else.
        listed = stele("keys", "list", "--dir", proxy.directory).stdout
        mine = re.search(r"st1\w+", listed)[0]
        self.assertEqual(self.origin.query("SELECT id, terms FROM deals ORDER BY id"), ["1|as agreed", "2|by me"])
        self.assertEqual(
            self.origin.query("SELECT _account FROM stele_changes('deals') WHERE id = 2"), [mine]
        )
        self.assertFalse(list((self.origin.directory / "keys").glob("me.key")))
        # What the ledger refuses is refused here with the same class; transactions hold together.
        refused = proxy.psql("INSERT INTO deals VALUES (2, 'again')", "-v", "VERBOSITY=verbose", user="me")
        self.assertIn("ERROR:  23505", refused.stderr)
        refused = proxy.psql("DELETE FROM deals", "-v", "VERBOSITY=verbose", user="me")
        self.assertIn("ERROR:  42501", refused.stderr)
        with proxy.connect(user="me", autocommit=False) as connection:
            connection.execute("INSERT INTO deals VALUES (3, 'open')")
            self.assertEqual(connection.execute("SELECT count(*) FROM deals").fetchone(), (3,))
            connection.rollback()
            connection.execute("INSERT INTO deals VALUES (4, 'kept')")
        self.assertEqual(self.origin.query("SELECT max(id), count(*) FROM deals"), ["4|3"])
        # What others write comes, and the copy passes every check of a whole ledger.
        self.origin.query("UPDATE deals SET terms = 'as amended' WHERE id = 1")
        proxy.until(lambda: self.rows(proxy)[0][0] == "1|as amended")
        roots = [node.json("/v1/chain")["state_root"] for node in (self.origin, proxy)]
        self.assertEqual(roots[0], roots[1])
        self.assertEqual(proxy.stop(), 0)
        checked = stele("verify", "--data", proxy.directory, "--trust", self.trust)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_goes_on_after_a_break_of_the_line_and_after_kill_9(self):
        proxy = self.proxy().start()
        self.relay.lie = lambda path, status, body: (502, b"{}")
        proxy.until(lambda: proxy.json("/v1/status")["halted"])
        self.assertEqual(self.rows(proxy), (["1|as agreed"], ""), "what was checked can still be read")
        self.assertIn("does not answer", proxy.psql("INSERT INTO deals VALUES (5, 'x')", user="me").stderr)
        self.relay.lie = None
        proxy.until(lambda: not proxy.json("/v1/status")["halted"])
        for number in range(10, 20):
            self.assertEqual(proxy.psql(f"INSERT INTO deals VALUES ({number}, 'x')", user="me").stderr, "")
            if number % 3 == 0:
                proxy.kill()
                proxy.start()
        self.assertEqual(self.origin.query("SELECT count(*) FROM deals"), ["11"])
        self.assertEqual(len(self.rows(proxy)[0]), 11)

    def test_a_directory_is_one_or_the_other(self):
        proxy = self.proxy().start()
        proxy.stop()
        with self.assertRaisesRegex(NodeFailed, "stele proxy"):
            Node(proxy.directory).start()
        self.origin.stop()
        with self.assertRaisesRegex(NodeFailed, "orders a ledger itself"):
            Proxy(self.origin.directory, self.relay.url, self.trust).start()


class Lies(ProxyCase):
    """Each lie ends in a refusal of reads and writes that names the server, the block and what is wrong with it;
    nothing of it is kept; and with an honest server all goes on."""

    def caught(self, change, message):
        proxy = self.proxy().start()
        lied = threading.Event()

        def lie(path, status, body):
            if "certified-blocks" not in path or status != 200:
                return status, body
            after = int(urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["after"][0])
            changed = change(after, unpack(body))
            if changed is None:
                return status, body
            lied.set()
            return status, pack(changed)

        self.relay.lie = lie
        self.origin.query("INSERT INTO deals VALUES (2, 'second'); ")
        self.origin.query("INSERT INTO deals VALUES (3, 'third')")
        self.assertTrue(lied.wait(20), "the lie was not told")
        proxy.until(lambda: proxy.json("/v1/status")["halted"])
        for sql in ["SELECT * FROM deals", "INSERT INTO deals VALUES (9, 'x')", "BEGIN; SELECT * FROM deals; COMMIT"]:
            done = proxy.psql(sql, "-v", "VERBOSITY=verbose", user="me")
            self.assertEqual(done.stdout, "", sql)
            self.assertRegex(done.stderr, rf"lies: its block \d+ .*{message}", sql)
            self.assertIn(self.relay.url, done.stderr)
        kept = proxy.json("/v1/status")["height"]
        proxy.stop()
        checked = stele("verify", "--data", proxy.directory, "--trust", self.trust)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.relay.lie = None
        proxy.start()
        self.assertEqual(self.rows(proxy)[0], ["1|as agreed", "2|second", "3|third"])
        self.assertGreater(proxy.json("/v1/status")["height"], kept)

    @staticmethod
    def first(change):
        """Changes the first of the blocks given, if there is one."""
        return lambda after, pairs: [change(*pairs[0]), *pairs[1:]] if pairs else None

    def test_another_value_in_a_transaction(self):
        self.caught(
            self.first(lambda block, note: (block.replace(b"second", b"SECOND").replace(b"third", b"THIRD"), note)),
            "holds other transactions than its header says",
        )

    def test_a_transaction_left_out(self):
        # The header's own count still tells of it.
        self.caught(self.first(lambda block, note: (block[:-40], note)), "does not decode")

    def test_another_time_in_the_header(self):
        # Ledger id, height, parent, then the time: the block hashes to something nobody signed.
        def change(block, note):
            at = 1 + 32 + 8 + 32 + 7
            return block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :], note

        self.caught(self.first(change), "is not what the validators signed")

    def test_a_forged_signature_of_the_certificate(self):
        def change(block, note):
            text = bytearray(note)
            text[-12] = ord("A") if text[-12] != ord("A") else ord("B")
            return block, bytes(text)

        self.caught(self.first(change), "has no good certificate")

    def test_the_certificate_of_another_block(self):
        old = unpack(self.origin.get("/v1/certified-blocks"))[0][1]
        self.caught(self.first(lambda block, note: (block, old)), "is not what the validators signed")

    def test_no_certificate(self):
        self.caught(self.first(lambda block, note: (block, b"")), "has no good certificate")

    def test_a_block_left_out(self):
        def change(after, pairs):
            return pairs[1:]

        self.caught(change, "says it is block")

    def test_an_old_block_again(self):
        old = unpack(self.origin.get("/v1/certified-blocks"))[:1]
        self.caught(lambda after, pairs: old if pairs else None, "says it is block 1")

    def test_another_history_signed_by_the_same_validator(self):
        # The worst server: it has the validator's key, and shows different people different pasts.
        self.origin.stop()
        twin = self.node("twin")
        shutil.copytree(self.origin.directory, twin.directory)
        self.origin.start()
        twin.start()
        twin.query("INSERT INTO deals VALUES (2, 'told to others')")
        twin.query("INSERT INTO deals VALUES (3, 'told to others')")

        def change(after, pairs):
            # The first new block is the one, what follows is of the other.
            if after < 4:
                return None
            return unpack(twin.get(f"/v1/certified-blocks?after={after}")) or None

        self.caught(change, "does not follow the block before: the history was changed")

    def test_no_block_at_all(self):
        self.caught(self.first(lambda block, note: (b"\x01nonsense", note)), "does not decode")

    def test_another_ledger(self):
        other = self.node("other").start()
        self.relay.node = other
        with self.assertRaisesRegex(NodeFailed, "is of ledger .*, pinned is "):
            self.proxy("fresh").start()
        self.relay.node = self.origin
        proxy = self.proxy().start()
        other.query("CREATE TABLE a (id INT PRIMARY KEY)")
        for number in range(5):
            other.query(f"INSERT INTO a VALUES ({number})")
        self.relay.node = other
        proxy.until(lambda: proxy.json("/v1/status")["halted"])
        self.assertRegex(self.rows(proxy)[1], "is of another ledger")

    def test_garbage_in_place_of_an_answer(self):
        proxy = self.proxy().start()
        for body in [b"", b"\x01\xff\xff\xff\xff", b"\x02\0\0\0\0", b"<html>" * 10_000, b"\0" * (17 << 20)]:
            self.relay.lie = lambda path, status, _, body=body: (200, body)
            proxy.until(lambda: proxy.json("/v1/status")["halted"])
            self.assertEqual(self.rows(proxy), (["1|as agreed"], ""))
            self.relay.lie = None
            proxy.until(lambda: not proxy.json("/v1/status")["halted"])

    def test_a_write_said_to_be_refused_is_not_believed(self):
        proxy = self.proxy().start()

        def lie(path, status, body):
            # The block comes later than the refusal: else the proxy knows better at once.
            if "certified-blocks" in path:
                time.sleep(2)
            if path.startswith("/v1/transactions"):
                return 409, b'{"code": "23505", "message": "duplicate key, or so it says"}'
            return status, body

        self.relay.lie = lie
        done = proxy.psql("INSERT INTO deals VALUES (2, 'x')", "-v", "VERBOSITY=verbose", user="me")
        self.assertRegex(done.stderr, r"ERROR:  08007: whether .* took transaction .* is not known: it says that it refuses it \(409.* 23505\): duplicate key")
        # It was executed all the same.
        proxy.until(lambda: self.rows(proxy)[0] == ["1|as agreed", "2|x"])

    def test_a_write_said_to_be_taken_is_not_believed(self):
        if not FULL:
            self.skipTest("takes more than a minute: a transaction must expire; run with STELE_FULL=1")
        proxy = self.proxy().start()
        self.relay.swallow = True
        done = proxy.psql("INSERT INTO deals VALUES (2, 'x')", "-v", "VERBOSITY=verbose", user="me")
        self.assertRegex(done.stderr, "ERROR:  08007: .* took transaction .* gave no block with it until it expired")
        self.assertEqual(self.rows(proxy)[0], ["1|as agreed"])


if __name__ == "__main__":
    unittest.main()
