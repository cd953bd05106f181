//! Operations of SQL on decimals, and the scale of their results.

use std::ops::Neg;

use super::wide::U256;
use super::{COEFFICIENT_END, Numeric, NumericError, pow10};
use crate::value::{NUMERIC_PRECISION_MAX, NUMERIC_SCALE_MAX};

/// Digits after the point that a quotient has at least (PostgreSQL's NUMERIC_MIN_SIG_DIGITS).
const QUOTIENT_SCALE_MIN: u8 = 16;

/// Scale of a sum, difference or remainder: the larger one.
#[must_use]
pub fn add_scale(left: u8, right: u8) -> u8 {
    left.max(right)
}

/// Scale of a product: the sum of both, at most 30.
#[must_use]
pub fn mul_scale(left: u8, right: u8) -> u8 {
    left.saturating_add(right).min(NUMERIC_SCALE_MAX)
}

/// Scale of a quotient: the larger one and at least 16, at most 30.
///
/// PostgreSQL also looks at the operands' magnitudes, giving 16 to 20 digits for everyday values;
/// here the scale follows from the types alone, so an expression has one type.
#[must_use]
pub fn div_scale(left: u8, right: u8) -> u8 {
    left.max(right).clamp(QUOTIENT_SCALE_MIN, NUMERIC_SCALE_MAX)
}

impl Neg for Numeric {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            coefficient: -self.coefficient,
            scale: self.scale,
        }
    }
}

impl Numeric {
    /// The sum, exact, at the larger scale; at a smaller one where only trailing zeros are in the way.
    ///
    /// # Errors
    /// [`NumericError::Overflow`] when the exact sum has more than 38 digits.
    pub fn checked_add(self, other: Self) -> Result<Self, NumericError> {
        let scale = add_scale(self.scale, other.scale);
        if let Some(left) = self.coefficient.checked_mul(pow10(scale - self.scale))
            && let Some(right) = other.coefficient.checked_mul(pow10(scale - other.scale))
            && let Some(sum) = left.checked_add(right)
            && sum.unsigned_abs() < COEFFICIENT_END
        {
            return Ok(Self {
                coefficient: sum,
                scale,
            });
        }
        let left = self.widened(scale);
        let right = other.widened(scale);
        let overflow = NumericError::Overflow;
        let (negative, magnitude) = if self.is_negative() == other.is_negative() {
            (self.is_negative(), left.checked_add(right).ok_or(overflow)?)
        } else if left >= right {
            (self.is_negative(), left.checked_sub(right).ok_or(overflow)?)
        } else {
            (
                other.is_negative(),
                right.checked_sub(left).ok_or(overflow)?,
            )
        };
        narrowed(negative, magnitude, scale)
    }

    /// The difference, exact; see [`Self::checked_add`].
    ///
    /// # Errors
    /// [`NumericError::Overflow`] when the exact difference has more than 38 digits.
    pub fn checked_sub(self, other: Self) -> Result<Self, NumericError> {
        self.checked_add(-other)
    }

    /// The product, rounded half away from zero to `scale`. Only the result has to fit 38 digits.
    ///
    /// # Errors
    /// [`NumericError::Overflow`] when the rounded product has more than 38 digits.
    pub fn checked_mul(self, other: Self, scale: u8) -> Result<Self, NumericError> {
        if scale > NUMERIC_SCALE_MAX {
            return Err(NumericError::Overflow);
        }
        let negative = self.is_negative() != other.is_negative();
        let product = U256::product(self.magnitude(), other.magnitude());
        // Up to 60; both are at most 30.
        let product_scale = self.scale + other.scale;
        if scale > product_scale {
            let product = product.narrow().ok_or(NumericError::Overflow)?;
            let product = signed(negative, product).ok_or(NumericError::Overflow)?;
            let factor = pow10(scale - product_scale);
            let coefficient = product.checked_mul(factor).ok_or(NumericError::Overflow)?;
            return Self::new(coefficient, scale);
        }
        let rounded = rounded_shift(product, product_scale - scale);
        let coefficient = rounded
            .narrow()
            .and_then(|magnitude| signed(negative, magnitude))
            .ok_or(NumericError::Overflow)?;
        Self::new(coefficient, scale)
    }

    /// The quotient, rounded half away from zero to `scale`. Only the result has to fit 38 digits.
    ///
    /// # Errors
    /// [`NumericError::DivisionByZero`]; [`NumericError::Overflow`] when the rounded quotient has
    /// more than 38 digits.
    pub fn checked_div(self, other: Self, scale: u8) -> Result<Self, NumericError> {
        if other.is_zero() {
            return Err(NumericError::DivisionByZero);
        }
        if scale > NUMERIC_SCALE_MAX {
            return Err(NumericError::Overflow);
        }
        let negative = self.is_negative() != other.is_negative();
        let (up, down) = (scale + other.scale, self.scale);
        let magnitude = if up >= down {
            long_division(self.magnitude(), other.magnitude(), up - down)?
        } else {
            match U256::product(other.magnitude(), pow10(down - up).unsigned_abs()).narrow() {
                Some(divisor) if divisor < 1 << 127 => half_up(self.magnitude(), divisor, 0)?,
                // Above any dividend: the quotient is below 1.
                Some(divisor) => u128::from(self.magnitude() >= divisor.div_ceil(2)),
                // Above twice any dividend: the quotient is below 1/2.
                None => 0,
            }
        };
        Self::new(
            signed(negative, magnitude).ok_or(NumericError::Overflow)?,
            scale,
        )
    }

    /// The remainder of truncating division, at the larger scale; it has the sign of `self`.
    ///
    /// # Errors
    /// [`NumericError::DivisionByZero`].
    pub fn checked_rem(self, other: Self) -> Result<Self, NumericError> {
        if other.is_zero() {
            return Err(NumericError::DivisionByZero);
        }
        let scale = add_scale(self.scale, other.scale);
        let magnitude = match other.widened(scale).narrow() {
            Some(divisor) if divisor < 1 << 127 => self.widened(scale).div_rem(divisor).1,
            // Only a widened divisor gets this large, so `self` has the larger scale already and its
            // magnitude, below 10^38, is below the divisor.
            _ => self.magnitude(),
        };
        Self::new(
            signed(self.is_negative(), magnitude).ok_or(NumericError::Overflow)?,
            scale,
        )
    }

    /// The value without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self {
            coefficient: self.coefficient.abs(),
            scale: self.scale,
        }
    }

    /// -1, 0 or 1.
    #[must_use]
    pub fn sign(self) -> i64 {
        self.coefficient.signum() as i64
    }

    /// The value at another scale, rounded half away from zero.
    ///
    /// # Errors
    /// [`NumericError::Overflow`] when the scale is over 30 or the result has more than 38 digits.
    pub fn rescale(self, scale: u8) -> Result<Self, NumericError> {
        if scale > NUMERIC_SCALE_MAX {
            return Err(NumericError::Overflow);
        }
        if scale >= self.scale {
            let factor = pow10(scale - self.scale);
            let coefficient = self
                .coefficient
                .checked_mul(factor)
                .ok_or(NumericError::Overflow)?;
            return Self::new(coefficient, scale);
        }
        Self::new(
            divide_rounded(self.coefficient, pow10(self.scale - scale)),
            scale,
        )
    }

    /// The value at another scale, only if no digit is lost.
    ///
    /// # Errors
    /// [`NumericError::Inexact`] when digits would be lost, otherwise as [`Self::rescale`].
    pub fn rescale_exact(self, scale: u8) -> Result<Self, NumericError> {
        if scale < self.scale && self.coefficient % pow10(self.scale - scale) != 0 {
            return Err(NumericError::Inexact { scale });
        }
        self.rescale(scale)
    }

    /// The value as a NUMERIC(precision, scale) keeps it: rounded to the scale, then measured.
    ///
    /// # Errors
    /// [`NumericError::FieldOverflow`] when it then has too many digits.
    pub fn fit(self, precision: u8, scale: u8) -> Result<Self, NumericError> {
        match self.rescale(scale) {
            Ok(value) if value.digit_count() <= u32::from(precision) => Ok(value),
            _ => Err(NumericError::FieldOverflow { precision, scale }),
        }
    }

    /// SQL's `round(value, digits)`: half away from zero. Negative digits round before the point.
    ///
    /// # Errors
    /// [`NumericError::Overflow`] when rounding up gives a 39th digit.
    pub fn round(self, digits: i32) -> Result<Self, NumericError> {
        self.cut(digits, divide_rounded)
    }

    /// SQL's `trunc(value, digits)`: towards zero. Negative digits cut before the point.
    #[must_use]
    pub fn trunc(self, digits: i32) -> Self {
        self.cut(digits, |value, unit| value / unit).unwrap_or(self)
    }

    /// The smallest whole number not below the value.
    ///
    /// # Errors
    /// [`NumericError::Overflow`] never in practice: a value with a fraction has fewer than 38 digits before the point.
    pub fn ceil(self) -> Result<Self, NumericError> {
        let unit = pow10(self.scale);
        let up = i128::from(self.coefficient % unit > 0);
        Self::new(self.coefficient / unit + up, 0)
    }

    /// The largest whole number not above the value.
    ///
    /// # Errors
    /// As [`Self::ceil`].
    pub fn floor(self) -> Result<Self, NumericError> {
        Ok(-(-self).ceil()?)
    }

    fn cut(self, digits: i32, divide: fn(i128, i128) -> i128) -> Result<Self, NumericError> {
        let scale = digits.clamp(0, i32::from(NUMERIC_SCALE_MAX)) as u8;
        if digits >= i32::from(self.scale) {
            // More digits than there are: the value stays, and takes the scale if it can.
            return Ok(self.rescale(scale).unwrap_or(self));
        }
        let dropped = i32::from(self.scale).saturating_sub(digits);
        if dropped > i32::from(NUMERIC_PRECISION_MAX) {
            return Self::new(0, scale);
        }
        let kept = divide(self.coefficient, pow10(dropped as u8));
        let before_point = digits.min(0).unsigned_abs() as u8;
        let coefficient = kept
            .checked_mul(pow10(before_point))
            .ok_or(NumericError::Overflow)?;
        Self::new(coefficient, scale)
    }

    fn is_negative(self) -> bool {
        self.coefficient < 0
    }

    fn magnitude(self) -> u128 {
        self.coefficient.unsigned_abs()
    }

    /// The magnitude at a scale not below the value's own.
    fn widened(self, scale: u8) -> U256 {
        U256::product(self.magnitude(), pow10(scale - self.scale).unsigned_abs())
    }
}

/// `value / unit`, rounded half away from zero. The unit is a power of ten.
pub(super) fn divide_rounded(value: i128, unit: i128) -> i128 {
    let (quotient, remainder) = (value / unit, value % unit);
    if unit > 1 && remainder.unsigned_abs() >= unit.unsigned_abs() / 2 {
        quotient + value.signum()
    } else {
        quotient
    }
}

fn signed(negative: bool, magnitude: u128) -> Option<i128> {
    let value = i128::try_from(magnitude).ok()?;
    Some(if negative { -value } else { value })
}

/// A wide magnitude as a value; trailing zeros after the point give way when it is too long.
fn narrowed(negative: bool, mut magnitude: U256, mut scale: u8) -> Result<Numeric, NumericError> {
    while magnitude >= U256::from(COEFFICIENT_END) && scale > 0 {
        let (quotient, remainder) = magnitude.div_rem(10);
        if remainder != 0 {
            break;
        }
        magnitude = quotient;
        scale -= 1;
    }
    let coefficient = magnitude
        .narrow()
        .and_then(|magnitude| signed(negative, magnitude))
        .ok_or(NumericError::Overflow)?;
    Numeric::new(coefficient, scale)
}

/// `value / 10^digits`, rounded half up. Up to 60 digits, so in two steps; what the first step
/// drops cannot change which side of a half the rest lies on.
fn rounded_shift(value: U256, digits: u8) -> U256 {
    if digits == 0 {
        return value;
    }
    let first = digits.saturating_sub(NUMERIC_SCALE_MAX);
    let (value, _) = value.div_rem(pow10(first).unsigned_abs());
    let unit = pow10(digits - first).unsigned_abs();
    let (quotient, remainder) = value.div_rem(unit);
    let up = u128::from(remainder >= unit / 2);
    quotient
        .checked_add(U256::from(up))
        .expect("a quotient of at least ten is far below 2^256")
}

/// `dividend * 10^digits / divisor`, rounded half up, for up to 60 digits and a divisor below 2^127.
fn long_division(dividend: u128, divisor: u128, digits: u8) -> Result<u128, NumericError> {
    let mut quotient = dividend / divisor;
    let mut remainder = dividend % divisor;
    let mut left = digits;
    while left > 0 {
        let step = left.min(NUMERIC_PRECISION_MAX);
        let factor = pow10(step).unsigned_abs();
        let (next, rest) = U256::product(remainder, factor).div_rem(divisor);
        // The remainder is below the divisor, so `next` is below the factor.
        let next = next.narrow().ok_or(NumericError::Overflow)?;
        quotient = quotient
            .checked_mul(factor)
            .and_then(|quotient| quotient.checked_add(next))
            .ok_or(NumericError::Overflow)?;
        remainder = rest;
        left -= step;
    }
    half_up(remainder, divisor, quotient)
}

/// `quotient + remainder / divisor`, rounded half up, for a divisor below 2^127.
fn half_up(remainder: u128, divisor: u128, quotient: u128) -> Result<u128, NumericError> {
    let whole = remainder / divisor;
    let rest = remainder % divisor;
    let up = u128::from(rest >= divisor - rest);
    quotient
        .checked_add(whole + up)
        .ok_or(NumericError::Overflow)
}
