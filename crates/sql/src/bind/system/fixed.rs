//! Rows that depend on no table: types, functions, roles, the database, settings.

use super::objects::{BTREE, DATABASE, HEAP, LEDGER_ROLE, PG_CATALOG, STELE};
use super::rows::{Rows, int, numbers, text, truth};
use super::shape::Shape;
use crate::bind::Binder;
use crate::bind::functions::{SIGNATURES, Signature};
use crate::system_type::Element;

/// PostgreSQL's numbers and traits of the types there are: oid, name, len, by value, type, category,
/// preferred, delimiter, relation, element, array, align, storage, collation.
const TYPES: &str = include_str!("types.txt");

/// PostgreSQL's number of the function that reads arrays.
pub(super) const ARRAY_IN: i64 = 750;
/// First number of a function.
const FUNCTIONS: i64 = 11_000;

/// Settings that never change, as `pg_settings` and `current_setting` tell them.
pub(in crate::bind) const SETTINGS: &[(&str, &str)] = &[
    ("block_size", "8192"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("default_table_access_method", "heap"),
    ("default_transaction_isolation", "serializable"),
    ("integer_datetimes", "on"),
    ("IntervalStyle", "postgres"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("max_connections", "256"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("server_encoding", "UTF8"),
    ("server_version", crate::bind::call::SERVER_VERSION),
    ("server_version_num", "150000"),
    ("standard_conforming_strings", "on"),
    ("TimeZone", "UTC"),
    ("transaction_isolation", "serializable"),
];

impl Binder<'_> {
    pub(super) fn pg_namespace(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for (oid, name, owner) in self.schemas() {
            rows.push(&[
                ("oid", int(oid)),
                ("nspname", text(name)),
                ("nspowner", int(owner)),
            ]);
        }
        rows
    }

    pub(super) fn pg_authid(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for (oid, name, account) in self.roles() {
            let own = oid == LEDGER_ROLE;
            rows.push(&[
                ("oid", int(oid)),
                ("rolname", text(&name)),
                ("rolsuper", truth(own)),
                ("rolinherit", truth(true)),
                ("rolcanlogin", truth(account && !own)),
                ("rolconnlimit", int(-1)),
            ]);
        }
        rows
    }

    pub(super) fn pg_settings(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        let path = self.context.search_path.join(", ");
        let settings = SETTINGS.iter().copied();
        for (name, value) in settings.chain([("search_path", path.as_str())]) {
            rows.push(&[
                ("name", text(name)),
                ("setting", text(value)),
                ("category", text("Preset Options")),
                ("context", text("internal")),
                ("vartype", text("string")),
                ("source", text("default")),
                ("boot_val", text(value)),
                ("reset_val", text(value)),
            ]);
        }
        rows
    }
}

pub(super) fn pg_type(shape: &'static Shape) -> Rows {
    let mut rows = Rows::new(shape);
    for line in TYPES.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let &[
            oid,
            name,
            len,
            by_value,
            kind,
            category,
            preferred,
            delimiter,
            relation,
            element,
            array,
            align,
            storage,
            collation,
        ] = words.as_slice()
        else {
            continue;
        };
        let number = |word: &str| int(word.parse::<i64>().unwrap_or_default());
        rows.push(&[
            ("oid", number(oid)),
            ("typname", text(name)),
            ("typnamespace", int(PG_CATALOG)),
            ("typowner", int(10)),
            ("typlen", number(len)),
            ("typbyval", number(by_value)),
            ("typtype", text(kind)),
            ("typcategory", text(category)),
            ("typispreferred", number(preferred)),
            ("typisdefined", truth(true)),
            ("typdelim", text(delimiter)),
            ("typrelid", number(relation)),
            ("typelem", number(element)),
            ("typarray", number(array)),
            (
                "typinput",
                int(if name.starts_with('_') { ARRAY_IN } else { 0 }),
            ),
            ("typalign", text(align)),
            ("typstorage", text(storage)),
            ("typtypmod", int(-1)),
            ("typcollation", number(collation)),
        ]);
    }
    rows
}

/// Names of types: number, name.
pub(super) fn type_names() -> impl Iterator<Item = (i64, &'static str)> {
    TYPES.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let oid = words.next()?.parse().ok()?;
        Some((oid, words.next()?))
    })
}

/// Functions with their numbers.
pub(super) fn functions() -> impl Iterator<Item = (i64, &'static Signature)> {
    (FUNCTIONS..).zip(SIGNATURES)
}

pub(super) fn pg_proc(shape: &'static Shape) -> Rows {
    let mut rows = Rows::new(shape);
    for (oid, function) in functions() {
        let number = |ty| i64::from(Element::holding(ty).oid());
        let own = function.name.starts_with("stele_");
        rows.push(&[
            ("oid", int(oid)),
            ("proname", text(function.name)),
            ("pronamespace", int(if own { STELE } else { PG_CATALOG })),
            ("proowner", int(10)),
            ("prolang", int(12)),
            ("procost", rusqlite::types::Value::Real(1.0)),
            ("prokind", text("f")),
            ("proisstrict", truth(true)),
            ("provolatile", text("i")),
            ("proparallel", text("s")),
            ("pronargs", int(function.takes.len() as i64)),
            ("prorettype", int(number(function.gives))),
            (
                "proargtypes",
                numbers(function.takes.iter().map(|takes| number(takes.ty()))),
            ),
            ("prosrc", text(function.name)),
        ]);
    }
    rows
}

/// Arguments and results of functions: number, place (0 arguments, 1 result), text.
pub(super) fn function_signatures() -> Vec<String> {
    let mut rows = Vec::new();
    for (oid, function) in functions() {
        let arguments: Vec<String> = function
            .takes
            .iter()
            .map(|takes| takes.ty().to_string())
            .collect();
        rows.push(super::pair(oid, 0, &arguments.join(", ")));
        rows.push(super::pair(oid, 1, &function.gives.to_string()));
    }
    rows
}

pub(super) fn pg_database(shape: &'static Shape) -> Rows {
    let mut rows = Rows::new(shape);
    rows.push(&[
        ("oid", int(DATABASE)),
        ("datname", text("stele")),
        ("datdba", int(10)),
        ("encoding", int(6)),
        ("datlocprovider", text("c")),
        ("datallowconn", truth(true)),
        ("datconnlimit", int(-1)),
        ("dattablespace", int(1_663)),
        ("datcollate", text("C")),
        ("datctype", text("C")),
    ]);
    rows
}

pub(super) fn pg_am(shape: &'static Shape) -> Rows {
    let mut rows = Rows::new(shape);
    for (oid, name, kind) in [(HEAP, "heap", "t"), (BTREE, "btree", "i")] {
        rows.push(&[
            ("oid", int(oid)),
            ("amname", text(name)),
            ("amtype", text(kind)),
        ]);
    }
    rows
}

pub(super) fn pg_collation(shape: &'static Shape) -> Rows {
    let mut rows = Rows::new(shape);
    for (oid, name, provider) in [(100, "default", "d"), (950, "C", "c"), (951, "POSIX", "c")] {
        rows.push(&[
            ("oid", int(oid)),
            ("collname", text(name)),
            ("collnamespace", int(PG_CATALOG)),
            ("collowner", int(10)),
            ("collprovider", text(provider)),
            ("collisdeterministic", truth(true)),
            ("collencoding", int(-1)),
            ("collcollate", text("C")),
            ("collctype", text("C")),
        ]);
    }
    rows
}

pub(super) fn pg_tablespace(shape: &'static Shape) -> Rows {
    let mut rows = Rows::new(shape);
    rows.push(&[
        ("oid", int(1_663)),
        ("spcname", text("pg_default")),
        ("spcowner", int(10)),
    ]);
    rows
}

pub(super) fn pg_language(shape: &'static Shape) -> Rows {
    let mut rows = Rows::new(shape);
    for (oid, name) in [(12, "internal"), (14, "sql")] {
        rows.push(&[
            ("oid", int(oid)),
            ("lanname", text(name)),
            ("lanowner", int(10)),
            ("lanpltrusted", truth(true)),
        ]);
    }
    rows
}
