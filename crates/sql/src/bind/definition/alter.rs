//! ALTER TABLE.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, CastKind, ColumnDef, Expr, GeneratedAs,
    Ident, ObjectNamePart, RenameTableNameKind, SequenceOptions, visit_expressions_mut,
};
use stele_core::schema::{ColumnId, Index, IndexPart, Kind as Defined, RowSecurity, Table};
use stele_core::{Type, Value};

use super::constraint::{already_exists, normalised};
use super::create::check_free;
use crate::bind::Binder;
use crate::bind::expression::Kind;
use crate::bind::name::{folded, new_name, qualified};
use crate::bind::type_name::column_type;
use crate::bound::{Definition, SchemaChange};
use crate::error::SqlError;
use crate::parse::parse_expression;

const TAG: &str = "ALTER TABLE";

impl Binder<'_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Result<SchemaChange, SqlError> {
        let (schema, bare) = qualified(&alter.name)?;
        if alter.if_exists && self.find_table(schema.as_deref(), &bare).is_none() {
            return Ok(SchemaChange::Nothing {
                tag: TAG,
                notice: format!("relation \"{bare}\" does not exist, skipping"),
            });
        }
        let before = self.table(&alter.name)?;
        self.check_owned(&before)?;
        let tag = match before.kind {
            Defined::Sequence(_) => "ALTER SEQUENCE",
            Defined::View(_) => "ALTER VIEW",
            _ => TAG,
        };
        let mut table = Table::clone(&before);
        let mut notice = None;
        let any_kind = |operation: &AlterTableOperation| {
            matches!(
                operation,
                AlterTableOperation::RenameTable { .. } | AlterTableOperation::OwnerTo { .. }
            )
        };
        if before.kind != Defined::Table && !alter.operations.iter().all(any_kind) {
            return Err(super::sequence::wrong_kind(&before, "table"));
        }
        for operation in &alter.operations {
            notice = self.alter_operation(&mut table, operation)?.or(notice);
        }
        Ok(match notice {
            Some(notice) if table == *before => SchemaChange::Nothing { tag, notice },
            _ => {
                let definitions = if table.primary_key == before.primary_key {
                    self.check_referenced(&table)?;
                    let mut definitions = std::mem::take(&mut self.made);
                    definitions.insert(0, Definition::put(table));
                    definitions
                } else {
                    self.keyed(&before, table)?
                };
                SchemaChange::Define {
                    definitions,
                    tag,
                    restart: None,
                }
            }
        })
    }

    /// A table gets a primary key in place of the hidden one. To the ledger it is another table, with
    /// the rows of the first: a row's key is what its proofs and its history go by.
    fn keyed(&mut self, before: &Table, mut table: Table) -> Result<Vec<Definition>, SqlError> {
        let alone = |mut error: SqlError| {
            if error.code.as_str() == "2BP01" {
                error.message = format!(
                    "cannot add a primary key to table {} because other objects depend on it",
                    before.name
                );
                error.hint("Drop them, add the key, make them anew.")
            } else {
                error
            }
        };
        let mut gone = vec![before.id];
        self.dependent_views(&mut gone, false).map_err(alone)?;
        let mut loosened = Vec::new();
        self.loosen(&gone, false, &mut loosened).map_err(alone)?;
        table.id = self.new_id();
        for key in &mut table.foreign_keys {
            if key.references == before.id {
                key.references = table.id;
            }
        }
        let mut made = std::mem::take(&mut self.made);
        for id in self.owned_sequences(before.id, None) {
            let Some(sequence) = self.catalogue.table(id) else {
                continue;
            };
            let mut sequence = Table::clone(sequence);
            if let Defined::Sequence(counts) = &mut sequence.kind {
                counts.owned_by = counts.owned_by.map(|(_, column)| (table.id, column));
            }
            made.push(Definition::put(sequence));
        }
        self.check_referenced(&table)?;
        let mut definitions = vec![
            Definition::drop(before.id),
            Definition {
                rows_of: Some(before.id),
                ..Definition::put(table)
            },
        ];
        definitions.append(&mut made);
        Ok(definitions)
    }

    /// Does one operation; gives what was skipped, if anything.
    fn alter_operation(
        &mut self,
        table: &mut Table,
        operation: &AlterTableOperation,
    ) -> Result<Option<String>, SqlError> {
        match operation {
            AlterTableOperation::AddColumn {
                if_not_exists,
                column_def,
                column_position: None,
                ..
            } => return self.add_column(table, column_def, *if_not_exists),
            AlterTableOperation::DropColumn {
                column_names,
                if_exists,
                ..
            } => {
                for name in column_names {
                    let id = table.column_named(&folded(name)).map(|column| column.id);
                    if let Some(notice) = drop_column(table, name, *if_exists)? {
                        return Ok(Some(notice));
                    }
                    let gone = self.owned_sequences(table.id, id);
                    self.made.extend(gone.into_iter().map(Definition::drop));
                }
            }
            AlterTableOperation::RenameColumn {
                old_column_name,
                new_column_name,
            } => rename_column(table, old_column_name, new_column_name)?,
            AlterTableOperation::RenameTable { table_name } => {
                let (RenameTableNameKind::To(name) | RenameTableNameKind::As(name)) = table_name;
                let ident = name.0.last().and_then(ObjectNamePart::as_ident);
                let name = new_name(
                    ident.ok_or_else(|| SqlError::new("42601", "syntax error in ALTER TABLE"))?,
                )?;
                if self.name_taken(&table.schema, &name) {
                    return Err(already_exists(&name));
                }
                table.name = name;
            }
            AlterTableOperation::AddConstraint {
                constraint,
                not_valid: false,
            } => self.table_constraint(table, constraint)?,
            AlterTableOperation::DropConstraint {
                if_exists, name, ..
            } => return drop_constraint(table, name, *if_exists),
            AlterTableOperation::EnableRowLevelSecurity => {
                if table.rights.row_security == RowSecurity::Off {
                    table.rights.row_security = RowSecurity::Enabled;
                }
            }
            AlterTableOperation::DisableRowLevelSecurity => {
                table.rights.row_security = RowSecurity::Off;
            }
            AlterTableOperation::ForceRowLevelSecurity => {
                table.rights.row_security = RowSecurity::Forced;
            }
            AlterTableOperation::NoForceRowLevelSecurity => {
                if table.rights.row_security == RowSecurity::Forced {
                    table.rights.row_security = RowSecurity::Enabled;
                }
            }
            AlterTableOperation::OwnerTo { new_owner } => self.give_away(table, new_owner)?,
            AlterTableOperation::AlterColumn { column_name, op } => {
                self.alter_column(table, column_name, op)?;
            }
            other => {
                return Err(SqlError::unsupported(
                    format!("ALTER TABLE … {other}"),
                    "ALTER TABLE takes ADD, DROP and RENAME COLUMN, ALTER COLUMN SET or DROP DEFAULT and NOT NULL, ADD and DROP CONSTRAINT, RENAME TO, ENABLE, DISABLE, FORCE and NO FORCE ROW LEVEL SECURITY.",
                ));
            }
        }
        Ok(None)
    }

    fn add_column(
        &mut self,
        table: &mut Table,
        definition: &ColumnDef,
        if_not_exists: bool,
    ) -> Result<Option<String>, SqlError> {
        let name = folded(&definition.name);
        if table.column_named(&name).is_some() {
            if if_not_exists {
                return Ok(Some(format!(
                    "column \"{name}\" of relation \"{}\" already exists, skipping",
                    table.name
                )));
            }
            return Err(SqlError::new(
                "42701",
                format!(
                    "column \"{name}\" of relation \"{}\" already exists",
                    table.name
                ),
            ));
        }
        let (mut column, pending) = self.column(table, definition)?;
        if column.default.is_some() {
            let value = self.default_of(&column)?;
            column.missing = match value.kind {
                Kind::Null => Value::Null,
                Kind::Constant(value) => value,
                _ => {
                    return Err(SqlError::unsupported(
                        "ADD COLUMN with a DEFAULT that is no constant",
                        "Add the column, set its DEFAULT, then UPDATE the rows.",
                    ));
                }
            };
        }
        let id = column.id;
        table.next_column = ColumnId(id.0 + 1);
        table.columns.push(column);
        table.columns.sort_by_key(|column| column.id);
        for option in &pending {
            self.column_constraint(table, id, option)?;
        }
        Ok(None)
    }

    fn alter_column(
        &mut self,
        table: &mut Table,
        name: &Ident,
        operation: &AlterColumnOperation,
    ) -> Result<(), SqlError> {
        let id = column_id(table, name)?;
        let default = match (operation, table.column(id)) {
            (AlterColumnOperation::SetDefault { value }, Some(column)) => {
                self.default(&column.clone(), value)?
            }
            _ => None,
        };
        if let AlterColumnOperation::AddGenerated {
            generated_as,
            sequence_options,
        } = operation
        {
            return self.add_identity(table, id, *generated_as, sequence_options.as_deref());
        }
        let in_key = table.primary_key.contains(&id);
        let Some(column) = table.columns.iter_mut().find(|column| column.id == id) else {
            return Ok(());
        };
        match operation {
            AlterColumnOperation::SetDefault { .. } | AlterColumnOperation::DropDefault => {
                column.default = default;
            }
            AlterColumnOperation::SetNotNull => column.not_null = true,
            AlterColumnOperation::DropNotNull if column.identity.is_some() => {
                return Err(SqlError::new(
                    "42601",
                    format!("column \"{}\" is an identity column", column.name),
                ));
            }
            AlterColumnOperation::DropNotNull if in_key => {
                return Err(SqlError::new(
                    "42P16",
                    format!("column \"{}\" is in a primary key", column.name),
                ));
            }
            AlterColumnOperation::DropNotNull => column.not_null = false,
            AlterColumnOperation::SetDataType {
                data_type, using, ..
            } => {
                let ty = column_type(data_type)?;
                let is_plain = |using: &Expr| is_plain_cast(using, name, ty);
                if !using.as_ref().is_none_or(is_plain) {
                    return Err(SqlError::unsupported(
                        "ALTER COLUMN … TYPE … USING an expression",
                        "Add a column of the new type, UPDATE it, drop the old one.",
                    ));
                }
                if !widens(column.ty, ty) {
                    return Err(SqlError::unsupported(
                        format!("changing type {} to {ty}", column.ty),
                        "A type can be widened: SMALLINT, INTEGER, BIGINT; VARCHAR and NUMERIC to more characters or digits, VARCHAR to TEXT. Else add a column of the new type, UPDATE it, drop the old one.",
                    ));
                }
                if in_key && matches!(ty, Type::Text) {
                    return Err(SqlError::unsupported(
                        "TEXT in a primary key",
                        "Use VARCHAR(n): an encoded primary key has at most 767 bytes.",
                    ));
                }
                column.ty = ty;
            }
            _ => {
                return Err(SqlError::unsupported(
                    "this change of a column",
                    "Add a column of the new type, UPDATE it, drop the old one.",
                ));
            }
        }
        Ok(())
    }
}

impl Binder<'_> {
    fn add_identity(
        &mut self,
        table: &mut Table,
        id: ColumnId,
        generated_as: Option<GeneratedAs>,
        options: Option<&[SequenceOptions]>,
    ) -> Result<(), SqlError> {
        let Some(mut column) = table.column(id).cloned() else {
            return Ok(());
        };
        if !column.not_null {
            return Err(SqlError::new(
                "55000",
                format!(
                    "column \"{}\" of relation \"{}\" must be declared NOT NULL before identity can be added",
                    column.name, table.name
                ),
            ));
        }
        let always = generated_as == Some(GeneratedAs::Always);
        self.make_identity(table, &mut column, always, options.unwrap_or_default())?;
        if let Some(place) = table.columns.iter_mut().find(|column| column.id == id) {
            *place = column;
        }
        Ok(())
    }
}

/// Whether each value of a type is one of the other, kept and encoded alike: no row is touched.
fn widens(from: Type, to: Type) -> bool {
    match (from, to) {
        (Type::SmallInt, Type::SmallInt | Type::Integer | Type::BigInt)
        | (Type::Integer, Type::Integer | Type::BigInt)
        | (Type::Varchar(_) | Type::Char(_), Type::Text) => true,
        (Type::Varchar(old), Type::Varchar(new))
        | (Type::Char(old), Type::Char(new) | Type::Varchar(new)) => old <= new,
        (
            Type::Numeric { precision, scale },
            Type::Numeric {
                precision: wider,
                scale: same,
            },
        ) => precision <= wider && scale == same,
        (old, new) => old == new,
    }
}

fn column_id(table: &Table, name: &Ident) -> Result<ColumnId, SqlError> {
    let name = folded(name);
    table
        .column_named(&name)
        .map(|column| column.id)
        .filter(|id| *id != ColumnId::ROW)
        .ok_or_else(|| {
            SqlError::new(
                "42703",
                format!(
                    "column \"{name}\" of relation \"{}\" does not exist",
                    table.name
                ),
            )
        })
}

fn rename_column(table: &mut Table, old: &Ident, new: &Ident) -> Result<(), SqlError> {
    let id = column_id(table, old)?;
    let new = new_name(new)?;
    check_free(&new)?;
    if table.column_named(&new).is_some() {
        return Err(SqlError::new(
            "42701",
            format!(
                "column \"{new}\" of relation \"{}\" already exists",
                table.name
            ),
        ));
    }
    let old = folded(old);
    // Expressions are kept as text, in which the column has its new name from now on.
    for check in &mut table.checks {
        check.expression = renamed(&check.expression, &old, &new)?;
    }
    for index in &mut table.indexes {
        for key in &mut index.keys {
            if let IndexPart::Expression(text) = &mut key.part {
                *text = renamed(text, &old, &new)?;
            }
        }
        if let Some(text) = &mut index.predicate {
            *text = renamed(text, &old, &new)?;
        }
    }
    if let Some(column) = table.columns.iter_mut().find(|column| column.id == id) {
        column.name = new;
    }
    Ok(())
}

/// An expression over a table's columns, in which one has another name. Types and functions of that
/// name stay what they are.
fn renamed(text: &str, old: &str, new: &str) -> Result<String, SqlError> {
    let mut tree = parse_expression(text)?;
    let mut found = false;
    let _ = visit_expressions_mut(&mut tree, |inner: &mut Expr| {
        let name = match inner {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(path) => path.last_mut(),
            _ => None,
        };
        if let Some(name) = name.filter(|name| folded(name) == old) {
            *name = Ident::with_quote('"', new);
            found = true;
        }
        ControlFlow::<()>::Continue(())
    });
    if found {
        normalised(&tree)
    } else {
        Ok(text.to_owned())
    }
}

/// Whether USING says what changing the type does anyway: the column, or a cast of it to the type.
fn is_plain_cast(using: &Expr, column: &Ident, ty: Type) -> bool {
    match using {
        Expr::Nested(inner) => is_plain_cast(inner, column, ty),
        Expr::Identifier(name) => folded(name) == folded(column),
        Expr::Cast {
            kind: CastKind::Cast | CastKind::DoubleColon,
            expr,
            data_type,
            ..
        } => {
            matches!(column_type(data_type), Ok(to) if to == ty) && is_plain_cast(expr, column, ty)
        }
        _ => false,
    }
}

/// Whether an expression or the condition of an index names a column.
fn index_mentions(index: &Index, column: &str) -> bool {
    let mut expressions = index.keys.iter().filter_map(|key| match &key.part {
        IndexPart::Expression(text) => Some(text),
        IndexPart::Column(_) => None,
    });
    expressions.any(|text| mentions(text, column))
        || index
            .predicate
            .as_ref()
            .is_some_and(|text| mentions(text, column))
}

/// Whether an expression's text names a column; too often rather than too seldom.
fn mentions(expression: &str, column: &str) -> bool {
    expression
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|word| word.eq_ignore_ascii_case(column))
        || column.contains(|c: char| !(c.is_alphanumeric() || c == '_'))
            && expression.contains(column)
}

fn drop_column(
    table: &mut Table,
    name: &Ident,
    if_exists: bool,
) -> Result<Option<String>, SqlError> {
    let bare = folded(name);
    if if_exists && table.column_named(&bare).is_none() {
        return Ok(Some(format!(
            "column \"{bare}\" of relation \"{}\" does not exist, skipping",
            table.name
        )));
    }
    let id = column_id(table, name)?;
    if table.primary_key.contains(&id) {
        return Err(SqlError::new(
            "0A000",
            format!("cannot drop column \"{bare}\": it is in the primary key"),
        )
        .hint("Create a table with another key and copy the rows."));
    }
    table
        .indexes
        .retain(|index| !index.names(id) && !index_mentions(index, &bare));
    table.foreign_keys.retain(|key| {
        let own = key.references == table.id && key.referenced.contains(&id);
        !(own || key.columns.contains(&id))
    });
    table
        .checks
        .retain(|check| !mentions(&check.expression, &bare));
    table.columns.retain(|column| column.id != id);
    Ok(None)
}

fn drop_constraint(
    table: &mut Table,
    name: &Ident,
    if_exists: bool,
) -> Result<Option<String>, SqlError> {
    let name = folded(name);
    if name == table.primary_key_name {
        return Err(SqlError::unsupported(
            "dropping a primary key",
            "Create a table with another key and copy the rows.",
        ));
    }
    let count = |table: &Table| table.indexes.len() + table.checks.len() + table.foreign_keys.len();
    let before = count(table);
    table.foreign_keys.retain(|key| key.name != name);
    table
        .indexes
        .retain(|index| !(index.constraint && index.name == name));
    table.checks.retain(|check| check.name != name);
    if count(table) < before {
        return Ok(None);
    }
    let message = format!(
        "constraint \"{name}\" of relation \"{}\" does not exist",
        table.name
    );
    if if_exists {
        return Ok(Some(format!("{message}, skipping")));
    }
    Err(SqlError::new("42704", message))
}
