//! Row C3: look-ups against a plain list of blocks.

use proptest::prelude::*;

use super::*;
use crate::store::{PAGE_BYTES_DEFAULT, parse_block_hash};

fn check_against_model(store: &BlockStore, chain: &Chain) {
    let tip = chain.blocks.len() as u64;
    let mut transactions = 0;
    let mut leaf = 0;
    for (block, height) in chain.blocks.iter().zip(1..) {
        let meta = store.meta(height).unwrap().unwrap();
        assert_eq!((meta.hash, meta.height), (block.hash, height));
        assert_eq!(meta.transactions_before, transactions);
        transactions += block.ids.len() as u64;
        let found = store.block_by_hash(&block.hash).unwrap().unwrap();
        assert_eq!(found.bytes, block.bytes);
        assert_eq!(found.decode().unwrap().hash(suite()), block.hash);
        for (id, index) in block.ids.iter().zip(0..) {
            let (found, at) = store.block_by_transaction(id).unwrap().unwrap();
            assert_eq!((found.meta.height, at), (height, index));
        }
        for _ in 0..=block.ids.len() {
            assert_eq!(store.height_of_leaf(leaf).unwrap(), Some(height));
            leaf += 1;
        }
        let location = store.location(height).unwrap().unwrap();
        let file = store
            .inner
            .files
            .read(&store.segment_path(location.segment))
            .unwrap();
        let at = location.offset as usize;
        assert_eq!(file[at..at + location.len as usize], block.bytes);
        assert_eq!(
            store.segment_len(location.segment).unwrap(),
            Some(file.len() as u64)
        );
        assert_eq!(store.effects_bytes(height).unwrap().unwrap(), block.effects);
    }
    assert_eq!(store.height_of_leaf(leaf).unwrap(), None);
    assert_eq!(store.block(tip + 1).unwrap(), None);
    assert_eq!(store.block_by_hash(&Hash([1; 32])).unwrap(), None);
    assert_eq!(store.transaction_place(&Hash([1; 32])).unwrap(), None);
    let info = store.info().unwrap();
    assert_eq!((info.height, info.transaction_total), (tip, transactions));
    let hash = |height: u64| match height {
        0 => chain.ledger,
        height => chain.block(height).hash,
    };
    assert_eq!(info.block_hash, hash(tip));
    assert_eq!(info.parent_hash, hash(tip.saturating_sub(1)));
    assert_eq!(info.leaf, chain.blocks.last().map(|block| block.leaf));
    assert_eq!(info.segment_number, store.segment_number());
}

fn check_ranges(store: &BlockStore, chain: &Chain, from: u64, limit: u64, bytes_max: usize) {
    let count = if limit == 0 { 1_000 } else { limit } as usize;
    let expected: Vec<&[u8]> = chain
        .blocks
        .iter()
        .skip(from as usize - 1)
        .take(count)
        .map(|block| block.bytes.as_slice())
        .collect();
    let mut found = Vec::new();
    let mut next = Some((from, limit));
    while let Some((from, limit)) = next {
        let page = store.range(from as i64, limit, bytes_max).unwrap();
        let len: usize = page.blocks.iter().map(|block| block.bytes.len()).sum();
        assert!(len <= bytes_max || page.blocks.len() == 1);
        found.extend(page.blocks.into_iter().map(|block| block.bytes));
        next = page.next;
    }
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn c3_lookups_equal_a_list(
        blocks in prop::collection::vec((0usize..5, 0usize..400), 0..12),
        segment_len in 500u64..6_000,
        ranges in prop::collection::vec((1u64..15, 0u64..15, 0usize..5_000), 5),
    ) {
        let chain = Chain::new(1, &blocks);
        let files = MemoryFiles::new(1);
        let (store, _) = open_fresh(&files, chain.ledger, segment_len);
        let tip = blocks.len() as u64;
        chain.append(&store, 1..=tip);
        store.flush().unwrap();
        check_against_model(&store, &chain);
        for (from, limit, bytes_max) in ranges {
            check_ranges(&store, &chain, from, limit, bytes_max);
        }
        drop(store);
        let (store, report) = open_fresh(&files, chain.ledger, segment_len);
        prop_assert_eq!(report.height, tip);
        check_against_model(&store, &chain);
    }
}

#[test]
fn c3_range_from_below_one_is_an_error() {
    let chain = Chain::new(1, &[(1, 1); 3]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    chain.append(&store, 1..=3);
    for from in [0, -1, i64::MIN] {
        assert!(matches!(
            store.range(from, 0, PAGE_BYTES_DEFAULT),
            Err(StoreError::HeightBelowOne { height }) if height == from
        ));
    }
    let page = store.range(4, 5, PAGE_BYTES_DEFAULT).unwrap();
    assert_eq!((page.blocks.len(), page.next), (0, None));
}

#[test]
fn c3_hashes_are_read_from_hex_and_base64() {
    let hash = Hash([0xfb; 32]);
    let hex = hash.to_hex();
    for text in [
        hex.as_str(),
        hex.to_uppercase().as_str(),
        "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=",
        "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s",
    ] {
        assert_eq!(parse_block_hash(text), Some(hash), "{text}");
    }
    for text in ["", "fb", "zz", &hex[1..]] {
        assert_eq!(parse_block_hash(text), None, "{text}");
    }
}

#[test]
fn b1_blocks_are_seen_once_durable_and_never_before() {
    let chain = Chain::new(1, &[(2, 5); 2]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    chain.append(&store, 1..=1);
    let second = chain.block(2);
    let record = crate::BlockRecord::parse(&second.bytes, suite()).unwrap();
    store.append_block(&record).unwrap();
    assert_eq!(store.block(2).unwrap(), None);
    assert_eq!(store.block_by_hash(&second.hash).unwrap(), None);
    assert_eq!(store.transaction_place(&second.ids[0]).unwrap(), None);
    store.sync_handle().sync().unwrap();
    assert!(store.block(2).unwrap().is_some());
    assert_eq!(
        store.transaction_place(&second.ids[1]).unwrap(),
        Some((2, 1))
    );
}

#[test]
fn c1_genesis_and_certificates_come_back() {
    let chain = Chain::new(1, &[(1, 900); 6]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 2_000);
    assert_eq!(store.genesis().unwrap(), None);
    store.append_genesis(b"genesis").unwrap();
    assert!(store.append_genesis(b"again").is_err());
    chain.append(&store, 1..=4);
    store.append_certificate(2, b"note 2").unwrap();
    store.append_certificate(4, b"note 4").unwrap();
    assert!(store.append_certificate(5, b"early").is_err());
    chain.append(&store, 5..=6);
    for _ in 0..2 {
        let (store, _) = {
            store.flush().unwrap();
            (store.clone(), ())
        };
        assert_eq!(store.genesis().unwrap().unwrap(), b"genesis");
        assert_eq!(
            store.certificate_from(1).unwrap(),
            Some((2, b"note 2".to_vec()))
        );
        assert_eq!(
            store.certificate_from(3).unwrap(),
            Some((4, b"note 4".to_vec()))
        );
        assert_eq!(store.certificate_from(5).unwrap(), None);
        assert_eq!(
            store.certificate_last().unwrap(),
            Some((4, b"note 4".to_vec()))
        );
    }
    drop(store);
    let (store, _) = open_fresh(&files, chain.ledger, 2_000);
    assert_eq!(store.genesis().unwrap().unwrap(), b"genesis");
    assert_eq!(
        store.certificate_last().unwrap(),
        Some((4, b"note 4".to_vec()))
    );
    assert!(store.segment_number() > 2);
}

#[test]
fn c3_what_does_not_follow_is_refused_by_name() {
    let chain = Chain::new(1, &[(1, 1); 3]);
    let other = Chain::new(2, &[(1, 1); 3]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    let parse = |bytes: &[u8]| crate::BlockRecord::parse(bytes, suite()).unwrap().header;
    let append = |bytes: &[u8]| {
        store
            .append_block(&crate::BlockRecord::parse(bytes, suite()).unwrap())
            .unwrap_err()
    };
    assert!(matches!(
        append(&other.block(1).bytes),
        StoreError::WrongLedger { .. }
    ));
    assert!(matches!(
        append(&chain.block(2).bytes),
        StoreError::WrongHeight {
            expected: 1,
            found: 2,
            ..
        }
    ));
    assert_eq!(parse(&chain.block(1).bytes).parent, chain.ledger);
    let first = chain.block(1);
    assert!(store.append_effects(&first.effects, &first.leaf).is_err());
    chain.append(&store, 1..=1);
    let wrong = chain.block(3).leaf;
    assert!(store.append_effects(b"", &wrong).is_err());
}
