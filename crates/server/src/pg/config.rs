//! Settings of the PostgreSQL server.

use std::time::Duration;

use stele_pipeline::Replicas;

use crate::access::AccessConfig;

/// Settings of the PostgreSQL server: who is let in, and bounds.
#[derive(Clone, Debug)]
pub struct PgConfig {
    /// How clients are let in.
    pub access: AccessConfig,
    /// Connections at the same time; more are refused with 53300.
    pub connections_max: usize,
    /// Longest message of a client, in bytes; a longer one ends its connection.
    pub message_len_max: usize,
    /// Time a client has to start its session.
    pub startup_timeout: Duration,
    /// Time without progress inside a message, or without the client reading its replies, after
    /// which a connection is closed.
    pub stall_timeout: Duration,
    /// Longest wait for a write to be applied; the client is then told that nobody knows yet (08007).
    pub write_wait: Duration,
    /// Time a transaction may stay open without a statement (25P03).
    pub idle_transaction_timeout: Duration,
    /// Statements of one transaction.
    pub transaction_statements_max: usize,
    /// Steps of one transaction that are answered before COMMIT; each runs all statements so far
    /// again. A batch of statements is one step.
    pub transaction_steps_max: usize,
    /// Prepared statements of one connection.
    pub prepared_statements_max: usize,
    /// Portals of one connection.
    pub portals_max: usize,
    /// Time open connections have to finish what they do when the server stops.
    pub stop_timeout: Duration,
    /// The node's replicas, which sessions can wait for.
    pub replicas: Option<Replicas>,
}

impl Default for PgConfig {
    fn default() -> Self {
        Self {
            access: AccessConfig::default(),
            connections_max: 256,
            message_len_max: 16 * 1024 * 1024 + 64 * 1024,
            startup_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(60),
            write_wait: Duration::from_secs(60),
            idle_transaction_timeout: Duration::from_secs(5 * 60),
            transaction_statements_max: 10_000,
            transaction_steps_max: 1_000,
            prepared_statements_max: 10_000,
            portals_max: 1_000,
            stop_timeout: Duration::from_secs(10),
            replicas: None,
        }
    }
}
