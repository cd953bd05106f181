//! Objects by name: `regclass` and its kin.

use stele_core::Type;

use super::fixed::{ARRAY_IN, functions, type_names};
use crate::bind::Binder;
use crate::bind::cast::Asked;
use crate::bind::expression::{Expression, Kind, Ty, is_text};
use crate::error::SqlError;
use crate::system_type::{Element, SystemType};

impl Binder<'_> {
    /// A cast to a type of the system catalogue, or to an array.
    pub(in crate::bind) fn cast_to_system(
        &mut self,
        expression: Expression,
        to: SystemType,
    ) -> Result<Expression, SqlError> {
        if expression.system() == Some(to) {
            return Ok(expression);
        }
        if let Kind::Null = expression.kind {
            return Ok(Expression::null(Ty::System(to)));
        }
        if let Some(element) = to.element() {
            let array = self.cast_to_array(expression, element)?;
            return Ok(array.of_system(to));
        }
        match to {
            SystemType::Oid | SystemType::Xid => {
                let number = self.cast(expression, Type::BigInt, Asked::Explicitly)?;
                Ok(number.of_system(to))
            }
            SystemType::Char => {
                let text = self.cast(expression, Type::Varchar(1), Asked::Explicitly)?;
                Ok(text.of_system(to))
            }
            _ if to.is_reference() => self.reference(expression, to),
            _ => {
                let text = self.as_shown(expression)?;
                Ok(text.of_system(to))
            }
        }
    }

    fn as_shown(&mut self, expression: Expression) -> Result<Expression, SqlError> {
        let text = match expression.system() {
            Some(system) => self.system_text(expression, system),
            None => expression,
        };
        self.cast(text, Type::Text, Asked::Explicitly)
    }

    /// The number of an object that is given by name, or as its number.
    fn reference(
        &mut self,
        expression: Expression,
        to: SystemType,
    ) -> Result<Expression, SqlError> {
        let number = |oid: i64| {
            Expression::constant(Type::BigInt, stele_core::Value::Int(oid))
                .map(|constant| constant.of_system(to))
        };
        if let Kind::Literal(name) = &expression.kind {
            if let Ok(oid) = name.trim().parse() {
                return number(oid);
            }
            return match self.named(name, to)? {
                Some(oid) => number(oid),
                None => Err(missing(to, name)),
            };
        }
        if expression.is_unknown() || expression.known().is_some_and(is_text) {
            return self.reference_or_null(expression, to);
        }
        let number = self.cast(expression, Type::BigInt, Asked::Explicitly)?;
        Ok(number.of_system(to))
    }

    /// As [`Self::reference`], but NULL for a name there is not: `to_regclass` and its kin.
    pub(super) fn reference_or_null(
        &mut self,
        name: Expression,
        to: SystemType,
    ) -> Result<Expression, SqlError> {
        if let Kind::Literal(text) = &name.kind {
            let found = self.named(&text.clone(), to)?;
            return match found {
                Some(oid) => Expression::constant(Type::BigInt, stele_core::Value::Int(oid))
                    .map(|constant| constant.of_system(to)),
                None => Ok(Expression::null(Ty::System(to))),
            };
        }
        let text = self.cast(name, Type::Text, Asked::Explicitly)?;
        let names = self.names(to);
        let sql = format!(
            "coalesce((SELECT min(k1) FROM {names} WHERE k3 = {0}),(SELECT min(k1) FROM {names} WHERE k3 = replace(replace({0},'public.',''),'pg_catalog.','')))",
            text.sql
        );
        Ok(Expression::new(sql, Type::BigInt).of_system(to))
    }

    /// The number of what a literal names.
    fn named(&mut self, name: &str, to: SystemType) -> Result<Option<i64>, SqlError> {
        let parts = name_parts(name)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (schema, bare) = match parts.as_slice() {
            [bare] => (None, *bare),
            [schema, bare] => (Some(*schema), *bare),
            _ => return Ok(None),
        };
        Ok(match to {
            SystemType::Regclass => self.relation_oid(schema, bare),
            SystemType::Regnamespace => Some(self.schema_oid(bare)).filter(|oid| *oid != 0),
            SystemType::Regrole => self
                .roles()
                .into_iter()
                .find(|(_, name, _)| name == bare)
                .map(|(oid, _, _)| oid),
            SystemType::Regtype => {
                let display = type_displays().into_iter().find(|(_, shown)| shown == bare);
                let display = display.map(|(oid, _)| oid);
                display.or_else(|| {
                    let mut types = type_names();
                    types.find(|(_, known)| *known == bare).map(|(oid, _)| oid)
                })
            }
            // What clients compare `typinput` with, to know an array.
            _ if bare == "array_in" => Some(ARRAY_IN),
            _ => functions()
                .find(|(_, function)| function.name == bare)
                .map(|(oid, _)| oid),
        })
    }

    /// The look-up of names by number.
    fn names(&mut self, of: SystemType) -> String {
        let row = |(oid, name): (i64, String)| super::pair(oid, 0, &name);
        self.look_up(&of.to_string(), |binder| match of {
            SystemType::Regclass => binder.relation_names(),
            SystemType::Regtype => type_displays().into_iter().map(row).collect(),
            SystemType::Regnamespace => {
                let schemas = binder.schemas().into_iter();
                schemas
                    .map(|(oid, name, _)| row((oid, name.to_owned())))
                    .collect()
            }
            SystemType::Regrole => {
                let roles = binder.roles().into_iter();
                roles.map(|(oid, name, _)| row((oid, name))).collect()
            }
            _ => functions()
                .map(|(oid, function)| row((oid, function.name.to_owned())))
                .collect(),
        })
    }

    /// A value of a system type as text.
    pub(in crate::bind) fn system_text(
        &mut self,
        expression: Expression,
        from: SystemType,
    ) -> Expression {
        let sql = &expression.sql;
        let text = match from {
            SystemType::Int2Vector | SystemType::OidVector => format!("st_vector_text({sql})"),
            SystemType::Array(_) => format!("st_array_text({sql})"),
            SystemType::Oid | SystemType::Xid => format!("CAST({sql} AS TEXT)"),
            _ if from.is_reference() => {
                let names = self.names(from);
                format!(
                    "coalesce((SELECT k3 FROM {names} WHERE k1 = {sql} LIMIT 1),CASE {sql} WHEN 0 THEN '-' ELSE CAST({sql} AS TEXT) END)"
                )
            }
            _ => return expression.plain(),
        };
        Expression {
            sql: text,
            ty: Ty::Of(Type::Text),
            nullable: expression.nullable,
            kind: Kind::Other,
        }
    }

    /// `format_type`: a type by number and modifier.
    pub(super) fn format_type(&mut self, oid: &str, modifier: &str) -> String {
        let names = self.names(SystemType::Regtype);
        format!(
            "(SELECT coalesce((SELECT k3 FROM {names} WHERE k1 = x.o LIMIT 1),'???') || CASE \
             WHEN x.o IN (1042, 1043) AND x.m > 4 THEN '(' || (x.m - 4) || ')' \
             WHEN x.o = 1700 AND x.m > 4 THEN '(' || ((x.m - 4) >> 16) || ',' || ((x.m - 4) & 65535) || ')' \
             ELSE '' END FROM (SELECT {oid} AS o, {modifier} AS m) AS x WHERE x.o IS NOT NULL)"
        )
    }
}

/// Types as SQL spells them.
fn type_displays() -> Vec<(i64, String)> {
    let spelled = |name: &str| {
        Some(match name {
            "bool" => "boolean",
            "int2" => "smallint",
            "int4" => "integer",
            "int8" => "bigint",
            "float4" => "real",
            "float8" => "double precision",
            "varchar" => "character varying",
            "bpchar" => "character",
            "char" => "\"char\"",
            "time" => "time without time zone",
            "timetz" => "time with time zone",
            "timestamp" => "timestamp without time zone",
            "timestamptz" => "timestamp with time zone",
            _ => return None,
        })
    };
    type_names()
        .map(|(oid, name)| {
            let shown = match name.strip_prefix('_') {
                Some(element) => format!("{}[]", spelled(element).unwrap_or(element)),
                None => spelled(name).unwrap_or(name).to_owned(),
            };
            (oid, shown)
        })
        .collect()
}

/// A dotted name as SQL writes it, perhaps with its argument types after it.
fn name_parts(name: &str) -> Result<Vec<String>, SqlError> {
    let name = name.trim();
    let name = match name.split_once('(') {
        Some((before, _)) => before,
        None => name,
    };
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => part.push('"'),
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut part)),
            other if quoted => part.push(other),
            other => part.extend(other.to_lowercase()),
        }
    }
    parts.push(part);
    if quoted || parts.iter().any(String::is_empty) {
        return Err(SqlError::new(
            "42602",
            format!("invalid name syntax: {name:?}"),
        ));
    }
    Ok(parts)
}

fn missing(to: SystemType, name: &str) -> SqlError {
    let (code, what) = match to {
        SystemType::Regclass => ("42P01", "relation"),
        SystemType::Regtype => ("42704", "type"),
        SystemType::Regnamespace => ("3F000", "schema"),
        SystemType::Regrole => ("42704", "role"),
        _ => ("42883", "function"),
    };
    SqlError::new(code, format!("{what} \"{name}\" does not exist"))
}

/// Element type of the arrays `current_schemas` gives.
pub(super) const NAMES: SystemType = SystemType::Array(Element::Name);
