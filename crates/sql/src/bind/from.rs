//! FROM: tables, sub-selects, joins, common tables.

mod join;
mod unnest;

pub(super) use unnest::gives_rows_in_order;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    ObjectName, TableAlias, TableFactor, TableVersion, TableWithJoins,
};
use stele_core::Type;
use stele_core::schema::{Kind, Table, View};

use super::Binder;
use super::common_table::{CommonTable, misplaced};
use super::definition::view_query;
use super::expression::Expression;
use super::name::{folded, no_relation, qualified};
use super::query::{Column, Select, rename_columns};
use super::scope::{Clause, Environment, Relation, Scope, ScopeColumn, Shown};
use crate::error::SqlError;
use crate::physical::table_name;
use crate::system_type::SystemType;

impl Binder<'_> {
    /// Binds FROM: what it makes visible, and its text without the keyword.
    pub(super) fn from(
        &mut self,
        items: &[TableWithJoins],
        outer: Option<&Environment<'_>>,
    ) -> Result<(Scope, String), SqlError> {
        let mut scope = Scope::default();
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            // As in PostgreSQL, a function sees what stands before it in FROM.
            let before = Environment::new(&scope, Clause::Values).with_outer(outer);
            let outer = if unnest::is_unnest(&item.relation) {
                Some(&before)
            } else {
                outer
            };
            let (part, text) = self.joined(item, outer)?;
            merge(&mut scope, part)?;
            texts.push(text);
        }
        Ok((scope, texts.join(" CROSS JOIN ")))
    }

    fn factor(
        &mut self,
        factor: &TableFactor,
        outer: Option<&Environment<'_>>,
    ) -> Result<(Scope, String), SqlError> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                self.named_relation(name, alias.as_ref(), version.as_ref())
            }
            TableFactor::Table {
                name,
                alias,
                args: Some(arguments),
                with_ordinality,
                ..
            } => self.function_relation(
                name,
                &arguments.args,
                *with_ordinality,
                alias.as_ref(),
                outer,
            ),
            TableFactor::Function {
                lateral: false,
                name,
                args,
                with_ordinality,
                alias,
            } => self.function_relation(name, args, *with_ordinality, alias.as_ref(), outer),
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias,
                sample: None,
            } => {
                let mut select = self.query(subquery, outer)?;
                select.settle_columns(self)?;
                self.derived(select, alias.as_ref())
            }
            TableFactor::Derived { lateral: true, .. } => Err(SqlError::unsupported(
                "LATERAL",
                "Use a scalar sub-select, or join on what it depends on.",
            )),
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => {
                let (scope, text) = self.joined(table_with_joins, outer)?;
                Ok((scope, format!("({text})")))
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_ordinality,
                ..
            } => self.unnest_relation(array_exprs, *with_ordinality, alias.as_ref(), outer),
            other => Err(SqlError::unsupported(
                format!("FROM {other}"),
                "FROM takes tables, sub-selects, joins, stele_history, stele_changes and stele_diff.",
            )),
        }
    }

    /// The table of WITH of that name, if there is one.
    fn common_relation(&mut self, name: &str) -> Result<Option<CommonTable>, SqlError> {
        let level = self.level;
        let mut tables = self.common_tables.iter_mut().rev();
        let Some(common) = tables.find(|common| common.name == name) else {
            return Ok(None);
        };
        if let Some(recursion) = &mut common.recursive {
            if recursion.level != level {
                return Err(misplaced(name, "within a subquery"));
            }
            recursion.uses += 1;
        }
        Ok(Some(common.clone()))
    }

    pub(super) fn named_relation(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        version: Option<&TableVersion>,
    ) -> Result<(Scope, String), SqlError> {
        self.count_relation()?;
        let (schema, bare) = qualified(name)?;
        if schema.is_none()
            && version.is_none()
            && let Some(common) = self.common_relation(&bare)?
        {
            let select = Select {
                columns: common.columns,
                ..Select::default()
            };
            let own = self.fresh('r');
            let scope = derived_scope(&select, &own, alias, &common.name)?;
            return Ok((scope, format!("{} AS {own}", common.alias)));
        }
        // As in PostgreSQL, a bare name finds the system's relations first.
        if let Some((select, text, schema)) = self.system_relation(schema.as_deref(), &bare)? {
            let (mut scope, text) = self.derived_text(&select, &text, alias, &bare)?;
            if let [relation] = scope.relations.as_mut_slice() {
                if alias.is_none() {
                    relation.schema = Some(schema.to_owned());
                }
                if let Some(oid) = self.relation_oid(Some(schema), &bare) {
                    relation.columns.push(system_column("tableoid", oid)?);
                }
            }
            return Ok((scope, text));
        }
        let Some(table) = self.find_table(schema.as_deref(), &bare).cloned() else {
            return Err(no_relation(schema.as_deref(), &bare));
        };
        if let Kind::View(view) = &table.kind {
            if version.is_some() {
                return Err(SqlError::unsupported(
                    format!("the past of view \"{}\"", table.name),
                    "Read the past of the tables it is made of.",
                ));
            }
            return self.view(&table, view, alias);
        }
        let of_session = self.version_of_session()?;
        if let Some(version) = version.or(of_session.as_ref()) {
            self.check_readable(&table)?;
            self.reads.insert(table.id);
            let (select, text) = self.table_as_of(&table, version)?;
            return self.derived_text(&select, &text, alias, &bare);
        }
        let own = self.fresh('r');
        self.check_read_as(&table, &own)?;
        self.reads.insert(table.id);
        let shown = alias.map_or_else(|| table.name.clone(), |alias| folded(&alias.name));
        let text = if self.has_policies(&table) {
            self.fence(&table, &own)?
        } else {
            format!("{} AS {own}", table_name(table.id))
        };
        let mut relation = Relation::of_table(&table, Some(&own), &shown, false);
        if let Some(alias) = alias {
            relation.schema = None;
            rename_scope(&mut relation, alias)?;
        }
        Ok((
            Scope {
                relations: vec![relation],
                merged: Vec::new(),
            },
            text,
        ))
    }

    /// A view: its query, bound with the rights of its owner.
    fn view(
        &mut self,
        table: &Table,
        view: &View,
        alias: Option<&TableAlias>,
    ) -> Result<(Scope, String), SqlError> {
        self.check_readable(table)?;
        let query = view_query(view)?;
        if !self.reads.contains(&table.id) {
            self.allow_text(&view.query);
        }
        let acting = std::mem::replace(&mut self.acting, table.owner);
        let path = std::mem::replace(&mut self.search_path, view.search_path.clone());
        let common = std::mem::take(&mut self.common_tables);
        let select = self.deeper(|binder| {
            let mut select = binder.query(&query, None)?;
            select.settle_columns(binder)?;
            Ok(select)
        });
        self.acting = acting;
        self.search_path = path;
        self.common_tables = common;
        let mut select = select?;
        self.reads.insert(table.id);
        for (column, named) in select.columns.iter_mut().zip(&table.columns) {
            column.name.clone_from(&named.name);
        }
        let text = select.text(self)?;
        self.check_lowered(&text)?;
        let (mut scope, text) = self.derived_text(&select, &text, alias, &table.name)?;
        if let (None, [relation]) = (alias, scope.relations.as_mut_slice()) {
            relation.schema = Some(table.schema.clone());
        }
        Ok((scope, text))
    }

    fn derived(
        &mut self,
        select: Select,
        alias: Option<&TableAlias>,
    ) -> Result<(Scope, String), SqlError> {
        let Some(alias) = alias else {
            return Err(
                SqlError::new("42601", "subquery in FROM must have an alias")
                    .hint("For example, FROM (SELECT ...) [AS] foo."),
            );
        };
        let text = select.text(self)?;
        self.derived_text(&select, &text, Some(alias), "")
    }

    fn derived_text(
        &mut self,
        select: &Select,
        text: &str,
        alias: Option<&TableAlias>,
        name: &str,
    ) -> Result<(Scope, String), SqlError> {
        let own = self.fresh('r');
        let scope = derived_scope(select, &own, alias, name)?;
        Ok((scope, format!("({}) AS {own}", self.fenced(text))))
    }

    /// A sub-select that draws random values is computed once: SQLite would otherwise put its
    /// expressions wherever its columns are named.
    pub(super) fn fenced(&mut self, text: &str) -> String {
        if !text.contains("st_random") {
            return text.to_owned();
        }
        let name = self.fresh('m');
        format!("WITH {name} AS MATERIALIZED ({text}) SELECT * FROM {name}")
    }

    fn function_relation(
        &mut self,
        name: &ObjectName,
        arguments: &[FunctionArg],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        outer: Option<&Environment<'_>>,
    ) -> Result<(Scope, String), SqlError> {
        let (_, bare) = qualified(name)?;
        if bare == "unnest" {
            let mut trees = Vec::with_capacity(arguments.len());
            for argument in arguments {
                let FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) = argument else {
                    return Err(SqlError::new("42601", "syntax error in unnest()"));
                };
                trees.push(tree.clone());
            }
            return self.unnest_relation(&trees, with_ordinality, alias, outer);
        }
        if bare == "pg_partition_ancestors" {
            // No table has any.
            let names = ["relid", "ordinality"];
            let columns = names.into_iter().take(1 + usize::from(with_ordinality));
            let columns: Vec<Column> = columns
                .map(|name| Column {
                    name: name.to_owned(),
                    expression: Expression::new("", Type::BigInt).of_system(SystemType::Oid),
                })
                .collect();
            let nulls: Vec<String> = (1..=columns.len())
                .map(|n| format!("NULL AS k{n}"))
                .collect();
            let text = format!("SELECT {} WHERE 0", nulls.join(","));
            let select = Select {
                columns,
                ..Select::default()
            };
            return self.derived_text(&select, &text, alias, &bare);
        }
        if with_ordinality {
            return Err(SqlError::unsupported(
                format!("WITH ORDINALITY of {bare}"),
                "Number the rows with row_number().",
            ));
        }
        match bare.as_str() {
            "stele_history" => {
                let (select, text) = self.history(arguments)?;
                self.derived_text(&select, &text, alias, &bare)
            }
            "stele_changes" => {
                let (select, text) = self.changes(arguments)?;
                self.derived_text(&select, &text, alias, &bare)
            }
            "stele_diff" => {
                let (select, text) = self.difference(arguments)?;
                self.derived_text(&select, &text, alias, &bare)
            }
            "pg_get_keywords" => {
                let (select, text) = keywords();
                self.derived_text(&select, &text, alias, &bare)
            }
            "generate_series" => {
                let (mut select, text) = self.generate_series(arguments, outer)?;
                if let (Some(alias), [column]) = (alias, select.columns.as_mut_slice()) {
                    column.name = folded(&alias.name);
                }
                self.derived_text(&select, &text, alias, &bare)
            }
            _ => {
                let (select, text) = self.value_relation(name, arguments, alias, &bare, outer)?;
                self.derived_text(&select, &text, alias, &bare)
            }
        }
    }

    /// A function that gives one value, as a relation of one row.
    fn value_relation(
        &mut self,
        name: &ObjectName,
        arguments: &[FunctionArg],
        alias: Option<&TableAlias>,
        bare: &str,
        outer: Option<&Environment<'_>>,
    ) -> Result<(Select, String), SqlError> {
        let call = Expr::Function(Function {
            name: name.clone(),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args: arguments.to_vec(),
                clauses: Vec::new(),
            }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        });
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::From).with_outer(outer);
        let value = self.typed(&environment, &call)?;
        let text = format!("SELECT {} AS k1", value.sql);
        let column = Column {
            name: alias.map_or_else(|| bare.to_owned(), |alias| folded(&alias.name)),
            expression: Expression {
                sql: String::new(),
                ..value
            },
        };
        let select = Select {
            columns: vec![column],
            ..Select::default()
        };
        Ok((select, text))
    }
}

/// A hidden column of a system relation, found by its relation's name only.
fn system_column(name: &str, value: i64) -> Result<ScopeColumn, SqlError> {
    Ok(ScopeColumn {
        name: name.to_owned(),
        expression: Expression::constant(Type::BigInt, stele_core::Value::Int(value))?
            .of_system(SystemType::Oid),
        shown: Shown::Hidden,
    })
}

/// Words the parser knows.
fn keywords() -> (Select, String) {
    let words: Vec<String> = sqlparser::keywords::ALL_KEYWORDS
        .iter()
        .map(|word| format!("('{}','U','unreserved')", word.to_ascii_lowercase()))
        .collect();
    let columns = ["word", "catcode", "catdesc"].map(|name| Column {
        name: name.to_owned(),
        expression: Expression::new("", Type::Text),
    });
    let text = format!(
        "SELECT column1 AS k1, column2 AS k2, column3 AS k3 FROM (VALUES {})",
        words.join(",")
    );
    let select = Select {
        columns: columns.into(),
        ..Select::default()
    };
    (select, text)
}

/// What a query in FROM makes visible.
fn derived_scope(
    select: &Select,
    own: &str,
    alias: Option<&TableAlias>,
    name: &str,
) -> Result<Scope, SqlError> {
    let shown = alias.map_or_else(|| name.to_owned(), |alias| folded(&alias.name));
    let mut relation = select.relation(own, &shown);
    if let Some(alias) = alias {
        rename_scope(&mut relation, alias)?;
    }
    Ok(Scope {
        relations: vec![relation],
        merged: Vec::new(),
    })
}

fn rename_scope(relation: &mut Relation, alias: &TableAlias) -> Result<(), SqlError> {
    let (hidden, shown): (Vec<_>, Vec<_>) = relation
        .columns
        .drain(..)
        .partition(|column| column.shown == Shown::Hidden);
    let mut columns: Vec<Column> = shown
        .into_iter()
        .map(|column| Column {
            name: column.name,
            expression: column.expression,
        })
        .collect();
    rename_columns(&mut columns, &alias.columns, &relation.name)?;
    relation.columns = columns
        .into_iter()
        .map(|column| ScopeColumn {
            name: column.name,
            expression: column.expression,
            shown: Shown::InStar,
        })
        .chain(hidden)
        .collect();
    Ok(())
}

/// Puts the relations of one FROM item beside those of others.
pub(super) fn merge(scope: &mut Scope, part: Scope) -> Result<(), SqlError> {
    for relation in &part.relations {
        if scope.relation(None, &relation.name).is_some() {
            return Err(SqlError::new(
                "42712",
                format!("table name \"{}\" specified more than once", relation.name),
            ));
        }
    }
    scope.relations.extend(part.relations);
    scope.merged.extend(part.merged);
    Ok(())
}
