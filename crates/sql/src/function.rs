//! The functions our lowering calls: PostgreSQL's semantics inside SQLite.
//!
//! Every name starts with `st_`. Unless said otherwise a function is strict (a NULL argument gives
//! NULL) and depends on its arguments alone. A failure travels through SQLite as the text
//! `CODE:message`; [`error_from_sqlite`] turns it back.

mod aggregate;
mod arguments;
mod array;
mod bytes;
mod calendar;
mod cast;
mod context;
mod datetime;
mod datetime_format;
mod decimal;
mod failure;
mod generic;
mod integer;
mod interval;
mod json;
mod json_build;
mod past;
mod quote;
mod real;
mod regex;
mod sequence;
mod text;

use std::sync::Arc;

use rusqlite::Connection;

pub(crate) use cast::type_arguments;
pub use context::TransactionContext;
pub use failure::error_from_sqlite;
pub(crate) use interval::Interval;
pub use past::{Past, PastBlock, PastSlot};
pub(crate) use regex::similar;
pub use sequence::SequenceState;

/// Registers all functions on a connection. Do it once: it expires every prepared statement.
///
/// # Errors
/// Those of SQLite.
pub fn register(
    connection: &Connection,
    context: &Arc<TransactionContext>,
) -> rusqlite::Result<()> {
    integer::register(connection)?;
    decimal::register(connection)?;
    real::register(connection)?;
    cast::register(connection)?;
    text::register(connection)?;
    aggregate::register(connection)?;
    bytes::register(connection)?;
    datetime::register(connection)?;
    generic::register(connection)?;
    generic::register_refusal(connection)?;
    json::register(connection)?;
    past::register(connection, context)?;
    sequence::register(connection, context)?;
    calendar::register(connection)?;
    datetime_format::register(connection)?;
    json_build::register(connection)?;
    quote::register(connection)?;
    array::register(connection)?;
    regex::register(connection)?;
    context::register(connection, context)
}

#[cfg(test)]
mod tests;
