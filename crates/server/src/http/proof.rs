//! Proof files of rows, absences and ranges, for accounts that may read the whole table.

use axum::extract::State;

use super::context::App;
use super::error::{ApiError, Refusals};
use super::extract::{Params, Segments};
use super::sql;

/// Most values of one key; a key has far fewer columns.
const KEY_VALUES_MAX: usize = 64;

/// Proof that a row is in the state, or that none with this key is. `stele verify` checks it offline.
#[utoipa::path(
    get,
    path = "/v1/tables/{schema}/{table}/proof",
    tag = "proofs",
    params(
        ("schema" = String, Path, description = "Schema, such as public"),
        ("table" = String, Path, description = "Table"),
        ("key" = Vec<String>, Query, description = "Primary key value as text; once for each column, in key order"),
        ("as" = Option<String>, Query, description = "Name of the key-store key whose account asks; the operator's when absent")
    ),
    responses((status = 200, description = "Proof file", body = String, content_type = "text/plain"), Refusals)
)]
pub(super) async fn row(
    State(app): State<App>,
    Segments((schema, table)): Segments<(String, String)>,
    Params(params): Params<Vec<(String, String)>>,
) -> Result<String, ApiError> {
    let [key, asks] = sort(params, ["key", "as"])?;
    let Some(key) = key else {
        return Err(ApiError::invalid("the request names no key")
            .hint("add ?key=… once for each primary key column, in key order"));
    };
    let account = sql::account(&app, &app.key(one(asks)?)?).await?;
    app.blocking(move |node| {
        node.check_provable(account, &schema, &table)?;
        node.prove_row(&schema, &table, &key)
    })
    .await
}

/// Proof of all rows from a key (included) to another (excluded), that none is left out.
#[utoipa::path(
    get,
    path = "/v1/tables/{schema}/{table}/range-proof",
    tag = "proofs",
    params(
        ("schema" = String, Path, description = "Schema, such as public"),
        ("table" = String, Path, description = "Table"),
        ("from" = Option<Vec<String>>, Query, description = "First key, included; from the start when absent"),
        ("to" = Option<Vec<String>>, Query, description = "Key to end before; to the end when absent"),
        ("as" = Option<String>, Query, description = "Name of the key-store key whose account asks; the operator's when absent")
    ),
    responses((status = 200, description = "Proof file", body = String, content_type = "text/plain"), Refusals)
)]
pub(super) async fn range(
    State(app): State<App>,
    Segments((schema, table)): Segments<(String, String)>,
    Params(params): Params<Vec<(String, String)>>,
) -> Result<String, ApiError> {
    let [from, to, asks] = sort(params, ["from", "to", "as"])?;
    let account = sql::account(&app, &app.key(one(asks)?)?).await?;
    app.blocking(move |node| {
        node.check_provable(account, &schema, &table)?;
        node.prove_range(&schema, &table, from.as_deref(), to.as_deref())
    })
    .await
}

/// The one value of a parameter, if it was given.
fn one(values: Option<Vec<String>>) -> Result<Option<String>, ApiError> {
    let mut values = values.unwrap_or_default();
    match values.len() {
        0 | 1 => Ok(values.pop()),
        _ => Err(ApiError::invalid("as is given more than once")),
    }
}

/// The values given for each name, in order; none for a name that is not given.
fn sort<const N: usize>(
    params: Vec<(String, String)>,
    names: [&str; N],
) -> Result<[Option<Vec<String>>; N], ApiError> {
    let mut sorted = std::array::from_fn(|_| None);
    if params.len() > N * KEY_VALUES_MAX {
        return Err(ApiError::invalid(format!(
            "the request has {} parameters, a key has at most {KEY_VALUES_MAX} values",
            params.len()
        )));
    }
    for (name, value) in params {
        let place = names.iter().position(|known| *known == name);
        match place.and_then(|place| sorted.get_mut(place)) {
            Some(values) => values.get_or_insert_with(Vec::new).push(value),
            None => {
                return Err(ApiError::invalid(format!(
                    "unknown parameter {name:?}; this path takes {}",
                    names.join(", ")
                )));
            }
        }
    }
    Ok(sorted)
}
