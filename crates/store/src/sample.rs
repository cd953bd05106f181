//! Small made-up chains for tests.

use stele_core::account::AccountId;
use stele_core::block::{Block, Header};
use stele_core::crypto::SecretKey;
use stele_core::leaf::BlockLeaf;
use stele_core::outcome::{BlockEffects, Change, Code, RowChange, TransactionEffects};
use stele_core::schema::TableId;
use stele_core::transaction::{Payload, SignedTransaction, Transaction};
use stele_core::{Domain, Encode, Hash, Suite};

use crate::record::BlockRecord;
use crate::store::BlockStore;

/// A block with all that was appended of it.
#[derive(Clone)]
pub(crate) struct SampleBlock {
    pub(crate) bytes: Vec<u8>,
    pub(crate) hash: Hash,
    pub(crate) ids: Vec<Hash>,
    pub(crate) effects: Vec<u8>,
    pub(crate) leaf: BlockLeaf,
}

pub(crate) struct Chain {
    pub(crate) ledger: Hash,
    pub(crate) blocks: Vec<SampleBlock>,
}

pub(crate) fn suite() -> Suite {
    Suite::default()
}

fn transaction(ledger: Hash, nonce: u64, payload_len: usize) -> SignedTransaction {
    let key = SecretKey::from_seed(&[1; 32]);
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&nonce.to_be_bytes());
    Transaction {
        ledger,
        account: AccountId::of_key(suite(), &key.public()),
        nonce: bytes,
        time_us: 1,
        expiry_us: 2,
        seed: [0; 16],
        expected_versions: Vec::new(),
        payload: Payload::Record(vec![nonce as u8; payload_len]),
    }
    .sign(suite(), &key)
}

impl Chain {
    /// A chain whose blocks hold so many transactions of so long payloads.
    pub(crate) fn new(seed: u8, blocks: &[(usize, usize)]) -> Self {
        let ledger = suite().hash(Domain::Genesis, &[&[seed]]);
        let mut chain = Self {
            ledger,
            blocks: Vec::new(),
        };
        let mut nonce = u64::from(seed) << 32;
        for (count, payload_len) in blocks {
            let transactions = (0..*count)
                .map(|_| {
                    nonce += 1;
                    transaction(ledger, nonce, *payload_len)
                })
                .collect();
            chain.push(transactions);
        }
        chain
    }

    fn push(&mut self, transactions: Vec<SignedTransaction>) {
        let height = self.blocks.len() as u64 + 1;
        let block = Block {
            header: Header {
                ledger: self.ledger,
                height,
                parent: self.blocks.last().map_or(self.ledger, |block| block.hash),
                time_us: height as i64 * 1_000,
                proposer: SecretKey::from_seed(&[2; 32]).public(),
                transaction_count: transactions.len() as u32,
                transaction_root: Block::transaction_root(suite(), &transactions),
                certificate: Vec::new(),
            },
            transactions,
        };
        let hash = block.hash(suite());
        let leaf = BlockLeaf {
            height,
            block: hash,
            time_us: block.header.time_us,
            state_root: suite().hash(Domain::TreeRoot, &[&height.to_be_bytes()]),
            execution_version: 1,
            next_validators: Hash::ZERO,
        };
        let effects = BlockEffects {
            transactions: block
                .transactions
                .iter()
                .map(|transaction| {
                    let change = Change::Row(RowChange {
                        table: TableId(7),
                        key: transaction.transaction.nonce.to_vec(),
                        before: None,
                        after: Some(height.to_be_bytes().to_vec()),
                    });
                    TransactionEffects::new(suite(), Code::SUCCESS, 1, vec![change])
                })
                .collect(),
            leaf,
            certificate: Vec::new(),
        };
        self.blocks.push(SampleBlock {
            bytes: block.encode_to_vec(),
            hash,
            ids: block.transactions.iter().map(|tx| tx.id(suite())).collect(),
            effects: effects.encode_to_vec(),
            leaf,
        });
    }

    /// Appends blocks of these heights, syncing after each.
    pub(crate) fn append(&self, store: &BlockStore, heights: std::ops::RangeInclusive<u64>) {
        for height in heights {
            let block = self.block(height);
            store
                .append_block(&BlockRecord::parse(&block.bytes, suite()).unwrap())
                .unwrap();
            store.sync().unwrap();
            store.append_effects(&block.effects, &block.leaf).unwrap();
        }
    }

    pub(crate) fn block(&self, height: u64) -> &SampleBlock {
        &self.blocks[height as usize - 1]
    }
}
