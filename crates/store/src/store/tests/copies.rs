//! Rows C10 and C11: restoring blocks from elsewhere, rolling copies back.

use stele_core::Encode;
use stele_core::block::Block;

use stele_core::Decode;

use super::*;
use crate::config::Access;
use crate::record::BlockRecord;
use crate::store::{IncomingBlock, RestoreError, VerifiedLink};

fn incoming(chain: &Chain, heights: std::ops::RangeInclusive<u64>) -> Vec<IncomingBlock<'_>> {
    heights
        .map(|height| IncomingBlock {
            block: &chain.block(height).bytes,
            effects: Some(&chain.block(height).effects),
            certificate: Some(b"note"),
        })
        .collect()
}

fn believe(_: &VerifiedLink<'_>) -> Result<(), String> {
    Ok(())
}

#[test]
fn c10_a_batch_is_taken_and_repeating_it_changes_nothing() {
    let chain = Chain::new(1, &[(2, 50); 8]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1_500);
    let report = store
        .restore_blocks(incoming(&chain, 1..=6), &mut believe)
        .unwrap();
    assert_eq!((report.taken, report.repeated), (6, 0));
    assert_holds(&store, &chain, 6);
    let operations = files.operations();
    let report = store
        .restore_blocks(incoming(&chain, 6..=6), &mut believe)
        .unwrap();
    assert_eq!((report.taken, report.repeated), (0, 1));
    assert_eq!(
        files.operations(),
        operations,
        "repeating the tip changes nothing"
    );
    let report = store
        .restore_blocks(incoming(&chain, 5..=8), &mut believe)
        .unwrap();
    assert_eq!((report.taken, report.repeated), (2, 2));
    assert_holds(&store, &chain, 8);
    assert_eq!(store.certificate_last().unwrap().unwrap().0, 8);
}

#[test]
fn c10_a_batch_stops_at_the_first_bad_one() {
    let chain = Chain::new(1, &[(2, 50); 6]);
    let fork = Chain::new(1, &[(2, 50), (1, 50), (2, 50), (2, 50)]);
    let foreign = Chain::new(2, &[(2, 50); 4]);
    let mut forged = Block::decode_all(&chain.block(3).bytes).unwrap();
    forged.transactions.swap(0, 1);
    let forged = forged.encode_to_vec();
    let swap = |bytes, effects| IncomingBlock {
        block: bytes,
        effects: Some(effects),
        certificate: None,
    };
    let effects = chain.block(3).effects.as_slice();
    let mut flipped = chain.block(3).effects.clone();
    let at = flipped.len() - 130;
    flipped[at] ^= 1;
    let cases: Vec<(&str, IncomingBlock<'_>)> = vec![
        ("gap", swap(&chain.block(4).bytes, &chain.block(4).effects)),
        (
            "wrong parent",
            swap(&fork.block(3).bytes, &fork.block(3).effects),
        ),
        (
            "foreign",
            swap(&foreign.block(3).bytes, &foreign.block(3).effects),
        ),
        ("forged", swap(&forged, effects)),
        (
            "other effects",
            swap(&chain.block(3).bytes, &chain.block(2).effects),
        ),
        ("changed effects", swap(&chain.block(3).bytes, &flipped)),
        ("cut", swap(&chain.block(3).bytes[..50], effects)),
    ];
    for (name, bad) in cases {
        let files = MemoryFiles::new(1);
        let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
        let mut batch = incoming(&chain, 1..=2);
        batch.push(bad);
        batch.extend(incoming(&chain, 3..=4));
        let report = store.restore_blocks(batch, &mut believe).unwrap();
        assert_eq!(report.taken, 2, "{name}");
        let stop = report.stopped.unwrap_or_else(|| panic!("{name} was taken"));
        assert_eq!(stop.position, 2, "{name}");
        assert_holds(&store, &chain, 2);
        let report = store
            .restore_blocks(incoming(&chain, 3..=6), &mut believe)
            .unwrap();
        assert_eq!(report.taken, 4, "{name} left something behind");
    }
}

#[test]
fn c10_what_the_verifier_refuses_is_not_taken() {
    let chain = Chain::new(1, &[(1, 5); 3]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    let mut verifier = |link: &VerifiedLink<'_>| {
        assert_eq!(link.certificate, Some(b"note".as_slice()));
        match link.block.header.height {
            2 => Err("the certificate has two signatures of three".to_owned()),
            _ => Ok(()),
        }
    };
    let report = store
        .restore_blocks(incoming(&chain, 1..=3), &mut verifier)
        .unwrap();
    let stop = report.stopped.unwrap();
    assert!(matches!(stop.reason, RestoreError::Refused(_)));
    assert!(stop.to_string().contains("two signatures"), "{stop}");
    assert_holds(&store, &chain, 1);
}

#[test]
fn c10_another_block_of_a_stored_height_is_refused() {
    let chain = Chain::new(1, &[(2, 50); 3]);
    let fork = Chain::new(1, &[(2, 50), (1, 50)]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    chain.append(&store, 1..=3);
    let report = store
        .restore_blocks(incoming(&fork, 2..=2), &mut believe)
        .unwrap();
    assert!(matches!(
        report.stopped.unwrap().reason,
        RestoreError::Differs
    ));
    assert_holds(&store, &chain, 3);
}

fn copy_config(segment_len: u64) -> StoreConfig {
    StoreConfig {
        access: Access::Copy,
        ..config(segment_len)
    }
}

/// Appends with each block before the effects of the one before it.
fn append_pipelined(chain: &Chain, store: &BlockStore) {
    for (block, height) in chain.blocks.iter().zip(1..) {
        let record = BlockRecord::parse(&block.bytes, suite()).unwrap();
        store.append_block(&record).unwrap();
        if height > 1 {
            let before = chain.block(height - 1);
            store.append_effects(&before.effects, &before.leaf).unwrap();
            store.append_certificate(height - 1, b"note").unwrap();
        }
        store.sync().unwrap();
    }
}

#[test]
fn c11_a_copy_goes_back_to_every_height_exactly() {
    let chain = Chain::new(1, &[(2, 200); 9]);
    for segment_len in [1_200, 3_000, 1 << 20] {
        for height in 0..=9 {
            let files = MemoryFiles::new(1);
            let index = Arc::new(MemoryIndex::new());
            let (store, _) = open(&files, chain.ledger, &index, copy_config(segment_len)).unwrap();
            store.append_genesis(b"genesis").unwrap();
            append_pipelined(&chain, &store);
            store.roll_back(height).unwrap();
            assert_holds(&store, &chain, height);
            assert_eq!(store.effects_height(), height.min(8));
            let info = store.info().unwrap();
            let leaf = (height > 0).then(|| chain.block(height.min(8)).leaf);
            assert_eq!((info.height, info.leaf), (height, leaf));
            assert_eq!(store.genesis().unwrap().unwrap(), b"genesis");
            let certified = store.certificate_last().unwrap().map(|(height, _)| height);
            assert_eq!(certified, (height > 0).then_some(height.min(8)));
            drop(store);
            files.crash();
            let (store, report) =
                open(&files, chain.ledger, &index, copy_config(segment_len)).unwrap();
            assert_eq!((report.damage, report.torn), (None, None));
            assert_holds(&store, &chain, height);
            for effects in store.effects_height() + 1..=height {
                let block = chain.block(effects);
                store.append_effects(&block.effects, &block.leaf).unwrap();
            }
            chain.append(&store, height + 1..=9);
            assert_holds(&store, &chain, 9);
        }
    }
}

#[test]
fn c11_the_certified_ledger_is_never_rolled_back() {
    let chain = Chain::new(1, &[(2, 200); 3]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    chain.append(&store, 1..=3);
    assert!(matches!(
        store.roll_back(1),
        Err(StoreError::RollBackRefused)
    ));
    assert_holds(&store, &chain, 3);
}

#[test]
fn c11_power_lost_while_rolling_back_leaves_a_whole_chain() {
    let chain = Chain::new(1, &[(2, 200); 7]);
    for nth in 1.. {
        let files = MemoryFiles::new(nth);
        let index = Arc::new(MemoryIndex::new());
        let (store, _) = open(&files, chain.ledger, &index, copy_config(1_500)).unwrap();
        append_pipelined(&chain, &store);
        files.power_off_in(nth);
        let completed = store.roll_back(3).is_ok() && files.is_powered();
        drop(store);
        files.crash();
        let (store, report) = open(&files, chain.ledger, &index, copy_config(1_500)).unwrap();
        assert_eq!(report.damage, None, "operation {nth}");
        assert!(
            (3..=7).contains(&report.height),
            "operation {nth}: {}",
            report.height
        );
        assert_holds(&store, &chain, report.height);
        store.roll_back(3).unwrap();
        assert_holds(&store, &chain, 3);
        if completed {
            return;
        }
    }
}

#[test]
fn c1_index_rebuilt_while_open_is_equal() {
    let chain = Chain::new(1, &[(2, 200); 9]);
    let files = MemoryFiles::new(1);
    let index = Arc::new(MemoryIndex::new());
    let (store, _) = open(&files, chain.ledger, &index, config(2_000)).unwrap();
    chain.append(&store, 1..=8);
    store.rebuild_index().unwrap();
    assert_holds(&store, &chain, 8);
    chain.append(&store, 9..=9);
    assert_holds(&store, &chain, 9);
}
