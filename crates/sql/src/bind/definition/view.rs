//! CREATE VIEW, and what depends on what.

use sqlparser::ast::{CreateView, Query, SetExpr, Statement};
use stele_core::schema::{
    COLUMNS_MAX, Column, ColumnId, Kind, QUERY_LEN_MAX, READS_MAX, Table, TableId, View,
};

use super::constraint::already_exists;
use super::sequence::wrong_kind;
use crate::bind::name::new_name;
use crate::bind::{BindContext, Binder};
use crate::bound::{BoundQuery, Definition, SchemaChange};
use crate::catalogue::Catalogue;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn create_view(&mut self, create: &CreateView) -> Result<SchemaChange, SqlError> {
        const TAG: &str = "CREATE VIEW";
        if create.materialized || create.temporary || create.or_alter || create.to.is_some() {
            return Err(SqlError::unsupported(
                "a materialized or temporary view",
                "Use a plain view, or a table that is filled.",
            ));
        }
        let (schema, name) = self.new_place(&create.name)?;
        let before = self.catalogue.table_named(&schema, &name).cloned();
        match &before {
            Some(_) if create.if_not_exists => {
                return Ok(SchemaChange::Nothing {
                    tag: TAG,
                    notice: format!("relation \"{name}\" already exists, skipping"),
                });
            }
            Some(before) if create.or_replace => {
                if !matches!(before.kind, Kind::View(_)) {
                    return Err(wrong_kind(before, "view"));
                }
                self.check_owned(before)?;
            }
            Some(_) => return Err(already_exists(&name)),
            None if self.name_taken(&schema, &name) => return Err(already_exists(&name)),
            None => {}
        }
        let query = create.query.to_string();
        if query.len() > QUERY_LEN_MAX {
            return Err(SqlError::new("54000", "the query of the view is too long")
                .hint("A view's query has at most 64 KiB."));
        }
        let view = View {
            query,
            search_path: self.search_path.clone(),
            reads: Vec::new(),
        };
        let bound = bound_view(self.catalogue, self.context.account, &view)?;
        if !bound.parameters.is_empty() {
            return Err(SqlError::new(
                "42P02",
                "there is no parameter $1: a view's query takes none",
            ));
        }
        if bound.sequences.changes {
            return Err(SqlError::unsupported(
                "nextval or setval in a view",
                "Take numbers in the statement that uses the view.",
            ));
        }
        if create.columns.len() > bound.columns.len() {
            return Err(SqlError::new(
                "42601",
                "CREATE VIEW specifies more column names than columns",
            ));
        }
        if bound.columns.len() > COLUMNS_MAX || bound.reads.len() > READS_MAX {
            return Err(SqlError::new(
                "54011",
                "the view has too many columns or tables",
            ));
        }
        let mut columns: Vec<Column> = Vec::with_capacity(bound.columns.len());
        for (place, output) in bound.columns.iter().enumerate() {
            let name = match create.columns.get(place) {
                Some(named) => new_name(&named.name)?,
                None => output.name.clone(),
            };
            if columns.iter().any(|column| column.name == name) {
                return Err(SqlError::new(
                    "42701",
                    format!("column \"{name}\" specified more than once"),
                ));
            }
            let id = ColumnId(u16::try_from(place + 1).unwrap_or(u16::MAX));
            columns.push(Column::plain(id, name, output.ty));
        }
        let id = match &before {
            Some(before) => before.id,
            None => self.new_id(),
        };
        let owner = self.context.account;
        let mut table = Table {
            kind: Kind::View(View {
                reads: bound.reads,
                ..view
            }),
            primary_key_name: String::new(),
            ..Table::plain(id, (&schema, &name), owner, columns, Vec::new())
        };
        if let Some(before) = before {
            for (old, new) in before.columns.iter().zip(table.columns.iter()) {
                if old.name != new.name {
                    return Err(SqlError::new(
                        "42P16",
                        format!(
                            "cannot change name of view column \"{}\" to \"{}\"",
                            old.name, new.name
                        ),
                    ));
                }
                if old.ty != new.ty {
                    return Err(SqlError::new(
                        "42P16",
                        format!(
                            "cannot change data type of view column \"{}\" from {} to {}",
                            old.name, old.ty, new.ty
                        ),
                    ));
                }
            }
            if table.columns.len() < before.columns.len() {
                return Err(SqlError::new("42P16", "cannot drop columns from view"));
            }
            table.rights = before.rights.clone();
            table.comment = before.comment.clone();
        }
        Ok(SchemaChange::put(table, TAG))
    }

    /// Refuses a change after which a view would be another one.
    pub(super) fn check_views(&self, definitions: &[Definition]) -> Result<(), SqlError> {
        let mut views = self
            .catalogue
            .definitions()
            .filter_map(|one| match &one.kind {
                Kind::View(view) => Some((one, view)),
                _ => None,
            });
        let changed = |id: &TableId| definitions.iter().any(|one| one.id == *id);
        let reads_changed = |(one, view): &(&std::sync::Arc<Table>, &View)| {
            !changed(&one.id) && view.reads.iter().any(changed)
        };
        let Some(first) = views.find(reads_changed) else {
            return Ok(());
        };
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
        for (one, view) in std::iter::once(first).chain(views.filter(reads_changed)) {
            let bound = bound_view(&after, one.owner, view);
            let same = match &bound {
                Ok(bound) => {
                    bound.columns.len() == one.columns.len()
                        && bound
                            .columns
                            .iter()
                            .zip(&one.columns)
                            .all(|(now, then)| now.ty == then.ty)
                }
                Err(error) => error.code.as_str() == "42501",
            };
            if !same {
                let mut error = SqlError::new(
                    "2BP01",
                    format!(
                        "the change would alter view {}, which depends on it",
                        one.name
                    ),
                );
                error.detail = bound.err().map(|error| error.message);
                return Err(error.hint("Drop the view, make the change, and create it anew."));
            }
        }
        Ok(())
    }

    /// Views that read what goes: they go too with CASCADE, or it is refused.
    pub(super) fn dependent_views(
        &self,
        gone: &mut Vec<TableId>,
        cascade: bool,
    ) -> Result<(), SqlError> {
        loop {
            let next = self.catalogue.definitions().find(|one| match &one.kind {
                Kind::View(view) => {
                    !gone.contains(&one.id) && view.reads.iter().any(|id| gone.contains(id))
                }
                _ => false,
            });
            let Some(view) = next else { return Ok(()) };
            if !cascade {
                let mut error = super::still_needed(self.catalogue, gone);
                error.detail = Some(format!("view {} depends on it", view.name));
                return Err(error.hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            gone.push(view.id);
        }
    }
}

/// A view's query bound with its owner's rights.
fn bound_view(
    catalogue: &Catalogue,
    owner: stele_core::AccountId,
    view: &View,
) -> Result<BoundQuery, SqlError> {
    let mut context = BindContext::new(owner);
    context.search_path.clone_from(&view.search_path);
    let mut binder = Binder::new(catalogue, &context);
    let query = view_query(view)?;
    binder.allow_text(&view.query);
    binder.top_query(&query)
}

/// A view's query, parsed.
pub(in crate::bind) fn view_query(view: &View) -> Result<Box<Query>, SqlError> {
    let parsed = crate::parse::parse_single(&view.query)?;
    match parsed.statement() {
        Statement::Query(query)
            if !matches!(
                query.body.as_ref(),
                SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_)
            ) =>
        {
            Ok(query.clone())
        }
        _ => Err(SqlError::new("42601", "a view's query must be a SELECT")),
    }
}
