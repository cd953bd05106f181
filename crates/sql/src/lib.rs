//! Deterministic SQL over SQLite.
//!
//! PostgreSQL text goes in, is parsed ([`parse`]), bound against the catalogue as of a height and
//! lowered to checked SQLite text ([`bind`]), and executed by the one writer ([`engine`]), which
//! gives outcomes, row changes and the state root, or by read-only snapshots. Nothing a client
//! wrote reaches SQLite as text.

pub mod array_text;
pub mod bind;
pub mod bound;
pub mod catalogue;
pub mod engine;
pub mod error;
pub mod function;
pub mod parse;
pub mod physical;
pub mod reach;
pub mod result;
pub mod spill;
pub mod system_type;

pub use bound::{Bound, BoundCall, BoundQuery, BoundWrite, Operation, Reliance, SchemaChange};
pub use catalogue::Catalogue;
pub use error::SqlError;
pub use result::{OutputColumn, StatementResult};
pub use system_type::{Element, SystemType};
