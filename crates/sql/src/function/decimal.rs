//! NUMERIC: blobs of 16 bytes at a scale the binder knows and passes along.

use std::cmp::Ordering;

use rusqlite::Connection;
use rusqlite::types::Value;
use stele_core::numeric::{Numeric, NumericError};
use stele_core::value::NUMERIC_SCALE_MAX;

use super::arguments::{Arguments, blob_of, strict};
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    // (a, scale of a, b, scale of b, scale of the result)
    binary(connection, "st_num_add", |a, b, _| a.checked_add(b))?;
    binary(connection, "st_num_sub", |a, b, _| a.checked_sub(b))?;
    binary(connection, "st_num_mul", Numeric::checked_mul)?;
    binary(connection, "st_num_div", Numeric::checked_div)?;
    binary(connection, "st_num_mod", |a, b, _| a.checked_rem(b))?;
    // (a, scale of a, scale of the result)
    unary(connection, "st_num_neg", |a| Ok(-a))?;
    unary(connection, "st_num_abs", |a| Ok(a.abs()))?;
    unary(connection, "st_num_ceil", Numeric::ceil)?;
    unary(connection, "st_num_floor", Numeric::floor)?;
    unary(connection, "st_num_sign", |a| {
        Numeric::new(i128::from(a.sign()), 0)
    })?;
    unary(connection, "st_num_trim_scale", Ok)?;
    // (a, scale of a, digits, scale of the result)
    strict(connection, "st_num_round", 4, |arguments| {
        let value = arguments.numeric(0, arguments.small(1)?)?;
        at_scale(value.round(digits(arguments)?)?, arguments.small(3)?)
    })?;
    strict(connection, "st_num_trunc", 4, |arguments| {
        let value = arguments.numeric(0, arguments.small(1)?)?;
        at_scale(value.trunc(digits(arguments)?), arguments.small(3)?)
    })?;
    // (a, scale of a, b, scale of b): -1, 0 or 1
    strict(connection, "st_num_cmp", 4, |arguments| {
        let a = arguments.numeric(0, arguments.small(1)?)?;
        let b = arguments.numeric(2, arguments.small(3)?)?;
        Ok(Value::Integer(match a.cmp(&b) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }))
    })?;
    // (a, scale of a, scale of the column): a bound for a column, so that its index serves
    strict(connection, "st_num_bound_below", 3, |arguments| {
        bound(arguments, false)
    })?;
    strict(connection, "st_num_bound_above", 3, |arguments| {
        bound(arguments, true)
    })?;
    strict(connection, "st_num_bound_equal", 3, |arguments| {
        let value = arguments.numeric(0, arguments.small(1)?)?;
        let to = arguments.small(2)?;
        // An empty blob equals no NUMERIC.
        Ok(match value.to_sortable_16(to) {
            Ok(bytes) => Value::Blob(bytes.to_vec()),
            Err(_) => Value::Blob(Vec::new()),
        })
    })
}

fn binary(
    connection: &Connection,
    name: &str,
    operation: fn(Numeric, Numeric, u8) -> Result<Numeric, NumericError>,
) -> rusqlite::Result<()> {
    strict(connection, name, 5, move |arguments| {
        let a = arguments.numeric(0, arguments.small(1)?)?;
        let b = arguments.numeric(2, arguments.small(3)?)?;
        let scale = arguments.small(4)?;
        at_scale(operation(a, b, scale)?, scale)
    })
}

fn unary(
    connection: &Connection,
    name: &str,
    operation: fn(Numeric) -> Result<Numeric, NumericError>,
) -> rusqlite::Result<()> {
    strict(connection, name, 3, move |arguments| {
        let value = arguments.numeric(0, arguments.small(1)?)?;
        at_scale(operation(value)?, arguments.small(2)?)
    })
}

fn at_scale(value: Numeric, scale: u8) -> Result<Value, SqlError> {
    blob_of(value.rescale(scale)?, scale)
}

/// Digits to round to; far more than there can be are as good as the most.
fn digits(arguments: &Arguments<'_>) -> Result<i32, SqlError> {
    let most = i64::from(NUMERIC_SCALE_MAX) + 40;
    Ok(arguments.int(2)?.clamp(-most, most) as i32)
}

/// The nearest value of another scale not above (or not below) the given one. Beyond what the scale
/// can hold it is a blob below or above all, which keeps comparisons right.
fn bound(arguments: &Arguments<'_>, up: bool) -> Result<Value, SqlError> {
    let value = arguments.numeric(0, arguments.small(1)?)?;
    let to = arguments.small(2)?;
    let beyond = || {
        Value::Blob(if value.sign() < 0 {
            Vec::new()
        } else {
            vec![0xff; 17]
        })
    };
    let cut = value.trunc(i32::from(to));
    let step = || Numeric::new(1, to);
    let moved = match (up, value.cmp(&cut)) {
        (true, Ordering::Greater) => step().and_then(|one| cut.checked_add(one)),
        (false, Ordering::Less) => step().and_then(|one| cut.checked_sub(one)),
        _ => Ok(cut),
    };
    Ok(match moved.and_then(|moved| moved.rescale(to)) {
        Ok(moved) => blob_of(moved, to)?,
        Err(_) => beyond(),
    })
}
