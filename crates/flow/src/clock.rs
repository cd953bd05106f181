//! Time, as the machine tells it. Nothing that nodes must agree on may read it.

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Wall-clock time in microseconds since 1970-01-01 UTC. May jump in both directions.
    fn now_us(&self) -> i64;

    /// Microseconds since some fixed moment. Never goes back; for measuring spans and time-outs.
    fn monotonic_us(&self) -> u64;
}
