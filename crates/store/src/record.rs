//! A block with what the store needs to know of it.

use stele_core::block::{BlockView, Header};
use stele_core::{DecodeError, Hash, Suite};

/// An encoded block with its header, hash and transaction ids.
#[derive(Clone, Debug)]
pub struct BlockRecord<'a> {
    /// The block's encoding.
    pub bytes: &'a [u8],
    /// Its header.
    pub header: Header,
    /// Its hash.
    pub hash: Hash,
    /// Identity of each transaction, in order.
    pub transaction_ids: Vec<Hash>,
}

impl<'a> BlockRecord<'a> {
    /// Takes a block apart and hashes it. Does **not** check the transaction root.
    ///
    /// # Errors
    /// When the bytes are not a block.
    pub fn parse(bytes: &'a [u8], suite: Suite) -> Result<Self, DecodeError> {
        let view = BlockView::parse(bytes)?;
        let transaction_ids = view.transaction_ids(suite)?;
        Ok(Self {
            bytes,
            hash: view.header.hash(suite),
            header: view.header,
            transaction_ids,
        })
    }
}
