//! Failures of SQLite as a client sees them, or not at all.

use rusqlite::ffi;
use stele_core::schema::{ColumnId, Table, TableId};
use thiserror::Error;

use crate::catalogue::Catalogue;
use crate::error::SqlError;

/// Separates message and hint of a raised failure.
const HINT_MARK: char = '\u{1}';

/// A failure on its way through SQLite.
#[derive(Debug, Error)]
#[error("{code}:{message}")]
struct Raised {
    code: String,
    message: String,
}

pub(super) fn raise(error: SqlError) -> rusqlite::Error {
    let mut message = error.message;
    if let Some(hint) = error.hint {
        message.push(HINT_MARK);
        message.push_str(&hint);
    }
    rusqlite::Error::UserFunctionError(Box::new(Raised {
        code: error.code.as_str().to_owned(),
        message,
    }))
}

/// What a failure of SQLite means to a client, or `None` when it is no SQL failure (disk full, I/O,
/// memory, corruption, busy, misuse): that must never become an outcome.
///
/// The codes and constraint names depend on statement and state alone.
#[must_use]
pub fn error_from_sqlite(error: &rusqlite::Error, catalogue: &Catalogue) -> Option<SqlError> {
    let (failure, message) = match error {
        rusqlite::Error::SqliteFailure(failure, message) => (failure, message.as_deref()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg.as_str())),
        _ => return None,
    };
    let message = message.unwrap_or_default();
    match failure.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            Some(unique_violation(message, catalogue))
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => Some(not_null_violation(message, catalogue)),
        ffi::SQLITE_CONSTRAINT_CHECK => Some(check_violation(message, catalogue)),
        ffi::SQLITE_INTERRUPT => Some(
            SqlError::new(
                "54000",
                "the statement exceeds the cost bound of a transaction",
            )
            .hint("Do less in one transaction: narrow the WHERE, add an index, or split the work."),
        ),
        ffi::SQLITE_TOOBIG => Some(SqlError::new("54000", "a text or byte string is too long")),
        ffi::SQLITE_ERROR => raised(message).or_else(|| bound(message)).or_else(|| {
            // Our own lowering is wrong, on every node alike.
            Some(SqlError::new(
                "XX000",
                format!("the lowered statement failed: {message}"),
            ))
        }),
        _ => None,
    }
}

/// A failure one of our functions raised.
fn raised(message: &str) -> Option<SqlError> {
    let (code, rest) = message.split_once(':')?;
    stele_core::outcome::Code::new(code)?;
    let mut error = SqlError::new("XX000", "");
    error.code = stele_core::outcome::Code::new(code)?;
    match rest.split_once(HINT_MARK) {
        Some((message, hint)) => {
            message.clone_into(&mut error.message);
            error.hint = Some(hint.to_owned());
        }
        None => rest.clone_into(&mut error.message),
    }
    Some(error)
}

/// A bound of SQLite's own that a statement ran into; equal on every node.
fn bound(message: &str) -> Option<SqlError> {
    if message == "integer overflow" {
        return Some(SqlError::new("22003", "bigint out of range"));
    }
    if message.starts_with("misuse of aggregate") {
        // Its argument is of an outer query, so it belongs there, where none may stand.
        return Some(SqlError::new(
            "42803",
            "an aggregate of an outer query's columns is not allowed here",
        ));
    }
    let complex = [
        "Expression tree is too large",
        "parser stack overflow",
        "VIEWs and/or subqueries nested too deep",
        "Recursion limit",
        "too many terms in compound SELECT",
        "too many columns",
        "too many arguments",
        "at most 64 tables in a join",
        "too many references to",
        "too many FROM clause terms",
        "too many SQL variables",
        "variable number must be between",
    ];
    complex
        .iter()
        .any(|start| message.starts_with(start))
        .then(crate::parse::too_complex)
}

/// `t1000.c1, t1000.c2` as table and columns.
fn columns_named<'c>(list: &str, catalogue: &'c Catalogue) -> Option<(&'c Table, Vec<ColumnId>)> {
    let mut table = None;
    let mut columns = Vec::new();
    for name in list.split(", ") {
        let (rows, column) = name.split_once('.')?;
        let rows = rows.strip_suffix("_new").unwrap_or(rows);
        let id = rows.strip_prefix('t')?.parse().ok()?;
        table = Some(catalogue.table(TableId(id))?);
        columns.push(ColumnId(column.strip_prefix('c')?.parse().ok()?));
    }
    Some((table?, columns))
}

fn unique_violation(message: &str, catalogue: &Catalogue) -> SqlError {
    let failed = message.strip_prefix("UNIQUE constraint failed: ");
    let by_name = failed.and_then(|rest| {
        // An index with expressions is told by its own name, `iN_name`.
        let index = rest.strip_prefix("index 'i")?.strip_suffix('\'')?;
        let (table, name) = index.split_once('_')?;
        let table = catalogue.table(TableId(table.parse().ok()?))?;
        let found = table.indexes.iter().any(|index| index.name == name);
        found.then(|| name.to_owned())
    });
    let by_columns =
        failed
            .and_then(|list| columns_named(list, catalogue))
            .map(|(table, columns)| {
                if table.primary_key == columns {
                    return table.primary_key_name.clone();
                }
                let index = table
                    .indexes
                    .iter()
                    .find(|index| index.unique && index.plain_columns().as_ref() == Some(&columns));
                index.map_or_else(String::new, |index| index.name.clone())
            });
    let name = by_name.or(by_columns).unwrap_or_default();
    if name.is_empty() {
        // The index is being made, and the catalogue does not know it yet.
        return SqlError::new("23505", "could not create unique index")
            .detail("Rows of the table have equal keys.");
    }
    let mut error = SqlError::new(
        "23505",
        format!("duplicate key value violates unique constraint \"{name}\""),
    );
    error.constraint = Some(name);
    error
}

fn not_null_violation(message: &str, catalogue: &Catalogue) -> SqlError {
    let place = message
        .strip_prefix("NOT NULL constraint failed: ")
        .and_then(|list| columns_named(list, catalogue));
    let (table, column) = match &place {
        Some((table, columns)) => (
            table.name.as_str(),
            columns
                .first()
                .and_then(|id| table.column(*id))
                .map_or("", |column| column.name.as_str()),
        ),
        None => ("", ""),
    };
    if column.is_empty() {
        // The column is being added, and the catalogue does not know it yet.
        return SqlError::new(
            "23502",
            format!("a NOT NULL column of relation \"{table}\" would contain null values"),
        )
        .hint("Give the column a DEFAULT.");
    }
    SqlError::new(
        "23502",
        format!(
            "null value in column \"{column}\" of relation \"{table}\" violates not-null constraint"
        ),
    )
}

fn check_violation(message: &str, catalogue: &Catalogue) -> SqlError {
    let full = message
        .strip_prefix("CHECK constraint failed: ")
        .unwrap_or_default();
    let (table, name) = full
        .strip_prefix('x')
        .and_then(|rest| rest.split_once('_'))
        .map_or(("", full), |(id, name)| {
            let table = id
                .parse()
                .ok()
                .and_then(|id| catalogue.table(TableId(id)))
                .map_or("", |table| table.name.as_str());
            (table, name)
        });
    let mut error = SqlError::new(
        "23514",
        format!("new row for relation \"{table}\" violates check constraint \"{name}\""),
    );
    error.constraint = Some(name.to_owned());
    error
}
