//! What a simulated disk holds: what programs see, and what would survive a loss of power.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::random::SeededRandom;

/// Bytes a disk writes in one step: a torn write tears between sectors.
const SECTOR_LEN: usize = 512;

/// A write to a file that is not yet durable.
#[derive(Clone, Debug)]
enum Write {
    Data { offset: usize, bytes: Vec<u8> },
    Truncate { len: usize },
}

/// A file without its names.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// What programs read.
    pub(super) live: Vec<u8>,
    /// What is on the disk.
    durable: Vec<u8>,
    pending: Vec<Write>,
}

/// A change of a directory that is not yet durable. Directories keep their order of changes.
#[derive(Clone, Debug)]
enum NameChange {
    Link { path: PathBuf, node: u64 },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
    MakeDir { path: PathBuf },
}

/// Names of files and directories at one level of durability.
#[derive(Clone, Debug, Default)]
struct Names {
    files: BTreeMap<PathBuf, u64>,
    directories: BTreeSet<PathBuf>,
}

impl Names {
    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Link { path, node } => {
                self.files.insert(path.clone(), *node);
            }
            NameChange::Unlink { path } => {
                self.files.remove(path);
            }
            NameChange::Rename { from, to } => {
                if let Some(node) = self.files.remove(from) {
                    self.files.insert(to.clone(), node);
                }
            }
            NameChange::MakeDir { path } => {
                self.directories.insert(path.clone());
            }
        }
    }

    fn has_directory(&self, path: &Path) -> bool {
        path.parent().is_none() || path.as_os_str().is_empty() || self.directories.contains(path)
    }

    fn is_reachable(&self, path: &Path) -> bool {
        path.ancestors()
            .skip(1)
            .all(|above| self.has_directory(above))
    }

    /// Forgets what lies below directories that are not there.
    fn prune(&mut self) {
        let all = self.clone();
        self.directories.retain(|path| all.is_reachable(path));
        let kept = self.clone();
        self.files.retain(|path, _| kept.is_reachable(path));
    }
}

/// The disk's content. Knows nothing of failures planned for it.
#[derive(Debug, Default)]
pub(super) struct Disk {
    nodes: BTreeMap<u64, Node>,
    node_next: u64,
    live: Names,
    durable: Names,
    pending: BTreeMap<PathBuf, Vec<NameChange>>,
}

fn directory_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

impl Node {
    fn apply(content: &mut Vec<u8>, write: &Write) {
        match write {
            Write::Data { offset, bytes } => put(content, *offset, bytes),
            Write::Truncate { len } => content.resize(*len, 0),
        }
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let write = Write::Data {
            offset,
            bytes: bytes.to_vec(),
        };
        Self::apply(&mut self.live, &write);
        self.pending.push(write);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        let write = Write::Truncate { len };
        Self::apply(&mut self.live, &write);
        self.pending.push(write);
    }

    pub(super) fn sync(&mut self) {
        for write in self.pending.drain(..) {
            Self::apply(&mut self.durable, &write);
        }
    }

    /// What a failed sync or a loss of power does: each pending write reaches the disk wholly, in
    /// some of its sectors, or not at all, and none of them is pending any more.
    pub(super) fn lose_pending(&mut self, random: &SeededRandom) {
        for write in std::mem::take(&mut self.pending) {
            match (random.below(3), &write) {
                (0, _) => Self::apply(&mut self.durable, &write),
                (1, Write::Data { offset, bytes }) => {
                    let mut at = *offset;
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let len = (SECTOR_LEN - at % SECTOR_LEN).min(rest.len());
                        let (sector, after) = rest.split_at(len);
                        if random.below(2) == 0 {
                            put(&mut self.durable, at, sector);
                        }
                        at += len;
                        rest = after;
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn corrupt(&mut self, change: &dyn Fn(&mut Vec<u8>)) {
        change(&mut self.live);
        change(&mut self.durable);
    }
}

impl Disk {
    pub(super) fn node(&mut self, node: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&node)
    }

    pub(super) fn find(&self, path: &Path) -> Option<u64> {
        self.live.files.get(path).copied()
    }

    pub(super) fn has_directory(&self, path: &Path) -> bool {
        self.live.has_directory(path)
    }

    /// Total bytes of all files with a name, as programs see them.
    pub(super) fn used_len(&self) -> usize {
        self.live
            .files
            .values()
            .filter_map(|node| self.nodes.get(node))
            .map(|node| node.live.len())
            .sum()
    }

    fn change(&mut self, directory: PathBuf, change: NameChange) {
        self.live.apply(&change);
        self.pending.entry(directory).or_default().push(change);
    }

    pub(super) fn create(&mut self, path: &Path) -> u64 {
        let node = self.node_next;
        self.node_next += 1;
        self.nodes.insert(node, Node::default());
        let path = path.to_owned();
        self.change(directory_of(&path), NameChange::Link { path, node });
        node
    }

    pub(super) fn unlink(&mut self, path: &Path) {
        let path = path.to_owned();
        self.change(directory_of(&path), NameChange::Unlink { path });
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let change = NameChange::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        self.change(directory_of(to), change);
    }

    pub(super) fn make_directory(&mut self, path: &Path) {
        let mut missing: Vec<PathBuf> = path
            .ancestors()
            .take_while(|above| !self.live.has_directory(above))
            .map(Path::to_owned)
            .collect();
        while let Some(path) = missing.pop() {
            self.change(directory_of(&path), NameChange::MakeDir { path });
        }
    }

    pub(super) fn sync_directory(&mut self, path: &Path) {
        for change in self.pending.remove(path).unwrap_or_default() {
            self.durable.apply(&change);
        }
    }

    /// A failed sync of a directory: some of its changes, in order, reach the disk, the rest are forgotten.
    pub(super) fn lose_directory(&mut self, path: &Path, random: &SeededRandom) {
        let changes = self.pending.remove(path).unwrap_or_default();
        let kept = usize::try_from(random.below(changes.len() as u64 + 1)).unwrap_or(0);
        for change in changes.iter().take(kept) {
            self.durable.apply(change);
        }
    }

    pub(super) fn names_in(&self, directory: &Path) -> Vec<String> {
        self.live
            .files
            .keys()
            .chain(&self.live.directories)
            .filter(|path| path.parent() == Some(directory))
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// Power is lost and comes back: programs now see what was on the disk.
    pub(super) fn crash(&mut self, random: &SeededRandom) {
        let directories: Vec<PathBuf> = self.pending.keys().cloned().collect();
        for directory in directories {
            self.lose_directory(&directory, random);
        }
        self.durable.prune();
        self.live = self.durable.clone();
        for node in self.nodes.values_mut() {
            node.lose_pending(random);
            node.live.clone_from(&node.durable);
        }
        let linked: BTreeSet<u64> = self.live.files.values().copied().collect();
        self.nodes.retain(|node, _| linked.contains(node));
    }
}
