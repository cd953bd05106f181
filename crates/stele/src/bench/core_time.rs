//! Time a thread spent on a core, so that neighbours on a busy machine do not count.

use std::time::{Duration, Instant};

/// How long this thread has run, by the kernel's account: nanoseconds on a core come first.
const ACCOUNT: &str = "/proc/thread-self/schedstat";

/// A stopwatch of the calling thread.
pub(super) struct CoreTime {
    start: Option<Duration>,
    wall: Instant,
}

impl CoreTime {
    pub(super) fn start() -> Self {
        Self {
            start: on_core(),
            wall: Instant::now(),
        }
    }

    /// Time on a core since the start; where the kernel keeps no account, time on the wall.
    pub(super) fn elapsed(&self) -> Duration {
        match (self.start, on_core()) {
            (Some(start), Some(now)) => now.saturating_sub(start),
            _ => self.wall.elapsed(),
        }
    }

    /// Time on the wall since the start.
    pub(super) fn wall(&self) -> Duration {
        self.wall.elapsed()
    }
}

fn on_core() -> Option<Duration> {
    let account = std::fs::read_to_string(ACCOUNT).ok()?;
    let nanos = account.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_takes_no_core_time() {
        let time = CoreTime::start();
        std::thread::sleep(Duration::from_millis(50));
        assert!(time.wall() >= Duration::from_millis(50));
        // Without the kernel's account there is only the wall to go by.
        assert!(on_core().is_none() || time.elapsed() < Duration::from_millis(40));
    }
}
