//! What a sink applies in one step: the net changes of one or more blocks, and how far they lead.
//!
//! Rows are netted: a row changed often in a batch is written once. Tables whose shape changes
//! end what can be netted, and a block that changes a shape is a batch of its own: so a sink that must take a
//! batch in pieces (MySQL commits each change of a shape by itself) meets the same pieces again after a crash.

use std::collections::BTreeMap;
use std::sync::Arc;

use stele_core::schema::TableId;

use crate::change::{Block, Change, Position, RowChange, Table};

/// Net changes and what they lead to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// Where the sink then stands; none leaves it where it is, as filling a table does.
    pub position: Option<Position>,
    /// How far tables are then filled, where that changes.
    pub loads: Vec<(TableId, Load)>,
}

/// A part of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A table comes, changes its shape or goes.
    Table {
        /// Shape before.
        before: Option<Arc<Table>>,
        /// Shape after.
        after: Option<Arc<Table>>,
    },
    /// Rows of one table, each once, in key order.
    Rows(Arc<Table>, Vec<RowChange>),
}

/// How far a table is filled from the source's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// All of its rows are there.
    Done,
    /// Rows up to this encoded key are there, and changes of later ones are not applied; empty: none are there.
    UpTo(Vec<u8>),
}

impl Load {
    /// Whether changes of the row of this key are to be applied.
    #[must_use]
    pub fn covers(&self, key: &[u8]) -> bool {
        match self {
            Self::Done => true,
            Self::UpTo(last) => key <= last.as_slice(),
        }
    }
}

impl Batch {
    /// Rows that come, change or go.
    #[must_use]
    pub fn rows(&self) -> usize {
        let rows = |step: &Step| match step {
            Step::Rows(_, rows) => rows.len(),
            Step::Table { .. } => 0,
        };
        self.steps.iter().map(rows).sum()
    }
}

/// Net changes of rows by encoded key.
type NetRows = BTreeMap<Vec<u8>, RowChange>;

/// Gathers blocks into a batch.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    steps: Vec<Step>,
    open: BTreeMap<TableId, (Arc<Table>, NetRows)>,
    position: Option<Position>,
    len: usize,
}

impl BatchBuilder {
    /// Whether it holds no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.position.is_none()
    }

    /// Height of the last block it holds.
    #[must_use]
    pub fn height(&self) -> Option<u64> {
        self.position.map(|position| position.height)
    }

    /// Length of what it holds as sources keep it, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a block that follows those added before.
    pub fn push(&mut self, block: Block) {
        self.position = Some(block.position);
        self.len += block.len;
        for change in block.changes {
            match change {
                Change::Table { before, after } => {
                    self.close();
                    self.steps.push(Step::Table { before, after });
                }
                Change::Row(table, row) => {
                    let open = self
                        .open
                        .entry(table.id)
                        .or_insert_with(|| (table, BTreeMap::new()));
                    net(&mut open.1, row);
                }
            }
        }
    }

    fn close(&mut self) {
        for (table, rows) in std::mem::take(&mut self.open).into_values() {
            if !rows.is_empty() {
                self.steps
                    .push(Step::Rows(table, rows.into_values().collect()));
            }
        }
    }

    /// What was gathered.
    #[must_use]
    pub fn finish(mut self) -> Batch {
        self.close();
        Batch {
            steps: self.steps,
            position: self.position,
            loads: Vec::new(),
        }
    }
}

/// Adds a change to those of the same rows.
fn net(rows: &mut NetRows, row: RowChange) {
    let Some(held) = rows.get_mut(&row.key) else {
        rows.insert(row.key.clone(), row);
        return;
    };
    if held.before.is_none() && row.after.is_none() {
        rows.remove(&row.key);
    } else {
        held.after = row.after;
    }
}

#[cfg(test)]
mod tests;
