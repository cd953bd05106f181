//! FOREIGN KEY and REFERENCES.

use sqlparser::ast::{
    ConstraintReferenceMatchKind, DeferrableInitial, ForeignKeyConstraint, Ident, ObjectName,
    ReferentialAction,
};
use stele_core::Type;
use stele_core::schema::{
    Action, CONSTRAINTS_MAX, ColumnId, ForeignKey, Index, Privileges, Table, TableId, Timing,
};

use super::constraint::{columns_by_name, too_many};
use crate::bind::Binder;
use crate::bind::name::{folded, made_name, new_name, qualified};
use crate::bound::Definition;
use crate::error::SqlError;

impl Binder<'_> {
    /// Adds a foreign key, of a column or of the table.
    pub(super) fn add_foreign_key(
        &mut self,
        table: &mut Table,
        name: Option<&Ident>,
        columns: Vec<ColumnId>,
        constraint: &ForeignKeyConstraint,
    ) -> Result<(), SqlError> {
        let constraints = table.indexes.len() + table.checks.len() + table.foreign_keys.len();
        if constraints >= CONSTRAINTS_MAX {
            return Err(too_many(&table.name));
        }
        if matches!(
            constraint.match_kind,
            Some(ConstraintReferenceMatchKind::Full | ConstraintReferenceMatchKind::Partial)
        ) {
            return Err(SqlError::unsupported(
                "MATCH FULL and MATCH PARTIAL",
                "Make the columns NOT NULL, or add a CHECK that all or none are NULL.",
            ));
        }
        let own = self.is_name_of(table, &constraint.foreign_table)?;
        let parent = if own {
            table.clone()
        } else {
            let parent = self.table(&constraint.foreign_table)?;
            self.check_privilege(&parent, Privileges::REFERENCES)?;
            if parent.kind != stele_core::schema::Kind::Table {
                return Err(super::sequence::wrong_kind(&parent, "table"));
            }
            Table::clone(&parent)
        };
        let referenced = if constraint.referred_columns.is_empty() {
            parent.primary_key.clone()
        } else {
            let names = constraint
                .referred_columns
                .iter()
                .map(|name| Ok(folded(name)));
            columns_by_name(&parent, names).map_err(|mut error| {
                if let Some(start) = error.message.find(" named in key") {
                    error.message.truncate(start);
                    error
                        .message
                        .push_str(" referenced in foreign key constraint does not exist");
                }
                error
            })?
        };
        if referenced.len() != columns.len() {
            return Err(SqlError::new(
                "42830",
                "number of referencing and referenced columns for foreign key disagree",
            ));
        }
        check_unique(&parent, &referenced)?;
        let name = self.foreign_key_name(table, name, &columns)?;
        check_types(table, &columns, &parent, &referenced, &name)?;
        let action = |action: Option<ReferentialAction>| match action {
            None | Some(ReferentialAction::NoAction) => Action::NoAction,
            Some(ReferentialAction::Restrict) => Action::Restrict,
            Some(ReferentialAction::Cascade) => Action::Cascade,
            Some(ReferentialAction::SetNull) => Action::SetNull,
            Some(ReferentialAction::SetDefault) => Action::SetDefault,
        };
        let when = constraint.characteristics.as_ref();
        let deferred = when.and_then(|when| when.initially) == Some(DeferrableInitial::Deferred);
        let timing = match when.and_then(|when| when.deferrable) {
            Some(false) if deferred => {
                return Err(SqlError::new(
                    "42601",
                    "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
                ));
            }
            _ if deferred => Timing::Deferred,
            Some(true) => Timing::Deferrable,
            _ => Timing::Immediate,
        };
        table.foreign_keys.push(ForeignKey {
            name,
            columns,
            references: parent.id,
            referenced,
            on_delete: action(constraint.on_delete),
            on_update: action(constraint.on_update),
            timing,
        });
        Ok(())
    }

    fn is_name_of(&self, table: &Table, name: &ObjectName) -> Result<bool, SqlError> {
        let (schema, bare) = qualified(name)?;
        let schema = schema.unwrap_or_else(|| table.schema.clone());
        Ok(bare == table.name && schema == table.schema)
    }

    fn foreign_key_name(
        &self,
        table: &Table,
        name: Option<&Ident>,
        columns: &[ColumnId],
    ) -> Result<String, SqlError> {
        let taken = |name: &str| has_constraint(table, name);
        if let Some(name) = name {
            let name = new_name(name)?;
            if taken(&name) {
                return Err(SqlError::new(
                    "42710",
                    format!(
                        "constraint \"{name}\" for relation \"{}\" already exists",
                        table.name
                    ),
                ));
            }
            return Ok(name);
        }
        let mut pieces = vec![table.name.as_str()];
        let columns = columns.iter().filter_map(|id| table.column(*id));
        pieces.extend(columns.map(|column| column.name.as_str()));
        pieces.push("fkey");
        let wanted = made_name(&pieces);
        let mut name = wanted.clone();
        let mut number = 0;
        while taken(&name) {
            number += 1;
            name = made_name(&[&format!("{wanted}{number}")]);
        }
        Ok(name)
    }

    /// Foreign keys that refer to what goes: refused, or with CASCADE taken out of their tables.
    pub(super) fn loosen_foreign_keys(
        &self,
        table: &Table,
        gone: &[TableId],
        cascade: bool,
        definitions: &mut Vec<Definition>,
    ) -> Result<(), SqlError> {
        let refers = |key: &ForeignKey| gone.contains(&key.references);
        let Some(key) = table.foreign_keys.iter().find(|key| refers(key)) else {
            return Ok(());
        };
        if !cascade {
            let parent = self.catalogue.table(key.references);
            let mut error = super::still_needed(self.catalogue, &[key.references]);
            error.detail = Some(format!(
                "constraint {} on table {} depends on table {}",
                key.name,
                table.name,
                parent.map_or("", |parent| parent.name.as_str())
            ));
            return Err(error.hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let mut table = table.clone();
        table.foreign_keys.retain(|key| !refers(key));
        definitions.push(Definition::put(table));
        Ok(())
    }

    /// Refuses to change a table so that a foreign key of another, or its own, refers to nothing unique.
    pub(super) fn check_referenced(&self, table: &Table) -> Result<(), SqlError> {
        let own = table.foreign_keys.iter().map(|key| (table, key));
        let others = self
            .catalogue
            .tables()
            .filter(|other| other.id != table.id)
            .flat_map(|other| other.foreign_keys.iter().map(|key| (other.as_ref(), key)));
        for (child, key) in others
            .chain(own)
            .filter(|(_, key)| key.references == table.id)
        {
            if !is_unique(table, &key.referenced) {
                let mut error = SqlError::new(
                    "2BP01",
                    format!(
                        "cannot change table {}: other objects depend on it",
                        table.name
                    ),
                );
                error.detail = Some(format!(
                    "constraint {} on table {} needs its columns and their unique constraint",
                    key.name, child.name
                ));
                return Err(error.hint("Drop that constraint first."));
            }
            check_types(child, &key.columns, table, &key.referenced, &key.name)?;
        }
        Ok(())
    }
}

/// Whether a constraint of the table has that name.
pub(super) fn has_constraint(table: &Table, name: &str) -> bool {
    table.primary_key_name == name
        || table.indexes.iter().any(|index| index.name == name)
        || table.checks.iter().any(|check| check.name == name)
        || table.foreign_keys.iter().any(|key| key.name == name)
}

fn is_unique(parent: &Table, columns: &[ColumnId]) -> bool {
    let same = |unique: &[ColumnId]| {
        unique.len() == columns.len() && columns.iter().all(|id| unique.contains(id))
    };
    let mut indexes = parent.indexes.iter().filter(|index| index.unique);
    same(&parent.primary_key)
        || indexes.any(|index| Index::plain_columns(index).is_some_and(|unique| same(&unique)))
}

fn check_unique(parent: &Table, columns: &[ColumnId]) -> Result<(), SqlError> {
    if is_unique(parent, columns) {
        return Ok(());
    }
    Err(SqlError::new(
        "42830",
        format!(
            "there is no unique constraint matching given keys for referenced table \"{}\"",
            parent.name
        ),
    ))
}

/// The columns of both sides hold values that are kept alike.
fn check_types(
    child: &Table,
    columns: &[ColumnId],
    parent: &Table,
    referenced: &[ColumnId],
    name: &str,
) -> Result<(), SqlError> {
    for (own, other) in columns.iter().zip(referenced) {
        let (Some(own), Some(other)) = (child.column(*own), parent.column(*other)) else {
            continue;
        };
        if widest(own.ty) != widest(other.ty) {
            let mut error = SqlError::new(
                "42804",
                format!("foreign key constraint \"{name}\" cannot be implemented"),
            );
            error.detail = Some(format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                own.name, other.name, own.ty, other.ty
            ));
            return Err(error);
        }
    }
    Ok(())
}

/// The widest type whose values are kept as those of a type are.
pub(crate) fn widest(ty: Type) -> Type {
    match ty {
        Type::SmallInt | Type::Integer => Type::BigInt,
        Type::Varchar(_) | Type::Char(_) => Type::Text,
        Type::Numeric { scale, .. } => Type::Numeric {
            precision: stele_core::value::NUMERIC_PRECISION_MAX,
            scale,
        },
        other => other,
    }
}
