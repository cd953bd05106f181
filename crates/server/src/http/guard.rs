//! What stands before every operation.
//!
//! The API trusts whoever reaches loopback, and a browser reaches it for any page it shows. So the
//! `Host` must be a loopback name or a configured one (a page's own name bound to 127.0.0.1, *DNS
//! rebinding*, is refused), and a write that a page of another origin sends is refused by its `Origin`.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::config::HttpConfig;
use super::context::App;
use super::error::ApiError;

/// Refuses foreign hosts, and writes from foreign origins.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    match check(
        app.config(),
        request.method(),
        request.uri(),
        request.headers(),
    ) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Bounds requests at once, and the time of each.
pub(super) async fn bound(State(app): State<App>, request: Request, next: Next) -> Response {
    let Ok(_permit) = app.requests().try_acquire() else {
        return ApiError::busy(format!(
            "{} requests are under way",
            app.config().requests_max
        ))
        .into_response();
    };
    let time_max = app.config().request_timeout;
    match tokio::time::timeout(time_max, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "time_out",
            format!("the request took longer than {} s", time_max.as_secs()),
        )
        .hint("a write may still be applied: look it up by its identity")
        .into_response(),
    }
}

fn check(
    config: &HttpConfig,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let host = host(uri, headers)?;
    let known = is_loopback(host.host())
        || config.hosts.iter().any(|name| {
            name.eq_ignore_ascii_case(host.host()) || name.eq_ignore_ascii_case(host.as_str())
        });
    if !known {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "foreign_host",
            format!("this node is not known as {:?}", host.as_str()),
        )
        .hint("use 127.0.0.1 or localhost, or add the name to the configuration's list of hosts"));
    }
    let writes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match headers.get(header::ORIGIN) {
        Some(origin) if writes => {
            let origin = origin.to_str().unwrap_or_default();
            let own = ["http://", "https://"]
                .iter()
                .filter_map(|scheme| origin.strip_prefix(scheme))
                .any(|authority| authority.eq_ignore_ascii_case(host.as_str()));
            if own || config.origins.iter().any(|known| known == origin) {
                Ok(())
            } else {
                Err(ApiError::new(
                    StatusCode::FORBIDDEN,
                    "foreign_origin",
                    format!("pages of {origin:?} may not write here"),
                )
                .hint("add the origin to the configuration's list of origins if it is yours"))
            }
        }
        _ => Ok(()),
    }
}

fn host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, ApiError> {
    let mut named = headers.get_all(header::HOST).iter();
    let header = named.next();
    if named.next().is_some() {
        return Err(ApiError::invalid("the request has two Host headers"));
    }
    match (header, uri.authority()) {
        (Some(name), _) => name
            .to_str()
            .ok()
            .and_then(|name| name.parse().ok())
            .ok_or_else(|| {
                ApiError::invalid("the Host header is not a name with an optional port")
            }),
        (None, Some(authority)) => Ok(authority.clone()),
        (None, None) => Err(ApiError::invalid("the request has no Host header")),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
