//! The file system of the machine.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::{File, FileError, FileLock, Files, OpenMode, Operation};

/// Longest holder text read from a lock file.
const HOLDER_LEN_MAX: usize = 256;

/// The file system of the machine.
#[derive(Clone, Copy, Debug)]
pub struct RealFiles;

trait At<T> {
    fn at(self, path: &Path, operation: Operation) -> Result<T, FileError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path, operation: Operation) -> Result<T, FileError> {
        self.map_err(|source| FileError::new(path, operation, source))
    }
}

impl Files for RealFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>, FileError> {
        let mut options = fs::OpenOptions::new();
        // Keys and data are for the owner's eyes only.
        options.read(true).mode(0o600);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Write => options.write(true),
            OpenMode::Create => options.write(true).create(true).truncate(false),
            OpenMode::CreateNew => options.write(true).create_new(true),
        };
        let file = options.open(path).at(path, Operation::Open)?;
        Ok(Arc::new(RealFile {
            path: path.to_owned(),
            file,
        }))
    }

    fn exists(&self, path: &Path) -> Result<bool, FileError> {
        path.try_exists().at(path, Operation::Read)
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        fs::remove_file(path).at(path, Operation::Remove)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        fs::rename(from, to).at(from, Operation::Rename)
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>, FileError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).at(directory, Operation::List)? {
            let entry = entry.at(directory, Operation::List)?;
            // Names that are not UTF-8 are never ours.
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, directory: &Path) -> Result<(), FileError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .at(directory, Operation::CreateDir)
    }

    fn sync_dir(&self, directory: &Path) -> Result<(), FileError> {
        fs::File::open(directory)
            .and_then(|opened| opened.sync_all())
            .at(directory, Operation::SyncDir)
    }

    fn lock(&self, path: &Path, holder: &str) -> Result<Box<dyn FileLock>, FileError> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .at(path, Operation::Lock)?;
        match file.try_lock() {
            Ok(()) => {
                // The text only helps people; the lock itself is the kernel's.
                file.set_len(0).at(path, Operation::Lock)?;
                file.write_all_at(holder.as_bytes(), 0)
                    .at(path, Operation::Lock)?;
                Ok(Box::new(RealLock {
                    path: path.to_owned(),
                    _file: file,
                }))
            }
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = [0; HOLDER_LEN_MAX];
                let len = file.read_at(&mut text, 0).unwrap_or(0);
                let text = String::from_utf8_lossy(text.get(..len).unwrap_or_default());
                let holder = if text.is_empty() {
                    "another process"
                } else {
                    &text
                };
                Err(FileError::new(
                    path,
                    Operation::Lock,
                    io::Error::new(io::ErrorKind::WouldBlock, format!("held by {holder}")),
                ))
            }
            Err(fs::TryLockError::Error(source)) => {
                Err(FileError::new(path, Operation::Lock, source))
            }
        }
    }
}

struct RealLock {
    path: PathBuf,
    // Closing the file gives the lock back.
    _file: fs::File,
}

impl FileLock for RealLock {
    fn path(&self) -> &Path {
        &self.path
    }
}

struct RealFile {
    path: PathBuf,
    file: fs::File,
}

impl File for RealFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.at(&self.path, Operation::Read),
            }
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.file
            .write_all_at(bytes, offset)
            .at(&self.path, Operation::Write)
    }

    fn len(&self) -> Result<u64, FileError> {
        Ok(self.file.metadata().at(&self.path, Operation::Read)?.len())
    }

    fn truncate(&self, len: u64) -> Result<(), FileError> {
        self.file.set_len(len).at(&self.path, Operation::Truncate)
    }

    fn sync(&self) -> Result<(), FileError> {
        // Data and length; times of access do not matter.
        self.file.sync_data().at(&self.path, Operation::Sync)
    }
}

#[cfg(test)]
mod tests;
