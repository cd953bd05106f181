//! What a block does to tables, in the words of those who keep them.
//!
//! A source may know more of a table (rights, constraints, who owns it); a sink needs its shape and its
//! rows. Values are [`stele_core::Value`]s, keys are encoded by [`stele_core::key`]: what two changes of
//! one row have in common.

use std::fmt;
use std::sync::Arc;

use stele_core::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list};
use stele_core::schema;
use stele_core::schema::{COLUMNS_MAX, ColumnId, NAME_LEN_MAX, TableId};
use stele_core::{Hash, Type, Value};

/// Version of the encoding of a [`Table`].
const TABLE_VERSION: u8 = 1;

/// A table as a sink keeps it.
///
/// Layout: version `u8` = 1, id `u32`, schema and name (length `u32`, UTF-8), whether it is a sequence `u8`, list of columns (id `u16`, name,
/// type, value of rows older than the column), list of the ids of the primary key's columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Identity in the source for ever; a name that is dropped and created anew gets another.
    pub id: TableId,
    /// Schema (namespace) in the source.
    pub schema: String,
    /// Name in the source.
    pub name: String,
    /// Whether it stands for a sequence of numbers: one row, which nobody but the source changes.
    pub is_sequence: bool,
    /// Columns in order of their place.
    pub columns: Vec<Column>,
    /// Primary key columns in key order; never empty.
    pub key: Vec<ColumnId>,
}

/// A column as a sink keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Identity in its table for ever; renaming keeps it.
    pub id: ColumnId,
    /// Name.
    pub name: String,
    /// Type.
    pub ty: Type,
    /// What rows hold that were there before the column came.
    pub missing: Value,
}

/// A row that comes, changes or goes. A row's key never changes.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// Encoded primary key.
    pub key: Vec<u8>,
    /// Values before, one a column of the table as it was; none for an insert.
    pub before: Option<Vec<Value>>,
    /// Values after, one a column; none for a delete.
    pub after: Option<Vec<Value>>,
}

/// One change of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A table comes, changes its shape or goes with all its rows.
    Table {
        /// Shape before; none when it is new.
        before: Option<Arc<Table>>,
        /// Shape after; none when it goes.
        after: Option<Arc<Table>>,
    },
    /// A row of a table.
    Row(Arc<Table>, RowChange),
}

/// Where a block stands in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Height, from 1; 0 is before the first block.
    pub height: u64,
    /// The block's hash; zeros at height 0.
    pub hash: Hash,
}

/// A verified block: what it does to tables, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Where it stands.
    pub position: Position,
    /// Its time, microseconds since 1970 UTC.
    pub time_us: i64,
    /// What it does.
    pub changes: Vec<Change>,
    /// Length of the changes as the source keeps them, in bytes: what buffers count.
    pub len: usize,
}

impl Table {
    /// The shape of a definition: of a table or a sequence; none of what has no rows of its own.
    #[must_use]
    pub fn of(definition: &schema::Table) -> Option<Self> {
        if !definition.kind.has_rows() {
            return None;
        }
        let columns = definition.columns.iter().map(|column| Column {
            id: column.id,
            name: column.name.clone(),
            ty: column.ty,
            missing: column.missing.clone(),
        });
        Some(Self {
            id: definition.id,
            schema: definition.schema.clone(),
            name: definition.name.clone(),
            is_sequence: matches!(definition.kind, schema::Kind::Sequence(_)),
            columns: columns.collect(),
            key: definition.primary_key.clone(),
        })
    }

    /// The column of that id.
    #[must_use]
    pub fn column(&self, id: ColumnId) -> Option<&Column> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// Places of the key's columns among the columns, in key order.
    pub fn key_places(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        let place = |id: &ColumnId| self.columns.iter().position(|column| column.id == *id);
        self.key.iter().filter_map(place)
    }

    /// The key's columns in key order.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> + Clone {
        self.key.iter().filter_map(|id| self.column(*id))
    }

    /// A row's key values in key order.
    #[must_use]
    pub fn key_of<'v>(&self, values: &'v [Value]) -> Vec<&'v Value> {
        self.key_places()
            .filter_map(|place| values.get(place))
            .collect()
    }

    /// A key for people: `id = 1, day = 2026-01-31`.
    #[must_use]
    pub fn key_text(&self, key: &[&Value]) -> String {
        let columns = self.key_columns().zip(key);
        let parts: Vec<String> = columns
            .map(|(column, value)| format!("{} = {}", column.name, shown(column.ty, value)))
            .collect();
        parts.join(", ")
    }
}

/// A value for people.
#[must_use]
pub fn shown(ty: Type, value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Text(text) | Value::Json(text) => format!("{text:?}"),
        other => stele_core::value::text::format(ty, other),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl RowChange {
    /// The row's key values, whichever side has them.
    #[must_use]
    pub fn key_of<'v>(&'v self, table: &Table) -> Vec<&'v Value> {
        let values = self.after.as_ref().or(self.before.as_ref());
        values.map_or_else(Vec::new, |values| table.key_of(values))
    }
}

impl Position {
    /// Before the first block.
    pub const START: Self = Self {
        height: 0,
        hash: Hash::ZERO,
    };
}

impl Encode for Column {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        put_bytes(out, self.name.as_bytes());
        self.ty.encode(out);
        self.missing.encode(out);
    }
}

impl Decode for Column {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: ColumnId::decode(reader)?,
            name: reader.text("column name", NAME_LEN_MAX)?,
            ty: Type::decode(reader)?,
            missing: Value::decode(reader)?,
        })
    }
}

impl Encode for Table {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(TABLE_VERSION);
        self.id.encode(out);
        put_bytes(out, self.schema.as_bytes());
        put_bytes(out, self.name.as_bytes());
        out.push(u8::from(self.is_sequence));
        put_list(out, &self.columns);
        put_list(out, &self.key);
    }
}

impl Decode for Table {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("table shape", TABLE_VERSION)?;
        let table = Self {
            id: TableId::decode(reader)?,
            schema: reader.text("schema name", NAME_LEN_MAX)?,
            name: reader.text("table name", NAME_LEN_MAX)?,
            is_sequence: reader.bool()?,
            columns: reader.list("columns", COLUMNS_MAX)?,
            key: reader.list("primary key columns", COLUMNS_MAX)?,
        };
        if table.key.is_empty() || table.key_places().count() != table.key.len() {
            return Err(DecodeError::Invalid(
                "a table shape's primary key is empty or names columns it lacks",
            ));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests;
