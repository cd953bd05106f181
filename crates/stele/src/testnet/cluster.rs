//! The nodes of a testnet: their files, ports and processes.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use stele_flow::Runtime;
use stele_node::Directory;

use crate::client::Client;
use crate::config::Config;
use crate::login::Login;

/// Names of the first validators; others are called by their number.
const NAMES: [&str; 10] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
];
/// Where free ports are looked for.
const FREE_PORTS: RangeInclusive<u16> = 10_000..=32_000;
/// How many are looked at for one.
const FREE_TRIES_MAX: usize = 1_000;
/// Longest wait for a node to stop.
const STOP_WAIT: Duration = Duration::from_secs(20);
/// Configuration of a node, in its directory.
const CONFIG: &str = "stele.toml";
/// Data directory of a node, in its directory.
const DATA: &str = "data";
/// What a node says, in its directory.
const LOG: &str = "log";
/// Its process, while it runs.
const PID: &str = "pid";
/// Longest wait for the testnet to see that a node was killed, and how often it is looked.
const SEEN_WAIT: Duration = Duration::from_secs(5);
const SEEN_POLL: Duration = Duration::from_millis(20);
/// There while a node is to stay dead.
const DOWN: &str = "down";

/// First ports; 0 for free ones.
pub(crate) struct Ports {
    pub(crate) postgres: u16,
    pub(crate) http: u16,
    pub(crate) cluster: u16,
}

/// A node.
struct Member {
    name: String,
    directory: PathBuf,
    config: Config,
    child: Option<Child>,
}

/// All of them.
pub(crate) struct Cluster {
    directory: PathBuf,
    members: Vec<Member>,
}

/// What is seen of a node.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) postgres: SocketAddr,
    pub(super) http: SocketAddr,
    /// Height of its newest block; none when it does not answer.
    pub(super) height: Option<u64>,
    /// What it is.
    pub(super) role: String,
    /// How many validators have signed its newest block, of how many.
    pub(super) signed: (usize, usize),
    pub(super) waiting: u64,
    pub(super) store: String,
    /// Why it takes no writes.
    pub(super) trouble: Option<String>,
}

impl Cluster {
    /// Opens the nodes of a directory, or makes them.
    pub(crate) fn open(
        directory: &Path,
        count: u16,
        origin: &str,
        interval_ms: u64,
        ports: &Ports,
    ) -> Result<Self> {
        let names: Vec<String> = (1..=count).map(name_of).collect();
        if !directory.join(name_of(1)).join(CONFIG).is_file() {
            make(directory, &names, origin, interval_ms, ports)?;
        }
        let mut members = Vec::new();
        for name in (1..).map(name_of) {
            let own = directory.join(&name);
            let file = own.join(CONFIG);
            if !file.is_file() {
                break;
            }
            members.push(Member {
                config: Config::load(Some(&file))?,
                name,
                directory: own,
                child: None,
            });
        }
        Ok(Self {
            directory: directory.to_owned(),
            members,
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts all nodes.
    pub(crate) fn start(&mut self) -> Result<()> {
        for member in &mut self.members {
            let down = member.directory.join(DOWN);
            if down.exists() {
                fs::remove_file(&down)
                    .with_context(|| format!("cannot remove {}", down.display()))?;
            }
            member.start()?;
        }
        Ok(())
    }

    /// Starts those again that are to run and do not; says what happened.
    pub(super) fn look_after(&mut self) -> Result<Vec<String>> {
        let mut told = Vec::new();
        for member in &mut self.members {
            let ended = member
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            let is_down = member.directory.join(DOWN).exists();
            if let Some(status) = ended {
                member.child = None;
                let _ = fs::remove_file(member.directory.join(PID));
                match is_down {
                    true => told.push(format!(
                        "{} was killed; `stele testnet --dir {} --revive {}` starts it again",
                        member.name,
                        self.directory.display(),
                        member.name
                    )),
                    false => bail!(
                        "node {} ended ({status}): {}",
                        member.name,
                        last_line(&member.directory.join(LOG))
                    ),
                }
            }
            if member.child.is_none() && !is_down {
                told.push(format!("{} starts again", member.name));
                member.start()?;
            }
        }
        Ok(told)
    }

    /// Configurations of the nodes, in order.
    pub(crate) fn configs(&self) -> Vec<Config> {
        let members = self.members.iter();
        members.map(|member| member.config.clone()).collect()
    }

    /// Processes that run, in order.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let children = self.members.iter().filter_map(|one| one.child.as_ref());
        children.map(Child::id).collect()
    }

    /// Kills a node for good (kill -9).
    pub(crate) fn kill(&mut self, number: usize) -> Result<()> {
        let member = self.members.get_mut(number).context("no such node")?;
        if let Some(mut child) = member.child.take() {
            child.kill().context("cannot kill a node")?;
            child.wait().context("cannot wait for a node")?;
        }
        Ok(())
    }

    /// Asks all nodes how they are.
    pub(super) fn look(&self) -> Vec<Seen> {
        let looks: Vec<_> = self
            .members
            .iter()
            .map(|member| {
                let (config, name) = (member.config.clone(), member.name.clone());
                std::thread::spawn(move || look(&config, name))
            })
            .collect();
        looks
            .into_iter()
            .filter_map(|look| look.join().ok())
            .collect()
    }

    /// Stops all nodes, and waits for them.
    pub(crate) fn stop(&mut self) {
        for member in &self.members {
            if let Some(child) = &member.child {
                // One that was halted hears nothing else before it is woken.
                let _ = signal("CONT", child.id());
                let _ = signal("TERM", child.id());
            }
        }
        let begun = Instant::now();
        for member in &mut self.members {
            let Some(mut child) = member.child.take() else {
                continue;
            };
            while child.try_wait().is_ok_and(|ended| ended.is_none()) {
                if begun.elapsed() > STOP_WAIT {
                    let _ = child.kill();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = fs::remove_file(member.directory.join(PID));
        }
    }
}

impl Member {
    fn start(&mut self) -> Result<()> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let log = self.directory.join(LOG);
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let errors = log.try_clone().context("cannot write the log twice")?;
        let child = Command::new(program)
            .arg("--config")
            .arg(self.directory.join(CONFIG))
            .arg("start")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start node {}", self.name))?;
        fs::write(self.directory.join(PID), child.id().to_string())
            .with_context(|| format!("cannot write into {}", self.directory.display()))?;
        self.child = Some(child);
        Ok(())
    }
}

fn name_of(number: u16) -> String {
    let name = NAMES.get(usize::from(number) - 1);
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

/// Makes the ledger and a configuration for each node.
fn make(
    directory: &Path,
    names: &[String],
    origin: &str,
    interval_ms: u64,
    ports: &Ports,
) -> Result<()> {
    let count = names.len();
    let mut free = Free::default();
    let postgres = free.addresses(ports.postgres, count)?;
    let http = free.addresses(ports.http, count)?;
    let cluster = free.addresses(ports.cluster, count)?;
    drop(free);
    let members: Vec<(String, PathBuf)> = names
        .iter()
        .map(|name| (name.clone(), directory.join(name).join(DATA)))
        .collect();
    for (_, data) in &members {
        fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
    }
    let root = fs::canonicalize(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?;
    Directory::found(origin, &members, &Runtime::real()).context("cannot make the ledger")?;
    let peers: Vec<String> = names
        .iter()
        .zip(&cluster)
        .map(|(name, address)| format!("{name}@{address}"))
        .collect();
    let places = postgres.iter().zip(&http).zip(&cluster);
    for (name, ((postgres, http), cluster)) in names.iter().zip(places) {
        let own = root.join(name);
        let quoted = |text: String| Value::String(text).to_string();
        let peers: Vec<String> = peers.iter().map(|peer| quoted(peer.clone())).collect();
        let text = format!(
            "[node]\ndirectory = {}\norigin = {}\n\n[postgres]\nlisten = \"{postgres}\"\n\n[http]\nlisten = \"{http}\"\n\n[block]\ninterval_ms = {interval_ms}\n\n[cluster]\nlisten = \"{cluster}\"\npeers = [{}]\n",
            quoted(own.join(DATA).display().to_string()),
            quoted(origin.to_owned()),
            peers.join(", ")
        );
        fs::write(own.join(CONFIG), text)
            .with_context(|| format!("cannot write into {}", own.display()))?;
    }
    Ok(())
}

/// Ports that are free, held until all are found.
#[derive(Default)]
struct Free(Vec<TcpListener>);

impl Free {
    /// One below those that systems give to connections, which could take it before the node does.
    fn next(&mut self) -> Result<SocketAddr> {
        let mut random = [0; 2];
        for _ in 0..FREE_TRIES_MAX {
            Runtime::real().random.fill(&mut random);
            let port = FREE_PORTS.start()
                + u16::from_be_bytes(random) % (FREE_PORTS.end() - FREE_PORTS.start());
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                self.0.push(listener);
                return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            }
        }
        bail!(
            "no port from {} to {} is free",
            FREE_PORTS.start(),
            FREE_PORTS.end()
        )
    }

    /// Loopback addresses from a port on, or free ones where that is 0.
    fn addresses(&mut self, first: u16, count: usize) -> Result<Vec<SocketAddr>> {
        if first == 0 {
            return (0..count).map(|_| self.next()).collect();
        }
        (0..count)
            .map(|number| {
                let number = u16::try_from(number).ok();
                let port = number.and_then(|number| first.checked_add(number));
                let port = port.with_context(|| {
                    format!("{count} ports from {first} on are more than there are")
                })?;
                Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            })
            .collect()
    }
}

fn look(config: &Config, name: String) -> Seen {
    let status = Client::impatient(config, Login::new(stele_node::keys::OPERATOR, None))
        .and_then(|client| client.get_json("/v1/status"));
    let status = status.unwrap_or(Value::Null);
    let number = |field: &str| status.get(field).and_then(Value::as_u64);
    let text = |field: &str| status.get(field).and_then(Value::as_str).map(str::to_owned);
    let count = |field: &str| {
        status
            .get(field)
            .and_then(Value::as_array)
            .map_or(0, Vec::len)
    };
    Seen {
        name,
        role: text("role").unwrap_or_else(|| "validator".to_owned()),
        signed: (count("signed_by"), count("validators")),
        postgres: config.postgres_listen,
        http: config.http_listen,
        height: number("height"),
        waiting: number("mempool").unwrap_or(0),
        store: text("store").unwrap_or_else(|| "silent".to_owned()),
        trouble: text("halted"),
    }
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("it said nothing").to_owned()
}

/// The process of a node of a running testnet.
fn process(directory: &Path, name: &str) -> Result<u32> {
    let own = directory.join(name);
    if !own.join(CONFIG).is_file() {
        bail!("{} holds no node {name:?}", directory.display());
    }
    let text = fs::read_to_string(own.join(PID)).unwrap_or_default();
    text.trim().parse().ok().with_context(|| {
        format!(
            "node {name} does not run: `stele testnet --dir {}` starts all",
            directory.display()
        )
    })
}

/// Kills a node; it stays dead until it is revived.
pub(super) fn kill(directory: &Path, name: &str) -> Result<()> {
    let process = process(directory, name)?;
    fs::write(directory.join(name).join(DOWN), "")
        .context("cannot note that the node is to stay dead")?;
    signal("KILL", process)?;
    // Until the testnet has seen it, so that it may be revived at once.
    let seen = Instant::now() + SEEN_WAIT;
    while directory.join(name).join(PID).exists() && Instant::now() < seen {
        std::thread::sleep(SEEN_POLL);
    }
    Ok(())
}

/// Halts a node.
pub(super) fn pause(directory: &Path, name: &str) -> Result<()> {
    signal("STOP", process(directory, name)?)
}

/// Starts a killed node again, or wakes a halted one.
pub(super) fn revive(directory: &Path, name: &str) -> Result<()> {
    let down = directory.join(name).join(DOWN);
    if down.exists() {
        return fs::remove_file(&down).with_context(|| format!("cannot remove {}", down.display()));
    }
    signal("CONT", process(directory, name)?)
}

fn signal(name: &str, process: u32) -> Result<()> {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(process.to_string())
        .status();
    match sent.context("cannot run kill")?.success() {
        true => Ok(()),
        false => bail!("process {process} is not there"),
    }
}
