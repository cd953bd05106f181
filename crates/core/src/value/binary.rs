//! BYTEA and UUID as text.

use super::{Type, ValueError};

/// Reads `\x` followed by hexadecimal digits, white space between pairs allowed, or PostgreSQL's
/// older escape form (`\\`, `\ooo`).
pub(super) fn parse_bytea(text: &str) -> Result<Vec<u8>, ValueError> {
    match text.strip_prefix("\\x") {
        Some(hex) => parse_hex(hex),
        None => parse_escape(text).ok_or(ValueError::Escape),
    }
}

fn parse_hex(text: &str) -> Result<Vec<u8>, ValueError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut rest = text.chars();
    while let Some(first) = rest.next() {
        if matches!(first, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = hex_digit(first)?;
        let low = hex_digit(rest.next().ok_or(ValueError::HexOdd)?)?;
        bytes.push(high << 4 | low);
    }
    Ok(bytes)
}

fn hex_digit(c: char) -> Result<u8, ValueError> {
    c.to_digit(16)
        .map(|digit| digit as u8)
        .ok_or(ValueError::HexDigit(c))
}

fn parse_escape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Some(bytes),
            [b'\\', b'\\', tail @ ..] => {
                bytes.push(b'\\');
                tail
            }
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                tail @ ..,
            ] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                tail
            }
            [b'\\', ..] => return None,
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        };
    }
}

/// Reads 32 hexadecimal digits, a hyphen after any group of four, braces around allowed.
pub(super) fn parse_uuid(text: &str) -> Result<[u8; 16], ValueError> {
    uuid_bytes(text).ok_or_else(|| ValueError::syntax(Type::Uuid, text))
}

fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut rest = inner.bytes().peekable();
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().enumerate() {
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
        if place % 2 == 1 && place < 15 {
            rest.next_if_eq(&b'-');
        }
    }
    rest.next().is_none().then_some(bytes)
}

pub(super) fn format_uuid(bytes: &[u8; 16]) -> String {
    let mut text = hex::encode(bytes);
    for place in [20, 16, 12, 8] {
        text.insert(place, '-');
    }
    text
}
