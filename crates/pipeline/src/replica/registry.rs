//! The replicas of a node: added, paused and removed while it runs, and there again after its next start.

mod audit;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use stele_flow::{Mirror, Runtime, SinkErrorKind, Source};

use super::claim::Claims;
use super::error::ReplicaError;
use super::job::{Ending, Job};
use super::last_audit::LastAudit;
use super::schedule;
use super::spec::{ReplicaSpec, check_name};
use super::status::{Phase, ReplicaStatus, StatusBoard, word};
use super::task::Task;
use crate::audit::Known;
use crate::follower::Follower;

/// Most replicas of a node.
const REPLICAS_MAX: usize = 64;
/// What targets that are programs begin with.
const PROGRAM: &str = "plugin:";
/// Longest wait for a task when the node stops.
const STOP_WAIT_MAX: Duration = Duration::from_secs(3);
/// Longest wait for a task that is to rest or to be changed.
const HALT_WAIT_MAX: Duration = Duration::from_secs(15);
/// Folder of the specifications and passwords in the data directory.
const FOLDER: &str = "replicas";

/// Makes what replicas work with.
pub struct Workshop {
    /// The source, standing before its first block.
    pub source: Box<dyn Fn() -> Box<dyn Source> + Send + Sync>,
    /// The sink of a specification and its password; or why there is none.
    pub sink: Box<SinkMaker>,
    /// Clock, tasks and files.
    pub runtime: Runtime,
    /// The node's data directory.
    pub directory: PathBuf,
}

/// Makes a sink of a specification and a password.
pub type SinkMaker =
    dyn Fn(&ReplicaSpec, Option<String>) -> Result<Box<dyn Mirror>, String> + Send + Sync;

/// A replica as it was made and as it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView {
    /// Its name.
    pub name: String,
    /// What it is to be.
    pub spec: ReplicaSpec,
    /// Whether it stands in the configuration file.
    pub configured: bool,
    /// How it is doing.
    pub status: ReplicaStatus,
    /// What the last audit since the node started found.
    pub last_audit: Option<LastAudit>,
}

/// The replicas of a node. Cheap to clone.
#[derive(Clone)]
pub struct Replicas(Arc<Inner>);

impl std::fmt::Debug for Replicas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Replicas").finish()
    }
}

struct Inner {
    workshop: Workshop,
    folder: PathBuf,
    /// Those being added, changed or removed, which may take as long as their sinks take to answer.
    claims: Arc<Claims>,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Whether the node stops.
    stopping: AtomicBool,
    /// The task that audits by itself.
    auditor: Mutex<Option<Task>>,
}

struct Entry {
    spec: ReplicaSpec,
    password: Option<String>,
    configured: bool,
    status: Arc<StatusBoard>,
    task: Option<Task>,
    audited: Arc<Mutex<Known>>,
    last_audit: Option<LastAudit>,
}

impl Replicas {
    /// Opens those kept in the data directory and those of the configuration file, and starts them.
    ///
    /// # Errors
    /// When a file cannot be read or is no specification, or a task cannot be started.
    pub fn open(
        workshop: Workshop,
        configured: Vec<(String, ReplicaSpec, Option<String>)>,
    ) -> Result<Self, ReplicaError> {
        let folder = workshop.directory.join(FOLDER);
        let files = workshop.runtime.files.clone();
        let mut entries = BTreeMap::new();
        for (name, spec, password) in configured {
            check_name(&name).map_err(ReplicaError::Invalid)?;
            entries.insert(name, Entry::new(spec, password, true));
        }
        let names = match files.exists(&folder)? {
            true => files.list(&folder)?,
            false => Vec::new(),
        };
        for file in names {
            let Some(name) = file.strip_suffix(".toml") else {
                continue;
            };
            let path = folder.join(&file);
            let wrong = |why: &dyn std::fmt::Display| {
                ReplicaError::Invalid(format!(
                    "{} is no specification of a replica: {why}",
                    path.display()
                ))
            };
            if entries.contains_key(name) {
                return Err(wrong(
                    &"the configuration file has a replica of that name, too",
                ));
            }
            let text = String::from_utf8(files.read(&path)?).map_err(|error| wrong(&error))?;
            let spec = toml::from_str(&text).map_err(|error| wrong(&error))?;
            let secret = folder.join(format!("{name}.password"));
            let password = match files.exists(&secret)? {
                true => Some(String::from_utf8_lossy(&files.read(&secret)?).into_owned()),
                false => None,
            };
            entries.insert(name.to_owned(), Entry::new(spec, password, false));
        }
        let replicas = Self(Arc::new(Inner {
            workshop,
            folder,
            claims: Arc::default(),
            entries: Mutex::new(entries),
            stopping: AtomicBool::new(false),
            auditor: Mutex::new(None),
        }));
        let names: Vec<String> = replicas.0.entries.lock().keys().cloned().collect();
        for name in names {
            replicas.start(&name)?;
        }
        let auditor = schedule::start(&replicas)?;
        *replicas.0.auditor.lock() = Some(auditor);
        Ok(replicas)
    }

    /// All of them, in order of name.
    #[must_use]
    pub fn list(&self) -> Vec<ReplicaView> {
        let now_us = self.now_us();
        let entries = self.0.entries.lock();
        let view = |(name, entry): (&String, &Entry)| entry.view(name, now_us);
        entries.iter().map(view).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn find(&self, name: &str) -> Result<ReplicaView, ReplicaError> {
        let now_us = self.now_us();
        self.with(name, |entry| entry.view(name, now_us))
    }

    /// Adds one and starts it, after a look at its sink.
    ///
    /// # Errors
    /// When the name is taken or the specification wrong, the sink does not answer or refuses, or the
    /// specification cannot be stored.
    pub fn add(
        &self,
        name: &str,
        spec: ReplicaSpec,
        password: Option<String>,
    ) -> Result<ReplicaView, ReplicaError> {
        check_name(name).map_err(ReplicaError::Invalid)?;
        if spec.target.starts_with(PROGRAM) {
            return Err(ReplicaError::Invalid(
                "a program runs with the rights of the node, so it is named in the configuration file only: write a section [replica.NAME]".to_owned(),
            ));
        }
        let _claim = self.0.claims.claim(name, Some(&spec.target));
        {
            let entries = self.0.entries.lock();
            if entries.contains_key(name) {
                return Err(ReplicaError::Taken(name.to_owned()));
            }
            if entries.len() >= REPLICAS_MAX {
                return Err(ReplicaError::Invalid(format!(
                    "the node has {REPLICAS_MAX} replicas, and that is the bound: remove one"
                )));
            }
            let entry = entries
                .iter()
                .find(|(_, one)| one.spec.target == spec.target);
            let coming = self.0.claims.other_at(name, &spec.target);
            if let Some(other) = entry.map(|(other, _)| other.clone()).or(coming) {
                return Err(ReplicaError::Invalid(format!(
                    "replica {other:?} has the same target: a ledger is mirrored into a database once; add the tables there"
                )));
            }
        }
        let mut sink = self.sink(&spec, password.clone())?;
        self.open_new(&mut *sink, &spec.target)?;
        drop(sink);
        self.0.workshop.runtime.files.create_dir(&self.0.folder)?;
        if let Some(password) = &password {
            self.store_password(name, password)?;
        }
        self.store(name, &spec)?;
        let entry = Entry::new(spec, password, false);
        self.0.entries.lock().insert(name.to_owned(), entry);
        self.start(name)?;
        self.find(name)
    }

    /// Opens the sink of one to be added, which must be no other replica's by another name of the same database: opening
    /// it shows in the other's cursor then.
    fn open_new(&self, sink: &mut dyn Mirror, target: &str) -> Result<(), ReplicaError> {
        let id = (self.0.workshop.source)().id().to_owned();
        let kind = |target: &str| target.split(':').next().map(str::to_owned);
        let epochs = || -> BTreeMap<String, u64> {
            let views = self.list().into_iter();
            let alike = views.filter(|view| kind(&view.spec.target) == kind(target));
            let epochs = alike.filter_map(|view| {
                let mut other = self.mirror(&view.name).ok()?;
                let held = other.begin_read(&id).ok()?;
                other.end_read();
                Some((view.name, held.cursor?.owner_epoch))
            });
            epochs.collect()
        };
        let before = epochs();
        let opened = sink.open(&id)?.cursor.map(|cursor| cursor.owner_epoch);
        let Some(opened) = opened.filter(|_| !before.is_empty()) else {
            return Ok(());
        };
        let after = epochs();
        let same = before.iter().find(|(name, epoch)| {
            after
                .get(*name)
                .is_some_and(|now| now > epoch && *now >= opened)
                && **epoch + 1 == opened
        });
        let Some((name, _)) = same else {
            return Ok(());
        };
        // It was taken from the other just now.
        self.halt(name);
        self.start(name)?;
        Err(ReplicaError::Invalid(format!(
            "{target} is the database of replica {name:?} by another name: a ledger is mirrored into a database once; add the tables there"
        )))
    }

    /// Forgets one; with `tables`, its tables are dropped; unless `forget`, its cursor is removed, for
    /// which its sink must answer.
    ///
    /// # Errors
    /// When there is none, it stands in the configuration file, or its sink does not answer.
    pub fn remove(&self, name: &str, tables: bool, forget: bool) -> Result<(), ReplicaError> {
        let _claim = self.0.claims.claim(name, None);
        let view = self.find(name)?;
        if view.configured {
            return Err(ReplicaError::Configured(name.to_owned()));
        }
        if let Phase::Waiting(trouble) = &view.status.phase
            && trouble.kind == word(SinkErrorKind::Overtaken)
            && !forget
        {
            return Err(ReplicaError::Invalid(format!(
                "another node or replica has taken over the database of {name:?}, and would lose what it remembers there: remove this one with --forget, or take the database back first (`stele replica resume {name}`)"
            )));
        }
        self.halt(name);
        if !forget {
            let removed = self.mirror(name).and_then(|mut sink| {
                let id = (self.0.workshop.source)().id().to_owned();
                Ok(sink.remove(&id, tables)?)
            });
            if let Err(error) = removed {
                self.start(name)?;
                return Err(error);
            }
        }
        let files = &self.0.workshop.runtime.files;
        for ending in ["toml", "password"] {
            let path = self.0.folder.join(format!("{name}.{ending}"));
            if files.exists(&path)? {
                files.remove(&path)?;
            }
        }
        files.sync_dir(&self.0.folder)?;
        self.0.entries.lock().remove(name);
        Ok(())
    }

    /// Lets one rest, or go on.
    ///
    /// # Errors
    /// When there is none, or that cannot be stored.
    pub fn pause(&self, name: &str, paused: bool) -> Result<ReplicaView, ReplicaError> {
        let _claim = self.0.claims.claim(name, None);
        let mut spec = self.find(name)?.spec;
        spec.paused = paused;
        self.change(name, spec)
    }

    /// Makes one keep other tables, or audits itself at another pace. Tables that are no longer
    /// selected stay as they are and go on being kept; remove the replica to drop them.
    ///
    /// # Errors
    /// When there is none, it stands in the configuration file, or that cannot be stored.
    pub fn change_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut ReplicaSpec),
    ) -> Result<ReplicaView, ReplicaError> {
        let _claim = self.0.claims.claim(name, None);
        let view = self.find(name)?;
        if view.configured {
            return Err(ReplicaError::Configured(name.to_owned()));
        }
        let mut spec = view.spec;
        change(&mut spec);
        self.change(name, spec)
    }

    fn change(&self, name: &str, spec: ReplicaSpec) -> Result<ReplicaView, ReplicaError> {
        self.halt(name);
        if !self.find(name)?.configured {
            self.store(name, &spec)?;
        }
        self.with(name, |entry| entry.spec = spec)?;
        self.start(name)?;
        self.find(name)
    }

    /// Gives one another password.
    ///
    /// # Errors
    /// When there is none, or it cannot be stored.
    pub fn set_password(&self, name: &str, password: String) -> Result<ReplicaView, ReplicaError> {
        let _claim = self.0.claims.claim(name, None);
        self.find(name)?;
        self.halt(name);
        self.0.workshop.runtime.files.create_dir(&self.0.folder)?;
        self.store_password(name, &password)?;
        self.with(name, |entry| entry.password = Some(password))?;
        self.start(name)?;
        self.find(name)
    }

    /// Waits until one has applied a height; false when that takes longer.
    ///
    /// # Errors
    /// When there is none.
    pub fn reach(&self, name: &str, height: u64, wait: Duration) -> Result<bool, ReplicaError> {
        let status = self.with(name, |entry| entry.status.clone())?;
        Ok(status.reach(height, wait))
    }

    /// Empties tables of a replica and fills them anew.
    ///
    /// # Errors
    /// When there is no such replica or table, or its sink does not answer.
    pub fn refill(&self, name: &str, tables: &[String]) -> Result<Vec<String>, ReplicaError> {
        let _claim = self.0.claims.claim(name, None);
        let mut mirror = self.mirror(name)?;
        let id = (self.0.workshop.source)().id().to_owned();
        let held = mirror.begin_read(&id)?;
        mirror.end_read();
        let selection = crate::Selection {
            names: tables.to_vec(),
        };
        let chosen: Vec<_> = held
            .tables
            .into_iter()
            .filter(|held| selection.takes(&held.table))
            .collect();
        if chosen.is_empty() {
            return Err(ReplicaError::Invalid(format!(
                "replica {name:?} keeps none of these tables"
            )));
        }
        self.halt(name);
        let renewed = chosen
            .iter()
            .try_for_each(|held| mirror.renew(&id, &held.table));
        self.start(name)?;
        renewed?;
        Ok(chosen.iter().map(|held| held.table.to_string()).collect())
    }

    /// Ends all tasks and waits for them. Idempotent.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        let auditor = self.0.auditor.lock().take();
        if let Some(auditor) = auditor {
            auditor.end("the audits", STOP_WAIT_MAX);
        }
        let names: Vec<String> = self.0.entries.lock().keys().cloned().collect();
        for name in &names {
            if let Some(task) = self
                .0
                .entries
                .lock()
                .get(name)
                .and_then(|one| one.task.as_ref())
            {
                task.ending.want();
            }
        }
        // All of them at once: they end beside each other.
        let begun = Instant::now();
        for name in &names {
            let task = self.task_of(name);
            if let Some(task) = task {
                task.end(name, STOP_WAIT_MAX.saturating_sub(begun.elapsed()));
            }
        }
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.0.workshop.runtime
    }

    fn now_us(&self) -> i64 {
        self.0.workshop.runtime.clock.now_us()
    }

    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Entry) -> T) -> Result<T, ReplicaError> {
        let mut entries: MutexGuard<'_, BTreeMap<String, Entry>> = self.0.entries.lock();
        if let Some(entry) = entries.get_mut(name) {
            return Ok(work(entry));
        }
        let names: Vec<&str> = entries.keys().map(String::as_str).collect();
        Err(ReplicaError::Unknown {
            name: name.to_owned(),
            known: match names.is_empty() {
                true => "none was added: `stele replica add` adds one".to_owned(),
                false => format!("there are {}", names.join(", ")),
            },
        })
    }

    fn sink(
        &self,
        spec: &ReplicaSpec,
        password: Option<String>,
    ) -> Result<Box<dyn Mirror>, ReplicaError> {
        (self.0.workshop.sink)(spec, password).map_err(ReplicaError::Invalid)
    }

    /// A sink of a replica's own, beside the one its task writes by.
    fn mirror(&self, name: &str) -> Result<Box<dyn Mirror>, ReplicaError> {
        let (spec, password) =
            self.with(name, |entry| (entry.spec.clone(), entry.password.clone()))?;
        self.sink(&spec, password)
    }

    /// Starts a replica's task, unless it rests.
    fn start(&self, name: &str) -> Result<(), ReplicaError> {
        let sink = self.mirror(name)?;
        let source = (self.0.workshop.source)();
        let states: Arc<dyn Source> = Arc::from((self.0.workshop.source)());
        let runtime = &self.0.workshop.runtime;
        let mut entries = self.0.entries.lock();
        let Some(entry) = entries.get_mut(name) else {
            return Ok(());
        };
        if entry.spec.paused {
            entry.status.set(|status| status.phase = Phase::Paused);
            let (status, id) = (entry.status.clone(), source.id().to_owned());
            let look = move || look(sink, &id, &status);
            let join = runtime
                .spawner
                .spawn("stele-replica-look", Box::new(look))?;
            let ending = Arc::new(Ending::default());
            entry.task = Some(Task { ending, join });
            return Ok(());
        }
        entry.status.set(|status| status.phase = Phase::Starting);
        let ending = Arc::new(Ending::default());
        let id = source.id().to_owned();
        let job = Job {
            name: name.to_owned(),
            follower: Follower::new(source, sink, id, entry.spec.selection()),
            states,
            clock: runtime.clock.clone(),
            status: entry.status.clone(),
            ending: ending.clone(),
        };
        let spawned = runtime
            .spawner
            .spawn("stele-replica", Box::new(move || job.run()));
        entry.task = Some(Task {
            ending,
            join: spawned?,
        });
        Ok(())
    }

    /// Takes a replica's task.
    fn task_of(&self, name: &str) -> Option<Task> {
        let mut entries = self.0.entries.lock();
        entries.get_mut(name).and_then(|one| one.task.take())
    }

    /// Ends a replica's task and waits for it.
    fn halt(&self, name: &str) {
        let task = self.task_of(name);
        let wait = match self.0.stopping.load(Ordering::Relaxed) {
            true => STOP_WAIT_MAX,
            false => HALT_WAIT_MAX,
        };
        if let Some(task) = task {
            task.end(name, wait);
        }
    }

    fn store(&self, name: &str, spec: &ReplicaSpec) -> Result<(), ReplicaError> {
        let text =
            toml::to_string(spec).map_err(|error| ReplicaError::Invalid(error.to_string()))?;
        let path = self.0.folder.join(format!("{name}.toml"));
        let files = &self.0.workshop.runtime.files;
        Ok(files.replace(&path, text.as_bytes())?)
    }

    fn store_password(&self, name: &str, password: &str) -> Result<(), ReplicaError> {
        let path = self.0.folder.join(format!("{name}.password"));
        let files = &self.0.workshop.runtime.files;
        Ok(files.replace(&path, password.as_bytes())?)
    }
}

/// Looks how far a replica that rests has got; that its sink does not answer is told when it goes on.
fn look(mut sink: Box<dyn Mirror>, source_id: &str, status: &StatusBoard) {
    let Ok(held) = sink.begin_read(source_id) else {
        return;
    };
    let tables = held.tables.iter();
    let names = tables.map(|held| (held.table.to_string(), held.target.clone()));
    let names = names.collect();
    let height = held.cursor.map_or(0, |cursor| cursor.height);
    status.set(|status| {
        status.height = height;
        status.tables = names;
    });
}

impl Entry {
    fn new(spec: ReplicaSpec, password: Option<String>, configured: bool) -> Self {
        Self {
            spec,
            password,
            configured,
            status: Arc::default(),
            task: None,
            audited: Arc::default(),
            last_audit: None,
        }
    }

    fn view(&self, name: &str, now_us: i64) -> ReplicaView {
        ReplicaView {
            name: name.to_owned(),
            spec: self.spec.clone(),
            configured: self.configured,
            status: self.status.get(now_us),
            last_audit: self.last_audit.clone(),
        }
    }
}
