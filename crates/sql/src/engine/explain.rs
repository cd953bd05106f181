//! EXPLAIN: SQLite's plan of a statement, in the names people know.
//!
//! SQLite speaks of `r1`, `c2` and `"i1001_orders_part"`: what the binder made of tables, columns and
//! indexes. Which alias is which table stands in the lowered text (`t1001 AS r1`).

use std::collections::{BTreeMap, HashMap};

use stele_core::AccountId;
use stele_core::schema::{ColumnId, Table, TableId};

use super::error::EngineError;
use super::readers::{ReadOptions, Readers};
use crate::bound::{Bound, Operation};
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::physical::index_name;

/// Blanks before a step for each step it lies below.
const INDENT: usize = 6;

impl Readers {
    /// The plan of a read or a write, without running it: one line a step, as PostgreSQL lays it out.
    ///
    /// # Errors
    /// What is wrong with the statement; 0A000 for a change of the schema, which has no plan; else the
    /// node's own trouble.
    pub fn explain(
        &self,
        account: AccountId,
        sql: &str,
        options: ReadOptions<'_>,
    ) -> Result<Vec<String>, EngineError> {
        let catalogue = self.catalogue();
        let bound = self.describe_as_of(account, sql, &[], options.as_of)?;
        let (text, mut lines) = match bound.as_ref() {
            Bound::Query(query) => (&query.sqlite, Vec::new()),
            Bound::Write(write) => {
                let verb = match write.operation {
                    Operation::Insert => "Insert",
                    Operation::Update => "Update",
                    Operation::Delete | Operation::Truncate => "Delete",
                };
                let name = catalogue.table(write.table).map(|table| table.name.clone());
                let head = format!("{verb} on {}", name.unwrap_or_default());
                (&write.sqlite, vec![head])
            }
            Bound::Schema(_) | Bound::Call(_) => {
                return Err(SqlError::unsupported(
                    "EXPLAIN of CALL or of a statement that changes the schema",
                    "Only statements that read or change rows have a plan.",
                )
                .into());
            }
        };
        let names = Names::new(text, &catalogue);
        let above = lines.len();
        let mut depths = HashMap::new();
        for (id, parent, detail) in self.steps(text)? {
            let depth: usize = depths.get(&parent).map_or(above, |depth| depth + 1);
            depths.insert(id, depth);
            let detail = names.translate(&detail);
            lines.push(match depth {
                0 => detail,
                depth => format!("{:indent$}->  {detail}", "", indent = INDENT * depth - 4),
            });
        }
        Ok(lines)
    }

    /// Id, parent and words of each step.
    fn steps(&self, text: &str) -> Result<Vec<(i64, i64, String)>, EngineError> {
        self.with_connection(|connection| {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}"))?;
            // Without values for its parameters: a plan does not depend on them.
            let steps = statement
                .raw_query()
                .mapped(|row| Ok((row.get("id")?, row.get("parent")?, row.get("detail")?)));
            steps.collect()
        })
    }
}

/// What the names in a lowered text stand for.
struct Names<'c> {
    tables: BTreeMap<String, (&'c Table, &'static str)>,
    indexes: Vec<(String, String)>,
}

impl<'c> Names<'c> {
    fn new(text: &str, catalogue: &'c Catalogue) -> Self {
        let mut names = Self {
            tables: BTreeMap::new(),
            indexes: Vec::new(),
        };
        let words: Vec<&str> = words(text).map(|(word, _)| word).collect();
        for (place, word) in words.iter().enumerate() {
            let Some((table, suffix)) = relation(word, catalogue) else {
                continue;
            };
            if names
                .tables
                .insert((*word).to_owned(), (table, suffix))
                .is_none()
            {
                for index in &table.indexes {
                    let physical = index_name(table.id, index);
                    let physical = physical.trim_matches('"').replace("\"\"", "\"");
                    names.indexes.push((physical, index.name.clone()));
                }
                let automatic = format!("sqlite_autoindex_{word}_");
                names
                    .indexes
                    .push((automatic, format!("{}_key", table.name)));
            }
            if let (Some(&"AS"), Some(alias)) = (words.get(place + 1), words.get(place + 2)) {
                names.tables.insert((*alias).to_owned(), (table, suffix));
            }
        }
        // The longest first: one name may begin with another.
        names
            .indexes
            .sort_by_key(|(physical, _)| std::cmp::Reverse(physical.len()));
        names
    }

    fn translate(&self, detail: &str) -> String {
        let mut detail = detail.to_owned();
        for (physical, name) in &self.indexes {
            detail = detail.replace(physical.as_str(), name);
        }
        let mut translated = String::with_capacity(detail.len());
        let mut current: Option<&Table> = None;
        let mut written = 0;
        for (word, start) in words(&detail) {
            let known = if let Some((table, suffix)) = self.tables.get(word) {
                current = Some(table);
                Some(format!("{}{suffix}", table.name))
            } else {
                current
                    .and_then(|table| column(word, table))
                    .or_else(|| derived(word))
            };
            if let Some(known) = known {
                translated.push_str(detail.get(written..start).unwrap_or_default());
                translated.push_str(&known);
                written = start + word.len();
            }
        }
        translated.push_str(detail.get(written..).unwrap_or_default());
        translated
    }
}

/// The table a name in the output stands for, and what is to be said of it.
fn relation<'c>(word: &str, catalogue: &'c Catalogue) -> Option<(&'c Table, &'static str)> {
    let (kind, digits) = word.split_at_checked(1)?;
    let suffix = match kind {
        "t" => "",
        "h" => " (earlier versions)",
        _ => return None,
    };
    let table = catalogue.table(TableId(digits.parse().ok()?))?;
    Some((table, suffix))
}

/// A sub-select or a column of one, which have no names of their own.
fn derived(word: &str) -> Option<String> {
    let (kind, digits) = word.split_at_checked(1)?;
    let number: u32 = digits.parse().ok()?;
    match kind {
        "k" => Some(format!("column {number}")),
        kind if kind.starts_with(|c: char| c.is_ascii_lowercase()) => {
            Some(format!("subquery {number}"))
        }
        _ => None,
    }
}

fn column(word: &str, table: &Table) -> Option<String> {
    let (kind, digits) = word.split_at_checked(1)?;
    match word {
        "_h" => return Some("_from_height".to_owned()),
        "_h2" => return Some("_to_height".to_owned()),
        _ => {}
    }
    if kind != "c" {
        return None;
    }
    let column = table.column(ColumnId(digits.parse().ok()?))?;
    Some(column.name.clone())
}

/// Words of letters, digits and underscores, with the byte each starts at.
fn words(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    text.split(move |c: char| !part(c)).filter_map(move |word| {
        let start = text.get(at..)?.find(word)? + at;
        at = start + word.len();
        (!word.is_empty()).then_some((word, start))
    })
}
