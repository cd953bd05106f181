//! SQL values as JSON, both ways, without loss.
//!
//! | type | JSON |
//! |---|---|
//! | NULL | `null` |
//! | BOOLEAN | `true`, `false` |
//! | SMALLINT, INTEGER, DOUBLE PRECISION | number |
//! | BIGINT, NUMERIC | string: a JSON number would lose digits in many readers |
//! | TEXT, VARCHAR, UUID, DATE | string |
//! | BYTEA | string, `\x` and hexadecimal, as PostgreSQL writes it |
//! | TIMESTAMP | string, `2026-02-03T04:05:06.789` |
//! | TIMESTAMPTZ | the same with `Z` |
//! | JSON | the JSON itself |
//!
//! As a parameter, a whole number in range is an integer; any other number, a string, an array or an
//! object is a literal read by the type it meets, digit by digit: so every type can be given as a string.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use stele_core::value::text;
use stele_core::{Type, Value, datetime};
use stele_sql::{OutputColumn, StatementResult};
use utoipa::ToSchema;

use super::error::ApiError;

/// A result as JSON.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResultView {
    /// PostgreSQL command tag, such as `INSERT 0 3`.
    tag: String,
    /// Columns; empty for a statement that returns no rows.
    columns: Vec<ColumnView>,
    /// Rows, each in column order.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    rows: Vec<Vec<Cell>>,
    /// Rows inserted, updated or deleted.
    rows_affected: u64,
}

/// A column of a result.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ColumnView {
    /// Name.
    name: String,
    /// PostgreSQL's name of the type.
    #[serde(rename = "type")]
    ty: String,
}

/// One value with the type that says how it is written.
#[derive(Debug)]
pub(super) struct Cell(pub(super) Type, pub(super) Value);

impl From<StatementResult> for ResultView {
    fn from(result: StatementResult) -> Self {
        let types: Vec<Type> = result.columns.iter().map(|column| column.ty).collect();
        let rows = result.rows.into_iter().map(|row| {
            let cells = types.iter().zip(row);
            cells.map(|(ty, value)| Cell(*ty, value)).collect()
        });
        Self {
            tag: result.tag,
            rows: rows.collect(),
            columns: result.columns.into_iter().map(ColumnView::from).collect(),
            rows_affected: result.rows_affected,
        }
    }
}

impl From<OutputColumn> for ColumnView {
    fn from(column: OutputColumn) -> Self {
        Self {
            ty: match column.system {
                Some(system) => system.to_string(),
                None => column.ty.to_string(),
            },
            name: column.name,
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(ty, value) = self;
        match value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(v) => serializer.serialize_bool(*v),
            Value::Int(v) if matches!(ty, Type::SmallInt | Type::Integer) => {
                serializer.serialize_i64(*v)
            }
            Value::Double(v) => serializer.serialize_f64(*v),
            Value::Timestamp(_) => serializer.serialize_str(&iso(&text::format(*ty, value))),
            // Kept as given, digits and order of members included.
            Value::Json(v) => match RawValue::from_string(v.clone()) {
                Ok(raw) => raw.serialize(serializer),
                Err(_) => serializer.serialize_str(v),
            },
            other => serializer.serialize_str(&text::format(*ty, other)),
        }
    }
}

/// A time of the ledger as ISO 8601 in UTC.
pub(super) fn iso_time(time_us: i64) -> String {
    iso(&datetime::format_timestamptz(time_us))
}

fn iso(text: &str) -> String {
    let (time, zone) = match text.strip_suffix("+00") {
        Some(time) => (time, "Z"),
        None => (text, ""),
    };
    format!("{}{zone}", time.replacen(' ', "T", 1))
}

/// A parameter as the value a statement is bound to.
pub(super) fn parameter(place: usize, raw: &RawValue) -> Result<Value, ApiError> {
    let json = raw.get();
    let literal = match json.bytes().next() {
        Some(b'n') => return Ok(Value::Null),
        Some(b't') => return Ok(Value::Bool(true)),
        Some(b'f') => return Ok(Value::Bool(false)),
        Some(b'"') => serde_json::from_str(json)
            .map_err(|error| ApiError::invalid(format!("parameter ${place}: {error}")))?,
        Some(b'[' | b'{') => json.to_owned(),
        _ => match json.parse() {
            Ok(int) => return Ok(Value::Int(int)),
            Err(_) => json.to_owned(),
        },
    };
    if literal.contains('\0') {
        return Err(ApiError::invalid(format!(
            "parameter ${place} holds a NUL character, which no text can; give bytes as \\x…"
        )));
    }
    Ok(Value::Text(literal))
}

#[cfg(test)]
mod tests;
