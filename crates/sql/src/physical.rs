//! How tables and values lie in SQLite.
//!
//! A table of id N is `tN`, its superseded row versions are `hN`; a column of id M is `cM`. So a
//! rename touches nothing here, and nothing a client wrote is a name here. Hidden columns `_h` and
//! `_x` hold the height and transaction index that wrote the row; in `hN`, `_h2` and `_x2` say when
//! it was superseded.
//!
//! | type | SQLite |
//! |---|---|
//! | BOOLEAN, integers, DATE (days), TIMESTAMP, TIMESTAMPTZ (microseconds) | INTEGER |
//! | NUMERIC(p,s) | BLOB of 16 bytes, order-preserving, at scale s |
//! | DOUBLE PRECISION | REAL |
//! | TEXT, VARCHAR, JSON | TEXT |
//! | BYTEA, UUID (16 bytes) | BLOB |

mod alter;

use std::fmt::Write as _;

use rusqlite::types::{Value as SqliteValue, ValueRef};
use stele_core::numeric::Numeric;
use stele_core::schema::{Check, Column, ColumnId, Index, IndexPart, Table, TableId};
use stele_core::{Type, Value};

pub use alter::alter_table_sql;

use crate::bind;
use crate::error::SqlError;

/// Name of the table that holds current rows.
#[must_use]
pub fn table_name(id: TableId) -> String {
    format!("t{}", id.0)
}

/// Name of the table that holds superseded rows.
#[must_use]
pub fn history_name(id: TableId) -> String {
    format!("h{}", id.0)
}

/// Name of a column.
#[must_use]
pub fn column_name(id: ColumnId) -> String {
    format!("c{}", id.0)
}

/// Name of an index, quoted; index names are unique in a schema.
#[must_use]
pub fn index_name(table: TableId, index: &Index) -> String {
    format!(
        "\"{}\"",
        plain_index_name(table, index).replace('"', "\"\"")
    )
}

/// Name of an index as SQLite keeps it.
pub(crate) fn plain_index_name(table: TableId, index: &Index) -> String {
    format!("i{}_{}", table.0, index.name)
}

/// Prefix and name of a CHECK constraint in SQLite, from which its violation is told.
pub(crate) fn check_name(table: TableId, check: &Check) -> String {
    format!("x{}_{}", table.0, check.name)
}

/// Bytes above which a value is long.
const LONG_LEN_MIN: u32 = 4_096;
/// Bytes a character takes at most.
const CHARACTER_LEN_MAX: u32 = 4;

/// Whether values of a type may be long.
pub(crate) fn is_long(ty: Type) -> bool {
    match ty {
        Type::Text | Type::Bytea | Type::Json => true,
        Type::Varchar(characters) => characters > LONG_LEN_MIN / CHARACTER_LEN_MAX,
        _ => false,
    }
}

/// Name of the index of a column's long values.
pub(crate) fn long_index_name(table: TableId, column: ColumnId) -> String {
    format!("l{}_{}", table.0, column.0)
}

/// Bytes of a value. Written so that programs with an older SQLite can look at the database, too.
fn octets(column: &str) -> String {
    format!("length(CAST({column} AS BLOB))")
}

/// The index that tells how long the longest value of a column is, see [`crate::reach`]. Most
/// tables have no long values, so it is mostly empty.
pub(crate) fn long_index_sql(table: TableId, column: ColumnId) -> String {
    let (index, name, rows) = (
        long_index_name(table, column),
        column_name(column),
        table_name(table),
    );
    let len = octets(&name);
    format!("CREATE INDEX {index} ON {rows}({len}) WHERE {len}>{LONG_LEN_MIN}")
}

/// A query for the bytes of a column's longest value; no row when none is long.
pub(crate) fn longest_sql(table: TableId, column: ColumnId) -> String {
    let (len, rows) = (octets(&column_name(column)), table_name(table));
    format!("SELECT {len} FROM {rows} WHERE {len}>{LONG_LEN_MIN} ORDER BY {len} DESC LIMIT 1")
}

/// SQLite's type word for a column.
#[must_use]
pub fn storage(ty: Type) -> &'static str {
    match ty {
        Type::Bool
        | Type::SmallInt
        | Type::Integer
        | Type::BigInt
        | Type::Date
        | Type::Timestamp
        | Type::TimestampTz => "INTEGER",
        Type::Numeric { .. } | Type::Bytea | Type::Uuid => "BLOB",
        Type::Double => "REAL",
        Type::Text | Type::Varchar(_) | Type::Char(_) | Type::Json => "TEXT",
    }
}

/// Statements that create the table, its indexes and its history table, in order; none for what
/// keeps no rows.
///
/// # Errors
/// Those of binding its CHECK constraints anew; none for a table that CREATE TABLE bound.
pub fn create_table_sql(table: &Table) -> Result<Vec<String>, SqlError> {
    if !table.kind.has_rows() {
        return Ok(Vec::new());
    }
    let mut statements = vec![create_rows_sql(table, &table_name(table.id))?];
    create_indexes(table, &mut statements)?;
    statements.push(create_history_sql(table));
    Ok(statements)
}

/// Statements that drop the table, its indexes and its history, if it has any.
#[must_use]
pub fn drop_table_sql(table: TableId) -> Vec<String> {
    vec![
        format!("DROP TABLE IF EXISTS {}", table_name(table)),
        format!("DROP TABLE IF EXISTS {}", history_name(table)),
    ]
}

fn create_rows_sql(table: &Table, name: &str) -> Result<String, SqlError> {
    let mut sql = format!("CREATE TABLE {name}(");
    for column in &table.columns {
        let _ = write!(sql, "{},", column_definition(column, column.not_null));
    }
    sql.push_str("_h INTEGER NOT NULL,_x INTEGER NOT NULL,");
    let _ = write!(sql, "PRIMARY KEY({})", column_list(&table.primary_key));
    for check in &table.checks {
        let condition = bind::check_condition(table, &check.expression)?;
        let name = check_name(table.id, check).replace('"', "\"\"");
        let _ = write!(sql, ",CONSTRAINT \"{name}\" CHECK({condition})");
    }
    sql.push_str(") STRICT, WITHOUT ROWID");
    Ok(sql)
}

/// Statements that create all indexes of a table.
fn create_indexes(table: &Table, statements: &mut Vec<String>) -> Result<(), SqlError> {
    for index in &table.indexes {
        statements.push(create_index_sql(table, index)?);
    }
    let long = table.columns.iter().filter(|column| is_long(column.ty));
    statements.extend(long.map(|column| long_index_sql(table.id, column.id)));
    Ok(())
}

fn create_history_sql(table: &Table) -> String {
    let mut sql = format!("CREATE TABLE {}(", history_name(table.id));
    for column in &table.columns {
        let _ = write!(sql, "{},", column_definition(column, false));
    }
    sql.push_str(
        "_h INTEGER NOT NULL,_x INTEGER NOT NULL,_h2 INTEGER NOT NULL,_x2 INTEGER NOT NULL,",
    );
    let _ = write!(
        sql,
        "PRIMARY KEY({},_h,_x)) STRICT, WITHOUT ROWID",
        column_list(&table.primary_key)
    );
    sql
}

fn create_index_sql(table: &Table, index: &Index) -> Result<String, SqlError> {
    let mut parts = Vec::with_capacity(index.keys.len());
    for key in &index.keys {
        let mut part = match &key.part {
            IndexPart::Column(id) => column_name(*id),
            IndexPart::Expression(text) => format!("({})", bind::index_expression(table, text)?),
        };
        if key.descending {
            part.push_str(" DESC");
        }
        parts.push(part);
    }
    let mut sql = format!(
        "CREATE {}INDEX {} ON {}({})",
        if index.unique { "UNIQUE " } else { "" },
        index_name(table.id, index),
        table_name(table.id),
        parts.join(",")
    );
    if let Some(predicate) = &index.predicate {
        let condition = bind::check_condition(table, predicate)?;
        let _ = write!(sql, " WHERE {condition}");
    }
    Ok(sql)
}

/// A column as CREATE TABLE and ADD COLUMN write it. DEFAULTs are no matter of SQLite's: the binder
/// writes them into each INSERT.
fn column_definition(column: &Column, not_null: bool) -> String {
    let mut sql = format!("{} {}", column_name(column.id), storage(column.ty));
    if not_null {
        sql.push_str(" NOT NULL");
    }
    sql
}

fn column_list(columns: &[ColumnId]) -> String {
    let names: Vec<String> = columns.iter().map(|id| column_name(*id)).collect();
    names.join(",")
}

/// A value as a SQLite literal.
pub(crate) fn literal(value: &SqliteValue) -> String {
    match value {
        SqliteValue::Null => "NULL".to_owned(),
        // SQLite reads -9223372036854775808 as the negation of a real.
        SqliteValue::Integer(i64::MIN) => "(-9223372036854775807-1)".to_owned(),
        SqliteValue::Integer(v) if *v < 0 => format!("({v})"),
        SqliteValue::Integer(v) => v.to_string(),
        // From its bits: no decimal in between could round.
        SqliteValue::Real(v) => format!("st_real({})", v.to_bits().cast_signed()),
        SqliteValue::Text(v) => format!("'{}'", v.replace('\'', "''")),
        SqliteValue::Blob(v) => {
            let mut sql = String::with_capacity(v.len() * 2 + 3);
            sql.push_str("x'");
            for byte in v {
                let _ = write!(sql, "{byte:02x}");
            }
            sql.push('\'');
            sql
        }
    }
}

/// A value of a type as SQLite keeps it.
///
/// # Errors
/// 22003 when a NUMERIC is not at the type's scale: coerce it first; 42804 when the value is none
/// of the type.
pub fn to_sqlite(ty: Type, value: &Value) -> Result<SqliteValue, SqlError> {
    Ok(match (ty, value) {
        (_, Value::Null) => SqliteValue::Null,
        (Type::Bool, Value::Bool(v)) => SqliteValue::Integer(i64::from(*v)),
        (Type::SmallInt | Type::Integer | Type::BigInt, Value::Int(v)) => SqliteValue::Integer(*v),
        (Type::Numeric { scale, .. }, Value::Numeric(v)) => {
            SqliteValue::Blob(v.to_sortable_16(scale)?.to_vec())
        }
        (Type::Double, Value::Double(v)) => SqliteValue::Real(*v),
        (Type::Text | Type::Varchar(_) | Type::Char(_), Value::Text(v))
        | (Type::Json, Value::Json(v)) => SqliteValue::Text(v.clone()),
        (Type::Bytea, Value::Bytes(v)) => SqliteValue::Blob(v.clone()),
        (Type::Date, Value::Date(v)) => SqliteValue::Integer(i64::from(*v)),
        (Type::Timestamp | Type::TimestampTz, Value::Timestamp(v)) => SqliteValue::Integer(*v),
        (Type::Uuid, Value::Uuid(v)) => SqliteValue::Blob(v.to_vec()),
        _ => {
            return Err(SqlError::new(
                "42804",
                format!("a value of type {} is not a {ty}", value.type_word()),
            ));
        }
    })
}

/// A value of a type from SQLite.
///
/// # Errors
/// XX000 when SQLite holds something the type does not admit: the database was changed by another
/// program or the lowering is wrong.
pub fn from_sqlite(ty: Type, value: ValueRef<'_>) -> Result<Value, SqlError> {
    Ok(match (ty, value) {
        (_, ValueRef::Null) => Value::Null,
        (Type::Bool, ValueRef::Integer(v)) => Value::Bool(v != 0),
        (Type::SmallInt | Type::Integer | Type::BigInt, ValueRef::Integer(v)) => Value::Int(v),
        (Type::Numeric { scale, .. }, ValueRef::Blob(bytes)) => {
            let bytes = bytes.try_into().map_err(|_| strange(ty, value))?;
            Value::Numeric(Numeric::from_sortable_16(bytes, scale)?)
        }
        (Type::Double, ValueRef::Real(v)) => Value::Double(v),
        (Type::Text | Type::Varchar(_) | Type::Char(_), ValueRef::Text(bytes)) => {
            Value::Text(utf8(ty, value, bytes)?.to_owned())
        }
        (Type::Json, ValueRef::Text(bytes)) => Value::Json(utf8(ty, value, bytes)?.to_owned()),
        (Type::Bytea, ValueRef::Blob(bytes)) => Value::Bytes(bytes.to_vec()),
        (Type::Date, ValueRef::Integer(v)) => {
            Value::Date(i32::try_from(v).map_err(|_| strange(ty, value))?)
        }
        (Type::Timestamp | Type::TimestampTz, ValueRef::Integer(v)) => Value::Timestamp(v),
        (Type::Uuid, ValueRef::Blob(bytes)) => {
            Value::Uuid(bytes.try_into().map_err(|_| strange(ty, value))?)
        }
        _ => return Err(strange(ty, value)),
    })
}

fn utf8<'v>(ty: Type, value: ValueRef<'_>, bytes: &'v [u8]) -> Result<&'v str, SqlError> {
    std::str::from_utf8(bytes).map_err(|_| strange(ty, value))
}

fn strange(ty: Type, value: ValueRef<'_>) -> SqlError {
    SqlError::new(
        "XX000",
        format!(
            "the state database holds a {} where a {ty} belongs",
            value.data_type()
        ),
    )
    .hint("Run `stele audit`: something else may have changed the database.")
}

#[cfg(test)]
mod tests;
