//! Parameter types a client declares, put into the text of a statement.
//!
//! A statement is executed from its text alone: here, on every other node, and whenever the ledger is
//! replayed. A type that only the client's message names would be forgotten there: `SELECT $1` with
//! an integer declared would give a text. So where a declared type means something else than what the
//! binder would infer, the text that is kept says it: `SELECT ($1::integer)`.

use std::sync::Arc;

use stele_core::Type;
use stele_sql::{Bound, OutputColumn};

use super::Session;
use crate::pg::scanner::{Scanner, Token};
use crate::pg::wire_type::PLAIN_NUMERIC;

impl Session {
    /// The text that means without declared types what `sql` means with them, as `bound` has it; none
    /// if `sql` already does.
    pub(super) fn with_declared(
        &self,
        sql: &str,
        declared: &[Option<Type>],
        bound: &Bound,
    ) -> Option<(String, Arc<Bound>)> {
        if declared.iter().all(Option::is_none) {
            return None;
        }
        let types = bound.parameters();
        let inferred = self.node.describe(self.account, sql, &[]).ok();
        let inferred_types = inferred
            .as_ref()
            .map_or(&[][..], |bound| bound.parameters());
        let is_said = |place: usize, ty: Type| {
            let inferred = inferred_types.get(place).copied();
            inferred.is_some_and(|inferred| holds(inferred, ty))
        };
        let same_columns = inferred
            .as_ref()
            .is_some_and(|inferred| same_types(inferred.columns(), bound.columns()));
        if same_columns && types.iter().enumerate().all(|(at, ty)| is_said(at, *ty)) {
            return None;
        }
        let cast = |place: usize| {
            let ty = types.get(place).copied()?;
            declared.get(place).copied().flatten()?;
            // An array is declared as the text that it is kept as.
            let is_array = bound.arrays().get(place).copied().flatten().is_some();
            (!is_array).then(|| name(ty))
        };
        let text = with_casts(sql, cast);
        let again = self.node.describe(self.account, &text, &[]).ok()?;
        let fits = again.parameters() == types && same_types(again.columns(), bound.columns());
        fits.then_some((text, again))
    }
}

/// Whether columns are of the same types, whatever their names.
pub(super) fn same_types(left: &[OutputColumn], right: &[OutputColumn]) -> bool {
    let types = |column: &OutputColumn| (column.ty, column.system);
    left.len() == right.len() && left.iter().map(types).eq(right.iter().map(types))
}

/// Whether a parameter of type `inferred` takes every value of `declared` and means the same by it.
fn holds(inferred: Type, declared: Type) -> bool {
    let width = |ty: Type| match ty {
        Type::SmallInt => Some(1),
        Type::Integer => Some(2),
        Type::BigInt => Some(3),
        _ => None,
    };
    match (width(inferred), width(declared)) {
        (Some(inferred), Some(declared)) => inferred >= declared,
        _ => inferred == declared,
    }
}

/// A type as SQL writes it.
fn name(ty: Type) -> String {
    match ty {
        PLAIN_NUMERIC => "numeric".to_owned(),
        Type::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
        Type::Varchar(max) => format!("varchar({max})"),
        Type::Char(max) => format!("char({max})"),
        Type::TimestampTz => "timestamptz".to_owned(),
        other => other.to_string(),
    }
}

/// The text with casts behind its parameters.
pub(super) fn with_casts(sql: &str, cast: impl Fn(usize) -> Option<String>) -> String {
    let mut scanner = Scanner::new(sql);
    let mut text = String::with_capacity(sql.len());
    let mut copied = 0;
    while let Some((token, start, end)) = scanner.next_token() {
        let Token::Word(word) = token else { continue };
        let number = word
            .strip_prefix('$')
            .and_then(|number| number.parse::<usize>().ok());
        let Some(ty) = number
            .and_then(|number| number.checked_sub(1))
            .and_then(&cast)
        else {
            continue;
        };
        text.push_str(sql.get(copied..start).unwrap_or_default());
        text.push_str(&format!("({word}::{ty})"));
        copied = end;
    }
    text.push_str(sql.get(copied..).unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_stand_behind_the_parameters_that_have_a_type() {
        let cast = |place| (place == 0).then(|| "integer".to_owned());
        assert_eq!(
            with_casts("SELECT $1, $2, '$1', $10, \"$1\" -- $1\n+$1", cast),
            "SELECT ($1::integer), $2, '$1', $10, \"$1\" -- $1\n+($1::integer)"
        );
    }
}
