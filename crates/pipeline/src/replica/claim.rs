//! Who adds, changes or removes which replica: one at a time each, so a target that does not answer holds up its own only.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// The replicas that are being added, changed or removed.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Names, and the target of one that is being added.
    taken: Mutex<BTreeMap<String, Option<String>>>,
    given_back: Condvar,
}

/// The right to change one replica, until it is dropped.
pub(super) struct Claim {
    claims: Arc<Claims>,
    name: String,
}

impl Claims {
    /// Waits for the right to change a replica; `target` is that of one to be added.
    pub(super) fn claim(self: &Arc<Self>, name: &str, target: Option<&str>) -> Claim {
        let mut taken = self.taken.lock();
        while taken.contains_key(name) {
            self.given_back.wait(&mut taken);
        }
        taken.insert(name.to_owned(), target.map(str::to_owned));
        Claim {
            claims: self.clone(),
            name: name.to_owned(),
        }
    }

    /// Another that is being added with that target.
    pub(super) fn other_at(&self, name: &str, target: &str) -> Option<String> {
        let taken = self.taken.lock();
        let mut others = taken.iter().filter(|(other, _)| *other != name);
        let found = others.find(|(_, one)| one.as_deref() == Some(target));
        found.map(|(other, _)| other.clone())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.taken.lock().remove(&self.name);
        self.claims.given_back.notify_all();
    }
}
