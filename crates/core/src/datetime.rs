//! Dates and timestamps: the proleptic Gregorian calendar, years 1 to 9999, microseconds, UTC.
//!
//! A date is an `i32` of days since 1970-01-01, a timestamp an `i64` of microseconds since 1970-01-01
//! 00:00 UTC. Nothing here reads a clock or knows a time zone beyond a fixed offset in a text.

mod civil;
mod field;
mod shift;
mod text;

use thiserror::Error;

pub use civil::{Civil, civil_of_date, civil_of_timestamp, date_of, days_in_month, timestamp_of};
pub use field::{Field, extract_from_date, extract_from_timestamp};
pub use shift::{
    Unit, add_days, add_micros, add_months_to_date, add_months_to_timestamp, date_to_timestamp,
    timestamp_to_date, truncate_timestamp,
};
pub use text::{
    format_date, format_timestamp, format_timestamptz, parse_date, parse_timestamp,
    parse_timestamptz,
};

/// 0001-01-01.
pub const DATE_MIN: i32 = -719_162;
/// 9999-12-31.
pub const DATE_MAX: i32 = 2_932_896;
/// 0001-01-01 00:00:00.
pub const TIMESTAMP_MIN: i64 = DATE_MIN as i64 * MICROS_PER_DAY;
/// 9999-12-31 23:59:59.999999.
pub const TIMESTAMP_MAX: i64 = (DATE_MAX as i64 + 1) * MICROS_PER_DAY - 1;
/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Microseconds of a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// Why there is no such date or timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DateTimeError {
    /// The text has none of the forms read here.
    #[error(
        "invalid input syntax: write YYYY-MM-DD, then HH:MM:SS and a zone such as +08 where a time is meant"
    )]
    Syntax,
    /// A month, day, hour, minute or second that does not exist.
    #[error("date/time field value out of range")]
    FieldOutOfRange,
    /// A zone offset of 16 hours or more.
    #[error("time zone displacement out of range")]
    ZoneOutOfRange,
    /// Outside the years 1 to 9999.
    #[error("date out of range: years 1 to 9999 can be kept")]
    DateOutOfRange,
    /// Outside the years 1 to 9999.
    #[error("timestamp out of range: years 1 to 9999 can be kept")]
    TimestampOutOfRange,
}

impl DateTimeError {
    /// The SQLSTATE a client sees.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Syntax => "22007",
            Self::ZoneOutOfRange => "22009",
            Self::FieldOutOfRange | Self::DateOutOfRange | Self::TimestampOutOfRange => "22008",
        }
    }
}

/// Passes a day count inside the bounds.
///
/// # Errors
/// [`DateTimeError::DateOutOfRange`].
pub fn check_date(days: i64) -> Result<i32, DateTimeError> {
    match i32::try_from(days) {
        Ok(days) if (DATE_MIN..=DATE_MAX).contains(&days) => Ok(days),
        _ => Err(DateTimeError::DateOutOfRange),
    }
}

/// Passes a microsecond count inside the bounds.
///
/// # Errors
/// [`DateTimeError::TimestampOutOfRange`].
pub fn check_timestamp(micros: i64) -> Result<i64, DateTimeError> {
    match micros {
        TIMESTAMP_MIN..=TIMESTAMP_MAX => Ok(micros),
        _ => Err(DateTimeError::TimestampOutOfRange),
    }
}

#[cfg(test)]
mod tests;
