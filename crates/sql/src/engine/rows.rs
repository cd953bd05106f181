//! Rows by key, without the binder: what applying and undoing effects, history and proofs use.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};
use stele_core::key::decode_key;
use stele_core::row::{Row, decode_row, encode_row};
use stele_core::schema::{Column, ColumnId, Table};
use stele_core::{Type, Value};

use super::error::EngineError;
use super::layout::{HEIGHT_COLUMN, INDEX_COLUMN, Layout, stamp};
use super::outcome::Failure;
use super::row_log::Stamp;
use super::statement::bind_value;
use crate::physical;

/// The texts of a table's statements.
#[derive(Debug)]
pub(super) struct TableSql {
    get: String,
    insert: String,
    delete: String,
    restamp: String,
    archive: String,
    archived: String,
    unarchive: String,
    get_at: String,
    get_old: String,
    scan: String,
    scan_after: String,
    versions: String,
}

impl TableSql {
    pub(super) fn new(table: &Table) -> Self {
        let name = physical::table_name(table.id);
        let history = physical::history_name(table.id);
        let (h, x) = (HEIGHT_COLUMN, INDEX_COLUMN);
        let (to_h, to_x) = ("_h2", "_x2");
        let list = |ids: &[ColumnId]| {
            let names: Vec<String> = ids.iter().map(|id| physical::column_name(*id)).collect();
            names.join(", ")
        };
        let all: Vec<ColumnId> = table.columns.iter().map(|column| column.id).collect();
        let columns = list(&all);
        let marks = |count: usize| vec!["?"; count].join(", ");
        let key = list(&table.primary_key);
        let equal: Vec<String> = table
            .primary_key
            .iter()
            .zip(1..)
            .map(|(id, n)| format!("{} = ?{n}", physical::column_name(*id)))
            .collect();
        let equal = equal.join(" AND ");
        let after = table.primary_key.len();
        let (first, second) = (after + 1, after + 2);
        Self {
            get: format!("SELECT {columns}, {h}, {x} FROM {name} WHERE {equal}"),
            insert: format!(
                "INSERT INTO {name} ({columns}, {h}, {x}) VALUES ({})",
                marks(all.len() + 2)
            ),
            delete: format!("DELETE FROM {name} WHERE {equal}"),
            restamp: format!("UPDATE {name} SET {h} = ?{first}, {x} = ?{second} WHERE {equal}"),
            archive: format!(
                "INSERT INTO {history} ({columns}, {h}, {x}, {to_h}, {to_x}) VALUES ({})",
                marks(all.len() + 4)
            ),
            archived: format!(
                "SELECT {h}, {x} FROM {history} WHERE {equal} AND {to_h} = ?{first} AND {to_x} = ?{second}"
            ),
            unarchive: format!(
                "DELETE FROM {history} WHERE {equal} AND {to_h} = ?{first} AND {to_x} = ?{second}"
            ),
            get_at: format!(
                "SELECT {columns}, {h}, {x} FROM {name} WHERE {equal} AND {h} <= ?{first}"
            ),
            get_old: format!(
                "SELECT {columns}, {h}, {x} FROM {history} WHERE {equal} AND {h} <= ?{first} AND {to_h} > ?{first}"
            ),
            scan: format!("SELECT {columns}, {h}, {x} FROM {name} ORDER BY {key}"),
            scan_after: format!(
                "SELECT {columns} FROM {name} WHERE ({key}) > ({}) ORDER BY {key}",
                marks(table.primary_key.len())
            ),
            versions: format!(
                "SELECT {columns}, {h}, {x}, {to_h}, {to_x} FROM {history} ORDER BY {key}, {h}, {x}"
            ),
        }
    }
}

impl Layout {
    /// The encoded row of a key and who wrote it.
    pub(super) fn get(
        &self,
        connection: &Connection,
        key: &[u8],
    ) -> Result<Option<(Vec<u8>, Stamp)>, EngineError> {
        let mut statement = connection.prepare_cached(&self.sql.get)?;
        self.bind_key(&mut statement, key)?;
        let mut rows = statement.raw_query();
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        self.selected(row).map(Some)
    }

    /// The encoded row of a key after an older height, and who wrote it.
    pub(super) fn get_at(
        &self,
        connection: &Connection,
        key: &[u8],
        height: u64,
    ) -> Result<Option<(Vec<u8>, Stamp)>, EngineError> {
        for sql in [&self.sql.get_at, &self.sql.get_old] {
            let mut statement = connection.prepare_cached(sql)?;
            let next = self.bind_key(&mut statement, key)?;
            statement.raw_bind_parameter(next, height)?;
            let mut rows = statement.raw_query();
            if let Some(row) = rows.next()? {
                return self.selected(row).map(Some);
            }
        }
        Ok(None)
    }

    /// Calls `each` with key and values of every row after a key (empty: of every row) in key order, until
    /// it wants no more.
    pub(super) fn scan_after(
        &self,
        connection: &Connection,
        after: &[u8],
        mut each: impl FnMut(&[u8], Vec<Value>) -> bool,
    ) -> Result<(), EngineError> {
        let whole = after.is_empty();
        let sql = if whole {
            &self.sql.scan
        } else {
            &self.sql.scan_after
        };
        let mut statement = connection.prepare_cached(sql)?;
        if !whole {
            self.bind_key(&mut statement, after)?;
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let row = Row::new(self.values(row)?);
            let key = row
                .key(&self.table)
                .map_err(|error| self.damaged(&error.to_string()))?;
            if !each(&key, row.values) {
                break;
            }
        }
        Ok(())
    }

    /// Calls `each` with key, encoded row and writer of every row, in key order.
    pub(super) fn scan<E: From<EngineError>>(
        &self,
        connection: &Connection,
        mut each: impl FnMut(Vec<u8>, Vec<u8>, Stamp) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = connection
            .prepare_cached(&self.sql.scan)
            .map_err(EngineError::from)?;
        let mut rows = statement.query([]).map_err(EngineError::from)?;
        while let Some(row) = rows.next().map_err(EngineError::from)? {
            let values = self.values(row)?;
            let width = values.len();
            let place = |at: usize| row.get_ref(width + at).map_err(EngineError::from);
            let written = self.stamp(place(0)?, place(1)?)?;
            let row = Row::new(values);
            let key = row
                .key(&self.table)
                .map_err(|error| self.damaged(&error.to_string()))?;
            let bytes = encode_row(&self.table, &row);
            let bytes = bytes.map_err(|error| self.damaged(&error.to_string()))?;
            each(key, bytes, written)?;
        }
        Ok(())
    }

    /// Calls `each` with key, encoded row, writer and superseder of every row of the history, in order of
    /// key and writer.
    pub(super) fn scan_versions(
        &self,
        connection: &Connection,
        mut each: impl FnMut(Vec<u8>, Vec<u8>, Stamp, Stamp) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut statement = connection.prepare_cached(&self.sql.versions)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let values = self.values(row)?;
            let width = values.len();
            let from = self.stamp(row.get_ref(width)?, row.get_ref(width + 1)?)?;
            let to = self.stamp(row.get_ref(width + 2)?, row.get_ref(width + 3)?)?;
            let row = Row::new(values);
            let key = row.key(&self.table);
            let key = key.map_err(|error| self.damaged(&error.to_string()))?;
            let bytes = encode_row(&self.lenient, &row);
            let bytes = bytes.map_err(|error| self.damaged(&error.to_string()))?;
            each(key, bytes, from, to)?;
        }
        Ok(())
    }

    fn stamp(&self, height: ValueRef<'_>, index: ValueRef<'_>) -> Result<Stamp, EngineError> {
        stamp(height, index).map_err(|why| self.damaged(&why))
    }

    fn values(&self, row: &rusqlite::Row<'_>) -> Result<Vec<Value>, EngineError> {
        let mut values = Vec::with_capacity(self.table.columns.len());
        for (place, column) in self.table.columns.iter().enumerate() {
            let value = physical::from_sqlite(column.ty, row.get_ref(place)?);
            values.push(value.map_err(|error| self.damaged(&error.message))?);
        }
        Ok(values)
    }

    /// Encodes a row selected as columns, height, index.
    pub(super) fn selected(
        &self,
        row: &rusqlite::Row<'_>,
    ) -> Result<(Vec<u8>, Stamp), EngineError> {
        let values = self.values(row)?;
        let width = values.len();
        let written = self.stamp(row.get_ref(width)?, row.get_ref(width + 1)?)?;
        let row = encode_row(&self.table, &Row::new(values));
        Ok((
            row.map_err(|error| self.damaged(&error.to_string()))?,
            written,
        ))
    }

    pub(super) fn insert(
        &self,
        connection: &Connection,
        row: &[u8],
        written: Stamp,
    ) -> Result<(), EngineError> {
        Ok(self.try_insert(connection, row, written)??)
    }

    /// Inserts a row that a constraint may refuse: how SQLite says it.
    pub(super) fn try_insert(
        &self,
        connection: &Connection,
        row: &[u8],
        written: Stamp,
    ) -> Result<rusqlite::Result<()>, EngineError> {
        let mut statement = connection.prepare_cached(&self.sql.insert)?;
        let next = self.bind_row(&mut statement, row)?;
        bind_stamp(&mut statement, next, written)?;
        Ok(statement.raw_execute().map(drop))
    }

    /// Deletes the row of a key; tells whether there was one.
    pub(super) fn delete(&self, connection: &Connection, key: &[u8]) -> Result<bool, EngineError> {
        let mut statement = connection.prepare_cached(&self.sql.delete)?;
        self.bind_key(&mut statement, key)?;
        Ok(statement.raw_execute()? > 0)
    }

    /// A row's encoding under the table's definition as it is, from one under an older definition:
    /// without the columns that were dropped since.
    pub(super) fn fit(&self, row: &[u8], older: &[&Table]) -> Result<Vec<u8>, EngineError> {
        fit(&self.table, row, older).map_err(|cause| self.damaged(&cause))
    }

    /// Sets who wrote the row of a key.
    pub(super) fn restamp(
        &self,
        connection: &Connection,
        key: &[u8],
        written: Stamp,
    ) -> Result<(), EngineError> {
        let mut statement = connection.prepare_cached(&self.sql.restamp)?;
        let next = self.bind_key(&mut statement, key)?;
        bind_stamp(&mut statement, next, written)?;
        statement.raw_execute()?;
        Ok(())
    }

    /// Adds a superseded version to the history.
    pub(super) fn archive(
        &self,
        connection: &Connection,
        row: &[u8],
        from: Stamp,
        to: Stamp,
    ) -> Result<(), EngineError> {
        let mut statement = connection.prepare_cached(&self.sql.archive)?;
        let next = self.bind_row(&mut statement, row)?;
        let next = bind_stamp(&mut statement, next, from)?;
        bind_stamp(&mut statement, next, to)?;
        statement.raw_execute()?;
        Ok(())
    }

    /// Takes the version a transaction superseded out of the history; gives who wrote it.
    pub(super) fn unarchive(
        &self,
        connection: &Connection,
        key: &[u8],
        to: Stamp,
    ) -> Result<Option<Stamp>, EngineError> {
        let mut statement = connection.prepare_cached(&self.sql.archived)?;
        let next = self.bind_key(&mut statement, key)?;
        bind_stamp(&mut statement, next, to)?;
        let mut rows = statement.raw_query();
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let from = self.stamp(row.get_ref(0)?, row.get_ref(1)?)?;
        drop(rows);
        let mut statement = connection.prepare_cached(&self.sql.unarchive)?;
        let next = self.bind_key(&mut statement, key)?;
        bind_stamp(&mut statement, next, to)?;
        statement.raw_execute()?;
        Ok(Some(from))
    }

    fn bind_key(&self, statement: &mut Statement<'_>, key: &[u8]) -> Result<usize, EngineError> {
        let types: Vec<Type> = self
            .table
            .primary_key
            .iter()
            .filter_map(|id| self.table.column(*id).map(|column| column.ty))
            .collect();
        let values = decode_key(&types, key).map_err(|error| self.damaged(&error.to_string()))?;
        for (place, (ty, value)) in types.iter().zip(&values).enumerate() {
            self.bind(statement, place + 1, *ty, value)?;
        }
        Ok(values.len() + 1)
    }

    fn bind_row(&self, statement: &mut Statement<'_>, row: &[u8]) -> Result<usize, EngineError> {
        let row =
            decode_row(&self.lenient, row).map_err(|error| self.damaged(&error.to_string()))?;
        for (place, (column, value)) in self.table.columns.iter().zip(&row.values).enumerate() {
            self.bind(statement, place + 1, column.ty, value)?;
        }
        Ok(row.values.len() + 1)
    }

    fn bind(
        &self,
        statement: &mut Statement<'_>,
        place: usize,
        ty: Type,
        value: &Value,
    ) -> Result<(), EngineError> {
        match bind_value(statement, place, ty, value) {
            Ok(()) => Ok(()),
            Err(Failure::Engine(error)) => Err(error),
            Err(Failure::Outcome(error) | Failure::Swept(error)) => {
                Err(self.damaged(&error.message))
            }
        }
    }

    pub(super) fn damaged(&self, cause: &str) -> EngineError {
        EngineError::Corrupt {
            path: String::new(),
            cause: format!("table {}: {cause}", self.table.name),
        }
    }
}

/// A definition that lets every column but the key's be NULL: a row's earlier versions may hold NULL
/// where the table forbids it now. What the table itself holds is SQLite's to check.
pub(super) fn lenient(table: &Table) -> Table {
    let mut lenient = table.clone();
    for column in &mut lenient.columns {
        column.not_null = lenient.primary_key.contains(&column.id);
    }
    lenient
}

/// A row's encoding under `table`, from one under it or an older definition.
pub(super) fn fit(table: &Table, row: &[u8], older: &[&Table]) -> Result<Vec<u8>, String> {
    if decode_row(table, row).is_ok() {
        return Ok(row.to_vec());
    }
    let table = &lenient(table);
    let refused = match decode_row(table, row) {
        Ok(_) => return Ok(row.to_vec()),
        Err(error) => error,
    };
    for definition in older {
        let Ok(old) = decode_row(&lenient(definition), row) else {
            continue;
        };
        let value = |column: &Column| old.get(definition, column.id).cloned();
        let columns = table.columns.iter();
        let values = columns
            .map(|column| value(column).unwrap_or_else(|| column.missing.clone()))
            .collect();
        return encode_row(table, &Row::new(values)).map_err(|error| error.to_string());
    }
    Err(refused.to_string())
}

fn bind_stamp(
    statement: &mut Statement<'_>,
    next: usize,
    written: Stamp,
) -> Result<usize, EngineError> {
    statement.raw_bind_parameter(next, written.height)?;
    statement.raw_bind_parameter(next + 1, written.index)?;
    Ok(next + 2)
}
