//! INTERVAL: months, days and microseconds, each with its own sign, as PostgreSQL keeps them.
//!
//! In SQLite it is a blob of 16 bytes: months and days as big-endian i32, microseconds as
//! big-endian i64. It lives in expressions only; no column has it.

mod text;

use crate::error::SqlError;

/// Days PostgreSQL takes a month for when it compares.
const DAYS_PER_MONTH: i128 = 30;
const MICROS_PER_DAY: i128 = 86_400_000_000;

/// A length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) months: i32,
    pub(crate) days: i32,
    pub(crate) micros: i64,
}

fn out_of_range() -> SqlError {
    SqlError::new("22008", "interval out of range")
}

impl Interval {
    /// Its 16 bytes.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16);
        bytes.extend_from_slice(&self.months.to_be_bytes());
        bytes.extend_from_slice(&self.days.to_be_bytes());
        bytes.extend_from_slice(&self.micros.to_be_bytes());
        bytes
    }

    /// Reads [`Self::to_bytes`] back.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, SqlError> {
        let (months, rest) = bytes.split_first_chunk::<4>().ok_or_else(broken)?;
        let (days, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
        Ok(Self {
            months: i32::from_be_bytes(*months),
            days: i32::from_be_bytes(*days),
            micros: i64::from_be_bytes(rest.try_into().map_err(|_| broken())?),
        })
    }

    pub(super) fn negated(self) -> Result<Self, SqlError> {
        self.times(-1)
    }

    pub(super) fn plus(self, other: Self) -> Result<Self, SqlError> {
        let sum = || {
            Some(Self {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                micros: self.micros.checked_add(other.micros)?,
            })
        };
        sum().ok_or_else(out_of_range)
    }

    pub(super) fn times(self, factor: i64) -> Result<Self, SqlError> {
        let narrow = i32::try_from(factor);
        let product = || {
            let factor_of_fields = match narrow {
                Ok(factor) => factor,
                Err(_) if self.months == 0 && self.days == 0 => 0,
                Err(_) => return None,
            };
            Some(Self {
                months: self.months.checked_mul(factor_of_fields)?,
                days: self.days.checked_mul(factor_of_fields)?,
                micros: self.micros.checked_mul(factor)?,
            })
        };
        product().ok_or_else(out_of_range)
    }

    /// Its length in microseconds with months of 30 days: what comparisons look at.
    pub(super) fn comparable(self) -> Result<i64, SqlError> {
        let days = i128::from(self.months) * DAYS_PER_MONTH + i128::from(self.days);
        i64::try_from(days * MICROS_PER_DAY + i128::from(self.micros)).map_err(|_| out_of_range())
    }
}

fn broken() -> SqlError {
    SqlError::new("XX000", "an interval is not 16 bytes")
}

#[cfg(test)]
mod tests;
