//! COPY.

use stele_sql::SqlError;

use super::{Words, at_end, near};
use crate::pg::copy::{CopyFormat, CopyOptions};
use crate::pg::scanner::Token;

/// A COPY from or to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// What is copied.
    pub(crate) what: What,
    /// FROM STDIN; TO STDOUT otherwise.
    pub(crate) from_client: bool,
    /// How rows are written.
    pub(crate) options: CopyOptions,
}

/// What is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A table, as SQL names it, and columns, if any are named.
    Table {
        /// Its name.
        name: String,
        /// The columns.
        columns: Vec<String>,
    },
    /// The rows of a query.
    Query(String),
}

impl What {
    /// The query that gives the rows.
    pub(crate) fn query(&self) -> String {
        match self {
            Self::Query(query) => query.clone(),
            Self::Table { name, columns } if columns.is_empty() => format!("SELECT * FROM {name}"),
            Self::Table { name, columns } => format!("SELECT {} FROM {name}", columns.join(", ")),
        }
    }
}

pub(super) fn copy(words: &mut Words<'_>, sql: &str) -> Result<Copy, SqlError> {
    let what = if words.take_symbol(b'(') {
        What::Query(inner(words, sql)?)
    } else {
        let mut name = raw(words)?;
        while words.take_symbol(b'.') {
            name.push('.');
            name.push_str(&raw(words)?);
        }
        let mut columns = Vec::new();
        if words.take_symbol(b'(') {
            loop {
                columns.push(raw(words)?);
                if !words.take_symbol(b',') {
                    break;
                }
            }
            expect_symbol(words, b')')?;
        }
        What::Table { name, columns }
    };
    let from_client = words.take_if("from");
    if !from_client {
        words.expect("to")?;
    }
    let client = if from_client { "stdin" } else { "stdout" };
    if !words.take_if(client) {
        return Err(SqlError::unsupported(
            "COPY from or to a file or program of the server",
            "Use STDIN and STDOUT, in psql \\copy.",
        ));
    }
    if from_client && matches!(what, What::Query(_)) {
        return Err(near("stdin"));
    }
    words.take_if("with");
    let options = options(words)?;
    Ok(Copy {
        what,
        from_client,
        options: options.checked()?,
    })
}

/// The text up to the parenthesis that closes the one just taken.
pub(super) fn inner(words: &mut Words<'_>, sql: &str) -> Result<String, SqlError> {
    let start = words.next_at;
    let mut depth = 1_usize;
    loop {
        let end = words.next_at;
        match words.next() {
            Some(Token::Symbol(b'(')) => depth += 1,
            Some(Token::Symbol(b')')) => depth -= 1,
            Some(_) => {}
            None => return Err(at_end()),
        }
        if depth == 0 {
            return Ok(sql.get(start..end).unwrap_or_default().to_owned());
        }
    }
}

/// A name as SQL writes it.
fn raw(words: &mut Words<'_>) -> Result<String, SqlError> {
    match words.next() {
        Some(Token::Word(name) | Token::Quoted(name)) => Ok(name.to_owned()),
        Some(token) => Err(near(&token.content())),
        None => Err(at_end()),
    }
}

fn expect_symbol(words: &mut Words<'_>, symbol: u8) -> Result<(), SqlError> {
    if words.take_symbol(symbol) {
        return Ok(());
    }
    Err(words
        .peek()
        .map_or_else(at_end, |token| near(&token.content())))
}

/// `(FORMAT csv, HEADER)` or, as before PostgreSQL 9, `CSV HEADER`.
fn options(words: &mut Words<'_>) -> Result<CopyOptions, SqlError> {
    let mut options = CopyOptions::default();
    let listed = words.take_symbol(b'(');
    while let Some(token) = words.next() {
        let name = token.content().to_ascii_lowercase();
        match name.as_str() {
            "format" => {
                options.format = match words.name()?.to_ascii_lowercase().as_str() {
                    "text" => CopyFormat::Text,
                    "csv" => CopyFormat::Csv,
                    "binary" => CopyFormat::Binary,
                    other => {
                        return Err(SqlError::new(
                            "22023",
                            format!("COPY format \"{other}\" not recognized"),
                        ));
                    }
                }
            }
            "csv" if !listed => options.format = CopyFormat::Csv,
            "binary" if !listed => options.format = CopyFormat::Binary,
            "header" => {
                let off = ["false", "off", "0"].iter().any(|word| words.take_if(word));
                options.header_matches = !off && words.take_if("match");
                let _on = ["true", "on", "1"].iter().any(|word| words.take_if(word));
                options.header = !off;
            }
            // How PostgreSQL marks its rows; nothing to do with what they hold.
            "freeze" => {
                let words_of = ["true", "on", "false", "off"];
                let _said = words_of.iter().any(|word| words.take_if(word));
            }
            "delimiter" | "null" | "quote" | "escape" | "encoding" => {
                words.take_if("as");
                let value = match words.next() {
                    Some(token) => token.content(),
                    None => return Err(at_end()),
                };
                match name.as_str() {
                    "delimiter" => options.delimiter = Some(one_byte(&value, "delimiter")?),
                    "null" => options.null = Some(value),
                    "quote" => options.quote = one_byte(&value, "quote")?,
                    "escape" => options.escape = Some(one_byte(&value, "escape")?),
                    _ => {}
                }
            }
            _ => {
                return Err(SqlError::unsupported(
                    format!("the COPY option {name}"),
                    "Options are FORMAT, HEADER, DELIMITER, NULL, QUOTE, ESCAPE and ENCODING.",
                ));
            }
        }
        if listed && !words.take_symbol(b',') {
            expect_symbol(words, b')')?;
            break;
        }
    }
    Ok(options)
}

fn one_byte(value: &str, option: &str) -> Result<u8, SqlError> {
    match value.as_bytes() {
        [byte] if *byte != b'\n' && *byte != b'\r' => Ok(*byte),
        [b'\\', b't'] => Ok(b'\t'),
        _ => Err(SqlError::new(
            "22023",
            format!("COPY {option} must be a single one-byte character"),
        )),
    }
}
