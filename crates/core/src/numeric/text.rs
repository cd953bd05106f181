//! Decimals as text, in PostgreSQL's forms.

use std::fmt;
use std::str::FromStr;

use super::{COEFFICIENT_END, Numeric, NumericError};
use crate::value::NUMERIC_SCALE_MAX;

/// Exponents beyond this are as good as infinite for 38 digits; bounding them keeps sums of lengths in range.
const EXPONENT_MAX: i64 = 1 << 40;

/// A decimal taken apart: `digits * 10^(exponent - fraction.len())`.
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Result<Self, NumericError> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let is_word = |word: &str| rest.eq_ignore_ascii_case(word.as_bytes());
        if is_word("nan") || is_word("inf") || is_word("infinity") {
            return Err(NumericError::NotFinite);
        }
        let (whole, rest) = split_digits(rest);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest),
            rest => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(NumericError::Invalid);
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', b'-', rest @ ..] => -read_exponent(rest)?,
            [b'e' | b'E', b'+', rest @ ..] | [b'e' | b'E', rest @ ..] => read_exponent(rest)?,
            _ => return Err(NumericError::Invalid),
        };
        let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
        Ok(Self {
            negative,
            whole: whole.get(zeros..).unwrap_or_default(),
            fraction,
            exponent,
        })
    }

    fn digits(&self) -> impl DoubleEndedIterator<Item = u8> + '_ {
        self.whole
            .iter()
            .chain(self.fraction)
            .map(|digit| digit - b'0')
    }

    fn len(&self) -> i64 {
        (self.whole.len() + self.fraction.len()) as i64
    }

    /// Digits after the point as written, once the exponent has moved it.
    fn scale(&self) -> i64 {
        (self.fraction.len() as i64 - self.exponent).max(0)
    }

    /// The value at `scale`, rounded half away from zero.
    fn at_scale(&self, scale: u8) -> Result<Numeric, NumericError> {
        let shift = self.exponent - self.fraction.len() as i64 + i64::from(scale);
        let kept = (self.len() + shift.min(0)).max(0) as usize;
        let mut coefficient = 0u128;
        for digit in self.digits().take(kept) {
            coefficient = push_digit(coefficient, digit)?;
        }
        if shift < 0 {
            // The first dropped digit decides; it exists only if digits reach that far.
            let up =
                self.len() + shift >= 0 && self.digits().nth(kept).is_some_and(|digit| digit >= 5);
            coefficient += u128::from(up);
        } else if coefficient != 0 {
            for _ in 0..shift {
                coefficient = push_digit(coefficient, 0)?;
            }
        }
        let coefficient = i128::try_from(coefficient).map_err(|_| NumericError::Overflow)?;
        Numeric::new(
            if self.negative {
                -coefficient
            } else {
                coefficient
            },
            scale,
        )
    }
}

fn push_digit(coefficient: u128, digit: u8) -> Result<u128, NumericError> {
    if coefficient >= COEFFICIENT_END / 10 {
        return Err(NumericError::Overflow);
    }
    Ok(coefficient * 10 + u128::from(digit))
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let len = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    bytes.split_at(len)
}

fn read_exponent(bytes: &[u8]) -> Result<i64, NumericError> {
    let (digits, rest) = split_digits(bytes);
    if digits.is_empty() || !rest.is_empty() {
        return Err(NumericError::Invalid);
    }
    Ok(digits.iter().fold(0, |sum: i64, digit| {
        (sum * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)
    }))
}

impl Numeric {
    /// Reads PostgreSQL's input forms (`1`, `-1.50`, `.5`, `1e3`, spaces around), exactly. The scale
    /// is that of the text; zeros at the end are dropped where it is too long otherwise.
    ///
    /// # Errors
    /// [`NumericError::Invalid`] for other text, [`NumericError::NotFinite`] for NaN and infinities,
    /// [`NumericError::Overflow`] when the value needs more than 38 digits or 30 after the point.
    pub fn parse(text: &str) -> Result<Self, NumericError> {
        let parts = Parts::read(text)?;
        let written = parts.scale();
        if let Ok(scale) = u8::try_from(written)
            && scale <= NUMERIC_SCALE_MAX
            && let Ok(value) = parts.at_scale(scale)
        {
            return Ok(value);
        }
        // Too long as written: without its trailing zeros it may fit.
        let zeros = parts.digits().rev().take_while(|digit| *digit == 0).count() as i64;
        let needed = if zeros == parts.len() {
            0
        } else {
            (written - zeros).max(0)
        };
        let longest = written.min(i64::from(NUMERIC_SCALE_MAX)) as u8;
        let shortest = u8::try_from(needed).map_err(|_| NumericError::Overflow)?;
        (shortest..=longest)
            .rev()
            .find_map(|scale| parts.at_scale(scale).ok())
            .ok_or(NumericError::Overflow)
    }

    /// Reads the same forms as [`Self::parse`] and rounds once, half away from zero, to `scale`.
    ///
    /// # Errors
    /// As [`Self::parse`], except that digits after `scale` are rounded instead of refused.
    pub fn parse_rounded(text: &str, scale: u8) -> Result<Self, NumericError> {
        Parts::read(text)?.at_scale(scale)
    }

    /// The value written with `scale` digits after the point, rounded half away from zero.
    ///
    /// # Errors
    /// As [`Self::rescale`].
    pub fn format(self, scale: u8) -> Result<String, NumericError> {
        Ok(self.rescale(scale)?.to_string())
    }
}

impl FromStr for Numeric {
    type Err = NumericError;

    fn from_str(text: &str) -> Result<Self, NumericError> {
        Self::parse(text)
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!(
            "{:0width$}",
            self.coefficient.unsigned_abs(),
            width = scale + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.coefficient < 0 { "-" } else { "" };
        if fraction.is_empty() {
            write!(f, "{sign}{whole}")
        } else {
            write!(f, "{sign}{whole}.{fraction}")
        }
    }
}
