//! `SET CONSTRAINTS { ALL | name, … } { DEFERRED | IMMEDIATE }`.

use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::Extension;

/// An ASSERT that holds, and what is said of constraints.
pub(super) fn taken(
    tokens: &[TokenWithSpan],
) -> Result<(Vec<TokenWithSpan>, Option<Extension>), ParserError> {
    let mut meaningful = tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
        .skip(2)
        .peekable();
    let mut names: Vec<Vec<String>> = Vec::new();
    let all = meaningful.next_if(|token| is_word(&token.token, "all"));
    if all.is_none() {
        loop {
            let mut path = Vec::new();
            loop {
                let Some(Token::Word(word)) = meaningful.next().map(|token| &token.token) else {
                    return Err(expected("the name of a constraint"));
                };
                path.push(match word.quote_style {
                    Some(_) => word.value.clone(),
                    None => word.value.to_ascii_lowercase(),
                });
                if meaningful
                    .next_if(|token| token.token == Token::Period)
                    .is_none()
                {
                    break;
                }
            }
            names.push(path);
            if meaningful
                .next_if(|token| token.token == Token::Comma)
                .is_none()
            {
                break;
            }
        }
    }
    let deferred = match meaningful.next().map(|token| &token.token) {
        Some(token) if is_word(token, "deferred") => true,
        Some(token) if is_word(token, "immediate") => false,
        _ => return Err(expected("DEFERRED or IMMEDIATE")),
    };
    if meaningful.next().is_some() {
        return Err(expected("end of statement"));
    }
    let tree = ["ASSERT", "TRUE"].map(|word| TokenWithSpan::wrap(Token::make_keyword(word)));
    let extension = Extension::Constraints { names, deferred };
    Ok((tree.into(), Some(extension)))
}

fn is_word(token: &Token, keyword: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(keyword))
}

fn expected(what: &str) -> ParserError {
    ParserError::ParserError(format!("expected {what} in SET CONSTRAINTS"))
}
