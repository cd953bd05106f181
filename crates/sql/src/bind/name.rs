//! Identifiers.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use stele_core::schema::{NAME_LEN_MAX, Table};

use super::Binder;
use crate::catalogue::DEFAULT_SCHEMA;
use crate::error::SqlError;
use std::sync::Arc;

/// The name an identifier stands for: lower case unless quoted.
pub(super) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_ascii_lowercase()
    }
}

/// The parts of a dotted name.
pub(super) fn parts(name: &ObjectName) -> Result<Vec<String>, SqlError> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(folded(ident)),
            ObjectNamePart::Function(_) => Err(SqlError::unsupported(
                "a function as a name",
                "Write the name itself.",
            )),
        })
        .collect()
}

/// Schema, if given, and name.
pub(super) fn qualified(name: &ObjectName) -> Result<(Option<String>, String), SqlError> {
    let mut parts = parts(name)?.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => Ok((None, name)),
        (Some(schema), Some(name), None) => Ok((Some(schema), name)),
        _ => Err(SqlError::new(
            "0A000",
            format!("cross-database references are not implemented: {name}"),
        )
        .hint("Name a table as table or schema.table.")),
    }
}

/// A name for something new, checked.
pub(super) fn new_name(ident: &Ident) -> Result<String, SqlError> {
    let name = folded(ident);
    if name.is_empty() {
        return Err(SqlError::new("42601", "zero-length delimited identifier"));
    }
    if name.len() > NAME_LEN_MAX || name.contains('\0') {
        return Err(
            SqlError::new("42622", format!("identifier \"{name}\" is too long"))
                .hint(format!("Names have at most {NAME_LEN_MAX} bytes.")),
        );
    }
    Ok(name)
}

/// `a_b_c` cut to the longest name there can be, as PostgreSQL makes constraint names.
pub(super) fn made_name(pieces: &[&str]) -> String {
    let mut name = pieces.join("_");
    while name.len() > NAME_LEN_MAX {
        name.pop();
    }
    name
}

impl Binder<'_> {
    /// The table of that name, if there is one.
    pub(super) fn find_table(&self, schema: Option<&str>, name: &str) -> Option<&Arc<Table>> {
        match schema {
            Some(schema) => self.catalogue.table_named(schema, name),
            None => self
                .context
                .search_path
                .iter()
                .find_map(|schema| self.catalogue.table_named(schema, name)),
        }
    }

    /// The table of that name.
    pub(super) fn table(&self, name: &ObjectName) -> Result<Arc<Table>, SqlError> {
        let (schema, bare) = qualified(name)?;
        self.find_table(schema.as_deref(), &bare)
            .cloned()
            .ok_or_else(|| no_relation(schema.as_deref(), &bare))
    }

    /// The schema a new table without one goes to.
    pub(super) fn first_schema(&self) -> &str {
        self.context
            .search_path
            .first()
            .map_or(DEFAULT_SCHEMA, String::as_str)
    }
}

pub(super) fn no_relation(schema: Option<&str>, name: &str) -> SqlError {
    let full = match schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name.to_owned(),
    };
    let error = SqlError::new("42P01", format!("relation \"{full}\" does not exist"));
    match schema {
        Some("pg_catalog" | "information_schema") => {
            error.hint("Stele keeps only a part of PostgreSQL's system catalogue.")
        }
        None if name.starts_with("pg_") => {
            error.hint("Stele keeps only a part of PostgreSQL's system catalogue.")
        }
        _ => error,
    }
}

pub(super) fn no_column(name: &str) -> SqlError {
    SqlError::new("42703", format!("column \"{name}\" does not exist"))
}
