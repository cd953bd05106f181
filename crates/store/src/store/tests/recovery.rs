//! Rows C1 and C2: what open makes of what it finds.

use super::*;
use crate::damage::DamageKind;
use crate::record::BlockRecord;

#[test]
fn c1_index_deleted_and_rebuilt_is_equal() {
    let chain = Chain::new(1, &[(3, 300); 30]);
    let files = MemoryFiles::new(1);
    let index = Arc::new(MemoryIndex::new());
    let (store, _) = open(&files, chain.ledger, &index, config(4_000)).unwrap();
    chain.append(&store, 1..=30);
    store.flush().unwrap();
    assert!(store.segment_number() > 5);
    let metas = |index: &MemoryIndex| -> Vec<_> {
        (1..=31)
            .map(|height| index.block(height).unwrap())
            .collect()
    };
    let before = metas(&index);
    drop(store);
    let fresh = Arc::new(MemoryIndex::new());
    let (store, report) = open(&files, chain.ledger, &fresh, config(4_000)).unwrap();
    assert!(report.is_index_rebuilt);
    assert_eq!(report.damage, None);
    assert_eq!(metas(&fresh), before);
    assert_holds(&store, &chain, 30);
    drop(store);
    let (_, report) = open(&files, chain.ledger, &fresh, config(4_000)).unwrap();
    assert!(!report.is_index_rebuilt);
    assert_eq!(report.indexed_blocks, 0);
}

#[test]
fn c1_an_index_of_another_store_is_rebuilt() {
    let (one, two) = (Chain::new(1, &[(1, 9); 4]), Chain::new(2, &[(1, 9); 6]));
    let index = Arc::new(MemoryIndex::new());
    let files = MemoryFiles::new(1);
    let (store, _) = open(&files, one.ledger, &index, config(1 << 20)).unwrap();
    one.append(&store, 1..=4);
    store.flush().unwrap();
    drop(store);
    let other_files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&other_files, two.ledger, 1 << 20);
    two.append(&store, 1..=6);
    store.flush().unwrap();
    drop(store);
    let (store, report) = open(&other_files, two.ledger, &index, config(1 << 20)).unwrap();
    assert!(report.is_index_rebuilt && report.damage.is_none());
    assert_holds(&store, &two, 6);
}

#[test]
fn a_second_opener_and_another_ledger_are_refused_by_name() {
    let chain = Chain::new(1, &[(1, 1)]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    chain.append(&store, 1..=1);
    let index = Arc::new(MemoryIndex::new());
    let error = open(&files, chain.ledger, &index, config(1)).err().unwrap();
    assert!(
        error.to_string().contains("held by stele, process"),
        "{error}"
    );
    drop(store);
    let other = Hash([9; 32]);
    let error = open(&files, other, &index, config(1)).err().unwrap();
    assert!(matches!(error, StoreError::OtherLedger { .. }));
    assert!(error.to_string().contains(&other.to_hex()));
    assert_eq!(
        read_ledger_id(&files, Path::new(DIRECTORY)).unwrap(),
        Some(chain.ledger)
    );
    files.corrupt(&segment_path(1), |bytes| {
        bytes[9] = 7;
        let crc = crc32c::crc32c(&bytes[..60]).to_be_bytes();
        bytes[60..64].copy_from_slice(&crc);
    });
    let error = open(&files, chain.ledger, &index, config(1)).err().unwrap();
    assert!(error.to_string().contains("segment format 7"), "{error}");
}

#[test]
fn c2_a_torn_tail_is_cut_at_every_length() {
    let chain = Chain::new(1, &[(1, 30); 3]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    chain.append(&store, 1..=2);
    store.flush().unwrap();
    drop(store);
    let good = files.read(&segment_path(1)).unwrap();
    let mut record = Vec::new();
    let third = &chain.block(3).bytes;
    crate::segment::Frame::put(&mut record, crate::segment::Kind::Block, 3, third);
    for len in 1..record.len() {
        let files = MemoryFiles::new(1);
        let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
        chain.append(&store, 1..=2);
        store.flush().unwrap();
        drop(store);
        files.corrupt(&segment_path(1), |bytes| {
            bytes.extend_from_slice(&record[..len]);
        });
        let (store, report) = open_fresh(&files, chain.ledger, 1 << 20);
        let torn = report.torn.unwrap();
        assert_eq!((torn.offset, torn.len), (good.len() as u64, len as u64));
        assert_eq!(report.damage, None);
        assert_eq!(files.read(&segment_path(1)).unwrap(), good);
        chain.append(&store, 3..=3);
        assert_holds(&store, &chain, 3);
    }
}

#[test]
fn c2_every_flipped_bit_is_named_and_nothing_is_cut() {
    let chain = Chain::new(1, &[(1, 10), (2, 20), (1, 5)]);
    let build = || {
        let files = MemoryFiles::new(1);
        let (store, _) = open_fresh(&files, chain.ledger, 900);
        store.append_genesis(b"g").unwrap();
        chain.append(&store, 1..=3);
        store.flush().unwrap();
        assert!(store.segment_number() >= 2);
        (files, store)
    };
    let (files, store) = build();
    let segments = store.segment_number();
    drop(store);
    for number in 1..=segments {
        let path = segment_path(number);
        let original = files.read(&path).unwrap();
        for offset in 0..original.len() {
            files.flip_bit(&path, offset, offset as u8);
            let (store, report) = open_fresh(&files, chain.ledger, 900);
            let damage = report
                .damage
                .unwrap_or_else(|| panic!("flip {number}/{offset}"));
            assert!(report.torn.is_none());
            assert_eq!(damage.segment, number, "{damage}");
            assert!(damage.offset <= offset as u64, "{damage} for {offset}");
            assert!(matches!(
                store.block(damage.height),
                Err(StoreError::Damaged(_))
            ));
            for height in 1..damage.height {
                assert_eq!(
                    store.block(height).unwrap().unwrap().bytes,
                    chain.block(height).bytes
                );
            }
            let next = BlockRecord::parse(&chain.block(1).bytes, suite()).unwrap();
            assert!(matches!(
                store.append_block(&next),
                Err(StoreError::Damaged(_))
            ));
            drop(store);
            files.flip_bit(&path, offset, offset as u8);
            assert_eq!(files.read(&path).unwrap(), original, "nothing was cut");
        }
    }
    let mark = Path::new(DIRECTORY).join("segments/mark");
    for offset in 0..files.read(&mark).unwrap().len() {
        files.flip_bit(&mark, offset, 3);
        let (store, report) = open_fresh(&files, chain.ledger, 900);
        assert!(report.is_mark_unreadable && report.damage.is_none());
        assert_holds(&store, &chain, 3);
    }
}

#[test]
fn c2_files_cut_short_or_gone_are_missing_not_forgotten() {
    let chain = Chain::new(1, &[(1, 200); 8]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1_500);
    chain.append(&store, 1..=8);
    store.flush().unwrap();
    let last = store.segment_number();
    drop(store);
    let original = files.read(&segment_path(last)).unwrap();
    for len in [0, 30, 64, 100, original.len() - 1] {
        files.corrupt(&segment_path(last), |bytes| bytes.truncate(len));
        let (_, report) = open_fresh(&files, chain.ledger, 1_500);
        let damage = report.damage.unwrap();
        assert_eq!(damage.segment, last, "{damage}");
        files.corrupt(&segment_path(last), |bytes| bytes.clone_from(&original));
    }
    files.remove(&segment_path(last)).unwrap();
    let (_, report) = open_fresh(&files, chain.ledger, 1_500);
    assert_eq!(report.damage.unwrap().kind, DamageKind::Missing);
    files.remove(&segment_path(1)).unwrap();
    let (_, report) = open_fresh(&files, chain.ledger, 1_500);
    let damage = report.damage.unwrap();
    assert_eq!((damage.kind, damage.height), (DamageKind::Missing, 1));
}

#[test]
fn c2_the_index_bears_witness_when_the_mark_is_lost() {
    let chain = Chain::new(1, &[(1, 20); 4]);
    let files = MemoryFiles::new(1);
    let index = Arc::new(MemoryIndex::new());
    let (store, _) = open(&files, chain.ledger, &index, config(1 << 20)).unwrap();
    chain.append(&store, 1..=4);
    store.flush().unwrap();
    let at = store.location(4).unwrap().unwrap().offset;
    drop(store);
    files
        .remove(&Path::new(DIRECTORY).join("segments/mark"))
        .unwrap();
    files.corrupt(&segment_path(1), |bytes| bytes.truncate(at as usize + 3));
    for _ in 0..2 {
        let (store, report) = open(&files, chain.ledger, &index, config(1 << 20)).unwrap();
        assert_eq!(report.damage.unwrap().height, 4);
        assert_eq!(store.block(3).unwrap().unwrap().bytes, chain.block(3).bytes);
        assert!(store.block(4).is_err());
    }
}

#[test]
fn read_only_changes_nothing_and_takes_no_lock() {
    let chain = Chain::new(1, &[(1, 20); 2]);
    let files = MemoryFiles::new(1);
    let (store, _) = open_fresh(&files, chain.ledger, 1 << 20);
    chain.append(&store, 1..=2);
    store.flush().unwrap();
    files.corrupt(&segment_path(1), |bytes| bytes.extend_from_slice(b"torn"));
    let operations = files.operations();
    let index = Arc::new(MemoryIndex::new());
    let read_only = StoreConfig {
        access: crate::Access::ReadOnly,
        ..config(1 << 20)
    };
    let (reader, report) = open(&files, chain.ledger, &index, read_only).unwrap();
    assert!(report.torn.is_some());
    assert_holds(&reader, &chain, 2);
    assert!(matches!(
        reader.append_genesis(b""),
        Err(StoreError::ReadOnly)
    ));
    assert_eq!(files.operations(), operations);
}
