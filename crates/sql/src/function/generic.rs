//! Functions of values of any one type.

use std::cmp::Ordering;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Value, ValueRef};

use super::arguments::{Arguments, VARIADIC, counted, lenient};
use super::failure::raise;
use crate::error::SqlError;
use crate::spill;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    lenient(connection, "st_greatest", VARIADIC, |arguments| {
        Ok(extreme(arguments, Ordering::Greater))
    })?;
    lenient(connection, "st_least", VARIADIC, |arguments| {
        Ok(extreme(arguments, Ordering::Less))
    })?;
    // What it is given. The binder puts it where copies of long values may pile up. Called for each of them: for
    // SQLite it is not deterministic, or it would be called once for a constant.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("st_held", 1, flags, |context| {
        let value = context.get_raw(0);
        if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value {
            spill::gather(bytes.len());
        }
        counted(owned(value)).map_err(raise)
    })?;
    // (condition, message): unknown is as bad as false.
    lenient(connection, "st_assert", 2, |arguments| {
        if arguments.raw(0) == ValueRef::Integer(1) {
            return Ok(Value::Integer(1));
        }
        let message = match arguments.raw(1) {
            ValueRef::Null => "assertion failed",
            _ => arguments.text(1)?,
        };
        Err(SqlError::new("P0004", message))
    })
}

/// `st_refuse(words, row)`: fails. It depends on a row, so that SQLite does not call it before the
/// rows are looked at.
pub(super) fn register_refusal(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("st_refuse", 2, flags, |context| {
        let arguments = Arguments(context);
        let refused: rusqlite::Result<Value> = Err(raise(SqlError::new(
            "42501",
            arguments.text(0).map_err(raise)?,
        )));
        refused
    })
}

/// The greatest or least argument that is not NULL.
fn extreme(arguments: &Arguments<'_>, wanted: Ordering) -> Value {
    let mut best: Option<ValueRef<'_>> = None;
    for index in 0..arguments.len() {
        let value = arguments.raw(index);
        if value == ValueRef::Null {
            continue;
        }
        if best.is_none_or(|best| compare(value, best) == wanted) {
            best = Some(value);
        }
    }
    best.map_or(Value::Null, owned)
}

/// The binder sees to it that both are of one class.
fn compare(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    match (a, b) {
        (ValueRef::Integer(a), ValueRef::Integer(b)) => a.cmp(&b),
        (ValueRef::Real(a), ValueRef::Real(b)) => a.total_cmp(&b),
        (ValueRef::Text(a), ValueRef::Text(b)) | (ValueRef::Blob(a), ValueRef::Blob(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

pub(super) fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => Value::Blob(value.to_vec()),
    }
}
