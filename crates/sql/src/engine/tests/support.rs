//! A small ledger around the engine, and the statements tests use.

use std::path::PathBuf;

use stele_core::crypto::SecretKey;
use stele_core::leaf::BlockLeaf;
use stele_core::outcome::{BlockEffects, Code};
use stele_core::transaction::{Payload, SignedTransaction, Statement, Transaction};
use stele_core::{AccountId, Hash, Suite, Value};

use crate::engine::{
    BlockContext, Engine, EngineConfig, EngineError, ExecutableTransaction, ExecutedBlock,
    HistorySource, SECRET_LEN, StateAudit,
};

pub(super) const SUITE: Suite = Suite::Ed25519Sha256;
pub(super) const LEDGER: Hash = Hash([7; 32]);

pub(super) const CREATE: &str =
    "CREATE TABLE account (id BIGINT PRIMARY KEY, name TEXT UNIQUE, balance BIGINT NOT NULL)";
pub(super) const INSERT: &str = "INSERT INTO account VALUES ($1, $2, $3)";
pub(super) const UPSERT: &str = "INSERT INTO account VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET balance = excluded.balance";
pub(super) const ADD: &str = "UPDATE account SET balance = balance + $2 WHERE id = $1";
pub(super) const ADD_ALL: &str = "UPDATE account SET balance = balance + $1";
pub(super) const RENUMBER: &str = "UPDATE account SET id = $2 WHERE id = $1";
pub(super) const DELETE: &str = "DELETE FROM account WHERE id = $1";
pub(super) const DELETE_ALL: &str = "DELETE FROM account";
pub(super) const DROP: &str = "DROP TABLE account";
pub(super) const SELECT: &str = "SELECT id, name, balance FROM account WHERE id = $1";
pub(super) const SELECT_ALL: &str = "SELECT id, name, balance FROM account ORDER BY id";
pub(super) const PUT: &str = "INSERT INTO stele.kv VALUES ($1, $2, $3) ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value";
pub(super) const NAMESPACE: &str = "INSERT INTO stele.kv_namespaces VALUES ($1, $2, $3)";
pub(super) const SPIN: &str = "SELECT count(*) FROM account a, account b, account c";

pub(super) struct Ledger {
    pub(super) engine: Engine,
    pub(super) key: SecretKey,
    nonce: u64,
}

impl Ledger {
    pub(super) fn in_memory() -> Self {
        Self::open(EngineConfig::new(None, LEDGER, SUITE))
    }

    pub(super) fn at(path: PathBuf) -> Self {
        Self::open(EngineConfig::new(Some(path), LEDGER, SUITE))
    }

    pub(super) fn open(config: EngineConfig) -> Self {
        Self {
            engine: Engine::open(config).unwrap(),
            key: SecretKey::from_seed(&[1; 32]),
            nonce: 0,
        }
    }

    pub(super) fn sign(&mut self, statements: &[(&str, Vec<Value>)]) -> SignedTransaction {
        let statements = statements.iter().map(|(sql, parameters)| Statement {
            sql: (*sql).to_owned(),
            parameters: parameters.clone(),
            result: None,
        });
        self.sign_payload(Payload::Statements(statements.collect()))
    }

    pub(super) fn sign_payload(&mut self, payload: Payload) -> SignedTransaction {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        Transaction {
            ledger: LEDGER,
            account: AccountId::of_key(SUITE, &self.key.public()),
            nonce,
            time_us: 1,
            expiry_us: 2,
            seed: [0; 16],
            expected_versions: Vec::new(),
            payload,
        }
        .sign(SUITE, &self.key)
    }

    /// Executes a block and leaves it open.
    pub(super) fn execute(&mut self, transactions: &[SignedTransaction]) -> ExecutedBlock {
        let context = self.next();
        self.engine
            .execute(&context, &executable(transactions))
            .unwrap()
    }

    pub(super) fn next(&self) -> BlockContext {
        let height = self.engine.meta().height + 1;
        BlockContext {
            height,
            time_us: i64::try_from(height).unwrap(),
        }
    }

    /// Executes and commits a block; gives its effects as they are kept.
    pub(super) fn block(&mut self, transactions: &[SignedTransaction]) -> BlockEffects {
        let executed = self.execute(transactions);
        let height = self.engine.meta().height + 1;
        let block = block_hash(height);
        self.engine.commit(&height.to_be_bytes(), block).unwrap();
        effects(height, executed)
    }

    /// A block of one transaction; gives its code.
    pub(super) fn one(&mut self, statements: &[(&str, Vec<Value>)]) -> Code {
        let signed = self.sign(statements);
        self.block(&[signed]).transactions[0].outcome.code
    }

    pub(super) fn account(&self) -> AccountId {
        AccountId::of_key(SUITE, &self.key.public())
    }

    pub(super) fn root(&self) -> Hash {
        self.engine.meta().state_root
    }
}

/// Compares the rows with the root.
pub(super) fn audit(ledger: &Ledger) -> StateAudit {
    let history = None::<HistorySource<'_, EngineError>>;
    ledger.engine.readers().audit(history, |_| {}).unwrap()
}

/// Compares the rows with the root, and all versions with the effects of all blocks.
pub(super) fn audit_history(ledger: &Ledger, blocks: &[BlockEffects]) -> StateAudit {
    let mut effects = |height: u64| Ok::<_, EngineError>(blocks[height as usize - 1].clone());
    let history = HistorySource {
        secret: [5; SECRET_LEN],
        effects: &mut effects,
    };
    ledger
        .engine
        .readers()
        .audit(Some(history), |_| {})
        .unwrap()
}

pub(super) fn effects(height: u64, executed: ExecutedBlock) -> BlockEffects {
    BlockEffects {
        transactions: executed.effects,
        leaf: BlockLeaf {
            height,
            block: block_hash(height),
            time_us: i64::try_from(height).unwrap(),
            state_root: executed.state_root,
            execution_version: 1,
            next_validators: Hash::ZERO,
        },
        certificate: Vec::new(),
    }
}

pub(super) fn block_hash(height: u64) -> Hash {
    let mut hash = [9; 32];
    hash[..8].copy_from_slice(&height.to_be_bytes());
    Hash(hash)
}

pub(super) fn executable(transactions: &[SignedTransaction]) -> Vec<ExecutableTransaction<'_>> {
    transactions
        .iter()
        .map(|signed| ExecutableTransaction {
            id: signed.id(SUITE),
            signed,
            refused: None,
        })
        .collect()
}

pub(super) fn int(value: i64) -> Value {
    Value::Int(value)
}

pub(super) fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}
