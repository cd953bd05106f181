//! What the binder hands to the engine.

use stele_core::schema::{Table, TableId};
use stele_core::{Type, Value};

use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::reach::Reach;
use crate::result::OutputColumn;
use crate::system_type::Element;

/// A statement bound against one version of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// Reads.
    Query(BoundQuery),
    /// Changes rows of one table.
    Write(BoundWrite),
    /// Changes the catalogue.
    Schema(SchemaChange),
    /// Runs a procedure.
    Call(BoundCall),
}

/// A CALL.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundCall {
    /// The procedure.
    pub procedure: TableId,
    /// A query of one row: the arguments, each of the parameter's type.
    pub arguments: BoundQuery,
}

/// What a statement's result follows from besides the rows it names.
///
/// Told from the lowered text, where user text stands only inside quoted literals: a literal that
/// holds such a name makes the answer more careful, never less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reliance {
    /// On the time the transaction carries.
    pub time: bool,
    /// On the seed it carries, and on what was drawn from it before.
    pub chance: bool,
    /// On the order rows come in: sums of DOUBLE PRECISION.
    pub row_order: bool,
    /// On the root of the state.
    pub state_root: bool,
    /// On the versions of tables.
    pub table_versions: bool,
    /// It insists on something: `stele_assert`.
    pub assertion: bool,
    /// On what the program says of the system catalogue, which no transaction may depend on.
    pub catalogue: bool,
}

impl Reliance {
    fn with(self, other: Self) -> Self {
        Self {
            time: self.time || other.time,
            chance: self.chance || other.chance,
            row_order: self.row_order || other.row_order,
            state_root: self.state_root || other.state_root,
            table_versions: self.table_versions || other.table_versions,
            assertion: self.assertion || other.assertion,
            catalogue: self.catalogue || other.catalogue,
        }
    }

    pub(crate) fn of(sqlite: &str) -> Self {
        let holds = |name: &str| sqlite.contains(name);
        // Every function of ours is called by a name that starts so.
        if !holds("st_") {
            return Self::default();
        }
        Self {
            time: holds("st_now("),
            chance: holds("st_random"),
            row_order: holds("st_real_sum(") || holds("st_real_avg("),
            state_root: holds("st_state_root("),
            table_versions: holds("st_table_version("),
            assertion: holds("st_assert("),
            catalogue: false,
        }
    }
}

/// A lowered SELECT (or VALUES).
#[derive(Clone, Debug, PartialEq)]
pub struct BoundQuery {
    /// SQLite text; user parameters are `?1`…`?n` in [`Self::parameters`] order.
    pub sqlite: String,
    /// Type of each user parameter.
    pub parameters: Vec<Type>,
    /// Elements of each user parameter that is an array, kept as TEXT.
    pub arrays: Vec<Option<Element>>,
    /// Result columns.
    pub columns: Vec<OutputColumn>,
    /// Tables it reads.
    pub reads: Vec<TableId>,
    /// Whether it reads the past, which no transaction may depend on: nodes may keep less of it.
    pub past: bool,
    /// What its result follows from besides.
    pub reliance: Reliance,
    /// What its steps may meet.
    pub reach: Reach,
    /// Sequences it uses; with `nextval` or `setval` it changes them.
    pub sequences: Sequences,
    /// Whether it is ASSERT: it gives no rows, and fails where it would give one.
    pub asserts: bool,
    /// SET CONSTRAINTS, which reads nothing.
    pub constraints: Option<SetConstraints>,
}

/// SET CONSTRAINTS: when foreign keys are checked in the transaction under way.
#[derive(Clone, Debug, PartialEq)]
pub struct SetConstraints {
    /// Tables and names of foreign keys; none for all that are deferrable.
    pub keys: Option<Vec<(TableId, String)>>,
    /// Whether they are checked at the end.
    pub deferred: bool,
}

impl BoundQuery {
    /// PostgreSQL's command tag for so many rows.
    #[must_use]
    pub(crate) fn tag(&self, rows: usize) -> String {
        if self.constraints.is_some() {
            "SET CONSTRAINTS".to_owned()
        } else if self.asserts {
            "ASSERT".to_owned()
        } else {
            format!("SELECT {rows}")
        }
    }
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// INSERT, with or without ON CONFLICT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// TRUNCATE: a DELETE of all rows.
    Truncate,
}

/// A lowered INSERT, UPDATE or DELETE.
///
/// After the `n` user parameters the text takes two more: `?n+1` the block height and `?n+2` the
/// transaction's index, which it writes to the hidden columns `_h` and `_x` of each row it touches.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundWrite {
    /// SQLite text.
    pub sqlite: String,
    /// Type of each user parameter.
    pub parameters: Vec<Type>,
    /// Elements of each user parameter that is an array, kept as TEXT.
    pub arrays: Vec<Option<Element>>,
    /// RETURNING columns; empty without RETURNING.
    pub columns: Vec<OutputColumn>,
    /// The table it changes.
    pub table: TableId,
    /// What it does.
    pub operation: Operation,
    /// Tables it reads besides.
    pub reads: Vec<TableId>,
    /// Whether it fails when it would change a row a second time, as ON CONFLICT DO UPDATE does.
    pub rows_once: bool,
    /// Whether its result can only be one when it succeeds: INSERT of VALUES, without ON CONFLICT
    /// and RETURNING.
    pub is_certain: bool,
    /// What its result follows from besides rows.
    pub reliance: Reliance,
    /// What its steps may meet.
    pub reach: Reach,
    /// Sequences it uses.
    pub sequences: Sequences,
    /// Sequences that begin anew after it, and with which value.
    pub restarts: Vec<(TableId, i64)>,
    /// What row policies say of the rows it makes.
    pub checks: RowChecks,
}

impl BoundWrite {
    /// With what the rows it makes are checked for.
    #[must_use]
    pub(crate) fn checking(mut self, checks: RowChecks) -> Self {
        let texts = [&checks.inserted, &checks.updated];
        let texts = texts.into_iter().flatten().map(|check| &check.sqlite);
        for text in texts.chain(checks.quotas.iter().map(|quota| &quota.sqlite)) {
            self.reliance = self.reliance.with(Reliance::of(text));
        }
        self.checks = checks;
        self
    }
}

/// What the rows that a write makes are checked for, after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowChecks {
    /// Of each row that was added.
    pub inserted: Option<RowCheck>,
    /// Of each row that was changed, as it became.
    pub updated: Option<RowCheck>,
    /// Of the table afterwards.
    pub quotas: Vec<QuotaCheck>,
}

impl RowChecks {
    /// Whether there is nothing to check.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inserted.is_none() && self.updated.is_none() && self.quotas.is_empty()
    }
}

/// A question about one row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowCheck {
    /// SQLite text; its parameters are the row's key. Gives NULL when all is well, 0 when no permissive
    /// policy lets the row in, else the number of the restrictive one that does not.
    pub sqlite: String,
    /// What its steps may meet.
    pub reach: Reach,
    /// Names of the restrictive policies, from 1.
    pub restrictive: Vec<String>,
}

/// How many rows a policy lets the table hold.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaCheck {
    /// The policy's name.
    pub policy: String,
    /// The most rows.
    pub quota: u64,
    /// SQLite text that counts them, no further than one above.
    pub sqlite: String,
    /// What its steps may meet.
    pub reach: Reach,
}

/// The sequences of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequences {
    /// Which ones, in id order.
    pub ids: Vec<TableId>,
    /// Whether it takes or sets values, or asks which its transaction took.
    pub changes: bool,
}

/// A catalogue change, resolved but not yet made.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaChange {
    /// Definitions that come, change or go.
    Define {
        /// In the order they are made; each stands at most once.
        definitions: Vec<Definition>,
        /// PostgreSQL command tag, such as `CREATE TABLE` or `CREATE INDEX`.
        tag: &'static str,
        /// A sequence that begins anew, and with which value.
        restart: Option<(TableId, i64)>,
    },
    /// `IF NOT EXISTS` or `IF EXISTS` that found nothing to do.
    Nothing {
        /// PostgreSQL command tag.
        tag: &'static str,
        /// What was skipped, as PostgreSQL's NOTICE words it.
        notice: String,
    },
}

/// What becomes of one definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its id: that of a new one is the next the catalogue gives.
    pub id: TableId,
    /// How it is afterwards; none when it is dropped.
    pub after: Option<Box<Table>>,
    /// The table whose rows are its first: that one goes in the same change.
    pub rows_of: Option<TableId>,
}

impl SchemaChange {
    /// One definition that comes or changes.
    #[must_use]
    pub fn put(table: Table, tag: &'static str) -> Self {
        Self::Define {
            definitions: vec![Definition::put(table)],
            tag,
            restart: None,
        }
    }
}

impl Definition {
    /// A definition that comes or changes.
    #[must_use]
    pub fn put(table: Table) -> Self {
        Self {
            rows_of: None,
            id: table.id,
            after: Some(Box::new(table)),
        }
    }

    /// One that goes.
    #[must_use]
    pub fn drop(id: TableId) -> Self {
        Self {
            rows_of: None,
            id,
            after: None,
        }
    }
}

impl Bound {
    /// Bytes of the lowered text; none for what changes the catalogue.
    #[must_use]
    pub fn lowered_len(&self) -> usize {
        match self {
            Self::Query(query) => query.sqlite.len(),
            Self::Write(write) => write.sqlite.len(),
            Self::Call(call) => call.arguments.sqlite.len(),
            Self::Schema(_) => 0,
        }
    }

    /// Result columns; empty for a statement that returns no rows.
    #[must_use]
    pub fn columns(&self) -> &[OutputColumn] {
        match self {
            Self::Query(query) => &query.columns,
            Self::Write(write) => &write.columns,
            Self::Schema(_) | Self::Call(_) => &[],
        }
    }

    /// Types of the user parameters.
    #[must_use]
    pub fn parameters(&self) -> &[Type] {
        match self {
            Self::Query(query) => &query.parameters,
            Self::Write(write) => &write.parameters,
            Self::Call(call) => &call.arguments.parameters,
            Self::Schema(_) => &[],
        }
    }

    /// What its result follows from besides rows.
    #[must_use]
    pub fn reliance(&self) -> Reliance {
        match self {
            Self::Query(query) => query.reliance,
            Self::Write(write) => write.reliance,
            Self::Call(call) => call.arguments.reliance,
            Self::Schema(_) => Reliance::default(),
        }
    }

    /// Whether its result can only be one when it succeeds.
    #[must_use]
    pub fn is_result_certain(&self) -> bool {
        matches!(self, Self::Schema(_) | Self::Call(_))
            || matches!(self, Self::Write(write) if write.is_certain)
    }

    /// Elements of user parameters that are arrays.
    #[must_use]
    pub fn arrays(&self) -> &[Option<Element>] {
        match self {
            Self::Query(query) => &query.arrays,
            Self::Write(write) => &write.arrays,
            Self::Call(call) => &call.arguments.arrays,
            Self::Schema(_) => &[],
        }
    }

    /// Looks what its steps may meet, now that its text is whole.
    pub(crate) fn measure(&mut self, catalogue: &Catalogue) {
        match self {
            // Nothing that the ledger executes reads the system catalogue.
            Self::Query(query) if query.reliance.catalogue => {}
            Self::Query(query) => query.reach = Reach::of(&query.sqlite, catalogue),
            Self::Write(write) => write.reach = Reach::of(&write.sqlite, catalogue),
            Self::Call(call) => {
                call.arguments.reach = Reach::of(&call.arguments.sqlite, catalogue);
            }
            Self::Schema(_) => {}
        }
    }

    /// Refuses what no transaction that the ledger executes may depend on.
    pub(crate) fn check_executable(&self) -> Result<(), SqlError> {
        if self.reliance().catalogue {
            return Err(SqlError::unsupported(
                "the system catalogue in what the ledger executes",
                "Read it in a statement of its own.",
            ));
        }
        if self.reliance().state_root {
            return Err(SqlError::unsupported(
                "stele_state_root() in what the ledger executes",
                "The root follows from the whole block: read it in a statement of its own.",
            ));
        }
        Ok(())
    }

    /// Whether it only reads.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Query(query) if !query.sequences.changes)
    }
}

/// Values bound to a statement's user parameters, already of the types the binder inferred.
pub type Parameters = Vec<Value>;
