//! `stele sql`: a shell for people.

mod connection;
mod failure;
mod history;
mod meta;
mod output;
mod proof;
mod shell;
mod split;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::config::Config;
use crate::login::password_from_environment;
use shell::Shell;

const ABOUT: &str = "\
A shell for SQL, with history, aligned answers and proofs.

Statements end with a semicolon and may span lines. Commands of the shell begin with a backslash: \\? lists \
them. `\\proof TABLE KEY` fetches a proof of a row, checks it against the trust file you pinned and saves it.

A user who has a password is asked for it, or PGPASSWORD holds it.

Without a terminal, statements are read from standard input; the first that fails ends it with exit code 1.";

const EXAMPLES: &str = "\
Examples:
  stele sql
  stele sql -U alice                              writes are signed with alice's key
  stele sql -c \"SELECT * FROM orders\"
  stele sql -f schema.sql
  echo 'SELECT 1;' | stele sql";

/// Arguments of `stele sql`.
#[derive(Debug, Args)]
#[command(about = "A shell for SQL, with history, aligned answers and proofs", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct SqlArgs {
    /// Host of the node [default: that of postgres.listen]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Port of the PostgreSQL listener [default: that of postgres.listen, 5433]
    #[arg(long, short, value_name = "PORT")]
    port: Option<u16>,
    /// Name of the key that signs your writes
    #[arg(long, short = 'U', value_name = "NAME", default_value = stele_node::keys::OPERATOR)]
    user: String,
    /// Run this and end; may be given several times
    #[arg(long, short, value_name = "SQL")]
    command: Vec<String>,
    /// Run the statements of a file and end; - for standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "command")]
    file: Option<PathBuf>,
    /// Address of the node's HTTP API, for proofs [default: http.listen]
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// Trust file proofs are checked against [default: trust.txt of the data directory]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Data directory the trust file is taken from [default: node.directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs `stele sql`.
pub(crate) fn run(args: &SqlArgs, mut config: Config) -> Result<ExitCode> {
    if let Some(dir) = &args.dir {
        config.directory.clone_from(dir);
    }
    let target = connection::Target {
        host: args
            .host
            .clone()
            .unwrap_or_else(|| Config::reached(config.postgres_listen).ip().to_string()),
        port: args.port.unwrap_or_else(|| config.postgres_listen.port()),
        user: args.user.clone(),
        password: password_from_environment(),
    };
    let prover = proof::Prover::new(args.http.clone(), args.trust.clone(), config);
    let at_terminal = args.command.is_empty()
        && args.file.is_none()
        && std::io::stdin().is_terminal()
        && std::io::stdout().is_terminal();
    let mut shell = Shell::connect(target, prover, at_terminal)?;
    if at_terminal {
        shell.talk()?;
        return Ok(ExitCode::SUCCESS);
    }
    let all_succeeded = if args.command.is_empty() {
        let file = args.file.clone().unwrap_or_else(|| PathBuf::from("-"));
        shell.run_file(&file)?
    } else {
        let mut all_succeeded = true;
        for text in &args.command {
            all_succeeded = all_succeeded && shell.run_text(text)?;
        }
        all_succeeded
    };
    Ok(if all_succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
