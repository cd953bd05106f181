//! The self-check that runs by itself: once after the start, then at an interval, slowly enough not
//! to be felt. What it finds, or a check on demand does, it has made whole, where others keep the same blocks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use stele_flow::Join;

use crate::audit::TILES;
use crate::error::NodeError;
use crate::node::Inner;
use crate::status::{AuditReport, Damaged};

/// How long after a repair that did not come to its end it is tried again.
const REPAIR_RETRY: Duration = Duration::from_secs(10);

/// The running schedule.
pub(crate) struct Checker {
    schedule: Arc<Schedule>,
    thread: Mutex<Option<Box<dyn Join>>>,
}

#[derive(Default)]
struct Schedule {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    /// Found by a check on demand.
    found: Option<Trouble>,
}

/// What is to be made whole.
pub(crate) enum Trouble {
    Blocks(Box<Damaged>),
    Tiles,
    State,
}

impl Trouble {
    /// The first of what a check found: the rest is made from it.
    pub(crate) fn of(report: &AuditReport) -> Option<Self> {
        if let Some(damage) = &report.damage {
            return Some(Self::Blocks(Box::new(damage.clone())));
        }
        let first = report.findings.first()?;
        Some(match first.part {
            TILES => Self::Tiles,
            _ => Self::State,
        })
    }
}

impl Schedule {
    fn stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Waits; what was found meanwhile.
    fn wait(&self, limit: Option<Duration>) -> Option<Trouble> {
        let mut state = self.state.lock();
        if !state.stopping && state.found.is_none() {
            match limit {
                Some(limit) => {
                    self.changed.wait_for(&mut state, limit);
                }
                None => self.changed.wait(&mut state),
            }
        }
        state.found.take()
    }
}

impl Checker {
    /// Starts the schedule; an interval of 0 means checks on demand only.
    pub(crate) fn start(inner: &Arc<Inner>) -> Result<Self, NodeError> {
        let schedule = Arc::new(Schedule::default());
        let (checked, follows) = (inner.clone(), schedule.clone());
        let spawner = inner.runtime.spawner.clone();
        let task = move || run(&checked, &follows);
        let spawned = spawner.spawn("stele-check", Box::new(task));
        let thread = spawned.map_err(|error| NodeError::Storage(error.to_string()))?;
        Ok(Self {
            schedule,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Tells what a check on demand found.
    pub(crate) fn found(&self, report: &AuditReport) {
        if let Some(trouble) = Trouble::of(report) {
            self.schedule.state.lock().found = Some(trouble);
            self.schedule.changed.notify_all();
        }
    }

    /// Ends the schedule and waits for a check under way to notice. Idempotent.
    pub(crate) fn stop(&self) {
        self.schedule.state.lock().stopping = true;
        self.schedule.changed.notify_all();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && let Err(panicked) = thread.join()
        {
            tracing::error!(%panicked, "the self-check ended by a panic");
        }
    }
}

fn run(inner: &Inner, schedule: &Schedule) {
    let interval = Duration::from_secs(inner.config.self_check_interval_s);
    let interval = (!interval.is_zero()).then_some(interval);
    let keep_on = || !schedule.stopping();
    let mut rate = inner.config.self_check_mib_per_s;
    let mut known: Option<Trouble> = None;
    // What was made whole last, where nothing was found in order since.
    let mut mended_last: Option<Option<(u64, u64)>> = None;
    let mut due = interval.is_some() || inner.store.held().is_some();
    if inner.is_cut.load(Ordering::Acquire) {
        inner.pull_back(&keep_on);
    }
    while keep_on() {
        let mut wait = interval;
        if due && known.is_none() {
            match inner.checked(1..=u64::MAX, true, rate, &|_, _| keep_on()) {
                Ok(report) => known = Trouble::of(&report),
                Err(NodeError::Stopping) => {}
                Err(error) => {
                    tracing::error!(%error, "the self-check could not be finished");
                    if inner.store.held().is_some() {
                        wait = Some(interval.map_or(REPAIR_RETRY, |every| every.min(REPAIR_RETRY)));
                    }
                }
            }
            rate = inner.config.self_check_mib_per_s;
        }
        if let Some(trouble) = known.take()
            && inner.peers().is_some()
            && keep_on()
        {
            let mended = match &trouble {
                Trouble::Blocks(damage) => inner.repair(damage, &keep_on),
                Trouble::Tiles => inner.rebuild_tiles(),
                Trouble::State => inner.rebuild_state(),
            };
            match mended {
                Ok(()) => {
                    // There may be more, and the store is not valid before it is found good.
                    rate = 0;
                    due = true;
                    let place = match &trouble {
                        Trouble::Blocks(damaged) => {
                            Some((damaged.damage.segment, damaged.damage.offset))
                        }
                        _ => None,
                    };
                    if mended_last.replace(place) == Some(place) {
                        // It does not help, or something goes on changing it.
                        schedule.wait(Some(REPAIR_RETRY));
                    }
                    continue;
                }
                Err(NodeError::Stopping) => return,
                Err(error) => {
                    tracing::warn!(%error, "what is damaged could not be made whole yet");
                    wait = Some(interval.map_or(REPAIR_RETRY, |every| every.min(REPAIR_RETRY)));
                    known = Some(trouble);
                }
            }
        }
        mended_last = None;
        due = interval.is_some() || inner.store.held().is_some();
        if !keep_on() {
            return;
        }
        if let Some(found) = schedule.wait(wait) {
            known = Some(found);
        }
    }
}
