//! Ages, bins and made timestamps.

use rusqlite::Connection;
use rusqlite::types::Value;
use stele_core::datetime::{
    self, MICROS_PER_DAY, check_timestamp, civil_of_timestamp, date_of, days_in_month,
};

use super::arguments::strict;
use super::interval::Interval;
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    strict(connection, "st_age", 2, |arguments| {
        let interval = age(arguments.int(0)?, arguments.int(1)?)?;
        Ok(Value::Blob(interval.to_bytes()))
    })?;
    // (stride, timestamp, origin)
    strict(connection, "st_date_bin", 3, |arguments| {
        let stride = Interval::from_bytes(arguments.blob(0)?)?;
        if stride.months != 0 {
            return Err(SqlError::new(
                "0A000",
                "timestamps cannot be binned into intervals containing months or years",
            )
            .hint("Use date_trunc."));
        }
        let stride = i64::from(stride.days)
            .checked_mul(MICROS_PER_DAY)
            .and_then(|days| days.checked_add(stride.micros))
            .ok_or_else(|| SqlError::new("22008", "interval out of range"))?;
        if stride <= 0 {
            return Err(SqlError::new("22008", "stride must be greater than zero"));
        }
        let (source, origin) = (arguments.int(1)?, arguments.int(2)?);
        let bins = (source - origin).div_euclid(stride);
        Ok(Value::Integer(check_timestamp(origin + bins * stride)?))
    })?;
    // (year, month, day, hour, minute, second as a double)
    strict(connection, "st_make_timestamp", 6, |arguments| {
        let wrong = || SqlError::new("22008", "date field value out of range");
        let small = |index| -> Result<u8, SqlError> {
            u8::try_from(arguments.int(index)?).map_err(|_| wrong())
        };
        let year = i32::try_from(arguments.int(0)?).map_err(|_| wrong())?;
        let days = date_of(year, small(1)?, small(2)?)?;
        let (hour, minute) = (small(3)?, small(4)?);
        let second = arguments.real(5)?;
        let late = hour > 24 || minute > 59 || !(0.0..=60.0).contains(&second);
        if late || hour == 24 && (minute > 0 || second > 0.0) {
            return Err(SqlError::new("22008", "time field value out of range"));
        }
        let micros = (i64::from(hour) * 60 + i64::from(minute)) * 60_000_000
            + (second * 1e6).round_ties_even() as i64;
        let day = datetime::date_to_timestamp(days)?;
        Ok(Value::Integer(check_timestamp(day + micros)?))
    })?;
    justified(connection, "st_justify_days", |interval| {
        let interval = with_days(interval)?;
        Ok(months_by_sign(interval, interval.days.signum()))
    })?;
    justified(connection, "st_justify_hours", |interval| {
        Ok(days_by_sign(with_hours(interval)?))
    })?;
    justified(connection, "st_justify_interval", |interval| {
        let interval = with_days(with_hours(interval)?)?;
        let rest = match interval.days {
            0 => interval.micros.signum() as i32,
            days => days.signum(),
        };
        Ok(days_by_sign(months_by_sign(interval, rest)))
    })
}

fn justified(
    connection: &Connection,
    name: &str,
    change: impl Fn(Interval) -> Result<Interval, SqlError> + Send + 'static,
) -> rusqlite::Result<()> {
    strict(connection, name, 1, move |arguments| {
        let interval = Interval::from_bytes(arguments.blob(0)?)?;
        Ok(Value::Blob(change(interval)?.to_bytes()))
    })
}

fn out_of_range() -> SqlError {
    SqlError::new("22008", "interval out of range")
}

/// 24 hours become a day.
fn with_hours(interval: Interval) -> Result<Interval, SqlError> {
    let whole = i32::try_from(interval.micros / MICROS_PER_DAY).map_err(|_| out_of_range())?;
    let days = interval.days.checked_add(whole).ok_or_else(out_of_range)?;
    Ok(Interval {
        days,
        micros: interval.micros % MICROS_PER_DAY,
        ..interval
    })
}

/// 30 days become a month.
fn with_days(interval: Interval) -> Result<Interval, SqlError> {
    let months = interval
        .months
        .checked_add(interval.days / 30)
        .ok_or_else(out_of_range)?;
    Ok(Interval {
        months,
        days: interval.days % 30,
        ..interval
    })
}

/// Months get the sign of the rest.
fn months_by_sign(mut interval: Interval, rest: i32) -> Interval {
    if interval.months > 0 && rest < 0 {
        interval.months -= 1;
        interval.days += 30;
    } else if interval.months < 0 && rest > 0 {
        interval.months += 1;
        interval.days -= 30;
    }
    interval
}

/// Days get the sign of the time.
fn days_by_sign(mut interval: Interval) -> Interval {
    if interval.days > 0 && interval.micros < 0 {
        interval.days -= 1;
        interval.micros += MICROS_PER_DAY;
    } else if interval.days < 0 && interval.micros > 0 {
        interval.days += 1;
        interval.micros -= MICROS_PER_DAY;
    }
    interval
}

/// The years, months, days and time from `from` to `to`, as a person counts them.
fn age(to: i64, from: i64) -> Result<Interval, SqlError> {
    let negative = to < from;
    let (later, earlier) = if negative { (from, to) } else { (to, from) };
    let (a, b) = (civil_of_timestamp(later), civil_of_timestamp(earlier));
    let time = |micros: i64| micros.rem_euclid(MICROS_PER_DAY);
    let mut micros = time(later) - time(earlier);
    let mut days = i32::from(a.day) - i32::from(b.day);
    let mut months = (a.year - b.year) * 12 + i32::from(a.month) - i32::from(b.month);
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    // Days are borrowed from the month the earlier of the two arguments lies in.
    while days < 0 {
        days += i32::from(days_in_month(b.year, b.month));
        months -= 1;
    }
    let interval = Interval {
        months,
        days,
        micros,
    };
    if negative {
        interval.negated()
    } else {
        Ok(interval)
    }
}
