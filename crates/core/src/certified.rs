//! Blocks with their certificates, as a node passes them on to one that follows.

use crate::block::{BLOCK_LEN_MAX, CERTIFICATE_LEN_MAX};
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list};

/// Most blocks passed on at once.
pub const CERTIFIED_BLOCKS_MAX: usize = 1_000;

/// Longest encoding of a block's effects that is passed on, in bytes: 512 MiB, as that of a record of a segment.
pub const KEPT_EFFECTS_LEN_MAX: usize = 512 * 1024 * 1024;

const VERSION: u8 = 1;

/// A block that validators are said to have made final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedBlock {
    /// Its canonical encoding; not yet decoded.
    pub block: Vec<u8>,
    /// The certificate of the checkpoint after it: the text of a signed note; not yet verified.
    pub certificate: String,
}

/// Blocks in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertifiedBlocks(pub Vec<CertifiedBlock>);

impl Encode for CertifiedBlock {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.block);
        put_bytes(out, self.certificate.as_bytes());
    }
}

impl Decode for CertifiedBlock {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            block: reader.bytes("block", BLOCK_LEN_MAX)?.to_vec(),
            certificate: reader.text("certificate", CERTIFICATE_LEN_MAX)?,
        })
    }
}

impl Encode for CertifiedBlocks {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_list(out, &self.0);
    }
}

impl Decode for CertifiedBlocks {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("certified blocks", VERSION)?;
        Ok(Self(reader.list("certified blocks", CERTIFIED_BLOCKS_MAX)?))
    }
}

/// A block with its effects, as a node gives it to one whose store is damaged or lags behind. Such blocks travel as one
/// stream, cut into pieces anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBlock {
    /// Its canonical encoding; not yet decoded.
    pub block: Vec<u8>,
    /// The encoding of its effects, with the certificate of the checkpoint after it; not yet decoded.
    pub effects: Vec<u8>,
}

impl Encode for KeptBlock {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.block);
        put_bytes(out, &self.effects);
    }
}

impl Decode for KeptBlock {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            block: reader.bytes("block", BLOCK_LEN_MAX)?.to_vec(),
            effects: reader.bytes("effects", KEPT_EFFECTS_LEN_MAX)?.to_vec(),
        })
    }
}

impl KeptBlock {
    /// The block a stream begins with, and how many bytes it takes; none while the stream does not hold it whole.
    ///
    /// # Errors
    /// When the stream cannot begin with a block, however it goes on.
    pub fn of_stream(stream: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let mut at = 0;
        for (what, max) in [("block", BLOCK_LEN_MAX), ("effects", KEPT_EFFECTS_LEN_MAX)] {
            let Some(len) = stream.get(at..).and_then(<[u8]>::first_chunk) else {
                return Ok(None);
            };
            let len = u32::from_be_bytes(*len) as usize;
            if len > max {
                return Err(DecodeError::TooLarge {
                    what,
                    found: len as u64,
                    max: max as u64,
                });
            }
            at += 4 + len;
        }
        match stream.get(..at) {
            Some(whole) => Ok(Some((Self::decode_all(whole)?, at))),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_and_decoded_they_are_the_same() {
        let one = |byte| CertifiedBlock {
            block: vec![byte; 3],
            certificate: "note\n".to_owned(),
        };
        let blocks = CertifiedBlocks(vec![one(1), one(2)]);
        let bytes = blocks.encode_to_vec();
        assert_eq!(
            hex::encode(&bytes),
            "01000000020000000301010100000005\
             6e6f74650a0000000302020200000005\
             6e6f74650a"
        );
        assert_eq!(CertifiedBlocks::decode_all(&bytes), Ok(blocks));
        for len in 0..bytes.len() {
            assert!(CertifiedBlocks::decode_all(&bytes[..len]).is_err());
        }
    }
    #[test]
    fn a_stream_gives_whole_blocks_only() {
        let kept = KeptBlock {
            block: vec![1; 5],
            effects: vec![2; 7],
        };
        let mut stream = kept.encode_to_vec();
        let len = stream.len();
        for end in 0..len {
            assert_eq!(KeptBlock::of_stream(&stream[..end]), Ok(None));
        }
        stream.extend_from_slice(&[0, 0, 0, 9, 1]);
        assert_eq!(KeptBlock::of_stream(&stream), Ok(Some((kept, len))));
        assert!(KeptBlock::of_stream(&[0xff; 4]).is_err());
    }
}
