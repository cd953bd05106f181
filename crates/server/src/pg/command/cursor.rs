//! DECLARE, FETCH and MOVE.

use stele_sql::SqlError;

use super::{Command, Declaration, Fetch, Token, Words, at_end, near};

/// `DECLARE name [options] CURSOR [WITH HOLD] FOR query`, after the first word.
pub(super) fn declare(words: &mut Words<'_>, sql: &str) -> Result<Command, SqlError> {
    let name = words.name()?;
    while !words.take_if("cursor") {
        // Results are taken whole when the cursor is made, so that all of these hold.
        let known = ["binary", "asensitive", "insensitive", "no", "scroll"];
        if !known.iter().any(|word| words.take_if(word)) {
            return Err(words
                .peek()
                .map_or_else(at_end, |token| near(&token.content())));
        }
    }
    let hold = words.take_if("with");
    if hold || words.take_if("without") {
        words.expect("hold")?;
    }
    words.expect("for")?;
    let query = sql.get(words.next_at..).ok_or_else(at_end)?.to_owned();
    Ok(Command::Declare(Declaration { name, hold, query }))
}

/// `FETCH [direction] [FROM | IN] name`, after the first word.
pub(super) fn fetch(words: &mut Words<'_>) -> Result<Command, SqlError> {
    let give = words.first_is("fetch");
    let rows_max = direction(words)?;
    if !words.take_if("from") {
        words.take_if("in");
    }
    let name = words.name()?;
    Ok(Command::Fetch(Fetch {
        name,
        rows_max,
        give,
    }))
}

fn direction(words: &mut Words<'_>) -> Result<Option<usize>, SqlError> {
    if words.take_if("next") {
        return Ok(Some(1));
    }
    let backward = ["prior", "first", "last", "absolute", "relative", "backward"];
    if words.take_symbol(b'-') || backward.iter().any(|word| words.take_if(word)) {
        return Err(SqlError::new("55000", "cursor can only scan forward")
            .hint("Declare it again to start over."));
    }
    words.take_if("forward");
    if words.take_if("all") {
        return Ok(None);
    }
    match words.peek() {
        Some(Token::Number(number)) => {
            words.skip();
            number.parse().map(Some).map_err(|_| near(number))
        }
        // A bare FORWARD, or the cursor's name.
        Some(_) => Ok(Some(1)),
        None => Err(at_end()),
    }
}
