//! Giving up the damaged end of a store, where others have the blocks.

use stele_flow::OpenMode;

use super::BlockStore;
use super::mend::{QUARANTINE_FOLDER, copy};
use super::open::MARK_FILE;
use crate::damage::Damage;
use crate::error::StoreError;
use crate::segment::{self, HEADER_LEN};

impl BlockStore {
    /// Cuts a store that is damaged at its end there, durably: everything from the damage on goes to the folder `quarantine`
    /// beside the segments, and the index is emptied. Open it again then. Only for one that gets what is
    /// cut off from others.
    ///
    /// # Errors
    /// When files cannot be read or written; call it again then.
    pub fn cut_off(self, damage: &Damage) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let (files, directory) = (&*inner.files, &inner.directory);
        let quarantine = directory.join(QUARANTINE_FOLDER);
        files.create_dir(&quarantine)?;
        // What would call the shorter store damaged goes first, so that a crash leaves no contradiction.
        inner.index.clear()?;
        let mark = directory.join(MARK_FILE);
        if files.exists(&mark)? {
            files.remove(&mark)?;
        }
        files.sync_dir(directory)?;
        let names = files.list(directory)?;
        let mut numbers: Vec<u64> = names
            .iter()
            .filter_map(|name| segment::file_number(name))
            .filter(|number| *number >= damage.segment)
            .collect();
        numbers.sort_unstable();
        inner.readers.clear();
        // Newest first: what a crash leaves is a whole, if longer, chain.
        for number in numbers.into_iter().rev() {
            let path = self.segment_path(number);
            let aside = quarantine.join(segment::file_name(number));
            if number == damage.segment && damage.offset > HEADER_LEN as u64 {
                copy(inner, &path, &aside)?;
                let file = files.open(&path, OpenMode::Write)?;
                if file.len()? > damage.offset {
                    file.truncate(damage.offset)?;
                }
                file.sync()?;
            } else {
                files.rename(&path, &aside)?;
            }
            files.sync_dir(&quarantine)?;
            files.sync_dir(directory)?;
        }
        Ok(())
    }
}
