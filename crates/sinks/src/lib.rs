//! Where row changes go: SQLite files, PostgreSQL, MySQL and MariaDB, or a program that speaks a protocol of lines.
//!
//! Each is a [`stele_flow::Mirror`]: it applies a batch and its cursor in one transaction, and its rows can be
//! read back exactly. What stands beside the mirrored tables (`stele_cursor`, `stele_tables`) is the sink's own
//! memory of how far it has got; `docs/replicas.md` describes it. Mirrors carry the primary key and no other
//! constraint.
//!
//! [`open`] makes a sink of a [`Target`] without connecting yet.

mod alteration;
pub mod foreign;
mod memory;
pub mod mysql;
mod naming;
pub mod plugin;
pub mod postgres;
mod readback;
pub mod sqlite;
pub mod target;
mod tls;

use stele_core::Type;
use stele_flow::Mirror;

pub use foreign::{Foreign, ForeignColumn, ForeignTable};
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
        Target::Plugin(command) => Box::new(plugin::PluginSink::new(command.clone(), naming)),
    }
}

/// A database as a place to read tables from that no ledger wrote; none of a program.
#[must_use]
pub fn open_foreign(target: &Target, password: Option<Password>) -> Option<Box<dyn Foreign>> {
    let naming = Naming::default();
    Some(match target {
        Target::Plugin(_) => return None,
        Target::Sqlite(path) => Box::new(sqlite::SqliteSink::foreign(path.clone())),
        Target::Postgres(server) => Box::new(postgres::PostgresSink::new(
            server.clone(),
            password,
            naming,
        )),
        Target::MySql(server) => Box::new(mysql::MySqlSink::foreign(server.clone(), password)),
    })
}

/// Adds a row to the data of a PostgreSQL COPY in text format.
pub fn put_copy_line(out: &mut Vec<u8>, types: &[Type], values: &[stele_core::Value]) {
    for (place, (ty, value)) in types.iter().zip(values).enumerate() {
        if place > 0 {
            out.push(b'\t');
        }
        postgres::put_copy(out, *ty, value);
    }
    out.push(b'\n');
}
