//! Blocks with their certificates, as a node passes them on to one that follows.

use crate::block::{BLOCK_LEN_MAX, CERTIFICATE_LEN_MAX};
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list};

/// Most blocks passed on at once.
pub const CERTIFIED_BLOCKS_MAX: usize = 1_000;

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
}
