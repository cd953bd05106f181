#!/usr/bin/env python3
"""Writes seed inputs for the fuzz targets from the fixtures: seeds.py CORPUS_FOLDER."""

import base64
import hashlib
import sys
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[1] / "crates/core/tests/fixtures"

# Kinds of core_decoders by the name of a fixture's line.
DECODERS = {
    "ledger/transactions.txt": [(".body", 0), (".signed", 1)],
    "ledger/blocks.txt": [("full", 2), ("empty", 2)],
    "ledger/effects.txt": [
        ("block", 3), ("certified", 3), ("leaf.0", 4), ("leaf.1", 4), ("leaf.2", 4), ("insert", 19),
        ("update", 19), ("delete", 19), ("create", 19), ("drop", 19), ("outcome", 21), ("failed", 21),
    ],
    "ledger/genesis.txt": [("genesis", 5), ("validators", 6)],
    "ledger/tables.txt": [("orders", 7), ("everything", 7), ("salaries", 7), ("empty", 7), ("lines", 7),
                          ("sequence", 7), ("view", 7), ("schema", 7), ("role", 7), ("procedure", 7)],
}
TREE_PROOFS = {"presence": 12, "absence": 13, "range": 14, "table": 15, "missing": 16}
TYPES = ["boolean", "smallint", "integer", "bigint", "numeric", "double", "text", "varchar", "char",
         "bytea", "date", "timestamp", "timestamptz", "uuid", "json"]
# Types of core_text, from 16 on.
TEXT_TYPES = ["boolean", "smallint", "integer", "bigint", "numeric(12,2)", "numeric(38,30)",
              "numeric(38,0)", "double", "text", "varchar(3)", "char(3)", "bytea", "date",
              "timestamp", "timestamptz", "uuid", "json"]
STATEMENTS = [
    "SELECT a, count(*) FROM t WHERE b = $1 AND c LIKE 'x%' GROUP BY a HAVING count(*) > 1 ORDER BY a DESC LIMIT 5",
    "CREATE TABLE t (id BIGINT PRIMARY KEY, n NUMERIC(12,2) NOT NULL DEFAULT 0 CHECK (n >= 0), d DATE)",
    "INSERT INTO t VALUES (1, 2.50, '2026-11-21'), ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id",
    "UPDATE t SET n = n + 1 WHERE id IN (SELECT id FROM u JOIN v USING (k)); DELETE FROM t; -- done",
    "ALTER TABLE t ADD COLUMN x TEXT DEFAULT 'it''s'; BEGIN; COMMIT; GRANT SELECT ON t TO \"a b\"",
    "WITH q AS (SELECT 1) SELECT CASE WHEN x THEN E'\\n' ELSE $$body$$ END, x::int, -a || b FROM q /* c */",
]


def lines(path):
    return [line for line in (FIXTURES / path).read_text().splitlines() if not line.startswith("#")]


def inputs():
    """Pairs of a target and one seed."""
    for path, kinds in DECODERS.items():
        for line in lines(path):
            name, content = line.split(" ", 1)
            for wanted, kind in kinds:
                if name == wanted or (wanted.startswith(".") and name.endswith(wanted)):
                    yield "core_decoders", bytes([kind]) + bytes.fromhex(content)
                if name == "full" and kind == 2:
                    block = bytes.fromhex(content)
                    certified = len(block).to_bytes(4, "big") + block + b"\0\0\0\x02x\n"
                    yield "core_decoders", b"\x1a\x01\0\0\0\x01" + certified
    yield "core_decoders", bytes([29]) + b"\x01\x01\0\0\0\x02\0\0\0\x01a\0\0\0\x02bc"
    yield "core_decoders", bytes([29]) + b"\x01\x02" + (7).to_bytes(8, "big") + b"\0\0\0\x05note\n"
    yield "core_decoders", bytes([29]) + b"\x01\x03" + bytes(range(32))
    yield "core_decoders", bytes([29]) + b"\x01\x04" + bytes(8) + b"\0\0\0\x02no\0\0\0\x01x"
    yield "core_decoders", bytes([29]) + b"\x01\x05" + bytes(8)
    yield "core_decoders", bytes([30]) + b"\0\0\0\x01a\0\0\0\x02bcd"
    for path in ("tree/row-proofs.txt", "tree/table-proofs.txt"):
        for line in lines(path):
            words = line.split(" ")
            proof = bytes.fromhex(words[-1])
            yield "core_decoders", bytes([TREE_PROOFS.get(words[0], 15)]) + proof
            yield "core_decoders", bytes([25]) + proof
    for line in lines("values/values.txt"):
        type_text, given, _, encoding, key = line.split(" | ")
        number = TYPES.index(type_text.partition("(")[0])
        value = bytes.fromhex(encoding)
        yield "core_decoders", b"\x08" + value
        yield "core_decoders", bytes([10, 1, number, 0, 1, 0, 0, 1]) + value
        if value[:1] == b"\x03":
            yield "core_decoders", b"\x09" + value[1:]
        if key.strip() != "none":
            yield "core_decoders", bytes([11, 1, number]) + bytes.fromhex(key)
        for kind, name in enumerate(TEXT_TYPES):
            if name.partition("(")[0] == type_text.partition("(")[0]:
                yield "core_text", bytes([16 + kind]) + given.encode()
        text_kind = {"numeric": 7, "double": 8, "json": 9}.get(type_text.partition("(")[0])
        if text_kind:
            yield "core_text", bytes([text_kind]) + given.encode()
    yield "core_decoders", b"\x12" + b"\x00\x03abc\x00\x00\x00\x01x"
    # A cursor; the shape of a table of one BIGINT column.
    yield "core_decoders", b"\x1b\x01\x00\x00\x00\x01s" + bytes(7) + b"\x05" + bytes(32) + bytes(11) + b"\x01"
    yield "core_decoders", b"\x1c\x01\x00\x00\x03\xe8\x00\x00\x00\x01p\x00\x00\x00\x01t\x00" + (
        b"\x00\x00\x00\x01\x00\x01\x00\x00\x00\x01a\x04\x00" + b"\x00\x00\x00\x01\x00\x01"
    )
    for name, content in (line.split(" ", 1) for line in lines("ledger/tables.txt")):
        if name in ("orders", "everything", "empty"):
            table = bytes.fromhex(content) + bytes(32) + bytes(8)
            yield "snapshot", b"\x01\x02" + len(table).to_bytes(2, "big") + table + b"\xff\x00\x0c" + b"\x00\x00\x00\x01" + bytes(8)

    note = (FIXTURES / "log/certificate.note").read_bytes()
    yield "core_decoders", b"\x16" + len(note).to_bytes(4, "big") + note
    yield "core_text", b"\x00" + note
    yield "core_text", b"\x02" + note.rpartition(b"\n\n")[0] + b"\n"
    yield "core_text", b"\x01" + (FIXTURES / "log/entry.tlog-proof").read_bytes()
    yield "core_text", b"\x0b" + b"old 5\n" + base64.b64encode(bytes(32)) + b"\n\n" + note
    for line in lines("log/validators.txt"):
        if "+" in line:
            yield "core_text", b"\x03" + line.encode()
    for path in ("tile/0/000", "tile/1/x001/x234/067.p/8", "tile/entries/x999/001.p/255"):
        yield "core_text", b"\x04" + path.encode()
    yield "core_text", b"\x05" + (FIXTURES / "proof/trust.txt").read_bytes()
    for line in lines("ledger/genesis.txt"):
        name, content = line.split(" ", 1)
        if name == "account":
            yield "core_text", b"\x06" + content.encode()
        if name == "ledger":
            yield "core_text", b"\x0a" + content.encode()

    for path in sorted((FIXTURES / "proof").glob("*/*.tlog-proof")):
        data = path.read_bytes()
        yield "proof", b"\x00" + data
        extra = next((line for line in data.split(b"\n") if line.startswith(b"extra ")), b"")
        try:
            evidence = base64.b64decode(extra[6:], validate=True)[:-32]
        except ValueError:
            continue
        yield "proof", b"\x01" + evidence
        yield "proof", b"\x02" + evidence
        if path.parent.name == "good":
            yield "core_text", b"\x01" + data
            yield "core_decoders", b"\x11" + evidence

    for flags in (1, 3):
        yield "store", segment_seed(flags)
    # Found: two empty segments, of which one open after the other threw one away.
    yield "store", b"\x66"
    # Found: a footer whose last height is the highest there is.
    footer = b"\x01" + b"\xff" * 24 + bytes(32)
    yield "store", b"\x01\xff\x00" + len(footer).to_bytes(2, "big") + footer
    yield "store", b"\x03\xff\x00" + len(footer).to_bytes(2, "big") + footer
    for text in STATEMENTS:
        yield "sql", text.encode()


def segment_seed(flags):
    """Genesis, one block, its effects, in the short form of the target."""
    ledger = {name: content for name, content in (line.split(" ", 1) for line in lines("ledger/genesis.txt"))}
    blocks = dict(line.split(" ", 1) for line in lines("ledger/blocks.txt"))
    effects = dict(line.split(" ", 1) for line in lines("ledger/effects.txt"))
    block = bytearray.fromhex(blocks["empty"])
    # The target's ledger is thirty-two times 5.
    block[1:33] = block[41:73] = b"\x05" * 32
    digest = hashlib.sha256(b"\x13" + block[:-4]).digest()
    leaf = bytearray.fromhex(effects["leaf.2"])
    leaf[1:9] = (1).to_bytes(8, "big")
    leaf[9:41] = digest
    leaf[41:49] = block[73:81]
    made = b"\x01" + bytes(4) + leaf + bytes(4)
    records = [(1, 0, bytes.fromhex(ledger["genesis"])), (2, 1, block), (3, 1, made)]
    out = bytes([flags])
    for kind, height, payload in records:
        out += bytes([kind, height]) + len(payload).to_bytes(2, "big") + payload
    return out


def main():
    folder = Path(sys.argv[1])
    for target, data in inputs():
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / hashlib.sha256(data).hexdigest()[:24]).write_bytes(data)


main()
