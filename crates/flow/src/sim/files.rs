//! A file system in memory, on a disk that forgets and fails.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Disk, Node};
use super::fault::{Fault, FaultKind};
use super::random::SeededRandom;
use crate::files::{File, FileError, FileLock, Files, OpenMode, Operation};

/// A file system in memory on a disk that forgets unsynced bytes when [`MemoryFiles::crash`] is
/// called, and fails when told to. The same seed forgets the same bytes. Clones share the disk.
#[derive(Clone)]
pub struct MemoryFiles {
    shared: Arc<Mutex<Machine>>,
}

struct Machine {
    disk: Disk,
    random: SeededRandom,
    faults: Vec<Planned>,
    /// Counts crashes: files and locks opened before the last one are dead.
    boot: u64,
    /// Changing operations since the making.
    operations: u64,
    power_off_at: Option<u64>,
    powered: bool,
    capacity_len: Option<usize>,
    locks: BTreeMap<PathBuf, String>,
}

struct Planned {
    fault: Fault,
    left: u64,
}

fn power_lost() -> io::Error {
    io::Error::other("power was lost (simulated)")
}

impl Machine {
    /// Counts an operation and decides whether it fails.
    fn begin(&mut self, operation: Operation) -> Result<Option<FaultKind>, io::Error> {
        if !self.powered {
            return Err(power_lost());
        }
        if !matches!(
            operation,
            Operation::Read | Operation::List | Operation::Lock
        ) {
            self.operations += 1;
            if self.power_off_at.is_some_and(|at| self.operations >= at) {
                self.powered = false;
            }
        }
        let mut hit = None;
        self.faults.retain_mut(|planned| {
            if planned.fault.operation != operation {
                return true;
            }
            planned.left = planned.left.saturating_sub(1);
            if planned.left == 0 {
                hit = Some(planned.fault.kind);
            }
            planned.left > 0
        });
        Ok(hit)
    }

    /// Ends an operation: the one during which power went has had its effect, but nobody learns of it.
    fn end<T>(&self, value: T) -> Result<T, io::Error> {
        if self.powered {
            Ok(value)
        } else {
            Err(power_lost())
        }
    }

    fn simple(&mut self, operation: Operation) -> Result<(), io::Error> {
        match self.begin(operation)? {
            None => Ok(()),
            Some(FaultKind::Error(kind) | FaultKind::ShortWrite(_, kind)) => Err(kind.into()),
        }
    }

    fn node(&mut self, boot: u64, node: u64) -> Result<&mut Node, io::Error> {
        if boot != self.boot {
            return Err(power_lost());
        }
        self.disk
            .node(node)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, boot: u64, node: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let fault = self.begin(Operation::Write)?;
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let used = self.disk.used_len();
        let capacity = self.capacity_len;
        let file = self.node(boot, node)?;
        let (mut len, mut failure) = match fault {
            None => (bytes.len(), None),
            Some(FaultKind::Error(kind)) => return Err(kind.into()),
            Some(FaultKind::ShortWrite(len, kind)) => (len, Some(kind)),
        };
        if let Some(capacity) = capacity {
            let growth = (offset + bytes.len()).saturating_sub(file.live.len());
            let lacking = (used + growth).saturating_sub(capacity);
            if lacking > 0 && growth > 0 {
                len = len.min(bytes.len().saturating_sub(lacking));
                failure = Some(io::ErrorKind::StorageFull);
            }
        }
        let stored = bytes.get(..len).unwrap_or(bytes);
        if !stored.is_empty() {
            file.write(offset, stored);
        }
        match failure {
            Some(kind) => Err(kind.into()),
            None => self.end(()),
        }
    }

    fn sync(&mut self, boot: u64, node: u64) -> io::Result<()> {
        let fault = self.begin(Operation::Sync)?;
        let powered = self.powered;
        let random = SeededRandom::new(self.random.below(u64::MAX));
        let file = self.node(boot, node)?;
        match fault {
            Some(FaultKind::Error(kind) | FaultKind::ShortWrite(_, kind)) => {
                file.lose_pending(&random);
                Err(kind.into())
            }
            // Power went during the sync: what survives is for `crash` to decide.
            None if !powered => Err(power_lost()),
            None => {
                file.sync();
                Ok(())
            }
        }
    }
}

impl MemoryFiles {
    /// An empty disk with one directory: the root.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Machine {
                disk: Disk::default(),
                random: SeededRandom::new(seed),
                faults: Vec::new(),
                boot: 0,
                operations: 0,
                power_off_at: None,
                powered: true,
                capacity_len: None,
                locks: BTreeMap::new(),
            })),
        }
    }

    /// Power is lost and comes back. Each unsynced write may be there wholly, in some of its
    /// 512-byte sectors, or not at all; of each directory's unsynced changes the first few, in
    /// order, are there. Open files and locks are dead; planned faults and power-offs are gone.
    pub fn crash(&self) {
        let mut machine = self.shared.lock();
        let machine = &mut *machine;
        machine.disk.crash(&machine.random);
        machine.boot += 1;
        machine.powered = true;
        machine.power_off_at = None;
        machine.faults.clear();
        machine.locks.clear();
    }

    /// How many changing operations (all but reading, listing, locking) were begun so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.lock().operations
    }

    /// Plans a loss of power in the `nth` changing operation from now (1 is the next): it and all
    /// after it fail until [`MemoryFiles::crash`].
    pub fn power_off_in(&self, nth: u64) {
        let mut machine = self.shared.lock();
        machine.power_off_at = Some(machine.operations + nth.max(1));
    }

    /// Whether a planned loss of power has come.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.shared.lock().powered
    }

    /// Plans a failure.
    pub fn fail(&self, fault: Fault) {
        self.shared.lock().faults.push(Planned {
            left: fault.nth.max(1),
            fault,
        });
    }

    /// Gives the disk a size: a write past it stores what fits and fails with "no space". `None`
    /// makes it endless again.
    pub fn set_capacity(&self, len: Option<usize>) {
        self.shared.lock().capacity_len = len;
    }

    /// Total length of all files.
    #[must_use]
    pub fn used_len(&self) -> usize {
        self.shared.lock().disk.used_len()
    }

    /// Changes a file behind everybody's back, durably. Does nothing if there is no such file.
    pub fn corrupt(&self, path: &Path, change: impl Fn(&mut Vec<u8>)) {
        let mut machine = self.shared.lock();
        let found = machine.disk.find(path);
        if let Some(file) = found.and_then(|node| machine.disk.node(node)) {
            file.corrupt(&change);
        }
    }

    /// Flips one bit of a file behind everybody's back, durably.
    pub fn flip_bit(&self, path: &Path, offset: usize, bit: u8) {
        self.corrupt(path, |bytes| {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 1 << (bit % 8);
            }
        });
    }

    fn run<T>(
        &self,
        path: &Path,
        operation: Operation,
        action: impl FnOnce(&mut Machine) -> io::Result<T>,
    ) -> Result<T, FileError> {
        action(&mut self.shared.lock()).map_err(|source| FileError::new(path, operation, source))
    }
}

impl Files for MemoryFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>, FileError> {
        self.run(path, Operation::Open, |machine| {
            let found = machine.disk.find(path);
            let node = match (found, mode) {
                (Some(_), OpenMode::CreateNew) => Err(io::ErrorKind::AlreadyExists)?,
                (None, OpenMode::Read | OpenMode::Write) => Err(io::ErrorKind::NotFound)?,
                (None, _) if !machine.disk.has_directory(path.parent().unwrap_or(path)) => {
                    Err(io::ErrorKind::NotFound)?
                }
                (None, _) => {
                    machine.simple(Operation::Open)?;
                    let node = machine.disk.create(path);
                    machine.end(node)?
                }
                (Some(_), _) if !machine.powered => return Err(power_lost()),
                (Some(node), _) => node,
            };
            Ok(Arc::new(MemoryFile {
                path: path.to_owned(),
                files: self.clone(),
                node,
                boot: machine.boot,
            }) as Arc<dyn File>)
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, FileError> {
        self.run(path, Operation::Read, |machine| {
            machine.simple(Operation::Read)?;
            Ok(machine.disk.find(path).is_some() || machine.disk.has_directory(path))
        })
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        self.run(path, Operation::Remove, |machine| {
            machine.simple(Operation::Remove)?;
            machine.disk.find(path).ok_or(io::ErrorKind::NotFound)?;
            machine.disk.unlink(path);
            machine.end(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        self.run(from, Operation::Rename, |machine| {
            machine.simple(Operation::Rename)?;
            machine.disk.find(from).ok_or(io::ErrorKind::NotFound)?;
            machine.disk.rename(from, to);
            machine.end(())
        })
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>, FileError> {
        self.run(directory, Operation::List, |machine| {
            machine.simple(Operation::List)?;
            if machine.disk.has_directory(directory) {
                Ok(machine.disk.names_in(directory))
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        })
    }

    fn create_dir(&self, directory: &Path) -> Result<(), FileError> {
        self.run(directory, Operation::CreateDir, |machine| {
            machine.simple(Operation::CreateDir)?;
            machine.disk.make_directory(directory);
            machine.end(())
        })
    }

    fn sync_dir(&self, directory: &Path) -> Result<(), FileError> {
        self.run(directory, Operation::SyncDir, |machine| {
            let fault = machine.begin(Operation::SyncDir)?;
            machine.end(())?;
            match fault {
                None => {
                    machine.disk.sync_directory(directory);
                    Ok(())
                }
                Some(FaultKind::Error(kind) | FaultKind::ShortWrite(_, kind)) => {
                    machine.disk.lose_directory(directory, &machine.random);
                    Err(kind.into())
                }
            }
        })
    }

    fn lock(&self, path: &Path, holder: &str) -> Result<Box<dyn FileLock>, FileError> {
        self.run(path, Operation::Lock, |machine| {
            machine.simple(Operation::Lock)?;
            if let Some(other) = machine.locks.get(path) {
                return Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    format!("held by {other}"),
                ));
            }
            machine.locks.insert(path.to_owned(), holder.to_owned());
            Ok(Box::new(MemoryLock {
                path: path.to_owned(),
                files: self.clone(),
                boot: machine.boot,
            }) as Box<dyn FileLock>)
        })
    }
}

struct MemoryLock {
    path: PathBuf,
    files: MemoryFiles,
    boot: u64,
}

impl FileLock for MemoryLock {
    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut machine = self.files.shared.lock();
        if machine.boot == self.boot {
            machine.locks.remove(&self.path);
        }
    }
}

struct MemoryFile {
    path: PathBuf,
    files: MemoryFiles,
    node: u64,
    boot: u64,
}

impl File for MemoryFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        self.files.run(&self.path, Operation::Read, |machine| {
            machine.simple(Operation::Read)?;
            let content = &machine.node(self.boot, self.node)?.live;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let rest = content.get(start..).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            for (to, from) in buffer.iter_mut().zip(rest) {
                *to = *from;
            }
            Ok(len)
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.files.run(&self.path, Operation::Write, |machine| {
            machine.write(self.boot, self.node, offset, bytes)
        })
    }

    fn len(&self) -> Result<u64, FileError> {
        self.files.run(&self.path, Operation::Read, |machine| {
            machine.simple(Operation::Read)?;
            Ok(machine.node(self.boot, self.node)?.live.len() as u64)
        })
    }

    fn truncate(&self, len: u64) -> Result<(), FileError> {
        self.files.run(&self.path, Operation::Truncate, |machine| {
            machine.simple(Operation::Truncate)?;
            let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
            machine.node(self.boot, self.node)?.truncate(len);
            machine.end(())
        })
    }

    fn sync(&self) -> Result<(), FileError> {
        self.files.run(&self.path, Operation::Sync, |machine| {
            machine.sync(self.boot, self.node)
        })
    }
}

#[cfg(test)]
mod tests;
