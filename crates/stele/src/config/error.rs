//! What can be wrong with a configuration.

use std::net::SocketAddr;

/// Names the place, the setting and what to write instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{place}: not TOML: {reason}")]
    Syntax { place: String, reason: String },
    #[error("{place}: there is no section [{name}]; {nearest}")]
    Section {
        place: String,
        name: String,
        nearest: String,
    },
    #[error("{place}: [{section}] has no setting {name:?}; {nearest}")]
    Key {
        place: String,
        section: String,
        name: String,
        nearest: String,
    },
    #[error("{place}: {name:?} stands in no section; write it below [{section}]")]
    NoSection {
        place: String,
        name: String,
        section: String,
    },
    #[error("{place}: {name} is {found}, but must be {expected}")]
    Value {
        place: String,
        name: String,
        found: String,
        expected: String,
    },
    #[error("environment variable {name} sets nothing; {nearest}")]
    Variable { name: String, nearest: String },
    #[error(
        "{section}.listen = \"{address}\" can be reached by other machines, so it needs TLS: \
         set {section}.tls_certificate and {section}.tls_key, or listen on 127.0.0.1 or [::1] and reach it by `ssh -L`"
    )]
    NotEncrypted {
        section: &'static str,
        address: SocketAddr,
    },
    #[error(
        "cluster.peers: {peer:?} names no validator and its address: write \"one@127.0.0.1:7400\""
    )]
    Peer { peer: String },
    #[error("TLS of {section} is half set up: {section}.{missing} is missing")]
    HalfTls {
        section: &'static str,
        missing: &'static str,
    },
}
