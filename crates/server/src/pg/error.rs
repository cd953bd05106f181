//! Errors of the server, and how a client sees the node's.

use std::io;
use std::net::SocketAddr;

use stele_core::outcome::Code;
use stele_node::{NodeError, Receipt};
use stele_sql::SqlError;
use thiserror::Error;

/// Why the PostgreSQL server cannot serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address can be reached from other machines.
    #[error(
        "PostgreSQL clients on {address} could come from other machines, and connections are not encrypted: give the listener a TLS certificate and key, or listen on 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// Where the server was to listen.
        address: SocketAddr,
    },
    /// The listening socket failed.
    #[error("the PostgreSQL port cannot be served: {0}")]
    Io(#[from] io::Error),
}

/// A node's error as a client sees it.
pub(crate) fn node_error(error: NodeError) -> SqlError {
    let message = error.to_string();
    match error {
        NodeError::Sql(error) => error,
        NodeError::Busy { .. } => SqlError::new("53300", message),
        NodeError::Duplicate { .. } => with_code(Code::DUPLICATE, message),
        NodeError::Expired => with_code(Code::EXPIRED, message),
        NodeError::NotFound { .. } => SqlError::new("42704", message),
        NodeError::Invalid(_) => SqlError::new("22023", message),
        NodeError::Transaction(_) => SqlError::new("25000", message),
        NodeError::Halted(_) => SqlError::new("57P03", message)
            .hint("Reads go on; `stele status` says what the node waits for."),
        NodeError::Unresolved { .. } => SqlError::new("08007", message).hint(
            "Do not send it again: it takes effect, wholly or not at all, once the node is mended and started. Look it up by its id then.",
        ),
        NodeError::Storage(_) | NodeError::Damaged(_) => SqlError::new("58030", message),
        NodeError::Stopping => stopping(),
    }
}

/// The node is stopping.
pub(crate) fn stopping() -> SqlError {
    SqlError::new(
        "57P01",
        "terminating connection due to administrator command",
    )
}

/// The failure a receipt tells of, if it does.
pub(crate) fn receipt_error(receipt: &Receipt) -> Option<SqlError> {
    if let Some(error) = &receipt.error {
        return Some(error.clone());
    }
    let code = receipt.outcome.code;
    (!code.is_success()).then(|| {
        let message = if code == Code::EXPIRED {
            "the transaction's time was more than 30 s from its block's: send it again"
        } else if code == Code::DUPLICATE {
            "the transaction is on the ledger already"
        } else {
            "the transaction failed"
        };
        with_code(code, message.to_owned())
    })
}

/// Nobody knows whether the transaction will be applied.
pub(crate) fn outcome_unknown(id: &stele_core::Hash) -> SqlError {
    SqlError::new(
        "08007",
        format!("the node stopped before the outcome of transaction {id} was known"),
    )
    .hint("Look it up by its id once the node runs again: it took effect wholly or not at all.")
}

/// The transaction waits for longer than a client should.
pub(crate) fn still_waiting(id: &stele_core::Hash) -> SqlError {
    SqlError::new(
        "08007",
        format!("transaction {id} still waits to be applied"),
    )
    .hint("Do not send it again: `stele status` says what the node waits for; it takes effect then, wholly or not at all.")
}

fn with_code(code: Code, message: String) -> SqlError {
    let mut error = SqlError::new("XX000", message);
    error.code = code;
    error
}

/// An error with its place moved by the characters that stand before its statement.
pub(crate) fn moved(mut error: SqlError, characters_before: u32) -> SqlError {
    error.position = error
        .position
        .map(|position| position.saturating_add(characters_before));
    error
}
