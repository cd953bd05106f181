//! What goes wrong in a run, and when: made from the seed before it begins.

use stele_consensus::bft::simulated::Quality;

use sim::random::Random;

/// Simulated time in which things go wrong, in milliseconds.
pub(crate) const TROUBLE_MS: u64 = 20_000;
/// Simulated time after which everything must be well again.
pub(crate) const HEALED_MS: u64 = 60_000;

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A node is killed; what was not synced is lost if its power is, too.
    Kill { node: usize, power: bool },
    /// It starts again.
    Start { node: usize },
    /// Its disk has no more room; or it has again.
    Full { node: usize, full: bool },
    /// Its next sync fails: it must be started again.
    FailSync { node: usize },
    /// A bit on its disk changes.
    Rot { node: usize },
    /// It checks what it stores, and mends it.
    Heal { node: usize },
    /// The network parts: nodes of one side hear their own side only.
    Part { side: Vec<usize> },
    /// Everyone hears everyone, so well.
    Join { quality: Quality },
    /// It gives others changed blocks from now on, or no longer.
    Lie { node: usize, lies: bool },
    /// It signs a checkpoint of a log that nobody has.
    SignWrongly { node: usize },
}

/// Everything that goes wrong, in order of time.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    pub(crate) clients: usize,
    pub(crate) interval_ms: u64,
    pub(crate) quality: Quality,
    pub(crate) segment_len: u64,
    /// How far a node's clock is off, in microseconds.
    pub(crate) skews_us: Vec<i64>,
    pub(crate) actions: Vec<(u64, Action)>,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let nodes = *[4, 4, 4, 5, 7].get(random.below(5) as usize).unwrap_or(&4);
        let quality = quality(&mut random);
        let mut plan = Self {
            nodes,
            clients: nodes * 2,
            interval_ms: *[50, 100, 250].get(random.below(3) as usize).unwrap_or(&100),
            quality,
            segment_len: random.between(4, 40) * 1024,
            skews_us: (0..nodes)
                .map(|_| i64::try_from(random.below(1_000_000)).unwrap_or(0) - 500_000)
                .collect(),
            actions: Vec::new(),
        };
        // Of 3f+1 nodes f may lie; more of them may be away for a while.
        let liars = (nodes - 1) / 3;
        for _ in 0..random.between(2, 8) {
            plan.add_trouble(&mut random, liars);
        }
        // What mends may come late.
        plan.actions.retain(|(at, action)| {
            *at <= TROUBLE_MS || matches!(action, Action::Start { .. } | Action::Join { .. })
        });
        plan.actions.sort_by_key(|(at, _)| *at);
        plan
    }

    fn add_trouble(&mut self, random: &mut Random, liars: usize) {
        let at = random.between(1_000, TROUBLE_MS);
        let later = at + random.between(300, 8_000);
        let node = random.below(self.nodes as u64) as usize;
        match random.below(10) {
            0 | 1 => {
                let power = random.chance(50);
                self.actions.push((at, Action::Kill { node, power }));
                self.actions.push((later, Action::Start { node }));
            }
            2 => {
                // All at once.
                for node in 0..self.nodes {
                    self.actions.push((at, Action::Kill { node, power: true }));
                    self.actions.push((later, Action::Start { node }));
                }
            }
            3 => {
                let side = (0..self.nodes).filter(|_| random.chance(50)).collect();
                self.actions.push((at, Action::Part { side }));
                let quality = self.quality;
                self.actions.push((later, Action::Join { quality }));
            }
            4 => {
                let quality = quality(random);
                self.actions.push((at, Action::Join { quality }));
            }
            5 | 6 => {
                self.actions.push((at, Action::Rot { node }));
                if random.chance(50) {
                    self.actions.push((at + 50, Action::Heal { node }));
                } else {
                    // Found when it starts again.
                    let power = random.chance(50);
                    self.actions.push((at + 50, Action::Kill { node, power }));
                    self.actions.push((later, Action::Start { node }));
                }
            }
            7 => {
                self.actions.push((at, Action::Full { node, full: true }));
                self.actions
                    .push((later.min(TROUBLE_MS), Action::Full { node, full: false }));
            }
            8 => {
                self.actions.push((at, Action::FailSync { node }));
                let end = (at + 1_000).min(TROUBLE_MS);
                self.actions.push((
                    end,
                    Action::Kill {
                        node,
                        power: random.chance(50),
                    },
                ));
                self.actions.push((later.max(end), Action::Start { node }));
            }
            _ => {
                let node = random.below(liars.max(1) as u64) as usize;
                self.actions.push((at, Action::Lie { node, lies: true }));
                self.actions.push((at + 10, Action::SignWrongly { node }));
                self.actions
                    .push((TROUBLE_MS, Action::Lie { node, lies: false }));
            }
        }
    }
}

fn quality(random: &mut Random) -> Quality {
    Quality {
        latency_ms: random.between(1, 100),
        jitter_ms: random.between(0, 20),
        arriving: 1_000_000 - random.below(4) * random.below(30_000),
    }
}
