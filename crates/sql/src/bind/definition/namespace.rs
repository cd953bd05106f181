//! Schemas and roles, comments, owners.

use sqlparser::ast::{CommentObject, CreateRole, ObjectName, ObjectNamePart, Owner, SchemaName};
use stele_core::schema::{Class, Grantee, Kind, Table};

use super::grant::no_role;
use crate::bind::Binder;
use crate::bind::name::{folded, new_name, no_column, parts, qualified};
use crate::bound::{Definition, SchemaChange};
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn create_schema(
        &mut self,
        name: &SchemaName,
        if_not_exists: bool,
    ) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "CREATE SCHEMA";
        let (name, owner) = match name {
            SchemaName::Simple(name) => (simple(name)?, None),
            SchemaName::UnnamedAuthorization(owner) => (new_name(owner)?, Some(folded(owner))),
            SchemaName::NamedAuthorization(name, owner) => (simple(name)?, Some(folded(owner))),
        };
        if name.starts_with("pg_") || name == "information_schema" {
            return Err(
                SqlError::new("42939", format!("unacceptable schema name \"{name}\""))
                    .hint("The prefix \"pg_\" is reserved for system schemas."),
            );
        }
        if self.catalogue.has_schema(&name) {
            if if_not_exists {
                return Ok(SchemaChange::Nothing {
                    tag: TAG,
                    notice: format!("schema \"{name}\" already exists, skipping"),
                });
            }
            return Err(SqlError::new(
                "42P06",
                format!("schema \"{name}\" already exists"),
            ));
        }
        let mut schema = self.unowned(&name, Kind::Schema);
        if let Some(owner) = owner {
            schema.owner = self.account_named(&owner)?;
        }
        Ok(SchemaChange::put(schema, TAG))
    }

    pub(super) fn create_role(&mut self, create: &CreateRole) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "CREATE ROLE";
        if create.login == Some(true) || create.password.is_some() {
            return Err(SqlError::unsupported(
                "a role that logs in",
                "A user is a key of a node: `stele keys new NAME`. Roles are groups of users.",
            ));
        }
        let mut definitions = Vec::with_capacity(create.names.len());
        for name in &create.names {
            let name = simple(name)?;
            if name == "public" || name.parse::<stele_core::AccountId>().is_ok() {
                return Err(SqlError::new(
                    "42939",
                    format!("role name \"{name}\" is reserved"),
                ));
            }
            if self.catalogue.named(Class::Role, "", &name).is_some() {
                if create.if_not_exists {
                    continue;
                }
                return Err(SqlError::new(
                    "42710",
                    format!("role \"{name}\" already exists"),
                ));
            }
            definitions.push(Definition::put(self.unowned(&name, Kind::Role)));
        }
        Ok(SchemaChange::Define {
            definitions,
            tag: TAG,
            restart: None,
        })
    }

    fn unowned(&mut self, name: &str, kind: Kind) -> Table {
        let (id, owner) = (self.new_id(), self.context.account);
        Table {
            kind,
            primary_key_name: String::new(),
            ..Table::plain(id, ("", name), owner, Vec::new(), Vec::new())
        }
    }

    pub(super) fn drop_schema(
        &mut self,
        names: &[ObjectName],
        if_exists: bool,
        cascade: bool,
    ) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "DROP SCHEMA";
        let mut gone = Vec::new();
        for name in names {
            let bare = simple(name)?;
            let Some(schema) = self.catalogue.named(Class::Schema, "", &bare) else {
                if if_exists {
                    continue;
                }
                return Err(no_schema(&bare));
            };
            self.check_owned(schema)?;
            let all = self.catalogue.definitions();
            let inside: Vec<_> = all.filter(|one| one.schema == bare).collect();
            if let (Some(first), false) = (inside.first(), cascade) {
                let mut error = super::still_needed(self.catalogue, &[schema.id]);
                error.detail = Some(format!("{} {} is in it", first.kind.word(), first.name));
                return Err(error.hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            for one in inside {
                self.check_owned(one)?;
                gone.push(one.id);
            }
            gone.push(schema.id);
        }
        if gone.is_empty() {
            return Ok(SchemaChange::Nothing {
                tag: TAG,
                notice: "schema does not exist, skipping".to_owned(),
            });
        }
        Ok(SchemaChange::Define {
            definitions: self.dropped(gone, cascade)?,
            tag: TAG,
            restart: None,
        })
    }

    pub(super) fn drop_role(
        &mut self,
        names: &[ObjectName],
        if_exists: bool,
    ) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "DROP ROLE";
        let mut definitions = Vec::new();
        for name in names {
            let bare = simple(name)?;
            let Some(role) = self.catalogue.named(Class::Role, "", &bare) else {
                if if_exists {
                    continue;
                }
                return Err(no_role(&bare));
            };
            self.check_owned(role)?;
            let named = Grantee::Role(role.id);
            let uses = |one: &&std::sync::Arc<Table>| {
                let mut policies = one.rights.policies.iter();
                one.rights.grants.iter().any(|grant| grant.grantee == named)
                    || policies.any(|policy| policy.grantees.contains(&named))
            };
            if let Some(one) = self.catalogue.definitions().find(uses) {
                let mut error = super::still_needed(self.catalogue, &[role.id]);
                error.detail = Some(format!("privileges for {} {}", one.kind.word(), one.name));
                return Err(error.hint("REVOKE them first."));
            }
            definitions.push(Definition::drop(role.id));
        }
        if definitions.is_empty() {
            return Ok(SchemaChange::Nothing {
                tag: TAG,
                notice: "role does not exist, skipping".to_owned(),
            });
        }
        Ok(SchemaChange::Define {
            definitions,
            tag: TAG,
            restart: None,
        })
    }

    pub(super) fn comment(
        &mut self,
        of: CommentObject,
        name: &ObjectName,
        comment: Option<&str>,
    ) -> Result<SchemaChange, SqlError> {
        let comment = comment.filter(|text| !text.is_empty()).map(str::to_owned);
        if comment
            .as_ref()
            .is_some_and(|text| text.len() > stele_core::schema::EXPRESSION_LEN_MAX)
        {
            return Err(SqlError::new("54000", "the comment is too long")
                .hint("Comments have at most 16 KiB."));
        }
        let mut definition = match of {
            CommentObject::Table | CommentObject::View | CommentObject::Sequence => {
                Table::clone(&*self.table(name)?)
            }
            CommentObject::Column => {
                let mut parts = name.0.clone();
                let column = parts.pop();
                let column = column.as_ref().and_then(ObjectNamePart::as_ident);
                let column = column.map(folded).unwrap_or_default();
                let mut table = Table::clone(&*self.table(&ObjectName(parts))?);
                self.check_owned(&table)?;
                let mut columns = table.columns.iter_mut();
                let place = columns.find(|one| one.name == column);
                place.ok_or_else(|| no_column(&column))?.comment = comment;
                return Ok(SchemaChange::put(table, "COMMENT"));
            }
            CommentObject::Schema => self.schema_named(name)?,
            CommentObject::Role => self.role_named(name)?,
            CommentObject::Procedure => self.procedure_named(name)?,
            other => {
                return Err(SqlError::unsupported(
                    format!("COMMENT ON {other}"),
                    "Comments are taken on tables, columns, views, sequences, schemas, roles and procedures.",
                ));
            }
        };
        self.check_owned(&definition)?;
        definition.comment = comment;
        Ok(SchemaChange::put(definition, "COMMENT"))
    }

    /// OWNER TO: the owner gives it, and the sequences of its columns, to another account.
    pub(super) fn give_away(&mut self, table: &mut Table, owner: &Owner) -> Result<(), SqlError> {
        let owner = match owner {
            Owner::Ident(ident) => self.account_named(&folded(ident))?,
            Owner::CurrentRole | Owner::CurrentUser | Owner::SessionUser => self.acting,
        };
        if owner != self.acting && matches!(table.kind, Kind::View(_)) {
            return Err(SqlError::new(
                "42501",
                format!("view {} cannot be given to another account", table.name),
            )
            .detail("A view reads with the rights of its owner.")
            .hint("Have the new owner create it."));
        }
        table.owner = owner;
        for id in self.owned_sequences(table.id, None) {
            if let Some(sequence) = self.catalogue.table(id) {
                let mut sequence = Table::clone(sequence);
                sequence.owner = owner;
                self.made.push(Definition::put(sequence));
            }
        }
        Ok(())
    }

    pub(super) fn schema_named(&self, name: &ObjectName) -> Result<Table, SqlError> {
        let bare = simple(name)?;
        let found = self.catalogue.named(Class::Schema, "", &bare);
        match found {
            Some(schema) => Ok(Table::clone(schema)),
            None if self.catalogue.has_schema(&bare) => Err(SqlError::new(
                "42501",
                format!("must be owner of schema {bare}"),
            )
            .hint("It belongs to the ledger itself; everyone may use it.")),
            None => Err(no_schema(&bare)),
        }
    }

    pub(in crate::bind) fn procedure_named(&self, name: &ObjectName) -> Result<Table, SqlError> {
        let (schema, bare) = qualified(name)?;
        let named = |schema: &str| self.catalogue.named(Class::Procedure, schema, &bare);
        let found = match &schema {
            Some(schema) => named(schema),
            None => self.search_path.iter().find_map(|schema| named(schema)),
        };
        found
            .map(|one| Table::clone(one))
            .ok_or_else(|| SqlError::new("42883", format!("procedure {bare}() does not exist")))
    }
}

pub(super) fn no_schema(name: &str) -> SqlError {
    SqlError::new("3F000", format!("schema \"{name}\" does not exist"))
}

/// A name without dots.
fn simple(name: &ObjectName) -> Result<String, SqlError> {
    match (name.0.as_slice(), parts(name)?.as_slice()) {
        ([ObjectNamePart::Identifier(ident)], [_]) => new_name(ident),
        _ => Err(SqlError::new(
            "42601",
            format!("syntax error: {name} is not a plain name"),
        )),
    }
}
