"""Somebody changes files behind the node's back (rows A4, B4, C1).

Every byte of the segments of a small ledger is changed in turn on a copy (CI: a spread sample and all
record headers; STELE_FULL=1: each one), with the checksum left alone and with it repaired: `stele verify
--data` must find it and say where. Rows edited in state.db must be named by table and key. What can be
made again is made again; what belongs elsewhere is refused.
"""

import concurrent.futures
import json
import os
import re
import shutil
import sqlite3
import struct
import unittest

from stele_node import FULL, DirectoryCase, NodeFailed, count, seeded, stele

SEGMENT_HEADER_LEN = 64
RECORD_HEADER_LEN = 13
CHECKSUM_LEN = 4
KIND_NAMES = {1: "genesis", 2: "block", 3: "effects", 4: "certificate", 255: "footer"}

LEDGER = """
CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(40) NOT NULL, price NUMERIC(10,2));
INSERT INTO orders VALUES (1001, 'paper', 100), (1002, 'ink', 12.50);
UPDATE orders SET price = 99 WHERE id = 1001;
DELETE FROM orders WHERE id = 1002;
INSERT INTO orders VALUES (1003, 'pen', NULL);
"""


def crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def records(segment):
    """(start, kind, payload length) of each record of a segment's bytes, by docs/formats.md section 18."""
    at = SEGMENT_HEADER_LEN
    while at < len(segment):
        length, kind = struct.unpack_from(">IB", segment, at)
        yield at, kind, length
        at += RECORD_HEADER_LEN + length + CHECKSUM_LEN


class TamperCase(DirectoryCase):
    def setUp(self):
        super().setUp()
        self.ledger = self.node("good")
        self.ledger.start()
        for statement in LEDGER.strip().split("\n"):
            self.ledger.query(statement)
        self.assertEqual(self.ledger.http("POST", "/v1/records?wait=applied", b"order 1001\0\xff")[0] // 100, 2)
        self.ledger.query("SELECT 1")
        self.ledger.psql("INSERT INTO orders VALUES (1003, 'again', 1)")
        self.assertEqual(self.ledger.stop(), 0)
        self.good = self.ledger.directory
        self.trust = self.home / "pinned.txt"
        shutil.copy(self.good / "trust.txt", self.trust)

    def copy(self, name="copy", of=None):
        target = self.home / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(of or self.good, target)
        return target

    def verify(self, directory):
        """(whether all is well, findings, everything said)."""
        done = stele("verify", "--json", "--trust", self.trust, "--data", directory)
        self.assertNotIn("panicked", done.stderr)
        self.assertIn(done.returncode, [0, 1], done.stderr)
        findings = json.loads(done.stdout)["findings"] if done.stdout.strip().startswith("{") else []
        self.assertFalse(done.returncode == 0 and findings, done.stdout)
        return done.returncode == 0, findings, done.stdout + done.stderr


class FlippedBytes(TamperCase):
    def small_copy(self, name):
        """Segments and identity alone: the state is checked by other tests, and its absence is fast."""
        target = self.home / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for file in ["genesis", "format", "trust.txt"]:
            shutil.copy(self.good / file, target / file)
        shutil.copytree(self.good / "segments", target / "segments")
        return target

    def in_parallel(self, work, items):
        """Runs `work(directory, item)` over items, each worker on a copy of its own; gives the failures."""
        workers = os.cpu_count() or 1
        shares = [items[i::workers] for i in range(workers)]

        def share(number):
            directory = self.small_copy(f"worker{number}")
            return [failure for item in shares[number] if (failure := work(directory, item))]

        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return [failure for failures in pool.map(share, range(workers)) for failure in failures]

    def setUp(self):
        super().setUp()
        self.segment = (self.good / "segments" / "00000001.seg").read_bytes()
        self.records = list(records(self.segment))
        last, _, length = self.records[-1]
        self.assertEqual(last + RECORD_HEADER_LEN + length + CHECKSUM_LEN, len(self.segment))
        clean, findings, said = self.verify(self.small_copy("unchanged"))
        self.assertTrue(clean, said)

    def check_change(self, directory, changed, offset, name):
        """Writes a changed segment and says what is wrong with the answer, if anything."""
        path = directory / "segments" / "00000001.seg"
        path.write_bytes(changed)
        clean, findings, said = self.verify(directory)
        path.write_bytes(self.segment)
        if clean:
            return f"{name}: not detected"
        if "00000001.seg" not in said and "segment 1" not in said:
            return f"{name}: the segment is not named: {said[:300]}"
        record = max((start for start, _, _ in self.records if start <= offset), default=0)
        located = [f for f in findings if f["item"].startswith("offset ")]
        # A forged block shows where its effects contradict it: the record behind, but the same height.
        height = struct.unpack_from(">Q", self.segment, record + 5)[0] if record else 0
        if located and int(located[0]["item"].split()[1]) > offset and located[0]["height"] != height:
            return f"{name}: located behind the change, record {record}: {said[:300]}"
        if not located and not any(word in said for word in ["offset", "header", "genesis record"]):
            return f"{name}: no offset: {said[:300]}"
        return None

    def test_b4_any_flipped_byte_is_found_and_located(self):
        random = seeded("flipped_byte")
        whole = range(len(self.segment))
        if FULL:
            offsets = list(whole)
        else:
            headers = {start + i for start, _, _ in self.records for i in range(RECORD_HEADER_LEN)}
            headers = set(random.sample(sorted(headers), min(len(headers), 60)))
            headers |= set(range(SEGMENT_HEADER_LEN, SEGMENT_HEADER_LEN + RECORD_HEADER_LEN))
            step = max(1, len(self.segment) // 90)
            offsets = sorted(headers | set(whole[random.randrange(step) :: step]) | {len(self.segment) - 1})
        bits = {offset: 1 << random.randrange(8) for offset in offsets}

        def flip(directory, offset):
            changed = bytearray(self.segment)
            changed[offset] ^= bits[offset]
            return self.check_change(directory, bytes(changed), offset, f"byte {offset} ^ {bits[offset]:#x}")

        self.assertEqual(self.in_parallel(flip, offsets), [])
        print(f"flipped_byte: {len(offsets)} of {len(self.segment)} bytes, all found; none is harmless")

    def test_b4_a_change_with_a_repaired_checksum_is_found(self):
        random = seeded("repaired_checksum")
        payload = [
            (start, kind, offset)
            for start, kind, length in self.records
            # Length and height are the frame's; the content is what hashes and signatures cover.
            for offset in [*range(start + 4, start + RECORD_HEADER_LEN + length)]
        ]
        if not FULL:
            # Kind and height of every record, and a sample of the rest.
            heads = [item for item in payload if item[2] - item[0] in (4, RECORD_HEADER_LEN - 1)]
            payload = sorted({*heads, *random.sample(payload, 60)})

        def forge(directory, item):
            start, kind, offset = item
            length = struct.unpack_from(">I", self.segment, start)[0]
            end = start + RECORD_HEADER_LEN + length
            changed = bytearray(self.segment)
            changed[offset] ^= 1
            changed[end : end + CHECKSUM_LEN] = struct.pack(">I", crc32c(changed[start:end]))
            name = f"{KIND_NAMES.get(kind, kind)} record at {start}, byte {offset - start} with its checksum repaired"
            return self.check_change(directory, bytes(changed), offset, name)

        self.assertEqual(self.in_parallel(forge, payload), [])

    def test_b4_cut_and_lost_files_are_found(self):
        for cut in [1, 5, 100, len(self.segment) // 2, len(self.segment) - SEGMENT_HEADER_LEN]:
            with self.subTest(cut=cut):
                directory = self.small_copy("cut")
                path = directory / "segments" / "00000001.seg"
                path.write_bytes(self.segment[:-cut])
                clean, _, said = self.verify(directory)
                self.assertFalse(clean, said)
                self.assertRegex(said, "00000001.seg|segment 1")
        directory = self.small_copy("lost")
        (directory / "segments" / "00000001.seg").unlink()
        clean, _, said = self.verify(directory)
        self.assertFalse(clean, said)

    def test_other_files_are_found_or_not_believed(self):
        random = seeded("other_files")
        for file in ["genesis", "format", "segments/mark"]:
            original = (self.good / file).read_bytes()
            for offset in sorted(random.sample(range(len(original)), min(len(original), count(12, 10_000)))):
                with self.subTest(file=file, offset=offset):
                    directory = self.small_copy("other")
                    changed = bytearray(original)
                    changed[offset] ^= 1
                    (directory / file).write_bytes(changed)
                    clean, findings, said = self.verify(directory)
                    # The mark is a hint and is not believed; identity and version are.
                    if file != "segments/mark":
                        self.assertFalse(clean, said)
                        self.assertRegex(said, f"{file}|not the ledger you trust")

    def test_a_node_does_not_start_on_a_damaged_record(self):
        directory = self.copy("data2")
        path = directory / "segments" / "00000001.seg"
        start, _, length = self.records[2]
        changed = bytearray(self.segment)
        changed[start + RECORD_HEADER_LEN + length // 2] ^= 1
        path.write_bytes(changed)
        for derived in ["index", "log"]:
            shutil.rmtree(directory / derived)
        node = self.node("data2")
        try:
            node.start()
        except NodeFailed as refused:
            self.assertIn("00000001.seg", str(refused).replace("segment 1", "00000001.seg"))
            self.assertIn("offset", str(refused))
        else:
            self.assertEqual(node.status()["store"], "invalid")
        self.assertEqual(path.read_bytes(), bytes(changed), "the damaged file is evidence and stays as it was")


class EditedState(TamperCase):
    def edit(self, sql):
        directory = self.copy("edited")
        database = sqlite3.connect(directory / "state.db")
        with database:
            self.assertGreaterEqual(database.execute(sql).rowcount, 1)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return directory

    def table_and_key(self, sql, key):
        directory = self.edit(sql)
        clean, findings, said = self.verify(directory)
        self.assertFalse(clean, said)
        self.assertTrue(any("orders" in f["place"] and key in f["item"] for f in findings), said)

        # The running node finds the same.
        node = self.node("edited").start()
        audited = stele("audit", "--json", "--http", f"http://127.0.0.1:{node.http_port}")
        self.assertEqual(audited.returncode, 2, audited.stdout + audited.stderr)
        self.assertTrue(
            any("orders" in f["place"] and key in f["item"] for f in json.loads(audited.stdout)["findings"]),
            audited.stdout,
        )
        self.assertEqual(node.status()["store"], "invalid")
        node.kill()

    def test_a4_an_edited_row_is_named_by_table_and_key(self):
        self.table_and_key("UPDATE t1000 SET c2 = 'gold' WHERE c1 = 1001", "1001")

    def test_a4_a_removed_row_is_named_by_table_and_key(self):
        self.table_and_key("DELETE FROM t1000 WHERE c1 = 1003", "1003")

    def test_a4_an_added_row_is_named_by_table_and_key(self):
        self.table_and_key("INSERT INTO t1000 SELECT 1004, c2, c3, _h, _x FROM t1000 WHERE c1 = 1001", "1004")

    def test_b4_a_write_in_a_stored_block_is_not_said_to_be_refused(self):
        directory = self.edit("UPDATE t1000 SET c2 = 'gold' WHERE c1 = 1001")
        node = self.node("edited", store_self_check_interval_s=0).start()
        # The block is stored before the row turns out to be another than the tree holds.
        verbose = ("-v", "VERBOSITY=verbose")
        said = node.psql("UPDATE orders SET item = item || '!' WHERE id = 1001", *verbose).stderr
        self.assertRegex(said, "ERROR:  08007: transaction [0-9a-f]{64} stands in block .*1001")
        identity = re.search("transaction ([0-9a-f]{64})", said)[1]
        # The next is not taken, and says so.
        self.assertIn("57P03", node.psql("UPDATE orders SET item = 'x' WHERE id = 1001", *verbose).stderr)
        node.kill()
        for file in directory.glob("state.db*"):
            file.unlink()
        node = self.node("edited").start()
        item = node.query("SELECT item FROM orders WHERE id = 1001")
        self.assertEqual(item, [item[0].rstrip("!") + "!"], "it took effect once")
        self.assertNotIn("gold", item[0])
        self.assertEqual(node.http("GET", f"/v1/transactions/{identity}")[0], 200)

    def test_a4_edited_tree_nodes_are_found(self):
        # A chunk ends with a hash and the height that wrote the node, 8 bytes.
        directory = self.edit(
            "UPDATE _tree SET nodes = CAST(substr(nodes, 1, length(nodes) - 40) || zeroblob(32) || substr(nodes, -8) AS BLOB)"
            " WHERE level = 0"
        )
        clean, _, said = self.verify(directory)
        self.assertFalse(clean, said)

    def test_an_edited_catalogue_is_found(self):
        directory = self.edit("DELETE FROM _catalogue WHERE id = 1000")
        clean, _, said = self.verify(directory)
        self.assertFalse(clean, said)

    def history_and_key(self, sql, key, height):
        """As `table_and_key`, of a version no row shows any more: its height is named too."""
        self.table_and_key(sql, key)
        clean, findings, said = self.verify(self.home / "edited")
        self.assertFalse(clean, said)
        found = [(f["part"], f["place"], f["item"], f["height"]) for f in findings]
        self.assertEqual(found, [("history", "table public.orders", f"key id = {key}", height)], said)
        self.assertIn("move state.db away", findings[0]["reason"])

    def test_a18_an_edited_history_is_found(self):
        self.history_and_key("UPDATE h1000 SET c2 = 'gold' WHERE c1 = 1001", "1001", 2)

    def test_a18_a_removed_version_is_found(self):
        self.history_and_key("DELETE FROM h1000 WHERE c1 = 1002", "1002", 2)

    def test_a18_an_invented_version_is_found(self):
        self.history_and_key(
            "INSERT INTO h1000 SELECT 1009, c2, c3, _h, _x, 4, _x2 FROM h1000 WHERE c1 = 1001", "1009", 2
        )

    def test_a18_a_forged_author_of_a_current_row_is_found(self):
        self.history_and_key("UPDATE t1000 SET _h = 2 WHERE c1 = 1003", "1003", 2)

    def test_a18_a_history_made_anew_is_right_again(self):
        directory = self.edit("DELETE FROM h1000")
        for file in directory.glob("state.db*"):
            file.unlink()
        node = self.node("edited").start()
        history = "SELECT id, item, price, _from_height, _to_height FROM stele_history('orders') ORDER BY 1, 4"
        self.assertEqual(
            node.query(history),
            ["1001|paper|100.00|2|3", "1001|paper|99.00|3|", "1002|ink|12.50|2|4", "1003|pen||5|"],
        )
        self.assertEqual(stele("audit", "--http", f"http://127.0.0.1:{node.http_port}").returncode, 0)

    def test_a_state_made_anew_is_right_again(self):
        directory = self.edit("UPDATE t1000 SET c2 = 'gold' WHERE c1 = 1001")
        for file in directory.glob("state.db*"):
            file.unlink()
        node = self.node("edited").start()
        self.assertEqual(node.query("SELECT item FROM orders WHERE id = 1001"), ["paper"])
        self.assertEqual(stele("audit", "--http", f"http://127.0.0.1:{node.http_port}").returncode, 0)


class DerivedFiles(TamperCase):
    def test_a_changed_trust_file_is_named(self):
        directory = self.copy("trust")
        other = self.node("other").start()
        other.stop()
        own, others = ((folder / "trust.txt").read_text() for folder in [directory, other.directory])
        for text, why in [
            (others, "not the ledger you trust"),
            ("\n".join(own.splitlines()[:-1] + others.splitlines()[-1:]) + "\n", "other validators"),
            (own[1:], "cannot use"),
        ]:
            (directory / "trust.txt").write_text(text)
            done = stele("verify", "--data", directory)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn(why, done.stderr)
            self.assertIn("trust.txt", done.stderr)
            # What is pinned elsewhere counts, not what the directory says.
            self.assertEqual(stele("verify", "--data", directory, "--trust", self.good / "trust.txt").returncode, 0)
            refused = stele("start", "--dir", directory, "--postgres-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("trust.txt was changed", refused.stderr)

    def test_c1_deleted_derived_files_are_made_again(self):
        before = self.ledger.start().json("/v1/status")
        checkpoint = self.ledger.get("/checkpoint").splitlines()[:3]
        self.ledger.stop()
        for derived in [["index"], ["log"], ["state.db"], ["index", "log", "state.db"], ["segments/mark"], ["trust.txt"]]:
            with self.subTest(derived):
                directory = self.copy("derived")
                for name in derived:
                    if (directory / name).is_dir():
                        shutil.rmtree(directory / name)
                    else:
                        for path in directory.glob(name + "*"):
                            path.unlink()
                node = self.node("derived").start()
                after = node.json("/v1/status")
                for field in ["ledger", "height", "block", "state_root", "log_size", "transactions"]:
                    self.assertEqual(before[field], after[field], field)
                self.assertEqual(node.get("/checkpoint").splitlines()[:3], checkpoint)
                self.assertEqual(node.query("SELECT id, item, price FROM orders ORDER BY id"), ["1001|paper|99.00", "1003|pen|"])
                self.assertEqual(stele("audit", "--http", f"http://127.0.0.1:{node.http_port}").returncode, 0)
                node.query("INSERT INTO orders VALUES (1, 'goes on', 1)")
                self.assertEqual(node.stop(), 0)

    def test_restore_from_the_files_the_documentation_says_to_back_up(self):
        target = self.home / "restored"
        target.mkdir()
        for name in ["genesis", "validator.key"]:
            shutil.copy(self.good / name, target / name)
        for name in ["keys", "segments"]:
            shutil.copytree(self.good / name, target / name)
        node = self.node("restored").start()
        self.assertEqual(node.query("SELECT count(*) FROM orders"), ["2"])
        node.query("INSERT INTO orders VALUES (1, 'goes on', 1)")


class Elsewhere(TamperCase):
    def refused(self, directory):
        node = self.node(directory.name)
        with self.assertRaises(NodeFailed) as raised:
            node.start()
        return str(raised.exception)

    def test_a_directory_of_another_version_is_refused(self):
        directory = self.copy("versioned")
        (directory / "format").write_text((directory / "format").read_text().replace("1", "7"))
        said = self.refused(directory)
        self.assertIn("format", said)
        self.assertIn("7", said)
        self.assertRegex(said, "(?i)version|newer|format")

    def test_a_segment_of_another_version_is_refused(self):
        directory = self.copy("versioned")
        path = directory / "segments" / "00000001.seg"
        changed = bytearray(path.read_bytes())
        changed[8:10] = struct.pack(">H", 2)
        changed[60:64] = struct.pack(">I", crc32c(changed[:60]))
        path.write_bytes(changed)
        said = self.refused(directory)
        self.assertIn("00000001.seg", said)
        self.assertRegex(said, "(?i)version")

    def test_a_segment_of_another_ledger_is_refused(self):
        other = self.node("other").start()
        other.query("CREATE TABLE t (id INT PRIMARY KEY)")
        other.stop()
        directory = self.copy("mixed")
        shutil.copy(other.directory / "segments" / "00000001.seg", directory / "segments" / "00000001.seg")
        for derived in ["index", "log"]:
            shutil.rmtree(directory / derived)
        said = self.refused(directory)
        self.assertIn("00000001.seg", said)
        self.assertRegex(said, "(?i)ledger")
        clean, _, said = self.verify(directory)
        self.assertFalse(clean)
        self.assertRegex(said, "(?i)ledger")

    def test_the_state_of_another_ledger_is_not_believed(self):
        other = self.node("other").start()
        other.query("CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(40), price NUMERIC(10,2)); INSERT INTO orders VALUES (1001, 'forged', 1)")
        other.stop()
        directory = self.copy("mixed")
        shutil.copy(other.directory / "state.db", directory / "state.db")
        node = self.node("mixed")
        try:
            node.start()
        except NodeFailed as refused:
            self.assertIn("state.db", str(refused))
        else:
            self.assertEqual(node.query("SELECT item FROM orders WHERE id = 1001"), ["paper"])

    def test_another_ledger_than_the_pinned_one_is_refused(self):
        other = self.node("other").start()
        other.stop()
        clean, _, said = self.verify(other.directory)
        self.assertFalse(clean)
        self.assertRegex(said, "(?i)not the ledger you trust")


if __name__ == "__main__":
    unittest.main()
