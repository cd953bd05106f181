//! Casts between types: the value is read by one type, converted by the core's rules, and written
//! by the other.

use rusqlite::Connection;
use rusqlite::types::{Value as SqliteValue, ValueRef};
use stele_core::value::{self, text};
use stele_core::{Type, Value};

use super::arguments::{Arguments, strict};
use crate::error::SqlError;
use crate::physical::{from_sqlite, to_sqlite};

/// A type as the two integer arguments a function takes for it.
pub(crate) fn type_arguments(ty: Type) -> String {
    let (code, detail) = match ty {
        Type::Bool => (1, 0),
        Type::SmallInt => (2, 0),
        Type::Integer => (3, 0),
        Type::BigInt => (4, 0),
        Type::Numeric { precision, scale } => (5, u32::from(precision) * 256 + u32::from(scale)),
        Type::Double => (6, 0),
        Type::Text => (7, 0),
        Type::Varchar(max) => (8, max),
        Type::Bytea => (9, 0),
        Type::Date => (10, 0),
        Type::Timestamp => (11, 0),
        Type::TimestampTz => (12, 0),
        Type::Uuid => (13, 0),
        Type::Json => (14, 0),
        Type::Char(max) => (15, max),
    };
    format!("{code},{detail}")
}

pub(super) fn type_from(arguments: &Arguments<'_>, index: usize) -> Result<Type, SqlError> {
    let detail = arguments.int(index + 1)?;
    Ok(match arguments.int(index)? {
        1 => Type::Bool,
        2 => Type::SmallInt,
        3 => Type::Integer,
        4 => Type::BigInt,
        5 => Type::Numeric {
            precision: (detail / 256) as u8,
            scale: (detail % 256) as u8,
        },
        6 => Type::Double,
        7 => Type::Text,
        8 => Type::Varchar(detail as u32),
        9 => Type::Bytea,
        10 => Type::Date,
        11 => Type::Timestamp,
        12 => Type::TimestampTz,
        13 => Type::Uuid,
        14 => Type::Json,
        15 => Type::Char(detail as u32),
        other => {
            return Err(SqlError::new(
                "XX000",
                format!("there is no type of code {other}"),
            ));
        }
    })
}

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // (value, from, to)
    strict(connection, "st_cast", 5, |arguments| {
        let from = type_from(arguments, 1)?;
        let to = type_from(arguments, 3)?;
        cast(arguments.raw(0), from, to)
    })?;
    // An explicit cast to VARCHAR(n) cuts: (text, n)
    strict(connection, "st_cut", 2, |arguments| {
        let max = usize::try_from(arguments.int(1)?).unwrap_or_default();
        let kept = cut(arguments.text(0)?, max);
        Ok(SqliteValue::Text(kept.to_owned()))
    })?;
    // An explicit cast to CHAR(n) cuts, too, and blanks at the end are not kept: (text, n)
    strict(connection, "st_char", 2, |arguments| {
        let max = usize::try_from(arguments.int(1)?).unwrap_or_default();
        let kept = cut(arguments.text(0)?, max).trim_end_matches(' ');
        Ok(SqliteValue::Text(kept.to_owned()))
    })?;
    // A CHAR(n) with the blanks it is shown with: (text, n)
    strict(connection, "st_pad", 2, |arguments| {
        let len = u32::try_from(arguments.int(1)?).unwrap_or_default();
        Ok(SqliteValue::Text(text::pad(arguments.text(0)?, len)))
    })
}

/// The first `max` characters.
fn cut(given: &str, max: usize) -> &str {
    match given.char_indices().nth(max) {
        Some((end, _)) => given.get(..end).unwrap_or(given),
        None => given,
    }
}

fn cast(given: ValueRef<'_>, from: Type, to: Type) -> Result<SqliteValue, SqlError> {
    let value = from_sqlite(from, given)?;
    let converted = match (from, to) {
        // An explicit cast reads TEXT as a literal; the core does the same.
        (Type::TimestampTz, Type::Text | Type::Varchar(_) | Type::Char(_)) => {
            value::coerce(to, Value::Text(text::format(from, &value)))?
        }
        (Type::Json, Type::Text | Type::Varchar(_) | Type::Char(_)) => match value {
            Value::Json(json) => value::coerce(to, Value::Text(json))?,
            other => other,
        },
        (Type::Bool, Type::Integer) => match value {
            Value::Bool(v) => Value::Int(i64::from(v)),
            other => other,
        },
        (Type::Integer, Type::Bool) => match value {
            Value::Int(v) => Value::Bool(v != 0),
            other => other,
        },
        // As PostgreSQL, by the 15 digits a double is good for.
        (Type::Double, Type::Numeric { .. }) => match value {
            Value::Double(v) => text::parse(to, &format!("{v:.14e}"))?,
            other => other,
        },
        _ => value::coerce(to, value)?,
    };
    to_sqlite(to, &converted)
}
