//! Going over encoded effects without building them: hashes are taken from the bytes themselves.

use stele_core::block::{BLOCK_TRANSACTIONS_MAX, CERTIFICATE_LEN_MAX};
use stele_core::codec::{Decode, DecodeError, Reader};
use stele_core::key::KEY_LEN_MAX;
use stele_core::leaf::BlockLeaf;
use stele_core::outcome::{CHANGES_MAX, Outcome, ROW_LEN_MAX};
use stele_core::schema::{Table, TableId};
use stele_core::{Domain, Hash, Suite};

use super::Fault;
use crate::damage::DamageKind;

const EFFECTS_VERSION: u8 = 1;
const CHANGE_ROW: u8 = 1;
const CHANGE_SCHEMA: u8 = 2;

/// What the check keeps of a block's effects.
pub(super) struct EffectsFacts {
    pub(super) height: u64,
    /// Offset of the record.
    pub(super) offset: u64,
    /// Hash of each outcome.
    pub(super) outcomes: Vec<Hash>,
    pub(super) leaf: BlockLeaf,
    pub(super) certificate: Vec<u8>,
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self {
            kind: DamageKind::Undecodable,
            detail: error.to_string(),
        }
    }
}

/// Goes over effects, checking that each outcome commits to its changes.
pub(super) fn skim(
    bytes: &[u8],
    suite: Suite,
    height: u64,
    offset: u64,
) -> Result<EffectsFacts, Fault> {
    let mut reader = Reader::new(bytes);
    reader.version("block effects", EFFECTS_VERSION)?;
    let count = reader.count("effects", BLOCK_TRANSACTIONS_MAX)?;
    let mut outcomes = Vec::with_capacity(count);
    for index in 0..count {
        let start = reader.offset();
        let outcome = Outcome::decode(&mut reader)?;
        let middle = reader.offset();
        let changes = reader.count("changes", CHANGES_MAX)?;
        for _ in 0..changes {
            skip_change(&mut reader)?;
        }
        let encoded = bytes.get(middle..reader.offset()).unwrap_or_default();
        if suite.hash(Domain::Changes, &[encoded]) != outcome.changes {
            return Err(Fault {
                kind: DamageKind::HashMismatch,
                detail: format!(
                    "the outcome of transaction {index} does not commit to its changes"
                ),
            });
        }
        let encoded = bytes.get(start..middle).unwrap_or_default();
        outcomes.push(suite.hash(Domain::Outcome, &[encoded]));
    }
    let leaf = BlockLeaf::decode(&mut reader)?;
    let certificate = reader.bytes("certificate", CERTIFICATE_LEN_MAX)?.to_vec();
    reader.finish()?;
    Ok(EffectsFacts {
        height,
        offset,
        outcomes,
        leaf,
        certificate,
    })
}

fn skip_change(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match reader.u8()? {
        CHANGE_ROW => {
            TableId::decode(reader)?;
            reader.bytes("key", KEY_LEN_MAX)?;
            for _ in 0..2 {
                if reader.bool()? {
                    reader.bytes("row", ROW_LEN_MAX)?;
                }
            }
        }
        CHANGE_SCHEMA => {
            TableId::decode(reader)?;
            reader.option::<Table>()?;
            reader.option::<Table>()?;
        }
        other => {
            return Err(DecodeError::UnknownVersion {
                what: "change",
                found: u32::from(other),
            });
        }
    }
    Ok(())
}
