//! The ordering engine behind one narrow facade.
//!
//! The node hands in an [`Application`] and gets an [`OrderHandle`]; which engine orders is the
//! configuration's choice and nobody else's business. [`solo`] orders alone, without a network; [`bft`] with other validators;
//! [`follow`] takes what others have ordered.
//! Nothing here knows what a transaction means: a block is its header, its hash and its bytes.

pub mod application;
pub mod bft;
pub mod follow;
pub mod handle;
pub mod solo;

pub use application::{
    Application, Conflict, DeliverError, Due, Link, OrderedBlock, Verdict, Voter,
};
pub use follow::{Follow, Upstream};
pub use handle::{OrderError, OrderHandle};
