//! Rows as COPY writes them: text, CSV, binary.

mod read;

use bytes::{BufMut, BytesMut};
use stele_core::{Type, Value};
use stele_sql::{OutputColumn, SqlError};

use super::codec::{self, Format};
use super::system_value;

pub(crate) use read::{Field, RowReader};

/// What a binary COPY begins with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CopyFormat {
    /// Fields between tabs, `\N` for NULL.
    #[default]
    Text,
    /// Comma-separated values.
    Csv,
    /// As in binary results.
    Binary,
}

/// Options of a COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyOptions {
    pub(crate) format: CopyFormat,
    pub(crate) header: bool,
    /// Whether the header must hold the columns' names.
    pub(crate) header_matches: bool,
    pub(crate) delimiter: Option<u8>,
    pub(crate) null: Option<String>,
    pub(crate) quote: u8,
    pub(crate) escape: Option<u8>,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            format: CopyFormat::Text,
            header: false,
            header_matches: false,
            delimiter: None,
            null: None,
            quote: b'"',
            escape: None,
        }
    }
}

impl CopyOptions {
    /// Itself, if its parts go together.
    ///
    /// # Errors
    /// 0A000 and 22023 when they do not.
    pub(crate) fn checked(self) -> Result<Self, SqlError> {
        let invalid = |what: &str| Err(SqlError::new("22023", what.to_owned()));
        let delimiter = self.delimiter();
        match self.format {
            CopyFormat::Binary
                if self.header || self.delimiter.is_some() || self.null.is_some() =>
            {
                invalid("COPY in binary takes no HEADER, DELIMITER or NULL")
            }
            CopyFormat::Csv if delimiter == self.quote => {
                invalid("COPY delimiter and quote must be different")
            }
            CopyFormat::Text if delimiter == b'\\' || delimiter.is_ascii_alphanumeric() => {
                invalid("COPY delimiter must not be a backslash, a letter or a digit")
            }
            _ => Ok(self),
        }
    }

    pub(crate) fn delimiter(&self) -> u8 {
        self.delimiter.unwrap_or(match self.format {
            CopyFormat::Csv => b',',
            _ => b'\t',
        })
    }

    pub(crate) fn null(&self) -> &str {
        self.null.as_deref().unwrap_or(match self.format {
            CopyFormat::Csv => "",
            _ => "\\N",
        })
    }

    fn escape(&self) -> u8 {
        self.escape.unwrap_or(self.quote)
    }

    /// Whether fields travel in binary.
    pub(crate) fn is_binary(&self) -> bool {
        self.format == CopyFormat::Binary
    }

    /// What comes before the rows.
    pub(crate) fn put_start(&self, columns: &[OutputColumn], out: &mut BytesMut) {
        if self.is_binary() {
            out.put_slice(SIGNATURE);
            out.put_u32(0);
            out.put_u32(0);
        } else if self.header {
            let names: Vec<Option<String>> = columns
                .iter()
                .map(|column| Some(column.name.clone()))
                .collect();
            self.put_line(&names, out);
        }
    }

    /// A row.
    pub(crate) fn put_row(&self, columns: &[OutputColumn], row: &[Value], out: &mut BytesMut) {
        let put = |place: usize, value: &Value, format: Format, out: &mut BytesMut| {
            let column = columns.get(place);
            match column.and_then(|column| column.system) {
                Some(system) => system_value::put(system, value, format, out),
                None => {
                    let ty = column.map_or(Type::Text, |column| column.ty);
                    codec::put(ty, value, format, out);
                }
            }
        };
        if self.is_binary() {
            out.put_u16(row.len() as u16);
            for (place, value) in row.iter().enumerate() {
                put(place, value, Format::Binary, out);
            }
            return;
        }
        let mut fields = Vec::with_capacity(row.len());
        for (place, value) in row.iter().enumerate() {
            if value.is_null() {
                fields.push(None);
                continue;
            }
            let mut field = BytesMut::new();
            put(place, value, Format::Text, &mut field);
            let text = field.get(4..).unwrap_or_default();
            fields.push(Some(String::from_utf8_lossy(text).into_owned()));
        }
        self.put_line(&fields, out);
    }

    /// What comes after the rows.
    pub(crate) fn put_end(&self, out: &mut BytesMut) {
        if self.is_binary() {
            out.put_i16(-1);
        }
    }

    fn put_line(&self, fields: &[Option<String>], out: &mut BytesMut) {
        for (place, field) in fields.iter().enumerate() {
            if place > 0 {
                out.put_u8(self.delimiter());
            }
            match (field, self.format) {
                (None, _) => out.put_slice(self.null().as_bytes()),
                (Some(text), CopyFormat::Csv) => self.put_csv(text, out),
                (Some(text), _) => self.put_text(text, out),
            }
        }
        out.put_u8(b'\n');
    }

    fn put_text(&self, text: &str, out: &mut BytesMut) {
        for byte in text.bytes() {
            match byte {
                b'\\' => out.put_slice(b"\\\\"),
                b'\n' => out.put_slice(b"\\n"),
                b'\r' => out.put_slice(b"\\r"),
                b'\t' => out.put_slice(b"\\t"),
                0x08 => out.put_slice(b"\\b"),
                0x0b => out.put_slice(b"\\v"),
                0x0c => out.put_slice(b"\\f"),
                byte if byte == self.delimiter() => {
                    out.put_u8(b'\\');
                    out.put_u8(byte);
                }
                byte => out.put_u8(byte),
            }
        }
    }

    fn put_csv(&self, text: &str, out: &mut BytesMut) {
        let special = |byte: u8| {
            byte == self.delimiter() || byte == self.quote || byte == b'\n' || byte == b'\r'
        };
        if text != self.null() && text != "\\." && !text.bytes().any(special) {
            out.put_slice(text.as_bytes());
            return;
        }
        out.put_u8(self.quote);
        for byte in text.bytes() {
            if byte == self.quote || byte == self.escape() {
                out.put_u8(self.escape());
            }
            out.put_u8(byte);
        }
        out.put_u8(self.quote);
    }
}

#[cfg(test)]
mod tests;
