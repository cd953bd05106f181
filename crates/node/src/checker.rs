//! The self-check that runs by itself: once after the start, then at an interval, slowly enough not
//! to be felt.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use stele_flow::Join;

use crate::error::NodeError;
use crate::node::Inner;

/// The running schedule.
pub(crate) struct Checker {
    stopping: Arc<Stopping>,
    thread: Mutex<Option<Box<dyn Join>>>,
}

#[derive(Default)]
struct Stopping {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Checker {
    /// Starts the schedule; an interval of 0 means none.
    pub(crate) fn start(inner: &Arc<Inner>) -> Result<Self, NodeError> {
        let stopping = Arc::new(Stopping::default());
        let interval = Duration::from_secs(inner.config.self_check_interval_s);
        let thread = if interval.is_zero() {
            None
        } else {
            let (inner, stopping) = (inner.clone(), stopping.clone());
            let spawner = inner.runtime.spawner.clone();
            let task = move || run(&inner, &stopping, interval);
            let spawned = spawner.spawn("stele-check", Box::new(task));
            Some(spawned.map_err(|error| NodeError::Storage(error.to_string()))?)
        };
        Ok(Self {
            stopping,
            thread: Mutex::new(thread),
        })
    }

    /// Ends the schedule and waits for a check under way to notice. Idempotent.
    pub(crate) fn stop(&self) {
        *self.stopping.is_set.lock() = true;
        self.stopping.changed.notify_all();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && let Err(panicked) = thread.join()
        {
            tracing::error!(%panicked, "the self-check ended by a panic");
        }
    }
}

fn run(inner: &Inner, stopping: &Stopping, interval: Duration) {
    loop {
        let keep_on = |_, _| !*stopping.is_set.lock();
        let rate = inner.config.self_check_mib_per_s;
        match inner.checked(1..=u64::MAX, true, rate, &keep_on) {
            Ok(_) | Err(NodeError::Stopping) => {}
            Err(error) => tracing::error!(%error, "the self-check could not be finished"),
        }
        let mut is_set = stopping.is_set.lock();
        if !*is_set {
            stopping.changed.wait_for(&mut is_set, interval);
        }
        if *is_set {
            return;
        }
    }
}
