//! What a cluster of validators on this machine carries: all of them, and the clients, on the same cores.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::evidence;
use super::figure::Figure;
use super::plan::{Effort, Measure, ONE_NODE, SHA256SUM};
use super::process::{NodeProcess, resident_mib};
use super::sample::Sample;
use super::wire::{Fleet, Target};
use super::workload::{Keys, Shape, Workload};
use crate::client::Client;
use crate::config::Config;
use crate::login::Login;
use crate::testnet::{Cluster, Ports};

/// Time between two blocks, in milliseconds.
const INTERVAL_MS: u64 = 200;
/// Longest wait for validators to answer, to be equal, or to be whole.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Bytes of a row that fills blocks for the repair.
const WIDE_ROW: u64 = 4_000;
/// Clients that fill.
const FILLERS: usize = 4;
/// Share of the rate before a node was killed that counts as back.
const BACK_SHARE: f64 = 0.8;
/// How often it is looked how a node is.
const POLL: Duration = Duration::from_millis(50);

const fn load(name: &'static str, clients: u64, shape: Shape) -> Workload {
    Workload {
        name,
        clients,
        shape,
        keys: Keys::Ascending,
    }
}

/// Clients of all validators together.
pub(super) const INSERT: Workload = load("cluster-insert", 800, Shape::Single);
pub(super) const HALF: Workload = load("cluster-half", 300, Shape::Single);
pub(super) const BATCH: Workload = load("cluster-batch", 48, Shape::MultiRow);
pub(super) const FIVE: Workload = load("cluster-five", 400, Shape::Single);
pub(super) const KILL: Workload = load("cluster-kill", 300, Shape::Single);

/// A running cluster in a directory of its own.
struct Net {
    cluster: Cluster,
    targets: Vec<Target>,
    configs: Vec<Config>,
}

impl Net {
    async fn start(base: &Path, name: &str, count: u16) -> Result<Self> {
        let ports = Ports {
            postgres: 0,
            http: 0,
            cluster: 0,
        };
        let directory = base.join(name);
        let mut cluster = Cluster::open(&directory, count, "localhost/bench", INTERVAL_MS, &ports)?;
        cluster.start()?;
        let configs = cluster.configs();
        let address = |config: &Config| {
            Target::new(
                "Stele",
                &format!("postgres://operator@{}/stele", config.postgres_listen),
            )
        };
        let net = Self {
            targets: configs.iter().map(address).collect::<Result<_>>()?,
            configs,
            cluster,
        };
        let begun = Instant::now();
        for target in &net.targets {
            while target.connect().await.is_err() {
                if begun.elapsed() > WAIT_MAX {
                    bail!("a validator in {} does not answer", directory.display());
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(net)
    }

    fn status(&self, number: usize) -> Result<Value> {
        let config = self.configs.get(number).context("no such validator")?;
        let client = Client::impatient(config, Login::new(stele_node::keys::OPERATOR, None))?;
        tokio::task::block_in_place(|| client.get_json("/v1/status"))
    }

    /// Makes a table, and waits until all have it.
    async fn create(&self, table: &str) -> Result<()> {
        let first = self.targets.first().context("no validator")?;
        first.create(table).await?;
        self.equal().await
    }

    /// Waits until all have the same newest block.
    async fn equal(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let mut blocks = Vec::new();
            for number in 0..self.configs.len() {
                blocks.push(self.status(number)?.get("block").cloned());
            }
            if blocks.windows(2).all(|two| two.first() == two.last()) {
                return Ok(());
            }
            if begun.elapsed() > WAIT_MAX {
                bail!("the validators do not come to the same block");
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.cluster.stop();
    }
}

/// Figures of the measures asked for.
pub(super) async fn figures(
    base: &Path,
    effort: &Effort,
    measures: &[&Measure],
    announce: &dyn Fn(&Measure),
) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let named = |name: &str| measures.iter().find(|measure| measure.name() == name);
    let four = [
        "cluster-insert",
        "cluster-half",
        "cluster-batch",
        "cluster-memory",
        "cluster-kill",
    ];
    if four.iter().any(|name| named(name).is_some()) {
        let mut net = Net::start(base, "four", 4).await?;
        if let Some(measure) = named("cluster-insert") {
            announce(measure);
            let mut figure = loaded(&net, effort, &INSERT).await?;
            figure
                .peers
                .push((ONE_NODE, alone(base, effort, &INSERT).await?));
            figures.push(figure);
        }
        for (name, workload) in [("cluster-half", &HALF), ("cluster-batch", &BATCH)] {
            if let Some(measure) = named(name) {
                announce(measure);
                figures.push(loaded(&net, effort, workload).await?);
            }
        }
        if let Some(measure) = named("cluster-memory") {
            announce(measure);
            let mut most = 0;
            for process in net.cluster.processes() {
                most = most.max(resident_mib(process)?);
            }
            figures.push(Figure::of_number(measure.name(), "MiB", most, Vec::new()));
        }
        if let Some(measure) = named("cluster-kill") {
            announce(measure);
            figures.push(killed(&mut net, effort).await?);
        }
    }
    if let Some(measure) = named("cluster-five") {
        announce(measure);
        let net = Net::start(base, "five", 5).await?;
        figures.push(loaded(&net, effort, &FIVE).await?);
    }
    if let Some(measure) = named("cluster-repair") {
        announce(measure);
        figures.push(repaired(base, effort).await?);
    }
    for figure in &mut figures {
        if let Some(measure) = named(&figure.name) {
            figure.bars = measure.bars();
        }
    }
    Ok(figures)
}

/// A workload on all validators at once; the time ends when all have the last block.
async fn loaded(net: &Net, effort: &Effort, workload: &Workload) -> Result<Figure> {
    net.create(&workload.table()).await?;
    let fleet = Fleet::open_all(&net.targets, workload, 0).await?;
    fleet.run(effort.warm_up).await?;
    let sample = fleet.run(effort.cluster_round).await?;
    let begun = Instant::now();
    net.equal().await?;
    let late = begun.elapsed();
    let time = Duration::from_secs_f64(sample.seconds) + late;
    Ok(Figure {
        name: workload.name.to_owned(),
        unit: "rows/s",
        ours: Sample::round(sample.rows, time, sample.latencies_us),
        peers: Vec::new(),
        bars: Vec::new(),
    })
}

/// The same workload on a node that orders alone.
async fn alone(base: &Path, effort: &Effort, workload: &Workload) -> Result<Sample> {
    let node = NodeProcess::start(base, "alone").await?;
    let target = node.target()?;
    target.create(&workload.table()).await?;
    // As many as one node has of them in the cluster: it takes no more connections.
    let workload = &Workload {
        clients: workload.clients / 4,
        ..*workload
    };
    let fleet = Fleet::open(&target, workload, 0).await?;
    fleet.run(effort.warm_up).await?;
    let sample = fleet.run(effort.cluster_round / 4).await?;
    node.stop()?;
    Ok(sample)
}

/// How many seconds after a kill -9 of one of four the others carry as much as before, or nearly.
async fn killed(net: &mut Net, effort: &Effort) -> Result<Figure> {
    net.create(&KILL.table()).await?;
    // Clients of the one that is killed would only wait for it.
    let fleet = Fleet::open_all(net.targets.get(1..).unwrap_or_default(), &KILL, 0).await?;
    fleet.run(effort.warm_up).await?;
    let before = fleet
        .run(effort.cluster_round.min(Duration::from_secs(20)))
        .await?;
    net.cluster.kill(0)?;
    let begun = Instant::now();
    let second = Duration::from_secs(1);
    loop {
        let since = begun.elapsed();
        let now = fleet.run(second).await?;
        if now.rate() >= before.rate() * BACK_SHARE {
            let seconds = since.as_secs_f64().ceil() as u64;
            return Ok(Figure::of_number(KILL.name, "s", seconds, Vec::new()));
        }
        if begun.elapsed() > WAIT_MAX {
            bail!(
                "the rate does not come back: {:.0} rows/s before, {:.0} now",
                before.rate(),
                now.rate()
            );
        }
    }
}

/// A flipped byte in a segment of one of two, from the check that finds the first to the one that finds nothing, beside `sha256sum`
/// of the same files.
async fn repaired(base: &Path, effort: &Effort) -> Result<Figure> {
    // Two: four of them would take four times the disk, and one sends either way.
    let net = Net::start(base, "repair", 2).await?;
    let first = net.targets.first().context("no validator")?;
    first
        .execute("CREATE TABLE bench_wide (id BIGINT PRIMARY KEY, note TEXT NOT NULL)")
        .await?;
    net.equal().await?;
    let directory: PathBuf = net
        .configs
        .get(1)
        .map(|config| config.directory.clone())
        .context("no second validator")?;
    let stored = || -> Result<u64> {
        let files = evidence::segments(&directory)?;
        files
            .iter()
            .map(|file| Ok(std::fs::metadata(file)?.len()))
            .sum()
    };
    let mut next = 0;
    while stored()? < effort.repair_bytes {
        let fill = (0..FILLERS as u64).map(|filler| {
            let from = next + filler * 100;
            let rows: Vec<String> = (from..from + 100)
                .map(|number| format!("({number}, repeat('{}', {WIDE_ROW}))", number % 10))
                .collect();
            let sql = format!("INSERT INTO bench_wide VALUES {}", rows.join(", "));
            async move { first.execute(&sql).await }
        });
        futures::future::try_join_all(fill).await?;
        next += FILLERS as u64 * 100;
    }
    net.equal().await?;
    let files = evidence::segments(&directory)?;
    evidence::sha256sum(&files)?;
    let peer = evidence::sha256sum(&files)?;
    let middle = files.get(files.len() / 2).context("no segment")?;
    flip(middle)?;
    let bytes = stored()?;
    let begun = Instant::now();
    let client = Client::new(
        None,
        net.configs.get(1).context("no second validator")?,
        Login::new(stele_node::keys::OPERATOR, None),
    )?;
    tokio::task::block_in_place(|| client.post_json("/v1/audit", &serde_json::json!({})))?;
    loop {
        let status = net.status(1)?;
        let events = status.get("store_events").and_then(Value::as_array);
        let last = events
            .and_then(|events| events.last())
            .and_then(|event| event.get("kind"));
        if last.and_then(Value::as_str) == Some("valid") {
            break;
        }
        if begun.elapsed() > WAIT_MAX {
            bail!("the store is not whole again: {status}");
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(Figure {
        name: "cluster-repair".to_owned(),
        unit: "MiB/s",
        ours: evidence::mebibytes(bytes, begun.elapsed()),
        peers: vec![(SHA256SUM, peer)],
        bars: Vec::new(),
    })
}

fn flip(path: &Path) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::options().read(true).write(true).open(path)?;
    let place = file.metadata()?.len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, place)?;
    file.write_all_at(&[byte[0] ^ 1], place)?;
    Ok(())
}
