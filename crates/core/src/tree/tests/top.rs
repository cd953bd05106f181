//! The top tree: tables present and absent, altered proofs.

use super::{SUITE, row_hash};
use crate::codec::{Decode, Encode};
use crate::hash::Hash;
use crate::schema::TableId;
use crate::tree::{TableAbsenceProof, TableEntry, TableProof, TopError, state_root};

/// Tables with the even ids from 2.
fn tables(count: u32) -> Vec<TableEntry> {
    (1..=count)
        .map(|n| TableEntry {
            table: TableId(n * 2),
            catalogue_hash: row_hash(n.into()),
            root: row_hash(u64::from(n) << 32),
        })
        .collect()
}

#[test]
fn tables_are_proven_present_or_absent() {
    for count in 0..20 {
        let tables = tables(count);
        let root = state_root(SUITE, &tables).unwrap();
        for id in (0..=count * 2 + 2).map(TableId) {
            let present = TableProof::new(SUITE, &tables, id).unwrap();
            let absent = TableAbsenceProof::new(SUITE, &tables, id).unwrap();
            let entry = tables.iter().find(|entry| entry.table == id);
            assert_eq!(present.is_some(), entry.is_some());
            assert_eq!(absent.is_some(), entry.is_none());
            if let Some(proof) = present {
                let proof = TableProof::decode_all(&proof.encode_to_vec()).unwrap();
                assert_eq!(proof.verify(SUITE, id, &root).unwrap(), entry.unwrap());
                assert!(proof.verify(SUITE, TableId(id.0 + 1), &root).is_err());
                assert!(proof.verify(SUITE, id, &Hash::ZERO).is_err());
            }
            if let Some(proof) = absent {
                let proof = TableAbsenceProof::decode_all(&proof.encode_to_vec()).unwrap();
                proof.verify(SUITE, id, &root).unwrap();
                for entry in &tables {
                    assert!(proof.verify(SUITE, entry.table, &root).is_err());
                }
            }
        }
    }
}

#[test]
fn altered_table_proofs_prove_nothing() {
    let tables = tables(11);
    let root = state_root(SUITE, &tables).unwrap();
    for id in (0..25).map(TableId) {
        let present = TableProof::new(SUITE, &tables, id)
            .unwrap()
            .map(|proof| proof.encode_to_vec());
        let absent = TableAbsenceProof::new(SUITE, &tables, id)
            .unwrap()
            .map(|proof| proof.encode_to_vec());
        let bytes = present.or(absent).unwrap();
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut altered = bytes.clone();
                altered[at] ^= mask;
                let present = TableProof::decode_all(&altered);
                assert!(present.is_err() || present.unwrap().verify(SUITE, id, &root).is_err());
                let absent = TableAbsenceProof::decode_all(&altered);
                assert!(absent.is_err() || absent.unwrap().verify(SUITE, id, &root).is_err());
            }
        }
    }
}

#[test]
fn tables_out_of_order_are_refused() {
    let mut tables = tables(3);
    tables.swap(0, 1);
    assert!(matches!(
        state_root(SUITE, &tables),
        Err(TopError::NotAscending(TableId(2)))
    ));
    tables[0] = tables[1];
    assert!(state_root(SUITE, &tables).is_err());
}
