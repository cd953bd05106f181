//! How an engine is opened and what a transaction may cost.

use std::path::PathBuf;

use stele_core::genesis::Limits;
use stele_core::{Hash, Suite};

/// Most bytes of encoded rows, before and after, that one transaction may change; more fails with
/// 54000. Bounds the memory a block takes. Part of the execution rules: equal on every node.
pub const CHANGED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Heights for which replaced state tree nodes are kept.
pub const PROOF_WINDOW: u64 = 1_000;
/// Read connections opened at start.
pub const READERS: usize = 4;
/// Page cache of the writer, in KiB. **Part of the execution rules**: what does not fit while sorting is
/// counted, see [`crate::spill`].
pub const WRITER_CACHE_KIB: u32 = 64 * 1024;
/// Page cache of each reader, in KiB.
pub const READER_CACHE_KIB: u32 = 8 * 1024;

/// What opening an engine needs.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The state database's file; none keeps it in memory, where reads wait while a block is open.
    pub path: Option<PathBuf>,
    /// The ledger's identity. A state of another ledger is refused.
    pub ledger: Hash,
    /// The ledger's crypto suite.
    pub suite: Suite,
    /// What one transaction may cost. Part of the ledger's rules: equal on every node.
    pub limits: Limits,
    /// Heights for which replaced state tree nodes are kept.
    pub proof_window: u64,
    /// Read connections.
    pub readers: usize,
}

impl EngineConfig {
    /// The defaults for a ledger's state.
    #[must_use]
    pub fn new(path: Option<PathBuf>, ledger: Hash, suite: Suite) -> Self {
        Self {
            path,
            ledger,
            suite,
            limits: Limits::default(),
            proof_window: PROOF_WINDOW,
            readers: READERS,
        }
    }
}
