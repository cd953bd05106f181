//! Moving dates and timestamps, and cutting them down to a unit.

use super::{
    Civil, DateTimeError, MICROS_PER_DAY, MICROS_PER_SECOND, check_date, check_timestamp,
    civil_of_date, civil_of_timestamp, date_of, days_in_month,
};

/// What `date_trunc` cuts down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nothing is cut.
    Microsecond,
    /// 1/1000 s.
    Millisecond,
    /// Whole second.
    Second,
    /// Whole minute.
    Minute,
    /// Whole hour.
    Hour,
    /// Midnight.
    Day,
    /// Midnight of Monday.
    Week,
    /// First of the month.
    Month,
    /// First of January, April, July or October.
    Quarter,
    /// First of January.
    Year,
    /// First of January of a year that ends in 0.
    Decade,
    /// First of January of a year that ends in 01.
    Century,
    /// First of January of a year that ends in 001.
    Millennium,
}

impl Unit {
    /// The unit of that name, as PostgreSQL names it, singular or plural, any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.strip_suffix('s').unwrap_or(&name) {
            "microsecond" => Self::Microsecond,
            "millisecond" => Self::Millisecond,
            "second" => Self::Second,
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            "decade" => Self::Decade,
            "century" | "centurie" => Self::Century,
            "millennium" | "millennia" => Self::Millennium,
            _ => return None,
        })
    }
}

/// The last unit boundary at or before a timestamp (`date_trunc`).
///
/// # Errors
/// [`DateTimeError::TimestampOutOfRange`] when that lies before year 1 (a week can).
pub fn truncate_timestamp(micros: i64, unit: Unit) -> Result<i64, DateTimeError> {
    let fixed = |length: i64| check_timestamp(micros - micros.rem_euclid(length));
    let days = micros.div_euclid(MICROS_PER_DAY);
    let civil = civil_of_timestamp(micros);
    let first = |year: i32, month: u8| Ok(i64::from(date_of(year, month, 1)?) * MICROS_PER_DAY);
    let first_of = |month: u8| first(civil.year, month);
    let year_from_1_by = |length: i32| first((civil.year - 1) / length * length + 1, 1);
    match unit {
        Unit::Microsecond => check_timestamp(micros),
        Unit::Millisecond => fixed(1_000),
        Unit::Second => fixed(MICROS_PER_SECOND),
        Unit::Minute => fixed(60 * MICROS_PER_SECOND),
        Unit::Hour => fixed(3_600 * MICROS_PER_SECOND),
        Unit::Day => fixed(MICROS_PER_DAY),
        // 1970-01-01 was a Thursday, three days after a Monday.
        Unit::Week => check_timestamp((days - (days + 3).rem_euclid(7)) * MICROS_PER_DAY),
        Unit::Month => first_of(civil.month),
        Unit::Quarter => first_of((civil.month - 1) / 3 * 3 + 1),
        Unit::Year => first_of(1),
        // The first ten years have none that ends in 0.
        Unit::Decade => first(civil.year / 10 * 10, 1),
        Unit::Century => year_from_1_by(100),
        Unit::Millennium => year_from_1_by(1_000),
    }
}

/// Midnight of a date.
///
/// # Errors
/// [`DateTimeError::TimestampOutOfRange`] when the date is outside its own bounds.
pub fn date_to_timestamp(days: i32) -> Result<i64, DateTimeError> {
    check_timestamp(i64::from(days) * MICROS_PER_DAY)
}

/// The date a timestamp falls on.
///
/// # Errors
/// [`DateTimeError::DateOutOfRange`] when the timestamp is outside its own bounds.
pub fn timestamp_to_date(micros: i64) -> Result<i32, DateTimeError> {
    check_date(micros.div_euclid(MICROS_PER_DAY))
}

/// A date some days later, or earlier.
///
/// # Errors
/// [`DateTimeError::DateOutOfRange`].
pub fn add_days(days: i32, more: i64) -> Result<i32, DateTimeError> {
    check_date(i64::from(days).saturating_add(more))
}

/// A timestamp some microseconds later, or earlier.
///
/// # Errors
/// [`DateTimeError::TimestampOutOfRange`].
pub fn add_micros(micros: i64, more: i64) -> Result<i64, DateTimeError> {
    check_timestamp(micros.saturating_add(more))
}

/// A date some months later, or earlier; a day past the month's end becomes its last.
///
/// # Errors
/// [`DateTimeError::DateOutOfRange`].
pub fn add_months_to_date(days: i32, more: i64) -> Result<i32, DateTimeError> {
    let Civil {
        year, month, day, ..
    } = civil_of_date(days);
    let months = (i64::from(year) * 12 + i64::from(month) - 1).saturating_add(more);
    let year = i32::try_from(months.div_euclid(12)).map_err(|_| DateTimeError::DateOutOfRange)?;
    let month = months.rem_euclid(12) as u8 + 1;
    date_of(year, month, day.min(days_in_month(year, month)))
}

/// A timestamp some months later, or earlier; a day past the month's end becomes its last.
///
/// # Errors
/// [`DateTimeError::TimestampOutOfRange`].
pub fn add_months_to_timestamp(micros: i64, more: i64) -> Result<i64, DateTimeError> {
    let out_of_range = |_| DateTimeError::TimestampOutOfRange;
    let days = timestamp_to_date(micros).map_err(out_of_range)?;
    let moved = add_months_to_date(days, more).map_err(out_of_range)?;
    check_timestamp(i64::from(moved) * MICROS_PER_DAY + micros.rem_euclid(MICROS_PER_DAY))
}
