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

/// What could go wrong: a type only the client's message names is forgotten when the text is executed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_type_holds_wherever_its_parameter_stands() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client
        .batch_execute(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT); INSERT INTO t VALUES (1, 0)",
        )
        .await
        .unwrap();
    let samples = [
        (Type::BOOL, "01"),
        (Type::INT2, "0001"),
        (Type::INT4, "00000001"),
        (Type::INT8, "00000000b2d05e00"),
        (Type::NUMERIC, "000200000000000100011388"),
        (Type::FLOAT8, "3ff8000000000000"),
        (Type::TEXT, "78"),
        (Type::BYTEA, "00ff"),
        (Type::DATE, "00000001"),
        (Type::TIMESTAMP, "0000000000000001"),
        (Type::TIMESTAMPTZ, "0000000000000001"),
        (Type::UUID, "000102030405060708090a0b0c0d0e0f"),
        (Type::JSON, "7b7d"),
    ];
    let texts = [
        "SELECT $1",
        "SELECT $1 AS a, 1 AS b",
        "SELECT $1 WHERE true",
        "SELECT * FROM (VALUES ($1)) v",
        "SELECT $1, id FROM t",
        "WITH w AS (SELECT $1) SELECT * FROM w",
    ];
    for (ty, sample) in samples {
        let value = Binary(hex::decode(sample).unwrap());
        for text in texts {
            let declared = std::slice::from_ref(&ty);
            let statement = client.prepare_typed(text, declared).await.unwrap();
            assert_eq!(statement.columns()[0].type_(), &ty, "{text}");
            let rows = client.query(&statement, &[&value]).await;
            let rows = rows.unwrap_or_else(|error| panic!("{text}, {ty}: {error:?}"));
            if ty != Type::NUMERIC {
                assert_eq!(rows[0].get::<_, Binary>(0), value, "{text}, {ty}");
            }
            // Inside a transaction it is compared again when the ledger executes it.
            let transaction = client.transaction().await.unwrap();
            transaction.query(&statement, &[&value]).await.unwrap();
            transaction
                .batch_execute("UPDATE t SET n = n + 1")
                .await
                .unwrap();
            transaction.commit().await.unwrap();
        }
    }
    let column = client
        .prepare_typed("SELECT $1", &[Type::INT4])
        .await
        .unwrap();
    assert_eq!(column.columns()[0].name(), "?column?");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arithmetic_is_that_of_the_declared_type() {
    let server = Server::start().await;
    let client = server.client().await;
    let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, n BIGINT)";
    client.batch_execute(create).await.unwrap();
    let large = 3_000_000_000i64;
    let typed = |text: &'static str| client.prepare_typed(text, &[Type::INT8]);
    let sum = typed("SELECT $1 + 1").await.unwrap();
    let row = client.query_one(&sum, &[&large]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), large + 1);
    // A write is executed from the text that was signed.
    let insert = typed("INSERT INTO t SELECT 1, $1 + 1").await.unwrap();
    client.execute(&insert, &[&large]).await.unwrap();
    let found = typed("SELECT n FROM t WHERE id < $1").await.unwrap();
    let row = client.query_one(&found, &[&large]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), large + 1);
}
