//! Opening a store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::{Mutex, RwLock};
use stele_core::Hash;
use stele_flow::{Files, OpenMode};

use super::mend;
use super::read::Readers;
use super::recover::{Recovery, RecoveryReport};
use super::sync::Durable;
use super::{BlockStore, Inner};
use crate::config::{Access, StoreConfig};
use crate::error::StoreError;
use crate::index::Index;
use crate::mark::Mark;
use crate::segment::{self, HEADER_LEN, Header, HeaderError, SEGMENT_VERSION};

/// Folder of the segments inside the store's directory.
const SEGMENTS_FOLDER: &str = "segments";
/// The lock file, inside the folder of the segments.
const LOCK_FILE: &str = "lock";
/// The mark file, inside the folder of the segments.
pub(super) const MARK_FILE: &str = "mark";

impl BlockStore {
    /// Opens the store in `directory` (its segments are in the folder `segments` there), making it
    /// if there is none. Cuts a torn tail; brings the index up to the segments, or builds it anew.
    ///
    /// A damaged store opens too: see [`RecoveryReport::damage`].
    ///
    /// # Errors
    /// When another process has it open, it belongs to another ledger or format version, or it
    /// cannot be read or written.
    pub fn open(
        files: Arc<dyn Files>,
        directory: &Path,
        ledger: Hash,
        config: StoreConfig,
        index: Arc<dyn Index>,
    ) -> Result<(Self, RecoveryReport), StoreError> {
        let segments = directory.join(SEGMENTS_FOLDER);
        let is_read_only = config.access == Access::ReadOnly;
        let mut lock = None;
        if !is_read_only {
            files.create_dir(&segments)?;
            // Names are durable once every directory above them is.
            for above in segments.ancestors().skip(1).take(2) {
                if !above.as_os_str().is_empty() {
                    files.sync_dir(above)?;
                }
            }
            lock = Some(files.lock(&segments.join(LOCK_FILE), &config.holder)?);
        }
        if !is_read_only {
            mend::finish_interrupted(&*files, &segments, &*index)?;
        }
        let mark_path = segments.join(MARK_FILE);
        let recovered = Recovery {
            files: &*files,
            directory: &segments,
            ledger,
            config: &config,
            index: &*index,
            mark: Mark::read(&*files, &mark_path)?,
        }
        .run()?;
        let report = recovered.report;
        let is_writable = !is_read_only && report.damage.is_none();
        let mark = match is_writable {
            true => Some(Mark::open(&*files, &mark_path)?),
            false => None,
        };
        let durable = Durable::new(mark, Default::default(), 0);
        durable.advance(recovered.durable, report.height);
        let store = Self {
            inner: Arc::new(Inner {
                files,
                directory: segments,
                ledger,
                config,
                index,
                writer: Mutex::new(recovered.writer),
                tail: RwLock::new(recovered.tail),
                durable,
                damage: RwLock::new(report.damage.clone()),
                held: RwLock::new(None),
                readers: Readers::default(),
                indexing: Mutex::new(()),
                rebuilding: AtomicBool::new(false),
                _lock: lock,
            }),
        };
        if report.damage.is_none() {
            store.inner.index_durable()?;
        }
        if let Some(hole) = &report.hole {
            store.hold(hole.clone());
        }
        Ok((store, report))
    }
}

/// The ledger a store belongs to, read from its first segment; none if there is no segment.
///
/// # Errors
/// When the segment cannot be read or is of another format version. A damaged header gives
/// [`StoreError::Damaged`].
pub fn read_ledger_id(files: &dyn Files, directory: &Path) -> Result<Option<Hash>, StoreError> {
    let path = directory.join(SEGMENTS_FOLDER).join(segment::file_name(1));
    if !files.exists(&path)? {
        return Ok(None);
    }
    let file = files.open(&path, OpenMode::Read)?;
    let mut bytes = vec![0; HEADER_LEN];
    let len = file.read_up_to(0, &mut bytes)?;
    bytes.truncate(len);
    match Header::from_bytes(&bytes) {
        Ok(header) => Ok(Some(header.ledger)),
        Err(HeaderError::OtherVersion(found)) => Err(StoreError::OtherVersion {
            path,
            found,
            known: SEGMENT_VERSION,
        }),
        Err(HeaderError::Bad(detail)) => Err(StoreError::Damaged(crate::damage::Damage {
            kind: crate::damage::DamageKind::Checksum,
            segment: 1,
            offset: 0,
            height: 1,
            detail: detail.to_owned(),
        })),
    }
}
