//! `unnest(array, …) [WITH ORDINALITY]` in FROM: the elements of arrays as rows, in their order.

use sqlparser::ast::{Expr, Query, SetExpr, TableAlias, TableFactor};
use stele_core::Type;

use super::derived_scope;
use crate::bind::Binder;
use crate::bind::array::element_expression;
use crate::bind::call::no_function;
use crate::bind::expression::Expression;
use crate::bind::name::folded;
use crate::bind::query::{Column, Select};
use crate::bind::scope::{Clause, Environment, Scope};
use crate::error::SqlError;
use crate::system_type::Element;

impl Binder<'_> {
    pub(super) fn unnest_relation(
        &mut self,
        trees: &[Expr],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
        outer: Option<&Environment<'_>>,
    ) -> Result<(Scope, String), SqlError> {
        let scope = Scope::default();
        let environment = Environment::new(&scope, Clause::Values).with_outer(outer);
        let mut arrays = Vec::with_capacity(trees.len());
        for tree in trees {
            let array = self.typed(&environment, tree)?;
            arrays.push(self.as_array(array, Element::Text)?);
        }
        let texts: Vec<&str> = arrays.iter().map(|(array, _)| array.sql.as_str()).collect();
        let (rows, named) = match (texts.as_slice(), alias) {
            ([], _) => return Err(no_function("unnest()")),
            ([one], Some(alias)) => ((*one).to_owned(), folded(&alias.name)),
            ([one], None) => ((*one).to_owned(), "unnest".to_owned()),
            (several, _) => (
                format!("st_array_zip({})", several.join(",")),
                "unnest".to_owned(),
            ),
        };
        // As the function itself, so that it sees what stands before it; what is drawn by chance is
        // drawn once.
        let own = self.fresh('r');
        let source = if rows.contains("st_random") {
            let once = self.fenced(&format!("SELECT key,value FROM json_each({rows})"));
            format!("({once}) AS {own}")
        } else {
            format!("json_each({rows}) AS {own}")
        };
        let mut columns = Vec::with_capacity(arrays.len() + 1);
        for (place, (_, element)) in arrays.iter().enumerate() {
            let value = match arrays.len() {
                1 => format!("{own}.value"),
                _ => format!("json_extract({own}.value,'$[{place}]')"),
            };
            columns.push(Column {
                name: named.clone(),
                expression: element_expression(&value, *element),
            });
        }
        if with_ordinality {
            columns.push(Column {
                name: "ordinality".to_owned(),
                expression: Expression::new(format!("({own}.key + 1)"), Type::BigInt),
            });
        }
        let texts: Vec<Expression> = columns.iter().map(|c| c.expression.clone()).collect();
        let select = Select {
            columns,
            ..Select::default()
        };
        let mut scope = derived_scope(&select, &own, alias, "unnest")?;
        for relation in &mut scope.relations {
            // The place tells the rows apart, whether it is shown or not.
            relation.key = vec![format!("{own}.key")];
            for (column, text) in relation.columns.iter_mut().zip(&texts) {
                column.expression = text.clone();
            }
        }
        Ok((scope, source))
    }
}

/// Whether an item of FROM is `unnest(…)`.
pub(super) fn is_unnest(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::UNNEST { .. } => true,
        TableFactor::Table {
            name,
            args: Some(_),
            ..
        }
        | TableFactor::Function { name, .. } => {
            let name = name.to_string().to_ascii_lowercase();
            matches!(name.as_str(), "unnest" | "pg_catalog.unnest")
        }
        _ => false,
    }
}

/// Whether a query gives its rows in an order of its own: it reads nothing but `unnest(…)`, whose
/// elements come in their places. Clients that write many rows at once count on that order.
pub(in crate::bind) fn gives_rows_in_order(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    let [item] = select.from.as_slice() else {
        return false;
    };
    is_unnest(&item.relation)
        && item.joins.is_empty()
        && select.distinct.is_none()
        && select.having.is_none()
        && query.order_by.is_none()
}
