//! What this validator has signed: never two things, whatever became of its disk.
//!
//! The size of the log is noted before each checkpoint is signed. At the start others are asked what they have seen of this key; a signature
//! over more shows that the data directory is an older copy, or that the key is used elsewhere. Until enough have
//! answered, the node neither votes nor signs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use stele_core::Encode;
use stele_core::note::{Checkpoint, SignedNote, VerifierKey};
use stele_core::peer::PeerMessage;
use stele_flow::{File, Files, OpenMode};

use super::Voting;
use crate::error::NodeError;

/// File in the data directory: the size in 20 decimal digits.
const SIGNED_FILE: &str = "signed";
const SIZE_DIGITS: usize = 20;
/// How long an answer is waited for.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// How long after a round of questions the next begins.
const ROUND_PAUSE: Duration = Duration::from_millis(200);

/// How far this validator is known to have signed.
pub(crate) struct OwnSignatures {
    file: Arc<dyn File>,
    /// The highest it may have signed, as far as this directory knows.
    size: AtomicU64,
    confirmed: AtomicBool,
}

impl OwnSignatures {
    /// Reads the note of a directory.
    pub(crate) fn open(files: &Arc<dyn Files>, directory: &Path) -> Result<Self, NodeError> {
        let file = files.open(&directory.join(SIGNED_FILE), OpenMode::Create)?;
        let mut bytes = [0; SIZE_DIGITS];
        let len = file.read_up_to(0, &mut bytes)?;
        let text = bytes
            .get(..len)
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let size = text.filter(|text| text.len() == SIZE_DIGITS);
        let size = size.and_then(|text| text.parse().ok());
        if size.is_none() {
            // Room for it is there from now on.
            file.write_at(0, format!("{:0SIZE_DIGITS$}", 0).as_bytes())?;
            file.sync()?;
            files.sync_dir(directory)?;
        }
        Ok(Self {
            file,
            size: AtomicU64::new(size.unwrap_or(0)),
            confirmed: AtomicBool::new(false),
        })
    }

    /// A log of that size was certified here before.
    pub(crate) fn known(&self, size: u64) {
        self.size.fetch_max(size, Ordering::AcqRel);
    }

    /// Notes a size durably, before its checkpoint is signed.
    pub(super) fn note(&self, size: u64) -> Result<(), NodeError> {
        if self.size.fetch_max(size, Ordering::AcqRel) < size {
            let text = format!("{size:0SIZE_DIGITS$}");
            self.file.write_at(0, text.as_bytes())?;
            self.file.sync()?;
        }
        Ok(())
    }

    /// Votes without asking others.
    pub(super) fn trust(&self) {
        self.confirmed.store(true, Ordering::Release);
    }

    /// Whether others have confirmed that this directory is the newest with its key.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Acquire)
    }
}

impl Voting {
    /// Asks others what they have seen of this validator's key, until a quorum has told, this one included.
    ///
    /// # Errors
    /// When they have seen more than this directory knows of.
    pub(super) fn confirm(
        &self,
        others: &[stele_core::crypto::PublicKey],
        stopping: &dyn Fn() -> bool,
    ) -> Result<(), String> {
        let needed = self
            .checkpoints
            .quorum()
            .saturating_sub(1)
            .min(others.len());
        let mut answered = vec![false; others.len()];
        while answered.iter().filter(|answered| **answered).count() < needed {
            for (other, answered) in others.iter().zip(&mut answered) {
                if *answered || stopping() {
                    continue;
                }
                let number = self.answers.expect(*other);
                let message = PeerMessage::Signed { number }.encode_to_vec();
                self.messenger.send(Some(*other), message);
                if let Some(Ok(bytes)) = self.answers.wait(number, ANSWER_WAIT) {
                    *answered = true;
                    self.judge(&bytes)?;
                }
            }
            if stopping() {
                return Ok(());
            }
            std::thread::sleep(ROUND_PAUSE);
        }
        self.own.confirmed.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether an answer shows a signature of this key over more than is known here.
    fn judge(&self, answer: &[u8]) -> Result<(), String> {
        let known = self.own.size.load(Ordering::Acquire);
        let key: &VerifierKey = self.checkpoints.own_key();
        let Ok(note) = SignedNote::parse(answer) else {
            return Ok(());
        };
        let Ok(checkpoint) = Checkpoint::parse(note.text()) else {
            return Ok(());
        };
        let is_own = note
            .signatures()
            .iter()
            .any(|one| key.is_named_by(one) && one.verify(note.text(), key).is_ok());
        if is_own && checkpoint.size() > known {
            return Err(format!(
                "this validator's key has signed a checkpoint over {} leaves, and this data directory knows of no signature over more than {known}: it is an older copy, or another node uses its key. It does not vote: two different signatures would count as a lie. If no newer directory is left, see \"A lost disk\" in docs/operations.md",
                checkpoint.size()
            ));
        }
        Ok(())
    }
}
