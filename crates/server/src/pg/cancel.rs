//! Process ids and secrets of sessions, which a cancel request names.
//!
//! A request with the right secret stops the read or preview its session has under way, with 57014. A
//! write that was handed in is not stopped: it takes effect or fails by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use stele_flow::Random;
use stele_flow::real::SystemRandom;
use stele_sql::engine::Cancel;

/// The sessions there are. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Cancels {
    sessions: Arc<Mutex<BTreeMap<i32, (i32, Cancel)>>>,
}

/// A session's entry; dropping it removes it.
pub(crate) struct Registration {
    cancels: Cancels,
    /// Process id.
    pub(crate) pid: i32,
    /// Secret.
    pub(crate) secret: i32,
    /// Set by a request.
    pub(crate) cancel: Cancel,
}

impl Cancels {
    /// Enters a session under a free process id.
    pub(crate) fn register(&self) -> Registration {
        let mut sessions = self.sessions.lock();
        let mut pid = sessions
            .last_key_value()
            .map_or(1, |(last, _)| last.wrapping_add(1).max(1));
        while sessions.contains_key(&pid) {
            pid = pid.wrapping_add(1).max(1);
        }
        let secret = SystemRandom.next_u64() as i32;
        let cancel = Cancel::default();
        sessions.insert(pid, (secret, cancel.clone()));
        drop(sessions);
        Registration {
            cancels: self.clone(),
            pid,
            secret,
            cancel,
        }
    }

    /// Stops what the session does, if that is its secret; whether it was.
    pub(crate) fn request(&self, pid: i32, secret: &[u8]) -> bool {
        let sessions = self.sessions.lock();
        match sessions.get(&pid) {
            Some((known, cancel)) if known.to_be_bytes() == secret => {
                cancel.request();
                true
            }
            _ => false,
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.cancels.sessions.lock().remove(&self.pid);
    }
}
