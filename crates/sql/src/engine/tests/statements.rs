//! What only the whole engine shows: the authoriser, the log of rows, the cost bound.

use stele_core::Value;
use stele_core::outcome::Code;

use super::support::*;

fn ledger() -> Ledger {
    let mut ledger = Ledger::in_memory();
    ledger.one(&[(CREATE, vec![])]);
    ledger
}

#[test]
fn an_upsert_meets_each_row_once() {
    let mut ledger = ledger();
    let upsert = |values: &str| {
        format!(
            "INSERT INTO account (id, balance) VALUES {values} ON CONFLICT (id) DO UPDATE SET balance = excluded.balance"
        )
    };
    let twice = upsert("(1, 10), (1, 20)");
    assert_eq!(ledger.one(&[(&twice, vec![])]).as_str(), "21000");
    let once = upsert("(1, 10), (2, 20)");
    assert_eq!(ledger.one(&[(&once, vec![])]), Code::SUCCESS);
    assert_eq!(ledger.one(&[(&twice, vec![])]).as_str(), "21000");
    // Two statements of a transaction may.
    let again = ledger.one(&[(&once, vec![]), (&once, vec![])]);
    assert_eq!(again, Code::SUCCESS);
    // What its WHERE leaves alone is not changed, so it may be met again.
    let spared = format!("{twice} WHERE account.balance < 0");
    assert_eq!(ledger.one(&[(&spared, vec![])]), Code::SUCCESS);
}

#[test]
fn rows_are_counted_without_reading_a_column() {
    let mut ledger = ledger();
    for sql in [
        "SELECT count(*) FROM generate_series(1, 10)",
        "WITH a AS (SELECT 1 AS x), b AS (SELECT 2) SELECT count(*) FROM a, b",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT count(*) FROM n",
    ] {
        assert_eq!(ledger.one(&[(sql, vec![])]), Code::SUCCESS, "{sql}");
    }
}

#[test]
fn a_parameter_may_hold_an_array() {
    let mut ledger = ledger();
    ledger.one(&[(
        "INSERT INTO account (id, balance) VALUES (1, 1), (2, 2), (3, 3)",
        vec![],
    )]);
    let delete =
        "DELETE FROM account WHERE id = ANY ($1) AND stele_assert(balance <> ALL ($2::bigint[]))";
    let parameters = vec![text("{1,3}"), text("{2,NULL}")];
    assert_eq!(ledger.one(&[(delete, parameters)]).as_str(), "P0004");
    let parameters = vec![text("{1,3}"), text("{2}")];
    assert_eq!(ledger.one(&[(delete, parameters)]), Code::SUCCESS);
    let left = "SELECT stele_assert(count(*) = 1) FROM account WHERE id <> ALL ($1)";
    assert_eq!(ledger.one(&[(left, vec![text("{}")])]), Code::SUCCESS);
    assert_eq!(ledger.one(&[(left, vec![text("{1")])]).as_str(), "22P02");
    assert_eq!(ledger.one(&[(left, vec![Value::Null])]).as_str(), "P0004");
}

#[test]
fn endless_recursion_ends_at_the_cost_bound() {
    let mut ledger = ledger();
    let endless =
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT count(*) FROM n";
    assert_eq!(ledger.one(&[(endless, vec![])]).as_str(), "54000");
}
