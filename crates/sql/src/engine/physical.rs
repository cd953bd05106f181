//! Stand-in for the binder's physical layer until it lands.
use std::fmt::Write as _;

use rusqlite::types::{Value as Raw, ValueRef};
use stele_core::schema::{ColumnId, Index, Table, TableId};
use stele_core::{Numeric, Type, Value};

use crate::error::SqlError;

pub(super) fn table_name(id: TableId) -> String {
    format!("t{}", id.0)
}
pub(super) fn history_name(id: TableId) -> String {
    format!("h{}", id.0)
}
pub(super) fn column_name(id: ColumnId) -> String {
    format!("c{}", id.0)
}
pub(super) fn create_table_sql(table: &Table) -> Result<Vec<String>, SqlError> {
    let mut columns = String::new();
    for column in &table.columns {
        let _ = write!(
            columns,
            "{}{},",
            column_name(column.id),
            if column.not_null { " NOT NULL" } else { "" }
        );
    }
    let key: Vec<String> = table
        .primary_key
        .iter()
        .map(|id| column_name(*id))
        .collect();
    let key = key.join(",");
    let plain: Vec<String> = table.columns.iter().map(|c| column_name(c.id)).collect();
    let mut out = vec![
        format!(
            "CREATE TABLE {}({columns}_h INTEGER NOT NULL,_x INTEGER NOT NULL,PRIMARY KEY({key})) WITHOUT ROWID",
            table_name(table.id)
        ),
        format!(
            "CREATE TABLE {}({},_h INTEGER NOT NULL,_x INTEGER NOT NULL,_h2 INTEGER NOT NULL,_x2 INTEGER NOT NULL,PRIMARY KEY({key},_h,_x)) WITHOUT ROWID",
            history_name(table.id),
            plain.join(",")
        ),
    ];
    for (n, index) in table.indexes.iter().enumerate() {
        out.push(index_sql(table, n, index));
    }
    Ok(out)
}
fn index_sql(table: &Table, n: usize, index: &Index) -> String {
    let columns: Vec<String> = index.columns.iter().map(|id| column_name(*id)).collect();
    format!(
        "CREATE {}INDEX i{}_{n} ON {}({})",
        if index.unique { "UNIQUE " } else { "" },
        table.id.0,
        table_name(table.id),
        columns.join(",")
    )
}
pub(super) fn alter_table_sql(_before: &Table, _after: &Table) -> Result<Vec<String>, SqlError> {
    Ok(Vec::new())
}
pub(super) fn to_sqlite(ty: Type, value: &Value) -> Result<Raw, SqlError> {
    Ok(match value {
        Value::Null => Raw::Null,
        Value::Bool(v) => Raw::Integer(i64::from(*v)),
        Value::Int(v) | Value::Timestamp(v) => Raw::Integer(*v),
        Value::Date(v) => Raw::Integer(i64::from(*v)),
        Value::Double(v) => Raw::Real(*v),
        Value::Text(v) | Value::Json(v) => Raw::Text(v.clone()),
        Value::Bytes(v) => Raw::Blob(v.clone()),
        Value::Uuid(v) => Raw::Blob(v.to_vec()),
        Value::Numeric(v) => {
            let Type::Numeric { scale, .. } = ty else {
                return Err(SqlError::new("XX000", "numeric"));
            };
            Raw::Blob(
                v.to_sortable_16(scale)
                    .map_err(|e| SqlError::new(e.sqlstate(), e.to_string()))?
                    .to_vec(),
            )
        }
    })
}
pub(super) fn from_sqlite(ty: Type, value: ValueRef<'_>) -> Result<Value, SqlError> {
    let bad = || SqlError::new("XX000", "a stored value has another type than its column");
    Ok(match (ty, value) {
        (_, ValueRef::Null) => Value::Null,
        (Type::Bool, ValueRef::Integer(v)) => Value::Bool(v != 0),
        (Type::SmallInt | Type::Integer | Type::BigInt, ValueRef::Integer(v)) => Value::Int(v),
        (Type::Date, ValueRef::Integer(v)) => Value::Date(i32::try_from(v).map_err(|_| bad())?),
        (Type::Timestamp | Type::TimestampTz, ValueRef::Integer(v)) => Value::Timestamp(v),
        (Type::Double, ValueRef::Real(v)) => Value::Double(v),
        (Type::Double, ValueRef::Integer(v)) => Value::Double(v as f64),
        (Type::Text | Type::Varchar(_), ValueRef::Text(v)) => {
            Value::Text(String::from_utf8(v.to_vec()).map_err(|_| bad())?)
        }
        (Type::Json, ValueRef::Text(v)) => {
            Value::Json(String::from_utf8(v.to_vec()).map_err(|_| bad())?)
        }
        (Type::Bytea, ValueRef::Blob(v)) => Value::Bytes(v.to_vec()),
        (Type::Uuid, ValueRef::Blob(v)) => Value::Uuid(v.try_into().map_err(|_| bad())?),
        (Type::Numeric { scale, .. }, ValueRef::Blob(v)) => Value::Numeric(
            Numeric::from_sortable_16(v.try_into().map_err(|_| bad())?, scale)
                .map_err(|_| bad())?,
        ),
        _ => return Err(bad()),
    })
}
pub(super) fn outcome_of(error: &rusqlite::Error) -> Option<SqlError> {
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        return None;
    };
    if failure.code != rusqlite::ErrorCode::ConstraintViolation {
        return None;
    }
    let code = match failure.extended_code {
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            "23505"
        }
        rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL => "23502",
        rusqlite::ffi::SQLITE_CONSTRAINT_CHECK => "23514",
        _ => return None,
    };
    Some(SqlError::new(code, message.clone().unwrap_or_default()))
}
