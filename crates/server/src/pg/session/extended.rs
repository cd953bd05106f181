//! The extended protocol: Parse, Bind, Describe, Execute, Close, Sync.

use std::sync::Arc;

use stele_core::Value;
use stele_sql::SqlError;

use super::plan::{Class, Plan, Work};
use super::run::{Delivery, Rows};
use super::{Session, explain};
use crate::pg::codec::{self, Formats};
use crate::pg::command::Command;
use crate::pg::error::moved;
use crate::pg::kept::{Kept, values_len};
use crate::pg::message::{Bind, Target};
use crate::pg::scanner::split;

/// A prepared statement.
pub(super) struct Prepared {
    pub(super) work: Work,
    _kept: Kept,
}

/// A prepared statement with its parameters.
pub(super) struct Portal {
    work: Work,
    parameters: Vec<Value>,
    formats: Formats,
    run: Run,
    /// Whether DECLARE made it, and WITH HOLD.
    cursor: Option<Hold>,
    /// Its parameters, or the rows it keeps.
    kept: Option<Kept>,
}

/// Whether a cursor outlives its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    With,
    Without,
}

/// How far a portal has been run.
enum Run {
    NotYet,
    /// Some rows are still to be given.
    Partly(Rows),
    Done,
}

impl Portal {
    /// A cursor over rows.
    pub(super) fn cursor(plan: Arc<Plan>, rows: Rows, kept: Kept, hold: bool) -> Self {
        Self {
            work: Work::Plan(plan),
            parameters: Vec::new(),
            formats: Formats::default(),
            run: Run::Partly(rows),
            cursor: Some(if hold { Hold::With } else { Hold::Without }),
            kept: Some(kept),
        }
    }

    /// Whether DECLARE made it.
    pub(super) fn is_cursor(&self) -> bool {
        self.cursor.is_some()
    }

    /// Whether it outlives its transaction.
    pub(super) fn is_held(&self) -> bool {
        self.cursor == Some(Hold::With)
    }

    /// The rows of a cursor.
    pub(super) fn cursor_rows(&mut self) -> Option<&mut Rows> {
        match &mut self.run {
            Run::Partly(rows) if self.cursor.is_some() => Some(rows),
            _ => None,
        }
    }

    /// What it runs.
    pub(super) fn work(&self) -> &Work {
        &self.work
    }

    /// Whether it was not run yet.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.run, Run::NotYet)
    }

    fn take_parameters(&mut self) -> Vec<Value> {
        self.kept = None;
        std::mem::take(&mut self.parameters)
    }

    /// Keeps rows beyond the limit for the next Execute.
    pub(super) fn keep(&mut self, rows: Rows, kept: Kept) {
        self.run = Run::Partly(rows);
        self.kept = Some(kept);
    }
}

impl Session {
    /// Parse.
    pub(super) fn parse(&mut self, name: String, sql: &str, oids: &[u32]) -> Result<(), SqlError> {
        let pieces = split(sql)?;
        let work = match pieces.as_slice() {
            [] => Work::Empty,
            [piece] => self
                .prepare(piece.sql, oids)
                .map_err(|error| moved(error, piece.characters_before))?,
            _ => {
                return Err(SqlError::new(
                    "42601",
                    "cannot insert multiple commands into a prepared statement",
                ));
            }
        };
        self.keep_prepared(name, work, sql.len())?;
        self.next_replies().parse_complete();
        Ok(())
    }

    /// Keeps a prepared statement; its text has so many bytes.
    pub(super) fn keep_prepared(
        &mut self,
        name: String,
        work: Work,
        text_len: usize,
    ) -> Result<(), SqlError> {
        let kept = self.keeper.keep(name.len() + work.len(text_len))?;
        if !name.is_empty() {
            if self.prepared.contains_key(&name) {
                return Err(SqlError::new(
                    "42P05",
                    format!("prepared statement \"{name}\" already exists"),
                ));
            }
            let max = self.config.prepared_statements_max;
            if self.prepared.len() >= max {
                return Err(SqlError::new(
                    "54000",
                    format!("more than {max} prepared statements on one connection"),
                )
                .hint("DEALLOCATE those no longer needed."));
            }
            if let Some(deferred) = self.deferred.last_mut() {
                deferred.prepared.push(name.clone());
            }
        }
        let prepared = Prepared { work, _kept: kept };
        self.prepared.insert(name, prepared);
        Ok(())
    }

    pub(super) fn statement(&self, name: &str) -> Result<&Work, SqlError> {
        let prepared = self.prepared.get(name).ok_or_else(|| {
            SqlError::new(
                "26000",
                format!("prepared statement \"{name}\" does not exist"),
            )
        })?;
        Ok(&prepared.work)
    }

    /// Bind.
    pub(super) fn bind(&mut self, bind: Bind) -> Result<(), SqlError> {
        let work = self.statement(&bind.statement)?;
        if matches!(work, Work::Plan(_) | Work::Declare(..)) {
            self.check_not_failed()?;
        }
        let wanted = work.parameters();
        let given = bind.parameters.len();
        if given != wanted.len() {
            return Err(SqlError::new(
                "08P01",
                format!(
                    "bind message supplies {given} parameters, but prepared statement \"{}\" requires {}",
                    bind.statement,
                    wanted.len()
                ),
            ));
        }
        let formats = Formats::new(&bind.parameter_formats, given, "parameter")?;
        let mut parameters = Vec::with_capacity(given);
        for (place, (parameter, bytes)) in wanted.iter().zip(&bind.parameters).enumerate() {
            parameters.push(match bytes {
                None => Value::Null,
                Some(bytes) => codec::read(*parameter, place + 1, formats.of(place), bytes)?,
            });
        }
        let columns = match work {
            Work::Plan(plan) => plan.columns.as_ref().map(Vec::len),
            // A cursor's columns are known once it is made.
            Work::Command(Command::Fetch(_)) => None,
            Work::Command(command) => Some(command.columns().len()),
            Work::Proof(_, query) => Some(query.columns().len()),
            Work::Explain(_) => Some(explain::columns().len()),
            Work::Empty
            | Work::Writes(_)
            | Work::Declare(..)
            | Work::CopyOut(..)
            | Work::CopyIn(_) => Some(0),
        };
        let codes = &bind.result_formats;
        let portal = Portal {
            formats: Formats::new(codes, columns.unwrap_or(codes.len()), "result")?,
            work: work.clone(),
            kept: Some(self.keeper.keep(values_len(&parameters))?),
            parameters,
            run: Run::NotYet,
            cursor: None,
        };
        self.check_new_portal(&bind.portal)?;
        self.portals.insert(bind.portal, portal);
        self.next_replies().bind_complete();
        Ok(())
    }

    /// Refuses a name that is taken (the unnamed portal is replaced), and too many portals.
    pub(super) fn check_new_portal(&self, name: &str) -> Result<(), SqlError> {
        let taken = self.portals.contains_key(name);
        if taken && !name.is_empty() {
            return Err(SqlError::new(
                "42P03",
                format!("cursor \"{name}\" already exists"),
            ));
        }
        let max = self.config.portals_max;
        if !taken && self.portals.len() >= max {
            return Err(SqlError::new(
                "54000",
                format!("more than {max} portals on one connection"),
            )
            .hint("Close those no longer needed."));
        }
        Ok(())
    }

    /// Describe.
    pub(super) fn describe(&mut self, target: Target, name: &str) -> Result<(), SqlError> {
        let (work, formats, parameters) = match target {
            Target::Statement => (self.statement(name)?.clone(), Formats::default(), None),
            Target::Portal => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                let parameters = Some(portal.parameters.clone());
                (portal.work.clone(), portal.formats.clone(), parameters)
            }
        };
        if target == Target::Statement {
            let oids = work
                .parameters()
                .iter()
                .map(|parameter| parameter.oid)
                .collect();
            self.next_replies().parameter_description(oids);
        }
        let columns = match &work {
            Work::Empty
            | Work::Writes(_)
            | Work::Declare(..)
            | Work::CopyOut(..)
            | Work::CopyIn(_) => Vec::new(),
            Work::Command(Command::Fetch(fetch)) => self.fetch_columns(fetch)?,
            Work::Command(command) => command.columns(),
            Work::Proof(_, query) => query.columns(),
            Work::Explain(_) => explain::columns(),
            Work::Plan(plan) => match &plan.columns {
                Some(columns) => columns.clone(),
                None => self.columns_by_preview(plan, parameters)?,
            },
        };
        self.next_replies().row_description(&columns, &formats);
        Ok(())
    }

    /// Execute.
    pub(super) async fn execute(&mut self, name: &str, rows_max: usize) -> Result<(), SqlError> {
        let portal = self.portals.get_mut(name).ok_or_else(|| no_portal(name))?;
        match std::mem::replace(&mut portal.run, Run::Done) {
            Run::NotYet => {}
            Run::Partly(mut rows) => {
                if let Err(error) = self.out.reserve(rows.next_len(rows_max)) {
                    portal.run = Run::Partly(rows);
                    return Err(error);
                }
                let all = rows.give(&portal.formats, rows_max, &mut self.out);
                self.out.count();
                if all {
                    portal.kept = None;
                } else {
                    portal.run = Run::Partly(rows);
                }
                return Ok(());
            }
            Run::Done => {
                if matches!(&portal.work, Work::Plan(plan) if plan.class == Class::Read) {
                    self.next_replies().command_complete("SELECT 0");
                    return Ok(());
                }
                return Err(SqlError::new(
                    "55000",
                    format!("portal \"{name}\" cannot be run"),
                ));
            }
        }
        let delivery = Delivery {
            formats: portal.formats.clone(),
            portal: (rows_max > 0).then(|| name.to_owned()),
            rows_max,
            ..Delivery::default()
        };
        match portal.work.clone() {
            Work::Empty => {
                self.next_replies().empty_query();
                Ok(())
            }
            Work::Command(command) => self.control(&command, &delivery).await,
            Work::Declare(plan, declaration) => {
                let parameters = portal.take_parameters();
                self.declare(&plan, &declaration, parameters, &delivery)
            }
            Work::Proof(plan, query) => {
                let parameters = portal.take_parameters();
                self.prove(&query, &plan, parameters, delivery)
            }
            Work::Writes(plans) => self.run_all(&plans, &delivery),
            Work::Explain(plan) => self.explain(&plan, delivery),
            Work::CopyOut(plan, copy) => self.copy_out(&copy, &plan),
            Work::CopyIn(copy) => self.copy_in(&copy, None),
            Work::Plan(plan) => {
                let parameters = portal.take_parameters();
                if matches!(plan.class, Class::Schema | Class::Nothing { .. }) {
                    // Whether IF NOT EXISTS finds something to do may have changed since Parse.
                    if let Work::Plan(plan) = self.prepare(&plan.sql, &[])? {
                        return self.run(&plan, parameters, delivery);
                    }
                }
                self.run(&plan, parameters, delivery)
            }
        }
    }

    /// Close.
    pub(super) fn close(&mut self, target: Target, name: &str) {
        // Closing what is not there is no error.
        match target {
            Target::Statement => {
                self.prepared.remove(name);
            }
            Target::Portal => {
                self.portals.remove(name);
            }
        }
        self.next_replies().close_complete();
    }

    /// Sync.
    pub(super) async fn sync(&mut self) {
        if !std::mem::take(&mut self.skipping)
            && let Err(error) = self.end_batch().await
        {
            self.fail(error);
        }
        self.finish_batch();
    }

    /// The end of a batch: says that the session is ready.
    pub(super) fn finish_batch(&mut self) {
        if !self.in_transaction() {
            self.drop_portals();
        }
        let status = self.status();
        self.out.ready(status);
    }
}

impl Session {
    /// Drops the portals of a transaction that has ended.
    pub(super) fn drop_portals(&mut self) {
        self.portals.retain(|_, portal| portal.is_held());
    }
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new("34000", format!("portal \"{name}\" does not exist"))
}
