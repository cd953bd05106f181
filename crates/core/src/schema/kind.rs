//! What a definition stands for: not only tables live in the catalogue. Whatever is defined there is
//! proven, historied and undone alike.

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list, put_option};
use crate::value::Type;

use super::{ColumnId, NAME_LEN_MAX, QUERY_LEN_MAX, TableId, Text};

/// Most schemas of a search path.
pub const SEARCH_PATH_MAX: usize = 16;
/// Most relations a view reads.
pub const READS_MAX: usize = 1_000;
/// Most parameters and most statements of a procedure.
pub const PROCEDURE_MAX: usize = 100;

/// What a definition stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Kind {
    /// Rows with a primary key.
    #[default]
    Table,
    /// A query under a name.
    View(View),
    /// Numbers in order: a relation of exactly one row, so that taking one is a row change.
    Sequence(Sequence),
    /// A namespace of relations and procedures.
    Schema,
    /// A group of accounts: its members are those granted membership.
    Role,
    /// Statements under a name, run with the rights of their owner.
    Procedure(Procedure),
}

/// Names are unique in a schema among definitions of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Tables, views and sequences.
    Relation,
    /// Procedures.
    Procedure,
    /// Schemas, whose own schema is the empty name.
    Schema,
    /// Roles, whose own schema is the empty name.
    Role,
}

/// A view.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its SELECT, PostgreSQL text.
    pub query: String,
    /// Schemas its bare names are looked up in.
    pub search_path: Vec<String>,
    /// The relations it names, in id order.
    pub reads: Vec<TableId>,
}

/// A sequence. Its columns are `last_value`, `log_cnt` (its key, always 0) and `is_called`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// SMALLINT, INTEGER or BIGINT.
    pub ty: Type,
    /// The first value.
    pub start: i64,
    /// What is added each time; not 0.
    pub increment: i64,
    /// The lowest value.
    pub min: i64,
    /// The highest value.
    pub max: i64,
    /// Whether it begins anew beyond its end.
    pub cycle: bool,
    /// The column it goes away with.
    pub owned_by: Option<(TableId, ColumnId)>,
}

/// A procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Procedure {
    /// Names and types of its parameters.
    pub parameters: Vec<(String, Type)>,
    /// Its statements, PostgreSQL text; parameters are `$1`….
    pub statements: Vec<String>,
    /// Schemas its bare names are looked up in.
    pub search_path: Vec<String>,
}

impl Kind {
    /// The class its names are unique in.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Table | Self::View(_) | Self::Sequence(_) => Class::Relation,
            Self::Schema => Class::Schema,
            Self::Role => Class::Role,
            Self::Procedure(_) => Class::Procedure,
        }
    }

    /// Whether rows are kept for it, under a primary key.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        matches!(self, Self::Table | Self::Sequence(_))
    }

    /// What PostgreSQL calls it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View(_) => "view",
            Self::Sequence(_) => "sequence",
            Self::Schema => "schema",
            Self::Role => "role",
            Self::Procedure(_) => "procedure",
        }
    }
}

impl Encode for Kind {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Table => out.push(1),
            Self::View(view) => {
                out.push(2);
                put_bytes(out, view.query.as_bytes());
                put_names(out, &view.search_path);
                put_list(out, &view.reads);
            }
            Self::Sequence(sequence) => {
                out.push(3);
                sequence.ty.encode(out);
                for number in [
                    sequence.start,
                    sequence.increment,
                    sequence.min,
                    sequence.max,
                ] {
                    out.extend_from_slice(&number.to_be_bytes());
                }
                out.push(u8::from(sequence.cycle));
                put_option(out, sequence.owned_by.map(Place).as_ref());
            }
            Self::Schema => out.push(4),
            Self::Role => out.push(5),
            Self::Procedure(procedure) => {
                out.push(6);
                let parameters = procedure.parameters.iter().cloned();
                put_list(out, &parameters.map(Parameter).collect::<Vec<_>>());
                let statements = procedure.statements.iter().cloned();
                put_list(out, &statements.map(Text).collect::<Vec<_>>());
                put_names(out, &procedure.search_path);
            }
        }
    }
}

impl Decode for Kind {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            1 => Self::Table,
            2 => {
                let view = View {
                    query: reader.text("query", QUERY_LEN_MAX)?,
                    search_path: names(reader)?,
                    reads: reader.list("relations read", READS_MAX)?,
                };
                if !view.reads.is_sorted_by(|a, b| a < b) {
                    return Err(DecodeError::Invalid("relations read are not in id order"));
                }
                Self::View(view)
            }
            3 => Self::Sequence(Sequence {
                ty: Type::decode(reader)?,
                start: reader.i64()?,
                increment: reader.i64()?,
                min: reader.i64()?,
                max: reader.i64()?,
                cycle: reader.bool()?,
                owned_by: reader.option::<Place>()?.map(|place| place.0),
            }),
            4 => Self::Schema,
            5 => Self::Role,
            6 => Self::Procedure(Procedure {
                parameters: reader
                    .list::<Parameter>("parameters", PROCEDURE_MAX)?
                    .into_iter()
                    .map(|parameter| parameter.0)
                    .collect(),
                statements: reader
                    .list::<Text>("statements", PROCEDURE_MAX)?
                    .into_iter()
                    .map(|text| text.0)
                    .collect(),
                search_path: names(reader)?,
            }),
            _ => return Err(DecodeError::Invalid("unknown kind of definition")),
        })
    }
}

struct Place((TableId, ColumnId));

impl Encode for Place {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.0.encode(out);
        self.0.1.encode(out);
    }
}

impl Decode for Place {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self((TableId::decode(reader)?, ColumnId::decode(reader)?)))
    }
}

struct Parameter((String, Type));

impl Encode for Parameter {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.0.0.as_bytes());
        self.0.1.encode(out);
    }
}

impl Decode for Parameter {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self((
            reader.text("parameter name", NAME_LEN_MAX)?,
            Type::decode(reader)?,
        )))
    }
}

struct Name(String);

impl Encode for Name {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.0.as_bytes());
    }
}

impl Decode for Name {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.text("schema name", NAME_LEN_MAX)?))
    }
}

fn put_names(out: &mut Vec<u8>, names: &[String]) {
    put_list(out, &names.iter().cloned().map(Name).collect::<Vec<_>>());
}

fn names(reader: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    let names = reader.list::<Name>("search path", SEARCH_PATH_MAX)?;
    Ok(names.into_iter().map(|name| name.0).collect())
}
