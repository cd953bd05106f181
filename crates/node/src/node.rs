//! The handle on a running node, and what all its parts share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::channel::oneshot;
use parking_lot::{Mutex, RwLock};
use stele_consensus::{
    Application, DeliverError, Due, Follow, OrderHandle, OrderedBlock, Upstream, Voter, bft,
    follow, solo,
};
use stele_core::block::Block;
use stele_core::genesis::Genesis;
use stele_core::transaction::{
    ExpectedVersion, Payload, STATEMENT_LEN_MAX, SignedTransaction, TIME_SKEW_MAX_US,
    TRANSACTION_LEN_MAX, Transaction,
};
use stele_core::trust::Trust;
use stele_core::{AccountId, Decode, Encode, Hash, Suite};
use stele_flow::{FileLock, Runtime};
use stele_sql::SqlError;
use stele_sql::engine::{Engine, EngineConfig, Readers};
use stele_store::{BlockStore, TileStore};

use crate::apply::{Applier, BlockTransaction};
use crate::checker::Checker;
use crate::config::NodeConfig;
use crate::error::NodeError;
use crate::evidence::EvidenceStore;
use crate::followed::{Role, Senders, Server};
use crate::keys::{KeyStore, LocalKey};
use crate::line::Line;
use crate::mempool::{Mempool, Waiting};
use crate::propose::{Parent, build_block};
use crate::receipt::Pending;
use crate::recent::RecentIds;
use crate::stored::Parts;
use crate::tip::Tip;
use crate::voting::Relay;

/// How long a transaction signed by the key store may wait for its block, in microseconds (1 min).
/// Short, because identities are remembered until they expire.
pub const OWN_EXPIRY_US: i64 = 60 * 1_000_000;
/// How much of the distance that a transaction's time may have from its block's is kept for the way
/// there, besides the wait for the block, in microseconds (5 s).
const OWN_TIME_RESERVE_US: i64 = 5 * 1_000_000;
/// The longest a block may wait by any node's settings, in microseconds (20 s).
const INTERVAL_MAX_US: i64 = 20 * 1_000_000;

/// A running node. Cheap to clone; all clones are one node. Methods may block for disk reads unless
/// they say otherwise; none needs an async runtime.
#[derive(Clone)]
pub struct Node {
    pub(crate) inner: Arc<Inner>,
    order: Arc<OrderHandle>,
    pub(crate) checker: Arc<Checker>,
    senders: Option<Arc<Senders>>,
    relay: Option<Arc<Relay>>,
}

/// What all parts of a node share.
pub(crate) struct Inner {
    pub(crate) config: NodeConfig,
    pub(crate) runtime: Runtime,
    pub(crate) genesis: Genesis,
    pub(crate) ledger: Hash,
    pub(crate) suite: Suite,
    pub(crate) keys: KeyStore,
    pub(crate) role: Role,
    pub(crate) store: BlockStore,
    pub(crate) tiles: Arc<TileStore>,
    pub(crate) engine: Mutex<Engine>,
    pub(crate) engine_config: EngineConfig,
    /// Sessions that want the executor.
    pub(crate) line: Line,
    pub(crate) readers: Arc<Readers>,
    pub(crate) applier: Mutex<Applier>,
    pub(crate) recent: RwLock<RecentIds>,
    pub(crate) tip: RwLock<Arc<Tip>>,
    pub(crate) mempool: Mempool,
    /// Own proposals that are not delivered yet.
    pub(crate) proposed: Mutex<Option<(Hash, Vec<Waiting>)>>,
    /// Why ordering waits or has ended.
    pub(crate) trouble: RwLock<Trouble>,
    pub(crate) started_us: u64,
    pub(crate) care: Mutex<crate::care::Care>,
    pub(crate) evidence: EvidenceStore,
    /// Held while the state is made anew.
    pub(crate) rebuilding: Mutex<()>,
    /// Whether blocks were cut off at the start that others have.
    pub(crate) is_cut: AtomicBool,
    // Dropped last: nobody else opens the directory while anything above is open.
    pub(crate) _lock: Box<dyn FileLock>,
}

/// Why the node takes no writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// Waits for something to pass.
    pub(crate) stalled: Option<String>,
    /// Ended for good.
    pub(crate) halted: Option<String>,
    /// What the self-check found.
    pub(crate) damaged: Option<String>,
}

impl Trouble {
    /// Why no writes are taken, if so.
    pub(crate) fn reason(&self) -> Option<&String> {
        let known = [&self.halted, &self.damaged, &self.stalled];
        known.into_iter().find_map(Option::as_ref)
    }
}

impl Node {
    /// Opens or creates the ledger of a data directory, brings state and look-ups up to the newest
    /// stored block, and starts ordering.
    ///
    /// # Errors
    /// When the directory is in use, of another version, damaged, or cannot be read or written.
    pub fn start(config: NodeConfig, runtime: Runtime) -> Result<Self, NodeError> {
        Self::run(Inner::open(config, runtime, None, Parts::default())?)
    }

    /// Opens or begins a copy of a ledger that others order, and follows it by what a server gives:
    /// each block is executed here and compared with what the pinned validators signed.
    ///
    /// # Errors
    /// As [`Self::start`]; and when directory, server and pinned ledger do not fit, or the server does
    /// not answer the first time.
    pub fn follow(
        config: NodeConfig,
        runtime: Runtime,
        trust: Trust,
        server: Arc<dyn Server>,
    ) -> Result<Self, NodeError> {
        Self::run(Inner::open(
            config,
            runtime,
            Some((trust, server)),
            Parts::default(),
        )?)
    }

    fn run(inner: Inner) -> Result<Self, NodeError> {
        let inner = Arc::new(inner);
        let application: Arc<dyn Application> = inner.clone();
        let relay = Relay::start(&inner)?;
        let order = match &inner.role {
            Role::Orders(_) => solo::start(application, &inner.runtime),
            Role::Votes(voting) => {
                let voter: Arc<dyn Voter> = inner.clone();
                let outbox = voting.take_outbox().ok_or(NodeError::Stopping)?;
                bft::start(inner.bft_config(voting)?, &voter, outbox, &inner.runtime)
            }
            Role::Follows(followed) => {
                let upstream: Arc<dyn Upstream> = followed.server.clone();
                let height = inner.tip().height;
                let follow = Follow::new(application, upstream, inner.suite, height);
                follow::start(follow, &inner.runtime)
            }
        };
        let order = order.map_err(|error| NodeError::Storage(error.to_string()))?;
        let senders = Senders::start(&inner)?;
        let checker = Checker::start(&inner)?;
        Ok(Self {
            inner,
            order: Arc::new(order),
            checker: Arc::new(checker),
            senders: senders.map(Arc::new),
            relay: relay.map(Arc::new),
        })
    }

    /// Stops SQL reads, those under way too (57P01): the first step of [`Self::stop`], for servers that
    /// wait for their sessions before it.
    pub fn stop_reads(&self) {
        self.inner.readers.stop();
    }

    /// Stops cleanly: the block under way is finished, waiting transactions are answered with
    /// [`NodeError::Stopping`]. Idempotent.
    pub fn stop(&self) {
        self.stop_reads();
        for waiting in self.inner.mempool.close() {
            let error = match &self.inner.role {
                // Other validators have it.
                Role::Votes(_) => SqlError::new(
                    "08007",
                    "the node is stopping, and others may order the transaction",
                )
                .hint(format!(
                    "Ask another validator what became of transaction {}.",
                    waiting.id
                ))
                .into(),
                _ => NodeError::Stopping,
            };
            let _ = waiting.sender.send(Err(error));
        }
        // Before the check, which may wait for an answer of another validator.
        if let Some(relay) = &self.relay {
            relay.stop();
        }
        self.checker.stop();
        if let Some(senders) = &self.senders {
            senders.stop();
        }
        self.order.stop();
        self.inner.fail_proposed(&NodeError::Stopping);
        // The last effects too: a byte of theirs that changes later is then damage, not a torn tail.
        if let Err(error) = self.inner.store.sync() {
            tracing::warn!(%error, "the last effects were not synced; they are made again at the next start");
        }
        if let Err(error) = self.inner.tiles.checkpoint() {
            tracing::warn!(%error, "tile files were not synced; they are completed at the next start");
        }
        if let Err(error) = self.inner.engine.lock().close() {
            tracing::warn!(%error, "the state was not closed cleanly; it is checked at the next start");
        }
    }

    /// The ledger's identity document.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.inner.genesis
    }

    /// The ledger's identity.
    #[must_use]
    pub fn ledger(&self) -> Hash {
        self.inner.ledger
    }

    /// The ledger's suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.inner.suite
    }

    /// The key store.
    #[must_use]
    pub fn keys(&self) -> &KeyStore {
        &self.inner.keys
    }

    /// The node's wall clock, microseconds since 1970 UTC.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.inner.runtime.clock.now_us()
    }

    /// A fresh random seed for a transaction.
    #[must_use]
    pub fn fresh_seed(&self) -> [u8; 16] {
        let mut seed = [0; 16];
        self.inner.runtime.random.fill(&mut seed);
        seed
    }

    /// Signs and submits what a local user wants, with time and seed of its own. Does not wait.
    ///
    /// # Errors
    /// When the key is unknown, the payload too long, or the node takes no writes.
    pub fn write(&self, key: &str, payload: Payload) -> Result<Pending, NodeError> {
        self.write_expecting(key, payload, Vec::new())
    }

    /// As [`Self::write`], in strict mode: fails with 40001 unless each table has the version stated
    /// when the ledger executes it.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_expecting(
        &self,
        key: &str,
        payload: Payload,
        expected: Vec<ExpectedVersion>,
    ) -> Result<Pending, NodeError> {
        self.sign_and_submit(key, payload, expected, self.now_us(), self.fresh_seed())
    }

    pub(crate) fn sign_and_submit(
        &self,
        key: &str,
        payload: Payload,
        expected: Vec<ExpectedVersion>,
        time_us: i64,
        seed: [u8; 16],
    ) -> Result<Pending, NodeError> {
        let key = self.inner.keys.find(key)?;
        let signed = self.inner.sign(&key, payload, expected, time_us, seed)?;
        let id = signed.id(self.inner.suite);
        self.enqueue(id, signed)
    }

    /// Takes a transaction signed elsewhere. Does not wait for its block.
    ///
    /// # Errors
    /// When it is not believed, known already, out of time, too long, or the node takes no writes.
    pub fn submit(&self, signed: SignedTransaction) -> Result<Pending, NodeError> {
        let id = signed.verify(self.inner.suite, &self.inner.ledger)?;
        let now_us = self.now_us();
        let body = &signed.transaction;
        let skewed = body.time_us.abs_diff(now_us) > TIME_SKEW_MAX_US.unsigned_abs();
        if body.expiry_us <= now_us || skewed {
            return Err(NodeError::Expired);
        }
        if let Payload::Manifest(manifest) = &body.payload {
            self.check_manifest(manifest)?;
        }
        // One that is no longer the account's is found out by whoever executes it.
        let fits = AccountId::of_key(self.inner.suite, &signed.key) == body.account
            || self.inner.readers.may_sign(body.account, &signed.key)?;
        if !fits {
            let message = format!("the signing key is no current key of {}", body.account);
            return Err(SqlError::new("28000", message)
                .hint("sign with the account's own key; an account is the hash of its first key")
                .into());
        }
        if let Ok(place) = self.place_of_transaction(&id) {
            return Err(NodeError::Duplicate {
                id,
                known: Some(place),
            });
        }
        self.enqueue(id, signed)
    }

    /// How old the time of an interactive transaction may be when it commits, in microseconds: 25 s
    /// less the wait for a block. An older one would be refused soon after.
    #[must_use]
    pub fn own_time_age_max_us(&self) -> i64 {
        let wait_us = match &self.inner.role {
            Role::Follows(_) | Role::Votes(_) => INTERVAL_MAX_US,
            Role::Orders(_) => {
                let interval = i64::try_from(self.inner.config.block.interval_us);
                interval.unwrap_or(INTERVAL_MAX_US).min(INTERVAL_MAX_US)
            }
        };
        TIME_SKEW_MAX_US - OWN_TIME_RESERVE_US - wait_us
    }

    fn enqueue(&self, id: Hash, signed: SignedTransaction) -> Result<Pending, NodeError> {
        let pending = self.inner.enqueue(id, signed)?;
        if matches!(self.inner.role, Role::Orders(_)) {
            self.order.wake();
        }
        Ok(pending)
    }

    /// A transaction that waits for its block or is being applied.
    #[must_use]
    pub fn pending(&self, id: &Hash) -> Option<Arc<SignedTransaction>> {
        self.inner.mempool.get(id)
    }
}

impl Inner {
    /// The newest applied block.
    pub(crate) fn tip(&self) -> Arc<Tip> {
        self.tip.read().clone()
    }

    /// Takes a transaction of a client; whoever orders is told by the caller.
    pub(crate) fn enqueue(
        &self,
        id: Hash,
        signed: SignedTransaction,
    ) -> Result<Pending, NodeError> {
        if let Some(reason) = self.trouble.read().reason() {
            return Err(NodeError::Halted(reason.clone()));
        }
        let bytes = signed.encode_to_vec();
        if bytes.len() > TRANSACTION_LEN_MAX {
            return Err(NodeError::Sql(
                SqlError::new(
                    "54000",
                    format!(
                        "the transaction takes {} bytes, the bound is {TRANSACTION_LEN_MAX}",
                        bytes.len()
                    ),
                )
                .hint("split it into several transactions"),
            ));
        }
        let told = matches!(self.role, Role::Votes(_)).then(|| bytes.clone());
        let (sender, receipt) = oneshot::channel();
        let waiting = Waiting {
            id,
            signed: Arc::new(signed),
            bytes,
            sender,
        };
        self.mempool
            .push(waiting, self.runtime.clock.monotonic_us())?;
        match &self.role {
            Role::Orders(_) => {}
            Role::Follows(followed) => followed.wake(),
            Role::Votes(voting) => voting.queues.tell(told.unwrap_or_default()),
        }
        Ok(Pending { id, receipt })
    }

    pub(crate) fn set_tip(&self, tip: Tip) {
        *self.tip.write() = Arc::new(tip);
    }

    pub(crate) fn sign(
        &self,
        key: &LocalKey,
        payload: Payload,
        expected_versions: Vec<ExpectedVersion>,
        time_us: i64,
        seed: [u8; 16],
    ) -> Result<SignedTransaction, NodeError> {
        if let Payload::Statements(statements) = &payload {
            for statement in statements {
                if statement.sql.len() > STATEMENT_LEN_MAX {
                    return Err(NodeError::Sql(
                        SqlError::new(
                            "54000",
                            format!(
                                "the statement has {} bytes, the bound is {STATEMENT_LEN_MAX}",
                                statement.sql.len()
                            ),
                        )
                        .hint("split it, or bind long values as parameters"),
                    ));
                }
            }
        }
        let mut nonce = [0; 16];
        self.runtime.random.fill(&mut nonce);
        Ok(Transaction {
            ledger: self.ledger,
            account: key.account,
            nonce,
            time_us,
            expiry_us: time_us.saturating_add(OWN_EXPIRY_US),
            seed,
            expected_versions,
            payload,
        }
        .sign(self.suite, key.secret()))
    }

    /// Answers everyone whose transaction was taken for a block that will not be applied now.
    fn fail_proposed(&self, error: &NodeError) {
        if let Role::Follows(followed) = &self.role {
            followed.fail_all(self, || match error {
                NodeError::Stopping => NodeError::Stopping,
                other => halted(other),
            });
        }
        let Some((_, waiting)) = self.proposed.lock().take() else {
            return;
        };
        self.mempool
            .forget(waiting.iter().map(|waiting| &waiting.id));
        // The proposed block is the one after the tip. Once it is stored it will be applied, if not now.
        let height = self.tip().height + 1;
        let is_stored = self.store.appended_height() >= height;
        for waiting in waiting {
            let id = waiting.id;
            let _ = waiting.sender.send(Err(match error {
                NodeError::Stopping => NodeError::Stopping,
                NodeError::Halted(reason) if is_stored => NodeError::Unresolved {
                    id,
                    height,
                    reason: reason.clone(),
                },
                other => halted(other),
            }));
        }
    }
}

impl Application for Inner {
    fn due(&self) -> Due {
        let now_us = self.runtime.clock.monotonic_us();
        self.mempool.due(now_us, self.line.length())
    }

    fn propose(&self) -> Option<OrderedBlock> {
        let Role::Orders(signer) = &self.role else {
            return None;
        };
        let waiting = self.mempool.take(self.runtime.clock.monotonic_us());
        if waiting.is_empty() {
            return None;
        }
        let tip = self.tip();
        let parent = Parent {
            ledger: self.ledger,
            height: tip.height,
            hash: tip.hash,
            time_us: tip.time_us,
            certificate: &tip.certificate,
        };
        let now_us = self.runtime.clock.now_us();
        let proposer = signer.verifier().key();
        let bytes: Vec<&[u8]> = waiting.iter().map(|one| &one.bytes[..]).collect();
        let block = build_block(self.suite, &parent, proposer, now_us, &bytes);
        *self.proposed.lock() = Some((block.hash, waiting));
        Some(block)
    }

    fn deliver(&self, block: &OrderedBlock) -> Result<(), DeliverError> {
        match &self.role {
            Role::Follows(followed) => return self.deliver_followed(followed, block),
            Role::Votes(voting) => return self.deliver_voted(voting, block),
            Role::Orders(_) => {}
        }
        if block.header.height <= self.tip().height {
            return Ok(());
        }
        let own = self.proposed.lock().take();
        let (transactions, waiting) = match own {
            Some((hash, waiting)) if hash == block.hash => {
                let transactions = waiting
                    .iter()
                    .map(|waiting| BlockTransaction {
                        id: waiting.id,
                        signed: waiting.signed.clone(),
                    })
                    .collect();
                (transactions, waiting)
            }
            _ => (decode(self.suite, &block.bytes)?, Vec::new()),
        };
        match self.apply(block, &transactions) {
            Ok(applied) => {
                self.told(block, &transactions);
                for (waiting, receipt) in waiting.into_iter().zip(applied.receipts) {
                    let _ = waiting.sender.send(Ok(receipt));
                }
                Ok(())
            }
            Err(error) => {
                *self.proposed.lock() = Some((block.hash, waiting));
                Err(error.cause)
            }
        }
    }

    fn stalled(&self, reason: Option<&str>) {
        let mut trouble = self.trouble.write();
        // It is tried again twice a second; once told is enough.
        if trouble.stalled.as_deref() == reason {
            return;
        }
        match reason {
            Some(reason) => tracing::warn!(reason, "a block waits to be applied"),
            None => tracing::info!("blocks are applied again"),
        }
        trouble.stalled = reason.map(str::to_owned);
    }

    fn halted(&self, reason: &str) {
        tracing::error!(reason, "the node takes no more writes");
        self.trouble.write().halted = Some(reason.to_owned());
        let error = NodeError::Halted(reason.to_owned());
        self.fail_proposed(&error);
        for waiting in self.mempool.close() {
            let _ = waiting
                .sender
                .send(Err(NodeError::Halted(reason.to_owned())));
        }
    }
}

/// What those are told whose transaction met that trouble.
fn halted(error: &NodeError) -> NodeError {
    NodeError::Halted(match error {
        NodeError::Halted(reason) => reason.clone(),
        other => other.to_string(),
    })
}

/// The transactions of a block that this node did not put together itself.
pub(crate) fn decode(suite: Suite, bytes: &[u8]) -> Result<Vec<BlockTransaction>, DeliverError> {
    let block = Block::decode_all(bytes)
        .map_err(|error| DeliverError::Halt(format!("a final block does not decode: {error}")))?;
    Ok(block
        .transactions
        .into_iter()
        .map(|signed| BlockTransaction {
            id: signed.id(suite),
            signed: Arc::new(signed),
        })
        .collect())
}
