//! Row B4: the self-check.

use stele_core::log::LogTree;
use stele_core::outcome::BlockEffects;
use stele_core::{Decode, Encode};
use stele_flow::Spawner;
use stele_flow::real::ThreadSpawner;
use stele_flow::sim::InlineSpawner;

use super::*;
use crate::damage::DamageKind;
use crate::record::BlockRecord;
use crate::store::{AcceptAll, CheckOptions, CheckReport, Fault, Judge};

fn check_with(store: &BlockStore, options: &CheckOptions, judge: &Arc<dyn Judge>) -> CheckReport {
    let spawners: [&dyn Spawner; 2] = [&InlineSpawner, &ThreadSpawner];
    let reports = spawners.map(|spawner| {
        store
            .check(spawner, options, judge, None, &mut |_| true)
            .unwrap()
    });
    let [one, two] = reports;
    assert_eq!(one.damage, two.damage);
    assert_eq!(one.log, two.log);
    one
}

fn check(store: &BlockStore, unit_len: u64) -> CheckReport {
    let options = CheckOptions {
        unit_len,
        ..CheckOptions::default()
    };
    check_with(store, &options, &(Arc::new(AcceptAll) as Arc<dyn Judge>))
}

fn log_of(chain: &Chain, height: u64) -> (u64, Hash) {
    let mut tree = LogTree::new(suite());
    for block in chain.blocks.iter().take(height as usize) {
        let effects = BlockEffects::decode_all(&block.effects).unwrap();
        for leaf in effects.log_leaves(suite(), &block.ids) {
            tree.append(stele_core::log::leaf_hash(suite(), &leaf), &mut Vec::new());
        }
    }
    (tree.size(), tree.root())
}

fn filled(chain: &Chain, segment_len: u64, pipelined: bool) -> (MemoryFiles, BlockStore) {
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, segment_len);
    store.append_genesis(b"genesis").unwrap();
    if pipelined {
        for (block, height) in chain.blocks.iter().zip(1..) {
            let record = BlockRecord::parse(&block.bytes, suite()).unwrap();
            store.append_block(&record).unwrap();
            if height > 1 {
                let before = chain.block(height - 1);
                store.append_effects(&before.effects, &before.leaf).unwrap();
                store
                    .append_certificate(height - 1, &(height - 1).to_be_bytes())
                    .unwrap();
            }
        }
        let last = chain.blocks.last().unwrap();
        store.append_effects(&last.effects, &last.leaf).unwrap();
    } else {
        chain.append(&store, 1..=chain.blocks.len() as u64);
    }
    store.flush().unwrap();
    (files, store)
}

#[test]
fn b4_a_good_store_is_found_good_with_its_log_root() {
    let chain = Chain::new(
        1,
        &[
            (3, 100),
            (0, 0),
            (5, 300),
            (1, 5),
            (2, 800),
            (4, 40),
            (2, 2),
        ],
    );
    for pipelined in [false, true] {
        for segment_len in [900, 2_500, 1 << 20] {
            let (_, store) = filled(&chain, segment_len, pipelined);
            for unit_len in [1, 1_000, 1 << 20] {
                let report = check(&store, unit_len);
                assert_eq!(report.damage, None, "{segment_len} {unit_len}");
                assert!(report.is_complete);
                assert_eq!((report.blocks, report.transactions), (7, 17));
                assert_eq!((report.height, report.effects_height), (7, 7));
                assert_eq!(report.log, Some(log_of(&chain, 7)));
                assert_eq!(report.certificates, if pipelined { 6 } else { 0 });
            }
        }
    }
}

#[test]
fn b4_every_flipped_bit_is_found_and_located_while_open() {
    let chain = Chain::new(1, &[(1, 10), (2, 20), (1, 5), (1, 40)]);
    for pipelined in [false, true] {
        let (files, store) = filled(&chain, 900, pipelined);
        for number in 1..=store.segment_number() {
            let path = segment_path(number);
            for offset in 0..files.read(&path).unwrap().len() {
                files.flip_bit(&path, offset, (offset % 8) as u8);
                let report = check(&store, 500);
                let damage = report
                    .damage
                    .unwrap_or_else(|| panic!("flip {number}/{offset}"));
                assert!(!report.is_complete);
                assert_eq!(damage.segment, number, "{damage} for {offset}");
                assert!(damage.offset <= offset as u64, "{damage} for {offset}");
                files.flip_bit(&path, offset, (offset % 8) as u8);
            }
        }
        assert_eq!(check(&store, 500).damage, None);
    }
}

/// Writes the segments of another history over those of a store.
fn replace_with(files: &MemoryFiles, other: &MemoryFiles, number: u64) {
    let bytes = other.read(&segment_path(number)).unwrap();
    files.corrupt(&segment_path(number), |content| content.clone_from(&bytes));
}

struct Certificates {
    root: (u64, u64, Hash),
}

impl Judge for Certificates {
    fn certificate(&self, height: u64, note: &[u8]) -> Result<Option<(u64, Hash)>, Fault> {
        assert_eq!(note, height.to_be_bytes());
        let (signed, size, root) = self.root;
        Ok((height == signed).then_some((size, root)))
    }
}

#[test]
fn b4_a_rewritten_chain_is_found_by_the_certificate() {
    let chain = Chain::new(1, &[(1, 100); 6]);
    let (_, store) = filled(&chain, 1 << 20, true);
    let (size, root) = log_of(&chain, 4);
    let options = CheckOptions::default();
    let good: Arc<dyn Judge> = Arc::new(Certificates {
        root: (4, size, root),
    });
    let report = check_with(&store, &options, &good);
    assert_eq!(
        (report.damage, report.certificates, report.certified_height),
        (None, 5, 5)
    );
    let rewritten: Arc<dyn Judge> = Arc::new(Certificates {
        root: (4, size, Hash::ZERO),
    });
    let damage = check_with(&store, &options, &rewritten).damage.unwrap();
    assert_eq!((damage.kind, damage.height), (DamageKind::Certificate, 4));
}

#[test]
fn b4_effects_changed_with_a_repaired_checksum_are_found() {
    let chain = Chain::new(1, &[(1, 100); 5]);
    let (files, store) = filled(&chain, 1 << 20, false);
    let mut forged = BlockEffects::decode_all(&chain.block(3).effects).unwrap();
    if let Some(stele_core::outcome::Change::Row(row)) = forged.transactions[0].changes.first_mut()
    {
        row.after = Some(vec![9; 8]);
    }
    let forged = forged.encode_to_vec();
    assert_eq!(forged.len(), chain.block(3).effects.len());
    let location = store.meta(3).unwrap().unwrap().effects.unwrap();
    let mut record = Vec::new();
    crate::segment::Frame::put(&mut record, crate::segment::Kind::Effects, 3, &forged);
    let start = location.offset as usize - crate::segment::RECORD_HEAD_LEN;
    files.corrupt(&segment_path(1), |bytes| {
        bytes[start..start + record.len()].copy_from_slice(&record);
    });
    let damage = check(&store, 1 << 20).damage.unwrap();
    assert_eq!((damage.kind, damage.height), (DamageKind::HashMismatch, 3));
    assert_eq!(damage.offset, start as u64);
}

#[test]
fn b4_missing_short_and_foreign_files_are_named() {
    let chain = Chain::new(1, &[(1, 200); 8]);
    let (files, store) = filled(&chain, 1_500, false);
    let (other, _) = filled(&Chain::new(2, &[(1, 200); 8]), 1_500, false);
    let original = files.read(&segment_path(2)).unwrap();
    replace_with(&files, &other, 2);
    let damage = check(&store, 1 << 20).damage.unwrap();
    assert!(damage.detail.contains("another ledger"), "{damage}");
    files.corrupt(&segment_path(2), |bytes| bytes.clone_from(&original));
    files.corrupt(&segment_path(2), |bytes| bytes.truncate(original.len() - 1));
    assert_eq!(check(&store, 1 << 20).damage.unwrap().segment, 2);
    files.remove(&segment_path(2)).unwrap();
    let damage = check(&store, 1 << 20).damage.unwrap();
    assert_eq!((damage.kind, damage.segment), (DamageKind::Missing, 2));
    let last = segment_path(store.segment_number());
    let (files, store) = filled(&chain, 1_500, false);
    files.corrupt(&last, |bytes| bytes.truncate(bytes.len() - 3));
    assert_eq!(
        check(&store, 1 << 20).damage.unwrap().kind,
        DamageKind::Missing
    );
}

#[test]
fn b4_a_store_behind_the_network_is_told_so() {
    let chain = Chain::new(1, &[(1, 20); 3]);
    let (_, store) = filled(&chain, 1 << 20, false);
    let options = CheckOptions {
        height_expected: 5,
        ..CheckOptions::default()
    };
    let judge: Arc<dyn Judge> = Arc::new(AcceptAll);
    let damage = check_with(&store, &options, &judge).damage.unwrap();
    assert_eq!((damage.kind, damage.height), (DamageKind::Behind, 4));
}

#[test]
fn b4_ranges_are_checked_alone() {
    let chain = Chain::new(1, &[(2, 200); 9]);
    for pipelined in [false, true] {
        let (files, store) = filled(&chain, 2_000, pipelined);
        let at = store.location(3).unwrap().unwrap();
        files.flip_bit(&segment_path(at.segment), at.offset as usize + 9, 1);
        let judge: Arc<dyn Judge> = Arc::new(AcceptAll);
        for (heights, is_good) in [
            (4..=9, true),
            (5..=6, true),
            (2..=3, false),
            (3..=3, false),
            (1..=1, true),
        ] {
            let options = CheckOptions {
                heights: heights.clone(),
                unit_len: 700,
                ..CheckOptions::default()
            };
            let report = check_with(&store, &options, &judge);
            assert_eq!(
                report.damage.is_none(),
                is_good,
                "{heights:?}: {:?}",
                report.damage
            );
            if is_good {
                assert_eq!(report.blocks, heights.count() as u64);
            }
        }
    }
}

#[test]
fn b4_the_check_goes_on_while_blocks_are_appended_and_can_be_stopped() {
    let chain = Chain::new(1, &[(2, 200); 12]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 2_000);
    chain.append(&store, 1..=6);
    store.flush().unwrap();
    let judge: Arc<dyn Judge> = Arc::new(AcceptAll);
    let options = CheckOptions {
        unit_len: 500,
        threads: 1,
        ..CheckOptions::default()
    };
    let mut next = 7;
    let report = store
        .check(&InlineSpawner, &options, &judge, None, &mut |_| {
            if next <= 12 {
                chain.append(&store, next..=next);
                next += 1;
            }
            true
        })
        .unwrap();
    assert_eq!((report.damage, report.height), (None, 6));
    assert_holds(&store, &chain, next - 1);
    let report = store
        .check(&InlineSpawner, &options, &judge, None, &mut |progress| {
            progress.height < 2
        })
        .unwrap();
    assert!(!report.is_complete && report.damage.is_none());
}

#[test]
fn b13_nothing_is_answered_from_a_quarantined_range() {
    let chain = Chain::new(1, &[(1, 20); 5]);
    let (files, store) = filled(&chain, 1 << 20, false);
    let at = store.location(3).unwrap().unwrap();
    files.flip_bit(&segment_path(1), at.offset as usize, 1);
    let damage = check(&store, 1 << 20).damage.unwrap();
    assert_eq!(damage.height, 3);
    store.quarantine(damage);
    let again = check(&store, 1 << 20);
    assert_eq!(again.damage.map(|damage| damage.height), Some(3));
    assert!(store.block(2).unwrap().is_some());
    assert!(matches!(store.block(3), Err(StoreError::Damaged(_))));
    assert!(matches!(
        store.block_by_hash(&chain.block(5).hash),
        Err(StoreError::Damaged(_))
    ));
    assert!(store.range(1, 0, 1 << 20).is_err());
}
