use stele_core::AccountId;
use stele_core::transaction::Statement;

use super::*;

const BOUNDS: Bounds = Bounds { previews_max: 2 };

fn statement(sql: &str) -> Statement {
    Statement {
        sql: sql.to_owned(),
        parameters: Vec::new(),
        result: None,
    }
}

fn open() -> Transaction {
    let open = OpenTransaction::new(AccountId::LEDGER, 1, [0; 16], 3);
    Transaction::new(true, false, open)
}

fn texts(transaction: &Transaction) -> Vec<&str> {
    transaction
        .open
        .statements()
        .iter()
        .map(|statement| statement.sql.as_str())
        .collect()
}

#[test]
fn rollback_to_forgets_what_came_after() {
    let mut transaction = open();
    transaction.open.push(statement("a"), None).unwrap();
    transaction.savepoint("s".into()).unwrap();
    transaction.open.push(statement("b"), None).unwrap();
    transaction.rollback_to("s").unwrap();
    assert_eq!(texts(&transaction), ["a"]);
    transaction.rollback_to("s").unwrap();
    transaction.release("s").unwrap();
    assert_eq!(
        transaction.rollback_to("s").unwrap_err().code.as_str(),
        "3B001"
    );
}

#[test]
fn the_newest_savepoint_of_a_name_counts() {
    let mut transaction = open();
    transaction.savepoint("s".into()).unwrap();
    transaction.open.push(statement("a"), None).unwrap();
    transaction.savepoint("s".into()).unwrap();
    transaction.open.push(statement("b"), None).unwrap();
    transaction.rollback_to("s").unwrap();
    assert_eq!(texts(&transaction), ["a"]);
    transaction.release("s").unwrap();
    transaction.rollback_to("s").unwrap();
    assert!(texts(&transaction).is_empty());
}

#[test]
fn a_failed_transaction_keeps_what_a_savepoint_needs() {
    let mut transaction = open();
    transaction.open.push(statement("a"), None).unwrap();
    transaction.savepoint("s".into()).unwrap();
    transaction.open.push(statement("b"), None).unwrap();
    transaction.fail(1);
    assert!(transaction.is_failed());
    transaction.rollback_to("s").unwrap();
    assert!(!transaction.is_failed());
    assert_eq!(texts(&transaction), ["a"]);
}

#[test]
fn bounds_hold() {
    let mut transaction = open();
    transaction.count_preview(BOUNDS).unwrap();
    transaction.count_preview(BOUNDS).unwrap();
    assert_eq!(
        transaction.count_preview(BOUNDS).unwrap_err().code.as_str(),
        "54000"
    );
    for _ in 0..SAVEPOINTS_MAX {
        transaction.savepoint("s".into()).unwrap();
    }
    assert_eq!(
        transaction.savepoint("s".into()).unwrap_err().code.as_str(),
        "54000"
    );
}
