//! The closed list: which failures are outcomes.

use rusqlite::{Error, ErrorCode};

use super::error::EngineError;
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::function::error_from_sqlite;

/// SQLSTATE of an internal error.
const INTERNAL_ERROR: &str = "XX000";

/// How a statement failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// An outcome: recorded, the same on every node.
    Outcome(SqlError),
    /// An outcome with which SQLite undid the whole block: it does so when a statement that writes is
    /// interrupted, as one over its cost bound is. The block is executed again without it.
    Swept(SqlError),
    /// This node's own trouble: undoes the block, never recorded.
    Engine(EngineError),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Outcome(error)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl Failure {
    /// Sorts a SQLite failure of a user's statement. Only what follows from statement and state alone
    /// is an outcome: constraints, errors raised by our functions, values over SQLite's fixed bounds,
    /// and text that SQLite itself refuses to prepare.
    pub(super) fn of_statement(error: Error, catalogue: &Catalogue) -> Self {
        let (code, text) = match &error {
            Error::SqliteFailure(failure, text) => (failure.code, text.as_deref()),
            Error::SqlInputError { error, msg, .. } => (error.code, Some(msg.as_str())),
            _ => return Self::Engine(error.into()),
        };
        // Interrupts that are outcomes are told by the budget, before anyone looks here.
        if code == ErrorCode::OperationInterrupted {
            return Self::Engine(error.into());
        }
        if let Some(outcome) = error_from_sqlite(&error, catalogue) {
            return Self::Outcome(outcome);
        }
        let text = text.unwrap_or_default().to_owned();
        if lacks_own_table(&text) {
            return Self::Engine(EngineError::Corrupt {
                path: String::new(),
                cause: text,
            });
        }
        match code {
            ErrorCode::AuthorizationForStatementDenied => Self::Outcome(SqlError::new(
                "42501",
                format!("the statement reaches what no statement may: {text}"),
            )),
            ErrorCode::Unknown | ErrorCode::TypeMismatch | ErrorCode::ParameterOutOfRange => {
                Self::Outcome(SqlError::new(INTERNAL_ERROR, text))
            }
            _ => Self::Engine(error.into()),
        }
    }
}

/// Whether SQLite misses a table that the catalogue has, which then was taken away behind our back.
fn lacks_own_table(text: &str) -> bool {
    let name = text.strip_prefix("no such table: ");
    let name = name.map(|name| name.strip_prefix("main.").unwrap_or(name));
    name.and_then(|name| name.strip_prefix(['t', 'h']))
        .is_some_and(|id| id.parse::<u32>().is_ok())
}

/// The outcome for a failure that has no place in the ledger's list: the statement met a defect of the
/// program. All nodes run the same program and so meet it alike, but "internal error" is nothing that
/// a ledger records of a statement.
pub(super) fn recordable(error: SqlError) -> SqlError {
    if error.code.as_str() != INTERNAL_ERROR {
        return error;
    }
    SqlError::new(
        "0A000",
        format!("the ledger cannot execute the statement: {}", error.message),
    )
    .hint("Write it another way, and please report the statement.")
}
