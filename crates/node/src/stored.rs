//! Opening the block store and the state of a data directory, and what is done about damaged ones.

use std::path::Path;
use std::sync::Arc;

use stele_core::Hash;
use stele_core::transaction::EXPIRY_AHEAD_MAX_US;
use stele_flow::Runtime;
use stele_sql::engine::{Engine, EngineConfig, EngineError};
use stele_store::{BlockStore, Damage, FjallIndex, Index, RecoveryReport, StoreConfig};

use crate::config::NodeConfig;
use crate::error::NodeError;
use crate::recover::{INDEX_FOLDER, STATE_FILE};

/// What a simulation puts in the place of files that libraries write.
#[derive(Default)]
pub(crate) struct Parts {
    /// The index; that in the data directory otherwise.
    pub(crate) index: Option<Arc<dyn Index>>,
    /// Whether the state lies in memory.
    pub(crate) is_state_in_memory: bool,
}

/// Opens the block store of a node. One that is damaged is refused by name; but where others have the blocks, a
/// damaged end is cut off, which is told, and a damaged segment among others is left to the self-check, unless it is
/// needed to begin. `others` is the height of the state then.
pub(crate) fn open_store(
    config: &NodeConfig,
    ledger: Hash,
    genesis: &[u8],
    others: Option<u64>,
    parts: &Parts,
    runtime: &Runtime,
) -> Result<(BlockStore, bool), NodeError> {
    let open = || open_files(config, ledger, parts, runtime);
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

fn open_files(
    config: &NodeConfig,
    ledger: Hash,
    parts: &Parts,
    runtime: &Runtime,
) -> Result<(BlockStore, RecoveryReport), NodeError> {
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
    Ok(BlockStore::open(
        files,
        directory,
        ledger,
        store_config,
        index,
    )?)
}

/// Cuts a store off where its damage is in the way of opening it; others have the blocks.
pub(crate) fn cut_store(
    config: &NodeConfig,
    ledger: Hash,
    parts: &Parts,
    runtime: &Runtime,
    damage: &Damage,
) -> Result<(), NodeError> {
    tracing::error!(
        %damage,
        "damaged blocks are needed to begin: the store is cut off there, kept in segments/quarantine, and got from others"
    );
    let (store, _) = open_files(config, ledger, parts, runtime)?;
    Ok(store.cut_off(damage)?)
}

/// Whether the blocks of a hole are needed to bring a state of that height up to the store, or to know which transactions
/// can still be repeated.
fn needs_hole(store: &BlockStore, state_height: Option<u64>) -> bool {
    let (Some((damage, to)), Some(height)) = (store.held(), state_height) else {
        return true;
    };
    // The first holds the genesis.
    if damage.segment == 1 {
        return true;
    }
    let time_us = |height| Some(store.meta(height).ok()??.time_us);
    match (time_us(to + 1), time_us(height)) {
        (Some(after), Some(newest)) => {
            height < damage.height || newest.saturating_sub(after) <= EXPIRY_AHEAD_MAX_US * 2
        }
        _ => true,
    }
}

/// Opens the state; a damaged one is moved aside where others have the blocks.
pub(crate) fn open_engine(
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
pub(crate) fn settle_state(
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
