//! An index in memory, for tests and short-lived copies.

use std::collections::{BTreeMap, HashMap};

use parking_lot::RwLock;
use stele_core::Hash;

use super::{BlockMeta, Index, IndexedBlock};
use crate::error::StoreError;
use crate::location::Location;

/// An index in memory: rebuilt at each open.
#[derive(Debug, Default)]
pub struct MemoryIndex {
    maps: RwLock<Maps>,
}

#[derive(Debug, Default)]
struct Maps {
    blocks: BTreeMap<u64, BlockMeta>,
    hashes: HashMap<Hash, u64>,
    transactions: HashMap<Hash, (u64, u32)>,
    certificates: BTreeMap<u64, Location>,
}

impl MemoryIndex {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Index for MemoryIndex {
    fn add(
        &self,
        blocks: &[IndexedBlock],
        certificates: &[(u64, Location)],
    ) -> Result<(), StoreError> {
        let mut maps = self.maps.write();
        for block in blocks {
            let meta = block.meta;
            maps.blocks.insert(meta.height, meta);
            maps.hashes.insert(meta.hash, meta.height);
            for (id, index) in block.transaction_ids.iter().zip(0u32..) {
                maps.transactions.entry(*id).or_insert((meta.height, index));
            }
        }
        maps.certificates.extend(certificates.iter().copied());
        Ok(())
    }

    fn persist(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn clear(&self) -> Result<(), StoreError> {
        *self.maps.write() = Maps::default();
        Ok(())
    }

    fn last(&self) -> Result<Option<BlockMeta>, StoreError> {
        Ok(self.maps.read().blocks.values().next_back().copied())
    }

    fn block(&self, height: u64) -> Result<Option<BlockMeta>, StoreError> {
        Ok(self.maps.read().blocks.get(&height).copied())
    }

    fn height_of(&self, hash: &Hash) -> Result<Option<u64>, StoreError> {
        Ok(self.maps.read().hashes.get(hash).copied())
    }

    fn transaction(&self, id: &Hash) -> Result<Option<(u64, u32)>, StoreError> {
        Ok(self.maps.read().transactions.get(id).copied())
    }

    fn certificate_from(&self, height: u64) -> Result<Option<(u64, Location)>, StoreError> {
        let maps = self.maps.read();
        let found = maps.certificates.range(height..).next();
        Ok(found.map(|(height, location)| (*height, *location)))
    }

    fn certificate_last(&self) -> Result<Option<(u64, Location)>, StoreError> {
        let maps = self.maps.read();
        let found = maps.certificates.last_key_value();
        Ok(found.map(|(height, location)| (*height, *location)))
    }
}
