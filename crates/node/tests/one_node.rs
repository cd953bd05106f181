//! A node from the first start to a restart: what was written is there, provable, and unchanged.

mod common;

use common::{OPERATOR, must, receipt, rows, run, start, statement, try_start, with};
use stele_core::crypto::SecretKey;
use stele_core::proof::{Proven, Verifier};
use stele_core::transaction::{Payload, Transaction};
use stele_core::trust::Trust;
use stele_core::{AccountId, Value};
use stele_node::NodeError;

const TABLE: &str =
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, item VARCHAR(40) NOT NULL, price NUMERIC(10,2))";

#[test]
fn what_is_written_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(&node, &[TABLE]);
    must(
        &node,
        &["INSERT INTO orders VALUES (1, 'paper', 100), (2, 'ink', 12.5)"],
    );
    let before = node.status();
    let checkpoint = node.checkpoint().unwrap();
    assert_eq!(before.height, 2);
    node.stop();
    drop(node);

    let node = start(directory.path());
    let after = node.status();
    assert_eq!(after.height, 2);
    assert_eq!(after.state_root, before.state_root);
    assert_eq!(node.checkpoint().unwrap(), checkpoint);
    assert_eq!(
        rows(&node, "SELECT item FROM orders ORDER BY id"),
        [
            [Value::Text("paper".to_owned())],
            [Value::Text("ink".to_owned())]
        ]
    );
    must(&node, &["INSERT INTO orders VALUES (3, 'pen', 1)"]);
    assert_eq!(node.status().height, 3);
    node.stop();
}

#[test]
fn c1_everything_derived_is_made_again_from_the_segments() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(&node, &[TABLE]);
    for id in 0..20 {
        must(
            &node,
            &[&format!("INSERT INTO orders VALUES ({id}, 'item', {id})")],
        );
    }
    must(&node, &["UPDATE orders SET price = price + 1 WHERE id < 5"]);
    must(&node, &["DELETE FROM orders WHERE id = 7"]);
    let before = node.status();
    node.stop();
    drop(node);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("state.db") {
            std::fs::remove_file(path).unwrap();
        } else if name == "index" || name == "log" {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    let node = start(directory.path());
    let after = node.status();
    assert_eq!(
        (after.height, after.state_root),
        (before.height, before.state_root)
    );
    assert_eq!(
        rows(&node, "SELECT count(*) FROM orders"),
        [[Value::Int(19)]]
    );
    node.stop();
}

#[test]
fn a19_rows_gaps_ranges_and_transactions_are_proven_offline() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(&node, &[TABLE]);
    let written = must(
        &node,
        &["INSERT INTO orders VALUES (1, 'paper', 100), (3, 'ink', 12.5)"],
    );
    let trust: Trust = std::fs::read_to_string(directory.path().join("trust.txt"))
        .unwrap()
        .parse()
        .unwrap();
    let key = |id: &str| vec![id.to_owned()];
    let files = [
        node.prove_transaction(&written.id).unwrap(),
        node.prove_row("public", "orders", &key("1")).unwrap(),
        node.prove_row("public", "orders", &key("2")).unwrap(),
        node.prove_range("public", "orders", Some(&key("1")), None)
            .unwrap(),
    ];
    node.stop();
    drop(node);
    let mut verifier = Verifier::new(trust);
    let proven: Vec<Proven> = files
        .iter()
        .map(|file| verifier.verify(file.as_bytes()).unwrap())
        .collect();
    let [
        Proven::Transaction(transaction),
        Proven::Rows(row),
        Proven::Rows(gap),
        Proven::Rows(range),
    ] = proven.as_slice()
    else {
        panic!("other kinds: {proven:?}");
    };
    assert_eq!(transaction.entry.transaction, written.id);
    assert_eq!(transaction.outcome.rows_affected, 2);
    assert_eq!(row.rows.len(), 1);
    assert!(gap.rows.is_empty());
    assert_eq!(range.rows.len(), 2);
    assert_eq!(row.leaf.height, written.height);
}

#[test]
fn a3_a_failed_transaction_is_recorded_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(&node, &[TABLE]);
    must(&node, &["INSERT INTO orders VALUES (1, 'paper', 100)"]);
    let root = node.status().state_root;
    for (sql, code) in [
        ("INSERT INTO orders VALUES (1, 'again', 1)", "23505"),
        ("INSERT INTO orders VALUES (2, NULL, 1)", "23502"),
        ("INSERT INTO orders VALUES (2, 'x', 'abc')", "22P02"),
        ("INSERT INTO nowhere VALUES (1)", "42P01"),
        ("UPDATE orders SET price = price / 0", "22012"),
    ] {
        let failed = run(&node, &["INSERT INTO orders VALUES (9, 'first', 1)", sql]);
        assert_eq!(
            failed.outcome.code.as_str(),
            code,
            "{sql}: {:?}",
            failed.error
        );
        assert_eq!(node.status().state_root, root, "{sql}");
        let proof = node.prove_transaction(&failed.id).unwrap();
        let trust = Trust::of_genesis(node.genesis());
        assert!(Verifier::new(trust).verify(proof.as_bytes()).is_ok());
    }
    node.stop();
}

#[test]
fn a3_another_account_may_not_touch_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(&node, &[TABLE]);
    node.keys()
        .create("mallory", &stele_flow::Runtime::real())
        .unwrap();
    let refused = receipt(
        node.write(
            "mallory",
            Payload::Statements(vec![statement("DELETE FROM orders")]),
        )
        .unwrap(),
    );
    assert_eq!(refused.outcome.code.as_str(), "42501");
    node.stop();
}

#[test]
fn transactions_signed_elsewhere_are_checked_before_they_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    let suite = node.suite();
    let key = SecretKey::from_seed(&[3; 32]);
    let make = |nonce: u8| Transaction {
        ledger: node.ledger(),
        account: AccountId::of_key(suite, &key.public()),
        nonce: [nonce; 16],
        time_us: node.now_us(),
        expiry_us: node.now_us() + 60_000_000,
        seed: [0; 16],
        expected_versions: Vec::new(),
        payload: Payload::Statements(vec![with("SELECT $1::int", vec![Value::Int(1)])]),
    };
    let good = make(1).sign(suite, &key);
    let accepted = receipt(node.submit(good.clone()).unwrap());
    assert!(accepted.outcome.code.is_success(), "{:?}", accepted.error);
    assert!(matches!(
        node.submit(good),
        Err(NodeError::Duplicate { known: Some(_), .. })
    ));

    let mut forged = make(2).sign(suite, &key);
    forged.signature.0[5] ^= 1;
    assert!(matches!(
        node.submit(forged),
        Err(NodeError::Transaction(_))
    ));
    let mut elsewhere = make(3);
    elsewhere.ledger.0[0] ^= 1;
    let elsewhere = elsewhere.sign(suite, &key);
    assert!(matches!(
        node.submit(elsewhere),
        Err(NodeError::Transaction(_))
    ));
    let mut late = make(4);
    late.time_us -= 120_000_000;
    late.expiry_us = late.time_us + 1;
    assert!(matches!(
        node.submit(late.sign(suite, &key)),
        Err(NodeError::Expired)
    ));
    let mut stranger = make(5);
    stranger.account = AccountId([9; 32]);
    let stranger = stranger.sign(suite, &key);
    assert!(
        matches!(node.submit(stranger), Err(NodeError::Sql(error)) if error.code.as_str() == "28000")
    );
    node.stop();
}

#[test]
fn b3_records_are_any_bytes_and_come_back_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    let long: Vec<u8> = (0..16 * 1024 * 1024u32)
        .map(|n| (n >> 8) as u8 ^ n as u8)
        .collect();
    for bytes in [&b""[..], b"\0", b"line\nline\r\n", b"\xff\xfe", &long] {
        let pending = node.append_record(OPERATOR, bytes).unwrap();
        let id = pending.id;
        let placed = receipt(pending);
        assert!(placed.outcome.code.is_success());
        let by_id = node.record(&id).unwrap();
        assert_eq!(by_id.place, Some((placed.height, placed.index)));
        assert!(by_id.bytes == bytes, "{} bytes differ", bytes.len());
        assert!(node.record_at(placed.height, placed.index).unwrap().bytes == bytes);
    }
    assert!(matches!(
        node.record_at(10_000, 0),
        Err(NodeError::NotFound { .. })
    ));
    assert!(matches!(
        node.record_at(1, 50),
        Err(NodeError::NotFound { .. })
    ));
    node.stop();
}

#[test]
fn a_second_node_on_the_same_directory_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    let error = try_start(directory.path()).err().unwrap().to_string();
    assert!(error.contains("process"), "{error}");
    assert!(
        error.contains(&directory.path().display().to_string()),
        "{error}"
    );
    node.stop();
    drop(node);
    start(directory.path()).stop();
}

#[test]
fn a_directory_of_another_version_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path()).stop();
    std::fs::write(
        directory.path().join("format"),
        "stele data directory, format 9\n",
    )
    .unwrap();
    let error = try_start(directory.path()).err().unwrap().to_string();
    assert!(
        error.contains("format 9") && error.contains("format 1"),
        "{error}"
    );
}

#[test]
fn a21_one_key_has_many_transactions_in_flight() {
    let directory = tempfile::tempdir().unwrap();
    let node = start(directory.path());
    must(&node, &[TABLE]);
    let pending: Vec<_> = (0..500)
        .map(|id| {
            let sql = "INSERT INTO orders VALUES ($1, 'x', 1)";
            let insert = with(sql, vec![Value::Int(id)]);
            node.write(OPERATOR, Payload::Statements(vec![insert]))
                .unwrap()
        })
        .collect();
    for pending in pending {
        assert!(receipt(pending).error.is_none());
    }
    assert_eq!(
        rows(&node, "SELECT count(*) FROM orders"),
        [[Value::Int(500)]]
    );
    assert!(node.status().height < 400, "transactions share blocks");
    node.stop();
}
