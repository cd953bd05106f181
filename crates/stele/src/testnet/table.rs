//! The table of a testnet's nodes.

use std::fmt::Write as _;

use super::cluster::Seen;
use crate::paint::Paint;
use crate::table::printable;

/// Lines of a table.
pub(super) fn height(seen: &[Seen]) -> usize {
    seen.len() + 1
}

/// Draws it.
pub(super) fn draw(seen: &[Seen], paint: Paint) -> String {
    let newest = seen.iter().filter_map(|one| one.height).max().unwrap_or(0);
    let mut drawn = format!(
        "{:<8} {:<10} {:>9} {:>6} {:>8} {:>8}  {:<10} {:<16} {}\x1b[K",
        "node", "role", "height", "lag", "signed", "waiting", "store", "psql", "http"
    );
    for one in seen {
        let (height, lag) = match one.height {
            Some(height) => (height.to_string(), (newest - height).to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let signed = match one.signed {
            (0, _) => "-".to_owned(),
            (signed, all) => format!("{signed} of {all}"),
        };
        let store = format!("{:<10}", one.store);
        let store = match one.store.as_str() {
            "valid" | "verifying" | "sending" => paint.good(store),
            _ => paint.bad(store),
        };
        let _ = write!(
            drawn,
            "\n{:<8} {:<10} {height:>9} {lag:>6} {signed:>8} {:>8}  {store} {:<16} http://{}",
            one.name,
            one.role,
            one.waiting,
            one.postgres.to_string(),
            one.http
        );
        if let Some(trouble) = &one.trouble {
            let _ = write!(drawn, "  {}", paint.bad(printable(trouble)));
        }
        drawn.push_str("\x1b[K");
    }
    match paint.is_on() {
        true => drawn,
        false => drawn.replace("\x1b[K", ""),
    }
}
