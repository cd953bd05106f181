#!/usr/bin/env python3
"""Verifies Stele proof files without any of Stele's code.

Written from docs/formats.md alone; section numbers below are those of that page. Needs Python 3.11
and the package `cryptography`, for Ed25519 only.

    stele_verify.py --trust trust.txt FILE...

Prints one JSON object a file. Exit code 0 if every file is shown, else 1.
"""

import argparse
import base64
import binascii
import functools
import hashlib
import json
import re
import struct
import sys
from fractions import Fraction
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILE_LEN_MAX = 64 << 20


class Refused(Exception):
    """Why something is not believed."""


def need(condition, reason):
    if not condition:
        raise Refused(reason)


# 1. Codec


class Reader:
    """A place in bytes being decoded."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        need(count <= self.left(), "input ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size, signed=False):
        return int.from_bytes(self.take(size), "big", signed=signed)

    def u8(self):
        return self.number(1)

    def u16(self):
        return self.number(2)

    def u32(self):
        return self.number(4)

    def u64(self):
        return self.number(8)

    def i64(self):
        return self.number(8, signed=True)

    def bool(self):
        byte = self.u8()
        need(byte <= 1, "a boolean is neither 0 nor 1")
        return byte == 1

    def hash(self):
        return self.take(32)

    def bytes(self, most):
        count = self.u32()
        need(count <= most, "a length is over its bound")
        return self.take(count)

    def text(self, most):
        try:
            return self.bytes(most).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("a text is not UTF-8") from None

    def list(self, most, item):
        count = self.u32()
        need(count <= most and count <= self.left(), "a count is over its bound")
        return [item(self) for _ in range(count)]

    def option(self, item):
        return item(self) if self.bool() else None

    def version(self, what):
        need(self.u8() == 1, f"unknown version of {what}")

    def finish(self):
        need(self.left() == 0, "bytes follow a value")


def decode_all(data, decode):
    reader = Reader(data)
    value = decode(reader)
    reader.finish()
    return value


def encoded_bytes(data):
    return struct.pack(">I", len(data)) + data


# 2. Hashes


def H(domain, *parts):
    return hashlib.sha256(bytes([domain]) + b"".join(parts)).digest()


def split(count):
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


# 3. Keys, signatures, accounts

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P


@functools.lru_cache(maxsize=1024)
def has_small_order(encoding):
    """Whether bytes are a point of small order, or none at all (RFC 8032, 5.1.3)."""
    y = int.from_bytes(encoding, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return True
    y %= P
    for _ in range(3):
        product = D * x * x * y * y % P
        x, y = (
            2 * x * y * pow(1 + product, P - 2, P) % P,
            (y * y + x * x) * pow(1 - product, P - 2, P) % P,
        )
    return (x, y) == (0, 1)


def signature_fits(key, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return not has_small_order(key) and not has_small_order(signature[:32])


def account_text(account):
    """Bech32m (BIP 350) with the prefix `st`."""
    letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    bits = int.from_bytes(account, "big") << 4
    words = [bits >> shift & 31 for shift in range(255, -1, -5)]

    def polymod(values):
        check = 1
        for value in values:
            top = check >> 25
            check = (check & 0x1FFFFFF) << 5 ^ value
            for bit, generator in enumerate(
                (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
            ):
                check ^= generator if top >> bit & 1 else 0
        return check

    prefix = [ord(letter) >> 5 for letter in "st"] + [0] + [ord(letter) & 31 for letter in "st"]
    check = polymod(prefix + words + [0] * 6) ^ 0x2BC830A3
    words += [check >> shift & 31 for shift in range(25, -1, -5)]
    return "st1" + "".join(letters[word] for word in words)


# 4. Types and values

VALUE_LEN_MAX = 16 << 20
CHAR_LEN_MAX = 4096
DATE_MIN, DATE_MAX = -719162, 2932896
TIME_MIN, TIME_MAX = -62135596800000000, 253402300799999999
JSON_DEPTH_MAX = 512

TYPES = {
    1: ("boolean", "bool"),
    2: ("smallint", "int"),
    3: ("integer", "int"),
    4: ("bigint", "int"),
    5: ("numeric", "numeric"),
    6: ("double precision", "double"),
    7: ("text", "text"),
    8: ("character varying", "text"),
    9: ("bytea", "bytes"),
    10: ("date", "date"),
    11: ("timestamp", "timestamp"),
    12: ("timestamp with time zone", "timestamp"),
    13: ("uuid", "uuid"),
    14: ("json", "json"),
    15: ("character", "text"),
}


class Type:
    def __init__(self, name, kind, *parameters):
        self.name, self.kind, self.parameters = name, kind, parameters

    @classmethod
    def decode(cls, reader):
        byte = reader.u8()
        need(byte in TYPES, "unknown type")
        parameters = ()
        if byte == 5:
            precision, scale = parameters = reader.u8(), reader.u8()
            need(1 <= precision <= 38 and scale <= min(30, precision), "a NUMERIC type is out of bounds")
        if byte == 8:
            parameters = (reader.u32(),)
        if byte == 15:
            parameters = (reader.u32(),)
            need(1 <= parameters[0] <= CHAR_LEN_MAX, "a CHAR type is out of bounds")
        return cls(*TYPES[byte], *parameters)

    def check(self, value):
        """Refuses a value (kind, content) that a column of this type does not hold."""
        if value is None:
            return
        kind, content = value
        need(kind == self.kind, f"a value of kind {kind} in a column of type {self.name}")
        if self.name in ("smallint", "integer"):
            bound = 1 << (15 if self.name == "smallint" else 31)
            need(-bound <= content < bound, "an integer is out of range")
        elif kind == "numeric":
            precision, scale = self.parameters
            coefficient, own = content
            need(own <= scale, "a decimal has too many digits after the point")
            need(abs(coefficient) * 10 ** (scale - own) < 10**precision, "a decimal has too many digits")
        elif self.name == "character varying":
            need(len(content) <= self.parameters[0], "a text is too long")
        elif self.name == "character":
            need(len(content) <= self.parameters[0], "a text is too long")
            need(not content.endswith(" "), "a CHAR has blanks at its end")
        elif kind == "date":
            need(DATE_MIN <= content <= DATE_MAX, "a date is out of range")
        elif kind == "timestamp":
            need(TIME_MIN <= content <= TIME_MAX, "a timestamp is out of range")
        elif kind == "json":
            check_json(content)


def check_json(text):
    def refuse(_):
        raise ValueError

    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.DOTALL)
    depth = 0
    for letter in outside:
        depth += (letter in "[{") - (letter in "]}")
        need(depth <= JSON_DEPTH_MAX, "a JSON is nested too deeply")
    try:
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except ValueError:
        raise Refused("a JSON is none") from None


def decode_decimal(reader):
    scale, count = reader.u8(), reader.u8()
    need(scale <= 30 and count <= 16, "a decimal is out of bounds")
    data = reader.take(count)
    coefficient = int.from_bytes(data, "big", signed=True)
    shortest = 0 if coefficient == 0 else ((coefficient if coefficient >= 0 else ~coefficient).bit_length()) // 8 + 1
    need(count == shortest, "a decimal is not in its shortest form")
    need(abs(coefficient) < 10**38, "a decimal has more than 38 digits")
    need(scale == 0 or coefficient % 10 != 0, "a decimal has trailing zeros")
    return coefficient, scale


def decode_text_value(reader):
    text = reader.text(VALUE_LEN_MAX)
    need("\0" not in text, "a text holds NUL")
    return text


def decode_double(reader):
    data = reader.take(8)
    (number,) = struct.unpack(">d", data)
    finite = number == number and abs(number) != float("inf")
    need(finite and data != b"\x80" + bytes(7), "a double is NaN, infinite or -0")
    return number


VALUES = {
    1: ("bool", Reader.bool),
    2: ("int", Reader.i64),
    3: ("numeric", decode_decimal),
    4: ("double", decode_double),
    5: ("text", decode_text_value),
    6: ("bytes", lambda reader: reader.bytes(VALUE_LEN_MAX)),
    7: ("date", lambda reader: reader.number(4, signed=True)),
    8: ("timestamp", Reader.i64),
    9: ("uuid", lambda reader: reader.take(16)),
    10: ("json", decode_text_value),
}


def decode_value(reader):
    """NULL as None, any other value as (kind, content)."""
    byte = reader.u8()
    if byte == 0:
        return None
    need(byte in VALUES, "unknown value")
    kind, decode = VALUES[byte]
    return kind, decode(reader)


# 5. Primary keys

KEY_LEN_MAX = 767


def flipped(number, size):
    return (number + (1 << (8 * size - 1))).to_bytes(size, "big")


def encode_key_value(value):
    need(value is not None, "NULL in a primary key")
    kind, content = value
    match kind:
        case "bool":
            return bytes([content])
        case "int" | "timestamp":
            return flipped(content, 8)
        case "date":
            return flipped(content, 4)
        case "uuid":
            return content
        case "text":
            return content.encode() + b"\0"
        case "bytes":
            return content.replace(b"\0", b"\0\xff") + b"\0\0"
        case "numeric":
            return encode_key_decimal(*content)
    raise Refused(f"a {kind} in a primary key")


def encode_key_decimal(coefficient, scale):
    if coefficient == 0:
        return b"\x80"
    digits = str(abs(coefficient))
    exponent = len(digits) - scale
    digits = digits.rstrip("0")
    digits += "0" * (len(digits) % 2)
    pairs = bytes(int(digits[at : at + 2]) + 1 for at in range(0, len(digits), 2)) + b"\0"
    if coefficient > 0:
        return bytes([0x80 + exponent + 30]) + pairs
    return bytes([0x80 - exponent - 30]) + bytes(byte ^ 0xFF for byte in pairs)


def decode_key_value(reader, kind):
    match kind:
        case "bool":
            return kind, reader.bool()
        case "int" | "timestamp":
            return kind, reader.u64() - (1 << 63)
        case "date":
            return kind, reader.u32() - (1 << 31)
        case "uuid":
            return kind, reader.take(16)
        case "text":
            text = bytearray()
            while byte := reader.u8():
                text.append(byte)
            try:
                return kind, text.decode("utf-8")
            except UnicodeDecodeError:
                raise Refused("a text in a key is not UTF-8") from None
        case "bytes":
            content = bytearray()
            while True:
                byte = reader.u8()
                if byte == 0:
                    escape = reader.u8()
                    if escape == 0:
                        return kind, bytes(content)
                    need(escape == 0xFF, "a zero byte in a key is neither escaped nor an end")
                content.append(byte)
        case "numeric":
            return kind, decode_key_decimal(reader)
    raise Refused(f"a {kind} in a primary key")


def decode_key_decimal(reader):
    head = reader.u8()
    if head == 0x80:
        return 0, 0
    exponent = abs(head - 0x80) - 30
    flip = 0xFF if head < 0x80 else 0
    digits = ""
    while (byte := reader.u8() ^ flip) != 0:
        need(byte <= 100 and len(digits) < 38, "a decimal in a key is malformed")
        digits += f"{byte - 1:02}"
    need(digits != "", "a decimal in a key is malformed")
    digits = digits.rstrip("0")
    need(exponent <= 38, "a decimal in a key is malformed")
    digits += "0" * max(0, exponent - len(digits))
    need(digits != "", "a decimal in a key is malformed")
    coefficient = int(digits) * (-1 if flip else 1)
    return coefficient, len(digits) - exponent


def decode_key(types, key):
    """The values of a key; refuses what encoding them does not give."""
    reader = Reader(key)
    values = [decode_key_value(reader, type.kind) for type in types]
    reader.finish()
    for type, value in zip(types, values):
        type.check(value)
    need(b"".join(map(encode_key_value, values)) == key, "a key is not in its one form")
    return values


# 6. Table definitions

NAME_LEN_MAX = 63
DEFINITION_TEXT_LEN_MAX = 64 << 10
PRIVILEGES = (1 << 9) - 1


def definition_text(reader):
    return reader.text(DEFINITION_TEXT_LEN_MAX)


def name_of(reader):
    return reader.text(NAME_LEN_MAX)


def one_of(reader, count, what):
    number = reader.u8()
    need(number < count, f"unknown {what}")
    return number


class Kind:
    """What a definition stands for."""

    def __init__(self, reader):
        self.number = reader.u8()
        need(1 <= self.number <= 6, "unknown kind of definition")
        if self.number == 2:  # view
            definition_text(reader)
            reader.list(16, name_of)
            reads = reader.list(1000, Reader.u32)
            need(reads == sorted(set(reads)), "relations read are not in id order")
        elif self.number == 3:  # sequence
            Type.decode(reader)
            for _ in range(4):
                reader.i64()
            reader.bool()
            reader.option(lambda reader: (reader.u32(), reader.u16()))
        elif self.number == 6:  # procedure
            reader.list(100, lambda reader: (name_of(reader), Type.decode(reader)))
            reader.list(100, definition_text)
            reader.list(16, name_of)

    def has_rows(self):
        return self.number in (1, 3)


def index(reader):
    name_of(reader)
    need(reader.list(1000, index_key), "an index has no columns")
    reader.bool()
    reader.bool()
    reader.option(definition_text)


def index_key(reader):
    part = reader.u8()
    need(part in (1, 2), "unknown part of an index")
    if part == 1:
        reader.u16()
    else:
        reader.text(16 << 10)
    reader.bool()
    return part


def check(reader):
    name_of(reader)
    reader.text(16 << 10)


def foreign_key(reader):
    name_of(reader)
    columns = reader.list(1000, Reader.u16)
    reader.u32()
    referenced = reader.list(1000, Reader.u16)
    one_of(reader, 5, "action of a foreign key")
    one_of(reader, 5, "action of a foreign key")
    one_of(reader, 3, "timing of a foreign key")
    need(columns and len(columns) == len(referenced), "a foreign key's columns do not pair")


def grantee(reader):
    kind = one_of(reader, 3, "kind of grantee")
    return kind, [lambda: b"", lambda: reader.take(32), reader.u32][kind]()


def privileges(reader):
    bits = reader.u16()
    need(bits & ~PRIVILEGES == 0, "unknown privilege")


def grant(reader):
    who = grantee(reader)
    for _ in range(3):
        privileges(reader)
    columns = reader.list(1000, column_grant)
    need(columns == sorted(set(columns)), "column grants are not in id order")
    return who


def column_grant(reader):
    column = reader.u16()
    privileges(reader)
    privileges(reader)
    return column


def policy(reader):
    name_of(reader)
    one_of(reader, 5, "command of a policy")
    reader.bool()
    grantees = reader.list(10_000, grantee)
    need(grantees and grantees == sorted(set(grantees)), "grantees are not in order")
    reader.option(definition_text)
    reader.option(definition_text)
    reader.list(1000, lambda reader: (reader.u16(), definition_text(reader)))
    reader.option(lambda reader: reader.list(1000, Reader.u16))
    reader.option(Reader.u64)


def rights(reader):
    grantees = reader.list(10_000, grant)
    need(grantees == sorted(set(grantees)), "grants are not in order")
    one_of(reader, 3, "row security")
    reader.list(256, policy)


class Column:
    def __init__(self, reader):
        self.id = reader.u16()
        self.name = reader.text(NAME_LEN_MAX)
        self.type = Type.decode(reader)
        self.not_null = reader.bool()
        reader.option(definition_text)
        reader.option(lambda reader: (reader.bool(), reader.u32()))
        reader.option(definition_text)
        self.missing = decode_value(reader)
        reader.bool()
        reader.bool()
        reader.option(definition_text)


class Table:
    def __init__(self, reader):
        start = reader.at
        reader.version("table definition")
        self.id = reader.u32()
        self.schema = reader.text(NAME_LEN_MAX)
        self.name = reader.text(NAME_LEN_MAX)
        kind = Kind(reader)
        reader.take(32)
        self.columns = reader.list(1000, Column)
        ids = [column.id for column in self.columns]
        need(ids == sorted(set(ids)), "columns are not in id order")
        self.key_ids = reader.list(1000, Reader.u16)
        need(bool(self.key_ids) == kind.has_rows(), "a primary key is missing, or one too many")
        reader.text(NAME_LEN_MAX)
        reader.list(256, index)
        reader.list(256, check)
        reader.list(256, foreign_key)
        rights(reader)
        reader.option(definition_text)
        self.salted = reader.bool()
        reader.u16()
        self.hash = H(0x17, reader.data[start : reader.at])

    def key_columns(self):
        by_id = {column.id: column for column in self.columns}
        need(all(id in by_id for id in self.key_ids), "the primary key names an unknown column")
        return [by_id[id] for id in self.key_ids]


# 7. Rows

ROW_LEN_MAX = 16 << 20


def decode_row(table, data):
    """One value a column, in column order."""
    need(len(data) <= ROW_LEN_MAX, "a row is too long")
    reader = Reader(data)
    reader.version("row")
    salted = reader.bool()
    need(salted == table.salted, "a salt is missing, or one too many")
    if salted:
        reader.take(16)
    written = {}
    last = -1
    known = {column.id: column for column in table.columns}
    while reader.left():
        id = reader.u16()
        need(id > last, "columns of a row are not in id order")
        need(id in known, "a row names an unknown column")
        last = id
        written[id] = decode_value(reader)
        need(written[id] != known[id].missing, "a row holds a value that is left out")
    values = []
    for column in table.columns:
        value = written.get(column.id, column.missing)
        need(value is not None or not column.not_null, f"NULL in column {column.name}")
        column.type.check(value)
        values.append(value)
    return values


def row_key(table, values):
    by_id = {column.id: value for column, value in zip(table.columns, values)}
    key = b"".join(encode_key_value(by_id[column.id]) for column in table.key_columns())
    need(len(key) <= KEY_LEN_MAX, "a key is too long")
    return key


# 8. Transactions

TRANSACTION_LEN_MAX = 960 << 10
CHUNK_LEN_MAX = 512 << 10
EXPIRY_AHEAD_MAX_US = 600_000_000


class Transaction:
    def __init__(self, reader):
        start = reader.at
        reader.version("transaction")
        self.ledger = reader.hash()
        self.account = reader.take(32)
        reader.take(16)
        self.time_us = reader.i64()
        self.expiry_us = reader.i64()
        reader.take(16)
        reader.list(64, lambda reader: (reader.u32(), reader.u64(), reader.u32()))
        self.payload = decode_payload(reader)
        self.id = H(0x11, reader.data[start : reader.at])


def decode_payload(reader):
    match reader.u8():
        case 1:
            return {"kind": "statements", "statements": reader.list(10_000, decode_statement)}
        case 2:
            return {"kind": "record", "hex": reader.bytes(CHUNK_LEN_MAX).hex()}
        case 3:
            return {"kind": "chunk", "len": len(reader.bytes(CHUNK_LEN_MAX))}
        case 4:
            return {
                "kind": "manifest",
                "len": reader.u64(),
                "digest": reader.hash().hex(),
                "chunks": [chunk.hex() for chunk in reader.list(128, Reader.hash)],
            }
        case 5:
            return {"kind": "commitment", "commitment": reader.hash().hex(), "len": reader.u64()}
        case 6:
            return {"kind": "governance", "hex": reader.bytes(CHUNK_LEN_MAX).hex()}
    raise Refused("unknown payload")


def decode_statement(reader):
    sql = reader.text(512 << 10)
    parameters = [shown_parameter(value) for value in reader.list(65_535, decode_value)]
    reader.option(Reader.hash)
    return {"sql": sql, "parameters": parameters}


class SignedTransaction:
    def __init__(self, reader):
        self.body = decode_all(reader.bytes(TRANSACTION_LEN_MAX), Transaction)
        self.key = reader.take(32)
        self.signature = reader.take(64)

    def check(self, ledger):
        body = self.body
        need(body.ledger == ledger, "the transaction is for another ledger")
        need(0 < body.expiry_us - body.time_us <= EXPIRY_AHEAD_MAX_US, "the expiry is out of bounds")
        message = b"stele/transaction/v1\n" + body.id
        need(signature_fits(self.key, message, self.signature), "the transaction's signature does not fit")
        need(H(0x10, self.key) == body.account, "the key is not the first key of the account")


# 10. Outcomes


class Outcome:
    def __init__(self, reader):
        start = reader.at
        code = reader.take(5)
        need(re.fullmatch(rb"[0-9A-Z]{5}", code), "an outcome code is not a SQLSTATE")
        self.code = code.decode()
        self.rows_affected = reader.u64()
        reader.hash()
        self.hash = H(0x14, reader.data[start : reader.at])


# 12, 13. State tree and its proofs

GROUP_ENTRIES_MAX = 8192
HEIGHT_MAX = 13
RANGE_ROWS_MAX = 65_536
TABLES_MAX = 65_536


def entry_hash(key, row_hash):
    return H(0x20, struct.pack(">H", len(key)), key, row_hash)


def rank(table, key):
    digest = int.from_bytes(H(0x23, struct.pack(">I", table), key), "big")
    return min((256 - digest.bit_length()) // 5, 12)


def fold(low, high, start, known, hashes):
    """Merkle root of the leaves low..high, of which `known` stand from index `start` on."""
    if high <= start or low >= start + len(known):
        need(hashes, "a hash of a tree proof is missing")
        return hashes.pop(0)
    if high - low == 1:
        return known[low - start]
    middle = low + split(high - low)
    left = fold(low, middle, start, known, hashes)
    return H(0x21, left, fold(middle, high, start, known, hashes))


class Level:
    def __init__(self, reader):
        self.before = reader.u16()
        self.after = reader.u16()
        self.name = reader.bytes(KEY_LEN_MAX)
        need(self.before > 0 or not self.name, "a tree group is named twice")
        self.hashes = reader.list(26, Reader.hash)


def decode_path(reader):
    levels = reader.list(HEIGHT_MAX, Level)
    need(levels, "a tree path has no level")
    return levels


def decode_shown_row(reader):
    return reader.bytes(KEY_LEN_MAX), reader.hash()


def climb(table, levels, rows):
    """The table root that neighbouring rows lead to, and whether the last is the table's last."""
    keys = [key for key, _ in rows]
    need(all(a < b for a, b in zip(keys, keys[1:])), "rows of a tree proof are out of order")
    stretch = [(key, entry_hash(key, row_hash)) for key, row_hash in rows]
    ranks = {key: rank(table, key) for key in keys[1:]}
    at_end = True
    for number, level in enumerate(levels):
        at_end = at_end and level.after == 0
        parts = [[stretch[0]]]
        for entry in stretch[1:]:
            if ranks[entry[0]] > number:
                parts.append([])
            parts[-1].append(entry)
        hashes = list(level.hashes)
        stretch = []
        for place, part in enumerate(parts):
            before = level.before if place == 0 else 0
            after = level.after if place == len(parts) - 1 else 0
            count = before + len(part) + after
            need(count <= GROUP_ENTRIES_MAX, "a tree group is too large")
            root = fold(0, count, before, [digest for _, digest in part], hashes)
            name = level.name if before else part[0][0]
            digest = H(0x22, struct.pack(">BH", number, count), root, name)
            stretch.append((name, digest))
        need(not hashes, "a hash of a tree proof is left over")
    need(len(stretch) == 1, "the levels do not end in one group")
    return H(0x24, struct.pack(">IB", table, len(levels)), stretch[0][1]), at_end


class RangeProof:
    def __init__(self, before, rows, after, levels):
        self.before, self.rows, self.after, self.levels = before, rows, after, levels

    @classmethod
    def decode(cls, reader):
        reader.version("range proof")
        return cls(
            reader.option(decode_shown_row),
            reader.list(RANGE_ROWS_MAX, decode_shown_row),
            reader.option(decode_shown_row),
            decode_path(reader),
        )

    @classmethod
    def decode_absence(cls, reader):
        reader.version("absence proof")
        before, after = reader.option(decode_shown_row), reader.option(decode_shown_row)
        return cls(before, [], after, decode_path(reader))

    def check(self, table, start, end, root):
        """All rows with start <= key < end; an end of None is open."""
        before = [] if self.before is None else [self.before]
        after = [] if self.after is None else [self.after]
        need(all(key for key, _ in before + self.rows + after), "a row has an empty key")
        need(all(key < start for key, _ in before), "a range proof starts inside the range")
        need(
            all(end is not None and key >= end for key, _ in after),
            "a range proof ends inside the range",
        )
        inside = (start <= key and (end is None or key < end) for key, _ in self.rows)
        need(all(inside), "a row lies outside the range")
        stretch = (before or [(b"", bytes(32))]) + self.rows + after
        found, at_end = climb(table, self.levels, stretch)
        need(found == root, "a tree proof leads to another root")
        need(after or at_end, "rows may follow the last one shown")


def decode_presence(reader):
    reader.version("presence proof")
    return decode_path(reader)


def check_presence(levels, table, key, row_hash, root):
    need(1 <= len(key) <= KEY_LEN_MAX, "no row can have this key")
    found, _ = climb(table, levels, [(key, row_hash)])
    need(found == root, "a tree proof leads to another root")


class TableProof:
    def __init__(self, reader):
        reader.version("table proof")
        self.count = reader.u32()
        self.index = reader.u32()
        self.table = reader.u32()
        self.catalogue_hash = reader.hash()
        self.root = reader.hash()
        self.hashes = reader.list(32, Reader.hash)

    def check(self, table, state_root):
        need(self.table == table, "a table proof is of another table")
        need(self.index < self.count <= TABLES_MAX, "a table stands outside the list")
        leaf = H(0x25, struct.pack(">I", self.table), self.catalogue_hash, self.root)
        hashes = list(self.hashes)
        root = fold(0, self.count, self.index, [leaf], hashes)
        need(not hashes, "a hash of a table proof is left over")
        found = H(0x26, struct.pack(">I", self.count), root)
        need(found == state_root, "a table proof leads to another state root")


# 9. Blocks


class Header:
    def __init__(self, reader):
        start = reader.at
        reader.version("block")
        self.ledger = reader.hash()
        self.height = reader.u64()
        reader.hash()
        self.time_us = reader.i64()
        reader.hash()
        reader.u32()
        reader.hash()
        reader.bytes(16 << 10)
        self.hash = H(0x13, reader.data[start : reader.at])


# 14. Log


class BlockLeaf:
    def __init__(self, reader):
        start = reader.at
        need(reader.u8() == 2, "not a block leaf")
        self.height = reader.u64()
        self.block = reader.hash()
        self.time_us = reader.i64()
        self.state_root = reader.hash()
        reader.u32()
        reader.hash()
        self.bytes = reader.data[start : reader.at]


def root_of_inclusion(leaf_hash, index, size, path):
    """RFC 9162, section 2.1.3.2."""
    need(index < size, "the leaf lies outside the log")
    node, last, found = index, size - 1, leaf_hash
    for sibling in path:
        need(last != 0, "the log path is too long")
        if node & 1 or node == last:
            found = H(0x01, sibling, found)
            while node & 1 == 0 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            found = H(0x01, found, sibling)
        node, last = node >> 1, last >> 1
    need(last == 0, "the log path is too short")
    return found


H_EMPTY = hashlib.sha256(b"").digest()


def check_growth(old, new, path):
    """RFC 9162, section 2.1.4.2."""
    need(old.size <= new.size, "the kept checkpoint is the newer one")
    if old.size in (0, new.size):
        need(not path, "a hash of the log path is left over")
        same = H_EMPTY if old.size == 0 else new.root
        need(old.root == same, "two checkpoints of one size have different roots")
        return
    path = list(path)
    if old.size & (old.size - 1) == 0:
        path.insert(0, old.root)
    need(path, "the log path is too short")
    node, last = old.size - 1, new.size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_root = new_root = path[0]
    for sibling in path[1:]:
        need(last != 0, "the log path is too long")
        if node & 1 or node == last:
            old_root, new_root = H(0x01, sibling, old_root), H(0x01, sibling, new_root)
            while node & 1 == 0 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            new_root = H(0x01, new_root, sibling)
        node, last = node >> 1, last >> 1
    need(last == 0, "the log path is too short")
    need(old_root == old.root, "the kept checkpoint is not the beginning of the newer log")
    need(new_root == new.root, "the log path does not lead to the newer checkpoint")


# 15. Notes, checkpoints, certificates


def from_base64(text):
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Refused("not base 64") from None
    need(base64.b64encode(data).decode() == text, "not canonical base 64")
    return data


def decimal_number(text):
    need(re.fullmatch(r"0|[1-9][0-9]{0,19}", text, re.ASCII), "not a decimal number")
    number = int(text)
    need(number < 1 << 64, "a number is too large")
    return number


def is_key_name(name):
    forbidden = any(letter.isspace() or letter < " " or letter == "+" for letter in name)
    return 1 <= len(name.encode()) <= 512 and not forbidden


class Note:
    def __init__(self, text):
        need(len(text.encode()) <= 1 << 20, "a note is too long")
        body, empty, lines = text.rpartition("\n\n")
        need(empty, "a note has no empty line")
        need(lines.endswith("\n"), "a note does not end in a newline")
        self.text = body + "\n"
        control = any(letter < " " and letter != "\n" for letter in self.text)
        need(not control, "a note has control characters")
        lines = lines[:-1].split("\n")
        need(len(lines) <= 128, "a note has too many signatures")
        self.signatures = [self.signature(line) for line in lines]

    @staticmethod
    def signature(line):
        need(line.startswith("\u2014 "), "not a signature line")
        name, space, encoded = line[2:].partition(" ")
        need(space and is_key_name(name), "not a signature line")
        data = from_base64(encoded)
        need(len(data) > 4, "a signature has no bytes")
        return name, data[:4], data[4:]


class Checkpoint:
    def __init__(self, text):
        lines = text.split("\n")
        need(len(lines) == 4 and lines[3] == "", "a checkpoint has not three lines")
        self.origin = lines[0]
        need(1 <= len(self.origin.encode()) <= 255, "the origin's length is out of bounds")
        self.size = decimal_number(lines[1])
        need(self.size < 1 << 63, "the log is too large")
        self.root = from_base64(lines[2])
        need(len(self.root) == 32, "a root has not 32 bytes")


# 16. Trust files


class Trust:
    def __init__(self, data):
        need(len(data) <= 64 << 10, "the trust file is too long")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("the trust file is not UTF-8") from None
        lines = text.split("\n")
        need(lines.pop() == "" and len(lines) >= 5, "the trust file is cut short")
        need(lines[0] == "stele-trust/v1", "not a trust file")
        need(lines[1] == "suite ed25519-sha256", "unknown suite")
        ledger = re.fullmatch(r"ledger ([0-9a-f]{64})", lines[2])
        need(ledger, "the trust file names no ledger")
        self.ledger = bytes.fromhex(ledger[1])
        need(lines[3].startswith("origin "), "the trust file names no origin")
        self.origin = lines[3].removeprefix("origin ")
        self.validators = {}
        names = []
        for line in lines[4:]:
            name, key_id, key = self.validator(line)
            names.append(name)
            self.validators[self.origin + "/v/" + name, key_id] = key
        need(names == sorted(set(names)) and len(names) <= 100, "validators are not in order")
        need(len(set(self.validators.values())) == len(names), "two validators have one key")
        self.quorum = len(names) - (len(names) - 1) // 3

    def validator(self, line):
        need(line.startswith("validator "), "not a validator line")
        parts = line.removeprefix("validator ").split("+", 2)
        need(len(parts) == 3, "not a vkey")
        full_name, id_text, encoded = parts
        prefix = self.origin + "/v/"
        name = full_name.removeprefix(prefix)
        need(full_name.startswith(prefix) and is_key_name(full_name), "a key is named otherwise")
        need(re.fullmatch(r"[a-z0-9._-]{1,63}", name), "not a validator name")
        typed = from_base64(encoded)
        need(len(typed) == 33 and typed[0] == 1, "not an Ed25519 key")
        key_id = hashlib.sha256(full_name.encode() + b"\n" + typed).digest()[:4]
        need(key_id.hex() == id_text, "a key id does not belong to its key")
        return name, key_id, typed[1:]

    def certify(self, note):
        """The checkpoint that a quorum has signed."""
        checkpoint = Checkpoint(note.text)
        need(checkpoint.origin == self.origin, "the checkpoint is of another log")
        signed = set()
        for name, key_id, signature in note.signatures:
            key = self.validators.get((name, key_id))
            if key is not None:
                fits = signature_fits(key, note.text.encode(), signature)
                need(fits, f"the signature by {name} does not fit")
                signed.add(key)
        need(len(signed) >= self.quorum, f"{len(signed)} validators signed, {self.quorum} are needed")
        return checkpoint


# 17. Proof files

EXTRA_LEN_MAX = 32 << 20


def utf8(data, what):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{what} is not UTF-8") from None


def hash_lines(rest):
    """Hashes, one a line, up to an empty line; and what follows it."""
    hashes = []
    while True:
        line, newline, rest = rest.partition("\n")
        need(newline, "the file ends too early")
        if line == "":
            return hashes, rest
        need(len(hashes) < 64, "the log path is too long")
        hashes.append(from_base64(line))
        need(len(hashes[-1]) == 32, "a hash has not 32 bytes")


class ProofFile:
    def __init__(self, data):
        text = utf8(data, "the file")
        header, _, rest = text.partition("\n")
        need(header == "c2sp.org/tlog-proof@v1", "not a proof file")
        line, _, rest = rest.partition("\n")
        need(line.startswith("extra "), "the proof carries no evidence")
        self.extra = from_base64(line.removeprefix("extra "))
        need(len(self.extra) <= EXTRA_LEN_MAX, "the evidence is too long")
        line, _, rest = rest.partition("\n")
        need(line.startswith("index "), "the proof names no index")
        self.index = decimal_number(line.removeprefix("index "))
        self.path, rest = hash_lines(rest)
        self.note = Note(rest)

    def evidence(self):
        need(len(self.extra) >= 32, "the evidence is cut short")
        encoding, check = self.extra[:-32], self.extra[-32:]
        need(H(0x1D, encoding) == check, "the check value does not fit: the file was changed")
        return decode_all(encoding, decode_evidence)


class GrowthProof:
    """From the size of an older checkpoint to a newer one (C2SP tlog-witness)."""

    def __init__(self, data):
        text = utf8(data, "the file")
        line, _, rest = text.partition("\n")
        need(line.startswith("old "), "not a consistency proof")
        self.old = decimal_number(line.removeprefix("old "))
        self.path, rest = hash_lines(rest)
        self.note = Note(rest)


def verify_growth(trust, kept, data):
    """That the log of a kept checkpoint is the beginning of a newer one's."""
    proof = GrowthProof(data)
    old = trust.certify(Note(utf8(kept, "the kept checkpoint")))
    new = trust.certify(proof.note)
    need(proof.old == old.size, "the proof starts from another size than the kept checkpoint's")
    check_growth(old, new, proof.path)
    return {
        "kind": "growth",
        "ledger": trust.ledger.hex(),
        "origin": trust.origin,
        "kept_size": old.size,
        "checkpoint_size": new.size,
    }


def decode_evidence(reader):
    reader.version("evidence")
    match reader.u8():
        case 1:
            return TransactionEvidence(reader)
        case 2:
            return RowEvidence(reader)
    raise Refused("unknown evidence")


class TransactionEvidence:
    def __init__(self, reader):
        self.height = reader.u64()
        self.index = reader.u32()
        self.signed = decode_all(reader.bytes(TRANSACTION_LEN_MAX), SignedTransaction)
        self.outcome = Outcome(reader)

    def leaf(self):
        place = struct.pack(">BQI", 1, self.height, self.index)
        return place + self.signed.body.id + self.outcome.hash

    def check(self, trust):
        self.signed.check(trust.ledger)

    def shown(self):
        body, outcome = self.signed.body, self.outcome
        return {
            "kind": "transaction",
            "transaction": body.id.hex(),
            "height": self.height,
            "index": self.index,
            "account": account_text(body.account),
            "time_us": body.time_us,
            "payload": body.payload,
            "outcome": {
                "code": outcome.code,
                "success": outcome.code == "00000",
                "rows_affected": outcome.rows_affected,
            },
        }


class RowEvidence:
    def __init__(self, reader):
        self.header = Header(reader)
        self.block = BlockLeaf(reader)
        self.table = Table(reader)
        self.path = TableProof(reader)
        self.claim = reader.u8()
        row = lambda reader: reader.bytes(17 << 20)
        if self.claim == 1:
            self.key = reader.bytes(KEY_LEN_MAX)
            self.rows = [row(reader)]
            self.proof = decode_presence(reader)
        elif self.claim == 2:
            self.key = reader.bytes(KEY_LEN_MAX)
            self.rows = []
            self.proof = RangeProof.decode_absence(reader)
        elif self.claim == 3:
            self.start = reader.bytes(KEY_LEN_MAX)
            self.end = reader.option(lambda reader: reader.bytes(KEY_LEN_MAX))
            self.rows = reader.list(RANGE_ROWS_MAX, row)
            self.proof = RangeProof.decode(reader)
        else:
            raise Refused("unknown claim")

    def leaf(self):
        return self.block.bytes

    def check(self, trust):
        header, block = self.header, self.block
        need(header.hash == block.block, "the header is another block's")
        need((header.height, header.time_us) == (block.height, block.time_us), "the leaf has another height or time")
        need(header.ledger == trust.ledger, "the block is of another ledger")
        table, root = self.table, self.path.root
        self.path.check(table.id, self.block.state_root)
        need(self.path.catalogue_hash == table.hash, "the table is defined otherwise")
        hashes = [H(0x16, row) for row in self.rows]
        if self.claim == 1:
            check_presence(self.proof, table.id, self.key, hashes[0], root)
            keys = [self.key]
        elif self.claim == 2:
            need(self.key, "no row can have an empty key")
            self.proof.check(table.id, self.key, self.key + b"\0", root)
            keys = []
        else:
            self.proof.check(table.id, self.start, self.end, root)
            need([digest for _, digest in self.proof.rows] == hashes, "the rows are not those proven")
            keys = [key for key, _ in self.proof.rows]
        self.values = [decode_row(table, row) for row in self.rows]
        for key, values in zip(keys, self.values):
            need(row_key(table, values) == key, "a row's values do not make its key")

    def shown(self):
        table = self.table
        names = [column.name for column in table.columns]
        types = [column.type for column in table.columns]
        if self.claim == 3:
            claim = {
                "from": self.key_text(self.start) if self.start else None,
                "to": None if self.end is None else self.key_text(self.end),
            }
        else:
            claim = {"key": self.key_text(self.key)}
        return {
            "kind": {1: "row", 2: "absence", 3: "range"}[self.claim],
            "table": f"{table.schema}.{table.name}",
            "claim": claim,
            "columns": [{"name": name, "type": type.name} for name, type in zip(names, types)],
            "rows": [
                dict(zip(names, (shown_value(*pair) for pair in zip(types, values))))
                for values in self.values
            ],
            "height": self.block.height,
            "time_us": self.block.time_us,
            "block": self.block.block.hex(),
            "state_root": self.block.state_root.hex(),
        }

    def key_text(self, key):
        try:
            columns = self.table.key_columns()
            values = decode_key([column.type for column in columns], key)
        except Refused:
            return f"encoded {key.hex()}"
        pairs = zip(columns, values)
        return ", ".join(f"{column.name} = {value_text(column.type, value)}" for column, value in pairs)


# How values are written


def decimal_text(coefficient, scale, wanted):
    digits = str(abs(coefficient) * 10 ** (wanted - scale)).rjust(wanted + 1, "0")
    sign = "-" if coefficient < 0 else ""
    return sign + (f"{digits[:-wanted]}.{digits[-wanted:]}" if wanted else digits)


def date_text(days):
    """Days since 1970-01-01 in the proleptic Gregorian calendar."""
    from datetime import date

    found = date.fromordinal(min(max(days, DATE_MIN), DATE_MAX) + date(1970, 1, 1).toordinal())
    return f"{found.year:04}-{found.month:02}-{found.day:02}"


def timestamp_text(micros):
    days, micros = divmod(min(max(micros, TIME_MIN), TIME_MAX), 86_400_000_000)
    seconds, micros = divmod(micros, 1_000_000)
    time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fraction = f".{micros:06}".rstrip("0") if micros else ""
    return f"{date_text(days)} {time}{fraction}"


def double_text(number):
    """The fewest digits inside the interval that reads back, the nearest of these."""
    if number == 0:
        return "0"
    bits = struct.unpack(">q", struct.pack(">d", abs(number)))[0]

    def exact(bits):
        return Fraction(*struct.unpack(">d", struct.pack(">q", bits))[0].as_integer_ratio())

    here, step = exact(bits), exact(bits) - exact(bits - 1)
    low = (here + exact(bits - 1)) / 2
    is_last = bits + 1 == 0x7FF0000000000000
    high = here + step / 2 if is_last else (here + exact(bits + 1)) / 2
    for places in range(17):
        text = f"{abs(number):.{places}e}"
        mantissa, _, power = text.partition("e")
        power = int(power)
        unit = Fraction(10) ** (power - places)
        # Below a power of two the next one above may fit where the nearest does not.
        near = [Fraction(text), Fraction(text) + unit]
        fitting = [value for value in near if low < value < high]
        if fitting:
            digits = str(int(fitting[0] / unit))
            power += len(digits) - places - 1
            digits = digits.rstrip("0")
            break
    sign = "-" if number < 0 else ""
    if not -4 <= power < 15:
        fraction = f".{digits[1:]}" if digits[1:] else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if power < 0 else '+'}{abs(power):02}"
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    whole, fraction = digits[: power + 1].ljust(power + 1, "0"), digits[power + 1 :]
    return sign + whole + (f".{fraction}" if fraction else "")


def value_text(type, value):
    """PostgreSQL's output form; a type of None writes a value as it is."""
    kind, content = value
    match kind:
        case "bool":
            return "t" if content else "f"
        case "int":
            return str(content)
        case "numeric":
            return decimal_text(*content, type.parameters[1] if type else content[1])
        case "double":
            return double_text(content)
        case "bytes":
            return "\\x" + content.hex()
        case "date":
            return date_text(content)
        case "timestamp":
            zone = "+00" if type and type.name == "timestamp with time zone" else ""
            return timestamp_text(content) + zone
        case "uuid":
            text = content.hex()
            return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    if type and type.name == "character":
        return content.ljust(type.parameters[0])
    return content


def shown_value(type, value):
    if value is None:
        return None
    kind, content = value
    if kind == "bool" or (kind == "int" and type.name != "bigint"):
        return content
    return value_text(type, value)


def shown_parameter(value):
    if value is None:
        return None
    return value[1] if value[0] == "bool" else value_text(None, value)


def verify(trust, data):
    """What a proof file shows.

    Raises Refused when it shows nothing.
    """
    file = ProofFile(data)
    evidence = file.evidence()
    checkpoint = trust.certify(file.note)
    leaf_hash = H(0x00, evidence.leaf())
    found = root_of_inclusion(leaf_hash, file.index, checkpoint.size, file.path)
    need(found == checkpoint.root, "the leaf is not in the log the checkpoint commits to")
    evidence.check(trust)
    return evidence.shown() | {
        "ledger": trust.ledger.hex(),
        "origin": trust.origin,
        "checkpoint_size": checkpoint.size,
    }


def read_bounded(name, most):
    stream = sys.stdin.buffer if name == "-" else open(name, "rb")
    with stream:
        data = stream.read(most + 1)
    need(len(data) <= most, f"{name} is longer than {most} bytes")
    return data


def without_psqls_newline(data):
    """psql ends what it prints with a newline of its own."""
    return data[:-1] if data.endswith(b"\n\n") else data


def main():
    parser = argparse.ArgumentParser(description="Verify Stele proof files offline.")
    parser.add_argument("--trust", required=True, type=Path, help="trust file of the ledger")
    parser.add_argument(
        "--since",
        type=Path,
        metavar="CHECKPOINT",
        help="a checkpoint kept earlier; the files are proofs that the log has only grown since",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="proof file; - for standard input")
    arguments = parser.parse_args()
    try:
        trust = Trust(read_bounded(arguments.trust, 64 << 10))
    except (Refused, OSError) as error:
        sys.exit(f"cannot use {arguments.trust}: {error}")
    check = lambda data: verify(trust, without_psqls_newline(data))
    if arguments.since is not None:
        try:
            kept = read_bounded(arguments.since, 1 << 20)
        except OSError as error:
            sys.exit(f"cannot read {arguments.since}: {error}")
        check = lambda data: verify_growth(trust, kept, data)
    all_shown = True
    for name in arguments.files:
        try:
            result = {"file": name, "ok": True, "shows": check(read_bounded(name, FILE_LEN_MAX))}
        except (Refused, OSError) as error:
            result = {"file": name, "ok": False, "reason": str(error)}
            all_shown = False
        print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if all_shown else 1)


if __name__ == "__main__":
    main()
