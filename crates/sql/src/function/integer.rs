//! SMALLINT, INTEGER and BIGINT: checked, truncating division. The last argument is the width of
//! the result in bits.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::arguments::{Arguments, lenient, strict};
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    binary(connection, "st_int_add", |a, b| Ok(a.checked_add(b)))?;
    binary(connection, "st_int_sub", |a, b| Ok(a.checked_sub(b)))?;
    binary(connection, "st_int_mul", |a, b| Ok(a.checked_mul(b)))?;
    binary(connection, "st_int_div", |a, b| {
        nonzero(b)?;
        Ok(a.checked_div(b))
    })?;
    binary(connection, "st_int_mod", |a, b| {
        nonzero(b)?;
        // The least integer modulo -1 overflows in the machine but is 0.
        Ok(Some(a.checked_rem(b).unwrap_or(0)))
    })?;
    binary(connection, "st_int_xor", |a, b| Ok(Some(a ^ b)))?;
    strict(connection, "st_int_shift_left", 3, |arguments| {
        shift(arguments, true)
    })?;
    strict(connection, "st_int_shift_right", 3, |arguments| {
        shift(arguments, false)
    })?;
    unary(connection, "st_int_neg", i64::checked_neg)?;
    unary(connection, "st_int_abs", i64::checked_abs)?;
    unary(connection, "st_int_check", Some)?;
    strict(connection, "st_step", 1, |arguments| {
        match arguments.int(0)? {
            0 => Err(SqlError::new("22023", "step size cannot equal zero")),
            // The least integer has no counterpart to subtract.
            step => Ok(Value::Integer(step.max(-i64::MAX))),
        }
    })?;
    // The rows LIMIT takes: none given or NULL is all.
    lenient(connection, "st_limit", 1, |arguments| {
        row_count(arguments, -1, "2201W", "LIMIT")
    })?;
    lenient(connection, "st_offset", 1, |arguments| {
        row_count(arguments, 0, "2201X", "OFFSET")
    })
}

fn binary(
    connection: &Connection,
    name: &str,
    operation: fn(i64, i64) -> Result<Option<i64>, SqlError>,
) -> rusqlite::Result<()> {
    strict(connection, name, 3, move |arguments| {
        let bits = arguments.small(2)?;
        fit(operation(arguments.int(0)?, arguments.int(1)?)?, bits)
    })
}

fn unary(
    connection: &Connection,
    name: &str,
    operation: fn(i64) -> Option<i64>,
) -> rusqlite::Result<()> {
    strict(connection, name, 2, move |arguments| {
        fit(operation(arguments.int(0)?), arguments.small(1)?)
    })
}

/// PostgreSQL shifts within the width and takes the count modulo it.
fn shift(arguments: &Arguments<'_>, left: bool) -> Result<Value, SqlError> {
    let value = arguments.int(0)?;
    let bits = arguments.small(2)?;
    // SMALLINT is shifted as an INTEGER and cut.
    let modulus: i64 = if bits == 64 { 64 } else { 32 };
    let count = arguments.int(1)?.rem_euclid(modulus) as u32;
    let shifted = if left { value << count } else { value >> count };
    Ok(Value::Integer(match bits {
        16 => i64::from(shifted as i16),
        32 => i64::from(shifted as i32),
        _ => shifted,
    }))
}

fn nonzero(divisor: i64) -> Result<(), SqlError> {
    if divisor == 0 {
        return Err(SqlError::new("22012", "division by zero"));
    }
    Ok(())
}

fn fit(value: Option<i64>, bits: u8) -> Result<Value, SqlError> {
    let fitting = value.filter(|value| match bits {
        16 => i16::try_from(*value).is_ok(),
        32 => i32::try_from(*value).is_ok(),
        _ => true,
    });
    fitting.map(Value::Integer).ok_or_else(|| {
        let name = match bits {
            16 => "smallint",
            32 => "integer",
            _ => "bigint",
        };
        SqlError::new("22003", format!("{name} out of range"))
    })
}

fn row_count(
    arguments: &Arguments<'_>,
    null: i64,
    code: &'static str,
    clause: &str,
) -> Result<Value, SqlError> {
    if arguments.is_null(0) {
        return Ok(Value::Integer(null));
    }
    let count = arguments.int(0)?;
    if count < 0 {
        return Err(SqlError::new(
            code,
            format!("{clause} must not be negative"),
        ));
    }
    Ok(Value::Integer(count))
}
