//! Row C2. Power is lost at every write, sync, truncation, creation in turn. What was acknowledged
//! must be there, nothing half-written may be, and the index must fit the files.

use std::io::ErrorKind;

use stele_flow::Operation;
use stele_flow::sim::{Fault, FaultKind};

use super::*;
use crate::record::BlockRecord;

/// Appends until something fails; returns the last height whose sync returned well.
fn append_until_failure(store: &BlockStore, chain: &Chain, pipelined: bool) -> u64 {
    let mut acknowledged = store.durable_height();
    if let Err(_error) = store.append_genesis(b"genesis") {}
    let first = store.appended_height() + 1;
    for height in store.effects_height() + 1..first {
        let block = chain.block(height);
        if store.append_effects(&block.effects, &block.leaf).is_err() {
            return acknowledged;
        }
    }
    for height in first..=chain.blocks.len() as u64 {
        let block = chain.block(height);
        let record = BlockRecord::parse(&block.bytes, suite()).unwrap();
        if store.append_block(&record).is_err() {
            return acknowledged;
        }
        if pipelined && height > first {
            let before = chain.block(height - 1);
            if store.append_effects(&before.effects, &before.leaf).is_err() {
                return acknowledged;
            }
        }
        if store.sync().is_err() {
            return acknowledged;
        }
        acknowledged = height;
        if !pipelined && store.append_effects(&block.effects, &block.leaf).is_err() {
            return acknowledged;
        }
    }
    acknowledged
}

fn crash_at_every_operation(seed: u64, pipelined: bool, keep_index: bool) {
    let chain = Chain::new(
        1,
        &[(1, 300), (0, 0), (2, 900), (1, 10), (3, 200), (1, 700)],
    );
    let tip = chain.blocks.len() as u64;
    for nth in 1.. {
        let files = MemoryFiles::new(seed * 1_000 + nth);
        let mut index = Arc::new(MemoryIndex::new());
        files.power_off_in(nth);
        let acknowledged = match open(&files, chain.ledger, &index, config(1_500)) {
            Ok((store, _)) => append_until_failure(&store, &chain, pipelined),
            Err(_) => 0,
        };
        let completed = files.is_powered();
        files.crash();
        for round in 0..2 {
            if !keep_index {
                index = Arc::new(MemoryIndex::new());
            }
            let (store, report) = open(&files, chain.ledger, &index, config(1_500))
                .unwrap_or_else(|error| panic!("operation {nth}: {error}"));
            assert_eq!(report.damage, None, "operation {nth}");
            assert!(
                report.height >= acknowledged,
                "operation {nth}, round {round}"
            );
            assert_holds(&store, &chain, report.height);
            // A crash straight after open must not lose what open vouched for.
            drop(store);
            files.crash();
        }
        let (store, _) = open(&files, chain.ledger, &index, config(1_500)).unwrap();
        assert_eq!(append_until_failure(&store, &chain, pipelined), tip);
        assert_holds(&store, &chain, tip);
        if completed {
            return;
        }
    }
}

/// How many seeds are tried: `STELE_SEEDS`, or a few.
fn seeds() -> u64 {
    let named = std::env::var("STELE_SEEDS").ok();
    named.and_then(|text| text.parse().ok()).unwrap_or(12)
}

#[test]
fn c2_power_lost_at_every_operation() {
    for seed in 0..seeds() {
        crash_at_every_operation(seed, seed % 2 == 0, seed % 3 == 0);
    }
}

#[test]
fn c2_killed_without_loss_of_power_keeps_what_was_written() {
    let chain = Chain::new(1, &[(1, 100); 4]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    chain.append(&store, 1..=3);
    let fourth = BlockRecord::parse(&chain.block(4).bytes, suite()).unwrap();
    store.append_block(&fourth).unwrap();
    drop(store);
    let (store, report) = open_fresh(&files, chain.ledger, 1 << 20);
    assert_eq!((report.height, report.effects_height), (4, 3));
    drop(store);
    files.crash();
    let (store, report) = open_fresh(&files, chain.ledger, 1 << 20);
    assert_eq!(report.height, 4, "open made it durable");
    assert_holds(&store, &chain, 4);
}

#[test]
fn c2_after_a_failed_sync_no_more_writes() {
    let chain = Chain::new(1, &[(1, 100); 4]);
    for seed in 0..20 {
        let files = MemoryFiles::new(seed);
        let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
        chain.append(&store, 1..=2);
        let third = BlockRecord::parse(&chain.block(3).bytes, suite()).unwrap();
        store.append_block(&third).unwrap();
        files.fail(Fault {
            operation: Operation::Sync,
            nth: 1,
            kind: FaultKind::Error(ErrorKind::Other),
        });
        assert!(store.sync().is_err());
        let operations = files.operations();
        assert!(matches!(store.sync(), Err(StoreError::Poisoned { .. })));
        let third = chain.block(3);
        let fourth = BlockRecord::parse(&chain.block(4).bytes, suite()).unwrap();
        assert!(matches!(
            store.append_block(&fourth),
            Err(StoreError::Poisoned { .. })
        ));
        assert!(matches!(
            store.append_effects(&third.effects, &third.leaf),
            Err(StoreError::Poisoned { .. })
        ));
        assert_eq!(files.operations(), operations, "nothing was tried");
        assert_eq!(
            store.block(3).unwrap(),
            None,
            "never acknowledged, never seen"
        );
        drop(store);
        // The bytes can still be read, but are not on the disk: open must make them so or cut them.
        let (store, report) = open_fresh(&files, chain.ledger, 1 << 20);
        let height = report.height;
        assert!(height >= 2);
        drop(store);
        files.crash();
        let (store, report) = open_fresh(&files, chain.ledger, 1 << 20);
        assert_eq!(
            (report.height, report.damage),
            (height, None),
            "seed {seed}"
        );
        assert_holds(&store, &chain, height);
    }
}

#[test]
fn c2_a_full_disk_stores_nothing_and_goes_on_once_there_is_room() {
    let chain = Chain::new(1, &[(1, 300); 12]);
    let room = {
        let files = MemoryFiles::new(1);
        let (store, _) = open_fresh(&files, chain.ledger, 1_500);
        chain.append(&store, 1..=12);
        files.used_len()
    };
    for capacity in (200..room).step_by(37) {
        let files = MemoryFiles::new(1);
        let (store, _) = open_fresh(&files, chain.ledger, 1_500);
        chain.append(&store, 1..=1);
        files.set_capacity(Some(capacity));
        let mut refused = 0u32;
        for height in 2..=12 {
            let block = chain.block(height);
            let record = BlockRecord::parse(&block.bytes, suite()).unwrap();
            while let Err(error) = store.append_block(&record) {
                assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
                assert!(error.to_string().contains("free room"), "{error}");
                assert_eq!(store.appended_height(), height - 1);
                refused += 1;
                if refused.is_multiple_of(2) {
                    files.set_capacity(None);
                }
            }
            store.sync().unwrap();
            while let Err(error) = store.append_effects(&block.effects, &block.leaf) {
                assert!(matches!(error, StoreError::NoSpace(_)), "{error}");
                files.set_capacity(None);
            }
        }
        assert_holds(&store, &chain, 12);
        store.flush().unwrap();
        drop(store);
        files.crash();
        let (store, report) = open_fresh(&files, chain.ledger, 1_500);
        assert_eq!((report.damage, report.torn), (None, None));
        assert_holds(&store, &chain, 12);
    }
}

#[test]
fn c2_failed_writes_and_truncations_never_leave_half_a_record() {
    let chain = Chain::new(1, &[(1, 300); 5]);
    for nth in 1..20 {
        for kind in [
            FaultKind::Error(ErrorKind::Other),
            FaultKind::ShortWrite(7, ErrorKind::Other),
        ] {
            for with_truncate in [false, true] {
                let files = MemoryFiles::new(nth);
                let (store, _) = open_fresh(&files, chain.ledger, 1_500);
                let operation = Operation::Write;
                files.fail(Fault {
                    operation,
                    nth,
                    kind,
                });
                if with_truncate {
                    files.fail(Fault {
                        operation: Operation::Truncate,
                        nth: 1,
                        kind: FaultKind::Error(ErrorKind::Other),
                    });
                }
                let acknowledged = append_until_failure(&store, &chain, false);
                drop(store);
                let (store, report) = open_fresh(&files, chain.ledger, 1_500);
                assert_eq!(report.damage, None);
                assert!(report.height >= acknowledged);
                assert_eq!(append_until_failure(&store, &chain, false), 5);
                assert_holds(&store, &chain, 5);
            }
        }
    }
}
