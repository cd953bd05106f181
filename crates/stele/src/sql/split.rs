//! Finding where statements end: at semicolons outside of quotes and comments.

/// Statements of a text, without their semicolons, and where what follows the last one begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split<'t> {
    pub(super) statements: Vec<&'t str>,
    pub(super) rest: &'t str,
}

/// Splits a text into its complete statements and a rest. Empty statements are left out.
pub(super) fn split(text: &str) -> Split<'_> {
    let mut statements = Vec::new();
    let mut scanner = Scanner { text, at: 0 };
    let mut start = 0;
    while let Some(end) = scanner.next_semicolon() {
        let statement = text.get(start..end).unwrap_or_default().trim();
        if !is_blank(statement) {
            statements.push(statement);
        }
        start = end + 1;
    }
    let rest = text.get(start..).unwrap_or_default();
    Split { statements, rest }
}

/// Whether a text holds nothing but white space and comments.
pub(super) fn is_blank(text: &str) -> bool {
    let mut scanner = Scanner { text, at: 0 };
    while let Some(byte) = scanner.byte(0) {
        if byte.is_ascii_whitespace() {
            scanner.at += 1;
        } else if !scanner.skip_comment() {
            return false;
        }
    }
    true
}

/// Whether a statement is a COPY, which would carry data beside its text.
pub(super) fn is_copy(statement: &str) -> bool {
    let mut scanner = Scanner {
        text: statement,
        at: 0,
    };
    while let Some(byte) = scanner.byte(0) {
        if byte.is_ascii_whitespace() {
            scanner.at += 1;
        } else if !scanner.skip_comment() {
            break;
        }
    }
    let rest = statement.get(scanner.at..).unwrap_or_default();
    let word = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    word.take(1).any(|word| word.eq_ignore_ascii_case("copy"))
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl Scanner<'_> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn next_semicolon(&mut self) -> Option<usize> {
        let mut before = b' ';
        while let Some(byte) = self.byte(0) {
            match byte {
                b';' => {
                    self.at += 1;
                    return Some(self.at - 1);
                }
                b'\'' => {
                    // E'…' takes backslashes; the E must not end a longer word.
                    let escapes = matches!(before, b'e' | b'E') && !self.word_before(2);
                    self.skip_quoted(b'\'', escapes);
                }
                b'"' => self.skip_quoted(b'"', false),
                b'$' if !self.word_before(1) => self.skip_dollar_quoted(),
                _ if self.skip_comment() => {}
                _ => self.at += 1,
            }
            before = byte;
        }
        None
    }

    /// Whether a word's character stands so many bytes back.
    fn word_before(&self, back: usize) -> bool {
        self.at
            .checked_sub(back)
            .and_then(|at| self.text.as_bytes().get(at))
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
    }

    fn skip_comment(&mut self) -> bool {
        match (self.byte(0), self.byte(1)) {
            (Some(b'-'), Some(b'-')) => {
                while self.byte(0).is_some_and(|byte| byte != b'\n') {
                    self.at += 1;
                }
                true
            }
            (Some(b'/'), Some(b'*')) => {
                let mut depth = 0_usize;
                loop {
                    match (self.byte(0), self.byte(1)) {
                        (Some(b'/'), Some(b'*')) => (depth, self.at) = (depth + 1, self.at + 2),
                        (Some(b'*'), Some(b'/')) => (depth, self.at) = (depth - 1, self.at + 2),
                        (Some(_), _) => self.at += 1,
                        (None, _) => return true,
                    }
                    if depth == 0 {
                        return true;
                    }
                }
            }
            _ => false,
        }
    }

    fn skip_quoted(&mut self, quote: u8, escapes: bool) {
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            self.at += 1;
            if byte == b'\\' && escapes {
                self.at += 1;
            } else if byte == quote {
                // A doubled quote opens the next round at once, which comes to the same.
                if self.byte(0) != Some(quote) {
                    return;
                }
                self.at += 1;
            }
        }
        self.unfinished();
    }

    fn skip_dollar_quoted(&mut self) {
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let tag_len = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let is_tag = rest.as_bytes().get(tag_len) == Some(&b'$')
            && !rest.starts_with(|c: char| c.is_ascii_digit());
        if !is_tag {
            self.at += 1;
            return;
        }
        let tag_end = self.at + tag_len + 2;
        let tag = self.text.get(self.at..tag_end).unwrap_or_default();
        match self.text.get(tag_end..).and_then(|body| body.find(tag)) {
            Some(found) => self.at = tag_end + found + tag.len(),
            None => self.unfinished(),
        }
    }

    fn unfinished(&mut self) {
        self.at = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> (Vec<&str>, &str) {
        let split = split(text);
        (split.statements, split.rest)
    }

    #[test]
    fn semicolons_end_statements_outside_of_quotes_and_comments() {
        assert_eq!(
            statements("SELECT 1; SELECT ';', \";\" ;; SELECT 2"),
            (vec!["SELECT 1", "SELECT ';', \";\""], " SELECT 2")
        );
        assert_eq!(statements("a -- b; c\n;"), (vec!["a -- b; c"], ""));
        assert_eq!(
            statements("a /* ; /* ; */ ; */ b;"),
            (vec!["a /* ; /* ; */ ; */ b"], "")
        );
        assert_eq!(statements("-- only; a comment\n;"), (vec![], ""));
        assert_eq!(
            statements("SELECT $x$;$x$, $1;"),
            (vec!["SELECT $x$;$x$, $1"], "")
        );
        assert_eq!(
            statements("SELECT 'it''s;';"),
            (vec!["SELECT 'it''s;'"], "")
        );
        assert_eq!(statements("SELECT E'\\';';"), (vec!["SELECT E'\\';'"], ""));
        assert_eq!(statements("SELECT '\\';"), (vec!["SELECT '\\'"], ""));
    }

    #[test]
    fn what_is_open_stays_open() {
        for text in ["SELECT ';", "SELECT \";", "/* ;", "SELECT $$;", "SELECT 1"] {
            assert_eq!(statements(text), (vec![], text));
        }
        assert!(is_blank(" -- x\n /* y */ "));
        assert!(!is_blank(" -- x\n 1"));
    }

    #[test]
    fn any_text_is_taken() {
        let text = "é'$ü$\"/*--\\;日本$1$e'\\'";
        for (start, _) in text.char_indices() {
            for (end, _) in text.char_indices().filter(|(end, _)| *end >= start) {
                let _ = split(&text[start..end]);
                let _ = is_blank(&text[start..end]);
            }
        }
    }
}
