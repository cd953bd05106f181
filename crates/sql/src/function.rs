//! The functions our lowering calls: PostgreSQL's semantics inside SQLite.
//!
//! Every name starts with `st_`. Unless said otherwise a function is strict (a NULL argument gives
//! NULL) and depends on its arguments alone. A failure travels through SQLite as the text
//! `CODE:message`; [`error_from_sqlite`] turns it back.

mod aggregate;
mod arguments;
mod cast;
mod context;
mod decimal;
mod failure;
mod integer;
mod real;
mod text;

use std::sync::Arc;

use rusqlite::Connection;

pub(crate) use cast::type_arguments;
pub use context::TransactionContext;
pub use failure::error_from_sqlite;

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
    context::register(connection, context)
}

#[cfg(test)]
mod tests;
