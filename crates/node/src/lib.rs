//! The node: takes signed transactions, has them ordered, executes blocks, keeps them and proves
//! what is in them.
//!
//! [`Node`] is the one handle the servers and the command use. Nothing here knows a client
//! protocol; clock, files, threads and randomness come through [`stele_flow::Runtime`].

mod apply;
mod audit;
pub mod blocks;
mod care;
mod changes;
mod checker;
pub mod config;
pub mod directory;
pub mod driven;
mod endorse;
pub mod error;
mod evidence;
mod expected;
pub mod followed;
pub mod keys;
mod ledger_log;
mod line;
mod mempool;
pub mod node;
mod offline;
mod open_transaction;
mod past;
mod peers;
mod pieces;
mod proofs;
mod propose;
mod reads;
mod rebuild;
pub mod receipt;
mod recent;
mod record;
mod recover;
mod repair;
mod snapshot;
pub mod status;
mod stored;
mod syncer;
mod tip;
mod users;
mod voting;

pub use audit::{Offline, verify_directory};
pub use blocks::{BlockLocation, StoredBlock};
pub use care::{Receiving, StoreEvent};
pub use changes::LedgerSource;
pub use config::{BlockPolicy, ClusterConfig, MempoolConfig, NodeConfig};
pub use directory::Directory;
pub use error::NodeError;
pub use evidence::Evidence;
pub use followed::Server;
pub use keys::KeyStore;
pub use node::Node;
pub use offline::OfflineLedger;
pub use open_transaction::{OpenTransaction, Seen};
pub use receipt::{Answer, Pending, Receipt, Record};
pub use snapshot::SnapshotWritten;
pub use status::{AuditReport, Finding, Status, StoreStatus};
