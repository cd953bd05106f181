//! Decimals to and from integers, binary floating point and SQLite's stored form.

use super::arithmetic::divide_rounded;
use super::{Numeric, NumericError, pow10};
use crate::value::shortest_digits;

/// The sign bit of a big-endian 128-bit integer: flipped, so that bytes compare as numbers do.
const SIGN: u128 = 1 << 127;

impl From<i64> for Numeric {
    fn from(value: i64) -> Self {
        Self {
            coefficient: i128::from(value),
            scale: 0,
        }
    }
}

impl Numeric {
    /// The nearest integer, half away from zero.
    ///
    /// # Errors
    /// [`NumericError::IntegerOverflow`] when it is no 64-bit integer.
    pub fn to_i64(self) -> Result<i64, NumericError> {
        i64::try_from(divide_rounded(self.coefficient, pow10(self.scale)))
            .map_err(|_| NumericError::IntegerOverflow)
    }

    /// The decimal with the fewest digits that reads back as `value`, rounded half away from zero
    /// to at most `scale` digits after the point; fewer where fewer say it all.
    ///
    /// PostgreSQL's own cast keeps 15 digits only; the shortest form loses nothing.
    ///
    /// # Errors
    /// [`NumericError::NotFinite`]; [`NumericError::Overflow`] when it has more than 38 digits.
    pub fn from_f64(value: f64, scale: u8) -> Result<Self, NumericError> {
        if !value.is_finite() {
            return Err(NumericError::NotFinite);
        }
        let text = shortest_digits(value);
        match Self::parse(&text) {
            Ok(exact) if exact.scale <= scale => Ok(exact),
            _ => Ok(Self::parse_rounded(&text, scale)?.normalized()),
        }
    }

    /// The nearest binary floating-point number.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Rust's parser rounds correctly on every platform; a quotient of two roundings would not.
        format!("{}e-{}", self.coefficient, self.scale)
            .parse()
            .expect("an integer with an exponent is a number")
    }

    /// The stored form at a column's scale: 16 bytes that compare as the values do, provided all
    /// have that scale. The coefficient, big-endian, its sign bit flipped.
    ///
    /// # Errors
    /// [`NumericError::Inexact`] when the value has more digits after the point than `scale`;
    /// [`NumericError::Overflow`] when it has more than 38 digits at that scale.
    pub fn to_sortable_16(self, scale: u8) -> Result<[u8; 16], NumericError> {
        let value = self.rescale_exact(scale)?;
        Ok((value.coefficient.cast_unsigned() ^ SIGN).to_be_bytes())
    }

    /// Reads [`Self::to_sortable_16`] back.
    ///
    /// # Errors
    /// [`NumericError::Overflow`] when the bytes or the scale are none that it writes.
    pub fn from_sortable_16(bytes: [u8; 16], scale: u8) -> Result<Self, NumericError> {
        Self::new((u128::from_be_bytes(bytes) ^ SIGN).cast_signed(), scale)
    }
}
