//! Query parameters and path segments, with this API's own errors.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::{HeaderMap, header, request::Parts};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use stele_core::Hash;
use stele_core::hash::HASH_LEN;

use super::error::ApiError;

/// Media type of canonical bytes.
pub(super) const OCTET_STREAM: &str = "application/octet-stream";

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(params)| Self(params))
            .map_err(|error| {
                let cause = std::error::Error::source(&error);
                let cause = cause.map_or_else(|| error.body_text(), ToString::to_string);
                ApiError::invalid(format!(
                    "the query of the address does not fit this path: {cause}"
                ))
                .hint("/openapi.json lists the parameters of each path")
            })
    }
}

/// Segments of the path.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(match error.kind() {
                ErrorKind::ParseErrorAtKey { key, value, .. } => ApiError::invalid(format!(
                    "{key} in the path is not a number in range: {value:?}"
                )),
                ErrorKind::ParseError { value, .. } => {
                    ApiError::invalid(format!("{value:?} in the path is not a number in range"))
                }
                ErrorKind::InvalidUtf8InPathParam { key } => {
                    ApiError::invalid(format!("{key} in the path is not UTF-8"))
                }
                other => ApiError::invalid(other.to_string()),
            }),
            Err(other) => Err(ApiError::invalid(other.body_text())),
        }
    }
}

/// A hash or identity of 64 hexadecimal characters, or base64url or base64 of its 32 bytes.
pub(super) fn hash(what: &str, text: &str) -> Result<Hash, ApiError> {
    Hash::from_hex(text)
        .or_else(|| {
            let bytes = URL_SAFE_NO_PAD
                .decode(text.trim_end_matches('='))
                .or_else(|_| STANDARD.decode(text))
                .ok()?;
            <[u8; HASH_LEN]>::try_from(bytes).ok().map(Hash)
        })
        .ok_or_else(|| {
            ApiError::invalid(format!(
                "{:?} is no {what}: 64 hexadecimal characters, or base64url of 32 bytes",
                text.chars().take(100).collect::<String>()
            ))
        })
}

/// Whether the client asks for canonical bytes instead of JSON.
pub(super) fn wants_bytes(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let media = range.split(';').next().unwrap_or_default();
            media.trim().eq_ignore_ascii_case(OCTET_STREAM)
        })
}

/// Whether the body is said to be of that media type.
pub(super) fn is_media(headers: &HeaderMap, media: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(media))
}
