//! What stands before every operation.
//!
//! Who asks is found out first (see [`super::caller`]). The API trusts whoever reaches loopback, and a
//! browser reaches it for any page it shows. So the `Host` must be a loopback name or a configured one
//! (a page's own name bound to 127.0.0.1, *DNS rebinding*, is refused), and a write that a page of
//! another origin sends is refused by its `Origin`. Over TLS the certificate settles the host.

use std::net::IpAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller;
use super::config::HttpConfig;
use super::context::App;
use super::error::ApiError;
use super::listener::ConnectedPeer;
use crate::access::Peer;

/// Path that answers without asking who asks, for whatever watches the node.
const HEALTH: &str = "/v1/health";

/// Refuses foreign hosts, writes from foreign origins, and who does not prove who he is.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<ConnectedPeer>>()
        .map_or_else(Peer::own_process, |connected| connected.0.peer());
    if let Err(refused) = caller::check_encrypted(&peer) {
        return refused;
    }
    let checked = check(
        app.config(),
        peer.tls,
        request.method(),
        request.uri(),
        request.headers(),
    );
    if let Err(refused) = checked {
        return refused.into_response();
    }
    if request.uri().path() == HEALTH {
        return next.run(request).await;
    }
    match caller::authenticate(&app, &peer, request.headers()).await {
        Ok(caller) => caller.scope(next.run(request)).await,
        Err(refused) => refused,
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
    tls: bool,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let host = host(uri, headers)?;
    let known = tls
        || is_loopback(host.host())
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
