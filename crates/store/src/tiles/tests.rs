use stele_core::log::{MemoryTiles, inclusion_proof, verify_inclusion};
use stele_core::outcome::BlockEffects;
use stele_core::{Decode, Encode};
use stele_flow::sim::MemoryFiles;

use super::*;
use crate::config::StoreConfig;
use crate::index::MemoryIndex;
use crate::sample::{Chain, suite};

const DIRECTORY: &str = "/data";

fn open_store(files: &MemoryFiles, chain: &Chain) -> BlockStore {
    let (store, report) = BlockStore::open(
        Arc::new(files.clone()),
        Path::new(DIRECTORY),
        chain.ledger,
        StoreConfig::default(),
        Arc::new(MemoryIndex::new()),
    )
    .unwrap();
    assert_eq!(report.damage, None);
    store
}

fn open_tiles(files: &MemoryFiles, store: &BlockStore) -> (TileStore, LogTree) {
    TileStore::open(
        Arc::new(files.clone()),
        Path::new(DIRECTORY),
        suite(),
        store,
    )
    .unwrap()
}

/// Tree and tiles of the first blocks, made in memory.
fn model(chain: &Chain, height: usize) -> (LogTree, MemoryTiles) {
    let (mut tree, mut tiles) = (LogTree::new(suite()), MemoryTiles::default());
    for block in chain.blocks.iter().take(height) {
        let effects = BlockEffects::decode_all(&block.effects).unwrap();
        let mut hashes = Vec::new();
        for leaf in effects.log_leaves(suite(), &block.ids) {
            tree.append(leaf_hash(suite(), &leaf), &mut hashes);
        }
        tiles.extend(hashes);
    }
    (tree, tiles)
}

fn assert_equal(tiles: &TileStore, tree: &LogTree, chain: &Chain, height: usize) {
    let (expected_tree, expected) = model(chain, height);
    assert_eq!(tree, &expected_tree);
    assert_eq!(tiles.leaf_count(), expected_tree.size());
    for level in 0..3u8 {
        let count = expected.level(level).len();
        for start in (0..count).step_by(256) {
            let found = tiles.hashes(level, start as u64, 256).unwrap();
            assert_eq!(found, expected.level(level)[start..count.min(start + 256)]);
        }
    }
}

fn append_with_tiles(
    chain: &Chain,
    store: &BlockStore,
    tiles: &TileStore,
    tree: &mut LogTree,
    heights: std::ops::RangeInclusive<u64>,
) {
    for height in heights {
        chain.append(store, height..=height);
        let block = chain.block(height);
        let effects = BlockEffects::decode_all(&block.effects).unwrap();
        let mut hashes = Vec::new();
        for leaf in effects.log_leaves(suite(), &block.ids) {
            tree.append(leaf_hash(suite(), &leaf), &mut hashes);
        }
        tiles.append(&hashes).unwrap();
    }
}

#[test]
fn c1_tiles_follow_the_store_and_are_rebuilt_when_lost() {
    let chain = Chain::new(1, &[(90, 4); 9]);
    let files = MemoryFiles::new(1);
    let store = open_store(&files, &chain);
    let (tiles, mut tree) = open_tiles(&files, &store);
    append_with_tiles(&chain, &store, &tiles, &mut tree, 1..=5);
    assert_equal(&tiles, &tree, &chain, 5);
    tiles.checkpoint().unwrap();
    append_with_tiles(&chain, &store, &tiles, &mut tree, 6..=9);
    assert_equal(&tiles, &tree, &chain, 9);
    let leaf = model(&chain, 9).1.level(0)[400];
    let proof = inclusion_proof(suite(), 400, tree.size(), &tiles).unwrap();
    verify_inclusion(suite(), &leaf, 400, tree.size(), &proof, &tree.root()).unwrap();
    drop(tiles);
    // Dropped without a checkpoint: the rest comes from the segments.
    let (tiles, tree) = open_tiles(&files, &store);
    assert_equal(&tiles, &tree, &chain, 9);
    drop(tiles);
    for name in ["0", "1", "state"] {
        files
            .remove(&Path::new(DIRECTORY).join("log").join(name))
            .unwrap();
        let (tiles, tree) = open_tiles(&files, &store);
        assert_equal(&tiles, &tree, &chain, 9);
    }
}

#[test]
fn c2_tiles_equal_the_store_after_every_crash() {
    let chain = Chain::new(1, &[(60, 4); 6]);
    for nth in 1.. {
        let files = MemoryFiles::new(nth);
        files.power_off_in(nth);
        let run = || -> Result<(), StoreError> {
            let store = BlockStore::open(
                Arc::new(files.clone()),
                Path::new(DIRECTORY),
                chain.ledger,
                StoreConfig::default(),
                Arc::new(MemoryIndex::new()),
            )?
            .0;
            let (tiles, mut tree) = TileStore::open(
                Arc::new(files.clone()),
                Path::new(DIRECTORY),
                suite(),
                &store,
            )?;
            for (block, height) in chain.blocks.iter().zip(1u64..) {
                let record = crate::BlockRecord::parse(&block.bytes, suite()).unwrap();
                store.append_block(&record)?;
                store.sync()?;
                store.append_effects(&block.effects, &block.leaf)?;
                let effects = BlockEffects::decode_all(&block.effects).unwrap();
                let mut hashes = Vec::new();
                for leaf in effects.log_leaves(suite(), &block.ids) {
                    tree.append(leaf_hash(suite(), &leaf), &mut hashes);
                }
                tiles.append(&hashes)?;
                if height.is_multiple_of(2) {
                    tiles.checkpoint()?;
                }
            }
            Ok(())
        };
        let completed = run().is_ok();
        files.crash();
        let store = open_store(&files, &chain);
        let (tiles, tree) = open_tiles(&files, &store);
        assert_equal(&tiles, &tree, &chain, store.effects_height() as usize);
        if completed {
            return;
        }
    }
}

#[test]
fn leaves_encode_as_the_tree_expects() {
    let chain = Chain::new(1, &[(1, 1)]);
    let effects = BlockEffects::decode_all(&chain.block(1).effects).unwrap();
    let leaves = effects.log_leaves(suite(), &chain.block(1).ids);
    assert_eq!(leaves.len(), 2);
    assert_eq!(leaves[1], chain.block(1).leaf.encode_to_vec());
}
