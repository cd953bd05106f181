//! Exact decimals.
//!
//! A [`Numeric`] is `coefficient / 10^scale` with at most 38 digits, 30 of them after the point.
//! It remembers the scale it was written with, as PostgreSQL does (`1.50` prints as `1.50`), but
//! equality, order, hashing and encoding look at the value alone: `1.5` and `1.50` are one value
//! with one encoding. Every operation is exact, or rounds half away from zero to a scale the caller
//! names, or gives a [`NumericError`]; nothing depends on the machine.
//!
//! Encoding, after trailing zeros are dropped:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | scale, 0 to 30 |
//! | 1 | length of the coefficient, 0 (zero) to 16 |
//! | length | coefficient, two's complement, big-endian, shortest |

mod arithmetic;
mod convert;
mod text;
mod wide;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use thiserror::Error;

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::value::{NUMERIC_PRECISION_MAX, NUMERIC_SCALE_MAX};

pub use arithmetic::{add_scale, div_scale, mul_scale};

/// The first magnitude with too many digits: 10^38.
const COEFFICIENT_END: u128 = 10u128.pow(NUMERIC_PRECISION_MAX as u32);

/// An exact decimal: `coefficient / 10^scale`. At most 38 digits, scale at most 30.
#[derive(Clone, Copy, Debug)]
pub struct Numeric {
    coefficient: i128,
    scale: u8,
}

/// Why an operation on decimals has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NumericError {
    /// The result needs more than 38 digits, or more than 30 after the point.
    #[error("value overflows numeric format: at most 38 digits, 30 of them after the point")]
    Overflow,
    /// The value does not fit a declared precision and scale.
    #[error("numeric field overflow: NUMERIC({precision},{scale}) holds values below 10^{}", .precision.saturating_sub(*.scale))]
    FieldOverflow {
        /// Declared digits in all.
        precision: u8,
        /// Declared digits after the point.
        scale: u8,
    },
    /// Division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The text is not a decimal.
    #[error("invalid input syntax for type numeric")]
    Invalid,
    /// NaN or an infinity, which the ledger does not keep.
    #[error("NaN and infinities cannot be stored: give a finite number or NULL")]
    NotFinite,
    /// Digits would be lost where none may be.
    #[error("the value has more digits after the point than the scale {scale}: round it first")]
    Inexact {
        /// The scale asked for.
        scale: u8,
    },
    /// The value lies outside the integer type asked for.
    #[error("bigint out of range")]
    IntegerOverflow,
}

impl NumericError {
    /// The SQLSTATE a client sees.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Overflow
            | Self::FieldOverflow { .. }
            | Self::NotFinite
            | Self::Inexact { .. }
            | Self::IntegerOverflow => "22003",
            Self::DivisionByZero => "22012",
            Self::Invalid => "22P02",
        }
    }
}

impl Numeric {
    /// 0.
    pub const ZERO: Self = Self {
        coefficient: 0,
        scale: 0,
    };

    /// 1.
    pub const ONE: Self = Self {
        coefficient: 1,
        scale: 0,
    };

    /// `coefficient / 10^scale`.
    ///
    /// # Errors
    /// [`NumericError::Overflow`] when the coefficient has more than 38 digits or the scale is over 30.
    pub fn new(coefficient: i128, scale: u8) -> Result<Self, NumericError> {
        if coefficient.unsigned_abs() >= COEFFICIENT_END || scale > NUMERIC_SCALE_MAX {
            return Err(NumericError::Overflow);
        }
        Ok(Self { coefficient, scale })
    }

    /// The digits as an integer.
    #[must_use]
    pub fn coefficient(self) -> i128 {
        self.coefficient
    }

    /// Digits after the point, as written.
    #[must_use]
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// Whether this is 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.coefficient == 0
    }

    /// The same value without trailing zeros after the point.
    #[must_use]
    pub fn normalized(self) -> Self {
        let Self {
            mut coefficient,
            mut scale,
        } = self;
        if coefficient == 0 {
            return Self::ZERO;
        }
        // 128-bit division is a slow call; nearly every value fits the fast loop.
        while scale > 0 && i64::try_from(coefficient).is_err() {
            if coefficient % 10 != 0 {
                return Self { coefficient, scale };
            }
            coefficient /= 10;
            scale -= 1;
        }
        if let Ok(mut small) = i64::try_from(coefficient) {
            while scale > 0 && small % 10 == 0 {
                small /= 10;
                scale -= 1;
            }
            coefficient = i128::from(small);
        }
        Self { coefficient, scale }
    }

    /// Whether the value has at most `scale` digits after the point and, written at that scale, at
    /// most `precision` digits in all: whether a NUMERIC(precision, scale) holds it unrounded.
    #[must_use]
    pub fn fits(self, precision: u8, scale: u8) -> bool {
        self.rescale_exact(scale)
            .is_ok_and(|value| value.digit_count() <= u32::from(precision))
    }

    /// Digits of the coefficient; 0 has none.
    #[must_use]
    pub fn digit_count(self) -> u32 {
        match self.coefficient.unsigned_abs() {
            0 => 0,
            magnitude => magnitude.ilog10() + 1,
        }
    }

    /// Whole part and fraction at scale 30; both carry the sign.
    fn split(self) -> (i128, i128) {
        let unit = pow10(self.scale);
        let fraction = (self.coefficient % unit) * pow10(NUMERIC_SCALE_MAX - self.scale);
        (self.coefficient / unit, fraction)
    }
}

/// 10^`exponent`, for exponents up to 38.
fn pow10(exponent: u8) -> i128 {
    const POWERS: [i128; NUMERIC_PRECISION_MAX as usize + 1] = {
        let mut powers = [1; NUMERIC_PRECISION_MAX as usize + 1];
        let mut i = 1;
        while i < powers.len() {
            #[expect(clippy::indexing_slicing, reason = "checked when compiled")]
            {
                powers[i] = powers[i - 1] * 10;
            }
            i += 1;
        }
        powers
    };
    *POWERS
        .get(usize::from(exponent))
        .expect("exponents are differences of scales, far below 38")
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Numeric {}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.coefficient.cmp(&other.coefficient);
        }
        self.split().cmp(&other.split())
    }
}

impl Hash for Numeric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let normal = self.normalized();
        normal.coefficient.hash(state);
        normal.scale.hash(state);
    }
}

/// How many bytes the shortest two's complement form of `coefficient` has; 0 has none.
fn coefficient_len(coefficient: i128) -> usize {
    if coefficient == 0 {
        return 0;
    }
    let sign_bits = if coefficient < 0 {
        coefficient.leading_ones()
    } else {
        coefficient.leading_zeros()
    };
    // One sign bit has to stay.
    ((128 - sign_bits) / 8 + 1) as usize
}

impl Encode for Numeric {
    fn encode(&self, out: &mut Vec<u8>) {
        let normal = self.normalized();
        let len = coefficient_len(normal.coefficient);
        out.extend_from_slice(&[normal.scale, len as u8]);
        let bytes = normal.coefficient.to_be_bytes();
        out.extend(bytes.iter().skip(bytes.len() - len));
    }
}

impl Decode for Numeric {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [scale, len] = reader.array()?;
        if usize::from(len) > size_of::<i128>() {
            return Err(DecodeError::TooLarge {
                what: "length of a NUMERIC",
                found: u64::from(len),
                max: size_of::<i128>() as u64,
            });
        }
        let bytes = reader.take(usize::from(len))?;
        let negative = bytes.first().is_some_and(|first| *first >= 0x80);
        let coefficient = bytes
            .iter()
            .fold(if negative { -1 } else { 0 }, |sum: i128, byte| {
                (sum << 8) | i128::from(*byte)
            });
        let value = Self::new(coefficient, scale)
            .map_err(|_| DecodeError::Invalid("a NUMERIC has more than 38 digits"))?;
        if coefficient_len(coefficient) != usize::from(len) || value.normalized().scale != scale {
            return Err(DecodeError::Invalid(
                "a NUMERIC is not in its shortest form",
            ));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
