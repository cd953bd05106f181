"""The databases replicas are tested with, read and written in one manner, and random SQL for the ledger they mirror.

Values are compared as texts: those the ledger gives for `column::text`, and those made of what stands in SQLite,
PostgreSQL and MariaDB. Each is read by a client that knows nothing of Stele.
"""

import copy
import itertools
import json
import os
import pathlib
import signal
import sqlite3
import time
import unittest

import psycopg

from mariadb_server import MariaDbServer
from postgres_server import START_SECONDS_MAX, PostgresServer, program
from stele_node import DirectoryCase, stele

KINDS = ("sqlite", "postgres", "mariadb")
WAIT_SECONDS_MAX = 60
NUMBERS = itertools.count(1)


class KillablePostgres(PostgresServer):
    """PostgreSQL that is killed, halted and started again on the same data."""

    def launch(self):
        """Starts it on the data that are there. After a kill its parts may need a moment to end."""
        options = f"-k {self.home} -c listen_addresses='' -c fsync=off -c timezone=Asia/Tokyo -c datestyle=German"
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                self.run(program("pg_ctl"), "-D", self.data, "-l", self.home / "log", "-o", options, "-w", "start")
                return self
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def halt(self):
        self.run(program("pg_ctl"), "-D", self.data, "-m", "fast", "-w", "stop")

    def start(self):
        # Settings of its own that differ from the usual: what is mirrored must not hang on them.
        super().start()
        self.halt()
        return self.launch()

    def kill(self):
        """kill -9 of the postmaster and then of those it started."""
        self.signal(signal.SIGKILL)

    def signal(self, number):
        """To the postmaster and then to those it started."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        started = pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in [first, *map(int, started)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


class Servers:
    """One PostgreSQL and one MariaDB for the tests of a file; databases are cheap in them."""

    def start(self):
        self.postgres = KillablePostgres()
        unittest.addModuleCleanup(self.postgres.stop)
        self.postgres.start()
        self.mariadb = MariaDbServer(tcp=True)
        unittest.addModuleCleanup(self.mariadb.stop)
        self.mariadb.start()

    def database(self, kind, home):
        """A fresh database of a kind; a SQLite file goes into `home`."""
        name = f"r{next(NUMBERS)}"
        if kind == "sqlite":
            return SqliteFile(home / f"{name}.db")
        if kind == "postgres":
            return PostgresDatabase(self.postgres, name)
        return MariaDatabase(self.mariadb, name)


class Database:
    """A target. `columns` are pairs of a name and a kind of type, `table` is `schema.name` of the ledger."""

    def flat(self, table):
        schema, name = table.split(".")
        return name if schema == "public" else f"{schema}_{name}"

    def dump(self, table, columns, named=None):
        """All rows as tuples of texts, in order."""
        return ordered(self.rows(named or self.name(table), columns))


class SqliteFile(Database):
    kind = "sqlite"

    def __init__(self, path):
        self.path = path
        self.target = f"sqlite:{path}"

    def name(self, table):
        return f'"{self.flat(table)}"'

    def run(self, sql):
        connection = sqlite3.connect(self.path, timeout=20)
        try:
            with connection:
                return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def tables(self):
        return {row[0] for row in self.run("SELECT name FROM sqlite_schema WHERE type = 'table'")}

    def rows(self, named, columns):
        names = ", ".join(f'"{name}"' for name, _ in columns)
        for row in self.run(f"SELECT {names} FROM {named}"):
            yield [self.text(kind, value) for (_, kind), value in zip(columns, row)]

    def text(self, kind, value):
        if value is None:
            return None
        wanted = {"boolean": int, "smallint": int, "integer": int, "bigint": int}
        wanted |= {"double precision": float, "bytea": bytes}
        if type(value) is not wanted.get(kind, str):
            raise AssertionError(f"{value!r} for {kind}")
        if kind == "boolean":
            return {0: "false", 1: "true"}[value]
        if kind == "bytea":
            return "\\x" + value.hex()
        return repr(value) if kind == "double precision" else str(value)


class PostgresDatabase(Database):
    kind = "postgres"

    def __init__(self, server, database):
        self.server, self.database = server, database
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {database}")
        self.target = f"postgres://postgres@localhost:5432/{database}?socket={server.home}"

    def name(self, table):
        schema, name = table.split(".")
        return f'"{schema}"."{name}"'

    def connect(self):
        options = "-c datestyle=ISO -c timezone=UTC"
        host = str(self.server.home)
        return psycopg.connect(host=host, user="postgres", dbname=self.database, autocommit=True, options=options)

    def run(self, sql):
        with self.connect() as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def tables(self):
        """Tables by their bare names; those in `stele` are the replica's own."""
        found = self.run(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        return {name if schema in ("public", "stele") else f"{schema}_{name}" for schema, name in found}

    def rows(self, named, columns):
        names = ", ".join(f'"{name}"::text' for name, _ in columns)
        for row in self.run(f"SELECT {names} FROM {named}"):
            yield [plain(kind, value) for (_, kind), value in zip(columns, row)]


class MariaDatabase(Database):
    kind = "mariadb"
    PLAIN = ("smallint", "integer", "bigint", "numeric", "double precision", "date", "timestamp", "timestamptz")

    def __init__(self, server, database):
        self.server, self.database = server, database
        server.sql(f"CREATE DATABASE {database}")
        self.target = server.target(database)

    def name(self, table):
        return "`" + self.flat(table).replace("`", "``") + "`"

    def run(self, sql):
        return self.server.sql(sql, self.database)

    def tables(self):
        return {row[0] for row in self.run("SHOW TABLES")}

    def rows(self, named, columns):
        # Texts as hexadecimal digits: the client would otherwise make NULL of 'NULL', and blanks of what is none.
        names = [("`" + name.replace("`", "``") + "`", kind) for name, kind in columns]
        parts = [name if kind in self.PLAIN + ("boolean",) else f"hex({name})" for name, kind in names]
        for row in self.run(f"SELECT {', '.join(parts)} FROM {named}"):
            yield [self.text(kind, value) for (_, kind), value in zip(columns, row)]

    def text(self, kind, value):
        if value == "NULL":
            return None
        if kind == "boolean":
            return {"0": "false", "1": "true"}[value]
        if kind == "double precision":
            return repr(float(value))
        if kind in ("timestamp", "timestamptz"):
            return value.rstrip("0").rstrip(".") + ("+00" if kind == "timestamptz" else "")
        if kind in self.PLAIN:
            return value
        if kind == "bytea":
            return "\\x" + value.lower()
        if kind == "uuid":
            digits = value.lower()
            return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])
        return bytes.fromhex(value).decode()


def plain(kind, value):
    """A text of the ledger or PostgreSQL, where one value has several."""
    if value is None:
        return None
    if kind == "double precision":
        return repr(float(value))
    return value.rstrip(" ") if kind == "char" else value


def ordered(rows):
    return sorted((tuple(row) for row in rows), key=lambda row: [(value is not None, value or "") for value in row])


def ledger_dump(node, table, columns):
    """All rows of a table of the ledger, as `Database.dump` gives them."""
    schema, name = table.split(".")
    names = ", ".join(f't."{name}"::text' for name, _ in columns)
    with node.connect() as connection:
        rows = connection.execute(f'SELECT {names} FROM "{schema}"."{name}" AS t').fetchall()
    return ordered([plain(kind, value) for (_, kind), value in zip(columns, row)] for row in rows)


class Replicas:
    """`stele replica` on a node. What fails raises, unless it is `tried`."""

    def __init__(self, case, node):
        self.case, self.node = case, node

    def tried(self, *arguments, **more):
        return stele("replica", *arguments, "--http", f"http://127.0.0.1:{self.node.http_port}", **more)

    def done(self, *arguments, **more):
        done = self.tried(*arguments, **more)
        self.case.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}\n{self.node.log()[-2000:]}")
        return done.stdout

    def add(self, name, target, *more):
        return self.done("add", name, "--to", target, *more)

    def status(self, name):
        """The status; its exit code says whether something is in the way."""
        done = self.tried("status", name, "--json")
        status = json.loads(done.stdout)
        self.case.assertEqual(done.returncode, 1 if status["phase"] == "waiting" else 0, status)
        return status

    def names(self):
        return [one["name"] for one in json.loads(self.done("list", "--json"))["replicas"]]

    def wait(self, *names):
        """Until replicas have caught up; the command's own patience is shorter than that of a busy machine."""
        for name in names:
            deadline = time.monotonic() + WAIT_SECONDS_MAX
            while True:
                done = self.tried("wait", name)
                if done.returncode == 0:
                    break
                status = self.status(name)
                # A database that is down comes back; what else is in the way stays there.
                stuck = status["phase"] == "waiting" and status["kind"] != "unreachable" and status["tries"] > 3
                if stuck or time.monotonic() > deadline:
                    self.case.fail(f"{name} did not catch up: {done.stderr}{self.tried('status', name).stdout}")

    def waits_for(self, name, kind, seconds=30):
        """Until a replica's status tells that kind of trouble; gives the status."""
        self.node.until(lambda: self.status(name).get("kind") == kind, seconds, f"trouble {kind} of {name}")
        status = self.status(name)
        self.case.assertEqual(status["phase"], "waiting")
        return status

    def audit(self, name, *more):
        """Exit code and report."""
        done = self.tried("audit", name, "--json", *more)
        self.case.assertIn(done.returncode, (0, 2), f"audit {name}: {done.stdout}{done.stderr}")
        return done.returncode, json.loads(done.stdout)

    def clean(self, *names):
        """That audits find nothing, and every root is the certified one; gives roots by table of the last."""
        roots = {}
        for name in names:
            code, report = self.audit(name)
            wrong = [one for one in report["tables"] if one["drift"] or one["differences_total"]]
            wrong = [(one["table"], one["drift"], one["differences"][:3]) for one in wrong]
            self.case.assertEqual((code, wrong), (0, []), f"audit of {name} at height {report['height']}")
            roots = {}
            for table in report["tables"]:
                self.case.assertEqual(table["root_found"], table["root_expected"], (name, table))
                self.case.assertTrue(table["root_found"], (name, table))
                self.case.assertEqual((table["drift"], table["differences"], table["skipped"]), ([], [], None), name)
                roots[table["table"]] = table["root_found"]
        return roots

    def repair(self, name, *more):
        """Mends what differs; the next audit is clean."""
        code, report = self.audit(name, "--repair", *more)
        self.case.assertEqual(code, 0, report)
        self.case.assertTrue(report["mended"], report)
        self.wait(name)
        self.clean(name)
        return report

    def only(self, report, table):
        """The one table of a report that is not as it should be."""
        wrong = [one for one in report["tables"] if one["drift"] or one["differences_total"]]
        self.case.assertEqual([one["table"] for one in wrong], [table], report)
        return wrong[0]


SERVERS = Servers()


class ReplicaCase(DirectoryCase):
    """A node and a way to its replicas."""

    def setUp(self):
        super().setUp()
        self.ledger = self.node()
        self.ledger.start()
        self.replicas = Replicas(self, self.ledger)

    def database(self, kind):
        return SERVERS.database(kind, self.home)

    def three(self):
        """One replica of each kind, by name."""
        databases = {kind: self.database(kind) for kind in KINDS}
        for name, database in databases.items():
            self.replicas.add(name, database.target)
        return databases

    def equal(self, databases, table, columns):
        expected = ledger_dump(self.ledger, table, columns)
        for name, database in databases.items():
            self.assertEqual(database.dump(table, columns), expected, f"{table} in {name}")
        return len(expected)


# Random SQL.

TYPES = [
    ("boolean", "boolean"),
    ("smallint", "smallint"),
    ("integer", "integer"),
    ("bigint", "bigint"),
    ("numeric(5,2)", "numeric"),
    ("numeric(38,0)", "numeric"),
    ("numeric(38,30)", "numeric"),
    ("numeric(20,10)", "numeric"),
    ("double precision", "double precision"),
    ("text", "text"),
    ("varchar(20)", "varchar"),
    ("varchar(300)", "varchar"),
    ("char(4)", "char"),
    ("char(300)", "char"),
    ("bytea", "bytea"),
    ("date", "date"),
    ("timestamp", "timestamp"),
    ("timestamptz", "timestamptz"),
    ("uuid", "uuid"),
    ("json", "json"),
]
KEY_TYPES = [
    *(one for one in TYPES if one[0] in ("boolean", "smallint", "integer", "bigint", "date", "timestamp", "uuid")),
    ("numeric(12,3)", "numeric"),
    ("numeric(38,10)", "numeric"),
    ("varchar(20)", "varchar"),
    ("varchar(60)", "varchar"),
    ("char(5)", "char"),
    ("timestamptz", "timestamptz"),
]
WIDER = {
    "smallint": ["integer", "bigint"],
    "integer": ["bigint"],
    "numeric(5,2)": ["numeric(9,2)", "numeric(38,2)"],
    "numeric(20,10)": ["numeric(38,10)"],
    "numeric(12,3)": ["numeric(20,3)"],
    "varchar(20)": ["varchar(60)", "varchar(300)", "text"],
    "varchar(60)": ["varchar(180)"],
    "varchar(300)": ["varchar(4000)", "text"],
}
WORDS = ["", "a", "B", "ä", "Z", "a ", "a\t", "A", " a", "a  ", "b", "\u00df", "ss", "\u0301", "é", "e\u0301", "'", '"']
WORDS += ["\\", "\\N", "\\.", "\n", "\r\n", "\t", "\\t", "NULL", "null", "`", "%s", "?", "$1", "😀", "日本語", "\u200b", "\x01"]
WORDS += ["\U0010ffff", "--", "/*", ";", "a\u0000"[:1], "\x7f", "\u00a0", "a\n", "\ufeff"]
JSONS = ["{}", "[]", "null", '"x"', '{"b": 1,   "a":[2, 3.50, 1e400]}', '{"a":1,"a":2}', " 1", '"\\u0000"', '"ä😀\\\\"']
NUMERICS = {"numeric(38,0)": "9" * 38, "numeric(38,30)": "9" * 8 + "." + "9" * 30, "numeric(5,2)": "999.99"}
NUMERICS |= {"numeric(20,10)": "9" * 10 + "." + "9" * 10, "numeric(12,3)": "999999999.999"}
NUMERICS |= {"numeric(38,10)": "9" * 28 + "." + "9" * 10}
BOUNDS = {"smallint": 1 << 15, "integer": 1 << 31, "bigint": 1 << 63}
DOUBLES = ["0", "-0", "0.1", "1e308", "-1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "1e-7", "123456789.123"]
DOUBLES += ["0.30000000000000004", "9007199254740993", "1e15", "1e16", "1e22", "-1e-300", "3.4028235e38"]
DATES = ["0001-01-01", "9999-12-31", "1970-01-01", "1582-10-10", "0999-12-31", "2000-02-29", "1900-03-01", "0004-02-29"]
TIMES = ["00:00:00", "23:59:59.999999", "12:00:00.5", "01:02:03.000001", "02:30:00"]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def literal(random, sql_type, null=0.15):
    """A value of a type as SQL, extreme more often than not."""
    if random.random() < null:
        return "NULL"
    if sql_type == "boolean":
        return random.choice(["true", "false"])
    if sql_type in BOUNDS:
        bound = BOUNDS[sql_type]
        number = random.choice([-bound, bound - 1, 0, -1, 1, random.randrange(-bound, bound), random.randrange(-9, 99)])
        return f"'{number}'::{sql_type}"
    if sql_type.startswith("numeric"):
        most = NUMERICS.get(sql_type, "12.5")
        scale = int(sql_type.split(",")[1].rstrip(")"))
        small = "0" if scale == 0 else "0." + "0" * (scale - 1) + "1"
        some = f"{random.randrange(0, 200)}" + (f".{random.randrange(10)}" if scale else "")
        return f"'{random.choice(['', '-'])}{random.choice([most, small, '0', some, some, some])}'::{sql_type}"
    if sql_type == "double precision":
        number = random.choice([*DOUBLES, repr(random.uniform(-1e6, 1e6)), repr(random.random() * 10.0 ** random.randint(-300, 300))])
        return f"'{number}'::double precision"
    if sql_type == "bytea":
        some = random.choice([b"", b"\x00", b"\xff", b"\x00\xff", b"'\\", b"\n\t", random.randbytes(random.randrange(40))])
        return f"'\\x{some.hex()}'::bytea"
    if sql_type == "date":
        return f"DATE '{random.choice(DATES)}'"
    if sql_type.startswith("timestamp"):
        zone = "+00" if sql_type == "timestamptz" else ""
        return f"{sql_type} '{random.choice(DATES)} {random.choice(TIMES)}{zone}'"
    if sql_type == "uuid":
        some = random.choice(["0" * 32, "f" * 32, random.randbytes(16).hex(), random.randbytes(16).hex()])
        return f"'{some}'::uuid"
    if sql_type == "json":
        return quoted(random.choice(JSONS)) + "::json"
    text = random.choice(WORDS) if random.random() < 0.7 else "".join(random.choices(WORDS, k=random.randrange(2, 12)))
    if "(" in sql_type:
        text = text[: int(sql_type.split("(")[1].rstrip(")"))]
    elif random.random() < 0.05:
        text *= 2_000
    return quoted(text)


class LedgerTable:
    """A table as the generator knows it; `key` are names of columns, none where the key is hidden."""

    def __init__(self, schema, name, columns, key):
        self.schema, self.name, self.columns, self.key = schema, name, columns, key

    @property
    def full(self):
        return f"{self.schema}.{self.name}"

    @property
    def sql(self):
        return f'"{self.schema}"."{self.name}"'

    def read(self):
        """Columns to be compared, the hidden key among them."""
        hidden = [] if self.key else [("stele_rowid", "uuid")]
        return hidden + [(name, kind) for name, _, kind in self.columns]


class LedgerWriter:
    """Writes seeded random transactions to a ledger and knows the shapes of its tables."""

    SCHEMAS = ("public", "sales", "Odd Schema")
    TABLES_MAX = 9

    def __init__(self, random, node):
        self.random, self.node = random, node
        self.tables, self.serial, self.taken, self.refused = [], 0, 0, []
        for schema in self.SCHEMAS[1:]:
            node.query(f'CREATE SCHEMA "{schema}"')

    def transactions(self, count):
        with self.node.connect(autocommit=False) as connection:
            for _ in range(count):
                self.transaction(connection)

    def transaction(self, connection):
        """One to five statements in one transaction; a refused one leaves nothing."""
        before = copy.deepcopy(self.tables)
        sql = None
        try:
            for _ in range(self.random.choice([1, 1, 2, 3, 5])):
                sql = self.statement()
                connection.execute(sql)
            connection.commit()
            self.taken += 1
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            connection.rollback()
            self.tables = before
            self.refused.append((sql, str(error)))

    def statement(self):
        if not self.tables:
            return self.create()
        kinds = {self.insert: 40, self.update: 20, self.delete: 10, self.add_column: 6, self.drop_column: 4}
        kinds |= {self.rename_column: 4, self.widen: 5, self.rename: 3, self.drop: 2, self.create: 6, self.change_keys: 3}
        kind = self.random.choices(list(kinds), list(kinds.values()))[0]
        if kind == self.create and len(self.tables) >= self.TABLES_MAX:
            kind = self.drop
        return kind()

    def fresh(self, prefix):
        self.serial += 1
        return prefix + self.random.choice(["", "_x", " y", "Z", "ö", "`", "''", "%", "?"]) + str(self.serial)

    def pick(self):
        return self.random.choice(self.tables)

    def create(self):
        random = self.random
        schema = random.choice(self.SCHEMAS)
        # A name that was there before comes again now and then, with another shape.
        used = {table.full for table in self.tables}
        names = [name for name in ("orders", "lines", "Parts") if f"{schema}.{name}" not in used]
        name = random.choice(names) if names and random.random() < 0.6 else self.fresh("t")
        key = [] if random.random() < 0.2 else [f"k{n}" for n in range(random.choice([1, 1, 2, 3]))]
        columns = [(name, *random.choice(KEY_TYPES)) for name in key]
        columns += [(f"c{n}", *random.choice(TYPES)) for n in range(random.randint(1, 7))]
        random.shuffle(columns)
        table = LedgerTable(schema, name, columns, key)
        self.tables.append(table)
        parts = [f'"{name}" {sql_type}' for name, sql_type, _ in columns]
        if key:
            random.shuffle(key)
            parts.append("PRIMARY KEY (" + ", ".join(f'"{name}"' for name in key) + ")")
        return f"CREATE TABLE {table.sql} ({', '.join(parts)})"

    def insert(self):
        table, random = self.pick(), self.random
        names = ", ".join(f'"{name}"' for name, _, _ in table.columns)
        rows = []
        for _ in range(random.choice([1, 2, 5, 20])):
            values = [literal(random, one, 0 if name in table.key else 0.15) for name, one, _ in table.columns]
            rows.append(f"({', '.join(values)})")
        conflict = " ON CONFLICT DO NOTHING" if table.key else ""
        return f"INSERT INTO {table.sql} ({names}) VALUES {', '.join(rows)}{conflict}"

    def some(self, table):
        """A condition that holds for some rows."""
        plain = [column for column in table.columns if column[2] not in ("json", "double precision")]
        if not plain or self.random.random() < 0.15:
            return ""
        name, sql_type, _ = self.random.choice(plain)
        return f' WHERE "{name}" {self.random.choice(["<", ">", "<=", "<>"])} {literal(self.random, sql_type, 0)}'

    def update(self):
        table, random = self.pick(), self.random
        rest = [column for column in table.columns if column[0] not in table.key]
        if not rest:
            return self.insert()
        chosen = random.sample(rest, random.randint(1, min(3, len(rest))))
        sets = ", ".join(f'"{name}" = {literal(random, sql_type)}' for name, sql_type, _ in chosen)
        return f"UPDATE {table.sql} SET {sets}{self.some(table)}"

    def change_keys(self):
        """Rows get other keys, those of others among them."""
        table = self.pick()
        numbers = [name for name, kind, _ in table.columns if name in table.key and kind in BOUNDS]
        if not numbers:
            return self.update()
        name = self.random.choice(numbers)
        return f'UPDATE {table.sql} SET "{name}" = "{name}" + {self.random.choice([1, 1000])} WHERE "{name}" BETWEEN -100 AND 100'

    def delete(self):
        table = self.pick()
        return f"DELETE FROM {table.sql}{self.some(table)}"

    def add_column(self):
        table, random = self.pick(), self.random
        name, (sql_type, kind) = self.fresh("n"), random.choice(TYPES)
        table.columns.append((name, sql_type, kind))
        default = f" DEFAULT {literal(random, sql_type)}" if random.random() < 0.7 else ""
        return f'ALTER TABLE {table.sql} ADD COLUMN "{name}" {sql_type}{default}'

    def drop_column(self):
        table = self.pick()
        rest = [column for column in table.columns if column[0] not in table.key]
        if len(rest) < 2:
            return self.add_column()
        gone = self.random.choice(rest)
        table.columns.remove(gone)
        return f'ALTER TABLE {table.sql} DROP COLUMN "{gone[0]}"'

    def rename_column(self):
        table = self.pick()
        place = self.random.randrange(len(table.columns))
        old, sql_type, kind = table.columns[place]
        new = self.fresh("r")
        table.columns[place] = (new, sql_type, kind)
        table.key = [new if name == old else name for name in table.key]
        return f'ALTER TABLE {table.sql} RENAME COLUMN "{old}" TO "{new}"'

    def widen(self):
        table = self.pick()
        places = [place for place, column in enumerate(table.columns) if column[1] in WIDER]
        if not places:
            return self.add_column()
        place = self.random.choice(places)
        name, sql_type, kind = table.columns[place]
        wider = self.random.choice(WIDER[sql_type])
        table.columns[place] = (name, wider, wider if wider in ("text", "integer", "bigint") else kind)
        return f'ALTER TABLE {table.sql} ALTER COLUMN "{name}" TYPE {wider}'

    def rename(self):
        table = self.pick()
        old, table.name = table.sql, self.fresh("m")
        return f'ALTER TABLE {old} RENAME TO "{table.name}"'

    def drop(self):
        table = self.pick()
        self.tables.remove(table)
        return f"DROP TABLE {table.sql}"
