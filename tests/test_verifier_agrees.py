"""Proofs fetched from a running node hold, and changed ones fail, in two programs that share no code:
`stele verify` and verifier/python/stele_verify.py (row A19)."""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import unittest

from stele_node import REPOSITORY, Node, NodeCase, clean_environment, count, seeded, stele

PYTHON_VERIFIER = REPOSITORY / "verifier" / "python" / "stele_verify.py"


class Agreement(NodeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.query(
            "CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(40) NOT NULL, price NUMERIC(10,2), at TIMESTAMPTZ);"
            "CREATE TABLE places (country VARCHAR(2), city VARCHAR(80), n BIGINT, PRIMARY KEY (country, city))"
        )
        values = ", ".join(f"({i}, 'item {i}', {i}.25, '2026-01-01 00:00:00+00')" for i in range(1, 400, 2))
        cls.node.query(f"INSERT INTO orders VALUES {values}")
        cls.node.query("INSERT INTO places VALUES ('FR', 'Orléans', 1), ('CN', '深圳', 2), ('CN', '', 3)")
        cls.trust = cls.node.directory / "trust.txt"
        place = "/v1/tables/public/"
        proofs = {
            "row": place + "orders/proof?key=101",
            "row-last": place + "orders/proof?key=399",
            "row-two-columns": place + "places/proof?key=CN&key=%E6%B7%B1%E5%9C%B3",
            "row-empty-text": place + "places/proof?key=CN&key=",
            "absent": place + "orders/proof?key=102",
            "absent-before-all": place + "orders/proof?key=-5",
            "absent-after-all": place + "orders/proof?key=100000",
            "range": place + "orders/range-proof?from=50&to=61",
            "range-empty": place + "orders/range-proof?from=1000&to=2000",
        }
        status, answer = cls.node.sql("INSERT INTO orders VALUES (9999, 'receipt', 1, now())")
        assert status == 200, answer
        identity = cls.find_id(answer)
        proofs["transaction"] = f"/v1/transactions/{identity}/proof"
        status, refused = cls.node.sql("INSERT INTO orders VALUES (9999, 'again', 1, now())")
        assert status == 409, refused
        proofs["failed-transaction"] = f"/v1/transactions/{cls.find_id(refused)}/proof"
        cls.proofs = {}
        for name, path in proofs.items():
            file = cls.home / f"{name}.proof"
            file.write_bytes(cls.node.get(path))
            cls.proofs[name] = file

    @staticmethod
    def find_id(answer):
        """The transaction's id, wherever in the answer it stands."""
        for holder in [answer, answer.get("receipt") or {}]:
            for name in ["id", "transaction", "transaction_id"]:
                if isinstance(holder.get(name), str):
                    return holder[name]
        raise AssertionError(f"no transaction id in {answer}")

    def rust(self, files):
        """{file: whether it is shown}."""
        done = stele("verify", "--json", "--trust", self.trust, *files)
        self.assertNotIn("panicked", done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(lines), len(files), done.stdout + done.stderr)
        self.assertEqual(done.returncode == 0, all(self.shown(line) for line in lines))
        return [self.shown(line) for line in lines]

    def python(self, files):
        done = subprocess.run(
            [sys.executable, PYTHON_VERIFIER, "--trust", self.trust, *files],
            capture_output=True, text=True, timeout=600, env=clean_environment(),
        )
        self.assertNotIn("Traceback", done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(lines), len(files), done.stdout + done.stderr)
        self.assertEqual(done.returncode == 0, all(self.shown(line) for line in lines))
        return [self.shown(line) for line in lines]

    @staticmethod
    def shown(line):
        return next(line[name] for name in ["ok", "shown", "valid"] if name in line)

    def test_a19_good_proofs_hold_in_both(self):
        files = list(self.proofs.values())
        self.assertEqual(self.rust(files), [True] * len(files))
        self.assertEqual(self.python(files), [True] * len(files))

    def test_a19_both_tell_the_same_row(self):
        file = self.proofs["row"]
        rust = stele("verify", "--json", "--trust", self.trust, file).stdout
        python = subprocess.run([sys.executable, PYTHON_VERIFIER, "--trust", self.trust, file], capture_output=True, text=True).stdout
        for said in [rust, python]:
            self.assertIn("item 101", said)
            self.assertIn("101.25", said)

    def test_a19_a_flipped_byte_fails_in_both(self):
        random = seeded("flipped_proof_byte")
        changed = []
        for name, file in self.proofs.items():
            good = file.read_bytes()
            places = range(len(good))
            if (wanted := count(20, 2_000)) < len(good):
                places = random.sample(places, wanted)
            for place in places:
                bad = bytearray(good)
                bad[place] ^= 1 << random.randrange(8)
                path = self.home / f"{name}-{place}.flipped"
                path.write_bytes(bad)
                changed.append(path)
        batches = [changed[i : i + 100] for i in range(0, len(changed), 100)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for program in [self.rust, self.python]:
                for batch, shown in zip(batches, pool.map(program, batches)):
                    believed = [path.name for path, yes in zip(batch, shown) if yes]
                    self.assertEqual(believed, [], f"{program.__name__} believes changed files")
        print(f"flipped_proof_byte: {len(changed)} changed proofs of {len(self.proofs)} kinds refused by both")

    def test_a19_growth_since_a_kept_checkpoint_is_shown_by_both(self):
        kept, growth = self.home / "kept.checkpoint", self.home / "growth.proof"
        kept.write_bytes(self.node.get("/checkpoint"))
        size = kept.read_text().splitlines()[1]
        for number in range(5):
            self.node.query(f"INSERT INTO orders VALUES ({20_000 + number}, 'later', 1, now())")
        good = self.node.get(f"/v1/checkpoint/proof?from={size}")
        growth.write_bytes(good)

        def both(growth, kept=kept):
            arguments = ["--trust", self.trust, "--since", kept, growth]
            rust = stele("verify", *arguments)
            python = subprocess.run([sys.executable, PYTHON_VERIFIER, *arguments], capture_output=True, text=True)
            self.assertNotIn("Traceback", python.stderr)
            self.assertEqual(rust.returncode, python.returncode, (rust.stdout, python.stdout))
            return rust.returncode == 0

        self.assertTrue(both(growth))
        shown = ["--json", "--trust", self.trust, "--since", kept, growth]
        python = subprocess.run([sys.executable, PYTHON_VERIFIER, *shown[1:]], capture_output=True, text=True)
        self.assertEqual(json.loads(stele("verify", *shown).stdout)["shows"], json.loads(python.stdout)["shows"])
        flipped = self.home / "growth.flipped"
        random = seeded("flipped_growth_byte")
        for place in random.sample(range(len(good)), count(10, len(good))):
            bad = bytearray(good)
            bad[place] ^= 1 << random.randrange(8)
            flipped.write_bytes(bad)
            self.assertFalse(both(flipped), f"byte {place} is changed")
        flipped.write_bytes(good + b"\n")
        self.assertFalse(both(flipped), "a newline more")
        # From another size than the kept checkpoint's.
        flipped.write_bytes(self.node.get("/v1/checkpoint/proof?from=1"))
        self.assertFalse(both(flipped))
        # A checkpoint of another ledger.
        other = Node(self.home / "other-ledger").start()
        self.addCleanup(other.kill)
        other.query("CREATE TABLE t (id INT PRIMARY KEY)")
        foreign = self.home / "foreign.checkpoint"
        foreign.write_bytes(other.get("/checkpoint"))
        self.assertFalse(both(growth, foreign))
        status, answer = self.node.http("GET", "/v1/checkpoint/proof?from=99999999")[:2]
        self.assertEqual(status, 404, answer)

    def test_a19_a_proof_of_another_ledger_fails_in_both(self):
        other = self.home / "other.txt"
        trust = self.trust.read_text()
        self.assertIn("localhost/stele", trust)
        other.write_text(trust.replace("localhost/stele", "localhost/stile"))
        done = stele("verify", "--trust", other, self.proofs["row"])
        self.assertEqual(done.returncode, 1, done.stdout)
        done = subprocess.run(
            [sys.executable, PYTHON_VERIFIER, "--trust", other, self.proofs["row"]], capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 1, done.stdout)

    def test_a19_a_twin_with_the_same_origin_and_validator_key_does_not_pass_for_the_ledger(self):
        twin = Node(self.home / "twin")
        self.addCleanup(twin.kill)
        twin.directory.mkdir()
        shutil.copy(self.node.directory / "validator.key", twin.directory)
        twin.start()
        trust = (twin.directory / "trust.txt").read_text().splitlines()
        differing = [pair for pair in zip(trust, self.trust.read_text().splitlines()) if pair[0] != pair[1]]
        self.assertEqual([line.split()[0] for pair in differing for line in pair], ["ledger", "ledger"])
        twin.query("CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(40)); INSERT INTO orders VALUES (101, 'forged')")
        files = []
        for name, path in [("row", "proof?key=101"), ("absent", "proof?key=102"), ("range", "range-proof?from=1&to=200")]:
            files.append(self.home / f"twin-{name}.proof")
            files[-1].write_bytes(twin.get(f"/v1/tables/public/orders/{path}"))
        self.assertEqual(self.rust(files), [False] * len(files))
        self.assertEqual(self.python(files), [False] * len(files))
        own = stele("verify", "--trust", twin.directory / "trust.txt", *files)
        self.assertEqual(own.returncode, 0, own.stdout + own.stderr)

    def test_a19_a_proof_taken_before_a_restart_still_holds(self):
        self.node.stop()
        self.node.start()
        self.node.query("UPDATE orders SET item = 'changed since' WHERE id = 101")
        self.assertEqual(self.rust([self.proofs["row"]]), [True])


if __name__ == "__main__":
    unittest.main()
