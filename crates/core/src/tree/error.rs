//! Why a tree operation failed.

use thiserror::Error;

use super::node::{GROUP_ENTRIES_MAX, KEY_LEN_MAX};
use crate::schema::TableId;

/// Why a tree operation failed. Nothing was written unless the error is [`TreeError::Store`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TreeError<E> {
    /// The store failed. It may hold half a change: roll it back.
    #[error("the tree's store failed: {0}")]
    Store(E),
    /// The batch would leave a group over its cap. The transaction fails with SQLSTATE 54000.
    #[error(
        "table {}: the keys after {} leave {entries} entries in one tree group of level {level}, the bound is {GROUP_ENTRIES_MAX}; \
         no honest choice of keys gets here: insert other keys or delete rows of that range", table.0, hex::encode(name)
    )]
    GroupTooLarge {
        /// Table.
        table: TableId,
        /// Level of the group.
        level: u8,
        /// First key of the group; empty for the first group.
        name: Vec<u8>,
        /// How many entries it would hold.
        entries: usize,
    },
    /// A key is empty or too long.
    #[error("table {}: a key of {len} bytes; keys take 1 to {KEY_LEN_MAX} bytes", table.0)]
    KeyLength {
        /// Table.
        table: TableId,
        /// Its length in bytes.
        len: usize,
    },
    /// Keys were not given in strictly ascending order.
    #[error("table {}: key {} does not follow the one before it; give keys in strictly ascending order", table.0, hex::encode(key))]
    NotAscending {
        /// Table.
        table: TableId,
        /// The key out of order.
        key: Vec<u8>,
    },
    /// The stored nodes contradict each other: the store was changed behind the tree's back, or a cache outlived a roll-back.
    #[error("table {}: tree group {} of level {level} is damaged ({what}); rebuild the tree from the rows and compare its root", table.0, hex::encode(name))]
    Corrupt {
        /// Table.
        table: TableId,
        /// Level of the group.
        level: u8,
        /// First key of the group; empty for the first group.
        name: Vec<u8>,
        /// What is wrong.
        what: &'static str,
    },
}
