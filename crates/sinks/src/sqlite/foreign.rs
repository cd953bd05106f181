//! Tables of a SQLite file that no ledger wrote: their columns hold what they hold.

use rusqlite::types::ValueRef;
use stele_core::value::{check, format_double, text};
use stele_core::{Numeric, Type, Value};
use stele_flow::SinkError;

use super::SqliteSink;
use super::value::from_sqlite;
use crate::foreign::{Foreign, ForeignColumn, ForeignTable, numbers, numeric, text_of};

/// The ledger's type of a declared one, by SQLite's own rules where it is none of the usual words.
fn type_of(declared: &str) -> Type {
    let word = declared.to_ascii_lowercase();
    let has = |part: &str| word.contains(part);
    match word.split('(').next().unwrap_or_default().trim() {
        "boolean" | "bool" => Type::Bool,
        "date" => Type::Date,
        "datetime" | "timestamp" => Type::Timestamp,
        "timestamptz" | "timestamp with time zone" => Type::TimestampTz,
        "uuid" => Type::Uuid,
        "json" | "jsonb" => Type::Json,
        _ if has("int") => Type::BigInt,
        _ if has("char") => text_of(&numbers(&word)),
        _ if has("clob") || has("text") => Type::Text,
        "" | "blob" => Type::Bytea,
        _ if has("real") || has("floa") || has("doub") => Type::Double,
        _ if has("dec") || has("num") => numeric(&numbers(&word)),
        _ => Type::Text,
    }
}

/// A value in a column that any program may have written.
pub(super) fn from_foreign(ty: Type, found: ValueRef<'_>) -> Result<Value, String> {
    let wrong = |shown: &str| format!("{shown}, which is no {ty}");
    let read = |shown: &str| {
        let value = text::parse(ty, shown).map_err(|_| wrong(shown))?;
        match (&value, Numeric::parse(shown)) {
            (Value::Numeric(value), Ok(exact)) if *value != exact => Err(format!(
                "{shown}, which has more digits than {ty} holds here: give the column another type"
            )),
            _ => Ok(value),
        }
    };
    let value = match (ty, found) {
        (Type::Double, ValueRef::Integer(number)) => Value::Double(number as f64),
        (Type::Numeric { .. }, ValueRef::Integer(number)) => read(&number.to_string())?,
        (Type::Numeric { .. }, ValueRef::Real(number)) => read(&format_double(number))?,
        (Type::Text | Type::Varchar(_), ValueRef::Integer(number)) => {
            Value::Text(number.to_string())
        }
        (Type::Text | Type::Varchar(_), ValueRef::Real(number)) => {
            Value::Text(format_double(number))
        }
        (Type::Bytea, ValueRef::Text(bytes)) => Value::Bytes(bytes.to_vec()),
        (Type::Bool, ValueRef::Text(bytes)) => read(&String::from_utf8_lossy(bytes))?,
        (
            Type::Numeric { .. } | Type::Date | Type::Timestamp | Type::TimestampTz | Type::Uuid,
            ValueRef::Text(bytes),
        ) => read(&String::from_utf8_lossy(bytes).replace('T', " "))?,
        _ => return from_sqlite(ty, found),
    };
    check(ty, &value).map_err(|error| error.to_string())?;
    Ok(value)
}

impl Foreign for SqliteSink {
    fn foreign_tables(&mut self) -> Result<Vec<ForeignTable>, SinkError> {
        let connection = self.reading()?;
        let read = || {
            let mut statement = connection.prepare(
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
                 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT IN ('stele_cursor', 'stele_tables') ORDER BY name",
            )?;
            let names = statement
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            let mut tables = Vec::with_capacity(names.len());
            for name in names {
                let mut statement = connection.prepare(
                    "SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1) ORDER BY cid",
                )?;
                let mut key: Vec<(usize, String)> = Vec::new();
                let mut columns = Vec::new();
                let mut rows = statement.query([&name])?;
                while let Some(row) = rows.next()? {
                    let (column, declared): (String, String) = (row.get(0)?, row.get(1)?);
                    let place: usize = row.get(3)?;
                    if place > 0 {
                        key.push((place, column.clone()));
                    }
                    columns.push(ForeignColumn {
                        name: column,
                        ty: type_of(&declared),
                        declared,
                        not_null: row.get(2)?,
                    });
                }
                key.sort();
                let key = key.into_iter().map(|(_, column)| column).collect();
                tables.push(ForeignTable { name, columns, key });
            }
            Ok(tables)
        };
        let mut tables = read().map_err(|error| self.failed(&error))?;
        let shapes = self.mirrored(connection)?;
        for table in &mut tables {
            match shapes.iter().find(|held| held.target == table.name) {
                // A mirror, such as a table that was dumped: its types are known better than the file tells.
                Some(held) => table.take_types(&held.table),
                None => table.bound_key(),
            }
        }
        Ok(tables)
    }
}
