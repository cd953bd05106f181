//! Replicas: sinks that mirror tables of the source.
//!
//! Each replica is one task. It opens its sink, learns there how far it got, fills tables that are not full yet
//! from the source's state, and follows the source's blocks. Whatever goes wrong is told in its status, and tried again
//! with growing pauses: nothing is half applied, and it goes on when the cause is gone.

mod claim;
mod error;
mod job;
mod last_audit;
mod registry;
mod schedule;
mod spec;
mod status;
mod task;

pub use error::ReplicaError;
pub use last_audit::LastAudit;
pub use registry::{ReplicaView, Replicas, SinkMaker, Workshop};
pub use spec::{ReplicaSpec, check_name};
pub use status::{Phase, ReplicaStatus, Trouble};
