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

    /// Counts them towards what a transaction's functions may read.
    pub(super) fn count(&self) -> Result<(), SqlError> {
        for index in 0..self.0.len() {
            if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = self.0.get_raw(index) {
                spill::count_read(bytes.len())?;
            }
        }
        Ok(())
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

/// Registers a strict function of its arguments alone.
pub(super) fn strict(
    connection: &Connection,
    name: &str,
    count: i32,
    function: impl Fn(&Arguments<'_>) -> Result<Value, SqlError> + Send + 'static,
) -> rusqlite::Result<()> {
    connection.create_scalar_function(name, count, PURE, move |context| {
        let arguments = Arguments(context);
        if (0..arguments.len()).any(|index| arguments.is_null(index)) {
            return Ok(Value::Null);
        }
        arguments
            .count()
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
    connection.create_scalar_function(name, count, PURE, move |context| {
        let arguments = Arguments(context);
        arguments
            .count()
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
