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
/// Heights ahead of the newest applied for which signatures are kept.
const AHEAD_MAX: u64 = 1_000;

/// Certificates kept for comparison with notes that come late.
const RECENT: usize = 1_000;

/// A validator's signature under a checkpoint.
struct Signed {
    text: String,
    signature: NoteSignature,
}

#[derive(Default)]
struct Gathered {
    /// By height, then by validator.
    signed: BTreeMap<u64, BTreeMap<usize, Signed>>,
    /// Certificates of the newest heights.
    recent: BTreeMap<u64, SignedNote>,
    /// The newest note of each validator, with its height.
    newest: BTreeMap<usize, (u64, String)>,
    /// The newest height that is certified here.
    certified: u64,
    stopping: bool,
}

impl Gathered {
    fn saw(&mut self, place: usize, height: u64, text: &str, signature: &NoteSignature) {
        let is_newer = self
            .newest
            .get(&place)
            .is_none_or(|(known, _)| *known < height);
        if is_newer && let Ok(note) = SignedNote::new(text.to_owned(), vec![signature.clone()]) {
            self.newest.insert(place, (height, note.to_string()));
        }
    }
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
    /// Set where nobody may be kept waiting: the engine asks again.
    is_impatient: AtomicBool,
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
    /// It is another than that validator signed before.
    Contradicts(Contradiction),
}

/// Two checkpoints of one height that a validator signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contradiction {
    /// Its name.
    pub(super) validator: String,
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

    /// The newest checkpoint that a validator was seen to sign, with its height.
    pub(super) fn newest_of(&self, key: &PublicKey) -> Option<(u64, String)> {
        let place = self.keys.iter().position(|one| one.key() == *key)?;
        self.gathered.lock().newest.get(&place).cloned()
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
            return self.take_late(height, note);
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
        let mut contradiction = None;
        let mut gathered = self.gathered.lock();
        for (place, signature) in found {
            let text = note.text().to_owned();
            gathered.saw(place, height, &text, &signature);
            let signed = gathered.signed.entry(height).or_default();
            let before = signed.entry(place).or_insert_with(|| Signed {
                text: text.clone(),
                signature: signature.clone(),
            });
            if before.text != text {
                let note = |text: &str, signature: &NoteSignature| {
                    SignedNote::new(text.to_owned(), vec![signature.clone()])
                        .map_or_else(|error| error.to_string(), |note| note.to_string())
                };
                contradiction = Some(Contradiction {
                    validator: self.plain_name(place),
                    signed: [
                        note(&before.text, &before.signature),
                        note(&text, &signature),
                    ],
                });
            }
        }
        drop(gathered);
        self.changed.notify_all();
        contradiction.map_or(Taken::Kept, Taken::Contradicts)
    }

    /// A note of a height that is certified here, by one that lags behind; or one that contradicts the certificate.
    fn take_late(&self, height: u64, note: &[u8]) -> Taken {
        let certified = {
            let gathered = self.gathered.lock();
            gathered.recent.get(&height).cloned()
        };
        let (Some(certified), Ok(note)) = (certified, SignedNote::parse(note)) else {
            return Taken::Late;
        };
        if certified.text() == note.text() {
            return Taken::Late;
        }
        for signature in note.signatures() {
            let place = self.keys.iter().position(|key| key.is_named_by(signature));
            let key = place.and_then(|place| self.keys.get(place));
            if let (Some(place), Some(key)) = (place, key)
                && signature.verify(note.text(), key).is_ok()
            {
                return Taken::Contradicts(Contradiction {
                    validator: self.plain_name(place),
                    signed: [certified.to_string(), note.to_string()],
                });
            }
        }
        Taken::Late
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
                return Err(DeliverError::Later("the node is stopping".to_owned()).into());
            }
            let empty = BTreeMap::new();
            let signed = gathered.signed.get(&height).unwrap_or(&empty);
            let agree = signed.values().filter(|one| one.text == text);
            let agree: Vec<NoteSignature> = agree.map(|one| one.signature.clone()).collect();
            if agree.len() >= self.quorum {
                let certificate = SignedNote::new(text, agree).map_err(halt)?;
                gathered.certified = height;
                gathered.signed = gathered.signed.split_off(&(height + 1));
                gathered.recent.insert(height, certificate.clone());
                if gathered.recent.len() > RECENT {
                    gathered.recent.pop_first();
                }
                return Ok(certificate);
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
                return Err(ApplyError::differs(format!(
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

    /// The newest height that is certified here, known at the start.
    pub(crate) fn begin_at(&self, height: u64) {
        self.gathered.lock().certified = height;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stele_consensus::bft::messages;
    use stele_core::validators::Validator;

    use super::*;

    const ORIGIN: &str = "test.example/ledger";
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn secret(number: u8) -> SecretKey {
        SecretKey::from_seed(&[number + 1; 32])
    }

    fn four() -> Vec<Checkpoints> {
        let validators = NAMES.iter().zip(0..).map(|(name, number)| Validator {
            name: (*name).to_owned(),
            key: secret(number).public(),
        });
        let set = ValidatorSet::new(validators.collect()).unwrap();
        let of = |(name, number): (&&str, u8)| {
            let signer = SignerKey::of_validator(ORIGIN, name, secret(number)).unwrap();
            Checkpoints::new(signer, ORIGIN, &set).unwrap()
        };
        NAMES.iter().zip(0..).map(of).collect()
    }

    fn note(one: &Checkpoints, size: u64, root: u8) -> Vec<u8> {
        let checkpoint = Checkpoint::new(ORIGIN, size, Hash([root; 32])).unwrap();
        let note = SignedNote::sign(checkpoint.to_string(), &[&one.signer]).unwrap();
        note.to_string().into_bytes()
    }

    #[test]
    fn a_quorum_that_agrees_makes_the_certificate() {
        let all = four();
        let (messenger, _outbox) = messages();
        assert_eq!(all[0].take(1, &note(&all[1], 2, 7)), Taken::Kept);
        assert_eq!(all[0].take(1, &note(&all[2], 2, 7)), Taken::Kept);
        let certificate = all[0].gather(1, (2, Hash([7; 32])), &messenger).unwrap();
        assert_eq!(certificate.signatures().len(), 3);
        assert_eq!(all[0].take(1, &note(&all[3], 2, 7)), Taken::Late);
        // A certificate helps one that lags as all its signatures do.
        assert_eq!(
            all[3].take(1, certificate.to_string().as_bytes()),
            Taken::Kept
        );
        assert!(all[3].gather(1, (2, Hash([7; 32])), &messenger).is_ok());
    }

    #[test]
    fn two_of_four_make_none_and_one_counts_once() {
        let all = Arc::new(four());
        let (messenger, _outbox) = messages();
        for _ in 0..3 {
            assert_eq!(all[0].take(1, &note(&all[1], 2, 7)), Taken::Kept);
        }
        let waits = {
            let all = all.clone();
            std::thread::spawn(move || all[0].gather(1, (2, Hash([7; 32])), &messenger))
        };
        std::thread::sleep(Duration::from_millis(300));
        assert!(!waits.is_finished());
        all[0].stop();
        let ended = waits.join().unwrap().map_err(|error| error.cause);
        assert!(matches!(ended, Err(DeliverError::Later(_))));
    }

    #[test]
    fn one_whose_result_differs_from_an_honest_ones_halts() {
        let all = four();
        let (messenger, _outbox) = messages();
        assert_eq!(all[0].take(1, &note(&all[1], 2, 8)), Taken::Kept);
        assert_eq!(all[0].take(1, &note(&all[2], 2, 8)), Taken::Kept);
        let halted = all[0].gather(1, (2, Hash([7; 32])), &messenger);
        assert!(
            matches!(halted, Err(error) if error.is_suspect && error.cause.to_string().contains("another result after block 1"))
        );
    }

    #[test]
    fn forged_foreign_and_far_notes_are_refused() {
        let all = four();
        let good = note(&all[1], 2, 7);
        let mut forged = good.clone();
        let place = forged.len() - 10;
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        assert!(matches!(all[0].take(1, &forged), Taken::Refused(_)));
        assert!(matches!(all[0].take(5_000, &good), Taken::Refused(_)));
        assert!(matches!(all[0].take(1, b"no note"), Taken::Refused(_)));
        // Of somebody who is no validator: nothing to count.
        let stranger = SignerKey::of_validator(ORIGIN, "x", secret(9)).unwrap();
        let text = Checkpoint::new(ORIGIN, 2, Hash([7; 32]))
            .unwrap()
            .to_string();
        let foreign = SignedNote::sign(text, &[&stranger]).unwrap().to_string();
        assert_eq!(all[0].take(1, foreign.as_bytes()), Taken::Kept);
        assert!(
            all[0]
                .gathered
                .lock()
                .signed
                .get(&1)
                .is_some_and(BTreeMap::is_empty)
        );
    }
}
