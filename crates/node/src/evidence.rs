//! What validators signed that contradicts itself: kept, and shown.
//!
//! One text file each in the folder `evidence` of the data directory: what it is, of whom, and the signed things themselves,
//! so that anyone can check them (docs/operations.md).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use stele_flow::Files;

use crate::error::NodeError;

/// Folder in the data directory.
const EVIDENCE_FOLDER: &str = "evidence";
/// Ending of its files.
const ENDING: &str = ".evidence";
/// Most pieces kept: more of the same tell no more.
const EVIDENCE_MAX: usize = 1_000;
/// Of them, those of one validator.
const OF_ONE_MAX: usize = 20;
/// Longest file read, in bytes.
const FILE_LEN_MAX: usize = 64 * 1024;
/// First line of each file.
const FIRST_LINE: &str = "stele evidence 1";

/// Two things a validator signed that no honest one signs both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Name of the validator.
    pub validator: String,
    /// `checkpoint`, or what two votes they are.
    pub what: String,
    /// Size of the log in both; for votes the engine's number of the attempt.
    pub number: u64,
    /// When it was noticed, microseconds since 1970 UTC.
    pub time_us: i64,
    /// One and the other: signed notes, or both votes in one as hexadecimal digits.
    pub signed: Vec<String>,
}

impl Evidence {
    fn is_of(&self, other: &Self) -> bool {
        (&self.validator, &self.what, self.number) == (&other.validator, &other.what, other.number)
    }

    fn to_text(&self) -> String {
        let head = format!(
            "{FIRST_LINE}\nvalidator {}\nwhat {}\nnumber {}\ntime_us {}\n",
            self.validator, self.what, self.number, self.time_us
        );
        let signed = self.signed.iter();
        signed.fold(head, |text, one| format!("{text}----\n{one}"))
    }

    fn of_text(text: &str) -> Option<Self> {
        let mut parts = text.split("----\n");
        let mut lines = parts.next()?.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut field = |name: &str| {
            let value = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
            Some(value.to_owned())
        };
        Some(Self {
            validator: field("validator")?,
            what: field("what")?,
            number: field("number")?.parse().ok()?,
            time_us: field("time_us")?.parse().ok()?,
            signed: parts.map(str::to_owned).collect(),
        })
    }
}

/// All evidence of a node.
pub(crate) struct EvidenceStore {
    files: Arc<dyn Files>,
    folder: PathBuf,
    known: Mutex<Vec<Evidence>>,
}

impl EvidenceStore {
    /// What was kept before.
    pub(crate) fn open(files: &Arc<dyn Files>, directory: &Path) -> Result<Self, NodeError> {
        let folder = directory.join(EVIDENCE_FOLDER);
        let mut known = Vec::new();
        if files.exists(&folder)? {
            for name in files.list(&folder)?.iter().take(EVIDENCE_MAX) {
                let bytes = match name.ends_with(ENDING) {
                    true => files.read(&folder.join(name))?,
                    false => continue,
                };
                let text = String::from_utf8_lossy(bytes.get(..FILE_LEN_MAX).unwrap_or(&bytes));
                match Evidence::of_text(&text) {
                    Some(evidence) => known.push(evidence),
                    None => tracing::warn!(name, "a file in the folder `evidence` is none"),
                }
            }
        }
        known.sort_by_key(|one| (one.time_us, one.number));
        Ok(Self {
            files: files.clone(),
            folder,
            known: Mutex::new(known),
        })
    }

    /// Keeps a piece; whether it is news.
    pub(crate) fn keep(&self, evidence: Evidence) -> Result<bool, NodeError> {
        let mut known = self.known.lock();
        let of_one = known
            .iter()
            .filter(|one| one.validator == evidence.validator);
        let is_enough = known.len() >= EVIDENCE_MAX || of_one.count() >= OF_ONE_MAX;
        if is_enough || known.iter().any(|one| one.is_of(&evidence)) {
            return Ok(false);
        }
        let number = known.len();
        self.files.create_dir(&self.folder)?;
        if let Some(above) = self.folder.parent() {
            self.files.sync_dir(above)?;
        }
        let name = format!(
            "{}-{number:04}-{}{ENDING}",
            evidence.validator, evidence.number
        );
        self.files
            .replace(&self.folder.join(name), evidence.to_text().as_bytes())?;
        known.push(evidence);
        Ok(true)
    }

    /// How much is kept.
    pub(crate) fn len(&self) -> usize {
        self.known.lock().len()
    }

    /// Everything that is kept, oldest first.
    pub(crate) fn all(&self) -> Vec<Evidence> {
        self.known.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(height: u64) -> Evidence {
        Evidence {
            validator: "four".to_owned(),
            what: "checkpoint".to_owned(),
            number: height,
            time_us: 7,
            signed: vec![
                "a\n1\n\n\u{2014} x y\n".to_owned(),
                "a\n2\n\n\u{2014} x z\n".to_owned(),
            ],
        }
    }

    #[test]
    fn evidence_is_kept_once_and_read_again() {
        let (runtime, files, _) = stele_flow::sim::runtime(1);
        let path = Path::new("/data");
        files.create_dir(path).unwrap();
        files.sync_dir(Path::new("/")).unwrap();
        let store = EvidenceStore::open(&runtime.files, path).unwrap();
        assert!(store.keep(one(3)).unwrap());
        assert!(!store.keep(one(3)).unwrap());
        assert!(store.keep(one(4)).unwrap());
        drop(store);
        files.crash();
        let store = EvidenceStore::open(&runtime.files, path).unwrap();
        assert_eq!(store.all(), [one(3), one(4)]);
        assert!(Evidence::of_text("something else").is_none());
        assert!(Evidence::of_text("stele evidence 1\nvalidator x\n").is_none());
    }
}
