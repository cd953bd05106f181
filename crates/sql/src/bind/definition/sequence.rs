//! CREATE, ALTER and DROP SEQUENCE, and the sequences of identity columns.

use sqlparser::ast::{Expr, ObjectName, ObjectNamePart, SequenceOptions, UnaryOperator, Value};
use stele_core::Type;
use stele_core::schema::{Column, ColumnId, Identity, Kind, Sequence, Table, TableId};

use super::constraint::already_exists;
use crate::bind::Binder;
use crate::bind::name::{made_name, new_name, qualified};
use crate::bind::type_name::column_type;
use crate::bound::{Definition, SchemaChange};
use crate::error::SqlError;

/// The columns of every sequence, as PostgreSQL names them. `log_cnt` is always 0: it is the key.
const LAST_VALUE: &str = "last_value";
const LOG_COUNT: &str = "log_cnt";
const IS_CALLED: &str = "is_called";

impl Binder<'_> {
    pub(super) fn create_sequence(
        &mut self,
        name: &ObjectName,
        if_not_exists: bool,
        ty: Option<&sqlparser::ast::DataType>,
        options: &[SequenceOptions],
        owned_by: Option<&ObjectName>,
    ) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "CREATE SEQUENCE";
        let (schema, name) = self.new_place(name)?;
        if self.name_taken(&schema, &name) {
            if if_not_exists {
                return Ok(SchemaChange::Nothing {
                    tag: TAG,
                    notice: format!("relation \"{name}\" already exists, skipping"),
                });
            }
            return Err(already_exists(&name));
        }
        let ty = ty.map_or(Ok(Type::BigInt), column_type)?;
        let mut sequence = fresh(ty)?;
        set_options(&mut sequence, options, true)?;
        if let Some(owned_by) = owned_by {
            sequence.owned_by = self.sequence_owner(owned_by)?;
        }
        let id = self.new_id();
        let table = self.sequence_table(id, &schema, &name, sequence);
        Ok(SchemaChange::put(table, TAG))
    }

    /// ALTER SEQUENCE: the options given, and RESTART.
    pub(super) fn alter_sequence(
        &mut self,
        name: &ObjectName,
        ty: Option<&sqlparser::ast::DataType>,
        options: &[SequenceOptions],
        owned_by: Option<&ObjectName>,
        (if_exists, restart): (bool, Option<Option<i64>>),
    ) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "ALTER SEQUENCE";
        let (schema, bare) = qualified(name)?;
        if if_exists && self.find_table(schema.as_deref(), &bare).is_none() {
            return Ok(SchemaChange::Nothing {
                tag: TAG,
                notice: format!("relation \"{bare}\" does not exist, skipping"),
            });
        }
        let before = self.table(name)?;
        self.check_owned(&before)?;
        let mut table = Table::clone(&before);
        let Kind::Sequence(sequence) = &mut table.kind else {
            return Err(wrong_kind(&before, "sequence"));
        };
        if let Some(ty) = ty {
            let wanted = fresh(column_type(ty)?)?;
            if sequence.max == fresh(sequence.ty)?.max {
                sequence.max = wanted.max;
            }
            sequence.ty = wanted.ty;
        }
        set_options(sequence, options, false)?;
        if let Some(owned_by) = owned_by {
            sequence.owned_by = self.sequence_owner(owned_by)?;
        }
        let restart = restart.map(|value| value.unwrap_or(sequence.start));
        if let Some(value) = restart
            && !(sequence.min..=sequence.max).contains(&value)
        {
            let message = if value < sequence.min {
                let min = sequence.min;
                format!("RESTART value ({value}) cannot be less than MINVALUE ({min})")
            } else {
                let max = sequence.max;
                format!("RESTART value ({value}) cannot be greater than MAXVALUE ({max})")
            };
            return Err(SqlError::new("22023", message));
        }
        let restart = restart.map(|value| (table.id, value));
        Ok(SchemaChange::Define {
            definitions: vec![Definition::put(table)],
            tag: TAG,
            restart,
        })
    }

    /// `t.column`, or NONE.
    fn sequence_owner(
        &mut self,
        name: &ObjectName,
    ) -> Result<Option<(TableId, ColumnId)>, SqlError> {
        let mut parts = name.0.clone();
        let column = match parts.pop() {
            Some(ObjectNamePart::Identifier(ident)) => crate::bind::name::folded(&ident),
            _ => String::new(),
        };
        if parts.is_empty() && column == "none" {
            return Ok(None);
        }
        if parts.is_empty() {
            return Err(SqlError::new("42601", "invalid OWNED BY option")
                .hint("Specify OWNED BY table.column or OWNED BY NONE."));
        }
        let table = self.table(&ObjectName(parts))?;
        self.check_owned(&table)?;
        let column = table
            .column_named(&column)
            .ok_or_else(|| crate::bind::name::no_column(&column))?;
        Ok(Some((table.id, column.id)))
    }

    /// Makes a column an identity column: its sequence comes with it.
    pub(super) fn make_identity(
        &mut self,
        table: &Table,
        column: &mut Column,
        always: bool,
        options: &[SequenceOptions],
    ) -> Result<(), SqlError> {
        if !matches!(column.ty, Type::SmallInt | Type::Integer | Type::BigInt) {
            return Err(SqlError::new(
                "22023",
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        if column.default.is_some() || column.identity.is_some() {
            return Err(SqlError::new(
                "42601",
                format!(
                    "both default and identity specified for column \"{}\" of table \"{}\"",
                    column.name, table.name
                ),
            ));
        }
        let mut sequence = fresh(column.ty)?;
        set_options(&mut sequence, options, true)?;
        sequence.owned_by = Some((table.id, column.id));
        let id = self.new_id();
        let wanted = made_name(&[&table.name, &column.name, "seq"]);
        let name = self.free_name(&table.schema, table, &wanted);
        let definition = self.sequence_table(id, &table.schema, &name, sequence);
        self.made.push(Definition::put(definition));
        column.identity = Some(Identity {
            always,
            sequence: id,
        });
        column.not_null = true;
        Ok(())
    }

    fn sequence_table(&self, id: TableId, schema: &str, name: &str, sequence: Sequence) -> Table {
        let columns = [
            (LAST_VALUE, Type::BigInt),
            (LOG_COUNT, Type::BigInt),
            (IS_CALLED, Type::Bool),
        ];
        let columns = columns.iter().zip(1u16..).map(|((name, ty), id)| Column {
            not_null: true,
            ..Column::plain(ColumnId(id), (*name).to_owned(), *ty)
        });
        let key = vec![ColumnId(2)];
        Table {
            kind: Kind::Sequence(sequence),
            ..Table::plain(
                id,
                (schema, name),
                self.context.account,
                columns.collect(),
                key,
            )
        }
    }

    /// Schema and name of something new, checked.
    pub(super) fn new_place(&self, name: &ObjectName) -> Result<(String, String), SqlError> {
        let (schema, _) = qualified(name)?;
        let ident = name.0.last().and_then(ObjectNamePart::as_ident);
        let ident =
            ident.ok_or_else(|| SqlError::new("42601", "syntax error: a name is needed"))?;
        let name = new_name(ident)?;
        let schema = schema.unwrap_or_else(|| self.first_schema().to_owned());
        self.check_creatable(&schema)?;
        Ok((schema, name))
    }

    /// The next id a definition can have.
    pub(super) fn new_id(&mut self) -> TableId {
        let id = TableId(self.catalogue.next_table().0.saturating_add(self.ids_taken));
        self.ids_taken += 1;
        id
    }

    /// The sequences that go away with columns of a table.
    pub(in crate::bind) fn owned_sequences(
        &self,
        table: TableId,
        column: Option<ColumnId>,
    ) -> Vec<TableId> {
        let owned = |definition: &Table| match &definition.kind {
            Kind::Sequence(Sequence {
                owned_by: Some((of, at)),
                ..
            }) => *of == table && column.is_none_or(|column| column == *at),
            _ => false,
        };
        let all = self.catalogue.definitions();
        all.filter(|definition| owned(definition))
            .map(|definition| definition.id)
            .collect()
    }
}

/// 42809: the name is of something else.
pub(super) fn wrong_kind(table: &Table, wanted: &str) -> SqlError {
    SqlError::new("42809", format!("\"{}\" is not a {wanted}", table.name))
        .hint(format!("It is a {}.", table.kind.word()))
}

/// A sequence of a type, ascending from 1.
fn fresh(ty: Type) -> Result<Sequence, SqlError> {
    let max = match ty {
        Type::SmallInt => i16::MAX.into(),
        Type::Integer => i32::MAX.into(),
        Type::BigInt => i64::MAX,
        _ => {
            return Err(SqlError::new(
                "22023",
                "sequence type must be smallint, integer, or bigint",
            ));
        }
    };
    Ok(Sequence {
        ty,
        start: 1,
        increment: 1,
        min: 1,
        max,
        cycle: false,
        owned_by: None,
    })
}

fn set_options(
    sequence: &mut Sequence,
    options: &[SequenceOptions],
    is_new: bool,
) -> Result<(), SqlError> {
    let (lowest, highest) = match sequence.ty {
        Type::SmallInt => (i16::MIN.into(), i16::MAX.into()),
        Type::Integer => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    };
    let (mut min, mut max, mut start) = (None, None, None);
    for option in options {
        match option {
            SequenceOptions::IncrementBy(value, _) => sequence.increment = whole(value)?,
            SequenceOptions::MinValue(value) => min = Some(value.as_ref().map(whole).transpose()?),
            SequenceOptions::MaxValue(value) => max = Some(value.as_ref().map(whole).transpose()?),
            SequenceOptions::StartWith(value, _) => start = Some(whole(value)?),
            SequenceOptions::Cache(value) => {
                // Taken and without meaning: a value is taken by the transaction that uses it.
                whole(value)?;
            }
            // The parser says whether NO stood before it.
            SequenceOptions::Cycle(no) => sequence.cycle = !*no,
        }
    }
    let descends = sequence.increment < 0;
    if min.is_some() || is_new {
        let usual = if descends { lowest } else { 1 };
        sequence.min = min.flatten().unwrap_or(usual);
    }
    if max.is_some() || is_new {
        let usual = if descends { -1 } else { highest };
        sequence.max = max.flatten().unwrap_or(usual);
    }
    if start.is_some() || is_new {
        let usual = if descends { sequence.max } else { sequence.min };
        sequence.start = start.unwrap_or(usual);
    }
    let bad = |message: String| Err(SqlError::new("22023", message));
    if sequence.increment == 0 {
        return bad("INCREMENT must not be zero".to_owned());
    }
    if sequence.min < lowest || sequence.max > highest {
        return bad(format!(
            "MINVALUE or MAXVALUE is out of range for sequence data type {}",
            sequence.ty
        ));
    }
    if sequence.min >= sequence.max {
        return bad(format!(
            "MINVALUE ({}) must be less than MAXVALUE ({})",
            sequence.min, sequence.max
        ));
    }
    if sequence.start < sequence.min {
        return bad(format!(
            "START value ({}) cannot be less than MINVALUE ({})",
            sequence.start, sequence.min
        ));
    }
    if sequence.start > sequence.max {
        return bad(format!(
            "START value ({}) cannot be greater than MAXVALUE ({})",
            sequence.start, sequence.max
        ));
    }
    Ok(())
}

/// A whole number written out.
fn whole(tree: &Expr) -> Result<i64, SqlError> {
    let (negative, tree) = match tree {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => (true, expr.as_ref()),
        Expr::UnaryOp {
            op: UnaryOperator::Plus,
            expr,
        } => (false, expr.as_ref()),
        other => (false, other),
    };
    let text = match tree {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    };
    let text = if negative { format!("-{text}") } else { text };
    text.parse()
        .map_err(|_| SqlError::new("42601", "a sequence option takes a whole number"))
}
