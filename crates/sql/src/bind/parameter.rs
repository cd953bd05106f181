//! Types of `$1`…: declared by the client, or taken from what they first touch.

use stele_core::Type;

use super::Binder;
use super::expression::{Expression, Family, Kind, Ty, family};
use super::scope::Clause;
use crate::error::SqlError;
use crate::system_type::Element;

/// What is known of one parameter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parameter {
    /// What the client said, if anything.
    declared: Option<Type>,
    /// What its use settled.
    settled: Option<Type>,
    /// Its elements, when it is an array.
    array: Option<Element>,
}

pub(super) fn declared(types: &[Option<Type>]) -> Vec<Parameter> {
    types
        .iter()
        .map(|ty| Parameter {
            declared: *ty,
            settled: None,
            array: None,
        })
        .collect()
}

impl Binder<'_> {
    /// Makes room for the parameters of the statement: the hidden ones come after them.
    pub(super) fn expect_parameters(&mut self, count: usize) {
        self.parameters.resize_with(count, Parameter::default);
    }

    /// `$n`, as a placeholder token spells it.
    pub(super) fn placeholder(
        &mut self,
        clause: Clause,
        token: &str,
    ) -> Result<Expression, SqlError> {
        let number = crate::parse::parameter_number(token)
            .filter(|number| *number <= self.parameters.len())
            // Definitions outlive the statement that carries the values.
            .filter(|_| !matches!(clause, Clause::Check | Clause::Default))
            .ok_or_else(|| SqlError::new("42P02", format!("there is no parameter {token}")))?;
        let index = number - 1;
        Ok(Expression {
            sql: format!("?{number}"),
            ty: self.type_of_parameter(index).map_or(Ty::Unknown, Ty::Of),
            nullable: true,
            kind: Kind::Parameter(index),
        })
    }

    /// Says that a parameter is an array, of these elements unless something else said so before.
    pub(super) fn array_parameter(&mut self, index: usize, element: Element) -> Element {
        match self.parameters.get_mut(index) {
            Some(parameter) => {
                parameter.settled = Some(Type::Text);
                *parameter.array.get_or_insert(element)
            }
            None => element,
        }
    }

    /// Which parameters are arrays.
    pub(super) fn parameter_arrays(&self) -> Vec<Option<Element>> {
        self.parameters.iter().map(|one| one.array).collect()
    }

    fn type_of_parameter(&self, index: usize) -> Option<Type> {
        let parameter = self.parameters.get(index)?;
        parameter.settled.or(parameter.declared)
    }

    /// Gives a parameter the type of the place it stands in, if nothing has given it one.
    pub(super) fn settle(&mut self, index: usize, ty: Type) -> Type {
        match self.parameters.get_mut(index) {
            Some(parameter) => {
                let settled = parameter.settled.or(parameter.declared).unwrap_or(ty);
                parameter.settled = Some(settled);
                settled
            }
            None => ty,
        }
    }

    /// As [`Self::settle`], but a declared type of the same family gives way: the value is coerced
    /// to the column's type before execution, so that no cast is left in the statement.
    pub(super) fn settle_assigned(&mut self, index: usize, ty: Type) -> Type {
        if let Some(parameter) = self.parameters.get_mut(index)
            && parameter.settled.is_none()
            && parameter
                .declared
                .is_some_and(|declared| gives_way(declared, ty))
        {
            parameter.settled = Some(ty);
        }
        self.settle(index, ty)
    }

    /// The types of all parameters at the end of binding.
    pub(super) fn parameter_types(&self) -> Vec<Type> {
        self.parameters
            .iter()
            .map(|parameter| {
                parameter
                    .settled
                    .or(parameter.declared)
                    .unwrap_or(Type::Text)
            })
            .collect()
    }
}

fn gives_way(declared: Type, column: Type) -> bool {
    match (family(declared), family(column)) {
        (Family::Number, Family::Number) => {
            // A double is not an exact number: let the lowered cast say what becomes of it.
            (declared == Type::Double) == (column == Type::Double)
        }
        (Family::Text, Family::Text) => true,
        (Family::Time, Family::Time) => (declared == Type::Date) == (column == Type::Date),
        _ => false,
    }
}
