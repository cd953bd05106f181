//! Proof files. Nothing may be accepted that the fixtures' ledger does not hold.
//!
//! The first byte chooses how deep the input reaches: 0 a whole file, 1 evidence with a good check
//! value, log path and checkpoint around it, 2 rows below a good state root.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stele_core::codec::Decode;
use stele_core::key::decode_key;
use stele_core::note::TlogProof;
use stele_core::proof::{Evidence, Proven, RowClaim, Verifier};
use stele_core::row::Row;
use stele_core::schema::{Table, TableId};
use stele_core::trust::Trust;
use stele_core::{Suite, Type, Value};

const SUITE: Suite = Suite::Ed25519Sha256;
const TRUST: &str = include_str!("../../crates/core/tests/fixtures/proof/trust.txt");
const TRANSACTION: &str =
    include_str!("../../crates/core/tests/fixtures/proof/good/transaction-statements.tlog-proof");
const ROW: &str =
    include_str!("../../crates/core/tests/fixtures/proof/good/present-middle.tlog-proof");
/// The fixtures' table of the even numbers below 6,000, each with an item.
const ORDERS: TableId = TableId(1_000);
const ID_END: i64 = 6_000;

static PINNED: LazyLock<Trust> = LazyLock::new(|| TRUST.parse().expect("the fixture is one"));
static GOOD_TRANSACTION: LazyLock<TlogProof> = LazyLock::new(|| good(TRANSACTION));
static GOOD_ROW: LazyLock<TlogProof> = LazyLock::new(|| good(ROW));

fn good(text: &str) -> TlogProof {
    TlogProof::parse(text.as_bytes()).expect("the fixture is one")
}

fuzz_target!(|data: &[u8]| {
    let Some((depth, bytes)) = data.split_first() else {
        return;
    };
    match depth {
        0 => whole(bytes),
        1 => wrapped(bytes),
        2 => rows(bytes),
        _ => {}
    }
});

fn whole(file: &[u8]) {
    match Verifier::new(PINNED.clone()).verify(file) {
        Ok(proven) => is_true(&proven),
        Err(_) => return,
    }
    let proof = TlogProof::parse(file).expect("an accepted file is one");
    assert!(proof.to_string().as_bytes() == file);
}

fn wrapped(bytes: &[u8]) {
    let Ok(evidence) = Evidence::decode_all(bytes) else {
        return;
    };
    let around = match &evidence {
        Evidence::Transaction(_) => &*GOOD_TRANSACTION,
        Evidence::Rows(_) => &*GOOD_ROW,
    };
    let file = TlogProof::new(
        Some(evidence.to_checked_bytes(SUITE)),
        around.index(),
        around.proof().to_vec(),
        around.checkpoint_note().clone(),
    );
    let Ok(file) = file else {
        return;
    };
    if let Ok(proven) = Verifier::new(PINNED.clone()).verify(file.to_string().as_bytes()) {
        is_true(&proven);
    }
}

/// Skips the log, so that mutations of the tree paths are reached.
fn rows(bytes: &[u8]) {
    let Ok(Evidence::Rows(mut evidence)) = Evidence::decode_all(bytes) else {
        return;
    };
    let extra = GOOD_ROW.extra().expect("the fixture has evidence");
    match Evidence::from_checked_bytes(SUITE, extra) {
        Ok(Evidence::Rows(good)) => evidence.leaf = good.leaf,
        _ => unreachable!("the fixture is of a row"),
    }
    if let Ok(rows) = evidence.check(SUITE) {
        are_true(&evidence.table, &evidence.claim, &rows);
    }
}

fn is_true(proven: &Proven) {
    match proven {
        Proven::Transaction(proven) => {
            let good = Evidence::from_checked_bytes(SUITE, GOOD_TRANSACTION.extra().unwrap_or(&[]));
            if proven.entry.index == 0 {
                let Ok(Evidence::Transaction(good)) = good else {
                    unreachable!("the fixture is of a transaction");
                };
                // The signature is not in the log: another good one by the same key may stand there.
                assert!(proven.signed.transaction == good.signed.transaction);
                assert!(proven.outcome == good.outcome && proven.signed.key == good.signed.key);
            }
        }
        Proven::Rows(proven) => are_true(&proven.table, &proven.claim, &proven.rows),
    }
}

fn are_true(table: &Table, claim: &RowClaim, rows: &[(Vec<u8>, Row)]) {
    if table.id != ORDERS {
        return;
    }
    let ids: Vec<i64> = rows.iter().map(|(_, row)| id_of(row)).collect();
    let of_key = |key: &[u8]| match decode_key(&[Type::Integer], key).as_deref() {
        Ok([Value::Int(id)]) => Some(*id),
        _ => None,
    };
    match claim {
        RowClaim::Present { key } => assert_eq!(of_key(key), Some(ids[0])),
        RowClaim::Absent { key } => {
            assert!(of_key(key).is_none_or(|id| id % 2 != 0 || !(0..ID_END).contains(&id)));
        }
        RowClaim::Range { from, to } => {
            let keys = (0..ID_END).step_by(2).filter(|id| {
                let key = [&[0x80, 0, 0, 0], &(*id as u32).to_be_bytes()[..]].concat();
                key >= *from && to.as_ref().is_none_or(|to| key < *to)
            });
            assert!(keys.eq(ids.iter().copied()));
        }
    }
}

fn id_of(row: &Row) -> i64 {
    let [Value::Int(id), Value::Text(item)] = row.values.as_slice() else {
        panic!("not a row of that table");
    };
    assert!(id % 2 == 0 && (0..ID_END).contains(id));
    assert_eq!(*item, format!("item {}", id / 2));
    *id
}
