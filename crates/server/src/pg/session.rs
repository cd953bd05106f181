//! A session: what one connection has prepared, opened and set.
//!
//! **Writes wait for the end of their batch.** A write is not run when Execute arrives, but kept
//! until its result is needed: at Sync (or the end of a simple-query message) a transaction that
//! nobody opened is submitted and answered from its receipt; one opened with BEGIN is previewed.
//! So a lone write costs no preview, and a pipelined batch costs one. [`Deferred`] holds such a
//! write with the replies that must follow its result. Inside BEGIN the writes of further batches
//! that have arrived already are deferred with it ([`ahead`]).

mod ahead;
mod control;
mod copy;
mod cursor;
mod declared;
mod explain;
mod extended;
mod plan;
mod prepare;
mod proof;
mod run;
mod simple;

use std::collections::BTreeMap;
use std::sync::Arc;

use pgwire::messages::response::TransactionStatus;
use stele_core::AccountId;
use stele_node::keys::LocalKey;
use stele_node::{Node, OpenTransaction};
use stele_sql::SqlError;
use stele_sql::engine::{Cancel, ReadOptions};

use self::copy::CopyIn;
use self::extended::{Portal, Prepared};
use self::run::Deferred;
use super::config::PgConfig;
use super::kept::Keeper;
use super::message::Message;
use super::reply::{Replies, Severity};
use super::settings::Settings;
use super::transaction::{Bounds, Transaction};

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It does.
    GoOn,
    /// The client said good-bye.
    Close,
}

/// One client's session.
pub(crate) struct Session {
    node: Node,
    key: String,
    account: AccountId,
    config: Arc<PgConfig>,
    settings: Settings,
    /// Counts what is kept for the client between messages.
    keeper: Keeper,
    prepared: BTreeMap<String, Prepared>,
    portals: BTreeMap<String, Portal>,
    transaction: Option<Transaction>,
    deferred: Vec<Deferred>,
    /// Where batches end among the deferred writes: how many of them were deferred by then.
    ends: Vec<usize>,
    /// A COPY FROM STDIN that is going on.
    copying: Option<CopyIn>,
    /// Stops what is under way.
    cancel: Cancel,
    /// After an error, messages up to the next Sync are skipped.
    skipping: bool,
    out: Replies,
}

impl Session {
    pub(crate) fn new(
        node: Node,
        key: &LocalKey,
        config: Arc<PgConfig>,
        settings: Settings,
    ) -> Self {
        Self {
            node,
            key: key.name.clone(),
            account: key.account,
            config,
            settings,
            keeper: Keeper::default(),
            prepared: BTreeMap::new(),
            portals: BTreeMap::new(),
            transaction: None,
            deferred: Vec::new(),
            ends: Vec::new(),
            copying: None,
            cancel: Cancel::default(),
            skipping: false,
            out: Replies::default(),
        }
    }

    /// With a wish to stop what it does that comes from elsewhere.
    pub(crate) fn stopped_by(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// A wish to stop that came while nothing was done has come too late.
    pub(crate) fn forget_cancel(&self) {
        // A COPY that waits for rows is under way.
        if self.copying.is_none() {
            self.cancel.clear();
        }
    }

    /// Does what a message asks for; replies are in [`Session::replies`] afterwards. `more` says
    /// whether the client has sent more already: then some may wait for it, until
    /// [`Session::settle`].
    pub(crate) async fn handle(&mut self, message: Message, more: bool) -> Next {
        // Rows of a COPY are part of the statement under way, and its time goes on.
        if self.copying.is_some() && !self.skipping {
            return self.handle_copying(message).await;
        }
        self.start_clock();
        if !self.may_wait(&message) {
            self.settle();
        }
        if self.skipping && !matches!(message, Message::Sync | Message::Terminate) {
            return Next::GoOn;
        }
        let done = match message {
            Message::Terminate => return Next::Close,
            Message::Sync => {
                if !(more && self.end_ahead()) {
                    self.settle();
                    self.sync().await;
                }
                Ok(())
            }
            Message::Query(text) => {
                self.query(&text).await;
                Ok(())
            }
            Message::Parse { name, sql, types } => self.parse(name, &sql, &types),
            Message::Bind(bind) => self.bind(bind),
            Message::Describe(target, name) => self.describe(target, &name),
            Message::Execute { portal, rows_max } => self.execute(&portal, rows_max).await,
            Message::Close(target, name) => {
                self.close(target, &name);
                Ok(())
            }
            Message::Flush => self.preview_deferred(),
            // Parts of a COPY that is not going on: ignored, as PostgreSQL does.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => Ok(()),
        };
        if let Err(error) = done {
            self.fail(error);
            self.skipping = true;
        }
        Next::GoOn
    }

    /// Answers a message that could not be read.
    pub(crate) fn refuse_message(&mut self, error: SqlError) {
        self.settle();
        if !self.skipping {
            self.fail(error);
            self.skipping = true;
        }
    }

    /// Replies to be sent.
    pub(crate) fn replies(&mut self) -> &mut Replies {
        &mut self.out
    }

    /// Whether BEGIN opened a transaction that is still open.
    pub(crate) fn in_transaction(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|transaction| transaction.explicit)
    }

    /// What ReadyForQuery says.
    pub(crate) fn status(&self) -> TransactionStatus {
        match &self.transaction {
            Some(transaction) if transaction.is_failed() => TransactionStatus::Error,
            Some(transaction) if transaction.explicit => TransactionStatus::Transaction,
            _ => TransactionStatus::Idle,
        }
    }

    /// Where the next reply goes: behind the writes whose results are still to come.
    fn next_replies(&mut self) -> &mut Replies {
        match self.deferred.last_mut() {
            Some(deferred) => &mut deferred.after,
            None => &mut self.out,
        }
    }

    /// Answers with an error. A transaction nobody opened is gone; an open one is failed.
    fn fail(&mut self, error: SqlError) {
        self.settle();
        if self.skipping {
            // A batch before has failed, and this one with it.
            return;
        }
        // PostgreSQL would have run these before it met the error.
        let error = match self.preview_deferred() {
            Ok(()) => error,
            Err(earlier) => earlier,
        };
        self.drop_deferred(0);
        self.mark_failed();
        self.out.error(Severity::Error, &error);
    }

    /// A transaction nobody opened is gone; an open one is failed.
    fn mark_failed(&mut self) {
        match &mut self.transaction {
            Some(transaction) if transaction.explicit => {
                if !transaction.is_failed() {
                    transaction.fail(transaction.open.statements().len());
                }
            }
            _ => self.transaction = None,
        }
    }

    /// Ends a batch: answers what was deferred, submits a transaction that nobody opened.
    async fn end_batch(&mut self) -> Result<(), SqlError> {
        if self.in_transaction() {
            return self.preview_deferred();
        }
        if self.transaction.is_some() {
            return self.commit().await;
        }
        Ok(())
    }

    /// The open transaction, or a new one that lasts to the end of the batch.
    fn begin(&mut self) -> &mut Transaction {
        let transaction = self.transaction.take().unwrap_or_else(|| {
            let read_only = self.settings.is_on("default_transaction_read_only");
            Transaction::new(false, read_only, self.fresh_open())
        });
        self.transaction.insert(transaction)
    }

    fn fresh_open(&self) -> OpenTransaction {
        let (time_us, seed) = (self.node.now_us(), self.node.fresh_seed());
        let statements_max = self.config.transaction_statements_max;
        let mut open = OpenTransaction::new(self.account, time_us, seed, statements_max);
        open.watch(self.cancel.clone());
        open
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            previews_max: self.config.transaction_steps_max,
        }
    }

    /// What is done from now on may take as long as the session allows.
    fn start_clock(&self) {
        self.cancel.limit(self.settings.statement_timeout());
    }

    /// How reads are done.
    fn read_options(&self) -> ReadOptions<'_> {
        ReadOptions {
            cancel: Some(&self.cancel),
            as_of: self.settings.as_of(),
        }
    }

    /// Refuses statements in a failed transaction.
    fn check_not_failed(&self) -> Result<(), SqlError> {
        match &self.transaction {
            Some(transaction) if transaction.is_failed() => Err(aborted()),
            _ => Ok(()),
        }
    }
}

/// Only ROLLBACK helps.
fn aborted() -> SqlError {
    SqlError::new(
        "25P02",
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

/// Runs something that blocks without holding up other connections.
pub(crate) fn blocking<R>(work: impl FnOnce() -> R) -> R {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
