//! Session commands: transaction control, settings, clean-up.

use stele_core::{Type, Value};
use stele_sql::{OutputColumn, SqlError, StatementResult};

use super::run::Delivery;
use super::{Session, blocking};
use crate::pg::command::{Command, Modes};
use crate::pg::settings::{Report, Settings};
use crate::pg::transaction::Transaction;

impl Command {
    /// Columns of what it answers; empty without rows.
    pub(super) fn columns(&self) -> Vec<OutputColumn> {
        let column = |name: &str| OutputColumn {
            name: name.to_owned(),
            ty: Type::Text,
            system: None,
        };
        match self {
            Self::Show(name) => vec![column(Settings::spelling(name))],
            Self::ShowAll => vec![column("name"), column("setting"), column("description")],
            _ => Vec::new(),
        }
    }

    /// Whether a failed transaction takes it.
    fn ends_failure(&self) -> bool {
        matches!(self, Self::Commit | Self::Rollback | Self::RollbackTo(_))
    }
}

impl Session {
    /// Does what a session command says and answers it.
    pub(super) async fn control(
        &mut self,
        command: &Command,
        delivery: &Delivery,
    ) -> Result<(), SqlError> {
        if !command.ends_failure() {
            self.check_not_failed()?;
        }
        // COMMIT answers what is deferred from the receipt; all others come after a preview.
        if *command != Command::Commit {
            self.preview_deferred()?;
        }
        let tag = match command {
            Command::Begin(modes, tag) => {
                self.open(modes)?;
                tag
            }
            Command::Commit => self.end_with_commit().await?,
            Command::Rollback => {
                self.rollback();
                "ROLLBACK"
            }
            Command::Savepoint(name) => {
                self.explicit("SAVEPOINT")?.savepoint(name.clone())?;
                "SAVEPOINT"
            }
            Command::RollbackTo(name) => {
                self.explicit("ROLLBACK TO SAVEPOINT")?.rollback_to(name)?;
                "ROLLBACK"
            }
            Command::Release(name) => {
                self.explicit("RELEASE SAVEPOINT")?.release(name)?;
                "RELEASE"
            }
            Command::Set { name, value, local } => {
                self.set(name, value.as_deref(), *local)?;
                if value.is_none() { "RESET" } else { "SET" }
            }
            Command::SetTransaction(modes) => {
                self.set_transaction(modes)?;
                "SET"
            }
            Command::SetCharacteristics(modes) => {
                self.set_modes(modes, "default_transaction")?;
                "SET"
            }
            Command::ResetAll => {
                let reports = self.settings.reset();
                self.report(reports);
                "RESET"
            }
            Command::Show(name) => {
                let (_, value) = self.settings.show(name)?;
                self.answer(command, vec![vec![value]], "SHOW", delivery);
                return Ok(());
            }
            Command::ShowAll => {
                let rows = self
                    .settings
                    .show_all()
                    .into_iter()
                    .map(|(name, value)| vec![name.to_owned(), value, String::new()])
                    .collect();
                self.answer(command, rows, "SHOW", delivery);
                return Ok(());
            }
            Command::Discard(tag) => {
                if self.in_transaction() {
                    return Err(SqlError::new(
                        "25001",
                        "DISCARD ALL cannot run inside a transaction block",
                    ));
                }
                self.prepared.clear();
                self.portals.clear();
                let reports = self.settings.reset();
                self.report(reports);
                tag
            }
            Command::Deallocate(name) => self.deallocate(name.as_deref())?,
            Command::Close(name) => self.close_cursor(name.as_deref())?,
            Command::Fetch(fetch) => return self.fetch(fetch, delivery),
            // Prepared as plans.
            Command::Declare(_)
            | Command::Copy(_)
            | Command::Truncate(_)
            | Command::Explain(_)
            | Command::Proof(_) => {
                return Ok(());
            }
            Command::Prepare { name, types, sql } => {
                self.prepare_named(name, types, sql)?;
                "PREPARE"
            }
            Command::Execute { name, arguments } => {
                return self.execute_named(name, arguments, delivery);
            }
            Command::Nothing(tag) => tag,
        };
        self.out.command_complete(tag);
        Ok(())
    }

    fn answer(
        &mut self,
        command: &Command,
        rows: Vec<Vec<String>>,
        tag: &str,
        delivery: &Delivery,
    ) {
        let result = StatementResult {
            tag: tag.to_owned(),
            columns: command.columns(),
            rows: rows
                .into_iter()
                .map(|row| row.into_iter().map(Value::Text).collect())
                .collect(),
            rows_affected: 0,
        };
        self.deliver(result, delivery.clone());
    }

    fn warn(&mut self, code: &'static str, message: &str) {
        self.out.notice("WARNING", &SqlError::new(code, message));
    }

    fn report(&mut self, reports: impl IntoIterator<Item = Report>) {
        for report in reports {
            self.out.setting(report);
        }
    }

    fn open(&mut self, modes: &Modes) -> Result<(), SqlError> {
        if self.in_transaction() {
            self.warn("25001", "there is already a transaction in progress");
            return Ok(());
        }
        // Statements before BEGIN in the same batch become part of its transaction.
        let settings = self.settings.clone();
        let transaction = self.begin();
        transaction.explicit = true;
        transaction.settings = Some(settings);
        self.set_transaction_modes(modes)
    }

    async fn end_with_commit(&mut self) -> Result<&'static str, SqlError> {
        if !self.in_transaction() {
            self.warn_no_transaction();
        }
        let failed = self
            .transaction
            .as_ref()
            .is_some_and(Transaction::is_failed);
        if failed {
            self.rollback();
            return Ok("ROLLBACK");
        }
        let done = self.commit().await;
        self.drop_portals();
        done.map(|()| "COMMIT")
    }

    fn rollback(&mut self) {
        if !self.in_transaction() {
            self.warn_no_transaction();
        }
        self.drop_portals();
        if let Some(transaction) = self.transaction.take() {
            blocking(|| self.node.forget(&transaction.open));
            self.restore_settings(transaction.settings);
        }
    }

    fn warn_no_transaction(&mut self) {
        let warning = SqlError::new("25P01", "there is no transaction in progress");
        self.next_replies().notice("WARNING", &warning);
    }

    /// Puts settings back as they were when a transaction began.
    pub(super) fn restore_settings(&mut self, settings: Option<Settings>) {
        if let Some(settings) = settings {
            let reports = self.settings.restore(settings);
            self.report(reports);
        }
    }

    /// Puts settings that were SET LOCAL back at the end of their transaction.
    pub(super) fn end_local(&mut self, transaction: &mut Transaction) {
        for (name, before) in transaction.local.drain(..).rev() {
            // It was taken before, so it is taken again.
            if let Ok(Some(report)) = self.settings.set(&name, before.as_deref()) {
                self.next_replies().setting(report);
            }
        }
    }

    /// The transaction BEGIN opened.
    fn explicit(&mut self, what: &str) -> Result<&mut Transaction, SqlError> {
        self.transaction
            .as_mut()
            .filter(|transaction| transaction.explicit)
            .ok_or_else(|| {
                SqlError::new(
                    "25P01",
                    format!("{what} can only be used in transaction blocks"),
                )
            })
    }

    fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<(), SqlError> {
        if local && !self.in_transaction() {
            self.warn("25P01", "SET LOCAL can only be used in transaction blocks");
            return Ok(());
        }
        if local || name.starts_with("transaction_") {
            self.remember_local(name);
        }
        let report = self.settings.set(name, value)?;
        self.report(report);
        if name == "transaction_read_only" {
            let read_only = self.settings.is_on(name);
            if let Some(transaction) = &mut self.transaction {
                transaction.read_only = read_only;
            }
        }
        Ok(())
    }

    fn remember_local(&mut self, name: &str) {
        let before = self.settings.changed(name).map(str::to_owned);
        if let Some(transaction) = &mut self.transaction
            && !transaction.local.iter().any(|(known, _)| known == name)
        {
            transaction.local.push((name.to_owned(), before));
        }
    }

    fn set_transaction(&mut self, modes: &Modes) -> Result<(), SqlError> {
        if !self.in_transaction() {
            self.warn(
                "25P01",
                "SET TRANSACTION can only be used in transaction blocks",
            );
            return Ok(());
        }
        self.set_transaction_modes(modes)
    }

    /// Every level is served as strictly as the strictest: a transaction is executed alone.
    fn set_transaction_modes(&mut self, modes: &Modes) -> Result<(), SqlError> {
        self.remember_local("transaction_isolation");
        self.remember_local("transaction_read_only");
        self.set_modes(modes, "transaction")?;
        if let (Some(read_only), Some(transaction)) = (modes.read_only, &mut self.transaction) {
            transaction.read_only = read_only;
        }
        Ok(())
    }

    fn set_modes(&mut self, modes: &Modes, prefix: &str) -> Result<(), SqlError> {
        let read_only = modes.read_only.map(|on| if on { "on" } else { "off" });
        let values = [
            ("isolation", modes.isolation.as_deref()),
            ("read_only", read_only),
        ];
        for (name, value) in values {
            if value.is_some() {
                let report = self.settings.set(&format!("{prefix}_{name}"), value)?;
                self.report(report);
            }
        }
        Ok(())
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<&'static str, SqlError> {
        match name {
            None => {
                self.prepared.retain(|name, _| name.is_empty());
                Ok("DEALLOCATE ALL")
            }
            Some(name) if self.prepared.remove(name).is_some() => Ok("DEALLOCATE"),
            Some(name) => Err(SqlError::new(
                "26000",
                format!("prepared statement \"{name}\" does not exist"),
            )),
        }
    }
}
