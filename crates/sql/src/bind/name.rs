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

/// `a_b_c` cut to the longest name there can be, as PostgreSQL makes constraint names: the last
/// piece says what it is and stays whole, the longest of the others gives way.
pub(super) fn made_name(pieces: &[&str]) -> String {
    let mut pieces: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
    let last = pieces.len().saturating_sub(1);
    while pieces.join("_").len() > NAME_LEN_MAX {
        let front = pieces.get_mut(..last).unwrap_or_default();
        match front.iter_mut().max_by_key(|piece| piece.len()) {
            Some(longest) if !longest.is_empty() => {
                longest.pop();
            }
            _ => break,
        }
    }
    numbered_name(&pieces.join("_"), None)
}

/// A name with a number behind it, cut before the number where both are too long together.
pub(super) fn numbered_name(name: &str, number: Option<u32>) -> String {
    let number = number.map_or_else(String::new, |number| number.to_string());
    let mut name = name.to_owned();
    while name.len() + number.len() > NAME_LEN_MAX {
        name.pop();
    }
    name + &number
}

impl Binder<'_> {
    /// The table of that name, if there is one.
    pub(super) fn find_table(&self, schema: Option<&str>, name: &str) -> Option<&Arc<Table>> {
        match schema {
            Some(schema) => self.catalogue.table_named(schema, name),
            None => self
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
        self.search_path
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_what_tells_them_apart() {
        let long = "t".repeat(NAME_LEN_MAX);
        assert_eq!(made_name(&["t", "a", "key"]), "t_a_key");
        let made = made_name(&[&long, "a", "key"]);
        assert_eq!(made.len(), NAME_LEN_MAX);
        assert!(made.ends_with("t_a_key"));
        assert_eq!(numbered_name("t_key", Some(12)), "t_key12");
        let numbered = numbered_name(&long, Some(12));
        assert_eq!(
            (numbered.len(), numbered.ends_with("t12")),
            (NAME_LEN_MAX, true)
        );
        let umlauts = "ü".repeat(40);
        assert!(numbered_name(&umlauts, Some(1)).len() <= NAME_LEN_MAX);
    }
}
