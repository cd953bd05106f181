//! Groups kept in memory between updates, so that a small batch reads little.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::group::Group;
use crate::schema::TableId;

/// Most entries of groups kept in memory (about 150 bytes each).
pub const CACHE_ENTRIES_MAX: usize = 65_536;

type Groups = BTreeMap<(TableId, u8), BTreeMap<Vec<u8>, Group>>;

/// Two generations of groups: used ones move to the young; when that is full the old one is dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    young: Groups,
    old: Groups,
    /// Entries of the young generation's groups.
    young_entries: usize,
}

impl Cache {
    /// The cached group of a level that holds `key`.
    pub(super) fn get(&mut self, table: TableId, level: u8, key: &[u8]) -> Option<&Group> {
        if find(&self.young, (table, level), key).is_none() {
            let group = self.take(table, level, key)?;
            self.insert(table, level, group);
        }
        find(&self.young, (table, level), key)
    }

    /// Takes out the cached group of a level that holds `key`.
    pub(super) fn take(&mut self, table: TableId, level: u8, key: &[u8]) -> Option<Group> {
        let at = (table, level);
        if let Some(group) = remove(&mut self.young, at, key) {
            self.young_entries = self.young_entries.saturating_sub(group.entries.len());
            return Some(group);
        }
        remove(&mut self.old, at, key)
    }

    /// Keeps a group.
    pub(super) fn insert(&mut self, table: TableId, level: u8, group: Group) {
        let entries = group.entries.len();
        if self.young_entries + entries > CACHE_ENTRIES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_entries = 0;
        }
        self.young_entries += entries;
        let groups = self.young.entry((table, level)).or_default();
        groups.insert(group.name().to_vec(), group);
    }

    /// Forgets everything of a table.
    pub(super) fn forget_table(&mut self, table: TableId) {
        for groups in [&mut self.young, &mut self.old] {
            groups.retain(|(of, _), _| *of != table);
        }
    }
}

fn find<'a>(groups: &'a Groups, at: (TableId, u8), key: &[u8]) -> Option<&'a Group> {
    let range = (Bound::Unbounded, Bound::Included(key));
    let (_, group) = groups.get(&at)?.range::<[u8], _>(range).next_back()?;
    let inside = group.end.as_deref().is_none_or(|end| key < end);
    inside.then_some(group)
}

fn remove(groups: &mut Groups, at: (TableId, u8), key: &[u8]) -> Option<Group> {
    let name = find(groups, at, key)?.name().to_vec();
    groups.get_mut(&at)?.remove(&name)
}
