//! Row policies: which rows of a table are there for an account, and which it may make.
//!
//! They hold for all but the owner, and for the owner too when they are forced. Of the policies for a
//! command and an account the permissive ones are joined by OR, the restrictive ones by AND; without a
//! permissive one nothing is let through. They are bound with the rights of who asks, like the
//! statement itself, but names in them mean what they meant when the policy was made.
//!
//! **A row that is hidden meets no expression of the client's.** SQLite may test conditions in any
//! order, and one that fails (`1/(x-5)`) would tell of the row it failed on. So a table is read through a
//! *fence*, a sub-select with the policies' condition that SQLite neither takes apart nor pushes
//! conditions into (it has a LIMIT), and a target of UPDATE or DELETE is told by `CASE WHEN policy THEN
//! condition END`, which goes left to right. Only comparisons of a column with a constant, which cannot
//! fail, are let through the fence, so that indexes serve ([`super::fence`]).

use std::sync::Arc;

use stele_core::schema::{ColumnId, Grantee, Policy, PolicyCommand, RowSecurity, Table, TableId};

use super::Binder;
use super::scope::{Clause, Environment, Relation, Scope};
use crate::bound::{QuotaCheck, RowCheck, RowChecks};
use crate::error::SqlError;
use crate::physical::{column_name, table_name};
use crate::reach::Reach;

/// Deepest nesting of policies that read tables with policies.
const POLICY_DEPTH_MAX: usize = 16;
/// Most conditions of policies in one statement.
const CONDITIONS_MAX: usize = 1_000;

/// Policies whose conditions are being bound.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Their tables, outermost first.
    tables: Vec<TableId>,
    /// How many were bound so far.
    count: usize,
}

/// A condition, and the restrictive policies' each by its name.
struct Conditions {
    permissive: String,
    restrictive: Vec<(String, String)>,
}

impl Conditions {
    /// Whether a row passes, as one condition.
    fn all(&self) -> String {
        let mut all = self.permissive.clone();
        for (_, condition) in &self.restrictive {
            all.push_str(&format!(" AND {condition}"));
        }
        format!("({all})")
    }
}

/// Which condition of a policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Using,
    Check,
}

impl Binder<'_> {
    /// Whether policies hold of a table for the acting account.
    pub(super) fn has_policies(&self, table: &Table) -> bool {
        match table.rights.row_security {
            RowSecurity::Off => false,
            RowSecurity::Enabled => table.owner != self.acting,
            RowSecurity::Forced => true,
        }
    }

    /// Refuses what shows more of a table than single rows, when some may be hidden.
    pub(super) fn check_unfiltered(&self, table: &Table, what: &str) -> Result<(), SqlError> {
        if !self.has_policies(table) {
            return Ok(());
        }
        Err(SqlError::new(
            "42501",
            format!(
                "{what} of table {} is not for those whom row-level security may hide rows from",
                table.name
            ),
        )
        .hint("The owner of the table may ask for it, unless row-level security is forced."))
    }

    /// The policies for a command and the acting account, in order of creation.
    fn policies(&self, table: &Table, command: PolicyCommand) -> Vec<Policy> {
        let all = table.rights.policies.iter();
        all.filter(|one| one.command == PolicyCommand::All || one.command == command)
            .filter(|one| one.grantees.iter().any(|grantee| self.is_meant(*grantee)))
            .cloned()
            .collect()
    }

    fn is_meant(&self, grantee: Grantee) -> bool {
        match grantee {
            Grantee::Public => true,
            Grantee::Account(account) => account == self.acting,
            Grantee::Role(role) => self.catalogue.is_member(self.acting, role),
        }
    }

    /// The condition for a row to be there for a command; `alias` is what the text calls the table.
    pub(super) fn visible(
        &mut self,
        table: &Table,
        command: PolicyCommand,
        alias: &str,
    ) -> Result<String, SqlError> {
        let policies = self.policies(table, command);
        let conditions = self.conditions(table, &policies, Part::Using, alias)?;
        Ok(conditions.all())
    }

    fn conditions(
        &mut self,
        table: &Table,
        policies: &[Policy],
        part: Part,
        alias: &str,
    ) -> Result<Conditions, SqlError> {
        let mut permissive = Vec::new();
        let mut restrictive = Vec::new();
        for policy in policies {
            let text = match part {
                Part::Check if policy.check.is_some() => policy.check.as_deref(),
                _ => policy.using.as_deref(),
            };
            let condition = match text {
                None => "1".to_owned(),
                Some(text) => self.policy_condition(table, text, alias)?,
            };
            if policy.permissive {
                permissive.push(condition);
            } else {
                restrictive.push((policy.name.clone(), condition));
            }
        }
        Ok(Conditions {
            permissive: match permissive.as_slice() {
                [] => "0".to_owned(),
                some => format!("({})", some.join(" OR ")),
            },
            restrictive,
        })
    }

    /// A policy's condition as SQLite text over the columns of `alias`.
    pub(super) fn policy_condition(
        &mut self,
        table: &Table,
        text: &str,
        alias: &str,
    ) -> Result<String, SqlError> {
        self.open_policies.count += 1;
        if self.open_policies.count > CONDITIONS_MAX {
            return Err(crate::parse::too_complex());
        }
        let open = &self.open_policies.tables;
        if open.contains(&table.id) || open.len() >= POLICY_DEPTH_MAX {
            return Err(SqlError::new(
                "42P17",
                format!(
                    "infinite recursion detected in policy for relation \"{}\"",
                    table.name
                ),
            )
            .hint("Let the policy read a view: views read with the rights of their owner."));
        }
        let tree = crate::parse::parse_expression(text)?;
        self.allow_text(text);
        let scope = Scope {
            relations: vec![Relation::of_table(table, Some(alias), &table.name, false)],
            merged: Vec::new(),
        };
        self.open_policies.tables.push(table.id);
        // The statement's own names mean nothing here.
        let common = std::mem::take(&mut self.common_tables);
        let path = std::mem::replace(&mut self.search_path, vec![table.schema.clone()]);
        let parameters = std::mem::take(&mut self.parameter_names);
        let environment = Environment::new(&scope, Clause::Policy);
        let condition = self.deeper(|binder| binder.condition(&environment, &tree));
        self.parameter_names = parameters;
        self.search_path = path;
        self.common_tables = common;
        self.open_policies.tables.pop();
        Ok(condition?.sql)
    }

    /// What stands in FROM for a table of which rows may be hidden, under a name of its own.
    pub(super) fn fence(&mut self, table: &Table, own: &str) -> Result<String, SqlError> {
        let inner = self.fresh('r');
        let condition = self.visible(table, PolicyCommand::Select, &inner)?;
        let columns = table.columns.iter().map(|column| {
            let name = column_name(column.id);
            format!("{inner}.{name} AS {name}")
        });
        let columns: Vec<String> = columns.collect();
        let slot = super::fence::slot(own, &inner);
        Ok(format!(
            "(SELECT {} FROM {} AS {inner} WHERE {condition}{slot} LIMIT -1) AS {own}",
            columns.join(","),
            table_name(table.id)
        ))
    }

    /// The condition for rows of a target that an UPDATE or DELETE may touch; none when policies do not
    /// hold. `reads` says that the statement looks into the rows.
    pub(super) fn target_condition(
        &mut self,
        table: &Table,
        command: PolicyCommand,
        alias: &str,
        reads: bool,
    ) -> Result<Option<String>, SqlError> {
        if !self.has_policies(table) {
            return Ok(None);
        }
        let alias = apart(alias);
        let mut condition = self.visible(table, command, &alias)?;
        if reads {
            let readable = self.visible(table, PolicyCommand::Select, &alias)?;
            condition = format!("{condition} AND {readable}");
        }
        Ok(Some(condition))
    }

    /// What an INSERT gives whatever was given: column and value.
    pub(super) fn forced_values(
        &mut self,
        table: &Table,
    ) -> Result<Vec<(ColumnId, String)>, SqlError> {
        let mut forced = Vec::new();
        if !self.has_policies(table) {
            return Ok(forced);
        }
        for policy in self.policies(table, PolicyCommand::Insert) {
            for (id, text) in &policy.forced {
                // A column that is gone is forced no more.
                let Some(column) = table.column(*id) else {
                    continue;
                };
                let value = self.forced_value(column, text)?;
                forced.retain(|(other, _)| other != id);
                forced.push((*id, value));
            }
        }
        Ok(forced)
    }

    pub(super) fn forced_value(
        &mut self,
        column: &stele_core::schema::Column,
        text: &str,
    ) -> Result<String, SqlError> {
        let tree = crate::parse::parse_expression(text)?;
        self.allow_text(text);
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Default);
        let parameters = std::mem::take(&mut self.parameter_names);
        let value = self.expression(&environment, &tree);
        self.parameter_names = parameters;
        Ok(self.assign(value?, column)?.sql)
    }

    /// The policies that let a statement give or change some columns: those with a list of columns let
    /// only these.
    fn letting(
        &self,
        table: &Table,
        command: PolicyCommand,
        given: &[ColumnId],
    ) -> Result<Vec<Policy>, SqlError> {
        let all = self.policies(table, command);
        let forced = |id: &ColumnId| {
            command == PolicyCommand::Insert
                && all
                    .iter()
                    .any(|one| one.forced.iter().any(|(column, _)| column == id))
        };
        let beyond = |policy: &Policy| {
            let columns = policy.columns.as_ref()?;
            given
                .iter()
                .find(|id| !columns.contains(id) && !forced(id))
                .copied()
        };
        let refused = |policy: &Policy, column: ColumnId| {
            let name = table.column(column).map_or("", |column| &column.name);
            SqlError::new(
                "42501",
                format!(
                    "row-level security policy \"{}\" for table \"{}\" does not let column \"{name}\" be given",
                    policy.name, table.name
                ),
            )
            .hint("Leave the column out.")
        };
        let mut last = None;
        let mut left = Vec::with_capacity(all.len());
        for policy in &all {
            match beyond(policy) {
                None => left.push(policy.clone()),
                Some(column) if policy.permissive => last = Some(refused(policy, column)),
                Some(column) => return Err(refused(policy, column)),
            }
        }
        match last {
            Some(error) if !left.iter().any(|one| one.permissive) => Err(error),
            _ => Ok(left),
        }
    }

    /// What the rows that a statement makes are checked for.
    pub(super) fn row_checks(
        &mut self,
        table: &Arc<Table>,
        inserted: Option<&[ColumnId]>,
        updated: Option<&[ColumnId]>,
        reads: bool,
    ) -> Result<RowChecks, SqlError> {
        let mut checks = RowChecks::default();
        if !self.has_policies(table) {
            return Ok(checks);
        }
        if let Some(given) = inserted {
            let check = self.row_check(table, PolicyCommand::Insert, given, reads)?;
            checks.inserted = Some(check);
        }
        if let Some(given) = updated {
            let check = self.row_check(table, PolicyCommand::Update, given, reads)?;
            checks.updated = Some(check);
        }
        let commands = [
            inserted.map(|_| PolicyCommand::Insert),
            updated.map(|_| PolicyCommand::Update),
        ];
        for command in commands.into_iter().flatten() {
            for policy in self.policies(table, command) {
                if let Some(quota) = policy.quota
                    && checks.quotas.iter().all(|one| one.policy != policy.name)
                {
                    let sqlite = self.quota_check(table, &policy, quota)?;
                    checks.quotas.push(QuotaCheck {
                        policy: policy.name,
                        quota,
                        reach: Reach::of(&sqlite, self.catalogue),
                        sqlite,
                    });
                }
            }
        }
        Ok(checks)
    }

    fn row_check(
        &mut self,
        table: &Table,
        command: PolicyCommand,
        given: &[ColumnId],
        reads: bool,
    ) -> Result<RowCheck, SqlError> {
        let policies = self.letting(table, command, given)?;
        let alias = self.fresh('r');
        let conditions = self.conditions(table, &policies, Part::Check, &alias)?;
        let mut permissive = conditions.permissive;
        if reads {
            let readable = self.visible(table, PolicyCommand::Select, &alias)?;
            permissive = format!("({permissive} AND {readable})");
        }
        let mut cases = format!("WHEN {permissive} IS NOT 1 THEN 0");
        let mut names = Vec::new();
        for (number, (name, condition)) in conditions.restrictive.into_iter().enumerate() {
            cases.push_str(&format!(" WHEN {condition} IS NOT 1 THEN {}", number + 1));
            names.push(name);
        }
        let keys = table.primary_key.iter().zip(1..);
        let keys: Vec<String> = keys
            .map(|(id, number)| format!("{alias}.{}=?{number}", column_name(*id)))
            .collect();
        let sqlite = format!(
            "SELECT CASE {cases} END FROM {} AS {alias} WHERE {}",
            table_name(table.id),
            keys.join(" AND ")
        );
        Ok(RowCheck {
            reach: Reach::of(&sqlite, self.catalogue),
            sqlite,
            restrictive: names,
        })
    }

    /// Counts the rows a policy lets see, no further than one above its quota.
    fn quota_check(
        &mut self,
        table: &Table,
        policy: &Policy,
        quota: u64,
    ) -> Result<String, SqlError> {
        let alias = self.fresh('r');
        let text = policy.using.as_ref().or(policy.check.as_ref());
        let condition = match text {
            Some(text) => self.policy_condition(table, text, &alias)?,
            None => "1".to_owned(),
        };
        Ok(format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} AS {alias} WHERE {condition} LIMIT {})",
            table_name(table.id),
            quota.saturating_add(1)
        ))
    }

    /// The beginning of DO UPDATE's condition: what was to be inserted passes the policies for INSERT,
    /// the row there those for UPDATE and SELECT; else the statement fails.
    pub(super) fn conflict_cases(
        &mut self,
        table: &Table,
        alias: &str,
        given: &[ColumnId],
    ) -> Result<Option<String>, SqlError> {
        if !self.has_policies(table) {
            return Ok(None);
        }
        let policies = self.letting(table, PolicyCommand::Insert, given)?;
        let proposed = self.conditions(table, &policies, Part::Check, "excluded")?;
        let alias = apart(alias);
        let there = self.visible(table, PolicyCommand::Update, &alias)?;
        let readable = self.visible(table, PolicyCommand::Select, &alias)?;
        let refused = |words: &str| {
            let words = violates(table, words).replace('\'', "''");
            format!("st_refuse('{words}',{alias}._h)")
        };
        Ok(Some(format!(
            "WHEN {} IS NOT 1 THEN {} WHEN ({there} AND {readable}) IS NOT 1 THEN {}",
            proposed.all(),
            refused(""),
            refused(" (USING expression)")
        )))
    }
}

/// An alias so written that [`Binder::check_limited`] passes over it: policies may look at columns that
/// the account itself may not read.
fn apart(alias: &str) -> String {
    format!("{alias} ")
}

/// PostgreSQL's words for a row that is not let in.
pub(crate) fn violates(table: &Table, what: &str) -> String {
    format!(
        "new row violates row-level security policy{what} for table \"{}\"",
        table.name
    )
}
