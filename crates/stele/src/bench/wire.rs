//! Load over the PostgreSQL wire: the same client code for Stele and for PostgreSQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::sample::{Sample, micros};
use super::workload::{BATCH_ROWS, Keys, Numbers, Row, Shape, Workload, filling, insert};

/// Connections that fill tables.
const FILLING_CLIENTS: usize = 8;

/// A server under load.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    config: Config,
}

impl Target {
    pub(super) fn new(name: &'static str, url: &str) -> Result<Self> {
        let config = url.parse().with_context(|| {
            format!(
                "{url:?} is not a connection: write it as postgres://user@127.0.0.1:5432/database"
            )
        })?;
        Ok(Self { name, config })
    }

    /// The same server for another user.
    pub(super) fn of_user(&self, name: &'static str, user: &str) -> Self {
        let mut config = self.config.clone();
        config.user(user);
        Self { name, config }
    }

    /// Runs statements that give nothing.
    pub(super) async fn execute(&self, sql: &str) -> Result<()> {
        let client = self.connect().await?;
        let done = client.batch_execute(sql).await;
        done.with_context(|| format!("{}: {sql}", self.name))
    }

    pub(super) async fn connect(&self) -> Result<Client> {
        let (client, connection) = self
            .config
            .connect(NoTls)
            .await
            .with_context(|| format!("cannot connect to {}", self.name))?;
        // Its end shows as the failure of the statement that needs it.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Makes an empty table.
    pub(super) async fn create(&self, table: &str) -> Result<()> {
        self.execute(&format!("DROP TABLE IF EXISTS {table}"))
            .await?;
        self.execute(&format!(
            "CREATE TABLE {table} (id BIGINT PRIMARY KEY, account BIGINT NOT NULL, note TEXT NOT NULL)"
        ))
        .await
    }

    /// Puts rows in, in batches.
    pub(super) async fn fill(&self, table: &str, count: u64, keys: Keys) -> Result<()> {
        let mut parts = vec![Vec::new(); FILLING_CLIENTS];
        let rows: Vec<Row> = filling(count, keys).collect();
        for (chunk, part) in rows
            .chunks(BATCH_ROWS as usize)
            .zip((0..FILLING_CLIENTS).cycle())
        {
            if let Some(part) = parts.get_mut(part) {
                part.push(chunk.to_vec());
            }
        }
        let mut tasks = JoinSet::new();
        for part in parts {
            let (target, table) = (self.clone(), table.to_owned());
            tasks.spawn(async move {
                let client = target.connect().await?;
                let whole = client.prepare(&insert(&table, BATCH_ROWS)).await?;
                for rows in &part {
                    let rest;
                    let statement = if rows.len() as u64 == BATCH_ROWS {
                        &whole
                    } else {
                        rest = client.prepare(&insert(&table, rows.len() as u64)).await?;
                        &rest
                    };
                    client.execute(statement, &parameters(rows)).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done?.with_context(|| format!("{}: filling {table}", self.name))?;
        }
        Ok(())
    }
}

/// The connections of a workload, each with its statement prepared.
pub(super) struct Fleet {
    name: &'static str,
    workload: Workload,
    clients: Vec<Arc<(Client, Statement)>>,
    numbers: Arc<Numbers>,
}

impl Fleet {
    /// Connects the clients of a workload to a table that holds `filled` rows.
    pub(super) async fn open(target: &Target, workload: &Workload, filled: u64) -> Result<Self> {
        Self::open_all(std::slice::from_ref(target), workload, filled).await
    }

    /// As [`Self::open`], the clients spread over several servers with one table.
    pub(super) async fn open_all(
        targets: &[Target],
        workload: &Workload,
        filled: u64,
    ) -> Result<Self> {
        let name = targets.first().map_or("", |target| target.name);
        let mut clients = Vec::new();
        for (_, target) in (0..workload.clients).zip(targets.iter().cycle()) {
            let client = target.connect().await?;
            let sql = workload.statement();
            let statement = client
                .prepare(&sql)
                .await
                .with_context(|| format!("{}: cannot prepare {sql:.100}", target.name))?;
            clients.push(Arc::new((client, statement)));
        }
        Ok(Self {
            name,
            workload: *workload,
            clients,
            numbers: Arc::new(Numbers::after(filled)),
        })
    }

    /// One round: all clients at work for a time.
    pub(super) async fn run(&self, time: Duration) -> Result<Sample> {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for client in &self.clients {
            let (client, numbers) = (Arc::clone(client), Arc::clone(&self.numbers));
            let workload = self.workload;
            tasks.spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < time {
                    let begin = Instant::now();
                    operate(&client.0, &client.1, &workload, &numbers).await?;
                    latencies.push(micros(begin.elapsed()));
                }
                Ok::<_, tokio_postgres::Error>(latencies)
            });
        }
        let mut latencies = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let of_client =
                done?.with_context(|| format!("{}: {}", self.name, self.workload.name))?;
            latencies.extend(of_client);
        }
        let rows = latencies.len() as u64 * self.workload.rows();
        Ok(Sample::round(rows, start.elapsed(), latencies))
    }
}

async fn operate(
    client: &Client,
    statement: &Statement,
    workload: &Workload,
    numbers: &Numbers,
) -> Result<(), tokio_postgres::Error> {
    match workload.shape {
        Shape::Single | Shape::MultiRow => {
            let rows = numbers.take(workload);
            client.execute(statement, &parameters(&rows)).await?;
        }
        Shape::Singles => {
            let rows = numbers.take(workload);
            client.batch_execute("BEGIN").await?;
            let inserts = rows.iter().map(|row| async move {
                let values: [&(dyn ToSql + Sync); 3] = [&row.id, &row.account, &row.note];
                client.execute(statement, &values).await
            });
            try_join_all(inserts).await?;
            client.batch_execute("COMMIT").await?;
        }
        Shape::Select | Shape::Proof => {
            client.query_one(statement, &[&numbers.existing()]).await?;
        }
    }
    Ok(())
}

fn parameters(rows: &[Row]) -> Vec<&(dyn ToSql + Sync)> {
    let mut values: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(3 * rows.len());
    for row in rows {
        values.push(&row.id);
        values.push(&row.account);
        values.push(&row.note);
    }
    values
}
