//! PREPARE and EXECUTE.

use stele_sql::SqlError;

use super::{Command, Words, at_end, near};
use crate::pg::scanner::Token;

/// `PREPARE name [(type, …)] AS statement`.
pub(super) fn prepare(words: &mut Words<'_>, sql: &str) -> Result<Command, SqlError> {
    if words.peek().is_some_and(|token| token.is("transaction")) {
        return Err(SqlError::unsupported(
            "two-phase commit",
            "COMMIT in one step: the ledger's transactions are atomic.",
        ));
    }
    let name = words.name()?;
    let types = listed(words, sql)?;
    words.expect("as")?;
    let statement = sql.get(words.next_at..).unwrap_or_default();
    if statement.is_empty() {
        return Err(at_end());
    }
    Ok(Command::Prepare {
        name,
        types,
        sql: statement.to_owned(),
    })
}

/// `EXECUTE name [(value, …)]`.
pub(super) fn execute(words: &mut Words<'_>, sql: &str) -> Result<Command, SqlError> {
    let name = words.name()?;
    let arguments = listed(words, sql)?;
    match words.peek() {
        None => Ok(Command::Execute { name, arguments }),
        Some(token) => Err(near(&token.content())),
    }
}

/// A list in parentheses, if there is one: the texts between its commas.
fn listed(words: &mut Words<'_>, sql: &str) -> Result<Vec<String>, SqlError> {
    let mut items = Vec::new();
    if !words.take_symbol(b'(') {
        return Ok(items);
    }
    let mut start = words.next_at;
    let mut depth = 1_usize;
    loop {
        let end = words.next_at;
        let token = words.next();
        match token {
            Some(Token::Symbol(b'(' | b'[')) => depth += 1,
            Some(Token::Symbol(b')' | b']')) => depth -= 1,
            Some(_) => {}
            None => return Err(at_end()),
        }
        if depth == 0 || depth == 1 && token == Some(Token::Symbol(b',')) {
            items.push(sql.get(start..end).unwrap_or_default().trim().to_owned());
            start = words.next_at;
        }
        if depth == 0 {
            return Ok(items);
        }
    }
}
