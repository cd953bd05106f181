//! Proof files over the wire.

use stele_core::value::text;
use stele_core::{Hash, Type, Value};
use stele_sql::{OutputColumn, SqlError, StatementResult, array_text};

use super::plan::Plan;
use super::run::Delivery;
use super::{Session, blocking};
use crate::pg::command::proof::{ProofOf, ProofQuery};
use crate::pg::error::node_error;

impl ProofQuery {
    /// The column of its result.
    pub(super) fn columns(&self) -> Vec<OutputColumn> {
        vec![OutputColumn {
            name: self.column.clone(),
            ty: Type::Text,
            system: None,
        }]
    }
}

impl Session {
    /// Answers a query for a proof; `plan` computes its arguments.
    pub(super) fn prove(
        &mut self,
        query: &ProofQuery,
        plan: &Plan,
        parameters: Vec<Value>,
        delivery: Delivery,
    ) -> Result<(), SqlError> {
        self.preview_deferred()?;
        let given = self.read(plan, parameters, delivery.characters_before)?;
        let row = given.rows.into_iter().next().unwrap_or_default();
        let mut arguments = Vec::with_capacity(row.len());
        for (column, value) in given.columns.iter().zip(&row) {
            arguments.push(texts(column, value)?);
        }
        let proof = self.proof(query.of, &arguments)?;
        self.out.reserve(proof.len())?;
        let result = StatementResult {
            tag: "SELECT 1".to_owned(),
            columns: query.columns(),
            rows: vec![vec![Value::Text(proof)]],
            rows_affected: 0,
        };
        self.deliver(result, delivery);
        Ok(())
    }

    fn proof(&self, of: ProofOf, arguments: &[Option<Vec<String>>]) -> Result<String, SqlError> {
        let usage = |usage: &str| {
            SqlError::new("42883", "a proof is asked for with other arguments")
                .hint(format!("Write SELECT {usage}."))
        };
        let made = match (of, arguments) {
            (ProofOf::Transaction, [Some(id)]) => {
                let id = Hash::from_hex(&id.concat()).ok_or_else(|| {
                    SqlError::new("22P02", "a transaction is named by 64 hexadecimal digits")
                })?;
                let provable = self.node.check_transaction_provable(self.account, &id);
                provable.map_err(node_error)?;
                blocking(|| self.node.prove_transaction(&id))
            }
            (ProofOf::Row, [Some(table), key @ ..]) if !key.is_empty() => {
                let (schema, table) = self.readable(&table.concat())?;
                let key: Option<Vec<String>> = key
                    .iter()
                    .map(|part| part.as_ref().map(|part| part.concat()))
                    .collect();
                let key =
                    key.ok_or_else(|| SqlError::new("22004", "no value of a primary key is NULL"))?;
                blocking(|| self.node.prove_row(&schema, &table, &key))
            }
            (ProofOf::Range, [Some(table), from, to]) => {
                let (schema, table) = self.readable(&table.concat())?;
                blocking(|| {
                    self.node
                        .prove_range(&schema, &table, from.as_deref(), to.as_deref())
                })
            }
            (ProofOf::Row, _) => return Err(usage("stele_proof('table', key, …)")),
            (ProofOf::Range, _) => {
                return Err(usage(
                    "stele_range_proof('table', from, to), each end a value, an array of the key's values, or NULL",
                ));
            }
            (ProofOf::Transaction, _) => return Err(usage("stele_transaction_proof('id')")),
        };
        made.map_err(node_error)
    }

    /// Schema and name of a table the account may read whole: a proof of absence or completeness
    /// tells of rows that are not in it.
    fn readable(&self, name: &str) -> Result<(String, String), SqlError> {
        let (schema, table) = match name.split_once('.') {
            Some((schema, table)) => (schema.to_owned(), table.to_owned()),
            None => ("public".to_owned(), name.to_owned()),
        };
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let sql = format!("SELECT * FROM {}.{}", quoted(&schema), quoted(&table));
        self.plan(&sql, &[])?;
        let provable = self.node.check_provable(self.account, &schema, &table);
        provable.map_err(node_error)?;
        Ok((schema, table))
    }
}

/// An argument as texts: the elements of an array, or the one value; none for NULL.
fn texts(column: &OutputColumn, value: &Value) -> Result<Option<Vec<String>>, SqlError> {
    Ok(match value {
        Value::Null => None,
        Value::Text(kept) if column.system.is_some_and(|ty| ty.element().is_some()) => {
            Some(array_text::elements(kept)?.into_iter().flatten().collect())
        }
        value => Some(vec![text::format(column.ty, value)]),
    })
}
