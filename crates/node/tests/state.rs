//! What the state is after any mix of good and bad transactions, and what its root binds.

mod common;

use std::collections::BTreeMap;

use common::{OPERATOR, must, receipt, rows, run, start, with};
use stele_core::Value;
use stele_core::proof::{Proven, Verifier};
use stele_core::transaction::Payload;
use stele_core::trust::Trust;

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

#[test]
fn a5_tables_and_rows_come_change_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(
        &node,
        &[
            "CREATE TABLE part (a INTEGER, b VARCHAR(10), n BIGINT DEFAULT 7, PRIMARY KEY (a, b), CHECK (n > 0), UNIQUE (n, a, b))",
        ],
    );
    must(
        &node,
        &["INSERT INTO part (a, b) VALUES (1, 'x'), (1, 'y'), (2, 'x')"],
    );
    assert_eq!(
        run(&node, &["INSERT INTO part VALUES (3, 'z', 0)"])
            .outcome
            .code
            .as_str(),
        "23514"
    );
    must(&node, &["UPDATE part SET n = n + a WHERE b = 'x'"]);
    must(&node, &["DELETE FROM part WHERE a = 1 AND b = 'y'"]);
    must(
        &node,
        &["INSERT INTO part VALUES (2, 'x', 1) ON CONFLICT (a, b) DO UPDATE SET n = part.n * 10"],
    );
    must(
        &node,
        &["INSERT INTO part VALUES (2, 'x', 1) ON CONFLICT DO NOTHING"],
    );
    assert_eq!(
        rows(&node, "SELECT a, b, n FROM part ORDER BY a, b"),
        [
            [Value::Int(1), text("x"), Value::Int(8)],
            [Value::Int(2), text("x"), Value::Int(90)],
        ]
    );
    let returned = must(
        &node,
        &["INSERT INTO part SELECT a + 10, b, n FROM part RETURNING a, n"],
    );
    assert_eq!(returned.results[0].rows.len(), 2);
    assert_eq!(returned.outcome.rows_affected, 2);
    must(
        &node,
        &[
            "CREATE TABLE kind (b VARCHAR(10) PRIMARY KEY, label TEXT NOT NULL)",
            "INSERT INTO kind VALUES ('x', 'cross')",
        ],
    );
    assert_eq!(
        rows(
            &node,
            "SELECT k.label, sum(p.n)::bigint, count(*) FROM part p JOIN kind k ON k.b = p.b GROUP BY k.label"
        ),
        [[text("cross"), Value::Int(196), Value::Int(4)]]
    );
    must(&node, &["CREATE INDEX part_n ON part (n)"]);
    must(&node, &["DROP INDEX part_n"]);
    must(&node, &["DROP TABLE kind"]);
    assert_eq!(
        run(&node, &["INSERT INTO kind VALUES ('y', '')"])
            .outcome
            .code
            .as_str(),
        "42P01"
    );
    node.stop();
}

#[test]
fn a6_a_transaction_over_tables_with_assertions_is_all_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(
        &node,
        &[
            "CREATE TABLE account (id INTEGER PRIMARY KEY, amount NUMERIC(12,2) CHECK (amount >= 0))",
        ],
    );
    must(
        &node,
        &["CREATE TABLE transfer (id INTEGER PRIMARY KEY, amount NUMERIC(12,2))"],
    );
    must(&node, &["INSERT INTO account VALUES (1, 100), (2, 0)"]);
    let root = node.status().state_root;
    for last in [
        "SELECT stele_assert((SELECT amount FROM account WHERE id = 2) = 999)",
        "UPDATE account SET amount = amount - 500 WHERE id = 1",
        "INSERT INTO transfer VALUES (1, 2)",
    ] {
        let failed = run(
            &node,
            &[
                "INSERT INTO transfer VALUES (1, 30)",
                "UPDATE account SET amount = amount - 30 WHERE id = 1",
                "UPDATE account SET amount = amount + 30 WHERE id = 2",
                last,
            ],
        );
        assert!(failed.error.is_some(), "{last}");
        assert_eq!(node.status().state_root, root, "{last}");
    }
    must(
        &node,
        &[
            "INSERT INTO transfer VALUES (1, 30)",
            "UPDATE account SET amount = amount - 30 WHERE id = 1",
            "UPDATE account SET amount = amount + 30 WHERE id = 2",
            "SELECT stele_assert((SELECT sum(amount) FROM account) = 100)",
            "SELECT stele_assert(EXISTS (SELECT 1 FROM transfer WHERE id = 1))",
        ],
    );
    node.stop();
}

#[test]
fn c5_the_root_binds_key_value_and_absence_and_is_loaded_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(
        &node,
        &["CREATE TABLE pair (k VARCHAR(10) PRIMARY KEY, v TEXT)"],
    );
    let mut seen = vec![node.status().state_root];
    let mut changed = |sql: &str| {
        must(&node, &[sql]);
        let root = node.status().state_root;
        assert!(
            !seen.contains(&root),
            "{sql} must give a root never seen before"
        );
        seen.push(root);
    };
    changed("INSERT INTO pair VALUES ('a', '1')");
    changed("INSERT INTO pair VALUES ('b', '1')");
    changed("UPDATE pair SET v = '2' WHERE k = 'a'");
    changed("UPDATE pair SET v = '' WHERE k = 'b'");
    changed("UPDATE pair SET v = NULL WHERE k = 'b'");
    let with_both = node.status().state_root;
    must(&node, &["INSERT INTO pair VALUES ('c', '3')"]);
    must(&node, &["DELETE FROM pair WHERE k = 'c'"]);
    assert_eq!(
        node.status().state_root,
        with_both,
        "history leaves no mark on the root"
    );
    let report = node.audit(1..=u64::MAX, true, &|_, _| {}).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    node.stop();
    drop(node);
    let node = start(directory.path());
    assert_eq!(node.status().state_root, with_both);
    node.stop();
}

#[test]
fn c8_a_random_mix_ends_as_a_sequential_oracle_says() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(
        &node,
        &["CREATE TABLE cell (id INTEGER PRIMARY KEY, v INTEGER CHECK (v < 50))"],
    );
    let mut oracle: BTreeMap<i64, i64> = BTreeMap::new();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut draw = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound) as i64
    };
    let mut pending = Vec::new();
    for _ in 0..400 {
        let mut next = oracle.clone();
        let mut fails = false;
        let mut statements = Vec::new();
        for _ in 0..1 + draw(3) {
            let (id, v) = (draw(20), draw(55));
            let parameters = vec![Value::Int(id), Value::Int(v)];
            match draw(3) {
                0 => {
                    fails |= next.contains_key(&id) || v >= 50;
                    next.insert(id, v);
                    statements.push(with("INSERT INTO cell VALUES ($1, $2)", parameters));
                }
                1 => {
                    if let Some(value) = next.get_mut(&id) {
                        fails |= v >= 50;
                        *value = v;
                    }
                    statements.push(with("UPDATE cell SET v = $2 WHERE id = $1", parameters));
                }
                _ => {
                    next.remove(&id);
                    statements.push(with("DELETE FROM cell WHERE id = $1", vec![Value::Int(id)]));
                }
            }
            if fails {
                break;
            }
        }
        if !fails {
            oracle = next;
        }
        let written = node
            .write(OPERATOR, Payload::Statements(statements))
            .unwrap();
        pending.push((written, fails));
    }
    for (written, fails) in pending {
        assert_eq!(receipt(written).error.is_some(), fails);
    }
    let found: BTreeMap<i64, i64> = rows(&node, "SELECT id, v FROM cell")
        .into_iter()
        .map(|row| match row.as_slice() {
            [Value::Int(id), Value::Int(v)] => (*id, *v),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, oracle);
    node.stop();
}

#[test]
fn a18_who_changed_a_cell_when_and_in_which_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(
        &node,
        &["CREATE TABLE price (id INTEGER PRIMARY KEY, amount INTEGER)"],
    );
    let first = must(&node, &["INSERT INTO price VALUES (1, 10)"]);
    let second = must(&node, &["UPDATE price SET amount = 20 WHERE id = 1"]);
    let third = must(&node, &["DELETE FROM price WHERE id = 1"]);
    let history = rows(
        &node,
        "SELECT amount, _from_height, _from_index, _to_height, _to_index FROM stele_history('price') WHERE id = 1 ORDER BY _from_height",
    );
    let place = |receipt: &stele_node::Receipt| {
        (
            Value::Int(receipt.height as i64),
            Value::Int(i64::from(receipt.index)),
        )
    };
    let ((h1, i1), (h2, i2), (h3, i3)) = (place(&first), place(&second), place(&third));
    assert_eq!(
        history,
        [
            [Value::Int(10), h1, i1, h2.clone(), i2.clone()],
            [Value::Int(20), h2, i2, h3, i3],
        ]
    );
    let proof = node.prove_transaction(&second.id).unwrap();
    let Proven::Transaction(proven) = Verifier::new(Trust::of_genesis(node.genesis()))
        .verify(proof.as_bytes())
        .unwrap()
    else {
        panic!("a transaction was proven");
    };
    assert_eq!(
        proven.signed.transaction.account,
        node.keys().find(OPERATOR).unwrap().account
    );
    assert_eq!(proven.entry.height, second.height);
    node.stop();
}

#[test]
fn c8_a_write_over_its_cost_bound_fails_alone() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(&node, &["CREATE TABLE big (a BIGINT PRIMARY KEY)"]);
    let endless = "INSERT INTO big SELECT g FROM generate_series(1, 100000000) AS g";
    let pending: Vec<_> = [
        "INSERT INTO big VALUES (-1)",
        endless,
        "INSERT INTO big VALUES (-2)",
        endless,
    ]
    .map(|sql| {
        node.write(OPERATOR, Payload::Statements(vec![with(sql, Vec::new())]))
            .unwrap()
    })
    .into_iter()
    .collect();
    let codes: Vec<String> = pending
        .into_iter()
        .map(|pending| receipt(pending).outcome.code.to_string())
        .collect();
    assert_eq!(codes, ["00000", "54000", "00000", "54000"]);
    assert_eq!(
        rows(&node, "SELECT a FROM big ORDER BY a"),
        [[Value::Int(-2)], [Value::Int(-1)]]
    );
    let account = node.keys().find(OPERATOR).unwrap().account;
    let statements = [
        with("INSERT INTO big VALUES (5)", Vec::new()),
        with(endless, Vec::new()),
    ];
    let mut open = stele_node::OpenTransaction::new(account, node.now_us(), [0; 16], 10);
    for statement in statements {
        open.push(statement, None).unwrap();
    }
    assert!(node.preview(&mut open, None).unwrap().failure.is_some());
    must(&node, &["INSERT INTO big VALUES (6)"]);
    let root = node.status().state_root;
    node.stop();
    drop(node);
    std::fs::remove_file(directory.path().join("state.db")).unwrap();
    let node = start(directory.path());
    assert_eq!(node.status().state_root, root);
    node.stop();
}
