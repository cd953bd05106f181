//! Row B5: a damaged segment is made whole from blocks that come from elsewhere.

use stele_core::outcome::BlockEffects;
use stele_core::{Decode, Encode};

use super::*;
use crate::damage::DamageKind;
use crate::store::{AcceptAll, CheckOptions, CheckReport, Judge, Mending, RestoreError};

const BLOCKS: [(usize, usize); 9] = [
    (1, 300),
    (0, 0),
    (2, 900),
    (1, 10),
    (3, 200),
    (1, 700),
    (2, 50),
    (1, 1),
    (4, 120),
];

type Damaging = fn(&MemoryFiles, &Path);

fn check(store: &BlockStore) -> CheckReport {
    let judge = Arc::new(AcceptAll) as Arc<dyn Judge>;
    let options = CheckOptions::default();
    store
        .check(
            &stele_flow::sim::InlineSpawner,
            &options,
            &judge,
            None,
            &mut |_| true,
        )
        .unwrap()
}

fn filled(chain: &Chain, pipelined: bool) -> (MemoryFiles, Arc<MemoryIndex>, BlockStore) {
    let files = MemoryFiles::new(1);
    let index = Arc::new(MemoryIndex::new());
    let (store, _) = open(&files, chain.ledger, &index, config(1_500)).unwrap();
    store.append_genesis(b"genesis").unwrap();
    let last = chain.blocks.len() as u64 - 1;
    for height in 1..=last {
        let block = chain.block(height);
        let record = crate::record::BlockRecord::parse(&block.bytes, suite()).unwrap();
        store.append_block(&record).unwrap();
        let ready = if pipelined { height - 1 } else { height };
        if ready > 0 {
            let block = chain.block(ready);
            store.append_effects(&block.effects, &block.leaf).unwrap();
        }
    }
    if pipelined {
        let block = chain.block(last);
        store.append_effects(&block.effects, &block.leaf).unwrap();
    }
    store.flush().unwrap();
    (files, index, store)
}

fn feed(mending: &mut Mending, chain: &Chain) {
    while let Some(height) = mending.next_height() {
        let block = chain.block(height);
        mending
            .take(&block.bytes, &block.effects, &mut |_| Ok(()))
            .unwrap();
    }
}

/// Mends until a check finds nothing; how often it had to.
fn mend(store: &BlockStore, chain: &Chain) -> usize {
    for times in 0..20 {
        let Some(mut damage) = check(store).damage else {
            store.release();
            return times;
        };
        store.hold(damage.clone());
        let mut mending = loop {
            match store.begin_mend(&damage, b"genesis") {
                Ok(mending) => break mending,
                Err(StoreError::Damaged(earlier)) => damage = earlier,
                Err(error) => panic!("{damage}: {error}"),
            }
        };
        feed(&mut mending, chain);
        mending.finish().unwrap();
    }
    panic!("it stays damaged: {:?}", check(store).damage);
}

#[test]
fn b5_any_flipped_byte_is_mended_while_the_store_goes_on() {
    let chain = Chain::new(1, &BLOCKS);
    let last = BLOCKS.len() as u64;
    for pipelined in [false, true] {
        let (files, index, store) = filled(&chain, pipelined);
        let segments = store.segment_number();
        assert!(segments >= 3);
        drop(store);
        for number in 1..=segments {
            let len = files.read(&segment_path(number)).unwrap().len();
            for offset in (0..len).step_by(7) {
                let (files, index, store) = filled(&chain, pipelined);
                files.flip_bit(&segment_path(number), offset, (offset % 8) as u8);
                assert!(mend(&store, &chain) >= 1, "{number}/{offset}");
                assert_holds(&store, &chain, last - 1);
                chain.append(&store, last..=last);
                store.flush().unwrap();
                assert_eq!(check(&store).damage, None);
                assert_holds(&store, &chain, last);
                drop(store);
                let (store, report) = open(&files, chain.ledger, &index, config(1_500)).unwrap();
                assert_eq!((report.damage, report.hole), (None, None));
                assert_holds(&store, &chain, last);
                drop(store);
                // What the index says after a mend is what the segments say.
                let (store, _) = open_fresh(&files, chain.ledger, 1_500);
                assert_holds(&store, &chain, last);
            }
        }
        drop((files, index));
    }
}

#[test]
fn b5_lost_and_cut_segments_are_mended() {
    let chain = Chain::new(1, &BLOCKS);
    let last = BLOCKS.len() as u64 - 1;
    let damages: [(&str, Damaging); 3] = [
        ("lost", |files, path| files.remove(path).unwrap()),
        ("empty", |files, path| files.corrupt(path, Vec::clear)),
        ("cut", |files, path| {
            files.corrupt(path, |bytes| bytes.truncate(bytes.len() / 2));
        }),
    ];
    for (what, damage) in damages {
        let (_, _, store) = filled(&chain, true);
        let segments = store.segment_number();
        drop(store);
        for number in 1..segments {
            // While it is open.
            let (files, _, store) = filled(&chain, true);
            damage(&files, &segment_path(number));
            assert!(mend(&store, &chain) >= 1, "{what} {number}");
            assert_holds(&store, &chain, last);
            // While it is closed: it opens with a hole.
            let (files, index, store) = filled(&chain, true);
            drop(store);
            damage(&files, &segment_path(number));
            let (store, report) = open(&files, chain.ledger, &index, config(1_500)).unwrap();
            assert_eq!(report.damage, None, "{what} {number}");
            let hole = report.hole.unwrap();
            assert_eq!(hole.segment, number, "{what}");
            assert!(matches!(
                store.block(hole.height),
                Err(StoreError::Damaged(_))
            ));
            assert_eq!(store.durable_height(), last);
            chain.append(&store, last + 1..=last + 1);
            assert!(mend(&store, &chain) >= 1, "{what} {number}");
            assert_holds(&store, &chain, last + 1);
        }
    }
}

#[test]
fn b5_what_does_not_belong_there_is_not_taken() {
    let chain = Chain::new(1, &BLOCKS);
    let other = Chain::new(2, &BLOCKS);
    let (files, _, store) = filled(&chain, false);
    files.flip_bit(&segment_path(2), 100, 1);
    let damage = check(&store).damage.unwrap();
    let mut mending = store.begin_mend(&damage, b"genesis").unwrap();
    let height = mending.next_height().unwrap();
    let (right, wrong) = (chain.block(height), other.block(height));
    let mut accept = |_: &crate::store::VerifiedLink<'_>| Ok(());
    let refused = mending.take(&wrong.bytes, &wrong.effects, &mut accept);
    assert!(matches!(refused, Err(RestoreError::Store(_))));
    let refused = mending.take(&right.bytes, &wrong.effects, &mut accept);
    assert!(matches!(refused, Err(RestoreError::Effects(_))));
    let after = chain.block(height + 1);
    let refused = mending.take(&after.bytes, &after.effects, &mut accept);
    assert!(matches!(
        refused,
        Err(RestoreError::Store(StoreError::WrongHeight { .. }))
    ));
    let refused = mending.take(&right.bytes, &right.effects, &mut |_| Err("no".to_owned()));
    assert!(matches!(refused, Err(RestoreError::Refused(_))));
    // Nothing of it was kept, and unfinished it changes nothing.
    assert_eq!(mending.next_height(), Some(height));
    let unfinished = mending.finish();
    assert!(matches!(unfinished, Err(StoreError::WrongHeight { .. })));
    assert_eq!(check(&store).damage.unwrap(), damage);
    assert_eq!(mend(&store, &chain), 1);
    let quarantine = Path::new(DIRECTORY).join("segments/quarantine");
    assert_eq!(files.list(&quarantine).unwrap(), ["00000002.seg"]);
}

#[test]
fn b13_a_damaged_range_is_not_read_and_the_rest_is() {
    let chain = Chain::new(1, &BLOCKS);
    let (_, _, store) = filled(&chain, false);
    let second = (1..)
        .find(|height| store.location(*height).unwrap().unwrap().segment == 2)
        .unwrap();
    let third = (second..)
        .find(|height| store.location(*height).unwrap().unwrap().segment == 3)
        .unwrap();
    store.hold(Damage {
        kind: DamageKind::Checksum,
        segment: 2,
        offset: 64,
        height: second,
        detail: "test".to_owned(),
    });
    for height in 1..BLOCKS.len() as u64 {
        let held = (second..third).contains(&height);
        assert_eq!(store.block(height).is_err(), held, "{height}");
        assert_eq!(store.effects_bytes(height).is_err(), held, "{height}");
    }
    store.release();
    assert!(store.block(second).is_ok());
}

#[test]
fn b5_power_lost_at_every_operation_of_a_mend() {
    let chain = Chain::new(1, &BLOCKS);
    let last = BLOCKS.len() as u64 - 1;
    for nth in 1.. {
        let (files, index, store) = filled(&chain, true);
        // The index is kept in memory here: as one that lost nothing.
        files.flip_bit(&segment_path(2), 300, 1);
        let damage = check(&store).damage.unwrap();
        files.power_off_in(nth);
        let mended = store
            .begin_mend(&damage, b"genesis")
            .and_then(|mut mending| {
                while let Some(height) = mending.next_height() {
                    let block = chain.block(height);
                    let taken = mending.take(&block.bytes, &block.effects, &mut |_| Ok(()));
                    match taken {
                        Err(RestoreError::Store(error)) => return Err(error),
                        other => other.unwrap(),
                    }
                }
                mending.finish()
            });
        let completed = files.is_powered();
        assert!(!completed || mended.is_ok(), "operation {nth}");
        drop(store);
        files.crash();
        let (store, report) = open(&files, chain.ledger, &index, config(1_500)).unwrap();
        assert_eq!(report.damage, None, "operation {nth}");
        mend(&store, &chain);
        assert_holds(&store, &chain, last);
        if completed {
            return;
        }
    }
}

/// The certificate among a node's effects is another than that among its neighbour's.
#[test]
fn b5_what_comes_from_others_may_be_longer_or_shorter() {
    let chain = Chain::new(1, &BLOCKS);
    let last = BLOCKS.len() as u64 - 1;
    let mut other = Chain::new(1, &BLOCKS);
    for block in &mut other.blocks {
        let mut effects = BlockEffects::decode_all(&block.effects).unwrap();
        effects.certificate = vec![b'x'; 90];
        block.effects = effects.encode_to_vec();
    }
    for (stored, given) in [(&chain, &other), (&other, &chain)] {
        let (_, _, store) = filled(stored, true);
        let segments = store.segment_number();
        drop(store);
        for number in 1..=segments {
            let (files, index, store) = filled(stored, true);
            files.flip_bit(&segment_path(number), 80, 3);
            assert_eq!(mend(&store, given), 1, "{number}");
            for height in 1..=last {
                let bytes = store.block(height).unwrap().unwrap().bytes;
                assert_eq!(bytes, stored.block(height).bytes);
                assert!(store.effects(height).unwrap().is_some());
            }
            drop(store);
            files.crash();
            let (store, report) = open(&files, chain.ledger, &index, config(1_500)).unwrap();
            assert_eq!((report.damage, report.hole), (None, None), "{number}");
            assert_eq!(check(&store).damage, None);
            chain.append(&store, last + 1..=last + 1);
            store.flush().unwrap();
            assert_eq!(check(&store).damage, None);
        }
    }
}
