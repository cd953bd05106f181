//! Going through the measures.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use stele_flow::Runtime;
use stele_node::{Node, NodeConfig};

use super::bare::Bare;
use super::cluster;
use super::evidence::{self, Subject};
use super::execution::{BareExecution, Execution};
use super::figure::Figure;
use super::plan::{ENTRY_CHECKS, Effort, Measure, OWNER, POSTGRES, SHA256SUM, SQLITE};
use super::process::{NodeProcess, USER};
use super::replica::{self, Databases};
use super::sample::Sample;
use super::wire::{Fleet, Target};
use super::workload::{Keys, Numbers, Shape, Workload};

/// Table that proofs are made of.
const EVIDENCE: Workload = Workload {
    name: "evidence",
    clients: 30,
    shape: Shape::Single,
    keys: Keys::Ascending,
};
/// Table of many rows, and what is asked of it.
const MANY: Workload = Workload {
    name: "many",
    clients: 1,
    shape: Shape::Proof,
    keys: Keys::Ascending,
};
/// Roles that may use the table of the permissions measure.
const GRANTED_ROLES: u32 = 20;

/// Runs measures; gives a figure of each, of proofs two.
pub(super) async fn run(
    base: &Path,
    measures: &[Measure],
    effort: &Effort,
    postgres: Option<&str>,
    mysql: Option<&str>,
    connect: Option<&str>,
) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let databases = Databases {
        postgres: postgres.map(str::to_owned),
        mysql: mysql.map(str::to_owned),
    };
    let postgres = postgres.map(|url| Target::new(POSTGRES, url)).transpose()?;
    let of_node = |measure: &Measure| {
        matches!(
            measure,
            Measure::EntryProof | Measure::RowProof | Measure::SelfCheck
        )
    };
    let needs_node = |measure: &Measure| {
        matches!(measure, Measure::Wire(_) | Measure::Permissions(_)) || of_node(measure)
    };
    let node = match connect {
        None if measures.iter().any(needs_node) => Some(NodeProcess::start(base, "node").await?),
        _ => None,
    };
    let stele = match (connect, &node) {
        (Some(url), _) => Some(Target::new("Stele", url)?),
        (None, Some(node)) => Some(node.target()?),
        (None, None) => None,
    };
    for measure in measures {
        match measure {
            Measure::Wire(workload) => {
                if let Some(stele) = &stele {
                    announce(measure);
                    let mut figure = wire(base, effort, workload, stele, postgres.as_ref()).await?;
                    figure.bars = measure.bars();
                    figures.push(figure);
                }
            }
            Measure::Permissions(workload) if connect.is_none() => {
                if let Some(stele) = &stele {
                    announce(measure);
                    let mut figure = permissions(effort, workload, stele).await?;
                    figure.bars = measure.bars();
                    figures.push(figure);
                }
            }
            Measure::Execution(workload) if connect.is_none() => {
                announce(measure);
                let mut figure = execution(base, effort, workload)?;
                figure.bars = measure.bars();
                figures.push(figure);
            }
            Measure::History(workload) if connect.is_none() => {
                announce(measure);
                let mut figure = history(base, effort, workload)?;
                figure.bars = measure.bars();
                figures.push(figure);
            }
            _ => {}
        }
    }
    if let Some(node) = node
        && measures.iter().any(of_node)
    {
        let target = node.target()?;
        transactions(&target, effort.transactions).await?;
        let directory = node.stop()?;
        for measure in measures.iter().filter(|measure| of_node(measure)) {
            announce(measure);
            let added = on_node(&directory, effort, measure)?;
            figures.extend(added);
        }
    }
    let of_many = |measure: &&Measure| matches!(measure, Measure::Memory | Measure::ProofSql);
    let of_many: Vec<&Measure> = measures.iter().filter(of_many).collect();
    if connect.is_none() && !of_many.is_empty() {
        figures.extend(among_many(base, effort, &of_many).await?);
    }
    let of_replicas = |measure: &&Measure| matches!(measure, Measure::Replica(_));
    let of_replicas: Vec<Measure> = measures.iter().filter(of_replicas).copied().collect();
    if connect.is_none() && !of_replicas.is_empty() {
        figures.extend(of_replica(base, effort, of_replicas, databases).await?);
    }
    let of_cluster = |measure: &&Measure| matches!(measure, Measure::Cluster(_));
    let of_cluster: Vec<&Measure> = measures.iter().filter(of_cluster).collect();
    if connect.is_none() && !of_cluster.is_empty() {
        figures.extend(cluster::figures(base, effort, &of_cluster, &announce).await?);
    }
    Ok(figures)
}

/// Measures of replicas, on the directory of a node with many rows.
async fn of_replica(
    base: &Path,
    effort: &Effort,
    measures: Vec<Measure>,
    databases: Databases,
) -> Result<Vec<Figure>> {
    let node = NodeProcess::start(base, "mirrored").await?;
    let target = node.target()?;
    let table = MANY.table();
    let rows = effort.memory_rows;
    target.create(&table).await?;
    target.fill(&table, rows, Keys::Ascending).await?;
    let directory = node.stop()?;
    let measured = tokio::task::spawn_blocking(move || {
        let measures: Vec<&Measure> = measures.iter().collect();
        replica::figures(&directory, &table, rows, &databases, &measures, &announce)
    });
    measured.await?
}

fn announce(measure: &Measure) {
    // Progress only: a closed standard error loses nothing.
    let _ = writeln!(std::io::stderr(), "measuring {}", measure.name());
}

/// A measure over the wire, beside PostgreSQL and bare SQLite.
async fn wire(
    base: &Path,
    effort: &Effort,
    workload: &Workload,
    stele: &Target,
    postgres: Option<&Target>,
) -> Result<Figure> {
    let table = workload.table();
    let filled = match (workload.shape, workload.keys) {
        (Shape::Select, _) | (_, Keys::Random) => effort.filled,
        _ => 0,
    };
    let mut fleets = Vec::new();
    for target in std::iter::once(stele).chain(postgres) {
        target.create(&table).await?;
        target.fill(&table, filled, workload.keys).await?;
        fleets.push((target.name, Fleet::open(target, workload, filled).await?));
    }
    let bare = Bare::open(&base.join("bare.sqlite"))?;
    bare.create(&table, filled, workload.keys)?;
    let numbers = Numbers::after(filled);
    for (_, fleet) in &fleets {
        fleet.run(effort.warm_up).await?;
    }
    let mut samples = vec![Sample::default(); fleets.len()];
    let mut of_bare = Sample::default();
    for _ in 0..effort.rounds {
        for ((_, fleet), sample) in fleets.iter().zip(&mut samples) {
            sample.add(fleet.run(effort.round).await?);
        }
        of_bare.add(bare.run(workload, &numbers, effort.round / 2)?);
    }
    let mut named = fleets.iter().map(|(name, _)| *name).zip(samples);
    let (_, ours) = named.next().context("Stele was not measured")?;
    let mut peers: Vec<_> = named.collect();
    peers.push((SQLITE, of_bare));
    Ok(Figure {
        name: workload.name.to_owned(),
        unit: "rows/s",
        ours,
        peers,
        bars: Vec::new(),
    })
}

fn execution(base: &Path, effort: &Effort, workload: &Workload) -> Result<Figure> {
    let mut ours = Execution::open(base, workload, effort.filled)?;
    beside_bare(base, effort, workload, |numbers, time| {
        ours.run(workload, numbers, time)
    })
}

/// What history adds to an INSERT: two columns. The rest is written when a row changes or goes.
fn history(base: &Path, effort: &Effort, workload: &Workload) -> Result<Figure> {
    let stamped = BareExecution::open_stamped(base, workload, effort.filled)?;
    beside_bare(base, effort, workload, |numbers, time| {
        stamped.run(workload, numbers, time)
    })
}

/// Rounds in this process, in turn with bare SQLite.
fn beside_bare(
    base: &Path,
    effort: &Effort,
    workload: &Workload,
    mut ours: impl FnMut(&Numbers, std::time::Duration) -> Result<Sample>,
) -> Result<Figure> {
    let bare = BareExecution::open(base, workload, effort.filled)?;
    let (numbers, bare_numbers) = (Numbers::after(effort.filled), Numbers::after(effort.filled));
    let (mut sample, mut peer) = (Sample::default(), Sample::default());
    for _ in 0..effort.rounds {
        sample.add(ours(&numbers, effort.round)?);
        peer.add(bare.run(workload, &bare_numbers, effort.round)?);
    }
    Ok(Figure {
        name: workload.name.to_owned(),
        unit: "rows/s",
        ours: sample,
        peers: vec![(SQLITE, peer)],
        bars: Vec::new(),
    })
}

/// Puts enough single-row transactions into the ledger.
async fn transactions(target: &Target, count: u64) -> Result<()> {
    target.create(&EVIDENCE.table()).await?;
    let fleet = Fleet::open(target, &EVIDENCE, 0).await?;
    let mut made = 0;
    while made < count {
        made += fleet.run(std::time::Duration::from_millis(500)).await?.rows;
    }
    Ok(())
}

/// Measures on a stopped node's directory, opened in this process.
fn on_node(directory: &Path, effort: &Effort, measure: &Measure) -> Result<Vec<Figure>> {
    let config = NodeConfig {
        directory: directory.to_owned(),
        self_check_interval_s: 0,
        ..NodeConfig::default()
    };
    let node = Node::start(config, Runtime::real())?;
    let figures = match measure {
        Measure::SelfCheck => self_check(&node, directory, effort, measure).map(|f| vec![f]),
        Measure::EntryProof => {
            let subjects = evidence::entries(&node)?;
            let mut figures = proofs(&node, effort, measure.name(), &subjects)?;
            if let Some(checked) = figures.last_mut() {
                checked.bars.push(ENTRY_CHECKS);
            }
            Ok(figures)
        }
        _ => {
            let rows = i64::try_from(effort.transactions).unwrap_or(i64::MAX);
            let subjects: Vec<Subject> = (0..rows)
                .map(|key| Subject::Row(EVIDENCE.table(), key))
                .collect();
            proofs(&node, effort, measure.name(), &subjects)
        }
    };
    node.stop();
    figures
}

fn proofs(node: &Node, effort: &Effort, name: &str, subjects: &[Subject]) -> Result<Vec<Figure>> {
    let (mut made, mut checked) = (Sample::default(), Sample::default());
    let mut from = 0;
    for _ in 0..effort.rounds {
        let (sample, proofs) = evidence::make(node, subjects, from, effort.round)?;
        from += proofs.len();
        made.add(sample);
        checked.add(evidence::check(node, &proofs, effort.round)?);
    }
    let figure = |what: &str, ours| Figure {
        name: format!("{name} {what}"),
        unit: "proofs/s",
        ours,
        peers: Vec::new(),
        bars: Vec::new(),
    };
    Ok(vec![figure("made", made), figure("checked", checked)])
}

fn self_check(node: &Node, directory: &Path, effort: &Effort, measure: &Measure) -> Result<Figure> {
    let files = evidence::segments(directory)?;
    // Both sides find the files in the page cache.
    evidence::sha256sum(&files)?;
    let (mut ours, mut peer) = (Sample::default(), Sample::default());
    for _ in 0..effort.rounds {
        ours.add(evidence::self_check(node)?);
        peer.add(evidence::sha256sum(&files)?);
    }
    Ok(Figure {
        name: measure.name().to_owned(),
        unit: "MiB/s",
        ours,
        peers: vec![(SHA256SUM, peer)],
        bars: measure.bars(),
    })
}

/// Measures on a node with many rows.
async fn among_many(base: &Path, effort: &Effort, measures: &[&Measure]) -> Result<Vec<Figure>> {
    let node = NodeProcess::start(base, "many").await?;
    let target = node.target()?;
    let table = MANY.table();
    target.create(&table).await?;
    target
        .fill(&table, effort.memory_rows, Keys::Ascending)
        .await?;
    let mut figures = Vec::new();
    for measure in measures {
        announce(measure);
        if matches!(measure, Measure::Memory) {
            let resident = node.resident_mib()?;
            let (name, bars) = (measure.name(), measure.bars());
            figures.push(Figure::of_number(name, "MiB", resident, bars));
            continue;
        }
        let fleet = Fleet::open(&target, &MANY, effort.memory_rows).await?;
        fleet.run(effort.warm_up).await?;
        let mut sample = Sample::default();
        for _ in 0..effort.rounds {
            sample.add(fleet.run(effort.round).await?);
        }
        figures.push(Figure {
            name: measure.name().to_owned(),
            unit: "proofs/s",
            ours: sample,
            peers: Vec::new(),
            bars: measure.bars(),
        });
    }
    node.stop()?;
    Ok(figures)
}

/// A user who may insert as a member of one of many granted roles, beside the owner of a table that nobody
/// else may use.
async fn permissions(effort: &Effort, workload: &Workload, owner: &Target) -> Result<Figure> {
    let own = Workload {
        name: "permissions-owner",
        ..*workload
    };
    owner.create(&workload.table()).await?;
    owner.create(&own.table()).await?;
    for number in 0..GRANTED_ROLES {
        let role = format!("bench_role_{number}");
        owner.execute(&format!("CREATE ROLE {role}")).await?;
        owner
            .execute(&format!("GRANT INSERT ON {} TO {role}", workload.table()))
            .await?;
    }
    let last = GRANTED_ROLES - 1;
    owner
        .execute(&format!("GRANT bench_role_{last} TO {USER}"))
        .await?;
    let granted = Fleet::open(&owner.of_user("Stele", USER), workload, 0).await?;
    let owners = Fleet::open(owner, &own, 0).await?;
    granted.run(effort.warm_up).await?;
    owners.run(effort.warm_up).await?;
    let (mut ours, mut peer) = (Sample::default(), Sample::default());
    for _ in 0..effort.rounds {
        ours.add(granted.run(effort.round).await?);
        peer.add(owners.run(effort.round).await?);
    }
    Ok(Figure {
        name: workload.name.to_owned(),
        unit: "rows/s",
        ours,
        peers: vec![(OWNER, peer)],
        bars: Vec::new(),
    })
}
