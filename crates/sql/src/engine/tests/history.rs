//! Edited history and hidden columns are found by table, key and height (row A18).

use stele_core::outcome::BlockEffects;

use super::support::*;
use crate::engine::DIFFERENCES_MAX;

const NOTE: &str = "ALTER TABLE account ADD COLUMN note TEXT DEFAULT 'none'";
const DROP_NAME: &str = "ALTER TABLE account DROP COLUMN name";

/// Three rows of several versions, one deleted and there again, one written twice in a block; columns come and go.
fn written(ledger: &mut Ledger) -> Vec<BlockEffects> {
    let mut blocks = Vec::new();
    let mut block = |transactions: &[&[(&str, Vec<stele_core::Value>)]]| {
        let signed: Vec<_> = transactions.iter().map(|one| ledger.sign(one)).collect();
        let effects = ledger.block(&signed);
        for one in &effects.transactions {
            assert!(one.outcome.code.is_success(), "{one:?}");
        }
        blocks.push(effects);
    };
    let insert = |id| (INSERT, vec![int(id), text(format!("n{id}")), int(0)]);
    block(&[&[(CREATE, vec![])]]);
    block(&[&[insert(1)], &[insert(2), insert(3)]]);
    block(&[
        &[(ADD, vec![int(1), int(1)])],
        &[(ADD, vec![int(1), int(1)])],
    ]);
    block(&[
        &[(NOTE, vec![])],
        &[("UPDATE account SET note = 'x' WHERE id = 3", vec![])],
    ]);
    block(&[&[(DELETE, vec![int(2)])]]);
    block(&[&[(DROP_NAME, vec![])]]);
    block(&[&[("INSERT INTO account VALUES (2, 5, 'y')", vec![])]]);
    block(&[&[(ADD_ALL, vec![int(7)])]]);
    block(&[&[(
        PUT,
        vec![text("n"), text("k"), stele_core::Value::Bytes(vec![1])],
    )]]);
    blocks
}

#[test]
fn a18_whole_history_is_whole() {
    let mut ledger = Ledger::in_memory();
    let blocks = written(&mut ledger);
    let audit = audit_history(&ledger, &blocks);
    assert_eq!(audit.differences, []);
    let kept: u64 = ledger
        .engine
        .writer
        .query_row("SELECT count(*) FROM h1000", [], |row| row.get(0))
        .unwrap();
    // With the key and its namespace.
    assert_eq!((audit.versions, audit.rows), (kept, 5));
}

#[test]
fn a18_changed_history_is_found_by_table_key_and_height() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut ledger = Ledger::at(path.clone());
    let blocks = written(&mut ledger);
    drop(ledger);
    let whole = std::fs::read(&path).unwrap();
    for (sql, id, height, what) in [
        (
            "UPDATE h1000 SET c3 = 99 WHERE c1 = 3 AND _h = 2",
            3,
            2,
            "changed in the history",
        ),
        (
            "UPDATE h1000 SET _h = 1 WHERE c1 = 2 AND _h = 2",
            2,
            1,
            "changed in the history",
        ),
        (
            "UPDATE h1000 SET _x2 = 1 WHERE c1 = 2 AND _h2 = 5",
            2,
            5,
            "changed in the history",
        ),
        (
            "UPDATE h1000 SET _h2 = 7 WHERE c1 = 2 AND _h2 = 5",
            2,
            5,
            "changed in the history",
        ),
        (
            "DELETE FROM h1000 WHERE c1 = 1 AND _h = 3 AND _x = 0",
            1,
            3,
            "removed from the history",
        ),
        (
            "INSERT INTO h1000(c1, c3, c4, _h, _x, _h2, _x2) SELECT 9, c3, c4, _h, _x, _h2, _x2 FROM h1000 WHERE c1 = 2 AND _h2 = 5",
            9,
            2,
            "no block wrote",
        ),
        (
            "UPDATE t1000 SET _h = 3 WHERE c1 = 1",
            1,
            3,
            "hidden columns",
        ),
        (
            "UPDATE t1000 SET _x = 1 WHERE c1 = 2",
            2,
            8,
            "hidden columns",
        ),
        // Both versions of one content, each with the other's end: nothing but the order tells.
        (
            "UPDATE h1000 SET _x2 = 0, _h2 = 3 WHERE c1 = 1 AND _h = 3 AND _x = 0",
            1,
            3,
            "ends before it begins",
        ),
    ] {
        std::fs::write(&path, &whole).unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
        drop(connection);
        let audit = audit_history(&Ledger::at(path.clone()), &blocks);
        let [difference] = audit.differences.as_slice() else {
            panic!("{sql}: {:?}", audit.differences)
        };
        assert_eq!(difference.table, "public.account", "{sql}");
        assert_eq!(difference.key, format!("id = {id}"), "{sql}");
        assert_eq!(difference.height, Some(height), "{sql}: {difference:?}");
        assert!(difference.what.contains(what), "{sql}: {difference:?}");
    }
}

#[test]
fn a18_hidden_columns_no_transaction_can_have_written_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut ledger = Ledger::at(path.clone());
    let blocks = written(&mut ledger);
    drop(ledger);
    let whole = std::fs::read(&path).unwrap();
    for sql in [
        "UPDATE t1000 SET _x = -1 WHERE c1 = 1",
        "UPDATE h1000 SET _x = 4294967296 WHERE c1 = 3 AND _h = 2",
        "UPDATE h1000 SET _h2 = -5 WHERE c1 = 3 AND _h = 2",
    ] {
        std::fs::write(&path, &whole).unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
        drop(connection);
        let audit = audit_history(&Ledger::at(path.clone()), &blocks);
        let [difference] = audit.differences.as_slice() else {
            panic!("{sql}: {:?}", audit.differences)
        };
        assert!(
            difference.what.contains("hidden columns say"),
            "{sql}: {difference:?}"
        );
    }
}

#[test]
fn a18_a_history_wholly_forged_is_told_within_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut ledger = Ledger::at(path.clone());
    let create = ledger.sign(&[(CREATE, vec![])]);
    let mut blocks = vec![ledger.block(&[create])];
    for first in (0..2_000).step_by(500) {
        let rows: Vec<_> = (first..first + 500)
            .map(|id| (INSERT, vec![int(id), text(format!("n{id}")), int(0)]))
            .collect();
        let signed = ledger.sign(&rows);
        blocks.push(ledger.block(&[signed]));
    }
    let all = ledger.sign(&[(ADD_ALL, vec![int(1)])]);
    blocks.push(ledger.block(&[all]));
    assert_eq!(audit_history(&ledger, &blocks).differences, []);
    drop(ledger);
    let connection = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(
        connection.execute("UPDATE h1000 SET c3 = 5", []).unwrap(),
        2_000
    );
    drop(connection);
    let found = audit_history(&Ledger::at(path), &blocks).differences;
    assert!(
        (1..=DIFFERENCES_MAX).contains(&found.len()),
        "{}",
        found.len()
    );
}

#[test]
fn a18_the_history_of_a_key_is_looked_up_and_not_scanned() {
    let mut ledger = Ledger::in_memory();
    written(&mut ledger);
    let account = ledger.account();
    let plan = |sql: &str| {
        let readers = ledger.engine.readers();
        readers
            .explain(account, sql, crate::engine::ReadOptions::default())
            .unwrap()
    };
    for sql in [
        "SELECT * FROM stele_history('account') WHERE id = 1",
        "SELECT balance, _from_height, _from_index FROM stele_history('account') WHERE id = $1 ORDER BY _from_height DESC LIMIT 1",
    ] {
        let steps = plan(sql);
        // The rows and their history, each by the key.
        let searched = steps.iter().filter(|step| {
            step.contains("SEARCH account") && step.contains(" USING PRIMARY KEY (id=?")
        });
        assert_eq!(searched.count(), 2, "{sql}: {steps:?}");
    }
    let steps = plan("SELECT * FROM stele_history('account') WHERE balance = 1");
    assert!(
        steps.iter().any(|step| step.contains("SCAN account")),
        "{steps:?}"
    );
}
