//! Tasks run in place.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::spawner::{Join, SpawnError, Spawner, TaskPanicked};

/// Runs each task to its end inside `spawn`: one thread, one order. Tasks must not wait for what
/// their starter does afterwards.
#[derive(Clone, Copy, Debug)]
pub struct InlineSpawner;

impl Spawner for InlineSpawner {
    fn spawn(
        &self,
        name: &str,
        task: Box<dyn FnOnce() + Send>,
    ) -> Result<Box<dyn Join>, SpawnError> {
        let result = catch_unwind(AssertUnwindSafe(task))
            .map_err(|payload| TaskPanicked::new(name.to_owned(), payload.as_ref()));
        Ok(Box::new(Done(result)))
    }
}

struct Done(Result<(), TaskPanicked>);

impl Join for Done {
    fn join(self: Box<Self>) -> Result<(), TaskPanicked> {
        self.0
    }

    fn is_finished(&self) -> bool {
        true
    }
}
