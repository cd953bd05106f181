//! One connection to the server under test.

use std::time::Duration;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::{rewrite, values};

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

    /// Drops the views and tables of schema `public`.
    pub async fn drop_all(&self) -> Result<(), Error> {
        let listed = "SELECT table_type, table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1 DESC, 2";
        for message in self.client.simple_query(listed).await? {
            let SimpleQueryMessage::Row(row) = message else {
                continue;
            };
            let kind = if row.get(0) == Some("VIEW") {
                "VIEW"
            } else {
                "TABLE"
            };
            let name = row.get(1).unwrap_or_default().replace('"', "\"\"");
            self.client
                .simple_query(&format!("DROP {kind} IF EXISTS \"{name}\" CASCADE"))
                .await?;
        }
        Ok(())
    }

    async fn answer(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        if self.options.public {
            if let Some((name, query)) = rewrite::filled_table(sql) {
                return self.fill(name, query).await;
            }
            if let Some(sql) = rewrite::with_key(sql) {
                return self.rows(&sql).await;
            }
        }
        self.rows(sql).await
    }

    /// `CREATE TABLE name AS query` in two steps, as the server's hint says.
    async fn fill(&self, name: &str, query: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let described = self.client.prepare(query).await?;
        let columns = described.columns().iter();
        let (names, typed): (Vec<_>, Vec<_>) = columns
            .map(|column| {
                let name = format!("\"{}\"", column.name().replace('"', "\"\""));
                let typed = format!("{name} {}", column.type_().name());
                (name, typed)
            })
            .unzip();
        let key = rewrite::KEY_DEFINITION;
        self.client
            .simple_query(&format!(
                "CREATE TABLE {name} ({}, {key})",
                typed.join(", ")
            ))
            .await?;
        self.rows(&format!(
            "INSERT INTO {name} ({}) {query}",
            names.join(", ")
        ))
        .await
    }

    async fn rows(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let (mut rows, mut shown, mut changed) = (Vec::new(), None, 0);
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    let kept = |(_, column): &(usize, &tokio_postgres::SimpleColumn)| {
                        !self.options.public || column.name() != rewrite::KEY
                    };
                    shown = Some(
                        columns
                            .iter()
                            .enumerate()
                            .filter(kept)
                            .map(|(i, _)| i)
                            .collect::<Vec<_>>(),
                    );
                }
                SimpleQueryMessage::Row(row) => rows.push(row),
                SimpleQueryMessage::CommandComplete(count) => changed = count,
                _ => {}
            }
        }
        let Some(shown) = shown else {
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
            types: vec![DefaultColumnType::Any; shown.len()],
            rows: rows
                .iter()
                .map(|row| shown.iter().map(|i| value(row, *i)).collect())
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
            Error::Late => None,
        }
    }
}
