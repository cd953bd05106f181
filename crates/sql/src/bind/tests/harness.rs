//! The least that executes bound statements: one connection, one catalogue, no capture.

use std::sync::Arc;

use rusqlite::{Connection, params_from_iter};
use stele_core::Value;
use stele_core::account::AccountId;
use stele_core::value::{coerce, text};

use crate::bind::{BindContext, bind};
use crate::bound::{Bound, Definition, SchemaChange};
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::function::{self, TransactionContext, error_from_sqlite};
use crate::parse::parse;
use crate::physical;
use stele_core::schema::Table;

/// 2026-11-21 10:00:00 UTC.
pub(crate) const NOW_US: i64 = 1_795_255_200_000_000;

pub(crate) struct Harness {
    pub(crate) connection: Connection,
    pub(crate) catalogue: Catalogue,
    pub(crate) context: BindContext,
    height: i64,
}

impl Harness {
    pub(crate) fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        let clock = Arc::new(TransactionContext::default());
        clock.begin(NOW_US, [7; 16]);
        function::register(&connection, &clock).unwrap();
        Self {
            connection,
            catalogue: Catalogue::default(),
            context: BindContext::new(AccountId([1; 32])),
            height: 0,
        }
    }

    /// Runs each statement; the rows of the last, as text.
    pub(crate) fn run(&mut self, sql: &str) -> Result<Vec<Vec<String>>, SqlError> {
        self.run_with(sql, &[])
    }

    pub(crate) fn run_with(
        &mut self,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Vec<Vec<String>>, SqlError> {
        let mut rows = Vec::new();
        for statement in parse(sql)? {
            let bound = bind(&statement, &self.catalogue, &self.context)?;
            self.height += 1;
            self.connection.execute_batch("SAVEPOINT s").unwrap();
            let result = self.execute(&bound, parameters);
            let end = if result.is_ok() {
                "RELEASE s"
            } else {
                "ROLLBACK TO s; RELEASE s"
            };
            self.connection.execute_batch(end).unwrap();
            rows = result?;
        }
        Ok(rows)
    }

    pub(crate) fn bound(&self, sql: &str) -> Result<Bound, SqlError> {
        bind(&parse(sql)?[0], &self.catalogue, &self.context)
    }

    /// SQLSTATE of a statement that must fail.
    pub(crate) fn code(&mut self, sql: &str) -> String {
        match self.run(sql) {
            Ok(rows) => panic!("{sql} gave {rows:?}"),
            Err(error) => error.code.to_string(),
        }
    }

    /// The one value of a query.
    pub(crate) fn value(&mut self, sql: &str) -> String {
        match self.run(sql) {
            Ok(rows) => rows[0][0].clone(),
            Err(error) => error.code.to_string(),
        }
    }

    fn execute(
        &mut self,
        bound: &Bound,
        parameters: &[Value],
    ) -> Result<Vec<Vec<String>>, SqlError> {
        let (sql, types, columns, hidden) = match bound {
            Bound::Query(query) => (&query.sqlite, &query.parameters, &query.columns, false),
            Bound::Write(write) => (&write.sqlite, &write.parameters, &write.columns, true),
            Bound::Schema(change) => return self.change(change),
            Bound::Call(_) => panic!("the harness runs no procedures"),
        };
        let mut values = Vec::new();
        let missing = std::iter::repeat(&Value::Null);
        for (ty, value) in types.iter().zip(parameters.iter().chain(missing)) {
            let value = coerce(*ty, value.clone())?;
            values.push(physical::to_sqlite(*ty, &value)?);
        }
        if hidden {
            values.push(self.height.into());
            values.push(0.into());
        }
        let fail = |error: rusqlite::Error| {
            error_from_sqlite(&error, &self.catalogue).unwrap_or_else(|| panic!("{sql}: {error:?}"))
        };
        let mut statement = self.connection.prepare(sql).map_err(fail)?;
        let count = statement.parameter_count();
        let mut rows = statement
            .query(params_from_iter(values.into_iter().take(count)))
            .map_err(fail)?;
        let mut result = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            let mut texts = Vec::new();
            for (index, column) in columns.iter().enumerate() {
                let value = physical::from_sqlite(column.ty, row.get_ref(index).unwrap())?;
                texts.push(if value.is_null() {
                    "NULL".to_owned()
                } else {
                    text::format(column.ty, &value)
                });
            }
            result.push(texts);
        }
        Ok(result)
    }

    fn change(&mut self, change: &SchemaChange) -> Result<Vec<Vec<String>>, SqlError> {
        let SchemaChange::Define { definitions, .. } = change else {
            return Ok(Vec::new());
        };
        for Definition { id, after, .. } in definitions {
            let statements = match (self.catalogue.table(*id), after) {
                (None, Some(table)) => physical::create_table_sql(table)?,
                (Some(before), Some(table)) => physical::alter_table_sql(before, table)?,
                (_, None) => physical::drop_table_sql(*id),
            };
            for sql in &statements {
                if let Err(error) = self.connection.execute(sql, []) {
                    return Err(error_from_sqlite(&error, &self.catalogue)
                        .unwrap_or_else(|| panic!("{sql}: {error:?}")));
                }
            }
            match after {
                Some(table) => self.catalogue.put(Table::clone(table)),
                None => self.catalogue.remove(*id),
            }
        }
        Ok(Vec::new())
    }
}
