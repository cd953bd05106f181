//! Jobs that carry row changes from a source to a sink, and compare the two.
//!
//! A **replica** is a sink that mirrors tables of a source: [`replica::Replicas`] keeps those of a node, each a
//! task of its own that fills its tables from the source's state and then follows its blocks. An **audit**
//! ([`audit`]) reads a mirror's rows back, computes each table's root from them alone and compares it with the
//! certified one. Nothing here knows which source or sink it works with.

pub mod audit;
mod fill;
mod follower;
pub mod replica;
pub mod restore;
pub mod selection;

pub use audit::{
    AuditFailure, AuditProgress, AuditReport, AuditRequest, RowDifference, TableReport,
};
pub use replica::{
    Phase, ReplicaError, ReplicaSpec, ReplicaStatus, ReplicaView, Replicas, SinkMaker, Workshop,
};
pub use restore::{RestoreFailure, RestoreProgress, RestoreRequest, Restored, RestoredTable};
pub use selection::Selection;
