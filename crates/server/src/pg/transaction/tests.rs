use super::*;

const BOUNDS: Bounds = Bounds {
    statements_max: 3,
    previews_max: 2,
};

fn statement(sql: &str) -> Statement {
    Statement {
        sql: sql.to_owned(),
        parameters: Vec::new(),
        result: None,
    }
}

fn open() -> Transaction {
    Transaction::new(true, false, 1, [0; 16])
}

fn texts(transaction: &Transaction) -> Vec<&str> {
    transaction
        .statements()
        .iter()
        .map(|statement| statement.sql.as_str())
        .collect()
}

#[test]
fn rollback_to_forgets_what_came_after() {
    let mut transaction = open();
    transaction.push(statement("a"), false, BOUNDS).unwrap();
    transaction.savepoint("s".into()).unwrap();
    transaction.push(statement("b"), true, BOUNDS).unwrap();
    transaction.mark_answered();
    assert!(transaction.changes_schema());
    transaction.rollback_to("s").unwrap();
    assert_eq!(texts(&transaction), ["a"]);
    assert_eq!(transaction.answered(), 1);
    assert!(!transaction.changes_schema());
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
    transaction.push(statement("a"), false, BOUNDS).unwrap();
    transaction.savepoint("s".into()).unwrap();
    transaction.push(statement("b"), false, BOUNDS).unwrap();
    transaction.rollback_to("s").unwrap();
    assert_eq!(texts(&transaction), ["a"]);
    transaction.release("s").unwrap();
    transaction.rollback_to("s").unwrap();
    assert!(texts(&transaction).is_empty());
}

#[test]
fn a_failed_transaction_keeps_what_a_savepoint_needs() {
    let mut transaction = open();
    transaction.push(statement("a"), false, BOUNDS).unwrap();
    transaction.savepoint("s".into()).unwrap();
    transaction.push(statement("b"), false, BOUNDS).unwrap();
    transaction.fail(1);
    assert!(transaction.is_failed());
    transaction.rollback_to("s").unwrap();
    assert!(!transaction.is_failed());
    assert_eq!(texts(&transaction), ["a"]);
}

#[test]
fn bounds_hold() {
    let mut transaction = open();
    for _ in 0..BOUNDS.statements_max {
        transaction.push(statement("a"), false, BOUNDS).unwrap();
    }
    let error = transaction.push(statement("a"), false, BOUNDS).unwrap_err();
    assert_eq!(error.code.as_str(), "54000");
    let mut transaction = open();
    let long = statement(&"x".repeat(TRANSACTION_LEN_MAX));
    assert_eq!(
        transaction
            .push(long, false, BOUNDS)
            .unwrap_err()
            .code
            .as_str(),
        "54000"
    );
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
