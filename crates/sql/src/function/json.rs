//! JSON: members by name or place, the text between them untouched.
//!
//! A JSON value was validated when it was stored, so the scanner only finds where things end.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::arguments::{Arguments, strict};
use super::text::text;
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // (json, name or place, whether as text)
    strict(connection, "st_json_get", 3, |arguments| {
        let json = arguments.text(0)?;
        let found = match arguments.raw(1) {
            rusqlite::types::ValueRef::Integer(place) => element(json, place),
            _ => member(json, arguments.text(1)?)?,
        };
        match found {
            None => Ok(Value::Null),
            Some(found) if arguments.int(2)? == 0 => text(found.to_owned()),
            Some("null") => Ok(Value::Null),
            Some(found) if found.starts_with('"') => text(unquoted(found)?),
            Some(found) => text(found.to_owned()),
        }
    })?;
    strict(connection, "st_json_typeof", 1, |arguments| {
        text(kind(arguments)?.to_owned())
    })?;
    strict(
        connection,
        "st_json_array_length",
        1,
        |arguments| match kind(arguments)? {
            "array" => Ok(Value::Integer(parts(arguments.text(0)?).count() as i64)),
            "object" => Err(SqlError::new(
                "22023",
                "cannot get array length of a non-array",
            )),
            _ => Err(SqlError::new(
                "22023",
                "cannot get array length of a scalar",
            )),
        },
    )
}

/// Writes a text as a JSON string, as PostgreSQL escapes it.
pub(super) fn push_quoted(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            control if control < ' ' => {
                json.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => json.push(other),
        }
    }
    json.push('"');
}

fn kind(arguments: &Arguments<'_>) -> Result<&'static str, SqlError> {
    Ok(match arguments.text(0)?.trim_start().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    })
}

/// The texts between the commas of an array or object, trimmed.
fn parts(json: &str) -> impl Iterator<Item = &str> {
    let json = json.trim();
    let inner = json
        .get(1..json.len().saturating_sub(1))
        .unwrap_or_default();
    let mut rest = Some(inner).filter(|inner| !inner.trim().is_empty());
    std::iter::from_fn(move || {
        let text = rest?;
        match outside(text, b',') {
            Some(end) => {
                rest = text.get(end + 1..);
                text.get(..end).map(str::trim)
            }
            None => {
                rest = None;
                Some(text.trim())
            }
        }
    })
}

/// The first place of a byte that is in no string and no bracket.
fn outside(text: &str, wanted: u8) -> Option<usize> {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ if byte == wanted && depth == 0 => return Some(place),
            _ => {}
        }
    }
    None
}

/// The element at a place, counted from the end when negative.
pub(super) fn element(json: &str, place: i64) -> Option<&str> {
    if !json.trim_start().starts_with('[') {
        return None;
    }
    let index = if place < 0 {
        let back = usize::try_from(place.unsigned_abs()).ok()?;
        parts(json).count().checked_sub(back)?
    } else {
        usize::try_from(place).ok()?
    };
    parts(json).nth(index)
}

/// The member of that name; of several the last.
pub(super) fn member<'j>(json: &'j str, name: &str) -> Result<Option<&'j str>, SqlError> {
    if !json.trim_start().starts_with('{') {
        return Ok(None);
    }
    let mut found = None;
    for part in parts(json) {
        let Some(colon) = outside(part, b':') else {
            continue;
        };
        let (key, value) = part.split_at(colon);
        if unquoted(key.trim())? == name {
            found = value.get(1..).map(str::trim);
        }
    }
    Ok(found)
}

/// The text a JSON string stands for.
pub(super) fn unquoted(string: &str) -> Result<String, SqlError> {
    let inner = string
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(string);
    let mut result = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            result.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => result.push('\n'),
            Some('t') => result.push('\t'),
            Some('r') => result.push('\r'),
            Some('b') => result.push('\u{8}'),
            Some('f') => result.push('\u{c}'),
            Some('u') => result.push(unicode(&mut characters)?),
            Some(other) => result.push(other),
            None => {}
        }
    }
    Ok(result)
}

/// A character from `XXXX`, or from two surrogates `XXXX\uXXXX`.
fn unicode(characters: &mut std::str::Chars<'_>) -> Result<char, SqlError> {
    let invalid = || {
        SqlError::new("22P05", "unsupported Unicode escape sequence")
            .hint("The escape is NUL or half a surrogate pair: no text holds it.")
    };
    let high = unit(characters).ok_or_else(invalid)?;
    let code = if (0xd800..0xdc00).contains(&high) {
        let rest = characters
            .as_str()
            .strip_prefix("\\u")
            .ok_or_else(invalid)?;
        *characters = rest.chars();
        let low = unit(characters)
            .filter(|low| (0xdc00..0xe000).contains(low))
            .ok_or_else(invalid)?;
        0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
    } else {
        high
    };
    char::from_u32(code)
        .filter(|c| *c != '\0')
        .ok_or_else(invalid)
}

fn unit(characters: &mut std::str::Chars<'_>) -> Option<u32> {
    let digits: String = characters.by_ref().take(4).collect();
    u32::from_str_radix(&digits, 16).ok()
}
