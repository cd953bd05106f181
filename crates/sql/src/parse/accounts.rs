//! Names of a node's users in statements about rights.
//!
//! A ledger knows accounts, not the names a node has for its users. So before such a statement is
//! signed, the node writes the account for the name: `GRANT SELECT ON t TO bob` becomes
//! `GRANT SELECT ON t TO "st1…"`.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};
use stele_core::AccountId;

use super::position::Positions;

/// The name that `CREATE ROLE`, `CREATE USER` or `CREATE GROUP` gives.
pub fn new_role(text: &str) -> Option<String> {
    let first = text.split_whitespace().next()?;
    if !first.eq_ignore_ascii_case("create") {
        return None;
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize()
        .ok()?;
    let mut words = tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word),
        _ => None,
    });
    let kind = words.nth(1)?.value.to_ascii_lowercase();
    if !matches!(kind.as_str(), "role" | "user" | "group") {
        return None;
    }
    let plain = |word: &&sqlparser::tokenizer::Word| word.quote_style.is_none();
    let mut words = words.skip_while(|word| {
        let known = ["if", "not", "exists"];
        plain(word) && known.contains(&word.value.to_ascii_lowercase().as_str())
    });
    let name = words.next()?;
    Some(match plain(&name) {
        true => name.value.to_ascii_lowercase(),
        false => name.value.clone(),
    })
}

/// The text of one statement with accounts in the place of users' names; `None` when nothing changes.
/// `account_of` gives the account of a user, for names that are no role's.
pub fn with_accounts(text: &str, account_of: impl Fn(&str) -> Option<AccountId>) -> Option<String> {
    let mut tokens = Vec::new();
    let dialect = PostgreSqlDialect {};
    let first = text.split_whitespace().next()?.to_ascii_lowercase();
    if !matches!(first.as_str(), "grant" | "revoke" | "alter" | "create") {
        return None;
    }
    Tokenizer::new(&dialect, text)
        .tokenize_with_location_into_buf(&mut tokens)
        .ok()?;
    let mut positions = Positions::new(text);
    let mut words = Vec::new();
    for token in &tokens {
        match &token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::Word(word) => {
                let start = positions.byte_of(token.span.start);
                let end = positions.byte_of(token.span.end);
                let name = if word.quote_style.is_some() {
                    word.value.clone()
                } else {
                    word.value.to_ascii_lowercase()
                };
                words.push((name, start..end));
            }
            other => words.push((other.to_string(), 0..0)),
        }
    }
    let second = words.get(1).map_or("", |(name, _)| name.as_str());
    // The word after which names of users come, and whether several may.
    let begins = |at: usize, name: &str| match (first.as_str(), second) {
        ("grant", _) => name == "to",
        ("create" | "alter", "policy") => {
            name == "to" && at > 0 && words.get(at - 1).is_some_and(|(word, _)| word != "rename")
        }
        ("revoke", _) => name == "from",
        ("alter", _) => {
            name == "to" && at > 0 && words.get(at - 1).is_some_and(|(word, _)| word == "owner")
        }
        ("create", "schema") => name == "authorization",
        _ => false,
    };
    let start = words
        .iter()
        .enumerate()
        .position(|(at, (name, _))| begins(at, name))?;
    let mut replaced = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for (name, place) in words.get(start + 1..)? {
        if matches!(
            name.as_str(),
            ";" | "with" | "using" | "set" | "granted" | "cascade" | "restrict"
        ) {
            break;
        }
        if place.is_empty() || name == "public" {
            continue;
        }
        if let Some(account) = account_of(name) {
            replaced.push_str(text.get(done..place.start)?);
            replaced.push_str(&format!("\"{account}\""));
            done = place.end;
        }
    }
    if done == 0 {
        return None;
    }
    replaced.push_str(text.get(done..)?);
    Some(replaced)
}
