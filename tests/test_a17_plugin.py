"""A program as a replica's target: the example of docs/plugins.md, held to what is asked of every sink.

`PLUGIN_SINK` names another program to run these against; it gets one argument, the file it may keep its rows in.
"""

import json
import os
import signal
import sqlite3
import subprocess
import time

from stele_node import REPOSITORY, DirectoryCase, count, seeded, stele

SINK = os.environ.get("PLUGIN_SINK", f"python3 {REPOSITORY / 'examples' / 'plugin_sink.py'}")
SECONDS_MAX = 60


class Plugin(DirectoryCase):
    def start(self):
        self.kept = self.home / "kept.db"
        (self.home / "stele.toml").write_text(f'[replica.mine]\ntarget = "plugin:{SINK} {self.kept}"\n')
        self.ledger = self.node("data").start()
        return self.ledger

    def replica(self, *arguments):
        return stele("replica", *arguments, "--http", f"http://127.0.0.1:{self.ledger.http_port}")

    def state(self):
        return json.loads(self.replica("status", "mine", "--json").stdout)

    def caught_up(self):
        height = self.ledger.json("/v1/status")["height"]

        def there():
            state = self.state()
            return state["phase"] == "following" and state["height"] >= height

        self.ledger.until(there, seconds=SECONDS_MAX, what=f"block {height} in the plug-in ({self.state()})")

    def audited(self, *options):
        done = self.replica("audit", "mine", "--json", *options)
        self.assertIn(done.returncode, (0, 2), done.stderr)
        return json.loads(done.stdout)

    def equal(self):
        report = self.audited()
        for table in report["tables"]:
            self.assertEqual(table["root_found"], table["root_expected"], table)
        return report

    def write(self, random, steps):
        for step in range(steps):
            key = random.randrange(30)
            self.ledger.query(
                random.choice(
                    [
                        f"INSERT INTO items VALUES ({key}, 'n{step}', {step}.25, now(), '\\x00ff') ON CONFLICT (id) DO UPDATE SET n = items.n + 1",
                        f"DELETE FROM items WHERE id = {key}",
                        f"UPDATE items SET name = NULL WHERE id > {key}",
                        f"INSERT INTO wide SELECT 'k' || g, {step} FROM generate_series(1, 20) AS g ON CONFLICT DO NOTHING",
                    ]
                )
            )

    def tables(self):
        self.ledger.query("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, n NUMERIC(12,2), at TIMESTAMPTZ, b BYTEA)")
        self.ledger.query("CREATE TABLE wide (a VARCHAR(20), b INTEGER, PRIMARY KEY (a, b))")

    def test_a17_a_program_is_filled_follows_and_is_audited(self):
        self.start()
        self.tables()
        random = seeded("a17_plugin", usual=171)
        self.write(random, 30)
        self.caught_up()
        self.ledger.query("ALTER TABLE items ADD COLUMN extra TEXT DEFAULT 'é'")
        self.ledger.query("ALTER TABLE items RENAME COLUMN name TO title")
        self.ledger.query("ALTER TABLE items DROP COLUMN at")
        self.ledger.query("CREATE TABLE later (id BIGINT PRIMARY KEY)")
        self.ledger.query("INSERT INTO later SELECT g FROM generate_series(1, 100) AS g")
        self.ledger.query("DROP TABLE wide")
        self.caught_up()
        report = self.equal()
        self.assertEqual(sorted(table["table"] for table in report["tables"]), ["public.items", "public.later"])
        with self.subTest("a row changed by hand is found and mended"):
            with sqlite3.connect(self.kept) as kept:
                [number, place, content] = kept.execute(
                    "SELECT id, place, content FROM rows_of WHERE content LIKE '%\\xc3%' OR content LIKE '%é%' OR content LIKE '%u00e9%' LIMIT 1"
                ).fetchone()
                changed = json.dumps([*json.loads(content)[:-1], "other"])
                kept.execute("UPDATE rows_of SET content = ? WHERE id = ? AND place = ?", [changed, number, place])
                kept.execute("DELETE FROM rows_of WHERE content = '[\"51\"]'")
            differing = [one for table in self.audited()["tables"] for one in table["differences"]]
            self.assertEqual(sorted((one["kind"], one["column"]) for one in differing), [("changed", "extra"), ("missing", None)])
            self.audited("--repair")
            self.caught_up()
            self.equal()
        with self.subTest("refilled"):
            self.assertEqual(self.replica("refill", "mine", "--table", "later").returncode, 0)
            self.caught_up()
            self.equal()

    def test_a17_kill_9_of_either_side_loses_and_repeats_nothing(self):
        self.start()
        self.tables()
        random = seeded("a17_plugin_kills", usual=172)
        for _ in range(count(8, 1_000)):
            self.write(random, 6)
            time.sleep(random.uniform(0, 0.1))
            if random.random() < 0.5:
                subprocess.run(["pkill", "-9", "-f", str(self.kept)], check=False)
            else:
                self.ledger.process.send_signal(signal.SIGKILL)
                self.ledger.process.wait()
                self.ledger.start()
        self.caught_up()
        self.equal()

    def test_a17_programs_that_misbehave_are_named(self):
        for program, reason in [
            ("/no/such/program", "cannot be started"),
            ("false", "ended or is stuck"),
            ("echo nonsense", "does not read"),
            ("""python3 -c import;print('{"error":{"kind":"full","message":"no_room"}}')""".replace("import;", ""), "no_room"),
        ]:
            with self.subTest(program=program):
                home = self.home / f"case{reason[:2]}"
                home.mkdir()
                (home / "stele.toml").write_text(f"[replica.mine]\ntarget = '''plugin:{program}'''\n")
                self.ledger = self.node(f"{home.name}/data").start()
                self.ledger.until(lambda: self.state()["phase"] == "waiting", what="the trouble")
                self.assertIn(reason, self.state()["reason"])
                self.assertEqual(self.ledger.query("SELECT 1"), ["1"])
                self.ledger.kill()

    def test_a17_a_program_cannot_be_named_over_http(self):
        self.ledger = self.node("data").start()
        done = self.replica("add", "mine", "--to", f"plugin:{SINK} x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("configuration file", done.stderr)
