//! The part of Stele that everything else, and every verifier, must agree on.
//!
//! Types, the canonical codec, crypto suites, the transparency log, the state tree, checkpoints,
//! proofs, schemas and the row encoding. Nothing here does I/O, reads a clock, draws randomness or
//! knows a database: the same bytes in give the same answer on every machine, for ever.
//!
//! `docs/formats.md` describes each layout byte by byte; `tests/fixtures` freezes them.

pub mod account;
pub mod block;
pub mod certified;
pub mod codec;
pub mod crypto;
pub mod datetime;
mod decimal;
pub mod genesis;
pub mod hash;
pub mod key;
pub mod leaf;
pub mod log;
pub mod note;
pub mod numeric;
pub mod outcome;
pub mod peer;
pub mod proof;
pub mod row;
pub mod schema;
pub mod transaction;
pub mod tree;
pub mod trust;
pub mod validators;
pub mod value;

pub use account::AccountId;
pub use codec::{Decode, DecodeError, Encode};
pub use hash::{Domain, Hash, Suite};
pub use numeric::Numeric;
pub use value::{Type, Value};
