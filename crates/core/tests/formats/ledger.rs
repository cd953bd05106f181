//! Transactions, blocks, effects, genesis and trust files.

use std::fmt::Write as _;

use stele_core::block::{Block, BlockView, Header};
use stele_core::genesis::Genesis;
use stele_core::outcome::{BlockEffects, Change, Code, Outcome, RowChange, TransactionEffects};
use stele_core::row::encode_row;
use stele_core::transaction::{SignedTransaction, Transaction, signing_message};
use stele_core::trust::Trust;
use stele_core::validators::ValidatorSet;
use stele_core::{AccountId, Decode, Encode, Hash};

use super::definitions::definitions;
use super::world::{TIME_US, World, secret, world};
use super::{ORIGIN, SUITE, freeze};

/// Freezes an encoding under a name, and that it is read back and nothing shorter or longer is.
fn encoding<T: Encode + Decode + PartialEq + std::fmt::Debug>(
    out: &mut String,
    name: &str,
    value: &T,
) {
    let bytes = value.encode_to_vec();
    assert_eq!(T::decode_all(&bytes).unwrap(), *value, "{name}");
    assert!(T::decode_all(&bytes[..bytes.len() - 1]).is_err(), "{name}");
    assert!(T::decode_all(&[&bytes[..], &[0]].concat()).is_err());
    writeln!(out, "{name} {}", hex::encode(bytes)).unwrap();
}

#[test]
fn transactions_are_frozen() {
    let mut out = String::from("# name, then hex; made with the key of seed 14 x 32 (hex)\n");
    for (name, signed, _) in &world().transactions {
        let id = signed.id(SUITE);
        encoding::<Transaction>(&mut out, &format!("{name}.body"), &signed.transaction);
        encoding::<SignedTransaction>(&mut out, &format!("{name}.signed"), signed);
        writeln!(out, "{name}.id {id}").unwrap();
        writeln!(out, "{name}.message {}", hex::encode(signing_message(&id))).unwrap();
        writeln!(out, "{name}.digest {}", signed.digest(SUITE)).unwrap();
        assert_eq!(signed.verify(SUITE, &world().genesis.ledger_id()), Ok(id));
    }
    freeze("ledger/transactions.txt", out.as_bytes());
}

fn block(world: &World) -> Block {
    let transactions: Vec<SignedTransaction> = world
        .transactions
        .iter()
        .map(|(_, signed, _)| signed.clone())
        .collect();
    Block {
        header: Header {
            ledger: world.genesis.ledger_id(),
            height: 4,
            parent: Hash([5; 32]),
            time_us: TIME_US + 1_500_000,
            proposer: secret(1).public(),
            transaction_count: transactions.len() as u32,
            transaction_root: Block::transaction_root(SUITE, &transactions),
            certificate: world.note().to_string().into_bytes(),
        },
        transactions,
    }
}

#[test]
fn blocks_are_frozen() {
    let mut out = String::from("# name, then hex\n");
    let full = block(&world());
    let empty = Block {
        header: Header {
            height: 1,
            parent: full.header.ledger,
            transaction_count: 0,
            transaction_root: Block::transaction_root(SUITE, &[]),
            certificate: Vec::new(),
            ..full.header
        },
        transactions: Vec::new(),
    };
    for (name, block) in [("full", &full), ("empty", &empty)] {
        encoding(&mut out, name, block);
        writeln!(out, "{name}.hash {}", block.hash(SUITE)).unwrap();
        writeln!(
            out,
            "{name}.transaction_root {}",
            block.header.transaction_root
        )
        .unwrap();
        let bytes = block.encode_to_vec();
        let view = BlockView::parse(&bytes).unwrap();
        assert_eq!(view.transaction_root(SUITE), block.header.transaction_root);
        let ids: Vec<Hash> = block.transactions.iter().map(|tx| tx.id(SUITE)).collect();
        assert_eq!(view.transaction_ids(SUITE).unwrap(), ids);
    }
    freeze("ledger/blocks.txt", out.as_bytes());
}

#[test]
fn effects_are_frozen() {
    let world = world();
    let (orders, types) = (&world.tables[0], &world.tables[1]);
    let row = |at: usize| encode_row(&orders.table, &orders.rows[at]).unwrap();
    let change = |at: usize, before: bool, after: bool| {
        Change::Row(RowChange {
            table: orders.table.id,
            key: world.key(0, at),
            before: before.then(|| row(at)),
            after: after.then(|| row(at + 1)),
        })
    };
    let schema = |before: bool, after: bool| Change::Schema {
        table: types.table.id,
        before: before.then(|| Box::new(types.table.clone())),
        after: after.then(|| Box::new(types.table.clone())),
    };
    let changes = vec![
        change(0, false, true),
        change(1, true, true),
        change(2, true, false),
        schema(false, true),
        schema(true, false),
    ];
    let mut out = String::from("# name, then hex\n");
    for (name, change) in ["insert", "update", "delete", "create", "drop"]
        .iter()
        .zip(&changes)
    {
        encoding(&mut out, name, change);
    }
    let success = TransactionEffects::new(SUITE, Code::SUCCESS, 3, changes);
    let failed = TransactionEffects::failed(SUITE, Code::new("23505").unwrap());
    encoding::<Outcome>(&mut out, "outcome", &success.outcome);
    writeln!(out, "outcome.hash {}", success.outcome.hash(SUITE)).unwrap();
    encoding::<Outcome>(&mut out, "failed", &failed.outcome);
    writeln!(out, "failed.hash {}", failed.outcome.hash(SUITE)).unwrap();
    let mut effects = BlockEffects {
        transactions: vec![success, failed],
        leaf: world.leaf,
        certificate: Vec::new(),
    };
    encoding(&mut out, "block", &effects);
    effects.certificate = world.note().to_string().into_bytes();
    encoding(&mut out, "certified", &effects);
    let ids = [Hash([1; 32]), Hash([2; 32])];
    for (leaf, index) in effects.log_leaves(SUITE, &ids).iter().zip(0..) {
        writeln!(out, "leaf.{index} {}", hex::encode(leaf)).unwrap();
    }
    freeze("ledger/effects.txt", out.as_bytes());
}

#[test]
fn genesis_and_trust_are_frozen() {
    let genesis = super::world::genesis();
    let mut out = String::from("# name, then hex\n");
    encoding::<Genesis>(&mut out, "genesis", &genesis);
    writeln!(out, "ledger {}", genesis.ledger_id()).unwrap();
    encoding::<ValidatorSet>(&mut out, "validators", &genesis.validators);
    writeln!(out, "validators.hash {}", genesis.validators.hash(SUITE)).unwrap();
    writeln!(out, "account.key {}", genesis.operator.to_hex()).unwrap();
    let account = AccountId::of_key(SUITE, &genesis.operator);
    writeln!(out, "account.id {}", hex::encode(account.0)).unwrap();
    writeln!(out, "account {account}").unwrap();
    assert_eq!(account.to_string().parse::<AccountId>().unwrap(), account);
    freeze("ledger/genesis.txt", out.as_bytes());

    let trust = Trust::of_genesis(&genesis);
    freeze("proof/trust.txt", trust.to_string().as_bytes());
    assert_eq!(trust.to_string().parse::<Trust>().unwrap(), trust);
    assert_eq!(trust.origin, ORIGIN);
}

#[test]
fn table_definitions_are_frozen() {
    let mut out = String::from("# name, then hex\n");
    let world = world();
    for (rows, entry) in world.tables.iter().zip(&world.entries) {
        let name = &rows.table.name;
        encoding(&mut out, name, &rows.table);
        writeln!(out, "{name}.hash {}", entry.catalogue_hash).unwrap();
        writeln!(out, "{name}.root {}", entry.root).unwrap();
    }
    writeln!(out, "state.root {}", world.leaf.state_root).unwrap();
    for (name, definition) in definitions() {
        encoding(&mut out, name, &definition);
        writeln!(out, "{name}.hash {}", definition.hash(SUITE)).unwrap();
    }
    freeze("ledger/tables.txt", out.as_bytes());
}
