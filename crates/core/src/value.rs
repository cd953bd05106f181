//! SQL types and values, as the ledger knows them.

mod binary;
mod check;
mod coerce;
mod double;
mod error;
pub mod json;
pub mod text;

use std::fmt;

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use crate::numeric::Numeric;

pub use check::check;
pub use coerce::coerce;
pub use double::format_double;
pub(crate) use double::shortest_digits;
pub use error::ValueError;

/// Longest text or byte string in one value, in bytes (16 MiB).
pub const VALUE_LEN_MAX: usize = 16 * 1024 * 1024;
/// Most characters of a CHAR(n): each value is shown with that many.
pub const CHAR_LEN_MAX: u32 = 4_096;
/// Most digits of a NUMERIC.
pub const NUMERIC_PRECISION_MAX: u8 = 38;
/// Most digits of a NUMERIC after the point.
pub const NUMERIC_SCALE_MAX: u8 = 30;

/// The type of a column or expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// BOOLEAN.
    Bool,
    /// SMALLINT, 16 bits.
    SmallInt,
    /// INTEGER, 32 bits.
    Integer,
    /// BIGINT, 64 bits.
    BigInt,
    /// NUMERIC(precision, scale); without either it is (38, 10).
    Numeric {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to 30 and at most `precision`.
        scale: u8,
    },
    /// DOUBLE PRECISION, without NaN, infinities and negative zero.
    Double,
    /// TEXT: UTF-8 without NUL.
    Text,
    /// VARCHAR(n): at most n characters.
    Varchar(u32),
    /// BYTEA.
    Bytea,
    /// DATE, years 1 to 9999.
    Date,
    /// TIMESTAMP without time zone, microseconds.
    Timestamp,
    /// TIMESTAMP WITH TIME ZONE, microseconds, kept as UTC.
    TimestampTz,
    /// UUID.
    Uuid,
    /// JSON, text as given.
    Json,
    /// CHAR(n): at most n characters, n 1 to [`CHAR_LEN_MAX`]. Blanks at the end mean nothing: they are not kept, and shown
    /// again up to n characters.
    Char(u32),
}

/// One SQL value. Which variants a [`Type`] admits is said at each variant.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL of any type.
    Null,
    /// BOOLEAN.
    Bool(bool),
    /// SMALLINT, INTEGER, BIGINT.
    Int(i64),
    /// NUMERIC.
    Numeric(Numeric),
    /// DOUBLE PRECISION; never NaN, infinite or -0.
    Double(f64),
    /// TEXT, VARCHAR, CHAR. As a parameter: a literal of unknown type, read by the type it meets.
    Text(String),
    /// BYTEA.
    Bytes(Vec<u8>),
    /// DATE: days since 1970-01-01.
    Date(i32),
    /// TIMESTAMP, TIMESTAMPTZ: microseconds since 1970-01-01 00:00 UTC.
    Timestamp(i64),
    /// UUID.
    Uuid([u8; 16]),
    /// JSON.
    Json(String),
}

impl Value {
    /// Whether this is NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A NUMERIC at the scale of a NUMERIC type, if no digit is lost; any other value as it is.
    /// Encodings drop trailing zeros; this brings them back.
    #[must_use]
    pub fn at_scale_of(self, ty: Type) -> Self {
        match (&self, ty) {
            (Self::Numeric(value), Type::Numeric { scale, .. }) => {
                value.rescale_exact(scale).map_or(self, Self::Numeric)
            }
            _ => self,
        }
    }

    /// A word for messages that says what kind of value this is.
    #[must_use]
    pub fn type_word(&self) -> &'static str {
        match self {
            Self::Null => "unknown",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "bigint",
            Self::Numeric(_) => "numeric",
            Self::Double(_) => "double precision",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytea",
            Self::Date(_) => "date",
            Self::Timestamp(_) => "timestamp",
            Self::Uuid(_) => "uuid",
            Self::Json(_) => "json",
        }
    }
}

/// PostgreSQL's name of the type, without length, precision and scale: what its messages use.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "boolean",
            Self::SmallInt => "smallint",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Numeric { .. } => "numeric",
            Self::Double => "double precision",
            Self::Text => "text",
            Self::Varchar(_) => "character varying",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamp with time zone",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Char(_) => "character",
        })
    }
}

impl Encode for Type {
    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Bool => out.push(1),
            Self::SmallInt => out.push(2),
            Self::Integer => out.push(3),
            Self::BigInt => out.push(4),
            Self::Numeric { precision, scale } => out.extend_from_slice(&[5, precision, scale]),
            Self::Double => out.push(6),
            Self::Text => out.push(7),
            Self::Varchar(n) => {
                out.push(8);
                out.extend_from_slice(&n.to_be_bytes());
            }
            Self::Bytea => out.push(9),
            Self::Date => out.push(10),
            Self::Timestamp => out.push(11),
            Self::TimestampTz => out.push(12),
            Self::Uuid => out.push(13),
            Self::Json => out.push(14),
            Self::Char(n) => {
                out.push(15);
                out.extend_from_slice(&n.to_be_bytes());
            }
        }
    }
}

impl Decode for Type {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            1 => Self::Bool,
            2 => Self::SmallInt,
            3 => Self::Integer,
            4 => Self::BigInt,
            5 => {
                let [precision, scale] = reader.array()?;
                if precision == 0
                    || precision > NUMERIC_PRECISION_MAX
                    || scale > NUMERIC_SCALE_MAX
                    || scale > precision
                {
                    return Err(DecodeError::Invalid("a NUMERIC type is outside its bounds"));
                }
                Self::Numeric { precision, scale }
            }
            6 => Self::Double,
            7 => Self::Text,
            8 => Self::Varchar(reader.u32()?),
            9 => Self::Bytea,
            10 => Self::Date,
            11 => Self::Timestamp,
            12 => Self::TimestampTz,
            13 => Self::Uuid,
            14 => Self::Json,
            15 => match reader.u32()? {
                len @ 1..=CHAR_LEN_MAX => Self::Char(len),
                _ => return Err(DecodeError::Invalid("a CHAR type is outside its bounds")),
            },
            other => {
                return Err(DecodeError::UnknownVersion {
                    what: "type",
                    found: u32::from(other),
                });
            }
        })
    }
}

impl Encode for Value {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0),
            Self::Bool(v) => out.extend_from_slice(&[1, u8::from(*v)]),
            Self::Int(v) => {
                out.push(2);
                out.extend_from_slice(&v.to_be_bytes());
            }
            Self::Numeric(v) => {
                out.push(3);
                v.encode(out);
            }
            Self::Double(v) => {
                out.push(4);
                out.extend_from_slice(&v.to_bits().to_be_bytes());
            }
            Self::Text(v) => {
                out.push(5);
                put_bytes(out, v.as_bytes());
            }
            Self::Bytes(v) => {
                out.push(6);
                put_bytes(out, v);
            }
            Self::Date(v) => {
                out.push(7);
                out.extend_from_slice(&v.to_be_bytes());
            }
            Self::Timestamp(v) => {
                out.push(8);
                out.extend_from_slice(&v.to_be_bytes());
            }
            Self::Uuid(v) => {
                out.push(9);
                out.extend_from_slice(v);
            }
            Self::Json(v) => {
                out.push(10);
                put_bytes(out, v.as_bytes());
            }
        }
    }
}

impl Decode for Value {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Null,
            1 => Self::Bool(reader.bool()?),
            2 => Self::Int(reader.i64()?),
            3 => Self::Numeric(Numeric::decode(reader)?),
            4 => {
                let value = f64::from_bits(reader.u64()?);
                if !value.is_finite() || value.to_bits() == (-0.0f64).to_bits() {
                    return Err(DecodeError::Invalid("a DOUBLE is NaN, infinite or -0"));
                }
                Self::Double(value)
            }
            5 => Self::Text(text_without_nul(reader)?),
            6 => Self::Bytes(reader.bytes("value", VALUE_LEN_MAX)?.to_vec()),
            7 => Self::Date(i32::from_be_bytes(reader.array()?)),
            8 => Self::Timestamp(reader.i64()?),
            9 => Self::Uuid(reader.array()?),
            10 => Self::Json(text_without_nul(reader)?),
            other => {
                return Err(DecodeError::UnknownVersion {
                    what: "value",
                    found: u32::from(other),
                });
            }
        })
    }
}

fn text_without_nul(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let text = reader.text("value", VALUE_LEN_MAX)?;
    if text.contains('\0') {
        return Err(DecodeError::Invalid("a text holds NUL"));
    }
    Ok(text)
}
