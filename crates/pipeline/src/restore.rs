//! Bringing tables into a database as they were at a height.
//!
//! A restore leads a sink along the source's blocks, from a snapshot or from the first block, up to a height and no
//! further. It can be cut short anywhere and goes on where it was. At the end every row is read back; where
//! all that has rows was restored, the state root that follows from them must be the certified one.

use std::time::Duration;

use serde::Serialize;
use stele_core::Hash;
use stele_core::tree::{TableEntry, empty_table_root, state_root};
use stele_flow::{Load, Mirror, SinkError, SinkErrorKind, Source, SourceError, State};
use thiserror::Error;

use crate::audit::root_of;
use crate::fill::{Filled, fill};
use crate::follower::{Follower, Stop};
use crate::selection::Selection;

/// A snapshot is a file: it may be held as long as it takes.
const STATE_HELD_MAX: Duration = Duration::MAX;

/// What is to be restored.
pub struct RestoreRequest<'r> {
    /// Height the tables are to be as of.
    pub height: u64,
    /// Which tables.
    pub selection: Selection,
    /// A state of that height or an earlier one to begin from; none: the first block.
    pub start: Option<&'r dyn State>,
}

/// How far a restore is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreProgress {
    /// Filling from the snapshot.
    Filling {
        /// The table.
        table: String,
        /// Rows written.
        rows: u64,
        /// Rows there are.
        rows_expected: u64,
    },
    /// Applying blocks.
    Blocks {
        /// Height reached.
        height: u64,
        /// Rows written in all.
        rows: u64,
    },
    /// Reading rows back.
    Reading {
        /// Rows read.
        rows: u64,
    },
}

/// A restored database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Which database.
    pub target: String,
    /// The height.
    pub height: u64,
    /// Hash of its block.
    pub block_hash: String,
    /// Height it began from.
    pub from: u64,
    /// Rows written on the way.
    pub rows_written: u64,
    /// The tables.
    pub tables: Vec<RestoredTable>,
    /// Root of the state the block commits to.
    pub state_root: String,
    /// Whether it follows from the rows read back. False where only some tables were restored: the state root
    /// covers all.
    pub proven: bool,
}

/// A restored table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoredTable {
    /// In the source.
    pub table: String,
    /// In the target.
    pub name: String,
    /// Rows read back.
    pub rows: u64,
    /// Root that follows from them.
    pub root: String,
}

/// Why nothing, or not all, was restored.
#[derive(Debug, Error)]
pub enum RestoreFailure {
    /// The sink does not take it.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The source does not give it.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The target is further.
    #[error(
        "{target} was restored to block {found} already, and a restore does not go back to {wanted}: choose an empty target"
    )]
    Beyond {
        /// The target.
        target: String,
        /// Where it stands.
        found: u64,
        /// The height wanted.
        wanted: u64,
    },
    /// A restore from a snapshot was cut short, and another is given now.
    #[error(
        "{target} was being filled from a snapshot of block {found}, which is not given now: give that one, or choose an empty target"
    )]
    OtherStart {
        /// The target.
        target: String,
        /// Height of the snapshot it began with.
        found: u64,
    },
    /// What was read back is not what the block commits to.
    #[error(
        "the rows read back from {target} give state root {found}, and block {height} commits to {expected}: somebody else writes there; choose an empty target"
    )]
    Differs {
        /// The target.
        target: String,
        /// The height.
        height: u64,
        /// The certified root.
        expected: Hash,
        /// The root of what was read.
        found: Hash,
    },
    /// It was told to end.
    #[error("told to end; the same command goes on where it was")]
    Ended,
}

impl RestoreFailure {
    /// Whether the target cannot take the tables, now or later.
    fn is_refusal(&self) -> bool {
        let kinds = [SinkErrorKind::Drift, SinkErrorKind::Unfit];
        matches!(self, Self::Sink(error) if kinds.contains(&error.kind))
    }
}

impl From<Stop> for RestoreFailure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Sink(error) => Self::Sink(error),
            Stop::Source(error) => Self::Source(error),
            Stop::Ended => Self::Ended,
        }
    }
}

/// Restores tables into a database. `progress` returns false to end it early; it then goes on where it was when it is
/// called again.
///
/// # Errors
/// See [`RestoreFailure`].
pub fn restore(
    source: Box<dyn Source>,
    sink: Box<dyn Mirror>,
    request: &RestoreRequest<'_>,
    progress: &mut dyn FnMut(RestoreProgress) -> bool,
) -> Result<Restored, RestoreFailure> {
    let id = format!("restore of {}", source.id());
    let mut follower = Follower::new(source, sink, id.clone(), request.selection.clone());
    follower.open()?;
    let is_new = follower.position.height == 0 && follower.held.is_empty();
    match lead(&mut follower, request, progress) {
        Ok(from) => read_back(follower, from, progress),
        Err(failure) => {
            if is_new && failure.is_refusal() {
                leave(&mut *follower.sink, &id);
            }
            Err(failure)
        }
    }
}

/// Leaves a target as it was found, where it took no table.
fn leave(sink: &mut dyn Mirror, id: &str) {
    let holds_none = sink.begin_read(id).is_ok_and(|held| held.tables.is_empty());
    sink.end_read();
    if holds_none && let Err(error) = sink.remove(id, false) {
        tracing::debug!(%error, "a cursor of a restore that was refused is left");
    }
}

/// Leads the sink to the height; gives the height it began from.
fn lead(
    follower: &mut Follower,
    request: &RestoreRequest<'_>,
    progress: &mut dyn FnMut(RestoreProgress) -> bool,
) -> Result<u64, RestoreFailure> {
    if follower.position.height > request.height {
        return Err(RestoreFailure::Beyond {
            target: follower.sink.describe(),
            found: follower.position.height,
            wanted: request.height,
        });
    }
    if follower.position.height == 0 {
        let start = request
            .start
            .map_or(stele_flow::Position::START, State::position);
        follower.begin_at(start)?;
    }
    let from = follower.position.height;
    fill_all(follower, request, progress)?;
    // New tables come with blocks.
    follower.all_made = true;
    while follower.position.height < request.height {
        let go_on = progress(RestoreProgress::Blocks {
            height: follower.position.height,
            rows: follower.rows_written,
        });
        if !go_on {
            return Err(RestoreFailure::Ended);
        }
        if !follower.advance(request.height)? {
            return Err(SourceError::Ahead {
                cursor: request.height,
                tip: follower.position.height,
            }
            .into());
        }
    }
    Ok(from)
}

/// Fills what the snapshot holds.
fn fill_all(
    follower: &mut Follower,
    request: &RestoreRequest<'_>,
    progress: &mut dyn FnMut(RestoreProgress) -> bool,
) -> Result<(), RestoreFailure> {
    let state = request
        .start
        .filter(|state| state.position() == follower.position);
    let Some(state) = state else {
        let unfilled = follower.held.values().any(|held| held.load != Load::Done);
        return match unfilled {
            false => Ok(()),
            true => Err(RestoreFailure::OtherStart {
                target: follower.sink.describe(),
                found: follower.position.height,
            }),
        };
    };
    let mut on_piece = |_: &Follower, filled: &Filled<'_>| {
        progress(RestoreProgress::Filling {
            table: filled.table.to_string(),
            rows: filled.rows,
            rows_expected: filled.rows_expected,
        })
    };
    for table in state.tables() {
        if follower.selection.takes(&table) {
            fill(follower, state, table.id, STATE_HELD_MAX, &mut on_piece)?;
        }
    }
    Ok(())
}

/// Reads every row back, and compares the roots.
fn read_back(
    mut follower: Follower,
    from: u64,
    progress: &mut dyn FnMut(RestoreProgress) -> bool,
) -> Result<Restored, RestoreFailure> {
    let target = follower.sink.describe();
    let mut restored = Restored {
        height: follower.position.height,
        block_hash: follower.position.hash.to_string(),
        from,
        rows_written: follower.rows_written,
        tables: Vec::new(),
        state_root: String::new(),
        proven: false,
        target: target.clone(),
    };
    let Some(digest) = follower.source.digest()? else {
        return Ok(restored);
    };
    restored.state_root = digest.root.to_string();
    let id = follower.source_id().to_owned();
    let held = follower.sink.begin_read(&id)?;
    let mut entries = Vec::with_capacity(digest.definitions.len());
    let mut rows = 0;
    for definition in &digest.definitions {
        let mut entry = TableEntry {
            table: definition.id,
            catalogue_hash: definition.hash(digest.suite),
            root: empty_table_root(digest.suite, definition.id),
        };
        if definition.kind.has_rows() {
            let kept = held
                .tables
                .iter()
                .find(|held| held.table.id == definition.id);
            let Some(kept) = kept else { continue };
            let mut each = || {
                rows += 1;
                progress(RestoreProgress::Reading { rows })
            };
            let read = root_of(
                digest.suite,
                definition,
                kept,
                &mut *follower.sink,
                &mut each,
            )?;
            let (count, root) = read.ok_or(RestoreFailure::Ended)?;
            restored.tables.push(RestoredTable {
                table: kept.table.to_string(),
                name: kept.target.clone(),
                rows: count,
                root: root.to_string(),
            });
            entry.root = root;
        }
        entries.push(entry);
    }
    follower.sink.end_read();
    if entries.len() < digest.definitions.len() {
        return Ok(restored);
    }
    let found = state_root(digest.suite, &entries)
        .map_err(|error| SourceError::Unreadable(error.to_string()))?;
    if found != digest.root {
        return Err(RestoreFailure::Differs {
            target,
            height: restored.height,
            expected: digest.root,
            found,
        });
    }
    restored.proven = true;
    Ok(restored)
}
