//! How a store is opened.

use std::sync::Arc;

use stele_core::Suite;

/// Length at which segments roll, unless configured: 128 MiB.
pub const SEGMENT_LEN_DEFAULT: u64 = 128 * 1024 * 1024;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Access {
    /// The certified ledger: append only, never rolled back.
    #[default]
    Ledger,
    /// A restored copy or a stash: may be rolled back.
    Copy,
    /// Nothing on disk is changed, not even a torn tail; no lock is taken.
    ReadOnly,
}

/// Told bytes done and bytes in all while segments are read at open or the index is rebuilt.
pub type ProgressFn = dyn Fn(u64, u64) + Send + Sync;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreConfig {
    /// Length at which a segment is sealed and the next begun, in bytes. A single longer record
    /// still stands alone in a segment.
    pub segment_len: u64,
    /// The ledger's suite.
    pub suite: Suite,
    /// What it is opened for.
    pub access: Access,
    /// Who holds the lock file: a text for people.
    pub holder: String,
    /// Told how far reading segments at open has come.
    pub progress: Option<Arc<ProgressFn>>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            segment_len: SEGMENT_LEN_DEFAULT,
            suite: Suite::default(),
            access: Access::default(),
            holder: format!("stele, process {}", std::process::id()),
            progress: None,
        }
    }
}
