//! What a statement gives back.

use stele_core::{Type, Value};

use crate::system_type::SystemType;

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Name as PostgreSQL would give it.
    pub name: String,
    /// Type its values are kept in.
    pub ty: Type,
    /// The type a client is told, where that is another: one of the system catalogue's, or an array.
    pub system: Option<SystemType>,
}

/// The result of one statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementResult {
    /// PostgreSQL command tag, such as `INSERT 0 3`.
    pub tag: String,
    /// Columns; empty for a statement that returns no rows.
    pub columns: Vec<OutputColumn>,
    /// Rows, each in column order.
    pub rows: Vec<Vec<Value>>,
    /// Rows inserted, updated or deleted.
    pub rows_affected: u64,
}
