//! A block as the engine carries it.

use std::sync::Arc;

use commonware_codec::{Buf, EncodeSize, Error, Read, Write};
use commonware_consensus::types::Height;
use commonware_consensus::{Block, BoundedBlock, Heightable};
use commonware_cryptography::Digestible;
use commonware_cryptography::sha256::Digest;
use commonware_runtime::BufMut;
use stele_core::block::{BLOCK_LEN_MAX, BlockView, CERTIFICATE_LEN_MAX};
use stele_core::{Hash, Suite};

use crate::application::{Link, OrderedBlock};

/// Longest encoding: the transactions of a block, its header, and the length in front.
pub(super) const CARRIED_LEN_MAX: usize = BLOCK_LEN_MAX + CERTIFICATE_LEN_MAX + 1024;

/// What decoding needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) suite: Suite,
    pub(super) base: Link,
}

/// A block, or the one the engine begins after. Heights are counted from there for the engine.
///
/// Encoded as a length (`u32`) and the block's canonical encoding; length 0 is the base.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    base: Link,
    block: Option<Arc<OrderedBlock>>,
}

impl Carried {
    /// The block an engine begins after.
    pub(super) fn base(origin: &Origin) -> Self {
        Self {
            base: origin.base,
            block: None,
        }
    }

    pub(super) fn new(origin: &Origin, block: OrderedBlock) -> Self {
        Self {
            base: origin.base,
            block: Some(Arc::new(block)),
        }
    }

    /// The block itself; none for the base.
    pub(super) fn ordered(&self) -> Option<&Arc<OrderedBlock>> {
        self.block.as_ref()
    }

    /// What the next block refers to.
    pub(super) fn link(&self) -> Link {
        match &self.block {
            None => self.base,
            Some(block) => Link {
                height: block.header.height,
                hash: block.hash,
                time_us: block.header.time_us,
            },
        }
    }
}

/// A hash of ours as the engine's.
pub(super) fn digest(hash: Hash) -> Digest {
    Digest(hash.0)
}

impl Heightable for Carried {
    fn height(&self) -> Height {
        Height::new(self.link().height.saturating_sub(self.base.height))
    }
}

impl Digestible for Carried {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        digest(self.link().hash)
    }
}

impl Block for Carried {
    fn parent(&self) -> Digest {
        match &self.block {
            // Nothing before the base is known to the engine.
            None => Digest([0; 32]),
            Some(block) => digest(block.header.parent),
        }
    }
}

impl BoundedBlock for Carried {
    fn max_encode_size(_: &Origin) -> usize {
        CARRIED_LEN_MAX
    }
}

impl Write for Carried {
    fn write(&self, out: &mut impl BufMut) {
        let bytes = self.block.as_ref().map_or(&[][..], |block| &block.bytes);
        // Bounded by the format of blocks.
        out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        out.put_slice(bytes);
    }
}

impl EncodeSize for Carried {
    fn encode_size(&self) -> usize {
        4 + self.block.as_ref().map_or(0, |block| block.bytes.len())
    }
}

impl Read for Carried {
    type Cfg = Origin;

    fn read_cfg(input: &mut impl Buf, origin: &Origin) -> Result<Self, Error> {
        let wrong = |what: &'static str| Error::Invalid("stele block", what);
        if input.remaining() < 4 {
            return Err(Error::EndOfBuffer);
        }
        let len = input.get_u32() as usize;
        if len == 0 {
            return Ok(Self::base(origin));
        }
        if len > CARRIED_LEN_MAX - 4 {
            return Err(Error::InvalidLength(len));
        }
        if input.remaining() < len {
            return Err(Error::EndOfBuffer);
        }
        let mut bytes = vec![0; len];
        input.copy_to_slice(&mut bytes);
        let view = BlockView::parse(&bytes).map_err(|_| wrong("does not decode"))?;
        // So that the hash, which is over the header, stands for every byte.
        if view.transaction_root(origin.suite) != view.header.transaction_root {
            return Err(wrong("holds other transactions than its header says"));
        }
        if view.header.height <= origin.base.height {
            return Err(wrong("is older than the engine's first"));
        }
        let header = view.header;
        let block = OrderedBlock {
            hash: header.hash(origin.suite),
            header,
            bytes,
            certificate: None,
        };
        Ok(Self::new(origin, block))
    }
}
