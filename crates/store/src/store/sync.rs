//! Making appended records durable.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{BlockStore, Inner};
use crate::error::StoreError;
use crate::location::Position;
use crate::mark::Mark;

/// What is known to be durable, and whether anything still can become so.
pub(super) struct Durable {
    mark: Option<Mark>,
    position: Mutex<Position>,
    height: AtomicU64,
    poison: OnceLock<String>,
}

impl Durable {
    pub(super) fn new(mark: Option<Mark>, position: Position, height: u64) -> Self {
        Self {
            mark,
            position: Mutex::new(position),
            height: AtomicU64::new(height),
            poison: OnceLock::new(),
        }
    }

    /// Height of the newest durable block.
    pub(super) fn height(&self) -> u64 {
        self.height.load(Ordering::Acquire)
    }

    pub(super) fn position(&self) -> Position {
        *self.position.lock()
    }

    /// Notes that everything before `position`, with blocks up to `height`, is durable.
    pub(super) fn advance(&self, position: Position, height: u64) {
        let mut known = self.position.lock();
        if position <= *known {
            return;
        }
        *known = position;
        self.height.fetch_max(height, Ordering::AcqRel);
        // An old mark is still a true one, so failing to write it loses nothing but sharpness.
        if let Some(Err(error)) = self.mark.as_ref().map(|mark| mark.write(position)) {
            tracing::warn!(%error, "mark of durable length not written");
        }
    }

    /// Sets what is durable anew, after records were removed.
    pub(super) fn reset(&self, position: Position, height: u64) {
        *self.position.lock() = position;
        self.height.store(height, Ordering::Release);
    }

    /// Lowers the mark to the beginning of a segment, if that is the newest.
    pub(super) fn unmark(&self, segment: u64) -> Result<(), StoreError> {
        let known = self.position.lock();
        if known.segment == segment {
            return self.lower_mark(Position { segment, offset: 0 });
        }
        Ok(())
    }

    /// Notes that a sealed segment has another length now, if nothing was appended after it.
    pub(super) fn moved(&self, end: Position) -> Result<(), StoreError> {
        let mut known = self.position.lock();
        if known.segment == end.segment {
            *known = end;
            return self.lower_mark(end);
        }
        Ok(())
    }

    /// Lowers the mark durably, before records are removed.
    pub(super) fn lower_mark(&self, position: Position) -> Result<(), StoreError> {
        match &self.mark {
            Some(mark) => Ok(mark.write(position).and_then(|()| mark.sync())?),
            None => Ok(()),
        }
    }

    pub(super) fn poison(&self, cause: &StoreError) {
        // The first failure is the one to be told.
        let _ = self.poison.set(cause.to_string());
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.poison.get() {
            None => Ok(()),
            Some(cause) => Err(StoreError::Poisoned {
                cause: cause.clone(),
            }),
        }
    }
}

impl Inner {
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.durable.check()?;
        let captured = {
            let writer = self.writer.lock();
            writer
                .open
                .as_ref()
                .map(|open| (open.file.clone(), open.position(), writer.tip.height))
        };
        // Without an open segment all are sealed, and sealing made them durable.
        let Some((file, position, height)) = captured else {
            return Ok(());
        };
        if position <= self.durable.position() {
            return Ok(());
        }
        if let Err(error) = file.sync() {
            // The system may have dropped the unwritten pages and marked them clean, so a second
            // sync could succeed without having stored anything. Only a restart, which reads back
            // and rewrites what is past the mark, can tell.
            let error = StoreError::from(error);
            self.durable.poison(&error);
            return Err(error);
        }
        self.durable.advance(position, height);
        Ok(())
    }
}

impl BlockStore {
    /// Makes all records appended before the call durable, with one sync of one file, or none if
    /// they are durable already. Look-ups see blocks from then on.
    ///
    /// # Errors
    /// When they are not known to be durable; the store is poisoned then.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.inner.sync()
    }

    /// A handle by which another thread syncs, while this one goes on appending.
    #[must_use]
    pub fn sync_handle(&self) -> SyncHandle {
        SyncHandle {
            store: self.clone(),
        }
    }

    /// Height of the newest durable block; 0 before the first.
    #[must_use]
    pub fn durable_height(&self) -> u64 {
        self.inner.durable.height()
    }

    /// Whether a failure has ended all writing, and which.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`] if so.
    pub fn check_poison(&self) -> Result<(), StoreError> {
        self.inner.durable.check()
    }
}

/// Syncs a store from another thread. See [`BlockStore::sync`].
#[derive(Clone)]
pub struct SyncHandle {
    store: BlockStore,
}

impl SyncHandle {
    /// Makes all records appended before the call durable. Records appended while it runs may or
    /// may not be.
    ///
    /// # Errors
    /// When they are not known to be durable; the store is poisoned then.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.store.sync()
    }
}
