//! Tables of a database that come from elsewhere, to be taken into a ledger: what they are, in the ledger's words.
//!
//! A type the ledger has not is taken as TEXT, in the database's own writing of its values.

use std::sync::Arc;

use stele_core::schema::{ColumnId, TableId};
use stele_core::{Type, Value};
use stele_flow::{Column, HeldTable, Load, Mirror, SinkError, Table};

/// A table of a database.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignTable {
    /// Its name there: `schema.name` in PostgreSQL.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<ForeignColumn>,
    /// Names of its primary key's columns, in key order; none if it has no primary key.
    pub key: Vec<String>,
}

/// A column of a table of a database.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignColumn {
    /// Its name.
    pub name: String,
    /// Its type there.
    pub declared: String,
    /// Its type in the ledger.
    pub ty: Type,
    /// Whether it is NOT NULL.
    pub not_null: bool,
}

/// A database whose tables can be read though no ledger wrote them.
pub trait Foreign: Mirror {
    /// Its tables, in order of name. Within a read.
    ///
    /// # Errors
    /// When it cannot be read.
    fn foreign_tables(&mut self) -> Result<Vec<ForeignTable>, SinkError>;
}

/// Tables gathered from rows of one column each, in order of table and column.
#[derive(Default)]
pub(crate) struct Gathered(Vec<(ForeignTable, Vec<(i64, String)>)>);

impl Gathered {
    /// A column of a table; `place` is its place in the primary key.
    pub(crate) fn push(&mut self, table: String, column: ForeignColumn, place: Option<i64>) {
        if self.0.last().is_none_or(|(last, _)| last.name != table) {
            let table = ForeignTable {
                name: table,
                columns: Vec::new(),
                key: Vec::new(),
            };
            self.0.push((table, Vec::new()));
        }
        let Some((table, key)) = self.0.last_mut() else {
            return;
        };
        key.extend(place.map(|place| (place, column.name.clone())));
        table.columns.push(column);
    }

    /// All of them, their keys in order and of types that fit keys.
    pub(crate) fn tables(self) -> Vec<ForeignTable> {
        let tables = self.0.into_iter().map(|(mut table, mut key)| {
            key.sort();
            table.key = key.into_iter().map(|(_, column)| column).collect();
            table.bound_key();
            table
        });
        tables.collect()
    }
}

/// Longest text in a key, in characters, where the database names no length.
const KEY_TEXT_LEN: u32 = 700;
/// Number of the table where only its shape counts.
const NO_ID: TableId = TableId(0);

impl ForeignTable {
    /// How rows of it are read: in the columns' types.
    #[must_use]
    pub fn readable(&self) -> HeldTable {
        let columns = (1..).zip(&self.columns).map(|(id, column)| Column {
            id: ColumnId(id),
            name: column.name.clone(),
            ty: column.ty,
            missing: Value::Null,
        });
        let columns: Vec<Column> = columns.collect();
        let id_of = |name: &String| columns.iter().find(|one| one.name == *name);
        let key = self.key.iter().filter_map(id_of).map(|column| column.id);
        HeldTable {
            table: Arc::new(Table {
                id: NO_ID,
                schema: String::new(),
                name: self.name.clone(),
                is_sequence: false,
                key: key.collect(),
                columns: columns.clone(),
            }),
            target: self.name.clone(),
            load: Load::Done,
        }
    }

    /// Takes the types of a shape for the columns that have its names.
    pub(crate) fn take_types(&mut self, shape: &Table) {
        for column in &mut self.columns {
            if let Some(known) = shape.columns.iter().find(|one| one.name == column.name) {
                column.ty = known.ty;
            }
        }
    }

    /// Gives texts in the key a length: the ledger wants one.
    pub(crate) fn bound_key(&mut self) {
        for column in &mut self.columns {
            if column.ty == Type::Text && self.key.contains(&column.name) {
                column.ty = Type::Varchar(KEY_TEXT_LEN);
            }
        }
    }
}

/// The numbers between the parentheses of a type: `(12,2)`.
pub(crate) fn numbers(declared: &str) -> Vec<u32> {
    let Some((_, rest)) = declared.split_once('(') else {
        return Vec::new();
    };
    let inside = rest.split(')').next().unwrap_or_default();
    inside
        .split(',')
        .filter_map(|number| number.trim().parse().ok())
        .collect()
}

/// NUMERIC of a precision and scale, if the ledger has it; else TEXT.
pub(crate) fn numeric(numbers: &[u32]) -> Type {
    use stele_core::value::{NUMERIC_PRECISION_MAX, NUMERIC_SCALE_MAX};
    let (precision, scale) = match numbers {
        [] => (38, 10),
        [precision] => (*precision, 0),
        [precision, scale, ..] => (*precision, *scale),
    };
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision), Ok(scale))
            if (1..=NUMERIC_PRECISION_MAX).contains(&precision)
                && scale <= NUMERIC_SCALE_MAX.min(precision) =>
        {
            Type::Numeric { precision, scale }
        }
        _ => Type::Text,
    }
}

/// VARCHAR or CHAR of a length.
pub(crate) fn text_of(numbers: &[u32]) -> Type {
    match numbers {
        [length, ..] if *length > 0 => Type::Varchar(*length),
        _ => Type::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_lengths_are_read() {
        assert_eq!(numbers("decimal(12, 2) unsigned"), [12, 2]);
        assert!(numbers("text").is_empty());
        assert_eq!(numeric(&[65, 2]), Type::Text);
        let (precision, scale) = (12, 2);
        assert_eq!(numeric(&[12, 2]), Type::Numeric { precision, scale });
        assert_eq!(text_of(&[40]), Type::Varchar(40));
    }
}
