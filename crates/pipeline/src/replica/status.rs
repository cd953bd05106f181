//! How a replica is doing.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use stele_flow::SinkErrorKind;

use crate::follower::Follower;

/// How long a replica may be at work without a sign before its target counts as one that does not answer.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// What a replica is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Opening its sink.
    #[default]
    Starting,
    /// Filling a table from the source's state.
    Filling {
        /// The table.
        table: String,
        /// Rows that are there.
        rows: u64,
        /// Rows there will be, roughly.
        rows_expected: u64,
    },
    /// Following the source's blocks.
    Following,
    /// Something is in the way; it is tried again.
    Waiting(Trouble),
    /// Resting, as it was told to.
    Paused,
}

/// What is in a replica's way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// The kind, for programs.
    pub kind: &'static str,
    /// What, where, why, and what helps.
    pub reason: String,
    /// Since when, microseconds since 1970 UTC.
    pub since_us: i64,
    /// How often it was tried.
    pub tries: u64,
}

/// How a replica is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplicaStatus {
    /// What it is doing.
    #[serde(flatten)]
    pub phase: Phase,
    /// Height of the last block applied.
    pub height: u64,
    /// Rows written since the node started.
    pub rows_written: u64,
    /// Tables kept, as `source name -> target name`.
    pub tables: Vec<(String, String)>,
}

impl ReplicaStatus {
    pub(super) fn look_at(&mut self, follower: &Follower) {
        self.height = follower.position.height;
        self.rows_written = follower.rows_written;
        let tables = follower.held.values();
        let names = tables.map(|held| (held.table.to_string(), held.target.clone()));
        self.tables = names.collect();
    }
}

/// A status that others look at, and wait for.
#[derive(Debug)]
pub(super) struct StatusBoard {
    status: Mutex<ReplicaStatus>,
    /// When the replica's task last gave a sign.
    sign: Mutex<Instant>,
    changed: Condvar,
}

impl Default for StatusBoard {
    fn default() -> Self {
        Self {
            status: Mutex::default(),
            sign: Mutex::new(Instant::now()),
            changed: Condvar::new(),
        }
    }
}

impl StatusBoard {
    /// How the replica is doing at `now_us`, microseconds since 1970 UTC: one that works and gave no sign for long waits for
    /// its target.
    pub(super) fn get(&self, now_us: i64) -> ReplicaStatus {
        let mut status = self.status.lock().clone();
        let silence = self.sign.lock().elapsed();
        let is_silent = silence > SILENCE_MAX;
        if is_silent && !matches!(status.phase, Phase::Waiting(_) | Phase::Paused) {
            let silence_us = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
            status.phase = Phase::Waiting(Trouble {
                kind: word(SinkErrorKind::Unreachable),
                reason: format!(
                    "the target has not answered for {} s: it hangs, or works on what it was asked; it goes on by itself when that is done",
                    silence.as_secs()
                ),
                since_us: now_us.saturating_sub(silence_us),
                tries: 1,
            });
        }
        status
    }

    /// Gives a sign.
    pub(super) fn sign(&self) {
        *self.sign.lock() = Instant::now();
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut ReplicaStatus)) {
        self.sign();
        change(&mut self.status.lock());
        self.changed.notify_all();
    }

    /// Waits until a height was applied while following; false when that takes longer.
    pub(super) fn reach(&self, height: u64, wait: Duration) -> bool {
        let mut status = self.status.lock();
        let reached = |status: &mut ReplicaStatus| {
            status.height >= height && status.phase == Phase::Following
        };
        let mut late = |status: &mut ReplicaStatus| !reached(status);
        !self
            .changed
            .wait_while_for(&mut status, &mut late, wait)
            .timed_out()
    }
}

/// A word for a kind of trouble.
pub(super) fn word(kind: SinkErrorKind) -> &'static str {
    match kind {
        SinkErrorKind::Unreachable => "unreachable",
        SinkErrorKind::Refused => "refused",
        SinkErrorKind::Full => "full",
        SinkErrorKind::Drift => "drift",
        SinkErrorKind::ForeignRow => "foreign_row",
        SinkErrorKind::MissingRow => "missing_row",
        SinkErrorKind::Cursor => "cursor",
        SinkErrorKind::Overtaken => "overtaken",
        SinkErrorKind::Unfit => "unfit",
        SinkErrorKind::Other => "other",
    }
}
