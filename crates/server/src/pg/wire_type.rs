//! PostgreSQL's object identifiers, sizes and modifiers of types.

use stele_core::Type;
use stele_core::value::NUMERIC_PRECISION_MAX;
use stele_sql::{OutputColumn, SqlError, SystemType};

/// Identifier of an untyped literal.
pub(crate) const UNKNOWN: u32 = 705;
pub(crate) const BOOL: u32 = 16;
pub(crate) const BYTEA: u32 = 17;
pub(crate) const CHAR: u32 = 18;
pub(crate) const NAME: u32 = 19;
pub(crate) const INT8: u32 = 20;
pub(crate) const INT2: u32 = 21;
pub(crate) const INT4: u32 = 23;
pub(crate) const TEXT: u32 = 25;
pub(crate) const OID: u32 = 26;
pub(crate) const JSON: u32 = 114;
pub(crate) const FLOAT4: u32 = 700;
pub(crate) const FLOAT8: u32 = 701;
pub(crate) const BPCHAR: u32 = 1042;
pub(crate) const VARCHAR: u32 = 1043;
pub(crate) const DATE: u32 = 1082;
pub(crate) const TIMESTAMP: u32 = 1114;
pub(crate) const TIMESTAMPTZ: u32 = 1184;
pub(crate) const REGCLASS: u32 = 2205;
pub(crate) const NUMERIC: u32 = 1700;
pub(crate) const UUID: u32 = 2950;
pub(crate) const JSONB: u32 = 3802;

/// NUMERIC without precision and scale.
pub(crate) const PLAIN_NUMERIC: Type = Type::Numeric {
    precision: NUMERIC_PRECISION_MAX,
    scale: 10,
};

/// A type as a row description names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireType {
    /// Object identifier.
    pub(crate) oid: u32,
    /// Bytes of a value; -1 when they vary.
    pub(crate) size: i16,
    /// Type modifier; -1 for none.
    pub(crate) modifier: i32,
}

impl WireType {
    /// How a column's type is named.
    pub(crate) fn of_column(column: &OutputColumn) -> Self {
        match column.system {
            None => Self::of(column.ty),
            Some(system) => Self {
                oid: system.oid(),
                size: system.size(),
                modifier: -1,
            },
        }
    }

    /// How a type of the ledger is named.
    pub(crate) fn of(ty: Type) -> Self {
        let (oid, size, modifier) = match ty {
            Type::Bool => (BOOL, 1, -1),
            Type::SmallInt => (INT2, 2, -1),
            Type::Integer => (INT4, 4, -1),
            Type::BigInt => (INT8, 8, -1),
            Type::Numeric { precision, scale } => (
                NUMERIC,
                -1,
                ((i32::from(precision) << 16) | i32::from(scale)) + 4,
            ),
            Type::Double => (FLOAT8, 8, -1),
            Type::Text => (TEXT, -1, -1),
            Type::Varchar(max) => (
                VARCHAR,
                -1,
                i32::try_from(max).map_or(-1, |max| max.saturating_add(4)),
            ),
            Type::Char(max) => (
                BPCHAR,
                -1,
                i32::try_from(max).map_or(-1, |max| max.saturating_add(4)),
            ),
            Type::Bytea => (BYTEA, -1, -1),
            Type::Date => (DATE, 4, -1),
            Type::Timestamp => (TIMESTAMP, 8, -1),
            Type::TimestampTz => (TIMESTAMPTZ, 8, -1),
            Type::Uuid => (UUID, 16, -1),
            Type::Json => (JSON, -1, -1),
        };
        Self {
            oid,
            size,
            modifier,
        }
    }
}

/// The ledger's type for a declared parameter; none where the binder is to infer it.
///
/// # Errors
/// 0A000 for a type the ledger does not have.
pub(crate) fn declared(oid: u32, number: usize) -> Result<Option<Type>, SqlError> {
    Ok(Some(match oid {
        0 | UNKNOWN => return Ok(None),
        BOOL => Type::Bool,
        INT2 => Type::SmallInt,
        INT4 => Type::Integer,
        INT8 | OID => Type::BigInt,
        FLOAT4 | FLOAT8 => Type::Double,
        NUMERIC => PLAIN_NUMERIC,
        TEXT | VARCHAR | BPCHAR | NAME => Type::Text,
        BYTEA => Type::Bytea,
        DATE => Type::Date,
        TIMESTAMP => Type::Timestamp,
        TIMESTAMPTZ => Type::TimestampTz,
        UUID => Type::Uuid,
        JSON | JSONB => Type::Json,
        REGCLASS | CHAR => Type::Text,
        // Kept as text, see `stele_sql::array_text`.
        array if SystemType::array_of_oid(array).is_some() => Type::Text,
        other => {
            let name = foreign_name(other);
            return Err(SqlError::unsupported(
                format!("the type {name} of parameter ${number}"),
                "Parameters are boolean, smallint, integer, bigint, numeric, double precision, text, bytea, date, timestamp, timestamptz, uuid, json or arrays of those.",
            ));
        }
    }))
}

/// A word for types clients send that the ledger does not have.
fn foreign_name(oid: u32) -> String {
    match oid {
        1083 => "time".to_owned(),
        1266 => "timetz".to_owned(),
        1186 => "interval".to_owned(),
        790 => "money".to_owned(),
        869 => "inet".to_owned(),
        142 => "xml".to_owned(),
        other => format!("with identifier {other}"),
    }
}
