//! Tasks as threads.

use std::thread::JoinHandle;

use crate::spawner::{Join, SpawnError, Spawner, TaskPanicked};

/// Starts each task in a thread of its own.
#[derive(Clone, Copy, Debug)]
pub struct ThreadSpawner;

impl Spawner for ThreadSpawner {
    fn spawn(
        &self,
        name: &str,
        task: Box<dyn FnOnce() + Send>,
    ) -> Result<Box<dyn Join>, SpawnError> {
        let name = name.to_owned();
        let spawned = std::thread::Builder::new().name(name.clone()).spawn(task);
        match spawned {
            Ok(handle) => Ok(Box::new(Thread { name, handle })),
            Err(source) => Err(SpawnError { name, source }),
        }
    }
}

struct Thread {
    name: String,
    handle: JoinHandle<()>,
}

impl Join for Thread {
    fn join(self: Box<Self>) -> Result<(), TaskPanicked> {
        let Self { name, handle } = *self;
        handle
            .join()
            .map_err(|payload| TaskPanicked::new(name, payload.as_ref()))
    }

    fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}
