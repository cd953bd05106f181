//! Putting a block together from waiting transactions.

use stele_consensus::OrderedBlock;
use stele_core::block::Header;
use stele_core::codec::{put_bytes, put_len};
use stele_core::crypto::PublicKey;
use stele_core::{Domain, Encode, Hash, Suite};

/// What a new block stands on.
pub(crate) struct Parent<'a> {
    /// The ledger.
    pub(crate) ledger: Hash,
    /// Height of the block before; 0 for genesis.
    pub(crate) height: u64,
    /// Its hash; the ledger id for genesis.
    pub(crate) hash: Hash,
    /// Its time.
    pub(crate) time_us: i64,
    /// Newest certificate.
    pub(crate) certificate: &'a str,
}

/// Builds the block that follows `parent` from transactions already encoded.
///
/// Its time is `now_us`, but always greater than the parent's.
#[must_use]
pub(crate) fn build_block(
    suite: Suite,
    parent: &Parent<'_>,
    proposer: PublicKey,
    now_us: i64,
    transactions: &[impl AsRef<[u8]>],
) -> OrderedBlock {
    let digests: Vec<Hash> = transactions
        .iter()
        .map(|bytes| suite.hash(Domain::SignedTransaction, &[bytes.as_ref()]))
        .collect();
    let header = Header {
        ledger: parent.ledger,
        height: parent.height + 1,
        parent: parent.hash,
        time_us: now_us.max(parent.time_us.saturating_add(1)),
        proposer,
        transaction_count: u32::try_from(transactions.len())
            .expect("the policy bounds a block far below 2^32 transactions"),
        transaction_root: suite.merkle_root(Domain::ListNode, &digests),
        certificate: parent.certificate.as_bytes().to_vec(),
    };
    let mut bytes = header.encode_to_vec();
    put_len(&mut bytes, transactions.len());
    for transaction in transactions {
        put_bytes(&mut bytes, transaction.as_ref());
    }
    OrderedBlock {
        hash: header.hash(suite),
        header,
        bytes,
        certificate: None,
    }
}

#[cfg(test)]
mod tests {
    use stele_core::block::Block;
    use stele_core::crypto::SecretKey;
    use stele_core::transaction::{Payload, Transaction};
    use stele_core::{AccountId, Decode};

    use super::*;

    #[test]
    fn built_bytes_are_the_blocks_one_encoding() {
        let suite = Suite::default();
        let key = SecretKey::from_seed(&[7; 32]);
        let signed: Vec<_> = (0..3u8)
            .map(|nonce| {
                Transaction {
                    ledger: Hash([9; 32]),
                    account: AccountId::of_key(suite, &key.public()),
                    nonce: [nonce; 16],
                    time_us: 5,
                    expiry_us: 6,
                    seed: [0; 16],
                    expected_versions: Vec::new(),
                    payload: Payload::Record(vec![nonce; 100]),
                }
                .sign(suite, &key)
            })
            .collect();
        let waiting: Vec<Vec<u8>> = signed.iter().map(Encode::encode_to_vec).collect();
        let parent = Parent {
            ledger: Hash([9; 32]),
            height: 4,
            hash: Hash([8; 32]),
            time_us: 1_000,
            certificate: "",
        };
        let built = build_block(suite, &parent, key.public(), 10, &waiting);
        assert_eq!(
            built.header.time_us, 1_001,
            "time goes forward whatever the clock says"
        );
        let block = Block::decode_all(&built.bytes).unwrap();
        assert_eq!(block.encode_to_vec(), built.bytes);
        assert_eq!(block.hash(suite), built.hash);
        assert_eq!(
            Block::transaction_root(suite, &block.transactions),
            built.header.transaction_root
        );
        assert_eq!(block.transactions, signed);
    }
}
