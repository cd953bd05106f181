//! Who sends a request.
//!
//! Over HTTP a user proves to be himself by `Authorization: Basic` with his password, or by a client
//! certificate. He then acts with his own key alone. A caller on this machine who says nothing may
//! name any key whose user has no password.

use std::future::Future;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stele_node::NodeError;

use super::context::App;
use super::error::ApiError;
use crate::access::{Access, Demand, FAILURE_PAUSE, Peer, Refusal};

/// What a browser shows when it asks for a password.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"stele\", charset=\"UTF-8\"");

tokio::task_local! {
    static CURRENT: Option<Arc<str>>;
}

/// A user who has proved to be himself, or a local caller who was not asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Caller(Option<Arc<str>>);

impl Caller {
    /// Runs a request for this caller.
    pub(super) async fn scope<F: Future>(self, request: F) -> F::Output {
        CURRENT.scope(self.0, request).await
    }
}

/// The user of the request under way; none for a local caller who was not asked.
pub(super) fn current() -> Option<Arc<str>> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Refuses what comes from elsewhere in plain.
#[expect(
    clippy::result_large_err,
    reason = "an answer, sent at once by its only caller"
)]
pub(super) fn check_encrypted(peer: &Peer) -> Result<(), Response> {
    if peer.is_loopback() || peer.tls {
        Ok(())
    } else {
        Err(refusal("", Refusal::TlsRequired))
    }
}

/// Finds out who sends a request.
pub(super) async fn authenticate(
    app: &App,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<Caller, Response> {
    let access = app.access();
    let Some(header) = headers.get(header::AUTHORIZATION) else {
        if let Some(key) = access.named_by_certificate(peer) {
            return Ok(Caller(Some(key.name.as_str().into())));
        }
        return if access.is_local(peer) {
            Ok(Caller(None))
        } else {
            Err(asked(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "28000",
                "requests from other machines must say who sends them",
            )
            .hint("send Authorization: Basic with a user's name and password, or show a client certificate")))
        };
    };
    let (user, password) = basic(header).ok_or_else(|| {
        asked(
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "28000",
                "the header Authorization is not understood",
            )
            .hint("send Basic and base64 of name:password"),
        )
    })?;
    let (access, peer, name) = (access.clone(), peer.clone(), user.clone());
    let checked = tokio::task::spawn_blocking(move || check(&access, &peer, &name, &password));
    match checked.await {
        Ok(Ok(true)) => Ok(Caller(Some(user.into()))),
        Ok(Ok(false)) => {
            tokio::time::sleep(FAILURE_PAUSE).await;
            Err(asked(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "28P01",
                format!("password authentication failed for user {user:?}"),
            )))
        }
        Ok(Err(refused)) => Err(refusal(&user, refused)),
        Err(error) => {
            tracing::error!(%error, "a password check ended early");
            Err(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

fn check(access: &Access, peer: &Peer, user: &str, password: &str) -> Result<bool, Refusal> {
    let (key, verifier) = match access.demand(peer, user)? {
        Demand::Nothing(_) => return Ok(true),
        Demand::Password(key, verifier) => (key, verifier),
    };
    access.begin_try(peer, user)?;
    let fits = verifier.fits(password) && key.is_some();
    if fits {
        access.succeeded(peer, user);
    } else {
        tracing::warn!(user, address = %peer.address, "password authentication failed");
    }
    Ok(fits)
}

/// Name and password of `Basic …`.
fn basic(header: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The caller is another user than the key's.
pub(super) fn not_own(own: &str, other: &str) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "42501",
        format!("user {own:?} may not act with the key {other:?}"),
    )
    .hint("leave the key out: a user's own key is used")
}

/// A local caller names the key of a user who has a password.
pub(super) fn password_needed(key: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "28000",
        format!("user {key:?} has a password, and the request does not give it"),
    )
    .hint("send Authorization: Basic with the user's name and password")
}

fn refusal(user: &str, refused: Refusal) -> Response {
    match refused {
        Refusal::TlsRequired => ApiError::new(
            StatusCode::FORBIDDEN,
            "28000",
            "requests from other machines must be encrypted by TLS",
        )
        .hint("use https:// in the address")
        .into_response(),
        Refusal::TooManyTries => ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "28000",
            format!("too many failed tries to log in as {user:?} from this address"),
        )
        .hint("wait a minute")
        .into_response(),
        Refusal::Unknown(NodeError::NotFound { hint, .. }) => asked(
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "28000",
                format!("the node's key store has no user {user:?}"),
            )
            .hint(hint),
        ),
        Refusal::Unknown(error) | Refusal::Store(error) => ApiError::from(error).into_response(),
    }
}

/// An answer that asks for a password.
fn asked(error: ApiError) -> Response {
    let mut response = error.into_response();
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, CHALLENGE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_read_and_others_are_not() {
        let read = |text: &'static str| basic(&HeaderValue::from_static(text));
        // "alice:pen:cil"
        let pair = ("alice".to_owned(), "pen:cil".to_owned());
        assert_eq!(read("Basic YWxpY2U6cGVuOmNpbA=="), Some(pair.clone()));
        assert_eq!(read("basic  YWxpY2U6cGVuOmNpbA=="), Some(pair));
        for wrong in ["Bearer abc", "Basic", "Basic !!!", "Basic YWxpY2U="] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
