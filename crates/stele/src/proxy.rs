//! `stele proxy`: PostgreSQL and HTTP for clients on this machine, believing nobody.

mod remote;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use stele_core::trust::Trust;
use stele_flow::Runtime;
use stele_node::Node;
use stele_node::directory::FOLLOWER_KEY;

use crate::config::Config;
use crate::paint::Paint;
use crate::progress::count_bar;
use crate::start::{Listeners, page, quoted, run_node, start_log};
use crate::trust::{TRUST_FILE, pinned, signers};
use remote::Remote;

const ABOUT: &str = "\
Run beside your programs and check everything a ledger's server tells them.

Any PostgreSQL client, unchanged, connects to the proxy instead of the server. Writes are signed here, with \
your own key, and reads are answered from a copy the proxy keeps: every block the server passes on is executed \
again and compared with what the pinned validators signed, before anything of it is shown. A server that \
changes, drops, reorders or invents anything is named and refused; what was shown before stays true.

What no program can tell from one server alone is whether it holds newer blocks back: compare the height with \
another server's. The copy takes as much disk as the ledger.";

const EXAMPLES: &str = "\
Examples:
  stele proxy --server http://127.0.0.1:8080 --trust trust.txt
  psql -h 127.0.0.1 -p 6433 -U me                 writes as the key made on first use
  stele keys list --dir stele-proxy               its account, for GRANT … TO \"st1…\"
  stele keys new alice --dir stele-proxy          another user
  stele keys import me my.key --dir stele-proxy   a key you have already

The trust file comes from the ledger's operator (trust.txt in a node's data directory); compare its ledger id \
by another way. A server on another machine is brought near with `ssh -L 8080:127.0.0.1:8080 host`.";

/// How often the way to go is looked at while the copy is made.
const POLL: Duration = Duration::from_millis(50);

/// Arguments of `stele proxy`.
#[derive(Debug, Args)]
#[command(about = "Check everything a server says, beside your own programs", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct ProxyArgs {
    /// HTTP address of a node of the ledger
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// Trust file that pins the ledger [default: the one kept in the proxy's directory]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Where the copy and the keys are kept
    #[arg(long, value_name = "DIR", default_value = "stele-proxy")]
    dir: PathBuf,
    /// Address for PostgreSQL clients
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:6433")]
    postgres_listen: SocketAddr,
    /// Address of the HTTP API
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9080")]
    http_listen: SocketAddr,
}

/// Runs `stele proxy`.
pub(crate) fn run(args: &ProxyArgs, mut config: Config) -> Result<ExitCode> {
    config.directory.clone_from(&args.dir);
    config.postgres_listen = args.postgres_listen;
    config.http_listen = args.http_listen;
    config.check_listeners()?;
    start_log(&config)?;
    let trust = match &args.trust {
        Some(file) => pinned(Some(file), &config)?.trust,
        None if args.dir.join(TRUST_FILE).is_file() => pinned(None, &config)?.trust,
        None => bail!(
            "which ledger is it? Name the trust file you had from its operator with --trust FILE: without one there is nothing to check the server by"
        ),
    };
    let remote = Arc::new(Remote::new(&args.server)?);
    let node = Node::follow(
        config.node_config()?,
        Runtime::real(),
        trust.clone(),
        remote.clone(),
    )
    .map_err(|error| {
        anyhow!(error).context(format!("cannot keep a copy in {}", args.dir.display()))
    })?;
    let caught_up = catch_up(&node, &remote);
    if let Err(error) = caught_up {
        node.stop();
        return Err(error);
    }
    run_node(&node, &config, |listeners, paint| {
        banner(args, &trust, &node, listeners, paint)
    })
}

/// Waits until the copy has what the server had when it was asked.
fn catch_up(node: &Node, remote: &Remote) -> Result<()> {
    let there = remote.height()?;
    let bar = count_bar("checking blocks", there > node.height() + 100);
    bar.set_length(there);
    loop {
        let status = node.status();
        bar.set_position(status.height);
        if status.height >= there {
            bar.finish_and_clear();
            return Ok(());
        }
        if let Some(reason) = status.halted {
            bar.abandon();
            bail!("the copy stops at block {}: {reason}", status.height);
        }
        std::thread::sleep(POLL);
    }
}

fn banner(
    args: &ProxyArgs,
    trust: &Trust,
    node: &Node,
    listeners: &Listeners,
    paint: Paint,
) -> String {
    let status = node.status();
    let http = format!("http://{}", listeners.http_address);
    let keys: Vec<String> = node
        .keys()
        .list()
        .iter()
        .map(|key| key.name.clone())
        .collect();
    let me = node.keys().get(FOLLOWER_KEY);
    let account = me
        .as_ref()
        .map_or_else(String::new, |key| key.account.to_string());
    let user = match &me {
        Some(_) => FOLLOWER_KEY,
        None => keys.first().map_or(FOLLOWER_KEY, String::as_str),
    };
    let mut facts = vec![
        ("PostgreSQL", listeners.postgres_address.to_string()),
        ("HTTP", format!("{http}/")),
        ("checks", args.server.clone()),
        ("ledger", paint.strong(&status.origin)),
        ("ledger id", status.ledger.clone()),
        ("signed by", signers(trust)),
        ("copy", args.dir.display().to_string()),
        (
            "height",
            format!("{}, every block executed again and compared", status.height),
        ),
        ("users", keys.join(", ")),
    ];
    if !account.is_empty() {
        facts.push((FOLLOWER_KEY, account));
    }
    let address = listeners.postgres_address;
    let commands = [
        format!("psql -h {} -p {} -U {user}", address.ip(), address.port()),
        format!("curl {http}/v1/status"),
        format!("stele keys list --dir {}", quoted(&args.dir)),
    ];
    page(
        "stele proxy",
        &status.version,
        &facts,
        &commands,
        "Ctrl-C stops the proxy.",
        paint,
    )
}
