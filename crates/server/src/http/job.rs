//! Long work in the background: one piece at a time of each subject, watched by its number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;
use stele_node::NodeError;

use super::error::{ApiError, ErrorView};

/// Finished jobs whose reports are kept.
pub(super) const REPORTS_KEPT_MAX: usize = 16;

/// The jobs of one kind since the node started.
#[derive(Default)]
pub(super) struct Jobs(Mutex<Known>);

#[derive(Default)]
struct Known {
    last: u64,
    kept: VecDeque<Arc<Job>>,
}

/// One job.
pub(super) struct Job {
    number: u64,
    /// What it is about; empty for the node.
    subject: String,
    done: AtomicU64,
    total: AtomicU64,
    end: Mutex<Option<Result<Value, ErrorView>>>,
}

/// Where a job is.
pub(super) struct JobState {
    /// Its number.
    pub(super) job: u64,
    /// `running`, `done` or `failed`.
    pub(super) state: &'static str,
    /// How much is done.
    pub(super) done: u64,
    /// How much there is to do.
    pub(super) total: u64,
    /// What was found, once it is done.
    pub(super) report: Option<Value>,
    /// Why it failed.
    pub(super) error: Option<ErrorView>,
}

impl Jobs {
    /// Begins a job, if none is running of that subject; `path` is where jobs of this kind are watched.
    pub(super) fn begin(&self, path: &str, subject: &str) -> Result<Arc<Job>, ApiError> {
        let mut jobs = self.0.lock();
        let running = |job: &&Arc<Job>| job.subject == subject && job.end.lock().is_none();
        if let Some(running) = jobs.kept.iter().find(running) {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "audit_running",
                format!("check {} is running", running.number),
            )
            .hint(format!("GET {path}/{} shows how far it is", running.number)));
        }
        jobs.last += 1;
        let job = Arc::new(Job {
            number: jobs.last,
            subject: subject.to_owned(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            end: Mutex::new(None),
        });
        let ended = |job: &Arc<Job>| job.end.lock().is_some();
        let oldest = jobs.kept.iter().position(ended);
        if jobs.kept.len() >= REPORTS_KEPT_MAX
            && let Some(oldest) = oldest
        {
            jobs.kept.remove(oldest);
        }
        jobs.kept.push_back(job.clone());
        Ok(job)
    }

    /// The job of a number.
    pub(super) fn find(&self, number: u64, path: &str) -> Result<Arc<Job>, ApiError> {
        let jobs = self.0.lock();
        let job = jobs.kept.iter().find(|job| job.number == number);
        job.cloned().ok_or_else(|| {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "unknown_audit",
                format!("no check {number} is known"),
            )
            .hint(format!(
                "the last {REPORTS_KEPT_MAX} since the node started are kept; POST {path} starts one"
            ))
        })
    }
}

impl Job {
    /// Tells how far it is.
    pub(super) fn progress(&self, done: u64, total: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Where it is.
    pub(super) fn state(&self) -> JobState {
        let end = self.end.lock().clone();
        let (state, report, error) = match end {
            None => ("running", None, None),
            Some(Ok(report)) => ("done", Some(report), None),
            Some(Err(error)) => ("failed", None, Some(error)),
        };
        JobState {
            job: self.number,
            state,
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            report,
            error,
        }
    }

    /// Runs it on a thread where it may block. One that ends without an end of its own is failed.
    pub(super) fn run(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<Value, ApiError> + Send + 'static,
    ) {
        tokio::task::spawn_blocking(move || {
            let guard = EndGuard(self);
            let done = work(&guard.0);
            *guard.0.end.lock() = Some(done.map_err(|error| error.view().clone()));
        });
    }
}

struct EndGuard(Arc<Job>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        let mut end = self.0.end.lock();
        if end.is_none() {
            let error = NodeError::Storage(
                "the check ended early inside the node: its log has the cause".to_owned(),
            );
            *end = Some(Err(ApiError::from(error).view().clone()));
        }
    }
}
