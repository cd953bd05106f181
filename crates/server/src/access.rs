//! Who may use the listeners, for PostgreSQL clients and HTTP alike.
//!
//! - **User**: the name of a key in the node's key store. A *password* of his is kept as a SCRAM
//!   verifier beside the key, never as itself.
//! - **Local**: a connection from a loopback address, unless the listener's configuration says that
//!   these authenticate too. A local user without a password is trusted; one with a password must
//!   give it.
//! - **From elsewhere** a connection is encrypted by TLS, and its user proves to be who he says, by his
//!   password or by a client certificate that names him. An unknown user, one without a password and a
//!   wrong password look the same. Tries are bounded (in `attempts`).

mod attempts;
mod config;
mod exchange;
mod peer;
mod stream;
mod tls;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stele_flow::Random as _;
use stele_flow::real::SystemRandom;
use stele_node::keys::{LocalKey, OPERATOR};
use stele_node::{KeyStore, NodeError};

pub use config::AccessConfig;
pub use tls::{Tls, TlsError};
pub use verifier::{PASSWORD_LEN_MAX, PasswordError, Verifier};

pub(crate) use attempts::Attempts;
pub(crate) use exchange::{Exchange, ExchangeError};
pub(crate) use peer::Peer;
pub(crate) use stream::Stream;

/// Pause before a failed try is answered.
pub(crate) const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// Domain of the salts that are shown for users without a password.
const MOCK_SALT_DOMAIN: &[u8] = b"stele salt of a user without a password\0";

/// Decides who is let in.
#[derive(Clone)]
pub(crate) struct Access {
    keys: KeyStore,
    config: AccessConfig,
    attempts: Arc<Attempts>,
}

/// What a user has to do.
pub(crate) enum Demand {
    /// Nothing: he is who he says.
    Nothing(Arc<LocalKey>),
    /// Give the password of this verifier. Without a key he fails whatever he gives.
    Password(Option<Arc<LocalKey>>, Box<Verifier>),
}

/// Why a user is not even asked.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// From elsewhere without TLS.
    TlsRequired,
    /// A local connection names a user that is not there.
    Unknown(NodeError),
    /// Too many tries of late.
    TooManyTries,
    /// The key store cannot be read.
    Store(NodeError),
}

impl Access {
    pub(crate) fn new(keys: KeyStore, config: AccessConfig) -> Self {
        Self {
            keys,
            config,
            attempts: Arc::default(),
        }
    }

    /// How connections are encrypted, if they can be.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.config.tls.as_ref()
    }

    /// Whether the peer's users without a password are trusted.
    pub(crate) fn is_local(&self, peer: &Peer) -> bool {
        self.config.trust_loopback && peer.is_loopback()
    }

    /// What `user` has to do on a connection from `peer`. Reads files.
    pub(crate) fn demand(&self, peer: &Peer, user: &str) -> Result<Demand, Refusal> {
        if !peer.is_loopback() && !peer.tls {
            return Err(Refusal::TlsRequired);
        }
        let local = self.is_local(peer);
        let key = match self.keys.find(user) {
            Ok(key) => key,
            Err(error @ NodeError::NotFound { .. }) if local => {
                return Err(Refusal::Unknown(error));
            }
            Err(NodeError::NotFound { .. }) => {
                return Ok(Demand::Password(None, Box::new(self.mock(user))));
            }
            Err(error) => return Err(Refusal::Store(error)),
        };
        if peer.names.iter().any(|name| name == user) {
            return Ok(Demand::Nothing(key));
        }
        match self.verifier(user).map_err(Refusal::Store)? {
            Some(verifier) => Ok(Demand::Password(Some(key), Box::new(verifier))),
            None if local => Ok(Demand::Nothing(key)),
            None => Ok(Demand::Password(None, Box::new(self.mock(user)))),
        }
    }

    /// Counts a try to give a password; it must be allowed before the password is looked at.
    pub(crate) fn begin_try(&self, peer: &Peer, user: &str) -> Result<(), Refusal> {
        if self.attempts.begin(peer.address, user) {
            Ok(())
        } else {
            tracing::warn!(user, address = %peer.address, "too many failed tries");
            Err(Refusal::TooManyTries)
        }
    }

    /// A try that was counted has succeeded.
    pub(crate) fn succeeded(&self, peer: &Peer, user: &str) {
        self.attempts.forget(peer.address, user);
    }

    /// The first name of a client certificate that is a user.
    pub(crate) fn named_by_certificate(&self, peer: &Peer) -> Option<Arc<LocalKey>> {
        peer.names.iter().find_map(|name| self.keys.find(name).ok())
    }

    /// Whether a user has a password.
    pub(crate) fn has_password(&self, user: &str) -> Result<bool, NodeError> {
        Ok(self.verifier(user)?.is_some())
    }

    fn verifier(&self, user: &str) -> Result<Option<Verifier>, NodeError> {
        let Some(text) = self.keys.password_verifier(user)? else {
            return Ok(None);
        };
        Verifier::parse(&text).map(Some).ok_or_else(|| {
            NodeError::Storage(format!(
                "the password file of user {user:?} is damaged: set it anew with `stele keys password {user}`"
            ))
        })
    }

    /// A verifier that no password fits, with the same salt each time as a real one has.
    fn mock(&self, user: &str) -> Verifier {
        let mut secret = [0; 64];
        match self.keys.get(OPERATOR) {
            Some(operator) => {
                let message = [MOCK_SALT_DOMAIN, user.as_bytes()].concat();
                secret = operator.secret().sign(&message).0;
            }
            None => SystemRandom.fill(&mut secret),
        }
        let digest: [u8; 32] = Sha256::digest(secret).into();
        Verifier::unfitting(&digest, &SystemRandom)
    }
}

#[cfg(test)]
mod tests;
