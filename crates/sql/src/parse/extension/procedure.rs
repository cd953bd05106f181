//! `CREATE PROCEDURE` in PostgreSQL's form. The tree is the DROP PROCEDURE of the same name.

use sqlparser::ast::{DataType, Ident};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use super::Extension;
use crate::parse::parser;

/// What CREATE PROCEDURE says.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcedureClauses {
    /// OR REPLACE.
    pub or_replace: bool,
    /// Names, if given, and types of the parameters.
    pub parameters: Vec<(Option<Ident>, DataType)>,
    /// LANGUAGE.
    pub language: Option<String>,
    /// SECURITY INVOKER.
    pub invoker: bool,
    /// The text behind AS.
    pub body: Option<String>,
}

/// Reads the whole statement; none when it is no CREATE PROCEDURE.
pub(super) fn taken(
    tokens: &[TokenWithSpan],
) -> Result<(Vec<TokenWithSpan>, Option<Extension>), ParserError> {
    let dialect = PostgreSqlDialect {};
    let mut parser = parser(&dialect, tokens.to_vec());
    parser.expect_keyword(Keyword::CREATE)?;
    let or_replace = parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
    parser.expect_keyword(Keyword::PROCEDURE)?;
    let name = parser.parse_object_name(false)?;
    let mut clauses = ProcedureClauses {
        or_replace,
        parameters: parameters(&mut parser)?,
        language: None,
        invoker: false,
        body: None,
    };
    loop {
        let word = match parser.next_token().token {
            Token::EOF => break,
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_lowercase(),
            other => return Err(unexpected("LANGUAGE, SECURITY or AS", &other)),
        };
        match word.as_str() {
            "language" => {
                clauses.language = Some(match parser.next_token().token {
                    Token::Word(word) => word.value,
                    Token::SingleQuotedString(text) => text,
                    other => return Err(unexpected("a language", &other)),
                });
            }
            "external" => {}
            "security" => {
                let who = parser.parse_identifier()?.value.to_ascii_lowercase();
                match who.as_str() {
                    "definer" => clauses.invoker = false,
                    "invoker" => clauses.invoker = true,
                    other => return Err(found("DEFINER or INVOKER", other)),
                }
            }
            "as" => {
                clauses.body = Some(match parser.next_token().token {
                    Token::DollarQuotedString(text) => text.value,
                    Token::SingleQuotedString(text) => text,
                    other => {
                        return Err(unexpected(
                            "the statements, as a text or between $$",
                            &other,
                        ));
                    }
                });
            }
            other => return Err(found("LANGUAGE, SECURITY or AS", other)),
        }
    }
    let mut dropped = vec![
        Token::make_keyword("DROP"),
        Token::Whitespace(Whitespace::Space),
        Token::make_keyword("PROCEDURE"),
        Token::Whitespace(Whitespace::Space),
    ];
    for (place, part) in name.0.iter().enumerate() {
        if place > 0 {
            dropped.push(Token::Period);
        }
        if let Some(ident) = part.as_ident() {
            dropped.push(Token::make_word(&ident.value, ident.quote_style));
        }
    }
    let dropped = dropped.into_iter().map(TokenWithSpan::wrap).collect();
    Ok((dropped, Some(Extension::Procedure(clauses))))
}

/// `([IN] [name] type, …)`
fn parameters(parser: &mut Parser<'_>) -> Result<Vec<(Option<Ident>, DataType)>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    if parser.consume_token(&Token::RParen) {
        return Ok(Vec::new());
    }
    let parameters = parser.parse_comma_separated(|parser| {
        let _ = parser.parse_keyword(Keyword::IN);
        let named = parser.maybe_parse(|parser| {
            let name = parser.parse_identifier()?;
            let ty = parser.parse_data_type()?;
            match parser.peek_token().token {
                Token::Comma | Token::RParen => Ok((Some(name), ty)),
                other => Err(unexpected(", or )", &other)),
            }
        })?;
        match named {
            Some(named) => Ok(named),
            None => Ok((None, parser.parse_data_type()?)),
        }
    })?;
    parser.expect_token(&Token::RParen)?;
    Ok(parameters)
}

fn unexpected(wanted: &str, token: &Token) -> ParserError {
    found(wanted, &token.to_string())
}

fn found(wanted: &str, found: &str) -> ParserError {
    ParserError::ParserError(format!("Expected: {wanted}, found: {found}"))
}
