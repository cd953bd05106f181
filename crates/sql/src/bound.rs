//! What the binder hands to the engine.

use stele_core::schema::{Table, TableId};
use stele_core::{Type, Value};

use crate::result::OutputColumn;

/// A statement bound against one version of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// Reads.
    Query(BoundQuery),
    /// Changes rows of one table.
    Write(BoundWrite),
    /// Changes the catalogue.
    Schema(SchemaChange),
}

/// A lowered SELECT (or VALUES).
#[derive(Clone, Debug, PartialEq)]
pub struct BoundQuery {
    /// SQLite text; user parameters are `?1`…`?n` in [`Self::parameters`] order.
    pub sqlite: String,
    /// Type of each user parameter.
    pub parameters: Vec<Type>,
    /// Result columns.
    pub columns: Vec<OutputColumn>,
    /// Tables it reads.
    pub reads: Vec<TableId>,
    /// Whether it reads the past, which no transaction may depend on: nodes may keep less of it.
    pub past: bool,
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// INSERT, with or without ON CONFLICT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// TRUNCATE: a DELETE of all rows.
    Truncate,
}

/// A lowered INSERT, UPDATE or DELETE.
///
/// After the `n` user parameters the text takes two more: `?n+1` the block height and `?n+2` the
/// transaction's index, which it writes to the hidden columns `_h` and `_x` of each row it touches.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundWrite {
    /// SQLite text.
    pub sqlite: String,
    /// Type of each user parameter.
    pub parameters: Vec<Type>,
    /// RETURNING columns; empty without RETURNING.
    pub columns: Vec<OutputColumn>,
    /// The table it changes.
    pub table: TableId,
    /// What it does.
    pub operation: Operation,
    /// Tables it reads besides.
    pub reads: Vec<TableId>,
    /// Whether it fails when it would change a row a second time, as ON CONFLICT DO UPDATE does.
    pub rows_once: bool,
}

/// A catalogue change, resolved but not yet made.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaChange {
    /// CREATE TABLE. The engine sets `id` and `owner`.
    CreateTable {
        /// The definition.
        table: Box<Table>,
    },
    /// DROP TABLE.
    DropTable {
        /// The tables.
        tables: Vec<TableId>,
    },
    /// Any ALTER TABLE, CREATE INDEX or DROP INDEX, as the definition afterwards.
    AlterTable {
        /// The definition after the change.
        table: Box<Table>,
        /// PostgreSQL command tag, such as `ALTER TABLE` or `CREATE INDEX`.
        tag: &'static str,
    },
    /// `IF NOT EXISTS` or `IF EXISTS` that found nothing to do.
    Nothing {
        /// PostgreSQL command tag.
        tag: &'static str,
        /// What was skipped, as PostgreSQL's NOTICE words it.
        notice: String,
    },
}

impl Bound {
    /// Result columns; empty for a statement that returns no rows.
    #[must_use]
    pub fn columns(&self) -> &[OutputColumn] {
        match self {
            Self::Query(query) => &query.columns,
            Self::Write(write) => &write.columns,
            Self::Schema(_) => &[],
        }
    }

    /// Types of the user parameters.
    #[must_use]
    pub fn parameters(&self) -> &[Type] {
        match self {
            Self::Query(query) => &query.parameters,
            Self::Write(write) => &write.parameters,
            Self::Schema(_) => &[],
        }
    }

    /// Whether it only reads.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Query(_))
    }
}

/// Values bound to a statement's user parameters, already of the types the binder inferred.
pub type Parameters = Vec<Value>;
