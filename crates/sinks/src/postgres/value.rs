//! Values in PostgreSQL: its own types, which hold every value of the ledger's exactly.
//!
//! Texts in keys are of collation "C", so that they sort as encoded keys do. CHAR(n) loses its blanks when it
//! is read as text, which is how the ledger keeps it.

use stele_core::value::text;
use stele_core::{Numeric, Type, Value};

/// Longest VARCHAR(n) PostgreSQL takes.
const VARCHAR_MAX: u32 = 10_485_760;

/// PostgreSQL's type of a column.
pub(super) fn type_name(ty: Type, in_key: bool) -> String {
    let name = match ty {
        Type::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
        Type::Varchar(n) if n <= VARCHAR_MAX => format!("character varying({n})"),
        Type::Varchar(_) | Type::Text => "text".to_owned(),
        Type::Char(n) => format!("character({n})"),
        Type::Timestamp => "timestamp without time zone".to_owned(),
        other => other.to_string(),
    };
    match ty {
        Type::Varchar(_) | Type::Text | Type::Char(_) if in_key => {
            format!("{name} COLLATE \"C\"")
        }
        _ => name,
    }
}

/// A value's text as PostgreSQL reads it for that type; `None` for NULL.
pub(super) fn to_text(ty: Type, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(text.clone()),
        other => Some(text::format(ty, other)),
    }
}

/// Adds a value to a line of COPY's text format.
pub(crate) fn put_copy(out: &mut Vec<u8>, ty: Type, value: &Value) {
    let text = match value {
        Value::Null => {
            out.extend_from_slice(b"\\N");
            return;
        }
        Value::Int(number) => {
            use std::io::Write as _;
            let _ = write!(out, "{number}");
            return;
        }
        Value::Text(text) | Value::Json(text) => {
            put_escaped(out, text.as_bytes());
            return;
        }
        other => text::format(ty, other),
    };
    put_escaped(out, text.as_bytes());
}

fn put_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.push(*other),
        }
    }
}

/// The value whose text was read, or what was.
pub(super) fn from_text(ty: Type, found: Option<&str>) -> Result<Value, String> {
    let Some(found) = found else {
        return Ok(Value::Null);
    };
    const SHOWN_MAX: usize = 80;
    let shown = || format!("{:?}", found.chars().take(SHOWN_MAX).collect::<String>());
    let value = text::parse(ty, found).map_err(|error| format!("{}: {error}", shown()))?;
    if ty == Type::Double && found.starts_with('-') && value == Value::Double(0.0) {
        return Err("-0, which is written 0 here".to_owned());
    }
    match (&value, Numeric::parse(found)) {
        (Value::Numeric(value), Ok(exact)) if *value != exact => Err(format!(
            "{}, which has more digits than the ledger's type of the column",
            shown()
        )),
        _ => Ok(value),
    }
}

/// A constant of PostgreSQL's for a value.
pub(super) fn literal(ty: Type, value: &Value) -> String {
    match to_text(ty, value) {
        None => "NULL".to_owned(),
        // A backslash is one as it stands: standard_conforming_strings is on.
        Some(text) => format!("'{}'::{}", text.replace('\'', "''"), type_name(ty, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_copy_hold_any_text() {
        let mut out = Vec::new();
        put_copy(&mut out, Type::Text, &Value::Text("a\tb\\N\r\n".to_owned()));
        out.push(b'|');
        put_copy(&mut out, Type::Text, &Value::Null);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\tb\\\\N\\r\\n|\\N");
    }

    #[test]
    fn what_the_ledger_does_not_hold_is_named() {
        let numeric = Type::Numeric {
            precision: 4,
            scale: 2,
        };
        for (ty, found) in [
            (numeric, "NaN"),
            (Type::Double, "Infinity"),
            (Type::Double, "-0"),
            (Type::Date, "infinity"),
            (Type::Timestamp, "0044-03-15 00:00:00 BC"),
        ] {
            assert!(from_text(ty, Some(found)).is_err(), "{found}");
        }
    }
}
