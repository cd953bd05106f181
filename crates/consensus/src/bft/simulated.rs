//! A cluster of engines in simulated time, over a simulated network, on one thread: for tests of whole clusters.
//!
//! The engines are those of [`super::start`], with their own files on a simulated disk. One seed gives one run. Everything here is
//! generic over the [`Scenario`], so that it is compiled where one is run and nowhere else.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use commonware_cryptography::ed25519;
use commonware_p2p::simulated::{Config as NetworkConfig, Link as NetworkLink, Network, Oracle};
use commonware_runtime::{
    Clock as _, Handle, Runner as _, Spawner as _, Supervisor as _, deterministic,
};
use commonware_utils::{NZUsize, Probability};
use stele_core::crypto::SecretKey;
use stele_core::{Hash, Suite};

use super::automaton::engine_key;
use super::deliver::{Final, Inbox, Sink};
use super::engine::{CHANNELS, Channels, Identity, Outside, WIRE_LEN_MAX, assemble};
use super::messages::Outbox;
use super::{BftConfig, Peer};
use crate::application::{DeliverError, Link, Voter};

/// Simulated time between two looks at the scenario.
const TICK: Duration = Duration::from_millis(5);
/// Simulated time after which a block that could not be applied is tried again.
const RETRY: Duration = Duration::from_millis(20);
const MILLION: u64 = 1_000_000;

/// What happens to a cluster.
pub trait Scenario {
    /// Looks at the cluster at a moment of simulated time, microseconds since 1970 UTC, and steers it; false to end.
    fn tick(&mut self, now_us: i64, cluster: &mut Steering) -> bool;
}

/// How well one node hears another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality {
    /// Way of a message, in milliseconds.
    pub latency_ms: u64,
    /// How much that varies, in milliseconds.
    pub jitter_ms: u64,
    /// How many of a million messages arrive.
    pub arriving: u64,
}

/// Who takes part, and where it begins.
pub struct SimulatedConfig {
    /// Of everything that is random.
    pub seed: u64,
    /// The ledger.
    pub ledger: Hash,
    /// Its algorithms.
    pub suite: Suite,
    /// The block the engines begin after.
    pub base: Link,
    /// Keys of the validators.
    pub secrets: Vec<SecretKey>,
    /// Time between two blocks.
    pub interval: Duration,
    /// How they hear each other at first.
    pub quality: Quality,
}

/// What a scenario does to the cluster.
#[derive(Default)]
pub struct Steering {
    commands: Vec<Command>,
}

enum Command {
    Start(usize, Arc<dyn Voter>, Outbox),
    Stop(usize),
    Link(usize, usize, Option<Quality>),
}

impl Steering {
    /// Starts a validator's engine; the first time, or after it was stopped.
    pub fn start(&mut self, node: usize, voter: Arc<dyn Voter>, outbox: Outbox) {
        self.commands.push(Command::Start(node, voter, outbox));
    }

    /// Ends an engine at once, as kill -9 does.
    pub fn stop(&mut self, node: usize) {
        self.commands.push(Command::Stop(node));
    }

    /// Sets how one node is heard by another; none: not at all.
    pub fn link(&mut self, from: usize, to: usize, quality: Option<Quality>) {
        self.commands.push(Command::Link(from, to, quality));
    }
}

/// A running engine.
struct Running {
    voter: Arc<dyn Voter>,
    inbox: Arc<Inbox>,
    /// The block that is to be applied next, and when it is tried again.
    next: Option<(Final, i64)>,
    halted: bool,
    task: Handle<()>,
}

type NetworkOracle = Oracle<ed25519::PublicKey, deterministic::Context>;

/// Runs a scenario to its end, and gives it back.
///
/// # Panics
/// When a key is none, or the simulated network fails.
pub fn run<T: Scenario>(config: &SimulatedConfig, mut scenario: T) -> T {
    let runner = deterministic::Runner::seeded(config.seed);
    runner.start(|context| async move {
        let keys: Vec<ed25519::PublicKey> = config
            .secrets
            .iter()
            .map(|secret| engine_key(&secret.public()).expect("a validator's key"))
            .collect();
        let network = NetworkConfig {
            max_size: WIRE_LEN_MAX,
            disconnect_on_block: true,
            max_peers_per_set: std::num::NonZeroUsize::new(keys.len()).unwrap_or(NZUsize!(1)),
            tracked_peer_sets: NZUsize!(2),
        };
        let (network, oracle) =
            Network::new_with_peers(context.child("network"), network, keys.clone()).await;
        network.start();
        for from in &keys {
            for to in keys.iter().filter(|to| *to != from) {
                link(&oracle, (from, to), Some(config.quality)).await;
            }
        }
        let mut running: BTreeMap<usize, Running> = BTreeMap::new();
        loop {
            let now_us = context
                .current()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| {
                    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
                });
            let mut steering = Steering::default();
            let go_on = scenario.tick(now_us, &mut steering);
            for command in steering.commands {
                match command {
                    Command::Start(node, voter, outbox) => {
                        let started = start(&context, config, &oracle, &keys, node, voter, outbox);
                        running.insert(node, started.await);
                    }
                    Command::Stop(node) => {
                        if let Some(stopped) = running.remove(&node) {
                            stopped.task.abort();
                        }
                    }
                    Command::Link(from, to, quality) => {
                        if let (Some(from), Some(to)) = (keys.get(from), keys.get(to)) {
                            link(&oracle, (from, to), quality).await;
                        }
                    }
                }
            }
            if !go_on {
                return scenario;
            }
            for one in running.values_mut() {
                one.deliver(now_us);
            }
            context.sleep(TICK).await;
        }
    })
}

async fn start(
    context: &deterministic::Context,
    config: &SimulatedConfig,
    oracle: &NetworkOracle,
    keys: &[ed25519::PublicKey],
    node: usize,
    voter: Arc<dyn Voter>,
    outbox: Outbox,
) -> Running {
    let own = config.secrets.get(node).expect("a node of the cluster");
    let key = keys.get(node).expect("a node of the cluster").clone();
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let validators = config.secrets.iter().map(|secret| Peer {
        key: secret.public(),
        address: nowhere,
    });
    let bft = BftConfig {
        ledger: config.ledger,
        suite: config.suite,
        base: config.base,
        validators: validators.collect(),
        secret: SecretKey::from_seed(&own.seed()),
        listen: nowhere,
        directory: PathBuf::new(),
        interval: config.interval,
    };
    let identity = Identity::of(&bft).expect("the keys of a simulation are good");
    let control = oracle.control(key);
    let mut registered = Vec::new();
    for (number, quota) in CHANNELS {
        let channel = control.register(number, quota).await;
        registered.push(channel.expect("the simulated network runs"));
    }
    let mut registered = registered.into_iter();
    let mut next = || registered.next().expect("as many channels as there are");
    let inbox = Arc::new(Inbox::default());
    let outside = Outside {
        peers: oracle.manager(),
        blocker: control,
        channels: Channels {
            votes: next(),
            certificates: next(),
            resolving: next(),
            backfill: next(),
            blocks: next(),
            messages: next(),
        },
        voter: voter.clone(),
        outbox,
        sink: Sink(inbox.clone()),
    };
    let halts = voter.clone();
    let task = context
        .child("validator")
        .with_attribute("node", node)
        .spawn(move |context| async move {
            let prefix = format!("node{node}-");
            if let Err(reason) = assemble(&context, &bft, &prefix, identity, outside).await {
                halts.halted(&reason);
            }
            futures::future::pending::<()>().await;
        });
    Running {
        voter,
        inbox,
        next: None,
        halted: false,
        task,
    }
}

async fn link(
    oracle: &NetworkOracle,
    (from, to): (&ed25519::PublicKey, &ed25519::PublicKey),
    quality: Option<Quality>,
) {
    // There may be none, and there may be one already.
    let _ = oracle.remove_link(from.clone(), to.clone()).await;
    if let Some(quality) = quality {
        let arriving = quality.arriving.min(MILLION);
        let link = NetworkLink {
            latency: Duration::from_millis(quality.latency_ms),
            jitter: Duration::from_millis(quality.jitter_ms),
            success_rate: Probability::new(arriving, MILLION).expect("at most all arrive"),
        };
        let _ = oracle.add_link(from.clone(), to.clone(), link).await;
    }
}

impl Running {
    /// Applies what is final, as far as it can be applied now.
    fn deliver(&mut self, now_us: i64) {
        while !self.halted {
            let (block, due_us) = match self.next.take() {
                Some(next) => next,
                None => match self.inbox.try_take() {
                    Some(block) => (block, 0),
                    None => return,
                },
            };
            if due_us > now_us {
                self.next = Some((block, due_us));
                return;
            }
            match self.voter.deliver(&block.0) {
                Ok(()) => {
                    self.voter.stalled(None);
                    block.taken();
                }
                Err(DeliverError::Later(reason)) => {
                    self.voter.stalled(Some(&reason));
                    let again = i64::try_from(RETRY.as_micros()).unwrap_or(i64::MAX);
                    self.next = Some((block, now_us.saturating_add(again)));
                    return;
                }
                Err(DeliverError::Halt(reason)) => {
                    self.voter.halted(&reason);
                    self.halted = true;
                }
            }
        }
    }
}
