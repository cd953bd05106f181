//! Groups kept in memory between updates, so that a small batch reads little.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::group::Group;
use super::node_key::NodeKey;
use crate::schema::TableId;

/// Most level 0 entries kept in memory (about 140 bytes each): the ends of tables that grow in order of key, and
/// all of a table of less rows that changes anywhere.
pub const CACHE_ROWS_MAX: usize = 393_216;
/// Most entries of higher levels kept in memory (about 140 bytes each): all of a few tables of a million rows, so that
/// a change anywhere reads one group.
pub const CACHE_ENTRIES_MAX: usize = 131_072;

/// Rows and what is above them, apart: rows read once must not push out groups that are needed for every row.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    rows: Generations,
    above: Generations,
}

type Groups = BTreeMap<(TableId, u8), BTreeMap<NodeKey, Group>>;

/// Two generations of groups: used ones move to the young; when that is full the old one is dropped.
#[derive(Clone, Debug, Default)]
struct Generations {
    young: Groups,
    old: Groups,
    /// Entries of the young generation's groups.
    young_entries: usize,
}

impl Cache {
    /// The cached group of a level that holds `key`.
    pub(super) fn get(&mut self, table: TableId, level: u8, key: &[u8]) -> Option<&Group> {
        let at = (table, level);
        if find(&self.of(level).young, at, key).is_none() {
            let group = self.take(table, level, key)?;
            self.insert(table, level, group);
        }
        find(&self.of(level).young, at, key)
    }

    /// Takes out the cached group of a level that holds `key`.
    pub(super) fn take(&mut self, table: TableId, level: u8, key: &[u8]) -> Option<Group> {
        let at = (table, level);
        let generations = self.of(level);
        if let Some(group) = remove(&mut generations.young, at, key) {
            let entries = generations.young_entries;
            generations.young_entries = entries.saturating_sub(group.entries.len());
            return Some(group);
        }
        remove(&mut generations.old, at, key)
    }

    /// Keeps a group.
    pub(super) fn insert(&mut self, table: TableId, level: u8, group: Group) {
        let most = if level == 0 {
            CACHE_ROWS_MAX
        } else {
            CACHE_ENTRIES_MAX
        };
        let entries = group.entries.len();
        let generations = self.of(level);
        if generations.young_entries + entries > most / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_entries = 0;
        }
        generations.young_entries += entries;
        let groups = generations.young.entry((table, level)).or_default();
        groups.insert(group.name().into(), group);
    }

    /// Forgets everything of a table.
    pub(super) fn forget_table(&mut self, table: TableId) {
        for generations in [&mut self.rows, &mut self.above] {
            for groups in [&mut generations.young, &mut generations.old] {
                groups.retain(|(of, _), _| *of != table);
            }
        }
    }

    fn of(&mut self, level: u8) -> &mut Generations {
        if level == 0 {
            &mut self.rows
        } else {
            &mut self.above
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
    let name = NodeKey::from(find(groups, at, key)?.name());
    groups.get_mut(&at)?.remove(&name)
}
