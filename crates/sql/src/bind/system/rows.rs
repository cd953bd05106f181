//! Rows of a system relation, written into the statement that reads it.

use rusqlite::types::Value;
use stele_core::Type;

use super::shape::Shape;
use crate::bind::expression::Ty;
use crate::physical::literal;

/// Rows in the making. Columns that are not given hold what says least: NULL, 0, false or ''.
pub(super) struct Rows {
    shape: &'static Shape,
    rows: Vec<String>,
}

impl Rows {
    pub(super) fn new(shape: &'static Shape) -> Self {
        Self {
            shape,
            rows: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, cells: &[(&str, Value)]) {
        debug_assert!(
            cells
                .iter()
                .all(|(name, _)| self.shape.place(name).is_some()),
            "{} has no such column",
            self.shape.name
        );
        let texts: Vec<String> = self
            .shape
            .columns
            .iter()
            .map(
                |(name, ty)| match cells.iter().find(|(cell, _)| cell == name) {
                    Some((_, value)) => literal(value),
                    None => blank(*ty).to_owned(),
                },
            )
            .collect();
        self.rows.push(format!("({})", texts.join(",")));
    }

    /// As a relation of columns `k1`….
    pub(super) fn text(&self) -> String {
        values(self.shape.columns.len(), &self.rows)
    }
}

/// VALUES, or nothing of as many columns.
pub(super) fn values(columns: usize, rows: &[String]) -> String {
    match rows {
        [] => format!("SELECT {} WHERE 0", vec!["NULL"; columns].join(",")),
        rows => format!("VALUES {}", rows.join(",")),
    }
}

fn blank(ty: Ty) -> &'static str {
    use crate::system_type::SystemType::{Char, Oid, Regproc, Regtype, Xid};
    match ty {
        Ty::Of(Type::Bool | Type::SmallInt | Type::Integer | Type::BigInt)
        | Ty::System(Oid | Xid | Regproc | Regtype) => "0",
        Ty::Of(Type::Double) => "0.0",
        Ty::System(Char) => "''",
        _ => "NULL",
    }
}

pub(super) fn int(value: impl Into<i64>) -> Value {
    Value::Integer(value.into())
}

pub(super) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

pub(super) fn truth(value: bool) -> Value {
    Value::Integer(value.into())
}

/// An array of numbers.
pub(super) fn numbers(values: impl IntoIterator<Item = i64>) -> Value {
    let texts: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    Value::Text(format!("[{}]", texts.join(",")))
}

/// An array of texts.
pub(super) fn texts(values: &[String]) -> Value {
    let list = serde_json::Value::from(values);
    Value::Text(list.to_string())
}
