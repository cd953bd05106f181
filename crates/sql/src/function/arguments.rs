//! Arguments and registration of scalar functions.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use stele_core::numeric::Numeric;

use super::failure::raise;
use crate::error::SqlError;
use crate::spill;

/// Any number of arguments.
pub(super) const VARIADIC: i32 = -1;

/// Flags of a function that depends on its arguments alone.
pub(super) const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8
    .union(FunctionFlags::SQLITE_DETERMINISTIC)
    .union(FunctionFlags::SQLITE_INNOCUOUS);

/// The arguments of one call.
pub(super) struct Arguments<'c>(pub(super) &'c Context<'c>);

impl Arguments<'_> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn raw(&self, index: usize) -> ValueRef<'_> {
        if index < self.0.len() {
            self.0.get_raw(index)
        } else {
            ValueRef::Null
        }
    }

    /// Counts a call towards what a transaction's functions may do.
    pub(super) fn count(&self, cost: Cost) -> Result<(), SqlError> {
        let mut len = 0;
        for index in 0..self.0.len() {
            if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = self.0.get_raw(index) {
                len += bytes.len() as u64;
            }
        }
        spill::work(cost.call.saturating_add(len.saturating_mul(cost.byte)))
    }

    pub(super) fn is_null(&self, index: usize) -> bool {
        self.raw(index) == ValueRef::Null
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, SqlError> {
        match self.raw(index) {
            ValueRef::Integer(value) => Ok(value),
            other => Err(strange(index, other)),
        }
    }

    /// A small number our own lowering wrote: a scale, a count of bits.
    pub(super) fn small(&self, index: usize) -> Result<u8, SqlError> {
        u8::try_from(self.int(index)?).map_err(|_| strange(index, self.raw(index)))
    }

    pub(super) fn real(&self, index: usize) -> Result<f64, SqlError> {
        match self.raw(index) {
            ValueRef::Real(value) => Ok(value),
            other => Err(strange(index, other)),
        }
    }

    pub(super) fn text(&self, index: usize) -> Result<&str, SqlError> {
        match self.raw(index) {
            value @ ValueRef::Text(_) => value.as_str().map_err(|_| strange(index, value)),
            other => Err(strange(index, other)),
        }
    }

    pub(super) fn blob(&self, index: usize) -> Result<&[u8], SqlError> {
        match self.raw(index) {
            ValueRef::Blob(bytes) => Ok(bytes),
            other => Err(strange(index, other)),
        }
    }

    pub(super) fn numeric(&self, index: usize, scale: u8) -> Result<Numeric, SqlError> {
        let bytes = self.blob(index)?;
        let bytes = bytes
            .try_into()
            .map_err(|_| strange(index, self.raw(index)))?;
        Ok(Numeric::from_sortable_16(bytes, scale)?)
    }
}

fn strange(index: usize, value: ValueRef<'_>) -> SqlError {
    SqlError::new(
        "XX000",
        format!(
            "a function got a {} as argument {}",
            value.data_type(),
            index + 1
        ),
    )
}

/// A NUMERIC at a scale as SQLite keeps it.
pub(super) fn blob_of(value: Numeric, scale: u8) -> Result<Value, SqlError> {
    Ok(Value::Blob(value.to_sortable_16(scale)?.to_vec()))
}

/// What a call costs, in units of [`spill::work`], and what each byte of its arguments does. Measured, and rounded up.
/// **Part of the execution rules.**
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    call: u64,
    byte: u64,
}

impl Cost {
    /// Of the function of that name.
    pub(super) fn of(name: &str) -> Self {
        let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
        let call = if starts(&["st_to_"]) {
            8_192
        } else if starts(&["st_json"]) {
            4_096
        } else if starts(&[
            "st_array",
            "st_format",
            "st_lower",
            "st_upper",
            "st_like",
            "st_regex",
        ]) {
            2_048
        } else if starts(&["st_int_", "st_real_", "st_date_", "st_time_", "st_bit_"]) {
            512
        } else {
            1_024
        };
        let byte = match name {
            "st_length" | "st_octets" | "st_cat" | "st_concat" | "st_starts_with" | "st_same"
            | "st_single" | "st_greatest" | "st_least" | "st_left" | "st_substr"
            | "st_substr_bytes" | "st_step" => 4,
            "st_lower" | "st_upper" | "st_initcap" | "st_reverse" | "st_like" => 48,
            _ => 16,
        };
        Self { call, byte }
    }
}

/// Registers a strict function of its arguments alone.
pub(super) fn strict(
    connection: &Connection,
    name: &str,
    count: i32,
    function: impl Fn(&Arguments<'_>) -> Result<Value, SqlError> + Send + 'static,
) -> rusqlite::Result<()> {
    let cost = Cost::of(name);
    connection.create_scalar_function(name, count, PURE, move |context| {
        let arguments = Arguments(context);
        if (0..arguments.len()).any(|index| arguments.is_null(index)) {
            return Ok(Value::Null);
        }
        arguments
            .count(cost)
            .and_then(|()| function(&arguments))
            .and_then(counted)
            .map_err(raise)
    })
}

/// Registers a function of its arguments alone that sees NULLs.
pub(super) fn lenient(
    connection: &Connection,
    name: &str,
    count: i32,
    function: impl Fn(&Arguments<'_>) -> Result<Value, SqlError> + Send + 'static,
) -> rusqlite::Result<()> {
    let cost = Cost::of(name);
    connection.create_scalar_function(name, count, PURE, move |context| {
        let arguments = Arguments(context);
        arguments
            .count(cost)
            .and_then(|()| function(&arguments))
            .and_then(counted)
            .map_err(raise)
    })
}

/// Counts what a function gives towards what a statement may hold.
pub(super) fn counted(value: Value) -> Result<Value, SqlError> {
    spill::give(match &value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 0,
    })?;
    Ok(value)
}
