//! Arrays: `ARRAY[…]`, subscripts, ANY and ALL, and the functions that take them apart.
//!
//! An array is a JSON text in SQLite ([`crate::system_type`]); its elements are read with
//! `json_each`, so that `x = ANY ($1)` is a look-up in an index where `x` has one.

use sqlparser::ast::{AccessExpr, BinaryOperator, Expr, Ident, Subscript};
use stele_core::Type;

use super::Binder;
use super::call::no_function;
use super::cast::Asked;
use super::expression::{Expression, Kind, Ty, is_text};
use super::name::folded;
use super::quantified::Quantified;
use super::scope::Environment;
use crate::array_text;
use crate::error::SqlError;
use crate::function::type_arguments;
use crate::physical::literal;
use crate::system_type::{Element, SystemType};

/// Rows that functions in a select list make of each row of FROM.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// The relation that counts them; empty while there is none.
    pub(super) alias: String,
    /// Texts of how many rows each function makes: the most of them counts.
    pub(super) counts: Vec<String>,
}

impl Series {
    /// The relation for FROM, if there is one.
    pub(super) fn relation(&self) -> Option<String> {
        if self.counts.is_empty() {
            return None;
        }
        let counts = self.counts.join(",");
        Some(format!(
            "json_each(st_count_to({counts})) AS {}",
            self.alias
        ))
    }
}

impl Binder<'_> {
    pub(super) fn array_node(
        &mut self,
        environment: &Environment<'_>,
        tree: &Expr,
    ) -> Result<Expression, SqlError> {
        match tree {
            Expr::Array(array) => self.array_of(environment, &array.elem),
            Expr::AnyOp {
                left,
                compare_op: op,
                right,
                ..
            } => self.quantified(environment, &Quantified::new(left, op, right, false)),
            Expr::AllOp {
                left,
                compare_op: op,
                right,
            } => self.quantified(environment, &Quantified::new(left, op, right, true)),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let (path, access_chain) = column_path(root, access_chain);
                let mut value = match path {
                    Some(path) => environment.column(&path)?,
                    None => self.typed(environment, root)?,
                };
                for access in access_chain {
                    value = self.access(environment, value, access)?;
                }
                Ok(value)
            }
            other => self.special_call(environment, other),
        }
    }

    fn array_of(
        &mut self,
        environment: &Environment<'_>,
        trees: &[Expr],
    ) -> Result<Expression, SqlError> {
        let mut items = Vec::with_capacity(trees.len());
        for tree in trees {
            items.push(self.typed(environment, tree)?);
        }
        let element = match items.first().and_then(Expression::system) {
            Some(SystemType::Name) => Some(Element::Name),
            Some(SystemType::Oid) => Some(Element::Oid),
            Some(SystemType::Char) => Some(Element::Char),
            _ => None,
        };
        if items.iter().any(Expression::is_array) {
            return Err(SqlError::unsupported(
                "an array of arrays",
                "Use a table with a row for each element, or JSON.",
            ));
        }
        let items = self.unify(items.into_iter().map(Expression::plain).collect(), "ARRAY")?;
        let ty = items
            .first()
            .and_then(Expression::known)
            .unwrap_or(Type::Text);
        let element = element.unwrap_or_else(|| Element::holding(ty));
        let mut texts = vec![element.oid().to_string()];
        for item in items {
            texts.push(self.cast(item, Type::Text, Asked::Explicitly)?.sql);
        }
        let sql = format!("st_array_of({})", texts.join(","));
        Ok(Expression::new(sql, Type::Text)
            .not_null()
            .of_system(SystemType::Array(element)))
    }

    /// `a || b` of arrays.
    pub(super) fn array_concatenated(
        &mut self,
        left: Expression,
        right: Expression,
    ) -> Result<Expression, SqlError> {
        let known = [&left, &right].map(|side| side.system().and_then(SystemType::element));
        let element = known.into_iter().flatten().next().unwrap_or(Element::Text);
        let array = SystemType::Array(element);
        let left = self.cast_to_array(left, element)?;
        let right = self.cast_to_array(right, element)?;
        let sql = format!("st_array_concat({},{})", left.sql, right.sql);
        Ok(Expression::new(sql, Type::Text).of_system(array))
    }

    /// Two sides of an operator of which one is an array: arrays are equal or not, and nothing else.
    pub(super) fn as_alike_arrays(
        &mut self,
        op: &BinaryOperator,
        left: Expression,
        right: Expression,
    ) -> Result<(Expression, Expression), SqlError> {
        if matches!(
            op,
            BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq
        ) {
            return Err(SqlError::unsupported(
                "ordering arrays",
                "Compare single elements, or their number: cardinality(array).",
            ));
        }
        let known = [&left, &right].map(|side| side.system().and_then(SystemType::element));
        let element = known.into_iter().flatten().next().unwrap_or(Element::Text);
        let mut alike = |side: Expression| match (op, &side.kind) {
            (BinaryOperator::Eq | BinaryOperator::NotEq, Kind::Literal(_)) => {
                self.cast_to_array(side, element)
            }
            _ => Ok(side),
        };
        Ok((alike(left)?, alike(right)?))
    }

    /// An expression as an array; what nothing has typed yet becomes one of `beside`.
    pub(super) fn as_array(
        &mut self,
        expression: Expression,
        beside: Element,
    ) -> Result<(Expression, Element), SqlError> {
        if let Some(element) = expression.system().and_then(SystemType::element) {
            return Ok((expression, element));
        }
        let array = SystemType::Array(beside);
        match (&expression.kind, expression.ty) {
            (Kind::Literal(_) | Kind::Null, _) => {
                Ok((self.cast_to_system(expression, array)?, beside))
            }
            (Kind::Parameter(index), _) => {
                let index = *index;
                let beside = self.array_parameter(index, beside);
                let parameter = Expression {
                    sql: format!("st_array_parameter({},{})", expression.sql, beside.oid()),
                    ty: Ty::System(SystemType::Array(beside)),
                    ..expression
                };
                Ok((parameter, beside))
            }
            (_, ty) => Err(SqlError::new(
                "42809",
                format!("op ANY/ALL (array) requires array on right side, not {ty}"),
            )),
        }
    }

    fn access(
        &mut self,
        environment: &Environment<'_>,
        value: Expression,
        access: &AccessExpr,
    ) -> Result<Expression, SqlError> {
        let index = match (access, value.system()) {
            (AccessExpr::Dot(Expr::Identifier(field)), Some(SystemType::ElementAndPlace)) => {
                let place = match folded(field).as_str() {
                    "x" => 1,
                    "n" => 2,
                    other => return Err(super::name::no_column(other)),
                };
                let sql = format!("CAST(st_array_get({},{place}) AS INTEGER)", value.sql);
                return Ok(Expression::new(sql, Type::Integer));
            }
            (AccessExpr::Subscript(Subscript::Index { index }), _) => index,
            _ => {
                return Err(SqlError::unsupported(
                    format!("{access} of a value"),
                    "Arrays take one subscript, as in a[1].",
                ));
            }
        };
        let (array, element) = self.as_array(value, Element::Text)?;
        let index = self.expression(environment, index)?;
        let index = self.cast(index, Type::Integer, Asked::ByAssignment)?;
        Ok(array_element(&array, element, &index.sql))
    }

    /// A function that takes or gives arrays; `None` for any other name.
    pub(super) fn array_function(
        &mut self,
        environment: &Environment<'_>,
        name: &str,
        trees: &[&Expr],
    ) -> Result<Option<Expression>, SqlError> {
        let known = matches!(
            name,
            "unnest"
                | "generate_subscripts"
                | "pg_partition_ancestors"
                | "array_remove"
                | "_pg_expandarray"
                | "array_to_string"
                | "array_length"
                | "array_upper"
                | "array_lower"
                | "cardinality"
                | "array_position"
                | "string_to_array"
                | "parse_ident"
        );
        if name == "generate_series" {
            let (ty, [from, to, step]) = self.series_bounds(environment, trees)?;
            let step = format!("st_step({step})");
            let count = format!("st_series_count({from},{to},{step})");
            let row = self.series_row(environment, count.clone())?;
            let sql = format!("iif({row} <= {count},st_series_at({from},{step},{row}),NULL)");
            return Ok(Some(Expression::new(sql, ty)));
        }
        if !known {
            return Ok(None);
        }
        let mut arguments = Vec::with_capacity(trees.len());
        for tree in trees {
            arguments.push(self.typed(environment, tree)?);
        }
        if name == "parse_ident" {
            let arguments: Vec<Expression> = arguments.into_iter().map(Expression::plain).collect();
            let [text] = super::call::take(arguments, name)?;
            let text = self.cast(text, Type::Text, Asked::Implicitly)?;
            let sql = format!("st_parse_ident({})", text.sql);
            let array = SystemType::Array(Element::Text);
            return Ok(Some(Expression::new(sql, Type::Text).of_system(array)));
        }
        if name == "string_to_array" {
            let arguments: Vec<Expression> = arguments.into_iter().map(Expression::plain).collect();
            if !(2..=3).contains(&arguments.len()) {
                return Err(no_function("string_to_array"));
            }
            let mut texts = Vec::with_capacity(3);
            for argument in arguments {
                texts.push(self.cast(argument, Type::Text, Asked::Implicitly)?.sql);
            }
            let sql = format!("st_array_split({})", texts.join(","));
            let array = SystemType::Array(Element::Text);
            return Ok(Some(Expression::new(sql, Type::Text).of_system(array)));
        }
        if name == "pg_partition_ancestors" {
            // No table has any.
            let row = self.series_row(environment, "0".to_owned())?;
            let sql = format!("iif({row} > 0,NULL,NULL)");
            return Ok(Some(
                Expression::new(sql, Type::BigInt).of_system(SystemType::Oid),
            ));
        }
        let mut arguments = arguments.into_iter();
        let Some(array) = arguments.next() else {
            return Err(no_function(&format!("{name}()")));
        };
        let (array, element) = self.as_array(array, Element::Text)?;
        let more: Vec<Expression> = arguments.map(Expression::plain).collect();
        let first = base_of(&array);
        let count = format!("st_array_count({})", array.sql);
        Ok(Some(match (name, more.as_slice()) {
            ("unnest", []) => {
                let row = self.series_row(environment, count)?;
                array_element(&array, element, &format!("({row} - 1 + {first})"))
            }
            ("generate_subscripts", [_]) => {
                let row = self.series_row(environment, count.clone())?;
                let sql = format!("iif({row} <= {count},{row} - 1 + {first},NULL)");
                Expression::new(sql, Type::Integer)
            }
            ("_pg_expandarray", []) => {
                let row = self.series_row(environment, count)?;
                let item = array_element(&array, element, &format!("({row} - 1 + {first})"));
                let sql = format!("json_array({},{row})", item.sql);
                Expression::new(sql, Type::Text).of_system(SystemType::ElementAndPlace)
            }
            ("array_length" | "array_upper" | "array_lower", [dimension]) => {
                let dimension = self.cast(dimension.clone(), Type::Integer, Asked::Implicitly)?;
                let sql = match (name, first) {
                    ("array_lower", _) => format!("{first}"),
                    ("array_upper", 0) => format!("{count} - 1"),
                    _ => count.clone(),
                };
                // Arrays have one dimension.
                let sql = format!("iif({count} > 0 AND {} = 1,{sql},NULL)", dimension.sql);
                Expression::new(sql, Type::Integer)
            }
            ("cardinality", []) => Expression::new(count, Type::Integer),
            ("array_to_string", [separator]) => {
                let separator = self.cast(separator.clone(), Type::Text, Asked::Implicitly)?;
                let sql = format!("st_array_join({},{})", array.sql, separator.sql);
                Expression::new(sql, Type::Text)
            }
            ("array_to_string", [separator, null]) => {
                let separator = self.cast(separator.clone(), Type::Text, Asked::Implicitly)?;
                let null = self.cast(null.clone(), Type::Text, Asked::Implicitly)?;
                let sql = format!(
                    "st_array_join({},{},{})",
                    array.sql, separator.sql, null.sql
                );
                Expression::new(sql, Type::Text)
            }
            ("array_remove", [unwanted]) => {
                let unwanted = self.cast(unwanted.clone(), Type::Text, Asked::Explicitly)?;
                let sql = format!("st_array_remove({},{})", array.sql, unwanted.sql);
                Expression::new(sql, Type::Text).of_system(SystemType::Array(element))
            }
            ("array_position", [wanted]) => {
                let wanted = self.cast(wanted.clone(), Type::Text, Asked::Explicitly)?;
                let sql = format!("st_array_position({},{})", array.sql, wanted.sql);
                Expression::new(sql, Type::Integer)
            }
            _ => return Err(no_function(&format!("{name}({})", array.ty))),
        }))
    }

    /// The number, from 1, of the row among those a function in the select list makes.
    fn series_row(
        &mut self,
        environment: &Environment<'_>,
        count: String,
    ) -> Result<String, SqlError> {
        if environment.clause != super::scope::Clause::Select || self.writes {
            return Err(SqlError::unsupported(
                format!(
                    "a function that gives rows in {}",
                    environment.clause.words()
                ),
                "Call it in the select list of a sub-select of FROM.",
            ));
        }
        if self.series.alias.is_empty() {
            self.series.alias = self.fresh('j');
        }
        if !self.series.counts.contains(&count) {
            self.series.counts.push(count);
        }
        Ok(format!("{}.value", self.series.alias))
    }

    /// `ARRAY(SELECT …)`.
    pub(super) fn array_of_query(
        &mut self,
        environment: &Environment<'_>,
        query: &sqlparser::ast::Query,
    ) -> Result<Expression, SqlError> {
        environment.check_subselect()?;
        let mut select = self.query(query, Some(environment))?;
        select.settle_columns(self)?;
        let [column] = select.columns.as_slice() else {
            return Err(SqlError::new(
                "42601",
                "subquery must return only one column",
            ));
        };
        let (element, value) = self.element_json(&Expression {
            sql: "k1".to_owned(),
            ..column.expression.clone()
        })?;
        let text = select.text(self)?;
        let sql = format!("(SELECT json_group_array({value}) FROM ({text}))");
        Ok(Expression::new(sql, Type::Text)
            .not_null()
            .of_system(SystemType::Array(element)))
    }

    /// A value as an element of a JSON array.
    pub(super) fn element_json(
        &mut self,
        value: &Expression,
    ) -> Result<(Element, String), SqlError> {
        let element = match value.system() {
            Some(SystemType::Oid) => Element::Oid,
            Some(SystemType::Name) => Element::Name,
            Some(SystemType::Char) => Element::Char,
            Some(_) => {
                return Err(SqlError::unsupported(
                    format!("an array of {}", value.ty),
                    "Cast to TEXT first.",
                ));
            }
            None => value.known().map_or(Element::Text, Element::holding),
        };
        let sql = &value.sql;
        let text = match element {
            Element::Bool => {
                format!("json(CASE {sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END)")
            }
            // SQLite lets JSON grow without a bound of its own.
            _ if element.is_plain_in_json() => format!("st_held({sql})"),
            _ => {
                let text = self.cast(value.clone(), Type::Text, Asked::Explicitly)?;
                format!("st_held({})", text.sql)
            }
        };
        Ok((element, text))
    }

    /// A cast to an array type of what is an array or a text already.
    pub(super) fn cast_to_array(
        &mut self,
        expression: Expression,
        element: Element,
    ) -> Result<Expression, SqlError> {
        let array = SystemType::Array(element);
        match (&expression.kind, expression.system()) {
            (Kind::Null, _) => Ok(Expression::null(Ty::System(array))),
            (Kind::Literal(text), _) => {
                let json = array_text::parse(element, text)?;
                let sql = literal(&rusqlite::types::Value::Text(json));
                Ok(Expression::new(sql, Type::Text).not_null().of_system(array))
            }
            (_, Some(from)) if from.element() == Some(element) => Ok(expression.of_system(array)),
            (_, Some(from)) if from.element().is_some() => {
                let sql = format!("st_array_cast({},{})", expression.sql, element.oid());
                Ok(Expression::new(sql, Type::Text).of_system(array))
            }
            (Kind::Parameter(index), None) => {
                let index = *index;
                let element = self.array_parameter(index, element);
                let sql = format!("st_array_parameter({},{})", expression.sql, element.oid());
                let parameter = Expression { sql, ..expression };
                Ok(parameter.of_system(SystemType::Array(element)))
            }
            (_, None) if expression.known().is_some_and(is_text) => {
                let sql = format!("st_array_parse({},{})", expression.sql, element.oid());
                Ok(Expression::new(sql, Type::Text).of_system(array))
            }
            _ => Err(SqlError::new(
                "42846",
                format!("cannot cast type {} to {array}", expression.ty),
            )),
        }
    }
}

/// The dotted name a chain begins with, as in `t.a[1]`, and what follows it.
fn column_path<'t>(root: &Expr, chain: &'t [AccessExpr]) -> (Option<Vec<Ident>>, &'t [AccessExpr]) {
    let Expr::Identifier(first) = root else {
        return (None, chain);
    };
    let mut path = vec![first.clone()];
    let mut rest = chain;
    while let [AccessExpr::Dot(Expr::Identifier(next)), after @ ..] = rest {
        path.push(next.clone());
        rest = after;
    }
    (Some(path), rest)
}

/// The subscript of the first element.
fn base_of(array: &Expression) -> u8 {
    match array.system() {
        Some(SystemType::Int2Vector | SystemType::OidVector) => 0,
        _ => 1,
    }
}

fn array_element(array: &Expression, element: Element, index: &str) -> Expression {
    let place = match base_of(array) {
        0 => format!("({index} + 1)"),
        _ => index.to_owned(),
    };
    element_expression(&format!("st_array_get({},{place})", array.sql), element)
}

/// An element as it comes out of JSON, as SQLite keeps its type.
pub(super) fn element_expression(value: &str, element: Element) -> Expression {
    let ty = element.ty();
    let sql = match ty {
        Type::SmallInt | Type::Integer | Type::BigInt => format!("CAST({value} AS INTEGER)"),
        Type::Text | Type::Json => format!("CAST({value} AS TEXT)"),
        Type::Bool => format!("st_array_truth({value})"),
        _ => format!(
            "st_cast(CAST({value} AS TEXT),{},{})",
            type_arguments(Type::Text),
            type_arguments(ty)
        ),
    };
    let expression = Expression::new(sql, ty);
    match element.system() {
        Some(system) => expression.of_system(system),
        None => expression,
    }
}
