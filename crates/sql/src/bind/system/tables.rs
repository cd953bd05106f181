//! Rows that describe relations: `pg_class`, `pg_attribute`, `pg_sequence` and their kin.

use stele_core::schema::{Kind, Privileges, RowSecurity};

use super::grants::PRIVILEGES;
use super::objects::{
    BTREE, COLLATION, HEAP, SYSTEM_RELATIONS, keys, place_of, quoted, role_oid, table_oid,
    type_numbers,
};
use super::rows::{Rows, int, text, truth};
use super::shape::{self, Shape};
use crate::bind::Binder;
use crate::bind::expression::{Ty, is_text};
use crate::system_type::Element;

impl Binder<'_> {
    pub(super) fn pg_class(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for (table, kind) in self.relations() {
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
            let am = if kind == "r" { HEAP } else { 0 };
            let mut cells = common(
                table_oid(table),
                &table.name,
                kind,
                am,
                table.declared_columns().count(),
            );
            cells.push(("relhasindex", truth(kind == "r")));
            cells.push(("relhasrules", truth(kind == "v")));
            let refers = !table.foreign_keys.is_empty();
            let is_referred_to = || {
                let mut others = self
                    .catalogue
                    .tables()
                    .flat_map(|other| &other.foreign_keys);
                others.any(|key| key.references == table.id)
            };
            cells.push(("relhastriggers", truth(refers || is_referred_to())));
            cells.push(("relchecks", int(table.checks.len() as i64)));
            cells.push(("relacl", self.acl(table)));
            let security = table.rights.row_security;
            cells.push(("relrowsecurity", truth(security != RowSecurity::Off)));
            cells.push((
                "relforcerowsecurity",
                truth(security == RowSecurity::Forced),
            ));
            rows.push(&cells);
            for key in keys(table) {
                rows.push(&common(key.oid, key.name, "i", BTREE, key.parts.len()));
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
        for (table, _) in self.relations() {
            for (column, place) in table.declared_columns().zip(1_i64..) {
                let cells = attribute(table_oid(table), &column.name, column.ty, place);
                let has_default = column.default.is_some() || column.generated.is_some();
                let identity = column
                    .identity
                    .as_ref()
                    .map_or("", |identity| if identity.always { "a" } else { "d" });
                let generated = if column.generated.is_some() { "s" } else { "" };
                let more = [
                    ("attnotnull", truth(column.not_null)),
                    ("atthasdef", truth(has_default)),
                    ("attidentity", text(identity)),
                    ("attgenerated", text(generated)),
                ];
                rows.push(&[cells.as_slice(), &more].concat());
            }
            for key in keys(table) {
                for ((id, shown, _), place) in key.parts.iter().zip(1_i64..) {
                    let (name, ty) = match table.column(*id) {
                        Some(column) => (column.name.as_str(), column.ty),
                        None => (shown.as_str(), stele_core::Type::Text),
                    };
                    rows.push(&attribute(key.oid, name, ty, place));
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
                if let Some(default) = column.default.as_ref().or(column.generated.as_ref()) {
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

    pub(super) fn pg_sequence(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for definition in self.catalogue.definitions() {
            if let Kind::Sequence(sequence) = &definition.kind {
                rows.push(&[
                    ("seqrelid", int(table_oid(definition))),
                    ("seqtypid", int(type_numbers(sequence.ty).0)),
                    ("seqstart", int(sequence.start)),
                    ("seqincrement", int(sequence.increment)),
                    ("seqmax", int(sequence.max)),
                    ("seqmin", int(sequence.min)),
                    ("seqcache", int(1)),
                    ("seqcycle", truth(sequence.cycle)),
                ]);
            }
        }
        rows
    }

    /// What goes away with what: sequences with the columns they count for.
    pub(super) fn pg_depend(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        let class = self.relation_oid(Some("pg_catalog"), "pg_class");
        let class = class.unwrap_or_default();
        for definition in self.catalogue.definitions() {
            let Kind::Sequence(sequence) = &definition.kind else {
                continue;
            };
            let Some((table, column)) = sequence.owned_by else {
                continue;
            };
            let Some(table) = self.catalogue.table(table) else {
                continue;
            };
            let identity = table
                .column(column)
                .is_some_and(|column| column.identity.is_some());
            rows.push(&[
                ("classid", int(class)),
                ("objid", int(table_oid(definition))),
                ("refclassid", int(class)),
                ("refobjid", int(table_oid(table))),
                ("refobjsubid", int(place_of(table, column))),
                ("deptype", text(if identity { "i" } else { "a" })),
            ]);
        }
        rows
    }

    pub(super) fn pg_description(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        let class = self.relation_oid(Some("pg_catalog"), "pg_class");
        for (table, _) in self.relations() {
            let mut push = |place: i64, comment: &Option<String>| {
                if let Some(comment) = comment {
                    rows.push(&[
                        ("objoid", int(table_oid(table))),
                        ("classoid", int(class.unwrap_or_default())),
                        ("objsubid", int(place)),
                        ("description", text(comment)),
                    ]);
                }
            };
            push(0, &table.comment);
            for (column, place) in table.declared_columns().zip(1..) {
                push(place, &column.comment);
            }
        }
        rows
    }

    /// The query of each view: number, text.
    pub(super) fn view_definitions(&self) -> Vec<String> {
        let definitions = self.catalogue.definitions();
        definitions
            .filter_map(|definition| match &definition.kind {
                Kind::View(view) => Some(super::pair(
                    table_oid(definition),
                    0,
                    &format!(" {};", view.query),
                )),
                _ => None,
            })
            .collect()
    }

    /// The sequence of each column that has one: number of the table, place, name.
    pub(super) fn serial_sequences(&self) -> Vec<String> {
        let definitions = self.catalogue.definitions();
        definitions
            .filter_map(|definition| {
                let Kind::Sequence(sequence) = &definition.kind else {
                    return None;
                };
                let (table, column) = sequence.owned_by?;
                let table = self.catalogue.table(table)?;
                let shown = format!(
                    "{}.{}",
                    quoted(&definition.schema),
                    quoted(&definition.name)
                );
                Some(super::pair(
                    table_oid(table),
                    place_of(table, column),
                    &shown,
                ))
            })
            .collect()
    }

    /// Relations and their names as `regclass` shows them: number, name.
    pub(super) fn relation_names(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for (table, _) in self.relations() {
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
        for (table, _) in self.relations().filter(|(table, _)| self.is_visible(table)) {
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

    /// Relations, and what (the place of its bit) the account may do with each.
    pub(super) fn granted_relations(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for (table, _) in self.relations() {
            for bit in 0..PRIVILEGES.len() {
                if self.check_privilege(table, Privileges(1 << bit)).is_ok() {
                    rows.push(super::pair(table_oid(table), bit as i64, ""));
                }
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
        self.relations()
            .filter(|(table, _)| match schema {
                Some(schema) => table.schema == schema,
                None => self.context.search_path.contains(&table.schema),
            })
            .flat_map(|(table, _)| keys(table))
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
