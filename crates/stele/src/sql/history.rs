//! Where the shell remembers what was typed: `~/.local/state/stele/sql-history`, for the owner only.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;

/// Most lines kept.
pub(super) const LINES_MAX: usize = 10_000;

/// The history file, made if it is not there; none when the home directory cannot be written.
pub(super) fn file() -> Option<PathBuf> {
    let state = match std::env::var_os("XDG_STATE_HOME") {
        Some(state) if !state.is_empty() => PathBuf::from(state),
        _ => std::env::home_dir()?.join(".local/state"),
    };
    let directory = state.join("stele");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .ok()?;
    let path = directory.join("sql-history");
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .ok()?;
    // Statements may hold secrets; an older file may have been made by other means.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .ok()?;
    Some(path)
}
