//! Checkpoint signatures of all validators, gathered until a quorum agrees.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use stele_consensus::DeliverError;
use stele_consensus::bft::Messenger;
use stele_core::crypto::{PublicKey, SecretKey};
use stele_core::note::{Checkpoint, NoteError, NoteSignature, SignedNote, SignerKey, VerifierKey};
use stele_core::peer::PeerMessage;
use stele_core::validators::ValidatorSet;
use stele_core::{Encode, Hash};

/// How often a signature is sent again to those who have not answered.
const RESEND_INTERVAL: Duration = Duration::from_millis(500);
/// Heights ahead of the newest applied for which signatures are kept.
const AHEAD_MAX: u64 = 1_000;

/// A validator's signature under a checkpoint.
struct Signed {
    text: String,
    signature: NoteSignature,
}

#[derive(Default)]
struct Gathered {
    /// By height, then by validator.
    signed: BTreeMap<u64, BTreeMap<usize, Signed>>,
    /// The newest height that is certified here.
    certified: u64,
    stopping: bool,
}

/// Signatures of heights that are not certified here yet.
pub(crate) struct Checkpoints {
    origin: String,
    signer: SignerKey,
    /// All validators, in the order of the set.
    keys: Vec<VerifierKey>,
    quorum: usize,
    gathered: Mutex<Gathered>,
    changed: Condvar,
}

/// What a note of a validator is good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It may help.
    Kept,
    /// Its height is certified here: who sent it lags behind.
    Late,
    /// It is nothing, and why.
    Refused(String),
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
        })
    }

    /// This node's key.
    pub(crate) fn key(&self) -> PublicKey {
        self.signer.verifier().key()
    }

    /// This node's secret, for the engine.
    pub(crate) fn secret(&self) -> SecretKey {
        self.signer.secret()
    }

    pub(super) fn stop(&self) {
        self.gathered.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Takes what a validator says of a height: its signature, or those of several.
    pub(super) fn take(&self, height: u64, note: &[u8]) -> Taken {
        let certified = self.gathered.lock().certified;
        if height <= certified {
            return Taken::Late;
        }
        if height > certified + AHEAD_MAX {
            return Taken::Refused(format!("it is of height {height}, far ahead"));
        }
        let note = match SignedNote::parse(note) {
            Ok(note) => note,
            Err(error) => return Taken::Refused(error.to_string()),
        };
        let mut found = Vec::new();
        for signature in note.signatures() {
            let signer = self.keys.iter().position(|key| key.is_named_by(signature));
            let Some(place) = signer else { continue };
            if let Some(Err(error)) = self
                .keys
                .get(place)
                .map(|key| signature.verify(note.text(), key))
            {
                return Taken::Refused(error.to_string());
            }
            found.push((place, signature.clone()));
        }
        let mut gathered = self.gathered.lock();
        let signed = gathered.signed.entry(height).or_default();
        for (place, signature) in found {
            let text = note.text().to_owned();
            let before = signed.entry(place).or_insert_with(|| Signed {
                text: text.clone(),
                signature,
            });
            if before.text != text {
                let name = self.keys.get(place).map_or("", VerifierKey::name);
                tracing::error!(
                    validator = name,
                    height,
                    one = before.text,
                    other = text,
                    "a validator signed two different checkpoints of one height"
                );
            }
        }
        drop(gathered);
        self.changed.notify_all();
        Taken::Kept
    }

    /// Signs a checkpoint, tells all, and waits until a quorum has signed the same.
    pub(super) fn gather(
        &self,
        height: u64,
        (size, root): (u64, Hash),
        messenger: &Messenger,
    ) -> Result<SignedNote, DeliverError> {
        let halt = |error: NoteError| DeliverError::Halt(error.to_string());
        let text = Checkpoint::new(&self.origin, size, root)
            .map_err(halt)?
            .to_string();
        let own = SignedNote::sign(text.clone(), &[&self.signer]).map_err(halt)?;
        let told = PeerMessage::Checkpoint {
            height,
            note: own.to_string().into_bytes(),
        }
        .encode_to_vec();
        self.take(height, own.to_string().as_bytes());
        let mut sent: Option<Instant> = None;
        loop {
            if sent.is_none_or(|at| at.elapsed() >= RESEND_INTERVAL) {
                messenger.send(None, told.clone());
                sent = Some(Instant::now());
            }
            let mut gathered = self.gathered.lock();
            if gathered.stopping {
                return Err(DeliverError::Later("the node is stopping".to_owned()));
            }
            let empty = BTreeMap::new();
            let signed = gathered.signed.get(&height).unwrap_or(&empty);
            let agree = signed.values().filter(|one| one.text == text);
            let agree: Vec<NoteSignature> = agree.map(|one| one.signature.clone()).collect();
            if agree.len() >= self.quorum {
                gathered.certified = height;
                gathered.signed = gathered.signed.split_off(&(height + 1));
                return SignedNote::new(text, agree).map_err(halt);
            }
            let mut others: BTreeMap<&str, usize> = BTreeMap::new();
            for one in signed.values().filter(|one| one.text != text) {
                *others.entry(&one.text).or_default() += 1;
            }
            // One of them at least is honest.
            if let Some((other, count)) = others
                .iter()
                .find(|(_, count)| **count > self.keys.len() - self.quorum)
            {
                return Err(DeliverError::Halt(format!(
                    "{count} validators came to another result after block {height}: they signed {other:?}, this node has {text:?}; its state is damaged or its program another"
                )));
            }
            self.changed.wait_for(&mut gathered, RESEND_INTERVAL / 5);
        }
    }

    /// The newest height that is certified here, known at the start.
    pub(crate) fn begin_at(&self, height: u64) {
        self.gathered.lock().certified = height;
    }
}
