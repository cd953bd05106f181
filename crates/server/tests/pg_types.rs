//! What could go wrong: a value changed on its way to a column and back, in text or in binary.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use std::error::Error;

use bytes::{BufMut, BytesMut};
use common::Server;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

/// A value in its binary form, of whatever type.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Binary(Vec<u8>);

impl<'a> FromSql<'a> for Binary {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Binary {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Column type, text as PostgreSQL writes it, binary as PostgreSQL 15 sends it, type identifier.
const SAMPLES: &[(&str, &str, &str, u32)] = &[
    ("BOOLEAN", "t", "01", 16),
    ("SMALLINT", "-32768", "8000", 21),
    ("INTEGER", "2147483647", "7fffffff", 23),
    ("BIGINT", "-9223372036854775808", "8000000000000000", 20),
    ("NUMERIC(10,2)", "12.50", "0002000000000002000c1388", 1700),
    (
        "NUMERIC(20,12)",
        "-0.000000000001",
        "0001fffd4000000c0001",
        1700,
    ),
    ("NUMERIC(38,0)", "10000", "00010001000000000001", 1700),
    ("DOUBLE PRECISION", "1.5", "3ff8000000000000", 701),
    ("TEXT", "日本 'x' \\", "e697a5e69cac20277827205c", 25),
    ("VARCHAR(5)", "abcde", "6162636465", 1043),
    ("BYTEA", "\\x00ff5c", "00ff5c", 17),
    ("DATE", "1999-12-31", "ffffffff", 1082),
    (
        "TIMESTAMP",
        "2000-01-01 00:00:01.5",
        "000000000016e360",
        1114,
    ),
    (
        "TIMESTAMPTZ",
        "2000-01-01 00:00:00+00",
        "0000000000000000",
        1184,
    ),
    (
        "UUID",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        2950,
    ),
    ("JSON", "{\"b\":  1}", "7b2262223a2020317d", 114),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_goes_in_and_comes_out_in_both_forms() {
    let server = Server::start().await;
    let client = server.client().await;
    let create: Vec<String> = SAMPLES
        .iter()
        .enumerate()
        .map(|(place, (ty, ..))| format!("CREATE TABLE t{place} (id INTEGER PRIMARY KEY, v {ty});"))
        .collect();
    client.batch_execute(&create.concat()).await.unwrap();
    for (place, (ty, text, binary, oid)) in SAMPLES.iter().enumerate() {
        let binary = Binary(hex::decode(binary).unwrap());
        let insert = client
            .prepare(&format!("INSERT INTO t{place} VALUES ($1, $2)"))
            .await
            .unwrap();
        assert_eq!(insert.params()[1].oid(), *oid, "{ty}");
        client.execute(&insert, &[&1i32, &binary]).await.unwrap();
        client
            .execute(&insert, &[&2i32, &None::<Binary>])
            .await
            .unwrap();
        let literal = text.replace('\'', "''");
        client
            .batch_execute(&format!("INSERT INTO t{place} VALUES (3, '{literal}')"))
            .await
            .unwrap();
        let select = format!("SELECT v FROM t{place} WHERE id <> 2 ORDER BY id");
        let rows = client.query(&select, &[]).await.unwrap();
        assert_eq!(rows.len(), 2, "{ty}");
        for row in &rows {
            assert_eq!(row.columns()[0].type_().oid(), *oid, "{ty}");
            assert_eq!(row.get::<_, Binary>(0), binary, "{ty}");
        }
        for message in client.simple_query(&select).await.unwrap() {
            if let SimpleQueryMessage::Row(row) = message {
                assert_eq!(row.get(0), Some(*text), "{ty}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_is_null() {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
        .await
        .unwrap();
    client
        .execute("INSERT INTO t VALUES ($1, $2)", &[&1i32, &None::<String>])
        .await
        .unwrap();
    let row = client.query_one("SELECT v FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, Option<String>>(0), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_decimal_keeps_every_digit() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let exact = Binary(hex::decode("0001fffd4000000c0001").unwrap());
    let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, v NUMERIC(20,12))";
    let insert = "INSERT INTO t VALUES ($1, $2)";
    // In a transaction that makes the table, the column is only known to the execution.
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute(create).await.unwrap();
    let types = [Type::INT4, Type::NUMERIC];
    let statement = transaction.prepare_typed(insert, &types).await.unwrap();
    transaction
        .execute(&statement, &[&1i32, &exact])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let statement = client.prepare_typed(insert, &types).await.unwrap();
    client.execute(&statement, &[&2i32, &exact]).await.unwrap();
    for row in client.query("SELECT v FROM t", &[]).await.unwrap() {
        assert_eq!(row.get::<_, Binary>(0), exact);
    }
}
