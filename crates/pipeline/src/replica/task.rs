//! Tasks of replicas: asked to end, and waited for no longer than is good.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stele_flow::Join;

use super::job::Ending;

/// How often a wait looks.
const END_POLL: Duration = Duration::from_millis(2);

pub(super) struct Task {
    pub(super) ending: Arc<Ending>,
    pub(super) join: Box<dyn Join>,
}

impl Task {
    /// Ends it and waits for it, but not for a target that does not answer: it ends when that does, and another worker
    /// makes it stop by the cursor's epoch.
    pub(super) fn end(self, name: &str, wait: Duration) {
        self.ending.want();
        let begun = Instant::now();
        while !self.join.is_finished() {
            if begun.elapsed() > wait {
                tracing::warn!(
                    replica = name,
                    "its target does not answer; it ends when that does"
                );
                return;
            }
            std::thread::sleep(END_POLL);
        }
        if let Err(panicked) = self.join.join() {
            tracing::error!(replica = name, %panicked, "a task of replicas ended by a panic");
        }
    }
}
