//! Every binary decoder of the core. The first byte chooses one (see `seeds.py`), the rest is its input.
//! What decodes must encode to the very same bytes: one value, one encoding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stele_core::block::{Block, BlockView, Header};
use stele_core::certified::{CertifiedBlocks, KeptBlock};
use stele_core::codec::{Decode, Encode};
use stele_core::genesis::Genesis;
use stele_core::key::{decode_key, encode_key};
use stele_core::leaf::LogLeaf;
use stele_core::log::{decode_bundle, encode_bundle};
use stele_core::note::SignedNote;
use stele_core::outcome::{BlockEffects, Change, Outcome, TransactionEffects};
use stele_core::peer::PeerMessage;
use stele_core::proof::Evidence;
use stele_core::row::{decode_row, encode_row};
use stele_core::schema::{Column, ColumnId, Table, TableId};
use stele_core::transaction::{SignedTransaction, Transaction};
use stele_core::tree::{AbsenceProof, PresenceProof, RangeProof, TableAbsenceProof, TableProof};
use stele_core::validators::ValidatorSet;
use stele_core::{AccountId, Hash, Numeric, Suite, Type, Value};
use stele_flow::{Cursor, Table as Shape};

const SUITE: Suite = Suite::Ed25519Sha256;

/// Types of which rows and keys are made, each named by one byte.
const TYPES: [Type; 15] = [
    Type::Bool,
    Type::SmallInt,
    Type::Integer,
    Type::BigInt,
    Type::Numeric { precision: 12, scale: 2 },
    Type::Double,
    Type::Text,
    Type::Varchar(3),
    Type::Char(3),
    Type::Bytea,
    Type::Date,
    Type::Timestamp,
    Type::TimestampTz,
    Type::Uuid,
    Type::Json,
];

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind {
        0 => canonical::<Transaction>(bytes),
        1 => signed_transaction(bytes),
        2 => block(bytes),
        3 => canonical::<BlockEffects>(bytes),
        4 => leaf(bytes),
        5 => canonical::<Genesis>(bytes),
        6 => canonical::<ValidatorSet>(bytes),
        7 => canonical::<Table>(bytes),
        8 => canonical::<Value>(bytes),
        9 => canonical::<Numeric>(bytes),
        10 => row(bytes),
        11 => key(bytes),
        12 => canonical::<PresenceProof>(bytes),
        13 => canonical::<AbsenceProof>(bytes),
        14 => canonical::<RangeProof>(bytes),
        15 => canonical::<TableProof>(bytes),
        16 => canonical::<TableAbsenceProof>(bytes),
        17 => canonical::<Evidence>(bytes),
        18 => bundle(bytes),
        19 => canonical::<Change>(bytes),
        20 => canonical::<TransactionEffects>(bytes),
        21 => canonical::<Outcome>(bytes),
        22 => canonical::<SignedNote>(bytes),
        23 => canonical::<Header>(bytes),
        24 => canonical::<Type>(bytes),
        25 => proofs(bytes),
        26 => canonical::<CertifiedBlocks>(bytes),
        27 => canonical::<Cursor>(bytes),
        28 => canonical::<Shape>(bytes),
        29 => canonical::<PeerMessage>(bytes),
        30 => stream(bytes),
        _ => {}
    }
});

fn canonical<T: Decode + Encode>(bytes: &[u8]) {
    if let Ok(value) = T::decode_all(bytes) {
        assert!(value.encode_to_vec() == bytes, "decoded from other bytes than it encodes to");
    }
}

fn stream(bytes: &[u8]) {
    if let Ok(Some((kept, len))) = KeptBlock::of_stream(bytes) {
        assert!(kept.encode_to_vec() == bytes[..len], "decoded from other bytes than it encodes to");
    }
}

fn signed_transaction(bytes: &[u8]) {
    canonical::<SignedTransaction>(bytes);
    if let Ok(signed) = SignedTransaction::decode_all(bytes) {
        // Flipping the ledger always refuses it.
        let mut other = signed.transaction.ledger;
        other.0[0] ^= 1;
        assert!(signed.verify(SUITE, &other).is_err());
    }
}

/// The view and the block agree, and the view decodes whatever the block does.
fn block(bytes: &[u8]) {
    canonical::<Block>(bytes);
    let view = BlockView::parse(bytes);
    if let Ok(block) = Block::decode_all(bytes) {
        let view = view.expect("a block has a view");
        assert_eq!(view.header, block.header);
        let ids: Vec<Hash> = block.transactions.iter().map(|tx| tx.id(SUITE)).collect();
        assert_eq!(view.transaction_ids(SUITE).expect("its transactions decode"), ids);
        let root = Block::transaction_root(SUITE, &block.transactions);
        assert_eq!(view.transaction_root(SUITE), root);
    } else if let Ok(view) = view {
        let _ = view.transaction_ids(SUITE);
    }
}

fn leaf(bytes: &[u8]) {
    if let Ok(leaf) = LogLeaf::decode_all(bytes) {
        let again = match leaf {
            LogLeaf::Entry(entry) => entry.encode_to_vec(),
            LogLeaf::Block(leaf) => leaf.encode_to_vec(),
        };
        assert!(again == bytes);
    }
}

fn bundle(bytes: &[u8]) {
    if let Ok(entries) = decode_bundle(bytes) {
        assert!(encode_bundle(&entries).expect("its entries were in a bundle") == bytes);
    }
}

/// Takes column types, one byte each after their count.
fn types(bytes: &[u8]) -> Option<(Vec<Type>, &[u8])> {
    let (count, rest) = bytes.split_first()?;
    let (names, rest) = rest.split_at_checked(usize::from(count % 8))?;
    let types = names.iter().map(|name| TYPES[usize::from(*name) % TYPES.len()]);
    Some((types.collect(), rest))
}

fn row(bytes: &[u8]) {
    let Some((types, bytes)) = types(bytes) else {
        return;
    };
    let Some((flags, bytes)) = bytes.split_first() else {
        return;
    };
    let columns = types.iter().zip(1u16..).map(|(ty, id)| Column {
        not_null: flags & 1 == 1,
        missing: match ty {
            Type::Integer if flags & 2 == 2 => Value::Int(7),
            _ => Value::Null,
        },
        ..Column::plain(ColumnId(id), format!("c{id}"), *ty)
    });
    let (columns, key) = (columns.collect(), vec![ColumnId(1)]);
    let mut table = Table::plain(
        TableId(1_000),
        ("public", "t"),
        AccountId::LEDGER,
        columns,
        key,
    );
    table.salted = flags & 4 == 4;
    if let Ok(row) = decode_row(&table, bytes) {
        assert!(encode_row(&table, &row).expect("a decoded row encodes") == bytes);
        let _ = row.key(&table);
    }
}

fn key(bytes: &[u8]) {
    let Some((types, bytes)) = types(bytes) else {
        return;
    };
    if let Ok(values) = decode_key(&types, bytes) {
        let columns: Vec<(Type, &Value)> = types.iter().copied().zip(&values).collect();
        assert!(encode_key(&columns).expect("a decoded key encodes") == bytes);
    }
}

/// Proofs whose shape is arbitrary are refused or lead to some other root; they never panic.
fn proofs(bytes: &[u8]) {
    let root = Hash([7; 32]);
    let table = TableId(1_000);
    if let Ok(proof) = PresenceProof::decode_all(bytes) {
        assert!(proof.verify(SUITE, table, b"key", &Hash::ZERO, &root).is_err());
    }
    if let Ok(proof) = AbsenceProof::decode_all(bytes) {
        assert!(proof.verify(SUITE, table, b"key", &root).is_err());
    }
    if let Ok(proof) = RangeProof::decode_all(bytes) {
        assert!(proof.verify(SUITE, table, b"", None, &root).is_err());
        assert!(proof.verify(SUITE, table, b"a", Some(b"z"), &root).is_err());
    }
    if let Ok(proof) = TableProof::decode_all(bytes) {
        assert!(proof.verify(SUITE, table, &root).is_err());
    }
    if let Ok(proof) = TableAbsenceProof::decode_all(bytes) {
        assert!(proof.verify(SUITE, table, &root).is_err());
    }
}
