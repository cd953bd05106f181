//! Keys of the key-value state by prefix, suffix or substring, in key order, page by page.
//!
//! A prefix is looked up as a range of the primary key; suffix and substring read the keys of the
//! namespace. Keys are ordered by their UTF-8 bytes.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use stele_core::Value;
use utoipa::{IntoParams, ToSchema};

use super::context::App;
use super::error::{ApiError, Refusals, StatementRefusals};
use super::extract::{Params, Segments};
use super::kv::{check_namespace, check_part, run};
use super::receipt::HEIGHT;

/// Keys of a page when the request names no limit.
const LIMIT_DEFAULT: u32 = 100;
/// Most keys of a page.
const LIMIT_MAX: u32 = 1_000;
/// Most bytes of values in a page; at least one value comes.
const VALUES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Greater than every key: no key holds the last code point this often.
const AFTER_ALL: &str = "\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}";

/// Query parameters of a look-up.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LookupParams {
    /// Keys that start so. All keys when neither this nor suffix nor contains is given.
    prefix: Option<String>,
    /// Keys that end so.
    suffix: Option<String>,
    /// Keys that hold this.
    contains: Option<String>,
    /// Whether the values come too; false when absent.
    #[serde(default)]
    values: bool,
    /// Most keys, 1 to 1,000; 100 when absent.
    limit: Option<u32>,
    /// Where the page before ended: its `next`.
    cursor: Option<String>,
    /// Waits until the state has this height.
    min_height: Option<u64>,
    /// Name of the key-store key whose account asks; the operator's when absent.
    #[serde(rename = "as")]
    as_key: Option<String>,
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeysView {
    /// The block after which this was the state.
    height: u64,
    /// Keys in order.
    entries: Vec<EntryView>,
    /// Give it as `cursor` to go on; null at the end.
    next: Option<String>,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryView {
    /// The key.
    key: String,
    /// Its value in base64, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Which keys, as statements: with and without values.
struct Query {
    keys: &'static str,
    values: &'static str,
}

const RANGE: Query = Query {
    keys: "SELECT key FROM stele.kv WHERE namespace = $1 AND key >= $2 AND key < $3 \
           ORDER BY key LIMIT $4",
    values: "SELECT key, value FROM stele.kv WHERE namespace = $1 AND key >= $2 AND key < $3 \
             ORDER BY key LIMIT $4",
};
const MATCH: Query = Query {
    keys: "SELECT key FROM stele.kv WHERE namespace = $1 AND key >= $2 AND key LIKE $3 \
           ORDER BY key LIMIT $4",
    values: "SELECT key, value FROM stele.kv WHERE namespace = $1 AND key >= $2 AND key LIKE $3 \
             ORDER BY key LIMIT $4",
};

/// Keys of a namespace by prefix, suffix or substring.
#[utoipa::path(
    get,
    path = "/v1/kv/{namespace}",
    tag = "key-value",
    params(
        ("namespace" = String, Path, description = "Namespace, 1 to 63 characters"),
        ("Stele-Preview" = Option<String>, Header, description = "Name of an open preview"),
        LookupParams
    ),
    responses(
        (status = 200, description = "A page of keys", body = KeysView),
        Refusals,
        StatementRefusals
    )
)]
pub(super) async fn look_up(
    State(app): State<App>,
    Segments(namespace): Segments<String>,
    Params(params): Params<LookupParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check_namespace(&namespace)?;
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(ApiError::invalid(format!(
            "limit is {limit}, it goes from 1 to {LIMIT_MAX}"
        )));
    }
    let cursor = params.cursor.as_deref().map(decode_cursor).transpose()?;
    let (query, lower, bound) = plan(&params)?;
    let lower = match cursor {
        Some(cursor) if cursor >= lower => cursor,
        _ => lower,
    };
    app.reach(params.min_height).await?;
    let parameters = vec![
        Value::Text(namespace),
        Value::Text(lower),
        Value::Text(bound),
        // One more than asked for tells where the next page starts.
        Value::Int(i64::from(limit) + 1),
    ];
    let text = if params.values {
        query.values
    } else {
        query.keys
    };
    let (result, height) = run(&app, &headers, params.as_key, text, parameters).await?;
    let view = page(result.rows, limit as usize, height);
    Ok(([(HEIGHT, HeaderValue::from(height))], Json(view)).into_response())
}

fn plan(params: &LookupParams) -> Result<(Query, String, String), ApiError> {
    let given = [&params.prefix, &params.suffix, &params.contains];
    if given.iter().filter(|part| part.is_some()).count() > 1 {
        return Err(ApiError::invalid(
            "give one of prefix, suffix and contains, not several",
        ));
    }
    for (what, part) in ["prefix", "suffix", "substring"].iter().zip(given) {
        check_part(what, part.as_deref().unwrap_or_default())?;
    }
    Ok(match (&params.suffix, &params.contains) {
        (Some(suffix), _) => (MATCH, String::new(), format!("%{}", escape_like(suffix))),
        (_, Some(part)) => (MATCH, String::new(), format!("%{}%", escape_like(part))),
        _ => {
            let prefix = params.prefix.clone().unwrap_or_default();
            let end = successor(&prefix).unwrap_or_else(|| AFTER_ALL.to_owned());
            (RANGE, prefix, end)
        }
    })
}

fn page(rows: Vec<Vec<Value>>, limit: usize, height: u64) -> KeysView {
    let mut entries = Vec::new();
    let mut next = None;
    let mut bytes = 0;
    for row in rows {
        let mut row = row.into_iter();
        let Some(Value::Text(key)) = row.next() else {
            continue;
        };
        let value = match row.next() {
            Some(Value::Bytes(value)) => Some(value),
            _ => None,
        };
        bytes += value.as_ref().map_or(0, Vec::len);
        if entries.len() == limit || (bytes > VALUES_BYTES_MAX && !entries.is_empty()) {
            next = Some(URL_SAFE_NO_PAD.encode(key));
            break;
        }
        entries.push(EntryView {
            key,
            value: value.map(|value| STANDARD.encode(value)),
        });
    }
    KeysView {
        height,
        entries,
        next,
    }
}

fn decode_cursor(text: &str) -> Result<String, ApiError> {
    let key = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            ApiError::invalid("the cursor is not one this path gave: pass `next` as it came")
        })?;
    check_part("cursor", &key)?;
    Ok(key)
}

/// The least text greater than every text that starts with `prefix`; none if there is no such text.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let above = match last {
            // Code points D800 to DFFF are no characters.
            '\u{d7ff}' => Some('\u{e000}'),
            char::MAX => None,
            other => char::from_u32(other as u32 + 1),
        };
        if let Some(above) = above {
            chars.push(above);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests;
