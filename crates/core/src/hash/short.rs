//! SHA-256 of a few bytes at once.
//!
//! Most hashes here are over less than a hundred bytes: an entry, two child hashes. Laying such a
//! message out as padded blocks and compressing them takes about half the time of a streaming hasher.

use sha2::block_api::compress256;

const BLOCK_LEN: usize = 64;
/// Blocks of the longest message.
const BLOCKS: usize = 2;
/// Bytes at the end of the last block: one mark and the message's length in bits.
const PADDING_LEN: usize = 9;
/// Longest message, in bytes.
const SHORT_LEN_MAX: usize = BLOCKS * BLOCK_LEN - PADDING_LEN;

/// The state SHA-256 starts from (FIPS 180-4, 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// SHA-256 of the parts one after another; none when they are longer than [`SHORT_LEN_MAX`] together.
pub(super) fn sha256(first: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut message = [0; BLOCKS * BLOCK_LEN];
    let mut len = 0;
    for part in std::iter::once(&first).chain(parts) {
        let end = len + part.len();
        if end > SHORT_LEN_MAX {
            return None;
        }
        message.get_mut(len..end)?.copy_from_slice(part);
        len = end;
    }
    *message.get_mut(len)? = 0x80;
    let used = (len + PADDING_LEN).div_ceil(BLOCK_LEN);
    let bits = (len as u64 * 8).to_be_bytes();
    message
        .get_mut(used * BLOCK_LEN - bits.len()..used * BLOCK_LEN)?
        .copy_from_slice(&bits);
    let (blocks, _) = message.as_chunks::<BLOCK_LEN>();
    let mut state = START;
    compress256(&mut state, blocks.get(..used)?);
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn every_length_gives_what_the_streaming_hasher_gives() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..=bytes.len() {
            let message = &bytes[..len];
            let (first, rest) = message.split_at(len / 3);
            let (second, third) = rest.split_at(rest.len() / 2);
            let short = sha256(first, &[second, third]);
            assert_eq!(short.is_some(), len <= SHORT_LEN_MAX, "{len}");
            if let Some(short) = short {
                assert_eq!(short, <[u8; 32]>::from(Sha256::digest(message)), "{len}");
            }
        }
    }
}
