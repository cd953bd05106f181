//! Rows that describe tables: `pg_class`, `pg_attribute`, `pg_index`, `pg_constraint` and their kin.

use stele_core::schema::{Check, Table};

use super::objects::{
    BTREE, COLLATION, HEAP, SYSTEM_RELATIONS, check_oid, column_names, keys, place_of, quoted,
    role_oid, table_oid, type_numbers,
};
use super::rows::{Rows, int, numbers, text, truth};
use super::shape::{self, Shape};
use crate::bind::Binder;
use crate::bind::expression::{Ty, is_text};
use crate::system_type::Element;

impl Binder<'_> {
    pub(super) fn pg_class(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for table in self.catalogue.tables() {
            let schema = int(self.schema_oid(&table.schema));
            let owner = int(role_oid(table.owner));
            let common = |oid: i64, name: &str, kind: &str, am: i64, columns: usize| {
                vec![
                    ("oid", int(oid)),
                    ("relname", text(name)),
                    ("relnamespace", schema.clone()),
                    ("relowner", owner.clone()),
                    ("relam", int(am)),
                    ("relfilenode", int(oid)),
                    ("reltuples", rusqlite::types::Value::Real(-1.0)),
                    ("relkind", text(kind)),
                    ("relpersistence", text("p")),
                    ("relispopulated", truth(true)),
                    ("relnatts", int(columns as i64)),
                    ("relreplident", text(if kind == "r" { "d" } else { "n" })),
                ]
            };
            let mut cells = common(
                table_oid(table),
                &table.name,
                "r",
                HEAP,
                table.columns.len(),
            );
            cells.push(("relhasindex", truth(true)));
            cells.push(("relchecks", int(table.checks.len() as i64)));
            rows.push(&cells);
            for key in keys(table) {
                rows.push(&common(key.oid, key.name, "i", BTREE, key.columns.len()));
            }
        }
        for (shape, oid) in shape::all().zip(SYSTEM_RELATIONS..) {
            rows.push(&[
                ("oid", int(oid)),
                ("relname", text(shape.name)),
                ("relnamespace", int(self.schema_oid(shape.schema))),
                ("relowner", int(10)),
                ("reltuples", rusqlite::types::Value::Real(-1.0)),
                (
                    "relkind",
                    text(if shape.schema == "pg_catalog" {
                        "r"
                    } else {
                        "v"
                    }),
                ),
                ("relpersistence", text("p")),
                ("relispopulated", truth(true)),
                ("relnatts", int(shape.columns.len() as i64)),
                ("relreplident", text("n")),
            ]);
        }
        rows
    }

    pub(super) fn pg_attribute(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for table in self.catalogue.tables() {
            for (column, place) in table.columns.iter().zip(1_i64..) {
                let cells = attribute(table_oid(table), &column.name, column.ty, place);
                let more = [
                    ("attnotnull", truth(column.not_null)),
                    ("atthasdef", truth(column.default.is_some())),
                ];
                rows.push(&[cells.as_slice(), &more].concat());
            }
            for key in keys(table) {
                let columns = key.columns.iter().filter_map(|id| table.column(*id));
                for (column, place) in columns.zip(1_i64..) {
                    rows.push(&attribute(key.oid, &column.name, column.ty, place));
                }
            }
        }
        for (shape, oid) in shape::all().zip(SYSTEM_RELATIONS..) {
            for ((name, ty), place) in shape.columns.iter().zip(1_i64..) {
                let number = match ty {
                    Ty::System(system) => i64::from(system.oid()),
                    Ty::Of(ty) => type_numbers(*ty).0,
                    Ty::Unknown | Ty::Interval => i64::from(Element::Text.oid()),
                };
                rows.push(&[
                    ("attrelid", int(oid)),
                    ("attname", text(name)),
                    ("atttypid", int(number)),
                    ("attlen", int(-1)),
                    ("attnum", int(place)),
                    ("atttypmod", int(-1)),
                    ("attislocal", truth(true)),
                ]);
            }
        }
        rows
    }

    pub(super) fn pg_attrdef(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for table in self.catalogue.tables() {
            for (column, place) in table.columns.iter().zip(1_i64..) {
                if let Some(default) = &column.default {
                    rows.push(&[
                        ("oid", int(table_oid(table) + place)),
                        ("adrelid", int(table_oid(table))),
                        ("adnum", int(place)),
                        ("adbin", text(default)),
                    ]);
                }
            }
        }
        rows
    }

    pub(super) fn pg_index(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for table in self.catalogue.tables() {
            for key in keys(table) {
                let count = key.columns.len() as i64;
                let zeros = || numbers(key.columns.iter().map(|_| 0));
                let collations = key.columns.iter().map(|id| {
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
                        numbers(key.columns.iter().map(|id| place_of(table, *id))),
                    ),
                    ("indcollation", numbers(collations)),
                    ("indclass", zeros()),
                    ("indoption", zeros()),
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
            for key in keys(table).filter(|key| key.unique) {
                let mut cells = common(key.oid, key.name, if key.primary { "p" } else { "u" });
                cells.push(("conindid", int(key.oid)));
                let places = key.columns.iter().map(|id| place_of(table, *id));
                cells.push(("conkey", numbers(places)));
                rows.push(&cells);
            }
            for (place, check) in table.checks.iter().enumerate() {
                let mut cells = common(check_oid(table, place), &check.name, "c");
                cells.push(("conbin", text(&check.expression)));
                cells.push(("conkey", numbers(columns_in(table, check))));
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
                let whole = format!(
                    "CREATE {unique}INDEX {} ON {}.{} USING btree ({})",
                    quoted(key.name),
                    quoted(&table.schema),
                    quoted(&table.name),
                    column_names(table, key.columns)
                );
                rows.push(super::pair(key.oid, 0, &whole));
                for (id, place) in key.columns.iter().zip(1_i64..) {
                    rows.push(super::pair(key.oid, place, &column_names(table, &[*id])));
                }
            }
        }
        rows
    }

    /// Each constraint as ALTER TABLE would add it: number, text.
    pub(super) fn constraint_definitions(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in self.catalogue.tables() {
            for key in keys(table).filter(|key| key.unique) {
                let words = if key.primary { "PRIMARY KEY" } else { "UNIQUE" };
                let shown = format!("{words} ({})", column_names(table, key.columns));
                rows.push(super::pair(key.oid, 0, &shown));
            }
            for (place, check) in table.checks.iter().enumerate() {
                let shown = format!("CHECK (({}))", check.expression);
                rows.push(super::pair(check_oid(table, place), 0, &shown));
            }
        }
        rows
    }

    /// Relations and their names as `regclass` shows them: number, name.
    pub(super) fn relation_names(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in self.catalogue.tables() {
            let shown = |name: &str| match self.is_visible(table) {
                true => quoted(name),
                false => format!("{}.{}", quoted(&table.schema), quoted(name)),
            };
            rows.push(super::pair(table_oid(table), 0, &shown(&table.name)));
            for key in keys(table) {
                rows.push(super::pair(key.oid, 0, &shown(key.name)));
            }
        }
        for (shape, oid) in shape::all().zip(SYSTEM_RELATIONS..) {
            let shown = match shape.schema {
                "pg_catalog" => shape.name.to_owned(),
                schema => format!("{schema}.{}", shape.name),
            };
            rows.push(super::pair(oid, 0, &shown));
        }
        rows
    }

    /// Relations a bare name finds.
    pub(super) fn visible_relations(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in self
            .catalogue
            .tables()
            .filter(|table| self.is_visible(table))
        {
            rows.push(super::pair(table_oid(table), 0, ""));
            rows.extend(keys(table).map(|key| super::pair(key.oid, 0, "")));
        }
        for (shape, oid) in shape::all().zip(SYSTEM_RELATIONS..) {
            if shape.schema == "pg_catalog" {
                rows.push(super::pair(oid, 0, ""));
            }
        }
        rows
    }

    /// Relations the account may read, and of those (1) what it may write.
    pub(super) fn granted_relations(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for table in self.catalogue.tables() {
            if self.check_readable(table).is_ok() {
                rows.push(super::pair(table_oid(table), 0, ""));
            }
            if self.check_writable(table).is_ok() {
                rows.push(super::pair(table_oid(table), 1, ""));
            }
        }
        rows.extend(
            shape::all()
                .zip(SYSTEM_RELATIONS..)
                .map(|(_, oid)| super::pair(oid, 0, "")),
        );
        rows
    }

    /// The number of the relation of that name.
    pub(in crate::bind) fn relation_oid(&self, schema: Option<&str>, name: &str) -> Option<i64> {
        let system = shape::all().zip(SYSTEM_RELATIONS..).find(|(shape, _)| {
            shape.name == name && shape.schema == schema.unwrap_or("pg_catalog")
        });
        if let Some((_, oid)) = system {
            return Some(oid);
        }
        if let Some(table) = self.find_table(schema, name) {
            return Some(table_oid(table));
        }
        self.catalogue
            .tables()
            .filter(|table| match schema {
                Some(schema) => table.schema == schema,
                None => self.context.search_path.contains(&table.schema),
            })
            .flat_map(|table| keys(table))
            .find(|key| key.name == name)
            .map(|key| key.oid)
    }
}

fn attribute(
    relation: i64,
    name: &str,
    ty: stele_core::Type,
    place: i64,
) -> Vec<(&'static str, rusqlite::types::Value)> {
    let (number, modifier, len) = type_numbers(ty);
    vec![
        ("attrelid", int(relation)),
        ("attname", text(name)),
        ("atttypid", int(number)),
        ("attlen", int(len)),
        ("attnum", int(place)),
        ("atttypmod", int(modifier)),
        ("attstorage", text(if len == -1 { "x" } else { "p" })),
        ("attalign", text("i")),
        ("attislocal", truth(true)),
        ("attstattarget", int(-1)),
        ("attcollation", int(if is_text(ty) { COLLATION } else { 0 })),
    ]
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
