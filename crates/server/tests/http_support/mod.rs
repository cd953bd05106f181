//! A real node in a directory of its own, and its HTTP API without a socket.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value as Json;
use stele_flow::Runtime;
use stele_node::{Node, NodeConfig};
use stele_server::http::{HttpConfig, router};
use tempfile::TempDir;
use tower::ServiceExt;

/// Longest answer a test reads, in bytes.
const ANSWER_LEN_MAX: usize = 128 * 1024 * 1024;

pub struct Api {
    pub node: Node,
    pub router: Router,
    directory: TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Api {
    pub fn start() -> Self {
        Self::with(HttpConfig::default(), |_| ())
    }

    pub fn with(http: HttpConfig, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut config = NodeConfig {
            directory: directory.path().join("data"),
            self_check_interval_s: 0,
            ..NodeConfig::default()
        };
        change(&mut config);
        let node = Node::start(config, Runtime::real()).unwrap();
        let router = router(node.clone(), http);
        Self {
            node,
            router,
            directory,
        }
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            bytes: to_bytes(response.into_body(), ANSWER_LEN_MAX)
                .await
                .unwrap()
                .to_vec(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], Body::empty()).await
    }

    pub async fn raw(&self, path: &str) -> Answer {
        let accept = [("accept", "application/octet-stream")];
        self.call(Method::GET, path, &accept, Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call(Method::POST, path, &[], body).await
    }

    pub async fn sql(&self, request: Json) -> Answer {
        self.post("/v1/sql", request.to_string()).await
    }

    /// Runs SQL that must succeed.
    pub async fn done(&self, sql: &str) -> Json {
        let answer = self.sql(serde_json::json!({ "sql": sql })).await;
        assert_eq!(answer.status, StatusCode::OK, "{sql}: {}", answer.text());
        answer.json()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.node.stop();
    }
}

impl Answer {
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().unwrap().to_owned())
    }

    /// Asserts a failure with its status and code.
    #[track_caller]
    pub fn fails(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.code(), code, "{}", self.text());
        assert!(self.json()["message"].is_string());
    }
}
