//! What could go wrong: a transaction that is open for long is stored with other results than its
//! client was shown, or fails though nothing it has shown depends on the time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{OPERATOR, must, receipt, rows, statement};
use stele_core::Value;
use stele_flow::Runtime;
use stele_flow::sim::ManualClock;
use stele_node::{Node, NodeConfig, NodeError, OpenTransaction};

const NOW_US: i64 = 1_795_000_000_000_000;

struct Long {
    node: Node,
    clock: Arc<ManualClock>,
    _directory: tempfile::TempDir,
}

impl Long {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW_US));
        let config = NodeConfig {
            directory: directory.path().to_owned(),
            origin: "example.org/test".to_owned(),
            ..NodeConfig::default()
        };
        let runtime = Runtime {
            clock: clock.clone(),
            ..Runtime::real()
        };
        let node = Node::start(config, runtime).unwrap();
        must(
            &node,
            &[
                "CREATE TABLE a (id INT PRIMARY KEY, v INT, at TIMESTAMPTZ DEFAULT now())",
                "CREATE TABLE b (id INT PRIMARY KEY, v INT)",
                "INSERT INTO a (id, v) VALUES (1, 1)",
                "INSERT INTO b VALUES (1, 100)",
            ],
        );
        Self {
            node,
            clock,
            _directory: directory,
        }
    }

    /// Runs statements, waits, lets another one write, and commits: the code of what failed.
    fn run(&self, statements: &[&str], seconds: u64, other: Option<&str>) -> String {
        let node = &self.node;
        let account = node.keys().find(OPERATOR).unwrap().account;
        let mut open = OpenTransaction::new(account, node.now_us(), [7; 16], 100);
        for sql in statements {
            node.run_in(&mut open, statement(sql)).unwrap();
        }
        self.clock.advance_us(seconds * 1_000_000);
        if let Some(sql) = other {
            must(node, &[sql]);
        }
        match node.commit(OPERATOR, open) {
            Ok(pending) => receipt(pending).error.map_or_else(
                || "00000".to_owned(),
                |error| error.code.as_str().to_owned(),
            ),
            Err(NodeError::Sql(error)) => error.code.as_str().to_owned(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a12_no_update_is_lost_however_long_a_transaction_is_open() {
    let long = Long::start();
    let steps = [
        "SELECT v FROM b WHERE id = 1",
        "UPDATE b SET v = 101 WHERE id = 1",
        "UPDATE a SET at = now() WHERE id = 1",
    ];
    for seconds in [0, 4, 24, 26, 100] {
        let other = "UPDATE b SET v = v + 10 WHERE id = 1";
        assert_eq!(long.run(&steps, seconds, Some(other)), "40001", "{seconds}");
    }
    assert_eq!(rows(&long.node, "SELECT v FROM b"), [[Value::Int(150)]]);
    for seconds in [4, 26] {
        assert_eq!(long.run(&steps, seconds, None), "00000", "{seconds}");
    }
}

#[test]
fn a12_what_was_shown_is_what_is_stored() {
    let long = Long::start();
    // Up to 25 s the time stays what it was shown as.
    let shown = ["INSERT INTO a (id, v) VALUES (2, 2) RETURNING at"];
    assert_eq!(long.run(&shown, 24, None), "00000");
    assert_eq!(
        rows(&long.node, "SELECT at FROM a WHERE id = 2"),
        [[Value::Timestamp(NOW_US)]]
    );
    let shown = ["INSERT INTO a (id, v) VALUES (3, 3) RETURNING at"];
    assert_eq!(long.run(&shown, 26, None), "40001");
    let counted = ["DELETE FROM a WHERE at > now() - INTERVAL '60 seconds'"];
    assert_eq!(long.run(&counted, 90, None), "40001");
    // What nobody has seen gets the later time.
    let unseen = [
        "INSERT INTO a (id, v) VALUES (4, 4)",
        "SELECT v FROM a WHERE at <= now()",
    ];
    assert_eq!(long.run(&unseen, 26, None), "00000");
    assert_eq!(
        rows(
            &long.node,
            "SELECT count(*) FROM a WHERE id = 4 AND at > (SELECT at FROM a WHERE id = 2)"
        ),
        [[Value::Int(1)]]
    );
    assert_eq!(
        rows(&long.node, "SELECT count(*) FROM a"),
        [[Value::Int(3)]]
    );
}
