//! One replica's task.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use stele_core::schema::TableId;
use stele_flow::{Clock, Load, Position, SinkErrorKind, Source};

use super::status::{Phase, StatusBoard, Trouble, word};
use crate::fill::fill;
use crate::follower::{Follower, Stop};

/// First pause after trouble.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause after trouble.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// How long a block that is not there yet is waited for before it is looked for again.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// How long one state is read from: while it is held, the source keeps what it replaces.
const STATE_HELD_MAX: Duration = Duration::from_secs(20);

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

/// One replica's task.
pub(super) struct Job {
    pub(super) name: String,
    pub(super) follower: Follower,
    /// Gives states beside the blocks.
    pub(super) states: Arc<dyn Source>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: Arc<StatusBoard>,
    pub(super) ending: Arc<Ending>,
}

impl Job {
    /// Runs until it is told to end.
    pub(super) fn run(mut self) {
        let mut pause = PAUSE_MIN;
        let mut tries = 0;
        let mut since_us = 0;
        loop {
            let before = self.follower.position;
            let mut overtaken = false;
            let (kind, reason) = match self.session() {
                Stop::Ended => return,
                Stop::Sink(error) => {
                    overtaken = error.kind == SinkErrorKind::Overtaken;
                    (word(error.kind), error.to_string())
                }
                Stop::Source(error) => ("source", error.to_string()),
            };
            if self.follower.position != before || tries == 0 {
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
            // Taking it back by itself would be taken back by the other, for ever.
            if overtaken {
                while !self.ending.rest(PAUSE_MAX) {}
                return;
            }
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

    fn work(&mut self) -> Result<Infallible, Stop> {
        self.status.sign();
        self.follower.open()?;
        if self.follower.position.height == 0 {
            // At the newest block: tables are filled from the state as of it.
            let position = match self.states.state()? {
                Some(state) => state.position(),
                None => Position::START,
            };
            self.follower.begin_at(position)?;
        }
        loop {
            self.fill()?;
            self.show(Phase::Following);
            while self.follower.all_made {
                self.status.sign();
                if !self.advance(u64::MAX)? && self.ending.rest(LOOK_PAUSE) {
                    return Err(Stop::Ended);
                }
            }
        }
    }

    /// Applies the next blocks; false when there is none.
    fn advance(&mut self, up_to: u64) -> Result<bool, Stop> {
        if self.ending.is_wanted() {
            return Err(Stop::Ended);
        }
        let advanced = self.follower.advance(up_to)?;
        if advanced {
            self.status.set(|status| status.look_at(&self.follower));
        }
        Ok(advanced)
    }

    fn catch_up(&mut self) -> Result<(), Stop> {
        while self.advance(u64::MAX)? {}
        Ok(())
    }

    /// Fills what is not full yet.
    fn fill(&mut self) -> Result<(), Stop> {
        while let Some(id) = self.unfilled()? {
            self.catch_up()?;
            let states = self.states.clone();
            let Some(state) = states.state()? else {
                return Ok(());
            };
            while self.follower.position.height < state.position().height {
                self.advance(state.position().height)?;
            }
            let (status, ending) = (self.status.clone(), self.ending.clone());
            let mut on_piece = |follower: &Follower, filled: &crate::fill::Filled<'_>| {
                status.set(|status| {
                    status.look_at(follower);
                    status.phase = Phase::Filling {
                        table: filled.table.to_string(),
                        rows: filled.rows,
                        rows_expected: filled.rows_expected,
                    };
                });
                !ending.is_wanted()
            };
            fill(
                &mut self.follower,
                &*state,
                id,
                STATE_HELD_MAX,
                &mut on_piece,
            )?;
        }
        Ok(())
    }

    /// A table to be made or filled. New ones come by blocks; others are there when the replica begins or is
    /// told to keep more.
    fn unfilled(&mut self) -> Result<Option<TableId>, Stop> {
        let mut held = self.follower.held.values();
        if let Some(held) = held.find(|held| held.load != Load::Done) {
            return Ok(Some(held.table.id));
        }
        if self.follower.all_made {
            return Ok(None);
        }
        // Only at the newest block do the tables of the state and those of the sink go together.
        self.catch_up()?;
        let wanted = match self.states.state()? {
            Some(state) => state.tables(),
            None => Vec::new(),
        };
        let follower = &mut self.follower;
        let missing = wanted.into_iter().find(|table| {
            follower.selection.takes(table) && !follower.held.contains_key(&table.id)
        });
        follower.all_made = missing.is_none();
        Ok(missing.map(|table| table.id))
    }

    fn show(&self, phase: Phase) {
        self.status.set(|status| {
            status.look_at(&self.follower);
            status.phase = phase;
        });
    }
}
