//! Reading blocks, transactions, tiles and the checkpoint.

use stele_core::block::{Block, BlockView};
use stele_core::certified::{CERTIFIED_BLOCKS_MAX, CertifiedBlock, CertifiedBlocks};
use stele_core::log::{TileContent, TilePath, TileReader, encode_bundle};
use stele_core::outcome::BlockEffects;
use stele_core::transaction::SignedTransaction;
use stele_core::{Decode, Hash};
use stele_store::{BlockMeta, StoreError};

use crate::error::NodeError;
use crate::node::{Inner, Node};

/// Where a block lies in the block store.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BlockLocation {
    /// Number of the segment file.
    pub segment: u64,
    /// Offset of the encoded block in the file, bytes.
    pub offset: u64,
    /// Length of the encoded block, bytes.
    pub len: u64,
    /// Length of the segment file, bytes.
    pub segment_len: u64,
}

/// A block as stored, decoded, with its effects.
#[derive(Clone, Debug)]
pub struct StoredBlock {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: Hash,
    /// Canonical encoding.
    pub bytes: Vec<u8>,
    /// Decoded.
    pub block: Block,
    /// What executing it gave.
    pub effects: BlockEffects,
}

impl From<StoreError> for NodeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(damage) => Self::Damaged(damage),
            other => Self::Storage(other.to_string()),
        }
    }
}

/// The answer to a height that is not stored.
pub(crate) fn not_stored(height: u64) -> NodeError {
    NodeError::NotFound {
        what: format!("block {height}"),
        hint: String::new(),
    }
}

impl Inner {
    pub(crate) fn meta(&self, height: u64) -> Result<BlockMeta, NodeError> {
        self.store.meta(height)?.ok_or_else(|| not_stored(height))
    }

    pub(crate) fn effects(&self, height: u64) -> Result<BlockEffects, NodeError> {
        self.store
            .effects(height)?
            .ok_or_else(|| not_stored(height))
    }

    /// Leaf `number` of the log, from the block and effects it follows from.
    fn leaves_of(&self, height: u64) -> Result<Vec<Vec<u8>>, NodeError> {
        let stored = self
            .store
            .block(height)?
            .ok_or_else(|| not_stored(height))?;
        let ids = BlockView::parse(&stored.bytes)
            .and_then(|view| view.transaction_ids(self.suite))
            .map_err(|error| NodeError::Storage(format!("block {height}: {error}")))?;
        Ok(self.effects(height)?.log_leaves(self.suite, &ids))
    }
}

impl Node {
    /// A block by height (from 1).
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn block(&self, height: u64) -> Result<StoredBlock, NodeError> {
        let inner = &*self.inner;
        if height > inner.tip().height {
            return Err(NodeError::NotFound {
                what: format!("block {height}"),
                hint: format!("the newest block is {}", inner.tip().height),
            });
        }
        let stored = inner
            .store
            .block(height)?
            .ok_or_else(|| not_stored(height))?;
        Ok(StoredBlock {
            height,
            hash: stored.meta.hash,
            block: stored.decode()?,
            effects: inner.effects(height)?,
            bytes: stored.bytes,
        })
    }

    /// Height of the block with that hash.
    ///
    /// # Errors
    /// When there is none.
    pub fn height_of_block(&self, hash: &Hash) -> Result<u64, NodeError> {
        self.inner
            .store
            .height_of(hash)?
            .ok_or_else(|| NodeError::NotFound {
                what: format!("block {hash}"),
                hint: String::new(),
            })
    }

    /// Place (height, index) of a transaction by its identity.
    ///
    /// # Errors
    /// When it stands in no block.
    pub fn place_of_transaction(&self, id: &Hash) -> Result<(u64, u32), NodeError> {
        self.inner
            .store
            .transaction_place(id)?
            .filter(|(height, _)| *height <= self.inner.tip().height)
            .ok_or_else(|| NodeError::NotFound {
                what: format!("transaction {id}"),
                hint: "it stands in no block of this ledger".to_owned(),
            })
    }

    /// Whether a transaction waits for its block.
    #[must_use]
    pub fn is_pending(&self, id: &Hash) -> bool {
        self.pending(id).is_some()
    }

    /// The transaction at a place.
    ///
    /// # Errors
    /// When there is no such block, or no such place in it.
    pub fn transaction_at(&self, height: u64, index: u32) -> Result<SignedTransaction, NodeError> {
        let inner = &*self.inner;
        let tip = inner.tip();
        if height == 0 || height > tip.height {
            return Err(NodeError::NotFound {
                what: format!("block {height}"),
                hint: format!("blocks 1 to {} are there", tip.height),
            });
        }
        let stored = inner
            .store
            .block(height)?
            .ok_or_else(|| not_stored(height))?;
        let broken = |error| NodeError::Storage(format!("block {height}: {error}"));
        let view = BlockView::parse(&stored.bytes).map_err(broken)?;
        let bytes = view
            .transactions
            .get(index as usize)
            .ok_or_else(|| NodeError::NotFound {
                what: format!("transaction {index} of block {height}"),
                hint: format!("the block has {}, numbered from 0", view.transactions.len()),
            })?;
        SignedTransaction::decode_all(bytes).map_err(broken)
    }

    /// Blocks from a height on (0 or less is an error), at most `limit` (0: up to 1,000), and at most
    /// `bytes_max` of encodings but at least one block; and the height to go on from.
    ///
    /// # Errors
    /// When the height is below 1 or a block cannot be read.
    pub fn blocks(
        &self,
        from: i64,
        limit: u64,
        bytes_max: usize,
    ) -> Result<(Vec<StoredBlock>, Option<u64>), NodeError> {
        let page = self
            .inner
            .store
            .range(from, limit, bytes_max)
            .map_err(|error| match error {
                StoreError::HeightBelowOne { .. } => NodeError::Invalid(error.to_string()),
                other => other.into(),
            })?;
        let blocks = page
            .blocks
            .iter()
            .filter(|block| block.meta.height <= self.inner.tip().height)
            .map(|block| self.block(block.meta.height))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((blocks, page.next.map(|(height, _)| height)))
    }

    /// Height of the newest applied block; 0 before the first.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.inner.tip().height
    }

    /// Blocks after a height with their certificates, for a node that follows: at most `bytes_max` of
    /// encodings, but at least one block if there is one.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn certified_blocks(
        &self,
        after: u64,
        bytes_max: usize,
    ) -> Result<CertifiedBlocks, NodeError> {
        if after >= self.height() {
            return Ok(CertifiedBlocks::default());
        }
        let from = i64::try_from(after + 1)
            .map_err(|_| NodeError::Invalid(format!("no block has height {after}")))?;
        let (blocks, _) = self.blocks(from, CERTIFIED_BLOCKS_MAX as u64, bytes_max)?;
        let certified = blocks.into_iter().map(|block| {
            let certificate = String::from_utf8(block.effects.certificate).map_err(|_| {
                NodeError::Storage(format!(
                    "the certificate of block {} is no text",
                    block.height
                ))
            });
            Ok(CertifiedBlock {
                block: block.bytes,
                certificate: certificate?,
            })
        });
        certified
            .collect::<Result<_, NodeError>>()
            .map(CertifiedBlocks)
    }

    /// Where a block lies.
    ///
    /// # Errors
    /// When there is none, or its file cannot be read.
    pub fn block_location(&self, height: u64) -> Result<BlockLocation, NodeError> {
        let store = &self.inner.store;
        let location = store.location(height)?.ok_or_else(|| not_stored(height))?;
        Ok(BlockLocation {
            segment: location.segment,
            offset: location.offset,
            len: u64::from(location.len),
            segment_len: store.segment_len(location.segment)?.unwrap_or_default(),
        })
    }

    /// The newest checkpoint: a C2SP signed note.
    ///
    /// # Errors
    /// Before the first block.
    pub fn checkpoint(&self) -> Result<String, NodeError> {
        let tip = self.inner.tip();
        if tip.height == 0 {
            return Err(NodeError::NotFound {
                what: "a checkpoint".to_owned(),
                hint: "the ledger has no block yet: write something first".to_owned(),
            });
        }
        Ok(tip.certificate.clone())
    }

    /// A C2SP tile or entry bundle by its path, such as `tile/0/x001/067` or `tile/entries/000.p/5`.
    ///
    /// # Errors
    /// When the path is not one, or the log does not reach so far.
    pub fn tile(&self, path: &str) -> Result<Vec<u8>, NodeError> {
        let parsed: TilePath = path
            .parse()
            .map_err(|error| NodeError::Invalid(format!("{path:?}: {error}")))?;
        let size = self.inner.tip().log_size;
        let range = parsed.places_in(size).ok_or_else(|| NodeError::NotFound {
            what: path.to_owned(),
            hint: format!("the log has {size} leaves"),
        })?;
        match parsed.content() {
            TileContent::Hashes { level } => {
                let count = usize::from(parsed.width());
                let hashes = self.inner.tiles.hashes(level, range.start, count)?;
                Ok(hashes.iter().flat_map(|hash| hash.0).collect())
            }
            TileContent::Entries => self.entries(range.start, range.end),
        }
    }

    fn entries(&self, start: u64, end: u64) -> Result<Vec<u8>, NodeError> {
        let inner = &*self.inner;
        let mut leaves: Vec<Vec<u8>> = Vec::new();
        let mut next = start;
        while next < end {
            let height = inner
                .store
                .height_of_leaf(next)?
                .ok_or_else(|| not_stored(inner.tip().height + 1))?;
            let first = inner.meta(height)?.first_leaf();
            for (leaf, number) in inner.leaves_of(height)?.into_iter().zip(first..) {
                if number >= start && number < end {
                    leaves.push(leaf);
                }
                next = next.max(number + 1);
            }
        }
        encode_bundle(&leaves).map_err(|error| NodeError::Storage(error.to_string()))
    }
}
