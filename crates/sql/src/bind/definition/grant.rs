//! GRANT and REVOKE, of privileges and of roles.
//!
//! A REVOKE from an account or role leaves a record that it may not: PUBLIC's grants do not count for it
//! any more, until it is granted again.

use sqlparser::ast::{
    Action, Grant as GrantStatement, GrantObjects, Grantee as GranteeName, GranteeName as Name,
    GranteesType, ObjectName, Privileges as Asked, Revoke,
};
use stele_core::account::AccountId;
use stele_core::schema::{
    Class, ColumnGrant, ColumnId, GRANTS_MAX, Grant, Grantee, Kind, Privileges, Table,
};

use crate::bind::Binder;
use crate::bind::name::{folded, parts, qualified};
use crate::bind::permission::denied;
use crate::bound::{Definition, SchemaChange};
use crate::error::SqlError;

/// What is granted or revoked: whole privileges, and privileges on columns.
struct Wanted {
    all: bool,
    privileges: Privileges,
    columns: Vec<(String, Privileges)>,
}

impl Binder<'_> {
    pub(super) fn grant(&mut self, grant: &GrantStatement) -> Result<SchemaChange, SqlError> {
        let change = |to: &mut Grant, privileges: Privileges, columns: &[ColumnGrant]| {
            to.granted = to.granted.with(privileges);
            to.denied = to.denied.without(privileges);
            if grant.with_grant_option {
                to.grantable = to.grantable.with(privileges);
            }
            for column in columns {
                let place = to
                    .columns
                    .iter_mut()
                    .find(|one| one.column == column.column);
                let grantable = if grant.with_grant_option {
                    column.granted
                } else {
                    Privileges::default()
                };
                match place {
                    Some(one) => {
                        one.granted = one.granted.with(column.granted);
                        one.grantable = one.grantable.with(grantable);
                    }
                    None => to.columns.push(ColumnGrant {
                        grantable,
                        ..*column
                    }),
                }
            }
            to.columns.sort_by_key(|one| one.column);
        };
        let to_public = grant.grantees.iter().any(is_public);
        if grant.with_grant_option && to_public {
            return Err(SqlError::new(
                "0LP01",
                "grant options can only be granted to roles",
            ));
        }
        let objects = grant.objects.as_ref();
        self.change_grants("GRANT", &grant.privileges, objects, &grant.grantees, change)
    }

    pub(super) fn revoke(&mut self, revoke: &Revoke) -> Result<SchemaChange, SqlError> {
        let change = |of: &mut Grant, privileges: Privileges, columns: &[ColumnGrant]| {
            of.grantable = of.grantable.without(privileges);
            if !revoke.grant_option_for {
                of.granted = of.granted.without(privileges);
                if of.grantee != Grantee::Public {
                    of.denied = of.denied.with(privileges);
                }
            }
            for one in &mut of.columns {
                let named = columns.iter().filter(|column| column.column == one.column);
                let gone = named.fold(privileges, |gone, column| gone.with(column.granted));
                one.grantable = one.grantable.without(gone);
                if !revoke.grant_option_for {
                    one.granted = one.granted.without(gone);
                }
            }
            of.columns
                .retain(|one| one.granted != Privileges::default());
        };
        let objects = revoke.objects.as_ref();
        self.change_grants(
            "REVOKE",
            &revoke.privileges,
            objects,
            &revoke.grantees,
            change,
        )
    }

    fn change_grants(
        &mut self,
        tag: &'static str,
        privileges: &Asked,
        objects: Option<&GrantObjects>,
        grantees: &[GranteeName],
        change: impl Fn(&mut Grant, Privileges, &[ColumnGrant]),
    ) -> Result<SchemaChange, SqlError> {
        let wanted = wanted(privileges)?;
        let targets = match objects {
            Some(objects) => self.objects(objects)?,
            None => self.roles_named(privileges)?,
        };
        let mut to = Vec::with_capacity(grantees.len());
        for grantee in grantees {
            to.push(self.grantee(grantee)?);
        }
        let mut definitions: Vec<Definition> = Vec::new();
        for target in targets {
            let usual = usual(&target.kind);
            let whole = if wanted.all { usual } else { wanted.privileges };
            if !usual.contains(whole) {
                return Err(SqlError::new(
                    "0LP01",
                    format!(
                        "invalid privilege type for {} {}",
                        target.kind.word(),
                        target.name
                    ),
                ));
            }
            let columns = columns_of(&target, &wanted.columns)?;
            self.check_grantable(&target, whole, &columns)?;
            let mut changed = target.clone();
            for grantee in &to {
                let grants = &mut changed.rights.grants;
                let place = match grants.binary_search_by_key(grantee, |grant| grant.grantee) {
                    Ok(place) => place,
                    Err(_) if grants.len() == GRANTS_MAX => {
                        return Err(SqlError::new(
                            "54000",
                            format!(
                                "{} has {GRANTS_MAX} grantees, the most there can be",
                                target.name
                            ),
                        )
                        .hint("Grant to a role, and the role to accounts."));
                    }
                    Err(place) => {
                        grants.insert(place, nothing(*grantee));
                        place
                    }
                };
                if let Some(grant) = grants.get_mut(place) {
                    change(grant, whole, &columns);
                }
            }
            changed
                .rights
                .grants
                .retain(|grant| *grant != nothing(grant.grantee));
            if changed != target {
                definitions.push(Definition::put(changed));
            }
        }
        if definitions.is_empty() {
            return Ok(SchemaChange::Nothing {
                tag,
                notice: "the privileges were so already".to_owned(),
            });
        }
        Ok(SchemaChange::Define {
            definitions,
            tag,
            restart: None,
        })
    }

    /// The owner grants all; others what was granted to them WITH GRANT OPTION.
    fn check_grantable(
        &self,
        target: &Table,
        whole: Privileges,
        columns: &[ColumnGrant],
    ) -> Result<(), SqlError> {
        if target.owner == self.acting && self.acting != AccountId::LEDGER {
            return Ok(());
        }
        let mine = target
            .rights
            .grants
            .iter()
            .filter(|grant| match grant.grantee {
                Grantee::Account(account) => account == self.acting,
                Grantee::Role(role) => self.catalogue.is_member(self.acting, role),
                Grantee::Public => false,
            });
        let mut all = Privileges::default();
        let mut on_columns: Vec<&ColumnGrant> = Vec::new();
        for grant in mine {
            all = all.with(grant.grantable.without(grant.denied));
            on_columns.extend(grant.columns.iter());
        }
        let column_allowed = |column: &ColumnGrant| {
            all.contains(column.granted)
                || on_columns.iter().any(|mine| {
                    mine.column == column.column && mine.grantable.contains(column.granted)
                })
        };
        let asks = whole != Privileges::default() || !columns.is_empty();
        if asks && all.contains(whole) && columns.iter().all(column_allowed) {
            return Ok(());
        }
        Err(denied(target))
    }

    fn objects(&mut self, objects: &GrantObjects) -> Result<Vec<Table>, SqlError> {
        let mut found = Vec::new();
        match objects {
            GrantObjects::Tables(names)
            | GrantObjects::Views(names)
            | GrantObjects::Sequences(names) => {
                for name in names {
                    found.push(Table::clone(&*self.table(name)?));
                }
            }
            GrantObjects::Schemas(names) => {
                for name in names {
                    found.push(self.schema_named(name)?);
                }
            }
            GrantObjects::AllTablesInSchema { schemas } => {
                self.all_in(
                    schemas,
                    |kind| matches!(kind, Kind::Table | Kind::View(_)),
                    &mut found,
                )?;
            }
            GrantObjects::AllSequencesInSchema { schemas } => {
                self.all_in(
                    schemas,
                    |kind| matches!(kind, Kind::Sequence(_)),
                    &mut found,
                )?;
            }
            GrantObjects::Procedure { name, .. } | GrantObjects::Function { name, .. } => {
                found.push(self.procedure_named(name)?);
            }
            other => {
                return Err(SqlError::unsupported(
                    format!("GRANT and REVOKE ON {other}"),
                    "They take tables, views, sequences, schemas, procedures and roles.",
                ));
            }
        }
        Ok(found)
    }

    /// What of a kind the account owns in some schemas.
    fn all_in(
        &self,
        schemas: &[ObjectName],
        of: impl Fn(&Kind) -> bool,
        found: &mut Vec<Table>,
    ) -> Result<(), SqlError> {
        for name in schemas {
            let schema = parts(name)?.pop().unwrap_or_default();
            if !self.catalogue.has_schema(&schema) {
                return Err(super::namespace::no_schema(&schema));
            }
            let all = self.catalogue.definitions();
            let own =
                all.filter(|one| one.schema == schema && of(&one.kind) && one.owner == self.acting);
            found.extend(own.map(|one| Table::clone(one)));
        }
        Ok(())
    }

    fn roles_named(&self, privileges: &Asked) -> Result<Vec<Table>, SqlError> {
        let Asked::Actions(actions) = privileges else {
            return Err(SqlError::new("42601", "syntax error: ON is missing"));
        };
        let mut roles = Vec::with_capacity(actions.len());
        for action in actions {
            let Action::Role { role } = action else {
                return Err(SqlError::new("42601", "syntax error: ON is missing"));
            };
            roles.push(self.role_named(role)?);
        }
        Ok(roles)
    }

    /// Whom a grantee's name means: PUBLIC, an account (`"st1…"`), or a role.
    fn grantee(&self, grantee: &GranteeName) -> Result<Grantee, SqlError> {
        if is_public(grantee) {
            return Ok(Grantee::Public);
        }
        match &grantee.name {
            Some(Name::ObjectName(name)) => self.grantee_named(&parts(name)?.join(".")),
            _ => Err(SqlError::new("42601", "syntax error: a grantee is needed")),
        }
    }

    pub(super) fn grantee_named(&self, name: &str) -> Result<Grantee, SqlError> {
        if name == "public" {
            return Ok(Grantee::Public);
        }
        if ["current_user", "session_user", "current_role"].contains(&name) {
            return Ok(Grantee::Account(self.acting));
        }
        if let Some(role) = self.catalogue.named(Class::Role, "", name) {
            return Ok(Grantee::Role(role.id));
        }
        name.parse()
            .map(Grantee::Account)
            .map_err(|_| no_role(name))
    }

    /// The account a name means, as an owner.
    pub(super) fn account_named(&self, name: &str) -> Result<AccountId, SqlError> {
        match self.grantee_named(name)? {
            Grantee::Account(account) => Ok(account),
            Grantee::Public | Grantee::Role(_) => Err(SqlError::unsupported(
                "a role as owner",
                "Owners are accounts: name one, and grant what the role needs.",
            )),
        }
    }

    pub(super) fn role_named(&self, name: &ObjectName) -> Result<Table, SqlError> {
        let (_, bare) = qualified(name)?;
        let role = self.catalogue.named(Class::Role, "", &bare);
        role.map(|role| Table::clone(role))
            .ok_or_else(|| no_role(&bare))
    }
}

pub(super) fn no_role(name: &str) -> SqlError {
    SqlError::new("42704", format!("role \"{name}\" does not exist"))
        .hint("Name a role, a user of this node, or an account: \"st1…\".")
}

fn is_public(grantee: &GranteeName) -> bool {
    grantee.grantee_type == GranteesType::Public
}

fn nothing(grantee: Grantee) -> Grant {
    Grant {
        grantee,
        granted: Privileges::default(),
        grantable: Privileges::default(),
        denied: Privileges::default(),
        columns: Vec::new(),
    }
}

/// The privileges there are on a kind of definition.
fn usual(kind: &Kind) -> Privileges {
    let rows = Privileges::SELECT
        .with(Privileges::INSERT)
        .with(Privileges::UPDATE)
        .with(Privileges::DELETE)
        .with(Privileges::REFERENCES);
    match kind {
        Kind::Table | Kind::View(_) => rows,
        Kind::Sequence(_) => Privileges::SELECT
            .with(Privileges::UPDATE)
            .with(Privileges::USAGE),
        Kind::Schema => Privileges::USAGE.with(Privileges::CREATE),
        Kind::Role => Privileges::MEMBER,
        Kind::Procedure(_) => Privileges::EXECUTE,
    }
}

fn wanted(privileges: &Asked) -> Result<Wanted, SqlError> {
    let mut wanted = Wanted {
        all: false,
        privileges: Privileges::default(),
        columns: Vec::new(),
    };
    let actions = match privileges {
        Asked::All { .. } => {
            wanted.all = true;
            return Ok(wanted);
        }
        Asked::Actions(actions) => actions,
    };
    for action in actions {
        let (privilege, columns) = match action {
            Action::Select { columns } => (Privileges::SELECT, columns.as_ref()),
            Action::Insert { columns } => (Privileges::INSERT, columns.as_ref()),
            Action::Update { columns } => (Privileges::UPDATE, columns.as_ref()),
            Action::References { columns } => (Privileges::REFERENCES, columns.as_ref()),
            Action::Delete => (Privileges::DELETE, None),
            Action::Usage => (Privileges::USAGE, None),
            Action::Create { obj_type: None } => (Privileges::CREATE, None),
            Action::Execute { obj_type: None } => (Privileges::EXECUTE, None),
            Action::Role { .. } => (Privileges::MEMBER, None),
            other => {
                return Err(SqlError::unsupported(
                    format!("the privilege {other}"),
                    "Privileges are SELECT, INSERT, UPDATE, DELETE, REFERENCES, USAGE, CREATE, EXECUTE.",
                ));
            }
        };
        match columns {
            None => wanted.privileges = wanted.privileges.with(privilege),
            Some(names) => {
                let names = names.iter().map(|name| (folded(name), privilege));
                wanted.columns.extend(names);
            }
        }
    }
    Ok(wanted)
}

fn columns_of(table: &Table, named: &[(String, Privileges)]) -> Result<Vec<ColumnGrant>, SqlError> {
    let mut columns: Vec<ColumnGrant> = Vec::new();
    for (name, privilege) in named {
        let column: ColumnId = table
            .column_named(name)
            .ok_or_else(|| {
                SqlError::new(
                    "42703",
                    format!(
                        "column \"{name}\" of relation \"{}\" does not exist",
                        table.name
                    ),
                )
            })?
            .id;
        match columns.iter_mut().find(|one| one.column == column) {
            Some(one) => one.granted = one.granted.with(*privilege),
            None => columns.push(ColumnGrant {
                column,
                granted: *privilege,
                grantable: Privileges::default(),
            }),
        }
    }
    Ok(columns)
}
