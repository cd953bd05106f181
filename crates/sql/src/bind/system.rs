//! What the catalogue says about itself: `information_schema` and `pg_catalog`, as far as kept.
//!
//! A bound statement is good for one version of the catalogue, so these relations are written into
//! it as constant rows.

use stele_core::schema::Table;
use stele_core::{Type, Value};

use super::Binder;
use super::expression::{Expression, Ty};
use super::query::{Column, Select};
use crate::physical::{literal, to_sqlite};

/// A relation made of constants.
struct Constants {
    columns: Vec<(&'static str, Type)>,
    rows: Vec<Vec<Value>>,
}

impl Binder<'_> {
    /// The system relation of that name, with its text.
    pub(super) fn system_relation(
        &mut self,
        schema: Option<&str>,
        name: &str,
    ) -> Option<(Select, String)> {
        let constants = match (schema?, name) {
            ("information_schema", "tables") => self.tables(),
            ("information_schema", "columns") => self.columns(),
            ("information_schema", "schemata") => schemata(),
            _ => return None,
        };
        Some(constants.into_select())
    }

    fn visible(&self) -> impl Iterator<Item = &Table> {
        self.catalogue
            .tables()
            .map(AsRef::as_ref)
            .filter(|table| self.check_readable(table).is_ok())
    }

    fn tables(&self) -> Constants {
        let rows = self
            .visible()
            .map(|table| {
                vec![
                    text("stele"),
                    text(&table.schema),
                    text(&table.name),
                    text("BASE TABLE"),
                    text("YES"),
                ]
            })
            .collect();
        Constants {
            columns: vec![
                ("table_catalog", Type::Text),
                ("table_schema", Type::Text),
                ("table_name", Type::Text),
                ("table_type", Type::Text),
                ("is_insertable_into", Type::Text),
            ],
            rows,
        }
    }

    fn columns(&self) -> Constants {
        let mut rows = Vec::new();
        for table in self.visible() {
            for (column, place) in table.columns.iter().zip(1..) {
                let (length, precision, scale) = match column.ty {
                    Type::Varchar(max) => (Value::Int(max.into()), Value::Null, Value::Null),
                    Type::Numeric { precision, scale } => (
                        Value::Null,
                        Value::Int(precision.into()),
                        Value::Int(scale.into()),
                    ),
                    Type::SmallInt => (Value::Null, Value::Int(16), Value::Int(0)),
                    Type::Integer => (Value::Null, Value::Int(32), Value::Int(0)),
                    Type::BigInt => (Value::Null, Value::Int(64), Value::Int(0)),
                    _ => (Value::Null, Value::Null, Value::Null),
                };
                rows.push(vec![
                    text("stele"),
                    text(&table.schema),
                    text(&table.name),
                    text(&column.name),
                    Value::Int(place),
                    column.default.as_deref().map_or(Value::Null, text),
                    text(if column.not_null { "NO" } else { "YES" }),
                    text(&column.ty.to_string()),
                    length,
                    precision,
                    scale,
                ]);
            }
        }
        Constants {
            columns: vec![
                ("table_catalog", Type::Text),
                ("table_schema", Type::Text),
                ("table_name", Type::Text),
                ("column_name", Type::Text),
                ("ordinal_position", Type::Integer),
                ("column_default", Type::Text),
                ("is_nullable", Type::Text),
                ("data_type", Type::Text),
                ("character_maximum_length", Type::Integer),
                ("numeric_precision", Type::Integer),
                ("numeric_scale", Type::Integer),
            ],
            rows,
        }
    }
}

fn schemata() -> Constants {
    let names = ["public", "stele", "information_schema", "pg_catalog"];
    Constants {
        columns: vec![("catalog_name", Type::Text), ("schema_name", Type::Text)],
        rows: names
            .iter()
            .map(|name| vec![text("stele"), text(name)])
            .collect(),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

impl Constants {
    fn into_select(self) -> (Select, String) {
        let types: Vec<Type> = self.columns.iter().map(|(_, ty)| *ty).collect();
        let columns = self
            .columns
            .iter()
            .map(|(name, ty)| Column {
                name: (*name).to_owned(),
                expression: Expression {
                    ty: Ty::Of(*ty),
                    ..Expression::new("", *ty)
                },
            })
            .collect();
        let names: Vec<String> = (1..=types.len())
            .map(|number| format!("column{number} AS k{number}"))
            .collect();
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let values: Vec<String> = row
                    .iter()
                    .zip(&types)
                    .map(|(value, ty)| {
                        to_sqlite(*ty, value).map_or("NULL".to_owned(), |value| literal(&value))
                    })
                    .collect();
                format!("({})", values.join(","))
            })
            .collect();
        let text = if rows.is_empty() {
            let nothing = vec!["NULL"; types.len()].join(",");
            format!(
                "SELECT {} FROM (VALUES ({nothing})) WHERE 0",
                names.join(",")
            )
        } else {
            format!(
                "SELECT {} FROM (VALUES {})",
                names.join(","),
                rows.join(",")
            )
        };
        (
            Select {
                columns,
                ..Select::default()
            },
            text,
        )
    }
}
