//! PostgreSQL's forms that the parser does not know, and our own: taken out of the tokens before it sees
//! them.

mod constraints;
mod policy;
mod procedure;

use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Token, TokenWithSpan};

pub use policy::PolicyClauses;
pub use procedure::ProcedureClauses;

/// What a statement says beside its tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Extension {
    /// ALTER SEQUENCE; the tree is the CREATE SEQUENCE of the same options.
    AlterSequence {
        /// IF EXISTS.
        if_exists: bool,
        /// RESTART, and with which value.
        restart: Option<Option<i64>>,
    },
    /// INSERT … OVERRIDING SYSTEM VALUE or USER VALUE.
    Overriding {
        /// Whether it is USER VALUE: what is given for an identity column is passed over.
        user: bool,
    },
    /// What CREATE or ALTER POLICY says beyond PostgreSQL.
    Policy(PolicyClauses),
    /// SET CONSTRAINTS; the tree is an ASSERT that holds.
    Constraints {
        /// Names, with or without their schema; none for ALL.
        names: Vec<Vec<String>>,
        /// DEFERRED, else IMMEDIATE.
        deferred: bool,
    },
    /// CREATE PROCEDURE; the tree is the DROP PROCEDURE of the same name.
    Procedure(ProcedureClauses),
}

/// The tokens the parser gets, and what was taken out of them.
pub(super) fn taken(
    tokens: &[TokenWithSpan],
) -> Result<(Vec<TokenWithSpan>, Option<Extension>), ParserError> {
    let tokens = &start_last(tokens);
    let words = Words::of(tokens);
    Ok(match (words.at(0), words.at(1)) {
        ("create" | "alter", "policy") => policy::taken(tokens)?,
        ("create", "procedure") => procedure::taken(tokens)?,
        ("create", "or") if words.at(3) == "procedure" => procedure::taken(tokens)?,
        ("alter", "sequence") => alter_sequence(tokens, &words),
        ("alter", "view") => (words.with(tokens, 1, "TABLE"), None),
        ("insert", _) => overriding(tokens, &words),
        ("grant" | "revoke", _) => (role_grant(tokens, &words), None),
        ("assert", _) => (assertion(tokens), None),
        ("set", "constraints") => constraints::taken(tokens)?,
        ("select" | "with" | "", _) => (locks(tokens, &words), None),
        _ => (tokens.to_vec(), None),
    })
}

/// `FOR NO KEY UPDATE` and `FOR KEY SHARE` are for the parser `FOR UPDATE` and `FOR SHARE`: none of them
/// locks.
fn locks(tokens: &[TokenWithSpan], words: &Words) -> Vec<TokenWithSpan> {
    let mut dropped = Vec::new();
    for at in 0..words.texts.len() {
        if words.at(at) != "for" {
            continue;
        }
        match (words.at(at + 1), words.at(at + 2), words.at(at + 3)) {
            ("no", "key", "update") => dropped.extend(words.places.get(at + 1..at + 3)),
            ("key", "share", _) => dropped.extend(words.places.get(at + 1..at + 2)),
            _ => {}
        }
    }
    let dropped: Vec<usize> = dropped.into_iter().flatten().copied().collect();
    let kept = tokens.iter().enumerate();
    let kept = kept.filter(|(place, _)| !dropped.contains(place));
    kept.map(|(_, token)| token.clone()).collect()
}

/// `ASSERT condition, message` is for the parser `ASSERT condition AS message`.
fn assertion(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut tokens = tokens.to_vec();
    let mut depth = 0usize;
    for token in &mut tokens {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                token.token = Token::make_keyword("AS");
                break;
            }
            _ => {}
        }
    }
    tokens
}

/// The parser takes the options of a sequence in one order, with START after INCREMENT, MINVALUE and
/// MAXVALUE; PostgreSQL takes them in any.
fn start_last(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut tokens = tokens.to_vec();
    let words = Words::of(&tokens);
    if !matches!(words.at(0), "create" | "alter") || !words.texts.iter().any(|w| w == "start") {
        return tokens;
    }
    // Each round moves START behind one option.
    for _ in 0..words.texts.len() {
        let words = Words::of(&tokens);
        let number_after = |mut at: usize| {
            at += usize::from(words.at(at) == "-");
            words.at(at).parse::<i64>().is_ok().then_some(at + 1)
        };
        let moved = (0..words.texts.len()).find_map(|start| {
            if words.at(start) != "start" {
                return None;
            }
            let end = number_after(start + 1 + usize::from(words.at(start + 1) == "with"))?;
            let next = match (words.at(end), words.at(end + 1)) {
                ("increment", "by") => number_after(end + 2)?,
                ("increment" | "minvalue" | "maxvalue", _) => number_after(end + 1)?,
                ("no", "minvalue" | "maxvalue") => end + 2,
                _ => return None,
            };
            Some((start, end, next))
        });
        let Some((start, end, next)) = moved else {
            break;
        };
        let place = |word: usize| words.places.get(word).copied().unwrap_or(tokens.len());
        let (from, middle) = (place(start), place(end));
        let to = words.places.get(next - 1).map_or(middle, |last| last + 1);
        if let Some(part) = tokens.get_mut(from..to) {
            // Blanks between the two stay between them.
            part.rotate_left(middle - from);
            let blank =
                TokenWithSpan::wrap(Token::Whitespace(sqlparser::tokenizer::Whitespace::Space));
            tokens.insert(from + to - middle, blank);
        }
    }
    tokens
}

/// The words of a statement and where they stand; other tokens are empty words.
struct Words {
    texts: Vec<String>,
    places: Vec<usize>,
}

impl Words {
    fn of(tokens: &[TokenWithSpan]) -> Self {
        let (mut texts, mut places) = (Vec::new(), Vec::new());
        for (place, token) in tokens.iter().enumerate() {
            match &token.token {
                Token::Whitespace(_) | Token::EOF => continue,
                Token::Word(word) if word.quote_style.is_none() => {
                    texts.push(word.value.to_ascii_lowercase());
                }
                Token::Number(number, _) => texts.push(number.to_string()),
                Token::Minus => texts.push("-".to_owned()),
                _ => texts.push(String::new()),
            }
            places.push(place);
        }
        Self { texts, places }
    }

    fn at(&self, number: usize) -> &str {
        self.texts.get(number).map_or("", String::as_str)
    }

    /// The tokens with one word in the place of another.
    fn with(&self, tokens: &[TokenWithSpan], number: usize, word: &str) -> Vec<TokenWithSpan> {
        let mut tokens = tokens.to_vec();
        let place = self.places.get(number).copied();
        if let Some(token) = place.and_then(|place| tokens.get_mut(place)) {
            token.token = Token::make_keyword(word);
        }
        tokens
    }

    /// The tokens without some words.
    fn without(
        &self,
        tokens: &[TokenWithSpan],
        words: std::ops::Range<usize>,
    ) -> Vec<TokenWithSpan> {
        let gone = self.places.get(words).unwrap_or_default();
        let kept = tokens.iter().enumerate();
        kept.filter(|(place, _)| !gone.contains(place))
            .map(|(_, token)| token.clone())
            .collect()
    }
}

/// `ALTER SEQUENCE s RENAME TO`, `OWNER TO` and `SET SCHEMA` are those of tables; its options are those
/// of CREATE SEQUENCE, and RESTART.
fn alter_sequence(
    tokens: &[TokenWithSpan],
    words: &Words,
) -> (Vec<TokenWithSpan>, Option<Extension>) {
    let if_exists = words.at(2) == "if" && words.at(3) == "exists";
    let follows = |pair: (&str, &str)| {
        (2..words.texts.len()).any(|at| (words.at(at), words.at(at + 1)) == pair)
    };
    if follows(("rename", "to")) || follows(("owner", "to")) || follows(("set", "schema")) {
        return (words.with(tokens, 1, "TABLE"), None);
    }
    let mut tokens = words.with(tokens, 0, "CREATE");
    let mut restart = None;
    let found = (3..words.texts.len()).find(|at| words.at(*at) == "restart");
    let mut gone = Vec::new();
    if let Some(at) = found {
        let mut end = at + 1;
        if words.at(end) == "with" {
            end += 1;
        }
        let negative = words.at(end) == "-";
        let number = words.at(end + usize::from(negative));
        let text = format!("{}{number}", if negative { "-" } else { "" });
        restart = Some(text.parse().ok());
        if restart != Some(None) {
            end += 1 + usize::from(negative);
        }
        gone.push(at..end);
    }
    if if_exists {
        gone.push(2..4);
    }
    // The later words first, so that the places of the earlier ones still hold.
    for words_gone in gone {
        let places = words.places.get(words_gone).unwrap_or_default();
        for place in places.iter().rev() {
            if let Some(token) = tokens.get_mut(*place) {
                token.token = Token::Whitespace(sqlparser::tokenizer::Whitespace::Space);
            }
        }
    }
    (
        tokens,
        Some(Extension::AlterSequence { if_exists, restart }),
    )
}

/// `GRANT clerks TO …` is for the parser `GRANT ROLE clerks TO …`, and WITH ADMIN OPTION is WITH GRANT
/// OPTION.
fn role_grant(tokens: &[TokenWithSpan], words: &Words) -> Vec<TokenWithSpan> {
    if words.texts.iter().any(|word| word == "on") {
        return tokens.to_vec();
    }
    let admin =
        (0..words.texts.len()).find(|at| words.at(*at) == "admin" && words.at(at + 1) == "option");
    let mut tokens = match admin {
        Some(at) => words.with(tokens, at, "GRANT"),
        None => tokens.to_vec(),
    };
    let first = words.places.get(1).copied().unwrap_or(tokens.len());
    if words.at(1) != "role" && first <= tokens.len() {
        let blank = Token::Whitespace(sqlparser::tokenizer::Whitespace::Space);
        tokens.insert(first, TokenWithSpan::wrap(blank));
        tokens.insert(first, TokenWithSpan::wrap(Token::make_keyword("ROLE")));
    }
    tokens
}

/// `INSERT INTO t (…) OVERRIDING SYSTEM VALUE …`: before the first VALUES or SELECT.
fn overriding(tokens: &[TokenWithSpan], words: &Words) -> (Vec<TokenWithSpan>, Option<Extension>) {
    for at in 0..words.texts.len() {
        match (words.at(at), words.at(at + 1), words.at(at + 2)) {
            ("overriding", kind @ ("system" | "user"), "value") => {
                let user = kind == "user";
                let tokens = words.without(tokens, at..at + 3);
                return (tokens, Some(Extension::Overriding { user }));
            }
            ("values" | "select" | "with", _, _) => break,
            _ => {}
        }
    }
    (tokens.to_vec(), None)
}
