//! Rows that describe keys and constraints: `pg_index`, `pg_constraint`.

use stele_core::schema::{Action, Check, ColumnId, ForeignKey, Table, Timing};

use super::objects::{
    COLLATION, check_oid, column_names, foreign_key_oid, keys, place_of, quoted, referenced_key,
    shown, table_oid,
};
use super::rows::{Rows, int, numbers, text, truth};
use super::shape::Shape;
use crate::bind::Binder;
use crate::bind::expression::is_text;

impl Binder<'_> {
    pub(super) fn pg_index(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for table in self.catalogue.tables() {
            for key in keys(table) {
                let count = key.parts.len() as i64;
                let zeros = || numbers(key.parts.iter().map(|_| 0));
                let downwards = key
                    .parts
                    .iter()
                    .map(|(_, _, down)| if *down { 3 } else { 0 });
                let expressions: Vec<&str> = key
                    .parts
                    .iter()
                    .filter(|(id, _, _)| id.0 == 0)
                    .map(|(_, text, _)| text.as_str())
                    .collect();
                let collations = key.parts.iter().map(|(id, _, _)| {
                    let textual = table.column(*id).is_some_and(|column| is_text(column.ty));
                    if textual { COLLATION } else { 0 }
                });
                rows.push(&[
                    ("indexrelid", int(key.oid)),
                    ("indrelid", int(table_oid(table))),
                    ("indnatts", int(count)),
                    ("indnkeyatts", int(count)),
                    ("indisunique", truth(key.unique)),
                    ("indisprimary", truth(key.primary)),
                    ("indimmediate", truth(true)),
                    ("indisvalid", truth(true)),
                    ("indisready", truth(true)),
                    ("indislive", truth(true)),
                    (
                        "indkey",
                        numbers(key.parts.iter().map(|(id, _, _)| place_of(table, *id))),
                    ),
                    ("indcollation", numbers(collations)),
                    ("indclass", zeros()),
                    ("indoption", numbers(downwards)),
                    ("indexprs", written(&expressions.join(", "))),
                    ("indpred", written(key.predicate.unwrap_or_default())),
                ]);
            }
        }
        rows
    }

    pub(super) fn pg_constraint(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for table in self.catalogue.tables() {
            let schema = int(self.schema_oid(&table.schema));
            let common = |oid: i64, name: &str, kind: &str| {
                vec![
                    ("oid", int(oid)),
                    ("conname", text(name)),
                    ("connamespace", schema.clone()),
                    ("contype", text(kind)),
                    ("convalidated", truth(true)),
                    ("conrelid", int(table_oid(table))),
                    ("conislocal", truth(true)),
                    ("connoinherit", truth(kind != "c")),
                    ("confupdtype", text(" ")),
                    ("confdeltype", text(" ")),
                    ("confmatchtype", text(" ")),
                ]
            };
            for key in keys(table).filter(|key| key.constraint) {
                let mut cells = common(key.oid, key.name, if key.primary { "p" } else { "u" });
                cells.push(("conindid", int(key.oid)));
                let places = key.parts.iter().map(|(id, _, _)| place_of(table, *id));
                cells.push(("conkey", numbers(places)));
                rows.push(&cells);
            }
            for (place, check) in table.checks.iter().enumerate() {
                let mut cells = common(check_oid(table, place), &check.name, "c");
                cells.push(("conbin", text(&check.expression)));
                cells.push(("conkey", numbers(columns_in(table, check))));
                rows.push(&cells);
            }
            for (place, key) in table.foreign_keys.iter().enumerate() {
                let Some(target) = self.catalogue.table(key.references) else {
                    continue;
                };
                let relied_on = referenced_key(target, key).map_or(0, |found| found.oid);
                let places = |table: &Table, ids: &[ColumnId]| {
                    numbers(ids.iter().map(|id| place_of(table, *id)))
                };
                let mut cells = common(foreign_key_oid(table, place), &key.name, "f");
                cells.retain(|(name, _)| {
                    !matches!(*name, "confupdtype" | "confdeltype" | "confmatchtype")
                });
                cells.extend([
                    ("conindid", int(relied_on)),
                    ("confrelid", int(table_oid(target))),
                    ("conkey", places(table, &key.columns)),
                    ("confkey", places(target, &key.referenced)),
                    ("confupdtype", text(letter(key.on_update))),
                    ("confdeltype", text(letter(key.on_delete))),
                    ("confmatchtype", text("s")),
                    ("condeferrable", truth(key.timing != Timing::Immediate)),
                    ("condeferred", truth(key.timing == Timing::Deferred)),
                ]);
                rows.push(&cells);
            }
        }
        rows
    }

    /// `CREATE INDEX` of each index, and each of its columns: number, place (0: the whole), text.
    pub(super) fn index_definitions(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in self.catalogue.tables() {
            for key in keys(table) {
                let unique = if key.unique { "UNIQUE " } else { "" };
                let predicate = match key.predicate {
                    Some(predicate) => format!(" WHERE ({predicate})"),
                    None => String::new(),
                };
                let whole = format!(
                    "CREATE {unique}INDEX {} ON {}.{} USING btree ({}){predicate}",
                    quoted(key.name),
                    quoted(&table.schema),
                    quoted(&table.name),
                    key.shown()
                );
                rows.push(super::pair(key.oid, 0, &whole));
                for (part, place) in key.parts.iter().zip(1_i64..) {
                    rows.push(super::pair(key.oid, place, &shown(part)));
                }
            }
        }
        rows
    }

    /// Each constraint as ALTER TABLE would add it: number, text.
    pub(super) fn constraint_definitions(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in self.catalogue.tables() {
            for key in keys(table).filter(|key| key.constraint) {
                let words = if key.primary { "PRIMARY KEY" } else { "UNIQUE" };
                let shown = format!("{words} ({})", key.shown());
                rows.push(super::pair(key.oid, 0, &shown));
            }
            for (place, check) in table.checks.iter().enumerate() {
                let shown = format!("CHECK (({}))", check.expression);
                rows.push(super::pair(check_oid(table, place), 0, &shown));
            }
            for (place, key) in table.foreign_keys.iter().enumerate() {
                if let Some(target) = self.catalogue.table(key.references) {
                    let shown = self.foreign_key_shown(table, target, key);
                    rows.push(super::pair(foreign_key_oid(table, place), 0, &shown));
                }
            }
        }
        rows
    }

    fn foreign_key_shown(&self, table: &Table, target: &Table, key: &ForeignKey) -> String {
        let referenced = match self.is_visible(target) {
            true => quoted(&target.name),
            false => format!("{}.{}", quoted(&target.schema), quoted(&target.name)),
        };
        let action = |of: &str, action: Action| match action {
            Action::NoAction => String::new(),
            Action::Restrict => format!(" ON {of} RESTRICT"),
            Action::Cascade => format!(" ON {of} CASCADE"),
            Action::SetNull => format!(" ON {of} SET NULL"),
            Action::SetDefault => format!(" ON {of} SET DEFAULT"),
        };
        let timing = match key.timing {
            Timing::Immediate => "",
            Timing::Deferrable => " DEFERRABLE",
            Timing::Deferred => " DEFERRABLE INITIALLY DEFERRED",
        };
        format!(
            "FOREIGN KEY ({}) REFERENCES {referenced}({}){}{}{timing}",
            column_names(table, &key.columns),
            column_names(target, &key.referenced),
            action("UPDATE", key.on_update),
            action("DELETE", key.on_delete),
        )
    }
}

/// PostgreSQL's letter for what happens to rows that refer.
fn letter(action: Action) -> &'static str {
    match action {
        Action::NoAction => "a",
        Action::Restrict => "r",
        Action::Cascade => "c",
        Action::SetNull => "n",
        Action::SetDefault => "d",
    }
}

/// An expression, or NULL for none.
fn written(expression: &str) -> rusqlite::types::Value {
    match expression {
        "" => rusqlite::types::Value::Null,
        expression => text(expression),
    }
}

/// Places of the columns a CHECK names.
fn columns_in(table: &Table, check: &Check) -> Vec<i64> {
    let words: Vec<&str> = check
        .expression
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .collect();
    let places = table.columns.iter().zip(1_i64..);
    places
        .filter(|(column, _)| words.contains(&column.name.as_str()))
        .map(|(_, place)| place)
        .collect()
}
