//! Rows out of the bytes a client sends in pieces of any length.

use bytes::{Buf, BytesMut};
use stele_sql::SqlError;

use super::{CopyFormat, CopyOptions, SIGNATURE};

/// Longest row, in bytes.
const ROW_LEN_MAX: usize = 16 * 1024 * 1024;

/// One field: none for NULL.
pub(crate) type Field = Option<Vec<u8>>;

/// Cuts rows off what has come so far.
#[derive(Debug)]
pub(crate) struct RowReader {
    options: CopyOptions,
    /// Names of the columns.
    names: Vec<String>,
    input: BytesMut,
    /// Rows read, the header among them.
    rows: u64,
    started: bool,
    ended: bool,
}

impl RowReader {
    pub(crate) fn new(options: CopyOptions, names: Vec<String>) -> Self {
        Self {
            options,
            names,
            input: BytesMut::new(),
            rows: 0,
            started: false,
            ended: false,
        }
    }

    /// Number of the row read last, as errors name it.
    pub(crate) fn row(&self) -> u64 {
        self.rows
    }

    /// Takes what the client sent.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if !self.ended {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The next row; none while it is not whole. `last` says that nothing more comes.
    ///
    /// # Errors
    /// 22P04 for what is no row, 54000 for one too long.
    pub(crate) fn next_row(&mut self, last: bool) -> Result<Option<Vec<Field>>, SqlError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let row = match self.options.format {
                CopyFormat::Binary => self.binary_row(last)?,
                CopyFormat::Text => self.text_row(last)?,
                CopyFormat::Csv => self.csv_row(last)?,
            };
            if row.is_none() && self.input.len() > ROW_LEN_MAX {
                return Err(SqlError::new(
                    "54000",
                    format!("a row of COPY has more than {ROW_LEN_MAX} bytes"),
                ));
            }
            let Some(row) = row else {
                return Ok(None);
            };
            self.rows += 1;
            if self.rows == 1 && self.options.header {
                self.check_header(&row)?;
                continue;
            }
            return Ok(Some(row));
        }
    }

    fn check_header(&self, row: &[Field]) -> Result<(), SqlError> {
        if !self.options.header_matches {
            return Ok(());
        }
        if row.len() != self.names.len() {
            return Err(SqlError::new(
                "22P04",
                format!(
                    "wrong number of fields in header line: got {}, expected {}",
                    row.len(),
                    self.names.len()
                ),
            ));
        }
        for (place, (field, name)) in row.iter().zip(&self.names).enumerate() {
            let given = field.as_deref().map(String::from_utf8_lossy);
            if given.as_deref() != Some(name.as_str()) {
                let given = given.as_deref().unwrap_or("NULL");
                let place = place + 1;
                return Err(SqlError::new(
                    "22P04",
                    format!(
                        "column name mismatch in header line field {place}: got \"{given}\", expected \"{name}\""
                    ),
                ));
            }
        }
        Ok(())
    }

    fn binary_row(&mut self, last: bool) -> Result<Option<Vec<Field>>, SqlError> {
        let malformed = || SqlError::new("22P04", "COPY file signature not recognized");
        if !self.started {
            let Some(head) = self.input.get(..SIGNATURE.len() + 8) else {
                return if last { Err(malformed()) } else { Ok(None) };
            };
            if !head.starts_with(SIGNATURE) {
                return Err(malformed());
            }
            let mut after = head.get(SIGNATURE.len()..).unwrap_or_default();
            let flags = after.get_u32();
            let more = after.get_u32() as usize;
            if flags != 0 || more != 0 {
                return Err(SqlError::new(
                    "22P04",
                    "unrecognized flags in COPY file header",
                ));
            }
            self.input.advance(SIGNATURE.len() + 8);
            self.started = true;
        }
        let cut = || SqlError::new("22P04", "unexpected EOF in COPY data");
        let mut rest: &[u8] = &self.input;
        if rest.is_empty() {
            // Some clients leave the end mark out.
            return Ok(None);
        }
        let incomplete = |last: bool| if last { Err(cut()) } else { Ok(None) };
        let Ok(count) = rest.try_get_i16() else {
            return incomplete(last);
        };
        if count == -1 {
            self.ended = true;
            self.input.clear();
            return Ok(None);
        }
        let count = usize::try_from(count).map_err(|_| cut())?;
        let mut fields = Vec::with_capacity(count);
        for _ in 0..count {
            let Ok(len) = rest.try_get_i32() else {
                return incomplete(last);
            };
            let Ok(len) = usize::try_from(len) else {
                fields.push(None);
                continue;
            };
            let Some((field, after)) = rest.split_at_checked(len) else {
                return incomplete(last);
            };
            fields.push(Some(field.to_vec()));
            rest = after;
        }
        let taken = self.input.len() - rest.len();
        self.input.advance(taken);
        Ok(Some(fields))
    }

    /// The next line without its end; none while it is not whole.
    fn line(&mut self, end: Option<usize>, last: bool) -> Option<Vec<u8>> {
        let mut line = match end {
            Some(end) => {
                let line = self.input.split_to(end).to_vec();
                self.input.advance(1);
                line
            }
            None if last && !self.input.is_empty() => self.input.split().to_vec(),
            None => return None,
        };
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line == b"\\." {
            self.ended = true;
            self.input.clear();
            return None;
        }
        Some(line)
    }

    fn text_row(&mut self, last: bool) -> Result<Option<Vec<Field>>, SqlError> {
        // A line feed after a backslash is part of the field.
        let mut escaped = false;
        let end = self.input.iter().position(|byte| {
            let found = *byte == b'\n' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            found
        });
        let Some(line) = self.line(end, last) else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        let mut raw = Vec::new();
        let mut field = Vec::new();
        let mut bytes = line.iter().copied().peekable();
        loop {
            match bytes.next() {
                Some(byte) if byte == self.options.delimiter() => {
                    fields.push(self.text_field(&mut raw, &mut field));
                }
                Some(b'\\') => {
                    raw.push(b'\\');
                    let Some(next) = bytes.next() else {
                        field.push(b'\\');
                        continue;
                    };
                    raw.push(next);
                    let is_hex = bytes.peek().is_some_and(u8::is_ascii_hexdigit);
                    let mut number = |first: u32, radix: u32, most: usize| {
                        let mut value = first;
                        for _ in 0..most {
                            let next = bytes.peek().copied().map(char::from);
                            let Some(digit) = next.and_then(|c| c.to_digit(radix)) else {
                                break;
                            };
                            raw.extend(bytes.next());
                            value = value * radix + digit;
                        }
                        // A byte, whatever comes, as in PostgreSQL.
                        (value & 0xff) as u8
                    };
                    field.push(match next {
                        b'0'..=b'7' => number(u32::from(next - b'0'), 8, 2),
                        b'b' => 0x08,
                        b'f' => 0x0c,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'v' => 0x0b,
                        b'x' if is_hex => number(0, 16, 2),
                        other => other,
                    });
                }
                Some(byte) => {
                    raw.push(byte);
                    field.push(byte);
                }
                None => {
                    fields.push(self.text_field(&mut raw, &mut field));
                    return Ok(Some(fields));
                }
            }
        }
    }

    /// NULL is told by how the field was written, before escapes.
    fn text_field(&self, raw: &mut Vec<u8>, field: &mut Vec<u8>) -> Field {
        let (raw, field) = (std::mem::take(raw), std::mem::take(field));
        (raw != self.options.null().as_bytes()).then_some(field)
    }

    fn csv_row(&mut self, last: bool) -> Result<Option<Vec<Field>>, SqlError> {
        let (quote, escape) = (self.options.quote, self.options.escape());
        let mut quoted = false;
        let mut skip = false;
        let end = self.input.iter().enumerate().position(|(place, byte)| {
            if std::mem::take(&mut skip) {
                return false;
            }
            let next = self.input.get(place + 1).copied();
            if quoted && *byte == escape && escape != quote && next.is_some() {
                skip = true;
            } else if *byte == quote {
                quoted = !quoted;
            }
            *byte == b'\n' && !quoted
        });
        if end.is_none() && last && quoted {
            return Err(SqlError::new("22P04", "unterminated CSV quoted field"));
        }
        let Some(line) = self.line(end, last) else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        let mut field = Vec::new();
        let (mut inside, mut was_quoted) = (false, false);
        let mut bytes = line.iter().copied().peekable();
        loop {
            match bytes.next() {
                Some(byte)
                    if inside
                        && byte == escape
                        && bytes
                            .peek()
                            .is_some_and(|next| *next == quote || *next == escape) =>
                {
                    field.extend(bytes.next());
                }
                Some(byte) if byte == quote => {
                    inside = !inside;
                    was_quoted = true;
                }
                Some(byte) if byte == self.options.delimiter() && !inside => {
                    fields.push(self.csv_field(&mut field, &mut was_quoted));
                }
                Some(byte) => field.push(byte),
                None => {
                    fields.push(self.csv_field(&mut field, &mut was_quoted));
                    return Ok(Some(fields));
                }
            }
        }
    }

    fn csv_field(&self, field: &mut Vec<u8>, was_quoted: &mut bool) -> Field {
        let field = std::mem::take(field);
        let quoted = std::mem::take(was_quoted);
        (quoted || field != self.options.null().as_bytes()).then_some(field)
    }
}
