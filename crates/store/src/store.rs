//! The block store itself.

mod append;
mod check;
mod cut;
mod found;
mod info;
mod lookup;
mod mend;
mod open;
mod read;
mod rebuild;
mod recover;
mod restore;
mod sync;
mod tail;
mod walk;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};
use stele_core::Hash;
use stele_flow::{FileLock, Files};

use crate::config::StoreConfig;
use crate::damage::Damage;
use crate::index::Index;

pub use check::{
    AcceptAll, CheckOptions, CheckProgress, CheckReport, Fault, Judge, TileFault, UNIT_LEN_DEFAULT,
};
pub use info::ChainInfo;
pub use lookup::{PAGE_BYTES_DEFAULT, RANGE_LIMIT_DEFAULT};
pub use lookup::{Page, StoredBlock, parse_block_hash};
pub use mend::Mending;
pub use open::read_ledger_id;
pub use recover::{RecoveryReport, TornTail};
pub use restore::{
    IncomingBlock, RestoreError, RestoreReport, RestoreStop, VerifiedLink, Verifier,
};
pub use sync::SyncHandle;

use read::Readers;
use sync::Durable;
use tail::Tail;
use writer::Writer;

/// The blocks of one ledger on disk. Cheap to clone; clones are the same store.
///
/// Appends come from one thread at a time per kind (blocks, effects); look-ups and syncs from any.
#[derive(Clone)]
pub struct BlockStore {
    inner: Arc<Inner>,
}

struct Inner {
    files: Arc<dyn Files>,
    /// The directory of segments.
    directory: PathBuf,
    ledger: Hash,
    config: StoreConfig,
    index: Arc<dyn Index>,
    writer: Mutex<Writer>,
    tail: RwLock<Tail>,
    durable: Durable,
    damage: RwLock<Option<Damage>>,
    /// A damaged part of a segment that others follow, and its last height.
    held: RwLock<Option<(Damage, u64)>>,
    readers: Readers,
    /// Held while the index is written.
    indexing: Mutex<()>,
    rebuilding: AtomicBool,
    // Dropped last, so that nobody else opens files still in use.
    _lock: Option<Box<dyn FileLock>>,
}

impl BlockStore {
    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> Hash {
        self.inner.ledger
    }

    /// The directory of the segment files.
    #[must_use]
    pub fn segments_directory(&self) -> &Path {
        &self.inner.directory
    }

    /// What is wrong with the store, if anything is known to be. Look-ups from that height on are
    /// refused, and so are appends.
    #[must_use]
    pub fn damage(&self) -> Option<Damage> {
        self.inner.damage.read().clone()
    }

    /// Quarantines the store from a height on: look-ups there and appends are refused from now on.
    pub fn quarantine(&self, damage: Damage) {
        let mut known = self.inner.damage.write();
        if known
            .as_ref()
            .is_none_or(|known| damage.height < known.height)
        {
            *known = Some(damage);
        }
    }
}

#[cfg(test)]
mod tests;
