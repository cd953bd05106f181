//! What a transaction carries instead of a clock and a dice: its time and its seed. And what the
//! ledger says about the state it runs on: the root, and the versions of tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value;
use stele_core::account::AccountId;
use stele_core::hash::{Hash, Suite};
use stele_core::schema::TableId;

use super::past::PastSlot;
use crate::error::SqlError;

use super::sequence::SequenceState;

/// Domain of the bytes random values are drawn from.
const DRAW_PREFIX: &[u8] = b"stele/random/v1\n";

/// Time and randomness of the transaction being executed on a connection.
#[derive(Default)]
pub struct TransactionContext {
    state: Mutex<State>,
    past: Arc<PastSlot>,
}

#[derive(Debug, Default)]
struct State {
    now_us: i64,
    seed: [u8; 16],
    drawn: u64,
    /// Rows inserted into tables without a declared key.
    born: u32,
    /// Height of the state a read is of; none while a block is executed.
    tip: Option<u64>,
    root: Hash,
    versions: BTreeMap<TableId, (u64, u32)>,
    /// Sequences lent to the statement under way.
    lent: BTreeMap<u32, SequenceState>,
    /// What this transaction took last from each.
    taken: BTreeMap<u32, i64>,
    /// The sequence it took from last.
    latest: Option<u32>,
    /// Who called the procedure under way.
    caller: String,
}

impl TransactionContext {
    /// A context whose reads of the past find the blocks there.
    pub fn new(past: Arc<PastSlot>) -> Self {
        Self {
            past,
            ..Self::default()
        }
    }

    /// Starts a transaction: its time, in microseconds since 1970 UTC, and its seed. Random values
    /// drawn from then on depend on the seed and on how many were drawn before.
    pub fn begin(&self, now_us: i64, seed: [u8; 16]) {
        *self.state.lock() = State {
            now_us,
            seed,
            ..State::default()
        };
    }

    /// As [`Self::begin`], for what is not kept: a read, or a preview, of the state of a height. It
    /// may look into the past.
    pub fn begin_read(&self, now_us: i64, seed: [u8; 16], height: u64) {
        self.begin(now_us, seed);
        self.state.lock().tip = Some(height);
    }

    /// Height of the state a read is of.
    ///
    /// # Errors
    /// 0A000 while a block is executed: the past is no matter of consensus.
    pub fn tip(&self) -> Result<u64, SqlError> {
        let tip = self.state.lock().tip;
        tip.ok_or_else(|| {
            SqlError::unsupported(
                "a read of the past in a transaction that writes",
                "Read it in a transaction of its own: not every node keeps the whole past.",
            )
        })
    }

    pub(super) fn past(&self) -> &PastSlot {
        &self.past
    }

    /// How many random values were drawn, and row ids given.
    pub(crate) fn drawn(&self) -> (u64, u32) {
        let state = self.state.lock();
        (state.drawn, state.born)
    }

    /// Forgets the random values drawn, and row ids given, after the first so many.
    pub(crate) fn draw_again_from(&self, (drawn, born): (u64, u32)) {
        let mut state = self.state.lock();
        (state.drawn, state.born) = (drawn, born);
    }

    /// The id of a row of a table without a declared key, see [`stele_core::schema::ColumnId::ROW`].
    fn row_id(&self) -> [u8; 16] {
        let mut state = self.state.lock();
        let mut id = [0; 16];
        let [a, b, c, d, ..] = state.seed;
        id[..8].copy_from_slice(&state.now_us.to_be_bytes());
        id[8..12].copy_from_slice(&[a, b, c, d]);
        id[12..].copy_from_slice(&state.born.to_be_bytes());
        state.born = state.born.wrapping_add(1);
        id
    }

    /// Says what `session_user` gives in a procedure.
    pub(crate) fn set_caller(&self, account: AccountId) {
        self.state.lock().caller = account.to_string();
    }

    /// Says what `stele_state_root()` gives.
    pub(crate) fn set_root(&self, root: Hash) {
        self.state.lock().root = root;
    }

    /// Says what `stele_table_version()` gives: height and index of each table's last change.
    pub(crate) fn set_versions(&self, versions: BTreeMap<TableId, (u64, u32)>) {
        self.state.lock().versions = versions;
    }

    /// Lends a sequence to the functions for a statement.
    pub fn lend(&self, id: u32, sequence: SequenceState) {
        self.state.lock().lent.insert(id, sequence);
    }

    /// Takes a lent sequence back, with what was taken from it.
    pub fn take_back(&self, id: u32) -> Option<SequenceState> {
        self.state.lock().lent.remove(&id)
    }

    pub(super) fn next_value(&self, id: u32) -> Result<i64, SqlError> {
        let mut state = self.state.lock();
        let value = state.lent.get_mut(&id).ok_or_else(not_lent)?.next()?;
        state.taken.insert(id, value);
        state.latest = Some(id);
        Ok(value)
    }

    pub(super) fn set_value(&self, id: u32, value: i64, is_called: bool) -> Result<(), SqlError> {
        let mut state = self.state.lock();
        let sequence = state.lent.get_mut(&id).ok_or_else(not_lent)?;
        sequence.set(value, is_called)?;
        if is_called && state.taken.contains_key(&id) {
            state.taken.insert(id, value);
        }
        Ok(())
    }

    pub(super) fn current_value(&self, id: u32) -> Result<i64, SqlError> {
        let state = self.state.lock();
        let name = state.lent.get(&id).map_or("", |lent| lent.name.as_str());
        state.taken.get(&id).copied().ok_or_else(|| {
            SqlError::new(
                "55000",
                format!("currval of sequence \"{name}\" is not yet defined in this transaction"),
            )
            .hint("Use RETURNING, or nextval in the same transaction before.")
        })
    }

    pub(super) fn last_value(&self) -> Result<i64, SqlError> {
        let state = self.state.lock();
        let taken = state.latest.and_then(|id| state.taken.get(&id));
        taken.copied().ok_or_else(|| {
            SqlError::new("55000", "lastval is not yet defined in this transaction")
                .hint("Use RETURNING, or nextval in the same transaction before.")
        })
    }

    fn now_us(&self) -> i64 {
        self.state.lock().now_us
    }

    /// 32 bytes no one can foretell without the seed.
    fn draw(&self) -> [u8; 32] {
        let mut state = self.state.lock();
        let count = state.drawn.to_be_bytes();
        state.drawn += 1;
        Suite::default()
            .plain_hash(&[DRAW_PREFIX, &state.seed, &count])
            .0
    }
}

fn not_lent() -> SqlError {
    SqlError::new("XX000", "a statement uses a sequence it does not list")
}

pub(super) fn register(
    connection: &Connection,
    context: &Arc<TransactionContext>,
) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_now", 0, flags, move |_| Ok(own.now_us()))?;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_random", 0, flags, move |_| {
        let [a, b, c, d, e, f, g, h, ..] = own.draw();
        // 53 bits, as many as a double holds exactly.
        let bits = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 11;
        Ok(bits as f64 / (1u64 << 53) as f64)
    })?;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_row_id", 0, flags, move |_| {
        Ok(Value::Blob(own.row_id().to_vec()))
    })?;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_caller", 0, flags, move |_| {
        Ok(own.state.lock().caller.clone())
    })?;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_state_root", 0, flags, move |_| {
        Ok(Value::Blob(own.state.lock().root.0.to_vec()))
    })?;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_table_version", 1, flags, move |arguments| {
        let table = TableId(arguments.get(0)?);
        let versions = &own.state.lock().versions;
        Ok(versions.get(&table).map_or(Value::Null, |(height, index)| {
            Value::Text(format!("{height}:{index}"))
        }))
    })?;
    let own = Arc::clone(context);
    connection.create_scalar_function("st_random_uuid", 0, flags, move |_| {
        let mut bytes = own.draw().first_chunk::<16>().copied().unwrap_or_default();
        // RFC 9562: version 4, variant 10.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(Value::Blob(bytes.to_vec()))
    })
}
