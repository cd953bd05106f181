//! Blocks appended but not yet in the index.

use std::collections::{BTreeMap, HashMap};

use stele_core::Hash;
use stele_core::leaf::BlockLeaf;

use crate::index::{BlockMeta, IndexedBlock};
use crate::location::{Location, Position};

/// Most blocks that may wait for the index.
pub(super) const TAIL_BLOCKS_MAX: usize = 65_536;

/// Most blocks given to the index in one step.
const BATCH_BLOCKS_MAX: usize = 1_024;

/// A block not yet in the index.
pub(super) struct TailBlock {
    pub(super) meta: BlockMeta,
    pub(super) transaction_ids: Vec<Hash>,
    /// Where the effects' record ends.
    effects_end: Option<Position>,
    pub(super) leaf: Option<BlockLeaf>,
}

/// What is ready for the index.
pub(super) struct Batch {
    pub(super) blocks: Vec<IndexedBlock>,
    pub(super) certificates: Vec<(u64, Location)>,
}

/// Blocks appended but not yet in the index, because they are not durable or not executed.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) blocks: BTreeMap<u64, TailBlock>,
    pub(super) hashes: HashMap<Hash, u64>,
    pub(super) transactions: HashMap<Hash, (u64, u32)>,
    pub(super) certificates: BTreeMap<u64, (Location, Position)>,
    /// The newest block leaf among the blocks that left for the index.
    pub(super) indexed_leaf: Option<BlockLeaf>,
}

impl Tail {
    pub(super) fn add_block(&mut self, meta: BlockMeta, transaction_ids: Vec<Hash>) {
        self.hashes.insert(meta.hash, meta.height);
        for (id, index) in transaction_ids.iter().zip(0u32..) {
            self.transactions.entry(*id).or_insert((meta.height, index));
        }
        self.blocks.insert(
            meta.height,
            TailBlock {
                meta,
                transaction_ids,
                effects_end: None,
                leaf: None,
            },
        );
    }

    pub(super) fn add_effects(
        &mut self,
        height: u64,
        location: Location,
        end: Position,
        leaf: Option<BlockLeaf>,
    ) {
        if let Some(block) = self.blocks.get_mut(&height) {
            block.meta.effects = Some(location);
            block.effects_end = Some(end);
            block.leaf = leaf;
        }
    }

    /// What may go into the index: blocks in order whose effects are durable.
    pub(super) fn ready(&self, durable: Position) -> Batch {
        let blocks = self
            .blocks
            .values()
            .take(BATCH_BLOCKS_MAX)
            .take_while(|block| block.effects_end.is_some_and(|end| end <= durable))
            .map(|block| IndexedBlock {
                meta: block.meta,
                transaction_ids: block.transaction_ids.clone(),
            })
            .collect();
        let certificates = self
            .certificates
            .iter()
            .filter(|(_, (_, end))| *end <= durable)
            .map(|(height, (location, _))| (*height, *location))
            .collect();
        Batch {
            blocks,
            certificates,
        }
    }

    /// Forgets what the index has taken.
    pub(super) fn remove(&mut self, batch: &Batch) {
        for indexed in &batch.blocks {
            let Some(block) = self.blocks.remove(&indexed.meta.height) else {
                continue;
            };
            self.hashes.remove(&block.meta.hash);
            for id in &block.transaction_ids {
                if self
                    .transactions
                    .get(id)
                    .is_some_and(|(height, _)| *height == block.meta.height)
                {
                    self.transactions.remove(id);
                }
            }
            if block.leaf.is_some() {
                self.indexed_leaf = block.leaf;
            }
        }
        for (height, location) in &batch.certificates {
            if self
                .certificates
                .get(height)
                .is_some_and(|(kept, _)| kept == location)
            {
                self.certificates.remove(height);
            }
        }
    }
}
