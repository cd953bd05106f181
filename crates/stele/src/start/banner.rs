//! What a started node says: where it listens, whose ledger it is, what to try next.

use std::fmt::Write as _;
use std::path::Path;

use stele_node::Node;
use stele_node::keys::OPERATOR;

use super::Listeners;
use crate::config::{Config, POSTGRES_PORT};
use crate::paint::Paint;
use crate::trust::TRUST_FILE;

/// The banner.
pub(super) fn banner(node: &Node, config: &Config, listeners: &Listeners, paint: Paint) -> String {
    let status = node.status();
    let directory = std::path::absolute(&config.directory).unwrap_or(config.directory.clone());
    let operator = node.keys().get(OPERATOR).map_or_else(
        || "no key here: restore keys/operator.key, or `stele keys import`".to_owned(),
        |key| key.account.to_string(),
    );
    let height = match status.height {
        0 => "0, a new ledger".to_owned(),
        height => format!("{height}, {} transactions", status.transactions),
    };
    let scheme = match config.http_access.tls_certificate {
        Some(_) => "https",
        None => "http",
    };
    let http = format!("{scheme}://{}", listeners.http_address);
    // On this machine plain connections are answered too.
    let here = format!("http://{}", Config::reached(listeners.http_address));
    let facts = [
        ("PostgreSQL", listeners.postgres_address.to_string()),
        ("HTTP", format!("{http}/")),
        ("ledger", paint.strong(&status.origin)),
        ("ledger id", status.ledger.clone()),
        ("operator", operator),
        ("data", directory.display().to_string()),
        (
            "trust file",
            directory.join(TRUST_FILE).display().to_string(),
        ),
        ("height", height),
    ];
    let address = Config::reached(listeners.postgres_address);
    let commands = [
        format!(
            "psql -h {} -p {} -U {OPERATOR}",
            address.ip(),
            address.port()
        ),
        format!("curl {here}/v1/status"),
        shell(config, listeners),
    ];
    page(
        "stele",
        &status.version,
        &facts,
        &commands,
        "Ctrl-C stops the node.",
        paint,
    )
}

/// What a started program says: facts, commands to try, how to end it.
pub(crate) fn page(
    program: &str,
    version: &str,
    facts: &[(&str, String)],
    commands: &[String],
    end: &str,
    paint: Paint,
) -> String {
    let mut text = format!("\n{} {version}\n\n", paint.strong(program));
    for (name, value) in facts {
        let _ = writeln!(text, "  {} {value}", paint.faint(format!("{name:<11}")));
    }
    let _ = writeln!(text, "\nTry next, in another terminal:\n");
    for command in commands {
        let _ = writeln!(text, "  {}", paint.command(command));
    }
    let _ = writeln!(text, "\n{}\n", paint.faint(end));
    text
}

/// `stele sql` with what differs from its defaults.
fn shell(config: &Config, listeners: &Listeners) -> String {
    let mut command = "stele sql".to_owned();
    let port = listeners.postgres_address.port();
    if port != POSTGRES_PORT {
        let _ = write!(command, " --port {port}");
    }
    if listeners.http_address.port() != crate::config::HTTP_PORT {
        let here = Config::reached(listeners.http_address);
        let _ = write!(command, " --http http://{here}");
    }
    if config.directory != Path::new("stele-data") {
        let _ = write!(command, " --dir {}", quoted(&config.directory));
    }
    command
}

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=@,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
