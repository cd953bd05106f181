//! Values on the wire, as text and in PostgreSQL's binary form.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};
use stele_core::value::{ValueError, check, coerce, text};
use stele_core::{Numeric, Type, Value};
use stele_sql::{SqlError, SystemType};

use super::numeric::{self, NumericFault};
use super::wire_type as wire;

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL starts counting.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_US: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// First byte of a binary JSONB value.
const JSONB_VERSION: u8 = 1;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As text.
    Text,
    /// In binary.
    Binary,
}

/// A parameter of a prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// What the client declared or is told: how binary values are laid out.
    pub(crate) oid: u32,
    /// The type the value must have; none when only execution can tell.
    pub(crate) ty: Option<Type>,
}

/// Formats of a list of values: none for text, one for all, or one each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Formats(Vec<Format>);

impl Formats {
    /// Reads format codes for `count` values.
    ///
    /// # Errors
    /// 08P01 for a wrong number of codes, 22023 for an unknown one.
    pub(crate) fn new(codes: &[i16], count: usize, of: &str) -> Result<Self, SqlError> {
        if codes.len() > 1 && codes.len() != count {
            return Err(SqlError::new(
                "08P01",
                format!(
                    "bind message has {} {of} formats but {count} {of}s",
                    codes.len()
                ),
            ));
        }
        codes
            .iter()
            .map(|code| match code {
                0 => Ok(Format::Text),
                1 => Ok(Format::Binary),
                other => Err(SqlError::new(
                    "22023",
                    format!("unsupported format code: {other}"),
                )),
            })
            .collect::<Result<Vec<Format>, SqlError>>()
            .map(Self)
    }

    /// The format of a place.
    pub(crate) fn of(&self, place: usize) -> Format {
        match self.0.as_slice() {
            [] => Format::Text,
            [all] => *all,
            each => each.get(place).copied().unwrap_or(Format::Text),
        }
    }
}

/// Reads a parameter that is not NULL; `number` counts from 1.
///
/// # Errors
/// What PostgreSQL says: 22P02, 22P03, 22003, 22021 …
pub(crate) fn read(
    parameter: Parameter,
    number: usize,
    format: Format,
    bytes: &[u8],
) -> Result<Value, SqlError> {
    if let Some(element) = SystemType::array_of_oid(parameter.oid).and_then(SystemType::element) {
        return super::system_value::read_array(element, number, format, bytes);
    }
    let value = match format {
        Format::Text => {
            let text = utf8(bytes)?;
            let ty = parameter.ty.map_or(Type::Text, without_length);
            return text::parse(ty, text).map_err(value_error);
        }
        Format::Binary => read_binary(parameter, bytes).map_err(|fault| match fault {
            Fault::Malformed => SqlError::new(
                "22P03",
                format!("incorrect binary data format in bind parameter {number}"),
            ),
            Fault::Error(error) => error,
        })?,
    };
    match parameter.ty.map(without_length) {
        Some(ty) if check(ty, &value).is_ok() => Ok(value),
        Some(ty) => coerce(ty, value).map_err(value_error),
        None => Ok(value),
    }
}

/// A comparison may meet longer texts than the column holds; storing them is refused on execution.
fn without_length(ty: Type) -> Type {
    match ty {
        Type::Varchar(_) | Type::Char(_) => Type::Text,
        other => other,
    }
}

enum Fault {
    Malformed,
    Error(SqlError),
}

impl From<std::array::TryFromSliceError> for Fault {
    fn from(_: std::array::TryFromSliceError) -> Self {
        Self::Malformed
    }
}

fn read_binary(parameter: Parameter, bytes: &[u8]) -> Result<Value, Fault> {
    Ok(match parameter.oid {
        wire::BOOL => match bytes {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return Err(Fault::Malformed),
        },
        wire::INT2 => Value::Int(i16::from_be_bytes(bytes.try_into()?).into()),
        wire::INT4 => Value::Int(i32::from_be_bytes(bytes.try_into()?).into()),
        wire::INT8 => Value::Int(i64::from_be_bytes(bytes.try_into()?)),
        wire::OID => Value::Int(u32::from_be_bytes(bytes.try_into()?).into()),
        wire::FLOAT4 => double(f32::from_be_bytes(bytes.try_into()?).into())?,
        wire::FLOAT8 => double(f64::from_be_bytes(bytes.try_into()?))?,
        wire::NUMERIC => read_numeric(parameter.ty, bytes)?,
        wire::BYTEA => Value::Bytes(bytes.to_vec()),
        wire::DATE => {
            let days = i32::from_be_bytes(bytes.try_into()?);
            Value::Date(
                days.checked_add(EPOCH_DAYS)
                    .ok_or_else(|| out_of_range("date"))?,
            )
        }
        wire::TIMESTAMP | wire::TIMESTAMPTZ => {
            let micros = i64::from_be_bytes(bytes.try_into()?);
            Value::Timestamp(
                micros
                    .checked_add(EPOCH_US)
                    .ok_or_else(|| out_of_range("timestamp"))?,
            )
        }
        wire::UUID => Value::Uuid(bytes.try_into()?),
        wire::JSON => Value::Json(utf8(bytes)?.to_owned()),
        wire::JSONB => match bytes.split_first() {
            Some((&JSONB_VERSION, text)) => Value::Json(utf8(text)?.to_owned()),
            _ => return Err(Fault::Malformed),
        },
        // Text in all its names, and literals of unknown type.
        _ => text::parse(Type::Text, utf8(bytes)?).map_err(value_error)?,
    })
}

/// Exact where the type is still to be found out: no digit may be lost before the column is known.
fn read_numeric(ty: Option<Type>, bytes: &[u8]) -> Result<Value, Fault> {
    let named = ty.unwrap_or(wire::PLAIN_NUMERIC);
    let digits = numeric::to_text(bytes).map_err(|fault| match fault {
        NumericFault::Malformed => Fault::Malformed,
        NumericFault::NotFinite => value_error(ValueError::NotFinite { ty: named }).into(),
        NumericFault::TooLarge => value_error(ValueError::OutOfRange { ty: named }).into(),
    })?;
    if let Some(ty @ Type::Numeric { .. }) = ty {
        return Ok(text::parse(ty, &digits).map_err(value_error)?);
    }
    let exact = Numeric::parse(&digits)
        .map_err(|error| SqlError::new(error.sqlstate(), error.to_string()))?;
    Ok(Value::Numeric(exact))
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        Self::Error(error)
    }
}

/// -0 becomes 0; NaN and infinities are refused.
fn double(value: f64) -> Result<Value, SqlError> {
    if value.is_finite() {
        Ok(Value::Double(value + 0.0))
    } else {
        Err(value_error(ValueError::NotFinite { ty: Type::Double }))
    }
}

fn out_of_range(what: &str) -> SqlError {
    SqlError::new(
        "22008",
        format!("{what} out of range: years 1 to 9999 can be kept"),
    )
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let shown: Vec<String> = bytes
            .iter()
            .skip(at)
            .take(error.error_len().unwrap_or(1))
            .map(|byte| format!("0x{byte:02x}"))
            .collect();
        SqlError::new(
            "22021",
            format!(
                "invalid byte sequence for encoding \"UTF8\": {}",
                shown.join(" ")
            ),
        )
    })
}

/// A value's error as a client sees it.
pub(crate) fn value_error(error: ValueError) -> SqlError {
    let mut sql_error = SqlError::new(error.sqlstate(), error.to_string());
    sql_error.detail = error.detail();
    sql_error
}

/// Writes a value with its length before it, as a data row has it.
pub(crate) fn put(ty: Type, value: &Value, format: Format, out: &mut BytesMut) {
    if value.is_null() {
        out.put_i32(-1);
        return;
    }
    with_length(out, |out| match format {
        Format::Text => put_text(ty, value, out),
        Format::Binary => put_binary(ty, value, out),
    });
}

/// Writes something with its length before it, which counts itself, as messages have it.
pub(crate) fn with_length_of_all(out: &mut BytesMut, put: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    put(out);
    let len = (out.len() - start) as u32;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

/// Writes something with its length before it.
pub(crate) fn with_length(out: &mut BytesMut, put: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    put(out);
    let len = (out.len() - start - 4) as u32;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

fn put_text(ty: Type, value: &Value, out: &mut BytesMut) {
    match value {
        Value::Int(value) => {
            // Writing to a growing buffer does not fail.
            let _ = write!(out, "{value}");
        }
        Value::Text(_) if matches!(ty, Type::Char(_)) => {
            out.put_slice(text::format(ty, value).as_bytes());
        }
        Value::Text(text) | Value::Json(text) => out.put_slice(text.as_bytes()),
        other => out.put_slice(text::format(ty, other).as_bytes()),
    }
}

fn put_binary(ty: Type, value: &Value, out: &mut BytesMut) {
    match value {
        Value::Null => {}
        Value::Bool(value) => out.put_u8(u8::from(*value)),
        Value::Int(value) => match ty {
            Type::SmallInt => out.put_i16(*value as i16),
            Type::Integer => out.put_i32(*value as i32),
            _ => out.put_i64(*value),
        },
        Value::Numeric(value) => {
            let scale = match ty {
                Type::Numeric { scale, .. } => scale,
                _ => value.scale(),
            };
            numeric::put(*value, scale, out);
        }
        Value::Double(value) => out.put_f64(*value),
        Value::Text(_) if matches!(ty, Type::Char(_)) => put_text(ty, value, out),
        Value::Text(text) | Value::Json(text) => out.put_slice(text.as_bytes()),
        Value::Bytes(bytes) => out.put_slice(bytes),
        Value::Date(days) => out.put_i32(days.saturating_sub(EPOCH_DAYS)),
        Value::Timestamp(micros) => out.put_i64(micros.saturating_sub(EPOCH_US)),
        Value::Uuid(bytes) => out.put_slice(bytes),
    }
}

#[cfg(test)]
mod tests;
