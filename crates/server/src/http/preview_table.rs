//! The table of previews: open transactions by name, bounded in number, bytes and idle time.
//!
//! Nothing outside this process knows of them; they end with it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde::Serialize;
use stele_core::AccountId;
use stele_core::transaction::Statement;
use stele_node::{Node, NodeError, OpenTransaction};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use utoipa::ToSchema;

use super::context::App;
use super::error::ApiError;

/// Most statements of one preview.
const STATEMENTS_MAX: usize = 1_000;
/// Most bytes of statements in all previews together (64 MiB).
const OPEN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Ended previews whose end is remembered, so that late use gets a fitting error.
const ENDED_KEPT_MAX: usize = 10_000;
/// Longest name of a preview, in characters.
const NAME_LEN_MAX: usize = 64;

/// All previews of the node.
pub(super) struct Previews {
    open_max: usize,
    idle_max: Duration,
    /// Bytes of statements in all of them.
    bytes_held: Arc<AtomicUsize>,
    table: Mutex<Table>,
}

/// Empty once the preview has ended, for those who still wait for it.
type Slot = Arc<AsyncMutex<Option<Open>>>;

#[derive(Default)]
struct Table {
    open: BTreeMap<String, Slot>,
    ended: HashMap<String, End>,
    ended_order: VecDeque<String>,
}

/// A preview.
pub(super) struct Open {
    /// Key that signs at COMMIT.
    pub(super) key: String,
    /// Its statements and what was seen.
    pub(super) transaction: OpenTransaction,
    /// Bytes of it that are counted.
    counted: usize,
    bytes_held: Arc<AtomicUsize>,
    used: Instant,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.bytes_held.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

/// How a preview ended.
#[derive(Clone, Copy)]
pub(super) enum End {
    Expired,
    Committed,
    Freed,
}

/// A preview.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PreviewView {
    /// Its name, to be sent as the header `Stele-Preview`.
    name: String,
    /// Whether it is open: always true here.
    in_transaction: bool,
    /// Key that signs. Absent in a list while a request uses the preview, as what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Statements so far that will be submitted: writes, and reads to be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    statements: Option<usize>,
    /// Writes among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    writes: Option<usize>,
    /// Milliseconds since it was used last.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_ms: Option<u64>,
    /// Milliseconds without use after which it is undone.
    idle_ms_max: u64,
}

impl Table {
    fn end(&mut self, name: &str, end: End) -> Option<Slot> {
        let slot = self.open.remove(name)?;
        if self.ended_order.len() == ENDED_KEPT_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        self.ended.insert(name.to_owned(), end);
        self.ended_order.push_back(name.to_owned());
        Some(slot)
    }

    /// A name is used again.
    fn forget_end(&mut self, name: &str) {
        if self.ended.remove(name).is_some() {
            self.ended_order.retain(|ended| ended != name);
        }
    }

    fn expire(&mut self, idle_max: Duration) {
        let mut idle = Vec::new();
        for (name, slot) in &self.open {
            // One that is in use right now is not idle.
            if let Ok(mut open) = slot.try_lock()
                && open
                    .as_ref()
                    .is_none_or(|open| open.used.elapsed() > idle_max)
            {
                // Whoever waits for it finds it gone.
                open.take();
                idle.push(name.clone());
            }
        }
        for name in idle {
            self.end(&name, End::Expired);
        }
    }
}

impl Previews {
    pub(super) fn new(open_max: usize, idle_max: Duration) -> Self {
        Self {
            open_max,
            idle_max,
            bytes_held: Arc::default(),
            table: Mutex::new(Table::default()),
        }
    }

    /// Opens one. Without a name it gets one nobody can guess.
    pub(super) fn begin(
        &self,
        node: &Node,
        name: Option<String>,
        key: String,
        account: AccountId,
    ) -> Result<PreviewView, ApiError> {
        let name = match name {
            Some(name) => checked(name)?,
            None => random_name()?,
        };
        let mut table = self.table.lock();
        table.expire(self.idle_max);
        if table.open.contains_key(&name) {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "name_taken",
                format!("preview {name:?} is open already"),
            )
            .hint("take another name, or DELETE /v1/previews/{name} to free it"));
        }
        if table.open.len() >= self.open_max {
            return Err(ApiError::busy(format!(
                "{} previews are open",
                table.open.len()
            )));
        }
        let (time_us, seed) = (node.now_us(), node.fresh_seed());
        let open = Open {
            key,
            transaction: OpenTransaction::new(account, time_us, seed, STATEMENTS_MAX),
            counted: 0,
            bytes_held: self.bytes_held.clone(),
            used: Instant::now(),
        };
        let view = self.view(&name, Some(&open));
        table.forget_end(&name);
        table
            .open
            .insert(name, Arc::new(AsyncMutex::new(Some(open))));
        Ok(view)
    }

    fn find(&self, name: &str) -> Result<Slot, ApiError> {
        let mut table = self.table.lock();
        table.expire(self.idle_max);
        match table.open.get(name) {
            Some(slot) => Ok(slot.clone()),
            None => Err(self.no_longer_open(name, table.ended.get(name).copied())),
        }
    }

    /// Takes a preview out of the table, once nobody uses it.
    pub(super) async fn end(&self, app: &App, name: &str, end: End) -> Result<Open, ApiError> {
        let slot = self.find(name)?;
        let mut slot = slot.lock_owned().await;
        if let Some(open) = &*slot {
            app.check_key(&open.key)?;
        }
        let mut table = self.table.lock();
        match slot.take() {
            Some(open) => {
                table.end(name, end);
                Ok(open)
            }
            None => Err(self.no_longer_open(name, table.ended.get(name).copied())),
        }
    }

    /// Opens again what was taken to be committed and could not be handed in.
    pub(super) fn reopen(&self, name: String, mut open: Open) {
        open.used = Instant::now();
        let mut table = self.table.lock();
        table.forget_end(&name);
        table
            .open
            .insert(name, Arc::new(AsyncMutex::new(Some(open))));
    }

    fn no_longer_open(&self, name: &str, end: Option<End>) -> ApiError {
        match end {
            Some(End::Expired) => ApiError::new(
                StatusCode::GONE,
                "expired",
                format!(
                    "preview {name:?} was not used for {} s and is undone",
                    self.idle_max.as_secs()
                ),
            )
            .hint("open a new one with POST /v1/previews"),
            Some(End::Committed) => ApiError::new(
                StatusCode::CONFLICT,
                "ended",
                format!("preview {name:?} was committed already"),
            ),
            Some(End::Freed) => ApiError::new(
                StatusCode::CONFLICT,
                "ended",
                format!("preview {name:?} was freed already"),
            ),
            None => ApiError::new(
                StatusCode::NOT_FOUND,
                "unknown_preview",
                format!("no preview {name:?} is open"),
            )
            .hint("POST /v1/previews opens one; they end with the node"),
        }
    }

    /// Works on a preview; others of its requests wait.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        app: &App,
        name: &str,
        work: impl FnOnce(&Node, &mut OpenTransaction) -> Result<T, NodeError> + Send + 'static,
    ) -> Result<(T, PreviewView), ApiError> {
        let mut slot: OwnedMutexGuard<Option<Open>> = self.find(name)?.lock_owned().await;
        match &*slot {
            Some(open) => app.check_key(&open.key)?,
            None => {
                let end = self.table.lock().ended.get(name).copied();
                return Err(self.no_longer_open(name, end));
            }
        }
        if self.bytes_held.load(Ordering::Relaxed) > OPEN_BYTES_MAX {
            return Err(ApiError::busy("the previews hold too many bytes"));
        }
        let (done, slot) = app
            .blocking(move |node| {
                let done = slot.as_mut().map(|open| {
                    let done = work(node, &mut open.transaction);
                    open.recount();
                    open.used = Instant::now();
                    done
                });
                Ok::<_, NodeError>((done, slot))
            })
            .await?;
        match done {
            Some(done) => Ok((done?, self.view(name, slot.as_ref()))),
            None => Err(self.no_longer_open(name, None)),
        }
    }

    /// All previews, by name.
    pub(super) fn list(&self) -> Vec<PreviewView> {
        let mut table = self.table.lock();
        table.expire(self.idle_max);
        let view = |(name, slot): (&String, &Slot)| match slot.try_lock() {
            Ok(open) => self.view(name, open.as_ref()),
            Err(_) => self.view(name, None),
        };
        table.open.iter().map(view).collect()
    }

    fn view(&self, name: &str, open: Option<&Open>) -> PreviewView {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        PreviewView {
            name: name.to_owned(),
            in_transaction: true,
            key: open.map(|open| open.key.clone()),
            statements: open.map(|open| open.transaction.statements().len()),
            writes: open.map(|open| open.transaction.writes()),
            idle_ms: open.map(|open| millis(open.used.elapsed())),
            idle_ms_max: millis(self.idle_max),
        }
    }
}

impl Open {
    fn recount(&mut self) {
        let bytes = self.transaction.bytes();
        self.bytes_held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes_held.fetch_sub(self.counted, Ordering::Relaxed);
        self.counted = bytes;
    }
}

/// Adds a write of the key-value state, whose result nobody is shown.
pub(super) fn note(open: &mut OpenTransaction, statement: Statement) -> Result<(), NodeError> {
    Ok(open.note(statement)?)
}

fn checked(name: String) -> Result<String, ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > NAME_LEN_MAX || !name.chars().all(fits) {
        return Err(ApiError::invalid(format!(
            "a preview's name has 1 to {NAME_LEN_MAX} letters, digits, dots, hyphens and underscores"
        )));
    }
    Ok(name)
}

fn random_name() -> Result<String, ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            format!("the system gives no random bytes: {error}"),
        )
    })?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests;
