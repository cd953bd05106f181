//! What could go wrong: a preview that stays, that goes on from a state that is no more, or gives
//! another result than its block.

use stele_core::transaction::Statement;
use stele_core::{Hash, Value};
use tempfile::TempDir;

use super::support::*;
use crate::engine::{PreviewRequest, Previewed, result_digest};
use crate::result::StatementResult;

const ROOT: &str = "SELECT stele_state_root()";
const ADD_RETURNING: &str =
    "UPDATE account SET balance = balance + $2 WHERE id = $1 RETURNING balance";

/// A ledger on disk, where previews are kept, with accounts 0 to 2 of balance 0.
fn on_disk() -> (Ledger, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(directory.path().join("state.db"));
    (filled(ledger), directory)
}

fn filled(mut ledger: Ledger) -> Ledger {
    let mut statements = vec![(CREATE, vec![])];
    statements.extend((0..3).map(|id| (INSERT, vec![int(id), Value::Null, int(0)])));
    assert!(ledger.one(&statements).is_success());
    ledger
}

pub(super) fn statement(sql: &str, parameters: Vec<Value>) -> Statement {
    Statement {
        sql: sql.to_owned(),
        parameters,
        result: None,
    }
}

/// Previews the statements from a place on, under a name.
pub(super) fn preview(
    ledger: &mut Ledger,
    id: u64,
    statements: &[Statement],
    from: usize,
) -> Previewed {
    let request = PreviewRequest {
        id,
        account: ledger.account(),
        statements,
        from,
        extra: None,
        now_us: 5,
        seed: [0; 16],
        cancel: None,
    };
    ledger.engine.preview(&request).unwrap()
}

fn extra(ledger: &mut Ledger, id: u64, statements: &[Statement], sql: &str) -> Previewed {
    let extra = statement(sql, vec![]);
    let request = PreviewRequest {
        id,
        account: ledger.account(),
        statements,
        from: statements.len(),
        extra: Some(&extra),
        now_us: 5,
        seed: [0; 16],
        cancel: None,
    };
    ledger.engine.preview(&request).unwrap()
}

#[test]
fn previews_see_their_own_writes_and_leave_nothing() {
    let mut ledger = filled(Ledger::in_memory());
    let root = ledger.root();
    let steps = [
        statement(ADD, vec![int(1), int(7)]),
        statement(SELECT, vec![int(1)]),
        statement(DROP, vec![]),
    ];
    let previewed = preview(&mut ledger, 1, &steps, 0);
    assert!(previewed.failure.is_none());
    assert_eq!(previewed.results[1].rows, [[int(1), Value::Null, int(7)]]);
    let failing = [
        statement(ADD, vec![int(1), int(7)]),
        statement("SELEKT", vec![]),
        statement(ADD, vec![int(1), int(7)]),
    ];
    let previewed = preview(&mut ledger, 2, &failing, 0);
    assert_eq!(previewed.failure.unwrap().place, 1);
    assert_eq!(previewed.results.len(), 1);
    assert!(ledger.one(&[(ADD, vec![int(1), int(0)])]).is_success());
    assert_eq!(ledger.root(), root);
}

#[test]
fn a_preview_goes_on_and_starts_anew_when_others_came_between() {
    let (mut ledger, _directory) = on_disk();
    let all: Vec<Statement> = (0..6)
        .map(|_| statement(ADD_RETURNING, vec![int(1), int(1)]))
        .collect();
    let other = [statement(ADD, vec![int(1), int(100)])];
    for answered in 0..6 {
        match answered {
            // Another preview takes the connection, then a block changes the row.
            2 => assert!(preview(&mut ledger, 8, &other, 0).failure.is_none()),
            4 => assert!(ledger.one(&[(ADD, vec![int(1), int(1_000)])]).is_success()),
            _ => {}
        }
        let previewed = preview(&mut ledger, 7, &all[..=answered], answered);
        let before = if answered < 4 { 0 } else { 1_000 };
        assert_eq!(previewed.results.len(), 1);
        assert_eq!(
            previewed.results[0].rows,
            [[int(before + 1 + answered as i64)]]
        );
    }
    // What was seen at first is so no longer.
    let mut seen = all.clone();
    let old = StatementResult {
        rows: vec![vec![int(1)]],
        ..preview(&mut ledger, 9, &all[..1], 0).results.remove(0)
    };
    seen[0].result = Some(result_digest(SUITE, &old));
    let failure = preview(&mut ledger, 10, &seen, 5).failure.unwrap();
    assert_eq!((failure.place, failure.error.code.as_str()), (0, "40001"));
}

#[test]
fn an_extra_statement_leaves_no_trace() {
    let (mut ledger, _directory) = on_disk();
    let draw = statement(
        "INSERT INTO account VALUES (50, NULL, (random() * 1000000)::bigint) RETURNING balance",
        vec![],
    );
    let list = [statement(ADD, vec![int(1), int(1)]), draw];
    let plain = preview(&mut ledger, 1, &list, 0).results.remove(1);
    assert!(preview(&mut ledger, 2, &list[..1], 0).failure.is_none());
    assert!(
        extra(&mut ledger, 2, &list[..1], "SELECT random()")
            .failure
            .is_none()
    );
    assert_eq!(preview(&mut ledger, 2, &list, 1).results.remove(0), plain);
}

#[test]
fn c5_the_root_inside_a_preview_is_that_of_its_block() {
    let (mut ledger, _directory) = on_disk();
    let before = ledger.root();
    let list = [
        statement(ADD, vec![int(1), int(7)]),
        statement("INSERT INTO stele.kv VALUES ('n', 'k', 'v')", vec![]),
    ];
    let root = |previewed: Previewed| match previewed.results.last().unwrap().rows[0].as_slice() {
        [Value::Bytes(root)] => Hash(root.as_slice().try_into().unwrap()),
        other => panic!("{other:?}"),
    };
    assert_eq!(root(extra(&mut ledger, 1, &[], ROOT)), before);
    assert!(preview(&mut ledger, 1, &list[..1], 0).failure.is_none());
    let half = root(extra(&mut ledger, 1, &list[..1], ROOT));
    let foretold = root(extra(&mut ledger, 1, &list, ROOT));
    assert_eq!(root(extra(&mut ledger, 1, &list, ROOT)), foretold);
    assert!(half != before && foretold != half);
    let steps: Vec<_> = list
        .iter()
        .map(|statement| (statement.sql.as_str(), statement.parameters.clone()))
        .collect();
    assert_eq!(ledger.root(), before);
    assert!(ledger.one(&steps).is_success());
    assert_eq!(ledger.root(), foretold);
    // The ledger itself takes no statement that asks for it.
    assert_eq!(ledger.one(&[(ROOT, vec![])]).as_str(), "0A000");
}

#[test]
fn a_broken_rule_of_a_built_in_table_is_found_in_its_statement() {
    let (mut ledger, _directory) = on_disk();
    let list = [
        statement("INSERT INTO stele.kv VALUES ('n', 'k', 'v')", vec![]),
        statement(
            "INSERT INTO stele.kv_namespaces VALUES ('m', 'other', false)",
            vec![],
        ),
        statement(ADD, vec![int(1), int(1)]),
    ];
    let previewed = preview(&mut ledger, 1, &list, 0);
    let failure = previewed.failure.unwrap();
    assert_eq!((failure.place, failure.error.code.as_str()), (1, "42501"));
    assert!(preview(&mut ledger, 2, &list[..1], 0).failure.is_none());
}
