"""Grants over the wire: several users of one node, each with a connection of its own (A7)."""

import json

import psycopg

from stele_node import NodeCase, stele

DENIED = "42501"


class Rights(NodeCase):
    """What each of four users may do, before and after each GRANT and REVOKE."""

    OPERATIONS = {
        "select": "SELECT id FROM matrix",
        "insert": "INSERT INTO matrix (id) VALUES ((SELECT 0) - %d)",
        "update": "UPDATE matrix SET a = 1",
        "delete": "DELETE FROM matrix",
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("bob", "carol"):
            made = stele("keys", "new", name, "--dir", cls.node.directory)
            assert made.returncode == 0, made.stderr

    def setUp(self):
        super().setUp()
        self.owner = self.node.connect()
        self.bob = self.node.connect(user="bob")
        self.carol = self.node.connect(user="carol")
        for connection in (self.owner, self.bob, self.carol):
            self.addCleanup(connection.close)
        self.next = 1

    def may(self, connection):
        """The operations that a user may do on the table."""
        allowed = set()
        for operation, sql in self.OPERATIONS.items():
            self.next += 1
            try:
                connection.execute(sql.replace("%d", str(self.next)))
                allowed.add(operation)
            except psycopg.errors.Error as error:
                self.assertEqual(error.sqlstate, DENIED, error)
        return allowed

    def test_a7_matrix_of_users_and_operations(self):
        owner, every = self.owner, set(self.OPERATIONS)
        owner.execute("DROP TABLE IF EXISTS matrix")
        owner.execute("CREATE TABLE matrix (id BIGINT PRIMARY KEY, a INT)")
        self.assertEqual(self.may(owner), every)
        self.assertEqual(self.may(self.bob), set())
        for operation in every:
            owner.execute(f"GRANT {operation} ON matrix TO bob")
            self.assertEqual(self.may(self.bob), {operation})
            self.assertEqual(self.may(self.carol), set())
            owner.execute(f"REVOKE {operation} ON matrix FROM bob")
            self.assertEqual(self.may(self.bob), set())
        owner.execute("GRANT ALL ON matrix TO PUBLIC")
        self.assertEqual(self.may(self.carol), every)
        # What was said of bob himself overrides what everyone may.
        self.assertEqual(self.may(self.bob), set())
        owner.execute("GRANT SELECT, DELETE ON matrix TO bob")
        self.assertEqual(self.may(self.bob), {"select", "delete"})
        owner.execute("REVOKE ALL ON matrix FROM PUBLIC")
        self.assertEqual(self.may(self.carol), set())
        self.assertEqual(self.may(self.bob), {"select", "delete"})

    def test_a7_definitions_are_the_owners_alone(self):
        self.owner.execute("DROP TABLE IF EXISTS owned")
        self.owner.execute("CREATE TABLE owned (id BIGINT PRIMARY KEY)")
        self.owner.execute("GRANT ALL ON owned TO bob")
        definitions = (
            "ALTER TABLE owned ADD COLUMN b INT",
            "CREATE INDEX ON owned (id)",
            "COMMENT ON TABLE owned IS 'x'",
            "GRANT SELECT ON owned TO carol",
            "ALTER TABLE owned OWNER TO bob",
            "DROP TABLE owned",
        )
        for sql in definitions:
            with self.assertRaises(psycopg.errors.InsufficientPrivilege, msg=sql):
                self.bob.execute(sql)
        self.owner.execute("ALTER TABLE owned OWNER TO bob")
        for sql in definitions[:4]:
            self.bob.execute(sql)
            with self.assertRaises(psycopg.errors.InsufficientPrivilege, msg=sql):
                self.owner.execute(sql)

    def test_a7_a_revocation_reaches_an_open_transaction(self):
        self.owner.execute("DROP TABLE IF EXISTS late")
        self.owner.execute("CREATE TABLE late (id BIGINT PRIMARY KEY)")
        self.owner.execute("GRANT INSERT ON late TO bob")
        with self.node.connect(user="bob", autocommit=False) as bob:
            bob.execute("INSERT INTO late VALUES (1)")
            self.owner.execute("REVOKE INSERT ON late FROM bob")
            with self.assertRaises(psycopg.errors.InsufficientPrivilege):
                bob.commit()
        self.assertEqual(self.owner.execute("SELECT count(*) FROM late").fetchone(), (0,))

    def test_numbers_of_a_sequence_and_a_foreign_key_over_the_wire(self):
        self.owner.execute("DROP TABLE IF EXISTS child, parent")
        self.owner.execute("CREATE TABLE parent (id SERIAL PRIMARY KEY, name TEXT)")
        self.owner.execute("CREATE TABLE child (id SERIAL PRIMARY KEY, parent INT REFERENCES parent)")
        with self.node.connect(autocommit=False) as session:
            (parent,) = session.execute("INSERT INTO parent (name) VALUES ('a') RETURNING id").fetchone()
            self.assertEqual(session.execute("SELECT currval('parent_id_seq')").fetchone(), (parent,))
            session.execute("INSERT INTO child (parent) VALUES (%s)", (parent,))
            session.commit()
        self.assertEqual(self.owner.execute("SELECT nextval('parent_id_seq')").fetchone(), (2,))
        self.assertEqual(self.owner.execute("SELECT nextval('parent_id_seq')").fetchone(), (3,))
        with self.assertRaises(psycopg.errors.ForeignKeyViolation) as failed:
            self.owner.execute("DELETE FROM parent")
        self.assertEqual(failed.exception.diag.constraint_name, "child_parent_fkey")
        # Two transactions are shown the same number; one of them commits.
        one = self.node.connect(autocommit=False)
        other = self.node.connect(autocommit=False)
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        sql = "INSERT INTO parent (name) VALUES ('b') RETURNING id"
        self.assertEqual(one.execute(sql).fetchone(), other.execute(sql).fetchone())
        one.commit()
        with self.assertRaises(psycopg.errors.SerializationFailure):
            other.commit()

    def test_a8_policies_over_the_wire(self):
        """Rows of others are hidden in every way a client has to ask for rows."""
        owner, bob, carol = self.owner, self.bob, self.carol
        owner.execute("DROP TABLE IF EXISTS note")
        owner.execute("CREATE TABLE note (id BIGINT PRIMARY KEY, author TEXT, body TEXT)")
        owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON note TO PUBLIC")
        owner.execute("ALTER TABLE note ENABLE ROW LEVEL SECURITY")
        owner.execute("CREATE POLICY own ON note USING (author = current_user) SET (author = current_user)")
        owner.execute("CREATE POLICY carols ON note FOR SELECT TO carol USING (body LIKE 'open%')")
        bob.execute("INSERT INTO note VALUES (1, 'somebody', 'open to carol'), (2, NULL, 'of bob')")
        owner.execute("INSERT INTO note VALUES (3, 'owner', 'secret')")
        self.assertEqual(bob.execute("SELECT id FROM note ORDER BY id").fetchall(), [(1,), (2,)])
        self.assertEqual(carol.execute("SELECT id FROM note").fetchall(), [(1,)])
        self.assertEqual(carol.execute("UPDATE note SET body = 'x'").rowcount, 0)
        self.assertEqual(carol.execute("DELETE FROM note").rowcount, 0)
        with bob.cursor().copy("COPY note TO STDOUT") as copy:
            self.assertNotIn(b"secret", b"".join(bytes(part) for part in copy))
        with bob.cursor().copy("COPY note (id, author, body) FROM STDIN") as copy:
            copy.write("4\tcarol\tcopied\n")
        self.assertEqual(bob.execute("SELECT count(*) FROM note WHERE id = 4").fetchone(), (1,))
        self.assertEqual(carol.execute("SELECT count(*) FROM note WHERE id = 4").fetchone(), (0,))
        for past in ("stele_history('note')", "stele_changes('note')", "note FOR SYSTEM_TIME AS OF 1000000"):
            with self.subTest(past=past):
                rows = str(carol.execute(f"SELECT * FROM {past.replace('1000000', self.height())}").fetchall())
                self.assertNotIn("secret", rows)
                self.assertNotIn("of bob", rows)
        # A transaction that stays open sees and is checked for the same.
        with self.node.connect(user="bob", autocommit=False) as session:
            self.assertEqual(session.execute("SELECT count(*) FROM note").fetchone(), (3,))
            with self.assertRaises(psycopg.errors.InsufficientPrivilege) as failed:
                session.execute("UPDATE note SET author = 'eve' WHERE id = 1")
            self.assertIn("violates row-level security policy", str(failed.exception))
        shown = self.node.psql(r"\d note", "--pset=tuples_only=off").stdout
        self.assertIn("POLICY \"own\"", shown)
        self.assertIn("POLICY \"carols\" FOR SELECT", shown)
        policies = owner.execute("SELECT policyname, cmd, qual FROM pg_policies WHERE tablename = 'note' ORDER BY 1")
        self.assertEqual(
            policies.fetchall(),
            [("carols", "SELECT", "(body LIKE 'open%')"), ("own", "ALL", "(author = current_user)")],
        )

    def height(self):
        return str(self.node.json("/v1/status")["height"])

    def test_a8_proofs_are_for_those_who_read_all(self):
        owner, bob = self.owner, self.bob
        owner.execute("DROP TABLE IF EXISTS proven")
        owner.execute("CREATE TABLE proven (id BIGINT PRIMARY KEY, author TEXT)")
        owner.execute("INSERT INTO proven VALUES (1, 'x')")
        path = "/v1/tables/public/proven/"
        questions = [path + "proof?key=1", path + "proof?key=2", path + "range-proof?from=1"]

        def answers(name):
            return [self.node.http("GET", f"{question}&as={name}")[0] for question in questions]

        self.assertEqual(answers("operator"), [200] * 3)
        self.assertEqual(answers("bob"), [403] * 3)
        owner.execute("GRANT SELECT ON proven TO bob")
        self.assertEqual(answers("bob"), [200] * 3)
        bob.execute("SELECT stele_proof('proven', 1)")
        owner.execute("ALTER TABLE proven ENABLE ROW LEVEL SECURITY")
        owner.execute("CREATE POLICY p ON proven USING (true)")
        self.assertEqual(answers("bob"), [403] * 3)
        for sql in ("SELECT stele_proof('proven', 1)", "SELECT stele_range_proof('proven', 1, 2)"):
            with self.assertRaises(psycopg.errors.InsufficientPrivilege):
                bob.execute(sql)
        self.assertEqual(answers("operator"), [200] * 3)
        # A transaction's proof holds its statements.
        changes = "SELECT _transaction FROM stele_changes('proven') ORDER BY _height DESC LIMIT 1"
        (other,) = owner.execute(changes).fetchone()
        bob.execute("CREATE TABLE IF NOT EXISTS bobs (id BIGINT PRIMARY KEY)")
        bob.execute("INSERT INTO bobs VALUES (1)")
        (own,) = bob.execute(changes.replace("proven", "bobs")).fetchone()
        proof = "SELECT stele_transaction_proof(%s)"
        self.assertIn("c2sp.org/tlog-proof", bob.execute(proof, (own,)).fetchone()[0])
        with self.assertRaises(psycopg.errors.InsufficientPrivilege):
            bob.execute(proof, (other,))
        owner.execute("ALTER TABLE proven DISABLE ROW LEVEL SECURITY")
        bob.execute(proof, (other,))

    def test_a6_assert_statements(self):
        """A row exists, how many there are, what a value is: all tables or none."""
        owner = self.owner
        owner.execute("DROP TABLE IF EXISTS stock, sold")
        owner.execute("CREATE TABLE stock (id BIGINT PRIMARY KEY, left_over INT)")
        owner.execute("CREATE TABLE sold (id BIGINT PRIMARY KEY, stock BIGINT)")
        owner.execute("INSERT INTO stock VALUES (1, 1)")

        def sell(number):
            with self.node.connect(autocommit=False) as session:
                session.execute("ASSERT EXISTS (SELECT 1 FROM stock WHERE id = 1), 'there is no stock 1'")
                session.execute("INSERT INTO sold VALUES (%s, 1)", (number,))
                session.execute("UPDATE stock SET left_over = left_over - 1 WHERE id = 1")
                session.execute("ASSERT (SELECT left_over FROM stock WHERE id = 1) >= 0, 'none are left'")
                session.commit()

        sell(1)
        with self.assertRaises(psycopg.errors.AssertFailure) as failed:
            sell(2)
        self.assertIn("none are left", str(failed.exception))
        self.assertEqual(owner.execute("SELECT left_over, (SELECT count(*) FROM sold) FROM stock").fetchall(), [(0, 1)])
        with self.assertRaises(psycopg.errors.AssertFailure):
            owner.execute("INSERT INTO sold VALUES (3, 1); ASSERT (SELECT count(*) FROM sold) = 1")
        self.assertEqual(owner.execute("SELECT count(*) FROM sold").fetchone(), (1,))
        self.assertEqual(self.node.sql("ASSERT 1 = 1; INSERT INTO sold VALUES (4, 1)")[0], 200)
        self.assertEqual(owner.execute("ASSERT true").statusmessage, "ASSERT")

    def test_a27_a_table_is_reached_by_a_procedure_only(self):
        owner, bob, carol = self.owner, self.bob, self.carol
        owner.execute("DROP TABLE IF EXISTS purse")
        owner.execute("CREATE TABLE purse (holder VARCHAR(100) PRIMARY KEY, coins BIGINT CHECK (coins >= 0))")
        owner.execute("""
            CREATE OR REPLACE PROCEDURE pay(receiver VARCHAR(100), amount BIGINT) LANGUAGE SQL AS $$
                ASSERT amount > 0, 'an amount is positive';
                ASSERT EXISTS (SELECT 1 FROM purse WHERE holder = session_user), 'the payer has no purse';
                UPDATE purse SET coins = coins - amount WHERE holder = session_user;
                INSERT INTO purse VALUES (receiver, amount) ON CONFLICT (holder) DO UPDATE SET coins = purse.coins + excluded.coins
            $$""")
        name = {}
        for user, connection in (("bob", bob), ("carol", carol)):
            (name[user],) = connection.execute("SELECT session_user").fetchone()
        owner.execute("INSERT INTO purse VALUES (%s, 10)", (name["bob"],))
        with self.assertRaises(psycopg.errors.InsufficientPrivilege):
            bob.execute("CALL pay(%s, 1)", (name["carol"],))
        owner.execute("GRANT EXECUTE ON PROCEDURE pay TO PUBLIC")
        self.assertEqual(bob.execute("CALL pay(%s, 3)", (name["carol"],)).statusmessage, "CALL")
        with self.assertRaises(psycopg.errors.AssertFailure):
            bob.execute("CALL pay(%s, -3)", (name["carol"],))
        with self.assertRaises(psycopg.errors.CheckViolation):
            carol.execute("CALL pay(receiver => %s, amount => 4)", (name["bob"],))
        for connection in (bob, carol):
            for sql in ("SELECT * FROM purse", "UPDATE purse SET coins = 100", "DELETE FROM purse"):
                with self.assertRaises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(sql)
        body = json.dumps({"sql": f"CALL pay('{name['carol']}', 2)", "key": "bob"})
        answer = self.node.http("POST", "/v1/sql", body, {"Content-Type": "application/json"})
        self.assertEqual(answer[0], 200, answer[2])
        # In an open transaction, with what else it writes: all or nothing.
        with self.node.connect(user="bob", autocommit=False) as session:
            session.execute("CALL pay(%s, 1)", (name["carol"],))
            session.rollback()
            session.execute("CALL pay(%s, 1)", (name["carol"],))
            session.commit()
        purses = owner.execute("SELECT coins FROM purse ORDER BY holder = %s", (name["carol"],)).fetchall()
        self.assertEqual(purses, [(4,), (6,)])
        writers = owner.execute("SELECT DISTINCT _account FROM stele_changes('purse') WHERE _operation = 'UPDATE'").fetchall()
        self.assertEqual(writers, [(name["bob"],)])
        self.assertIn("pay", self.node.psql(r"\df pay").stdout)
