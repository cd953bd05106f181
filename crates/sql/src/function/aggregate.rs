//! Aggregates SQLite lacks. Like its own they give NULL over no rows and skip NULLs.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, WindowAggregate};
use rusqlite::types::Value;

use super::arguments::{Arguments, PURE};
use super::failure::raise;
use super::generic::owned;
use super::real::finite;
use crate::error::SqlError;

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_window_function("st_num_sum", 1, PURE, DecimalSum)?;
    connection.create_window_function("st_big_sum", 1, PURE, BigSum)?;
    connection.create_window_function("st_real_sum", 1, PURE, RealSum { mean: false })?;
    connection.create_window_function("st_real_avg", 1, PURE, RealSum { mean: true })?;
    connection.create_aggregate_function("st_bit_and", 1, PURE, Bits(|a, b| a & b))?;
    connection.create_aggregate_function("st_bit_or", 1, PURE, Bits(|a, b| a | b))?;
    connection.create_aggregate_function("st_bit_xor", 1, PURE, Bits(|a, b| a ^ b))?;
    connection.create_aggregate_function("st_same", 1, PURE, Same)?;
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

/// A sum under way, of how many values.
#[derive(Clone, Copy, Default)]
struct Sum {
    total: i128,
    count: u64,
}

impl Sum {
    fn blob(self) -> rusqlite::Result<Value> {
        match self.count {
            0 => Ok(Value::Null),
            _ => numeric_blob(self.total),
        }
    }

    fn add(&mut self, value: i128) -> rusqlite::Result<()> {
        self.total = self.total.checked_add(value).ok_or_else(overflow)?;
        self.count += 1;
        Ok(())
    }

    fn remove(&mut self, value: i128) -> rusqlite::Result<()> {
        self.total = self.total.checked_sub(value).ok_or_else(overflow)?;
        self.count = self.count.saturating_sub(1);
        Ok(())
    }
}

/// Sum of NUMERICs of one scale.
struct DecimalSum;

fn decimal(context: &Context<'_>) -> rusqlite::Result<Option<i128>> {
    let arguments = Arguments(context);
    if arguments.is_null(0) {
        return Ok(None);
    }
    let bytes: [u8; 16] = arguments
        .blob(0)
        .map_err(raise)?
        .try_into()
        .map_err(|_| overflow())?;
    Ok(Some((u128::from_be_bytes(bytes) ^ SIGN).cast_signed()))
}

impl Aggregate<Sum, Value> for DecimalSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> rusqlite::Result<()> {
        decimal(context)?.map_or(Ok(()), |value| sum.add(value))
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> rusqlite::Result<Value> {
        sum.unwrap_or_default().blob()
    }
}

impl WindowAggregate<Sum, Value> for DecimalSum {
    fn value(&self, sum: Option<&mut Sum>) -> rusqlite::Result<Value> {
        sum.copied().unwrap_or_default().blob()
    }

    fn inverse(&self, context: &mut Context<'_>, sum: &mut Sum) -> rusqlite::Result<()> {
        decimal(context)?.map_or(Ok(()), |value| sum.remove(value))
    }
}

/// Sum of integers as a NUMERIC of scale 0. 2^64 rows of 2^63 fit 127 bits.
struct BigSum;

fn integer(context: &Context<'_>) -> rusqlite::Result<Option<i128>> {
    let arguments = Arguments(context);
    if arguments.is_null(0) {
        return Ok(None);
    }
    let value = arguments.int(0).map_err(raise)?;
    Ok(Some(value.into()))
}

impl Aggregate<Sum, Value> for BigSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> rusqlite::Result<()> {
        integer(context)?.map_or(Ok(()), |value| sum.add(value))
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> rusqlite::Result<Value> {
        sum.unwrap_or_default().blob()
    }
}

impl WindowAggregate<Sum, Value> for BigSum {
    fn value(&self, sum: Option<&mut Sum>) -> rusqlite::Result<Value> {
        sum.copied().unwrap_or_default().blob()
    }

    fn inverse(&self, context: &mut Context<'_>, sum: &mut Sum) -> rusqlite::Result<()> {
        integer(context)?.map_or(Ok(()), |value| sum.remove(value))
    }
}

/// Sum or mean of doubles, in the order the rows come: reads only.
struct RealSum {
    mean: bool,
}

impl RealSum {
    fn result(&self, (sum, count): (f64, u64)) -> rusqlite::Result<Value> {
        match count {
            0 => Ok(Value::Null),
            _ if self.mean => finite(sum / count as f64).map_err(raise),
            _ => finite(sum).map_err(raise),
        }
    }
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
        self.result(sum.unwrap_or_default())
    }
}

impl WindowAggregate<(f64, u64), Value> for RealSum {
    fn value(&self, sum: Option<&mut (f64, u64)>) -> rusqlite::Result<Value> {
        self.result(sum.copied().unwrap_or_default())
    }

    fn inverse(&self, _: &mut Context<'_>, _: &mut (f64, u64)) -> rusqlite::Result<()> {
        // What was added cannot be taken away without an error; the binder lets no row leave.
        Err(raise(SqlError::new("XX000", "a double left a window")))
    }
}

/// Integers joined bit by bit.
struct Bits(fn(i64, i64) -> i64);

impl Aggregate<Option<i64>, Value> for Bits {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<i64>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, kept: &mut Option<i64>) -> rusqlite::Result<()> {
        let arguments = Arguments(context);
        if !arguments.is_null(0) {
            let value = arguments.int(0).map_err(raise)?;
            *kept = Some(kept.map_or(value, |kept| (self.0)(kept, value)));
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, kept: Option<Option<i64>>) -> rusqlite::Result<Value> {
        Ok(kept.flatten().map_or(Value::Null, Value::Integer))
    }
}

/// The one value all rows of a group have, NULL too.
struct Same;

impl Aggregate<Option<Value>, Value> for Same {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<Value>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, kept: &mut Option<Value>) -> rusqlite::Result<()> {
        let value = owned(Arguments(context).raw(0));
        match kept {
            Some(kept) if *kept != value => Err(raise(
                SqlError::new(
                    "21000",
                    "a row is matched by several rows of FROM that give it different values",
                )
                .hint("Let WHERE leave one of them, or aggregate FROM by what it is joined on."),
            )),
            _ => {
                *kept = Some(value);
                Ok(())
            }
        }
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        kept: Option<Option<Value>>,
    ) -> rusqlite::Result<Value> {
        Ok(kept.flatten().unwrap_or(Value::Null))
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
