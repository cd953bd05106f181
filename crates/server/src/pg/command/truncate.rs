//! TRUNCATE of several tables.

use stele_sql::SqlError;

use super::{Command, Words};

/// `TRUNCATE [TABLE] [ONLY] name, …`, after the first word; none for one table, which the ledger takes.
pub(super) fn truncate(words: &mut Words<'_>, sql: &str) -> Result<Option<Command>, SqlError> {
    words.take_if("table");
    words.take_if("only");
    let mut names = Vec::new();
    loop {
        let start = words.next_at;
        words.dotted_name()?;
        let name = sql.get(start..words.next_at.min(sql.len()));
        names.push(name.unwrap_or_default().trim());
        if !words.take_symbol(b',') {
            break;
        }
    }
    if names.len() < 2 {
        return Ok(None);
    }
    let rest = sql.get(words.next_at.min(sql.len())..).unwrap_or_default();
    let each = names.iter().map(|name| format!("TRUNCATE {name} {rest}"));
    Ok(Some(Command::Truncate(each.collect())))
}
