"""Seeded SQL for the differential test: schemas, data and statements both PostgreSQL and Stele may take.

What would fail or not by the order in which conditions are looked at is kept out of queries: divisors are
guarded, numbers small. Failures are asked for on purpose, by statements of their own.
"""

import datetime

WORDS = ["", "a", "b", "ab", "Ab", "bolt", "nut", "x_y", "50%", "gear", "it''s", "zeta", "é"]
NUMBERS = ("smallint", "int", "bigint", "numeric")
TYPES = ("smallint", "int", "bigint", "numeric", "text", "bool", "date", "timestamp")
COLUMN_TYPES = {"numeric": "NUMERIC(10,2)", "text": "VARCHAR(20)", "bool": "BOOLEAN"}
TIME_PATTERNS = ("YYYY-MM-DD HH24:MI:SS", "FMDay, FMDD FMMonth", "Mon DDD Q IW", "HH12 PM", "YY/MM/DD", "IYYY-IW-ID")
REGEX_FLAGS = ("", ", 'g'", ", 'i'")
DEPTH_MAX = 3


class Table:
    def __init__(self, name, columns, key=True):
        self.name = name
        self.columns = columns  # (name, type), the first is unique
        self.key = key  # whether it is declared as the primary key

    def ddl(self):
        parts = [f"{n} {COLUMN_TYPES.get(t, t.upper())}" for n, t in self.columns]
        parts[0] += " PRIMARY KEY" if self.key else " NOT NULL UNIQUE"
        number = next((n for n, t in self.columns[1:] if t in NUMBERS), None)
        if number:
            parts.append(f"CONSTRAINT {self.name}_small CHECK ({number} < 5000)")
        return f"CREATE TABLE {self.name} ({', '.join(parts)})"


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.tables = []

    def schema(self):
        for number in range(3):
            columns = [("id", "int")]
            for place in range(self.rng.randint(4, 7)):
                columns.append((f"c{place}", self.rng.choice(TYPES)))
            key = number < 2 or self.rng.random() < 0.5
            self.tables.append(Table(f"t{number}", columns, key))
        statements = [table.ddl() for table in self.tables]
        statements.append("CREATE INDEX t0_c0 ON t0 (c0)")
        for table in self.tables:
            rows = [self.row(table, key) for key in range(1, 25)]
            statements.append(f"INSERT INTO {table.name} VALUES {', '.join(rows)}")
        return statements

    def row(self, table, key):
        values = [self.literal(kind, null=0.15) for _, kind in table.columns[1:]]
        return f"({', '.join([str(key), *values])})"

    # values

    def literal(self, kind, null=0.04):
        rng = self.rng
        if rng.random() < null:
            return f"NULL::{self.name_of(kind)}"
        if kind in ("smallint", "int", "bigint"):
            value = str(rng.choice([0, 1, 2, 3, 7, 10, 42, rng.randint(-100, 999)]))
            value = f"({value})" if value.startswith("-") else value
            return value if kind == "int" else f"{value}::{kind}"
        if kind == "numeric":
            return rng.choice(["0.5", "1.25", "10.00", "(-3.75)", "99.9", f"{rng.randint(0, 500)}.{rng.randint(10, 99)}"])
        if kind == "text":
            return f"'{rng.choice(WORDS)}'::text"
        if kind == "bool":
            return rng.choice(["true", "false"])
        day = datetime.date(2020, 1, 1) + datetime.timedelta(days=rng.randint(0, 1500))
        if kind == "date":
            return f"DATE '{day}'"
        return f"TIMESTAMP '{day} {rng.randint(0, 23):02}:{rng.randint(0, 59):02}:00'"

    def name_of(self, kind):
        return {"numeric": "numeric(10,2)"}.get(kind, kind)

    def column(self, kind, scope):
        found = [f"{alias}.{name}" for alias, table in scope for name, t in table if t == kind]
        return self.rng.choice(found) if found else None

    # expressions

    def expression(self, kind, scope, depth=0):
        rng = self.rng
        if depth >= DEPTH_MAX or rng.random() < 0.35:
            column = self.column(kind, scope) if rng.random() < 0.8 else None
            return column or self.literal(kind)
        if rng.random() < 0.15:
            return self.any_type(kind, scope, depth + 1)
        return getattr(self, f"make_{kind}")(scope, depth + 1)

    def any_type(self, kind, scope, depth):
        e = lambda: self.expression(kind, scope, depth)
        c = lambda: self.expression("bool", scope, depth)
        return self.rng.choice([
            lambda: f"coalesce({e()}, {e()})",
            lambda: f"nullif({e()}, {e()})",
            lambda: f"CASE WHEN {c()} THEN {e()} ELSE {e()} END",
            lambda: f"CASE WHEN {c()} THEN {e()} WHEN {c()} THEN {e()} END",
            lambda: f"greatest({e()}, {e()})" if kind != "bool" else e(),
            lambda: f"least({e()}, {e()})" if kind != "bool" else e(),
            lambda: self.scalar_subquery(kind, scope) or e(),
        ])()

    def scalar_subquery(self, kind, scope):
        table = self.rng.choice(self.tables)
        columns = [n for n, t in table.columns if t == kind]
        if not columns or kind == "bool":
            return None
        inner = [("q", table.columns)]
        where = self.expression("bool", inner + scope[:1], DEPTH_MAX - 1)
        return f"(SELECT {self.rng.choice(['min', 'max'])}(q.{self.rng.choice(columns)}) FROM {table.name} q WHERE {where})"

    def make_smallint(self, scope, depth):
        return f"({self.expression('smallint', scope, depth)} {self.rng.choice('&|#')} 7::smallint)"

    def make_int(self, scope, depth):
        e = lambda: self.expression("int", scope, depth)
        t = lambda: self.expression("text", scope, depth)
        d = lambda: self.expression("date", scope, depth)
        return self.rng.choice([
            lambda: f"({e()} + {e()})",
            lambda: f"({e()} - {e()})",
            lambda: f"({e()} % 97 * 3)",
            lambda: f"({e()} / nullif({e()}, 0))",
            lambda: f"({e()} % nullif({e()}, 0))",
            lambda: f"abs({e()})",
            lambda: f"(- {e()})",
            lambda: f"length({t()})",
            lambda: f"octet_length({t()})",
            lambda: f"strpos({t()}, {t()})",
            lambda: f"position({t()} IN {t()})",
            lambda: f"ascii({t()})",
            lambda: f"extract({self.rng.choice(['year', 'month', 'day', 'dow', 'doy', 'week', 'quarter'])} FROM {d()})::int",
            lambda: f"({d()} - {d()})",
            lambda: f"mod({e()}, 7)",
            lambda: f"({self.expression('bool', scope, depth)})::int",
            lambda: f"round({self.expression('numeric', scope, depth)})::int",
        ])()

    def make_bigint(self, scope, depth):
        e = lambda: self.expression("bigint", scope, depth)
        return self.rng.choice([
            lambda: f"({e()} + {self.expression('int', scope, depth)})",
            lambda: f"({e()} - {e()})",
            lambda: f"({e()} % 1000 * 2)",
            lambda: f"({e()} / nullif({e()}, 0))",
            lambda: f"{self.expression('int', scope, depth)}::bigint",
        ])()

    def make_numeric(self, scope, depth):
        e = lambda: self.expression("numeric", scope, depth)
        return self.rng.choice([
            lambda: f"({e()} + {e()})",
            lambda: f"({e()} - {self.expression('int', scope, depth)})",
            lambda: f"(round({e()}, 1) * 2)",
            lambda: f"round({e()} / nullif({e()}, 0), 3)",
            lambda: f"abs({e()})",
            lambda: f"floor({e()})",
            lambda: f"ceil({e()})",
            lambda: f"trunc({e()}, 1)",
            lambda: f"{self.expression('int', scope, depth)}::numeric(12,2)",
        ])()

    def make_text(self, scope, depth):
        e = lambda: self.expression("text", scope, depth)
        n = lambda: self.rng.choice(["0", "1", "2", "3", "(-1)"])
        return self.rng.choice([
            lambda: f"({e()} || {e()})",
            lambda: f"upper({self.ascii()})",
            lambda: f"lower({self.ascii()})",
            lambda: f"substr({e()}, {n()}, 2)",
            lambda: f"substring({e()} FROM 2)",
            lambda: f"left({e()}, {n()})",
            lambda: f"right({e()}, {n()})",
            lambda: f"replace({e()}, 'a', {e()})",
            lambda: f"lpad({e()}, 4, '.')",
            lambda: f"trim({e()})",
            lambda: f"reverse({e()})",
            lambda: f"repeat({e()}, 2)",
            lambda: f"concat({e()}, {self.expression('int', scope, depth)}, {e()})",
            lambda: f"split_part({e()}, '_', 1)",
            lambda: f"{self.expression('int', scope, depth)}::text",
            lambda: f"{self.expression('date', scope, depth)}::text",
            lambda: f"{self.expression('bool', scope, depth)}::text",
            lambda: f"translate({e()}, 'ab', 'b')",
            lambda: f"regexp_replace({e()}, '[ab]+', '<\\\\&>'{self.rng.choice(REGEX_FLAGS)})",
            lambda: f"substring({e()} FROM '{self.rng.choice(['^.', 'a(.)', '[0-9]+'])}')",
            lambda: f"format('%s|%5s|%L', {e()}, {self.expression('int', scope, depth)}, {e()})",
            lambda: f"quote_ident({e()})",
            lambda: f"overlay({e()} PLACING 'Q' FROM 2)",
            lambda: f"to_char({self.expression('timestamp', scope, depth)}, '{self.rng.choice(TIME_PATTERNS)}')",
            lambda: f"age({self.expression('date', scope, depth)}, {self.expression('date', scope, depth)})::text",
            lambda: f"json_build_object('k', {self.expression(self.rng.choice(TYPES), scope, depth)}, 'l', {e()})::text",
            lambda: f"(json_build_array({e()}, {self.expression('int', scope, depth)}) ->> 0)",
        ])()

    def ascii(self):
        return f"'{self.rng.choice(['a', 'Bolt', 'NUT x', ''])}'"

    def make_bool(self, scope, depth):
        rng = self.rng
        kind = rng.choice(TYPES)
        e = lambda k=kind: self.expression(k, scope, depth)
        b = lambda: self.expression("bool", scope, depth)
        op = rng.choice(["=", "<>", "<", "<=", ">", ">="])
        return rng.choice([
            lambda: f"({e()} {op} {e()})",
            lambda: f"({e('int')} {op} {e('numeric')})",
            lambda: f"({b()} AND {b()})",
            lambda: f"({b()} OR {b()})",
            lambda: f"(NOT {b()})",
            lambda: f"({e()} IS {rng.choice(['', 'NOT '])}NULL)",
            lambda: f"({e()} IS {rng.choice(['', 'NOT '])}DISTINCT FROM {e()})",
            lambda: f"({e()} {rng.choice(['', 'NOT '])}IN ({e()}, {e()}))",
            lambda: f"({e()} BETWEEN {e()} AND {e()})",
            lambda: f"({e('text')} LIKE '{rng.choice(['%', 'a%', '_b%', '%t', '50!%', 'x~_y'])}')",
            lambda: f"({e('text')} {rng.choice(['~', '~*', '!~', '!~*'])} '{rng.choice(['a', '^b', 'T$', 'a|z', '[0-9]', 'a.?b', '^$'])}')",
            lambda: f"({e('text')} {rng.choice(['', 'NOT '])}SIMILAR TO '{rng.choice(['a%', '(a|b)+', '%[0-9]%', '_'])}')",
            lambda: f"({b()} IS {rng.choice(['', 'NOT '])}{rng.choice(['TRUE', 'FALSE', 'UNKNOWN'])})",
            lambda: self.subquery_test(scope, op),
        ])()

    def subquery_test(self, scope, op):
        rng = self.rng
        table = rng.choice(self.tables)
        name, kind = rng.choice([c for c in table.columns if c[1] != "bool"])
        where = self.expression("bool", [("s", table.columns)] + scope[:1], DEPTH_MAX - 1)
        inner = f"FROM {table.name} s WHERE {where}"
        left = self.expression(kind, scope, DEPTH_MAX)
        return rng.choice([
            f"EXISTS (SELECT 1 {inner})",
            f"({left} IN (SELECT s.{name} {inner}))",
            f"({left} NOT IN (SELECT s.{name} {inner}))",
            f"({left} {op} ANY (SELECT s.{name} {inner}))",
            f"({left} {op} ALL (SELECT s.{name} {inner}))",
        ])

    def make_date(self, scope, depth):
        return self.rng.choice([
            lambda: f"({self.expression('date', scope, depth)} + {self.rng.randint(0, 400)})",
            lambda: f"({self.expression('date', scope, depth)} - 31)",
            lambda: f"{self.expression('timestamp', scope, depth)}::date",
        ])()

    def make_timestamp(self, scope, depth):
        e = self.expression("timestamp", scope, depth)
        return self.rng.choice([
            f"({e} + INTERVAL '{self.rng.choice(['1 day', '1 month', '90 minutes', '1 year -3 days'])}')",
            f"date_trunc('{self.rng.choice(['century', 'decade', 'year', 'month', 'week', 'day', 'hour'])}', {e})",
            f"({self.expression('date', scope, depth)})::timestamp",
        ])

    # statements: (text, whether the order of the rows is fixed)

    def statement(self):
        kinds = [
            (30, self.plain), (16, self.joined), (14, self.grouped), (8, self.set_operation), (8, self.windowed),
            (4, self.common_table), (3, self.distinct_on), (2, self.recursive), (3, self.grouping_sets),
            (8, self.insert), (8, self.update), (4, self.delete), (8, self.wrong),
        ]
        make = self.rng.choices([k for _, k in kinds], [w for w, _ in kinds])[0]
        return make()

    def selected(self, scope, count=None):
        items, kinds = [], []
        for place in range(count or self.rng.randint(1, 4)):
            kind = self.rng.choice(TYPES)
            items.append(f"{self.expression(kind, scope)} AS o{place}")
            kinds.append(kind)
        return items, kinds

    def order(self, count, last_first):
        directions = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]
        places = range(count, 0, -1) if last_first else range(1, count + 1)
        return " ORDER BY " + ", ".join(f"{n}{self.rng.choice(directions)}" for n in places)

    def tail(self, count, last_first=False):
        if self.rng.random() < 0.4:
            return "", False
        limit = self.rng.choice(["", f" LIMIT {self.rng.randint(0, 9)}", f" LIMIT 5 OFFSET {self.rng.randint(0, 9)}",
                                 " FETCH FIRST 3 ROWS ONLY"])
        return self.order(count, last_first) + limit, True

    def plain(self):
        table = self.rng.choice(self.tables)
        scope = [("a", table.columns)]
        items, _ = self.selected(scope)
        distinct = self.rng.choice(["", "", "DISTINCT "])
        tail, ordered = self.tail(len(items))
        where = f" WHERE {self.expression('bool', scope)}" if self.rng.random() < 0.7 else ""
        return f"SELECT {distinct}{', '.join(items)} FROM {table.name} a{where}{tail}", ordered

    def joined(self):
        one, two = self.rng.choice(self.tables), self.rng.choice(self.tables)
        scope = [("a", one.columns), ("b", two.columns)]
        items, _ = self.selected(scope)
        join = self.rng.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        condition = "a.id = b.id" + ("" if join == "FULL JOIN" else f" AND {self.expression('bool', scope, 2)}")
        if self.rng.random() < 0.2:
            join, on = "JOIN", "USING (id)"
        else:
            on = f"ON {condition}"
        tail, ordered = self.tail(len(items))
        where = f" WHERE {self.expression('bool', scope, 1)}" if self.rng.random() < 0.5 else ""
        return f"SELECT {', '.join(items)} FROM {one.name} a {join} {two.name} b {on}{where}{tail}", ordered

    def aggregate(self, scope):
        n = self.expression(self.rng.choice(NUMBERS), scope, 2)
        return self.rng.choice([
            "count(*)", f"count({n})", f"sum({n})", f"round(avg({n}), 6)", f"min({n})", f"max({n})", f"count(DISTINCT {n})",
            f"min({self.expression('text', scope, 2)})", f"max({self.expression('date', scope, 2)})",
            f"bit_or({self.expression('int', scope, 2)})", f"bit_and({self.expression('bigint', scope, 2)})",
            f"json_agg({self.expression(self.rng.choice(TYPES), scope, 2)} ORDER BY a.id)::text",
            f"bool_or({self.expression('bool', scope, 2)})", f"bool_and({self.expression('bool', scope, 2)})",
            f"sum({n}) FILTER (WHERE {self.expression('bool', scope, 2)})",
            f"string_agg({self.expression('text', scope, 2)}, ',' ORDER BY {self.expression('text', scope, 3)}, a.id)",
        ])

    def grouped(self):
        table = self.rng.choice(self.tables)
        scope = [("a", table.columns)]
        key = self.expression(self.rng.choice(TYPES), scope, 1)
        items = [f"{key} AS k"] + [f"{self.aggregate(scope)} AS o{n}" for n in range(self.rng.randint(1, 3))]
        having = f" HAVING count(*) {self.rng.choice(['>', '<'])} {self.rng.randint(1, 4)}" if self.rng.random() < 0.3 else ""
        where = f" WHERE {self.expression('bool', scope, 1)}" if self.rng.random() < 0.4 else ""
        if self.rng.random() < 0.3:
            items, group = items[1:], ""
        else:
            group = f" GROUP BY {self.rng.choice(['1', 'k'])}"
        # Aggregates first, or the group's key, which leaves nothing for them to order.
        tail, ordered = self.tail(len(items), last_first=self.rng.random() < 0.5)
        return f"SELECT {', '.join(items)} FROM {table.name} a{where}{group}{having}{tail}", ordered

    def set_operation(self):
        kinds = [self.rng.choice(TYPES) for _ in range(self.rng.randint(1, 3))]
        sides = []
        for _ in range(2):
            table = self.rng.choice(self.tables)
            scope = [("a", table.columns)]
            items = ", ".join(f"{self.expression(kind, scope, 1)} AS o{n}" for n, kind in enumerate(kinds))
            sides.append(f"SELECT {items} FROM {table.name} a WHERE {self.expression('bool', scope, 2)}")
        word = self.rng.choice(["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"])
        tail, ordered = self.tail(len(kinds))
        return f"{sides[0]} {word} {sides[1]}{tail}", ordered

    def windowed(self):
        table = self.rng.choice(self.tables)
        scope = [("a", table.columns)]
        n = self.expression(self.rng.choice(("int", "bigint", "numeric")), scope, 2)
        x = self.expression(self.rng.choice(TYPES), scope, 2)
        call = self.rng.choice([
            "row_number()", "rank()", "dense_rank()", "ntile(3)", f"lag({x})", f"lead({x}, 2)", f"first_value({x})",
            f"last_value({x})", f"nth_value({x}, 2)", f"sum({n})", f"round(avg({n}), 6)", "count(*)", f"min({n})", f"max({n})",
        ])
        frame = self.rng.choice(["", "", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", " ROWS UNBOUNDED PRECEDING",
                                 " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", " GROUPS 1 PRECEDING"])
        partition = f"PARTITION BY {self.expression(self.rng.choice(TYPES), scope, 2)} " if self.rng.random() < 0.5 else ""
        window = f"({partition}ORDER BY a.id{self.rng.choice(['', ' DESC'])}{frame})"
        if call.startswith("round("):
            call, after = call[len("round("):-len(", 6)")], ", 6)"
            item = f"round({call} OVER w{after}"
        else:
            item = f"{call} OVER w"
        return f"SELECT a.id, {item} AS o FROM {table.name} a WINDOW w AS {window} ORDER BY a.id", True

    def common_table(self):
        query, _ = self.plain()
        tail, ordered = self.tail(1)
        return f"WITH q AS ({query}) SELECT count(*), count(q.o0) FROM q{tail}", ordered

    def distinct_on(self):
        table = self.rng.choice(self.tables)
        name = self.rng.choice(table.columns[1:])[0]
        return f"SELECT DISTINCT ON (a.{name}) a.{name}, a.id FROM {table.name} a ORDER BY a.{name}, a.id DESC", True

    def recursive(self):
        top = self.rng.randint(3, 9)
        return (f"WITH RECURSIVE n(x, y) AS (SELECT 1, 'a' UNION ALL SELECT x + 1, y || 'b' FROM n WHERE x < {top}) "
                f"SELECT n.x, n.y, t.id FROM n LEFT JOIN {self.rng.choice(self.tables).name} t ON t.id = n.x * 3 ORDER BY n.x"), True

    def grouping_sets(self):
        table = self.rng.choice(self.tables)
        a, b = self.rng.sample([n for n, _ in table.columns[1:]], 2)
        sets = self.rng.choice([f"ROLLUP ({a}, {b})", f"CUBE ({a}, {b})", f"GROUPING SETS (({a}), ({b}), ())"])
        return (f"SELECT {a}, {b}, count(*), grouping({a}, {b}) AS g FROM {table.name} WHERE id < 12 "
                f"GROUP BY {sets} ORDER BY g, {a}, {b}"), True

    # writes

    def insert(self):
        table = self.rng.choice(self.tables)
        key = self.rng.randint(1, 60)
        names = [n for n, _ in table.columns]
        conflict = self.rng.choice(["", " ON CONFLICT DO NOTHING", " ON CONFLICT (id) DO NOTHING",
                                    f" ON CONFLICT (id) DO UPDATE SET {names[1]} = excluded.{names[1]}"])
        if self.rng.random() < 0.3:
            source = (f"SELECT a.id + {self.rng.randint(20, 40)}, "
                      + ", ".join(f"a.{n}" for n in names[1:]) + f" FROM {table.name} a WHERE a.id < {self.rng.randint(1, 30)}")
        else:
            source = "VALUES " + ", ".join(self.row(table, key + step) for step in range(self.rng.randint(1, 3)))
        return f"INSERT INTO {table.name} ({', '.join(names)}) {source}{conflict} RETURNING id, {names[1]}", False

    def update(self):
        table = self.rng.choice(self.tables)
        name, kind = self.rng.choice(table.columns[1:])
        scope = [("a", table.columns)]
        value = self.expression(kind, scope, 2)
        if kind in NUMBERS and kind != "numeric":
            value = f"({value}) % 1000"
        if kind == "text":
            value = f"left({value}, 12)"
        if kind == "numeric":
            value = f"least({value}, 900)"
        if self.rng.random() < 0.3:
            other = self.rng.choice([t for t in self.tables if t is not table])
            return f"UPDATE {table.name} a SET {name} = {value} FROM {other.name} b WHERE a.id = b.id AND b.id < 9 RETURNING a.id, a.{name}", False
        return f"UPDATE {table.name} a SET {name} = {value} WHERE {self.expression('bool', scope, 1)} RETURNING id, {name}", False

    def delete(self):
        table = self.rng.choice(self.tables)
        if self.rng.random() < 0.3:
            other = self.rng.choice([t for t in self.tables if t is not table])
            return f"DELETE FROM {table.name} a USING {other.name} b WHERE a.id = b.id AND b.id > 20 RETURNING a.id", False
        return f"DELETE FROM {table.name} a WHERE a.id > 24 AND {self.expression('bool', [('a', table.columns)], 1)} RETURNING id", False

    def wrong(self):
        table = self.rng.choice(self.tables)
        text = next((n for n, t in table.columns if t == "text"), "id")
        return self.rng.choice([
            f"SELECT nothing FROM {table.name}", "SELECT * FROM nowhere", "SELECT 1 / 0", "SELECT 'x'::int", "SELECT 2147483647 + 1",
            f"SELECT id + 'a' FROM {table.name}", f"INSERT INTO {table.name} (id) VALUES (1)", f"INSERT INTO {table.name} (id) VALUES (NULL)",
            f"SELECT id, count(*) FROM {table.name}", f"SELECT FROM WHERE", f"SELECT sum({text}::text) FROM {table.name}",
            "SELECT DATE '2020-02-30'", "SELECT (SELECT 1 UNION SELECT 2)", f"SELECT nope({table.columns[0][0]}) FROM {table.name}",
            f"UPDATE {table.name} SET id = 1", "SELECT true + 1", "SELECT max(1) OVER (ORDER BY 1) WHERE count(*) > 1", "SELECT 1 UNION SELECT 1, 2",
            "SELECT 1 LIMIT -1", "SELECT 'a' = 1", "SELECT 40000::smallint", "SELECT id FROM t0, t1", "SELECT CASE WHEN 1 THEN 2 END",
        ]), False
