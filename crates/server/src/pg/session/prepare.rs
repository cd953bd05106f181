//! PREPARE and EXECUTE of SQL: the same prepared statements as those of the extended protocol.

use stele_core::value::{check, coerce, text};
use stele_core::{Type, Value};
use stele_sql::SqlError;

use super::Session;
use super::plan::Work;
use super::run::Delivery;
use crate::pg::codec::{Parameter, value_error};
use crate::pg::wire_type::WireType;

impl Session {
    /// PREPARE.
    pub(super) fn prepare_named(
        &mut self,
        name: &str,
        types: &[String],
        sql: &str,
    ) -> Result<(), SqlError> {
        let oids = self.oids_of(types)?;
        let work = self.prepare(sql, &oids)?;
        if !matches!(work, Work::Plan(_)) {
            return Err(SqlError::new(
                "42601",
                "PREPARE takes SELECT, VALUES, INSERT, UPDATE or DELETE",
            ));
        }
        self.keep_prepared(name.to_owned(), work, sql.len())
    }

    /// Numbers of types as SQL names them.
    fn oids_of(&self, types: &[String]) -> Result<Vec<u32>, SqlError> {
        if types.is_empty() {
            return Ok(Vec::new());
        }
        let casts: Vec<String> = types.iter().map(|ty| format!("NULL::{ty}")).collect();
        let plan = self.plan(&format!("SELECT {}", casts.join(",")), &[])?;
        let columns = plan.columns.unwrap_or_default();
        Ok(columns
            .iter()
            .map(|column| WireType::of_column(column).oid)
            .collect())
    }

    /// EXECUTE.
    pub(super) fn execute_named(
        &mut self,
        name: &str,
        arguments: &[String],
        delivery: &Delivery,
    ) -> Result<(), SqlError> {
        let Work::Plan(plan) = self.statement(name)?.clone() else {
            return Err(SqlError::unsupported(
                "EXECUTE of a session command",
                "Send the command itself.",
            ));
        };
        if arguments.len() != plan.parameters.len() {
            return Err(SqlError::new(
                "42601",
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .detail(format!(
                "Expected {} parameters but got {}.",
                plan.parameters.len(),
                arguments.len()
            )));
        }
        let mut values = Vec::with_capacity(arguments.len());
        if !arguments.is_empty() {
            let given = self.plan(&format!("SELECT {}", arguments.join(",")), &[])?;
            let row = self.read(&given, Vec::new(), 0)?.rows.pop();
            for (value, parameter) in row.into_iter().flatten().zip(&plan.parameters) {
                values.push(fitting(value, *parameter)?);
            }
        }
        self.run(&plan, values, delivery.clone())
    }
}

/// A value as the parameter takes it; a text is read as its type.
fn fitting(value: Value, parameter: Parameter) -> Result<Value, SqlError> {
    let ty = match parameter.ty {
        Some(Type::Varchar(_) | Type::Char(_)) | None => Type::Text,
        Some(ty) => ty,
    };
    match value {
        Value::Null => Ok(value),
        value if check(ty, &value).is_ok() => Ok(value),
        Value::Text(given) => text::parse(ty, &given).map_err(value_error),
        value => coerce(ty, value).map_err(value_error),
    }
}
