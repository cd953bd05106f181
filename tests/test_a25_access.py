"""Who is let in: TLS, passwords and client certificates with real psql, psycopg, asyncpg and HTTP clients.

The node listens on all addresses. This machine's own address outside loopback stands for another
machine: the node cannot tell the difference.
"""

import asyncio
import base64
import contextlib
import datetime
import http.client
import ipaddress
import json
import pathlib
import socket
import ssl
import shutil
import stat
import subprocess
import tempfile
import time
import unittest

import asyncpg
import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stele_node import REPOSITORY, DirectoryCase, NodeCase, NodeFailed, Node, clean_environment, stele

PASSWORD = "correct horse, b\u00e4ttery: staple"
KEEPS_MODE = 0o600


def own_address():
    """An address of this machine that is not loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 9))
        address = probe.getsockname()[0]
    if ipaddress.ip_address(address).is_loopback:
        raise AssertionError("these tests need an address besides loopback, and this machine has none")
    return address


class Authority:
    """A certificate authority that lives as long as a test."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test root")])
        self.path = folder / "root.pem"
        made = self._builder(self.name, self.key).add_extension(x509.BasicConstraints(True, None), True)
        self.path.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, key):
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def issue(self, file, common_name, names=()):
        """Writes FILE.pem and FILE.key; returns both paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]), key)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(list(names)), False)
        certificate, secret = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        signed = made.sign(self.key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        secret.touch(KEEPS_MODE)
        secret.write_bytes(key.private_bytes(*form))
        return certificate, secret


def set_password(node, user, password=PASSWORD):
    done = stele("keys", "--dir", node.directory, "password", user, stdin=password + "\n")
    if done.returncode != 0:
        raise AssertionError(done.stderr)


class Access(NodeCase):
    """alice has a password, bob has none, carol a certificate."""

    @classmethod
    def setUpClass(cls):
        cls.home = pathlib.Path(tempfile.mkdtemp(prefix="stele-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.home, ignore_errors=True)
        cls.outside = own_address()
        cls.authority = Authority(cls.home)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(cls.outside))]
        certificate, key = cls.authority.issue("server", "a node", names)
        cls.carol = cls.authority.issue("carol", "carol")
        cls.dave = cls.authority.issue("dave", "Dave Somebody", [x509.DNSName("dave")])
        stranger = cls.home / "stranger"
        stranger.mkdir()
        cls.forged = Authority(stranger).issue("carol", "carol")
        tls = {
            f"{section}_{name}": value
            for section in ("postgres", "http")
            for name, value in (("tls_certificate", certificate), ("tls_key", key), ("tls_client_ca", cls.authority.path))
        }
        cls.node = Node(cls.home / "data", listen="0.0.0.0", **tls)
        cls.addClassCleanup(cls.node.kill)
        cls.node.start()
        for user in ("alice", "bob", "carol", "dave"):
            stele("keys", "--dir", cls.node.directory, "new", user)
        set_password(cls.node, "alice")
        # One everybody may read.
        cls.node.query("CREATE TABLE seen (id INTEGER PRIMARY KEY, by TEXT); GRANT ALL ON seen TO PUBLIC")

    def psql(self, options, sql="SELECT 1", password=None, host=None):
        fields = {"host": host or self.outside, "port": self.node.postgres_port, "dbname": "stele", **options}
        text = " ".join(f"{name}='{value}'" for name, value in fields.items())
        more = {"PGPASSWORD": password} if password else {}
        # Neither files of this machine's user nor a question on the terminal.
        more |= {"PGPASSFILE": "/nonexistent", "PGSSLCERT": "/nonexistent", "PGSSLROOTCERT": "/nonexistent"}
        return subprocess.run(
            ["psql", "-X", "-w", "-A", "-t", "-c", sql, text],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=clean_environment(**more),
        )

    def taken(self, *arguments, **named):
        done = self.psql(*arguments, **named)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def refused(self, pattern, *arguments, **named):
        done = self.psql(*arguments, **named)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stderr, pattern)
        return done.stderr

    def test_psql_with_a_password_over_tls(self):
        verify = {"sslmode": "verify-full", "sslrootcert": self.authority.path}
        self.assertEqual(self.taken({"user": "alice", "sslmode": "require"}, password=PASSWORD), "1")
        whoami = "INSERT INTO seen VALUES (1, current_user) RETURNING by"
        self.assertIn("st1", self.taken({"user": "alice", **verify}, whoami, PASSWORD))
        self.taken({"user": "alice", "channel_binding": "require", **verify}, password=PASSWORD)
        self.taken({"user": "alice", "sslmode": "require", "channel_binding": "disable"}, password=PASSWORD)
        for version in ("TLSv1.2", "TLSv1.3"):
            pinned = {"ssl_min_protocol_version": version, "ssl_max_protocol_version": version}
            self.taken({"user": "alice", **verify, **pinned}, password=PASSWORD)
            self.assertIn(version, self.psql({"user": "alice", **verify, **pinned}, "\\conninfo", PASSWORD).stdout)
        self.refused("certificate verify failed|EVP lib", {"user": "alice", **verify, "sslrootcert": self.home / "stranger/root.pem"})

    def test_without_tls_nobody_comes_from_elsewhere(self):
        for user in ("alice", "bob", "nobody"):
            self.refused("must be encrypted by TLS", {"user": user, "sslmode": "disable"}, password=PASSWORD)

    def test_wrong_passwords_and_unknown_users_look_the_same(self):
        said = set()
        for user in ("alice", "bob", "nobody"):
            began = time.monotonic()
            words = self.refused("password authentication failed", {"user": user, "sslmode": "require"}, password="wrong")
            self.assertGreater(time.monotonic() - began, 0.9, "a failed try is answered at once")
            said.add(words.replace(user, "USER").split("FATAL")[-1])
        self.assertEqual(len(said), 1, said)
        self.refused("no password supplied", {"user": "alice", "sslmode": "require"})

    def test_tries_are_bounded(self):
        stele("keys", "--dir", self.node.directory, "new", "eve")
        set_password(self.node, "eve")

        async def tries():
            async def one():
                with self.assertRaises((asyncpg.PostgresError, ConnectionError)) as caught:
                    await asyncpg.connect(
                        host="127.0.0.1", port=self.node.postgres_port, user="eve", password="wrong", database="stele", ssl=False
                    )
                return getattr(caught.exception, "sqlstate", None)

            return await asyncio.gather(*(one() for _ in range(30)))

        states = asyncio.run(tries())
        self.assertEqual((states.count("28P01"), states.count("28000")), (20, 10))
        self.refused("too many failed tries", {"user": "eve"}, password=PASSWORD, host="127.0.0.1")
        # Others, and eve from elsewhere, are not kept out by that.
        self.taken({"user": "alice"}, password=PASSWORD, host="127.0.0.1")
        self.taken({"user": "eve", "sslmode": "require"}, password=PASSWORD)

    def test_client_certificates(self):
        for user, (certificate, key) in (("carol", self.carol), ("dave", self.dave)):
            shown = {"sslmode": "require", "sslcert": certificate, "sslkey": key}
            self.taken({"user": user, **shown})
            self.refused("no password supplied", {"user": "bob", **shown})
            self.taken({"user": "alice", **shown}, password=PASSWORD)
        forged = {"sslmode": "require", "sslcert": self.forged[0], "sslkey": self.forged[1]}
        self.refused("alert|certificate|closed", {"user": "carol", **forged})

    def test_local_users(self):
        local = {"host": "127.0.0.1"}
        self.taken({"user": "bob"}, **local)
        self.taken({"user": "bob", "sslmode": "require"}, **local)
        self.refused("no password supplied", {"user": "alice"}, **local)
        self.refused("password authentication failed", {"user": "alice"}, password="wrong", **local)
        self.taken({"user": "alice", "sslmode": "disable"}, password=PASSWORD, **local)
        self.refused('role "nobody" does not exist', {"user": "nobody"}, **local)

    def test_psycopg_and_asyncpg(self):
        with psycopg.connect(
            host=self.outside, port=self.node.postgres_port, user="alice", password=PASSWORD, dbname="stele",
            sslmode="verify-full", sslrootcert=str(self.authority.path), channel_binding="require",
        ) as connection:
            rows = connection.execute("SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) AS g").fetchall()
            self.assertEqual(len(rows), 20_000)
            with connection.pipeline():
                connection.execute("INSERT INTO seen VALUES (%s, %s)", (10, "y" * 100_000))
            self.assertEqual(connection.execute("SELECT length(by) FROM seen WHERE id = 10").fetchone(), (100_000,))

        async def speak():
            context = ssl.create_default_context(cafile=self.authority.path)
            connection = await asyncpg.connect(
                host=self.outside, port=self.node.postgres_port, user="alice", password=PASSWORD, database="stele", ssl=context
            )
            try:
                return await connection.fetchval("SELECT $1::int + 1", 1)
            finally:
                await connection.close()

        self.assertEqual(asyncio.run(speak()), 2)

    def test_jdbc(self):
        folder = REPOSITORY / "tests" / "clients" / "jdbc"
        url = (
            f"jdbc:postgresql://{self.outside}:{self.node.postgres_port}/stele?user=alice&password=pencil"
            f"&sslmode=verify-full&sslrootcert={self.authority.path}&channelBinding=%s"
        )
        set_password(self.node, "alice", "pencil")
        self.addCleanup(set_password, self.node, "alice")
        with tempfile.TemporaryDirectory() as classes:
            subprocess.run(["javac", "-d", classes, "Meta.java"], cwd=folder, check=True, timeout=120)
            for binding in ("require", "disable"):
                command = ["java", "-cp", f"{classes}:lib/postgresql.jar", "Meta", url % binding]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
                self.assertIn("seen", done.stdout, done.stderr)

    def test_bytes_before_the_handshake_are_refused(self):
        with socket.create_connection((self.outside, self.node.postgres_port), 10) as stream:
            stream.sendall(bytes.fromhex("0000000804d2162f") + b"\x00\x00\x00\x09\x00\x03\x00\x00\x00")
            self.assertIn(b"unencrypted data after SSL request", stream.recv(1000))
        # Garbage instead of a handshake ends that connection alone.
        with socket.create_connection((self.outside, self.node.postgres_port), 10) as stream:
            stream.sendall(bytes.fromhex("0000000804d2162f"))
            self.assertEqual(stream.recv(1), b"S")
            stream.sendall(b"\xff" * 100)
            while stream.recv(1000):
                pass
        self.taken({"user": "bob"}, host="127.0.0.1")

    # HTTP

    def request(self, path="/v1/status", body=None, user=None, password=PASSWORD, host=None, tls=True, certificate=None, **more):
        host = host or self.outside
        if tls:
            context = ssl.create_default_context(cafile=self.authority.path)
            context.check_hostname = host == self.outside
            if certificate:
                context.load_cert_chain(*certificate)
            connection = http.client.HTTPSConnection(host, self.node.http_port, timeout=30, context=context)
        else:
            connection = http.client.HTTPConnection(host, self.node.http_port, timeout=30)
        headers = {"Content-Type": "application/json", **more}
        if user is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        with contextlib.closing(connection):
            method, text = ("GET", None) if body is None else ("POST", json.dumps(body))
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in b"{[" else text, answer.headers

    def sql(self, sql, **named):
        key = named.pop("key", None)
        return self.request("/v1/sql", {"sql": sql} | ({"key": key} if key else {}), **named)

    def test_http_from_elsewhere(self):
        status, answer, headers = self.request()
        self.assertEqual((status, answer["code"]), (401, "28000"))
        self.assertIn("Basic", headers["WWW-Authenticate"])
        self.assertEqual(self.request("/v1/health")[0], 200)
        self.assertEqual(self.request(user="alice")[0], 200)
        for user in ("alice", "bob", "nobody"):
            status, answer, _ = self.request(user=user, password="wrong")
            self.assertEqual((status, answer["code"], answer["message"].replace(user, "")), (401, "28P01", 'password authentication failed for user ""'))
        self.assertEqual(self.request(tls=False, user="alice")[1]["message"], "requests from other machines must be encrypted by TLS")
        for junk in ("Basic", "Basic !", "Bearer x"):
            self.assertEqual(self.request(Authorization=junk)[0], 401)

    def test_http_users_act_with_their_own_keys(self):
        self.assertEqual(self.sql("INSERT INTO seen VALUES (20, 'alice')", user="alice")[0], 200)
        self.assertEqual(self.sql("INSERT INTO seen VALUES (21, 'alice')", user="alice", key="alice")[0], 200)
        status, answer, _ = self.sql("INSERT INTO seen VALUES (22, 'bob')", user="alice", key="bob")
        self.assertEqual((status, answer["code"]), (403, "42501"))
        self.assertEqual(self.sql("INSERT INTO seen VALUES (23, 'carol')", certificate=self.carol)[0], 200)
        self.assertEqual(self.sql("SELECT 1", certificate=self.carol, key="bob")[0], 403)
        accounts = {row["name"]: row["account"] for row in json.loads(stele("keys", "--dir", self.node.directory, "list", "--json").stdout)["keys"]}
        wrote = self.node.query("SELECT DISTINCT _account FROM stele_changes('seen') WHERE id IN (20, 21, 23) ORDER BY 1")
        self.assertEqual(wrote, sorted([accounts["alice"], accounts["carol"]]))
        # Another user's preview is not mine to commit.
        status, preview, _ = self.request("/v1/previews?name=mine", {}, user="alice")
        self.assertEqual(status, 201, preview)
        self.assertEqual(self.request("/v1/previews/mine/sql", {"sql": "SELECT 1"}, user="alice")[0], 200)
        for path in ("/v1/previews/mine/sql", "/v1/previews/mine/commit"):
            self.assertEqual(self.request(path, {"sql": "SELECT 1"}, certificate=self.carol)[0], 403, path)
            self.assertEqual(self.request(path, {"sql": "SELECT 1"}, host="127.0.0.1")[0], 401, path)

    def test_http_local_users(self):
        for tls in (True, False):
            self.assertEqual(self.request(host="127.0.0.1", tls=tls)[0], 200)
            self.assertEqual(self.sql("SELECT 1", host="127.0.0.1", tls=tls, key="bob")[0], 200)
            self.assertEqual(self.sql("SELECT 1", host="127.0.0.1", tls=tls, key="alice")[0], 401)
            self.assertEqual(self.sql("SELECT 1", host="127.0.0.1", tls=tls, user="alice")[0], 200)
        # Rebinding a name needs no certificate on plain HTTP, so it is still looked at there.
        self.assertEqual(self.request(host="127.0.0.1", tls=False, Host="evil.example")[0], 400)

    def test_stele_sql_gives_a_password(self):
        command = ["sql", "--port", self.node.postgres_port, "-U", "alice", "-c", "SELECT 40 + 2 AS answer"]
        self.assertIn("PGPASSWORD", stele(*command).stderr)
        given = stele(*command, prefix=["env", f"PGPASSWORD={PASSWORD}"])
        self.assertIn("42", given.stdout, given.stderr)

    def test_no_secret_is_said(self):
        self.psql({"user": "alice", "sslmode": "require"}, password="wr0ng-and-secret")
        line = (self.node.directory / "keys" / "alice.scram").read_text()
        self.assertEqual(stat.S_IMODE((self.node.directory / "keys" / "alice.scram").stat().st_mode), KEEPS_MODE)
        self.assertRegex(line, r"^SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}\n$")
        log = self.node.log()
        self.assertIn("password authentication failed", log)
        for secret in (PASSWORD, "wr0ng-and-secret", line.split("$")[2].split(":")[0]):
            self.assertNotIn(secret, log)


class Configuration(DirectoryCase):
    def start_fails(self, pattern, **settings):
        node = self.node(**settings)
        with self.assertRaisesRegex(NodeFailed, pattern):
            node.start()

    def test_what_is_unsafe_or_wrong_is_refused(self):
        authority = Authority(self.home)
        certificate, key = authority.issue("server", "a node")
        _, other_key = authority.issue("other", "a node")
        self.node_open = lambda **settings: Node(self.home / "data", listen="0.0.0.0", **settings)
        node = self.node_open()
        self.addCleanup(node.kill)
        with self.assertRaisesRegex(NodeFailed, "postgres.listen = .* so it needs TLS"):
            node.start()
        both = {"postgres_tls_certificate": certificate, "postgres_tls_key": key}
        node = self.node_open(**both)
        self.addCleanup(node.kill)
        with self.assertRaisesRegex(NodeFailed, "http.listen = .* so it needs TLS"):
            node.start()
        self.start_fails("postgres.tls_key is missing", postgres_tls_certificate=certificate)
        self.start_fails("http.tls_certificate is missing", http_tls_client_ca=authority.path)
        self.start_fails("cannot read /nonexistent", postgres_tls_certificate="/nonexistent", postgres_tls_key=key)
        self.start_fails("holds no certificate", **{**both, "postgres_tls_certificate": key})
        self.start_fails("holds no private key", **{**both, "postgres_tls_key": self.empty()})
        self.start_fails("cannot be used with the key", **{**both, "postgres_tls_key": other_key})
        key.chmod(0o640)
        self.start_fails("chmod 600", **both)
        key.chmod(0o600)
        self.node(**both).start()

    def empty(self):
        path = self.home / "empty.key"
        path.touch(KEEPS_MODE)
        return path

    def test_open_key_files_stop_the_start(self):
        node = self.node()
        node.start()
        node.stop()
        path = node.directory / "keys" / "operator.key"
        path.chmod(0o644)
        self.start_fails(r"operator\.key is a secret.*chmod 600")

    def test_local_users_can_be_asked_too(self):
        node = self.node(postgres_loopback="authenticate", http_loopback="authenticate")
        node.start()
        said = node.psql("SELECT 1", "-w").stderr
        self.assertIn("no password supplied", said)
        self.assertEqual(node.http("GET", "/v1/status")[0], 401)
        set_password(node, "operator", "pencil")
        with node.connect(password="pencil") as connection:
            self.assertEqual(connection.execute("SELECT 1").fetchone(), (1,))
        basic = {"Authorization": "Basic " + base64.b64encode(b"operator:pencil").decode()}
        self.assertEqual(node.http("GET", "/v1/status", headers=basic)[0], 200)
        http = ("--http", f"http://127.0.0.1:{node.http_port}")
        for command in ("status", "audit"):
            done = stele(command, *http, environment={"PGPASSWORD": "pencil"})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            done = stele(command, *http, environment={"PGPASSWORD": "pen"})
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("28P01", done.stderr)
        done = stele("keys", "--dir", node.directory, "password", "operator", "--remove")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(node.http("GET", "/v1/status", headers=basic)[0], 401)

    def test_unfit_passwords_are_refused(self):
        node = self.node()
        node.start()
        for given, pattern in (("", "empty"), ("x" * 2000, "longer than 1024")):
            done = stele("keys", "--dir", node.directory, "password", "operator", stdin=given + "\n")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(pattern, done.stderr)
        done = stele("keys", "--dir", node.directory, "password", "nobody", stdin="x\n")
        self.assertIn("nobody", done.stderr)
        self.assertEqual(list((node.directory / "keys").glob("*.scram")), [])


if __name__ == "__main__":
    unittest.main()
