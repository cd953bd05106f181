//! Checking a proof file against a pinned ledger.

use thiserror::Error;

use super::evidence::{Evidence, RowEvidence, TransactionEvidence};
use crate::account::AccountId;
use crate::codec::{DecodeError, Encode};
use crate::hash::Hash;
use crate::leaf::{BlockLeaf, Entry};
use crate::log::{self, ProofError};
use crate::note::{
    CertificateError, Checkpoint, ConsistencyProof, NoteError, SignedNote, TlogProof,
    verify_certificate,
};
use crate::outcome::Outcome;
use crate::row::Row;
use crate::schema::Table;
use crate::transaction::{SignedTransaction, TransactionError};
use crate::trust::Trust;

/// Why a proof is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Not a proof file.
    #[error("not a proof file: {0}")]
    Format(#[from] NoteError),
    /// The file carries no evidence.
    #[error("the proof carries no evidence (its `extra` line is missing)")]
    NoEvidence,
    /// The evidence does not decode.
    #[error("the evidence does not decode: {0}")]
    Evidence(#[from] DecodeError),
    /// Not enough validators of the pinned ledger signed the checkpoint.
    #[error("the checkpoint is not certified: {0}")]
    Certificate(#[from] CertificateError),
    /// The leaf is not in the log.
    #[error("the leaf is not in the log the checkpoint commits to: {0}")]
    Log(String),
    /// The proof starts from another checkpoint than the one that was kept.
    #[error(
        "the proof starts from {found} leaves, the kept checkpoint has {expected}: ask for the proof from {expected}"
    )]
    OtherStart {
        /// Leaves of the kept checkpoint.
        expected: u64,
        /// Leaves the proof starts from.
        found: u64,
    },
    /// The log of the kept checkpoint is not the beginning of the newer one: somebody changed the past.
    #[error(
        "the log the kept checkpoint commits to is not the beginning of the newer one: {0}. If both files are as they were given, the ledger's past was changed: keep them, they are the evidence"
    )]
    Inconsistent(ProofError),
    /// The block leaf is not that of the block shown.
    #[error("the log's block is not the one shown: {0}")]
    Block(&'static str),
    /// A block of a ledger that has the same origin and validators, but is not the pinned one.
    #[error("the block is of ledger {0}, which is not the pinned one")]
    OtherLedger(Hash),
    /// The transaction is not believed.
    #[error("the transaction is not what its account signed: {0}")]
    Transaction(#[from] TransactionError),
    /// The signing key is not the account's first key, and nothing shows that it became one.
    #[error("the transaction's key is not the first key of account {0}")]
    Account(AccountId),
    /// The table, its definition or its rows are not in the state the block leaf commits to.
    #[error("the state the block commits to does not hold this: {0}")]
    State(String),
}

/// What a proof shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Proven {
    /// A transaction and how it ended.
    Transaction(Box<ProvenTransaction>),
    /// Rows, or that there are none.
    Rows(Box<ProvenRows>),
}

/// A transaction shown to be in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvenTransaction {
    /// The checkpoint it was shown to.
    pub checkpoint: Checkpoint,
    /// Its place and identity.
    pub entry: Entry,
    /// What was signed.
    pub signed: SignedTransaction,
    /// How it ended.
    pub outcome: Outcome,
}

/// Rows shown to be, or not to be, in the state after a block.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvenRows {
    /// The checkpoint they were shown to.
    pub checkpoint: Checkpoint,
    /// The block.
    pub leaf: BlockLeaf,
    /// The table as defined then.
    pub table: Table,
    /// The root of all its rows.
    pub root: Hash,
    /// What was asked.
    pub claim: super::RowClaim,
    /// The rows: one for a present row, none for an absent one, all in key order for a range.
    pub rows: Vec<(Vec<u8>, Row)>,
}

/// That the log has only grown between two certified checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenGrowth {
    /// The one that was kept.
    pub old: Checkpoint,
    /// The newer one.
    pub new: Checkpoint,
}

/// Verifies proofs of one ledger. Remembers the last certified checkpoint, so that many proofs to
/// the same one cost one signature check.
pub struct Verifier {
    trust: Trust,
    certified: Option<(Hash, Checkpoint)>,
}

impl Verifier {
    /// A verifier that believes the validators of `trust` and nobody else.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self {
            trust,
            certified: None,
        }
    }

    /// The pinned ledger.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Checks a proof file and gives what it shows.
    ///
    /// # Errors
    /// [`VerifyError`]: the first thing that does not hold.
    pub fn verify(&mut self, file: &[u8]) -> Result<Proven, VerifyError> {
        let proof = TlogProof::parse(file)?;
        let extra = proof.extra().ok_or(VerifyError::NoEvidence)?;
        let evidence = Evidence::from_checked_bytes(self.trust.suite, extra)?;
        let checkpoint = self.certified_checkpoint(proof.checkpoint_note())?;
        match evidence {
            Evidence::Transaction(evidence) => self.transaction(&proof, checkpoint, *evidence),
            Evidence::Rows(evidence) => self.rows(&proof, checkpoint, *evidence),
        }
    }

    /// Checks that nothing before a checkpoint that was kept (`kept`, a signed note) has changed until
    /// the one a consistency proof (`file`, see [`ConsistencyProof`]) leads to.
    ///
    /// # Errors
    /// [`VerifyError`]: the first thing that does not hold.
    pub fn verify_growth(&mut self, kept: &[u8], file: &[u8]) -> Result<ProvenGrowth, VerifyError> {
        let proof = ConsistencyProof::parse(file)?;
        let old = self.certified_checkpoint(&SignedNote::parse(kept)?)?;
        let new = self.certified_checkpoint(proof.checkpoint_note())?;
        if proof.old() != old.size() {
            return Err(VerifyError::OtherStart {
                expected: old.size(),
                found: proof.old(),
            });
        }
        proof
            .verify(self.trust.suite, &old, &new)
            .map_err(VerifyError::Inconsistent)?;
        Ok(ProvenGrowth { old, new })
    }

    fn certified_checkpoint(&mut self, note: &SignedNote) -> Result<Checkpoint, VerifyError> {
        let digest = self
            .trust
            .suite
            .hash(crate::Domain::Evidence, &[note.to_string().as_bytes()]);
        if let Some((known, checkpoint)) = &self.certified
            && *known == digest
        {
            return Ok(checkpoint.clone());
        }
        let checkpoint = verify_certificate(&self.trust.origin, &self.trust.validators, note)?;
        self.certified = Some((digest, checkpoint.clone()));
        Ok(checkpoint)
    }

    fn in_log(
        &self,
        proof: &TlogProof,
        checkpoint: &Checkpoint,
        leaf: &[u8],
    ) -> Result<(), VerifyError> {
        let leaf = log::leaf_hash(self.trust.suite, leaf);
        proof
            .verify_leaf(self.trust.suite, &leaf, checkpoint)
            .map_err(|error| VerifyError::Log(error.to_string()))
    }

    fn transaction(
        &self,
        proof: &TlogProof,
        checkpoint: Checkpoint,
        evidence: TransactionEvidence,
    ) -> Result<Proven, VerifyError> {
        let suite = self.trust.suite;
        let signed = evidence.signed;
        let entry = Entry {
            height: evidence.height,
            index: evidence.index,
            transaction: signed.id(suite),
            outcome: evidence.outcome.hash(suite),
        };
        self.in_log(proof, &checkpoint, &entry.encode_to_vec())?;
        signed.verify(suite, &self.trust.ledger)?;
        if AccountId::of_key(suite, &signed.key) != signed.transaction.account {
            return Err(VerifyError::Account(signed.transaction.account));
        }
        Ok(Proven::Transaction(Box::new(ProvenTransaction {
            checkpoint,
            entry,
            signed,
            outcome: evidence.outcome,
        })))
    }

    fn rows(
        &self,
        proof: &TlogProof,
        checkpoint: Checkpoint,
        evidence: RowEvidence,
    ) -> Result<Proven, VerifyError> {
        self.in_log(proof, &checkpoint, &evidence.leaf.encode_to_vec())?;
        evidence.check_block(self.trust.suite, &self.trust.ledger)?;
        let rows = evidence.check(self.trust.suite)?;
        let (table, state_root) = (evidence.table.id, &evidence.leaf.state_root);
        let entry = evidence.path.verify(self.trust.suite, table, state_root);
        let root = entry
            .map_err(|error| VerifyError::State(error.to_string()))?
            .root;
        Ok(Proven::Rows(Box::new(ProvenRows {
            checkpoint,
            leaf: evidence.leaf,
            table: evidence.table,
            root,
            claim: evidence.claim,
            rows,
        })))
    }
}
