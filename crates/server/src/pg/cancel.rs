//! Process ids and secrets of sessions, which a cancel request names.
//!
//! Cancelling is not done yet: a request is looked up, logged and answered by closing its
//! connection, as the protocol wants in any case.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use stele_flow::Random;
use stele_flow::real::SystemRandom;

/// The sessions there are. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Cancels {
    secrets: Arc<Mutex<BTreeMap<i32, i32>>>,
}

/// A session's entry; dropping it removes it.
pub(crate) struct Registration {
    cancels: Cancels,
    /// Process id.
    pub(crate) pid: i32,
    /// Secret.
    pub(crate) secret: i32,
}

impl Cancels {
    /// Enters a session under a free process id.
    pub(crate) fn register(&self) -> Registration {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pid = secrets
            .last_key_value()
            .map_or(1, |(last, _)| last.wrapping_add(1).max(1));
        while secrets.contains_key(&pid) {
            pid = pid.wrapping_add(1).max(1);
        }
        let secret = SystemRandom.next_u64() as i32;
        secrets.insert(pid, secret);
        drop(secrets);
        Registration {
            cancels: self.clone(),
            pid,
            secret,
        }
    }

    /// Whether a session has that secret.
    pub(crate) fn is_known(&self, pid: i32, secret: &[u8]) -> bool {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets
            .get(&pid)
            .is_some_and(|known| known.to_be_bytes() == secret)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut secrets = self
            .cancels
            .secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        secrets.remove(&self.pid);
    }
}
