//! BYTEA: joining, encodings, digests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};
use sha2::{Digest, Sha256};

use super::arguments::{Arguments, strict};
use super::text::{check_len, text};
use crate::error::SqlError;

/// Characters a line of PostgreSQL's base64 has.
const BASE64_LINE_LEN: usize = 76;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    strict(connection, "st_bytes_concat", 2, |arguments| {
        let joined = [arguments.blob(0)?, arguments.blob(1)?].concat();
        check_len(joined.len())?;
        Ok(Value::Blob(joined))
    })?;
    strict(connection, "st_md5", 1, |arguments| {
        text(hex::encode(Md5::digest(bytes(arguments)?)))
    })?;
    strict(connection, "st_sha256", 1, |arguments| {
        Ok(Value::Blob(Sha256::digest(arguments.blob(0)?).to_vec()))
    })?;
    strict(connection, "st_encode", 2, |arguments| {
        let given = arguments.blob(0)?;
        text(match format(arguments)? {
            Format::Hex => hex::encode(given),
            Format::Base64 => in_lines(&STANDARD.encode(given)),
            Format::Escape => escaped(given),
        })
    })?;
    strict(connection, "st_decode", 2, |arguments| {
        let given = arguments.text(0)?;
        let blank = |c: char| matches!(c, ' ' | '\n' | '\t' | '\r');
        let dense: String = given.chars().filter(|c| !blank(*c)).collect();
        Ok(Value::Blob(match format(arguments)? {
            Format::Hex => hex::decode(&dense).map_err(|error| {
                SqlError::new("22023", format!("invalid hexadecimal data: {error}"))
            })?,
            Format::Base64 => STANDARD
                .decode(&dense)
                .map_err(|_| SqlError::new("22023", "invalid base64 end sequence"))?,
            Format::Escape => unescaped(given)?,
        }))
    })?;
    strict(connection, "st_to_hex", 2, |arguments| {
        let value = arguments.int(0)?;
        text(if arguments.small(1)? == 32 {
            format!("{:x}", value as i32)
        } else {
            format!("{value:x}")
        })
    })
}

fn bytes<'a>(arguments: &'a Arguments<'_>) -> Result<&'a [u8], SqlError> {
    match arguments.raw(0) {
        ValueRef::Blob(bytes) => Ok(bytes),
        _ => arguments.text(0).map(str::as_bytes),
    }
}

enum Format {
    Hex,
    Base64,
    Escape,
}

fn format(arguments: &Arguments<'_>) -> Result<Format, SqlError> {
    let name = arguments.text(1)?;
    match name.to_ascii_lowercase().as_str() {
        "hex" => Ok(Format::Hex),
        "base64" => Ok(Format::Base64),
        "escape" => Ok(Format::Escape),
        _ => Err(
            SqlError::new("22023", format!("unrecognized encoding: \"{name}\""))
                .hint("Encodings are hex, base64 and escape."),
        ),
    }
}

fn in_lines(encoded: &str) -> String {
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / BASE64_LINE_LEN);
    for (place, character) in encoded.chars().enumerate() {
        if place > 0 && place % BASE64_LINE_LEN == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines
}

fn escaped(bytes: &[u8]) -> String {
    let mut result = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => result.push_str("\\\\"),
            0 | 0x80.. => result.push_str(&format!("\\{byte:03o}")),
            other => result.push(char::from(*other)),
        }
    }
    result
}

fn unescaped(text: &str) -> Result<Vec<u8>, SqlError> {
    let invalid = || SqlError::new("22P02", "invalid input syntax for type bytea");
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(result),
            [b'\\', b'\\', after @ ..] => {
                result.push(b'\\');
                after
            }
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] => {
                result.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                after
            }
            [b'\\', ..] => return Err(invalid()),
            [other, after @ ..] => {
                result.push(*other);
                after
            }
        };
    }
}
