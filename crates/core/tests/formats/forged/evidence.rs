//! Forged evidence of transactions.

use stele_core::codec::Encode;
use stele_core::crypto::{SecretKey, Signature};
use stele_core::outcome::Code;
use stele_core::proof::Evidence;
use stele_core::transaction::{Payload, SignedTransaction, Transaction};
use stele_core::value::Value;
use stele_core::{AccountId, Domain, Hash};

use super::Corpus;
use crate::SUITE;
use crate::world::{FIRST_ENTRY, World, secret};

pub fn forge(world: &World, corpus: &mut Corpus) {
    encodings(world, corpus);
    transactions(world, corpus);
}

/// Bytes of evidence that no prover writes.
fn encodings(world: &World, corpus: &mut Corpus) {
    let checked = |mut bytes: Vec<u8>| {
        let check = SUITE.hash(Domain::Evidence, &[&bytes]);
        bytes.extend_from_slice(&check.0);
        world.file_of(Some(bytes), FIRST_ENTRY)
    };
    let evidence = Evidence::Transaction(Box::new(world.transaction(0)));
    let good = evidence.encode_to_vec();
    let edit = |at: usize, new: u8| {
        let mut bytes = good.clone();
        bytes[at] = new;
        bytes
    };
    corpus.add(
        "check-value",
        "the check value does not fit the evidence",
        {
            let mut bytes = evidence.to_checked_bytes(SUITE);
            *bytes.last_mut().unwrap() ^= 1;
            world.file_of(Some(bytes), FIRST_ENTRY)
        },
    );
    corpus.add(
        "evidence-version",
        "evidence of version 2",
        checked(edit(0, 2)),
    );
    corpus.add("evidence-kind", "evidence of kind 3", checked(edit(1, 3)));
    corpus.add(
        "evidence-trailing",
        "a byte after the evidence",
        checked([&good[..], &[0]].concat()),
    );
    corpus.add(
        "evidence-truncated",
        "the evidence lacks its last byte",
        checked(good[..good.len() - 1].to_vec()),
    );
    corpus.add("evidence-length", "a length far beyond the evidence", {
        let mut bytes = good.clone();
        bytes[14..18].copy_from_slice(&[0xff; 4]);
        checked(bytes)
    });
    corpus.add(
        "transaction-version",
        "a transaction of version 2",
        checked(edit(22, 2)),
    );
    corpus.add(
        "outcome-code",
        "an outcome code with a lower-case letter",
        {
            let mut bytes = good.clone();
            let at = bytes.len() - 45;
            bytes[at] = b'a';
            checked(bytes)
        },
    );
}

/// Transactions that are not what the log holds, or not what an account signed.
fn transactions(world: &World, corpus: &mut Corpus) {
    let file = |evidence: stele_core::proof::TransactionEvidence| {
        let index = FIRST_ENTRY + u64::from(evidence.index.min(1));
        world.file_of(
            Some(Evidence::Transaction(Box::new(evidence)).to_checked_bytes(SUITE)),
            index,
        )
    };
    let mut other = world.transaction(0);
    other.outcome.rows_affected += 1;
    corpus.add(
        "outcome-rows",
        "another number of rows affected",
        file(other),
    );
    let mut other = world.transaction(1);
    other.outcome.code = Code::SUCCESS;
    corpus.add(
        "outcome-success",
        "a failed transaction shown as successful",
        file(other),
    );
    let mut other = world.transaction(0);
    other.height += 1;
    corpus.add("height", "another block height", file(other));
    let mut other = world.transaction(0);
    other.index = 1;
    corpus.add("index-in-block", "another place in the block", file(other));
    let mut other = world.transaction(0);
    if let Payload::Statements(statements) = &mut other.signed.transaction.payload {
        statements[0].parameters[0] = Value::Int(2);
    }
    corpus.add(
        "parameter",
        "another parameter, signed anew by its account",
        file(stele_core::proof::TransactionEvidence {
            signed: other.signed.transaction.clone().sign(SUITE, &secret(20)),
            ..other
        }),
    );

    // The log itself holds these: validators would have to collude.
    let logged = |edit: &dyn Fn(Transaction) -> SignedTransaction| {
        let mut other = crate::world::world();
        let signed = edit(other.transactions[0].1.transaction.clone());
        let entry = stele_core::leaf::Entry {
            height: other.leaf.height,
            index: 0,
            transaction: signed.id(SUITE),
            outcome: other.transactions[0].2.outcome.hash(SUITE),
        };
        other.transactions[0].1 = signed;
        other.leaves[FIRST_ENTRY as usize] = entry.encode_to_vec();
        other.file(&Evidence::Transaction(Box::new(other.transaction(0))))
    };
    let key = |seed| -> SecretKey { secret(seed) };
    corpus.add(
        "logged-other-key",
        "in the log, but signed by a key that is not the account's first",
        logged(&|body| body.sign(SUITE, &key(21))),
    );
    corpus.add(
        "logged-other-account",
        "in the log, but its account is another's",
        logged(&|body| {
            Transaction {
                account: AccountId([9; 32]),
                ..body
            }
            .sign(SUITE, &key(20))
        }),
    );
    corpus.add(
        "logged-bad-signature",
        "in the log, but its signature is false",
        logged(&|body| SignedTransaction {
            signature: Signature([3; 64]),
            ..body.sign(SUITE, &key(20))
        }),
    );
    corpus.add(
        "logged-other-ledger",
        "in the log, but signed for another ledger",
        logged(&|body| {
            Transaction {
                ledger: Hash([8; 32]),
                ..body
            }
            .sign(SUITE, &key(20))
        }),
    );
    corpus.add(
        "logged-late-expiry",
        "in the log, but expires more than 10 minutes after its own time",
        logged(&|body| {
            Transaction {
                expiry_us: body.time_us + 600_000_001,
                ..body
            }
            .sign(SUITE, &key(20))
        }),
    );
    corpus.add(
        "logged-early-expiry",
        "in the log, but expires when it was made",
        logged(&|body| {
            Transaction {
                expiry_us: body.time_us,
                ..body
            }
            .sign(SUITE, &key(20))
        }),
    );
}
