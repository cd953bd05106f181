"""The same generated statements on a node and on a real PostgreSQL 15: equal rows, equal classes of SQLSTATE.

At least 95 % of the statements PostgreSQL takes are taken here too, and none of those differs but as
`docs/sql.md` says under "Differences from PostgreSQL 15". `STELE_STATEMENTS` asks for another count,
`STELE_SEED` repeats a run; what differs is printed with both answers.
"""

import collections
import decimal
import os
import re
import unittest

import psycopg

from postgres_server import PostgresServer
from sql_generator import Generator
from stele_node import NodeCase, count, seeded

STATEMENTS = int(os.environ.get("STELE_STATEMENTS") or count(2_000, 100_000))
# A schema of its own for so many statements.
STATEMENTS_PER_SCHEMA = 400
ACCEPTED_MIN = 0.95
SHOWN_MAX = 20
# Digits after the point up to which NUMERIC results must agree: the scale of a quotient differs.
PLACES = decimal.Decimal("0.000001")

FIXED = {
    # PostgreSQL's numbers of types: what is compared by value and not by its text.
    "numeric": {1700, 700, 701},
}


class Answer:
    """What a server answered: a tag and rows, or an SQLSTATE."""

    def __init__(self, result):
        status = result.status
        if status in (psycopg.pq.ExecStatus.TUPLES_OK, psycopg.pq.ExecStatus.COMMAND_OK):
            self.code = None
            self.message = ""
            self.tag = (result.command_status or b"").decode()
            self.rows = [
                tuple(self.value(result, row, column) for column in range(result.nfields))
                for row in range(result.ntuples)
            ]
        else:
            field = psycopg.pq.DiagnosticField
            self.code = (result.error_field(field.SQLSTATE) or b"?????").decode()
            self.message = (result.error_field(field.MESSAGE_PRIMARY) or b"").decode()
            self.tag, self.rows = "", []

    @staticmethod
    def value(result, row, column):
        value = result.get_value(row, column)
        if value is None:
            return None
        text = value.decode()
        if result.ftype(column) in FIXED["numeric"]:
            return str(decimal.Decimal(text).quantize(PLACES).normalize() + 0)
        return text

    def same(self, other, ordered):
        if (self.code is None) != (other.code is None):
            return False
        if self.code is not None:
            return self.code[:2] == other.code[:2]
        key = lambda row: [(value is None, value or "") for value in row]
        mine, theirs = (self.rows, other.rows) if ordered else (sorted(self.rows, key=key), sorted(other.rows, key=key))
        return self.tag == other.tag and mine == theirs

    def with_plain_numbers(self):
        """Tag and sorted rows, in JSON without zeros at the end of a number."""

        def plain(value):
            if value is None or not value.startswith(("[", "{")):
                return value
            return re.sub(r"(\d\.\d*?)0+(?=[,\]}\s]|$)", lambda found: found[1].rstrip("."), value)

        key = lambda row: [(value is None, value or "") for value in row]
        return self.tag, sorted((tuple(map(plain, row)) for row in self.rows), key=key)

    def __repr__(self):
        return f"{self.code} {self.message}" if self.code else f"{self.tag} {self.rows[:12]}"


def run(connection, sql):
    return Answer(connection.pgconn.exec_(sql.encode()))


def explained(sql, here, there):
    """The difference as docs/sql.md words it, if it is one of those."""
    if there.code is None and here.code == "21000" and re.match(r"UPDATE .* FROM ", sql):
        return "UPDATE … FROM whose rows disagree"
    if here.code is None and there.code is None and here.with_plain_numbers() == there.with_plain_numbers():
        return "the scale of NUMERIC in JSON"
    return None


class Differential(NodeCase):
    def setUp(self):
        super().setUp()
        self.postgres = PostgresServer()
        self.addCleanup(self.postgres.stop)
        self.postgres.start()

    def test_statements_give_what_postgresql_gives(self):
        rng = seeded("test_sql_differential", usual=2496679020)
        here, there = self.node.connect(), self.postgres.connect()
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        counts = collections.Counter()
        refused, different, reasons = collections.Counter(), [], collections.Counter()
        while counts["statements"] < STATEMENTS:
            generator = Generator(rng)
            for table in ("t0", "t1", "t2"):
                for connection in (here, there):
                    run(connection, f"DROP TABLE IF EXISTS {table}")
            for sql in generator.schema():
                for connection in (here, there):
                    self.assertIsNone(run(connection, sql).code, sql)
            for _ in range(min(STATEMENTS_PER_SCHEMA, STATEMENTS - counts["statements"])):
                sql, ordered = generator.statement()
                counts["statements"] += 1
                theirs = run(there, sql)
                mine = run(here, sql)
                if theirs.code is None:
                    counts["accepted there"] += 1
                    counts["accepted here"] += mine.code is None
                if mine.same(theirs, ordered):
                    continue
                reason = explained(sql, mine, theirs)
                if reason:
                    reasons[reason] += 1
                elif mine.code == "0A000":
                    refused[mine.message] += 1
                    # Both go on from the same rows.
                else:
                    different.append((sql, mine, theirs))
                if not sql.startswith(("SELECT", "WITH")):
                    self.level(generator, here, there)
            for table in generator.tables:
                sql = f"SELECT * FROM {table.name} ORDER BY id"
                mine, theirs = run(here, sql), run(there, sql)
                if not mine.same(theirs, True):
                    different.append((sql, mine, theirs))
        share = counts["accepted here"] / max(1, counts["accepted there"])
        print(f"test_sql_differential: {dict(counts)}, accepted {share:.2%}; explained {dict(reasons)}; "
              f"refused {dict(refused.most_common(10))}; different {len(different)}", flush=True)
        shown = "\n".join(f"{sql}\n  here  {mine}\n  there {theirs}" for sql, mine, theirs in different[:SHOWN_MAX])
        if different:
            self.fail(f"{len(different)} statements differ:\n{shown}")
        self.assertGreaterEqual(share, ACCEPTED_MIN)

    def level(self, generator, here, there):
        """After a write that only one took: both get the rows PostgreSQL has."""
        for table in generator.tables:
            theirs = run(there, f"SELECT * FROM {table.name} ORDER BY id")
            if run(here, f"SELECT * FROM {table.name} ORDER BY id").same(theirs, True):
                continue
            run(here, f"DELETE FROM {table.name}")
            for row in there.execute(f"SELECT * FROM {table.name}").fetchall():
                marks = ", ".join(["%s"] * len(row))
                here.execute(f"INSERT INTO {table.name} VALUES ({marks})", row)


if __name__ == "__main__":
    unittest.main()
