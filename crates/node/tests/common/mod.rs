//! A real node in a directory of its own.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use futures::executor::block_on;
use stele_core::Value;
use stele_core::transaction::{Payload, Statement};
use stele_flow::Runtime;
use stele_node::{Node, NodeConfig, NodeError, Pending, Receipt};

/// The operator's key.
pub const OPERATOR: &str = "operator";

/// Starts a node on a directory.
pub fn start(directory: &Path) -> Node {
    try_start(directory).unwrap()
}

/// Starts a node on a directory, or says why not.
pub fn try_start(directory: &Path) -> Result<Node, NodeError> {
    let config = NodeConfig {
        directory: directory.to_owned(),
        origin: "example.org/test".to_owned(),
        ..NodeConfig::default()
    };
    Node::start(config, Runtime::real())
}

/// A statement without parameters.
pub fn statement(sql: &str) -> Statement {
    with(sql, Vec::new())
}

/// A statement with parameters.
pub fn with(sql: &str, parameters: Vec<Value>) -> Statement {
    Statement {
        sql: sql.to_owned(),
        parameters,
        result: None,
    }
}

/// Waits for a receipt.
pub fn receipt(pending: Pending) -> Receipt {
    block_on(pending.receipt).unwrap().unwrap()
}

/// Runs statements as one transaction of the operator, successful or not.
pub fn run(node: &Node, statements: &[&str]) -> Receipt {
    let statements = statements.iter().map(|sql| statement(sql)).collect();
    receipt(
        node.write(OPERATOR, Payload::Statements(statements))
            .unwrap(),
    )
}

/// Runs statements as one transaction of the operator, which must succeed.
pub fn must(node: &Node, statements: &[&str]) -> Receipt {
    let receipt = run(node, statements);
    assert!(
        receipt.error.is_none(),
        "{statements:?}: {:?}",
        receipt.error
    );
    receipt
}

/// The rows of a read by the operator.
pub fn rows(node: &Node, sql: &str) -> Vec<Vec<Value>> {
    let account = node.keys().find(OPERATOR).unwrap().account;
    node.query(account, sql, &[]).unwrap().result.rows
}
