//! A damaged state, or damaged tile files, are made anew from the blocks while the node runs.
//!
//! Only where others keep the same ledger: what they signed is what the result is compared with. A node alone is not
//! helped by its own word; its operator decides.

use stele_consensus::{Application as _, DeliverError, OrderedBlock};
use stele_sql::engine::Engine;

use crate::apply::{Applied, BlockTransaction};
use crate::error::NodeError;
use crate::node::Inner;

/// File of the state under way.
const REBUILT_FILE: &str = "state.db.rebuilt";

impl Inner {
    /// Applies a block that others ordered. If executing it gives another result than they signed, the state is made
    /// anew once, as it may be damaged.
    pub(crate) fn apply_or_rebuild(
        &self,
        block: &OrderedBlock,
        transactions: &[BlockTransaction],
    ) -> Result<Applied, DeliverError> {
        let error = match self.apply(block, transactions) {
            Ok(applied) => return Ok(applied),
            Err(error) if error.is_suspect => error,
            Err(error) => return Err(error.cause),
        };
        self.happened("damaged", format!("the state: {}", error.cause));
        self.stalled(Some("the state is being made anew from the blocks"));
        // Blocks it needs may be on their way, or the disk full: then it is tried again.
        self.rebuild_state()
            .map_err(|error| DeliverError::Later(error.to_string()))?;
        self.stalled(None);
        self.apply(block, transactions).map_err(|error| error.cause)
    }

    /// Makes the state anew from the kept effects; each block's root is compared with what its leaf commits to. Reads
    /// go on; only the last blocks and the exchange itself keep new blocks waiting.
    pub(crate) fn rebuild_state(&self) -> Result<(), NodeError> {
        let _rebuilding = self.rebuilding.lock();
        self.remove_rebuilt()?;
        let mut config = self.engine_config.clone();
        if config.path.is_some() {
            config.path = Some(self.config.directory.join(REBUILT_FILE));
        }
        config.readers = 1;
        let mut fresh = Engine::open(config)?;
        let mut height = 0;
        while height < self.tip().height {
            height += 1;
            self.replay_into(&mut fresh, height)?;
        }
        let applier = self.applier.lock();
        while height < self.tip().height {
            height += 1;
            self.replay_into(&mut fresh, height)?;
        }
        self.engine.lock().replace_content(&fresh)?;
        drop(applier);
        drop(fresh);
        self.remove_rebuilt()?;
        metrics::counter!("stele_repairs_total").increment(1);
        self.happened(
            "repaired",
            format!("the state of block {height} is made anew from the blocks"),
        );
        Ok(())
    }

    /// Computes the tile files of the log anew.
    pub(crate) fn rebuild_tiles(&self) -> Result<(), NodeError> {
        let applier = self.applier.lock();
        let tree = self.tiles.rebuild(self.suite, &self.store)?;
        if tree.root() != applier.log.root() {
            return Err(NodeError::Storage(
                "the log computed anew from the blocks is not the one that was signed".to_owned(),
            ));
        }
        drop(applier);
        metrics::counter!("stele_repairs_total").increment(1);
        self.happened(
            "repaired",
            "the tile files of the log are computed anew from the blocks".to_owned(),
        );
        Ok(())
    }

    fn remove_rebuilt(&self) -> Result<(), NodeError> {
        for ending in ["", "-wal", "-shm"] {
            let name = format!("{REBUILT_FILE}{ending}");
            let path = self.config.directory.join(name);
            if self.runtime.files.exists(&path)? {
                self.runtime.files.remove(&path)?;
            }
        }
        Ok(())
    }
}
