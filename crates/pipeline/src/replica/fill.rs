//! Filling tables from the source's state, piece by piece.
//!
//! **Invariant**: of a table that is being filled, the rows up to the key noted are as of the block the sink
//! stands at, and no later ones are there. A piece is read from a state held still, after the blocks up to that state
//! were applied to what is there already. So filling can be cut short anywhere, and goes on where it was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stele_core::schema::TableId;
use stele_flow::{Batch, Load, RowChange, Source, State, Step, Table};

use super::job::{Job, Stop};
use super::status::Phase;

/// Rows written in one piece.
const PIECE_ROWS_MAX: usize = 50_000;
/// Bytes of keys and values in one piece, roughly.
const PIECE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long one state is read from: while it is held, the source keeps what it replaces.
const STATE_HELD_MAX: Duration = Duration::from_secs(20);

impl Job {
    /// Fills what is not full yet.
    pub(super) fn fill(&mut self) -> Result<(), Stop> {
        while let Some(task) = self.next_task()? {
            if self.ending.is_wanted() {
                return Err(Stop::Ended);
            }
            self.fill_some(task)?;
            self.show(Phase::Following);
        }
        Ok(())
    }

    /// A table to be made or filled. New ones come by blocks; others are there when the replica begins or is
    /// told to keep more.
    fn next_task(&mut self) -> Result<Option<TableId>, Stop> {
        let unfilled = self.held.values().find(|held| held.load != Load::Done);
        if let Some(held) = unfilled {
            return Ok(Some(held.table.id));
        }
        if self.all_made {
            return Ok(None);
        }
        // Only at the newest block do the tables of the state and those of the sink go together.
        while self.advance(u64::MAX)? {
            if self.ending.is_wanted() {
                return Err(Stop::Ended);
            }
        }
        let Some(state) = self.states.state()? else {
            self.all_made = true;
            return Ok(None);
        };
        let wanted = state.tables();
        let missing = wanted
            .into_iter()
            .find(|table| self.selection.takes(table) && !self.held.contains_key(&table.id));
        self.all_made = missing.is_none();
        Ok(missing.map(|table| table.id))
    }

    /// Fills a table as far as one state allows.
    fn fill_some(&mut self, id: TableId) -> Result<(), Stop> {
        while self.advance(u64::MAX)? {
            if self.ending.is_wanted() {
                return Err(Stop::Ended);
            }
        }
        let states = self.states.clone();
        self.fill_from(&*states, id)
    }

    fn fill_from(&mut self, states: &dyn Source, id: TableId) -> Result<(), Stop> {
        let Some(state) = states.state()? else {
            return Ok(());
        };
        while self.position.height < state.position().height {
            self.advance(state.position().height)?;
        }
        if self.position != state.position() {
            // A block was waiting that stands after the state: it is applied first, then tried again.
            return Ok(());
        }
        let Some(table) = state.tables().into_iter().find(|table| table.id == id) else {
            return Ok(());
        };
        let table = Arc::new(table);
        if !self.held.contains_key(&id) {
            self.apply(&Batch {
                steps: vec![Step::Table {
                    before: None,
                    after: Some(table.clone()),
                }],
                position: None,
                loads: vec![(id, Load::UpTo(Vec::new()))],
            })?;
        }
        let after = match self.held.get(&id).map(|held| &held.load) {
            Some(Load::UpTo(key)) => key.clone(),
            _ => return Ok(()),
        };
        Filling {
            expected: state.rows_expected(id),
            begun: Instant::now(),
            rows: Vec::new(),
            bytes: 0,
            filled: 0,
            table,
            job: self,
        }
        .run(&*state, &after)
    }
}

/// A table being filled from one state.
struct Filling<'j> {
    job: &'j mut Job,
    table: Arc<Table>,
    rows: Vec<RowChange>,
    bytes: usize,
    filled: u64,
    expected: u64,
    begun: Instant,
}

impl Filling<'_> {
    fn run(mut self, state: &dyn State, after: &[u8]) -> Result<(), Stop> {
        self.show();
        let mut cut = None;
        let id = self.table.id;
        state.rows(id, after, &mut |key, values| {
            self.bytes += key.len() + values.len() * size_of::<stele_core::Value>();
            self.rows.push(RowChange {
                key: key.to_vec(),
                before: None,
                after: Some(values),
            });
            if self.rows.len() < PIECE_ROWS_MAX && self.bytes < PIECE_BYTES_MAX {
                return true;
            }
            let written = self.write(Load::UpTo(key.to_vec()));
            let goes_on = written.is_ok()
                && self.begun.elapsed() < STATE_HELD_MAX
                && !self.job.ending.is_wanted();
            if !goes_on {
                cut = Some(written);
            }
            goes_on
        })?;
        match cut {
            Some(written) => written,
            None => self.write(Load::Done),
        }
    }

    fn write(&mut self, load: Load) -> Result<(), Stop> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        self.filled += rows.len() as u64;
        self.job.apply(&Batch {
            steps: vec![Step::Rows(self.table.clone(), rows)],
            position: None,
            loads: vec![(self.table.id, load)],
        })?;
        self.show();
        Ok(())
    }

    fn show(&self) {
        self.job.show(Phase::Filling {
            table: self.table.to_string(),
            rows: self.filled,
            rows_expected: self.expected,
        });
    }
}
