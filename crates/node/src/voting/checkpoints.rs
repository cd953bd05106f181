//! Checkpoint signatures of all validators, gathered until a quorum agrees.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use stele_consensus::DeliverError;
use stele_consensus::bft::Messenger;
use stele_core::crypto::{PublicKey, SecretKey};
use stele_core::note::{Checkpoint, NoteError, NoteSignature, SignedNote, SignerKey, VerifierKey};
use stele_core::peer::PeerMessage;
use stele_core::validators::ValidatorSet;
use stele_core::{Encode, Hash};

use crate::apply::ApplyError;

/// How often a signature is sent again to those who have not answered.
const RESEND_INTERVAL: Duration = Duration::from_millis(500);
/// Sizes of the log for which signatures of one validator are kept; honest ones sign one after another.
const SIZES_KEPT: usize = 16;
/// Different checkpoints of one size kept of a validator: one that was mended signs the right one after the wrong one.
const TEXTS_KEPT: usize = 3;
/// Certificates kept for comparison with notes that come late.
const RECENT: usize = 1_000;

/// A validator's signature under a checkpoint.
#[derive(Clone)]
struct Signed {
    text: String,
    signature: NoteSignature,
}

impl Signed {
    fn note(&self) -> String {
        SignedNote::new(self.text.clone(), vec![self.signature.clone()])
            .map_or_else(|error| error.to_string(), |note| note.to_string())
    }
}

/// What is known of signatures. What a message says beside the signed text is not believed: the size in the text says
/// which block it is about.
#[derive(Default)]
struct Gathered {
    /// By validator, then by the size of the log.
    signed: BTreeMap<usize, BTreeMap<u64, Vec<Signed>>>,
    /// Certificates of the newest sizes.
    recent: BTreeMap<u64, SignedNote>,
    /// The newest note of each validator, with its size.
    newest: BTreeMap<usize, (u64, Signed)>,
    /// The greatest size that is certified here.
    certified: u64,
    stopping: bool,
}

impl Gathered {
    /// Keeps a signature; what the validator signed before over the same size, if that was another.
    fn keep(&mut self, place: usize, size: u64, signed: &Signed) -> Option<Signed> {
        let newest = self.newest.get(&place);
        if newest.is_none_or(|(known, _)| *known < size) {
            self.newest.insert(place, (size, signed.clone()));
        }
        let of_one = self.signed.entry(place).or_default();
        if !of_one.contains_key(&size) && of_one.len() >= SIZES_KEPT {
            of_one.pop_first();
        }
        let texts = of_one.entry(size).or_default();
        if texts.iter().any(|one| one.text == signed.text) {
            return None;
        }
        let before = texts.first().cloned();
        if texts.len() < TEXTS_KEPT {
            texts.push(signed.clone());
        }
        before
    }

    /// Signatures under a checkpoint, and how many validators signed each other one of that size.
    fn count(&self, size: u64, text: &str) -> (Vec<NoteSignature>, BTreeMap<&str, usize>) {
        let (mut agree, mut others) = (Vec::new(), BTreeMap::new());
        for texts in self.signed.values().filter_map(|of_one| of_one.get(&size)) {
            match texts.iter().find(|one| one.text == text) {
                Some(same) => agree.push(same.signature.clone()),
                None => {
                    for one in texts {
                        *others.entry(one.text.as_str()).or_default() += 1;
                    }
                }
            }
        }
        (agree, others)
    }

    /// Forgets signatures up to a size.
    fn settle(&mut self, size: u64) {
        self.certified = self.certified.max(size);
        for of_one in self.signed.values_mut() {
            *of_one = of_one.split_off(&(size + 1));
        }
    }
}

/// Signatures of checkpoints that are not certified here yet.
pub(crate) struct Checkpoints {
    origin: String,
    signer: SignerKey,
    /// All validators, in the order of the set.
    keys: Vec<VerifierKey>,
    quorum: usize,
    gathered: Mutex<Gathered>,
    changed: Condvar,
    /// Set where nobody may be kept waiting: the engine asks again.
    is_impatient: AtomicBool,
}

/// What a note of a validator is good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It may help.
    Kept,
    /// A log of that size is certified here: who sent it lags behind.
    Late(u64),
    /// It is nothing, and why.
    Refused(String),
    /// It is another than that validator signed before.
    Contradicts(Contradiction),
}

/// A checkpoint that a validator signed, and another of the same size: its own, or what a quorum signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contradiction {
    /// Its name.
    pub(super) validator: String,
    /// Size of the log.
    pub(super) size: u64,
    /// Signed notes.
    pub(super) signed: [String; 2],
}

impl Checkpoints {
    pub(super) fn new(
        signer: SignerKey,
        origin: &str,
        set: &ValidatorSet,
    ) -> Result<Self, NoteError> {
        let validators = set.validators().iter();
        let keys =
            validators.map(|one| VerifierKey::of_validator(origin, one).map(VerifierKey::prepared));
        Ok(Self {
            origin: origin.to_owned(),
            signer,
            keys: keys.collect::<Result<_, _>>()?,
            quorum: set.quorum(),
            gathered: Mutex::default(),
            changed: Condvar::new(),
            is_impatient: AtomicBool::new(false),
        })
    }

    /// This node's key.
    pub(crate) fn key(&self) -> PublicKey {
        self.signer.verifier().key()
    }

    /// A message with a signed checkpoint of a log that nobody has, for simulations.
    pub(super) fn wrong(&self, height: u64, size: u64) -> Result<Vec<u8>, NoteError> {
        let text = Checkpoint::new(&self.origin, size, Hash([0xee; 32]))?.to_string();
        let note = SignedNote::sign(text, &[&self.signer])?;
        let message = PeerMessage::Checkpoint {
            height,
            note: note.to_string().into_bytes(),
        };
        Ok(message.encode_to_vec())
    }

    /// Never waits from now on.
    pub(super) fn be_impatient(&self) {
        self.is_impatient.store(true, Ordering::Relaxed);
    }

    /// This node's key, by which its signatures are found.
    pub(super) fn own_key(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// The key of a validator, by which its signatures are found.
    pub(super) fn verifier_of(&self, key: &PublicKey) -> Option<&VerifierKey> {
        self.keys.iter().find(|one| one.key() == *key)
    }

    /// Signatures that make a certificate.
    pub(super) fn quorum(&self) -> usize {
        self.quorum
    }

    /// The newest note that a validator was seen to sign.
    pub(super) fn newest_of(&self, key: &PublicKey) -> Option<String> {
        let place = self.keys.iter().position(|one| one.key() == *key)?;
        let gathered = self.gathered.lock();
        gathered.newest.get(&place).map(|(_, signed)| signed.note())
    }

    /// The certificate over a log of that size, if it is one of the newest.
    pub(super) fn recent(&self, size: u64) -> Option<SignedNote> {
        self.gathered.lock().recent.get(&size).cloned()
    }

    /// This node's secret, for the engine.
    pub(crate) fn secret(&self) -> SecretKey {
        self.signer.secret()
    }

    pub(super) fn stop(&self) {
        self.gathered.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Takes a checkpoint with the signature of a validator, or of several.
    pub(super) fn take(&self, note: &[u8]) -> Taken {
        let refused = |error: NoteError| Taken::Refused(error.to_string());
        let note = match SignedNote::parse(note) {
            Ok(note) => note,
            Err(error) => return refused(error),
        };
        let size = match Checkpoint::parse(note.text()) {
            Ok(checkpoint) if checkpoint.origin() == self.origin => checkpoint.size(),
            Ok(_) => return Taken::Refused("it is of another ledger".to_owned()),
            Err(error) => return refused(error),
        };
        let mut found = Vec::new();
        for signature in note.signatures() {
            let place = self.keys.iter().position(|key| key.is_named_by(signature));
            let key = place.and_then(|place| self.keys.get(place));
            let (Some(place), Some(key)) = (place, key) else {
                continue;
            };
            if let Err(error) = signature.verify(note.text(), key) {
                return refused(error);
            }
            let signed = Signed {
                text: note.text().to_owned(),
                signature: signature.clone(),
            };
            found.push((place, signed));
        }
        if found.is_empty() {
            return Taken::Refused("no validator has signed it".to_owned());
        }
        let mut gathered = self.gathered.lock();
        let mut contradiction = None;
        let is_late = size <= gathered.certified;
        let certified = gathered.recent.get(&size).cloned();
        for (place, signed) in found {
            let before = match (is_late, &certified) {
                // What a quorum signed, this one among them or not.
                (true, Some(certified)) if certified.text() != signed.text => {
                    Some(certified.to_string())
                }
                (true, _) => None,
                (false, _) => gathered
                    .keep(place, size, &signed)
                    .map(|before| before.note()),
            };
            if let Some(before) = before {
                contradiction = Some(Contradiction {
                    validator: self.plain_name(place),
                    size,
                    signed: [before, signed.note()],
                });
            }
        }
        drop(gathered);
        self.changed.notify_all();
        match contradiction {
            Some(contradiction) => Taken::Contradicts(contradiction),
            None if is_late => Taken::Late(size),
            None => Taken::Kept,
        }
    }

    /// Name of a validator without the ledger's.
    fn plain_name(&self, place: usize) -> String {
        let name = self.keys.get(place).map_or("", VerifierKey::name);
        let prefix = format!("{}/v/", self.origin);
        name.strip_prefix(&prefix).unwrap_or(name).to_owned()
    }

    /// Signs a checkpoint, tells all, and waits until a quorum has signed the same.
    pub(super) fn gather(
        &self,
        height: u64,
        (size, root): (u64, Hash),
        messenger: &Messenger,
    ) -> Result<SignedNote, ApplyError> {
        let halt = |error: NoteError| ApplyError::from(DeliverError::Halt(error.to_string()));
        let text = Checkpoint::new(&self.origin, size, root)
            .map_err(halt)?
            .to_string();
        // The block was certified, and could not be kept then.
        if let Some(certificate) = self.recent(size).filter(|one| one.text() == text) {
            return Ok(certificate);
        }
        let own = SignedNote::sign(text.clone(), &[&self.signer]).map_err(halt)?;
        let told = PeerMessage::Checkpoint {
            height,
            note: own.to_string().into_bytes(),
        }
        .encode_to_vec();
        self.take(own.to_string().as_bytes());
        let mut sent: Option<Instant> = None;
        loop {
            if sent.is_none_or(|at| at.elapsed() >= RESEND_INTERVAL) {
                messenger.send(None, told.clone());
                sent = Some(Instant::now());
            }
            let mut gathered = self.gathered.lock();
            if gathered.stopping {
                return Err(DeliverError::Later("the node is stopping".to_owned()).into());
            }
            let (agree, others) = gathered.count(size, &text);
            if agree.len() >= self.quorum {
                let certificate = SignedNote::new(text, agree).map_err(halt)?;
                gathered.settle(size);
                gathered.recent.insert(size, certificate.clone());
                if gathered.recent.len() > RECENT {
                    gathered.recent.pop_first();
                }
                return Ok(certificate);
            }
            // One of them at least is honest.
            if let Some((other, count)) = others
                .iter()
                .find(|(_, count)| **count > self.keys.len() - self.quorum)
            {
                return Err(ApplyError::suspect(format!(
                    "{count} validators came to another result after block {height}: they signed {other:?}, this node has {text:?}; its state is damaged or its program another"
                )));
            }
            if self.is_impatient.load(Ordering::Relaxed) {
                let reason = format!("signatures of block {height} are to come");
                return Err(DeliverError::Later(reason).into());
            }
            self.changed.wait_for(&mut gathered, RESEND_INTERVAL / 5);
        }
    }

    /// The size of the log that is certified here, known from what is stored.
    pub(crate) fn begin_at(&self, size: u64) {
        self.gathered.lock().settle(size);
    }
}

#[cfg(test)]
mod tests;
