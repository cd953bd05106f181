//! Why something is not done with a replica.

use stele_flow::{FileError, SinkError, SpawnError};
use thiserror::Error;

use crate::audit::AuditFailure;

/// Why something was not done with a replica.
#[derive(Debug, Error)]
pub enum ReplicaError {
    /// There is none of that name.
    #[error("there is no replica {name:?}; {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// There is one of that name.
    #[error("there is a replica {0:?} already: remove it, or choose another name")]
    Taken(String),
    /// It stands in the configuration file.
    #[error(
        "replica {0:?} stands in the configuration file: change it there and start the node again"
    )]
    Configured(String),
    /// The specification is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The sink does not take it.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The data directory cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No task can be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The comparison could not be made.
    #[error(transparent)]
    Audit(#[from] AuditFailure),
}
