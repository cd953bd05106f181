//! `extract(field from …)`.

use super::{Civil, DateTimeError, MICROS_PER_DAY, civil_of_date, civil_of_timestamp, date_of};
use crate::numeric::Numeric;

/// A field of a date or timestamp, as PostgreSQL's `extract` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// 1 from the year 1 on, 2 from 1001 on.
    Millennium,
    /// 1 from the year 1 on, 2 from 101 on.
    Century,
    /// The year by ten.
    Decade,
    /// Year.
    Year,
    /// Quarter, 1 to 4.
    Quarter,
    /// Month, 1 to 12.
    Month,
    /// ISO 8601 week, 1 to 53.
    Week,
    /// The year the ISO 8601 week belongs to.
    IsoYear,
    /// Day of the month, 1 to 31.
    Day,
    /// Day of the year, 1 to 366.
    DayOfYear,
    /// Day of the week, Sunday 0 to Saturday 6.
    DayOfWeek,
    /// Day of the week, Monday 1 to Sunday 7.
    IsoDayOfWeek,
    /// Hour, 0 to 23.
    Hour,
    /// Minute, 0 to 59.
    Minute,
    /// Second with microseconds.
    Second,
    /// Second with microseconds, in milliseconds.
    Milliseconds,
    /// Second with microseconds, in microseconds.
    Microseconds,
    /// Seconds since 1970-01-01 00:00 UTC.
    Epoch,
}

impl Field {
    /// The field of that name, any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "millennium" | "millennia" => Self::Millennium,
            "century" | "centuries" => Self::Century,
            "decade" | "decades" => Self::Decade,
            "year" | "years" => Self::Year,
            "quarter" => Self::Quarter,
            "month" | "months" => Self::Month,
            "week" | "weeks" => Self::Week,
            "isoyear" => Self::IsoYear,
            "day" | "days" => Self::Day,
            "doy" => Self::DayOfYear,
            "dow" => Self::DayOfWeek,
            "isodow" => Self::IsoDayOfWeek,
            "hour" | "hours" => Self::Hour,
            "minute" | "minutes" => Self::Minute,
            "second" | "seconds" => Self::Second,
            "millisecond" | "milliseconds" => Self::Milliseconds,
            "microsecond" | "microseconds" => Self::Microseconds,
            "epoch" => Self::Epoch,
            _ => return None,
        })
    }

    /// Whether only a time of day has it; `extract` refuses these for a DATE (0A000).
    #[must_use]
    pub fn is_of_time(self) -> bool {
        matches!(
            self,
            Self::Hour | Self::Minute | Self::Second | Self::Milliseconds | Self::Microseconds
        )
    }

    /// Digits after the point of its value for a timestamp.
    #[must_use]
    pub fn scale(self) -> u8 {
        match self {
            Self::Second | Self::Epoch => 6,
            Self::Milliseconds => 3,
            _ => 0,
        }
    }
}

/// `extract(field from timestamp)`, in UTC, at [`Field::scale`].
///
/// # Errors
/// [`DateTimeError::TimestampOutOfRange`] when the timestamp is outside its bounds.
pub fn extract_from_timestamp(micros: i64, field: Field) -> Result<Numeric, DateTimeError> {
    let civil = civil_of_timestamp(super::check_timestamp(micros)?);
    let seconds = i64::from(civil.second) * super::MICROS_PER_SECOND + i64::from(civil.micros);
    let value = match field {
        Field::Hour => i64::from(civil.hour),
        Field::Minute => i64::from(civil.minute),
        Field::Second | Field::Milliseconds | Field::Microseconds => seconds,
        Field::Epoch => micros,
        _ => calendar_field(micros.div_euclid(MICROS_PER_DAY) as i32, &civil, field)?,
    };
    Numeric::new(i128::from(value), field.scale()).map_err(|_| DateTimeError::TimestampOutOfRange)
}

/// `extract(field from date)`, a whole number; clock fields are 0 (see [`Field::is_of_time`]).
///
/// # Errors
/// [`DateTimeError::DateOutOfRange`] when the date is outside its bounds.
pub fn extract_from_date(days: i32, field: Field) -> Result<Numeric, DateTimeError> {
    let days = super::check_date(i64::from(days))?;
    let value = match field {
        Field::Epoch => i64::from(days) * 86_400,
        _ if field.is_of_time() => 0,
        _ => calendar_field(days, &civil_of_date(days), field)?,
    };
    Ok(Numeric::from(value))
}

fn calendar_field(days: i32, civil: &Civil, field: Field) -> Result<i64, DateTimeError> {
    let days = i64::from(days);
    Ok(match field {
        // Years are 1 and more.
        Field::Millennium => i64::from((civil.year - 1) / 1_000 + 1),
        Field::Century => i64::from((civil.year - 1) / 100 + 1),
        Field::Decade => i64::from(civil.year / 10),
        Field::Year => i64::from(civil.year),
        Field::Quarter => i64::from((civil.month - 1) / 3 + 1),
        Field::Month => i64::from(civil.month),
        Field::Day => i64::from(civil.day),
        Field::DayOfYear => days - i64::from(date_of(civil.year, 1, 1)?) + 1,
        // 1970-01-01 was a Thursday.
        Field::DayOfWeek => (days + 4).rem_euclid(7),
        Field::IsoDayOfWeek => (days + 3).rem_euclid(7) + 1,
        Field::Week => iso_week(days).1,
        Field::IsoYear => iso_week(days).0,
        _ => 0,
    })
}

/// ISO 8601 year and week: those of the week's Thursday.
fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let civil = civil_of_date(thursday as i32);
    // Not through `date_of`: the Thursday may fall into year 0 or 10000.
    let day_of_year: i64 = (1..civil.month)
        .map(|month| i64::from(super::days_in_month(civil.year, month)))
        .sum::<i64>()
        + i64::from(civil.day)
        - 1;
    (i64::from(civil.year), day_of_year / 7 + 1)
}
