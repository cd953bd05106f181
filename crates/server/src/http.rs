//! The HTTP API: everything a node offers a program or a person that does not speak PostgreSQL.
//!
//! JSON by default, canonical bytes where a client asks for `application/octet-stream`; every
//! failure is `{code, message, hint}` with a fitting status. The log is served at the C2SP paths
//! `/checkpoint` and `/tile/…`; `/openapi.json` describes the rest.
//!
//! The node's key store signs for whoever is let in (see [`crate::access`]): a `guard` asks for TLS and a
//! proof of who asks, except on loopback, and turns away what a web page could make a browser send. Bodies, requests at once,
//! waits and open transactions are bounded by [`HttpConfig`] and the constants beside it.

mod audit;
mod block;
mod block_view;
mod body;
mod caller;
mod config;
mod context;
mod error;
mod extract;
mod follow;
mod guard;
mod job;
mod kv;
mod kv_lookup;
mod kv_namespace;
mod listener;
mod metric;
mod page;
mod preview;
mod preview_table;
mod proof;
mod receipt;
mod record;
mod replica;
mod snapshot;
mod sql;
mod status;
mod tile;
mod transaction;
mod transaction_view;
mod value;

pub use config::{HttpConfig, JSON_LEN_MAX, KV_VALUE_LEN_MAX, RAW_TRANSACTION_LEN_MAX};
pub use error::ErrorView;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use stele_node::Node;
use thiserror::Error;
use tokio::net::TcpListener;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use context::App;
use error::ApiError;
use listener::{BoundedListener, ConnectedPeer};

/// How much longer than the longest request a connection may be silent at least.
const REQUEST_MARGIN: Duration = Duration::from_secs(1);

/// Why the HTTP API does not start or ended.
#[derive(Debug, Error)]
pub enum HttpServeError {
    /// The listener can be reached from other machines, and there is no TLS.
    #[error(
        "HTTP would listen on {0}, which other machines can reach, without TLS: give the listener a \
         certificate and key, or listen on 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// The listener has no address or cannot accept.
    #[error("HTTP cannot use its listener: {0}")]
    Listener(#[from] std::io::Error),
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stele",
        description = "One SQL database that organisations keep together, with proofs of what is in it. \
                       Failures are `{code, message, hint}`: the code is a SQLSTATE or a stable word.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(tile::tile)
)]
struct Description;

/// Serves the API until `shutdown` resolves; requests under way are then finished.
///
/// # Errors
/// [`HttpServeError::NotLoopback`] when other machines could reach the listener and there is no TLS.
pub async fn serve(
    listener: TcpListener,
    node: Node,
    config: HttpConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), HttpServeError> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && config.access.tls.is_none() {
        return Err(HttpServeError::NotLoopback(address));
    }
    // A connection is silent while its request is worked on; that is not idleness.
    let idle_timeout = config
        .idle_timeout
        .max(config.request_timeout + REQUEST_MARGIN);
    let tls = config.access.tls.clone();
    let listener = BoundedListener::new(listener, config.connections_max, idle_timeout, tls);
    let service = router(node, config).into_make_service_with_connect_info::<ConnectedPeer>();
    axum::serve(listener, service)
        .with_graceful_shutdown(shutdown)
        .await?;
    Ok(())
}

/// The API as a service, for [`serve`] and for tests that need no socket. A request that did not come
/// through [`serve`]'s listener counts as one from this machine.
pub fn router(node: Node, config: HttpConfig) -> Router {
    let app = App::new(node, config);
    let (router, description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(page::page))
        .routes(routes!(status::status))
        .routes(routes!(status::evidence))
        .routes(routes!(status::chain))
        .routes(routes!(status::state_root))
        .routes(routes!(transaction::submit))
        .routes(routes!(transaction::find))
        .routes(routes!(transaction::prove))
        .routes(routes!(sql::run))
        .routes(routes!(block::list))
        .routes(routes!(block::by_height))
        .routes(routes!(block::by_hash))
        .routes(routes!(block::by_transaction))
        .routes(routes!(block::location))
        .routes(routes!(follow::genesis))
        .routes(routes!(follow::certified_blocks))
        .routes(routes!(follow::kept_blocks))
        .routes(routes!(record::append))
        .routes(routes!(record::find))
        .routes(routes!(record::find_at))
        .routes(routes!(proof::row))
        .routes(routes!(proof::range))
        .routes(routes!(tile::checkpoint))
        .routes(routes!(tile::growth))
        .routes(routes!(kv::get, kv::put, kv::delete))
        .routes(routes!(kv_lookup::look_up, kv_namespace::set))
        .routes(routes!(preview::begin, preview::list))
        .routes(routes!(preview::find, preview::free))
        .routes(routes!(preview::run))
        .routes(routes!(preview::commit))
        .routes(routes!(audit::start))
        .routes(routes!(audit::progress))
        .routes(routes!(replica::list, replica::add))
        .routes(routes!(replica::find, replica::remove))
        .routes(routes!(replica::pause))
        .routes(routes!(replica::resume))
        .routes(routes!(replica::password))
        .routes(routes!(replica::refill))
        .routes(routes!(replica::wait))
        .routes(routes!(replica::audit))
        .routes(routes!(replica::audit_progress))
        .routes(routes!(snapshot::create))
        .routes(routes!(snapshot::progress))
        .split_for_parts();
    // Health and metrics stay outside the bound on requests: they must answer when all else is busy.
    let (watched, watched_description) = OpenApiRouter::new()
        .routes(routes!(status::health))
        .routes(routes!(metric::metrics))
        .split_for_parts();
    let description = description.merge_from(watched_description);
    let description = description.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI description cannot be written");
        "{}".to_owned()
    });
    let description = axum::body::Bytes::from(description);
    router
        .route("/tile/{*path}", get(tile::tile))
        .route(
            "/openapi.json",
            get(move || async move {
                (
                    [(axum::http::header::CONTENT_TYPE, "application/json")],
                    description,
                )
            }),
        )
        .layer(middleware::from_fn_with_state(app.clone(), guard::bound))
        .merge(watched)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(middleware::from_fn(metric::count))
        .with_state(app)
}

async fn no_route() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no_route",
        "there is nothing at this path",
    )
    .hint("/openapi.json lists the paths; text in a path is percent-encoded")
}

async fn no_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_method",
        "this path does not take that method",
    )
    .hint("/openapi.json lists the methods of each path")
}
