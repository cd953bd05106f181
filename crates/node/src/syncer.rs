//! Makes appended blocks durable on a thread of its own, while the executor works on them.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use stele_flow::{Join, Runtime};

use crate::error::NodeError;

/// What is to be done by the thread.
type Task = Box<dyn FnOnce() -> Result<(), String> + Send>;

#[derive(Default)]
struct State {
    task: Option<Task>,
    outcome: Option<Result<(), String>>,
    stopping: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// One task at a time, run beside the caller.
pub(crate) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<Box<dyn Join>>,
}

impl Syncer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the machine gives none.
    pub(crate) fn start(runtime: &Runtime) -> Result<Self, NodeError> {
        let shared = Arc::new(Shared::default());
        let works_on = shared.clone();
        let thread = runtime
            .spawner
            .spawn("stele-sync", Box::new(move || run(&works_on)))
            .map_err(|error| NodeError::Storage(error.to_string()))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Hands a task over. [`Self::wait`] must come before the next.
    pub(crate) fn begin(&self, task: Task) {
        let mut state = self.shared.state.lock();
        state.outcome = None;
        state.task = Some(task);
        self.shared.changed.notify_all();
    }

    /// Waits for the task handed over last.
    ///
    /// # Errors
    /// What the task failed with.
    pub(crate) fn wait(&self) -> Result<(), String> {
        let mut state = self.shared.state.lock();
        loop {
            if let Some(outcome) = state.outcome.take() {
                return outcome;
            }
            if state.stopping {
                return Err("the node is stopping".to_owned());
            }
            self.shared.changed.wait(&mut state);
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.state.lock().stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && let Err(panicked) = thread.join()
        {
            tracing::error!(%panicked, "the sync thread ended by a panic");
        }
    }
}

fn run(shared: &Shared) {
    loop {
        let task = {
            let mut state = shared.state.lock();
            loop {
                if let Some(task) = state.task.take() {
                    break task;
                }
                if state.stopping {
                    return;
                }
                shared.changed.wait(&mut state);
            }
        };
        let outcome = task();
        shared.state.lock().outcome = Some(outcome);
        shared.changed.notify_all();
    }
}
