//! What an import makes of the tables it finds.

use std::fmt::Write as _;

use anyhow::{Result, anyhow, bail};
use serde_json::json;
use stele_core::{Type, Value};
use stele_flow::HeldTable;
use stele_sinks::{ForeignColumn, ForeignTable};

use super::{Pairs, key_text};

/// Schema of tables whose database has no schemas.
const PLAIN_SCHEMA: &str = "public";

/// A table to be taken.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// Its name in the database.
    pub(super) name: String,
    /// Schema and name in the ledger.
    pub(super) schema: String,
    pub(super) table: String,
    found: ForeignTable,
}

/// Reads `NAME=VALUE` pairs of a flag.
pub(super) fn pairs(given: &[String], flag: &str) -> Result<Pairs> {
    let pair = |text: &String| {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| anyhow!("{flag} {text:?} names no pair: write {flag} NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    given.iter().map(pair).collect()
}

/// Chooses tables, names, types and keys.
pub(super) fn plan(
    found: Vec<ForeignTable>,
    wanted: &[String],
    map: &Pairs,
    types: &Pairs,
    keys: &Pairs,
) -> Result<Vec<Planned>> {
    let known: Vec<String> = found.iter().map(|table| table.name.clone()).collect();
    // In PostgreSQL, `public.` may be left out.
    let is = |name: &str, given: &str| name == given || name == format!("{PLAIN_SCHEMA}.{given}");
    let chosen = |pairs: &Pairs, name: &str| {
        let pair = pairs.iter().find(|(given, _)| is(name, given));
        pair.map(|(_, value)| value.clone())
    };
    for given in wanted.iter().chain(map.keys()).chain(keys.keys()) {
        if !known.iter().any(|name| is(name, given)) {
            bail!(
                "there is no table {given:?}; there are {}",
                known.join(", ")
            );
        }
    }
    let mut used = 0;
    let mut planned = Vec::new();
    for mut table in found {
        if !wanted.is_empty() && !wanted.iter().any(|given| is(&table.name, given)) {
            continue;
        }
        if let Some(columns) = chosen(keys, &table.name) {
            table.key = columns
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect();
        }
        let missing = |name: &&String| table.columns.iter().all(|column| column.name != **name);
        if let Some(name) = table.key.iter().find(missing) {
            bail!("{} has no column {name:?} for its key", table.name);
        }
        if table.key.is_empty() {
            bail!(
                "{} has no primary key: name columns that tell its rows apart with --key {}=COLUMN,COLUMN, or leave it out with --table",
                table.name,
                table.name
            );
        }
        for column in &mut table.columns {
            let given = format!("{}.{}", table.name, column.name);
            if let Some(text) = chosen(types, &given) {
                column.ty = type_named(&text)?;
                used += 1;
            }
            if table.key.contains(&column.name) && !stele_core::key::is_key_type(column.ty) {
                bail!(
                    "{given} is {} and stands in the primary key, which takes no {}: choose another type with --type {given}=TYPE",
                    column.declared,
                    column.ty
                );
            }
        }
        let name = chosen(map, &table.name).unwrap_or_else(|| table.name.clone());
        let (schema, plain) = match name.split_once('.') {
            Some((schema, plain)) => (schema.to_owned(), plain.to_owned()),
            None => (PLAIN_SCHEMA.to_owned(), name),
        };
        planned.push(Planned {
            name: table.name.clone(),
            schema,
            table: plain,
            found: table,
        });
    }
    if used < types.len() {
        let given: Vec<&str> = types.keys().map(String::as_str).collect();
        bail!(
            "--type names a column that is not among those taken: {}",
            given.join(", ")
        );
    }
    Ok(planned)
}

/// The ledger's type of a name.
fn type_named(text: &str) -> Result<Type> {
    let lower = text.to_ascii_lowercase();
    let numbers: Vec<u32> = lower
        .split(['(', ',', ')'])
        .filter_map(|part| part.trim().parse().ok())
        .collect();
    let word = lower.split('(').next().unwrap_or_default().trim();
    let small = |at: usize| {
        numbers
            .get(at)
            .and_then(|number| u8::try_from(*number).ok())
    };
    Ok(match (word, numbers.as_slice()) {
        ("boolean" | "bool", []) => Type::Bool,
        ("smallint", []) => Type::SmallInt,
        ("integer" | "int", []) => Type::Integer,
        ("bigint", []) => Type::BigInt,
        ("numeric" | "decimal", []) => Type::Numeric {
            precision: 38,
            scale: 10,
        },
        ("numeric" | "decimal", [precision, ..]) if (1..=38).contains(precision) => Type::Numeric {
            precision: small(0).unwrap_or(38),
            scale: small(1).filter(|scale| *scale <= 30).unwrap_or(0),
        },
        ("double precision" | "double", []) => Type::Double,
        ("text", []) => Type::Text,
        ("varchar", [length]) if *length > 0 => Type::Varchar(*length),
        ("bytea", []) => Type::Bytea,
        ("date", []) => Type::Date,
        ("timestamp", []) => Type::Timestamp,
        ("timestamptz", []) => Type::TimestampTz,
        ("uuid", []) => Type::Uuid,
        ("json", []) => Type::Json,
        _ => bail!("{text:?} is no type of the ledger; docs/sql.md lists them"),
    })
}

impl Planned {
    /// `schema.name` in the ledger.
    pub(super) fn ledger_name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// The name in SQL.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.table))
    }

    /// How its rows are read.
    pub(super) fn readable(&self) -> HeldTable {
        self.found.readable()
    }

    pub(super) fn columns(&self) -> &[ForeignColumn] {
        &self.found.columns
    }

    /// Types of the columns, in order.
    pub(super) fn types(&self) -> Vec<Type> {
        self.found.columns.iter().map(|column| column.ty).collect()
    }

    /// CREATE TABLE in the ledger.
    pub(super) fn create_sql(&self) -> String {
        let columns: Vec<String> = self
            .found
            .columns
            .iter()
            .map(|column| {
                let null = if column.not_null { " NOT NULL" } else { "" };
                format!("{} {}{null}", quoted(&column.name), sql_type(column.ty))
            })
            .collect();
        let key: Vec<String> = self.found.key.iter().map(|name| quoted(name)).collect();
        format!(
            "CREATE TABLE {} ({}, PRIMARY KEY ({}))",
            self.quoted(),
            columns.join(", "),
            key.join(", ")
        )
    }

    /// A value that its column in the ledger cannot hold.
    pub(super) fn unfit(&self, key: Option<&[Value]>, column: &str, found: &str) -> anyhow::Error {
        let types: Vec<Type> = self
            .found
            .key
            .iter()
            .filter_map(|name| self.found.columns.iter().find(|one| one.name == *name))
            .map(|column| column.ty)
            .collect();
        let row = match key {
            Some(values) => key_text(&self.found.key, values, &types),
            None => "a row whose key does not read".to_owned(),
        };
        anyhow!(
            "{}, {row}: column {column} holds {found}; choose another type with --type {}.{column}=TYPE, or mend the row",
            self.name,
            self.name
        )
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn sql_type(ty: Type) -> String {
    match ty {
        Type::Numeric { precision, scale } => format!("NUMERIC({precision},{scale})"),
        Type::Varchar(length) => format!("VARCHAR({length})"),
        Type::Char(length) => format!("CHAR({length})"),
        other => other.to_string().to_uppercase(),
    }
}

/// The plan for people.
pub(super) fn to_text(planned: &[Planned]) -> String {
    let mut text = String::new();
    for table in planned {
        let _ = writeln!(text, "{} becomes {}", table.name, table.ledger_name());
        for column in &table.found.columns {
            let key = match table.found.key.contains(&column.name) {
                true => ", in the key",
                false => "",
            };
            let _ = writeln!(
                text,
                "  {:<24} {:<28} {}{key}",
                column.name,
                column.declared,
                sql_type(column.ty)
            );
        }
    }
    text
}

/// The plan for programs.
pub(super) fn to_json(planned: &[Planned]) -> serde_json::Value {
    let tables: Vec<_> = planned
        .iter()
        .map(|table| {
            let columns: Vec<_> = table
                .found
                .columns
                .iter()
                .map(|column| {
                    json!({
                        "name": column.name,
                        "declared": column.declared,
                        "type": sql_type(column.ty),
                        "not_null": column.not_null,
                    })
                })
                .collect();
            json!({
                "from": table.name,
                "table": table.ledger_name(),
                "key": table.found.key,
                "columns": columns,
            })
        })
        .collect();
    json!({ "tables": tables })
}
