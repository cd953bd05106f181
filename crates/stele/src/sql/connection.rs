//! The connection to the node.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::login::{PASSWORD_VARIABLE, ask_password};

/// Longest wait for a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Longest wait for the answer of a statement that was cancelled.
const CANCEL_WAIT_MAX: Duration = Duration::from_secs(5);

/// Where the node is and as whom to speak.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// Given if the node asks for it.
    pub(super) password: Option<String>,
}

/// An open session, made again when the node went away in between.
pub(super) struct Connection {
    target: Target,
    runtime: Runtime,
    client: Client,
    /// What carries the connection's messages.
    carrier: JoinHandle<()>,
    /// Whether Ctrl-C cancels the statement instead of ending the program.
    cancels: bool,
}

impl Connection {
    /// Opens a session.
    ///
    /// A password that the node demands and nobody gave is asked for on a terminal.
    pub(super) fn open(mut target: Target, cancels: bool) -> Result<Self> {
        // A thread of its own keeps the connection alive while the shell waits for a line.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start a thread for the connection")?;
        let mut opened = runtime.block_on(connect(&target));
        if matches!(&opened, Err(error) if error.is::<PasswordMissing>())
            && let Some(password) = ask_password(&target.user)?
        {
            target.password = Some(password);
            opened = runtime.block_on(connect(&target));
        }
        let (client, carrier) = opened?;
        Ok(Self {
            target,
            runtime,
            client,
            carrier,
            cancels,
        })
    }

    /// Whom it speaks to.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Opens the session again if it has ended; whether it did.
    pub(super) fn revive(&mut self) -> Result<bool> {
        if !self.client.is_closed() {
            return Ok(false);
        }
        (self.client, self.carrier) = self.runtime.block_on(connect(&self.target))?;
        Ok(true)
    }

    /// Runs one statement. Ctrl-C asks the node to cancel it; a second one, or no answer in time, gives
    /// the connection up.
    pub(super) fn run(
        &self,
        statement: &str,
    ) -> Result<Vec<SimpleQueryMessage>, tokio_postgres::Error> {
        self.runtime.block_on(async {
            let query = self.client.simple_query(statement);
            if !self.cancels {
                return query.await;
            }
            tokio::pin!(query);
            tokio::select! {
                result = &mut query => return result,
                _ = tokio::signal::ctrl_c() => {}
            }
            // Whether it came in time shows in the statement's own answer.
            let _ = self.client.cancel_token().cancel_query(NoTls).await;
            tokio::select! {
                result = &mut query => return result,
                _ = tokio::signal::ctrl_c() => {}
                () = tokio::time::sleep(CANCEL_WAIT_MAX) => {}
            }
            self.carrier.abort();
            query.await
        })
    }
}

fn is_password_missing(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.to_string() == "password missing")
}

/// The user has a password, and it is not known.
#[derive(Debug, thiserror::Error)]
#[error(
    "user {0:?} has a password: set {PASSWORD_VARIABLE}, or run this on a terminal and be asked"
)]
struct PasswordMissing(String);

async fn connect(target: &Target) -> Result<(Client, JoinHandle<()>)> {
    let mut config = tokio_postgres::Config::new();
    config
        .host(&target.host)
        .port(target.port)
        .user(&target.user)
        .dbname("stele")
        .application_name("stele sql")
        .connect_timeout(CONNECT_WAIT_MAX);
    if let Some(password) = &target.password {
        config.password(password);
    }
    let (client, connection) = config.connect(NoTls).await.map_err(|error| {
        let place = format!("{}:{}", target.host, target.port);
        match error.as_db_error() {
            None if is_password_missing(&error) => {
                anyhow::Error::new(PasswordMissing(target.user.clone()))
            }
            Some(refusal) => anyhow::anyhow!("{}", super::failure::one_line(refusal))
                .context(format!("the node at {place} refuses user {:?}", target.user)),
            None => anyhow::Error::from(error).context(format!(
                "no node answers at {place}; start one with `stele start`, or name its address with --host and --port"
            )),
        }
    })?;
    let carrier = tokio::spawn(async move {
        // Its end shows in the client, which is asked before each statement.
        let _ = connection.await;
    });
    Ok((client, carrier))
}
