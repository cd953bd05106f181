//! What only the block store knows, for reads of the past: heights at a time, and whose
//! transaction stands at a place. Never called while a block is executed.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use stele_core::{AccountId, Hash};

use super::arguments::Arguments;
use super::context::TransactionContext;
use super::failure::raise;
use crate::error::SqlError;

/// Blocks kept at hand: a query of one row's changes asks for few, in turn.
const BLOCKS_KEPT: usize = 64;

/// One block, as reads of the past need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastBlock {
    /// Its time, in microseconds since 1970 UTC.
    pub time_us: i64,
    /// Identity and account of its transactions, in order.
    pub transactions: Vec<(Hash, AccountId)>,
}

/// The ledger's blocks, for reads of the past.
pub trait Past: Send + Sync {
    /// The last height, `tip` at most, whose block is not after a time; 0 when all are after it.
    ///
    /// # Errors
    /// Why the blocks cannot be read.
    fn height_at(&self, time_us: i64, tip: u64) -> Result<u64, String>;

    /// The block of a height, 1 at least; none when it is not kept.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn block(&self, height: u64) -> Result<Option<PastBlock>, String>;
}

/// Where the connections of a state find the ledger's blocks, once the node has said so.
#[derive(Default)]
pub struct PastSlot {
    past: OnceLock<Arc<dyn Past>>,
    kept: Mutex<VecDeque<(u64, Arc<PastBlock>)>>,
}

impl PastSlot {
    /// Says where the blocks are. The first word counts.
    pub fn set(&self, past: Arc<dyn Past>) {
        let _ = self.past.set(past);
    }

    fn past(&self) -> Result<&Arc<dyn Past>, SqlError> {
        self.past.get().ok_or_else(|| {
            SqlError::unsupported(
                "times and transactions of the past without a ledger's blocks",
                "Ask the node.",
            )
        })
    }

    fn block(&self, height: i64) -> Result<Arc<PastBlock>, SqlError> {
        let height = u64::try_from(height).unwrap_or_default();
        if let Some((_, block)) = self.kept.lock().iter().find(|(kept, _)| *kept == height) {
            return Ok(Arc::clone(block));
        }
        let block = self.past()?.block(height).map_err(unreadable)?;
        let block = Arc::new(
            block.ok_or_else(|| unreadable(format!("block {height} is not kept on this node")))?,
        );
        let mut kept = self.kept.lock();
        if kept.len() >= BLOCKS_KEPT {
            kept.pop_front();
        }
        kept.push_back((height, Arc::clone(&block)));
        Ok(block)
    }

    fn transaction(&self, height: i64, index: i64) -> Result<(Hash, AccountId), SqlError> {
        let block = self.block(height)?;
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let found = block.transactions.get(place).copied();
        found.ok_or_else(|| unreadable(format!("block {height} has no transaction {index}")))
    }
}

fn unreadable(cause: String) -> SqlError {
    SqlError::new("58030", format!("the past cannot be told: {cause}"))
        .hint("Run `stele audit`: it says what is damaged or missing.")
}

pub(super) fn register(
    connection: &Connection,
    context: &Arc<TransactionContext>,
) -> rusqlite::Result<()> {
    let define = |name: &str, count: i32, function: Function| {
        let own = Arc::clone(context);
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
        connection.create_scalar_function(name, count, flags, move |called: &Context<'_>| {
            let arguments = Arguments(called);
            if (0..arguments.len()).any(|index| arguments.is_null(index)) {
                return Ok(Value::Null);
            }
            function(&own, &arguments).map_err(raise)
        })
    };
    define("st_height", 1, |context, arguments| {
        let (tip, height) = (context.tip()?, arguments.int(0)?);
        if u64::try_from(height).is_ok_and(|height| height <= tip) {
            return Ok(Value::Integer(height));
        }
        Err(
            SqlError::new("22023", format!("there is no height {height}"))
                .hint(format!("Heights go from 0, before any block, to {tip}.")),
        )
    })?;
    define("st_height_at", 1, |context, arguments| {
        let (tip, time_us) = (context.tip()?, arguments.int(0)?);
        let height = context.past().past()?.height_at(time_us, tip);
        let height = height.map_err(unreadable)?;
        Ok(Value::Integer(i64::try_from(height).unwrap_or(i64::MAX)))
    })?;
    define("st_not_before", 2, |_, arguments| {
        let (from, to) = (arguments.int(0)?, arguments.int(1)?);
        if from <= to {
            return Ok(Value::Integer(to));
        }
        Err(
            SqlError::new("22023", format!("height {to} is before height {from}"))
                .hint("Give the earlier one first."),
        )
    })?;
    define("st_block_time", 1, |context, arguments| {
        let block = context.past().block(arguments.int(0)?)?;
        Ok(Value::Integer(block.time_us))
    })?;
    define("st_transaction", 2, |context, arguments| {
        let (height, index) = (arguments.int(0)?, arguments.int(1)?);
        let (id, _) = context.past().transaction(height, index)?;
        Ok(Value::Text(id.to_string()))
    })?;
    define("st_transaction_account", 2, |context, arguments| {
        let (height, index) = (arguments.int(0)?, arguments.int(1)?);
        let (_, account) = context.past().transaction(height, index)?;
        Ok(Value::Text(account.to_string()))
    })
}

type Function = fn(&TransactionContext, &Arguments<'_>) -> Result<Value, SqlError>;
