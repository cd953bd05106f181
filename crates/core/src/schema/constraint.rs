//! Indexes, CHECK constraints and foreign keys.

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list, put_option};

use super::{COLUMNS_MAX, ColumnId, EXPRESSION_LEN_MAX, NAME_LEN_MAX, TableId, Text};

/// A UNIQUE constraint or an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// Name, unique in the schema.
    pub name: String,
    /// What is indexed, in index order; never empty.
    pub keys: Vec<IndexKey>,
    /// Whether it forbids equal keys.
    pub unique: bool,
    /// Whether it was made by UNIQUE in a table, not by CREATE INDEX.
    pub constraint: bool,
    /// The rows it holds: all, or those a condition is true for (PostgreSQL text).
    pub predicate: Option<String>,
}

/// One part of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexKey {
    /// What is indexed.
    pub part: IndexPart,
    /// Whether the highest comes first.
    pub descending: bool,
}

/// What a part of an index is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexPart {
    /// A column.
    Column(ColumnId),
    /// An expression over columns, PostgreSQL text.
    Expression(String),
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Name, unique in the table.
    pub name: String,
    /// Boolean expression, PostgreSQL text as normalised by the binder.
    pub expression: String,
}

/// What happens to rows whose row they refer to goes or changes its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The change fails, unless it is put right before the check.
    NoAction,
    /// The change fails at once.
    Restrict,
    /// They go or change with it.
    Cascade,
    /// Their columns become NULL.
    SetNull,
    /// Their columns become their defaults.
    SetDefault,
}

/// When a foreign key is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// After each statement.
    Immediate,
    /// After each statement, until a transaction says otherwise.
    Deferrable,
    /// At the end of the transaction.
    Deferred,
}

/// A foreign key, MATCH SIMPLE.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignKey {
    /// Name, unique in the table.
    pub name: String,
    /// The columns that refer.
    pub columns: Vec<ColumnId>,
    /// The table they refer to.
    pub references: TableId,
    /// Its columns, as many; they are its primary key or UNIQUE.
    pub referenced: Vec<ColumnId>,
    /// When the row referred to is deleted.
    pub on_delete: Action,
    /// When its key changes.
    pub on_update: Action,
    /// When it is checked.
    pub timing: Timing,
}

impl Index {
    /// A plain index of all rows.
    #[must_use]
    pub fn plain(name: String, columns: &[ColumnId], unique: bool, constraint: bool) -> Self {
        let keys = columns.iter().map(|id| IndexKey {
            part: IndexPart::Column(*id),
            descending: false,
        });
        Self {
            name,
            keys: keys.collect(),
            unique,
            constraint,
            predicate: None,
        }
    }

    /// Its columns, when it holds all rows by plain columns: then it can be the target of ON CONFLICT
    /// and of a foreign key.
    #[must_use]
    pub fn plain_columns(&self) -> Option<Vec<ColumnId>> {
        if self.predicate.is_some() {
            return None;
        }
        let columns = self.keys.iter().map(|key| match key.part {
            IndexPart::Column(id) => Some(id),
            IndexPart::Expression(_) => None,
        });
        columns.collect()
    }

    /// Whether a plain part of it is that column.
    #[must_use]
    pub fn names(&self, column: ColumnId) -> bool {
        self.keys
            .iter()
            .any(|key| key.part == IndexPart::Column(column))
    }
}

impl Encode for Index {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        put_list(out, &self.keys);
        out.push(u8::from(self.unique));
        out.push(u8::from(self.constraint));
        put_option(out, self.predicate.clone().map(Text).as_ref());
    }
}

impl Decode for Index {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let index = Self {
            name: reader.text("index name", NAME_LEN_MAX)?,
            keys: reader.list("index columns", COLUMNS_MAX)?,
            unique: reader.bool()?,
            constraint: reader.bool()?,
            predicate: reader.option::<Text>()?.map(|text| text.0),
        };
        if index.keys.is_empty() {
            return Err(DecodeError::Invalid("an index has no columns"));
        }
        Ok(index)
    }
}

impl Encode for IndexKey {
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.part {
            IndexPart::Column(id) => {
                out.push(1);
                id.encode(out);
            }
            IndexPart::Expression(text) => {
                out.push(2);
                put_bytes(out, text.as_bytes());
            }
        }
        out.push(u8::from(self.descending));
    }
}

impl Decode for IndexKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let part = match reader.u8()? {
            1 => IndexPart::Column(ColumnId::decode(reader)?),
            2 => IndexPart::Expression(reader.text("index expression", EXPRESSION_LEN_MAX)?),
            _ => return Err(DecodeError::Invalid("unknown part of an index")),
        };
        Ok(Self {
            part,
            descending: reader.bool()?,
        })
    }
}

impl Encode for Check {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        put_bytes(out, self.expression.as_bytes());
    }
}

impl Decode for Check {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: reader.text("check name", NAME_LEN_MAX)?,
            expression: reader.text("check expression", EXPRESSION_LEN_MAX)?,
        })
    }
}

impl Encode for Action {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::NoAction => 0,
            Self::Restrict => 1,
            Self::Cascade => 2,
            Self::SetNull => 3,
            Self::SetDefault => 4,
        });
    }
}

impl Decode for Action {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::NoAction,
            1 => Self::Restrict,
            2 => Self::Cascade,
            3 => Self::SetNull,
            4 => Self::SetDefault,
            _ => return Err(DecodeError::Invalid("unknown action of a foreign key")),
        })
    }
}

impl Encode for ForeignKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        put_list(out, &self.columns);
        self.references.encode(out);
        put_list(out, &self.referenced);
        self.on_delete.encode(out);
        self.on_update.encode(out);
        out.push(match self.timing {
            Timing::Immediate => 0,
            Timing::Deferrable => 1,
            Timing::Deferred => 2,
        });
    }
}

impl Decode for ForeignKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = Self {
            name: reader.text("foreign key name", NAME_LEN_MAX)?,
            columns: reader.list("foreign key columns", COLUMNS_MAX)?,
            references: TableId::decode(reader)?,
            referenced: reader.list("referenced columns", COLUMNS_MAX)?,
            on_delete: Action::decode(reader)?,
            on_update: Action::decode(reader)?,
            timing: match reader.u8()? {
                0 => Timing::Immediate,
                1 => Timing::Deferrable,
                2 => Timing::Deferred,
                _ => return Err(DecodeError::Invalid("unknown timing of a foreign key")),
            },
        };
        if key.columns.is_empty() || key.columns.len() != key.referenced.len() {
            return Err(DecodeError::Invalid("a foreign key's columns do not pair"));
        }
        Ok(key)
    }
}
