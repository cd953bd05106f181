//! Functions that ask the catalogue, and those about a server that have one answer here.

use sqlparser::ast::Expr;
use stele_core::{Type, Value};

use super::grants::PRIVILEGES;
use super::names::NAMES;
use super::shape;
use crate::bind::Binder;
use crate::bind::call::no_function;
use crate::bind::cast::Asked;
use crate::bind::expression::{Expression, Kind, Ty};
use crate::bind::scope::Environment;
use crate::error::SqlError;
use crate::system_type::SystemType;

/// Functions whose answer is always the same: name, type, SQLite text.
const CONSTANT: &[(&str, Type, &str)] = &[
    ("getdatabaseencoding", Type::Text, "'UTF8'"),
    ("has_any_column_privilege", Type::Bool, "1"),
    ("has_column_privilege", Type::Bool, "1"),
    ("has_database_privilege", Type::Bool, "1"),
    ("has_function_privilege", Type::Bool, "1"),
    ("has_language_privilege", Type::Bool, "1"),
    ("has_schema_privilege", Type::Bool, "1"),
    ("has_sequence_privilege", Type::Bool, "1"),
    ("has_tablespace_privilege", Type::Bool, "1"),
    ("has_type_privilege", Type::Bool, "1"),
    ("inet_client_addr", Type::Text, "NULL"),
    ("inet_client_port", Type::Integer, "NULL"),
    ("inet_server_addr", Type::Text, "NULL"),
    ("inet_server_port", Type::Integer, "NULL"),
    ("pg_char_to_encoding", Type::Integer, "6"),
    ("pg_collation_for", Type::Text, "'\"default\"'"),
    ("pg_collation_is_visible", Type::Bool, "1"),
    ("pg_conversion_is_visible", Type::Bool, "1"),
    ("pg_database_size", Type::BigInt, "0"),
    ("pg_encoding_to_char", Type::Text, "'UTF8'"),
    ("pg_function_is_visible", Type::Bool, "1"),
    ("pg_get_function_sqlbody", Type::Text, "NULL"),
    ("pg_get_functiondef", Type::Text, "NULL"),
    ("pg_get_partition_constraintdef", Type::Text, "NULL"),
    ("pg_get_partkeydef", Type::Text, "NULL"),
    ("pg_get_ruledef", Type::Text, "NULL"),
    ("pg_get_statisticsobjdef", Type::Text, "NULL"),
    ("pg_get_statisticsobjdef_columns", Type::Text, "NULL"),
    ("pg_get_triggerdef", Type::Text, "NULL"),
    ("pg_has_role", Type::Bool, "1"),
    ("pg_index_column_has_property", Type::Bool, "0"),
    ("pg_index_has_property", Type::Bool, "0"),
    ("pg_indexes_size", Type::BigInt, "0"),
    ("pg_is_other_temp_schema", Type::Bool, "0"),
    ("pg_my_temp_schema", Type::BigInt, "0"),
    ("pg_opclass_is_visible", Type::Bool, "1"),
    ("pg_operator_is_visible", Type::Bool, "1"),
    ("pg_opfamily_is_visible", Type::Bool, "1"),
    ("pg_relation_is_publishable", Type::Bool, "0"),
    ("pg_relation_size", Type::BigInt, "0"),
    ("pg_statistics_obj_is_visible", Type::Bool, "1"),
    ("pg_table_size", Type::BigInt, "0"),
    ("pg_tablespace_location", Type::Text, "''"),
    ("pg_tablespace_size", Type::BigInt, "0"),
    ("pg_total_relation_size", Type::BigInt, "0"),
    ("pg_ts_config_is_visible", Type::Bool, "1"),
    ("pg_ts_dict_is_visible", Type::Bool, "1"),
    ("pg_ts_parser_is_visible", Type::Bool, "1"),
    ("pg_ts_template_is_visible", Type::Bool, "1"),
    ("pg_type_is_visible", Type::Bool, "1"),
];

impl Binder<'_> {
    /// A function about the catalogue or the server; `None` for any other name.
    pub(in crate::bind) fn catalogue_function(
        &mut self,
        environment: &Environment<'_>,
        name: &str,
        trees: &[&Expr],
    ) -> Result<Option<Expression>, SqlError> {
        if let Some((_, ty, sql)) = CONSTANT.iter().find(|(known, _, _)| *known == name) {
            for tree in trees {
                let argument = self.expression(environment, tree)?;
                self.settled(argument)?;
            }
            return Ok(Some(Expression::new(*sql, *ty)));
        }
        let known = matches!(
            name,
            "format_type"
                | "pg_get_expr"
                | "pg_get_constraintdef"
                | "pg_get_indexdef"
                | "pg_get_userbyid"
                | "pg_get_viewdef"
                | "pg_table_is_visible"
                | "pg_get_function_arguments"
                | "pg_get_function_identity_arguments"
                | "pg_get_function_result"
                | "pg_get_serial_sequence"
                | "obj_description"
                | "col_description"
                | "shobj_description"
                | "has_table_privilege"
                | "to_regclass"
                | "to_regtype"
                | "to_regproc"
                | "to_regnamespace"
                | "to_regrole"
                | "current_schemas"
                | "pg_size_pretty"
                | "pg_relation_filenode"
        );
        if !known {
            return Ok(None);
        }
        if self.writes {
            return Err(SqlError::unsupported(
                format!("the function {name} in a statement that changes rows"),
                "Read the catalogue first, then write.",
            ));
        }
        let mut arguments = Vec::with_capacity(trees.len());
        for tree in trees {
            arguments.push(self.typed(environment, tree)?);
        }
        self.about_catalogue(name, arguments).map(Some)
    }

    fn about_catalogue(
        &mut self,
        name: &str,
        mut arguments: Vec<Expression>,
    ) -> Result<Expression, SqlError> {
        if name == "has_table_privilege" && arguments.len() == 3 {
            // Of another role: only one's own rights are known here.
            arguments.remove(0);
        }
        let mut given = arguments.into_iter();
        let Some(first) = given.next() else {
            return Err(no_function(&format!("{name}()")));
        };
        let second = given.next();
        if let Some(kind) = name.strip_prefix("to_") {
            let to = match kind {
                "regclass" => SystemType::Regclass,
                "regtype" => SystemType::Regtype,
                "regnamespace" => SystemType::Regnamespace,
                "regrole" => SystemType::Regrole,
                _ => SystemType::Regproc,
            };
            return self.reference_or_null(first.plain(), to);
        }
        match name {
            "pg_get_expr" => return self.cast(first, Type::Text, Asked::Explicitly),
            "current_schemas" => return self.current_schemas(&first),
            _ => {}
        }
        let oid = self.object(first, name)?;
        let text = |sql: String| Expression::new(sql, Type::Text);
        Ok(match name {
            "format_type" => {
                let modifier = match second {
                    Some(modifier) => self.cast(modifier, Type::Integer, Asked::Explicitly)?.sql,
                    None => "NULL".to_owned(),
                };
                text(self.format_type(&oid, &modifier))
            }
            "pg_get_constraintdef" => {
                let definitions = self.look_up(name, |binder| binder.constraint_definitions());
                text(found(&definitions, &oid, "0"))
            }
            "pg_get_indexdef" => {
                let place = match second.filter(|second| second.known() != Some(Type::Bool)) {
                    Some(place) => self.cast(place, Type::Integer, Asked::Explicitly)?.sql,
                    None => "0".to_owned(),
                };
                let definitions = self.look_up(name, |binder| binder.index_definitions());
                text(found(&definitions, &oid, &place))
            }
            "pg_get_userbyid" => {
                let role = Expression::new(oid.clone(), Type::BigInt);
                self.system_text(role, SystemType::Regrole)
                    .of_system(SystemType::Name)
            }
            "pg_get_function_arguments" | "pg_get_function_identity_arguments" => {
                let signatures = self.look_up("signatures", |binder| binder.signatures());
                text(found(&signatures, &oid, "0"))
            }
            "pg_get_function_result" => {
                let signatures = self.look_up("signatures", |binder| binder.signatures());
                text(found(&signatures, &oid, "1"))
            }
            "pg_get_viewdef" => {
                let definitions = self.look_up(name, |binder| binder.view_definitions());
                text(found(&definitions, &oid, "0"))
            }
            "pg_get_serial_sequence" => {
                let Some(column) = second else {
                    return Err(no_function(&format!("{name}(text)")));
                };
                let column = self.cast(column, Type::Text, Asked::Explicitly)?.sql;
                let sequences = self.look_up(name, |binder| binder.serial_sequences());
                let Some(shape) = shape::find("pg_catalog", "pg_attribute") else {
                    return Ok(Expression::null(Ty::Of(Type::Text)));
                };
                let attributes = self.base(shape);
                let place = |name| shape.place(name).map_or(0, |place| place + 1);
                let number = format!(
                    "(SELECT k{} FROM {attributes} WHERE k{} = {oid} AND k{} = {column} LIMIT 1)",
                    place("attnum"),
                    place("attrelid"),
                    place("attname")
                );
                text(found(&sequences, &oid, &number))
            }
            "pg_table_is_visible" => {
                let visible = self.look_up(name, |binder| binder.visible_relations());
                Expression::new(format!("({oid} IN (SELECT k1 FROM {visible}))"), Type::Bool)
            }
            "has_table_privilege" => {
                let granted = self.look_up(name, |binder| binder.granted_relations());
                let asked = match second.map(|second| second.kind) {
                    Some(Kind::Literal(words)) => words,
                    _ => "SELECT".to_owned(),
                };
                let sql = format!(
                    "EXISTS (SELECT 1 FROM {granted} WHERE k1 = {oid} AND k2 IN ({}))",
                    privilege_places(&asked)?
                );
                Expression::new(format!("({sql})"), Type::Bool)
            }
            "obj_description" | "shobj_description" => text(self.description(&oid, "0")),
            "col_description" => {
                let Some(place) = second else {
                    return Err(no_function(&format!("{name}(oid)")));
                };
                let place = self.cast(place, Type::Integer, Asked::Explicitly)?.sql;
                text(self.description(&oid, &place))
            }
            "pg_size_pretty" => text(format!(
                "(CASE WHEN {oid} < 10240 THEN {oid} || ' bytes' WHEN {oid} < 10485760 \
                 THEN (({oid} + 512) / 1024) || ' kB' ELSE (({oid} + 524288) / 1048576) || ' MB' END)"
            )),
            "pg_relation_filenode" => Expression::new(oid, Type::BigInt).of_system(SystemType::Oid),
            _ => Expression::null(Ty::Of(Type::Text)),
        })
    }

    /// The number of an object a function is asked about, which may be given by name.
    fn object(&mut self, given: Expression, function: &str) -> Result<String, SqlError> {
        let by_name = matches!(
            function,
            "has_table_privilege" | "pg_get_viewdef" | "pg_get_serial_sequence"
        );
        let textual =
            given.is_unknown() || given.known().is_some_and(super::super::expression::is_text);
        let number = match textual && by_name {
            true => self.cast_to_system(given, SystemType::Regclass)?,
            false => self.cast(given, Type::BigInt, Asked::Explicitly)?,
        };
        Ok(number.sql)
    }

    fn description(&mut self, oid: &str, place: &str) -> String {
        let Some(shape) = shape::find("pg_catalog", "pg_description") else {
            return "NULL".to_owned();
        };
        let alias = self.base(shape);
        // objoid, classoid, objsubid, description
        format!("(SELECT k4 FROM {alias} WHERE k1 = {oid} AND k3 = {place} LIMIT 1)")
    }

    fn current_schemas(&mut self, implicit: &Expression) -> Result<Expression, SqlError> {
        let implicit = match &implicit.kind {
            Kind::Constant(Value::Bool(truth)) => *truth,
            Kind::Literal(text) => text.starts_with('t'),
            _ => true,
        };
        let path = self.context.search_path.iter().map(String::as_str);
        let system = implicit.then_some("pg_catalog");
        let names: Vec<&str> = system.into_iter().chain(path).collect();
        let json = serde_json::to_string(&names)
            .map_err(|error| SqlError::new("XX000", error.to_string()))?;
        let array = Expression::constant(Type::Text, Value::Text(json))?;
        Ok(Expression {
            kind: Kind::Other,
            ..array.of_system(NAMES)
        })
    }
}

/// What a look-up holds for a number and a place.
fn found(alias: &str, oid: &str, place: &str) -> String {
    format!("(SELECT k3 FROM {alias} WHERE k1 = {oid} AND k2 = {place} LIMIT 1)")
}

/// Places of the privileges a text names: `SELECT, insert WITH GRANT OPTION`.
fn privilege_places(asked: &str) -> Result<String, SqlError> {
    let mut places = Vec::new();
    for word in asked.split(',') {
        let word = word.trim().to_ascii_uppercase();
        let bare = word.trim_end_matches(" WITH GRANT OPTION");
        let place = PRIVILEGES.iter().position(|(known, _)| *known == bare);
        match (place, bare) {
            (Some(place), _) => places.push(place.to_string()),
            (None, "TRUNCATE" | "TRIGGER") => places.push("3".to_owned()),
            _ => {
                return Err(SqlError::new(
                    "22023",
                    format!("unrecognized privilege type: \"{}\"", word.to_lowercase()),
                ));
            }
        }
    }
    Ok(places.join(","))
}
