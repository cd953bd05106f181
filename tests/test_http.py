"""HTTP as people and strangers use it: the examples of docs/http.md with the real curl, in their order,
and requests that are malformed, too large or meant for another host."""

import contextlib
import json
import re
import socket
import subprocess
import unittest

from stele_node import REPOSITORY, NodeCase, clean_environment, count, seeded

ANSWER_SECONDS_MAX = 10


def examples():
    """The commands of docs/http.md, one a line, by heading."""
    page = (REPOSITORY / "docs" / "http.md").read_text()
    for section in re.split(r"^## ", page, flags=re.M)[1:]:
        heading = section.splitlines()[0]
        for block in re.findall(r"```sh\n(.*?)```", section, re.S):
            for line in block.splitlines():
                if line.strip():
                    yield heading, line


class Documentation(NodeCase):
    def shell(self, command, **variables):
        command = re.sub(r"(127\.0\.0\.1|localhost):8080", f"localhost:{self.node.http_port}", command)
        # The status goes last, so that every example can be judged.
        command = command.replace("curl -s", "curl -s -w '\\n%{stderr}%{http_code} '")
        return subprocess.run(
            ["bash", "-c", command], cwd=self.home, capture_output=True, text=True, errors="replace", timeout=60,
            env=clean_environment(**variables),
        )

    def test_every_example_of_the_page_works(self):
        (self.home / "photo.jpg").write_bytes(bytes(range(256)) * 100)
        variables = {"TZ": "UTC"}
        failed, ran = [], 0
        for heading, command in examples():
            if "transaction.bin" in command:
                continue  # signed elsewhere: made by Rust's tests
            if heading == "Transactions and proofs" and "ID" not in variables:
                done = self.shell("curl -s localhost:8080/v1/blocks/1")
                variables["ID"] = re.search(r'"(?:id|transaction)":"([0-9a-f]{64})"', done.stdout)[1]
            if heading == "Blocks and the log":
                variables["HASH"] = json.loads(self.node.get("/v1/status"))["block"]
                done = self.shell("curl -s localhost:8080/v1/blocks/1")
                variables["ID"] = re.search(r'"(?:id|transaction)":"([0-9a-f]{64})"', done.stdout)[1]
            done = self.shell(command, **variables)
            statuses = re.findall(r"\b([1-5]\d\d) ", done.stderr)
            ran += 1
            if not statuses or not all(status.startswith("2") for status in statuses):
                failed.append(f"{heading}: {command}\n    {done.stdout[:300]}{done.stderr[:200]}")
            # What an example gives is what a later one uses.
            if heading == "Records" and "wait=applied" in command:
                answer = json.loads(done.stdout)
                variables |= {"ID": answer["id"], "HEIGHT": str(answer["height"]), "INDEX": str(answer["index"])}
            if assigned := re.match(r"([A-Z]+)=\$\(", command):
                value = self.shell(f"{command.replace('curl -s', 'curl -s -o -')}; printf %s \"${assigned[1]}\"")
                variables[assigned[1]] = value.stdout.strip()
        self.assertEqual(failed, [], "\n".join(failed))
        self.assertGreater(ran, 25)

    def test_the_page_for_browsers_and_the_description(self):
        status, headers, page = self.node.http("GET", "/")
        self.assertEqual(status, 200)
        self.assertIn("text/html", headers["Content-Type"])
        self.assertIn(b"<", page)
        self.assertTrue(json.loads(self.node.get("/openapi.json"))["openapi"].startswith("3."))
        self.assertIn(b"# TYPE", self.node.get("/metrics"))


class Malformed(NodeCase):
    def tearDown(self):
        self.assertTrue(self.node.running(), self.node.log()[-4000:])
        self.assertNotIn("panicked", self.node.log())
        self.assertEqual(self.node.http("GET", "/v1/health")[0], 200)

    def raw(self, request, gone=False):
        """Sends bytes, gives what comes back. `gone`: we hang up after sending, and may get nothing."""
        with socket.create_connection(("127.0.0.1", self.node.http_port), ANSWER_SECONDS_MAX) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(request)
                if gone:
                    connection.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while b"\r\n\r\n" not in answer and (part := connection.recv(65536)):
                    answer += part
            return answer

    def status(self, request, gone=False):
        found = re.match(rb"HTTP/1\.[01] (\d{3})", self.raw(request, gone))
        return int(found[1]) if found else None

    def test_garbage(self):
        random = seeded("http_garbage")
        for _ in range(count(60, 2_000)):
            self.assertIn(self.status(random.randbytes(random.randrange(1, 500)), gone=True), [None, 400])

    def test_malformed_requests_are_400(self):
        for request in [
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
            b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ]:
            with self.subTest(request):
                self.assertIn(self.status(request), [400, 505])

    def test_headers_without_end_are_refused(self):
        self.assertIn(self.status(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000), [None, 400, 431])

    def test_a_host_of_another_name_is_refused(self):
        for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", ""]:
            for path in ["/", "/v1/status", "/checkpoint", "/metrics"]:
                with self.subTest(host=host, path=path):
                    status = self.status(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                    self.assertIn(status, [400, 403, 421])
        without = self.status(b"GET /v1/status HTTP/1.1\r\nConnection: close\r\n\r\n")
        self.assertIn(without, [400, 403, 421])
        for host in ["localhost", f"localhost:{self.node.http_port}", "127.0.0.1", "[::1]"]:
            with self.subTest(host=host):
                status = self.status(f"GET /v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                self.assertEqual(status, 200)

    def test_a_page_of_another_origin_cannot_write(self):
        sql = json.dumps({"sql": "CREATE TABLE stolen (id INT PRIMARY KEY)"})
        for content_type in ["application/json", "text/plain"]:
            headers = {"Origin": "https://evil.example", "Content-Type": content_type}
            status, _, body = self.node.http("POST", "/v1/sql", sql, headers)
            self.assertEqual(status, 403, body)
        self.assertIn("does not exist", self.node.psql("SELECT * FROM stolen").stderr)

    def test_bodies_that_are_no_request(self):
        for body in [b"", b"{", b"[]", b"null", b'{"sql": 7}', b'{"sql": "SELECT 1", "parameters": "x"}', b"\xff\xfe", b"[" * 100_000]:
            with self.subTest(body[:30]):
                status, _, answer = self.node.http("POST", "/v1/sql", body, {"Content-Type": "application/json"})
                self.assertIn(status, [400, 415, 422])
                refusal = json.loads(answer)
                self.assertTrue(refusal["code"] and refusal["message"], refusal)

    def test_huge_bodies_are_refused(self):
        # (path, length announced, bytes really sent): a record is refused before it is read.
        for path, length, sent in [
            ("/v1/sql", 3 << 20, 3 << 20),
            ("/v1/transactions", 3 << 20, 3 << 20),
            ("/v1/records", 65 << 20, 1000),
            ("/v1/records", 1 << 60, 1000),
        ]:
            with self.subTest(path=path, length=length):
                head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
                kind = "application/json" if path == "/v1/sql" else "application/octet-stream"
                answer = self.raw(f"{head}Content-Type: {kind}\r\n\r\n".encode() + b"x" * sent)
                self.assertRegex(answer, rb"^HTTP/1\.1 (413|400)")

    def test_a_body_that_never_ends_is_cut_off(self):
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        request = b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = self.raw(request + chunk * 48)
        self.assertTrue(answer == b"" or re.match(rb"HTTP/1\.1 (413|400)", answer), answer[:200])

    def test_unknown_paths_and_methods(self):
        for method, path, wanted in [
            ("GET", "/nowhere", 404),
            ("GET", "/v1/../../../etc/passwd", 404),
            ("GET", "/v1/%2e%2e/%2e%2e/etc/passwd", 404),
            ("DELETE", "/v1/sql", 405),
            ("GET", "/v1/blocks/18446744073709551616", 400),
            ("GET", "/v1/blocks/-1", 400),
            ("GET", "/v1/blocks/999999", 404),
            ("GET", "/v1/transactions/zz", 400),
            ("GET", "/tile/9/999", 404),
            ("GET", "/v1/tables/public/none/proof?key=1", 404),
        ]:
            with self.subTest(path=path):
                self.assertEqual(self.node.http(method, path)[0], wanted)

    def test_clients_that_stop_halfway_do_not_hold_others_up(self):
        held = []
        for _ in range(100):
            connection = socket.create_connection(("127.0.0.1", self.node.http_port), ANSWER_SECONDS_MAX)
            connection.sendall(b"POST /v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            held.append(connection)
        try:
            self.assertEqual(self.node.http("GET", "/v1/status", timeout=ANSWER_SECONDS_MAX)[0], 200)
        finally:
            for connection in held:
                connection.close()


if __name__ == "__main__":
    unittest.main()
