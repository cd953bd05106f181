//! The server's side of a SCRAM exchange (RFC 5802).

use pgwire::api::auth::sasl::scram::{ScramServerAuth, ScramServerAuthWaitingForClientFinal};
use pgwire::error::PgWireError;

use super::{Tls, Verifier};

const PLAIN: &str = "SCRAM-SHA-256";
const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// An exchange that has not begun.
pub(crate) struct Exchange {
    server: ScramServerAuth,
    verifier: Verifier,
    /// Without it the exchange fails in the end, whatever the client proves.
    can_succeed: bool,
}

/// An exchange that waits for the client's proof.
pub(crate) struct Challenged {
    waiting: ScramServerAuthWaitingForClientFinal,
    can_succeed: bool,
}

/// Why an exchange fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExchangeError {
    /// The client's message is none of this exchange.
    Malformed(String),
    /// The proof is not that of the password.
    Wrong,
}

impl Exchange {
    /// An exchange about a verifier; with `tls` on an encrypted connection.
    pub(crate) fn new(verifier: Verifier, can_succeed: bool, tls: Option<&Tls>) -> Self {
        Self {
            server: tls.map_or_else(ScramServerAuth::new, |tls| tls.scram().clone()),
            verifier,
            can_succeed,
        }
    }

    /// Mechanisms to offer, the better one first.
    pub(crate) fn mechanisms(&self) -> Vec<String> {
        let all: &[&str] = if self.server.supports_channel_binding() {
            &[PLUS, PLAIN]
        } else {
            &[PLAIN]
        };
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Takes the client's first message; gives the challenge.
    pub(crate) fn challenge(
        self,
        mechanism: &str,
        message: &[u8],
    ) -> Result<(String, Challenged), ExchangeError> {
        if !self.mechanisms().iter().any(|name| name == mechanism) {
            return Err(ExchangeError::Malformed(
                "client selected an invalid SASL authentication mechanism".to_owned(),
            ));
        }
        // Binding is what tells the two mechanisms apart.
        if (mechanism == PLUS) != message.starts_with(b"p=") {
            return Err(ExchangeError::Malformed(
                "malformed SCRAM message: channel binding does not fit the mechanism".to_owned(),
            ));
        }
        let (challenge, waiting) = self
            .server
            .on_client_first_message_with_secret(message, self.verifier.secret())
            .map_err(malformed)?;
        let can_succeed = self.can_succeed;
        Ok((
            challenge,
            Challenged {
                waiting,
                can_succeed,
            },
        ))
    }
}

impl Challenged {
    /// Takes the client's proof; gives the server's.
    pub(crate) fn prove(&self, message: &[u8]) -> Result<String, ExchangeError> {
        match self.waiting.on_client_final_message(message) {
            Ok(proof) if self.can_succeed => Ok(proof),
            Ok(_) | Err(PgWireError::InvalidPassword(_)) => Err(ExchangeError::Wrong),
            Err(error) => Err(malformed(error)),
        }
    }
}

/// What the library says may repeat what the client sent, which is not for a log.
fn malformed(error: PgWireError) -> ExchangeError {
    let reason = match error {
        PgWireError::InvalidScramMessage(reason) if reason.starts_with("Channel binding") => {
            format!(": {reason}")
        }
        _ => String::new(),
    };
    ExchangeError::Malformed(format!("malformed SCRAM message{reason}"))
}
