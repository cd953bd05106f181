//! Spellings the parser does not know, as ones it does.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The tokens of a statement as the parser takes them: `TABLE name …` as `SELECT * FROM name …`.
pub(super) fn spelled_out(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
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

fn is_word(token: &TokenWithSpan, keywords: &[Keyword]) -> bool {
    matches!(&token.token, Token::Word(word) if keywords.contains(&word.keyword))
}
