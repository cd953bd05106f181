//! The other end of a connection.

use std::net::{IpAddr, Ipv4Addr};

/// What is known of a client before it says anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: IpAddr,
    /// Whether the connection is encrypted.
    pub(crate) tls: bool,
    /// Names in its verified certificate: the subject's common name, then DNS names.
    pub(crate) names: Vec<String>,
}

impl Peer {
    /// A peer of which only the address is known yet.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            tls: false,
            names: Vec::new(),
        }
    }

    /// Something in this process.
    pub(crate) fn own_process() -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into())
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.address.is_loopback()
    }
}
