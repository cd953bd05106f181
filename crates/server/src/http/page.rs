//! The page a person sees who opens the address in a browser.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use stele_node::{NodeError, Status};

use super::context::App;
use super::error::{ApiError, Refusals};
use super::value::iso_time;

const STYLE: &str = include_str!("page.css");
/// The page loads nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const LINKS: [(&str, &str); 7] = [
    ("/v1/status", "status of this node"),
    ("/v1/chain", "the chain: height, hashes, files"),
    ("/v1/blocks?limit=20", "the first blocks, decoded"),
    ("/checkpoint", "the newest checkpoint, signed"),
    ("/v1/health", "health, for supervisors"),
    ("/metrics", "metrics, for Prometheus"),
    ("/openapi.json", "the whole API, described"),
];

/// What this is, in a page for people.
#[utoipa::path(
    get,
    path = "/",
    tag = "node",
    responses((status = 200, description = "A page", body = String, content_type = "text/html"), Refusals)
)]
pub(super) async fn page(State(app): State<App>) -> Result<Response, ApiError> {
    let status = app
        .blocking(|node| Ok::<_, NodeError>(node.status()))
        .await?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Html(render(&status, &app.config().node_name))).into_response())
}

fn render(status: &Status, node_name: &str) -> String {
    let time = match status.height {
        0 => "no block yet".to_owned(),
        _ => iso_time(status.time_us),
    };
    let writes = status
        .halted
        .as_ref()
        .map_or_else(|| "taken".to_owned(), |why| format!("refused: {why}"));
    let damage = status
        .damage
        .clone()
        .unwrap_or_else(|| "none found".to_owned());
    let rows = [
        ("Ledger", status.origin.clone()),
        ("Ledger id", status.ledger.clone()),
        ("Node", format!("{node_name}, Stele {}", status.version)),
        ("Height", status.height.to_string()),
        ("Last block", status.block.clone()),
        ("Block time", time),
        ("State root", status.state_root.clone()),
        ("Transactions", status.transactions.to_string()),
        ("Waiting", status.mempool.to_string()),
        ("Writes", writes),
        ("Store", format!("{:?}", status.store).to_lowercase()),
        ("Damage", damage),
        (
            "Contradictions",
            match status.evidence {
                0 => "none seen".to_owned(),
                count => format!(
                    "{count}: a validator signed two things of which one is a lie, see /v1/evidence"
                ),
            },
        ),
    ];
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Stele</title>\
         <style>{STYLE}</style><h1>Stele</h1>\
         <p>One SQL database that organisations keep together: every change is signed, ordered in blocks \
         and provable. Use it from <code>psql</code> or any PostgreSQL driver, or through the HTTP API here.</p><table>"
    );
    for (name, value) in rows {
        // Writing to a String cannot fail.
        let _ = write!(html, "<tr><th>{name}<td>{}", escape(&value));
    }
    html.push_str("</table><h2>Look further</h2><ul>");
    for (path, what) in LINKS {
        let _ = write!(
            html,
            "<li><a href=\"{path}\"><code>{path}</code></a> {what}"
        );
    }
    html.push_str("</ul></html>");
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
