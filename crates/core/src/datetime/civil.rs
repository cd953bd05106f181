//! Day and microsecond counts as calendar fields, and back.

use super::{DateTimeError, MICROS_PER_DAY, MICROS_PER_SECOND, check_date, check_timestamp};

/// Calendar and clock fields of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// 1 to 9999.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999999.
    pub micros: u32,
}

/// How many days a month has; `month` is 1 to 12.
#[must_use]
pub fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a calendar date.
///
/// # Errors
/// [`DateTimeError::FieldOutOfRange`] when there is no such day, [`DateTimeError::DateOutOfRange`]
/// outside the years 1 to 9999.
pub fn date_of(year: i32, month: u8, day: u8) -> Result<i32, DateTimeError> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return Err(DateTimeError::FieldOutOfRange);
    }
    if !(1..=9999).contains(&year) {
        return Err(DateTimeError::DateOutOfRange);
    }
    // Howard Hinnant's days_from_civil: years start in March, so the leap day comes last, and 400
    // years (an era) have 146,097 days.
    let (month, day) = (i64::from(month), i64::from(day));
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    check_date(era * 146_097 + day_of_era - 719_468)
}

/// The calendar fields of a date; the clock fields are 0.
#[must_use]
pub fn civil_of_date(days: i32) -> Civil {
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    Civil {
        year: year as i32,
        month: month as u8,
        day: day as u8,
        hour: 0,
        minute: 0,
        second: 0,
        micros: 0,
    }
}

/// Microseconds since 1970-01-01 00:00 UTC of calendar and clock fields.
///
/// # Errors
/// As [`date_of`], and [`DateTimeError::FieldOutOfRange`] when there is no such time of day.
pub fn timestamp_of(civil: &Civil) -> Result<i64, DateTimeError> {
    let days = date_of(civil.year, civil.month, civil.day)?;
    if civil.hour > 23 || civil.minute > 59 || civil.second > 59 || civil.micros > 999_999 {
        return Err(DateTimeError::FieldOutOfRange);
    }
    let seconds =
        i64::from(civil.hour) * 3600 + i64::from(civil.minute) * 60 + i64::from(civil.second);
    check_timestamp(
        i64::from(days) * MICROS_PER_DAY + seconds * MICROS_PER_SECOND + i64::from(civil.micros),
    )
}

/// The calendar and clock fields of a timestamp, in UTC.
#[must_use]
pub fn civil_of_timestamp(micros: i64) -> Civil {
    // Any i64 of microseconds is within 300,000 years, so the day count fits an i32.
    let date = civil_of_date(micros.div_euclid(MICROS_PER_DAY) as i32);
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    let seconds = of_day / MICROS_PER_SECOND;
    Civil {
        hour: (seconds / 3600) as u8,
        minute: (seconds / 60 % 60) as u8,
        second: (seconds % 60) as u8,
        micros: (of_day % MICROS_PER_SECOND) as u32,
        ..date
    }
}
