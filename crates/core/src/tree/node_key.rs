//! Keys of tree nodes, kept so that the usual ones cost no allocation.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

/// Bytes a key may have to lie inside the value.
const SHORT_LEN: usize = 22;

/// A key of the state tree: an encoded primary key or the name of a group. It is used as the bytes it
/// stands for; a tree keeps very many, and most are short.
#[derive(Clone)]
pub struct NodeKey(Bytes);

#[derive(Clone)]
enum Bytes {
    Short(u8, [u8; SHORT_LEN]),
    Long(Box<[u8]>),
}

impl Deref for NodeKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Bytes::Long(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for NodeKey {
    fn from(key: &[u8]) -> Self {
        let mut bytes = [0; SHORT_LEN];
        match (u8::try_from(key.len()), bytes.get_mut(..key.len())) {
            (Ok(len), Some(start)) => {
                start.copy_from_slice(key);
                Self(Bytes::Short(len, bytes))
            }
            _ => Self(Bytes::Long(key.into())),
        }
    }
}

impl Default for NodeKey {
    fn default() -> Self {
        Self(Bytes::Short(0, [0; SHORT_LEN]))
    }
}

impl Borrow<[u8]> for NodeKey {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl AsRef<[u8]> for NodeKey {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for NodeKey {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for NodeKey {}

impl PartialOrd for NodeKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NodeKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_length_is_its_bytes() {
        assert_eq!(size_of::<NodeKey>(), 24);
        let long = [9; 300];
        let keys: Vec<NodeKey> = (0..long.len()).map(|len| long[..len].into()).collect();
        for (len, key) in keys.iter().enumerate() {
            assert_eq!(**key, long[..len]);
        }
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert_eq!(NodeKey::default(), keys[0]);
    }
}
