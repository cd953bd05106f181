//! UNION, INTERSECT, EXCEPT and VALUES.

use sqlparser::ast::{
    Ident, ObjectName, SetExpr, SetOperator, SetQuantifier, Table as TableTree, Values,
};
use stele_core::Type;

use super::Binder;
use super::cast::{Asked, common_type};
use super::expression::{Expression, Ty};
use super::query::{Column, Select};
use super::scope::{Clause, Environment, Scope};
use crate::error::SqlError;

impl Binder<'_> {
    /// The body of a query without its ORDER BY and LIMIT.
    pub(super) fn set_expression(
        &mut self,
        body: &SetExpr,
        outer: Option<&Environment<'_>>,
    ) -> Result<Select, SqlError> {
        self.deeper(|binder| match body {
            SetExpr::Select(select) => binder.select(select, &[], outer),
            SetExpr::Query(query) => binder.query(query, outer),
            SetExpr::Values(values) => binder.values(values, outer),
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => binder.set_operation(*op, *set_quantifier, left, right, outer),
            SetExpr::Table(table) => binder.whole_table(table),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(SqlError::unsupported(
                    "a statement that changes rows inside a query",
                    "Use RETURNING in a statement of its own.",
                ))
            }
        })
    }

    /// `TABLE name`
    fn whole_table(&mut self, table: &TableTree) -> Result<Select, SqlError> {
        let parts = table.schema_name.iter().chain(&table.table_name);
        let name = ObjectName::from(parts.map(Ident::new).collect::<Vec<_>>());
        let (scope, text) = self.named_relation(&name, None, None)?;
        let columns = scope.star().into_iter();
        Ok(Select {
            columns: columns
                .map(|(name, expression)| Column { name, expression })
                .collect(),
            tail: format!(" FROM {text}"),
            key: scope.key(),
            ..Select::default()
        })
    }

    fn set_operation(
        &mut self,
        op: SetOperator,
        quantifier: SetQuantifier,
        left: &SetExpr,
        right: &SetExpr,
        outer: Option<&Environment<'_>>,
    ) -> Result<Select, SqlError> {
        let mut left = self.set_expression(left, outer)?;
        let mut right = self.set_expression(right, outer)?;
        let word = match op {
            SetOperator::Union => "UNION",
            SetOperator::Intersect => "INTERSECT",
            SetOperator::Except | SetOperator::Minus => "EXCEPT",
        };
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::None | SetQuantifier::Distinct => false,
            _ => return Err(SqlError::unsupported("BY NAME", "Name the columns.")),
        };
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::new(
                "42601",
                format!("each {word} query must have the same number of columns"),
            ));
        }
        left.make_castable(self);
        right.make_castable(self);
        for (a, b) in left.columns.iter_mut().zip(&mut right.columns) {
            let pair = vec![
                std::mem::replace(&mut a.expression, Expression::unknown("")),
                std::mem::replace(&mut b.expression, Expression::unknown("")),
            ];
            let mut unified = self.unify(pair, word)?.into_iter();
            if let (Some(left), Some(right)) = (unified.next(), unified.next()) {
                if !all && left.known() == Some(Type::Json) {
                    return Err(SqlError::new(
                        "42883",
                        "could not identify an equality operator for type json",
                    ));
                }
                a.expression = left;
                b.expression = right;
            }
        }
        let nullable: Vec<bool> = left
            .columns
            .iter()
            .zip(&right.columns)
            .map(|(a, b)| a.expression.nullable || b.expression.nullable)
            .collect();
        let numbered = all && op != SetOperator::Union;
        let left_text = self.operand_text(&left, numbered)?;
        let right_text = self.operand_text(&right, numbered)?;
        let word = if all && op == SetOperator::Union {
            "UNION ALL"
        } else {
            word
        };
        let alias = self.fresh('r');
        let mut columns = left.outer_columns(&alias);
        for (column, nullable) in columns.iter_mut().zip(nullable) {
            column.expression.nullable = nullable;
        }
        Ok(Select {
            columns,
            tail: format!(" FROM ({left_text} {word} {right_text}) AS {alias}"),
            ..Select::default()
        })
    }

    /// One side as a plain SELECT. With ALL, equal rows are numbered: then SQLite's INTERSECT and
    /// EXCEPT, which know no ALL, keep as many as they should.
    fn operand_text(&mut self, select: &Select, numbered: bool) -> Result<String, SqlError> {
        let text = select.text(self)?;
        let alias = self.fresh('r');
        if !numbered {
            return Ok(format!("SELECT * FROM ({text}) AS {alias}"));
        }
        let columns: Vec<String> = (1..=select.columns.len())
            .map(|number| format!("{alias}.k{number}"))
            .collect();
        Ok(format!(
            "SELECT *, row_number() OVER (PARTITION BY {}) FROM ({text}) AS {alias}",
            columns.join(",")
        ))
    }

    /// VALUES lists.
    fn values(
        &mut self,
        values: &Values,
        outer: Option<&Environment<'_>>,
    ) -> Result<Select, SqlError> {
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Values).with_outer(outer);
        let mut columns: Vec<Vec<Expression>> = Vec::new();
        for (number, row) in values.rows.iter().enumerate() {
            if number == 0 {
                columns.resize_with(row.content.len(), Vec::new);
            }
            if row.content.len() != columns.len() {
                return Err(SqlError::new(
                    "42601",
                    "VALUES lists must all be the same length",
                ));
            }
            for (column, tree) in columns.iter_mut().zip(&row.content) {
                column.push(self.expression(&environment, tree)?);
            }
        }
        let rows = values.rows.len();
        let alias = self.fresh('r');
        let mut outputs = Vec::with_capacity(columns.len());
        let mut texts: Vec<Vec<String>> = vec![Vec::new(); rows];
        for (number, column) in columns.into_iter().enumerate() {
            let ty = common_type(&column, "VALUES")?;
            let column = match ty {
                Ty::Of(ty) => column
                    .into_iter()
                    .map(|item| self.cast(item, ty, Asked::Implicitly))
                    .collect::<Result<Vec<_>, _>>()?,
                Ty::Interval | Ty::System(_) => self.unify(column, "VALUES")?,
                // One row of literals can still take the type of the column it goes to.
                Ty::Unknown if rows == 1 => column,
                Ty::Unknown => self.unify(column, "VALUES")?,
            };
            let name = format!("column{}", number + 1);
            let first = column.first().cloned();
            let nullable = column.iter().any(|item| item.nullable);
            for (row, item) in texts.iter_mut().zip(&column) {
                row.push(item.sql.clone());
            }
            let expression = match first {
                Some(first) if first.is_unknown() => first,
                Some(first) => Expression {
                    sql: format!("{alias}.{name}"),
                    nullable,
                    kind: super::expression::Kind::Other,
                    ..first
                },
                None => Expression::null(Ty::Unknown),
            };
            outputs.push(Column { name, expression });
        }
        let rows: Vec<String> = texts
            .into_iter()
            .map(|row| format!("({})", row.join(",")))
            .collect();
        Ok(Select {
            columns: outputs,
            single_row: rows.len() == 1,
            tail: format!(" FROM (VALUES {}) AS {alias}", rows.join(",")),
            ..Select::default()
        })
    }
}
