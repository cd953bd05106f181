//! Filling a table from a state of the source, piece by piece.
//!
//! **Invariant**: of a table that is being filled, the rows up to the key noted are as of the block the sink
//! stands at, and no later ones are there. A piece is read from a state held still, when the sink stands at the block of
//! that state. So filling can be cut short anywhere, and goes on where it was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stele_core::Value;
use stele_core::schema::TableId;
use stele_flow::{Batch, Load, RowChange, State, Step, Table};

use crate::follower::{Follower, Stop};

/// Rows written in one piece.
const PIECE_ROWS_MAX: usize = 50_000;
/// Bytes of keys and values in one piece, roughly.
const PIECE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How far a table is filled.
pub(crate) struct Filled<'f> {
    pub(crate) table: &'f Table,
    /// Rows written from this state.
    pub(crate) rows: u64,
    /// Rows there are, roughly.
    pub(crate) rows_expected: u64,
}

/// Told after each piece how far it is and what was applied; false ends the filling.
pub(crate) type OnPiece<'p> = &'p mut dyn FnMut(&Follower, &Filled<'_>) -> bool;

/// Fills a table from a state of the block the sink stands at, making it first if it is not there; for at most
/// `held_max`. Says whether it is full.
pub(crate) fn fill(
    follower: &mut Follower,
    state: &dyn State,
    id: TableId,
    held_max: Duration,
    on_piece: OnPiece<'_>,
) -> Result<bool, Stop> {
    let Some(table) = state.tables().into_iter().find(|table| table.id == id) else {
        return Ok(true);
    };
    let table = Arc::new(table);
    if !follower.held.contains_key(&id) {
        follower.apply(&Batch {
            steps: vec![Step::Table {
                before: None,
                after: Some(table.clone()),
            }],
            position: None,
            loads: vec![(id, Load::UpTo(Vec::new()))],
        })?;
    }
    let after = match follower.held.get(&id).map(|held| &held.load) {
        Some(Load::UpTo(key)) => key.clone(),
        _ => return Ok(true),
    };
    Filling {
        expected: state.rows_expected(id),
        begun: Instant::now(),
        rows: Vec::new(),
        bytes: 0,
        filled: 0,
        table,
        held_max,
        follower,
        on_piece,
    }
    .run(state, &after)
}

/// A table being filled from one state.
struct Filling<'j, 'p> {
    follower: &'j mut Follower,
    table: Arc<Table>,
    rows: Vec<RowChange>,
    bytes: usize,
    filled: u64,
    expected: u64,
    begun: Instant,
    held_max: Duration,
    on_piece: OnPiece<'p>,
}

impl Filling<'_, '_> {
    fn run(mut self, state: &dyn State, after: &[u8]) -> Result<bool, Stop> {
        if !self.tell() {
            return Err(Stop::Ended);
        }
        let mut cut = None;
        let id = self.table.id;
        state.rows(id, after, &mut |key, values| {
            self.bytes += key.len() + values.iter().map(len_of).sum::<usize>();
            self.rows.push(RowChange {
                key: key.to_vec(),
                before: None,
                after: Some(values),
            });
            if self.rows.len() < PIECE_ROWS_MAX && self.bytes < PIECE_BYTES_MAX {
                return true;
            }
            let written = self.write(Load::UpTo(key.to_vec()));
            let goes_on = written.is_ok() && self.begun.elapsed() < self.held_max;
            if !goes_on {
                cut = Some(written);
            }
            goes_on
        })?;
        match cut {
            Some(written) => written.map(|()| false),
            None => self.write(Load::Done).map(|()| true),
        }
    }

    fn write(&mut self, load: Load) -> Result<(), Stop> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        self.filled += rows.len() as u64;
        self.follower.apply(&Batch {
            steps: vec![Step::Rows(self.table.clone(), rows)],
            position: None,
            loads: vec![(self.table.id, load)],
        })?;
        match self.tell() {
            true => Ok(()),
            false => Err(Stop::Ended),
        }
    }

    fn tell(&mut self) -> bool {
        let filled = Filled {
            table: &self.table,
            rows: self.filled,
            rows_expected: self.expected,
        };
        (self.on_piece)(self.follower, &filled)
    }
}

/// Memory of a value, roughly.
fn len_of(value: &Value) -> usize {
    let held = match value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    size_of::<Value>() + held
}
