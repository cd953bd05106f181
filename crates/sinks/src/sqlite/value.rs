//! Values in SQLite, exact both ways and readable.
//!
//! | type | SQLite | form |
//! |---|---|---|
//! | BOOLEAN, SMALLINT, INTEGER, BIGINT | INTEGER | 0 and 1; the number |
//! | DOUBLE PRECISION | REAL | |
//! | NUMERIC | TEXT | all digits of its scale, `12.50`: SQLite's own numbers would round |
//! | TEXT, VARCHAR, CHAR, JSON | TEXT | CHAR without blanks at its end |
//! | DATE, TIMESTAMP, TIMESTAMPTZ | TEXT | `2026-01-31 09:30:00.5`, with `+00` where it has a zone: sorts by time |
//! | UUID | TEXT | lower case with hyphens |
//! | BYTEA | BLOB | |

use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use stele_core::value::{check, text};
use stele_core::{Type, Value};

use crate::readback;

/// SQLite's type of a column.
pub(super) fn storage(ty: Type) -> &'static str {
    match ty {
        Type::Bool | Type::SmallInt | Type::Integer | Type::BigInt => "INTEGER",
        Type::Double => "REAL",
        Type::Bytea => "BLOB",
        _ => "TEXT",
    }
}

/// A value as SQLite takes it.
pub(super) fn to_sqlite(ty: Type, value: &Value) -> ToSqlOutput<'_> {
    let borrowed = match value {
        Value::Null => ValueRef::Null,
        Value::Bool(v) => ValueRef::Integer(i64::from(*v)),
        Value::Int(v) => ValueRef::Integer(*v),
        Value::Double(v) => ValueRef::Real(*v),
        Value::Bytes(v) => ValueRef::Blob(v),
        Value::Text(v) | Value::Json(v) => ValueRef::Text(v.as_bytes()),
        other => return ToSqlOutput::Owned(SqliteValue::Text(text::format(ty, other))),
    };
    ToSqlOutput::Borrowed(borrowed)
}

/// The value that stands there, or what does.
pub(super) fn from_sqlite(ty: Type, found: ValueRef<'_>) -> Result<Value, String> {
    let wrong = || format!("{}, which is no {ty}", shown(found));
    let value = match (ty, found) {
        (_, ValueRef::Null) => return Ok(Value::Null),
        (Type::Bool, ValueRef::Integer(0)) => Value::Bool(false),
        (Type::Bool, ValueRef::Integer(1)) => Value::Bool(true),
        (Type::SmallInt | Type::Integer | Type::BigInt, ValueRef::Integer(v)) => Value::Int(v),
        (Type::Double, ValueRef::Real(v)) => readback::double(v)?,
        (Type::Bytea, ValueRef::Blob(v)) => Value::Bytes(v.to_vec()),
        (_, ValueRef::Text(bytes)) if storage(ty) == "TEXT" => {
            let found_text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
            match ty {
                Type::Text | Type::Varchar(_) | Type::Char(_) => Value::Text(found_text.to_owned()),
                Type::Json => Value::Json(found_text.to_owned()),
                _ => {
                    let value = text::parse(ty, found_text).map_err(|_| wrong())?;
                    // Another spelling of the value is another content of the column.
                    let kept = text::format(ty, &value);
                    if kept != found_text {
                        return Err(format!("{}, which is written {kept:?} here", shown(found)));
                    }
                    value
                }
            }
        }
        _ => return Err(wrong()),
    };
    check(ty, &value).map_err(|error| format!("{}: {error}", shown(found)))?;
    Ok(value)
}

/// A default of SQLite's for a value, for the rows that are there when a column comes.
pub(super) fn literal(ty: Type, value: &Value) -> String {
    match to_sqlite(ty, value) {
        ToSqlOutput::Borrowed(found) => literal_of(found),
        ToSqlOutput::Owned(owned) => literal_of(ValueRef::from(&owned)),
        _ => "NULL".to_owned(),
    }
}

fn literal_of(found: ValueRef<'_>) -> String {
    match found {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(v) => v.to_string(),
        ValueRef::Real(v) => format!("{v:e}"),
        ValueRef::Blob(v) => format!("X'{}'", hex(v)),
        // No text the ledger holds has a NUL in it.
        ValueRef::Text(v) => format!("'{}'", String::from_utf8_lossy(v).replace('\'', "''")),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Longest piece of a found value shown, in characters.
const SHOWN_MAX: usize = 80;

fn shown(found: ValueRef<'_>) -> String {
    match found {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(v) => v.to_string(),
        ValueRef::Real(v) => v.to_string(),
        ValueRef::Blob(v) => {
            let head: Vec<u8> = v.iter().copied().take(SHOWN_MAX / 2).collect();
            format!("the bytes {}", hex(&head))
        }
        ValueRef::Text(v) => {
            let text = String::from_utf8_lossy(v);
            format!("{:?}", text.chars().take(SHOWN_MAX).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_core::Numeric;

    #[test]
    fn values_come_back_as_they_went() {
        let numeric = Type::Numeric {
            precision: 12,
            scale: 2,
        };
        let samples = [
            (Type::Bool, Value::Bool(true)),
            (Type::BigInt, Value::Int(i64::MIN)),
            (numeric, Value::Numeric(Numeric::new(-1250, 2).unwrap())),
            (Type::Double, Value::Double(0.1)),
            (Type::Text, Value::Text("it's".to_owned())),
            (Type::Bytea, Value::Bytes(vec![0, 255])),
            (Type::Date, Value::Date(-719_162)),
            (Type::Timestamp, Value::Timestamp(1)),
            (Type::TimestampTz, Value::Timestamp(-1)),
            (Type::Uuid, Value::Uuid([7; 16])),
            (Type::Json, Value::Json("{ }".to_owned())),
            (Type::Text, Value::Null),
        ];
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for (ty, value) in samples {
            let sql = format!("SELECT ?1, {}", literal(ty, &value));
            let both = connection.query_row(&sql, [to_sqlite(ty, &value)], |row| {
                let read = |at| from_sqlite(ty, row.get_ref(at).unwrap());
                Ok((read(0), read(1)))
            });
            assert_eq!(both.unwrap(), (Ok(value.clone()), Ok(value)), "{ty}");
        }
    }

    #[test]
    fn what_the_type_does_not_hold_is_named() {
        let numeric = Type::Numeric {
            precision: 4,
            scale: 2,
        };
        for (ty, found) in [
            (numeric, ValueRef::Text(b"1.5")),
            (numeric, ValueRef::Text(b"1000.00")),
            (Type::Bool, ValueRef::Integer(2)),
            (Type::SmallInt, ValueRef::Integer(40_000)),
            (Type::Text, ValueRef::Integer(4)),
            (Type::Text, ValueRef::Text(b"\xff")),
            (Type::Date, ValueRef::Text(b"2026-02-30")),
            (Type::Char(3), ValueRef::Text(b"a  ")),
            (Type::Double, ValueRef::Real(f64::INFINITY)),
        ] {
            assert!(from_sqlite(ty, found).is_err(), "{ty} {found:?}");
        }
    }
}
