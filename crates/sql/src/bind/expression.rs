//! A bound expression: SQLite text with a type.

use stele_core::{Type, Value};

use crate::physical::{literal, to_sqlite};
use crate::system_type::SystemType;

/// The type of an expression while it is bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ty {
    /// A quoted literal, a NULL or a parameter nothing has typed yet.
    Unknown,
    /// INTERVAL: exists in expressions only; a blob in SQLite, text in a result.
    Interval,
    /// A type of the system catalogue, or an array: exists in expressions and results only.
    System(SystemType),
    /// A type values can have.
    Of(Type),
}

/// What else is known about an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Nothing.
    Other,
    /// The NULL literal.
    Null,
    /// A quoted literal of unknown type.
    Literal(String),
    /// A constant of known type.
    Constant(Value),
    /// Parameter `$n+1`.
    Parameter(usize),
    /// A column of a table: an index may serve it.
    Column,
}

/// SQLite text that can stand as an operand anywhere, with its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expression {
    pub(super) sql: String,
    pub(super) ty: Ty,
    pub(super) nullable: bool,
    pub(super) kind: Kind,
}

/// What an expression that differs from row to row, or from group to group, has in its text: columns are
/// named `r1.c2`; a sub-select, a draw, an aggregate or a window may differ without naming one.
const ROW_SIGNS: &[&str] = &[
    ".",
    "SELECT",
    "st_random",
    "st_nextval(",
    "st_row_id(",
    "OVER (",
    "count(",
    "sum(",
    "avg(",
    "min(",
    "max(",
    "group_concat(",
    "group_array(",
    "st_bit_",
    "st_same(",
    "st_single(",
];

impl Expression {
    pub(super) fn new(sql: impl Into<String>, ty: Type) -> Self {
        Self {
            sql: sql.into(),
            ty: Ty::Of(ty),
            nullable: true,
            kind: Kind::Other,
        }
    }

    pub(super) fn interval(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            ty: Ty::Interval,
            nullable: true,
            kind: Kind::Other,
        }
    }

    pub(super) fn unknown(text: &str) -> Self {
        Self {
            sql: literal(&rusqlite::types::Value::Text(text.to_owned())),
            ty: Ty::Unknown,
            nullable: false,
            kind: Kind::Literal(text.to_owned()),
        }
    }

    pub(super) fn null(ty: Ty) -> Self {
        Self {
            sql: "NULL".to_owned(),
            ty,
            nullable: true,
            kind: Kind::Null,
        }
    }

    /// A constant of a type; the value must be of that type.
    pub(super) fn constant(ty: Type, value: Value) -> Result<Self, crate::SqlError> {
        if value.is_null() {
            return Ok(Self::null(Ty::Of(ty)));
        }
        Ok(Self {
            sql: literal(&to_sqlite(ty, &value)?),
            ty: Ty::Of(ty),
            nullable: false,
            kind: Kind::Constant(value),
        })
    }

    pub(super) fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// Says that the text is null exactly when one of the operands is.
    pub(super) fn null_like(mut self, operands: &[&Expression]) -> Self {
        self.nullable = operands.iter().any(|operand| operand.nullable);
        self
    }

    pub(super) fn known(&self) -> Option<Type> {
        match self.ty {
            Ty::Of(ty) => Some(ty),
            Ty::System(system) => Some(system.stored()),
            Ty::Unknown | Ty::Interval => None,
        }
    }

    /// As a key of ORDER BY or GROUP BY. SQLite also folds `0 AND …`, so conditions are wrapped.
    pub(super) fn as_key(&self) -> String {
        match (&self.kind, self.ty) {
            (Kind::Other, Ty::Of(Type::Bool)) => format!("coalesce({},NULL)", self.sql),
            _ => self.sql.clone(),
        }
    }

    /// Whether it is the same for every row. SQLite folds such expressions when it parses, and takes
    /// a whole number in ORDER BY or GROUP BY for a position.
    pub(super) fn is_row_free(&self) -> bool {
        match self.kind {
            Kind::Constant(_) | Kind::Literal(_) | Kind::Null | Kind::Parameter(_) => true,
            Kind::Column => false,
            Kind::Other => !ROW_SIGNS.iter().any(|sign| self.sql.contains(sign)),
        }
    }

    /// Whether it is an array.
    pub(super) fn is_array(&self) -> bool {
        self.system().is_some_and(|ty| ty.element().is_some())
    }

    /// As the type its values are kept in: what operators and functions work with.
    pub(super) fn plain(self) -> Self {
        match self.ty {
            Ty::System(system) => Self {
                ty: Ty::Of(system.stored()),
                ..self
            },
            _ => self,
        }
    }

    /// Says that it is of a system type.
    pub(super) fn of_system(self, system: SystemType) -> Self {
        Self {
            ty: Ty::System(system),
            ..self
        }
    }

    pub(super) fn system(&self) -> Option<SystemType> {
        match self.ty {
            Ty::System(system) => Some(system),
            _ => None,
        }
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.ty == Ty::Unknown
    }
}

impl std::fmt::Display for Ty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Interval => f.write_str("interval"),
            Self::System(system) => system.fmt(f),
            Self::Of(ty) => ty.fmt(f),
        }
    }
}

/// Families of types that convert into each other without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Bool,
    Number,
    Text,
    Time,
    Bytea,
    Uuid,
    Json,
}

pub(super) fn family(ty: Type) -> Family {
    match ty {
        Type::Bool => Family::Bool,
        Type::SmallInt | Type::Integer | Type::BigInt | Type::Numeric { .. } | Type::Double => {
            Family::Number
        }
        Type::Text | Type::Varchar(_) | Type::Char(_) => Family::Text,
        Type::Bytea => Family::Bytea,
        Type::Date | Type::Timestamp | Type::TimestampTz => Family::Time,
        Type::Uuid => Family::Uuid,
        Type::Json => Family::Json,
    }
}

/// Bits of an integer type.
pub(super) fn bits(ty: Type) -> Option<u8> {
    match ty {
        Type::SmallInt => Some(16),
        Type::Integer => Some(32),
        Type::BigInt => Some(64),
        _ => None,
    }
}

pub(super) fn is_text(ty: Type) -> bool {
    family(ty) == Family::Text
}

/// A NUMERIC of the widest precision.
pub(super) fn numeric(scale: u8) -> Type {
    Type::Numeric {
        precision: stele_core::value::NUMERIC_PRECISION_MAX,
        scale,
    }
}

/// Digits after the point a number type has when seen as NUMERIC.
pub(super) fn scale_of(ty: Type) -> Option<u8> {
    match ty {
        Type::SmallInt | Type::Integer | Type::BigInt => Some(0),
        Type::Numeric { scale, .. } => Some(scale),
        _ => None,
    }
}
