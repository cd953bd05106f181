//! What a listener is told about access.

use super::Tls;

/// How clients of a listener are let in.
#[derive(Clone, Debug)]
pub struct AccessConfig {
    /// Encryption; without it only loopback addresses are served.
    pub tls: Option<Tls>,
    /// Whether users without a password are trusted on connections from loopback addresses.
    pub trust_loopback: bool,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            tls: None,
            trust_loopback: true,
        }
    }
}
