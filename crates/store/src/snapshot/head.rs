//! What a snapshot says of its block.

use stele_core::block::Header;
use stele_core::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use stele_core::leaf::BlockLeaf;
use stele_core::schema::Table;
use stele_core::{Hash, Suite};
use stele_flow::Position;

/// Longest proof, in bytes.
const PROOF_LEN_MAX: usize = 64 * 1024;

/// The block a snapshot is of, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// The block's header: it names the ledger, and the leaf holds its hash.
    pub header: Header,
    /// The leaf that closes the block in the log: it holds the state root.
    pub leaf: BlockLeaf,
    /// A C2SP tlog-proof that the leaf is in the log a quorum signed.
    pub proof: String,
}

impl SnapshotHead {
    /// Where the block stands.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            height: self.leaf.height,
            hash: self.leaf.block,
        }
    }

    /// Whether header and leaf are of one block.
    #[must_use]
    pub fn is_whole(&self, suite: Suite) -> bool {
        let (header, leaf) = (&self.header, &self.leaf);
        header.hash(suite) == leaf.block
            && header.height == leaf.height
            && header.time_us == leaf.time_us
    }
}

impl Encode for SnapshotHead {
    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        self.leaf.encode(out);
        put_bytes(out, self.proof.as_bytes());
    }
}

impl Decode for SnapshotHead {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            header: Header::decode(reader)?,
            leaf: BlockLeaf::decode(reader)?,
            proof: reader.text("proof of the block leaf", PROOF_LEN_MAX)?,
        })
    }
}

/// A table of a snapshot, without its rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TableRecord {
    pub(super) definition: Table,
    pub(super) root: Hash,
    pub(super) rows: u64,
}

impl Encode for TableRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        self.definition.encode(out);
        self.root.encode(out);
        out.extend_from_slice(&self.rows.to_be_bytes());
    }
}

impl Decode for TableRecord {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            definition: Table::decode(reader)?,
            root: Hash::decode(reader)?,
            rows: reader.u64()?,
        })
    }
}

/// The end of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndRecord {
    pub(super) tables: u32,
    pub(super) rows: u64,
}

impl Encode for EndRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tables.to_be_bytes());
        out.extend_from_slice(&self.rows.to_be_bytes());
    }
}

impl Decode for EndRecord {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            tables: reader.u32()?,
            rows: reader.u64()?,
        })
    }
}
