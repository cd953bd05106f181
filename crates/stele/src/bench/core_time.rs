//! Time spent on cores, so that neighbours on a busy machine, and waiting for a disk, do not count.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A stopwatch of the calling thread or of the whole process.
pub(super) struct CoreTime {
    clock: ClockId,
    start: Duration,
    wall: Instant,
}

impl CoreTime {
    /// Of the calling thread.
    pub(super) fn of_thread() -> Self {
        Self::start(ClockId::ThreadCPUTime)
    }

    /// Of all threads of this process together.
    pub(super) fn of_process() -> Self {
        Self::start(ClockId::ProcessCPUTime)
    }

    fn start(clock: ClockId) -> Self {
        Self {
            clock,
            start: on_core(clock),
            wall: Instant::now(),
        }
    }

    /// Time on a core since the start.
    pub(super) fn elapsed(&self) -> Duration {
        on_core(self.clock).saturating_sub(self.start)
    }

    /// Time on the wall since the start.
    pub(super) fn wall(&self) -> Duration {
        self.wall.elapsed()
    }
}

fn on_core(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_takes_no_core_time() {
        let time = CoreTime::of_thread();
        std::thread::sleep(Duration::from_millis(50));
        assert!(time.wall() >= Duration::from_millis(50));
        assert!(time.elapsed() < Duration::from_millis(40));
    }

    #[test]
    fn a_process_is_all_its_threads() {
        let (process, thread) = (CoreTime::of_process(), CoreTime::of_thread());
        let busy = std::thread::spawn(|| {
            let time = CoreTime::of_thread();
            while time.elapsed() < Duration::from_millis(40) {}
        });
        assert!(busy.join().is_ok());
        assert!(process.elapsed() >= Duration::from_millis(40));
        assert!(thread.elapsed() < Duration::from_millis(40));
    }
}
