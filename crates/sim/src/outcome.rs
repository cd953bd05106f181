//! What a run gave, and many of them together.

use std::fmt;

/// What a run gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) runs: u64,
    pub(crate) nodes: u64,
    pub(crate) blocks: u64,
    pub(crate) writes: u64,
    pub(crate) acknowledged: u64,
    pub(crate) kills: u64,
    pub(crate) seconds: u64,
    pub(crate) digest: String,
    pub(crate) violations: Vec<String>,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Self) {
        self.runs += 1;
        self.nodes += other.nodes;
        self.blocks += other.blocks;
        self.writes += other.writes;
        self.acknowledged += other.acknowledged;
        self.kills += other.kills;
        self.seconds += other.seconds;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs > 0 {
            write!(f, "{} runs, ", self.runs)?;
        }
        write!(
            f,
            "{} nodes, {} blocks, {} of {} writes acknowledged, {} kills, {} simulated s",
            self.nodes, self.blocks, self.acknowledged, self.writes, self.kills, self.seconds
        )
    }
}
