//! Both servers of a node, from bound listeners to the last finished request.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::PrometheusHandle;
use stele_node::Node;
use stele_node::directory::FOLLOWER_KEY;
use stele_node::keys::OPERATOR;
use stele_pipeline::Replicas;
use stele_server::access::AccessConfig;
use stele_server::http::{self, HttpConfig};
use stele_server::pg::{self, PgConfig};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::config::Config;

/// How often old samples of the metrics are folded.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// Exit code after a second signal, as shells give it for SIGINT.
const FORCED: i32 = 130;

/// The two listeners, bound, and how clients are let in.
pub(crate) struct Listeners {
    postgres: TcpListener,
    http: TcpListener,
    postgres_access: AccessConfig,
    http_access: AccessConfig,
    /// Address for PostgreSQL clients.
    pub(crate) postgres_address: SocketAddr,
    /// Address of the HTTP API.
    pub(crate) http_address: SocketAddr,
}

impl Listeners {
    /// Reads certificates and keys and binds both addresses; port 0 takes a free one.
    pub(crate) fn bind(config: &Config) -> Result<Self> {
        let postgres_access = config.postgres_access.load()?;
        let http_access = config.http_access.load()?;
        let postgres = bind(
            "postgres.listen",
            "--postgres-listen",
            config.postgres_listen,
        )?;
        let http = bind("http.listen", "--http-listen", config.http_listen)?;
        Ok(Self {
            postgres_address: postgres.local_addr()?,
            http_address: http.local_addr()?,
            postgres,
            http,
            postgres_access,
            http_access,
        })
    }
}

fn bind(setting: &str, flag: &str, address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!(
            "cannot listen on {address} ({setting}): stop what uses it, or choose another with {flag} {}:PORT",
            address.ip()
        )
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The runtime of the servers.
pub(crate) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("stele-serve")
        .build()
        .context("cannot start the threads of the servers")
}

/// Serves until a signal or until a server fails. A second signal ends the process at once.
pub(crate) async fn serve(
    listeners: Listeners,
    node: &Node,
    config: &Config,
    replicas: &Replicas,
    metrics: Option<PrometheusHandle>,
) -> Result<()> {
    let mut signals = Signals::new()?;
    let (stop, stopping) = watch::channel(false);
    if let Some(metrics) = metrics.clone() {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(METRICS_UPKEEP).await;
                metrics.run_upkeep();
            }
        });
    }
    let key = match node.keys().get(OPERATOR) {
        Some(_) => OPERATOR,
        None => FOLLOWER_KEY,
    };
    let http_config = HttpConfig {
        key: key.to_owned(),
        access: listeners.http_access,
        hosts: config.http_hosts.clone(),
        origins: config.http_origins.clone(),
        requests_max: usize::try_from(config.http_requests_max).unwrap_or(usize::MAX),
        metrics,
        replicas: Some(replicas.clone()),
        ..HttpConfig::default()
    };
    let postgres = tokio::net::TcpListener::from_std(listeners.postgres)?;
    let http = tokio::net::TcpListener::from_std(listeners.http)?;
    let pg_config = PgConfig {
        access: listeners.postgres_access,
        replicas: Some(replicas.clone()),
        connections_max: usize::try_from(config.postgres_connections_max).unwrap_or(usize::MAX),
        ..PgConfig::default()
    };
    let mut postgres = tokio::spawn(pg::serve(
        postgres,
        node.clone(),
        pg_config,
        stopped(stopping.clone()),
    ));
    let mut http = tokio::spawn(http::serve(
        http,
        node.clone(),
        http_config,
        stopped(stopping),
    ));
    // Whichever ends first takes the other along.
    let (mut postgres_end, mut http_end) = (None, None);
    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "stopping; a second signal ends at once"),
        end = &mut postgres => postgres_end = Some(end),
        end = &mut http => http_end = Some(end),
    }
    stop.send_replace(true);
    let finish = async {
        let postgres_end = match postgres_end {
            Some(end) => end,
            None => postgres.await,
        };
        let http_end = match http_end {
            Some(end) => end,
            None => http.await,
        };
        postgres_end
            .context("the PostgreSQL server was cut off by a defect")?
            .context("the PostgreSQL server failed")?;
        http_end
            .context("the HTTP server was cut off by a defect")?
            .context("the HTTP server failed")
    };
    tokio::select! {
        end = finish => end,
        signal = signals.next() => {
            tracing::warn!(signal, "ended by a second signal; the next start brings the state up to the stored blocks");
            std::process::exit(FORCED)
        }
    }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // A dropped sender means the process is ending: that is a stop too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The signals that ask for a stop.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
