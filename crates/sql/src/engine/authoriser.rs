//! The second wall: what lowered SQL may touch, checked by SQLite itself as it prepares.
//!
//! Installing an authoriser expires every prepared statement, so it is installed once and a flag
//! says whether the text being prepared came from a user's statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Whether text being prepared is a user's lowered statement.
#[derive(Clone, Debug, Default)]
pub(super) struct Wall(Arc<AtomicBool>);

impl Wall {
    /// Installs the authoriser; the wall is down.
    pub(super) fn install(connection: &mut Connection) -> rusqlite::Result<Self> {
        let wall = Self::default();
        let raised = Arc::clone(&wall.0);
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            if !raised.load(Ordering::Relaxed) || is_allowed(&context) {
                Authorization::Allow
            } else {
                Authorization::Deny
            }
        }))?;
        Ok(wall)
    }

    /// Raises the wall for a user's statement.
    pub(super) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Lowers it for the engine's own statements.
    pub(super) fn lower(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn is_allowed(context: &AuthContext<'_>) -> bool {
    match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read {
            table_name,
            column_name,
        } => {
            is_state_table(table_name)
                || is_history(table_name)
                || table_name == ELEMENTS
                // SQLite asks with no column for a table of WITH of which nothing is read but how
                // many rows it has.
                || column_name.is_empty() && is_common_table(table_name)
        }
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => is_state_table(table_name),
        AuthAction::Function { function_name } => !is_refused_function(function_name),
        _ => false,
    }
}

/// Whether the name is `t` and a number: a table's current rows.
fn is_state_table(name: &str) -> bool {
    is_numbered(name, 't')
}

/// Whether the name is `h` and a number: a table's superseded rows.
fn is_history(name: &str) -> bool {
    is_numbered(name, 'h')
}

/// Whether the name is one our lowering gives tables of WITH; no table of the database has it.
fn is_common_table(name: &str) -> bool {
    ['g', 'm', 's', 'w']
        .into_iter()
        .any(|letter| is_numbered(name, letter))
}

/// SQLite's table of the elements of a JSON array: what an array parameter is taken apart with.
const ELEMENTS: &str = "json_each";

fn is_numbered(name: &str, letter: char) -> bool {
    name.strip_prefix(letter)
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// SQLite's functions that depend on the clock, chance, the connection or the machine.
const REFUSED: [&str; 24] = [
    "random",
    "randomblob",
    "date",
    "time",
    "datetime",
    "julianday",
    "unixepoch",
    "strftime",
    "timediff",
    "current_date",
    "current_time",
    "current_timestamp",
    "changes",
    "total_changes",
    "last_insert_rowid",
    "sqlite_version",
    "sqlite_source_id",
    "sqlite_log",
    "sqlite_compileoption_get",
    "sqlite_compileoption_used",
    "sqlite_offset",
    "load_extension",
    "fts3_tokenizer",
    "zeroblob",
];

fn is_refused_function(name: &str) -> bool {
    REFUSED
        .iter()
        .any(|refused| refused.eq_ignore_ascii_case(name))
}
