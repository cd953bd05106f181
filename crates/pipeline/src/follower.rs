//! A sink that is led along a source: by its blocks, and by its state where tables are filled.
//!
//! Both replicas and restores are this, with different ends.

use std::collections::BTreeMap;

use stele_core::schema::TableId;
use stele_flow::{
    Batch, BatchBuilder, Block, Change, HeldTable, Mirror, Position, SinkError, Source,
    SourceError, Step,
};
use thiserror::Error;

use crate::selection::Selection;

/// Bytes of changes a batch gathers at most, unless one block has more.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Blocks a batch gathers at most.
const BATCH_BLOCKS_MAX: usize = 2_000;

/// Why it does not go on.
#[derive(Debug, Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It was told to end.
    #[error("told to end")]
    Ended,
}

/// A sink that is led along a source.
pub(crate) struct Follower {
    pub(crate) source: Box<dyn Source>,
    pub(crate) sink: Box<dyn Mirror>,
    /// The name of the source in the sink.
    source_id: String,
    pub(crate) selection: Selection,
    /// Where the sink stands.
    pub(crate) position: Position,
    /// What the sink keeps.
    pub(crate) held: BTreeMap<TableId, HeldTable>,
    /// Whether every table that is to be kept is there.
    pub(crate) all_made: bool,
    /// Rows written so far.
    pub(crate) rows_written: u64,
    /// A block read and not applied yet.
    pending: Option<Block>,
    /// Whether the next block may have been applied in part before the sink was opened.
    resuming: bool,
}

impl Follower {
    pub(crate) fn new(
        source: Box<dyn Source>,
        sink: Box<dyn Mirror>,
        source_id: String,
        selection: Selection,
    ) -> Self {
        Self {
            source,
            sink,
            source_id,
            selection,
            position: Position::START,
            held: BTreeMap::new(),
            all_made: false,
            rows_written: 0,
            pending: None,
            resuming: true,
        }
    }

    /// The name of the source in the sink.
    pub(crate) fn source_id(&self) -> &str {
        &self.source_id
    }

    /// Opens the sink and goes where it stands; height 0 when it holds nothing yet.
    pub(crate) fn open(&mut self) -> Result<(), Stop> {
        let held = self.sink.open(&self.source_id)?;
        self.pending = None;
        self.resuming = true;
        self.all_made = false;
        self.look();
        let position = held.cursor.map_or(Position::START, |cursor| Position {
            height: cursor.height,
            hash: cursor.block_hash,
        });
        self.source.seek(position)?;
        self.position = position;
        Ok(())
    }

    /// Begins anew at a position, without any table.
    pub(crate) fn begin_at(&mut self, position: Position) -> Result<(), Stop> {
        // Left by a beginning that was cut short, before any row was written.
        let left = self.held.values().map(|held| Step::Table {
            before: Some(held.table.clone()),
            after: None,
        });
        let mut batch = Batch {
            steps: left.collect(),
            ..Batch::default()
        };
        self.apply(&batch)?;
        batch.steps.clear();
        batch.position = Some(position);
        self.apply(&batch)?;
        self.source.seek(position)?;
        Ok(())
    }

    /// Looks what the sink keeps.
    fn look(&mut self) {
        let held = self.sink.held().iter().cloned();
        self.held = held.map(|held| (held.table.id, held)).collect();
    }

    /// Applies a batch, and keeps in mind what that led to.
    pub(crate) fn apply(&mut self, batch: &Batch) -> Result<(), Stop> {
        self.sink.apply(batch)?;
        self.look();
        if let Some(position) = batch.position {
            self.position = position;
            self.resuming = false;
        }
        self.rows_written += batch.rows() as u64;
        Ok(())
    }

    /// Applies the next blocks, up to a height at most; false when there is none.
    pub(crate) fn advance(&mut self, up_to: u64) -> Result<bool, Stop> {
        let mut builder = BatchBuilder::default();
        let mut blocks = 0;
        while blocks < BATCH_BLOCKS_MAX && builder.len() < BATCH_BYTES_MAX {
            let reached = builder.height().unwrap_or(self.position.height);
            if reached >= up_to {
                break;
            }
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
            if shapes && !builder.is_empty() {
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
                    // What is left out keeps its place: steps that were taken before a crash are counted.
                    changes.push(match keeps {
                        true => change,
                        false => Change::Table {
                            before: None,
                            after: None,
                        },
                    });
                }
                Change::Row(table, row) => {
                    let held = self.held.get(&table.id);
                    let held = held.filter(|_| !gone.contains(&table.id));
                    let covered = held.is_some_and(|held| held.load.covers(&row.key));
                    if covered || made.contains(&table.id) {
                        changes.push(change);
                    }
                }
            }
        }
        let kept = |change: &Change| match change {
            Change::Table { before, after } => before.is_some() || after.is_some(),
            Change::Row(..) => true,
        };
        let shapes = |change: &Change| matches!(change, Change::Table { .. }) && kept(change);
        if !self.resuming && !changes.iter().any(shapes) {
            changes.retain(kept);
        }
        Block { changes, ..block }
    }
}
