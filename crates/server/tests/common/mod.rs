//! A node in a temporary directory with its PostgreSQL server, for whole-system tests.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part of this"
)]

use std::net::SocketAddr;
use std::time::Duration;

use stele_flow::Runtime;
use stele_node::{Node, NodeConfig};
use stele_server::pg::{PgConfig, serve};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub node: Node,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
    _directory: TempDir,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(PgConfig::default()).await
    }

    pub async fn with(config: PgConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let node_config = NodeConfig {
            directory: directory.path().join("data"),
            ..NodeConfig::default()
        };
        let node = Node::start(node_config, Runtime::real()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = node.clone();
        let task = tokio::spawn(async move {
            serve(listener, served, config, stopped).await.unwrap();
        });
        Self {
            address,
            node,
            stop: Some(stop),
            task: Some(task),
            _directory: directory,
        }
    }

    /// Connects a driver.
    pub async fn client(&self) -> Client {
        self.client_as("operator").await.unwrap()
    }

    pub async fn client_as(&self, user: &str) -> Result<Client, tokio_postgres::Error> {
        let port = self.address.port();
        let config = format!("host=127.0.0.1 port={port} user={user} dbname=stele");
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Connects without a driver and starts a session.
    pub async fn raw(&self) -> Raw {
        let mut raw = self.socket().await;
        raw.startup("operator").await;
        raw.until_ready().await;
        raw
    }

    /// Connects without starting a session.
    pub async fn socket(&self) -> Raw {
        Raw {
            stream: TcpStream::connect(self.address).await.unwrap(),
        }
    }

    /// Stops the server, not the node.
    pub async fn stop(&mut self) {
        self.stop.take();
        if let Some(task) = self.task.take() {
            tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.node.stop();
    }
}

/// A connection that speaks the protocol by hand.
pub struct Raw {
    pub stream: TcpStream,
}

/// A message of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub kind: u8,
    pub body: Vec<u8>,
}

impl Reply {
    /// A field of an error.
    pub fn field(&self, code: u8) -> Option<String> {
        self.body
            .split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&code))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    }

    /// The text of a message that is one.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body)
            .trim_end_matches('\0')
            .to_owned()
    }
}

impl Raw {
    pub async fn startup(&mut self, user: &str) {
        let body = format!("\0\x03\0\0user\0{user}\0\0");
        let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend_from_slice(body.as_bytes());
        self.send_bytes(&bytes).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn send(&mut self, kind: u8, body: &[u8]) {
        self.send_bytes(&framed(kind, body)).await;
    }

    /// The next message; none at the end of the stream.
    pub async fn next(&mut self) -> Option<Reply> {
        let read = async {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).await.ok()?;
            let len = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
            let mut body = vec![0; len];
            self.stream.read_exact(&mut body).await.ok()?;
            Some(Reply {
                kind: head[0],
                body,
            })
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("a reply in time")
    }

    /// All messages up to ReadyForQuery or the end of the stream.
    pub async fn until_ready(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        while let Some(reply) = self.next().await {
            let ready = reply.kind == b'Z';
            replies.push(reply);
            if ready {
                break;
            }
        }
        replies
    }

    /// Sends statements by the simple protocol.
    pub async fn query(&mut self, sql: &str) -> Vec<Reply> {
        self.send(b'Q', format!("{sql}\0").as_bytes()).await;
        self.until_ready().await
    }
}

/// A message of a client.
pub fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Parse of the unnamed statement.
pub fn parse(sql: &str) -> Vec<u8> {
    framed(b'P', format!("\0{sql}\0\0\0").as_bytes())
}

/// Bind of the unnamed portal with text parameters.
pub fn bind(parameters: &[&str]) -> Vec<u8> {
    let mut body = b"\0\0\0\0".to_vec();
    body.extend_from_slice(&(parameters.len() as u16).to_be_bytes());
    for parameter in parameters {
        body.extend_from_slice(&(parameter.len() as u32).to_be_bytes());
        body.extend_from_slice(parameter.as_bytes());
    }
    body.extend_from_slice(b"\0\0");
    framed(b'B', &body)
}

/// Execute of the unnamed portal.
pub fn execute() -> Vec<u8> {
    framed(b'E', b"\0\0\0\0\0")
}

/// Sync.
pub fn sync() -> Vec<u8> {
    framed(b'S', b"")
}

/// Kinds of messages, as text.
pub fn kinds(replies: &[Reply]) -> String {
    replies.iter().map(|reply| char::from(reply.kind)).collect()
}

/// The SQLSTATE of a driver's error.
pub fn code(error: &tokio_postgres::Error) -> String {
    error
        .code()
        .map_or_else(|| error.to_string(), |code| code.code().to_owned())
}
