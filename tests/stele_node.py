"""A real `stele start` process on a directory of its own, for the tests of this folder.

The program is the one `STELE_BIN` names, else the release build. Listeners take free ports
(`127.0.0.1:0`); the node prints which. `STELE_FULL=1` asks for the full counts, `STELE_SEED`
repeats a run.
"""

import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import psycopg

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
FULL = os.environ.get("STELE_FULL", "") not in ("", "0")
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
COMMAND_SECONDS_MAX = 120


def binary():
    """The program under test. That it is missing is a failure, not a skip: nothing would be tested."""
    named = os.environ.get("STELE_BIN")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    path = pathlib.Path(named) if named else target / "release" / "stele"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run `cargo build --release -p stele`, or set STELE_BIN")
    return str(path.resolve())


def count(small, full):
    """How often to do a thing: `small` in CI, `full` with STELE_FULL=1."""
    return full if FULL else small


def seeded(name, usual=None):
    """A generator of random numbers whose seed is printed, so that a failure can be repeated; in CI the `usual` one."""
    fresh = random.SystemRandom().randrange(1 << 32) if usual is None or FULL else usual
    seed = int(os.environ.get("STELE_SEED") or fresh)
    print(f"{name}: STELE_SEED={seed}", flush=True)
    return random.Random(seed)


def stele(*arguments, cwd=None, stdin=None, prefix=(), environment=None):
    """Runs a command of the program to its end."""
    return subprocess.run(
        [*prefix, binary(), *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=COMMAND_SECONDS_MAX,
        env=clean_environment(**(environment or {})),
    )


def clean_environment(**more):
    """The environment without settings that would change what the program or psql does."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STELE_", "PG"))}
    return {**kept, "LC_ALL": "C.UTF-8", **more}


class NodeFailed(Exception):
    """The process ended, or did not listen in time; carries what it said."""


class Node:
    """One node process. `settings` become STELE_<SECTION>_<KEY> variables."""

    def __init__(self, directory, prefix=(), listen="127.0.0.1", **settings):
        self.listen = listen
        self.directory = pathlib.Path(directory)
        self.prefix = list(prefix)
        self.settings = {f"STELE_{k.upper()}": str(v) for k, v in settings.items()}
        self.command = ["start"]
        self.process = None
        self.log_path = self.directory.with_name(self.directory.name + ".log")

    def start(self):
        """Starts the process and waits until it listens."""
        self.start_without_waiting()
        self.wait_until_listening()
        return self

    def start_without_waiting(self):
        """Starts the process; for tests that end it before it listens."""
        self.log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, binary(), *map(str, self.command), "--dir", self.directory]
                + ["--postgres-listen", f"{self.listen}:0", "--http-listen", f"{self.listen}:0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory.parent,
                env=clean_environment(**self.settings),
            )

    def wait_until_listening(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            said = self.log()
            postgres = re.search(r"^ +PostgreSQL +[\d.]+:(\d+)$", said, re.M)
            http_api = re.search(r"^ +HTTP +https?://[\d.]+:(\d+)/", said, re.M)
            if postgres and http_api and "Ctrl-C stops the" in said:
                self.postgres_port, self.http_port = int(postgres[1]), int(http_api[1])
                return
            if self.process.poll() is not None:
                raise NodeFailed(f"stele {self.command[0]} ended with {self.process.returncode}:\n{self.log()[-4000:]}")
            time.sleep(0.02)
        raise NodeFailed(f"stele start did not listen within {START_SECONDS_MAX} s:\n{self.log()[-4000:]}")

    def log(self):
        """What the process said since its last start."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Stops cleanly and returns the exit code."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
                raise NodeFailed(f"no end within {STOP_SECONDS_MAX} s of SIGTERM:\n{self.log()[-4000:]}")
        return self.process.returncode if self.process else None

    def kill(self):
        """kill -9, at once."""
        if self.running():
            self.process.kill()
        if self.process:
            self.process.wait()

    # What clients do.

    def psql(self, sql, *options, user="operator", database="stele", timeout=COMMAND_SECONDS_MAX):
        """Runs psql on a script; errors go on to the next statement, as a person's session does."""
        return subprocess.run(
            ["psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(self.postgres_port)]
            + ["-U", user, "-d", database, *options],
            input=sql,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=clean_environment(),
        )

    def query(self, sql):
        """The lines psql prints for a query that must succeed."""
        done = self.psql(sql, "-v", "ON_ERROR_STOP=1")
        if done.returncode != 0 or done.stderr:
            raise AssertionError(f"{sql}\n{done.stderr}")
        return done.stdout.splitlines()

    def connect(self, user="operator", autocommit=True, **more):
        """A psycopg connection."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.postgres_port,
            user=user,
            dbname="stele",
            autocommit=autocommit,
            connect_timeout=10,
            **more,
        )

    def http(self, method, path, body=None, headers=None, timeout=60):
        """One HTTP request: (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def get(self, path):
        """The body of a GET that must answer 200."""
        status, _, body = self.http("GET", path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {body[:500]!r}")
        return body

    def json(self, path):
        return json.loads(self.get(path))

    def sql(self, sql, parameters=()):
        """One statement over HTTP: (status, answer)."""
        body = json.dumps({"sql": sql, "parameters": list(parameters)})
        status, _, answer = self.http("POST", "/v1/sql", body, {"Content-Type": "application/json"})
        return status, json.loads(answer)

    def status(self):
        """The node's status when no self-check is under way; one starts with the node."""
        self.until(lambda: self.json("/v1/status")["store"] != "verifying", what="the end of a self-check")
        return self.json("/v1/status")

    def checkpoint_size(self):
        """Number of leaves of the log, from the checkpoint's second line."""
        return int(self.get("/checkpoint").decode().splitlines()[1])

    def until(self, holds, seconds=30, what="the condition"):
        """Waits until `holds()` is true; a wait without an end would hide a hang."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come within {seconds} s\n{self.log()[-4000:]}")
            time.sleep(0.05)


class DirectoryCase(unittest.TestCase):
    """A test with a temporary directory and nodes that are ended with it."""

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="stele-test-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)

    def node(self, name="data", prefix=(), **settings):
        node = Node(self.home / name, prefix, **settings)
        self.addCleanup(node.kill)
        return node


class NodeCase(unittest.TestCase):
    """Tests that share one running node, `self.node`."""

    @classmethod
    def setUpClass(cls):
        cls.home = pathlib.Path(tempfile.mkdtemp(prefix="stele-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.home, ignore_errors=True)
        cls.node = Node(cls.home / "data")
        cls.addClassCleanup(cls.node.kill)
        cls.node.start()

    def setUp(self):
        self.assertTrue(self.node.running(), f"an earlier test ended the node:\n{self.node.log()[-4000:]}")
