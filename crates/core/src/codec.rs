//! The canonical codec: one value has one encoding, and nothing else decodes.
//!
//! Integers are big-endian and fixed in width. Byte strings, texts and lists carry a `u32` length
//! or count. Options are a byte 0 or 1; any other byte is refused. Decoding is total: any input
//! gives a value or a [`DecodeError`], never a panic, and never allocates more than the input's own
//! length times a small constant.

use thiserror::Error;

/// Longest byte string the codec accepts: 16 MiB and a little for its frame.
pub const BYTES_LEN_MAX: usize = 17 * 1024 * 1024;

/// Why bytes are not the encoding of a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ended inside a value.
    #[error("input ends too early: {needed} more bytes needed at byte {offset}")]
    Truncated {
        /// Where reading stopped.
        offset: usize,
        /// How many bytes were missing.
        needed: usize,
    },
    /// Bytes are left after the value.
    #[error("{extra} bytes follow the value")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// A length or count is over its bound.
    #[error("{what} is {found}, the bound is {max}")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// What was found.
        found: u64,
        /// What is allowed.
        max: u64,
    },
    /// A version or kind this program does not know.
    #[error("unknown {what} {found}: written by another version?")]
    UnknownVersion {
        /// Of what.
        what: &'static str,
        /// What was found.
        found: u32,
    },
    /// Bytes that no encoder writes.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Writes the one encoding of a value.
pub trait Encode {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The encoding alone.
    fn encode_to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// Reads a value back from its encoding.
pub trait Decode: Sized {
    /// Reads one value and leaves the reader behind it.
    ///
    /// # Errors
    /// When the bytes are not the encoding of a value.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that fills `bytes` exactly.
    ///
    /// # Errors
    /// When the bytes are not the encoding of a value, or more follows.
    fn decode_all(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// A place in bytes being decoded.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the next `len` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.bytes.split_at_checked(len) {
            Some((head, tail)) => {
                self.bytes = tail;
                self.offset += len;
                Ok(head)
            }
            None => Err(DecodeError::Truncated {
                offset: self.offset,
                needed: len - self.bytes.len(),
            }),
        }
    }

    /// Takes a fixed number of bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// Reads a byte. # Errors: truncated.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Reads a `u16`. # Errors: truncated.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Reads a `u32`. # Errors: truncated.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Reads a `u64`. # Errors: truncated.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Reads an `i64`. # Errors: truncated.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Reads a boolean: 0 or 1. # Errors: truncated, or another byte.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid("a boolean is neither 0 nor 1")),
        }
    }

    /// Reads a byte string of at most `max` bytes. # Errors: truncated or over the bound.
    pub fn bytes(&mut self, what: &'static str, max: usize) -> Result<&'a [u8], DecodeError> {
        let len = self.u32()? as usize;
        if len > max {
            return Err(DecodeError::TooLarge {
                what,
                found: len as u64,
                max: max as u64,
            });
        }
        self.take(len)
    }

    /// Reads a text of at most `max` bytes, UTF-8. # Errors: truncated, over the bound, not UTF-8.
    pub fn text(&mut self, what: &'static str, max: usize) -> Result<String, DecodeError> {
        let bytes = self.bytes(what, max)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::Invalid("a text is not UTF-8"))
    }

    /// Reads a list of at most `max` items.
    ///
    /// # Errors
    /// When the count is over the bound or more than the bytes left, or an item does not decode.
    pub fn list<T: Decode>(
        &mut self,
        what: &'static str,
        max: usize,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count(what, max)?;
        (0..count).map(|_| T::decode(self)).collect()
    }

    /// Reads an item count; each item takes at least one byte, so a count over the bytes left is refused.
    ///
    /// # Errors
    /// When the count is over the bound or more than the bytes left.
    pub fn count(&mut self, what: &'static str, max: usize) -> Result<usize, DecodeError> {
        let count = self.u32()? as usize;
        if count > max || count > self.remaining() {
            return Err(DecodeError::TooLarge {
                what,
                found: count as u64,
                max: max.min(self.remaining()) as u64,
            });
        }
        Ok(count)
    }

    /// Reads an optional value.
    ///
    /// # Errors
    /// When the marker is neither 0 nor 1 or the value does not decode.
    pub fn option<T: Decode>(&mut self) -> Result<Option<T>, DecodeError> {
        Ok(if self.bool()? {
            Some(T::decode(self)?)
        } else {
            None
        })
    }

    /// Checks a version byte.
    ///
    /// # Errors
    /// [`DecodeError::UnknownVersion`] when it is another.
    pub fn version(&mut self, what: &'static str, known: u8) -> Result<(), DecodeError> {
        let found = self.u8()?;
        if found == known {
            Ok(())
        } else {
            Err(DecodeError::UnknownVersion {
                what,
                found: u32::from(found),
            })
        }
    }

    /// Ends decoding.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] when bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.bytes.len() {
            0 => Ok(()),
            extra => Err(DecodeError::Trailing { extra }),
        }
    }
}

/// Appends a `u32` length. Lengths over `u32` cannot occur: every encoder's input is bounded far below.
pub fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("bounded far below 4 GiB by every caller");
    out.extend_from_slice(&len.to_be_bytes());
}

/// Appends a length-prefixed byte string.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a counted list.
pub fn put_list<T: Encode>(out: &mut Vec<u8>, items: &[T]) {
    put_len(out, items.len());
    for item in items {
        item.encode(out);
    }
}

/// Appends an optional value.
pub fn put_option<T: Encode>(out: &mut Vec<u8>, value: Option<&T>) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            value.encode(out);
        }
    }
}
