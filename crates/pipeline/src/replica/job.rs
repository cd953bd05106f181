//! One replica's task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use stele_core::schema::TableId;
use stele_flow::{
    Batch, Block, Clock, HeldTable, Mirror, Position, SinkError, Source, SourceError, Step,
};
use thiserror::Error;

use super::status::{Phase, StatusBoard, Trouble, word};
use crate::selection::Selection;

/// First pause after trouble.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause after trouble.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// How a task is told to end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    wanted: Mutex<bool>,
    changed: Condvar,
}

impl Ending {
    pub(super) fn want(&self) {
        *self.wanted.lock() = true;
        self.changed.notify_all();
    }

    pub(super) fn is_wanted(&self) -> bool {
        *self.wanted.lock()
    }

    /// Rests; true when the task is to end.
    pub(super) fn rest(&self, pause: Duration) -> bool {
        let mut wanted = self.wanted.lock();
        if !*wanted {
            self.changed.wait_for(&mut wanted, pause);
        }
        *wanted
    }
}

/// Why a session ended.
#[derive(Debug, Error)]
pub(super) enum Stop {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It was told to end.
    #[error("told to end")]
    Ended,
}

/// One replica's task.
pub(super) struct Job {
    pub(super) name: String,
    /// Gives blocks.
    pub(super) source: Box<dyn Source>,
    /// Gives states beside them.
    pub(super) states: Arc<dyn Source>,
    pub(super) sink: Box<dyn Mirror>,
    pub(super) selection: Selection,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: Arc<StatusBoard>,
    pub(super) ending: Arc<Ending>,
    /// Where the sink stands.
    pub(super) position: Position,
    /// What the sink keeps.
    pub(super) held: BTreeMap<TableId, HeldTable>,
    /// Whether every table that is to be kept is there.
    pub(super) all_made: bool,
    /// A block read and not applied yet.
    pub(super) pending: Option<Block>,
}

impl Job {
    /// Runs until it is told to end.
    pub(super) fn run(mut self) {
        let mut pause = PAUSE_MIN;
        let mut tries = 0;
        let mut since_us = 0;
        loop {
            let before = self.position;
            let (kind, reason) = match self.session() {
                Stop::Ended => return,
                Stop::Sink(error) => (word(error.kind), error.to_string()),
                Stop::Source(error) => ("source", error.to_string()),
            };
            if self.position != before || tries == 0 {
                (pause, tries, since_us) = (PAUSE_MIN, 0, self.clock.now_us());
            }
            tries += 1;
            if tries == 1 {
                tracing::warn!(replica = %self.name, kind, %reason, "the replica waits");
            }
            self.status.set(|status| {
                status.phase = Phase::Waiting(Trouble {
                    kind,
                    reason,
                    since_us,
                    tries,
                });
            });
            if self.ending.rest(pause) {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Opens the sink and works until something is in the way.
    fn session(&mut self) -> Stop {
        match self.work() {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    fn work(&mut self) -> Result<std::convert::Infallible, Stop> {
        self.open()?;
        self.fill()?;
        self.show(Phase::Following);
        loop {
            if self.ending.is_wanted() {
                return Err(Stop::Ended);
            }
            self.fill()?;
            self.follow()?;
        }
    }

    fn open(&mut self) -> Result<(), Stop> {
        let id = self.source.id().to_owned();
        let held = self.sink.open(&id)?;
        self.pending = None;
        self.all_made = false;
        self.look();
        let position = held
            .cursor
            .as_ref()
            .map_or(Position::START, |cursor| Position {
                height: cursor.height,
                hash: cursor.block_hash,
            });
        if position.height == 0 {
            self.begin()?;
        } else {
            self.source.seek(position)?;
            self.position = position;
        }
        Ok(())
    }

    /// Begins at the newest block: tables are filled from the state as of it.
    fn begin(&mut self) -> Result<(), Stop> {
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
        batch.position = match self.states.state()? {
            Some(state) => Some(state.position()),
            None => Some(Position::START),
        };
        self.apply(&batch)?;
        self.source.seek(self.position)?;
        Ok(())
    }

    /// Looks what the sink keeps.
    fn look(&mut self) {
        let held = self.sink.held().iter().cloned();
        self.held = held.map(|held| (held.table.id, held)).collect();
    }

    /// Applies a batch, and keeps in mind what that led to.
    pub(super) fn apply(&mut self, batch: &Batch) -> Result<(), Stop> {
        self.sink.apply(batch)?;
        self.look();
        if let Some(position) = batch.position {
            self.position = position;
        }
        let rows = batch.rows() as u64;
        let height = self.position.height;
        let shapes = batch
            .steps
            .iter()
            .any(|step| matches!(step, Step::Table { .. }));
        let tables = shapes.then(|| self.table_names());
        self.status.set(|status| {
            status.height = height;
            status.rows_written += rows;
            if let Some(tables) = tables {
                status.tables = tables;
            }
        });
        Ok(())
    }

    fn table_names(&self) -> Vec<(String, String)> {
        let tables = self.held.values();
        let names = tables.map(|held| (held.table.to_string(), held.target.clone()));
        names.collect()
    }

    /// Shows what it is doing.
    pub(super) fn show(&self, phase: Phase) {
        let tables = self.table_names();
        let height = self.position.height;
        self.status.set(|status| {
            status.phase = phase;
            status.height = height;
            status.tables = tables;
        });
    }
}
