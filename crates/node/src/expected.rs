//! Strict mode in words: `table:height:index`, the version of a table a transaction was made on.

use std::str::FromStr;

use stele_core::transaction::{EXPECTED_VERSIONS_MAX, ExpectedVersion};
use stele_sql::SqlError;
use stele_sql::catalogue::DEFAULT_SCHEMA;

use crate::node::Node;

impl Node {
    /// Reads table versions as `stele_table_version` gives them, each behind its table's name:
    /// `orders:12:0, stele.kv:7:3`. A blank text holds none.
    ///
    /// # Errors
    /// 22023 when it is written otherwise, 42P01 when there is no such table, 54000 for too many.
    pub fn expected_versions(&self, text: &str) -> Result<Vec<ExpectedVersion>, SqlError> {
        let catalogue = self.inner.readers.catalogue();
        let mut versions: Vec<ExpectedVersion> = Vec::new();
        for part in text.split(',').map(str::trim) {
            if part.is_empty() && text.trim().is_empty() {
                break;
            }
            let (name, height, index) = parse(part)?;
            let (schema, bare) = name.split_once('.').unwrap_or((DEFAULT_SCHEMA, name));
            let table = catalogue.table_named(schema, bare).ok_or_else(|| {
                SqlError::new("42P01", format!("relation \"{name}\" does not exist"))
            })?;
            if versions.len() == EXPECTED_VERSIONS_MAX {
                return Err(SqlError::new(
                    "54000",
                    format!("more than {EXPECTED_VERSIONS_MAX} expected table versions"),
                )
                .hint("Name the tables that matter."));
            }
            versions.push(ExpectedVersion {
                table: table.id,
                height,
                index,
            });
        }
        Ok(versions)
    }
}

fn parse(part: &str) -> Result<(&str, u64, u32), SqlError> {
    fn number<N: FromStr>(text: Option<&str>) -> Option<N> {
        text?.parse().ok()
    }
    let mut pieces = part.rsplitn(3, ':');
    let (index, height) = (number(pieces.next()), number(pieces.next()));
    match (pieces.next(), height, index) {
        (Some(name), Some(height), Some(index)) if !name.is_empty() => Ok((name, height, index)),
        _ => Err(SqlError::new(
            "22023",
            format!("\"{part}\" is no table version"),
        )
        .hint("Write table:height:index, several of them with commas between; SELECT stele_table_version('table') gives height:index.")),
    }
}
