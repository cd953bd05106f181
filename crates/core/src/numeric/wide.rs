//! 256-bit unsigned integers: just what exact decimal arithmetic passes through.

use std::cmp::Ordering;

/// `high * 2^128 + low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct U256 {
    pub(super) high: u128,
    pub(super) low: u128,
}

impl From<u128> for U256 {
    fn from(low: u128) -> Self {
        Self { high: 0, low }
    }
}

impl U256 {
    /// The whole product; it always fits.
    pub(super) fn product(a: u128, b: u128) -> Self {
        const HALF: u32 = 64;
        const MASK: u128 = u64::MAX as u128;
        let (a_high, a_low) = (a >> HALF, a & MASK);
        let (b_high, b_low) = (b >> HALF, b & MASK);
        let low = a_low * b_low;
        // Neither sum can carry: (2^64-1)^2 + 2 * (2^64-1) = 2^128 - 1.
        let middle = a_high * b_low + (low >> HALF);
        let other = a_low * b_high + (middle & MASK);
        Self {
            high: a_high * b_high + (middle >> HALF) + (other >> HALF),
            low: (other << HALF) | (low & MASK),
        }
    }

    /// The value, when it fits 128 bits.
    pub(super) fn narrow(self) -> Option<u128> {
        (self.high == 0).then_some(self.low)
    }

    pub(super) fn checked_add(self, other: Self) -> Option<Self> {
        let (low, carry) = self.low.overflowing_add(other.low);
        let high = self.high.checked_add(other.high)?;
        Some(Self {
            high: high.checked_add(u128::from(carry))?,
            low,
        })
    }

    /// `self - other`, when that is not negative.
    pub(super) fn checked_sub(self, other: Self) -> Option<Self> {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        let high = self.high.checked_sub(other.high)?;
        Some(Self {
            high: high.checked_sub(u128::from(borrow))?,
            low,
        })
    }

    /// Quotient and remainder. The divisor is not 0 and below 2^127, as every power of ten and
    /// coefficient is.
    pub(super) fn div_rem(self, divisor: u128) -> (Self, u128) {
        debug_assert!(divisor != 0 && divisor < 1 << 127);
        let high = self.high / divisor;
        let mut remainder = self.high % divisor;
        if remainder == 0 {
            let low = self.low / divisor;
            return (Self { high, low }, self.low % divisor);
        }
        // Long division bit by bit: only values beyond 38 digits come here.
        let mut low = 0u128;
        for bit in (0..128).rev() {
            remainder = (remainder << 1) | ((self.low >> bit) & 1);
            if remainder.cmp(&divisor) != Ordering::Less {
                remainder -= divisor;
                low |= 1 << bit;
            }
        }
        (Self { high, low }, remainder)
    }
}
