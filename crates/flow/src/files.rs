//! Files, with the guarantees this program relies on.
//!
//! **Durable** means: still there after power is lost. Written bytes are durable after
//! [`File::sync`] returned well; a created, renamed or removed name after [`Files::sync_dir`] of its
//! directory did. Until then they may survive wholly, in part, or not at all. After a failed sync
//! nothing is known about what was written since the last good one, and a later good sync does
//! **not** make it durable: the system may have dropped it.

mod error;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{FileError, Operation};

/// Longest file [`Files::read`] takes into memory: 256 MiB.
pub const WHOLE_FILE_LEN_MAX: u64 = 256 * 1024 * 1024;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// For reading and writing; made empty if there is none.
    Create,
    /// For reading and writing; fails if there is one.
    CreateNew,
}

/// An open file. Positions are given with each call, so it can be shared between threads.
pub trait File: Send + Sync {
    /// The path it was opened by.
    fn path(&self) -> &Path;

    /// Reads at most `buffer.len()` bytes at `offset`; 0 only at the end of the file.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError>;

    /// Writes all of `bytes` at `offset`, growing the file as needed.
    ///
    /// # Errors
    /// When not all was written; a part may have been.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FileError>;

    /// Length in bytes.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn len(&self) -> Result<u64, FileError>;

    /// Whether the file is empty.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn is_empty(&self) -> Result<bool, FileError> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or grows it with zeros, to `len` bytes.
    ///
    /// # Errors
    /// When the length was not changed.
    fn truncate(&self, len: u64) -> Result<(), FileError>;

    /// Makes all that was written so far durable.
    ///
    /// # Errors
    /// When it is not known to be durable. Calling again does **not** help (see the module).
    fn sync(&self) -> Result<(), FileError>;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// When the disk cannot be read, or the file ends first.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FileError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(offset + filled as u64, rest)? {
                0 => {
                    return Err(FileError::new(
                        self.path(),
                        Operation::Read,
                        std::io::ErrorKind::UnexpectedEof.into(),
                    ));
                }
                n => filled += n,
            }
        }
        Ok(())
    }

    /// Fills as much of `buffer` as the file holds from `offset` on, and says how much.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn read_up_to(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(offset + filled as u64, rest)? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }
}

/// Keeps others out of a directory while it lives; dropped, it lets go. A killed process lets go too.
pub trait FileLock: Send + Sync {
    /// The lock file.
    fn path(&self) -> &Path;
}

/// A file system.
pub trait Files: Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened in that mode.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>, FileError>;

    /// Whether a file or directory of that name is there.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn exists(&self, path: &Path) -> Result<bool, FileError>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it is not there or cannot be removed.
    fn remove(&self, path: &Path) -> Result<(), FileError>;

    /// Gives a file another name in one step, replacing what had that name.
    ///
    /// # Errors
    /// When nothing was renamed.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError>;

    /// Names of the files and directories in a directory, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self, directory: &Path) -> Result<Vec<String>, FileError>;

    /// Makes a directory, and those above it, if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create_dir(&self, directory: &Path) -> Result<(), FileError>;

    /// Makes creations, renames and removals in a directory durable.
    ///
    /// # Errors
    /// When they are not known to be durable.
    fn sync_dir(&self, directory: &Path) -> Result<(), FileError>;

    /// Takes the lock file `path` for `holder`, a text for people such as `stele node, process 12`.
    ///
    /// # Errors
    /// [`FileError::is_locked`] when another has it; the message names that holder.
    fn lock(&self, path: &Path, holder: &str) -> Result<Box<dyn FileLock>, FileError>;

    /// Reads a whole file of at most [`WHOLE_FILE_LEN_MAX`] bytes.
    ///
    /// # Errors
    /// When it cannot be read or is too long.
    fn read(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        let file = self.open(path, OpenMode::Read)?;
        let len = file.len()?;
        if len > WHOLE_FILE_LEN_MAX {
            return Err(FileError::new(
                path,
                Operation::Read,
                std::io::ErrorKind::FileTooLarge.into(),
            ));
        }
        let mut bytes = vec![0; usize::try_from(len).expect("bounded by WHOLE_FILE_LEN_MAX")];
        let filled = file.read_up_to(0, &mut bytes)?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Replaces a whole file durably in one step: after a crash it is the old or the new one.
    ///
    /// # Errors
    /// When the new content is not known to be durable.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let file = self.open(&new, OpenMode::Create)?;
        file.truncate(0)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        self.rename(&new, path)?;
        match path.parent() {
            Some(directory) => self.sync_dir(directory),
            None => Ok(()),
        }
    }
}
