//! The connection to the node.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Longest wait for a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

/// Where the node is and as whom to speak.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
}

/// An open session, made again when the node went away in between.
pub(super) struct Connection {
    target: Target,
    runtime: Runtime,
    client: Client,
    /// Whether Ctrl-C cancels the statement instead of ending the program.
    cancels: bool,
}

impl Connection {
    /// Opens a session.
    pub(super) fn open(target: Target, cancels: bool) -> Result<Self> {
        // A thread of its own keeps the connection alive while the shell waits for a line.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start a thread for the connection")?;
        let client = runtime.block_on(connect(&target))?;
        Ok(Self {
            target,
            runtime,
            client,
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
        self.client = self.runtime.block_on(connect(&self.target))?;
        Ok(true)
    }

    /// Runs one statement.
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
            query.await
        })
    }
}

async fn connect(target: &Target) -> Result<Client> {
    let mut config = tokio_postgres::Config::new();
    config
        .host(&target.host)
        .port(target.port)
        .user(&target.user)
        .dbname("stele")
        .application_name("stele sql")
        .connect_timeout(CONNECT_WAIT_MAX);
    let (client, connection) = config.connect(NoTls).await.map_err(|error| {
        let place = format!("{}:{}", target.host, target.port);
        match error.as_db_error() {
            Some(refusal) => anyhow::anyhow!("{}", super::failure::one_line(refusal))
                .context(format!("the node at {place} refuses user {:?}", target.user)),
            None => anyhow::Error::from(error).context(format!(
                "no node answers at {place}; start one with `stele start`, or name its address with --host and --port"
            )),
        }
    })?;
    tokio::spawn(async move {
        // Its end shows in the client, which is asked before each statement.
        let _ = connection.await;
    });
    Ok(client)
}
