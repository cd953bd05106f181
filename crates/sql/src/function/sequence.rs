//! `nextval` and its like, on sequences lent by the engine for the time of a statement.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use stele_core::schema::Sequence;

use super::context::TransactionContext;
use super::failure::raise;
use crate::error::SqlError;

/// A sequence and where it stands.
#[derive(Clone, Debug)]
pub struct SequenceState {
    /// Its name, for errors.
    pub name: String,
    /// Its rules.
    pub sequence: Sequence,
    /// The value taken last, or the first one when none was.
    pub last: i64,
    /// Whether a value was taken.
    pub is_called: bool,
}

impl SequenceState {
    /// Takes the next value.
    pub(super) fn next(&mut self) -> Result<i64, SqlError> {
        let rules = &self.sequence;
        if !self.is_called {
            self.is_called = true;
            return Ok(self.last);
        }
        let next = self.last.checked_add(rules.increment);
        let next = next.filter(|next| (rules.min..=rules.max).contains(next));
        let ascends = rules.increment > 0;
        let value = match next {
            Some(value) => value,
            None if rules.cycle => {
                if ascends {
                    rules.min
                } else {
                    rules.max
                }
            }
            None => {
                let (word, bound) = if ascends {
                    ("maximum", rules.max)
                } else {
                    ("minimum", rules.min)
                };
                return Err(SqlError::new(
                    "2200H",
                    format!(
                        "nextval: reached {word} value of sequence \"{}\" ({bound})",
                        self.name
                    ),
                ));
            }
        };
        self.last = value;
        Ok(value)
    }

    pub(super) fn set(&mut self, value: i64, is_called: bool) -> Result<(), SqlError> {
        let rules = &self.sequence;
        if !(rules.min..=rules.max).contains(&value) {
            return Err(SqlError::new(
                "22003",
                format!(
                    "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                    self.name, rules.min, rules.max
                ),
            ));
        }
        self.last = value;
        self.is_called = is_called;
        Ok(())
    }
}

pub(super) fn register(
    connection: &Connection,
    context: &Arc<TransactionContext>,
) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_nextval", 1, flags, move |arguments| {
        own.next_value(id(arguments)?).map_err(raise)
    })?;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_currval", 1, flags, move |arguments| {
        own.current_value(id(arguments)?).map_err(raise)
    })?;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_lastval", 0, flags, move |_| {
        own.last_value().map_err(raise)
    })?;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_setval", 3, flags, move |arguments| {
        let value: Option<i64> = arguments.get(1)?;
        let is_called: Option<bool> = arguments.get(2)?;
        let (Some(value), Some(is_called)) = (value, is_called) else {
            return Ok(None);
        };
        let id = id(arguments)?;
        own.set_value(id, value, is_called).map_err(raise)?;
        Ok(Some(value))
    })
}

fn id(arguments: &Context<'_>) -> rusqlite::Result<u32> {
    arguments.get(0)
}
