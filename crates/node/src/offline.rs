//! A ledger's blocks in a directory, read without changing it and without its state: what is restored from.
//! A node may run on the directory meanwhile.

use std::path::Path;
use std::sync::Arc;

use stele_core::genesis::Genesis;
use stele_core::outcome::BlockEffects;
use stele_core::trust::Trust;
use stele_core::{Hash, Suite};
use stele_flow::Runtime;
use stele_store::{Access, BlockStore, MemoryIndex, StoreConfig};

use crate::audit::{check_store, reported};
use crate::blocks::not_stored;
use crate::changes::{Chain, LedgerSource};
use crate::directory::{check_format, read_genesis};
use crate::error::NodeError;
use crate::node::Node;
use crate::past::height_at;
use crate::status::AuditReport;

/// A ledger's blocks in a directory.
pub struct OfflineLedger {
    stored: Arc<Stored>,
    genesis: Genesis,
    runtime: Runtime,
}

struct Stored {
    store: BlockStore,
    tip: u64,
}

impl Chain for Stored {
    fn tip(&self) -> u64 {
        self.tip
    }

    fn hash(&self, height: u64) -> Result<Hash, NodeError> {
        let meta = self.store.meta(height)?;
        Ok(meta.ok_or_else(|| not_stored(height))?.hash)
    }

    fn effects(&self, height: u64) -> Result<BlockEffects, NodeError> {
        let effects = self.store.effects(height)?;
        effects.ok_or_else(|| not_stored(height))
    }

    fn node(&self) -> Option<&Node> {
        None
    }
}

impl OfflineLedger {
    /// Opens the blocks of a data directory or an imported archive.
    ///
    /// # Errors
    /// When it holds none, is of another format, or cannot be read.
    pub fn open(directory: &Path, runtime: &Runtime) -> Result<Self, NodeError> {
        if runtime.files.exists(&directory.join("format"))? {
            check_format(&runtime.files, directory)?;
        }
        let genesis = read_genesis(&runtime.files, directory)?;
        let config = StoreConfig {
            access: Access::ReadOnly,
            suite: genesis.suite,
            ..StoreConfig::default()
        };
        let index = Arc::new(MemoryIndex::new());
        let files = runtime.files.clone();
        let ledger = genesis.ledger_id();
        let (store, report) = BlockStore::open(files, directory, ledger, config, index)?;
        if let Some(damage) = &report.damage {
            return Err(NodeError::Storage(format!(
                "{}: {damage}; run `stele verify --data {}`",
                directory.display(),
                directory.display()
            )));
        }
        Ok(Self {
            stored: Arc::new(Stored {
                store,
                tip: report.effects_height,
            }),
            genesis,
            runtime: runtime.clone(),
        })
    }

    /// The ledger's identity document.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Hashes of the ledger.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.genesis.suite
    }

    /// Height of the newest block with its effects.
    #[must_use]
    pub fn tip(&self) -> u64 {
        self.stored.tip
    }

    /// Height of the last block whose time is not after a moment (microseconds since 1970 UTC); 0 before the first.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn height_at(&self, time_us: i64) -> Result<u64, NodeError> {
        height_at(&self.stored.store, time_us, self.tip()).map_err(NodeError::Storage)
    }

    /// Time of a block, microseconds since 1970 UTC.
    ///
    /// # Errors
    /// When there is no such block, or it cannot be read.
    pub fn time_of(&self, height: u64) -> Result<i64, NodeError> {
        let header = self.stored.store.header(height)?;
        Ok(header.ok_or_else(|| not_stored(height))?.time_us)
    }

    /// Checks the blocks up to a height as a verifier does: hashes, links, signatures, and that effects are those
    /// the log commits to. `progress` is given (done, total) bytes.
    ///
    /// # Errors
    /// When a file cannot be read. Damage is no error: it is in the report.
    pub fn check(&self, up_to: u64, progress: &dyn Fn(u64, u64)) -> Result<AuditReport, NodeError> {
        let trust = Trust::of_genesis(&self.genesis);
        let keep_on = |done, total| {
            progress(done, total);
            true
        };
        let store = &self.stored.store;
        let checked = check_store(store, None, &trust, 1..=up_to, &self.runtime, 0, &keep_on)?;
        Ok(reported(store, checked))
    }

    /// The ledger as a source of row changes, standing before its first block.
    #[must_use]
    pub fn source(&self) -> LedgerSource {
        let ledger = self.genesis.ledger_id();
        LedgerSource::new(self.stored.clone(), self.suite(), ledger)
    }
}
