//! How a client proves who it is: by SCRAM, or by what its connection tells already.

use std::sync::Arc;

use stele_node::NodeError;
use stele_node::keys::LocalKey;
use stele_sql::SqlError;

use super::{Connection, End};
use crate::access::{Access, Demand, Exchange, ExchangeError, FAILURE_PAUSE, Refusal};
use crate::pg::error::node_error;
use crate::pg::message::sasl::{SaslFirst, take};
use crate::pg::reply::Replies;
use crate::pg::session::blocking;

impl Connection {
    /// The key of the user, once he has proved to be him.
    pub(super) async fn authenticate(
        &mut self,
        access: &Access,
        user: &str,
    ) -> Result<Arc<LocalKey>, End> {
        let refused = |refusal| End::Told(refusal_error(user, refusal));
        let demand = blocking(|| access.demand(&self.peer, user)).map_err(refused)?;
        let (key, verifier) = match demand {
            Demand::Nothing(key) => return Ok(key),
            Demand::Password(key, verifier) => (key, verifier),
        };
        access.begin_try(&self.peer, user).map_err(refused)?;
        let tls = access.tls().filter(|_| self.peer.tls);
        let exchange = Exchange::new(*verifier, key.is_some(), tls);
        match (self.exchange(exchange).await, key) {
            (Ok(()), Some(key)) => {
                access.succeeded(&self.peer, user);
                Ok(key)
            }
            (Err(ExchangeEnd::Connection(end)), _) => Err(end),
            (Err(ExchangeEnd::Failed(ExchangeError::Malformed(reason))), _) => {
                Err(End::Told(SqlError::new("08P01", reason)))
            }
            (Ok(()), None) | (Err(ExchangeEnd::Failed(ExchangeError::Wrong)), _) => {
                tracing::warn!(user, address = %self.peer.address, "password authentication failed");
                tokio::time::sleep(FAILURE_PAUSE).await;
                Err(End::Told(wrong_password(user)))
            }
        }
    }

    async fn exchange(&mut self, exchange: Exchange) -> Result<(), ExchangeEnd> {
        let mut replies = Replies::default();
        replies.sasl(exchange.mechanisms());
        self.send(&mut replies).await?;
        let first = SaslFirst::read(self.password_message().await?)
            .map_err(|error| ExchangeEnd::Connection(End::Told(error)))?;
        let (challenge, challenged) = exchange.challenge(&first.mechanism, &first.data)?;
        replies.sasl_continue(challenge);
        self.send(&mut replies).await?;
        let proof = challenged.prove(&self.password_message().await?)?;
        replies.sasl_final(proof);
        self.send(&mut replies).await?;
        Ok(())
    }

    /// The body of the next password message.
    async fn password_message(&mut self) -> Result<bytes::Bytes, End> {
        loop {
            match take(&mut self.input).map_err(End::Told)? {
                Some(body) => return Ok(body),
                None => self.receive().await?,
            }
        }
    }
}

enum ExchangeEnd {
    Connection(End),
    Failed(ExchangeError),
}

impl From<End> for ExchangeEnd {
    fn from(end: End) -> Self {
        Self::Connection(end)
    }
}

impl From<ExchangeError> for ExchangeEnd {
    fn from(error: ExchangeError) -> Self {
        Self::Failed(error)
    }
}

fn wrong_password(user: &str) -> SqlError {
    SqlError::new(
        "28P01",
        format!("password authentication failed for user \"{user}\""),
    )
}

fn refusal_error(user: &str, refusal: Refusal) -> SqlError {
    match refusal {
        Refusal::TlsRequired => SqlError::new(
            "28000",
            "connections from other machines must be encrypted by TLS",
        )
        .hint("Connect with sslmode=require, or better verify-full."),
        Refusal::TooManyTries => SqlError::new(
            "28000",
            format!("too many failed tries to log in as \"{user}\" from this address"),
        )
        .hint("Wait a minute."),
        Refusal::Unknown(NodeError::NotFound { hint, .. }) => SqlError::new(
            "28000",
            format!("role {user:?} does not exist: the node's key store has no key of that name"),
        )
        .hint(hint),
        Refusal::Unknown(error) | Refusal::Store(error) => node_error(error),
    }
}
