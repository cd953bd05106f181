//! Which part of the node a statement is for.

use sqlparser::ast::{SetExpr, Statement};

/// What kind a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// SELECT, VALUES, TABLE: reads.
    Query,
    /// INSERT, UPDATE, DELETE, CALL, ASSERT.
    Write,
    /// Changes the catalogue.
    Schema,
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT of the whole transaction.
    Rollback,
    /// SAVEPOINT.
    Savepoint,
    /// RELEASE SAVEPOINT.
    ReleaseSavepoint,
    /// ROLLBACK TO SAVEPOINT.
    RollbackToSavepoint,
    /// SET, RESET: a session setting.
    Set,
    /// SHOW a session setting.
    Show,
    /// DISCARD.
    Discard,
    /// PREPARE.
    Prepare,
    /// EXECUTE.
    Execute,
    /// DEALLOCATE.
    Deallocate,
    /// DECLARE, FETCH, CLOSE of a cursor.
    Cursor,
    /// COPY.
    Copy,
    /// EXPLAIN.
    Explain,
    /// LISTEN, NOTIFY, UNLISTEN.
    Notification,
    /// Anything else; binding it says what to do instead.
    Other,
}

impl StatementKind {
    /// Whether the session handles it without asking the binder.
    #[must_use]
    pub fn is_session(self) -> bool {
        !matches!(self, Self::Query | Self::Write | Self::Schema | Self::Other)
    }
}

pub(super) fn of(statement: &Statement) -> StatementKind {
    match statement {
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                StatementKind::Write
            }
            _ => StatementKind::Query,
        },
        Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Merge(_)
        | Statement::Truncate(_)
        // What a client insists on belongs to what is written.
        | Statement::Assert { .. }
        | Statement::Call(_) => StatementKind::Write,
        Statement::CreateTable(_)
        | Statement::CreateIndex(_)
        | Statement::AlterTable(_)
        | Statement::AlterIndex { .. }
        | Statement::CreateSequence { .. }
        | Statement::CreateView(_)
        | Statement::CreateSchema { .. }
        | Statement::CreateRole(_)
        | Statement::CreateProcedure { .. }
        | Statement::CreatePolicy(_)
        | Statement::AlterPolicy(_)
        | Statement::DropPolicy(_)
        | Statement::DropProcedure { .. }
        | Statement::Comment { .. }
        | Statement::Grant(_)
        | Statement::Revoke(_)
        | Statement::Drop { .. } => StatementKind::Schema,
        Statement::StartTransaction { .. } => StatementKind::Begin,
        Statement::Commit { .. } => StatementKind::Commit,
        Statement::Rollback {
            savepoint: Some(_), ..
        } => StatementKind::RollbackToSavepoint,
        Statement::Rollback { .. } => StatementKind::Rollback,
        Statement::Savepoint { .. } => StatementKind::Savepoint,
        Statement::ReleaseSavepoint { .. } => StatementKind::ReleaseSavepoint,
        Statement::Set(_) | Statement::Reset(_) => StatementKind::Set,
        Statement::ShowVariable { .. } | Statement::ShowVariables { .. } => StatementKind::Show,
        Statement::Discard { .. } => StatementKind::Discard,
        Statement::Prepare { .. } => StatementKind::Prepare,
        Statement::Execute { .. } => StatementKind::Execute,
        Statement::Deallocate { .. } => StatementKind::Deallocate,
        Statement::Declare { .. } | Statement::Fetch { .. } | Statement::Close { .. } => {
            StatementKind::Cursor
        }
        Statement::Copy { .. } => StatementKind::Copy,
        Statement::Explain { .. } | Statement::ExplainTable { .. } => StatementKind::Explain,
        Statement::LISTEN { .. } | Statement::NOTIFY { .. } | Statement::UNLISTEN { .. } => {
            StatementKind::Notification
        }
        _ => StatementKind::Other,
    }
}
