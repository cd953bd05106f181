mod check;
mod copies;
mod crash;
mod lookups;
mod mend;
mod recovery;

use std::path::Path;
use std::sync::Arc;

use stele_flow::sim::MemoryFiles;

use super::*;
use crate::error::StoreError;
use crate::index::MemoryIndex;
use crate::sample::{Chain, suite};

const DIRECTORY: &str = "/data";

fn config(segment_len: u64) -> StoreConfig {
    StoreConfig {
        segment_len,
        suite: suite(),
        ..StoreConfig::default()
    }
}

fn open(
    files: &MemoryFiles,
    ledger: Hash,
    index: &Arc<MemoryIndex>,
    config: StoreConfig,
) -> Result<(BlockStore, RecoveryReport), StoreError> {
    BlockStore::open(
        Arc::new(files.clone()),
        Path::new(DIRECTORY),
        ledger,
        config,
        index.clone(),
    )
}

fn open_fresh(files: &MemoryFiles, ledger: Hash, segment_len: u64) -> (BlockStore, RecoveryReport) {
    open(
        files,
        ledger,
        &Arc::new(MemoryIndex::new()),
        config(segment_len),
    )
    .unwrap()
}

fn segment_path(number: u64) -> PathBuf {
    Path::new(DIRECTORY)
        .join("segments")
        .join(crate::segment::file_name(number))
}

/// All blocks up to a height are there with all that belongs to them, and none above.
fn assert_holds(store: &BlockStore, chain: &Chain, height: u64) {
    assert_eq!(store.durable_height(), height);
    for height in 1..=height {
        let expected = chain.block(height);
        let block = store.block(height).unwrap().unwrap();
        assert_eq!(block.bytes, expected.bytes);
        assert_eq!(store.height_of(&expected.hash).unwrap(), Some(height));
        for (id, index) in expected.ids.iter().zip(0..) {
            assert_eq!(store.transaction_place(id).unwrap(), Some((height, index)));
        }
        if let Some(effects) = store.effects_bytes(height).unwrap() {
            assert_eq!(effects, expected.effects);
        } else {
            assert!(height > store.effects_height());
        }
    }
    assert_eq!(store.block(height + 1).unwrap(), None);
}
