//! `stele replica add`.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::show;
use crate::client::{Client, encoded};
use crate::login::PASSWORD_FILE_LEN_MAX;
use crate::progress::count_bar;
use crate::target::{names, password_for, target};

/// Pause between two looks at a replica that is being filled.
const LOOK_PAUSE: Duration = Duration::from_millis(150);

const EXAMPLES: &str = "\
Examples:
  stele replica add reports --to postgres://app@127.0.0.1:5432/reports
  stele replica add copy --to sqlite:copy.db --table orders --table 'sales.*'
  stele replica add shop --to mysql://app@db.example.org/shop?ca=/etc/ssl/db-ca.pem --password-file secret.txt
  stele replica add nightly --to sqlite:n.db --audit-every 86400 --audit-rate 5000";

/// Arguments of `stele replica add`.
#[derive(Debug, Args)]
#[command(about = "Add a replica, fill it and follow", after_help = EXAMPLES)]
pub(super) struct AddArgs {
    /// Name: of a-z, 0-9, - and _
    name: String,
    /// Database: sqlite:FILE, postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    to: String,
    /// Table: schema.name, name or schema.*; may be given more than once [default: all tables of users]
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Another name for a table in the database; may be given more than once
    #[arg(long = "map", value_name = "SCHEMA.TABLE=NAME")]
    map: Vec<String>,
    /// File with the password of the database's user [default: asked for at a terminal, else none]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Compare all rows with what is certified each so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    audit_every: u64,
    /// Rows such a comparison reads a second at most
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    audit_rate: u64,
    /// Do not wait until it is filled
    #[arg(long)]
    no_wait: bool,
}

/// Runs `stele replica add`.
pub(super) fn run(args: &AddArgs, client: &Client, json: bool) -> Result<ExitCode> {
    let target = target(&args.to)?;
    let password = password_for(&target, args.password_file.as_deref())?;
    let map = names(&args.map)?;
    let request = json!({
        "name": args.name,
        "target": target.to_string(),
        "tables": args.tables,
        "map": map,
        "password": password,
        "audit_interval_s": args.audit_every,
        "audit_rows_per_s": args.audit_rate,
    });
    let mut view = client.post_json("/v1/replicas", &request)?;
    if !args.no_wait {
        view = wait(client, &args.name, !json)?;
    }
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{view}")?,
        false => write!(out, "{}", show::one(&view))?,
    }
    Ok(match show::is_in_trouble(&view) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Waits until a replica follows, or something is in its way.
fn wait(client: &Client, name: &str, shown: bool) -> Result<Value> {
    let path = format!("/v1/replicas/{}", encoded(name));
    let bar = count_bar("filling", shown);
    loop {
        let view = client.get_json(&path)?;
        let number = |field: &str| view.get(field).and_then(Value::as_u64).unwrap_or(0);
        match view.get("phase").and_then(Value::as_str) {
            Some("filling") => {
                bar.set_length(number("rows_expected"));
                bar.set_position(number("rows"));
            }
            Some("starting") => {}
            _ => {
                bar.finish_and_clear();
                return Ok(view);
            }
        }
        std::thread::sleep(LOOK_PAUSE);
    }
}

/// A password asked for at the terminal, or the first line of standard input.
pub(super) fn asked_password(name: &str) -> Result<String> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(format!(
            "Password for the database of {name}: "
        ))?);
    }
    let mut line = String::new();
    let bound = PASSWORD_FILE_LEN_MAX as u64;
    std::io::stdin().lock().take(bound).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
