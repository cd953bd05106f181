//! One connection to the server under test.

use std::time::Duration;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::rewrite::NewTable;
use crate::values;

/// A record that takes longer fails: none of the files asks for much.
const RECORD_SECONDS_MAX: u64 = 20;

#[derive(Clone, Copy, Default)]
pub struct Options {
    /// The files were made for other databases.
    pub public: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", worded(.0))]
    Server(#[from] tokio_postgres::Error),
    #[error("COPY of a public file is not run: it would read and write files of the server")]
    Copy,
    #[error("no answer within {RECORD_SECONDS_MAX} s")]
    Late,
}

fn worded(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} {}", said.code().code(), said.message()),
        None => error.to_string(),
    }
}

/// Sends simple queries, so that values come as the server words them.
pub struct Engine {
    client: Client,
    connection: JoinHandle<()>,
    options: Options,
}

impl Engine {
    pub async fn connect(connection: String, options: Options) -> Result<Self, Error> {
        let (client, connection) = tokio_postgres::connect(&connection, NoTls).await?;
        // An end of the connection shows in the next record.
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            client,
            connection,
            options,
        })
    }

    /// Drops what schema `public` holds, and the schemas that files made.
    pub async fn drop_all(&self) -> Result<(), Error> {
        let listed = "SELECT CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END AS kind, table_name AS name FROM information_schema.tables WHERE table_schema = 'public'
            UNION SELECT 'SEQUENCE', sequence_name FROM information_schema.sequences WHERE sequence_schema = 'public'
            UNION SELECT 'SCHEMA', schema_name FROM information_schema.schemata
                WHERE schema_name NOT IN ('public', 'information_schema', 'stele') AND schema_name NOT LIKE 'pg\\_%'
            ORDER BY 1 DESC, 2";
        for message in self.client.simple_query(listed).await? {
            let SimpleQueryMessage::Row(row) = message else {
                continue;
            };
            let (kind, name) = (
                row.get(0).unwrap_or_default(),
                row.get(1).unwrap_or_default(),
            );
            let name = name.replace('"', "\"\"");
            self.client
                .simple_query(&format!("DROP {kind} IF EXISTS \"{name}\" CASCADE"))
                .await?;
        }
        Ok(())
    }

    async fn answer(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        if !self.options.public {
            return self.rows(sql).await;
        }
        let start = sql.trim_start().get(..4);
        if start.is_some_and(|word| word.eq_ignore_ascii_case("copy")) {
            return Err(Error::Copy);
        }
        match NewTable::parse(sql) {
            Some(table) => self.create(&table).await,
            None => self.rows(sql).await,
        }
    }

    /// A table, made and filled in two steps, as the ledger's hints say.
    async fn create(&self, table: &NewTable<'_>) -> Result<DBOutput<DefaultColumnType>, Error> {
        let Some(query) = table.query else {
            return self.rows(&table.create("")).await;
        };
        let described = self.client.prepare(query).await?;
        let columns = described.columns().iter();
        let columns = columns.map(|column| {
            format!(
                "\"{}\" {}",
                column.name().replace('"', "\"\""),
                column.type_().name()
            )
        });
        self.client
            .simple_query(&table.create(&columns.collect::<Vec<_>>().join(", ")))
            .await?;
        self.rows(&table.fill(query)).await
    }

    async fn rows(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let (mut rows, mut width, mut changed) = (Vec::new(), None, 0);
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => width = Some(columns.len()),
                SimpleQueryMessage::Row(row) => rows.push(row),
                SimpleQueryMessage::CommandComplete(count) => changed = count,
                _ => {}
            }
        }
        let Some(width) = width else {
            return Ok(DBOutput::StatementComplete(changed));
        };
        let types = match self.options.public && !rows.is_empty() {
            true => self
                .client
                .prepare(sql)
                .await?
                .columns()
                .iter()
                .map(|column| column.type_().clone())
                .collect(),
            false => Vec::new(),
        };
        let value = |row: &tokio_postgres::SimpleQueryRow, i: usize| {
            values::shown(row.get(i), types.get(i))
        };
        Ok(DBOutput::Rows {
            types: vec![DefaultColumnType::Any; width],
            rows: rows
                .iter()
                .map(|row| (0..width).map(|i| value(row, i)).collect())
                .collect(),
        })
    }
}

#[async_trait]
impl AsyncDB for Engine {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        timeout(Duration::from_secs(RECORD_SECONDS_MAX), self.answer(sql))
            .await
            .unwrap_or(Err(Error::Late))
    }

    async fn shutdown(&mut self) {
        self.connection.abort();
    }

    fn engine_name(&self) -> &str {
        "postgres"
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &Error) -> Option<String> {
        match error {
            Error::Server(error) => error.code().map(|code| code.code().to_owned()),
            Error::Copy | Error::Late => None,
        }
    }
}
