//! Kept blocks as a stream of pieces: given to others, and taken from them.

use stele_core::Encode;
use stele_core::certified::KeptBlock;
use stele_core::peer::{Ask, PIECE_LEN_MAX};

use crate::error::NodeError;
use crate::node::{Inner, Node};

/// Bytes around block and effects in the stream.
const FRAMES_LEN: u64 = 8;

impl Node {
    /// A piece of the stream of kept blocks of some heights (docs/formats.md, 9.3), at most [`PIECE_LEN_MAX`] bytes; empty
    /// where this node has none. The store counts as sending to `to` from then on, for a while.
    ///
    /// # Errors
    /// When blocks cannot be read, or more is to be left out than the first block takes.
    pub fn piece(&self, ask: &Ask, to: &str) -> Result<Vec<u8>, NodeError> {
        self.inner.piece(ask, to)
    }
}

impl Inner {
    pub(crate) fn piece(&self, ask: &Ask, to: &str) -> Result<Vec<u8>, NodeError> {
        let last = ask.to.min(self.tip().height);
        let mut skip = ask.skip;
        let mut out = Vec::new();
        for height in ask.from.max(1)..=last {
            let meta = self.meta(height)?;
            let effects_len = meta.effects.map_or(0, |effects| u64::from(effects.len));
            let len = u64::from(meta.block.len) + effects_len + FRAMES_LEN;
            if skip >= len {
                return Err(NodeError::Invalid(format!(
                    "block {height} takes {len} bytes, {skip} are to be left out: ask for the next block"
                )));
            }
            let (block, effects) = (self.store.block(height)?, self.store.effects_bytes(height)?);
            let (Some(block), Some(effects)) = (block, effects) else {
                break;
            };
            let kept = KeptBlock {
                block: block.bytes,
                effects,
            };
            let bytes = kept.encode_to_vec();
            let rest = usize::try_from(skip)
                .ok()
                .and_then(|skip| bytes.get(skip..));
            out.extend_from_slice(rest.unwrap_or_default());
            skip = 0;
            if out.len() >= PIECE_LEN_MAX {
                out.truncate(PIECE_LEN_MAX);
                break;
            }
        }
        if !out.is_empty() {
            let (now_us, time_us) = (
                self.runtime.clock.monotonic_us(),
                self.runtime.clock.now_us(),
            );
            self.care.lock().sends(to, now_us, time_us);
            metrics::counter!("stele_pieces_sent_bytes_total").increment(out.len() as u64);
        }
        Ok(out)
    }
}

/// A stream that comes in pieces.
#[derive(Default)]
pub(crate) struct Stream {
    bytes: Vec<u8>,
    start: usize,
}

impl Stream {
    /// How many bytes of the next block are there.
    pub(crate) fn begun(&self) -> u64 {
        (self.bytes.len() - self.start) as u64
    }

    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// The next block, if it is there whole.
    pub(crate) fn next(&mut self) -> Result<Option<KeptBlock>, String> {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        match KeptBlock::of_stream(rest) {
            Ok(Some((kept, len))) => {
                self.start += len;
                Ok(Some(kept))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(format!("the stream does not decode: {error}")),
        }
    }
}
