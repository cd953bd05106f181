//! Function calls.

mod special;
mod window;
mod window_spec;

pub(super) use special::SERVER_VERSION;

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};
use stele_core::value::NUMERIC_SCALE_MAX;
use stele_core::{Type, Value};

use super::Binder;
use super::aggregate::is_aggregate;
use super::cast::{Asked, padded};
use super::expression::{Expression, Family, Kind, Ty, bits, family, is_text, numeric, scale_of};
use super::functions::{REFUSED, SIGNATURES, Signature};
use super::name::parts;
use super::scope::Environment;
use super::system::SETTINGS;
use super::type_name::NUMERIC_SCALE_DEFAULT;
use crate::error::SqlError;

/// The bare name of the function, if it is one of ours.
pub(super) fn function_name(function: &Function) -> Option<String> {
    match parts(&function.name).ok()?.as_slice() {
        [name] => Some(name.clone()),
        [schema, name]
            if schema == "pg_catalog" || schema == "stele" || schema == "information_schema" =>
        {
            Some(name.clone())
        }
        _ => None,
    }
}

pub(super) fn no_function(signature: &str) -> SqlError {
    SqlError::new("42883", format!("function {signature} does not exist")).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}

impl Binder<'_> {
    pub(super) fn call(
        &mut self,
        environment: &Environment<'_>,
        function: &Function,
    ) -> Result<Expression, SqlError> {
        let Some(name) = function_name(function) else {
            return Err(no_function(&function.name.to_string()));
        };
        if function.null_treatment.is_some() {
            return Err(SqlError::unsupported(
                "IGNORE NULLS",
                "Filter NULLs in a sub-select.",
            ));
        }
        if let Some(over) = &function.over {
            return self.window(environment, &name, function, over);
        }
        if window::is_window_function(&name) {
            return Err(SqlError::new(
                "42809",
                format!("window function {name} requires an OVER clause"),
            ));
        }
        if let ("array", FunctionArguments::Subquery(query)) = (name.as_str(), &function.args) {
            return self.array_of_query(environment, query);
        }
        if is_aggregate(&name) {
            return self.aggregate(environment, &name, function);
        }
        if function.filter.is_some() {
            return Err(SqlError::new(
                "42809",
                format!("FILTER specified, but {name} is not an aggregate function"),
            ));
        }
        let trees: Vec<&Expr> = match &function.args {
            FunctionArguments::None => Vec::new(),
            FunctionArguments::List(list)
                if list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
            {
                let mut trees = Vec::with_capacity(list.args.len());
                for argument in &list.args {
                    let FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) = argument else {
                        return Err(SqlError::unsupported(
                            "an argument by name",
                            "Give arguments by position.",
                        ));
                    };
                    trees.push(tree);
                }
                trees
            }
            _ => return Err(SqlError::new("42601", format!("syntax error in {name}()"))),
        };
        if name == "grouping" {
            return self.grouping_bits(environment, &trees);
        }
        environment.check_volatile(&name)?;
        if let Some(value) = self.sequence_call(environment, &name, &trees) {
            return value;
        }
        if let Some(result) = self.array_function(environment, &name, &trees)? {
            return Ok(result);
        }
        if let Some(result) = self.catalogue_function(environment, &name, &trees)? {
            return Ok(result);
        }
        let mut arguments = Vec::with_capacity(trees.len());
        let keeps_type = matches!(
            name.as_str(),
            "coalesce" | "pg_typeof" | "to_json" | "json_build_array" | "json_build_object"
        );
        for tree in trees {
            arguments.push(match keeps_type {
                true => self.typed(environment, tree)?,
                false => self.expression(environment, tree)?,
            });
        }
        self.function_of(&name, arguments)
    }

    /// A call of a function with bound arguments.
    pub(super) fn function_of(
        &mut self,
        name: &str,
        arguments: Vec<Expression>,
    ) -> Result<Expression, SqlError> {
        if arguments.is_empty()
            && let Some(value) = self.niladic(name)
        {
            return value;
        }
        match name {
            "coalesce" => self.coalesce(arguments),
            "nullif" => self.null_if(arguments),
            "greatest" | "least" => self.extreme(name, arguments),
            "concat" | "concat_ws" => self.concat(name, arguments),
            "abs" | "ceil" | "ceiling" | "floor" | "round" | "trunc" | "sign" | "mod" | "div"
            | "trim_scale"
                if !arguments.is_empty() =>
            {
                self.rounding(name, arguments)
            }
            "pg_typeof" => self.type_of(arguments),
            "date_trunc" | "date_part" | "extract" | "to_timestamp" | "make_date"
            | "make_interval" | "timezone" => self.time_function(name, arguments),
            "age" | "date_bin" | "make_timestamp" | "make_timestamptz" | "to_char" | "to_date"
            | "justify_days" | "justify_hours" | "justify_interval" => {
                self.calendar_function(name, arguments)
            }
            "format" => self.format(arguments),
            "octet_length" => {
                let arguments = arguments.into_iter().map(padded).collect();
                self.table_function(name, arguments)
            }
            "quote_literal" | "quote_nullable" => {
                let [value] = take(arguments, name)?;
                let value = self.cast(value, Type::Text, Asked::ByAssignment)?;
                let sql = format!("st_{name}({})", value.sql);
                Ok(Expression::new(sql, Type::Text).null_like(&[&value]))
            }
            "to_json"
            | "json_build_array"
            | "json_build_object"
            | "json_extract_path"
            | "json_extract_path_text" => self.json_function(name, arguments),
            "current_setting" => self.setting(arguments),
            "stele_table_version" => self.table_version(arguments),
            _ => self.table_function(name, arguments),
        }
    }

    /// A function of the table of signatures: the first whose types are met exactly, else the first
    /// the arguments convert into.
    fn table_function(
        &mut self,
        name: &str,
        arguments: Vec<Expression>,
    ) -> Result<Expression, SqlError> {
        if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            return Err(SqlError::unsupported(
                format!("the function {name}"),
                *instead,
            ));
        }
        let candidates: Vec<&Signature> = SIGNATURES
            .iter()
            .filter(|one| one.name == name && one.takes.len() == arguments.len())
            .collect();
        let fits = |signature: &&&Signature, exactly: bool| {
            signature
                .takes
                .iter()
                .zip(&arguments)
                .all(|(takes, argument)| accepts(takes.ty(), argument, exactly))
        };
        let chosen = candidates
            .iter()
            .find(|signature| fits(signature, true))
            .or_else(|| candidates.iter().find(|signature| fits(signature, false)));
        let Some(signature) = chosen else {
            let types: Vec<String> = arguments.iter().map(|a| a.ty.to_string()).collect();
            return Err(no_function(&format!("{name}({})", types.join(", "))));
        };
        let mut sql = signature.sql.to_owned();
        let mut nullable = false;
        let mut texts = Vec::with_capacity(arguments.len());
        for (argument, takes) in arguments.into_iter().zip(signature.takes) {
            let argument = self.cast(argument, takes.ty(), Asked::Implicitly)?;
            nullable |= argument.nullable;
            texts.push(argument.sql);
        }
        // From the last mark to the first, each once: an argument's own text is never looked into.
        if !texts.is_empty() {
            sql = fill(signature.sql, &texts);
        }
        let mut result = Expression::new(sql, signature.gives);
        result.nullable = nullable || signature.may_give_null();
        Ok(result)
    }

    fn coalesce(&mut self, arguments: Vec<Expression>) -> Result<Expression, SqlError> {
        if arguments.is_empty() {
            return Err(no_function("coalesce()"));
        }
        let arguments = self.unify(arguments, "COALESCE")?;
        let nullable = arguments.iter().all(|argument| argument.nullable);
        let ty = arguments.first().map_or(Ty::Unknown, |first| first.ty);
        let texts: Vec<&str> = arguments.iter().map(|a| a.sql.as_str()).collect();
        let sql = match texts.as_slice() {
            [single] => (*single).to_owned(),
            several => format!("coalesce({})", several.join(",")),
        };
        Ok(Expression {
            sql,
            ty,
            nullable,
            kind: Kind::Other,
        })
    }

    fn null_if(&mut self, arguments: Vec<Expression>) -> Result<Expression, SqlError> {
        let [left, right] = take(arguments, "nullif")?;
        let left = self.settled_beside(left, &right)?;
        let equal = self.compare(&sqlparser::ast::BinaryOperator::Eq, left.clone(), right)?;
        Ok(Expression {
            sql: format!("(CASE WHEN {} THEN NULL ELSE {} END)", equal.sql, left.sql),
            ty: left.ty,
            nullable: true,
            kind: Kind::Other,
        })
    }

    /// Gives an unknown operand the type of the one beside it.
    fn settled_beside(
        &mut self,
        operand: Expression,
        other: &Expression,
    ) -> Result<Expression, SqlError> {
        match (operand.ty, other.known()) {
            (Ty::Unknown, Some(ty)) => self.cast(operand, ty, Asked::Implicitly),
            _ => self.settled(operand),
        }
    }

    fn extreme(&mut self, name: &str, arguments: Vec<Expression>) -> Result<Expression, SqlError> {
        if arguments.is_empty() {
            return Err(no_function(&format!("{name}()")));
        }
        let arguments = self.unify(arguments, &name.to_uppercase())?;
        let ty = arguments.first().map_or(Ty::Unknown, |first| first.ty);
        if matches!(ty, Ty::Interval | Ty::Of(Type::Json)) {
            return Err(SqlError::new(
                "42883",
                format!("could not identify a comparison function for type {ty}"),
            ));
        }
        let texts: Vec<&str> = arguments.iter().map(|a| a.sql.as_str()).collect();
        Ok(Expression {
            sql: format!("st_{name}({})", texts.join(",")),
            ty,
            nullable: arguments.iter().all(|argument| argument.nullable),
            kind: Kind::Other,
        })
    }

    fn concat(&mut self, name: &str, arguments: Vec<Expression>) -> Result<Expression, SqlError> {
        let mut texts = Vec::with_capacity(arguments.len());
        for argument in arguments {
            texts.push(self.shown(argument)?.sql);
        }
        let result = Expression::new(format!("st_{name}({})", texts.join(",")), Type::Text);
        Ok(if name == "concat" {
            result.not_null()
        } else {
            result
        })
    }

    /// `format(pattern, …)`
    fn format(&mut self, arguments: Vec<Expression>) -> Result<Expression, SqlError> {
        if arguments.is_empty() {
            return Err(no_function("format()"));
        }
        let nullable = arguments.first().is_some_and(|pattern| pattern.nullable);
        let mut texts = Vec::with_capacity(arguments.len());
        for argument in arguments {
            texts.push(self.shown(argument)?.sql);
        }
        let mut result = Expression::new(format!("st_format({})", texts.join(",")), Type::Text);
        result.nullable = nullable;
        Ok(result)
    }

    /// A value as text, a BOOLEAN as t or f.
    fn shown(&mut self, argument: Expression) -> Result<Expression, SqlError> {
        match argument.known() {
            Some(Type::Bool) => Ok(Expression::new(
                format!("iif({0} IS NULL,NULL,iif({0},'t','f'))", argument.sql),
                Type::Text,
            )),
            _ => self.cast(padded(argument), Type::Text, Asked::ByAssignment),
        }
    }

    fn rounding(&mut self, name: &str, arguments: Vec<Expression>) -> Result<Expression, SqlError> {
        let types: Vec<String> = arguments.iter().map(|a| a.ty.to_string()).collect();
        let missing = || no_function(&format!("{name}({})", types.join(", ")));
        let mut arguments = arguments.into_iter();
        let (Some(operand), second) = (arguments.next(), arguments.next()) else {
            return Err(missing());
        };
        if arguments.next().is_some() {
            return Err(missing());
        }
        let operand = if operand.is_unknown() {
            let ty = match &second {
                Some(_) => numeric(NUMERIC_SCALE_DEFAULT),
                None => Type::Double,
            };
            self.cast(operand, ty, Asked::Implicitly)?
        } else {
            operand
        };
        let Some(ty) = operand.known().filter(|ty| family(*ty) == Family::Number) else {
            return Err(missing());
        };
        match (name, second) {
            ("mod", Some(second)) => {
                self.binary(&sqlparser::ast::BinaryOperator::Modulo, operand, second)
            }
            ("div", Some(second)) => {
                let a = self.as_numeric(operand, ty)?;
                let b = self.as_numeric(second, ty)?;
                let quotient = self.binary(&sqlparser::ast::BinaryOperator::Divide, a, b)?;
                self.rounding("trunc", vec![quotient])
            }
            ("round" | "trunc", Some(digits)) => self.round_to(name, operand, ty, digits),
            ("mod" | "div", None) | (_, Some(_)) => Err(missing()),
            ("ceiling", None) => self.round_whole("ceil", operand, ty),
            (_, None) => self.round_whole(name, operand, ty),
        }
    }

    fn round_whole(
        &mut self,
        name: &str,
        operand: Expression,
        ty: Type,
    ) -> Result<Expression, SqlError> {
        let x = &operand.sql;
        let result = match (name, ty) {
            ("abs", ty) if bits(ty).is_some() => {
                let bits = bits(ty).unwrap_or(64);
                Expression::new(format!("st_int_abs({x},{bits})"), ty)
            }
            ("trim_scale", Type::Numeric { .. }) => return Ok(operand),
            ("abs", Type::Numeric { scale, .. }) => {
                Expression::new(format!("st_num_abs({x},{scale},{scale})"), ty)
            }
            ("ceil" | "floor" | "sign", Type::Numeric { scale, .. }) => {
                Expression::new(format!("st_num_{name}({x},{scale},0)"), numeric(0))
            }
            ("round" | "trunc", Type::Numeric { scale, .. }) => {
                Expression::new(format!("st_num_{name}({x},{scale},0,0)"), numeric(0))
            }
            (_, Type::Double) => Expression::new(format!("st_real_{name}({x})"), ty),
            // PostgreSQL has these for DOUBLE and NUMERIC; an integer becomes a DOUBLE.
            _ => {
                let operand = self.cast(operand, Type::Double, Asked::Implicitly)?;
                return self.round_whole(name, operand, Type::Double);
            }
        };
        Ok(result.null_like(&[&operand]))
    }

    fn round_to(
        &mut self,
        name: &str,
        operand: Expression,
        ty: Type,
        digits: Expression,
    ) -> Result<Expression, SqlError> {
        if ty == Type::Double {
            return Err(no_function(&format!("{name}({ty}, {})", digits.ty))
                .hint("Cast to NUMERIC first: round(x::numeric, 2)."));
        }
        let operand = self.as_numeric(operand, ty)?;
        let from = operand.known().and_then(scale_of).unwrap_or_default();
        let digits = self.cast(digits, Type::Integer, Asked::Implicitly)?;
        let to = match &digits.kind {
            Kind::Constant(Value::Int(wanted)) => {
                (*wanted).clamp(0, i64::from(NUMERIC_SCALE_MAX)) as u8
            }
            // The scale of an expression is fixed when bound; what digits are cut become zeros.
            _ => from,
        };
        Ok(Expression::new(
            format!("st_num_{name}({},{from},{},{to})", operand.sql, digits.sql),
            numeric(to),
        )
        .null_like(&[&operand, &digits]))
    }

    fn type_of(&mut self, arguments: Vec<Expression>) -> Result<Expression, SqlError> {
        let [argument] = take(arguments, "pg_typeof")?;
        let name = match argument.ty {
            Ty::Of(ty) => ty.to_string(),
            other => other.to_string(),
        };
        Expression::constant(Type::Text, Value::Text(name))
    }

    /// The version of a table, as strict mode wants it.
    fn table_version(&mut self, arguments: Vec<Expression>) -> Result<Expression, SqlError> {
        let [argument] = take(arguments, "stele_table_version")?;
        let Kind::Literal(name) = &argument.kind else {
            return Err(SqlError::new(
                "42601",
                "stele_table_version takes one table name as a quoted literal",
            )
            .hint("For example, SELECT stele_table_version('orders')."));
        };
        let table = self.table_named(name)?;
        let call = format!("st_table_version({})", table.id.0);
        Ok(Expression::new(call, Type::Text))
    }

    fn setting(&mut self, arguments: Vec<Expression>) -> Result<Expression, SqlError> {
        let missing_ok = arguments
            .get(1)
            .is_some_and(|second| second.kind == Kind::Constant(Value::Bool(true)));
        let Some(first) = arguments.into_iter().next() else {
            return Err(no_function("current_setting()"));
        };
        let Kind::Literal(name) = &first.kind else {
            let name = self.cast(first, Type::Text, Asked::Implicitly)?;
            let cases: Vec<String> = SETTINGS
                .iter()
                .map(|(known, value)| format!("WHEN '{}' THEN '{value}'", known.to_lowercase()))
                .collect();
            let sql = format!("(CASE st_lower({}) {} END)", name.sql, cases.join(" "));
            return Ok(Expression::new(sql, Type::Text));
        };
        let name = name.to_ascii_lowercase();
        if name == "search_path" {
            let path = self.context.search_path.join(", ");
            return Expression::constant(Type::Text, Value::Text(path));
        }
        let setting = SETTINGS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let Some((_, value)) = setting else {
            if missing_ok {
                return Ok(Expression::null(Ty::Of(Type::Text)));
            }
            return Err(SqlError::new(
                "42704",
                format!("unrecognized configuration parameter \"{name}\""),
            ));
        };
        Expression::constant(Type::Text, Value::Text((*value).to_owned()))
    }
}

/// Whether an argument may stand for a parameter of that type.
fn accepts(wanted: Type, argument: &Expression, exactly: bool) -> bool {
    match argument.ty {
        Ty::Unknown => !exactly || wanted == Type::Text || matches!(wanted, Type::Integer),
        Ty::Interval | Ty::System(_) => false,
        Ty::Of(given) if exactly => given == wanted || is_text(given) && is_text(wanted),
        Ty::Of(given) => match (bits(given), bits(wanted)) {
            (Some(a), Some(b)) => a <= b,
            _ => wanted == Type::Double && family(given) == Family::Number,
        },
    }
}

/// Exactly so many arguments.
pub(super) fn take<const N: usize>(
    arguments: Vec<Expression>,
    name: &str,
) -> Result<[Expression; N], SqlError> {
    arguments.try_into().map_err(|given: Vec<Expression>| {
        let types: Vec<String> = given.iter().map(|a| a.ty.to_string()).collect();
        no_function(&format!("{name}({})", types.join(", ")))
    })
}

/// Puts arguments into the marks of a template.
fn fill(template: &str, arguments: &[String]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((number, after)) = after.split_once('}') else {
            break;
        };
        let argument = number.parse().ok().and_then(|n: usize| arguments.get(n));
        filled.push_str(argument.map_or("NULL", String::as_str));
        rest = after;
    }
    filled.push_str(rest);
    filled
}
