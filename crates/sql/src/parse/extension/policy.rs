//! `WITH (columns = 'a, b', quota = 100)` and `SET (column = value, …)` of CREATE and ALTER POLICY.

use sqlparser::ast::Expr;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::Extension;
use crate::parse::parser;

/// What a policy says beyond PostgreSQL. In ALTER POLICY, what is not said stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyClauses {
    /// `WITH (name = value, …)`: words and numbers as they stand, texts without their quotes.
    pub options: Vec<(String, String)>,
    /// `SET (column = value, …)`: what a new row gets whatever was given.
    pub forced: Option<Vec<(String, Expr)>>,
}

/// Takes the clauses out of the tokens: they stand outside of all parentheses.
pub(super) fn taken(
    tokens: &[TokenWithSpan],
) -> Result<(Vec<TokenWithSpan>, Option<Extension>), ParserError> {
    let mut clauses = PolicyClauses::default();
    let mut found = false;
    let mut kept = Vec::with_capacity(tokens.len());
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => {
                let inner = in_parentheses(tokens, at + 1);
                let with = word.value.eq_ignore_ascii_case("with");
                let set = word.value.eq_ignore_ascii_case("set");
                if let (true, Some((inner, end))) = (with || set, inner) {
                    if with {
                        clauses.options.extend(options(inner)?);
                    } else {
                        clauses.forced = Some(forced(inner)?);
                    }
                    found = true;
                    at = end;
                    continue;
                }
            }
            _ => {}
        }
        kept.push(token.clone());
        at += 1;
    }
    Ok((kept, found.then_some(Extension::Policy(clauses))))
}

/// What stands in the parentheses that open next, and where they end.
fn in_parentheses(tokens: &[TokenWithSpan], from: usize) -> Option<(&[TokenWithSpan], usize)> {
    let blank = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    let skipped = tokens.get(from..)?.iter().position(|token| !blank(token))?;
    let open = from + skipped;
    if tokens.get(open)?.token != Token::LParen {
        return None;
    }
    let mut depth = 0usize;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth -= 1;
                if depth == 0 {
                    return Some((tokens.get(open + 1..place)?, place + 1));
                }
            }
            _ => {}
        }
    }
    None
}

fn options(tokens: &[TokenWithSpan]) -> Result<Vec<(String, String)>, ParserError> {
    let dialect = PostgreSqlDialect {};
    let mut parser = parser(&dialect, tokens.to_vec());
    parser.parse_comma_separated(|parser| {
        let name = parser.parse_identifier()?;
        parser.expect_token(&Token::Eq)?;
        let value = match parser.next_token().token {
            Token::SingleQuotedString(text) | Token::Number(text, _) => text,
            Token::Word(Word { value, .. }) => value,
            other => return Err(unexpected("a value", &other)),
        };
        Ok((name.value.to_ascii_lowercase(), value))
    })
}

fn forced(tokens: &[TokenWithSpan]) -> Result<Vec<(String, Expr)>, ParserError> {
    let dialect = PostgreSqlDialect {};
    let mut parser = parser(&dialect, tokens.to_vec());
    if parser.peek_token().token == Token::EOF {
        return Ok(Vec::new());
    }
    let forced = parser.parse_comma_separated(|parser| {
        let column = parser.parse_identifier()?;
        parser.expect_token(&Token::Eq)?;
        let name = match column.quote_style {
            Some(_) => column.value,
            None => column.value.to_ascii_lowercase(),
        };
        Ok((name, parser.parse_expr()?))
    })?;
    match parser.next_token().token {
        Token::EOF => Ok(forced),
        other => Err(unexpected(")", &other)),
    }
}

fn unexpected(wanted: &str, found: &Token) -> ParserError {
    ParserError::ParserError(format!("Expected: {wanted}, found: {found}"))
}
