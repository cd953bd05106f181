//! Dates, timestamps and intervals.

use rusqlite::Connection;
use rusqlite::types::Value;
use stele_core::datetime::{
    self, Field, MICROS_PER_DAY, Unit, add_days, add_micros, add_months_to_timestamp,
};

use super::arguments::{Arguments, blob_of, strict};
use super::interval::Interval;
use super::text::text;
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    strict(connection, "st_date_add", 2, |arguments| {
        let days = add_days(date(arguments, 0)?, arguments.int(1)?)?;
        Ok(Value::Integer(days.into()))
    })?;
    strict(connection, "st_time_add", 2, |arguments| {
        let interval = interval(arguments, 1)?;
        shifted(arguments.int(0)?, interval)
    })?;
    strict(connection, "st_time_sub", 2, |arguments| {
        let interval = interval(arguments, 1)?.negated()?;
        shifted(arguments.int(0)?, interval)
    })?;
    strict(connection, "st_time_diff", 2, |arguments| {
        let apart = arguments.int(0)? - arguments.int(1)?;
        Ok(Value::Blob(
            Interval {
                months: 0,
                days: (apart / MICROS_PER_DAY) as i32,
                micros: apart % MICROS_PER_DAY,
            }
            .to_bytes(),
        ))
    })?;
    strict(connection, "st_extract", 3, |arguments| {
        let field = field(arguments)?;
        let value = datetime::extract_from_timestamp(arguments.int(0)?, field)?;
        blob_of(value.rescale(arguments.small(2)?)?, arguments.small(2)?)
    })?;
    strict(connection, "st_extract_date", 3, |arguments| {
        let field = field(arguments)?;
        let value = datetime::extract_from_date(date(arguments, 0)?, field)?;
        blob_of(value.rescale(arguments.small(2)?)?, arguments.small(2)?)
    })?;
    strict(connection, "st_date_trunc", 2, |arguments| {
        let name = arguments.text(0)?;
        let unit = Unit::named(name).ok_or_else(|| {
            SqlError::new(
                "22023",
                format!("unit \"{name}\" not recognized for type timestamp without time zone"),
            )
        })?;
        let cut = datetime::truncate_timestamp(arguments.int(1)?, unit)?;
        Ok(Value::Integer(cut))
    })?;
    strict(connection, "st_make_date", 3, |arguments| {
        let wrong = || SqlError::new("22008", "date field value out of range");
        let year = i32::try_from(arguments.int(0)?).map_err(|_| wrong())?;
        let days = datetime::date_of(year, small(arguments, 1)?, small(arguments, 2)?)?;
        Ok(Value::Integer(days.into()))
    })?;
    strict(connection, "st_to_timestamp", 1, |arguments| {
        let micros = (arguments.real(0)? * 1e6).round_ties_even();
        let most = datetime::TIMESTAMP_MAX as f64;
        if !(-most..=most).contains(&micros) {
            return Err(SqlError::new("22008", "timestamp out of range"));
        }
        Ok(Value::Integer(datetime::check_timestamp(micros as i64)?))
    })?;
    register_intervals(connection)
}

fn register_intervals(connection: &Connection) -> rusqlite::Result<()> {
    strict(connection, "st_interval_parse", 1, |arguments| {
        let interval = Interval::parse(arguments.text(0)?, None)?;
        Ok(Value::Blob(interval.to_bytes()))
    })?;
    strict(connection, "st_interval_text", 1, |arguments| {
        text(interval(arguments, 0)?.to_string())
    })?;
    strict(connection, "st_interval_micros", 1, |arguments| {
        Ok(Value::Integer(interval(arguments, 0)?.comparable()?))
    })?;
    strict(connection, "st_interval_neg", 1, |arguments| {
        Ok(Value::Blob(interval(arguments, 0)?.negated()?.to_bytes()))
    })?;
    strict(connection, "st_interval_add", 2, |arguments| {
        let sum = interval(arguments, 0)?.plus(interval(arguments, 1)?)?;
        Ok(Value::Blob(sum.to_bytes()))
    })?;
    strict(connection, "st_interval_mul", 2, |arguments| {
        let product = interval(arguments, 0)?.times(arguments.int(1)?)?;
        Ok(Value::Blob(product.to_bytes()))
    })?;
    // (interval, field): in microseconds for the epoch and seconds, else a count.
    strict(connection, "st_interval_field", 2, |arguments| {
        let interval = interval(arguments, 0)?;
        let name = arguments.text(1)?;
        let seconds = interval.micros % 60_000_000;
        Ok(Value::Integer(match name {
            "epoch" => {
                // PostgreSQL takes a year for 365.25 days here.
                let years = i64::from(interval.months / 12) * 31_557_600;
                let months = i64::from(interval.months % 12) * 30 * 86_400;
                let days = i64::from(interval.days) * 86_400;
                (years + months + days)
                    .checked_mul(1_000_000)
                    .and_then(|micros| micros.checked_add(interval.micros))
                    .ok_or_else(|| SqlError::new("22008", "interval out of range"))?
            }
            "year" => i64::from(interval.months / 12),
            "month" => i64::from(interval.months % 12),
            "day" => i64::from(interval.days),
            "hour" => interval.micros / 3_600_000_000,
            "minute" => interval.micros / 60_000_000 % 60,
            _ => seconds,
        }))
    })
}

fn interval(arguments: &Arguments<'_>, index: usize) -> Result<Interval, SqlError> {
    Interval::from_bytes(arguments.blob(index)?)
}

fn date(arguments: &Arguments<'_>, index: usize) -> Result<i32, SqlError> {
    Ok(datetime::check_date(arguments.int(index)?)?)
}

fn small(arguments: &Arguments<'_>, index: usize) -> Result<u8, SqlError> {
    u8::try_from(arguments.int(index)?)
        .map_err(|_| SqlError::new("22008", "date field value out of range"))
}

fn field(arguments: &Arguments<'_>) -> Result<Field, SqlError> {
    let name = arguments.text(1)?;
    Field::named(name)
        .ok_or_else(|| SqlError::new("22023", format!("unit \"{name}\" not recognized")))
}

/// Months first, then days, then the rest, as PostgreSQL adds an interval.
fn shifted(micros: i64, interval: Interval) -> Result<Value, SqlError> {
    let moved = add_months_to_timestamp(micros, interval.months.into())?;
    let moved = add_micros(moved, i64::from(interval.days) * MICROS_PER_DAY)?;
    Ok(Value::Integer(add_micros(moved, interval.micros)?))
}
