//! Background tasks.

use thiserror::Error;

/// Starts tasks that run beside the caller.
pub trait Spawner: Send + Sync {
    /// Starts `task` under `name`, which shows in debuggers and panic messages.
    ///
    /// # Errors
    /// When the machine gives no thread.
    fn spawn(
        &self,
        name: &str,
        task: Box<dyn FnOnce() + Send>,
    ) -> Result<Box<dyn Join>, SpawnError>;
}

/// A task that was started. Dropping it leaves the task running.
pub trait Join: Send {
    /// Waits for the task's end.
    ///
    /// # Errors
    /// When the task panicked.
    fn join(self: Box<Self>) -> Result<(), TaskPanicked>;

    /// Whether the task has ended.
    fn is_finished(&self) -> bool;
}

/// The machine gave no thread.
#[derive(Debug, Error)]
#[error("cannot start the task {name}: {source}; raise the limit of threads (ulimit -u) or memory")]
pub struct SpawnError {
    /// The task's name.
    pub name: String,
    /// Why.
    pub source: std::io::Error,
}

/// A task ended by a panic: a defect of this program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the task {name} panicked: {message}")]
pub struct TaskPanicked {
    /// The task's name.
    pub name: String,
    /// What the panic said.
    pub message: String,
}

impl TaskPanicked {
    /// Builds the error from what a thread's join gave.
    #[must_use]
    pub fn new(name: String, payload: &(dyn std::any::Any + Send)) -> Self {
        let message = payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "no message".to_owned());
        Self { name, message }
    }
}
