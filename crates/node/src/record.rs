//! Opaque records: any bytes, kept as they are, addressed by identity or by place.
//!
//! A record of at most [`CHUNK_LEN_MAX`] bytes is one transaction. A longer one travels as chunk
//! transactions and a manifest that names them and the digest of the whole; it is acknowledged with
//! the manifest, and has the manifest's identity and place.

use std::time::Duration;

use stele_core::transaction::{
    CHUNK_LEN_MAX, Manifest, Payload, RECORD_LEN_MAX, SignedTransaction,
};
use stele_core::{Domain, Hash};

use crate::error::NodeError;
use crate::node::Node;
use crate::receipt::{Pending, Record};

/// Longest wait for room in the mempool while a long record is handed in.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(30);
/// Pause between two tries.
const ROOM_WAIT_STEP: Duration = Duration::from_millis(5);

impl Node {
    /// Appends an opaque record: any bytes, up to 64 MiB.
    ///
    /// A short one does not block. A long one blocks until its chunks stand in blocks; the receipt is
    /// then that of its last transaction.
    ///
    /// # Errors
    /// When the key is unknown, the record too long, or the node takes no writes.
    pub fn append_record(&self, key: &str, bytes: &[u8]) -> Result<Pending, NodeError> {
        if bytes.len() as u64 > RECORD_LEN_MAX {
            return Err(NodeError::Invalid(format!(
                "a record of {} bytes is over the bound of {RECORD_LEN_MAX}: keep the bytes elsewhere and record their digest",
                bytes.len()
            )));
        }
        if bytes.len() <= CHUNK_LEN_MAX {
            return self.write(key, Payload::Record(bytes.to_vec()));
        }
        let mut chunks = Vec::new();
        let mut receipts = Vec::new();
        for chunk in bytes.chunks(CHUNK_LEN_MAX) {
            let pending = self.write_with_patience(key, &Payload::Chunk(chunk.to_vec()))?;
            chunks.push(pending.id);
            receipts.push(pending.receipt);
        }
        for receipt in receipts {
            futures::executor::block_on(receipt).map_err(|_| NodeError::Stopping)??;
        }
        let manifest = Manifest {
            len: bytes.len() as u64,
            digest: self.suite().hash(Domain::Record, &[bytes]),
            chunks,
        };
        self.write_with_patience(key, &Payload::Manifest(manifest))
    }

    fn write_with_patience(&self, key: &str, payload: &Payload) -> Result<Pending, NodeError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.write(key, payload.clone()) {
                Err(NodeError::Busy { .. }) if waited < ROOM_WAIT_MAX => {
                    std::thread::sleep(ROOM_WAIT_STEP);
                    waited += ROOM_WAIT_STEP;
                }
                other => return other,
            }
        }
    }

    /// Reads a record by identity, pending or placed.
    ///
    /// # Errors
    /// When there is no such transaction, or it is not a record.
    pub fn record(&self, id: &Hash) -> Result<Record, NodeError> {
        if let Some(signed) = self.pending(id) {
            return self.assemble(*id, None, &signed);
        }
        let (height, index) = self.place_of_transaction(id)?;
        self.record_at(height, index)
    }

    /// Reads a record by place.
    ///
    /// # Errors
    /// When there is no such block, no such place in it, or it is not a record.
    pub fn record_at(&self, height: u64, index: u32) -> Result<Record, NodeError> {
        let signed = self.transaction_at(height, index)?;
        let id = signed.id(self.suite());
        self.assemble(id, Some((height, index)), &signed)
    }

    fn assemble(
        &self,
        id: Hash,
        place: Option<(u64, u32)>,
        signed: &SignedTransaction,
    ) -> Result<Record, NodeError> {
        let bytes = match &signed.transaction.payload {
            Payload::Record(bytes) | Payload::Chunk(bytes) => bytes.clone(),
            Payload::Manifest(manifest) => self.join_chunks(&id, manifest)?,
            _ => {
                return Err(NodeError::NotFound {
                    what: format!("record {id}"),
                    hint: "the transaction of that identity is not a record".to_owned(),
                });
            }
        };
        Ok(Record { id, place, bytes })
    }

    /// That the chunks a manifest names are there, or on their way.
    pub(crate) fn check_manifest(&self, manifest: &Manifest) -> Result<(), NodeError> {
        for chunk in &manifest.chunks {
            if !self.is_pending(chunk) && self.place_of_transaction(chunk).is_err() {
                return Err(NodeError::Invalid(format!(
                    "the manifest names chunk {chunk}, which is not on the ledger: submit the chunks first"
                )));
            }
        }
        Ok(())
    }

    fn join_chunks(&self, id: &Hash, manifest: &Manifest) -> Result<Vec<u8>, NodeError> {
        let broken = |why: String| NodeError::NotFound {
            what: format!("record {id}"),
            hint: format!(
                "its manifest does not fit its chunks: {why}; whoever signed it must append it anew"
            ),
        };
        if manifest.len > RECORD_LEN_MAX {
            return Err(broken(format!("it claims {} bytes", manifest.len)));
        }
        let mut bytes = Vec::new();
        for chunk in &manifest.chunks {
            let signed = match self.pending(chunk) {
                Some(signed) => signed,
                None => {
                    let (height, index) = self
                        .place_of_transaction(chunk)
                        .map_err(|_| broken(format!("chunk {chunk} is not in the ledger")))?;
                    self.transaction_at(height, index)?.into()
                }
            };
            let Payload::Chunk(piece) = &signed.transaction.payload else {
                return Err(broken(format!("{chunk} is not a chunk")));
            };
            bytes.extend_from_slice(piece);
            if bytes.len() as u64 > manifest.len {
                return Err(broken("the chunks are longer".to_owned()));
            }
        }
        let digest = self.suite().hash(Domain::Record, &[&bytes]);
        if bytes.len() as u64 != manifest.len || digest != manifest.digest {
            return Err(broken("length or digest differs".to_owned()));
        }
        Ok(bytes)
    }
}
