//! Where row changes go.

mod error;

use std::sync::Arc;

use stele_core::Value;

use crate::batch::{Batch, Load};
use crate::change::{RowChange, Table};
use crate::cursor::Cursor;

pub use error::{SinkError, SinkErrorKind};

/// What a sink holds of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// How far it has got; none if it never saw the source.
    pub cursor: Option<Cursor>,
    /// The tables it keeps, in order of id.
    pub tables: Vec<HeldTable>,
}

/// A table a sink keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldTable {
    /// Its shape as of the cursor.
    pub table: Arc<Table>,
    /// Its name in the sink.
    pub target: String,
    /// How far it is filled.
    pub load: Load,
}

/// A place that takes row changes exactly once.
pub trait Sink: Send {
    /// What it is, without secrets, for people.
    fn describe(&self) -> String;

    /// Connects if need be, takes the sink over from any other worker, and says what it holds of a source.
    ///
    /// # Errors
    /// When the sink cannot be reached or read.
    fn open(&mut self, source_id: &str) -> Result<Held, SinkError>;

    /// Applies a batch and what it leads to in one step: after a crash both are there or neither. A sink that
    /// must take it in pieces keeps count of them, and goes on where it was when it is given the same batch again.
    ///
    /// # Errors
    /// When the batch was not applied, or not to its end. [`Self::open`] it again then.
    fn apply(&mut self, batch: &Batch) -> Result<(), SinkError>;

    /// What it keeps of the source it was opened for.
    fn held(&self) -> &[HeldTable];

    /// Removes the cursor, and the tables with it if `tables` is set.
    ///
    /// # Errors
    /// When the sink cannot be reached or written.
    fn remove(&mut self, source_id: &str, tables: bool) -> Result<(), SinkError>;
}

/// A row as it was read back.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadRow {
    /// One value a column.
    Values(Vec<Value>),
    /// A value that its column cannot hold.
    Unreadable {
        /// The key's values, where these can be read.
        key: Option<Vec<Value>>,
        /// The column.
        column: String,
        /// What stands there, and why it is none.
        found: String,
    },
}

/// What takes rows that are read back; false ends the reading.
pub type EachRead<'e> = &'e mut dyn FnMut(ReadRow) -> bool;

/// From where to where rows are read back, by the values of the key: the first is included, the last is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyRange {
    /// The first; none: from the beginning.
    pub from: Option<Vec<Value>>,
    /// The one after the last; none: to the end.
    pub to: Option<Vec<Value>>,
}

/// A sink whose rows can be read back and mended.
pub trait Mirror: Sink {
    /// Begins to read as of one moment, beside whoever writes, and says what is held of a source then. A read
    /// that was begun before ends.
    ///
    /// # Errors
    /// When the sink cannot be reached or read.
    fn begin_read(&mut self, source_id: &str) -> Result<Held, SinkError>;

    /// Ends the read.
    fn end_read(&mut self);

    /// In which ways a table is no longer as the sink made it (gone, a column missing or of another type, no
    /// primary key); none when all is well. Within a read.
    ///
    /// # Errors
    /// When the sink cannot be read.
    fn drift(&mut self, held: &HeldTable) -> Result<Vec<String>, SinkError>;

    /// Reads the rows of a table in the order of encoded keys. Within a read.
    ///
    /// # Errors
    /// When the sink cannot be read.
    fn read(
        &mut self,
        held: &HeldTable,
        range: &KeyRange,
        each: EachRead<'_>,
    ) -> Result<(), SinkError>;

    /// Sets rows of a table as `rows` say (`before` is not looked at), if the sink still stands at `at`; says
    /// whether it did. Ends a read.
    ///
    /// # Errors
    /// When nothing was changed.
    fn mend(
        &mut self,
        held: &HeldTable,
        at: &Cursor,
        rows: &[RowChange],
    ) -> Result<bool, SinkError>;

    /// Drops what has a table's name, if anything has, and makes the table anew, empty and to be filled. Ends a read.
    ///
    /// # Errors
    /// When it could not be made.
    fn renew(&mut self, source_id: &str, table: &Arc<Table>) -> Result<(), SinkError>;
}
