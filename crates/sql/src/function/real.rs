//! DOUBLE PRECISION: never NaN, infinite or -0.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::arguments::strict;
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    strict(connection, "st_real", 1, |arguments| {
        Ok(Value::Real(f64::from_bits(
            arguments.int(0)?.cast_unsigned(),
        )))
    })?;
    binary(connection, "st_real_add", |a, b| a + b)?;
    binary(connection, "st_real_sub", |a, b| a - b)?;
    strict(connection, "st_real_mul", 2, |arguments| {
        let (a, b) = (arguments.real(0)?, arguments.real(1)?);
        underflow_checked(a * b, a == 0.0 || b == 0.0)
    })?;
    strict(connection, "st_real_div", 2, |arguments| {
        let (a, b) = (arguments.real(0)?, arguments.real(1)?);
        if b == 0.0 {
            return Err(SqlError::new("22012", "division by zero"));
        }
        underflow_checked(a / b, a == 0.0)
    })?;
    unary(connection, "st_real_neg", |a| -a)?;
    unary(connection, "st_real_abs", f64::abs)?;
    unary(connection, "st_real_round", f64::round_ties_even)?;
    unary(connection, "st_real_trunc", f64::trunc)?;
    unary(connection, "st_real_ceil", f64::ceil)?;
    unary(connection, "st_real_floor", f64::floor)?;
    unary(connection, "st_real_sign", |a| {
        if a > 0.0 {
            1.0
        } else if a < 0.0 {
            -1.0
        } else {
            0.0
        }
    })
}

fn binary(
    connection: &Connection,
    name: &str,
    operation: fn(f64, f64) -> f64,
) -> rusqlite::Result<()> {
    strict(connection, name, 2, move |arguments| {
        finite(operation(arguments.real(0)?, arguments.real(1)?))
    })
}

fn unary(connection: &Connection, name: &str, operation: fn(f64) -> f64) -> rusqlite::Result<()> {
    strict(connection, name, 1, move |arguments| {
        finite(operation(arguments.real(0)?))
    })
}

fn underflow_checked(value: f64, zero_expected: bool) -> Result<Value, SqlError> {
    if value == 0.0 && !zero_expected {
        return Err(SqlError::new("22003", "value out of range: underflow"));
    }
    finite(value)
}

pub(super) fn finite(value: f64) -> Result<Value, SqlError> {
    if !value.is_finite() {
        return Err(SqlError::new("22003", "value out of range: overflow"));
    }
    // Adding 0 turns -0 into 0.
    Ok(Value::Real(value + 0.0))
}
