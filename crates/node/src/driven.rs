//! A validator that is moved one step at a time by whoever holds it, on simulated files and time: for simulations of whole
//! clusters.
//!
//! It is the node of [`crate::Node`], without threads: messages are looked at when [`Driven::pump`] is called, checks and
//! repairs are made when [`Driven::heal`] is, and what waits for others is tried again by the engine. Its state lies in memory and is made anew
//! at each start. That it asks others what they have seen of its key is left out.

use std::path::PathBuf;
use std::sync::Arc;

use stele_consensus::Voter;
use stele_consensus::bft::Outbox;
use stele_core::crypto::PublicKey;
use stele_core::peer::Ask;
use stele_core::transaction::Payload;
use stele_core::{AccountId, Hash};
use stele_flow::Runtime;
use stele_sql::engine::ReadOptions;
use stele_store::MemoryIndex;

use crate::config::NodeConfig;
use crate::error::NodeError;
use crate::followed::Role;
use crate::keys::OPERATOR;
use crate::node::Inner;
use crate::receipt::{Answer, Pending};
use crate::status::AuditReport;
use crate::stored::Parts;
use crate::voting::relay;

/// How often a check and the repair of what it finds are made, at most.
const HEALED_MAX: usize = 50;

/// Gets a piece of another validator's kept blocks at once.
pub type AskFn = dyn Fn(&PublicKey, &Ask) -> Result<Vec<u8>, String> + Send + Sync;

/// A validator without threads.
pub struct Driven {
    inner: Arc<Inner>,
}

impl Driven {
    /// Opens the directory of one of several validators, made by [`crate::Directory::found`].
    ///
    /// # Errors
    /// As [`crate::Node::start`].
    pub fn start(
        directory: PathBuf,
        segment_len_max: u64,
        runtime: Runtime,
        ask: Arc<AskFn>,
    ) -> Result<Self, NodeError> {
        let nowhere = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let config = NodeConfig {
            directory,
            segment_len_max,
            readers: 1,
            cluster: Some(crate::config::ClusterConfig {
                listen: nowhere,
                peers: Vec::new(),
            }),
            ..NodeConfig::default()
        };
        let parts = Parts {
            index: Some(Arc::new(MemoryIndex::new())),
            is_state_in_memory: true,
        };
        let inner = Inner::open(config, runtime, None, parts)?;
        let Role::Votes(voting) = &inner.role else {
            return Err(NodeError::Invalid("it is no validator".to_owned()));
        };
        voting.drive(ask);
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What an engine asks.
    #[must_use]
    pub fn voter(&self) -> Arc<dyn Voter> {
        self.inner.clone()
    }

    /// What an engine carries; the first time.
    #[must_use]
    pub fn take_outbox(&self) -> Option<Outbox> {
        match &self.inner.role {
            Role::Votes(voting) => voting.take_outbox(),
            _ => None,
        }
    }

    /// Sends and looks at the messages that wait.
    pub fn pump(&self) {
        relay::pump(&self.inner);
    }

    /// Gives a write of the operator to the validators.
    ///
    /// # Errors
    /// When it takes none.
    pub fn write(&self, payload: Payload) -> Result<Pending, NodeError> {
        let inner = &self.inner;
        let key = inner.keys.find(OPERATOR)?;
        let mut seed = [0; 16];
        inner.runtime.random.fill(&mut seed);
        let now_us = inner.runtime.clock.now_us();
        let signed = inner.sign(&key, payload, Vec::new(), now_us, seed)?;
        inner.enqueue(signed.id(inner.suite), signed)
    }

    /// Reads as the operator.
    ///
    /// # Errors
    /// What is wrong with the statement; or the state cannot be read.
    pub fn query(&self, sql: &str) -> Result<Answer, NodeError> {
        let account = self.account()?;
        let options = ReadOptions::default();
        let readers = &self.inner.readers;
        let (result, height) = readers.query_with(account, sql, &[], options)?;
        Ok(Answer { result, height })
    }

    fn account(&self) -> Result<AccountId, NodeError> {
        Ok(self.inner.keys.find(OPERATOR)?.account)
    }

    /// Checks everything, and makes whole what is damaged, until a check finds nothing or nobody gives what is missing.
    ///
    /// # Errors
    /// When it cannot be made whole now.
    pub fn heal(&self) -> Result<AuditReport, NodeError> {
        self.inner.pull_back_once();
        for _ in 0..HEALED_MAX {
            let report = self.inner.checked(1..=u64::MAX, true, 0, &|_, _| true)?;
            if !self.inner.make_whole(&report)? {
                return Ok(report);
            }
        }
        Err(NodeError::Storage("it stays damaged".to_owned()))
    }

    /// A piece of its kept blocks, as it gives them to others.
    ///
    /// # Errors
    /// As [`crate::Node::piece`].
    pub fn piece(&self, ask: &Ask, to: &str) -> Result<Vec<u8>, NodeError> {
        self.inner.piece(ask, to)
    }

    /// Signs a checkpoint of a log that nobody has, for the next block, and tells it to all: as a validator that lies, or whose
    /// program is another.
    pub fn sign_wrongly(&self) {
        if let Role::Votes(voting) = &self.inner.role {
            let tip = self.inner.tip();
            voting.sign_wrongly(tip.height + 1, tip.log_size + 2);
        }
    }

    /// Height, block, state root and log size of the newest applied block, and the certificate over it.
    #[must_use]
    pub fn tip(&self) -> (u64, Hash, Hash, u64, String) {
        let tip = self.inner.tip();
        (
            tip.height,
            tip.hash,
            tip.state_root,
            tip.log_size,
            tip.certificate.clone(),
        )
    }

    /// Hash of a stored block; none if there is none.
    #[must_use]
    pub fn block_hash(&self, height: u64) -> Option<Hash> {
        Some(self.inner.store.meta(height).ok()??.hash)
    }

    /// Why it takes no writes, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.inner.trouble.read().reason().cloned()
    }

    /// Whether it has ended for good, and why.
    #[must_use]
    pub fn halted(&self) -> Option<String> {
        self.inner.trouble.read().halted.clone()
    }

    /// How much evidence against others it has.
    #[must_use]
    pub fn evidence(&self) -> usize {
        self.inner.evidence.len()
    }
}
