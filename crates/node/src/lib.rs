//! The node: takes signed transactions, has them ordered, executes blocks, keeps them and proves
//! what is in them.
//!
//! [`Node`] is the one handle the servers and the command use. Nothing here knows a client
//! protocol; clock, files, threads and randomness come through [`stele_flow::Runtime`].

pub mod config;
pub mod error;
pub mod keys;
pub mod node;
pub mod receipt;
pub mod status;

pub use config::{BlockPolicy, MempoolConfig, NodeConfig};
pub use error::NodeError;
pub use keys::KeyStore;
pub use node::Node;
pub use receipt::{Answer, Pending, Receipt, Record};
pub use status::{AuditReport, Status, StoreStatus};
