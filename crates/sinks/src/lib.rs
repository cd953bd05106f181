//! Where row changes go: SQLite files, PostgreSQL, MySQL and MariaDB.
//!
//! Each is a [`stele_flow::Mirror`]: it applies a batch and its cursor in one transaction, and its rows can be
//! read back exactly. What stands beside the mirrored tables (`stele_cursor`, `stele_tables`) is the sink's own
//! memory of how far it has got; `docs/replicas.md` describes it. Mirrors carry the primary key and no other
//! constraint.
//!
//! [`open`] makes a sink of a [`Target`] without connecting yet.

mod alteration;
mod memory;
pub mod mysql;
mod naming;
pub mod postgres;
pub mod sqlite;
pub mod target;
mod tls;

use stele_flow::Mirror;

pub use naming::Naming;
pub use target::{Password, Server, Target, TargetError};

/// The sink of a target. Connects when it is opened.
#[must_use]
pub fn open(target: &Target, password: Option<Password>, naming: Naming) -> Box<dyn Mirror> {
    match target {
        Target::Sqlite(path) => Box::new(sqlite::SqliteSink::new(path.clone(), naming)),
        Target::Postgres(server) => Box::new(postgres::PostgresSink::new(
            server.clone(),
            password,
            naming,
        )),
        Target::MySql(server) => Box::new(mysql::MySqlSink::new(server.clone(), password, naming)),
    }
}
