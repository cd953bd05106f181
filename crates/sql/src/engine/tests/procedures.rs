//! What could go wrong: a procedure costs more than its transaction may, leaves something behind when it
//! fails, or does another thing on another engine.

use stele_core::outcome::Code;

use super::support::*;

const LOOP: &str = "CREATE PROCEDURE burn() LANGUAGE SQL AS $$ INSERT INTO account VALUES (1000, NULL, 0); \
    SELECT count(*) FROM account a, account b, account c, account d, account e; \
    SELECT count(*) FROM account a, account b, account c, account d, account e $$";

fn filled() -> Ledger {
    let mut ledger = Ledger::in_memory();
    let mut statements = vec![(CREATE, vec![])];
    statements.extend((0..60).map(|id| (INSERT, vec![int(id), stele_core::Value::Null, int(0)])));
    assert!(ledger.one(&statements).is_success());
    ledger
}

#[test]
fn a27_a_bound_that_is_passed_is_an_error_without_effect() {
    let mut ledger = filled();
    assert!(ledger.one(&[(LOOP, vec![])]).is_success());
    let call = ledger.sign(&[("CALL burn()", vec![])]);
    let effects = ledger.block(&[call]);
    let done = &effects.transactions[0];
    assert_eq!(done.outcome.code, Code::new("54000").unwrap());
    assert!(done.changes.is_empty());
    // Many statements, each cheap: what procedures run is counted, too.
    let ten = "CALL one(); ".repeat(10);
    for (name, body) in [
        (
            "one",
            "UPDATE account SET balance = 1 WHERE id = 1".to_owned(),
        ),
        ("ten", ten.clone()),
        ("hundred", ten.replace("one", "ten")),
        ("thousand", ten.replace("one", "hundred")),
        ("more", ten.replace("one", "thousand")),
    ] {
        let sql = format!("CREATE PROCEDURE {name}() LANGUAGE SQL AS $$ {body} $$");
        assert!(ledger.one(&[(&sql, vec![])]).is_success());
    }
    assert!(ledger.one(&[("CALL thousand()", vec![])]).is_success());
    let call = ledger.sign(&[("CALL more()", vec![])]);
    let effects = ledger.block(&[call]);
    assert_eq!(
        effects.transactions[0].outcome.code,
        Code::new("54000").unwrap()
    );
    assert!(effects.transactions[0].changes.is_empty());
}

#[test]
fn a27_engines_agree_and_a_new_version_holds_from_its_height_on() {
    let first = "CREATE PROCEDURE add(what BIGINT, at BIGINT) LANGUAGE SQL AS $$ \
        UPDATE account SET balance = balance + what, name = session_user || random() WHERE id = at; \
        ASSERT (SELECT count(*) FROM account) = 60 $$";
    let second = "CREATE OR REPLACE PROCEDURE add(what BIGINT, at BIGINT) LANGUAGE SQL AS $$ \
        UPDATE account SET balance = balance + 2 * what WHERE id = at $$";
    let mut roots = Vec::new();
    for _ in 0..2 {
        let mut ledger = filled();
        let (call, values) = ("CALL add($1, $2)", vec![int(5), int(7)]);
        assert!(ledger.one(&[(first, vec![])]).is_success());
        let before = ledger.sign(&[(call, values.clone())]);
        let change = ledger.sign(&[(second, vec![])]);
        let after = ledger.sign(&[(call, values)]);
        let effects = ledger.block(&[before, change, after]);
        for done in &effects.transactions {
            assert!(done.outcome.code.is_success(), "{}", done.outcome.code);
        }
        let readers = ledger.engine.readers();
        let (seen, _) = readers.query(ledger.account(), SELECT, &[int(7)]).unwrap();
        assert_eq!(seen.rows[0][2], int(15));
        roots.push(ledger.root());
    }
    assert_eq!(roots[0], roots[1]);
}
