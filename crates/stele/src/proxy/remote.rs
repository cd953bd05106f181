//! The server a proxy checks, over HTTP. Answers are bounded; nothing in them is believed here.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use stele_consensus::Upstream;
use stele_core::certified::{CertifiedBlock, CertifiedBlocks};
use stele_core::peer::{Ask, PIECE_LEN_MAX};
use stele_core::{Decode, Hash};
use stele_node::{NodeError, Server};
use stele_sql::SqlError;
use ureq::Agent;
use ureq::http::StatusCode;

use crate::client::{address, agent};

/// Longest answer with blocks, in bytes: a page is 8 MiB and one block more.
const BLOCKS_LEN_MAX: u64 = 16 * 1024 * 1024;
/// Longest genesis, in bytes.
const GENESIS_LEN_MAX: u64 = 1024 * 1024;
/// Longest other answer, in bytes.
const ANSWER_LEN_MAX: u64 = 64 * 1024;
/// How long the server is asked to wait for a block, in milliseconds: the proxy's stop waits for it.
const WAIT_MS: u64 = 1_000;
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server.
pub(super) struct Remote {
    agent: Agent,
    base: String,
}

impl Remote {
    /// The server at an address.
    ///
    /// # Errors
    /// When it is no address this speaks to.
    pub(super) fn new(url: &str) -> Result<Self> {
        Ok(Self {
            agent: agent(TIMEOUT),
            base: address(url)?,
        })
    }

    /// The height it says it has; only a goal to show.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn height(&self) -> Result<u64> {
        let bytes = self.get("/v1/chain", ANSWER_LEN_MAX)?;
        let chain: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(chain
            .get("height")
            .and_then(Value::as_u64)
            .unwrap_or_default())
    }

    fn get(&self, path: &str, len_max: u64) -> Result<Vec<u8>, NodeError> {
        let url = format!("{}{path}", self.base);
        let failed =
            |why: String| NodeError::Storage(format!("{} does not answer: {why}", self.base));
        let mut answer = self
            .agent
            .get(url)
            .call()
            .map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(len_max).read_to_vec();
        let body = body.map_err(|error| failed(error.to_string()))?;
        match status {
            StatusCode::OK => Ok(body),
            other => Err(failed(format!("{path} gives HTTP status {other}"))),
        }
    }
}

impl Upstream for Remote {
    fn name(&self) -> String {
        format!("the server {}", self.base)
    }

    fn blocks_after(&self, height: u64) -> Result<Vec<CertifiedBlock>, String> {
        let path = format!("/v1/certified-blocks?after={height}&wait_ms={WAIT_MS}");
        let bytes = self
            .get(&path, BLOCKS_LEN_MAX)
            .map_err(|error| error.to_string())?;
        match CertifiedBlocks::decode_all(&bytes) {
            Ok(blocks) => Ok(blocks.0),
            Err(error) => Err(format!(
                "{} gives blocks that do not decode: {error}",
                self.name()
            )),
        }
    }
}

impl Server for Remote {
    fn genesis(&self) -> Result<Vec<u8>, NodeError> {
        self.get("/v1/genesis", GENESIS_LEN_MAX)
    }

    fn submit(&self, id: &Hash, transaction: &[u8]) -> Result<(), NodeError> {
        let unknown = |why: String| {
            SqlError::new(
                "08007",
                format!(
                    "whether {} took transaction {id} is not known: {why}",
                    self.name()
                ),
            )
            .hint("Look whether its effect is there before you send it again.")
        };
        let answer = self
            .agent
            .post(format!("{}/v1/transactions?wait=accepted", self.base))
            .header("content-type", "application/octet-stream")
            .send(transaction);
        let mut answer = answer.map_err(|error| unknown(error.to_string()))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_LEN_MAX)
            .read_to_vec();
        let refusal: Value = serde_json::from_slice(&text.unwrap_or_default()).unwrap_or_default();
        let field = |name: &str| refusal.get(name).and_then(Value::as_str).map(str::to_owned);
        let message = field("message").unwrap_or_else(|| "no reason given".to_owned());
        // It has the signed transaction now, and may execute it all the same until it expires.
        let code = field("code").map_or_else(String::new, |code| format!(" {code}"));
        let why = format!("it says that it refuses it ({status}{code}): {message}");
        Err(unknown(why).into())
    }

    fn piece(&self, ask: &Ask) -> Result<Vec<u8>, String> {
        let Ask { from, to, skip } = ask;
        let path = format!("/v1/kept-blocks?from={from}&to={to}&skip={skip}");
        // One more: at the bound itself it is refused.
        self.get(&path, PIECE_LEN_MAX as u64 + 1)
            .map_err(|error| error.to_string())
    }
}
