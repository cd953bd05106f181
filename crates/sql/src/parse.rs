//! PostgreSQL text to statements.
//!
//! A text is cut at its semicolons; each statement keeps its own source text, because a client may
//! send several in one message while each is signed and recorded alone. Everything is bounded:
//! length, number of statements, nesting, and the length of one chain of operators, so that no
//! text can exhaust the stack or the memory of a node.

mod accounts;
mod dialect;
mod extension;
mod kind;
mod position;
mod spelling;

use sqlparser::ast::Statement;
use sqlparser::dialect::{Dialect, PostgreSqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError, ParserOptions};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use stele_core::transaction::{PARAMETERS_MAX, STATEMENT_LEN_MAX, STATEMENTS_MAX};

pub use accounts::{new_role, with_accounts};
pub use extension::{Extension, PolicyClauses, ProcedureClauses};
pub use kind::StatementKind;

use crate::error::SqlError;
use dialect::Postgres;
use position::Positions;

/// Longest text of one message, in bytes: several statements may come together.
pub const TEXT_LEN_MAX: usize = 16 * 1024 * 1024;
/// Deepest nesting of expressions, sub-selects and parentheses.
pub const NESTING_MAX: usize = 64;
/// Most tokens between two commas or parentheses: bounds chains such as `a + b + c …`.
pub const CHAIN_LEN_MAX: usize = 2_000;

/// One statement with the text it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedStatement {
    text: String,
    statement: Statement,
    parameter_count: usize,
    extension: Option<Extension>,
}

impl ParsedStatement {
    /// Its own text, without the semicolon and the blanks around it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its tree.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// What its tree does not say.
    pub(crate) fn extension(&self) -> Option<&Extension> {
        self.extension.as_ref()
    }

    /// How many parameters it takes: the highest `$n` in it.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.parameter_count
    }

    /// What kind it is: whether the session or the ledger handles it.
    #[must_use]
    pub fn kind(&self) -> StatementKind {
        match kind::of(&self.statement) {
            // Taking numbers from a sequence changes it; what was taken is known to its transaction.
            StatementKind::Query if takes_numbers(&self.text) => StatementKind::Write,
            kind => kind,
        }
    }
}

/// Whether a query may call a sequence function; too often rather than too seldom.
fn takes_numbers(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["nextval", "setval", "currval", "lastval"]
        .iter()
        .any(|function| text.contains(function))
}

/// Cuts a text into statements and parses each. Blanks, comments and lone semicolons give none.
///
/// # Errors
/// 42601 with the position of a syntax error, 54000 or 54001 when a bound is exceeded.
pub fn parse(text: &str) -> Result<Vec<ParsedStatement>, SqlError> {
    if text.len() > TEXT_LEN_MAX {
        return Err(too_long(text.len(), TEXT_LEN_MAX));
    }
    let dialect = PostgreSqlDialect {};
    let mut tokens = Vec::new();
    if let Err(error) = Tokenizer::new(&dialect, text).tokenize_with_location_into_buf(&mut tokens)
    {
        return Err(tokenizer_error(text, &error));
    }
    let mut positions = Positions::new(text);
    let mut statements = Vec::new();
    for segment in tokens.split(|token| token.token == Token::SemiColon) {
        let mut meaningful = segment
            .iter()
            .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
        let Some(first) = meaningful.next() else {
            continue;
        };
        let last = meaningful.next_back().unwrap_or(first);
        let start = positions.byte_of(first.span.start);
        let end = positions.byte_of(last.span.end);
        let source = text.get(start..end).unwrap_or_default();
        if source.len() > STATEMENT_LEN_MAX {
            return Err(too_long(source.len(), STATEMENT_LEN_MAX));
        }
        if statements.len() == STATEMENTS_MAX {
            return Err(SqlError::new(
                "54000",
                format!("more than {STATEMENTS_MAX} statements in one message"),
            )
            .hint("Send them in several messages."));
        }
        check_chains(segment)?;
        let parameter_count = count_parameters(segment)?;
        let (segment, extension) =
            extension::taken(segment).map_err(|error| syntax_error(text, &error))?;
        let statement = parse_one(&segment).map_err(|error| syntax_error(text, &error))?;
        statements.push(ParsedStatement {
            text: source.to_owned(),
            statement,
            parameter_count,
            extension,
        });
    }
    Ok(statements)
}

/// Parses a text that holds exactly one statement.
///
/// # Errors
/// Those of [`parse`], and 42601 when there is none or more than one.
pub fn parse_single(text: &str) -> Result<ParsedStatement, SqlError> {
    let mut statements = parse(text)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(SqlError::new("42601", "the text holds no statement")),
        (Some(_), false) => Err(SqlError::new(
            "42601",
            "cannot insert multiple commands into a prepared statement",
        )),
    }
}

/// Parses an expression that stands alone, as a DEFAULT or CHECK is stored.
pub(crate) fn parse_expression(text: &str) -> Result<sqlparser::ast::Expr, SqlError> {
    let dialect = Postgres::new(false);
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| tokenizer_error(text, &error))?;
    check_chains(&tokens)?;
    parser(&dialect, tokens)
        .parse_expr()
        .map_err(|error| syntax_error(text, &error))
}

fn parse_one(segment: &[TokenWithSpan]) -> Result<Statement, ParserError> {
    let says_system_time = segment.iter().any(
        |token| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::SYSTEM_TIME),
    );
    let dialect = Postgres::new(says_system_time);
    let mut parser = parser(&dialect, spelling::spelled_out(segment));
    let statement = parser.parse_statement()?;
    let next = parser.next_token();
    if next.token == Token::EOF {
        Ok(statement)
    } else {
        parser.expected("end of statement", next)
    }
}

fn parser(dialect: &dyn Dialect, tokens: Vec<TokenWithSpan>) -> Parser<'_> {
    Parser::new(dialect)
        .with_recursion_limit(NESTING_MAX)
        .with_options(ParserOptions::new().with_unescape(true))
        .with_tokens_with_locations(tokens)
}

/// The number of a placeholder `$n`.
pub(crate) fn parameter_number(token: &str) -> Option<usize> {
    let number = token.strip_prefix('$')?.parse().ok()?;
    (1..=PARAMETERS_MAX).contains(&number).then_some(number)
}

fn count_parameters(tokens: &[TokenWithSpan]) -> Result<usize, SqlError> {
    let mut count = 0;
    for token in tokens {
        if let Token::Placeholder(name) = &token.token {
            let number = parameter_number(name).ok_or_else(|| {
                SqlError::new("42P02", format!("there is no parameter {name}"))
                    .hint(format!("Parameters are $1 to ${PARAMETERS_MAX}."))
            })?;
            count = count.max(number);
        }
    }
    Ok(count)
}

/// Refuses chains that the parser would turn into a tree as deep as they are long.
fn check_chains(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut open: Vec<usize> = Vec::new();
    let mut length = 0;
    for token in tokens {
        match token.token {
            Token::Whitespace(_) => {}
            Token::Comma => length = 0,
            Token::LParen | Token::LBracket => {
                open.push(length + 1);
                length = 0;
            }
            Token::RParen | Token::RBracket => length = open.pop().unwrap_or_default() + 1,
            _ => length += 1,
        }
        if length > CHAIN_LEN_MAX {
            return Err(too_complex());
        }
    }
    Ok(())
}

fn too_long(len: usize, max: usize) -> SqlError {
    SqlError::new(
        "54000",
        format!("the statement has {len} bytes, at most {max} are taken"),
    )
    .hint("Send less in one statement, for example fewer rows, or bind values as parameters.")
}

pub(crate) fn too_complex() -> SqlError {
    SqlError::new("54001", "statement too complex").hint(
        "Nest less deeply and make chains of operators shorter, for example with IN (…) for many ORs.",
    )
}

fn tokenizer_error(text: &str, error: &sqlparser::tokenizer::TokenizerError) -> SqlError {
    let mut sql_error = SqlError::new("42601", error.message.to_lowercase());
    sql_error.position = position::character_of(text, error.location);
    sql_error
}

fn syntax_error(text: &str, error: &ParserError) -> SqlError {
    let message = match error {
        ParserError::RecursionLimitExceeded => return too_complex(),
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let (message, location) = position::take_location(message);
    let words = match message.rsplit_once(", found: ") {
        Some((_, "EOF")) => "syntax error at end of input".to_owned(),
        Some((_, found)) => format!("syntax error at or near \"{found}\""),
        None => format!("syntax error: {message}"),
    };
    let mut sql_error = SqlError::new("42601", words);
    sql_error.position = location.and_then(|location| position::character_of(text, location));
    if let Some((expected, _)) = message.rsplit_once(", found: ") {
        sql_error.detail = Some(expected.replacen("Expected: ", "Expected ", 1));
    }
    sql_error
}

#[cfg(test)]
mod tests;
