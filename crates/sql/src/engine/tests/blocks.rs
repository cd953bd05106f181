//! Blocks: outcomes, effects, and what failing transactions leave behind.

use stele_core::outcome::{Change, Code};
use stele_core::row::decode_row;
use stele_core::transaction::Payload;

use super::support::*;

#[test]
fn a_block_gives_outcomes_and_net_changes_in_key_order() {
    let mut ledger = Ledger::in_memory();
    assert_eq!(ledger.one(&[(CREATE, vec![])]), Code::SUCCESS);
    let first = ledger.sign(&[
        (INSERT, vec![int(3), text("c"), int(30)]),
        (INSERT, vec![int(1), text("a"), int(10)]),
        (ADD, vec![int(1), int(5)]),
        (INSERT, vec![int(2), text("b"), int(20)]),
        (DELETE, vec![int(2)]),
    ]);
    let second = ledger.sign(&[(ADD_ALL, vec![int(1)])]);
    let effects = ledger.block(&[first, second]);
    let table = ledger
        .engine
        .catalogue()
        .table_named("public", "account")
        .unwrap()
        .clone();
    let changes: Vec<Vec<_>> = effects
        .transactions
        .iter()
        .map(|effects| {
            let rows = effects.changes.iter().map(|change| {
                let Change::Row(row) = change else { panic!() };
                let balance = |row: &Option<Vec<u8>>| {
                    row.as_ref()
                        .map(|row| decode_row(&table, row).unwrap().values[2].clone())
                };
                (balance(&row.before), balance(&row.after))
            });
            rows.collect()
        })
        .collect();
    let some = |n| Some(int(n));
    assert_eq!(changes[0], [(None, some(15)), (None, some(30))]);
    assert_eq!(changes[1], [(some(15), some(16)), (some(30), some(31))]);
    assert_eq!(effects.transactions[0].outcome.rows_affected, 5);
    assert_eq!(ledger.engine.table_version(table.id), Some((2, 1)));
}

#[test]
fn a3_a_failing_transaction_leaves_nothing_and_its_code_is_the_outcome() {
    let mut ledger = Ledger::in_memory();
    ledger.one(&[(CREATE, vec![])]);
    ledger.one(&[(INSERT, vec![int(1), text("a"), int(10)])]);
    let root = ledger.root();
    let twice = [
        (INSERT, vec![int(2), text("b"), int(0)]),
        (INSERT, vec![int(1), text("z"), int(0)]),
    ];
    assert_eq!(ledger.one(&twice).as_str(), "23505");
    assert_eq!(
        ledger
            .one(&[(INSERT, vec![int(9), text("a"), int(0)])])
            .as_str(),
        "23505"
    );
    assert_eq!(
        ledger
            .one(&[(INSERT, vec![int(9), text("q"), stele_core::Value::Null])])
            .as_str(),
        "23502"
    );
    assert_eq!(
        ledger
            .one(&[(INSERT, vec![text("x"), text("q"), int(0)])])
            .as_str(),
        "22P02"
    );
    assert_eq!(ledger.one(&[("SELEKT", vec![])]).as_str(), "42601");
    assert_eq!(ledger.one(&[(ADD, vec![int(1)])]).as_str(), "08P01");
    assert_eq!(ledger.root(), root);
    // A failed schema change leaves nothing either.
    let failing = [(DROP, vec![]), (ADD, vec![int(1), int(1)])];
    assert_eq!(ledger.one(&failing).as_str(), "42P01");
    assert_eq!(ledger.root(), root);
    assert_eq!(ledger.one(&[(ADD, vec![int(1), int(1)])]), Code::SUCCESS);
    assert_ne!(ledger.root(), root);
}

#[test]
fn records_succeed_without_changes() {
    let mut ledger = Ledger::in_memory();
    let root = ledger.root();
    let record = ledger.sign_payload(Payload::Record(vec![1, 2, 3]));
    let effects = ledger.block(&[record]);
    assert_eq!(effects.transactions[0].outcome.code, Code::SUCCESS);
    assert_eq!(ledger.root(), root);
}

#[test]
fn a_reopened_state_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut ledger = Ledger::at(path.clone());
    ledger.one(&[(CREATE, vec![])]);
    ledger.one(&[(INSERT, vec![int(1), text("a"), int(10)])]);
    let meta = ledger.engine.meta().clone();
    drop(ledger);
    let mut ledger = Ledger::at(path);
    assert_eq!(*ledger.engine.meta(), meta);
    assert_eq!(meta.cursor, 2u64.to_be_bytes());
    assert_eq!(ledger.one(&[(ADD, vec![int(1), int(1)])]), Code::SUCCESS);
}

#[test]
fn an_update_that_changes_nothing_is_no_change() {
    let mut ledger = Ledger::in_memory();
    ledger.one(&[(CREATE, vec![])]);
    ledger.one(&[(INSERT, vec![int(1), text("a"), int(10)])]);
    let signed = ledger.sign(&[(ADD, vec![int(1), int(0)])]);
    let effects = ledger.block(&[signed]);
    assert_eq!(effects.transactions[0].outcome.rows_affected, 1);
    assert!(effects.transactions[0].changes.is_empty());
    let table = ledger
        .engine
        .catalogue()
        .table_named("public", "account")
        .unwrap()
        .id;
    assert_eq!(ledger.engine.table_version(table), Some((2, 0)));
}

#[test]
fn a18_history_holds_each_superseded_version_once() {
    let mut ledger = Ledger::in_memory();
    ledger.one(&[(CREATE, vec![])]);
    ledger.one(&[(INSERT, vec![int(1), text("a"), int(10)])]);
    let block = [
        ledger.sign(&[(ADD, vec![int(1), int(1)]), (ADD, vec![int(1), int(1)])]),
        ledger.sign(&[(ADD, vec![int(1), int(100)])]),
        ledger.sign(&[(ADD, vec![int(1), int(5)]), ("SELEKT", vec![])]),
        ledger.sign(&[
            (DELETE, vec![int(1)]),
            (INSERT, vec![int(1), text("b"), int(7)]),
        ]),
    ];
    ledger.block(&block);
    ledger.one(&[(DELETE, vec![int(1)])]);
    ledger.one(&[(INSERT, vec![int(1), text("c"), int(1)])]);
    let versions: Vec<(i64, [i64; 4])> = ledger
        .engine
        .writer
        .prepare("SELECT c3, _h, _x, _h2, _x2 FROM h1000 ORDER BY _h, _x")
        .unwrap()
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
            ))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        versions,
        [
            (10, [2, 0, 3, 0]),
            (12, [3, 0, 3, 1]),
            (112, [3, 1, 3, 3]),
            (7, [3, 3, 4, 0]),
        ]
    );
}

#[test]
fn effects_and_roots_of_a_fixed_block_never_change() {
    let mut ledger = Ledger::in_memory();
    let genesis = ledger.root();
    let block = [
        ledger.sign(&[(CREATE, vec![]), (INSERT, vec![int(1), text("a"), int(10)])]),
        ledger.sign(&[
            (UPSERT, vec![int(1), text("z"), int(20)]),
            (INSERT, vec![int(2), text("é"), int(-1)]),
        ]),
        ledger.sign(&[(INSERT, vec![int(2), text("q"), int(0)])]),
        ledger.sign(&[(
            PUT,
            vec![
                text("space"),
                text("key"),
                stele_core::Value::Bytes(vec![0, 255]),
            ],
        )]),
    ];
    let effects = ledger.block(&block);
    let outcomes: Vec<String> = effects
        .transactions
        .iter()
        .map(|one| format!("{} {}", one.outcome.code, one.outcome.changes.to_hex()))
        .collect();
    let expected = include_str!("golden.txt");
    let found = format!(
        "{}\n{}\n{}\n",
        genesis.to_hex(),
        outcomes.join("\n"),
        effects.leaf.state_root.to_hex()
    );
    if std::env::var_os("STELE_WRITE_FIXTURES").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/tests/golden.txt");
        std::fs::write(path, &found).unwrap();
        return;
    }
    assert_eq!(found, expected);
}

#[test]
fn a_block_undone_and_executed_again_leaves_a_whole_tree() {
    let mut ledger = Ledger::in_memory();
    ledger.one(&[(CREATE, vec![])]);
    ledger.one(&[(INSERT, vec![int(1), text("a"), int(10)])]);
    let insert = ledger.sign(&[(INSERT, vec![int(2), text("b"), int(20)])]);
    // As when the disk is full while the block is kept.
    let insert = [insert];
    ledger.execute(&insert);
    ledger.engine.rollback().unwrap();
    ledger.block(&insert);
    assert_eq!(audit(&ledger).differences, []);
    assert_eq!(ledger.one(&[(ADD, vec![int(2), int(1)])]), Code::SUCCESS);
    assert_eq!(audit(&ledger).differences, []);
}

#[test]
fn b4_nothing_is_made_of_a_row_that_was_changed_behind_the_ledgers_back() {
    let forgeries = [
        "UPDATE t1000 SET c3 = 1000000 WHERE c1 = 1",
        "DELETE FROM t1000 WHERE c1 = 1",
        "INSERT INTO t1000 SELECT 3, 'z', 5, _height, _index FROM t1000 WHERE c1 = 1",
    ];
    let writes = [
        (ADD, vec![int(1), int(1)]),
        (INSERT, vec![int(1), text("q"), int(1)]),
        (DELETE, vec![int(3)]),
    ];
    for (forgery, write) in forgeries.into_iter().zip(writes) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let mut ledger = Ledger::at(path.clone());
        ledger.one(&[(CREATE, vec![])]);
        ledger.one(&[(INSERT, vec![int(1), text("a"), int(10)])]);
        drop(ledger);
        let outside = rusqlite::Connection::open(&path).unwrap();
        let columns: Vec<String> = outside
            .prepare("SELECT name FROM pragma_table_info('t1000')")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let forgery = forgery
            .replace("_height", &columns[columns.len() - 2])
            .replace("_index", &columns[columns.len() - 1]);
        assert_eq!(outside.execute(&forgery, []).unwrap(), 1, "{forgery}");
        drop(outside);
        let mut ledger = Ledger::at(path);
        let signed = [ledger.sign(&[write])];
        let context = ledger.next();
        let refused = ledger.engine.execute(&context, &executable(&signed));
        let refused = refused.unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("public.account"), "{said}");
        assert!(said.contains("changed behind the ledger's back"), "{said}");
        assert!(said.contains("move it away and start again"), "{said}");
    }
}
