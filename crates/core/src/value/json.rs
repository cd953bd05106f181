//! Whether a text is JSON (RFC 8259). The text is kept as given, so nothing is built.

use super::ValueError;

/// Deepest nesting of arrays and objects.
pub const JSON_DEPTH_MAX: usize = 512;

/// Checks that `text` is one JSON value with white space around it at most.
///
/// # Errors
/// [`ValueError::Json`] when it is not, [`ValueError::JsonDepth`] when it nests deeper than
/// [`JSON_DEPTH_MAX`].
pub fn validate(text: &str) -> Result<(), ValueError> {
    let mut cursor = Cursor(text.as_bytes());
    match cursor.document() {
        Ok(()) => Ok(()),
        Err(Refusal::Syntax) => Err(ValueError::Json {
            at: text.len() - cursor.0.len(),
        }),
        Err(Refusal::Depth) => Err(ValueError::JsonDepth {
            max: JSON_DEPTH_MAX,
        }),
    }
}

enum Refusal {
    Syntax,
    Depth,
}

/// The bytes still to be read.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn document(&mut self) -> Result<(), Refusal> {
        self.value(0)?;
        self.spaces();
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Syntax)
        }
    }

    fn spaces(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn next(&mut self) -> Result<u8, Refusal> {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                Ok(*first)
            }
            [] => Err(Refusal::Syntax),
        }
    }

    fn eat(&mut self, wanted: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == wanted => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<(), Refusal> {
        self.0 = self.0.strip_prefix(wanted).ok_or(Refusal::Syntax)?;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), Refusal> {
        self.spaces();
        match self.0.first() {
            Some(b'{') => self.items(depth, b'}', |cursor| {
                cursor.spaces();
                cursor.expect(b"\"")?;
                cursor.string()?;
                cursor.spaces();
                cursor.expect(b":")
            }),
            Some(b'[') => self.items(depth, b']', |_| Ok(())),
            Some(b'"') => {
                self.expect(b"\"")?;
                self.string()
            }
            Some(b't') => self.expect(b"true"),
            Some(b'f') => self.expect(b"false"),
            Some(b'n') => self.expect(b"null"),
            _ => self.number(),
        }
    }

    /// The items of an array or object after its bracket, each begun by `name`.
    fn items(
        &mut self,
        depth: usize,
        close: u8,
        name: impl Fn(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if depth >= JSON_DEPTH_MAX {
            return Err(Refusal::Depth);
        }
        self.next()?;
        self.spaces();
        if self.eat(close) {
            return Ok(());
        }
        loop {
            name(self)?;
            self.value(depth + 1)?;
            self.spaces();
            match self.next()? {
                b',' => {}
                byte if byte == close => return Ok(()),
                _ => return Err(Refusal::Syntax),
            }
        }
    }

    /// The rest of a string after its first quote. The text is UTF-8 already.
    fn string(&mut self) -> Result<(), Refusal> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            if !self.next()?.is_ascii_hexdigit() {
                                return Err(Refusal::Syntax);
                            }
                        }
                    }
                    _ => return Err(Refusal::Syntax),
                },
                0..=0x1f => return Err(Refusal::Syntax),
                _ => {}
            }
        }
    }

    fn number(&mut self) -> Result<(), Refusal> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Refusal> {
        if !self.next()?.is_ascii_digit() {
            return Err(Refusal::Syntax);
        }
        while let [b'0'..=b'9', rest @ ..] = self.0 {
            self.0 = rest;
        }
        Ok(())
    }
}
