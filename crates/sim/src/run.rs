//! One run, from its seed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt as _;
use stele_consensus::Link;
use stele_consensus::bft::simulated::{self, Scenario, SimulatedConfig, Steering};
use stele_core::crypto::SecretKey;
use stele_core::transaction::{Payload, Statement};
use stele_core::{Hash, Value};
use stele_flow::Operation;
use stele_flow::sim::{Fault, FaultKind};
use stele_node::NodeError;
use stele_node::receipt::Pending;

use crate::cluster::Cluster;
use crate::disk;
use crate::judge::Judge;
use crate::outcome::Outcome;
use crate::plan::{Action, HEALED_MS, Plan, TROUBLE_MS};
use sim::history::{History, Told, Write};
use sim::random::Random;

/// Lists that clients append to.
const LISTS: u64 = 5;
/// What a disk still takes when it is said to be full, in bytes.
const FULL_ROOM: usize = 3_000;
/// Writes of a client, at most.
const WRITES_MAX: usize = 60;

/// A client, with what it waits for.
#[derive(Default)]
struct Client {
    waits: Option<(usize, usize, Pending)>,
    made: usize,
    not_before_us: i64,
}

struct Run {
    plan: Plan,
    next_action: usize,
    random: Random,
    cluster: Cluster,
    clients: Vec<Client>,
    history: History,
    judge: Judge,
    /// Nodes that are to be started as soon as they can be.
    starting: Vec<usize>,
    /// Why, of those that could not be started the last time.
    not_started: BTreeMap<usize, String>,
    is_table_there: bool,
    begun_us: Option<i64>,
    last_us: i64,
    kills: u64,
    is_verbose: bool,
    /// Writes through each node after everything is well again.
    last_writes: Vec<Option<Pending>>,
    last_told: Vec<bool>,
    ended: bool,
}

/// Runs a seed.
pub(crate) fn run(seed: u64, is_verbose: bool) -> Outcome {
    let plan = Plan::new(seed);
    if is_verbose {
        crate::say(&format!("{plan:#?}"));
    }
    let cluster = match Cluster::make(seed, &plan) {
        Ok(cluster) => cluster,
        Err(error) => {
            return Outcome {
                violations: vec![format!("the run did not begin: {error:#}")],
                ..Outcome::default()
            };
        }
    };
    let ledger = cluster.genesis.ledger_id();
    let config = SimulatedConfig {
        seed,
        ledger,
        suite: cluster.genesis.suite,
        base: Link {
            height: 0,
            hash: ledger,
            time_us: cluster.genesis.created_us,
        },
        secrets: cluster
            .machines
            .iter()
            .map(|machine| SecretKey::from_seed(&machine.secret.seed()))
            .collect(),
        interval: Duration::from_millis(plan.interval_ms),
        quality: plan.quality,
    };
    let nodes = plan.nodes;
    let run = Run {
        clients: (0..plan.clients).map(|_| Client::default()).collect(),
        next_action: 0,
        random: Random::new(seed.wrapping_add(1)),
        plan,
        cluster,
        history: History::default(),
        judge: Judge::default(),
        starting: (0..nodes).collect(),
        not_started: BTreeMap::new(),
        is_table_there: false,
        begun_us: None,
        last_us: 0,
        kills: 0,
        is_verbose,
        last_writes: Vec::new(),
        last_told: vec![false; nodes],
        ended: false,
    };
    simulated::run(&config, run).outcome()
}

impl Scenario for Run {
    fn tick(&mut self, now_us: i64, steering: &mut Steering) -> bool {
        let begun_us = *self.begun_us.get_or_insert(now_us);
        let since_us = now_us - begun_us;
        let passed_us = u64::try_from(since_us - self.last_us).unwrap_or(0);
        self.last_us = since_us;
        self.cluster.set_time(since_us, passed_us);
        let since_ms = u64::try_from(since_us / 1_000).unwrap_or(0);
        self.start_some(steering);
        while let Some((at, action)) = self.plan.actions.get(self.next_action).cloned() {
            if at > since_ms {
                break;
            }
            self.next_action += 1;
            self.act(&action, since_ms, steering);
        }
        for node in 0..self.cluster.machines.len() {
            if let Some(driven) = self.cluster.node(node) {
                driven.pump();
                self.judge.look(node, &driven);
            }
        }
        match since_ms {
            since if since < TROUBLE_MS => self.clients(since_us),
            since => {
                self.clients_end(since_us);
                self.all_well(since, steering);
                self.last(since_us);
            }
        }
        !(self.judge.violations.len() > 20 || self.is_over(since_ms))
    }
}

impl Run {
    fn tell(&self, since_ms: u64, what: &str) {
        if self.is_verbose {
            crate::say(&format!("{since_ms:>6} ms  {what}"));
        }
    }

    /// Starts nodes that are to run; one whose files are still held is tried again.
    fn start_some(&mut self, steering: &mut Steering) {
        for node in std::mem::take(&mut self.starting) {
            let is_running = self
                .cluster
                .machines
                .get(node)
                .is_none_or(|machine| machine.node.is_some());
            if is_running {
                continue;
            }
            match self.cluster.start(node) {
                Ok(driven) => {
                    self.not_started.remove(&node);
                    if let Some(outbox) = driven.take_outbox() {
                        steering.start(node, driven.voter(), outbox);
                    }
                }
                // Its files are held still, its disk is full or fails: whoever looks after it tries again. One that never
                // starts is found at the end.
                Err(error) => {
                    self.not_started.insert(node, format!("{error:#}"));
                    self.starting.push(node);
                }
            }
        }
    }

    fn act(&mut self, action: &Action, since_ms: u64, steering: &mut Steering) {
        self.tell(since_ms, &format!("{action:?}"));
        match action {
            Action::Kill { node, power } => {
                let is_running = |machine: &crate::cluster::Machine| machine.node.is_some();
                if self.cluster.machines.get(*node).is_some_and(is_running) {
                    self.kills += 1;
                    self.give_up(*node);
                    self.cluster.kill(*node, *power);
                    self.judge.forget(*node);
                    steering.stop(*node);
                }
            }
            Action::Full { node, full } => {
                if let Some(machine) = self.cluster.machines.get(*node) {
                    let room = full.then(|| machine.files.used_len() + FULL_ROOM);
                    machine.files.set_capacity(room);
                }
            }
            Action::FailSync { node } => {
                if let Some(machine) = self.cluster.machines.get(*node) {
                    machine.files.fail(Fault {
                        operation: Operation::Sync,
                        nth: 1,
                        kind: FaultKind::Error(std::io::ErrorKind::Other),
                    });
                }
            }
            Action::Start { node } => self.starting.push(*node),
            Action::Rot { node } => {
                let Some(machine) = self.cluster.machines.get(*node) else {
                    return;
                };
                let what = disk::rot(&machine.files, &machine.folder, &mut self.random);
                self.tell(since_ms, &format!("  {}", what.unwrap_or_default()));
            }
            Action::Heal { node } => self.heal(*node, since_ms),
            Action::Part { side } => {
                for from in 0..self.plan.nodes {
                    for to in 0..self.plan.nodes {
                        if from != to && side.contains(&from) != side.contains(&to) {
                            steering.link(from, to, None);
                        }
                    }
                }
            }
            Action::Join { quality } => {
                for from in 0..self.plan.nodes {
                    for to in (0..self.plan.nodes).filter(|to| *to != from) {
                        steering.link(from, to, Some(*quality));
                    }
                }
            }
            Action::Lie { node, lies } => {
                if let Some(machine) = self.cluster.machines.get(*node) {
                    machine
                        .lies
                        .store(*lies, std::sync::atomic::Ordering::Relaxed);
                }
            }
            Action::SignWrongly { node } => {
                if let Some(machine) = self.cluster.machines.get_mut(*node)
                    && let Some(driven) = &machine.node
                {
                    driven.sign_wrongly();
                    machine.signed_wrongly = true;
                }
            }
        }
    }

    fn heal(&mut self, node: usize, since_ms: u64) {
        let driven = self.cluster.node(node);
        if let Some(driven) = driven {
            let healed = driven.heal();
            let told = match &healed {
                Ok(report) => format!("  v{node}: {} findings", report.findings.len()),
                Err(error) => format!("  v{node}: {error}"),
            };
            self.tell(since_ms, &told);
        }
    }

    /// Nothing goes wrong any more: all run, hear each other, and tell the truth.
    fn all_well(&mut self, since_ms: u64, steering: &mut Steering) {
        if self.last_writes.is_empty() {
            self.tell(since_ms, "all is well again");
            self.last_writes = (0..self.plan.nodes).map(|_| None).collect();
            let quality = self.plan.quality;
            self.act(&Action::Join { quality }, since_ms, steering);
            for node in 0..self.plan.nodes {
                self.act(&Action::Lie { node, lies: false }, since_ms, steering);
                self.act(&Action::Full { node, full: false }, since_ms, steering);
                self.starting.push(node);
            }
        }
    }

    /// What clients of a killed node wait for, nobody knows.
    fn give_up(&mut self, node: usize) {
        for client in &mut self.clients {
            if let Some((at, write, _)) = &client.waits
                && *at == node
            {
                if let Some(write) = self.history.0.get_mut(*write) {
                    write.told = Told::Unknown;
                }
                client.waits = None;
            }
        }
    }

    /// Clients take their answers, and write again.
    fn clients(&mut self, since_us: i64) {
        self.clients_end(since_us);
        if !self.is_table_there {
            self.make_table();
            return;
        }
        for number in 0..self.clients.len() {
            let is_idle = self.clients.get(number).is_some_and(|client| {
                client.waits.is_none()
                    && client.made < WRITES_MAX
                    && client.not_before_us <= since_us
            });
            if is_idle {
                self.write(number, since_us);
            }
        }
    }

    fn make_table(&mut self) {
        let rows: Vec<String> = (0..LISTS).map(|list| format!("({list}, '')")).collect();
        let statements = [
            "CREATE TABLE lists (id INT PRIMARY KEY, v TEXT NOT NULL)".to_owned(),
            format!("INSERT INTO lists VALUES {}", rows.join(", ")),
        ];
        let first = self.cluster.node(0);
        let Some(first) = first else { return };
        if first.query("SELECT count(*) FROM lists").is_ok() {
            self.is_table_there = true;
            return;
        }
        // Once is enough; again if it came into no block.
        if self.last_us % 5_000_000 < 5_000 {
            // Whoever waits for it looks at the table.
            drop(first.write(payload(&statements)));
        }
    }

    fn write(&mut self, client: usize, since_us: i64) {
        let node = self.random.below(self.plan.nodes as u64) as usize;
        let Some(driven) = self.cluster.node(node) else {
            return;
        };
        let number = self.history.0.len() as u64 + 1;
        let first = self.random.below(LISTS);
        let mut lists = vec![first];
        if self.random.chance(40) {
            lists.push((first + 1 + self.random.below(LISTS - 1)) % LISTS);
        }
        let statements: Vec<String> = lists
            .iter()
            .map(|list| format!("UPDATE lists SET v = v || ' {number}' WHERE id = {list}"))
            .collect();
        let pause_us = i64::try_from(self.random.below(400_000)).unwrap_or(0);
        let Some(client) = self.clients.get_mut(client) else {
            return;
        };
        client.not_before_us = since_us + pause_us;
        if let Ok(pending) = driven.write(payload(&statements)) {
            client.made += 1;
            client.waits = Some((node, self.history.0.len(), pending));
            self.history.0.push(Write {
                number,
                lists,
                begun_us: since_us,
                told: Told::Waits,
            });
        }
    }

    fn clients_end(&mut self, since_us: i64) {
        for client in &mut self.clients {
            let Some((_, write, pending)) = &mut client.waits else {
                continue;
            };
            let told = match (&mut pending.receipt).now_or_never() {
                None => continue,
                Some(Ok(Ok(receipt))) if receipt.error.is_none() => Told::Applied {
                    at_us: since_us,
                    place: (receipt.height, receipt.index),
                },
                // It stands in a block, without effect.
                Some(Ok(Ok(_))) => Told::Refused,
                Some(Ok(Err(NodeError::Expired))) => Told::Refused,
                Some(_) => Told::Unknown,
            };
            if let Some(write) = self.history.0.get_mut(*write) {
                write.told = told;
            }
            client.waits = None;
        }
    }

    /// After the trouble: a write through each node, until it is acknowledged.
    fn last(&mut self, since_us: i64) {
        if self.last_writes.is_empty() || since_us < 0 {
            return;
        }
        for node in 0..self.plan.nodes {
            let Some(driven) = self.cluster.node(node) else {
                continue;
            };
            let slot = self.last_writes.get_mut(node);
            let told = self.last_told.get_mut(node);
            let (Some(slot), Some(told)) = (slot, told) else {
                continue;
            };
            if *told {
                continue;
            }
            if let Some(pending) = slot {
                match (&mut pending.receipt).now_or_never() {
                    None => {}
                    Some(Ok(Ok(_))) => *told = true,
                    Some(_) => *slot = None,
                }
            } else if let Ok(pending) =
                driven.write(payload(&["UPDATE lists SET v = v WHERE id = 0".to_owned()]))
            {
                *slot = Some(pending);
            }
        }
    }

    /// Whether everything that must come has come; or it is too late.
    fn is_over(&mut self, since_ms: u64) -> bool {
        if since_ms <= TROUBLE_MS + 10 || self.ended {
            return self.ended;
        }
        let nodes: Vec<_> = self
            .cluster
            .machines
            .iter()
            .map(|machine| machine.node.clone())
            .collect();
        let tips: Vec<_> = nodes
            .iter()
            .map(|node| node.as_ref().map(|node| node.tip()))
            .collect();
        let equal = tips.windows(2).all(|two| match two {
            [Some(one), Some(other)] => {
                (one.0, one.1, one.2, one.3) == (other.0, other.1, other.2, other.3)
            }
            _ => false,
        });
        let waits = self.clients.iter().any(|client| client.waits.is_some());
        let done = equal && !waits && self.last_told.iter().all(|told| *told);
        if !done && since_ms < HEALED_MS + TROUBLE_MS {
            return false;
        }
        self.ended = true;
        if !done {
            for (node, driven) in nodes.iter().enumerate() {
                let seen = driven
                    .as_ref()
                    .map(|driven| (driven.tip().0, driven.trouble()));
                self.judge.violations.push(format!(
                    "it does not come to rest: v{node} is at {seen:?}, its last write acknowledged: {:?}, not started for: {:?}",
                    self.last_told.get(node),
                    self.not_started.get(&node)
                ));
            }
            return true;
        }
        self.judge_the_end(since_ms);
        true
    }

    fn judge_the_end(&mut self, since_ms: u64) {
        for number in 0..self.cluster.machines.len() {
            let Some(machine) = self.cluster.machines.get(number) else {
                continue;
            };
            let Some(driven) = machine.node.clone() else {
                continue;
            };
            match driven.heal() {
                Ok(report) if report.findings.is_empty() => {}
                Ok(report) => self
                    .judge
                    .violations
                    .push(format!("v{number} stays damaged: {:?}", report.findings)),
                Err(error) => self
                    .judge
                    .violations
                    .push(format!("v{number} is not whole again: {error}")),
            }
            let liars = self.cluster.machines.iter().any(|one| one.signed_wrongly);
            if driven.evidence() > 0 && !liars {
                self.judge
                    .violations
                    .push(format!("v{number} accuses somebody, and nobody lied"));
            }
            match lists(&driven) {
                Ok(lists) if self.is_table_there => {
                    let found = self.history.violations(&lists);
                    self.judge
                        .violations
                        .extend(found.into_iter().map(|one| format!("v{number}: {one}")));
                }
                Err(error) if self.is_table_there => self
                    .judge
                    .violations
                    .push(format!("v{number} does not tell its lists: {error}")),
                _ => {}
            }
        }
        self.tell(since_ms, "the end");
    }

    fn outcome(self) -> Outcome {
        let digest = self
            .cluster
            .machines
            .first()
            .and_then(|machine| machine.node.as_ref())
            .map(|node| node.tip())
            .map_or_else(String::new, |tip| format!("{:?}", (tip.0, tip.1, tip.2)));
        Outcome {
            runs: 0,
            nodes: self.plan.nodes as u64,
            blocks: self.judge.height(),
            writes: self.history.0.len() as u64,
            acknowledged: self.history.acknowledged() as u64,
            kills: self.kills,
            seconds: u64::try_from(self.last_us / 1_000_000).unwrap_or(0),
            digest,
            violations: self.judge.violations,
        }
    }
}

fn payload(statements: &[String]) -> Payload {
    let statements = statements.iter().map(|sql| Statement {
        sql: sql.clone(),
        parameters: Vec::new(),
        result: None::<Hash>,
    });
    Payload::Statements(statements.collect())
}

/// The lists as a node has them.
fn lists(driven: &stele_node::driven::Driven) -> Result<BTreeMap<u64, Vec<u64>>, NodeError> {
    let answer = driven.query("SELECT id, v FROM lists ORDER BY id")?;
    let mut lists = BTreeMap::new();
    for row in &answer.result.rows {
        if let [Value::Int(id), Value::Text(text)] = row.as_slice() {
            let numbers = text.split_whitespace().filter_map(|one| one.parse().ok());
            lists.insert(u64::try_from(*id).unwrap_or(0), numbers.collect());
        }
    }
    Ok(lists)
}
