//! What the catalogue says about itself: `pg_catalog` and `information_schema`.
//!
//! A bound statement is good for one version of the catalogue, so the rows of these relations are
//! written into it, once each, as tables of WITH. All relations and columns of PostgreSQL 15 that
//! clients read are there ([`shape`]); those that say nothing about a ledger are empty. Some follow
//! from others by a query ([`views`]). Numbers (oid) of tables, indexes, constraints and roles are
//! made from what is in the catalogue, so they are the same on every node and last as long as the
//! object.
//!
//! They are read only, and never by a statement that changes rows.

mod constraints;
mod fixed;
mod functions;
mod grants;
mod names;
mod objects;
mod policies;
mod procedures;
mod rows;
mod shape;
mod tables;
mod views;

use sqlparser::ast::Statement;

use super::Binder;
use super::expression::Expression;
use super::query::{Column, Select};
use crate::error::SqlError;
use crate::parse::parse_single;
use rows::{Rows, values};
use shape::Shape;

pub(super) use fixed::SETTINGS;

/// Relations of the system catalogue a statement reads: what each is, its name in the output, its
/// text.
#[derive(Debug, Default)]
pub(super) struct Used(Vec<(String, String, String)>);

impl Binder<'_> {
    /// The system relation of that name, with its text and its schema.
    pub(super) fn system_relation(
        &mut self,
        schema: Option<&str>,
        name: &str,
    ) -> Result<Option<(Select, String, &'static str)>, SqlError> {
        let found = match schema {
            Some(schema) => shape::find(schema, name),
            None => shape::find("pg_catalog", name),
        };
        let Some(shape) = found else {
            return Ok(None);
        };
        if self.writes {
            return Err(SqlError::unsupported(
                "the system catalogue in a statement that changes rows",
                "Read it first, then write.",
            ));
        }
        let (select, text) = match views::find(shape.schema, shape.name) {
            Some(query) => self.system_view(shape, query)?,
            None => self.system_table(shape),
        };
        Ok(Some((select, text, shape.schema)))
    }

    fn system_table(&mut self, shape: &'static Shape) -> (Select, String) {
        let alias = self.base(shape);
        let columns = shape.columns.iter().map(|(name, ty)| Column {
            name: (*name).to_owned(),
            expression: Expression {
                ty: *ty,
                ..Expression::new("", stele_core::Type::Text)
            },
        });
        let select = Select {
            columns: columns.collect(),
            ..Select::default()
        };
        (select, format!("SELECT * FROM {alias}"))
    }

    /// A relation that follows from others, with its columns in PostgreSQL's order.
    fn system_view(
        &mut self,
        shape: &'static Shape,
        query: &str,
    ) -> Result<(Select, String), SqlError> {
        let parsed = parse_single(query)?;
        let Statement::Query(query) = parsed.statement() else {
            return Err(SqlError::new("XX000", "a system view that is no query"));
        };
        let series = std::mem::take(&mut self.series);
        let select = self.query(query, None);
        self.series = series;
        let mut select = select?;
        select.settle_columns(self)?;
        let inner = self.fresh('r');
        let mut columns = Vec::with_capacity(shape.columns.len());
        let mut texts = Vec::with_capacity(shape.columns.len());
        for (number, (name, ty)) in shape.columns.iter().enumerate() {
            let given = select
                .columns
                .iter()
                .position(|column| column.name == *name);
            let given = given.and_then(|place| Some((place, select.columns.get(place)?)));
            let (text, ty) = match given {
                None => ("NULL".to_owned(), *ty),
                Some((place, column)) => {
                    let told = Expression {
                        ty: *ty,
                        ..column.expression.clone()
                    };
                    let ty = match told.known() == column.expression.known() {
                        true => *ty,
                        false => column.expression.ty,
                    };
                    (format!("{inner}.k{}", place + 1), ty)
                }
            };
            texts.push(format!("{text} AS k{}", number + 1));
            columns.push(Column {
                name: (*name).to_owned(),
                expression: Expression {
                    ty,
                    ..Expression::new("", stele_core::Type::Text)
                },
            });
        }
        let text = select.text(self)?;
        let select = Select {
            columns,
            ..Select::default()
        };
        Ok((
            select,
            format!("SELECT {} FROM ({text}) AS {inner}", texts.join(",")),
        ))
    }

    /// The name in the output of a relation whose rows the catalogue gives.
    fn base(&mut self, shape: &'static Shape) -> String {
        let key = format!("{}.{}", shape.schema, shape.name);
        self.used(&key, shape.columns.len(), |binder| {
            binder
                .base_rows(shape)
                .map_or_else(|| values(shape.columns.len(), &[]), |rows| rows.text())
        })
    }

    fn base_rows(&self, shape: &'static Shape) -> Option<Rows> {
        match (shape.schema, shape.name) {
            ("pg_catalog", _) => {}
            ("information_schema", "table_privileges" | "role_table_grants") => {
                return Some(self.table_privileges(shape));
            }
            _ => return None,
        }
        Some(match shape.name {
            "pg_am" => fixed::pg_am(shape),
            "pg_attrdef" => self.pg_attrdef(shape),
            "pg_attribute" => self.pg_attribute(shape),
            "pg_authid" => self.pg_authid(shape),
            "pg_class" => self.pg_class(shape),
            "pg_collation" => fixed::pg_collation(shape),
            "pg_constraint" => self.pg_constraint(shape),
            "pg_database" => fixed::pg_database(shape),
            "pg_depend" => self.pg_depend(shape),
            "pg_description" => self.pg_description(shape),
            "pg_index" => self.pg_index(shape),
            "pg_language" => fixed::pg_language(shape),
            "pg_namespace" => self.pg_namespace(shape),
            "pg_policy" => self.pg_policy(shape),
            "pg_proc" => self.pg_proc(shape),
            "pg_sequence" => self.pg_sequence(shape),
            "pg_settings" => self.pg_settings(shape),
            "pg_tablespace" => fixed::pg_tablespace(shape),
            "pg_type" => fixed::pg_type(shape),
            _ => return None,
        })
    }

    /// A look-up of texts by number and place (columns `k1`, `k2`, `k3`).
    fn look_up(&mut self, key: &str, rows: impl FnOnce(&Self) -> Vec<String>) -> String {
        self.used(key, 3, |binder| values(3, &rows(binder)))
    }

    fn used(&mut self, key: &str, columns: usize, text: impl FnOnce(&Self) -> String) -> String {
        if let Some((_, alias, _)) = self.system.0.iter().find(|(known, _, _)| known == key) {
            return alias.clone();
        }
        let text = text(self);
        let alias = self.fresh('s');
        let names: Vec<String> = (1..=columns).map(|number| format!("k{number}")).collect();
        let text = format!("{alias}({}) AS MATERIALIZED ({text})", names.join(","));
        self.system.0.push((key.to_owned(), alias.clone(), text));
        alias
    }

    /// Whether any system relation has been named so far.
    pub(super) fn reads_system_relations(&self) -> bool {
        !self.system.0.is_empty()
    }

    /// A query with the system relations it reads before it.
    pub(super) fn with_system_relations(&mut self, query: String) -> String {
        let used = std::mem::take(&mut self.system).0;
        if used.is_empty() {
            return query;
        }
        let texts: Vec<String> = used.into_iter().map(|(_, _, text)| text).collect();
        let texts = texts.join(",");
        for words in ["WITH RECURSIVE ", "WITH "] {
            if let Some(rest) = query.strip_prefix(words) {
                return format!("{words}{texts},{rest}");
            }
        }
        format!("WITH {texts} {query}")
    }
}

/// A row of a look-up.
fn pair(oid: i64, place: i64, text: &str) -> String {
    format!(
        "({oid},{place},{})",
        crate::physical::literal(&rows::text(text))
    )
}

#[cfg(test)]
mod tests;
