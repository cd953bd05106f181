//! `stele import`: tables that other programs wrote, taken into the ledger, and shown to be equal.

mod equal;
mod ledger;
mod plan;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use stele_core::Value;
use stele_flow::{KeyRange, ReadRow};
use stele_sinks::{Foreign, Password, open_foreign};

use crate::client::Client;
use crate::config::Config;
use crate::login::{LoginArgs, password_from_environment};
use crate::paint::Paint;
use crate::progress::rows_spinner;
use crate::target::{password_for, target};
use equal::Equal;
use ledger::Ledger;
use plan::Planned;

const ABOUT: &str = "\
Take tables of an existing database into the ledger: columns, primary keys, NOT NULL and all rows.

Rows are read in one snapshot of the database and stored by COPY, in as many transactions as it takes. Then they are read \
once more from the same snapshot: the root that follows from them must be the one the ledger's validators signed for the new \
table, so the two are equal, whatever happened on the way. Defaults, indexes, foreign keys and triggers are not taken.

A type the ledger has not becomes TEXT in the database's own writing; --type chooses another. What does not fit is named \
by table, key and column, and nothing of it is stored otherwise.";

const EXAMPLES: &str = "\
Examples:
  stele import --from postgres://app@127.0.0.1:5432/shop --dry-run      what would be made
  stele import --from postgres://app@127.0.0.1:5432/shop --table public.orders
  stele import --from mysql://app@127.0.0.1:3306/shop --map orders=sales.orders
  stele import --from sqlite:shop.db --type orders.total='NUMERIC(14,2)'
  stele import --from sqlite:shop.db --resume                           goes on where it was cut short

Exit code: 0 all tables are in the ledger and equal, 1 otherwise.";

/// Pause before rows are counted again.
const COUNT_PAUSE: Duration = Duration::from_secs(1);

/// Arguments of `stele import`.
#[derive(Debug, Args)]
#[command(about = "Take tables of an existing database into the ledger", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Database: sqlite:FILE, postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    from: String,
    /// Table, as it is called there (PostgreSQL: schema.name); may be given more than once [default: all]
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Another name for a table in the ledger; may be given more than once
    #[arg(long = "map", value_name = "TABLE=SCHEMA.NAME")]
    map: Vec<String>,
    /// Another type for a column in the ledger; may be given more than once
    #[arg(long = "type", value_name = "TABLE.COLUMN=TYPE")]
    types: Vec<String>,
    /// The primary key of a table that has none; may be given more than once
    #[arg(long = "key", value_name = "TABLE=COLUMN,COLUMN")]
    keys: Vec<String>,
    /// File with the password of the database's user [default: asked for at a terminal, else none]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Show what would be made, and end
    #[arg(long)]
    dry_run: bool,
    /// Go on with tables that an import cut short has left in the ledger
    #[arg(long)]
    resume: bool,
    /// Port of the node's PostgreSQL listener on this machine [default: that of postgres.listen]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Address of the node's HTTP API, which gives the proofs [default: http.listen of the configuration]
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// Trust file that pins the ledger [default: that of the configured data directory]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    #[command(flatten)]
    login: LoginArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a table became.
struct Imported {
    table: Planned,
    rows: u64,
    equal: Equal,
}

/// Runs `stele import`.
pub(crate) fn run(args: &ImportArgs, config: &Config) -> Result<ExitCode> {
    let from = target(&args.from)?;
    let password = password_for(&from, args.password_file.as_deref())?;
    let Some(mut source) = open_foreign(&from, password.map(Password::new)) else {
        bail!("{from} is a program, and tables are taken from databases only");
    };
    source.begin_read("")?;
    let found = source.foreign_tables()?;
    let planned = plan::plan(
        found,
        &args.tables,
        &plan::pairs(&args.map, "--map")?,
        &plan::pairs(&args.types, "--type")?,
        &plan::pairs(&args.keys, "--key")?,
    )?;
    if planned.is_empty() {
        bail!("{from} has no table to take");
    }
    let mut out = std::io::stdout().lock();
    if args.dry_run {
        match args.json {
            true => writeln!(out, "{}", plan::to_json(&planned))?,
            false => write!(out, "{}", plan::to_text(&planned))?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let trust = crate::trust::pinned(args.trust.as_deref(), config)?.trust;
    let client = Client::new(args.http.as_deref(), config, args.login.login())?;
    let address = Config::reached(config.postgres_listen);
    let port = args.port.unwrap_or(address.port());
    let user = args.login.user();
    let mut ledger = Ledger::connect(
        &address.ip().to_string(),
        port,
        user,
        password_from_environment(),
    )?;
    let mut imported = Vec::new();
    for table in planned {
        let there = ledger.rows_there(&table)?;
        let skip = match there {
            None => {
                ledger.create(&table)?;
                0
            }
            Some(rows) if args.resume => rows,
            Some(_) => bail!(
                "the ledger has a table {} already: give {} another name with --map, or go on with it with --resume",
                table.ledger_name(),
                table.name
            ),
        };
        let stored = store(&mut *source, &mut ledger, &table, skip, !args.json);
        let rows = match (stored, args.resume) {
            (Err(failure), true) => {
                store_again(&mut *source, &mut ledger, &table, skip, failure, !args.json)?
            }
            (rows, _) => rows.with_context(|| {
                let name = table.ledger_name();
                format!(
                    "{} was not taken whole; DROP TABLE {name} in the ledger before another try, or go on with --resume once the row is mended",
                    table.name
                )
            })?,
        };
        let equal = equal::prove(&mut *source, &client, &trust, &table, !args.json)?;
        imported.push(Imported { table, rows, equal });
    }
    source.end_read();
    match args.json {
        true => writeln!(out, "{}", to_json(&imported))?,
        false => write!(out, "{}", to_text(&imported, Paint::of_stdout()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes on after a failure. The node may still be storing what an import that was killed has sent: then more rows are there than were
/// counted, and it is counted again.
fn store_again(
    source: &mut dyn Foreign,
    ledger: &mut Ledger,
    table: &Planned,
    mut skip: u64,
    mut failure: anyhow::Error,
    shown: bool,
) -> Result<u64> {
    loop {
        std::thread::sleep(COUNT_PAUSE);
        match ledger.rows_there(table)? {
            Some(there) if there > skip => skip = there,
            _ => return Err(failure),
        }
        match store(source, ledger, table, skip, shown) {
            Ok(rows) => return Ok(rows),
            Err(again) => failure = again,
        }
    }
}

/// Reads the rows of a table and stores those after the first `skip`.
fn store(
    source: &mut dyn Foreign,
    ledger: &mut Ledger,
    table: &Planned,
    skip: u64,
    shown: bool,
) -> Result<u64> {
    let spinner = rows_spinner("storing", shown);
    let types = table.types();
    let readable = table.readable();
    let mut copy = ledger.copy(table)?;
    let mut rows = 0;
    let mut failure = None;
    source.read(&readable, &KeyRange::default(), &mut |row| {
        rows += 1;
        if rows % 1_024 == 0 {
            spinner.set_position(rows);
        }
        if rows <= skip {
            return true;
        }
        let done = match row {
            ReadRow::Values(values) => copy.row(&types, &values),
            ReadRow::Unreadable { key, column, found } => {
                Err(table.unfit(key.as_deref(), &column, &found))
            }
        };
        failure = done.err();
        failure.is_none()
    })?;
    spinner.finish_and_clear();
    if let Some(failure) = failure {
        // The server's own word, if it was the one that refused.
        return Err(copy.finish().err().unwrap_or(failure));
    }
    copy.finish()?;
    Ok(rows)
}

fn to_text(imported: &[Imported], paint: Paint) -> String {
    let lines = imported.iter().map(|one| {
        format!(
            "{} {} is {}: {} rows, root {}, as of block {}\n",
            paint.good("equal"),
            one.table.name,
            one.table.ledger_name(),
            one.rows,
            one.equal.root,
            one.equal.height
        )
    });
    lines.collect()
}

fn to_json(imported: &[Imported]) -> serde_json::Value {
    let tables: Vec<_> = imported
        .iter()
        .map(|one| {
            json!({
                "from": one.table.name,
                "table": one.table.ledger_name(),
                "rows": one.rows,
                "root": one.equal.root.to_string(),
                "height": one.equal.height,
            })
        })
        .collect();
    json!({ "tables": tables })
}

/// Names chosen, by the table's name in the database.
type Pairs = std::collections::BTreeMap<String, String>;

/// A key for people, of values in key order.
fn key_text(columns: &[String], values: &[Value], types: &[stele_core::Type]) -> String {
    let parts = columns.iter().zip(values).zip(types);
    let parts: Vec<String> = parts
        .map(|((name, value), ty)| format!("{name} = {}", stele_flow::change::shown(*ty, value)))
        .collect();
    parts.join(", ")
}
