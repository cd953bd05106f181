//! Validators that vote for two things at once are reported to the node.

use std::sync::Arc;

use commonware_actor::Feedback;
use commonware_codec::Encode as _;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::{Activity, Attributable as _};
use commonware_consensus::{Reporter, Viewable as _};
use commonware_cryptography::certificate::Scheme as _;
use commonware_cryptography::sha256::Digest;
use commonware_parallel::Sequential;
use commonware_utils::ordered::Quorum as _;
use parking_lot::Mutex;
use rand_core::CryptoRng;

use super::automaton::plain_key;
use crate::application::{Conflict, Voter};

/// Takes what the engine noticed of votes.
pub(super) struct Conflicts<E> {
    pub(super) scheme: Scheme,
    pub(super) random: Arc<Mutex<E>>,
    pub(super) voter: Arc<dyn Voter>,
}

impl<E> Clone for Conflicts<E> {
    fn clone(&self) -> Self {
        Self {
            scheme: self.scheme.clone(),
            random: self.random.clone(),
            voter: self.voter.clone(),
        }
    }
}

impl<E: CryptoRng + Send + 'static> Reporter for Conflicts<E> {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        let (what, signer) = match &activity {
            Activity::ConflictingNotarize(two) => ("two votes for one view", two.signer()),
            Activity::ConflictingFinalize(two) => ("two final votes for one view", two.signer()),
            Activity::NullifyFinalize(two) => (
                "a vote to skip a view and a final vote for it",
                two.signer(),
            ),
            _ => return Feedback::Ok,
        };
        // The engine may report what nobody has checked.
        if !activity.verify(&mut *self.random.lock(), &self.scheme, &Sequential) {
            return Feedback::Ok;
        }
        let validator = self.scheme.participants().key(signer).and_then(plain_key);
        if let Some(validator) = validator {
            self.voter.conflict(Conflict {
                validator,
                view: activity.view().get(),
                what,
                votes: activity.encode().as_ref().to_vec(),
            });
        }
        Feedback::Ok
    }
}
