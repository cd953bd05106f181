//! What reads of the past ask of the block store.

use stele_core::Suite;
use stele_sql::function::{Past, PastBlock};
use stele_store::BlockStore;

/// The ledger's own blocks.
pub(crate) struct StoredPast {
    pub(crate) store: BlockStore,
    pub(crate) suite: Suite,
}

/// Height of the last block whose time is not after a moment; 0 before the first.
pub(crate) fn height_at(store: &BlockStore, time_us: i64, tip: u64) -> Result<u64, String> {
    // Block times grow with height. Invariant: block `low` is not after the time, `high` + 1 is.
    let (mut low, mut high) = (0, tip);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let header = store.header(middle).map_err(|e| e.to_string())?;
        let header = header.ok_or_else(|| format!("block {middle} is not kept"))?;
        if header.time_us <= time_us {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}

impl Past for StoredPast {
    fn height_at(&self, time_us: i64, tip: u64) -> Result<u64, String> {
        height_at(&self.store, time_us, tip)
    }

    fn block(&self, height: u64) -> Result<Option<PastBlock>, String> {
        let Some(stored) = self.store.block(height).map_err(|e| e.to_string())? else {
            return Ok(None);
        };
        let block = stored.decode().map_err(|e| e.to_string())?;
        let transactions = block
            .transactions
            .iter()
            .map(|signed| (signed.id(self.suite), signed.transaction.account))
            .collect();
        Ok(Some(PastBlock {
            time_us: block.header.time_us,
            transactions,
        }))
    }
}
