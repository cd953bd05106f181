//! Reads of the past: `FOR SYSTEM_TIME AS OF`, `stele_history`, `stele_changes`, `stele_diff`.
//!
//! A row version lived from the height and index that wrote it to those that superseded it. Current
//! rows carry the first two (`_h`, `_x`), the history relation all four (`_h2`, `_x2`). Whoever reads
//! the past sees what is kept on this node, so no statement that writes may depend on it.

use std::sync::Arc;

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, TableVersion};
use stele_core::Type;
use stele_core::schema::{Column as TableColumn, PolicyCommand, Table};
use stele_core::value::text;

use super::Binder;
use super::cast::Asked;
use super::expression::{Expression, Kind};
use super::literal::quoted_text;
use super::name::no_relation;
use super::query::{Column, Select};
use super::scope::{Clause, Environment, Scope};
use crate::error::SqlError;
use crate::parse::parse_expression;
use crate::physical::{column_name, history_name, table_name};

impl Binder<'_> {
    /// A table as it was after a height or at a time.
    pub(super) fn table_as_of(
        &mut self,
        table: &Table,
        version: &TableVersion,
    ) -> Result<(Select, String), SqlError> {
        let TableVersion::ForSystemTimeAsOf(at) = version else {
            return Err(SqlError::unsupported(
                version.to_string(),
                "Write FOR SYSTEM_TIME AS OF and a height or a time.",
            ));
        };
        self.enter_past()?;
        let height = self.height(at)?;
        let at = self.fresh('a');
        let values = listed(table);
        let Versions {
            with,
            rows,
            history,
        } = self.versions(table)?;
        let text = format!(
            "WITH {with}{at}(h) AS MATERIALIZED (SELECT {height}) \
             SELECT {values} FROM {at} CROSS JOIN {rows} WHERE _h <= h \
             UNION ALL SELECT {values} FROM {at} CROSS JOIN {history} WHERE _h <= h AND _h2 > h"
        );
        Ok((selected(shown(table.declared_columns(), "")), text))
    }

    /// The version every table is read in that names none, if the session chose one.
    pub(super) fn version_of_session(&self) -> Result<Option<TableVersion>, SqlError> {
        let Some(moment) = &self.context.as_of else {
            return Ok(None);
        };
        if self.writes {
            return Err(SqlError::new(
                "25006",
                "cannot execute a statement that writes while stele.as_of is set",
            )
            .hint("RESET stele.as_of first."));
        }
        let at = moment_expression(moment)?;
        Ok(Some(TableVersion::ForSystemTimeAsOf(at)))
    }

    /// All versions of a table's rows: superseded ones, then current ones with an open end.
    pub(super) fn history(
        &mut self,
        arguments: &[FunctionArg],
    ) -> Result<(Select, String), SqlError> {
        let [name] = arguments else {
            return Err(usage("stele_history('orders')"));
        };
        let table = self.table_argument(name, "stele_history('orders')")?;
        let mut columns = shown(&table.columns, "");
        for (name, closed) in [
            ("_from_height", false),
            ("_from_index", false),
            ("_to_height", true),
            ("_to_index", true),
        ] {
            columns.push(output(name, Type::BigInt, closed));
        }
        let count = table.columns.len();
        let values = listed(&table);
        let (a, b, c, d) = (count + 1, count + 2, count + 3, count + 4);
        let versions = self.versions(&table)?;
        let text = format!(
            "{}SELECT {values},_h AS k{a},_x AS k{b},_h2 AS k{c},_x2 AS k{d} FROM {} \
             UNION ALL SELECT {values},_h,_x,NULL,NULL FROM {}",
            versions.alone(),
            versions.history,
            versions.rows
        );
        Ok((selected(columns), text))
    }

    /// Every change ever made to a table: when, in which transaction, by whom, and what.
    pub(super) fn changes(
        &mut self,
        arguments: &[FunctionArg],
    ) -> Result<(Select, String), SqlError> {
        let [name] = arguments else {
            return Err(usage("stele_changes('orders')"));
        };
        let table = self.table_argument(name, "stele_changes('orders')")?;
        let (key, rest) = split(&table);
        let mut columns = vec![
            output("_height", Type::BigInt, false),
            output("_index", Type::BigInt, false),
            output("_time", Type::TimestampTz, false),
            output("_transaction", Type::Text, false),
            output("_account", Type::Text, false),
            output("_operation", Type::Text, false),
        ];
        columns.extend(shown(key.iter().copied(), ""));
        columns.extend(shown(rest.iter().copied(), "old_"));
        columns.extend(shown(rest.iter().copied(), "new_"));
        let head = |height: &str, index: &str, operation: &str| {
            format!(
                "SELECT {height} AS k1,{index} AS k2,st_block_time({height}) AS k3,\
                 st_transaction({height},{index}) AS k4,st_transaction_account({height},{index}) AS k5,\
                 {operation} AS k6"
            )
        };
        let versions = self.versions(&table)?;
        let (rows, history) = (&versions.rows, &versions.history);
        let (olds, news) = (7 + key.len(), 7 + key.len() + rest.len());
        let predecessor = same(&key, "o", "n");
        let made = |from: &str| {
            format!(
                "{}{}{}{} FROM {from} AS n LEFT JOIN {history} AS o \
                 ON {predecessor} AND o._h2 = n._h AND o._x2 = n._x",
                head(
                    "n._h",
                    "n._x",
                    "CASE WHEN o._h IS NULL THEN 'INSERT' ELSE 'UPDATE' END"
                ),
                numbered(&key, "n", 7),
                numbered(&rest, "o", olds),
                numbered(&rest, "n", news),
            )
        };
        let successor = same(&key, "s", "o");
        let text = format!(
            "{}{} UNION ALL {} UNION ALL {}{}{}{} FROM {history} AS o WHERE NOT EXISTS \
             (SELECT 1 FROM {history} AS s WHERE {successor} AND s._h = o._h2 AND s._x = o._x2) AND NOT EXISTS \
             (SELECT 1 FROM {rows} AS s WHERE {successor} AND s._h = o._h2 AND s._x = o._x2)",
            versions.alone(),
            made(history),
            made(rows),
            head("o._h2", "o._x2", "'DELETE'"),
            numbered(&key, "o", 7),
            numbered(&rest, "o", olds),
            nulls(&rest, news),
        );
        Ok((selected(columns), text))
    }

    /// What differs in a table between two heights or times: the net change of each row.
    pub(super) fn difference(
        &mut self,
        arguments: &[FunctionArg],
    ) -> Result<(Select, String), SqlError> {
        const EXAMPLE: &str = "stele_diff('orders', 10, 20)";
        let [name, from, to] = arguments else {
            return Err(usage(EXAMPLE));
        };
        let table = self.table_argument(name, EXAMPLE)?;
        let mut bound = |argument: &FunctionArg| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) => self.height(tree),
            _ => Err(usage(EXAMPLE)),
        };
        let (from, to) = (bound(from)?, bound(to)?);
        let (key, rest) = split(&table);
        let mut columns = vec![output("_operation", Type::Text, false)];
        columns.extend(shown(key.iter().copied(), ""));
        columns.extend(shown(rest.iter().copied(), "old_"));
        columns.extend(shown(rest.iter().copied(), "new_"));
        let Versions {
            with,
            rows,
            history,
        } = self.versions(&table)?;
        let values = table.columns.iter().map(|column| column_name(column.id));
        let values = values.collect::<Vec<_>>().join(",");
        let [limits, before, after] = ['a', 'b', 'b'].map(|letter| self.fresh(letter));
        let (olds, news) = (2 + key.len(), 2 + key.len() + rest.len());
        // A version in force at both ends is no difference: those that began or ended in between are.
        let text = format!(
            "WITH {with}{limits}(f,t) AS MATERIALIZED (SELECT {},st_not_before({},{})), \
             {before} AS MATERIALIZED (SELECT {values} FROM {limits} CROSS JOIN {history} \
               WHERE _h <= f AND _h2 > f AND _h2 <= t), \
             {after} AS MATERIALIZED (SELECT {values} FROM {limits} CROSS JOIN {history} \
               WHERE _h > f AND _h <= t AND _h2 > t \
               UNION ALL SELECT {values} FROM {limits} CROSS JOIN {rows} WHERE _h > f AND _h <= t) \
             SELECT CASE WHEN o.{first} IS NULL THEN 'INSERT' ELSE 'UPDATE' END AS k1{}{}{} \
               FROM {after} AS n LEFT JOIN {before} AS o ON {same} WHERE o.{first} IS NULL OR {changed} \
             UNION ALL SELECT 'DELETE'{}{}{} FROM {before} AS o \
               WHERE NOT EXISTS (SELECT 1 FROM {after} AS n WHERE {same})",
            from,
            from,
            to,
            numbered(&key, "n", 2),
            numbered(&rest, "o", olds),
            numbered(&rest, "n", news),
            numbered(&key, "o", 2),
            numbered(&rest, "o", olds),
            nulls(&rest, news),
            first = key
                .first()
                .map_or_else(String::new, |column| column_name(column.id)),
            same = same(&key, "o", "n"),
            changed = differs(&rest),
        );
        Ok((selected(columns), text))
    }

    /// Where the versions of a table's rows are: those the acting account may see. A version is hidden
    /// or not by its own values, so a row that came into sight was inserted for who asks.
    fn versions(&mut self, table: &Table) -> Result<Versions, SqlError> {
        let (rows, history) = (table_name(table.id), history_name(table.id));
        if !self.has_policies(table) {
            return Ok(Versions {
                with: String::new(),
                rows,
                history,
            });
        }
        // SQLite neither takes a materialized table apart nor pushes conditions into it.
        let mut with = String::new();
        let mut seen = |binder: &mut Self, from: &str| {
            let (name, inner) = (binder.fresh('m'), binder.fresh('r'));
            let condition = binder.visible(table, PolicyCommand::Select, &inner)?;
            with.push_str(&format!(
                "{name} AS MATERIALIZED (SELECT * FROM {from} AS {inner} WHERE {condition}), "
            ));
            Ok::<_, SqlError>(name)
        };
        let rows = seen(self, &rows)?;
        let history = seen(self, &history)?;
        Ok(Versions {
            with,
            rows,
            history,
        })
    }

    /// Notes that the statement reads the past, which none that writes may.
    fn enter_past(&mut self) -> Result<(), SqlError> {
        if self.writes {
            return Err(SqlError::unsupported(
                "a read of the past in a statement that writes",
                "Read first, then write what was read: not every node keeps the whole past.",
            ));
        }
        self.past = true;
        Ok(())
    }

    /// A height, from a height or a time.
    fn height(&mut self, tree: &Expr) -> Result<String, SqlError> {
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Values);
        let at = self.expression(&environment, tree)?;
        let is_height = match at.known() {
            Some(Type::SmallInt | Type::Integer | Type::BigInt) => true,
            Some(Type::Timestamp | Type::TimestampTz | Type::Date) => false,
            None => matches!(at.kind, Kind::Parameter(_)),
            Some(other) => {
                return Err(SqlError::new(
                    "42804",
                    format!("a point in the past is a height or a time, not {other}"),
                )
                .hint(
                    "Write a block height, or a time such as TIMESTAMPTZ '2026-01-31 12:00+00'.",
                ));
            }
        };
        let ty = if is_height {
            Type::BigInt
        } else {
            Type::TimestampTz
        };
        let at = self.cast(at, ty, Asked::Implicitly)?.sql;
        Ok(if is_height {
            format!("st_height({at})")
        } else {
            format!("st_height_at({at})")
        })
    }

    fn table_argument(
        &mut self,
        argument: &FunctionArg,
        example: &str,
    ) -> Result<Arc<Table>, SqlError> {
        let text = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) => quoted_text(tree),
            _ => None,
        };
        let text = text.ok_or_else(|| usage(example))?;
        let table = self.table_named(text)?;
        self.enter_past()?;
        self.reads.insert(table.id);
        Ok(table)
    }
}

impl Binder<'_> {
    /// The table a quoted literal names, with or without its schema; it must be readable.
    pub(super) fn table_named(&self, text: &str) -> Result<Arc<Table>, SqlError> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        let table = self
            .find_table(schema, name)
            .cloned()
            .ok_or_else(|| no_relation(schema, name))?;
        self.check_readable(&table)?;
        if !table.kind.has_rows() {
            return Err(SqlError::new(
                "42809",
                format!("\"{}\" is a view: it has no history of its own", table.name),
            )
            .hint("Ask for the tables it is made of."));
        }
        Ok(table)
    }
}

/// Checks that a text is a height, or a time as TIMESTAMPTZ reads it.
///
/// # Errors
/// 22023 when it is neither.
pub fn check_moment(text: &str) -> Result<(), SqlError> {
    moment_expression(text).map(|_| ())
}

/// A height or time written as text, as FOR SYSTEM_TIME AS OF takes it.
fn moment_expression(moment: &str) -> Result<Expr, SqlError> {
    let moment = moment.trim();
    if moment.parse::<i64>().is_ok_and(|height| height >= 0) {
        return parse_expression(moment);
    }
    if text::parse(Type::TimestampTz, moment).is_err() {
        return Err(SqlError::new(
            "22023",
            format!("\"{moment}\" is neither a height nor a time"),
        )
        .hint("Write a block height, or a time such as 2026-01-31 12:00+00."));
    }
    parse_expression(&format!("TIMESTAMPTZ '{}'", moment.replace('\'', "''")))
}

/// The relations that hold the versions of a table's rows.
struct Versions {
    /// What they need in WITH, each with a comma behind it.
    with: String,
    rows: String,
    history: String,
}

impl Versions {
    /// WITH, where nothing else stands in it.
    fn alone(&self) -> String {
        match self.with.strip_suffix(", ") {
            Some(with) => format!("WITH {with} "),
            None => String::new(),
        }
    }
}

fn usage(example: &str) -> SqlError {
    let function = example.split('(').next().unwrap_or_default();
    SqlError::new(
        "42601",
        format!("{function} takes the table's name as a quoted literal first"),
    )
    .hint(format!("For example, SELECT * FROM {example}."))
}

fn selected(columns: Vec<Column>) -> Select {
    Select {
        columns,
        ..Select::default()
    }
}

fn output(name: &str, ty: Type, nullable: bool) -> Column {
    let mut expression = Expression::new("", ty);
    expression.nullable = nullable;
    Column {
        name: name.to_owned(),
        expression,
    }
}

/// Columns as they are shown. Older versions may hold NULL where the table forbids it now.
fn shown<'c>(columns: impl IntoIterator<Item = &'c TableColumn>, prefix: &str) -> Vec<Column> {
    columns
        .into_iter()
        .map(|column| output(&format!("{prefix}{}", column.name), column.ty, true))
        .collect()
}

/// Columns of the primary key in key order, and the others.
fn split(table: &Table) -> (Vec<&TableColumn>, Vec<&TableColumn>) {
    let key = table.primary_key.iter().filter_map(|id| table.column(*id));
    let rest = table
        .columns
        .iter()
        .filter(|column| !table.primary_key.contains(&column.id));
    (key.collect(), rest.collect())
}

/// `c1 AS k1,c2 AS k2`
fn listed(table: &Table) -> String {
    let values: Vec<String> = table
        .columns
        .iter()
        .zip(1..)
        .map(|(column, number)| format!("{} AS k{number}", column_name(column.id)))
        .collect();
    values.join(",")
}

/// `,n.c1 AS k7,n.c2 AS k8`
fn numbered(columns: &[&TableColumn], of: &str, first: usize) -> String {
    let values = columns.iter().zip(first..);
    values
        .map(|(column, number)| format!(",{of}.{} AS k{number}", column_name(column.id)))
        .collect()
}

/// `,NULL AS k9,NULL AS k10`
fn nulls(columns: &[&TableColumn], first: usize) -> String {
    let values = columns.iter().zip(first..);
    values
        .map(|(_, number)| format!(",NULL AS k{number}"))
        .collect()
}

/// `a.c1 = b.c1 AND a.c2 = b.c2`
fn same(key: &[&TableColumn], a: &str, b: &str) -> String {
    let equal: Vec<String> = key
        .iter()
        .map(|column| column_name(column.id))
        .map(|name| format!("{a}.{name} = {b}.{name}"))
        .collect();
    equal.join(" AND ")
}

/// Whether any value differs between `o` and `n`.
fn differs(columns: &[&TableColumn]) -> String {
    let unequal: Vec<String> = columns
        .iter()
        .map(|column| column_name(column.id))
        .map(|name| format!("o.{name} IS NOT n.{name}"))
        .collect();
    if unequal.is_empty() {
        return "0".to_owned();
    }
    format!("({})", unequal.join(" OR "))
}
