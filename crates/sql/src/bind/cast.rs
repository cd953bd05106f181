//! Casts, and the common type of several expressions.

use stele_core::numeric::Numeric;
use stele_core::value::{self, text};
use stele_core::{Type, Value};

use super::Binder;
use super::expression::{Expression, Family, Kind, Ty, bits, family, is_text, numeric, scale_of};
use super::type_name::{NUMERIC_SCALE_DEFAULT, TypeName};
use crate::error::SqlError;
use crate::function::type_arguments;

/// Who asks for a cast: decides which are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nobody: an operator or function needs another type.
    Implicitly,
    /// INSERT or UPDATE, for a column.
    ByAssignment,
    /// The statement, with CAST or `::`.
    Explicitly,
}

impl Binder<'_> {
    /// Brings an expression to a type.
    pub(super) fn cast(
        &mut self,
        expression: Expression,
        to: Type,
        asked: Asked,
    ) -> Result<Expression, SqlError> {
        let expression = expression.plain();
        match (&expression.kind, expression.ty) {
            (Kind::Null, _) => Ok(Expression::null(Ty::Of(to))),
            (Kind::Literal(given), _) => match to {
                Type::Varchar(max) if asked == Asked::Explicitly => {
                    let kept: String = given.chars().take(max as usize).collect();
                    read_literal(to, &kept)
                }
                Type::Char(max) if asked == Asked::Explicitly => {
                    let kept: String = given.chars().take(max as usize).collect();
                    read_literal(to, &kept)
                }
                _ => read_literal(to, given),
            },
            (Kind::Parameter(index), Ty::Unknown) => {
                let index = *index;
                let ty = self.settle(index, to);
                self.cast_known(
                    Expression {
                        ty: Ty::Of(ty),
                        ..expression
                    },
                    ty,
                    to,
                    asked,
                )
            }
            (Kind::Parameter(index), Ty::Of(_)) if asked == Asked::ByAssignment => {
                let index = *index;
                let ty = self.settle_assigned(index, to);
                self.cast_known(
                    Expression {
                        ty: Ty::Of(ty),
                        ..expression
                    },
                    ty,
                    to,
                    asked,
                )
            }
            (Kind::Parameter(index), Ty::Of(_)) => {
                let index = *index;
                let from = self.settle(index, to);
                self.cast_known(expression, from, to, asked)
            }
            (_, Ty::Of(from)) => self.cast_known(expression, from, to, asked),
            (_, Ty::Interval) if is_text(to) && asked != Asked::Implicitly => {
                let text =
                    Expression::new(format!("st_interval_text({})", expression.sql), Type::Text)
                        .null_like(&[&expression]);
                self.cast_known(text, Type::Text, to, asked)
            }
            (_, Ty::Interval) => Err(cannot_cast(expression.ty, Ty::Of(to))),
            // Only literals, NULL and parameters are unknown; system types have been made plain.
            (_, Ty::Unknown | Ty::System(_)) => Ok(expression),
        }
    }

    /// CAST and `::` as written.
    pub(super) fn cast_to_name(
        &mut self,
        expression: Expression,
        name: TypeName,
    ) -> Result<Expression, SqlError> {
        let expression = match (name.ty, expression.system()) {
            (Ty::System(to), _) => return self.cast_to_system(expression, to),
            (Ty::Of(to), Some(from)) if is_text(to) => self.system_text(expression, from),
            _ => expression.plain(),
        };
        match name.ty {
            Ty::Interval => self.interval_from(expression),
            Ty::Of(_) if name.bare_numeric => {
                let scale = match (&expression.kind, expression.known()) {
                    (Kind::Literal(given), _) => {
                        let value = Numeric::parse(given.trim()).map_err(|error| {
                            let mut error = SqlError::from(error);
                            if error.code.as_str() == "22P02" {
                                error.message = format!("{}: \"{given}\"", error.message);
                            }
                            error
                        })?;
                        return Expression::constant(numeric(value.scale()), Value::Numeric(value));
                    }
                    (_, Some(ty)) => scale_of(ty).unwrap_or(NUMERIC_SCALE_DEFAULT),
                    (_, None) => NUMERIC_SCALE_DEFAULT,
                };
                self.cast(expression, numeric(scale), Asked::Explicitly)
            }
            Ty::Of(to) => self.cast(expression, to, Asked::Explicitly),
            Ty::Unknown | Ty::System(_) => Ok(expression),
        }
    }

    fn cast_known(
        &mut self,
        expression: Expression,
        from: Type,
        to: Type,
        asked: Asked,
    ) -> Result<Expression, SqlError> {
        if !allowed(from, to, asked) {
            return Err(cannot_cast(Ty::Of(from), Ty::Of(to)));
        }
        if let Kind::Constant(value) = &expression.kind
            && let Some(constant) = fold(from, to, value, asked)?
        {
            return Ok(constant);
        }
        let Some(sql) = cast_sql(&expression.sql, from, to, asked) else {
            return Ok(Expression {
                ty: Ty::Of(to),
                ..expression
            });
        };
        Ok(Expression {
            sql,
            ty: Ty::Of(to),
            nullable: expression.nullable,
            kind: Kind::Other,
        })
    }

    /// Brings an expression to a column's type, in the words PostgreSQL has for INSERT and UPDATE.
    pub(super) fn assign(
        &mut self,
        expression: Expression,
        column: &stele_core::schema::Column,
    ) -> Result<Expression, SqlError> {
        let given = expression.ty;
        self.cast(expression, column.ty, Asked::ByAssignment)
            .map_err(|error| {
                if error.code.as_str() != "42846" {
                    return error;
                }
                SqlError::new(
                    "42804",
                    format!(
                        "column \"{}\" is of type {} but expression is of type {given}",
                        column.name, column.ty
                    ),
                )
                .hint("You will need to rewrite or cast the expression.")
            })
    }

    /// Gives every expression the type they share, as CASE, UNION, COALESCE, VALUES do.
    pub(super) fn unify(
        &mut self,
        expressions: Vec<Expression>,
        what: &str,
    ) -> Result<Vec<Expression>, SqlError> {
        let ty = match common_type(&expressions, what)? {
            // The type has no length then, in PostgreSQL.
            Ty::Of(Type::Varchar(max) | Type::Char(max)) if has_longer(&expressions, max) => {
                Ty::Of(Type::Text)
            }
            ty => ty,
        };
        expressions
            .into_iter()
            .map(|expression| match ty {
                Ty::Of(ty) => self.cast(expression, ty, Asked::Implicitly),
                Ty::Interval => self.interval_from(expression),
                Ty::System(to) => Ok(match expression.system() {
                    Some(_) => expression,
                    None => self.cast_to_system(expression, to)?,
                }),
                Ty::Unknown => self.cast(expression, Type::Text, Asked::Implicitly),
            })
            .collect()
    }

    /// Types what is still unknown as TEXT.
    pub(super) fn settled(&mut self, expression: Expression) -> Result<Expression, SqlError> {
        if expression.is_unknown() {
            self.cast(expression, Type::Text, Asked::Implicitly)
        } else {
            Ok(expression)
        }
    }
}

/// Whether a literal among them has more characters than that.
fn has_longer(expressions: &[Expression], max: u32) -> bool {
    expressions.iter().any(|expression| match &expression.kind {
        Kind::Literal(given) => given.chars().nth(max as usize).is_some(),
        _ => false,
    })
}

/// A CHAR(n) as it is shown, with the blanks at its end; anything else as it is.
pub(super) fn padded(expression: Expression) -> Expression {
    match expression.ty {
        Ty::Of(Type::Char(len)) => Expression {
            sql: format!("st_pad({},{len})", expression.sql),
            ty: Ty::Of(Type::Text),
            nullable: expression.nullable,
            kind: Kind::Other,
        },
        _ => expression,
    }
}

/// The type several expressions share; unknown when all are.
pub(super) fn common_type(expressions: &[Expression], what: &str) -> Result<Ty, SqlError> {
    let mut common = Ty::Unknown;
    for expression in expressions {
        common = match (common, expression.ty) {
            (Ty::Unknown, other) | (other, Ty::Unknown) => other,
            (Ty::Interval, Ty::Interval) => Ty::Interval,
            (Ty::System(a), Ty::System(b)) if a == b => common,
            (Ty::System(a), Ty::System(b)) => shared(a.stored(), b.stored(), what)?,
            (Ty::System(a), Ty::Of(b)) | (Ty::Of(b), Ty::System(a)) => shared(a.stored(), b, what)?,
            (Ty::Of(a), Ty::Of(b)) => match wider(a, b) {
                Some(ty) => Ty::Of(ty),
                None => return Err(mismatched(what, common, expression.ty)),
            },
            _ => return Err(mismatched(what, common, expression.ty)),
        };
    }
    Ok(common)
}

fn shared(a: Type, b: Type, what: &str) -> Result<Ty, SqlError> {
    let wider = wider(a, b).map(Ty::Of);
    wider.ok_or_else(|| mismatched(what, Ty::Of(a), Ty::Of(b)))
}

fn mismatched(what: &str, a: Ty, b: Ty) -> SqlError {
    SqlError::new(
        "42804",
        format!("{what} types {a} and {b} cannot be matched"),
    )
}

/// The type both convert into without being asked.
pub(super) fn wider(a: Type, b: Type) -> Option<Type> {
    if a == b {
        return Some(a);
    }
    if family(a) != family(b) {
        return None;
    }
    Some(match (a, b) {
        (Type::Double, _) | (_, Type::Double) => Type::Double,
        (
            Type::Numeric { precision, scale },
            Type::Numeric {
                precision: p,
                scale: s,
            },
        ) if scale == s => Type::Numeric {
            precision: precision.max(p),
            scale,
        },
        (Type::Numeric { .. }, _) | (_, Type::Numeric { .. }) => {
            numeric(scale_of(a)?.max(scale_of(b)?))
        }
        (Type::Char(a), Type::Char(b)) => Type::Char(a.max(b)),
        (Type::BigInt, _) | (_, Type::BigInt) => Type::BigInt,
        (Type::Integer, _) | (_, Type::Integer) => Type::Integer,
        (Type::TimestampTz, _) | (_, Type::TimestampTz) => Type::TimestampTz,
        (Type::Timestamp, _) | (_, Type::Timestamp) => Type::Timestamp,
        _ => Type::Text,
    })
}

/// A quoted literal read as a type.
fn read_literal(to: Type, given: &str) -> Result<Expression, SqlError> {
    Expression::constant(to, text::parse(to, given)?)
}

fn cannot_cast(from: Ty, to: Ty) -> SqlError {
    SqlError::new("42846", format!("cannot cast type {from} to {to}"))
}

/// PostgreSQL's table of casts, for our types.
fn allowed(from: Type, to: Type, asked: Asked) -> bool {
    if from == to {
        return true;
    }
    let explicit = asked == Asked::Explicitly;
    let assigned = asked != Asked::Implicitly;
    match (family(from), family(to)) {
        (Family::Number, Family::Number) => assigned || rank(from) <= rank(to),
        (Family::Text, Family::Text) => true,
        (Family::Time, Family::Time) => assigned || to != Type::Date,
        // Everything can be written as text and read from it.
        (_, Family::Text) => assigned,
        (Family::Text, _) => explicit,
        (Family::Bool, Family::Number) => explicit && to == Type::Integer,
        (Family::Number, Family::Bool) => explicit && from == Type::Integer,
        _ => false,
    }
}

/// Number types in the order they widen.
fn rank(ty: Type) -> u8 {
    match ty {
        Type::SmallInt => 0,
        Type::Integer => 1,
        Type::BigInt => 2,
        Type::Numeric { .. } => 3,
        _ => 4,
    }
}

/// A constant cast when bound; `None` when it must be cast when executed.
fn fold(from: Type, to: Type, value: &Value, asked: Asked) -> Result<Option<Expression>, SqlError> {
    let simple = scale_of(from).is_some() && family(to) == Family::Number;
    if !simple || asked == Asked::Implicitly && bits(to).is_some() && bits(from).is_none() {
        return Ok(None);
    }
    let value = value::coerce(to, value.clone())?;
    Expression::constant(to, value).map(Some)
}

/// The text of a cast; `None` when SQLite's value is the same.
fn cast_sql(sql: &str, from: Type, to: Type, asked: Asked) -> Option<String> {
    match (from, to) {
        _ if from == to => None,
        (
            Type::Numeric {
                precision: p,
                scale: s,
            },
            Type::Numeric { precision, scale },
        ) if s == scale && p <= precision => None,
        (Type::Varchar(a), Type::Varchar(b)) if a <= b => None,
        (_, Type::Varchar(max)) if is_text(from) && asked == Asked::Explicitly => {
            Some(format!("st_cut({sql},{max})"))
        }
        (Type::Char(a), Type::Char(b) | Type::Varchar(b)) if a <= b => None,
        (_, Type::Char(max)) if is_text(from) && asked == Asked::Explicitly => {
            Some(format!("st_char({sql},{max})"))
        }
        (_, Type::Text) if is_text(from) => None,
        (Type::Timestamp, Type::TimestampTz) | (Type::TimestampTz, Type::Timestamp) => None,
        _ => match (bits(from), bits(to)) {
            (Some(a), Some(b)) if a <= b => None,
            (Some(_), Some(b)) => Some(format!("st_int_check({sql},{b})")),
            (Some(_), None) if to == Type::Double => Some(format!("CAST({sql} AS REAL)")),
            (Some(_), None) if to == Type::Text => Some(format!("CAST({sql} AS TEXT)")),
            _ => Some(format!(
                "st_cast({sql},{},{})",
                type_arguments(from),
                type_arguments(to)
            )),
        },
    }
}
