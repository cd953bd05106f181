//! The block store: append-only segments, a rebuildable index, look-ups, self-check.
//!
//! Blocks and their effects stand in **segments**, files that only grow. They are the one long-term
//! home of a ledger; the [`Index`] and the [`TileStore`] are derived from them and may be deleted at
//! any time. What each record looks like is in [`segment`].
//!
//! Guarantees:
//! - a block is durable once a [`BlockStore::sync`] that began after its append returned well;
//! - look-ups answer from durable blocks only;
//! - after a crash the store holds every durable record, and nothing of a half-written one;
//! - a damaged record is never cut away silently, it is named: segment, offset, height;
//! - the index never names what is not durable.

pub mod config;
pub mod damage;
pub mod error;
pub mod index;
pub mod location;
mod mark;
mod merkle;
pub mod record;
#[cfg(test)]
mod sample;
pub mod segment;
pub mod snapshot;
pub mod store;
pub mod tiles;

pub use config::{Access, StoreConfig};
pub use damage::{Damage, DamageKind};
pub use error::StoreError;
pub use index::{BlockMeta, FjallIndex, Index, MemoryIndex};
pub use location::Location;
pub use record::BlockRecord;
pub use snapshot::{SnapshotError, SnapshotFile, SnapshotHead, SnapshotSummary, SnapshotWriter};
pub use store::{BlockStore, ChainInfo, Page, RecoveryReport, StoredBlock, SyncHandle};
pub use tiles::TileStore;
