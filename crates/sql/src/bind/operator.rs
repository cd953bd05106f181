//! Operators.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use stele_core::numeric::{Numeric, add_scale, div_scale, mul_scale};
use stele_core::{Type, Value};

use super::Binder;
use super::cast::{Asked, padded, wider};
use super::expression::{Expression, Family, Kind, Ty, bits, family, is_text, numeric, scale_of};
use super::scope::Environment;
use super::type_name::NUMERIC_SCALE_DEFAULT;
use crate::error::SqlError;

impl Binder<'_> {
    pub(super) fn binary(
        &mut self,
        op: &BinaryOperator,
        left: Expression,
        right: Expression,
    ) -> Result<Expression, SqlError> {
        let arrays = left.is_array() || right.is_array();
        if *op == BinaryOperator::StringConcat && arrays {
            return self.array_concatenated(left, right);
        }
        let (left, right) = match arrays {
            true => self.as_alike_arrays(op, left, right)?,
            false => (left, right),
        };
        let (left, right) = (left.plain(), right.plain());
        match op {
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => self.compare(op, left, right),
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => self.arithmetic(op, left, right),
            BinaryOperator::StringConcat => self.concatenate(left, right),
            BinaryOperator::BitwiseAnd
            | BinaryOperator::BitwiseOr
            | BinaryOperator::PGBitwiseXor
            | BinaryOperator::PGBitwiseShiftLeft
            | BinaryOperator::PGBitwiseShiftRight => self.bitwise(op, left, right),
            BinaryOperator::Arrow | BinaryOperator::LongArrow => self.json_member(op, left, right),
            BinaryOperator::PGLikeMatch => self.like_of(left, right, None, false, false),
            BinaryOperator::PGNotLikeMatch => self.like_of(left, right, None, true, false),
            BinaryOperator::PGILikeMatch => self.like_of(left, right, None, false, true),
            BinaryOperator::PGNotILikeMatch => self.like_of(left, right, None, true, true),
            BinaryOperator::HashArrow | BinaryOperator::HashLongArrow => {
                self.json_member(op, left, right)
            }
            BinaryOperator::PGRegexMatch => self.regex(op, left, right, false, ""),
            BinaryOperator::PGRegexIMatch => self.regex(op, left, right, false, "i"),
            BinaryOperator::PGRegexNotMatch => self.regex(op, left, right, true, ""),
            BinaryOperator::PGRegexNotIMatch => self.regex(op, left, right, true, "i"),
            BinaryOperator::PGCustomBinaryOperator(parts) => match named_operator(parts) {
                Some(op) => self.binary(&op, left, right),
                None => Err(no_operator(&op.to_string(), left.ty, right.ty)),
            },
            BinaryOperator::PGExp => Err(SqlError::unsupported(
                "the operator ^",
                "Its result depends on the machine's mathematics; multiply instead.",
            )),
            other => Err(no_operator(&other.to_string(), left.ty, right.ty)),
        }
    }

    /// `~`, `~*` and their negations.
    fn regex(
        &mut self,
        op: &BinaryOperator,
        left: Expression,
        right: Expression,
        negated: bool,
        flags: &str,
    ) -> Result<Expression, SqlError> {
        for side in [&left, &right] {
            if !side.is_unknown() && !side.known().is_some_and(is_text) {
                return Err(no_operator(&op.to_string(), left.ty, right.ty));
            }
        }
        let left = self.cast(padded(left), Type::Text, Asked::Implicitly)?;
        let right = self.cast(right, Type::Text, Asked::Implicitly)?;
        let not = if negated { "NOT " } else { "" };
        let sql = format!("({not}st_regex_like({},{},'{flags}'))", left.sql, right.sql);
        Ok(Expression::new(sql, Type::Bool).null_like(&[&left, &right]))
    }

    pub(super) fn unary(
        &mut self,
        op: UnaryOperator,
        operand: Expression,
    ) -> Result<Expression, SqlError> {
        match (op, operand.ty) {
            (UnaryOperator::Not, _) => {
                let operand = self.truth(operand, "NOT")?;
                Ok(
                    Expression::new(format!("(NOT {})", operand.sql), Type::Bool)
                        .null_like(&[&operand]),
                )
            }
            (UnaryOperator::Plus, Ty::Of(ty)) if family(ty) == Family::Number => Ok(operand),
            (UnaryOperator::Minus, Ty::Interval) => Ok(Expression::interval(format!(
                "st_interval_neg({})",
                operand.sql
            ))),
            (UnaryOperator::Minus, Ty::Of(ty)) if family(ty) == Family::Number => {
                if let Kind::Constant(Value::Int(value)) = operand.kind
                    && let Some(negated) = value.checked_neg()
                {
                    return Expression::constant(ty, Value::Int(negated));
                }
                if let Kind::Constant(Value::Numeric(value)) = operand.kind {
                    return Expression::constant(ty, Value::Numeric(-value));
                }
                let sql = match (bits(ty), ty) {
                    (Some(bits), _) => format!("st_int_neg({},{bits})", operand.sql),
                    (None, Type::Numeric { scale, .. }) => {
                        format!("st_num_neg({},{scale},{scale})", operand.sql)
                    }
                    _ => format!("st_real_neg({})", operand.sql),
                };
                Ok(Expression::new(sql, ty).null_like(&[&operand]))
            }
            (UnaryOperator::BitwiseNot, Ty::Of(ty)) if bits(ty).is_some() => {
                Ok(Expression::new(format!("(~{})", operand.sql), ty).null_like(&[&operand]))
            }
            (UnaryOperator::Plus | UnaryOperator::Minus, Ty::Unknown) => {
                let operand = self.cast(operand, Type::Double, Asked::Implicitly)?;
                self.unary(op, operand)
            }
            (UnaryOperator::PGAbs, _) => self.function_of("abs", vec![operand]),
            (op, ty) => Err(
                SqlError::new("42883", format!("operator does not exist: {op} {ty}"))
                    .hint(NO_OPERATOR_HINT),
            ),
        }
    }

    /// A comparison, by types both sides convert into.
    pub(super) fn compare(
        &mut self,
        op: &BinaryOperator,
        left: Expression,
        right: Expression,
    ) -> Result<Expression, SqlError> {
        let sign = comparison_sign(op);
        let (left, right) = self.comparable(sign, left, right)?;
        let null = [&left, &right];
        let sql = match (left.known(), right.known()) {
            (Some(Type::Numeric { scale: a, .. }), Some(Type::Numeric { scale: b, .. }))
                if a != b =>
            {
                compare_scales(sign, (&left, a), (&right, b))
            }
            _ => format!("({} {sign} {})", left.sql, right.sql),
        };
        Ok(Expression::new(sql, Type::Bool).null_like(&null))
    }

    /// Both sides of a comparison as values SQLite compares as PostgreSQL does; two NUMERICs may
    /// still differ in scale.
    pub(super) fn comparable(
        &mut self,
        sign: &str,
        left: Expression,
        right: Expression,
    ) -> Result<(Expression, Expression), SqlError> {
        let (left, right) = (left.plain(), right.plain());
        let (lt, rt) = (left.ty, right.ty);
        let target = match (lt, rt) {
            (Ty::Unknown, Ty::Unknown) => Ty::Of(Type::Text),
            (Ty::Unknown, other) | (other, Ty::Unknown) => other,
            (Ty::Interval, Ty::Interval) => Ty::Interval,
            (Ty::Of(a), Ty::Of(b)) => match wider(a, b) {
                Some(ty) => Ty::Of(ty),
                None => return Err(no_operator(sign, lt, rt)),
            },
            _ => return Err(no_operator(sign, lt, rt)),
        };
        match target {
            Ty::Of(Type::Json) => Err(no_operator(sign, lt, rt)),
            Ty::Interval => {
                let left = self.interval_from(left)?;
                let right = self.interval_from(right)?;
                Ok((
                    Expression::new(format!("st_interval_micros({})", left.sql), Type::BigInt)
                        .null_like(&[&left]),
                    Expression::new(format!("st_interval_micros({})", right.sql), Type::BigInt)
                        .null_like(&[&right]),
                ))
            }
            Ty::Of(target) => Ok((self.side(left, target, rt)?, self.side(right, target, lt)?)),
            Ty::Unknown | Ty::System(_) => Ok((left, right)),
        }
    }

    fn side(&mut self, side: Expression, target: Type, other: Ty) -> Result<Expression, SqlError> {
        match (side.ty, target) {
            // A literal or parameter beside a NUMERIC keeps all its digits.
            (Ty::Unknown, Type::Numeric { scale, .. }) => match &side.kind {
                Kind::Literal(given) => match Numeric::parse(given.trim()) {
                    Ok(value) => {
                        Expression::constant(numeric(value.scale()), Value::Numeric(value))
                    }
                    Err(_) => self.cast(side, target, Asked::Implicitly),
                },
                _ => self.cast(
                    side,
                    numeric(scale.max(NUMERIC_SCALE_DEFAULT)),
                    Asked::Implicitly,
                ),
            },
            (_, Type::Char(_)) => self.beside_char(side),
            // A text beside a VARCHAR(n) may be longer than n.
            (_, Type::Varchar(_)) => self.cast(side, Type::Text, Asked::Implicitly),
            (Ty::Of(own), Type::Numeric { .. }) if bits(own).is_some() => {
                let _ = other;
                self.cast(side, numeric(0), Asked::Implicitly)
            }
            (Ty::Of(Type::Numeric { .. }), Type::Numeric { .. }) => Ok(side),
            _ => self.cast(side, target, Asked::Implicitly),
        }
    }

    /// A side of a comparison of CHAR(n): blanks at the end of a literal or parameter mean nothing.
    pub(super) fn beside_char(&mut self, side: Expression) -> Result<Expression, SqlError> {
        match (&side.kind, side.ty) {
            (Kind::Literal(given), _) => {
                let kept = Expression::unknown(given.trim_end_matches(' '));
                self.cast(kept, Type::Text, Asked::Implicitly)
            }
            (Kind::Parameter(_), Ty::Unknown) => {
                let text = self.cast(side, Type::Text, Asked::Implicitly)?;
                Ok(Expression {
                    sql: format!("st_trim_right({},' ')", text.sql),
                    kind: Kind::Other,
                    ..text
                })
            }
            _ => self.cast(side, Type::Text, Asked::Implicitly),
        }
    }

    fn arithmetic(
        &mut self,
        op: &BinaryOperator,
        left: Expression,
        right: Expression,
    ) -> Result<Expression, SqlError> {
        if let Some(result) = self.time_arithmetic(op, &left, &right)? {
            return Ok(result);
        }
        let (lt, rt) = (left.ty, right.ty);
        let (a, b) = match (lt, rt) {
            (Ty::Of(a), Ty::Of(b)) => (a, b),
            (Ty::Of(a), Ty::Unknown) => (a, operand_beside(a)),
            (Ty::Unknown, Ty::Of(b)) => (operand_beside(b), b),
            _ => return Err(no_operator(&op.to_string(), lt, rt)),
        };
        let wide = (family(a) == Family::Number && family(b) == Family::Number)
            .then(|| wider(a, b))
            .flatten()
            .ok_or_else(|| no_operator(&op.to_string(), lt, rt))?;
        let verb = match op {
            BinaryOperator::Plus => "add",
            BinaryOperator::Minus => "sub",
            BinaryOperator::Multiply => "mul",
            BinaryOperator::Divide => "div",
            _ => "mod",
        };
        if wide == Type::Double {
            if verb == "mod" {
                return Err(no_operator("%", lt, rt));
            }
            let left = self.cast(left, Type::Double, Asked::Implicitly)?;
            let right = self.cast(right, Type::Double, Asked::Implicitly)?;
            let sql = format!("st_real_{verb}({},{})", left.sql, right.sql);
            return Ok(Expression::new(sql, wide).null_like(&[&left, &right]));
        }
        if let Some(bits) = bits(wide) {
            let left = self.cast(left, wide, Asked::Implicitly)?;
            let right = self.cast(right, wide, Asked::Implicitly)?;
            let sql = format!("st_int_{verb}({},{},{bits})", left.sql, right.sql);
            return Ok(Expression::new(sql, wide).null_like(&[&left, &right]));
        }
        let left = self.as_numeric(left, a)?;
        let right = self.as_numeric(right, b)?;
        let sa = left.known().and_then(scale_of).unwrap_or_default();
        let sb = right.known().and_then(scale_of).unwrap_or_default();
        let scale = match op {
            BinaryOperator::Multiply => mul_scale(sa, sb),
            BinaryOperator::Divide => div_scale(sa, sb),
            _ => add_scale(sa, sb),
        };
        let sql = format!(
            "st_num_{verb}({},{sa},{},{sb},{scale})",
            left.sql, right.sql
        );
        Ok(Expression::new(sql, numeric(scale)).null_like(&[&left, &right]))
    }

    /// A number as a NUMERIC that keeps its digits.
    pub(super) fn as_numeric(
        &mut self,
        operand: Expression,
        ty: Type,
    ) -> Result<Expression, SqlError> {
        if let (Kind::Literal(given), Ty::Unknown) = (&operand.kind, operand.ty)
            && let Ok(value) = Numeric::parse(given.trim())
        {
            return Expression::constant(numeric(value.scale()), Value::Numeric(value));
        }
        let scale = match operand.known() {
            Some(known) => scale_of(known),
            None => scale_of(ty),
        };
        self.cast(
            operand,
            numeric(scale.unwrap_or(NUMERIC_SCALE_DEFAULT)),
            Asked::Implicitly,
        )
    }

    fn concatenate(&mut self, left: Expression, right: Expression) -> Result<Expression, SqlError> {
        let is_bytea = |side: &Expression| side.known() == Some(Type::Bytea);
        if is_bytea(&left) || is_bytea(&right) {
            let left = self.cast(left, Type::Bytea, Asked::Implicitly)?;
            let right = self.cast(right, Type::Bytea, Asked::Implicitly)?;
            let sql = format!("st_bytes_concat({},{})", left.sql, right.sql);
            return Ok(Expression::new(sql, Type::Bytea).null_like(&[&left, &right]));
        }
        let texts = [&left, &right]
            .iter()
            .any(|side| side.is_unknown() || side.known().is_some_and(is_text));
        if !texts {
            return Err(no_operator("||", left.ty, right.ty));
        }
        let left = self.cast(left, Type::Text, Asked::ByAssignment)?;
        let right = self.cast(right, Type::Text, Asked::ByAssignment)?;
        Ok(
            Expression::new(format!("st_cat({},{})", left.sql, right.sql), Type::Text)
                .null_like(&[&left, &right]),
        )
    }

    fn bitwise(
        &mut self,
        op: &BinaryOperator,
        left: Expression,
        right: Expression,
    ) -> Result<Expression, SqlError> {
        let (lt, rt) = (left.ty, right.ty);
        let fail = || no_operator(&op.to_string(), lt, rt);
        let a = left.known().or(right.known()).ok_or_else(fail)?;
        let b = right.known().unwrap_or(a);
        if bits(a).is_none() || bits(b).is_none() {
            return Err(fail());
        }
        let shift = match op {
            BinaryOperator::PGBitwiseShiftLeft => Some("left"),
            BinaryOperator::PGBitwiseShiftRight => Some("right"),
            _ => None,
        };
        if let Some(direction) = shift {
            let left = self.cast(left, a, Asked::Implicitly)?;
            let right = self.cast(right, Type::Integer, Asked::Implicitly)?;
            let width = bits(a).unwrap_or(64);
            let sql = format!(
                "st_int_shift_{direction}({},{},{width})",
                left.sql, right.sql
            );
            return Ok(Expression::new(sql, a).null_like(&[&left, &right]));
        }
        let wide = wider(a, b).ok_or_else(fail)?;
        let left = self.cast(left, wide, Asked::Implicitly)?;
        let right = self.cast(right, wide, Asked::Implicitly)?;
        let sql = match op {
            BinaryOperator::BitwiseAnd => format!("({} & {})", left.sql, right.sql),
            BinaryOperator::BitwiseOr => format!("({} | {})", left.sql, right.sql),
            _ => format!("st_int_xor({},{},64)", left.sql, right.sql),
        };
        Ok(Expression::new(sql, wide).null_like(&[&left, &right]))
    }

    /// `(a, b) = (c, d)` and its kin.
    pub(super) fn compare_rows(
        &mut self,
        environment: &Environment<'_>,
        op: &BinaryOperator,
        left: &[Expr],
        right: &[Expr],
    ) -> Result<Expression, SqlError> {
        if left.len() != right.len() {
            return Err(SqlError::new(
                "42601",
                "unequal number of entries in row expressions",
            ));
        }
        let sign = comparison_sign(op);
        if sign.is_empty() {
            return Err(no_operator(&op.to_string(), Ty::Unknown, Ty::Unknown));
        }
        let mut lefts = Vec::new();
        let mut rights = Vec::new();
        for (left, right) in left.iter().zip(right) {
            let left = self.expression(environment, left)?;
            let right = self.expression(environment, right)?;
            let (left, right) = self.comparable(sign, left, right)?;
            let (left, right) = self.same_scale(left, right)?;
            lefts.push(left.sql);
            rights.push(right.sql);
        }
        Ok(Expression::new(
            format!("(({}) {sign} ({}))", lefts.join(","), rights.join(",")),
            Type::Bool,
        ))
    }

    /// Two NUMERICs at the larger of their scales; others as they are.
    pub(super) fn same_scale(
        &mut self,
        left: Expression,
        right: Expression,
    ) -> Result<(Expression, Expression), SqlError> {
        match (left.known(), right.known()) {
            (Some(Type::Numeric { scale: a, .. }), Some(Type::Numeric { scale: b, .. }))
                if a != b =>
            {
                let ty = numeric(a.max(b));
                Ok((
                    self.cast(left, ty, Asked::Implicitly)?,
                    self.cast(right, ty, Asked::Implicitly)?,
                ))
            }
            _ => Ok((left, right)),
        }
    }
}

/// What a literal or parameter beside a number is taken for.
fn operand_beside(other: Type) -> Type {
    match other {
        Type::Numeric { scale, .. } => numeric(scale.max(NUMERIC_SCALE_DEFAULT)),
        other => other,
    }
}

/// Compares NUMERICs of two scales without losing a digit, and so that an index on a column serves.
fn compare_scales(sign: &str, left: (&Expression, u8), right: (&Expression, u8)) -> String {
    let mirrored = match sign {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        same => same,
    };
    if left.0.kind == Kind::Column {
        return against_column(sign, left, right);
    }
    if right.0.kind == Kind::Column {
        return against_column(mirrored, right, left);
    }
    format!(
        "(st_num_cmp({},{},{},{}) {sign} 0)",
        left.0.sql, left.1, right.0.sql, right.1
    )
}

fn against_column(sign: &str, column: (&Expression, u8), other: (&Expression, u8)) -> String {
    let bound = match sign {
        "=" | "<>" => "equal",
        // x < 1.5 at scale 0 is x < 2; x <= 1.5 is x <= 1.
        "<" | ">=" => "above",
        _ => "below",
    };
    format!(
        "({} {sign} st_num_bound_{bound}({},{},{}))",
        column.0.sql, other.0.sql, other.1, column.1
    )
}

/// The operator that `OPERATOR(pg_catalog.~)` names.
fn named_operator(parts: &[String]) -> Option<BinaryOperator> {
    let name = match parts {
        [schema, name] if schema == "pg_catalog" => name,
        [name] => name,
        _ => return None,
    };
    Some(match name.as_str() {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

fn comparison_sign(op: &BinaryOperator) -> &'static str {
    match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        _ => "",
    }
}

const NO_OPERATOR_HINT: &str = "No operator matches the given name and argument types. You might need to add explicit type casts.";

pub(super) fn no_operator(op: &str, left: Ty, right: Ty) -> SqlError {
    SqlError::new(
        "42883",
        format!("operator does not exist: {left} {op} {right}"),
    )
    .hint(NO_OPERATOR_HINT)
}
