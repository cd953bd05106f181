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
        "{name} = \"{address}\" can be reached by other machines, and the node signs for whoever connects: \
         set {name} to 127.0.0.1 or [::1], and reach it from elsewhere by `ssh -L` (TLS and authentication come in a later version)"
    )]
    NotLoopback {
        name: &'static str,
        address: SocketAddr,
    },
}
