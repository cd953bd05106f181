"""The independent verifier agrees with Stele on every fixture, and refuses all that is forged or damaged.

Run in this folder: python -m unittest -v test_verify
"""

import json
import subprocess
import sys
import unittest
from pathlib import Path

import stele_verify
from stele_verify import Refused, Trust, verify

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parents[1] / "crates/core/tests/fixtures"
PROOFS = FIXTURES / "proof"
TRUST = PROOFS / "trust.txt"
GOOD = sorted((PROOFS / "good").glob("*.tlog-proof"))
FORGED = sorted((PROOFS / "forged").glob("*.tlog-proof"))


def named(path):
    """The lines `name hex` of a fixture."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


class ProofFiles(unittest.TestCase):
    def setUp(self):
        self.trust = Trust(TRUST.read_bytes())

    def test_a19_good_proofs_show_what_stele_says_they_show(self):
        self.assertGreater(len(GOOD), 20)
        for path in GOOD:
            with self.subTest(path.stem):
                expected = json.loads(path.with_suffix(".json").read_text())
                self.assertEqual(verify(self.trust, path.read_bytes()), expected)

    def test_a19_forged_proofs_are_refused(self):
        reasons = (PROOFS / "forged/reasons.txt").read_text().splitlines()
        self.assertEqual(sorted(line.split(":")[0] for line in reasons), [path.stem for path in FORGED])
        for path in FORGED:
            with self.subTest(path.stem), self.assertRaises(Refused):
                verify(self.trust, path.read_bytes())

    def test_a19_every_byte_of_a_proof_counts(self):
        for path in GOOD:
            data = bytearray(path.read_bytes())
            for at in range(len(data)):
                for flip in (0x01, 0x80):
                    data[at] ^= flip
                    try:
                        verify(self.trust, bytes(data))
                        self.fail(f"{path.name}: byte {at} ^ {flip:#x} was accepted")
                    except Refused:
                        pass
                    data[at] ^= flip

    def test_every_cut_proof_is_refused(self):
        for path in GOOD:
            data = path.read_bytes()
            for end in range(len(data)):
                with self.assertRaises(Refused):
                    verify(self.trust, data[:end])

    def test_proofs_of_another_ledger_are_refused(self):
        other = TRUST.read_text().replace(f"ledger {self.trust.ledger.hex()}", "ledger " + "0" * 64)
        trust = Trust(other.encode())
        for path in GOOD:
            # Rows are bound to a ledger by its origin and validators, transactions by its id, too.
            if path.stem.startswith("transaction"):
                with self.subTest(path.stem), self.assertRaises(Refused):
                    verify(trust, path.read_bytes())

    def test_every_byte_of_a_trust_file_counts(self):
        data = bytearray(TRUST.read_bytes())
        for at in range(len(data)):
            data[at] ^= 0x01
            try:
                trust = Trust(bytes(data))
            except Refused:
                trust = None
            if trust is not None:
                # The ledger id can only be pinned, not checked in itself.
                start = TRUST.read_bytes().index(b"ledger ")
                self.assertIn(at, range(start, start + 72))
            data[at] ^= 0x01


class Command(unittest.TestCase):
    def run_command(self, *files):
        script = HERE / "stele_verify.py"
        arguments = [sys.executable, script, "--trust", TRUST, *files]
        return subprocess.run(arguments, capture_output=True, text=True, check=False)

    def test_exit_code_says_whether_all_was_shown(self):
        good = self.run_command(*GOOD)
        self.assertEqual(good.returncode, 0, good.stderr)
        results = [json.loads(line) for line in good.stdout.splitlines()]
        self.assertTrue(all(result["ok"] for result in results))
        self.assertEqual(len(results), len(GOOD))
        mixed = self.run_command(GOOD[0], FORGED[0])
        self.assertEqual(mixed.returncode, 1)
        results = [json.loads(line) for line in mixed.stdout.splitlines()]
        self.assertEqual([result["ok"] for result in results], [True, False])


class OtherFixtures(unittest.TestCase):
    """Formats that proofs touch only in part."""

    def test_transactions(self):
        fixture = named(FIXTURES / "ledger/transactions.txt")
        ledger = bytes.fromhex(named(FIXTURES / "ledger/genesis.txt")["ledger"])
        names = {name.split(".")[0] for name in fixture}
        self.assertEqual(len(names), 7)
        for name in names:
            data = bytes.fromhex(fixture[f"{name}.signed"])
            signed = stele_verify.decode_all(data, stele_verify.SignedTransaction)
            signed.check(ledger)
            self.assertEqual(signed.body.id.hex(), fixture[f"{name}.id"])
            self.assertEqual(stele_verify.H(0x12, data).hex(), fixture[f"{name}.digest"])

    def test_genesis_and_accounts(self):
        fixture = named(FIXTURES / "ledger/genesis.txt")
        hashed = lambda domain, name: stele_verify.H(domain, bytes.fromhex(fixture[name])).hex()
        self.assertEqual(hashed(0x19, "genesis"), fixture["ledger"])
        self.assertEqual(hashed(0x18, "validators"), fixture["validators.hash"])
        self.assertEqual(hashed(0x10, "account.key"), fixture["account.id"])
        account = bytes.fromhex(fixture["account.id"])
        self.assertEqual(stele_verify.account_text(account), fixture["account"])

    def test_tables(self):
        fixture = named(FIXTURES / "ledger/tables.txt")
        others = ("lines", "sequence", "view", "schema", "role", "procedure")
        for name in ("orders", "everything", "salaries", "empty") + others:
            data = bytes.fromhex(fixture[name])
            table = stele_verify.decode_all(data, stele_verify.Table)
            self.assertTrue(table.name == name or name in others)
            self.assertEqual(table.hash.hex(), fixture[f"{name}.hash"])

    def test_ranks(self):
        for line in (FIXTURES / "tree/ranks.txt").read_text().splitlines():
            if not line.startswith("#"):
                table, key, rank = line.split(" ")
                key = bytes.fromhex(key.replace("-", ""))
                self.assertEqual(stele_verify.rank(int(table), key), int(rank))

    def test_values_and_keys(self):
        for line in (FIXTURES / "values/values.txt").read_text().splitlines():
            if line.startswith("#"):
                continue
            type_text, _, output, encoding, key = line.split(" | ")
            value = stele_verify.decode_all(bytes.fromhex(encoding), stele_verify.decode_value)
            type = column_type(type_text.strip(), value)
            type.check(value)
            with self.subTest(line):
                if "\\" not in output or type.kind == "bytes":
                    self.assertEqual(stele_verify.value_text(type, value), output)
                if key.strip() != "none":
                    key = bytes.fromhex(key)
                    self.assertEqual(stele_verify.encode_key_value(value), key)
                    self.assertEqual(stele_verify.decode_key([type], key), [value])


def column_type(text, value):
    name, _, parameters = text.partition("(")
    numbers = [int(number) for number in parameters.rstrip(")").split(",") if number]
    names = {
        "varchar": "character varying",
        "char": "character",
        "double": "double precision",
        "timestamptz": "timestamp with time zone",
    }
    if name == "numeric" and not numbers:
        numbers = [38, 10]
    return stele_verify.Type(names.get(name, name), value[0], *numbers)


if __name__ == "__main__":
    unittest.main()
