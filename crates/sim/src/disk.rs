//! Simulated disks.

use std::path::Path;
use std::sync::Arc;

use stele_flow::sim::MemoryFiles;
use stele_flow::{FileError, Files, OpenMode};

use sim::random::Random;

/// Copies a folder of files from one disk to another, durably.
pub(crate) fn copy(from: &dyn Files, to: &dyn Files, folder: &Path) -> Result<(), FileError> {
    to.create_dir(folder)?;
    for name in from.list(folder)? {
        let path = folder.join(name);
        match from.open(&path, OpenMode::Read) {
            Ok(_) => to.replace(&path, &from.read(&path)?)?,
            Err(_) => copy(from, to, &path)?,
        }
    }
    for above in folder.ancestors() {
        to.sync_dir(above)?;
    }
    Ok(())
}

/// Changes a bit of a segment, or loses one that is not the newest; what was done.
pub(crate) fn rot(files: &Arc<MemoryFiles>, folder: &Path, random: &mut Random) -> Option<String> {
    let segments = folder.join("segments");
    let names: Vec<String> = files
        .list(&segments)
        .ok()?
        .into_iter()
        .filter(|name| name.ends_with(".seg"))
        .collect();
    let name = names.get(usize::try_from(random.below(names.len() as u64)).ok()?)?;
    let path = segments.join(name);
    let is_last = names.last() == Some(name);
    if !is_last && random.chance(20) {
        files.remove(&path).ok()?;
        files.sync_dir(&segments).ok()?;
        return Some(format!("{name} is gone"));
    }
    let len = files.read(&path).ok()?.len();
    let offset = usize::try_from(random.below(len as u64)).ok()?;
    let bit = u8::try_from(random.below(8)).unwrap_or(0);
    files.flip_bit(&path, offset, bit);
    Some(format!("{name} has another bit at {offset}"))
}
