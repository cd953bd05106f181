//! Aggregates SQLite lacks. Like its own they give NULL over no rows and skip NULLs.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context};
use rusqlite::types::Value;

use super::arguments::{Arguments, PURE};
use super::failure::raise;
use super::generic::owned;
use super::real::finite;
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_aggregate_function("st_num_sum", 1, PURE, DecimalSum)?;
    connection.create_aggregate_function("st_big_sum", 1, PURE, BigSum)?;
    connection.create_aggregate_function("st_real_sum", 1, PURE, RealSum { mean: false })?;
    connection.create_aggregate_function("st_real_avg", 1, PURE, RealSum { mean: true })?;
    connection.create_aggregate_function("st_single", 1, PURE, Single)
}

/// Largest magnitude of a NUMERIC's digits.
const COEFFICIENT_END: i128 = 10i128.pow(38);
/// The bit that makes the order of bytes that of signed integers.
const SIGN: u128 = 1 << 127;

fn overflow() -> rusqlite::Error {
    raise(SqlError::new("22003", "value overflows numeric format"))
}

fn numeric_blob(sum: i128) -> rusqlite::Result<Value> {
    if sum.unsigned_abs() >= COEFFICIENT_END.unsigned_abs() {
        return Err(overflow());
    }
    Ok(Value::Blob(
        (sum.cast_unsigned() ^ SIGN).to_be_bytes().to_vec(),
    ))
}

/// Sum of NUMERICs of one scale.
struct DecimalSum;

impl Aggregate<Option<i128>, Value> for DecimalSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<i128>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Option<i128>) -> rusqlite::Result<()> {
        let arguments = Arguments(context);
        if arguments.is_null(0) {
            return Ok(());
        }
        let bytes: [u8; 16] = arguments
            .blob(0)
            .map_err(raise)?
            .try_into()
            .map_err(|_| overflow())?;
        let value = (u128::from_be_bytes(bytes) ^ SIGN).cast_signed();
        let total = sum.unwrap_or(0).checked_add(value).ok_or_else(overflow)?;
        *sum = Some(total);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<i128>>) -> rusqlite::Result<Value> {
        sum.flatten().map_or(Ok(Value::Null), numeric_blob)
    }
}

/// Sum of integers as a NUMERIC of scale 0.
struct BigSum;

impl Aggregate<Option<i128>, Value> for BigSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<i128>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Option<i128>) -> rusqlite::Result<()> {
        let arguments = Arguments(context);
        if !arguments.is_null(0) {
            let value = arguments.int(0).map_err(raise)?;
            // 2^64 rows of 2^63 fit 127 bits.
            *sum = Some(sum.unwrap_or(0) + i128::from(value));
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<i128>>) -> rusqlite::Result<Value> {
        sum.flatten().map_or(Ok(Value::Null), numeric_blob)
    }
}

/// Sum or mean of doubles, in the order the rows come: reads only.
struct RealSum {
    mean: bool,
}

impl Aggregate<(f64, u64), Value> for RealSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<(f64, u64)> {
        Ok((0.0, 0))
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut (f64, u64)) -> rusqlite::Result<()> {
        let arguments = Arguments(context);
        if !arguments.is_null(0) {
            sum.0 += arguments.real(0).map_err(raise)?;
            sum.1 += 1;
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<(f64, u64)>) -> rusqlite::Result<Value> {
        match sum {
            None | Some((_, 0)) => Ok(Value::Null),
            Some((sum, count)) if self.mean => finite(sum / count as f64).map_err(raise),
            Some((sum, _)) => finite(sum).map_err(raise),
        }
    }
}

/// The value of a scalar sub-select: at most one row.
struct Single;

impl Aggregate<Option<Value>, Value> for Single {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<Value>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, kept: &mut Option<Value>) -> rusqlite::Result<()> {
        if kept.is_some() {
            return Err(raise(SqlError::new(
                "21000",
                "more than one row returned by a subquery used as an expression",
            )));
        }
        *kept = Some(owned(Arguments(context).raw(0)));
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        kept: Option<Option<Value>>,
    ) -> rusqlite::Result<Value> {
        Ok(kept.flatten().unwrap_or(Value::Null))
    }
}
