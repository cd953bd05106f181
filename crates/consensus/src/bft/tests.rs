use commonware_codec::{Decode as _, Encode as _};
use commonware_consensus::{Block as _, Heightable as _};
use commonware_cryptography::Digestible as _;
use stele_core::block::{Block, Header};
use stele_core::crypto::SecretKey;
use stele_core::transaction::{Payload, SignedTransaction, Transaction};
use stele_core::{AccountId, Encode as _};

use super::block::{CARRIED_LEN_MAX, Carried, Origin, digest};
use super::*;
use crate::application::{Link, OrderedBlock};

fn origin() -> Origin {
    Origin {
        suite: Suite::default(),
        base: Link {
            height: 4,
            hash: Hash([4; 32]),
            time_us: 10,
        },
    }
}

fn transaction(nonce: u8) -> SignedTransaction {
    let suite = Suite::default();
    let key = SecretKey::from_seed(&[7; 32]);
    let body = Transaction {
        ledger: Hash([9; 32]),
        account: AccountId::of_key(suite, &key.public()),
        nonce: [nonce; 16],
        time_us: 5,
        expiry_us: 6,
        seed: [0; 16],
        expected_versions: Vec::new(),
        payload: Payload::Record(vec![nonce; 100]),
    };
    body.sign(suite, &key)
}

fn block(height: u64) -> OrderedBlock {
    let suite = Suite::default();
    let transactions = vec![transaction(1), transaction(2)];
    let header = Header {
        ledger: Hash([9; 32]),
        height,
        parent: Hash([8; 32]),
        time_us: 20,
        proposer: SecretKey::from_seed(&[7; 32]).public(),
        transaction_count: 2,
        transaction_root: Block::transaction_root(suite, &transactions),
        certificate: b"note".to_vec(),
    };
    OrderedBlock {
        hash: header.hash(suite),
        header: header.clone(),
        bytes: Block {
            header,
            transactions,
        }
        .encode_to_vec(),
        certificate: None,
    }
}

#[test]
fn a_block_is_carried_whole_and_counted_from_the_base() {
    let origin = origin();
    let plain = block(7);
    let carried = Carried::new(&origin, plain.clone());
    assert_eq!(carried.height().get(), 3);
    assert_eq!(carried.digest(), digest(plain.hash));
    assert_eq!(carried.parent(), digest(plain.header.parent));
    let read = Carried::decode_cfg(carried.encode(), &origin).unwrap();
    let read = read.ordered().unwrap();
    assert_eq!((&read.bytes, read.hash), (&plain.bytes, plain.hash));

    let base = Carried::base(&origin);
    assert_eq!(
        (base.height().get(), base.digest()),
        (0, digest(Hash([4; 32])))
    );
    let read = Carried::decode_cfg(base.encode(), &origin).unwrap();
    assert!(read.ordered().is_none());
    assert_eq!(read.link(), base.link());
}

#[test]
fn what_is_no_block_is_refused() {
    let origin = origin();
    let good = Carried::new(&origin, block(7)).encode().to_vec();
    let read = |bytes: &[u8]| Carried::decode_cfg(bytes::Bytes::copy_from_slice(bytes), &origin);
    assert!(read(&good).is_ok());
    for len in 0..good.len() {
        assert!(read(&good[..len]).is_err(), "cut at {len}");
    }
    // Every byte of a transaction is under the hash of the header.
    let mut other = good.clone();
    let place = other.len() - 80;
    other[place] ^= 1;
    assert!(read(&other).is_err());
    assert!(read(&[&good[..], &[0]].concat()).is_err(), "a byte more");
    let long = u32::try_from(CARRIED_LEN_MAX).unwrap().to_be_bytes();
    assert!(
        read(&[&long[..], &[0; 64]].concat()).is_err(),
        "a length that lies"
    );
    let old = Carried::new(&origin, block(4)).encode();
    assert!(read(&old).is_err(), "one from before the base");
}

#[test]
fn messages_are_bounded_and_never_wait() {
    let (messenger, outbox) = messages();
    assert!(!messenger.send(None, vec![0; MESSAGE_LEN_MAX + 1]));
    let sent = (0..5_000).filter(|_| messenger.send(None, vec![1])).count();
    assert!((1_000..2_000).contains(&sent), "{sent}");
    drop(outbox);
    assert!(!messenger.send(None, vec![1]));
}
