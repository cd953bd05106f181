//! `stele start`: a node with its two servers, until told to stop.

mod banner;
mod replicas;
mod serve;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use stele_flow::Runtime;
use stele_node::Node;

use crate::config::{self, Config};
use crate::paint::Paint;

pub(crate) use banner::{page, quoted};
pub(crate) use replicas::open_replicas;
pub(crate) use serve::{Listeners, serve};

const ABOUT: &str = "\
Run a node: the ledger, a PostgreSQL listener and an HTTP listener.

On first use the data directory, the ledger's identity and its keys are made. Nothing else is needed: no \
other server, no account anywhere. The first Ctrl-C (or SIGTERM) stops cleanly, the second at once; either \
way nothing acknowledged is lost.";

const EXAMPLES: &str = "\
Examples:
  stele start                                    on ./stele-data
  stele start --dir /srv/trade --origin ledger.example.org/trade
  stele start --postgres-listen 127.0.0.1:6433 --http-listen 127.0.0.1:9080
  stele start --print-config > stele.toml        every setting, explained

Then, in another terminal:
  psql -h 127.0.0.1 -p 5433 -U operator
  stele sql
  curl http://127.0.0.1:8080/v1/status";

/// Longest wait for work in the background when a node stops.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// Arguments of `stele start`.
#[derive(Debug, Args)]
#[command(about = "Run a node: the ledger, a PostgreSQL listener and an HTTP listener", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct StartArgs {
    /// Data directory [default: node.directory of the configuration, ./stele-data]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Name of the ledger, when it is made now [default: node.origin]
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    /// Address for PostgreSQL clients [default: postgres.listen, 127.0.0.1:5433]
    #[arg(long, value_name = "ADDRESS:PORT")]
    postgres_listen: Option<SocketAddr>,
    /// Address of the HTTP API [default: http.listen, 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    http_listen: Option<SocketAddr>,
    /// Print a configuration file with every setting and end
    #[arg(long)]
    print_config: bool,
}

impl StartArgs {
    /// Whether no setting is needed to run this.
    pub(crate) fn needs_no_config(&self) -> bool {
        self.print_config
    }

    fn over(&self, mut config: Config) -> Config {
        if let Some(dir) = &self.dir {
            config.directory.clone_from(dir);
        }
        if let Some(origin) = &self.origin {
            config.origin.clone_from(origin);
        }
        config.postgres_listen = self.postgres_listen.unwrap_or(config.postgres_listen);
        config.http_listen = self.http_listen.unwrap_or(config.http_listen);
        config
    }
}

/// Runs `stele start`.
pub(crate) fn run(args: &StartArgs, config: Config) -> Result<ExitCode> {
    let mut out = std::io::stdout();
    if args.print_config {
        write!(out, "{}", config::template())?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = args.over(config);
    config.check_listeners()?;
    check_private(&config.directory)?;
    start_log(&config)?;
    // The node first: its lock tells a second instance apart before a port does.
    let node = start_node(&config)?;
    run_node(&node, &config, |listeners, paint| {
        banner::banner(&node, &config, listeners, paint)
    })
}

/// Serves a node until told to stop, and stops it.
pub(crate) fn run_node(
    node: &Node,
    config: &Config,
    banner: impl FnOnce(&Listeners, Paint) -> String,
) -> Result<ExitCode> {
    let served = (|| {
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
            .install_recorder()
            .context("cannot start the metrics")?;
        let listeners = Listeners::bind(config)?;
        let runtime = serve::runtime()?;
        let mut out = std::io::stdout();
        write!(out, "{}", banner(&listeners, Paint::of_stdout()))?;
        out.flush()?;
        let replicas = replicas::open(node, config)?;
        let ended = runtime.block_on(serve(listeners, node, config, &replicas, Some(metrics)));
        replicas.stop();
        // Audits of targets that do not answer are not waited for.
        runtime.shutdown_timeout(SHUTDOWN_WAIT);
        ended
    })();
    node.stop();
    served?;
    tracing::info!("stopped cleanly");
    Ok(ExitCode::SUCCESS)
}

/// Starts the node of a configuration.
pub(crate) fn start_node(config: &Config) -> Result<Node> {
    Node::start(config.node_config()?, Runtime::real()).map_err(|error| {
        let directory = config.directory.display();
        if error.to_string().contains("held by") {
            return anyhow!(error).context(format!(
                "another node runs on {directory}: stop that one, or give this one its own directory with --dir"
            ));
        }
        anyhow!(error).context(format!("cannot start a node on {directory}"))
    })
}

/// Refuses to start on secrets that others may read.
pub(crate) fn check_private(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let keys = std::fs::read_dir(directory.join("keys"));
    let secrets = keys
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    for path in secrets.chain([directory.join("validator.key")]) {
        let Ok(metadata) = std::fs::metadata(&path) else {
            continue;
        };
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            let path = path.display();
            bail!(
                "{path} is a secret, and others than its owner may use it (mode {mode:04o}): run `chmod 600 {path}`"
            );
        }
    }
    Ok(())
}

pub(crate) fn start_log(config: &Config) -> Result<()> {
    // Libraries speak only when something is wrong.
    let filter = match config.log_level.as_str() {
        "off" => "off".to_owned(),
        level => format!("warn,stele={level}"),
    };
    let filter = tracing_subscriber::EnvFilter::try_new(filter).context("log.level")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(Paint::of_stderr().is_on())
        .with_target(false)
        .init();
    Ok(())
}
