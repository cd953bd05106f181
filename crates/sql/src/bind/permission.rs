//! Who may do what.
//!
//! An owner may do everything with what it owns, and nobody else may alter, drop or grant it away. What
//! others may do is in the definition's grants, looked at in this order, privilege by privilege: the
//! account's own record, the records of roles it is in, the record of PUBLIC. The first that says
//! something decides: what was granted may be done, what was revoked may not. So a personal record
//! overrides PUBLIC both ways.
//!
//! The ledger's own tables are read by all, and of them the key-value state is written by all, each in
//! namespaces of its own.

use stele_core::account::AccountId;
use stele_core::schema::{ColumnId, Grant, Grantee, Kind, Privileges, Table, TableId};

use std::sync::Arc;

use super::Binder;
use crate::catalogue::{Catalogue, DEFAULT_SCHEMA, LEDGER_SCHEMA};
use crate::error::SqlError;

/// The built-in tables anyone may write: key-value state, its namespaces, account keys. Each has
/// rules of its own, which the executor checks on what a transaction changed.
pub const OPEN_TABLES: [TableId; 3] = [TableId(1), TableId(2), TableId(3)];
/// Deepest membership of roles in roles that is followed.
const ROLE_DEPTH_MAX: usize = 16;

/// What a grant says of one privilege.
fn says(grant: &Grant, privilege: Privileges) -> Option<bool> {
    if grant.granted.meets(privilege) {
        return Some(true);
    }
    grant.denied.contains(privilege).then_some(false)
}

impl Catalogue {
    /// Whether an account has one of some privileges on a definition.
    #[must_use]
    pub fn may(&self, account: AccountId, definition: &Table, any_of: Privileges) -> bool {
        if definition.owner == account && account != AccountId::LEDGER {
            return true;
        }
        if definition.owner == AccountId::LEDGER {
            return any_of.contains(Privileges::SELECT) || OPEN_TABLES.contains(&definition.id);
        }
        self.granted(account, definition, |grant| says(grant, any_of))
    }

    /// What the first record with something to say says: the account's own, its roles', PUBLIC's.
    fn granted(
        &self,
        account: AccountId,
        definition: &Table,
        says: impl Fn(&Grant) -> Option<bool>,
    ) -> bool {
        let grants = &definition.rights.grants;
        let of = |wanted: Grantee| grants.iter().find(|grant| grant.grantee == wanted);
        if let Some(said) = of(Grantee::Account(account)).and_then(&says) {
            return said;
        }
        let mut denied = false;
        for grant in grants {
            if let Grantee::Role(role) = grant.grantee
                && let Some(said) = says(grant)
                && self.is_member(account, role)
            {
                if said {
                    return true;
                }
                denied = true;
            }
        }
        !denied && of(Grantee::Public).and_then(says) == Some(true)
    }

    /// Whether an account is in a role, itself or through other roles.
    #[must_use]
    pub fn is_member(&self, account: AccountId, role: TableId) -> bool {
        self.is_member_within(account, role, ROLE_DEPTH_MAX)
    }

    fn is_member_within(&self, account: AccountId, role: TableId, depth: usize) -> bool {
        let Some(definition) = self.table(role) else {
            return false;
        };
        definition.rights.grants.iter().any(|grant| {
            grant.granted.contains(Privileges::MEMBER)
                && match grant.grantee {
                    Grantee::Public => true,
                    Grantee::Account(member) => member == account,
                    Grantee::Role(inner) => {
                        depth > 0 && self.is_member_within(account, inner, depth - 1)
                    }
                }
        })
    }

    /// Whether an account may use what a schema holds.
    fn may_look_into(&self, account: AccountId, schema: &str) -> bool {
        let Some(schema) = self.named(stele_core::schema::Class::Schema, "", schema) else {
            return true;
        };
        self.may(account, schema, Privileges::USAGE.with(Privileges::CREATE))
    }
}

impl Binder<'_> {
    pub(super) fn check_readable(&self, table: &Table) -> Result<(), SqlError> {
        self.check_privilege(table, Privileges::SELECT)
    }

    /// That one of some privileges is there.
    pub(super) fn check_privilege(
        &self,
        table: &Table,
        any_of: Privileges,
    ) -> Result<(), SqlError> {
        if self.catalogue.may(self.acting, table, any_of)
            && self.catalogue.may_look_into(self.acting, &table.schema)
        {
            return Ok(());
        }
        Err(denied(table))
    }

    /// That rows of a table may be written: INSERT, UPDATE or DELETE, on the columns given at least.
    pub(super) fn check_writable(
        &self,
        table: &Table,
        privilege: Privileges,
        columns: &[ColumnId],
    ) -> Result<(), SqlError> {
        if table.kind != Kind::Table {
            return Err(not_writable(table, privilege));
        }
        let done = self.check_privilege(table, privilege);
        if done.is_err() && self.may_on_columns(table, privilege, columns) {
            return Ok(());
        }
        done
    }

    /// Whether a privilege was granted on each of some columns.
    pub(super) fn may_on_columns(
        &self,
        table: &Table,
        privilege: Privileges,
        columns: &[ColumnId],
    ) -> bool {
        let on_column = |id: &ColumnId| {
            self.catalogue.granted(self.acting, table, |grant| {
                let mut granted = grant.columns.iter();
                let found = granted.any(|one| one.column == *id && one.granted.contains(privilege));
                if found {
                    Some(true)
                } else {
                    says(grant, privilege)
                }
            })
        };
        !columns.is_empty()
            && self.catalogue.may_look_into(self.acting, &table.schema)
            && columns.iter().all(on_column)
    }

    /// That a table may be read under its name in the output: wholly, or only columns that were granted.
    pub(super) fn check_read_as(&mut self, table: &Arc<Table>, name: &str) -> Result<(), SqlError> {
        let Err(error) = self.check_readable(table) else {
            return Ok(());
        };
        let on_column = |column: &stele_core::schema::Column| {
            self.may_on_columns(table, Privileges::SELECT, &[column.id])
        };
        if !table.columns.iter().any(on_column) {
            return Err(error);
        }
        self.limited.push((name.to_owned(), Arc::clone(table)));
        Ok(())
    }

    /// That a table changed under a name may be read if the statement does read it.
    pub(super) fn check_read_if_used(&mut self, table: &Arc<Table>, name: &str) {
        if self.check_readable(table).is_err() {
            self.limited.push((name.to_owned(), Arc::clone(table)));
        }
    }

    /// That a lowered text names no column that may not be read. Columns are `name.cN` there, whatever
    /// the statement called them.
    pub(super) fn check_limited(&self, sqlite: &str) -> Result<(), SqlError> {
        for (name, table) in &self.limited {
            for (start, _) in sqlite.match_indices(name.as_str()) {
                let before = sqlite
                    .get(..start)
                    .and_then(|text| text.chars().next_back());
                let rest = sqlite.get(start + name.len()..).unwrap_or_default();
                let Some(column) = rest.strip_prefix(".c") else {
                    continue;
                };
                if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                    continue;
                }
                let end = column.find(|c: char| !c.is_ascii_digit());
                let digits = column
                    .get(..end.unwrap_or(column.len()))
                    .unwrap_or_default();
                let id = digits.parse().map(ColumnId);
                let may = id.is_ok_and(|id| self.may_on_columns(table, Privileges::SELECT, &[id]));
                if !may {
                    return Err(denied(table));
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_owned(&self, table: &Table) -> Result<(), SqlError> {
        if table.owner != AccountId::LEDGER && table.owner == self.acting {
            return Ok(());
        }
        Err(SqlError::new(
            "42501",
            format!("must be owner of {} {}", table.kind.word(), table.name),
        )
        .hint(owner_hint(table)))
    }

    /// That the account may create something in a schema.
    pub(super) fn check_creatable(&self, schema: &str) -> Result<(), SqlError> {
        if schema == LEDGER_SCHEMA {
            return Err(SqlError::new("42501", "permission denied for schema stele")
                .hint("The schema belongs to the ledger itself; use public."));
        }
        if schema == DEFAULT_SCHEMA {
            return Ok(());
        }
        let class = stele_core::schema::Class::Schema;
        let Some(definition) = self.catalogue.named(class, "", schema) else {
            return Err(
                SqlError::new("3F000", format!("schema \"{schema}\" does not exist"))
                    .hint("Use the schema public, or CREATE SCHEMA first."),
            );
        };
        if self
            .catalogue
            .may(self.acting, definition, Privileges::CREATE)
        {
            return Ok(());
        }
        Err(denied(definition))
    }
}

pub(super) fn denied(table: &Table) -> SqlError {
    SqlError::new(
        "42501",
        format!("permission denied for {} {}", table.kind.word(), table.name),
    )
    .hint(owner_hint(table))
}

fn not_writable(table: &Table, privilege: Privileges) -> SqlError {
    let verb = match privilege {
        Privileges::INSERT => "insert into",
        Privileges::UPDATE => "update",
        _ => "delete from",
    };
    let error = match table.kind {
        Kind::View(_) => SqlError::new("55000", format!("cannot {verb} view \"{}\"", table.name)),
        _ => SqlError::new(
            "42809",
            format!("cannot change {} \"{}\"", table.kind.word(), table.name),
        ),
    };
    error.hint("Write to the table itself.")
}

fn owner_hint(table: &Table) -> String {
    if table.owner == AccountId::LEDGER {
        return "It belongs to the ledger itself.".to_owned();
    }
    format!("It belongs to {}.", table.owner)
}
