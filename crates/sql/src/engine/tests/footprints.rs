//! What could go wrong: a preview leaves out a statement that another one's result follows from, or
//! fails to leave out those that matter to nothing.

use proptest::prelude::*;
use stele_core::transaction::Statement;
use tempfile::TempDir;

use super::previews::preview;
use super::support::*;
use crate::engine::result_digest;

const WORLD: &[&str] = &[
    "CREATE TABLE a (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)",
    "CREATE TABLE b (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)",
    "CREATE TABLE c (id BIGSERIAL PRIMARY KEY, v BIGINT NOT NULL)",
    "CREATE TABLE parent (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)",
    "CREATE TABLE child (id BIGINT PRIMARY KEY, of BIGINT REFERENCES parent ON DELETE CASCADE, v BIGINT)",
    "CREATE TABLE ruled (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)",
    "CREATE POLICY r ON ruled USING (v < (SELECT max(v) FROM b) + 100) WITH CHECK (v < (SELECT sum(v) FROM a) + 50)",
    "ALTER TABLE ruled ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE ruled FORCE ROW LEVEL SECURITY",
    "CREATE VIEW both_of AS SELECT a.id, a.v + b.v AS v FROM a JOIN b ON a.id = b.id",
    "CREATE PROCEDURE bump(n BIGINT) AS 'UPDATE a SET v = v + $1; UPDATE b SET v = v + 1' LANGUAGE SQL",
    "INSERT INTO a VALUES (1, 1), (2, 2)",
    "INSERT INTO b VALUES (1, 10), (2, 20)",
    "INSERT INTO parent VALUES (1, 1), (2, 2)",
    "INSERT INTO child VALUES (1, 1, 1), (2, 2, 2)",
    "INSERT INTO ruled VALUES (1, 1)",
];

const STATEMENTS: &[&str] = &[
    "UPDATE a SET v = v + 1 WHERE id = 1 RETURNING v",
    "UPDATE b SET v = v * 2 RETURNING v",
    "INSERT INTO a SELECT id + 10, v FROM b RETURNING *",
    "INSERT INTO b SELECT id + 20, v FROM a RETURNING *",
    "DELETE FROM a WHERE v > 3 RETURNING v",
    "INSERT INTO c (v) SELECT v FROM a RETURNING id, v",
    "SELECT count(*), sum(v) FROM c",
    "SELECT id, v FROM both_of ORDER BY id",
    "SELECT sum(v) FROM a",
    "SELECT sum(v) FROM b",
    "DELETE FROM parent WHERE id = 1",
    "SELECT count(*) FROM child",
    "UPDATE child SET v = v + 1 RETURNING v",
    "INSERT INTO ruled VALUES (7, (SELECT sum(v) FROM a)) RETURNING v",
    "UPDATE ruled SET v = v + 1 RETURNING v",
    "SELECT count(*) FROM ruled",
    "CALL bump(3)",
    "INSERT INTO a VALUES (50, (random() * 1000)::bigint) RETURNING v",
    "SELECT stele_table_version('a')",
    "SELECT stele_assert((SELECT sum(v) FROM a) < 60, 'too much')",
    "ALTER TABLE b ADD COLUMN w BIGINT DEFAULT 5",
    "SELECT nextval('c_id_seq')",
    "SELECT now()",
];

fn on_disk() -> (Ledger, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::at(directory.path().join("state.db"));
    for sql in WORLD {
        let code = ledger.one(&[(*sql, vec![])]);
        assert!(code.is_success(), "{sql}: {}", code.as_str());
    }
    (ledger, directory)
}

fn statement(sql: &str) -> Statement {
    super::previews::statement(sql, vec![])
}

/// Takes the connection.
fn displace(ledger: &mut Ledger) {
    let other = [statement("UPDATE a SET v = v + 1000")];
    assert!(preview(ledger, 99, &other, 0).failure.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_out_shows_in_no_result(
        lists in prop::collection::vec(prop::collection::vec(0..STATEMENTS.len(), 1..7), 12)
    ) {
        let (mut ledger, _directory) = on_disk();
        for (list, id) in lists.into_iter().zip(100u64..) {
            let mut all = Vec::new();
            for (place, chosen) in list.into_iter().enumerate() {
                all.push(statement(STATEMENTS[chosen]));
                // The whole list, with nothing before it that it could go on from.
                displace(&mut ledger);
                let whole = preview(&mut ledger, id + 1_000 * (1 + place as u64), &all, 0);
                displace(&mut ledger);
                let part = preview(&mut ledger, id, &all, place);
                let failed = whole.failure.is_some();
                prop_assert_eq!(
                    part.failure.map(|failure| (failure.place, failure.error.code)),
                    whole.failure.map(|failure| (failure.place, failure.error.code))
                );
                prop_assert_eq!(part.results.last(), whole.results.get(place));
                if failed {
                    all.pop();
                    break;
                }
                // Half of the time it goes on from what was kept.
                if place % 2 == 0 {
                    let again = preview(&mut ledger, id, &all, place);
                    prop_assert_eq!(again.results.last(), whole.results.get(place));
                }
            }
        }
    }
}

#[test]
fn only_statements_that_share_a_table_are_tried_again() {
    let (mut ledger, _directory) = on_disk();
    let mut list = vec![
        statement("SELECT sum(v) FROM b"),
        statement("UPDATE a SET v = v + 1 WHERE id = 1"),
    ];
    for (place, one) in list.iter_mut().enumerate() {
        let seen = preview(&mut ledger, 5 + place as u64, std::slice::from_ref(one), 0);
        one.result = Some(result_digest(SUITE, &seen.results[0]));
    }
    // What the first one read changes under it.
    let change = "UPDATE b SET v = v + 1";
    assert!(ledger.one(&[(change, vec![])]).is_success());
    list.push(statement("SELECT v FROM a WHERE id = 1"));
    let on_a = preview(&mut ledger, 1, &list, 2);
    assert!(on_a.failure.is_none(), "{:?}", on_a.failure);
    assert_eq!(on_a.results[0].rows, [[int(2)]]);
    // A statement that shares the table finds out, and so does the ledger.
    list.push(statement("SELECT max(v) FROM b"));
    let failure = preview(&mut ledger, 1, &list, 3).failure.unwrap();
    assert_eq!((failure.place, failure.error.code.as_str()), (0, "40001"));
    // Nor is anything left out when only the whole is asked for.
    list.truncate(3);
    displace(&mut ledger);
    let failure = preview(&mut ledger, 1, &list, 3).failure.unwrap();
    assert_eq!(failure.place, 0);
}
