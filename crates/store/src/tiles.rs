//! The tile files of the log: flat files of hashes, one a tile level, in the folder `log`.
//!
//! Their content is laid down in [`stele_core::log`]: file `N` holds the hashes of tile level N, 32
//! bytes each. They are derived from blocks and effects. Appends go to memory first and to the files
//! in larger pieces; nothing is synced but by [`TileStore::checkpoint`], which also writes how many
//! leaves are durable then, to `state`:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | `STELETIL` |
//! | 8 | 8 | number of durable leaves |
//! | 16 | 4 | CRC32C of the above |
//!
//! At open all leaves past that number are thrown away and computed again from the segments, as a
//! loss of power may have taken any of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use stele_core::codec::Reader;
use stele_core::log::{LogTree, TILE_HEIGHT, TILE_LEVEL_MAX, TileReader, leaf_hash};
use stele_core::{Hash, Suite};
use stele_flow::{File, Files, OpenMode};

use crate::error::StoreError;
use crate::store::BlockStore;

/// Bytes of a level kept in memory before they are written.
const PENDING_LEN: usize = 64 * 1024;
/// Bytes of a level kept in memory while they cannot be written, before appends fail.
const PENDING_LEN_MAX: usize = 16 * 1024 * 1024;
/// After so many leaves a checkpoint is due.
const CHECKPOINT_LEAVES: u64 = 262_144;

const HASH_BYTES: u64 = 32;
const STATE_MAGIC: &[u8; 8] = b"STELETIL";
const STATE_FILE: &str = "state";
/// Folder of the tile files inside the store's directory.
const LOG_FOLDER: &str = "log";

/// The tile files of the log. Appends come from one thread, reads from any.
pub struct TileStore {
    files: Arc<dyn Files>,
    directory: PathBuf,
    /// Whether it is only read, and was not brought up to the blocks.
    is_read_only: bool,
    shared: RwLock<Shared>,
}

struct Shared {
    levels: Vec<Level>,
    durable_leaves: u64,
}

struct Level {
    file: Arc<dyn File>,
    /// Bytes in the file.
    written: u64,
    /// Bytes not yet in the file.
    pending: Vec<u8>,
}

impl TileStore {
    /// Opens the tile files in `directory`, where the block store is, and brings them up to its
    /// newest effects. Also gives the log's tree at that size, to append to.
    ///
    /// # Errors
    /// When they cannot be read or written, or effects that are needed are damaged.
    pub fn open(
        files: Arc<dyn Files>,
        directory: &Path,
        suite: Suite,
        store: &BlockStore,
    ) -> Result<(Self, LogTree), StoreError> {
        let directory = directory.join(LOG_FOLDER);
        files.create_dir(&directory)?;
        let state_path = directory.join(STATE_FILE);
        let durable = match files.exists(&state_path)? {
            true => read_state(&files.read(&state_path)?).unwrap_or(0),
            false => 0,
        };
        let tiles = Self {
            files,
            directory,
            is_read_only: false,
            shared: RwLock::new(Shared {
                levels: Vec::new(),
                durable_leaves: durable,
            }),
        };
        let height = first_height_to_add(store, durable)?;
        let size = match store.meta(height.saturating_sub(1))? {
            Some(meta) => meta.block_leaf() + 1,
            None => 0,
        };
        let is_whole = tiles.cut(size)?;
        let loaded = LogTree::load(suite, size, &tiles).ok();
        let Some(mut tree) = loaded.filter(|_| is_whole) else {
            tracing::warn!("tile files are shorter than their state says, computing them anew");
            return tiles.rebuild(suite, store).map(|tree| (tiles, tree));
        };
        tiles.add_blocks(suite, store, height, &mut tree)?;
        Ok((tiles, tree))
    }

    /// The tile files of a directory that nobody uses, to be compared and not to be changed: as far as they
    /// are known to be durable. What is past that is computed anew at the next start.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn open_read_only(files: Arc<dyn Files>, directory: &Path) -> Result<Self, StoreError> {
        let directory = directory.join(LOG_FOLDER);
        let state_path = directory.join(STATE_FILE);
        let durable = match files.exists(&state_path)? {
            true => read_state(&files.read(&state_path)?).unwrap_or(0),
            false => 0,
        };
        let mut levels = Vec::new();
        for number in 0..=TILE_LEVEL_MAX {
            let path = directory.join(number.to_string());
            if !files.exists(&path)? {
                break;
            }
            let file = files.open(&path, OpenMode::Read)?;
            let len = file.len()?;
            levels.push(Level {
                written: len - len % HASH_BYTES,
                file,
                pending: Vec::new(),
            });
        }
        Ok(Self {
            files,
            directory,
            is_read_only: true,
            shared: RwLock::new(Shared {
                levels,
                durable_leaves: durable,
            }),
        })
    }

    /// Number of leaves that can be compared: those there are, of a directory nobody uses the durable ones.
    pub(crate) fn comparable_leaves(&self) -> u64 {
        match self.is_read_only {
            true => self.shared.read().durable_leaves,
            false => self.leaf_count(),
        }
    }

    /// Computes all tile files anew from the segments.
    ///
    /// # Errors
    /// When they cannot be written, or blocks or effects are damaged.
    pub fn rebuild(&self, suite: Suite, store: &BlockStore) -> Result<LogTree, StoreError> {
        self.cut(0)?;
        let mut tree = LogTree::new(suite);
        self.add_blocks(suite, store, 1, &mut tree)?;
        Ok(tree)
    }

    fn add_blocks(
        &self,
        suite: Suite,
        store: &BlockStore,
        from: u64,
        tree: &mut LogTree,
    ) -> Result<(), StoreError> {
        let mut hashes = Vec::new();
        for height in from..=store.effects_height().min(store.durable_height()) {
            let (Some(block), Some(effects)) = (store.block(height)?, store.effects(height)?)
            else {
                break;
            };
            let record =
                crate::record::BlockRecord::parse(&block.bytes, suite).map_err(|source| {
                    StoreError::Undecodable {
                        what: "block",
                        height,
                        source,
                    }
                })?;
            hashes.clear();
            for leaf in effects.log_leaves(suite, &record.transaction_ids) {
                tree.append(leaf_hash(suite, &leaf), &mut hashes);
            }
            self.append(&hashes)?;
        }
        Ok(())
    }

    /// Appends what [`LogTree::append`] gave: hashes with their tile levels.
    ///
    /// # Errors
    /// When a file for a new level cannot be made: nothing was appended. When the files could not be
    /// written for so long that memory for them is used up: the hashes given are appended even then.
    pub fn append(&self, hashes: &[(u8, Hash)]) -> Result<(), StoreError> {
        let mut shared = self.shared.write();
        let highest = hashes.iter().map(|(level, _)| usize::from(*level)).max();
        while highest.is_some_and(|highest| shared.levels.len() <= highest) {
            let opened = self.open_level(shared.levels.len())?;
            shared.levels.push(opened);
        }
        for (level, hash) in hashes {
            if let Some(level) = shared.levels.get_mut(usize::from(*level)) {
                level.pending.extend_from_slice(&hash.0);
            }
        }
        for level in &mut shared.levels {
            if level.pending.len() < PENDING_LEN {
                continue;
            }
            // What cannot be written now may be later: the log is not worth stopping the ledger for.
            if let Err(error) = level.write() {
                if level.pending.len() >= PENDING_LEN_MAX {
                    return Err(error);
                }
                tracing::warn!(%error, "tile file not written");
            }
        }
        Ok(())
    }

    /// Number of leaves.
    #[must_use]
    pub fn leaf_count(&self) -> u64 {
        self.shared.read().levels.first().map_or(0, Level::count)
    }

    /// Whether so many leaves were added since the last checkpoint that another is due.
    #[must_use]
    pub fn is_checkpoint_due(&self) -> bool {
        let durable = self.shared.read().durable_leaves;
        self.leaf_count().saturating_sub(durable) >= CHECKPOINT_LEAVES
    }

    /// Makes all leaves durable, so that the next open need not compute them again. May run in
    /// another thread than appends.
    ///
    /// # Errors
    /// When they are not known to be durable; nothing is lost but time at the next open.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let (count, files) = {
            let mut shared = self.shared.write();
            for level in &mut shared.levels {
                level.write()?;
            }
            let files: Vec<Arc<dyn File>> = shared
                .levels
                .iter()
                .map(|level| level.file.clone())
                .collect();
            (shared.levels.first().map_or(0, Level::count), files)
        };
        for file in files {
            file.sync()?;
        }
        self.write_state(count)
    }

    fn write_state(&self, count: u64) -> Result<(), StoreError> {
        self.files.sync_dir(&self.directory)?;
        let mut bytes = STATE_MAGIC.to_vec();
        bytes.extend_from_slice(&count.to_be_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        self.files
            .replace(&self.directory.join(STATE_FILE), &bytes)?;
        self.shared.write().durable_leaves = count;
        Ok(())
    }

    /// Cuts every file to what a log of `size` leaves has. Tells whether all have that much.
    fn cut(&self, size: u64) -> Result<bool, StoreError> {
        if size < self.shared.read().durable_leaves {
            self.write_state(size)?;
        }
        let mut levels = Vec::new();
        let mut is_whole = true;
        for number in 0..=usize::from(TILE_LEVEL_MAX) {
            let path = self.directory.join(number.to_string());
            let shift = TILE_HEIGHT * u32::try_from(number).unwrap_or(u32::MAX);
            let wanted = size.checked_shr(shift).unwrap_or(0) * HASH_BYTES;
            if !self.files.exists(&path)? {
                is_whole &= wanted == 0;
                continue;
            }
            let mut level = self.open_level(number)?;
            is_whole &= level.written >= wanted;
            if level.file.len()? > wanted {
                level.file.truncate(wanted)?;
                level.written = level.written.min(wanted);
            }
            // Higher levels hold less, so the levels kept follow one another.
            if wanted > 0 {
                levels.push(level);
            }
        }
        self.shared.write().levels = if is_whole { levels } else { Vec::new() };
        Ok(is_whole)
    }

    fn open_level(&self, number: usize) -> Result<Level, StoreError> {
        let path = self.directory.join(number.to_string());
        let file = self.files.open(&path, OpenMode::Create)?;
        let len = file.len()?;
        Ok(Level {
            written: len - len % HASH_BYTES,
            file,
            pending: Vec::new(),
        })
    }
}

impl Level {
    fn count(&self) -> u64 {
        (self.written + self.pending.len() as u64) / HASH_BYTES
    }

    fn write(&mut self) -> Result<(), StoreError> {
        if !self.pending.is_empty() {
            self.file.write_at(self.written, &self.pending)?;
            self.written += self.pending.len() as u64;
            self.pending.clear();
        }
        Ok(())
    }

    /// Reads bytes from the file and from memory, as many as there are.
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; len];
        let in_file = self.written.saturating_sub(offset).min(len as u64);
        let (head, tail) = bytes.split_at_mut(usize::try_from(in_file).unwrap_or(len));
        self.file.read_exact_at(offset, head)?;
        let skipped = usize::try_from(offset.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let rest = self.pending.get(skipped..).unwrap_or_default();
        let copied = rest.len().min(tail.len());
        for (to, from) in tail.iter_mut().zip(rest) {
            *to = *from;
        }
        let filled = head.len() + copied;
        bytes.truncate(filled);
        Ok(bytes)
    }
}

impl TileReader for TileStore {
    type Error = StoreError;

    fn hashes(&self, level: u8, start: u64, count: usize) -> Result<Vec<Hash>, StoreError> {
        let shared = self.shared.read();
        let Some(level) = shared.levels.get(usize::from(level)) else {
            return Ok(Vec::new());
        };
        let bytes = level.read(
            start.saturating_mul(HASH_BYTES),
            count * HASH_BYTES as usize,
        )?;
        let (hashes, _) = bytes.as_chunks::<32>();
        Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
    }
}

fn read_state(bytes: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(bytes);
    let magic: [u8; 8] = reader.array().ok()?;
    let count = reader.u64().ok()?;
    let crc = reader.u32().ok()?;
    reader.finish().ok()?;
    let covered = bytes.get(..16)?;
    (magic == *STATE_MAGIC && crc == crc32c::crc32c(covered)).then_some(count)
}

/// The first block whose leaves are not all among the first `leaves`.
fn first_height_to_add(store: &BlockStore, leaves: u64) -> Result<u64, StoreError> {
    let executed = store.effects_height().min(store.durable_height());
    Ok(match store.height_of_leaf(leaves)? {
        Some(height) => height.min(executed + 1),
        // All leaves of the store are there, and perhaps more.
        None => executed + 1,
    })
}

#[cfg(test)]
mod tests;
