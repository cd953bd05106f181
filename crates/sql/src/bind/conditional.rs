//! CASE, IS, IN, BETWEEN, LIKE.

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr, Query};
use stele_core::Type;
use stele_core::value::NUMERIC_SCALE_MAX;

use super::Binder;
use super::cast::{Asked, common_type, padded};
use super::expression::{Expression, Kind, Ty, is_text, numeric};
use super::operator::no_operator;
use super::scope::Environment;
use super::walk::bare_ref;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn case(
        &mut self,
        environment: &Environment<'_>,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Expression, SqlError> {
        let operand = match operand {
            Some(operand) => {
                let operand = self.expression(environment, operand)?;
                Some(self.settled(operand)?)
            }
            None => None,
        };
        let mut tests = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for when in conditions {
            let condition = self.expression(environment, &when.condition)?;
            tests.push(match &operand {
                Some(operand) => self.compare(&BinaryOperator::Eq, operand.clone(), condition)?,
                None => self.truth(condition, "CASE/WHEN")?,
            });
            results.push(self.typed(environment, &when.result)?);
        }
        match otherwise {
            Some(otherwise) => results.push(self.typed(environment, otherwise)?),
            None => results.push(Expression::null(Ty::Unknown)),
        }
        let results = self.unify(results, "CASE")?;
        let nullable = results.iter().any(|result| result.nullable);
        let ty = results.first().map_or(Ty::Unknown, |result| result.ty);
        let mut sql = String::from("(CASE");
        for (test, result) in tests.iter().zip(&results) {
            sql.push_str(&format!(" WHEN {} THEN {}", test.sql, result.sql));
        }
        if let Some(otherwise) = results.last() {
            sql.push_str(&format!(" ELSE {}", otherwise.sql));
        }
        sql.push_str(" END)");
        Ok(Expression {
            sql,
            ty,
            nullable,
            kind: Kind::Other,
        })
    }

    pub(super) fn is_null(
        &mut self,
        environment: &Environment<'_>,
        operand: &Expr,
        negated: bool,
    ) -> Result<Expression, SqlError> {
        let word = if negated { "IS NOT NULL" } else { "IS NULL" };
        if let Expr::Tuple(parts) = bare_ref(operand) {
            let mut tests = Vec::with_capacity(parts.len());
            for part in parts {
                tests.push(self.is_null(environment, part, negated)?.sql);
            }
            return Ok(
                Expression::new(format!("({})", tests.join(" AND ")), Type::Bool).not_null(),
            );
        }
        let operand = self.expression(environment, operand)?;
        let operand = self.settled(operand)?;
        match operand.kind {
            Kind::Constant(_) | Kind::Literal(_) => {
                Expression::constant(Type::Bool, stele_core::Value::Bool(negated))
            }
            Kind::Null => Expression::constant(Type::Bool, stele_core::Value::Bool(!negated)),
            _ => Ok(Expression::new(format!("({} {word})", operand.sql), Type::Bool).not_null()),
        }
    }

    pub(super) fn is_truth(
        &mut self,
        environment: &Environment<'_>,
        operand: &Expr,
        test: &str,
    ) -> Result<Expression, SqlError> {
        let operand = self.expression(environment, operand)?;
        let operand = self.truth(operand, "IS")?;
        Ok(Expression::new(format!("({} {test})", operand.sql), Type::Bool).not_null())
    }

    pub(super) fn is_distinct(
        &mut self,
        environment: &Environment<'_>,
        left: &Expr,
        right: &Expr,
        distinct: bool,
    ) -> Result<Expression, SqlError> {
        let left = self.expression(environment, left)?;
        let right = self.expression(environment, right)?;
        let (left, right) = self.comparable("=", left, right)?;
        let (left, right) = self.same_scale(left, right)?;
        let word = if distinct { "IS NOT" } else { "IS" };
        Ok(Expression::new(format!("({} {word} {})", left.sql, right.sql), Type::Bool).not_null())
    }

    pub(super) fn in_list(
        &mut self,
        environment: &Environment<'_>,
        operand: &Expr,
        list: &[Expr],
        negated: bool,
    ) -> Result<Expression, SqlError> {
        if let Expr::Tuple(_) = bare_ref(operand) {
            return self.rows_in_list(environment, operand, list, negated);
        }
        let operand = self.expression(environment, operand)?;
        let mut items = Vec::with_capacity(list.len() + 1);
        items.push(operand);
        for item in list {
            items.push(self.expression(environment, item)?);
        }
        let operand = items.remove(0);
        self.in_items(operand, items, negated)
    }

    /// `operand IN (items)`
    pub(super) fn in_items(
        &mut self,
        operand: Expression,
        mut items: Vec<Expression>,
        negated: bool,
    ) -> Result<Expression, SqlError> {
        items.insert(0, operand);
        let items = self.comparable_list(items)?;
        let nullable = items.iter().any(|item| item.nullable);
        let mut texts = items.iter().map(|item| item.sql.as_str());
        let first = texts.next().unwrap_or_default();
        let rest: Vec<&str> = texts.collect();
        let word = if negated { "NOT IN" } else { "IN" };
        let mut result =
            Expression::new(format!("({first} {word} ({}))", rest.join(",")), Type::Bool);
        result.nullable = nullable;
        Ok(result)
    }

    /// All items as values SQLite compares alike: one type, and for NUMERIC one scale.
    fn comparable_list(&mut self, items: Vec<Expression>) -> Result<Vec<Expression>, SqlError> {
        let common = common_type(&items, "IN").map_err(|error| {
            let (a, b) = items
                .iter()
                .zip(items.iter().skip(1))
                .find(|(a, b)| common_type(&[(*a).clone(), (*b).clone()], "IN").is_err())
                .map_or((Ty::Unknown, Ty::Unknown), |(a, b)| (a.ty, b.ty));
            let _ = error;
            no_operator("=", a, b)
        })?;
        let target = match common {
            Ty::Unknown => Type::Text,
            Ty::System(system) => system.stored(),
            Ty::Of(Type::Json) => return Err(no_operator("=", common, common)),
            Ty::Of(Type::Varchar(_)) => Type::Text,
            Ty::Of(Type::Char(_)) => {
                return items
                    .into_iter()
                    .map(|item| self.beside_char(item))
                    .collect();
            }
            // Literals beside it may have more digits than a column keeps.
            Ty::Of(Type::Numeric { scale, .. }) => {
                let most = items
                    .iter()
                    .map(|item| match (&item.kind, item.ty) {
                        (Kind::Literal(given), _) => {
                            given.trim().split_once('.').map_or(0, |(_, digits)| {
                                digits.len().min(usize::from(u8::MAX)) as u8
                            })
                        }
                        _ => scale,
                    })
                    .max();
                numeric(most.unwrap_or(scale).max(scale).min(NUMERIC_SCALE_MAX))
            }
            Ty::Of(ty) => ty,
            Ty::Interval => {
                return Err(SqlError::unsupported(
                    "IN over intervals",
                    "Compare them with = and OR.",
                ));
            }
        };
        items
            .into_iter()
            .map(|item| self.cast(item, target, Asked::Implicitly))
            .collect()
    }

    fn rows_in_list(
        &mut self,
        environment: &Environment<'_>,
        operand: &Expr,
        list: &[Expr],
        negated: bool,
    ) -> Result<Expression, SqlError> {
        let Expr::Tuple(left) = bare_ref(operand) else {
            return Err(no_operator("=", Ty::Unknown, Ty::Unknown));
        };
        let mut tests = Vec::with_capacity(list.len());
        for item in list {
            let Expr::Tuple(right) = bare_ref(item) else {
                return Err(SqlError::new(
                    "42601",
                    "unequal number of entries in row expressions",
                ));
            };
            let test = self.compare_rows(environment, &BinaryOperator::Eq, left, right)?;
            tests.push(test.sql);
        }
        let not = if negated { "NOT " } else { "" };
        Ok(Expression::new(
            format!("({not}({}))", tests.join(" OR ")),
            Type::Bool,
        ))
    }

    pub(super) fn in_subquery(
        &mut self,
        environment: &Environment<'_>,
        operand: &Expr,
        query: &Query,
        negated: bool,
    ) -> Result<Expression, SqlError> {
        let operands: Vec<&Expr> = match bare_ref(operand) {
            Expr::Tuple(parts) => parts.iter().collect(),
            single => vec![single],
        };
        let mut lefts = Vec::with_capacity(operands.len());
        for operand in operands {
            lefts.push(self.expression(environment, operand)?);
        }
        environment.check_subselect()?;
        let mut select = self.query(query, Some(environment))?;
        if select.columns.len() != lefts.len() {
            let many = if select.columns.len() > lefts.len() {
                "many"
            } else {
                "few"
            };
            return Err(SqlError::new(
                "42601",
                format!("subquery has too {many} columns"),
            ));
        }
        select.make_castable(self);
        let mut texts = Vec::with_capacity(lefts.len());
        for (left, column) in lefts.into_iter().zip(&mut select.columns) {
            let right = column.expression.clone();
            let (left, right) = self.comparable("=", left, right)?;
            let (left, right) = self.same_scale(left, right)?;
            texts.push(left.sql);
            column.expression = right;
        }
        let left = match texts.as_slice() {
            [single] => single.clone(),
            several => format!("({})", several.join(",")),
        };
        let word = if negated { "NOT IN" } else { "IN" };
        let query = select.text(self)?;
        Ok(Expression::new(
            format!("({left} {word} ({query}))"),
            Type::Bool,
        ))
    }

    pub(super) fn exists(
        &mut self,
        environment: &Environment<'_>,
        query: &Query,
        negated: bool,
    ) -> Result<Expression, SqlError> {
        environment.check_subselect()?;
        let select = self.query(query, Some(environment))?;
        let not = if negated { "NOT " } else { "" };
        let query = select.text(self)?;
        Ok(Expression::new(format!("({not}EXISTS ({query}))"), Type::Bool).not_null())
    }

    /// A sub-select as a value: its one column of at most one row.
    pub(super) fn scalar_subquery(
        &mut self,
        environment: &Environment<'_>,
        query: &Query,
    ) -> Result<Expression, SqlError> {
        environment.check_subselect()?;
        let mut select = self.query(query, Some(environment))?;
        if select.columns.len() != 1 {
            return Err(SqlError::new(
                "42601",
                "subquery must return only one column",
            ));
        }
        select.settle_columns(self)?;
        let ty = select
            .columns
            .first()
            .map_or(Ty::Unknown, |column| column.expression.ty);
        let single = select.single_row;
        let text = select.text(self)?;
        let sql = if single {
            format!("({text})")
        } else {
            format!("(SELECT st_single(k1) FROM ({text}))")
        };
        Ok(Expression {
            sql,
            ty,
            nullable: true,
            kind: Kind::Other,
        })
    }

    pub(super) fn between(
        &mut self,
        environment: &Environment<'_>,
        operand: &Expr,
        low: &Expr,
        high: &Expr,
        negated: bool,
    ) -> Result<Expression, SqlError> {
        let operand = self.expression(environment, operand)?;
        let low = self.expression(environment, low)?;
        let high = self.expression(environment, high)?;
        let from = self.compare(&BinaryOperator::GtEq, operand.clone(), low)?;
        let to = self.compare(&BinaryOperator::LtEq, operand, high)?;
        let not = if negated { "NOT " } else { "" };
        Ok(
            Expression::new(format!("({not}({} AND {}))", from.sql, to.sql), Type::Bool)
                .null_like(&[&from, &to]),
        )
    }

    pub(super) fn like(
        &mut self,
        environment: &Environment<'_>,
        (operand, pattern, escape): (&Expr, &Expr, Option<&Expr>),
        negated: bool,
        ignore_case: bool,
    ) -> Result<Expression, SqlError> {
        let operand = self.expression(environment, operand)?;
        let pattern = self.expression(environment, pattern)?;
        let escape = match escape {
            Some(escape) => Some(self.expression(environment, escape)?),
            None => None,
        };
        self.like_of(operand, pattern, escape, negated, ignore_case)
    }

    pub(super) fn like_of(
        &mut self,
        operand: Expression,
        pattern: Expression,
        escape: Option<Expression>,
        negated: bool,
        ignore_case: bool,
    ) -> Result<Expression, SqlError> {
        let word = if ignore_case { "~~*" } else { "~~" };
        for side in [&operand, &pattern] {
            if !side.is_unknown() && !side.known().is_some_and(is_text) {
                return Err(no_operator(word, operand.ty, pattern.ty));
            }
        }
        let operand = padded(operand);
        let column = operand.kind == Kind::Column;
        let prefix = match (&pattern.kind, &escape) {
            (Kind::Literal(pattern), None) if column && !ignore_case && !negated => {
                literal_prefix(pattern)
            }
            _ => None,
        };
        let operand = self.cast(operand, Type::Text, Asked::Implicitly)?;
        let pattern = self.cast(pattern, Type::Text, Asked::Implicitly)?;
        let escape = match escape {
            Some(escape) => self.cast(escape, Type::Text, Asked::Implicitly)?,
            None => self.cast(Expression::unknown("\\"), Type::Text, Asked::Implicitly)?,
        };
        let not = if negated { "NOT " } else { "" };
        let mut sql = format!(
            "({not}st_like({},{},{},{}))",
            operand.sql,
            pattern.sql,
            escape.sql,
            u8::from(ignore_case)
        );
        if let Some((from, to)) = prefix {
            // A range an index can serve; LIKE itself decides.
            let from = self.cast(Expression::unknown(&from), Type::Text, Asked::Implicitly)?;
            let to = self.cast(Expression::unknown(&to), Type::Text, Asked::Implicitly)?;
            sql = format!(
                "({0} >= {1} AND {0} < {2} AND {sql})",
                operand.sql, from.sql, to.sql
            );
        }
        Ok(Expression::new(sql, Type::Bool).null_like(&[&operand, &pattern, &escape]))
    }
}

/// The range of texts that start as the pattern does, up to its first wildcard.
fn literal_prefix(pattern: &str) -> Option<(String, String)> {
    let end = pattern.find(['%', '_', '\\']).unwrap_or(pattern.len());
    let prefix = pattern.get(..end)?;
    let mut characters: Vec<char> = prefix.chars().collect();
    let last = characters.pop()?;
    // In UTF-8 the order of bytes is that of code points.
    let next = match last {
        '\u{d7ff}' => '\u{e000}',
        other => char::from_u32(u32::from(other).checked_add(1)?)?,
    };
    characters.push(next);
    Some((prefix.to_owned(), characters.into_iter().collect()))
}
