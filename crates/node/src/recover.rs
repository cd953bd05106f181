//! Opening a ledger: state, log and look-ups are brought up to the newest stored block.
//!
//! Segments are the truth. A state below their tip is replayed from the kept effects, each root
//! compared; blocks whose effects were not yet stored (at most the newest) are executed again. A
//! state that belongs to other blocks cannot be right: it is moved aside and made anew from block 1. One of a
//! block that is not there shows that blocks were lost: the node does not start, as it would make others
//! in their places. A state ahead of the stored effects, which a loss of power can leave:
//! nothing orders the state's way to the disk after that of the effects; it is made anew, too.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use stele_consensus::bft::{BftConfig, Peer};
use stele_consensus::{Link, OrderedBlock};
use stele_core::note::{SignedNote, SignerKey, verify_certificate};
use stele_core::outcome::BlockEffects;
use stele_core::transaction::EXPIRY_AHEAD_MAX_US;
use stele_core::trust::Trust;
use stele_core::{Encode, Hash, Suite};
use stele_flow::Runtime;
use stele_sql::engine::{BlockContext, Engine, EngineConfig};
use stele_store::{BlockStore, TileStore};

use crate::apply::{Applier, BlockTransaction};
use crate::blocks::not_stored;
use crate::config::NodeConfig;
use crate::directory::{Directory, read_genesis};
use crate::error::NodeError;
use crate::evidence::EvidenceStore;
use crate::followed::{Followed, Role, Server};
use crate::ledger_log::LedgerLog;
use crate::line::Line;
use crate::mempool::Mempool;
use crate::node::{Inner, Trouble, decode};
use crate::past::StoredPast;
use crate::recent::RecentIds;
use crate::stored::{Parts, cut_store, open_engine, open_store, settle_state};
use crate::syncer::Syncer;
use crate::tip::Tip;
use crate::voting::{OwnSignatures, Voting};

/// File of the state in the data directory.
pub(crate) const STATE_FILE: &str = "state.db";
/// Folder of the ordering engine in the data directory.
const ENGINE_FOLDER: &str = "engine";
/// Folder of the index in the data directory.
pub(crate) const INDEX_FOLDER: &str = "index";

/// How often a store is cut at the start, at most: each time some of it is given up.
const CUTS_MAX: usize = 5;

/// What replaying gave.
struct Replayed {
    log: LedgerLog,
    certificate: String,
}

impl Inner {
    /// Opens the parts and brings them up to the newest stored block.
    ///
    /// Where others have the blocks, a store whose damage is in the way is cut off there.
    pub(crate) fn open(
        config: NodeConfig,
        runtime: Runtime,
        followed: Option<(Trust, Arc<dyn Server>)>,
        parts: Parts,
    ) -> Result<Self, NodeError> {
        let others = config.cluster.is_some() || followed.is_some();
        let mut was_cut = false;
        for _ in 0..CUTS_MAX {
            let opened = Self::try_open(
                config.clone(),
                runtime.clone(),
                followed.clone(),
                &parts,
                was_cut,
            );
            let damage = match opened {
                Err(NodeError::Damaged(damage)) if others => damage,
                opened => return opened,
            };
            let genesis = read_genesis(&runtime.files, &config.directory)?;
            cut_store(&config, genesis.ledger_id(), &parts, &runtime, &damage)?;
            was_cut = true;
        }
        Self::try_open(config, runtime, followed, &parts, was_cut)
    }

    fn try_open(
        config: NodeConfig,
        runtime: Runtime,
        followed: Option<(Trust, Arc<dyn Server>)>,
        parts: &Parts,
        was_cut: bool,
    ) -> Result<Self, NodeError> {
        let (directory, role) = match followed {
            None => {
                let (directory, signer) =
                    Directory::open(&config.directory, &config.origin, &runtime)?;
                let role = own_role(&config, &directory, signer, &runtime)?;
                (directory, role)
            }
            Some((trust, server)) => {
                let directory =
                    Directory::open_followed(&config.directory, &trust, &*server, &runtime)?;
                let followed = Followed::new(server, &trust)?;
                (directory, Role::Follows(followed))
            }
        };
        let genesis = directory.genesis;
        let (suite, ledger) = (genesis.suite, genesis.ledger_id());
        let others = !matches!(role, Role::Orders(_));
        let state = (!parts.is_state_in_memory).then(|| directory.path.join(STATE_FILE));
        let mut engine_config = EngineConfig::new(state, ledger, suite);
        engine_config.limits = genesis.limits;
        engine_config.readers = config.readers;
        let engine = open_engine(&engine_config, &directory.path, others, &runtime)?;
        let bytes = genesis.encode_to_vec();
        let applied = engine.meta().height;
        let (store, is_cut) = open_store(
            &config,
            ledger,
            &bytes,
            others.then_some(applied),
            parts,
            &runtime,
        )?;
        let (tiles, tree) = TileStore::open(runtime.files.clone(), &directory.path, suite, &store)?;
        let (engine, is_short) = settle_state(
            engine,
            engine_config.clone(),
            &directory.path,
            &store,
            others,
            &runtime,
        )?;
        let readers = engine.readers();
        readers.set_past(Arc::new(StoredPast {
            store: store.clone(),
            suite,
        }));
        let evidence = EvidenceStore::open(&runtime.files, &directory.path)?;
        let started_us = runtime.clock.monotonic_us();
        let inner = Self {
            applier: Mutex::new(Applier {
                log: LedgerLog::new(tree),
                syncer: match &role {
                    Role::Orders(_) => Some(Syncer::start(&runtime)?),
                    _ => None,
                },
            }),
            mempool: Mempool::new(config.mempool, config.block),
            tip: RwLock::new(Arc::new(Tip {
                height: 0,
                hash: ledger,
                time_us: genesis.created_us,
                state_root: engine.meta().state_root,
                log_size: 0,
                transactions: 0,
                certificate: String::new(),
            })),
            readers,
            engine: Mutex::new(engine),
            engine_config,
            line: Line::default(),
            config,
            runtime,
            ledger,
            suite,
            genesis,
            keys: directory.keys,
            role,
            store,
            tiles: Arc::new(tiles),
            recent: RwLock::new(RecentIds::default()),
            proposed: Mutex::new(None),
            trouble: RwLock::new(Trouble::default()),
            started_us,
            evidence,
            rebuilding: Mutex::default(),
            care: Mutex::default(),
            is_cut: AtomicBool::new(is_cut || is_short || was_cut),
            _lock: directory.lock,
        };
        inner.catch_up()?;
        Ok(inner)
    }

    fn catch_up(&self) -> Result<(), NodeError> {
        let stored = match &self.role {
            // A block that was kept without its effects is given once more by the engine.
            Role::Votes(_) => self
                .store
                .appended_height()
                .min(self.store.effects_height()),
            _ => self.store.appended_height(),
        };
        let mut applier = self.applier.lock();
        let mut engine = self.engine.lock();
        let applied = engine.meta().height;
        let kept = self.store.effects_height();
        if applied < stored {
            tracing::info!(
                from = applied + 1,
                to = stored,
                "bringing the state up to the blocks"
            );
        }
        self.load_recent(applied)?;
        for height in applied + 1..=kept.min(stored) {
            self.replay(&mut engine, height)?;
        }
        let executed = kept.min(stored);
        let certificate = match self.check_log(executed, &applier.log) {
            Ok(certificate) => certificate,
            Err(error) => {
                tracing::warn!(%error, "the tile files of the log are computed anew from the blocks");
                applier.log = LedgerLog::new(self.tiles.rebuild(self.suite, &self.store)?);
                self.check_log(executed, &applier.log)?
            }
        };
        let mut replayed = Replayed {
            log: applier.log.clone(),
            certificate,
        };
        for height in kept + 1..=stored {
            replayed = self.execute_again(&mut engine, &replayed.log, height)?;
        }
        applier.log = replayed.log;
        if let Role::Votes(voting) = &self.role {
            voting.checkpoints.begin_at(applier.log.size());
            voting.own.known(applier.log.size());
        }
        self.publish(
            stored,
            engine.meta().state_root,
            &applier.log,
            replayed.certificate,
        )
    }

    /// Applies the kept effects of a block; the root must be the one its leaf commits to.
    fn replay(&self, engine: &mut Engine, height: u64) -> Result<(), NodeError> {
        let (time_us, transactions) = self.replay_into(engine, height)?;
        self.remember(time_us, &transactions);
        Ok(())
    }

    /// As [`Self::replay`], for any state; gives the block's time and transactions.
    pub(crate) fn replay_into(
        &self,
        engine: &mut Engine,
        height: u64,
    ) -> Result<(i64, Vec<BlockTransaction>), NodeError> {
        let (block, transactions) = self.stored(height)?;
        let effects = self.effects(height)?;
        if effects.leaf.block != block.hash || effects.leaf.height != height {
            return Err(NodeError::Storage(format!(
                "the effects kept for block {height} are of another block: run `stele verify --data` and restore the segment it names"
            )));
        }
        let context = BlockContext {
            height,
            time_us: block.header.time_us,
        };
        let ids: Vec<Hash> = transactions.iter().map(|tx| tx.id).collect();
        engine.apply_effects(&context, &effects, &ids)?;
        engine.commit(&[], block.hash)?;
        Ok((block.header.time_us, transactions))
    }

    /// Executes a block whose effects were not kept, and keeps them now.
    fn execute_again(
        &self,
        engine: &mut Engine,
        log: &LedgerLog,
        height: u64,
    ) -> Result<Replayed, NodeError> {
        let (block, transactions) = self.stored(height)?;
        for transaction in &transactions {
            transaction.signed.verify(self.suite, &self.ledger)?;
        }
        let executed = self.execute(engine, &block, &transactions)?;
        let leaf = self.leaf(&block, executed.state_root);
        let mut effects = BlockEffects {
            transactions: executed.effects,
            leaf,
            certificate: Vec::new(),
        };
        let ids: Vec<Hash> = transactions.iter().map(|tx| tx.id).collect();
        let grown = log.grow(&effects.log_leaves(self.suite, &ids));
        let certificate = self
            .certify(&block, grown.size(), grown.root())
            .map_err(|error| NodeError::Storage(error.cause.to_string()))?;
        effects.certificate = certificate.clone().into_bytes();
        self.store.append_effects(&effects.encode_to_vec(), &leaf)?;
        self.store.sync()?;
        engine.commit(&[], block.hash)?;
        self.tiles.append(grown.new_hashes())?;
        self.remember(block.header.time_us, &transactions);
        Ok(Replayed {
            log: grown.into_log(),
            certificate,
        })
    }

    /// Compares the log up to a height with the certificate kept there, and gives that.
    fn check_log(&self, height: u64, log: &LedgerLog) -> Result<String, NodeError> {
        if height == 0 {
            return Ok(String::new());
        }
        let effects = self.effects(height)?;
        let refuse = |why: String| {
            NodeError::Storage(format!(
                "the certificate kept with block {height} does not fit the log that blocks and effects give: {why}; run `stele verify --data` to see which file is damaged"
            ))
        };
        let note = SignedNote::parse(&effects.certificate).map_err(|e| refuse(e.to_string()))?;
        let checkpoint = verify_certificate(&self.genesis.origin, &self.genesis.validators, &note)
            .map_err(|e| refuse(e.to_string()))?;
        if checkpoint.size() != log.size() || checkpoint.root() != log.root() {
            return Err(refuse(format!(
                "it is over {} leaves with root {}, the log has {} with root {}",
                checkpoint.size(),
                checkpoint.root(),
                log.size(),
                log.root()
            )));
        }
        Ok(note.to_string())
    }

    /// Identities of the blocks up to `applied` that can still be repeated.
    fn load_recent(&self, applied: u64) -> Result<(), NodeError> {
        if applied == 0 {
            return Ok(());
        }
        let newest_us = self.meta(applied)?.time_us;
        let mut heights = Vec::new();
        for height in (1..=applied).rev() {
            if newest_us.saturating_sub(self.meta(height)?.time_us) > EXPIRY_AHEAD_MAX_US * 2 {
                break;
            }
            heights.push(height);
        }
        for height in heights.into_iter().rev() {
            let (block, transactions) = self.stored(height)?;
            self.remember(block.header.time_us, &transactions);
        }
        Ok(())
    }

    fn stored(&self, height: u64) -> Result<(OrderedBlock, Vec<BlockTransaction>), NodeError> {
        stored_block(&self.store, self.suite, height)
    }

    fn publish(
        &self,
        height: u64,
        state_root: Hash,
        log: &LedgerLog,
        certificate: String,
    ) -> Result<(), NodeError> {
        if height == 0 {
            return Ok(());
        }
        let meta = self.meta(height)?;
        let leaf = self.effects(height)?.leaf;
        if leaf.state_root != state_root {
            return Err(NodeError::Storage(format!(
                "the state after block {height} has root {state_root}, the block commits to {}: move state.db away and start again, it is then made anew from the blocks",
                leaf.state_root
            )));
        }
        self.set_tip(Tip {
            height,
            hash: meta.hash,
            time_us: meta.time_us,
            state_root,
            log_size: log.size(),
            transactions: meta.transactions_through(),
            certificate,
        });
        Ok(())
    }
}

/// What a node with a validator's key does: alone, or with others.
fn own_role(
    config: &NodeConfig,
    directory: &Directory,
    signer: SignerKey,
    runtime: &Runtime,
) -> Result<Role, NodeError> {
    let genesis = &directory.genesis;
    let count = genesis.validators.validators().len();
    match (&config.cluster, count) {
        (None, 1) => Ok(Role::Orders(signer)),
        (None, _) => Err(NodeError::Invalid(format!(
            "the ledger has {count} validators, and where they listen is not known: write a section [cluster] into the configuration"
        ))),
        (Some(_), _) => {
            let own = OwnSignatures::open(&runtime.files, &directory.path)?;
            let voting = Voting::new(signer, &genesis.origin, &genesis.validators, own)?;
            Ok(Role::Votes(Box::new(voting)))
        }
    }
}

impl Inner {
    /// What the ordering engine is told of this node and the others.
    pub(crate) fn bft_config(&self, voting: &Voting) -> Result<BftConfig, NodeError> {
        let invalid = |what: String| NodeError::Invalid(what);
        let Some(cluster) = &self.config.cluster else {
            return Err(invalid("no section [cluster]".to_owned()));
        };
        let mut validators = Vec::new();
        for validator in self.genesis.validators.validators() {
            let found = cluster
                .peers
                .iter()
                .find(|(name, _)| *name == validator.name);
            let (_, address) = found.ok_or_else(|| {
                invalid(format!(
                    "where validator {:?} listens is not known: add \"{}@ADDRESS:PORT\" to cluster.peers",
                    validator.name, validator.name
                ))
            })?;
            validators.push(Peer {
                key: validator.key,
                address: *address,
            });
        }
        Ok(BftConfig {
            ledger: self.ledger,
            suite: self.suite,
            base: Link {
                height: 0,
                hash: self.ledger,
                time_us: self.genesis.created_us,
            },
            validators,
            secret: voting.checkpoints.secret(),
            listen: cluster.listen,
            directory: self.config.directory.join(ENGINE_FOLDER),
            interval: Duration::from_micros(self.config.block.interval_us),
        })
    }
}

/// A block as it was ordered, with its transactions.
pub(crate) fn stored_block(
    store: &BlockStore,
    suite: Suite,
    height: u64,
) -> Result<(OrderedBlock, Vec<BlockTransaction>), NodeError> {
    let stored = store.block(height)?.ok_or_else(|| not_stored(height))?;
    let header = stored.decode()?.header;
    let transactions = decode(suite, &stored.bytes)
        .map_err(|error| NodeError::Storage(format!("block {height}: {error}")))?;
    let block = OrderedBlock {
        hash: header.hash(suite),
        header,
        bytes: stored.bytes,
        certificate: None,
    };
    Ok((block, transactions))
}
