//! Following blocks: one batch after the other, larger the further behind.

use std::time::Duration;

use stele_core::schema::TableId;
use stele_flow::{BatchBuilder, Block, Change};

use super::job::{Job, Stop};

/// Bytes of changes a batch gathers at most, unless one block has more.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Blocks a batch gathers at most.
const BATCH_BLOCKS_MAX: usize = 2_000;
/// How long a block that is not there yet is waited for before it is looked for again.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

impl Job {
    /// Applies what is there, or waits a moment for more.
    pub(super) fn follow(&mut self) -> Result<(), Stop> {
        if !self.advance(u64::MAX)? && self.ending.rest(LOOK_PAUSE) {
            return Err(Stop::Ended);
        }
        Ok(())
    }

    /// Applies the next blocks, up to a height at most; false when there is none.
    pub(super) fn advance(&mut self, up_to: u64) -> Result<bool, Stop> {
        let mut builder = BatchBuilder::default();
        let mut blocks = 0;
        while blocks < BATCH_BLOCKS_MAX && builder.len() < BATCH_BYTES_MAX {
            let block = match self.pending.take() {
                Some(block) => block,
                None => match self.source.next()? {
                    Some(block) => self.selected(block),
                    None => break,
                },
            };
            let shapes = block
                .changes
                .iter()
                .any(|change| matches!(change, Change::Table { .. }));
            if block.position.height > up_to || (shapes && !builder.is_empty()) {
                self.pending = Some(block);
                break;
            }
            builder.push(block);
            blocks += 1;
            if shapes {
                break;
            }
        }
        if builder.is_empty() {
            return Ok(false);
        }
        let batch = builder.finish();
        self.apply(&batch)?;
        Ok(true)
    }

    /// What a block does to the tables that are kept, or that it makes and are to be kept.
    fn selected(&mut self, block: Block) -> Block {
        let mut made: Vec<TableId> = Vec::new();
        let mut gone: Vec<TableId> = Vec::new();
        let mut changes = Vec::with_capacity(block.changes.len());
        for change in block.changes {
            match &change {
                Change::Table { before, after } => {
                    let known = |id: &TableId| {
                        (self.held.contains_key(id) && !gone.contains(id)) || made.contains(id)
                    };
                    let keeps = match (before, after) {
                        (Some(before), Some(after)) => {
                            let keeps = known(&before.id);
                            // It got a name that is to be kept: its rows are there already.
                            self.all_made &= keeps || !self.selection.takes(after);
                            keeps
                        }
                        (Some(before), None) => {
                            let keeps = known(&before.id);
                            gone.push(before.id);
                            made.retain(|id| *id != before.id);
                            keeps
                        }
                        (None, Some(after)) if self.selection.takes(after) => {
                            made.push(after.id);
                            true
                        }
                        (None, _) => false,
                    };
                    if keeps {
                        changes.push(change);
                    }
                }
                Change::Row(table, row) => {
                    let held = self
                        .held
                        .get(&table.id)
                        .filter(|_| !gone.contains(&table.id));
                    let covered = held.is_some_and(|held| held.load.covers(&row.key));
                    if covered || made.contains(&table.id) {
                        changes.push(change);
                    }
                }
            }
        }
        Block { changes, ..block }
    }
}
