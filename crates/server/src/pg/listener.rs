//! Accepts connections, bounded, until told to stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use stele_node::Node;
use stele_sql::SqlError;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::cancel::Cancels;
use super::config::PgConfig;
use super::connection::Connection;
use super::error::ServeError;
use super::reply::{Replies, Severity};
use crate::access::Access;

/// Connections over the bound that are told so in full at the same time; more get the bare message.
const REFUSALS_MAX: usize = 64;
/// Pause after a failed accept, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves PostgreSQL clients on a listening socket until `shutdown` resolves; then sessions end
/// after what they are doing, within [`PgConfig::stop_timeout`].
///
/// # Errors
/// [`ServeError::NotLoopback`] when other machines could reach the address and there is no TLS.
pub async fn serve(
    listener: TcpListener,
    node: Node,
    config: PgConfig,
    shutdown: impl Future,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && config.access.tls.is_none() {
        return Err(ServeError::NotLoopback { address });
    }
    let access = Access::new(node.keys().clone(), config.access.clone());
    let config = Arc::new(config);
    let cancels = Cancels::default();
    let slots = Arc::new(Semaphore::new(config.connections_max));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let reading = node.clone();
    let (stop, stopping) = watch::channel(false);
    let mut sessions = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            _ = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            // Ended sessions are forgotten; one that panicked took only itself down.
            Some(ended) = sessions.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a PostgreSQL session was cut off by a defect");
                }
                continue;
            }
        };
        let (stream, from) = match accepted {
            Ok((stream, from)) => (stream, from.ip()),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a PostgreSQL connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Ok(slot) = slots.clone().try_acquire_owned() {
            let connection = Connection::new(stream, from, config.clone(), stopping.clone());
            let (node, access, cancels) = (node.clone(), access.clone(), cancels.clone());
            sessions.spawn(async move {
                connection.run(node, access, cancels).await;
                drop(slot);
            });
        } else if let Ok(slot) = refusals.clone().try_acquire_owned() {
            let connection = Connection::new(stream, from, config.clone(), stopping.clone());
            sessions.spawn(refuse(
                connection,
                access.clone(),
                config.connections_max,
                slot,
            ));
        } else {
            // Without waiting for what the client has to say; libpq takes it at any time.
            let mut replies = Replies::default();
            replies.error(Severity::Fatal, &too_many(config.connections_max));
            let (bytes, _unsent) = replies.take();
            let _ = stream.try_write(&bytes);
        }
    }
    drop(listener);
    stop.send_replace(true);
    let all_ended = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(config.stop_timeout, all_ended)
        .await
        .is_err()
    {
        tracing::warn!(open = sessions.len(), "PostgreSQL sessions cut off");
        // One that reads cannot be cut off otherwise.
        reading.stop_reads();
        sessions.shutdown().await;
    }
    Ok(())
}

fn too_many(connections_max: usize) -> SqlError {
    SqlError::new("53300", "sorry, too many clients already").hint(format!(
        "The node takes {connections_max} connections: close some, or use a pool."
    ))
}

async fn refuse(
    connection: Connection,
    access: Access,
    connections_max: usize,
    _slot: tokio::sync::OwnedSemaphorePermit,
) {
    let error = too_many(connections_max);
    connection.refuse(&access, error).await;
}
