//! `SELECT stele_proof(…)` and its kin: proof files as the one value of a query.

use stele_sql::SqlError;

use super::{Words, at_end, near};
use crate::pg::scanner::Token;

/// A query that asks for a proof and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProofQuery {
    /// What of.
    pub(crate) of: ProofOf,
    /// Name of the result's column.
    pub(crate) column: String,
    /// Arguments, as SQL.
    pub(crate) arguments: String,
}

/// What a proof is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProofOf {
    /// A row, or that there is none of that key.
    Row,
    /// All rows of a range of keys.
    Range,
    /// A transaction and its outcome.
    Transaction,
}

const NAMES: [(&str, ProofOf); 3] = [
    ("stele_proof", ProofOf::Row),
    ("stele_range_proof", ProofOf::Range),
    ("stele_transaction_proof", ProofOf::Transaction),
];

/// Reads on after SELECT; none for any other query.
///
/// # Errors
/// 0A000 when the query holds more than the call.
pub(super) fn proof(words: &mut Words<'_>, sql: &str) -> Result<Option<ProofQuery>, SqlError> {
    if words.take_if("stele") && !words.take_symbol(b'.') {
        return Ok(None);
    }
    let Some(Token::Word(word)) = words.peek() else {
        return Ok(None);
    };
    let found = NAMES
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name));
    let Some((name, of)) = found else {
        return Ok(None);
    };
    words.next();
    if !words.take_symbol(b'(') {
        return Err(words
            .peek()
            .map_or_else(at_end, |token| near(&token.content())));
    }
    let arguments = super::copy::inner(words, sql)?;
    let column = match words.take_if("as") || words.peek().is_some() {
        true => words.name()?,
        false => (*name).to_owned(),
    };
    if words.peek().is_some() {
        return Err(SqlError::unsupported(
            format!("{name} beside anything else in a query"),
            "Ask for one proof a query: SELECT stele_proof('orders', 1001).",
        ));
    }
    Ok(Some(ProofQuery {
        of: *of,
        column,
        arguments,
    }))
}
