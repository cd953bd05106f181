//! Genesis: the document whose hash is the ledger's identity.

use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use crate::crypto::PublicKey;
use crate::hash::{Domain, Hash, Suite};
use crate::validators::ValidatorSet;

/// Longest origin, in bytes.
pub const ORIGIN_LEN_MAX: usize = 255;

const GENESIS_VERSION: u8 = 1;

/// What a ledger starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// Algorithms.
    pub suite: Suite,
    /// Origin line of the ledger's checkpoints: a name without scheme, such as `ledger.example.org/trade`.
    pub origin: String,
    /// When it was made, microseconds since 1970 UTC.
    pub created_us: i64,
    /// Random, so that equal documents are different ledgers.
    pub nonce: [u8; 16],
    /// Who signs checkpoints, at first.
    pub validators: ValidatorSet,
    /// First key of the operator's account.
    pub operator: PublicKey,
    /// Rules blocks are executed by, at first.
    pub execution_version: u32,
    /// Cost bounds, at first.
    pub limits: Limits,
}

/// Cost bounds of one transaction. Exceeding one fails it with 54000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps of SQLite's virtual machine.
    pub vm_steps_max: u64,
    /// Rows changed.
    pub rows_changed_max: u64,
    /// Rows of all results.
    pub result_rows_max: u64,
    /// Bytes of all results.
    pub result_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            vm_steps_max: 50_000_000,
            rows_changed_max: 1_000_000,
            result_rows_max: 100_000,
            result_bytes_max: 16 * 1024 * 1024,
        }
    }
}

impl Genesis {
    /// The ledger's identity.
    #[must_use]
    pub fn ledger_id(&self) -> Hash {
        self.suite.hash_of(Domain::Genesis, self)
    }
}

impl Encode for Limits {
    fn encode(&self, out: &mut Vec<u8>) {
        for bound in [
            self.vm_steps_max,
            self.rows_changed_max,
            self.result_rows_max,
            self.result_bytes_max,
        ] {
            out.extend_from_slice(&bound.to_be_bytes());
        }
    }
}

impl Decode for Limits {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            vm_steps_max: reader.u64()?,
            rows_changed_max: reader.u64()?,
            result_rows_max: reader.u64()?,
            result_bytes_max: reader.u64()?,
        })
    }
}

impl Encode for Genesis {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(GENESIS_VERSION);
        self.suite.encode(out);
        put_bytes(out, self.origin.as_bytes());
        out.extend_from_slice(&self.created_us.to_be_bytes());
        out.extend_from_slice(&self.nonce);
        self.validators.encode(out);
        self.operator.encode(out);
        out.extend_from_slice(&self.execution_version.to_be_bytes());
        self.limits.encode(out);
    }
}

impl Decode for Genesis {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("genesis", GENESIS_VERSION)?;
        Ok(Self {
            suite: Suite::decode(reader)?,
            origin: reader.text("origin", ORIGIN_LEN_MAX)?,
            created_us: reader.i64()?,
            nonce: reader.array()?,
            validators: ValidatorSet::decode(reader)?,
            operator: PublicKey::decode(reader)?,
            execution_version: reader.u32()?,
            limits: Limits::decode(reader)?,
        })
    }
}
