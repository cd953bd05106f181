//! Primary keys as bytes that compare as the keys do.
//!
//! The state tree orders rows by these bytes, so `memcmp` of two encoded keys is the order of their
//! values, column by column. The encoding does not depend on a column's declared width, length,
//! precision or scale: widening a column changes no key. It is canonical: what [`encode_key`] does
//! not write, [`decode_key`] refuses. No value's encoding is the beginning of another's, so the
//! encoded leading columns are a prefix of exactly the keys that begin with these values.
//!
//! | type | bytes |
//! |---|---|
//! | BOOLEAN | 1: 00 or 01 |
//! | SMALLINT, INTEGER, BIGINT | 8, big-endian, sign bit flipped |
//! | DATE | 4, days, big-endian, sign bit flipped |
//! | TIMESTAMP, TIMESTAMPTZ | 8, microseconds, big-endian, sign bit flipped |
//! | UUID | 16 as they are |
//! | TEXT, VARCHAR | UTF-8, then 00 |
//! | BYTEA | bytes with 00 written as 00 FF, then 00 00 |
//! | NUMERIC | 80 for 0; else sign and exponent, digit pairs, end: see `key/numeric.rs` |
//!
//! DOUBLE and JSON cannot be in a key, nor can NULL.

mod bytes;
mod numeric;

use thiserror::Error;

use crate::codec::{DecodeError, Reader};
use crate::value::{Type, Value, ValueError, check};

/// Longest encoded key, in bytes: what every mirrored database can index.
pub const KEY_LEN_MAX: usize = 767;

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Longer than [`KEY_LEN_MAX`].
    #[error("primary key of {len} bytes is too long: at most {KEY_LEN_MAX} bytes encoded")]
    TooLong {
        /// Its encoded length, as far as it was encoded.
        len: usize,
    },
    /// A NULL.
    #[error("null value in primary key column {place}")]
    Null {
        /// Which column of the key, from 1.
        place: usize,
    },
    /// A type that has no key form.
    #[error(
        "type {ty} cannot be in a primary key: use a type with exact equality, such as numeric or text"
    )]
    Type {
        /// The type.
        ty: Type,
    },
    /// A value that its column cannot hold.
    #[error("primary key column {place}: {source}")]
    Value {
        /// Which column of the key, from 1.
        place: usize,
        /// Why.
        source: ValueError,
    },
    /// Bytes that no key encodes to.
    #[error("not an encoded primary key: {0}")]
    Decode(#[from] DecodeError),
}

impl KeyError {
    /// The SQLSTATE a client sees.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "54000",
            Self::Null { .. } => "23502",
            Self::Type { .. } => "0A000",
            Self::Value { source, .. } => source.sqlstate(),
            Self::Decode(_) => "XX001",
        }
    }
}

/// Whether a column of that type can be in a primary key.
#[must_use]
pub fn is_key_type(ty: Type) -> bool {
    !matches!(ty, Type::Double | Type::Json)
}

/// Encodes the values of a primary key, or of its leading columns, in key order.
///
/// # Errors
/// When a value is NULL, does not fit its type or has a type that keys cannot have, or the whole is
/// longer than [`KEY_LEN_MAX`].
pub fn encode_key(columns: &[(Type, &Value)]) -> Result<Vec<u8>, KeyError> {
    encode_key_of(columns.iter().copied().map(Some))
}

/// As [`encode_key`]; a value that is not there counts as NULL.
pub(crate) fn encode_key_of<'v>(
    columns: impl ExactSizeIterator<Item = Option<(Type, &'v Value)>>,
) -> Result<Vec<u8>, KeyError> {
    let mut out = Vec::with_capacity(16 * columns.len());
    for (column, place) in columns.zip(1..) {
        let (ty, value) = column.ok_or(KeyError::Null { place })?;
        put_value(&mut out, ty, value, place)?;
        if out.len() > KEY_LEN_MAX {
            return Err(KeyError::TooLong { len: out.len() });
        }
    }
    Ok(out)
}

/// Reads the values of a key back. A NUMERIC comes back at its column's scale.
///
/// # Errors
/// [`KeyError::Decode`] and [`KeyError::Value`] when the bytes are not exactly what [`encode_key`]
/// writes for values of these types; [`KeyError::TooLong`] and [`KeyError::Type`] as there.
pub fn decode_key(types: &[Type], bytes: &[u8]) -> Result<Vec<Value>, KeyError> {
    if bytes.len() > KEY_LEN_MAX {
        return Err(KeyError::TooLong { len: bytes.len() });
    }
    let mut reader = Reader::new(bytes);
    let mut values = Vec::with_capacity(types.len());
    for (index, ty) in types.iter().enumerate() {
        let value = read_value(&mut reader, *ty)?;
        check(*ty, &value).map_err(|source| KeyError::Value {
            place: index + 1,
            source,
        })?;
        values.push(value.at_scale_of(*ty));
    }
    reader.finish()?;
    Ok(values)
}

fn put_value(out: &mut Vec<u8>, ty: Type, value: &Value, place: usize) -> Result<(), KeyError> {
    if !is_key_type(ty) {
        return Err(KeyError::Type { ty });
    }
    check(ty, value).map_err(|source| KeyError::Value { place, source })?;
    match value {
        Value::Null => return Err(KeyError::Null { place }),
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Int(v) | Value::Timestamp(v) => out.extend_from_slice(&flip_i64(*v)),
        Value::Date(v) => out.extend_from_slice(&(v.cast_unsigned() ^ (1 << 31)).to_be_bytes()),
        Value::Numeric(v) => numeric::put(out, *v),
        Value::Text(v) => {
            out.extend_from_slice(v.as_bytes());
            out.push(0);
        }
        Value::Bytes(v) => bytes::put(out, v),
        Value::Uuid(v) => out.extend_from_slice(v),
        Value::Double(_) | Value::Json(_) => return Err(KeyError::Type { ty }),
    }
    Ok(())
}

fn read_value(reader: &mut Reader<'_>, ty: Type) -> Result<Value, KeyError> {
    Ok(match ty {
        Type::Bool => Value::Bool(reader.bool()?),
        Type::SmallInt | Type::Integer | Type::BigInt => Value::Int(read_i64(reader)?),
        Type::Timestamp | Type::TimestampTz => Value::Timestamp(read_i64(reader)?),
        Type::Date => Value::Date((reader.u32()? ^ (1 << 31)).cast_signed()),
        Type::Numeric { .. } => Value::Numeric(numeric::read(reader)?),
        Type::Text | Type::Varchar(_) | Type::Char(_) => Value::Text(read_text(reader)?),
        Type::Bytea => Value::Bytes(bytes::read(reader)?),
        Type::Uuid => Value::Uuid(reader.array()?),
        Type::Double | Type::Json => return Err(KeyError::Type { ty }),
    })
}

fn flip_i64(value: i64) -> [u8; 8] {
    (value.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn read_i64(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    Ok((reader.u64()? ^ (1 << 63)).cast_signed())
}

fn read_text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let mut text = Vec::new();
    loop {
        match reader.u8()? {
            0 => break,
            byte => text.push(byte),
        }
    }
    String::from_utf8(text).map_err(|_| DecodeError::Invalid("a text in a key is not UTF-8"))
}

#[cfg(test)]
mod tests;
