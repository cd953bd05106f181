//! What could go wrong: bytes that are no message, lengths that lie, messages out of order. Each
//! connection gets an error or is closed; the node goes on.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod common;

use common::{Raw, Server, bind, execute, framed, parse, sync};
use stele_server::pg::PgConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A small generator: the same bytes in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.roll() as u8).collect()
    }
}

/// Sends bytes, ends its side and waits until the server has closed too.
async fn throw(mut raw: Raw, bytes: &[u8]) {
    // The server may close before it has read everything.
    let _ = raw.stream.write_all(bytes).await;
    let _ = raw.stream.shutdown().await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(common::PATIENCE, raw.stream.read_to_end(&mut rest))
        .await
        .expect("the server closes");
}

async fn check_alive(server: &Server) {
    let replies = server.raw().await.query("SHOW server_encoding").await;
    assert_eq!(common::kinds(&replies), "TDCZ");
}

fn corpus() -> Vec<Vec<u8>> {
    let whole = [parse("SELECT $1"), bind(&["x"]), execute(), sync()].concat();
    let mut corpus = vec![
        framed(b'Q', b"no end"),
        framed(b'Q', b"\xff\xfe\0"),
        framed(b'Q', b"SELECT '\0' \0"),
        framed(b'P', b""),
        framed(b'P', b"\0SELECT 1\0\xff\xff"),
        framed(b'B', b"\0\0\xff\xff"),
        framed(b'B', b"\0\0\0\0\xff\xff\x7f\xff\xff\xff"),
        framed(b'B', b"\0nothing\0\0\0\0\0\0\0"),
        framed(b'D', b"X\0"),
        framed(b'E', b"\0"),
        framed(b'C', b""),
        framed(b'p', b"password\0"),
        framed(b'd', b"copy data"),
        framed(b'F', b"function call"),
        framed(b'!', b"what"),
        execute(),
        framed(b'D', b"P\0"),
        framed(b'D', b"S\0"),
        b"Q\0\0\0\0".to_vec(),
        b"Q\0\0\0\x03".to_vec(),
        b"Q\xff\xff\xff\xff".to_vec(),
        b"Q\x7f\xff\xff\xff".to_vec(),
        b"P\x01\0\0\0SELECT".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
    ];
    corpus.extend((0..whole.len()).map(|len| whole[..len].to_vec()));
    corpus
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_messages_end_at_most_their_connection() {
    let server = Server::start().await;
    let neighbour = server.client().await;
    for bytes in corpus() {
        throw(server.raw().await, &bytes).await;
        let followed = [bytes, sync(), framed(b'Q', b"SHOW jit\0")].concat();
        throw(server.raw().await, &followed).await;
    }
    assert!(neighbour.simple_query("SHOW jit").await.is_ok());
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_openings_end_at_most_their_connection() {
    let server = Server::start().await;
    let mut openings: Vec<Vec<u8>> = vec![
        vec![],
        vec![0; 8],
        vec![0xff; 64],
        b"\0\0\0\x08\x04\xd2\x16\x2f".repeat(50),
        b"\0\0\0\x08\x04\xd2\x16\x30".repeat(50),
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02".to_vec(),
        b"\0\0\0\x09\x04\xd2\x16\x2e\0".to_vec(),
        b"\0\0\0\x08\0\x03\0\0".to_vec(),
        b"\0\0\0\x09\0\x03\0\0\0".to_vec(),
        b"\0\0\0\x09\0\x02\0\0\0".to_vec(),
        b"\0\0\0\x0d\0\x03\0\0user".to_vec(),
        b"\0\0\x27\x11\0\x03\0\0".to_vec(),
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(),
    ];
    let mut dice = Dice(0x5eed);
    for _ in 0..100 {
        let len = dice.below(200);
        openings.push(dice.bytes(len));
    }
    for bytes in openings {
        throw(server.socket().await, &bytes).await;
    }
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_messages_end_at_most_their_connection() {
    let server = Server::start().await;
    let mut dice = Dice(0x57e1e);
    let kinds = b"QPBDECHSdcfpFX";
    for _ in 0..200 {
        let mut bytes = Vec::new();
        for _ in 0..dice.below(8) {
            let kind = kinds[dice.below(kinds.len())];
            let len = dice.below(40);
            bytes.extend(framed(kind, &dice.bytes(len)));
        }
        throw(server.raw().await, &bytes).await;
    }
    let whole = [parse("SELECT $1"), bind(&["x"]), execute(), sync()].concat();
    for _ in 0..200 {
        let mut bytes = whole.clone();
        let place = dice.below(bytes.len());
        bytes[place] ^= 1 << dice.below(8);
        throw(server.raw().await, &bytes).await;
    }
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_over_the_bound_is_named() {
    let server = Server::with(PgConfig {
        message_len_max: 1_000,
        ..PgConfig::default()
    })
    .await;
    let mut raw = server.raw().await;
    raw.send_bytes(b"Q\0\0\x04\0").await;
    let reply = raw.next().await.unwrap();
    assert_eq!(reply.field(b'S').unwrap(), "FATAL");
    assert_eq!(reply.field(b'C').unwrap(), "08P01");
    assert!(reply.field(b'M').unwrap().contains("1000"));
    assert_eq!(raw.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_all_of_a_message_over_the_bound_still_hears_why() {
    const LEN: usize = 24 * 1024 * 1024;
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let mut message = vec![b' '; LEN];
    message[0] = b'Q';
    message[1..5].copy_from_slice(&(LEN as u32 - 1).to_be_bytes());
    raw.stream.write_all(&message).await.unwrap();
    let reply = raw.next().await.unwrap();
    assert_eq!(reply.field(b'S').unwrap(), "FATAL");
    assert_eq!(reply.field(b'C').unwrap(), "08P01");
    assert_eq!(raw.next().await, None);
    check_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_error_messages_are_skipped_up_to_sync() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let batch = [
        framed(b'P', b"broken"),
        parse("SHOW jit"),
        bind(&[]),
        execute(),
        sync(),
    ];
    raw.send_bytes(&batch.concat()).await;
    assert_eq!(common::kinds(&raw.until_ready().await), "EZ");
    let batch = [parse("SHOW jit"), bind(&[]), execute(), sync()];
    raw.send_bytes(&batch.concat()).await;
    assert_eq!(common::kinds(&raw.until_ready().await), "12DCZ");
}
