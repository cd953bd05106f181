//! Nodes that can be asked for blocks. Nothing they give is believed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use stele_core::Encode;
use stele_core::crypto::PublicKey;
use stele_core::peer::{Ask, PeerMessage};
use stele_core::validators::ValidatorSet;

use crate::followed::{Followed, Role};
use crate::node::Inner;
use crate::voting::Voting;

/// How long an answer is waited for before it is asked again, and how often it is asked.
const ANSWER_WAIT: Duration = Duration::from_secs(3);
const TRIES: usize = 3;

/// Others that keep the same blocks.
pub(crate) trait Peers: Sync {
    /// Their names.
    fn names(&self) -> Vec<String>;

    /// A piece of the stream of one of them; empty where it has nothing. Waits a bounded time.
    ///
    /// # Errors
    /// Why it gives none.
    fn ask(&self, peer: usize, ask: &Ask) -> Result<Vec<u8>, String>;
}

impl Inner {
    /// Whom this node can ask; none for one that orders alone.
    pub(crate) fn peers(&self) -> Option<Box<dyn Peers + '_>> {
        match &self.role {
            Role::Orders(_) => None,
            Role::Votes(voting) => {
                let others = OtherValidators::new(voting, &self.genesis.validators);
                (!others.keys.is_empty()).then(|| Box::new(others) as Box<dyn Peers + '_>)
            }
            Role::Follows(followed) => Some(Box::new(Upstream(followed))),
        }
    }

    /// Name of a validator.
    pub(crate) fn name_of(&self, key: &PublicKey) -> String {
        let mut validators = self.genesis.validators.validators().iter();
        let found = validators.find(|validator| validator.key == *key);
        found.map_or_else(|| key.to_hex(), |validator| validator.name.clone())
    }
}

/// The validators beside this one.
struct OtherValidators<'a> {
    voting: &'a Voting,
    keys: Vec<(String, PublicKey)>,
}

impl<'a> OtherValidators<'a> {
    fn new(voting: &'a Voting, set: &ValidatorSet) -> Self {
        let own = voting.checkpoints.key();
        let others = set.validators().iter().filter(|one| one.key != own);
        Self {
            voting,
            keys: others.map(|one| (one.name.clone(), one.key)).collect(),
        }
    }
}

impl Peers for OtherValidators<'_> {
    fn names(&self) -> Vec<String> {
        self.keys.iter().map(|(name, _)| name.clone()).collect()
    }

    fn ask(&self, peer: usize, ask: &Ask) -> Result<Vec<u8>, String> {
        let (_, key) = self.keys.get(peer).ok_or("there is no such peer")?;
        if let Some(asker) = self.voting.asker() {
            return asker(key, ask);
        }
        for _ in 0..TRIES {
            let number = self.voting.answers.expect(*key);
            let message = PeerMessage::Ask { number, ask: *ask }.encode_to_vec();
            self.voting.messenger.send(Some(*key), message);
            if let Some(answer) = self.voting.answers.wait(number, ANSWER_WAIT) {
                return answer;
            }
        }
        Err("it does not answer".to_owned())
    }
}

/// The server of a follower.
struct Upstream<'a>(&'a Followed);

impl Peers for Upstream<'_> {
    fn names(&self) -> Vec<String> {
        vec![self.0.server.name()]
    }

    fn ask(&self, _: usize, ask: &Ask) -> Result<Vec<u8>, String> {
        self.0.server.piece(ask)
    }
}

/// An answer: a piece, or why there is none.
type Answer = Result<Vec<u8>, String>;

/// Answers that are waited for.
#[derive(Default)]
pub(crate) struct Answers {
    waited: Mutex<Waited>,
    changed: Condvar,
}

#[derive(Default)]
struct Waited {
    last: u64,
    open: HashMap<u64, (PublicKey, Option<Answer>)>,
    stopping: bool,
}

impl Answers {
    /// A number for a question to one peer.
    pub(crate) fn expect(&self, from: PublicKey) -> u64 {
        let mut waited = self.waited.lock();
        waited.last += 1;
        let number = waited.last;
        waited.open.insert(number, (from, None));
        number
    }

    /// Takes an answer; one that nobody waits for, or of another, is dropped.
    pub(crate) fn take(&self, from: PublicKey, number: u64, answer: Answer) {
        let mut waited = self.waited.lock();
        if let Some((expected, slot)) = waited.open.get_mut(&number)
            && *expected == from
        {
            *slot = Some(answer);
            self.changed.notify_all();
        }
    }

    /// Waits for an answer; none when it does not come.
    pub(crate) fn wait(&self, number: u64, limit: Duration) -> Option<Answer> {
        let end = Instant::now() + limit;
        let mut waited = self.waited.lock();
        loop {
            let came = waited
                .open
                .get(&number)
                .is_none_or(|(_, one)| one.is_some());
            if came || waited.stopping || Instant::now() >= end {
                return waited.open.remove(&number).and_then(|(_, answer)| answer);
            }
            self.changed.wait_until(&mut waited, end);
        }
    }

    pub(crate) fn stop(&self) {
        self.waited.lock().stopping = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_asked_answers_and_only_once() {
        let answers = Answers::default();
        let (one, other) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let number = answers.expect(one);
        answers.take(other, number, Ok(vec![9]));
        answers.take(one, number + 1, Ok(vec![9]));
        assert_eq!(answers.wait(number, Duration::from_millis(5)), None);
        // Too late: nobody waits any more.
        answers.take(one, number, Ok(vec![1]));
        assert!(answers.waited.lock().open.is_empty());
        let number = answers.expect(one);
        answers.take(one, number, Ok(vec![1]));
        assert_eq!(
            answers.wait(number, Duration::from_secs(5)),
            Some(Ok(vec![1]))
        );
    }
}
