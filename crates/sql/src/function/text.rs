//! Text. Positions and lengths count characters from 1; comparison is by bytes everywhere.

mod case;
mod pattern;
mod pieces;

use rusqlite::Connection;
use rusqlite::types::Value;
use stele_core::value::VALUE_LEN_MAX;

use super::arguments::{Arguments, VARIADIC, lenient, strict};
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    mapped(connection, "st_lower", |text| {
        text.chars().map(case::lower).collect()
    })?;
    mapped(connection, "st_upper", |text| {
        text.chars().map(case::upper).collect()
    })?;
    mapped(connection, "st_initcap", case::initcap)?;
    mapped(connection, "st_reverse", |text| {
        text.chars().rev().collect()
    })?;
    strict(connection, "st_length", 1, |arguments| {
        Ok(Value::Integer(arguments.text(0)?.chars().count() as i64))
    })?;
    strict(connection, "st_octets", 1, |arguments| {
        let length = match arguments.raw(0) {
            rusqlite::types::ValueRef::Blob(bytes) => bytes.len(),
            _ => arguments.text(0)?.len(),
        };
        Ok(Value::Integer(length as i64))
    })?;
    strict(connection, "st_ascii", 1, |arguments| {
        let first = arguments.text(0)?.chars().next();
        Ok(Value::Integer(first.map_or(0, |c| i64::from(u32::from(c)))))
    })?;
    strict(connection, "st_chr", 1, |arguments| {
        let code = arguments.int(0)?;
        let character = u32::try_from(code).ok().filter(|code| *code != 0);
        match character.and_then(char::from_u32) {
            Some(character) => text(character.to_string()),
            None if code == 0 => Err(SqlError::new("54000", "null character not permitted")),
            None => Err(SqlError::new(
                "54000",
                format!("requested character not valid for encoding: {code}"),
            )),
        }
    })?;
    strict(connection, "st_like", 4, |arguments| {
        let (given, pattern) = (arguments.text(0)?, arguments.text(1)?);
        let matched = pattern::like(given, pattern, arguments.text(2)?, arguments.int(3)? != 0)?;
        Ok(Value::Integer(i64::from(matched)))
    })?;
    strict(connection, "st_cat", 2, |arguments| {
        let (left, right) = (arguments.text(0)?, arguments.text(1)?);
        check_len(left.len().saturating_add(right.len()))?;
        Ok(Value::Text([left, right].concat()))
    })?;
    // concat() and concat_ws() skip NULLs.
    lenient(connection, "st_concat", VARIADIC, |arguments| {
        let mut parts = Vec::new();
        for index in 0..arguments.len() {
            if !arguments.is_null(index) {
                parts.push(arguments.text(index)?);
            }
        }
        text(joined(&parts, "")?)
    })?;
    lenient(connection, "st_concat_ws", VARIADIC, |arguments| {
        if arguments.is_null(0) {
            return Ok(Value::Null);
        }
        let mut parts = Vec::new();
        for index in 1..arguments.len() {
            if !arguments.is_null(index) {
                parts.push(arguments.text(index)?);
            }
        }
        text(joined(&parts, arguments.text(0)?)?)
    })?;
    pieces::register(connection)
}

fn mapped(
    connection: &Connection,
    name: &str,
    operation: fn(&str) -> String,
) -> rusqlite::Result<()> {
    strict(connection, name, 1, move |arguments| {
        text(operation(arguments.text(0)?))
    })
}

/// A result, unless it is too long for a value.
pub(super) fn text(result: String) -> Result<Value, SqlError> {
    check_len(result.len())?;
    Ok(Value::Text(result))
}

/// Texts one after another; measured before anything is allocated.
pub(super) fn joined(parts: &[&str], separator: &str) -> Result<String, SqlError> {
    let between = separator
        .len()
        .saturating_mul(parts.len().saturating_sub(1));
    let len = parts
        .iter()
        .fold(between, |len, part| len.saturating_add(part.len()));
    check_len(len)?;
    Ok(parts.join(separator))
}

/// Appends to a text that grows piece by piece.
pub(super) fn grow(text: &mut String, piece: &str) -> Result<(), SqlError> {
    check_len(text.len().saturating_add(piece.len()))?;
    text.push_str(piece);
    Ok(())
}

pub(super) fn check_len(len: usize) -> Result<(), SqlError> {
    if len > VALUE_LEN_MAX {
        return Err(SqlError::new(
            "54000",
            format!("the result would have {len} bytes, at most {VALUE_LEN_MAX} are kept"),
        ));
    }
    Ok(())
}

/// A length an argument asks for, checked before anything is allocated for it.
pub(super) fn wanted_len(arguments: &Arguments<'_>, index: usize) -> Result<usize, SqlError> {
    let wanted = usize::try_from(arguments.int(index)?.max(0)).unwrap_or(usize::MAX);
    check_len(wanted)?;
    Ok(wanted)
}
