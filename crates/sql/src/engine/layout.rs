//! Where a table's columns lie in SQLite, and its rows by key.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use stele_core::Value;
use stele_core::schema::Table;

use super::row_log::Stamp;
use super::rows::TableSql;
use crate::error::SqlError;
use crate::physical;

/// Hidden column: height that wrote the row.
pub(super) const HEIGHT_COLUMN: &str = "_h";
/// Hidden column: place in the block of the transaction that wrote the row.
pub(super) const INDEX_COLUMN: &str = "_x";

/// A table and the place of its columns in the rows the preupdate hook gives.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) table: Arc<Table>,
    /// The definition earlier versions of rows are read by.
    pub(super) lenient: Table,
    places: Vec<usize>,
    height: usize,
    index: usize,
    pub(super) sql: TableSql,
}

impl Layout {
    /// Asks SQLite for the columns' places: they follow the history of ALTER TABLE.
    pub(super) fn load(connection: &Connection, table: &Arc<Table>) -> rusqlite::Result<Self> {
        let mut statement =
            connection.prepare_cached("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
        let names = statement
            .query_map([physical::table_name(table.id)], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        let place = |name: &str| {
            let found = names.iter().position(|held| held == name);
            found.ok_or_else(|| rusqlite::Error::InvalidColumnName(name.to_owned()))
        };
        Ok(Self {
            lenient: super::rows::lenient(table),
            table: Arc::clone(table),
            places: table
                .columns
                .iter()
                .map(|column| place(&physical::column_name(column.id)))
                .collect::<rusqlite::Result<_>>()?,
            height: place(HEIGHT_COLUMN)?,
            index: place(INDEX_COLUMN)?,
            sql: TableSql::new(table),
        })
    }

    /// The values of a row in the table's column order, and who wrote it.
    pub(super) fn read(&self, values: &[ValueRef<'_>]) -> Result<(Vec<Value>, Stamp), SqlError> {
        let at = |place: usize| values.get(place).copied().unwrap_or(ValueRef::Null);
        let row = self
            .table
            .columns
            .iter()
            .zip(&self.places)
            .map(|(column, place)| physical::from_sqlite(column.ty, at(*place)))
            .collect::<Result<_, _>>()?;
        let written = stamp(at(self.height), at(self.index));
        Ok((row, written.map_err(|why| SqlError::new("XX000", why))?))
    }
}

/// Reads the hidden columns. What no transaction can have written there is refused: another program did.
pub(super) fn stamp(height: ValueRef<'_>, index: ValueRef<'_>) -> Result<Stamp, String> {
    let number = |value: ValueRef<'_>| value.as_i64().ok();
    let height_found = number(height).and_then(|value| u64::try_from(value).ok());
    let index_found = number(index).and_then(|value| u32::try_from(value).ok());
    match (height_found, index_found) {
        (Some(height), Some(index)) => Ok(Stamp { height, index }),
        _ => Err(format!(
            "the hidden columns say {height:?}, {index:?} instead of a height and a place in the block"
        )),
    }
}
