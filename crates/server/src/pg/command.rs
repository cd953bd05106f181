//! Statements that the session answers itself: transaction control, settings, clean-up.

pub(crate) mod copy;
mod cursor;
mod explain;
mod prepare;
pub(crate) mod proof;
mod truncate;

use stele_sql::SqlError;

use super::scanner::{Scanner, Token};

/// What `BEGIN` and `SET TRANSACTION` may say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    /// READ ONLY or READ WRITE.
    pub(crate) read_only: Option<bool>,
    /// Isolation level, lower case.
    pub(crate) isolation: Option<String>,
}

/// A cursor to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declaration {
    /// Its name.
    pub(crate) name: String,
    /// WITH HOLD: it outlives its transaction.
    pub(crate) hold: bool,
    /// What it reads.
    pub(crate) query: String,
}

/// Rows to be taken from a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetch {
    /// The cursor.
    pub(crate) name: String,
    /// Most rows; none for all.
    pub(crate) rows_max: Option<usize>,
    /// FETCH gives them, MOVE skips them.
    pub(crate) give: bool,
}

/// A session statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// BEGIN, START TRANSACTION, with the tag to answer.
    Begin(Modes, &'static str),
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT.
    Rollback,
    /// SAVEPOINT.
    Savepoint(String),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// SET; no value is DEFAULT.
    Set {
        /// The setting, lower case.
        name: String,
        /// Its value.
        value: Option<String>,
        /// Until the end of the transaction.
        local: bool,
    },
    /// SET TRANSACTION.
    SetTransaction(Modes),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION.
    SetCharacteristics(Modes),
    /// RESET ALL.
    ResetAll,
    /// SHOW.
    Show(String),
    /// SHOW ALL.
    ShowAll,
    /// DISCARD, with the tag to answer.
    Discard(&'static str),
    /// DEALLOCATE; no name is ALL.
    Deallocate(Option<String>),
    /// DECLARE of a cursor.
    Declare(Declaration),
    /// FETCH or MOVE.
    Fetch(Fetch),
    /// CLOSE of a cursor; no name is ALL.
    Close(Option<String>),
    /// COPY.
    Copy(copy::Copy),
    /// TRUNCATE of several tables: one statement for each.
    Truncate(Vec<String>),
    /// EXPLAIN of a statement.
    Explain(String),
    /// A query for a proof.
    Proof(proof::ProofQuery),
    /// PREPARE.
    Prepare {
        /// Its name.
        name: String,
        /// Parameter types, as SQL names them.
        types: Vec<String>,
        /// The statement.
        sql: String,
    },
    /// EXECUTE.
    Execute {
        /// The prepared statement.
        name: String,
        /// Values of its parameters, as SQL.
        arguments: Vec<String>,
    },
    /// Something to clean up that is never there, such as UNLISTEN, with the tag to answer.
    Nothing(&'static str),
}

/// Reads a session statement; none when the ledger is to handle the text.
///
/// # Errors
/// 42601 when it cannot be read, 0A000 for one that is not taken, with what to do instead.
pub(crate) fn parse(sql: &str) -> Result<Option<Command>, SqlError> {
    let mut words = Words::new(sql);
    let Some(Token::Word(first)) = words.peek() else {
        return Ok(None);
    };
    let first = first.to_ascii_lowercase();
    let read: fn(&mut Words<'_>) -> Result<Command, SqlError> = match first.as_str() {
        "begin" | "start" => begin,
        "commit" | "end" => commit,
        "rollback" | "abort" => rollback,
        "savepoint" => |words| Ok(Command::Savepoint(words.name()?)),
        "release" => |words| {
            words.take_if("savepoint");
            Ok(Command::Release(words.name()?))
        },
        "set" => {
            words.skip();
            // The ledger executes it with what it stands among.
            if words.take_if("constraints") {
                return Ok(None);
            }
            words = Words::new(sql);
            set
        }
        "reset" => reset,
        "show" => show,
        "discard" => discard,
        "deallocate" => deallocate,
        "close" => |words| words.name_or_all().map(Command::Close),
        "unlisten" => |words| {
            words.skip();
            Ok(Command::Nothing("UNLISTEN"))
        },
        "prepare" => {
            words.skip();
            return prepare::prepare(&mut words, sql).map(Some);
        }
        "execute" => {
            words.skip();
            return prepare::execute(&mut words, sql).map(Some);
        }
        "select" => {
            words.skip();
            let query = proof::proof(&mut words, sql)?;
            return Ok(query.map(Command::Proof));
        }
        "copy" => {
            words.skip();
            return copy::copy(&mut words, sql).map(|copy| Some(Command::Copy(copy)));
        }
        "truncate" => {
            words.skip();
            return truncate::truncate(&mut words, sql);
        }
        // There are no dead rows, and plans use no statistics that change.
        "vacuum" => return Ok(Some(Command::Nothing("VACUUM"))),
        "analyze" | "analyse" => return Ok(Some(Command::Nothing("ANALYZE"))),
        "explain" => {
            words.skip();
            return explain::explain(&mut words, sql).map(Some);
        }
        "declare" => {
            words.skip();
            return cursor::declare(&mut words, sql).map(Some);
        }
        "fetch" | "move" => cursor::fetch,
        "listen" | "notify" => {
            return Err(SqlError::unsupported(
                first.to_ascii_uppercase(),
                "Follow blocks over HTTP instead.",
            ));
        }
        "lock" => {
            return Err(SqlError::unsupported(
                "LOCK",
                "Transactions are executed one after another; leave it out.",
            ));
        }
        _ => return Ok(None),
    };
    words.skip();
    let command = read(&mut words)?;
    match words.peek() {
        None => Ok(Some(command)),
        Some(token) => Err(near(&token.content())),
    }
}

fn begin(words: &mut Words<'_>) -> Result<Command, SqlError> {
    let tag = if words.take_if("transaction") {
        if words.first_is("start") {
            "START TRANSACTION"
        } else {
            "BEGIN"
        }
    } else {
        words.take_if("work");
        "BEGIN"
    };
    Ok(Command::Begin(modes(words)?, tag))
}

fn commit(words: &mut Words<'_>) -> Result<Command, SqlError> {
    end_of_transaction(words)?;
    Ok(Command::Commit)
}

fn rollback(words: &mut Words<'_>) -> Result<Command, SqlError> {
    if !words.take_if("work") {
        words.take_if("transaction");
    }
    if words.take_if("to") {
        words.take_if("savepoint");
        return Ok(Command::RollbackTo(words.name()?));
    }
    end_of_transaction(words)?;
    Ok(Command::Rollback)
}

fn end_of_transaction(words: &mut Words<'_>) -> Result<(), SqlError> {
    if !words.take_if("work") {
        words.take_if("transaction");
    }
    if words.take_if("prepared") {
        return Err(SqlError::unsupported(
            "two-phase commit",
            "COMMIT in one step: the ledger's transactions are atomic.",
        ));
    }
    if words.take_if("and") {
        let no = words.take_if("no");
        words.expect("chain")?;
        if !no {
            return Err(SqlError::unsupported("AND CHAIN", "Send BEGIN again."));
        }
    }
    Ok(())
}

fn modes(words: &mut Words<'_>) -> Result<Modes, SqlError> {
    let mut modes = Modes::default();
    loop {
        if words.take_if("isolation") {
            words.expect("level")?;
            let level = words.name()?;
            modes.isolation = Some(match level.as_str() {
                "serializable" => level,
                "read" | "repeatable" => format!("{level} {}", words.name()?),
                _ => return Err(near(&level)),
            });
        } else if words.take_if("read") {
            let read_only = words.take_if("only");
            if !read_only {
                words.expect("write")?;
            }
            modes.read_only = Some(read_only);
        } else if words.take_if("not") {
            words.expect("deferrable")?;
        } else if !words.take_if("deferrable") && !words.take_symbol(b',') {
            return Ok(modes);
        }
    }
}

fn set(words: &mut Words<'_>) -> Result<Command, SqlError> {
    let local = words.take_if("local");
    if !local && words.take_if("session") {
        if words.take_if("characteristics") {
            words.expect("as")?;
            words.expect("transaction")?;
            return modes(words).map(Command::SetCharacteristics);
        }
        if words.take_if("authorization") {
            return Err(other_user());
        }
    }
    if words.take_if("transaction") {
        return modes(words).map(Command::SetTransaction);
    }
    if words.take_if("role") {
        return match words.name()?.as_str() {
            "none" | "default" => Ok(Command::Nothing("SET")),
            _ => Err(other_user()),
        };
    }
    if words.take_if("names") {
        let value = values(words)?;
        return Ok(Command::Set {
            name: "client_encoding".to_owned(),
            value,
            local,
        });
    }
    if words.take_if("time") {
        words.expect("zone")?;
        let value = values(words)?.map(|value| match value.as_str() {
            "local" => "UTC".to_owned(),
            _ => value,
        });
        return Ok(Command::Set {
            name: "timezone".to_owned(),
            value,
            local,
        });
    }
    let name = words.dotted_name()?;
    if !words.take_symbol(b'=') {
        words.expect("to")?;
    }
    let value = values(words)?;
    Ok(Command::Set { name, value, local })
}

/// A list of values, joined as SHOW would give it; none for DEFAULT.
fn values(words: &mut Words<'_>) -> Result<Option<String>, SqlError> {
    if words.take_if("default") {
        return Ok(None);
    }
    let mut joined = String::new();
    loop {
        if words.take_symbol(b'-') {
            joined.push('-');
        }
        match words.next() {
            // A value keeps its case: `DateStyle = ISO`.
            Some(Token::Word(word)) => joined.push_str(word),
            Some(token @ (Token::Quoted(_) | Token::Text(_) | Token::Number(_))) => {
                joined.push_str(&token.content());
            }
            Some(Token::Symbol(symbol)) => return Err(near(&char::from(symbol).to_string())),
            None => return Err(at_end()),
        }
        if !words.take_symbol(b',') {
            return Ok(Some(joined));
        }
        joined.push_str(", ");
    }
}

fn reset(words: &mut Words<'_>) -> Result<Command, SqlError> {
    if words.take_if("all") {
        return Ok(Command::ResetAll);
    }
    if words.take_if("role") {
        return Ok(Command::Nothing("RESET"));
    }
    if words.take_if("session") {
        words.expect("authorization")?;
        return Ok(Command::Nothing("RESET"));
    }
    let name = setting_name(words)?;
    Ok(Command::Set {
        name,
        value: None,
        local: false,
    })
}

fn show(words: &mut Words<'_>) -> Result<Command, SqlError> {
    if words.take_if("all") {
        return Ok(Command::ShowAll);
    }
    if words.take_if("transaction") {
        words.expect("isolation")?;
        words.expect("level")?;
        return Ok(Command::Show("transaction_isolation".to_owned()));
    }
    if words.take_if("session") {
        words.expect("authorization")?;
        return Ok(Command::Show("session_authorization".to_owned()));
    }
    setting_name(words).map(Command::Show)
}

fn setting_name(words: &mut Words<'_>) -> Result<String, SqlError> {
    if words.take_if("time") {
        words.expect("zone")?;
        return Ok("timezone".to_owned());
    }
    words.dotted_name()
}

fn discard(words: &mut Words<'_>) -> Result<Command, SqlError> {
    match words.name()?.as_str() {
        "all" => Ok(Command::Discard("DISCARD ALL")),
        "plans" => Ok(Command::Nothing("DISCARD PLANS")),
        "sequences" => Ok(Command::Nothing("DISCARD SEQUENCES")),
        "temp" | "temporary" => Ok(Command::Nothing("DISCARD TEMP")),
        other => Err(near(other)),
    }
}

fn deallocate(words: &mut Words<'_>) -> Result<Command, SqlError> {
    words.take_if("prepare");
    words.name_or_all().map(Command::Deallocate)
}

fn other_user() -> SqlError {
    SqlError::unsupported(
        "changing the user of a session",
        "Connect as the other user: a user is a key of the node's key store.",
    )
}

fn near(word: &str) -> SqlError {
    SqlError::new("42601", format!("syntax error at or near \"{word}\""))
}

fn at_end() -> SqlError {
    SqlError::new("42601", "syntax error at end of input")
}

/// Tokens with one of look-ahead.
struct Words<'t> {
    scanner: Scanner<'t>,
    next: Option<Token<'t>>,
    /// Byte where it starts.
    next_at: usize,
    first: Option<Token<'t>>,
}

impl<'t> Words<'t> {
    fn new(sql: &'t str) -> Self {
        let mut scanner = Scanner::new(sql);
        let found = scanner.next_token();
        let next = found.map(|(token, _, _)| token);
        Self {
            scanner,
            next,
            next_at: found.map_or(sql.len(), |(_, start, _)| start),
            first: next,
        }
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.next
    }

    fn first_is(&self, keyword: &str) -> bool {
        self.first.is_some_and(|token| token.is(keyword))
    }

    fn next(&mut self) -> Option<Token<'t>> {
        let token = self.next;
        let found = self.scanner.next_token();
        self.next = found.map(|(token, _, _)| token);
        self.next_at = found.map_or(usize::MAX, |(_, start, _)| start);
        token
    }

    fn skip(&mut self) {
        self.next();
    }

    fn take_if(&mut self, keyword: &str) -> bool {
        let found = self.next.is_some_and(|token| token.is(keyword));
        if found {
            self.skip();
        }
        found
    }

    fn take_symbol(&mut self, symbol: u8) -> bool {
        let found = self.next == Some(Token::Symbol(symbol));
        if found {
            self.skip();
        }
        found
    }

    fn expect(&mut self, keyword: &str) -> Result<(), SqlError> {
        if self.take_if(keyword) {
            return Ok(());
        }
        Err(self
            .next
            .map_or_else(at_end, |token| near(&token.content())))
    }

    fn name(&mut self) -> Result<String, SqlError> {
        match self.next() {
            Some(token @ (Token::Word(_) | Token::Quoted(_))) => Ok(token.content()),
            Some(token) => Err(near(&token.content())),
            None => Err(at_end()),
        }
    }

    fn name_or_all(&mut self) -> Result<Option<String>, SqlError> {
        if self.take_if("all") {
            return Ok(None);
        }
        self.name().map(Some)
    }

    /// A setting's name, lower case; extensions' names hold a dot.
    fn dotted_name(&mut self) -> Result<String, SqlError> {
        let mut name = self.name()?.to_ascii_lowercase();
        while self.take_symbol(b'.') {
            name.push('.');
            name.push_str(&self.name()?.to_ascii_lowercase());
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests;
