//! Cuts SQL text into tokens: enough to find where statements end and to read session commands.
//!
//! Everything else is the business of `stele-sql`. A [`Scanner`] never fails: an unclosed quote or
//! comment runs to the end of the text, and the parser says what is wrong with it.

use stele_core::transaction::STATEMENTS_MAX;
use stele_sql::SqlError;

/// A piece of SQL text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    /// A keyword or bare name, or `$1`, as written.
    Word(&'t str),
    /// A name in double quotes, quotes included.
    Quoted(&'t str),
    /// A string literal of any form, quotes and prefix included.
    Text(&'t str),
    /// A number.
    Number(&'t str),
    /// Any other character.
    Symbol(u8),
}

/// Walks over the tokens of a text.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

/// One statement of a message and where it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'t> {
    /// The statement, without its semicolon and the blanks and comments before it.
    pub(crate) sql: &'t str,
    /// Characters of the message before it.
    pub(crate) characters_before: u32,
}

/// Cuts a message at its semicolons. Blanks, comments and lone semicolons give no piece.
///
/// # Errors
/// 54000 when there are more statements than a transaction may hold.
pub(crate) fn split(text: &str) -> Result<Vec<Piece<'_>>, SqlError> {
    let mut scanner = Scanner::new(text);
    let mut pieces = Vec::new();
    let mut open: Option<(usize, usize)> = None;
    let mut counted = Counted { byte: 0, chars: 0 };
    loop {
        let next = scanner.next_token();
        match next {
            Some((token, start, end)) if token != Token::Symbol(b';') => {
                open = Some((open.map_or(start, |(first, _)| first), end));
            }
            _ => {
                if let Some((start, end)) = open.take() {
                    if pieces.len() == STATEMENTS_MAX {
                        return Err(SqlError::new(
                            "54000",
                            format!("more than {STATEMENTS_MAX} statements in one message"),
                        )
                        .hint("Send them in several messages."));
                    }
                    pieces.push(Piece {
                        sql: text.get(start..end).unwrap_or_default(),
                        characters_before: counted.advance(text, start),
                    });
                }
                if next.is_none() {
                    return Ok(pieces);
                }
            }
        }
    }
}

/// Characters counted so far, so that a long message is walked once.
struct Counted {
    byte: usize,
    chars: u32,
}

impl Counted {
    fn advance(&mut self, text: &str, to: usize) -> u32 {
        let between = text.get(self.byte..to).unwrap_or_default().chars().count();
        self.chars = self
            .chars
            .saturating_add(u32::try_from(between).unwrap_or(u32::MAX));
        self.byte = to;
        self.chars
    }
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token with the bytes it spans; none at the end.
    pub(crate) fn next_token(&mut self) -> Option<(Token<'t>, usize, usize)> {
        self.skip_blanks();
        let start = self.at;
        let first = self.peek(0)?;
        let make: fn(&'t str) -> Token<'t> = match first {
            b'\'' => {
                self.skip_quoted(b'\'', false);
                Token::Text
            }
            b'"' => {
                self.skip_quoted(b'"', false);
                Token::Quoted
            }
            b'e' | b'E' if self.peek(1) == Some(b'\'') => {
                self.at += 1;
                self.skip_quoted(b'\'', true);
                Token::Text
            }
            b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if self.peek(1) == Some(b'\'') => {
                self.at += 1;
                self.skip_quoted(b'\'', false);
                Token::Text
            }
            b'$' => match self.dollar_tag() {
                Some(tag) => {
                    self.skip_dollar_quoted(tag);
                    Token::Text
                }
                None => {
                    self.at += 1;
                    self.skip_while(is_word_byte);
                    Token::Word
                }
            },
            b'0'..=b'9' => {
                self.skip_while(|byte| is_word_byte(byte) || byte == b'.');
                Token::Number
            }
            byte if is_word_byte(byte) => {
                self.skip_while(is_word_byte);
                Token::Word
            }
            byte => {
                self.at += 1;
                return Some((Token::Symbol(byte), start, self.at));
            }
        };
        let piece = self.text.get(start..self.at).unwrap_or_default();
        Some((make(piece), start, self.at))
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c'), _) => self.at += 1,
                (Some(b'-'), Some(b'-')) => self.skip_while(|byte| byte != b'\n'),
                (Some(b'/'), Some(b'*')) => self.skip_comment(),
                _ => return,
            }
        }
    }

    /// Block comments nest.
    fn skip_comment(&mut self) {
        let mut depth = 0usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth = depth.saturating_sub(1);
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return,
            }
        }
    }

    fn skip_quoted(&mut self, quote: u8, escapes: bool) {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if escapes && byte == b'\\' {
                self.at += usize::from(self.peek(0).is_some());
            } else if byte == quote {
                if self.peek(0) != Some(quote) {
                    return;
                }
                self.at += 1;
            }
        }
        self.at = self.text.len();
    }

    /// `$tag$` or `$$` here, if there is one.
    fn dollar_tag(&self) -> Option<&'t str> {
        let rest = self.text.get(self.at..)?;
        let end = rest.get(1..)?.find('$')?;
        let tag = rest.get(1..=end)?;
        let named = tag.bytes().all(is_word_byte) && !tag.starts_with(|c: char| c.is_ascii_digit());
        named.then(|| rest.get(..end + 2)).flatten()
    }

    fn skip_dollar_quoted(&mut self, tag: &str) {
        let body = self.text.get(self.at + tag.len()..).unwrap_or_default();
        self.at = match body.find(tag) {
            Some(end) => self.at + tag.len() + end + tag.len(),
            None => self.text.len(),
        };
    }
}

impl Token<'_> {
    /// Whether it is that keyword, in any case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// What it stands for: names folded to lower case, quotes and escapes taken off.
    pub(crate) fn content(&self) -> String {
        match self {
            Self::Word(word) => word.to_ascii_lowercase(),
            Self::Number(number) => (*number).to_owned(),
            Self::Quoted(name) => inner(name, 1).replace("\"\"", "\""),
            Self::Symbol(byte) => char::from(*byte).to_string(),
            Self::Text(text) if text.starts_with('\'') => inner(text, 1).replace("''", "'"),
            Self::Text(text) if text.starts_with('$') => {
                let tag = text.get(1..).and_then(|rest| rest.find('$')).unwrap_or(0) + 2;
                inner(text, tag).to_owned()
            }
            Self::Text(text) => inner(text.get(1..).unwrap_or_default(), 1).replace("''", "'"),
        }
    }
}

/// The text without `count` bytes at both ends.
fn inner(text: &str, count: usize) -> &str {
    text.get(count..text.len().saturating_sub(count))
        .unwrap_or_default()
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests;
