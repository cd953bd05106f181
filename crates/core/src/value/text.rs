//! Values as text, in PostgreSQL's input and output forms.
//!
//! What [`format()`] writes, [`parse`] reads back to the same value. Input forms that depend on a
//! clock, a locale or a setting (`now`, `today`, `infinity`, month names, `1/2/2026`) are refused.

use super::binary::{format_uuid, parse_bytea, parse_uuid};
use super::check::{check_len, check_text};
use super::double::parse_double;
use super::{Type, Value, ValueError, format_double, json};
use crate::datetime;
use crate::numeric::Numeric;

/// Reads a value of a type from text. The text of a NULL is not a text: NULL never comes out.
///
/// # Errors
/// [`ValueError`], in PostgreSQL's words, when the text is no input form of the type, or its value
/// is beyond the type's range or length.
pub fn parse(ty: Type, text: &str) -> Result<Value, ValueError> {
    Ok(match ty {
        Type::Bool => Value::Bool(parse_bool(text)?),
        Type::SmallInt => Value::Int(parse_int(ty, text, i16::MIN.into(), i16::MAX.into())?),
        Type::Integer => Value::Int(parse_int(ty, text, i32::MIN.into(), i32::MAX.into())?),
        Type::BigInt => Value::Int(parse_int(ty, text, i64::MIN, i64::MAX)?),
        Type::Numeric { precision, scale } => {
            // Rounded once, from the text itself: a longer intermediate could round twice.
            let value = Numeric::parse_rounded(text, scale)
                .and_then(|value| value.fit(precision, scale))
                .map_err(|error| ValueError::numeric(ty, text, error))?;
            Value::Numeric(value)
        }
        Type::Double => Value::Double(parse_double(text)?),
        Type::Text => {
            check_text(text)?;
            Value::Text(text.to_owned())
        }
        Type::Varchar(max) => {
            check_text(text)?;
            Value::Text(cut_spaces(ty, text, max)?.to_owned())
        }
        Type::Char(max) => {
            check_text(text)?;
            Value::Text(char_text(text, max)?.to_owned())
        }
        Type::Bytea => {
            let bytes = parse_bytea(text)?;
            check_len(bytes.len())?;
            Value::Bytes(bytes)
        }
        Type::Date => Value::Date(
            datetime::parse_date(text).map_err(|error| ValueError::datetime(ty, text, error))?,
        ),
        Type::Timestamp => Value::Timestamp(
            datetime::parse_timestamp(text)
                .map_err(|error| ValueError::datetime(ty, text, error))?,
        ),
        Type::TimestampTz => Value::Timestamp(
            datetime::parse_timestamptz(text)
                .map_err(|error| ValueError::datetime(ty, text, error))?,
        ),
        Type::Uuid => Value::Uuid(parse_uuid(text)?),
        Type::Json => {
            check_text(text)?;
            json::validate(text)?;
            Value::Json(text.to_owned())
        }
    })
}

/// Writes a value of a type as PostgreSQL does; NULL as the empty text, since callers mark it
/// otherwise. A value of another variant than the type's own is written in that variant's form.
#[must_use]
pub fn format(ty: Type, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "t".to_owned(),
        Value::Bool(false) => "f".to_owned(),
        Value::Int(v) => v.to_string(),
        Value::Numeric(v) => match ty {
            Type::Numeric { scale, .. } => v.format(scale).unwrap_or_else(|_| v.to_string()),
            _ => v.to_string(),
        },
        Value::Double(v) => format_double(*v),
        Value::Text(v) => match ty {
            Type::Char(len) => pad(v, len),
            _ => v.clone(),
        },
        Value::Json(v) => v.clone(),
        Value::Bytes(v) => format!("\\x{}", hex::encode(v)),
        Value::Date(v) => datetime::format_date(*v),
        Value::Timestamp(v) => match ty {
            Type::TimestampTz => datetime::format_timestamptz(*v),
            _ => datetime::format_timestamp(*v),
        },
        Value::Uuid(v) => format_uuid(v),
    }
}

/// Without white space around, as C's `isspace` has it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
}

/// A CHAR(len) as it is shown: with blanks at its end up to `len` characters.
#[must_use]
pub fn pad(text: &str, len: u32) -> String {
    let missing = (len as usize).saturating_sub(text.chars().count());
    let mut padded = String::with_capacity(text.len().saturating_add(missing));
    padded.push_str(text);
    padded.extend(std::iter::repeat_n(' ', missing));
    padded
}

/// What CHAR(max) keeps of a text: all but the blanks at its end.
pub(super) fn char_text(text: &str, max: u32) -> Result<&str, ValueError> {
    let kept = text.trim_end_matches(' ');
    cut_spaces(Type::Char(max), kept, max)
}

/// A text that a type of at most `max` characters takes: those too many may only be spaces, which
/// are cut off.
pub(super) fn cut_spaces(ty: Type, text: &str, max: u32) -> Result<&str, ValueError> {
    let Some((end, _)) = text.char_indices().nth(max as usize) else {
        return Ok(text);
    };
    let (kept, cut) = text.split_at(end);
    if cut.bytes().all(|byte| byte == b' ') {
        Ok(kept)
    } else {
        Err(ValueError::TooLong { ty, max })
    }
}

/// Any beginning of true, false, yes, no; on, of(f); 1, 0; any case.
fn parse_bool(text: &str) -> Result<bool, ValueError> {
    let word = trim(text).to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(ValueError::syntax(Type::Bool, text))
    }
}

fn parse_int(ty: Type, text: &str, min: i64, max: i64) -> Result<i64, ValueError> {
    let trimmed = trim(text);
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::syntax(ty, text));
    }
    match trimmed.parse::<i64>() {
        Ok(value) if (min..=max).contains(&value) => Ok(value),
        _ => Err(ValueError::text_out_of_range(ty, text)),
    }
}

#[cfg(test)]
mod tests;
