//! Types that expressions and results can have though no column has them: those of PostgreSQL's
//! system catalogue, and arrays.
//!
//! In SQLite, numbers of objects are integers, names are texts, and an array is a JSON text
//! (`["a",null]`). On the wire an array is what PostgreSQL makes of it (`{a,NULL}`).

use std::fmt;

use stele_core::Type;
use stele_core::value::NUMERIC_PRECISION_MAX;

/// A type of the system catalogue, or an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemType {
    /// `oid`: the number of an object.
    Oid,
    /// `xid`.
    Xid,
    /// `name`.
    Name,
    /// `"char"`: one byte.
    Char,
    /// `regclass`: a relation by its number, shown as its name.
    Regclass,
    /// `regtype`.
    Regtype,
    /// `regproc`.
    Regproc,
    /// `regnamespace`.
    Regnamespace,
    /// `regrole`.
    Regrole,
    /// `int2vector`: kept as an array, shown as `1 2`.
    Int2Vector,
    /// `oidvector`.
    OidVector,
    /// A composite of `x`, an element, and `n`, its place: what `_pg_expandarray` gives.
    ElementAndPlace,
    /// An array.
    Array(Element),
}

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `boolean`.
    Bool,
    /// `smallint`.
    SmallInt,
    /// `integer`.
    Integer,
    /// `bigint`.
    BigInt,
    /// `double precision`.
    Double,
    /// `numeric`.
    Numeric,
    /// `text`.
    Text,
    /// `character varying`.
    Varchar,
    /// `character`.
    Bpchar,
    /// `bytea`.
    Bytea,
    /// `date`.
    Date,
    /// `timestamp`.
    Timestamp,
    /// `timestamptz`.
    TimestampTz,
    /// `uuid`.
    Uuid,
    /// `json`.
    Json,
    /// `oid`.
    Oid,
    /// `name`.
    Name,
    /// `"char"`.
    Char,
}

/// Element, its name, its number, the number of its array.
const ELEMENTS: [(Element, &str, u32, u32); 18] = [
    (Element::Bool, "boolean", 16, 1000),
    (Element::SmallInt, "smallint", 21, 1005),
    (Element::Integer, "integer", 23, 1007),
    (Element::BigInt, "bigint", 20, 1016),
    (Element::Double, "double precision", 701, 1022),
    (Element::Numeric, "numeric", 1700, 1231),
    (Element::Text, "text", 25, 1009),
    (Element::Varchar, "character varying", 1043, 1015),
    (Element::Bpchar, "character", 1042, 1014),
    (Element::Bytea, "bytea", 17, 1001),
    (Element::Date, "date", 1082, 1182),
    (
        Element::Timestamp,
        "timestamp without time zone",
        1114,
        1115,
    ),
    (Element::TimestampTz, "timestamp with time zone", 1184, 1185),
    (Element::Uuid, "uuid", 2950, 2951),
    (Element::Json, "json", 114, 199),
    (Element::Oid, "oid", 26, 1028),
    (Element::Name, "name", 19, 1003),
    (Element::Char, "\"char\"", 18, 1002),
];

impl SystemType {
    /// The type its values are kept in.
    #[must_use]
    pub fn stored(self) -> Type {
        match self {
            Self::Oid
            | Self::Xid
            | Self::Regclass
            | Self::Regtype
            | Self::Regproc
            | Self::Regnamespace
            | Self::Regrole => Type::BigInt,
            _ => Type::Text,
        }
    }

    /// Whether a value is the number of an object that is shown by its name.
    #[must_use]
    pub fn is_reference(self) -> bool {
        matches!(
            self,
            Self::Regclass | Self::Regtype | Self::Regproc | Self::Regnamespace | Self::Regrole
        )
    }

    /// The element type of an array or a vector.
    #[must_use]
    pub fn element(self) -> Option<Element> {
        match self {
            Self::Array(element) => Some(element),
            Self::Int2Vector => Some(Element::SmallInt),
            Self::OidVector => Some(Element::Oid),
            _ => None,
        }
    }

    /// Its number in `pg_type`.
    #[must_use]
    pub fn oid(self) -> u32 {
        match self {
            Self::Oid => 26,
            Self::Xid => 28,
            Self::Name => 19,
            Self::Char => 18,
            Self::Regclass => 2205,
            Self::Regtype => 2206,
            Self::Regproc => 24,
            Self::Regnamespace => 4089,
            Self::Regrole => 4096,
            Self::Int2Vector => 22,
            Self::OidVector => 30,
            Self::ElementAndPlace => 2249,
            Self::Array(element) => element.row().3,
        }
    }

    /// Bytes of a value; -1 when they vary.
    #[must_use]
    pub fn size(self) -> i16 {
        match self {
            Self::Name => 64,
            Self::Char => 1,
            _ if self.stored() == Type::BigInt => 4,
            _ => -1,
        }
    }

    /// The array type of that number in `pg_type`.
    #[must_use]
    pub fn array_of_oid(oid: u32) -> Option<Self> {
        let found = ELEMENTS.iter().find(|row| row.3 == oid)?;
        Some(Self::Array(found.0))
    }
}

impl Element {
    fn row(self) -> (Self, &'static str, u32, u32) {
        let found = ELEMENTS.iter().find(|row| row.0 == self);
        *found.unwrap_or(&(Self::Text, "text", 25, 1009))
    }

    /// Its number in `pg_type`.
    #[must_use]
    pub fn oid(self) -> u32 {
        self.row().2
    }

    /// The element type of that number in `pg_type`.
    #[must_use]
    pub fn of_oid(oid: u32) -> Option<Self> {
        ELEMENTS.iter().find(|row| row.2 == oid).map(|row| row.0)
    }

    /// The type its values are kept in outside the array.
    #[must_use]
    pub fn ty(self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::SmallInt => Type::SmallInt,
            Self::Integer => Type::Integer,
            Self::BigInt | Self::Oid => Type::BigInt,
            Self::Double => Type::Double,
            Self::Numeric => Type::Numeric {
                precision: NUMERIC_PRECISION_MAX,
                scale: 10,
            },
            Self::Text | Self::Varchar | Self::Bpchar | Self::Name | Self::Char => Type::Text,
            Self::Bytea => Type::Bytea,
            Self::Date => Type::Date,
            Self::Timestamp => Type::Timestamp,
            Self::TimestampTz => Type::TimestampTz,
            Self::Uuid => Type::Uuid,
            Self::Json => Type::Json,
        }
    }

    /// The element type that holds values of a type.
    #[must_use]
    pub fn holding(ty: Type) -> Self {
        match ty {
            Type::Bool => Self::Bool,
            Type::SmallInt => Self::SmallInt,
            Type::Integer => Self::Integer,
            Type::BigInt => Self::BigInt,
            Type::Double => Self::Double,
            Type::Numeric { .. } => Self::Numeric,
            Type::Text => Self::Text,
            Type::Varchar(_) => Self::Varchar,
            Type::Char(_) => Self::Bpchar,
            Type::Bytea => Self::Bytea,
            Type::Date => Self::Date,
            Type::Timestamp => Self::Timestamp,
            Type::TimestampTz => Self::TimestampTz,
            Type::Uuid => Self::Uuid,
            Type::Json => Self::Json,
        }
    }

    /// The system type of one element, where that is none a column can have.
    #[must_use]
    pub fn system(self) -> Option<SystemType> {
        match self {
            Self::Oid => Some(SystemType::Oid),
            Self::Name => Some(SystemType::Name),
            Self::Char => Some(SystemType::Char),
            _ => None,
        }
    }

    /// Whether JSON holds its values as SQLite does: whole numbers and texts.
    #[must_use]
    pub fn is_plain_in_json(self) -> bool {
        matches!(
            self.ty(),
            Type::SmallInt | Type::Integer | Type::BigInt | Type::Text | Type::Json
        )
    }
}

impl fmt::Display for SystemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oid => "oid",
            Self::Xid => "xid",
            Self::Name => "name",
            Self::Char => "\"char\"",
            Self::Regclass => "regclass",
            Self::Regtype => "regtype",
            Self::Regproc => "regproc",
            Self::Regnamespace => "regnamespace",
            Self::Regrole => "regrole",
            Self::Int2Vector => "int2vector",
            Self::OidVector => "oidvector",
            Self::ElementAndPlace => "record",
            Self::Array(element) => return write!(f, "{}[]", element.row().1),
        })
    }
}
