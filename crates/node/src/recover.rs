//! Opening a ledger: state, log and look-ups are brought up to the newest stored block.
//!
//! Segments are the truth. A state below their tip is replayed from the kept effects, each root
//! compared; blocks whose effects were not yet stored (at most the newest) are executed again. A
//! state that belongs to other blocks cannot be right: it is moved aside and made anew from block 1. One of a
//! block that is not there shows that blocks were lost: the node does not start, as it would make others
//! in their places. A state ahead of the stored effects, which a loss of power can leave:
//! nothing orders the state's way to the disk after that of the effects; it is made anew, too.

use std::path::Path;
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
use stele_sql::engine::{BlockContext, Engine, EngineConfig, EngineError};
use stele_store::{BlockStore, FjallIndex, Index, StoreConfig, TileStore};

use crate::apply::{Applier, BlockTransaction};
use crate::blocks::not_stored;
use crate::config::NodeConfig;
use crate::directory::Directory;
use crate::error::NodeError;
use crate::evidence::EvidenceStore;
use crate::followed::{Followed, Role, Server};
use crate::ledger_log::LedgerLog;
use crate::line::Line;
use crate::mempool::Mempool;
use crate::node::{Inner, Trouble, decode};
use crate::past::StoredPast;
use crate::recent::RecentIds;
use crate::syncer::Syncer;
use crate::tip::Tip;
use crate::voting::{OwnSignatures, Voting};

/// File of the state in the data directory.
pub(crate) const STATE_FILE: &str = "state.db";
/// Folder of the ordering engine in the data directory.
const ENGINE_FOLDER: &str = "engine";
/// Folder of the index in the data directory.
pub(crate) const INDEX_FOLDER: &str = "index";

/// What a simulation puts in the place of files that libraries write.
#[derive(Default)]
pub(crate) struct Parts {
    /// The index; that in the data directory otherwise.
    pub(crate) index: Option<Arc<dyn Index>>,
    /// Whether the state lies in memory.
    pub(crate) is_state_in_memory: bool,
}

/// What replaying gave.
struct Replayed {
    log: LedgerLog,
    certificate: String,
}

impl Inner {
    /// Opens the parts and brings them up to the newest stored block.
    pub(crate) fn open(
        config: NodeConfig,
        runtime: Runtime,
        followed: Option<(Trust, Arc<dyn Server>)>,
        parts: Parts,
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
            &parts,
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
            care: Mutex::default(),
            is_cut: AtomicBool::new(is_cut || is_short),
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
            voting.checkpoints.begin_at(stored);
            voting.own.known(stored);
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

/// Opens the block store of a node. One that is damaged is refused by name; but where others have the blocks, a
/// damaged end is cut off, which is told, and a damaged segment among others is left to the self-check, unless it is
/// needed to begin. `others` is the height of the state then.
fn open_store(
    config: &NodeConfig,
    ledger: Hash,
    genesis: &[u8],
    others: Option<u64>,
    parts: &Parts,
    runtime: &Runtime,
) -> Result<(BlockStore, bool), NodeError> {
    let open = || -> Result<_, NodeError> {
        let index: Arc<dyn Index> = match &parts.index {
            Some(index) => index.clone(),
            None => Arc::new(FjallIndex::open(&config.directory.join(INDEX_FOLDER))?),
        };
        let store_config = StoreConfig {
            segment_len: config.segment_len_max,
            ..StoreConfig::default()
        };
        let files = runtime.files.clone();
        let directory = &config.directory;
        let opened = BlockStore::open(files, directory, ledger, store_config, index)?;
        Ok(opened)
    };
    let (mut store, mut report) = open()?;
    let mut is_cut = false;
    let damage = report.damage.clone();
    let needed = || report.hole.clone().filter(|_| needs_hole(&store, others));
    if let (true, Some(damage)) = (others.is_some(), damage.or_else(needed)) {
        tracing::error!(
            %damage,
            "the end of the block store is damaged: it is cut off there, kept in segments/quarantine, and got from others"
        );
        store.cut_off(&damage)?;
        is_cut = true;
        (store, report) = open()?;
    }
    if let Some(damage) = report.damage.or(report.hole.filter(|_| others.is_none())) {
        return Err(NodeError::Storage(format!(
            "the block store is damaged: {damage}; restore {} from another copy of the ledger",
            store.segment_path(damage.segment).display()
        )));
    }
    if let Some(torn) = report.torn {
        tracing::warn!(
            segment = torn.segment,
            offset = torn.offset,
            len = torn.len,
            "cut a record that was begun before a crash and never acknowledged"
        );
    }
    match store.genesis()? {
        None => store.append_genesis(genesis)?,
        Some(stored) if stored == genesis => {}
        Some(_) => {
            return Err(NodeError::Storage(
                "the first segment holds another genesis than the file `genesis`: restore the one that was changed"
                    .to_owned(),
            ));
        }
    }
    Ok((store, is_cut))
}

/// Whether the blocks of a hole are needed to bring a state of that height up to the store, or to know which transactions
/// can still be repeated.
fn needs_hole(store: &BlockStore, state_height: Option<u64>) -> bool {
    let (Some((damage, to)), Some(height)) = (store.held(), state_height) else {
        return true;
    };
    let time_us = |height| Some(store.meta(height).ok()??.time_us);
    match (time_us(to + 1), time_us(height)) {
        (Some(after), Some(newest)) => {
            height < damage.height || newest.saturating_sub(after) <= EXPIRY_AHEAD_MAX_US * 2
        }
        _ => true,
    }
}

/// Opens the state; a damaged one is moved aside where others have the blocks.
fn open_engine(
    config: &EngineConfig,
    directory: &Path,
    others: bool,
    runtime: &Runtime,
) -> Result<Engine, NodeError> {
    match Engine::open(config.clone()) {
        Err(EngineError::Corrupt { cause, .. }) if others => {
            tracing::error!(
                cause,
                "the state is damaged: it is moved aside and made anew"
            );
            move_aside(directory, 0, runtime)?;
            Ok(Engine::open(config.clone())?)
        }
        opened => Ok(opened?),
    }
}

/// A state that cannot belong to the stored blocks is moved aside and begun anew. Also whether blocks are
/// missing that it has seen.
fn settle_state(
    mut engine: Engine,
    config: EngineConfig,
    directory: &Path,
    store: &BlockStore,
    others: bool,
    runtime: &Runtime,
) -> Result<(Engine, bool), NodeError> {
    let meta = engine.meta();
    let height = meta.height;
    let stored = match height {
        0 => return Ok((engine, false)),
        _ => store.meta(height)?,
    };
    if stored.is_none() && !others {
        // The state is committed after its block is durable, so there was such a block.
        let newest = store.appended_height();
        return Err(NodeError::Storage(format!(
            "blocks are missing: {STATE_FILE} is of block {height} ({}), the segments end with block {newest}, in {}. \
             Whoever holds a proof of a missing block would find this node contradicting it, so it does not start: restore the \
             folder `segments` from the newest copy of the ledger. Only if the blocks are lost for good and nobody was \
             given anything of them, move {STATE_FILE} and the folder `log` away; others will then be made in their places",
            meta.block,
            store.segment_path(store.segment_number()).display(),
        )));
    }
    let belongs = stored.is_some_and(|stored| stored.hash == meta.block);
    if belongs && height <= store.effects_height() {
        return Ok((engine, false));
    }
    if stored.is_none() {
        tracing::warn!(
            height,
            stored = store.appended_height(),
            "blocks are missing that the state has seen: the state is moved aside, the blocks are got from others"
        );
    } else if belongs {
        // The disk kept the state of the newest block, and not yet its effects: it gave way between them.
        tracing::warn!(
            height,
            effects = store.effects_height(),
            "a loss of power has left the state ahead of the stored effects: it is moved aside and made anew"
        );
    } else {
        tracing::warn!(
            height,
            stored = store.appended_height(),
            "the state does not belong to the stored blocks: it is moved aside and made anew"
        );
    }
    engine.close()?;
    move_aside(directory, height, runtime)?;
    Ok((Engine::open(config)?, stored.is_none()))
}

/// Gives the files of the state another name.
fn move_aside(directory: &Path, height: u64, runtime: &Runtime) -> Result<(), NodeError> {
    let aside = format!("quarantine-{height}-{}", runtime.clock.now_us());
    for ending in ["", "-wal", "-shm"] {
        let from = directory.join(format!("{STATE_FILE}{ending}"));
        if runtime.files.exists(&from)? {
            let to = directory.join(format!("{STATE_FILE}.{aside}{ending}"));
            runtime.files.rename(&from, &to)?;
        }
    }
    runtime.files.sync_dir(directory)?;
    Ok(())
}
