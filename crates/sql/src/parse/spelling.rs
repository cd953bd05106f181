//! Spellings the parser does not know, as ones it does.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The tokens of a statement as the parser takes them.
pub(super) fn spelled_out(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    lists_of_queries(whole_table(tokens))
}

/// `TABLE name …` as `SELECT * FROM name …`.
fn whole_table(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let blank = |token: &&TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    let place = tokens.iter().take_while(blank).count();
    let (before, rest) = tokens.split_at(place);
    match rest.split_first() {
        Some((first, rest)) if is_word(first, &[Keyword::TABLE]) => {
            let words = [
                Token::make_keyword("SELECT"),
                Token::Mul,
                Token::make_keyword("FROM"),
            ];
            let words = words.map(|token| TokenWithSpan::new(token, first.span));
            [before, &words, rest].concat()
        }
        _ => tokens.to_vec(),
    }
}

/// `x IN ((SELECT …), y)`: the parser takes what begins with a query for that query alone, so the
/// first item is put into a CASE that always gives it.
fn lists_of_queries(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let meaningful: Vec<usize> = (0..tokens.len())
        .filter(|place| {
            tokens
                .get(*place)
                .is_some_and(|token| !matches!(token.token, Token::Whitespace(_)))
        })
        .collect();
    let at = |number: usize| meaningful.get(number).and_then(|place| tokens.get(*place));
    let mut insertions: Vec<(usize, &[&str])> = Vec::new();
    for number in 0..meaningful.len() {
        let begins = at(number).is_some_and(|token| is_word(token, &[Keyword::IN]))
            && at(number + 1).is_some_and(|token| token.token == Token::LParen)
            && at(number + 2).is_some_and(|token| token.token == Token::LParen)
            && at(number + 3).is_some_and(|token| {
                is_word(token, &[Keyword::SELECT, Keyword::WITH, Keyword::VALUES])
            });
        if !begins {
            continue;
        }
        // From the first token of the item to the comma or parenthesis that ends it.
        let mut depth = 0usize;
        let mut closed = None;
        let mut end = None;
        for next in number + 2..meaningful.len() {
            match at(next).map(|token| &token.token) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) if depth == 0 => end = Some(next),
                Some(Token::RParen) => {
                    depth -= 1;
                    if depth == 0 {
                        closed.get_or_insert(next);
                    }
                }
                Some(Token::Comma) if depth == 0 => end = Some(next),
                _ => {}
            }
            if end.is_some() {
                break;
            }
        }
        let (Some(closed), Some(end)) = (closed, end) else {
            continue;
        };
        // `IN ((SELECT …))` is the query.
        let alone = closed + 1 == end && at(end).is_some_and(|t| t.token == Token::RParen);
        if !alone && let (Some(from), Some(to)) = (meaningful.get(number + 2), meaningful.get(end))
        {
            insertions.push((*from, &["CASE", "WHEN", "TRUE", "THEN"]));
            insertions.push((*to, &["END"]));
        }
    }
    if insertions.is_empty() {
        return tokens;
    }
    insertions.sort_by_key(|(place, _)| *place);
    let mut insertions = insertions.into_iter().peekable();
    let mut result = Vec::with_capacity(tokens.len());
    for (place, token) in tokens.into_iter().enumerate() {
        while let Some((_, words)) = insertions.next_if(|(before, _)| *before == place) {
            let words = words.iter().map(|word| Token::make_keyword(word));
            result.extend(words.map(|word| TokenWithSpan::new(word, token.span)));
        }
        result.push(token);
    }
    result
}

fn is_word(token: &TokenWithSpan, keywords: &[Keyword]) -> bool {
    matches!(&token.token, Token::Word(word) if keywords.contains(&word.keyword))
}
