"""Several validators as processes of their own, over TCP: one order, equal checkpoints, service within f faults.

`stele testnet` starts them; everything is asked of them as clients ask (rows A1, A21, A28, B7, B10).
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import unittest
import urllib.request

import psycopg

from test_proxy import Proxy
from stele_node import DirectoryCase, binary, clean_environment, count, seeded, stele

START_SECONDS_MAX = 60
CATCH_UP_SECONDS_MAX = 60


def setUpModule():
    # The engine syncs the whole file system when it starts: what a build has left is written before.
    os.sync()


def http_get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


class Testnet:
    """`stele testnet` on ports of its own."""

    def __init__(self, case, nodes=4, interval=100, environment=None):
        self.case = case
        self.environment = environment or {}
        self.directory = case.home / "testnet"
        self.arguments = ["--nodes", nodes, "--interval", interval, "--postgres-port", 0, "--http-port", 0, "--cluster-port", 0]
        self.process = None

    def start(self):
        self.out = self.case.home / "testnet.out"
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                [binary(), "testnet", "--dir", str(self.directory), *map(str, self.arguments)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=clean_environment(**self.environment),
            )
        self.case.addCleanup(self.stop)
        self.until(lambda: "validators answer" in self.said(), START_SECONDS_MAX, "the validators answer")
        self.members = {}
        for config in sorted(self.directory.glob("*/stele.toml")):
            text = config.read_text()
            ports = [int(port) for port in re.findall(r'^listen = "127.0.0.1:(\d+)"', text, re.M)]
            self.members[config.parent.name] = ports
        return self

    def said(self):
        return self.out.read_text()

    def log(self):
        def seen(name):
            try:
                status = self.status(name)
            except OSError as error:
                return str(error)
            return {key: status[key] for key in ("height", "store", "halted", "mempool", "damage")}

        return "".join(
            f"--- {name}: {seen(name)}\n{(self.directory / name / 'log').read_text()[-3000:]}" for name in self.members
        )

    def until(self, is_so, seconds, what):
        deadline = time.monotonic() + seconds
        while not is_so():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.case.fail(f"{what}: not so{', the testnet has ended' if ended else ''}\n{self.said()[-2000:]}\n{self.log() if hasattr(self, 'members') else ''}")
            time.sleep(0.1)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def kill(self):
        """kill -9 of all at once, and of what looks after them."""
        self.process.kill()
        self.process.wait()
        pids = [int((self.directory / name / "pid").read_text()) for name in self.members]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        # A process that is about to end holds its directory still.
        for pid in pids:
            while pathlib.Path(f"/proc/{pid}/cmdline").exists() and pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                time.sleep(0.01)

    def play(self, *arguments):
        done = stele("testnet", "--dir", self.directory, *arguments, environment=self.environment)
        self.case.assertEqual(done.returncode, 0, done.stderr)

    def connect(self, name, **more):
        return psycopg.connect(host="127.0.0.1", port=self.members[name][0], user="operator", dbname="stele", autocommit=True, **more)

    def query(self, name, sql):
        with self.connect(name) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def status(self, name):
        return json.loads(http_get(f"http://127.0.0.1:{self.members[name][1]}/v1/status"))

    def equal(self, *names):
        """Waits until these have the same newest block, and that its state, log and certificate are one."""
        names = names or tuple(self.members)
        fields = ("height", "block", "state_root", "log_size")

        def seen():
            try:
                return {tuple(self.status(name)[field] for field in fields) for name in names}
            except OSError:
                return set()  # one of them is about to answer

        self.until(lambda: len(seen()) == 1, CATCH_UP_SECONDS_MAX, "all have the same block and state")


class Cluster(DirectoryCase):
    def test_a1_four_validators_have_one_order_and_equal_checkpoints(self):
        net = Testnet(self).start()
        self.assertEqual(len(net.members), 4)
        net.query("one", "CREATE TABLE t (id INT PRIMARY KEY, v TEXT, n INT NOT NULL DEFAULT 0)")
        net.equal()
        # Everyone writes at once, through all of them: own rows, and the same row.
        net.query("two", "INSERT INTO t (id, v) VALUES (0, 'all')")
        net.equal()

        def write(number):
            name = list(net.members)[number % 4]
            done = 0
            with net.connect(name) as connection:
                for step in range(count(15, 200)):
                    connection.execute("INSERT INTO t (id, v) VALUES (%s, %s)", (1 + number * 1000 + step, name))
                    connection.execute("UPDATE t SET n = n + 1 WHERE id = 0")
                    done += 1
            return done

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            done = sum(pool.map(write, range(12)))
        net.equal()
        for name in net.members:
            self.assertEqual(net.query(name, "SELECT n FROM t WHERE id = 0"), [(done,)])
            self.assertEqual(net.query(name, "SELECT count(*) FROM t"), [(done + 1,)])
        # Any node's proof holds for whoever pins the ledger, and three of the four have signed.
        for name, (_, http, _) in net.members.items():
            proof = self.home / f"{name}.proof"
            proof.write_text(http_get(f"http://127.0.0.1:{http}/v1/tables/public/t/proof?key=0"))
            checked = stele("verify", "--trust", net.directory / "one" / "data" / "trust.txt", proof)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
            signed = set(re.findall(r"localhost/testnet/v/(\w+)", proof.read_text()))
            self.assertGreaterEqual(len(signed & set(net.members)), 3, signed)
        seen = net.status("two")
        self.assertEqual((seen["role"], seen["validator"], set(seen["validators"])), ("validator", "two", set(net.members)))
        self.assertGreaterEqual(len(seen["signed_by"]), 3)
        shown = stele("status", "--http", f"http://127.0.0.1:{net.members['two'][1]}").stdout
        self.assertRegex(shown, "role +validator two, of four, one, three, two")
        # What is stored is whole, and executed again gives the same.
        net.stop()
        for name in net.members:
            data = net.directory / name / "data"
            checked = stele("verify", "--data", data, "--trust", data / "trust.txt", "--execute")
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_b7_one_of_four_may_fail_and_come_back(self):
        net = Testnet(self).start()
        net.query("one", "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
        net.equal()
        number = 0
        for stop, back in (("--kill", "--revive"), ("--pause", "--revive")):
            for name in ("two", "one"):
                with self.subTest(f"{stop} {name}"):
                    net.play(stop, name)
                    others = [other for other in net.members if other != name]
                    for other in others * 3:
                        number += 1
                        net.query(other, f"INSERT INTO t VALUES ({number}, '{other}')")
                    net.equal(*others)
                    net.play(back, name)
                    net.equal()
                    self.assertEqual(net.query(name, "SELECT count(*) FROM t"), [(number,)])
                    number += 1
                    net.query(name, f"INSERT INTO t VALUES ({number}, 'back')")
                    net.equal()

    def test_a28_validators_a_follower_a_replica_and_a_client_without_a_database(self):
        net = Testnet(self).start()
        trust = net.directory / "one" / "data" / "trust.txt"
        http = {name: f"http://127.0.0.1:{ports[1]}" for name, ports in net.members.items()}
        net.query("one", "CREATE TABLE t (id INT PRIMARY KEY, v TEXT); GRANT SELECT, INSERT ON t TO PUBLIC; INSERT INTO t VALUES (1, 'a')")
        net.equal()
        # A follower executes every block again, and compares it with what a quorum signed.
        follower = Proxy(self.home / "follower", http["three"], trust)
        self.addCleanup(follower.kill)
        follower.start()
        follower.until(lambda: follower.psql("SELECT v FROM t", user="me").stdout == "a\n", what="the follower has the row")
        written = follower.psql("INSERT INTO t VALUES (2, 'followed')", user="me")
        self.assertEqual(written.stderr, "")
        # A database that mirrors the tables, beside another validator.
        copy = self.home / "copy.db"
        self.assertEqual(stele("replica", "add", "copy", "--to", f"sqlite:{copy}", "--http", http["four"]).returncode, 0)
        # A client without any state.
        keys = self.home / "keys"
        self.assertEqual(stele("keys", "new", "alice", "--dir", keys).returncode, 0)
        sent = stele("send", "--key", "alice", "--dir", keys, "--trust", trust, "--http", http["two"], "INSERT INTO t VALUES (3, 'sent')")
        self.assertEqual(sent.returncode, 0, sent.stdout + sent.stderr)
        # The validator it follows goes; the others go on, and it does when it is back.
        net.play("--kill", "three")
        net.query("one", "INSERT INTO t VALUES (4, 'meanwhile')")
        net.play("--revive", "three")
        net.equal()
        rows = [(1, "a"), (2, "followed"), (3, "sent"), (4, "meanwhile")]
        self.assertEqual(net.query("three", "SELECT id, v FROM t ORDER BY id"), rows)
        follower.until(lambda: len(follower.psql("SELECT id FROM t", user="me").stdout.split()) == 4, what="the follower has caught up")
        height = net.status("four")["height"]
        self.assertEqual(stele("replica", "wait", "copy", "--height", height, "--http", http["four"]).returncode, 0)
        audited = stele("replica", "audit", "copy", "--http", http["four"])
        self.assertEqual(audited.returncode, 0, audited.stdout + audited.stderr)
        with contextlib.closing(sqlite3.connect(copy)) as database:
            self.assertEqual(database.execute("SELECT id, v FROM t ORDER BY id").fetchall(), rows)

    def test_b7_without_a_quorum_writes_wait_and_nothing_is_lost(self):
        net = Testnet(self).start()
        net.query("one", "CREATE TABLE t (id INT PRIMARY KEY)")
        net.equal()
        for name in ("three", "four"):
            net.play("--kill", name)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            write = pool.submit(net.query, "one", "INSERT INTO t VALUES (1)")
            time.sleep(3)
            self.assertFalse(write.done(), "two of four are no quorum")
            self.assertEqual(net.query("two", "SELECT count(*) FROM t"), [(0,)], "reads go on")
            net.play("--revive", "three")
            write.result(30)
        net.equal("one", "two", "three")
        net.play("--revive", "four")
        net.equal()
        self.assertEqual(net.query("four", "SELECT id FROM t"), [(1,)])

    def test_a1_seven_validators_and_two_of_them_gone(self):
        net = Testnet(self, nodes=7).start()
        net.query("seven", "CREATE TABLE t (id INT PRIMARY KEY)")
        net.equal()
        for name in ("one", "five"):
            net.play("--kill", name)
        others = [name for name in net.members if name not in ("one", "five")]
        for number, name in enumerate(others * 2):
            net.query(name, f"INSERT INTO t VALUES ({number})")
        for name in ("one", "five"):
            net.play("--revive", name)
        net.equal()
        self.assertEqual(net.query("five", "SELECT count(*) FROM t"), [(len(others) * 2,)])

    def test_b7_all_killed_at_once_under_load(self):
        net = Testnet(self).start()
        net.query("one", "CREATE TABLE t (id BIGINT PRIMARY KEY)")
        net.equal()
        random = seeded("cluster_kills", 7)
        written, lock = set(), threading.Lock()
        next_id, ends = 0, []
        for _ in range(count(3, 50)):
            ended = threading.Event()

            def write(name, first):
                own = first
                try:
                    with net.connect(name) as connection:
                        while not ended.is_set():
                            connection.execute(f"INSERT INTO t VALUES ({own})")
                            with lock:
                                written.add(own)
                            own += 1
                except psycopg.OperationalError as error:
                    if not ended.is_set():
                        ends.append(f"{name}: {error}")

            threads = []
            for name in net.members:
                threads.append(threading.Thread(target=write, args=(name, next_id)))
                next_id += 1_000_000
            for thread in threads:
                thread.start()
            enough = len(written) + 10
            net.until(lambda: len(written) >= enough, 60, "writes go on after a start")
            time.sleep(random.uniform(0.0, 1.0))
            ended.set()
            net.kill()
            for thread in threads:
                thread.join(60)
            net.start()
            net.equal()
            for name in net.members:
                there = {row[0] for row in net.query(name, "SELECT id FROM t")}
                self.assertEqual(written - there, set(), f"{name} lost what was acknowledged")
        print(f"cluster_kills: {len(written)} writes acknowledged, none lost", flush=True)
        self.assertGreater(len(written), 20, ends)

    def test_a_cluster_whose_others_are_not_known_is_refused_by_name(self):
        net = Testnet(self).start()
        net.stop()
        config = net.directory / "two" / "stele.toml"
        text = config.read_text()
        for pattern, instead, told in [
            (r"\[cluster\]\n.*\n.*\n", "", "write a section \\[cluster\\]"),
            (r'"three@[^"]*"', '"drei@127.0.0.1:1"', 'validator "three" listens is not known'),
            (r'"three@', '"three:', "names no validator and its address"),
        ]:
            config.write_text(re.sub(pattern, instead, text))
            done = stele("--config", config, "start")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertRegex(done.stderr, told)
        config.write_text(text)
        with socket.socket() as taken:
            port = int(re.search(r'\[cluster\]\nlisten = "127.0.0.1:(\d+)"', text)[1])
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
            done = stele("--config", config, "start")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(f"cannot listen for other validators on 127.0.0.1:{port}", done.stderr)
        self.assertEqual(stele("testnet", "--dir", net.directory, "--kill", "nine").returncode, 1)
        net.start()
        net.query("one", "CREATE TABLE t (id INT PRIMARY KEY)")
        net.equal()


if __name__ == "__main__":
    unittest.main()
