//! Reading what is kept of earlier versions, and telling what no block says.

use stele_core::outcome::BlockEffects;
use stele_core::schema::Table;

use super::definitions::Definitions;
use super::versions::{End, Item, Misfit, Origin, SECRET_LEN, Versions};
use super::{StateAudit, StateDifference, key_text, table_words};
use crate::engine::error::EngineError;
use crate::engine::row_log::Stamp;
use crate::engine::snapshot::Snapshot;

/// What the history is compared with.
pub struct HistorySource<'e, E> {
    /// Random bytes, drawn for this check and told nobody.
    pub secret: [u8; SECRET_LEN],
    /// Gives the effects of a block. Asked for each height from 1 on, in order, once; where something does
    /// not fit, once more.
    pub effects: &'e mut dyn FnMut(u64) -> Result<BlockEffects, E>,
}

impl StateAudit {
    /// Compares all versions with the effects; `versions` holds the current rows already.
    pub(super) fn add_history<E: From<EngineError>>(
        &mut self,
        snapshot: &Snapshot,
        versions: Versions,
        effects: &mut dyn FnMut(u64) -> Result<BlockEffects, E>,
    ) -> Result<(), E> {
        let mut versions = Some(versions);
        self.add_versions(snapshot, &mut versions)?;
        let Some(mut versions) = versions else {
            return Ok(());
        };
        let mut definitions = Definitions::new(snapshot.ledger(), snapshot.suite())?;
        if !self.add_effects(snapshot, &mut versions, Some(&mut definitions), effects)? {
            return Ok(());
        }
        for difference in definitions.compare(snapshot)? {
            self.tell(difference);
        }
        if versions.is_even() {
            return Ok(());
        }
        // Once more, keeping the items of cells that differ.
        versions.begin_naming();
        for table in snapshot.catalogue().with_rows() {
            let layout = snapshot.layout(table)?;
            layout.scan(snapshot.connection(), |key, row, written| {
                versions.add(Origin::Row, begins(table, &key, &row, written));
                Ok::<(), EngineError>(())
            })?;
            layout.scan_versions(snapshot.connection(), |key, row, from, to| {
                add_version(&mut versions, table, &key, &row, (from, to));
                Ok(())
            })?;
        }
        if self.add_effects(snapshot, &mut versions, None, effects)? {
            self.tell_misfits(snapshot, versions);
        }
        Ok(())
    }

    /// Adds what every history holds. What cannot be read is told, and takes the comparison away.
    fn add_versions(
        &mut self,
        snapshot: &Snapshot,
        versions: &mut Option<Versions>,
    ) -> Result<(), EngineError> {
        for table in snapshot.catalogue().with_rows() {
            let Some(sums) = versions else { break };
            let mut last: Option<Vec<u8>> = None;
            let mut reversed = Vec::new();
            let mut count = 0;
            let layout = snapshot.layout(table)?;
            let scanned = layout.scan_versions(snapshot.connection(), |key, row, from, to| {
                add_version(sums, table, &key, &row, (from, to));
                if from >= to && reversed.len() < super::DIFFERENCES_MAX {
                    reversed.push((key.clone(), to.height));
                }
                count += 1;
                last = Some(key);
                Ok(())
            });
            self.versions += count;
            for (key, height) in reversed {
                let what = "a version in the history ends before it begins".to_owned();
                self.tell_version(table, Some(&key), Some(height), what);
            }
            match scanned {
                Err(EngineError::Corrupt { cause, .. }) => {
                    let key = last.map_or_else(String::new, |key| key_text(table, &key));
                    let what = format!("the history cannot be read at or after this key: {cause}");
                    self.tell_unreadable(versions, &table_words(table), key, what);
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Takes the effects of all blocks away; false when they do not fit the definitions, which is told.
    fn add_effects<E: From<EngineError>>(
        &mut self,
        snapshot: &Snapshot,
        versions: &mut Versions,
        mut definitions: Option<&mut Definitions>,
        effects: &mut dyn FnMut(u64) -> Result<BlockEffects, E>,
    ) -> Result<bool, E> {
        for height in 1..=snapshot.height() {
            let effects = effects(height)?;
            let mut added = versions.add_effects(&effects);
            if let (Ok(()), Some(definitions)) = (&added, &mut definitions) {
                added = definitions.add_effects(&effects);
            }
            if let Err((id, why)) = added {
                if let Some(table) = snapshot.catalogue().table(id) {
                    let what = format!("its definition is not that of the blocks: {why}");
                    self.tell_version(table, None, Some(height), what);
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn tell_misfits(&mut self, snapshot: &Snapshot, versions: Versions) {
        let misfits = versions.misfits();
        let before = self.differences.len();
        for ((id, key), misfit) in misfits.named {
            if let Some(table) = snapshot.catalogue().table(id) {
                let height = misfit.heights.first().copied();
                self.tell_version(table, Some(&key), height, words(&misfit));
            }
        }
        if misfits.is_cut && self.differences.len() == before {
            self.tell(StateDifference {
                table: String::new(),
                key: String::new(),
                expected: None,
                found: None,
                height: None,
                what: "the history is not what the blocks say, in too many places to name them"
                    .to_owned(),
            });
        }
    }

    /// Tells of versions of a row, unless the row itself was told of: then they follow from that.
    fn tell_version(
        &mut self,
        table: &Table,
        key: Option<&[u8]>,
        height: Option<u64>,
        what: String,
    ) {
        let name = table_words(table);
        let key = key.map_or_else(String::new, |key| key_text(table, key));
        let is_told = self
            .differences
            .iter()
            .any(|told| told.table == name && told.key == key);
        if !is_told {
            self.tell(StateDifference {
                table: name,
                key,
                expected: None,
                found: None,
                height,
                what,
            });
        }
    }
}

/// The item a current row stands for.
pub(super) fn begins<'i>(table: &Table, key: &'i [u8], row: &'i [u8], written: Stamp) -> Item<'i> {
    Item {
        end: End::Begins,
        table: table.id,
        key,
        stamp: written,
        row,
    }
}

fn add_version(
    versions: &mut Versions,
    table: &Table,
    key: &[u8],
    row: &[u8],
    (from, to): (Stamp, Stamp),
) {
    let begin = begins(table, key, row, from);
    versions.add(Origin::History, begin);
    let end = End::Ends;
    let stamp = to;
    versions.add(
        Origin::History,
        Item {
            end,
            stamp,
            ..begin
        },
    );
}

fn words(misfit: &Misfit) -> String {
    let heights: Vec<String> = misfit.heights.iter().map(u64::to_string).collect();
    let heights = heights.join(", ");
    let which = if misfit.heights.len() == 1 {
        "height"
    } else {
        "heights"
    };
    if misfit.is_current {
        return format!(
            "the hidden columns of the row were changed: the blocks say otherwise who wrote it ({which} {heights})"
        );
    }
    let what = match (misfit.is_kept, misfit.is_missing) {
        (true, true) => "versions were changed in the history",
        (true, false) => "the history holds versions that no block wrote",
        (false, _) => "versions were removed from the history",
    };
    format!("{what} ({which} {heights})")
}
