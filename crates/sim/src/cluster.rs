//! The validators of a run: their disks, clocks and processes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use stele_core::crypto::{PublicKey, SecretKey};
use stele_core::genesis::Genesis;
use stele_flow::Runtime;
use stele_flow::sim::{InlineSpawner, ManualClock, MemoryFiles, SeededRandom};
use stele_node::Directory;
use stele_node::driven::{AskFn, Driven};

use crate::disk;
use crate::plan::Plan;

/// Moment at which every run begins, microseconds since 1970 UTC.
pub(crate) const BEGIN_US: i64 = 1_800_000_000_000_000;

/// A validator's machine.
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) files: Arc<MemoryFiles>,
    clock: Arc<ManualClock>,
    skew_us: i64,
    runtime: Runtime,
    pub(crate) secret: SecretKey,
    /// Its process, while it runs.
    pub(crate) node: Option<Arc<Driven>>,
    pub(crate) lies: Arc<AtomicBool>,
    /// Whether it was made to sign what is not so.
    pub(crate) signed_wrongly: bool,
}

/// Who runs, by key: for those who ask each other for blocks.
type Registry = Arc<Mutex<Vec<(PublicKey, Option<Arc<Driven>>, Arc<AtomicBool>)>>>;

/// All machines.
pub(crate) struct Cluster {
    pub(crate) machines: Vec<Machine>,
    pub(crate) genesis: Genesis,
    registry: Registry,
    segment_len: u64,
}

impl Cluster {
    /// Makes the ledger, and each validator's disk.
    pub(crate) fn make(seed: u64, plan: &Plan) -> Result<Self> {
        let (shared, files, clock) = stele_flow::sim::runtime(seed);
        clock.set_us(BEGIN_US);
        let members: Vec<(String, PathBuf)> = (0..plan.nodes)
            .map(|node| (format!("v{node}"), PathBuf::from(format!("/v{node}"))))
            .collect();
        let genesis = Directory::found("sim.example/ledger", &members, &shared)
            .context("cannot make the ledger")?;
        let mut machines = Vec::new();
        for ((name, folder), number) in members.into_iter().zip(0..) {
            let own = Arc::new(MemoryFiles::new(seed.wrapping_mul(31) + number));
            disk::copy(&*files, &*own, &folder)?;
            let clock = Arc::new(ManualClock::new(BEGIN_US));
            let runtime = Runtime {
                clock: clock.clone(),
                random: Arc::new(SeededRandom::new(seed.wrapping_mul(37) + number)),
                spawner: Arc::new(InlineSpawner),
                files: own.clone(),
            };
            let secret = Directory::validator_secret(&folder, &runtime)?;
            machines.push(Machine {
                name,
                folder,
                files: own,
                clock,
                skew_us: plan
                    .skews_us
                    .get(usize::try_from(number)?)
                    .copied()
                    .unwrap_or(0),
                runtime,
                secret,
                node: None,
                lies: Arc::default(),
                signed_wrongly: false,
            });
        }
        let registry = machines
            .iter()
            .map(|machine| (machine.secret.public(), None, machine.lies.clone()))
            .collect();
        Ok(Self {
            machines,
            genesis,
            registry: Arc::new(Mutex::new(registry)),
            segment_len: plan.segment_len,
        })
    }

    /// A validator's process, if it runs.
    pub(crate) fn node(&self, number: usize) -> Option<Arc<Driven>> {
        self.machines.get(number)?.node.clone()
    }

    /// Starts a validator's process.
    pub(crate) fn start(&mut self, node: usize) -> Result<Arc<Driven>> {
        let ask = self.asker();
        let segment_len = self.segment_len;
        let machine = self.machines.get_mut(node).context("no such node")?;
        let started = Driven::start(
            machine.folder.clone(),
            segment_len,
            machine.runtime.clone(),
            ask,
        );
        let started =
            Arc::new(started.with_context(|| format!("{} does not start", machine.name))?);
        machine.node = Some(started.clone());
        self.register(node, Some(started.clone()));
        Ok(started)
    }

    /// Ends a process; with its power, what was not synced is lost.
    pub(crate) fn kill(&mut self, node: usize, power: bool) {
        self.register(node, None);
        if let Some(machine) = self.machines.get_mut(node) {
            machine.node = None;
            if power {
                machine.files.crash();
            }
        }
    }

    fn register(&self, node: usize, started: Option<Arc<Driven>>) {
        if let Some((_, slot, _)) = self.registry.lock().get_mut(node) {
            *slot = started;
        }
    }

    /// How one gets blocks from another: at once, unless that does not run; changed, if it lies.
    fn asker(&self) -> Arc<AskFn> {
        let registry = self.registry.clone();
        Arc::new(move |key, ask| {
            let found = {
                let registry = registry.lock();
                let found = registry.iter().find(|(one, _, _)| one == key);
                found.and_then(|(_, node, lies)| Some((node.clone()?, lies.clone())))
            };
            let (node, lies) = found.ok_or("it does not answer")?;
            let mut piece = node
                .piece(ask, "another")
                .map_err(|error| error.to_string())?;
            if lies.load(Ordering::Relaxed) {
                let middle = piece.len() / 2;
                if let Some(byte) = piece.get_mut(middle) {
                    *byte ^= 1;
                }
            }
            Ok(piece)
        })
    }

    /// Sets all clocks, each as far off as it is.
    pub(crate) fn set_time(&self, now_us: i64, passed_us: u64) {
        for machine in &self.machines {
            machine.clock.advance_us(passed_us);
            machine.clock.set_us(BEGIN_US + now_us + machine.skew_us);
        }
    }
}
