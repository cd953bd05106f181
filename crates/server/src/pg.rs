//! The PostgreSQL wire server.
//!
//! [`serve`] speaks protocol 3.0, simple and extended, text and binary, so that psql and any
//! PostgreSQL driver can use a node as a database.
//!
//! - **User.** The user name is the name of a key in the node's key store, which signs the user's
//!   writes. Connections are trusted: whoever reaches the port can be any of these users. That is
//!   why only loopback addresses are served. The database name may be anything.
//! - **Transaction.** The statements between two Syncs are one transaction, as are those of one
//!   simple-query message, unless BEGIN opens a longer one. A write is answered when its block is
//!   durable; in a transaction opened with BEGIN, statements are answered from a preview and
//!   COMMIT waits for the block.
//! - **Time.** `now()` is the time the transaction was opened. The ledger takes a transaction only
//!   within 30 s of its own time, so one that stayed open longer is submitted with the time of its
//!   COMMIT instead.
//! - **Settings.** Sessions are UTF-8, ISO dates, UTC. See `SHOW ALL`.
//!
//! Whatever bytes a client sends, it gets an error or loses its connection, and others notice nothing.

mod cancel;
mod codec;
mod command;
mod config;
mod connection;
mod copy;
mod error;
mod kept;
mod listener;
mod message;
mod numeric;
mod reply;
mod scanner;
mod session;
mod settings;
mod startup;
mod system_value;
mod transaction;
mod unsent;
mod wire_type;

pub use config::PgConfig;
pub use error::ServeError;
pub use listener::serve;
