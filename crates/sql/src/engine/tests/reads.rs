//! Readers: committed states only, proofs now and of older heights, audits.

use stele_core::Type;
use stele_core::Value;
use stele_core::key::encode_key;
use stele_core::row::row_hash;
use stele_core::tree::{TableProof, state_root};

use super::support::*;
use crate::engine::EngineError;

fn key(id: i64) -> Vec<u8> {
    encode_key(&[(Type::BigInt, &int(id))]).unwrap()
}

fn filled(rows: i64) -> Ledger {
    fill(Ledger::in_memory(), rows)
}

fn fill(mut ledger: Ledger, rows: i64) -> Ledger {
    ledger.one(&[(CREATE, vec![])]);
    for first in (0..rows).step_by(50) {
        let statements: Vec<_> = (first..(first + 50).min(rows))
            .map(|id| (INSERT, vec![int(id), Value::Null, int(0)]))
            .collect();
        assert!(ledger.one(&statements).is_success());
    }
    ledger
}

#[test]
fn readers_see_committed_states_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = fill(Ledger::at(directory.path().join("state.db")), 3);
    let (readers, account) = (ledger.engine.readers(), ledger.account());
    let count = |expected: usize, height: u64| {
        let (result, at) = readers.query(account, SELECT_ALL, &[]).unwrap();
        assert_eq!((result.rows.len(), at), (expected, height));
        assert_eq!(result.tag, format!("SELECT {expected}"));
    };
    count(3, 2);
    let insert = ledger.sign(&[(INSERT, vec![int(9), text("n"), int(1)])]);
    ledger.execute(std::slice::from_ref(&insert));
    count(3, 2);
    ledger.engine.rollback().unwrap();
    ledger.block(&[insert]);
    count(4, 3);
    let error = readers.query(account, DELETE_ALL, &[]).unwrap_err();
    assert!(
        matches!(&error, EngineError::Sql(error) if error.code.as_str() == "25006"),
        "{error}"
    );
    assert_eq!(
        readers.describe(account, SELECT, &[]).unwrap().parameters(),
        [Type::BigInt]
    );
}

#[test]
fn rows_are_proven_now_and_at_older_heights() {
    let mut ledger = filled(500);
    let roots = |ledger: &Ledger| (ledger.engine.meta().height, ledger.root());
    let mut past = vec![roots(&ledger)];
    for round in 0..6 {
        let statements: Vec<_> = match round {
            0 => vec![(ADD, vec![int(77), int(1)])],
            1 => vec![
                (DELETE, vec![int(78)]),
                (INSERT, vec![int(900), Value::Null, int(1)]),
            ],
            2 => vec![(ADD, vec![int(77), int(1)]), (DELETE, vec![int(900)])],
            3 => vec![(DROP, vec![]), (CREATE, vec![])],
            4 => vec![(INSERT, vec![int(77), Value::Null, int(5)])],
            _ => vec![(INSERT, vec![int(78), Value::Null, int(5)])],
        };
        assert!(ledger.one(&statements).is_success(), "{round}");
        past.push(roots(&ledger));
    }
    let snapshot = ledger.engine.readers().snapshot().unwrap();
    for (height, root) in past {
        let state = snapshot.at(height).unwrap();
        assert_eq!(
            state_root(SUITE, state.tables()).unwrap(),
            root,
            "height {height}"
        );
        for table in state
            .definitions()
            .iter()
            .filter(|table| table.name == "account")
        {
            let path = TableProof::new(SUITE, state.tables(), table.id)
                .unwrap()
                .unwrap();
            let entry = *path.verify(SUITE, table.id, &root).unwrap();
            for id in [0, 77, 78, 499, 900] {
                let row = state.encoded_row(table, &key(id));
                match state.prover(table.id).presence(&key(id)).unwrap() {
                    Some((hash, proof)) => {
                        proof
                            .verify(SUITE, table.id, &key(id), &hash, &entry.root)
                            .unwrap();
                        // A dropped table's rows are there until the window has passed.
                        assert_eq!(row_hash(SUITE, &row.unwrap().unwrap()), hash);
                    }
                    None => {
                        assert_eq!(row.unwrap(), None, "{height} {id}");
                        let proof = state.prover(table.id).absence(&key(id)).unwrap().unwrap();
                        proof
                            .verify(SUITE, table.id, &key(id), &entry.root)
                            .unwrap();
                    }
                }
            }
        }
    }
    assert!(matches!(
        snapshot.at(snapshot.height() + 1),
        Err(EngineError::OutsideWindow { .. })
    ));
}

#[test]
fn a4_an_edited_row_is_found_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut ledger = Ledger::at(path.clone());
    ledger.one(&[(CREATE, vec![])]);
    for id in 0..100 {
        ledger.one(&[(INSERT, vec![int(id), text(format!("n{id}")), int(0)])]);
    }
    let root = ledger.root();
    let found = audit(&ledger);
    assert_eq!(
        (found.differences.len(), found.rows, found.state_root),
        (0, 100, root)
    );
    drop(ledger);
    let edit = |sql: &str| {
        let connection = rusqlite::Connection::open(&path).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1);
    };
    for (sql, back, what, id) in [
        (
            "UPDATE t1000 SET c3 = 1 WHERE c1 = 42",
            "UPDATE t1000 SET c3 = 0 WHERE c1 = 42",
            "changed",
            42,
        ),
        (
            "DELETE FROM t1000 WHERE c1 = 7",
            "INSERT INTO t1000 VALUES (7, 'n7', 0, 9, 0)",
            "removed",
            7,
        ),
        (
            "INSERT INTO t1000 VALUES (700, 'x', 0, 9, 0)",
            "DELETE FROM t1000 WHERE c1 = 700",
            "added",
            700,
        ),
        (
            // The first byte of the row hash, which stands behind the key, is turned into zero.
            "UPDATE _tree SET nodes = CAST(substr(nodes, 1, instr(nodes, x'8000000000000008') + 7) || x'00'
             || substr(nodes, instr(nodes, x'8000000000000008') + 9) AS BLOB)
             WHERE level = 0 AND instr(nodes, x'00088000000000000008') > 0",
            "",
            "changed",
            8,
        ),
    ] {
        edit(sql);
        let ledger = Ledger::at(path.clone());
        let found = audit(&ledger);
        let [difference] = found.differences.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(difference.table, "public.account");
        assert_eq!(difference.key, format!("id = {id}"));
        assert!(difference.what.contains(what), "{difference:?}");
        drop(ledger);
        if !back.is_empty() {
            edit(back);
        }
    }
}
