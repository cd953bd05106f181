//! Type names.

use sqlparser::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, TimezoneInfo};
use stele_core::Type;
use stele_core::value::{CHAR_LEN_MAX, NUMERIC_PRECISION_MAX, NUMERIC_SCALE_MAX};

use super::expression::{Ty, numeric};
use super::name::parts;
use crate::error::SqlError;
use crate::system_type::{Element, SystemType};

/// Scale of NUMERIC when it is not given and nothing else says it.
pub(super) const NUMERIC_SCALE_DEFAULT: u8 = 10;
/// Longest VARCHAR, as in PostgreSQL.
const VARCHAR_MAX: u64 = 10_485_760;

/// A type name as written: NUMERIC may come without precision and scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TypeName {
    pub(super) ty: Ty,
    /// NUMERIC without (precision, scale): a cast keeps what digits there are.
    pub(super) bare_numeric: bool,
}

/// The type a name stands for.
pub(super) fn type_name(name: &DataType) -> Result<TypeName, SqlError> {
    let ty = match name {
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => {
            return exact(*info);
        }
        DataType::Interval { .. } => Ty::Interval,
        DataType::Array(array) => Ty::System(SystemType::Array(element(array)?)),
        DataType::Regclass => Ty::System(SystemType::Regclass),
        DataType::Custom(name, _) => match system_name(&parts(name)?) {
            Some(system) => Ty::System(system),
            None => Ty::Of(plain(&DataType::Custom(name.clone(), Vec::new()))?),
        },
        other => Ty::Of(plain(other)?),
    };
    Ok(TypeName {
        ty,
        bare_numeric: false,
    })
}

/// The type of a column: NUMERIC alone is NUMERIC(38,10), INTERVAL is none.
pub(super) fn column_type(name: &DataType) -> Result<Type, SqlError> {
    match type_name(name)?.ty {
        Ty::Of(ty) => Ok(ty),
        Ty::System(system) if system.element().is_some() => Err(SqlError::unsupported(
            "an array type",
            "Use a table with a row for each element, or JSON.",
        )),
        Ty::System(system) => Err(SqlError::unsupported(
            format!("a column of type {system}"),
            match system.stored() {
                Type::BigInt => "Use BIGINT.",
                _ => "Use VARCHAR(63).",
            },
        )),
        Ty::Interval | Ty::Unknown => Err(SqlError::unsupported(
            "a column of type interval",
            "Keep the length as BIGINT microseconds, or two timestamps.",
        )),
    }
}

fn exact(info: ExactNumberInfo) -> Result<TypeName, SqlError> {
    let (precision, scale, bare_numeric) = match info {
        ExactNumberInfo::None => (
            NUMERIC_PRECISION_MAX.into(),
            NUMERIC_SCALE_DEFAULT.into(),
            true,
        ),
        ExactNumberInfo::Precision(precision) => (precision, 0, false),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale, false),
    };
    let checked = u8::try_from(precision)
        .ok()
        .filter(|precision| (1..=NUMERIC_PRECISION_MAX).contains(precision))
        .zip(u8::try_from(scale).ok())
        .filter(|(precision, scale)| *scale <= NUMERIC_SCALE_MAX && scale <= precision);
    let Some((precision, scale)) = checked else {
        return Err(SqlError::new(
            "22023",
            format!("NUMERIC({precision},{scale}) is outside the bounds"),
        )
        .hint(format!(
            "Precision is 1 to {NUMERIC_PRECISION_MAX}, scale 0 to {NUMERIC_SCALE_MAX} and at most the precision."
        )));
    };
    Ok(TypeName {
        ty: Ty::Of(Type::Numeric { precision, scale }),
        bare_numeric,
    })
}

fn plain(name: &DataType) -> Result<Type, SqlError> {
    Ok(match name {
        DataType::Bool | DataType::Boolean => Type::Bool,
        DataType::SmallInt(None) | DataType::Int2(None) => Type::SmallInt,
        DataType::Int(None) | DataType::Int4(None) | DataType::Integer(None) => Type::Integer,
        DataType::BigInt(None) | DataType::Int8(None) => Type::BigInt,
        DataType::Float8 | DataType::DoublePrecision => Type::Double,
        DataType::Float(ExactNumberInfo::None) | DataType::Double(ExactNumberInfo::None) => {
            Type::Double
        }
        DataType::Float(ExactNumberInfo::Precision(25..=53)) => Type::Double,
        DataType::Real | DataType::Float4 | DataType::Float(_) => {
            return Err(SqlError::unsupported("type real", "Use DOUBLE PRECISION."));
        }
        DataType::Text => Type::Text,
        DataType::Varchar(length)
        | DataType::CharacterVarying(length)
        | DataType::CharVarying(length) => match length {
            None => Type::Text,
            Some(length) => Type::Varchar(characters(length)?),
        },
        DataType::Char(length) | DataType::Character(length) => {
            Type::Char(length.as_ref().map_or(Ok(1), char_length)?)
        }
        DataType::Bytea => Type::Bytea,
        DataType::Date => Type::Date,
        DataType::Timestamp(None | Some(6), zone) => match zone {
            TimezoneInfo::None | TimezoneInfo::WithoutTimeZone => Type::Timestamp,
            TimezoneInfo::WithTimeZone | TimezoneInfo::Tz => Type::TimestampTz,
        },
        DataType::Timestamp(..) => {
            return Err(SqlError::unsupported(
                "a timestamp of another precision than 6",
                "Leave the precision out; use date_trunc to cut.",
            ));
        }
        DataType::Time(..) => {
            return Err(SqlError::unsupported(
                "type time",
                "Use TIMESTAMP, or BIGINT microseconds since midnight.",
            ));
        }
        DataType::Uuid => Type::Uuid,
        DataType::JSON => Type::Json,
        DataType::JSONB => {
            return Err(SqlError::unsupported(
                "type jsonb",
                "Use JSON: it keeps the text as given.",
            ));
        }
        DataType::Custom(name, _) => return custom(&parts(name)?),
        other => {
            return Err(SqlError::new(
                "42704",
                format!(
                    "type \"{}\" does not exist",
                    other.to_string().to_lowercase()
                ),
            )
            .hint(TYPES_HINT));
        }
    })
}

const TYPES_HINT: &str = "Types are BOOLEAN, SMALLINT, INTEGER, BIGINT, NUMERIC(p,s), DOUBLE PRECISION, TEXT, VARCHAR(n), CHAR(n), BYTEA, DATE, TIMESTAMP, TIMESTAMPTZ, UUID, JSON.";

fn custom(parts: &[String]) -> Result<Type, SqlError> {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    Ok(match parts.as_slice() {
        [name] | ["pg_catalog", name] => match *name {
            "bool" => Type::Bool,
            "int2" => Type::SmallInt,
            "int4" => Type::Integer,
            "int8" => Type::BigInt,
            "float8" => Type::Double,
            "text" => Type::Text,
            "varchar" => Type::Text,
            "bytea" => Type::Bytea,
            "date" => Type::Date,
            "timestamp" => Type::Timestamp,
            "timestamptz" => Type::TimestampTz,
            "uuid" => Type::Uuid,
            "json" => Type::Json,
            "numeric" => numeric(NUMERIC_SCALE_DEFAULT),
            "serial" | "bigserial" | "smallserial" | "serial4" | "serial8" => {
                return Err(SqlError::unsupported(
                    format!("type {name}"),
                    "Use BIGINT and let the client give the number, or UUID with DEFAULT gen_random_uuid().",
                ));
            }
            _ => return Err(no_type(name)),
        },
        _ => return Err(no_type(&parts.join("."))),
    })
}

/// A type of the system catalogue, or an array by its old name, `_text`.
fn system_name(parts: &[String]) -> Option<SystemType> {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let ([name] | ["pg_catalog", name]) = parts.as_slice() else {
        return match parts.as_slice() {
            ["information_schema", "sql_identifier"] => Some(SystemType::Name),
            _ => None,
        };
    };
    Some(match *name {
        "oid" => SystemType::Oid,
        "xid" => SystemType::Xid,
        "name" => SystemType::Name,
        "char" => SystemType::Char,
        "regclass" => SystemType::Regclass,
        "regtype" => SystemType::Regtype,
        "regproc" | "regprocedure" => SystemType::Regproc,
        "regnamespace" => SystemType::Regnamespace,
        "regrole" => SystemType::Regrole,
        "int2vector" => SystemType::Int2Vector,
        "oidvector" => SystemType::OidVector,
        name => {
            let bare = name.strip_prefix('_')?;
            let ty = custom(&[bare.to_owned()]).ok()?;
            SystemType::Array(Element::holding(ty))
        }
    })
}

fn element(array: &ArrayElemTypeDef) -> Result<Element, SqlError> {
    let (ArrayElemTypeDef::SquareBracket(inner, _)
    | ArrayElemTypeDef::AngleBracket(inner)
    | ArrayElemTypeDef::Parenthesis(inner)) = array
    else {
        return Err(SqlError::new("42704", "type \"array\" does not exist"));
    };
    match type_name(inner)?.ty {
        Ty::Of(ty) => Ok(Element::holding(ty)),
        Ty::System(SystemType::Oid) => Ok(Element::Oid),
        Ty::System(SystemType::Name) => Ok(Element::Name),
        Ty::System(SystemType::Char) => Ok(Element::Char),
        other => Err(SqlError::unsupported(
            format!("an array of {other}"),
            "Give the elements one by one.",
        )),
    }
}

fn no_type(name: &str) -> SqlError {
    SqlError::new("42704", format!("type \"{name}\" does not exist")).hint(TYPES_HINT)
}

fn char_length(length: &CharacterLength) -> Result<u32, SqlError> {
    match length {
        CharacterLength::IntegerLength { length, .. }
            if (1..=u64::from(CHAR_LEN_MAX)).contains(length) =>
        {
            Ok(*length as u32)
        }
        _ => Err(SqlError::new(
            "22023",
            format!("length for type char must be 1 to {CHAR_LEN_MAX}"),
        )
        .hint("Use VARCHAR(n) or TEXT for longer texts.")),
    }
}

fn characters(length: &CharacterLength) -> Result<u32, SqlError> {
    match length {
        CharacterLength::IntegerLength { length, .. } if (1..=VARCHAR_MAX).contains(length) => {
            Ok(*length as u32)
        }
        _ => Err(SqlError::new(
            "22023",
            format!("length for type varchar must be 1 to {VARCHAR_MAX}"),
        )),
    }
}
