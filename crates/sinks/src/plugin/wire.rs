//! Shapes, rows and bytes as a program gets them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use stele_core::value::text;
use stele_core::{Type, Value};
use stele_flow::Table;

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn unbase64(encoded: &str) -> Option<Vec<u8>> {
    STANDARD.decode(encoded).ok()
}

/// Bytes in hexadecimal: texts that sort as the bytes do.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// PostgreSQL's writing of a type, with length or precision.
fn type_text(ty: Type) -> String {
    match ty {
        Type::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
        Type::Varchar(length) => format!("varchar({length})"),
        Type::Char(length) => format!("char({length})"),
        other => other.to_string(),
    }
}

/// A value as PostgreSQL writes it, or null. CHAR without the blanks at its end.
fn value_json(ty: Type, value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => Json::String(text.clone()),
        other => Json::String(text::format(ty, other)),
    }
}

/// A row: one value a column.
pub(super) fn row_json(table: &Table, values: &[Value]) -> Json {
    let pairs = table.columns.iter().zip(values);
    pairs
        .map(|(column, value)| value_json(column.ty, value))
        .collect()
}

/// A table as a program is told of it.
pub(super) fn shape_json(table: &Table, name: &str) -> Json {
    let columns: Vec<Json> = table
        .columns
        .iter()
        .map(|column| {
            json!({
                "id": column.id.0,
                "name": column.name,
                "type": type_text(column.ty),
                "missing": value_json(column.ty, &column.missing),
            })
        })
        .collect();
    let key: Vec<&str> = table
        .key_columns()
        .map(|column| column.name.as_str())
        .collect();
    json!({
        "id": table.id.0,
        "schema": table.schema,
        "table": table.name,
        "name": name,
        "columns": columns,
        "key": key,
    })
}
