//! A validator that lies: it records what executing does not give, and signs it. All hashes and
//! signatures fit; only executing again tells.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::sync::Arc;

use stele_core::crypto::SecretKey;
use stele_core::genesis::Genesis;
use stele_core::log::LogTree;
use stele_core::note::{Checkpoint, SignedNote, SignerKey};
use stele_core::outcome::{BlockEffects, Change, Code, changes_digest};
use stele_core::{Decode, Encode, Hash};
use stele_flow::Runtime;
use stele_node::directory::FIRST_VALIDATOR;
use stele_node::{AuditReport, Offline, verify_directory};
use stele_store::{Access, BlockRecord, BlockStore, MemoryIndex, StoreConfig};

use common::{must, run, start};

/// A ledger whose last transaction is the one given.
fn ledger(directory: &Path, last: &[&str]) {
    let node = start(directory);
    must(
        &node,
        &["CREATE TABLE account (id INT PRIMARY KEY, balance INT NOT NULL)"],
    );
    must(
        &node,
        &["INSERT INTO account VALUES (1, 100), (2, 100), (3, 100)"],
    );
    run(&node, last);
    node.stop();
}

fn store(directory: &Path, genesis: &Genesis, access: Access) -> BlockStore {
    let config = StoreConfig {
        access,
        suite: genesis.suite,
        ..StoreConfig::default()
    };
    let index = Arc::new(MemoryIndex::new());
    let files = Runtime::real().files;
    BlockStore::open(files, directory, genesis.ledger_id(), config, index)
        .unwrap()
        .0
}

/// Writes the ledger anew with the effects of its last block changed, and signs all with the validator's key.
fn forge(from: &Path, to: &Path, change: &dyn Fn(&mut BlockEffects)) {
    let bytes = std::fs::read(from.join("genesis")).unwrap();
    let genesis = Genesis::decode_all(&bytes).unwrap();
    std::fs::write(to.join("genesis"), &bytes).unwrap();
    let seed = std::fs::read_to_string(from.join("validator.key")).unwrap();
    let seed: [u8; 32] = hex::decode(seed.trim()).unwrap().try_into().unwrap();
    let secret = SecretKey::from_seed(&seed);
    let signer = SignerKey::of_validator(&genesis.origin, FIRST_VALIDATOR, secret).unwrap();
    let good = store(from, &genesis, Access::ReadOnly);
    let forged = store(to, &genesis, Access::Ledger);
    forged.append_genesis(&bytes).unwrap();
    let mut log = LogTree::new(genesis.suite);
    let last = good.effects_height();
    for height in 1..=last {
        let block = good.block(height).unwrap().unwrap();
        let record = BlockRecord::parse(&block.bytes, genesis.suite).unwrap();
        let ids: Vec<Hash> = record.transaction_ids.clone();
        forged.append_block(&record).unwrap();
        let mut effects = good.effects(height).unwrap().unwrap();
        if height == last {
            change(&mut effects);
        }
        for leaf in effects.log_leaves(genesis.suite, &ids) {
            log.append(
                stele_core::log::leaf_hash(genesis.suite, &leaf),
                &mut Vec::new(),
            );
        }
        let checkpoint = Checkpoint::new(&genesis.origin, log.size(), log.root()).unwrap();
        let note = SignedNote::sign(checkpoint.to_string(), &[&signer]).unwrap();
        effects.certificate = note.to_string().into_bytes();
        forged
            .append_effects(&effects.encode_to_vec(), &effects.leaf)
            .unwrap();
    }
    forged.sync().unwrap();
}

fn verify(directory: &Path, execute: bool) -> AuditReport {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("state.db");
    let offline = Offline {
        scratch: execute.then_some(scratch.as_path()),
        ..Offline::default()
    };
    verify_directory(directory, offline, &Runtime::real(), &|_, _| {}).unwrap()
}

/// A forged outcome passes every check of hashes and signatures, and executing finds it in the place named.
fn found(last: &[&str], change: &dyn Fn(&mut BlockEffects), item: &str, reason: &str) {
    let home = tempfile::tempdir().unwrap();
    let (good, bad) = (home.path().join("good"), home.path().join("bad"));
    std::fs::create_dir(&bad).unwrap();
    ledger(&good, last);
    let honest = verify(&good, true);
    assert_eq!(
        (honest.executed, honest.findings.len()),
        (3, 0),
        "{honest:?}"
    );
    forge(&good, &bad, change);
    let believed = verify(&bad, false);
    assert!(believed.findings.is_empty(), "{item}: {believed:?}");
    let report = verify(&bad, true);
    let finding = report
        .findings
        .first()
        .unwrap_or_else(|| panic!("{item}: not found"));
    assert_eq!((finding.part, finding.height), ("execution", Some(3)));
    assert!(finding.item.contains(item), "{item}: {finding:?}");
    assert!(finding.reason.contains(reason), "{reason}: {finding:?}");
}

const MOVE: &[&str] = &[
    "UPDATE account SET balance = balance - 10 WHERE id = 1",
    "UPDATE account SET balance = balance + 10 WHERE id = 2",
];
const REFUSED: &[&str] = &["INSERT INTO account VALUES (1, 5)"];

/// Changes the changes of the last transaction, and what commits to them.
fn changed(change: impl Fn(&mut Vec<Change>)) -> impl Fn(&mut BlockEffects) {
    move |effects| {
        let transaction = effects.transactions.last_mut().unwrap();
        change(&mut transaction.changes);
        transaction.outcome.changes =
            changes_digest(stele_core::Suite::default(), &transaction.changes);
    }
}

#[test]
fn c9_a_forged_outcome_code_is_refused() {
    let success = |effects: &mut BlockEffects| effects.transactions[0].outcome.code = Code::SUCCESS;
    found(
        REFUSED,
        &success,
        "outcome code",
        "00000 is recorded, executing gives 23505",
    );
    let failure = |effects: &mut BlockEffects| {
        effects.transactions[0].outcome.code = Code::new("23505").unwrap();
    };
    found(
        MOVE,
        &failure,
        "outcome code",
        "23505 is recorded, executing gives 00000",
    );
}

#[test]
fn c9_a_forged_number_of_rows_is_refused() {
    let more = |effects: &mut BlockEffects| effects.transactions[0].outcome.rows_affected = 3;
    found(
        MOVE,
        &more,
        "rows affected",
        "3 are recorded, executing gives 2",
    );
}

#[test]
fn c9_a_forged_row_is_refused() {
    let after = changed(|changes| {
        if let Some(Change::Row(row)) = changes.first_mut() {
            let last = row.after.as_mut().unwrap().last_mut().unwrap();
            *last ^= 1;
        }
    });
    found(
        MOVE,
        &after,
        "table account key id = 1",
        "another row after it",
    );
    let before = changed(|changes| {
        if let Some(Change::Row(row)) = changes.first_mut() {
            let last = row.before.as_mut().unwrap().last_mut().unwrap();
            *last ^= 1;
        }
    });
    found(
        MOVE,
        &before,
        "table account key id = 1",
        "another row before it",
    );
}

#[test]
fn c9_a_change_left_out_or_made_up_is_refused() {
    let fewer = changed(|changes| {
        changes.pop();
    });
    found(
        MOVE,
        &fewer,
        "table account key id = 2",
        "it is not recorded",
    );
    let more = changed(|changes| {
        let mut made_up = changes.last().unwrap().clone();
        if let Change::Row(row) = &mut made_up {
            *row.key.last_mut().unwrap() += 1;
        }
        changes.push(made_up);
    });
    found(
        MOVE,
        &more,
        "table account key id = 3",
        "executing does not make it",
    );
    let other = changed(|changes| {
        if let Some(Change::Row(row)) = changes.first_mut() {
            *row.key.last_mut().unwrap() -= 1;
        }
    });
    found(MOVE, &other, "table account key id = 0", "another change");
}

#[test]
fn c9_a_forged_state_root_is_refused() {
    let root = |effects: &mut BlockEffects| effects.leaf.state_root.0[0] ^= 1;
    found(MOVE, &root, "state root", "executing gives");
    let version = |effects: &mut BlockEffects| effects.leaf.execution_version += 1;
    found(MOVE, &version, "block leaf", "otherwise");
}
