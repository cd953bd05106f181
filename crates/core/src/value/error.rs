//! Why a value is not one of a type, in PostgreSQL's words.

use thiserror::Error;

use super::{Type, VALUE_LEN_MAX};
use crate::datetime::DateTimeError;
use crate::numeric::NumericError;

/// Longest piece of a refused text that a message repeats, in bytes.
const SHOWN_LEN_MAX: usize = 200;

/// Why a value cannot be read, converted or kept as a type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    /// A text that is none of the type's input forms.
    #[error("invalid input syntax for type {ty}: \"{text}\"")]
    Syntax {
        /// The type.
        ty: Type,
        /// The text, shortened.
        text: String,
    },
    /// An integer text beyond the type's range.
    #[error("value \"{text}\" is out of range for type {ty}")]
    TextOutOfRange {
        /// The type.
        ty: Type,
        /// The text, shortened.
        text: String,
    },
    /// A floating-point text too large, or too small to be told from 0.
    #[error("\"{text}\" is out of range for type double precision")]
    DoubleOutOfRange {
        /// The text, shortened.
        text: String,
    },
    /// A number beyond the type's range.
    #[error("{ty} out of range")]
    OutOfRange {
        /// The type, without its parameters.
        ty: Type,
    },
    /// A decimal with more digits than the column keeps.
    #[error("numeric field overflow")]
    FieldOverflow {
        /// Declared digits in all.
        precision: u8,
        /// Declared digits after the point.
        scale: u8,
    },
    /// NaN or an infinity.
    #[error("NaN and infinities cannot be stored in type {ty}: give a finite number or NULL")]
    NotFinite {
        /// The type.
        ty: Type,
    },
    /// A date or timestamp text of no known form, or of a moment that does not exist.
    #[error("{}: \"{text}\"", datetime_message(.source, .ty))]
    DateTime {
        /// The type.
        ty: Type,
        /// The text, shortened.
        text: String,
        /// What is wrong with it.
        source: DateTimeError,
    },
    /// More characters than VARCHAR(n) or CHAR(n) takes.
    #[error("value too long for type {ty}({max})")]
    TooLong {
        /// The type.
        ty: Type,
        /// Characters it takes.
        max: u32,
    },
    /// A CHAR(n) with the blanks at its end that are not kept.
    #[error("a value of type character is kept without the blanks at its end")]
    Blanks,
    /// More bytes than any value may have.
    #[error("value of {len} bytes is too long: at most {VALUE_LEN_MAX} bytes")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
    },
    /// A text with NUL.
    #[error("invalid byte sequence for encoding \"UTF8\": 0x00")]
    Nul,
    /// Hexadecimal bytea text with another character.
    #[error("invalid hexadecimal digit: \"{0}\"")]
    HexDigit(char),
    /// Hexadecimal bytea text with half a byte at the end.
    #[error("invalid hexadecimal data: odd number of digits")]
    HexOdd,
    /// Bytea text in escape form with a backslash that begins neither `\\\\` nor three octal digits.
    #[error("invalid input syntax for type bytea")]
    Escape,
    /// A text that is not JSON.
    #[error("invalid input syntax for type json")]
    Json {
        /// How many bytes were read before it stopped being JSON.
        at: usize,
    },
    /// JSON nested deeper than any reader should have to follow.
    #[error("JSON is nested more than {max} levels deep")]
    JsonDepth {
        /// Levels allowed.
        max: usize,
    },
    /// A value of one type where another is needed, and no assignment cast leads there.
    #[error("value is of type {found} but type {ty} is needed: write an explicit cast")]
    Mismatch {
        /// The type needed.
        ty: Type,
        /// What the value is.
        found: &'static str,
    },
}

impl ValueError {
    /// The SQLSTATE a client sees.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Syntax { .. } | Self::Escape | Self::Json { .. } => "22P02",
            Self::TextOutOfRange { .. }
            | Self::DoubleOutOfRange { .. }
            | Self::OutOfRange { .. }
            | Self::FieldOverflow { .. }
            | Self::NotFinite { .. } => "22003",
            Self::DateTime { source, .. } => source.sqlstate(),
            Self::TooLong { .. } => "22001",
            Self::TooLarge { .. } | Self::JsonDepth { .. } => "54000",
            Self::Nul => "22021",
            Self::HexDigit(_) | Self::HexOdd => "22023",
            Self::Mismatch { .. } => "42804",
            Self::Blanks => "XX001",
        }
    }

    /// More about it, as PostgreSQL's DETAIL line.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::FieldOverflow { precision, scale } => Some(format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {}.",
                match precision.saturating_sub(*scale) {
                    0 => "1".to_owned(),
                    digits => format!("10^{digits}"),
                }
            )),
            Self::DateTime { source, .. } => Some(source.to_string()),
            Self::Escape => Some(
                "Write \\x and hexadecimal digits, or \\\\ and \\ooo for backslash and other bytes."
                    .to_owned(),
            ),
            Self::Json { at } => Some(format!("The text stops being JSON near byte {at}.")),
            _ => None,
        }
    }

    pub(super) fn syntax(ty: Type, text: &str) -> Self {
        Self::Syntax {
            ty,
            text: shown(text),
        }
    }

    pub(super) fn text_out_of_range(ty: Type, text: &str) -> Self {
        Self::TextOutOfRange {
            ty,
            text: shown(text),
        }
    }

    pub(super) fn double_text_out_of_range(text: &str) -> Self {
        Self::DoubleOutOfRange { text: shown(text) }
    }

    pub(super) fn datetime(ty: Type, text: &str, source: DateTimeError) -> Self {
        Self::DateTime {
            ty,
            text: shown(text),
            source,
        }
    }

    pub(super) fn numeric(ty: Type, text: &str, error: NumericError) -> Self {
        match error {
            NumericError::FieldOverflow { precision, scale } => {
                Self::FieldOverflow { precision, scale }
            }
            NumericError::NotFinite => Self::NotFinite { ty },
            NumericError::Invalid => Self::syntax(ty, text),
            _ => match ty {
                Type::Numeric { precision, scale } => Self::FieldOverflow { precision, scale },
                _ => Self::OutOfRange { ty },
            },
        }
    }
}

fn datetime_message(error: &DateTimeError, ty: &Type) -> String {
    match error {
        DateTimeError::Syntax => format!("invalid input syntax for type {ty}"),
        DateTimeError::FieldOutOfRange => "date/time field value out of range".to_owned(),
        DateTimeError::ZoneOutOfRange => "time zone displacement out of range".to_owned(),
        DateTimeError::DateOutOfRange => "date out of range".to_owned(),
        DateTimeError::TimestampOutOfRange => "timestamp out of range".to_owned(),
    }
}

fn shown(text: &str) -> String {
    if text.len() <= SHOWN_LEN_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(SHOWN_LEN_MAX);
    format!("{}...", text.get(..end).unwrap_or_default())
}
