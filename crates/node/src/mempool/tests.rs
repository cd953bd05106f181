use stele_core::transaction::{Payload, Transaction};
use stele_core::{AccountId, Encode, Suite, crypto::SecretKey};

use super::*;

fn waiting(
    nonce: u8,
    payload_len: usize,
) -> (Waiting, oneshot::Receiver<Result<Receipt, NodeError>>) {
    let suite = Suite::default();
    let key = SecretKey::from_seed(&[7; 32]);
    let signed = Transaction {
        ledger: Hash::ZERO,
        account: AccountId::of_key(suite, &key.public()),
        nonce: [nonce; 16],
        time_us: 0,
        expiry_us: 1,
        seed: [0; 16],
        expected_versions: Vec::new(),
        payload: Payload::Record(vec![0; payload_len]),
    }
    .sign(suite, &key);
    let (sender, receiver) = oneshot::channel();
    let waiting = Waiting {
        id: signed.id(suite),
        bytes: signed.encode_to_vec(),
        signed: Arc::new(signed),
        sender,
    };
    (waiting, receiver)
}

fn pool(bounds: MempoolConfig, policy: BlockPolicy) -> Mempool {
    Mempool::new(bounds, policy)
}

#[test]
fn b2_a_block_closes_by_count_bytes_or_time_each_alone() {
    let policy = BlockPolicy {
        transactions_max: 2,
        bytes_max: 1_000_000,
        interval_us: 500,
    };
    let by_count = pool(MempoolConfig::default(), policy);
    assert_eq!(by_count.due(0, 0), Due::Idle);
    by_count.push(waiting(1, 10).0, 100).unwrap();
    assert_eq!(by_count.due(100, 0), Due::After(Duration::from_micros(500)));
    by_count.push(waiting(2, 10).0, 100).unwrap();
    assert_eq!(by_count.due(100, 0), Due::Now);

    let by_bytes = pool(
        MempoolConfig::default(),
        BlockPolicy {
            bytes_max: 1_000,
            transactions_max: 100,
            ..policy
        },
    );
    by_bytes.push(waiting(1, 400).0, 0).unwrap();
    assert_ne!(by_bytes.due(0, 0), Due::Now);
    by_bytes.push(waiting(2, 400).0, 0).unwrap();
    assert_eq!(by_bytes.due(0, 0), Due::Now);

    let by_time = pool(
        MempoolConfig::default(),
        BlockPolicy {
            transactions_max: 100,
            ..policy
        },
    );
    by_time.push(waiting(1, 10).0, 100).unwrap();
    assert_eq!(by_time.due(599, 0), Due::After(Duration::from_micros(1)));
    assert_eq!(by_time.due(600, 0), Due::Now);
}

#[test]
fn a_block_waits_a_moment_for_sessions_in_line_for_the_executor() {
    let pool = pool(
        MempoolConfig::default(),
        BlockPolicy {
            transactions_max: 2,
            ..BlockPolicy::default()
        },
    );
    pool.push(waiting(1, 10).0, 100).unwrap();
    assert_eq!(pool.due(100, 2), Due::Now);
    assert!(matches!(pool.due(100, 3), Due::After(_)));
    assert!(matches!(pool.due(14_099, 30), Due::After(_)));
    assert_eq!(pool.due(14_100, 30), Due::Now);
    pool.push(waiting(2, 10).0, 100).unwrap();
    assert_eq!(pool.due(100, 30), Due::Now);
}

#[test]
fn refuses_what_it_knows_until_it_is_forgotten() {
    let pool = pool(MempoolConfig::default(), BlockPolicy::default());
    pool.push(waiting(1, 10).0, 0).unwrap();
    assert!(matches!(
        pool.push(waiting(1, 10).0, 0),
        Err(NodeError::Duplicate { .. })
    ));
    let taken = pool.take(0);
    assert!(matches!(
        pool.push(waiting(1, 10).0, 0),
        Err(NodeError::Duplicate { .. })
    ));
    pool.forget(taken.iter().map(|waiting| &waiting.id));
    pool.push(waiting(1, 10).0, 0).unwrap();
}

#[test]
fn refuses_beyond_its_bounds_and_takes_again_when_there_is_room() {
    let bounds = MempoolConfig {
        transactions_max: 2,
        bytes_max: 10_000,
    };
    let pool = pool(bounds, BlockPolicy::default());
    pool.push(waiting(1, 10).0, 0).unwrap();
    assert!(matches!(
        pool.push(waiting(2, 20_000).0, 0),
        Err(NodeError::Busy { waiting: 1 })
    ));
    pool.push(waiting(3, 10).0, 0).unwrap();
    assert!(matches!(
        pool.push(waiting(4, 10).0, 0),
        Err(NodeError::Busy { waiting: 2 })
    ));
    let taken = pool.take(0);
    pool.forget(taken.iter().map(|waiting| &waiting.id));
    pool.push(waiting(4, 10).0, 0).unwrap();
}

#[test]
fn takes_in_order_and_within_the_policy() {
    let policy = BlockPolicy {
        transactions_max: 3,
        bytes_max: 1_000,
        interval_us: 0,
    };
    let pool = pool(MempoolConfig::default(), policy);
    let mut ids = Vec::new();
    for (nonce, len) in [(1, 10), (2, 5_000), (3, 10), (4, 10)] {
        let (transaction, _) = waiting(nonce, len);
        ids.push(transaction.id);
        pool.push(transaction, 0).unwrap();
    }
    let taken = |pool: &Mempool| -> Vec<Hash> { pool.take(0).iter().map(|w| w.id).collect() };
    assert_eq!(taken(&pool), ids[..1]);
    assert_eq!(taken(&pool), ids[1..2], "one over the bound travels alone");
    assert_eq!(taken(&pool), ids[2..]);
}

#[test]
fn a_closed_pool_gives_back_what_waits() {
    let pool = pool(MempoolConfig::default(), BlockPolicy::default());
    pool.push(waiting(1, 10).0, 0).unwrap();
    assert_eq!(pool.close().len(), 1);
    assert!(matches!(
        pool.push(waiting(2, 10).0, 0),
        Err(NodeError::Stopping)
    ));
    assert_eq!(pool.len(), 0);
}

#[test]
fn a_block_of_several_validators_takes_what_no_other_has_and_leaves_it_until_it_is_applied() {
    let policy = BlockPolicy {
        transactions_max: 2,
        ..BlockPolicy::default()
    };
    let pool = pool(MempoolConfig::default(), policy);
    let mut ids = Vec::new();
    let mut receipts = Vec::new();
    for nonce in 1..=4 {
        let (waiting, receipt) = waiting(nonce, 10);
        ids.push(waiting.id);
        receipts.push(receipt);
        pool.push(waiting, 0).unwrap();
    }
    let none = HashSet::new();
    assert_eq!(pool.pick(&none, 0).len(), 2);
    assert_eq!(
        pool.pick(&none, 0),
        pool.pick(&none, 0),
        "nothing was taken away"
    );
    let first: HashSet<Hash> = ids[..2].iter().copied().collect();
    let second = pool.pick(&first, 0);
    assert_eq!(second.len(), 2);
    assert!(
        second
            .iter()
            .all(|bytes| !pool.pick(&none, 0).contains(bytes))
    );
    assert!(pool.pick(&none, 1).is_empty(), "they have expired by then");

    let settled = pool.settle(&first, 0);
    assert_eq!(settled.len(), 2);
    assert!(
        ids[..2]
            .iter()
            .all(|id| settled.contains_key(id) && pool.get(id).is_none())
    );
    assert_eq!(pool.len(), 2);
    // What has expired by a block's time goes, too: its clients are told.
    assert_eq!(pool.settle(&none, 1).len(), 2);
    assert_eq!(pool.len(), 0);
}
