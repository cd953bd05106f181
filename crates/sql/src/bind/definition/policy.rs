//! CREATE, ALTER and DROP POLICY.
//!
//! Names of tables in a condition are kept with their schemas, so that nobody's search path changes what
//! they mean. A condition that could not be bound any more would lock everybody out, so a change that
//! breaks one is refused.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AlterPolicy, AlterPolicyOperation, CreatePolicy, CreatePolicyCommand, CreatePolicyType,
    DropPolicy, Expr, Ident, ObjectName, ObjectNamePart, Owner, visit_expressions,
    visit_relations_mut,
};
use stele_core::schema::{
    CONSTRAINTS_MAX, Column, ColumnId, EXPRESSION_LEN_MAX, Grantee, Kind, Policy, PolicyCommand,
    Table,
};

use super::constraint::{normalised, too_many};
use crate::bind::name::{folded, new_name, qualified};
use crate::bind::{BindContext, Binder};
use crate::bound::{Definition, Reliance, SchemaChange};
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::parse::{Extension, PolicyClauses};
use std::sync::Arc;

/// What the options are.
const OPTION_WORDS: &str =
    "WITH takes columns = 'a, b' and quota = 100; columns = all and quota = none take them back.";

impl Binder<'_> {
    pub(super) fn create_policy(
        &mut self,
        create: &CreatePolicy,
    ) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "CREATE POLICY";
        let mut table = self.policy_table(&create.table_name)?;
        let name = new_name(&create.name)?;
        if table.rights.policies.iter().any(|one| one.name == name) {
            return Err(SqlError::new(
                "42710",
                format!(
                    "policy \"{name}\" for table \"{}\" already exists",
                    table.name
                ),
            ));
        }
        if table.rights.policies.len() >= CONSTRAINTS_MAX {
            return Err(too_many(&table.name));
        }
        let command = match create.command {
            None | Some(CreatePolicyCommand::All) => PolicyCommand::All,
            Some(CreatePolicyCommand::Select) => PolicyCommand::Select,
            Some(CreatePolicyCommand::Insert) => PolicyCommand::Insert,
            Some(CreatePolicyCommand::Update) => PolicyCommand::Update,
            Some(CreatePolicyCommand::Delete) => PolicyCommand::Delete,
        };
        let mut policy = Policy {
            name,
            command,
            permissive: !matches!(create.policy_type, Some(CreatePolicyType::Restrictive)),
            grantees: match &create.to {
                Some(to) => self.policy_grantees(to)?,
                None => vec![Grantee::Public],
            },
            using: None,
            check: None,
            forced: Vec::new(),
            columns: None,
            quota: None,
        };
        self.set_policy(
            &mut table,
            &mut policy,
            create.using.as_ref(),
            create.with_check.as_ref(),
        )?;
        table.rights.policies.push(policy);
        Ok(SchemaChange::put(table, TAG))
    }

    pub(super) fn alter_policy(&mut self, alter: &AlterPolicy) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "ALTER POLICY";
        let mut table = self.policy_table(&alter.table_name)?;
        let place = policy_place(&table, &alter.name)?;
        let Some(mut policy) = table.rights.policies.get(place).cloned() else {
            return Err(no_policy(&table, &folded(&alter.name)));
        };
        match &alter.operation {
            AlterPolicyOperation::Rename { new_name: name } => {
                let name = new_name(name)?;
                if table.rights.policies.iter().any(|one| one.name == name) {
                    return Err(SqlError::new(
                        "42710",
                        format!(
                            "policy \"{name}\" for table \"{}\" already exists",
                            table.name
                        ),
                    ));
                }
                policy.name = name;
            }
            AlterPolicyOperation::Apply {
                to,
                using,
                with_check,
            } => {
                if let Some(to) = to {
                    policy.grantees = self.policy_grantees(to)?;
                }
                self.set_policy(&mut table, &mut policy, using.as_ref(), with_check.as_ref())?;
            }
        }
        if let Some(held) = table.rights.policies.get_mut(place) {
            *held = policy;
        }
        Ok(SchemaChange::put(table, TAG))
    }

    pub(super) fn drop_policy(&mut self, drop: &DropPolicy) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "DROP POLICY";
        let (schema, bare) = qualified(&drop.table_name)?;
        let skipped = |what: String| SchemaChange::Nothing {
            tag: TAG,
            notice: format!("{what} does not exist, skipping"),
        };
        if drop.if_exists && self.find_table(schema.as_deref(), &bare).is_none() {
            return Ok(skipped(format!("relation \"{bare}\"")));
        }
        let mut table = self.policy_table(&drop.table_name)?;
        let name = folded(&drop.name);
        match policy_place(&table, &drop.name) {
            Ok(place) => {
                table.rights.policies.remove(place);
                Ok(SchemaChange::put(table, TAG))
            }
            Err(_) if drop.if_exists => Ok(skipped(format!(
                "policy \"{name}\" for relation \"{}\"",
                table.name
            ))),
            Err(error) => Err(error),
        }
    }

    fn policy_table(&self, name: &ObjectName) -> Result<Table, SqlError> {
        let table = self.table(name)?;
        self.check_owned(&table)?;
        if table.kind != Kind::Table {
            return Err(super::sequence::wrong_kind(&table, "table"));
        }
        Ok(Table::clone(&table))
    }

    fn policy_grantees(&self, to: &[Owner]) -> Result<Vec<Grantee>, SqlError> {
        let mut grantees = Vec::with_capacity(to.len());
        for owner in to {
            grantees.push(match owner {
                Owner::Ident(ident) => self.grantee_named(&folded(ident))?,
                _ => Grantee::Account(self.acting),
            });
        }
        grantees.sort_unstable();
        grantees.dedup();
        Ok(grantees)
    }

    /// Takes conditions and clauses into a policy, each bound once to see that it can be.
    fn set_policy(
        &mut self,
        table: &mut Table,
        policy: &mut Policy,
        using: Option<&Expr>,
        check: Option<&Expr>,
    ) -> Result<(), SqlError> {
        let reads = matches!(
            policy.command,
            PolicyCommand::Select | PolicyCommand::Delete
        );
        if using.is_some() && policy.command == PolicyCommand::Insert {
            return Err(SqlError::new(
                "42601",
                "only WITH CHECK expression allowed for INSERT",
            ));
        }
        if check.is_some() && reads {
            return Err(SqlError::new(
                "42601",
                "WITH CHECK cannot be applied to SELECT or DELETE",
            ));
        }
        if let Some(using) = using {
            policy.using = Some(self.kept_condition(table, using)?);
        }
        if let Some(check) = check {
            policy.check = Some(self.kept_condition(table, check)?);
        }
        let Some(Extension::Policy(clauses)) = self.extension else {
            return Ok(());
        };
        if reads {
            return Err(SqlError::new(
                "42601",
                "columns, quota and SET cannot be applied to SELECT or DELETE",
            ));
        }
        self.set_clauses(table, policy, clauses)
    }

    fn set_clauses(
        &mut self,
        table: &Table,
        policy: &mut Policy,
        clauses: &PolicyClauses,
    ) -> Result<(), SqlError> {
        for (name, value) in &clauses.options {
            let bad = || {
                SqlError::new(
                    "22023",
                    format!("invalid value for option \"{name}\": \"{value}\""),
                )
                .hint(OPTION_WORDS)
            };
            match name.as_str() {
                "columns" if value.eq_ignore_ascii_case("all") => policy.columns = None,
                "columns" => {
                    let mut columns = Vec::new();
                    for column in value.split(',') {
                        columns.push(column_of(table, column.trim())?.id);
                    }
                    columns.sort_unstable();
                    columns.dedup();
                    policy.columns = Some(columns);
                }
                "quota" if value.eq_ignore_ascii_case("none") => policy.quota = None,
                "quota" => policy.quota = Some(value.parse().map_err(|_| bad())?),
                _ => {
                    return Err(SqlError::new(
                        "22023",
                        format!("unrecognized option of a policy: \"{name}\""),
                    )
                    .hint(OPTION_WORDS));
                }
            }
        }
        let Some(forced) = &clauses.forced else {
            return Ok(());
        };
        if policy.command == PolicyCommand::Update && !forced.is_empty() {
            return Err(SqlError::new(
                "42601",
                "SET is for new rows: it cannot be applied to UPDATE",
            ));
        }
        policy.forced.clear();
        for (name, tree) in forced {
            let column = column_of(table, name)?;
            let text = normalised(tree)?;
            self.forced_value(column, &text)?;
            if policy.forced.iter().any(|(id, _)| *id == column.id) {
                return Err(SqlError::new(
                    "42601",
                    format!("multiple assignments to same column \"{name}\""),
                ));
            }
            policy.forced.push((column.id, text));
        }
        policy
            .forced
            .sort_by_key(|(id, _): &(ColumnId, String)| *id);
        Ok(())
    }

    /// A condition as it is kept: its tables with their schemas.
    fn kept_condition(&mut self, table: &Table, tree: &Expr) -> Result<String, SqlError> {
        let mut tree = tree.clone();
        let own = own_names(&tree);
        let mut place = |name: &mut ObjectName| {
            if let Ok((None, bare)) = qualified(name)
                && !own.contains(&bare)
                && let Some(found) = self.find_table(None, &bare)
            {
                let schema = Ident::with_quote('"', &found.schema);
                name.0.insert(0, ObjectNamePart::Identifier(schema));
            }
            ControlFlow::<()>::Continue(())
        };
        let _ = visit_relations_mut(&mut tree, &mut place);
        let text = normalised(&tree)?;
        if text.len() > EXPRESSION_LEN_MAX {
            return Err(SqlError::new(
                "54000",
                "the condition of the policy is too long",
            ));
        }
        check_condition(self.catalogue, table, &text)?;
        Ok(text)
    }

    /// Refuses a change after which a policy's condition could not be bound.
    pub(super) fn check_policies(&self, definitions: &[Definition]) -> Result<(), SqlError> {
        let held = |one: &&Arc<Table>| !one.rights.policies.is_empty();
        if self.catalogue.tables().find(held).is_none() {
            return Ok(());
        }
        let mut after = self.catalogue.clone();
        for Definition {
            id, after: table, ..
        } in definitions
        {
            match table {
                Some(table) => after.put(Table::clone(table)),
                None => after.remove(*id),
            }
        }
        for table in after.tables().filter(held) {
            let changed = definitions.iter().any(|one| one.id == table.id);
            for policy in &table.rights.policies {
                let texts = [policy.using.as_deref(), policy.check.as_deref()];
                // One without a sub-select depends on its own table alone.
                let concerned = |text: &&str| changed || text.contains("SELECT");
                for text in texts.into_iter().flatten().filter(concerned) {
                    let Err(cause) = check_condition(&after, table, text) else {
                        continue;
                    };
                    let before = self.catalogue.table(table.id);
                    if before
                        .is_none_or(|before| check_condition(self.catalogue, before, text).is_err())
                    {
                        // It was broken before: what it read was not the owner's to keep.
                        continue;
                    }
                    let mut error = SqlError::new(
                        "2BP01",
                        format!(
                            "policy {} on table {} depends on what would change",
                            policy.name, table.name
                        ),
                    );
                    error.detail = Some(cause.message);
                    return Err(error.hint("Drop the policy, make the change, and create it anew."));
                }
            }
        }
        Ok(())
    }
}

/// Binds a condition as the owner would, to see that it can be.
fn check_condition(catalogue: &Catalogue, table: &Table, text: &str) -> Result<(), SqlError> {
    let context = BindContext::new(table.owner);
    let mut binder = Binder::new(catalogue, &context);
    // As inside of a statement that writes: what those may not read, no policy may.
    binder.writes = true;
    let sql = binder.policy_condition(table, text, "r0")?;
    let reliance = Reliance::of(&sql);
    if reliance.chance || reliance.assertion || binder.used_sequences().changes {
        return Err(SqlError::new(
            "42P17",
            "a policy cannot depend on chance, take numbers or fail on purpose",
        ));
    }
    if reliance.state_root || reliance.table_versions {
        return Err(SqlError::unsupported(
            "the version of a table or the state's root in a policy",
            "Compare columns.",
        ));
    }
    Ok(())
}

/// Names that WITH gives inside of a condition.
fn own_names(tree: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    let _ = visit_expressions(tree, |inner: &Expr| {
        let query = match inner {
            Expr::Subquery(query) => Some(query),
            Expr::Exists { subquery, .. } | Expr::InSubquery { subquery, .. } => Some(subquery),
            _ => None,
        };
        if let Some(with) = query.and_then(|query| query.with.as_ref()) {
            names.extend(with.cte_tables.iter().map(|one| folded(&one.alias.name)));
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

fn column_of<'t>(table: &'t Table, name: &str) -> Result<&'t Column, SqlError> {
    table.column_named(name).ok_or_else(|| {
        SqlError::new(
            "42703",
            format!(
                "column \"{name}\" of relation \"{}\" does not exist",
                table.name
            ),
        )
    })
}

fn policy_place(table: &Table, name: &Ident) -> Result<usize, SqlError> {
    let name = folded(name);
    let mut policies = table.rights.policies.iter();
    let place = policies.position(|one| one.name == name);
    place.ok_or_else(|| no_policy(table, &name))
}

fn no_policy(table: &Table, name: &str) -> SqlError {
    SqlError::new(
        "42704",
        format!(
            "policy \"{name}\" for table \"{}\" does not exist",
            table.name
        ),
    )
}
