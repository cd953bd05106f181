//! The index on disk, in an LSM tree (fjall).
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `blocks` | height, 8 bytes | [`BlockMeta`] |
//! | `hashes` | block hash, 32 bytes | height, 8 bytes |
//! | `transactions` | transaction id, 32 bytes | height, 8 bytes; index, 4 bytes |
//! | `certificates` | height, 8 bytes | [`Location`] |
//! | `about` | `format` | version, 1 byte |

use std::collections::HashSet;
use std::fmt::Display;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::RwLock;
use stele_core::codec::Reader;
use stele_core::{Decode, Encode, Hash};

use super::{BlockMeta, Index, IndexedBlock};
use crate::error::StoreError;
use crate::location::Location;

/// Memory for cached blocks of the tree, in bytes.
const CACHE_LEN: u64 = 4 * 1024 * 1024;
/// Memory for entries not yet written out, for each large keyspace, in bytes.
const MEMTABLE_LEN: u64 = 4 * 1024 * 1024;
/// Journals on disk are cut at this length, in bytes (the least the library takes).
const JOURNAL_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Most files kept open.
const OPEN_FILES_MAX: usize = 64;

const FORMAT: u8 = 1;

/// The index on disk. Nothing is synced when blocks are added: what is lost is found again in the
/// segments at the next open. Takes about 16 MiB of memory.
///
/// The tree refuses all writes after one failed, such as on a full disk; it is opened anew then, so
/// that the index goes on once there is room.
pub struct FjallIndex {
    path: PathBuf,
    /// None after opening it anew failed; the next write tries again.
    open: RwLock<Option<Keyspaces>>,
}

#[derive(Clone)]
struct Keyspaces {
    blocks: Keyspace,
    hashes: Keyspace,
    transactions: Keyspace,
    certificates: Keyspace,
    database: Database,
}

impl Keyspaces {
    fn open(path: &Path) -> Result<Self, fjall::Error> {
        // Like all of the data directory, for its owner alone.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)?;
        let database = Database::builder(path)
            .cache_size(CACHE_LEN)
            .worker_threads(1)
            .max_journaling_size(JOURNAL_LEN_MAX)
            .max_cached_files(Some(OPEN_FILES_MAX))
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_LEN);
        Ok(Self {
            blocks: database.keyspace("blocks", options)?,
            hashes: database.keyspace("hashes", options)?,
            transactions: database.keyspace("transactions", options)?,
            certificates: database.keyspace("certificates", options)?,
            database,
        })
    }
}

impl FjallIndex {
    /// Opens the index in a directory, making it anew when it is missing, of another format or
    /// unreadable (it is derived data).
    ///
    /// # Errors
    /// When the directory cannot be written or another process uses it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        match Keyspaces::open(path) {
            Ok(keyspaces) => {
                let index = Self::new(path, keyspaces);
                if index.has_format()? {
                    return Ok(index);
                }
            }
            Err(error @ (fjall::Error::Locked | fjall::Error::Io(_))) => {
                return Err(failure(path, &error));
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "index unreadable, making it anew");
            }
        }
        std::fs::remove_dir_all(path).map_err(|error| failure(path, &error))?;
        let keyspaces = Keyspaces::open(path).map_err(|error| failure(path, &error))?;
        let index = Self::new(path, keyspaces);
        index.has_format()?;
        Ok(index)
    }

    fn new(path: &Path, keyspaces: Keyspaces) -> Self {
        Self {
            path: path.to_owned(),
            open: RwLock::new(Some(keyspaces)),
        }
    }

    fn keyspaces(&self) -> Result<Keyspaces, StoreError> {
        let open = self.open.read().clone();
        open.ok_or_else(|| failure(&self.path, &"it could not be opened again after a failure"))
    }

    /// Makes the next write fail.
    #[cfg(test)]
    pub(super) fn fail_once(&self) {
        *self.open.write() = None;
    }

    /// Opens the tree anew after a failure.
    fn reopen(&self) -> Result<(), StoreError> {
        let mut open = self.open.write();
        // Closed first: two openers exclude each other.
        *open = None;
        *open = Some(self.tried(Keyspaces::open(&self.path))?);
        Ok(())
    }

    /// Checks the format, and writes it into an index just made.
    fn has_format(&self) -> Result<bool, StoreError> {
        let database = self.keyspaces()?.database;
        let about = self.tried(database.keyspace("about", KeyspaceCreateOptions::default))?;
        match self.tried(about.get("format"))? {
            Some(found) => Ok(*found == [FORMAT]),
            None if self.last()?.is_none() => {
                self.tried(about.insert("format", [FORMAT]))?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn tried<T, E: Display>(&self, result: Result<T, E>) -> Result<T, StoreError> {
        result.map_err(|error| failure(&self.path, &error))
    }

    fn decoded<T: Decode>(&self, bytes: Option<fjall::Slice>) -> Result<Option<T>, StoreError> {
        bytes
            .map(|bytes| self.tried(T::decode_all(&bytes)))
            .transpose()
    }

    fn certificate(
        &self,
        found: Option<fjall::Guard>,
    ) -> Result<Option<(u64, Location)>, StoreError> {
        let Some(guard) = found else { return Ok(None) };
        let (key, value) = self.tried(guard.into_inner())?;
        Ok(Some((
            self.tried(Reader::new(&key).u64())?,
            self.tried(Location::decode_all(&value))?,
        )))
    }
}

fn failure(path: &Path, error: &dyn Display) -> StoreError {
    StoreError::Index {
        path: path.to_owned(),
        cause: error.to_string(),
    }
}

impl FjallIndex {
    fn try_add(
        &self,
        blocks: &[IndexedBlock],
        certificates: &[(u64, Location)],
    ) -> Result<(), StoreError> {
        let keyspaces = self.keyspaces()?;
        let mut batch = keyspaces.database.batch();
        let mut seen = HashSet::new();
        for block in blocks {
            let meta = &block.meta;
            let height = meta.height.to_be_bytes();
            batch.insert(&keyspaces.blocks, height, meta.encode_to_vec());
            batch.insert(&keyspaces.hashes, meta.hash.0, height);
            for (index, id) in (0u32..).zip(&block.transaction_ids) {
                if !seen.insert(*id) || self.tried(keyspaces.transactions.contains_key(id.0))? {
                    continue;
                }
                let mut place = [0; 12];
                let (high, low) = place.split_at_mut(8);
                high.copy_from_slice(&height);
                low.copy_from_slice(&index.to_be_bytes());
                batch.insert(&keyspaces.transactions, id.0, place);
            }
        }
        for (height, location) in certificates {
            batch.insert(
                &keyspaces.certificates,
                height.to_be_bytes(),
                location.encode_to_vec(),
            );
        }
        self.tried(batch.commit())
    }
}

impl Index for FjallIndex {
    fn add(
        &self,
        blocks: &[IndexedBlock],
        certificates: &[(u64, Location)],
    ) -> Result<(), StoreError> {
        let Err(error) = self.try_add(blocks, certificates) else {
            return Ok(());
        };
        tracing::warn!(%error, "index not written, opening it anew");
        self.reopen()?;
        let last = self.last()?.map_or(0, |meta| meta.height);
        match blocks.first() {
            Some(first) if last + 1 < first.meta.height => Err(failure(
                &self.path,
                &format!("block {} is missing in it", last + 1),
            )),
            _ => self.try_add(blocks, certificates),
        }
    }

    fn persist(&self) -> Result<(), StoreError> {
        self.tried(self.keyspaces()?.database.persist(PersistMode::SyncAll))
    }

    fn clear(&self) -> Result<(), StoreError> {
        let open = self.keyspaces()?;
        for keyspace in [
            &open.blocks,
            &open.hashes,
            &open.transactions,
            &open.certificates,
        ] {
            self.tried(keyspace.clear())?;
        }
        Ok(())
    }

    fn last(&self) -> Result<Option<BlockMeta>, StoreError> {
        let Some(guard) = self.keyspaces()?.blocks.last_key_value() else {
            return Ok(None);
        };
        let value = self.tried(guard.value())?;
        self.decoded(Some(value))
    }

    fn block(&self, height: u64) -> Result<Option<BlockMeta>, StoreError> {
        self.decoded(self.tried(self.keyspaces()?.blocks.get(height.to_be_bytes()))?)
    }

    fn height_of(&self, hash: &Hash) -> Result<Option<u64>, StoreError> {
        let found = self.tried(self.keyspaces()?.hashes.get(hash.0))?;
        found
            .map(|bytes| self.tried(Reader::new(&bytes).u64()))
            .transpose()
    }

    fn transaction(&self, id: &Hash) -> Result<Option<(u64, u32)>, StoreError> {
        let Some(bytes) = self.tried(self.keyspaces()?.transactions.get(id.0))? else {
            return Ok(None);
        };
        let mut reader = Reader::new(&bytes);
        let height = self.tried(reader.u64())?;
        Ok(Some((height, self.tried(reader.u32())?)))
    }

    fn certificate_from(&self, height: u64) -> Result<Option<(u64, Location)>, StoreError> {
        let found = self
            .keyspaces()?
            .certificates
            .range(height.to_be_bytes()..)
            .next();
        self.certificate(found)
    }

    fn certificate_last(&self) -> Result<Option<(u64, Location)>, StoreError> {
        self.certificate(self.keyspaces()?.certificates.last_key_value())
    }
}
