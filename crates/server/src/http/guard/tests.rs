use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::IntoResponse;

use super::super::config::HttpConfig;
use super::check;

fn status(method: &Method, host: Option<&'static str>, origin: Option<&'static str>) -> StatusCode {
    let config = HttpConfig {
        hosts: vec!["ledger.example.org".to_owned()],
        origins: vec!["https://app.example.org".to_owned()],
        ..HttpConfig::default()
    };
    let mut headers = HeaderMap::new();
    if let Some(host) = host {
        headers.insert(header::HOST, HeaderValue::from_static(host));
    }
    if let Some(origin) = origin {
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
    }
    match check(
        &config,
        false,
        method,
        &Uri::from_static("/v1/sql"),
        &headers,
    ) {
        Ok(()) => StatusCode::OK,
        Err(error) => error.into_response().status(),
    }
}

#[test]
fn only_known_hosts_are_served() {
    for host in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:8080",
        "127.9.9.9",
        "[::1]:8080",
        "ledger.example.org",
        "ledger.example.org:443",
    ] {
        assert_eq!(
            status(&Method::GET, Some(host), None),
            StatusCode::OK,
            "{host}"
        );
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "0.0.0.0:8080",
        "[::]",
        "",
        "a b",
    ] {
        assert_eq!(
            status(&Method::GET, Some(host), None),
            StatusCode::BAD_REQUEST,
            "{host}"
        );
    }
    assert_eq!(status(&Method::GET, None, None), StatusCode::BAD_REQUEST);
}

#[test]
fn writes_of_foreign_pages_are_refused() {
    let host = Some("127.0.0.1:8080");
    for origin in ["http://127.0.0.1:8080", "https://app.example.org"] {
        assert_eq!(
            status(&Method::POST, host, Some(origin)),
            StatusCode::OK,
            "{origin}"
        );
    }
    for origin in [
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1:9999",
        "http://localhost:8080",
        "https://app.example.org.evil.example",
    ] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(
                status(&method, host, Some(origin)),
                StatusCode::FORBIDDEN,
                "{origin}"
            );
        }
    }
    assert_eq!(
        status(&Method::GET, host, Some("http://evil.example")),
        StatusCode::OK
    );
    assert_eq!(status(&Method::POST, host, None), StatusCode::OK);
}
