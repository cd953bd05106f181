//! EXPLAIN.

use stele_sql::SqlError;

use super::{Command, Token, Words, at_end};

/// `EXPLAIN statement`, after the first word.
pub(super) fn explain(words: &mut Words<'_>, sql: &str) -> Result<Command, SqlError> {
    if words.take_if("analyze") || words.take_if("analyse") {
        return Err(SqlError::unsupported(
            "EXPLAIN ANALYZE",
            "EXPLAIN shows the plan without running the statement; to time it, run it (\\timing in psql).",
        ));
    }
    let options = words.peek() == Some(Token::Symbol(b'(')) && !is_query(words, sql);
    if options || words.take_if("verbose") {
        return Err(SqlError::unsupported(
            "options of EXPLAIN",
            "Write EXPLAIN and the statement; the plan comes as text.",
        ));
    }
    let statement = sql.get(words.next_at..).ok_or_else(at_end)?.to_owned();
    Ok(Command::Explain(statement))
}

/// Whether a parenthesis opens a query and not a list of options.
fn is_query(words: &Words<'_>, sql: &str) -> bool {
    let rest = sql.get(words.next_at..).unwrap_or_default();
    let mut inner = super::Scanner::new(rest.trim_start_matches(['(', ' ', '\n', '\t', '\r']));
    let first = inner.next_token().map(|(token, _, _)| token);
    ["select", "values", "with", "table"]
        .iter()
        .any(|word| first.is_some_and(|token| token.is(word)))
}
