//! `stele replica`: databases that mirror the ledger's tables, kept by a running node.

mod add;
mod audit;
mod show;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::{Client, encoded};
use crate::config::Config;
use crate::login::{LoginArgs, password_of_file};

const ABOUT: &str = "\
Keep the ledger's tables in ordinary databases, identical and checked.

A running node writes each block's row changes into the databases named here, together with how far it has \
got, in one transaction: after any crash on either side no change is lost or made twice. Tables are filled \
from the state as it is and then followed. What stands in the way (database down, wrong password, disk full, a table \
changed by hand) is told by `stele replica status`, and it goes on by itself when that is gone.

Targets: sqlite:FILE, postgres://USER@HOST:PORT/DATABASE, mysql://USER@HOST:PORT/DATABASE (MariaDB, too). \
A server on another machine is spoken to over TLS only.";

const EXAMPLES: &str = "\
Examples:
  stele replica add reports --to postgres://app@127.0.0.1:5432/reports
  stele replica add copy --to sqlite:copy.db --table orders --table 'sales.*'
  stele replica add shop --to mysql://app@127.0.0.1:3306/shop --map public.orders=ledger_orders
  stele replica list
  stele replica audit reports              compares every row with what the ledger's validators signed
  stele replica audit reports --repair
  stele replica remove reports --drop-tables";

/// Arguments of `stele replica`.
#[derive(Debug, Args)]
#[command(about = "Keep the ledger's tables in ordinary databases", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct ReplicaArgs {
    /// Address of the node's HTTP API [default: http.listen of the configuration]
    #[arg(long, global = true, value_name = "URL")]
    http: Option<String>,
    #[command(flatten)]
    login: LoginArgs,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Add(add::AddArgs),
    /// List all replicas
    List,
    /// Show how a replica is doing, what is in its way and which tables it keeps
    Status {
        /// Name of the replica
        name: String,
    },
    /// Let a replica rest; its tables stay as they are
    Pause {
        /// Name of the replica
        name: String,
    },
    /// Let a replica that rests go on
    Resume {
        /// Name of the replica
        name: String,
    },
    /// Wait until a replica has applied a block
    Wait {
        /// Name of the replica
        name: String,
        /// Height of the block [default: the newest]
        #[arg(long, value_name = "HEIGHT")]
        height: Option<u64>,
    },
    /// Give a replica another password for its database
    Password {
        /// Name of the replica
        name: String,
        /// File with the password [default: asked for, or read from standard input]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    Audit(audit::AuditArgs),
    /// Empty tables of a replica and fill them anew from the ledger
    Refill {
        /// Name of the replica
        name: String,
        /// Table: schema.name, name or schema.*; may be given more than once [default: all]
        #[arg(long = "table", value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Remove a replica; its tables stay unless they are to be dropped
    Remove {
        /// Name of the replica
        name: String,
        /// Drop its tables, too
        #[arg(long)]
        drop_tables: bool,
        /// Only forget it here: for a database that is gone
        #[arg(long, conflicts_with = "drop_tables")]
        forget: bool,
    },
}

/// Runs `stele replica`.
pub(crate) fn run(args: &ReplicaArgs, config: &Config) -> Result<ExitCode> {
    let client = Client::new(args.http.as_deref(), config, args.login.login())?;
    let mut out = std::io::stdout().lock();
    let of = |name: &str, what: &str| format!("/v1/replicas/{}{what}", encoded(name));
    let shown = |view: &Value| match args.json {
        true => format!("{view}\n"),
        false => show::one(view),
    };
    match &args.action {
        Action::Add(add) => return add::run(add, &client, args.json),
        Action::Audit(audit) => return audit::run(audit, &client, args.json),
        Action::List => {
            let all = client.get_json("/v1/replicas")?;
            let text = match args.json {
                true => format!("{all}\n"),
                false => show::list(&all),
            };
            write!(out, "{text}")?;
        }
        Action::Status { name } => {
            let view = client.get_json(&of(name, ""))?;
            write!(out, "{}", shown(&view))?;
            if show::is_in_trouble(&view) {
                return Ok(ExitCode::FAILURE);
            }
        }
        Action::Pause { name } => {
            let view = client.post_json(&of(name, "/pause"), &json!({}))?;
            write!(out, "{}", shown(&view))?;
        }
        Action::Resume { name } => {
            let view = client.post_json(&of(name, "/resume"), &json!({}))?;
            write!(out, "{}", shown(&view))?;
        }
        Action::Wait { name, height } => {
            let height = match height {
                Some(height) => *height,
                None => newest(&client)?,
            };
            let done = client.get_json(&of(name, &format!("/wait?height={height}")))?;
            match args.json {
                true => writeln!(out, "{done}")?,
                false => writeln!(out, "replica {name} has applied block {height}")?,
            }
        }
        Action::Password {
            name,
            password_file,
        } => {
            let password = match password_file {
                Some(file) => password_of_file(file)?,
                None => add::asked_password(name)?,
            };
            let view =
                client.post_json(&of(name, "/password"), &json!({ "password": password }))?;
            write!(out, "{}", shown(&view))?;
        }
        Action::Refill { name, tables } => {
            let done = client.post_json(&of(name, "/refill"), &json!({ "tables": tables }))?;
            match args.json {
                true => writeln!(out, "{done}")?,
                false => writeln!(
                    out,
                    "being filled anew: {}",
                    show::texts(done.get("tables")).join(", ")
                )?,
            }
        }
        Action::Remove {
            name,
            drop_tables,
            forget,
        } => {
            client.delete(&of(name, &format!("?tables={drop_tables}&forget={forget}")))?;
            match (args.json, drop_tables, forget) {
                (true, ..) => writeln!(out, "{}", json!({ "removed": name }))?,
                (_, true, _) => writeln!(out, "replica {name} was removed with its tables")?,
                (_, _, true) => writeln!(
                    out,
                    "replica {name} was forgotten; its database was not touched"
                )?,
                _ => writeln!(
                    out,
                    "replica {name} was removed; its tables stay as they are"
                )?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Height of the newest block.
fn newest(client: &Client) -> Result<u64> {
    let status = client.get_json("/v1/status")?;
    match status.get("height").and_then(Value::as_u64) {
        Some(height) => Ok(height),
        None => {
            bail!("the node's status has no height: it is of another version than this program")
        }
    }
}
