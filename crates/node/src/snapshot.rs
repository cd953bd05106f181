//! Writing the newest state into a snapshot file, while the node goes on.

use std::path::PathBuf;

use stele_core::Encode as _;
use stele_store::snapshot::{SNAPSHOTS_FOLDER, height_of_name, snapshot_name};
use stele_store::{SnapshotError, SnapshotFile, SnapshotHead, SnapshotSummary, SnapshotWriter};

use crate::blocks::not_stored;
use crate::error::NodeError;
use crate::node::Node;

/// Rows between two reports of progress.
const PROGRESS_EACH: u64 = 4_096;

/// A snapshot that was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SnapshotWritten {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub len: u64,
    /// What it holds.
    #[serde(flatten)]
    pub summary: SnapshotSummary,
}

impl From<SnapshotError> for NodeError {
    fn from(error: SnapshotError) -> Self {
        Self::Storage(error.to_string())
    }
}

impl Node {
    /// Writes the newest state into a file of the data directory's folder `snapshots`, durably. `progress` is told
    /// rows written and rows in all.
    ///
    /// # Errors
    /// Before the first block; when the state cannot be read or the file not be written. No file has the
    /// snapshot's name then.
    pub fn write_snapshot(
        &self,
        progress: &dyn Fn(u64, u64),
    ) -> Result<SnapshotWritten, NodeError> {
        let inner = &*self.inner;
        let snapshot = self.snapshot()?;
        let height = snapshot.height();
        if height == 0 {
            return Err(NodeError::NotFound {
                what: "a state".to_owned(),
                hint: "the ledger has no block yet: write something first".to_owned(),
            });
        }
        let leaf = inner.effects(height)?.leaf;
        let place = inner.meta(height)?.block_leaf();
        let header = inner.store.header(height)?;
        let head = SnapshotHead {
            header: header.ok_or_else(|| not_stored(height))?,
            leaf,
            proof: self.leaf_proof(None, place, &leaf.encode_to_vec())?,
        };
        let files = inner.runtime.files.clone();
        let folder = inner.config.directory.join(SNAPSHOTS_FOLDER);
        files.create_dir(&folder)?;
        files.sync_dir(&inner.config.directory)?;
        let path = folder.join(snapshot_name(height));
        let tables = snapshot.catalogue().definitions().zip(snapshot.tables());
        let mut counted = Vec::new();
        let mut total = 0;
        for (definition, entry) in tables {
            let rows = match definition.kind.has_rows() {
                true => snapshot.count_rows(definition.id)?,
                false => 0,
            };
            total += rows;
            counted.push((definition.clone(), entry.root, rows));
        }
        let mut writer = SnapshotWriter::begin(files.clone(), &path, &head)?;
        let mut done = 0;
        for (definition, root, rows) in counted {
            writer.table(&definition, root, rows)?;
            if rows == 0 {
                continue;
            }
            snapshot.for_each_row(&definition, |key, row| {
                done += 1;
                if done % PROGRESS_EACH == 0 {
                    progress(done, total);
                }
                writer.row(key, row).map_err(NodeError::from)
            })?;
        }
        let len = writer.finish()?;
        let file = SnapshotFile::open(&*files, &path, inner.suite)?;
        Ok(SnapshotWritten {
            path,
            len,
            summary: file.summary(),
        })
    }

    /// Heights of the snapshots in the data directory, ascending.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn snapshots(&self) -> Result<Vec<u64>, NodeError> {
        let files = &self.inner.runtime.files;
        let folder = self.inner.config.directory.join(SNAPSHOTS_FOLDER);
        if !files.exists(&folder)? {
            return Ok(Vec::new());
        }
        let names = files.list(&folder)?;
        Ok(names
            .iter()
            .filter_map(|name| height_of_name(name))
            .collect())
    }
}
