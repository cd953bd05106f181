//! `stele keys`: the key store of a data directory, whether or not a node runs on it.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use stele_core::Suite;
use stele_flow::Runtime;
use stele_node::KeyStore;
use stele_node::keys::LocalKey;
use stele_server::access::{PASSWORD_LEN_MAX, Verifier};
use zeroize::Zeroize as _;

use crate::config::Config;
use crate::paint::Paint;
use crate::table::Table;
use crate::trust::read_bounded;

const ABOUT: &str = "\
Make, list and carry the keys that sign for local users.

A key is a name, a secret and the account (st1…) it speaks for. Whoever connects as user NAME writes as \
that key's account; a running node sees a new key at once. Secrets lie in <data directory>/keys/NAME.key, \
readable by you alone, and are never printed.";

const EXAMPLES: &str = "\
Examples:
  stele keys new alice              then: psql -h 127.0.0.1 -p 5433 -U alice
  stele keys password alice         asked for; from then on alice must give it, and may come from elsewhere
  stele keys list
  stele keys export-public alice    what others need to know alice's signatures
  stele keys import bob bob.key     64 hexadecimal characters, from a file or - for standard input";

/// Longest file a key is imported from, in bytes.
const KEY_FILE_LEN_MAX: usize = 4_096;

/// Arguments of `stele keys`.
#[derive(Debug, Args)]
#[command(about = "Make, list and carry the keys that sign for local users", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct KeysArgs {
    /// Data directory [default: node.directory of the configuration]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key for a user
    New {
        /// Name: of a-z, 0-9, _ - . @
        name: String,
    },
    /// List all keys and their accounts
    List,
    /// Show one key
    Show {
        /// Name of the key
        name: String,
    },
    /// Store a key made elsewhere
    Import {
        /// Name it gets
        name: String,
        /// File with the secret, 64 hexadecimal characters; - for standard input
        file: PathBuf,
    },
    /// Set a user's password, asked for on the terminal or read from standard input
    Password {
        /// Name of the key
        name: String,
        /// Take the password away
        #[arg(long)]
        remove: bool,
    },
    /// Print the public key, to be given to others
    ExportPublic {
        /// Name of the key
        name: String,
    },
}

/// Runs `stele keys`.
pub(crate) fn run(args: &KeysArgs, config: &Config) -> Result<ExitCode> {
    let data = args.dir.as_deref().unwrap_or(&config.directory);
    let directory = data.join("keys");
    let runtime = Runtime::real();
    let changes = matches!(args.action, Action::New { .. } | Action::Import { .. });
    if !changes && !directory.is_dir() {
        bail!(
            "there is no key store at {}: name the data directory with --dir, or make a first key with `stele keys new NAME`",
            directory.display()
        );
    }
    let store = KeyStore::open(runtime.files.clone(), &directory, Suite::default())?;
    let mut out = std::io::stdout().lock();
    match &args.action {
        Action::New { name } => {
            let key = store.create(name, &runtime)?;
            write!(out, "{}", made(&key, "made", &directory, args.json))?;
        }
        Action::Import { name, file } => {
            let mut seed = read_seed(file)?;
            let imported = store.import(name, &seed);
            seed.zeroize();
            write!(out, "{}", made(&imported?, "stored", &directory, args.json))?;
        }
        Action::List if args.json => {
            let keys: Vec<_> = store.list().iter().map(to_json).collect();
            writeln!(out, "{}", json!({ "keys": keys }))?;
        }
        Action::List => {
            let mut table = Table::new(&["name", "account", "public key"]);
            for key in store.list() {
                table.row([
                    key.name.clone(),
                    key.account.to_string(),
                    key.public().to_hex(),
                ]);
            }
            write!(out, "{table}")?;
        }
        Action::Show { name } => {
            let key = store.find(name)?;
            if args.json {
                writeln!(out, "{}", to_json(&key))?;
            } else {
                write!(out, "{}", describe(&key, &directory))?;
            }
        }
        Action::Password { name, remove } => {
            // Before it is asked for.
            let key = store.find(name)?;
            let line = match remove {
                true => None,
                false => {
                    let mut password = read_password(name)?;
                    let verifier = Verifier::of_password(&password, &*runtime.random);
                    password.zeroize();
                    Some(verifier?.to_text())
                }
            };
            store.set_password_verifier(name, line.as_deref())?;
            if args.json {
                let set = json!({ "name": key.name, "password": line.is_some() });
                writeln!(out, "{set}")?;
            } else {
                let paint = Paint::of_stdout();
                let verb = if *remove { "taken from" } else { "set for" };
                writeln!(
                    out,
                    "{} password {verb} {name}; it counts from the next connection",
                    paint.good("✓")
                )?;
            }
        }
        Action::ExportPublic { name } => {
            let key = store.find(name)?;
            if args.json {
                writeln!(out, "{}", to_json(&key))?;
            } else {
                writeln!(out, "{}", key.public().to_hex())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn to_json(key: &Arc<LocalKey>) -> serde_json::Value {
    json!({
        "name": key.name,
        "account": key.account.to_string(),
        "algorithm": "ed25519",
        "public_key": key.public().to_hex(),
    })
}

fn describe(key: &LocalKey, directory: &Path) -> String {
    format!(
        "name        {}\naccount     {}\npublic key  {} (Ed25519)\nsecret in   {}\n",
        key.name,
        key.account,
        key.public().to_hex(),
        directory.join(format!("{}.key", key.name)).display()
    )
}

fn made(key: &Arc<LocalKey>, verb: &str, directory: &Path, json: bool) -> String {
    if json {
        return format!("{}\n", to_json(key));
    }
    let paint = Paint::of_stdout();
    format!(
        "{} key {verb}; keep a copy of its file in a safe place, nobody can make it again\n{}",
        paint.good("✓"),
        describe(key, directory)
    )
}

/// The password: asked for twice on a terminal, else the first line of standard input. Never an
/// argument, which others on the machine could see.
fn read_password(name: &str) -> Result<String> {
    if std::io::stdin().is_terminal() {
        let mut password = rpassword::prompt_password(format!("Password for {name}: "))?;
        let mut again = rpassword::prompt_password("Once more: ")?;
        let same = password == again;
        again.zeroize();
        if !same {
            password.zeroize();
            bail!("the two are not the same: nothing was changed");
        }
        return Ok(password);
    }
    let mut line = String::new();
    let bound = PASSWORD_LEN_MAX as u64 + 2;
    std::io::stdin().lock().take(bound).read_line(&mut line)?;
    while line.ends_with(['\n', '\r']) {
        line.pop();
    }
    Ok(line)
}

fn read_seed(file: &Path) -> Result<[u8; 32]> {
    let mut text = read_bounded(file, KEY_FILE_LEN_MAX)?;
    let mut seed = [0; 32];
    let decoded = hex::decode_to_slice(text.trim_ascii(), &mut seed);
    text.zeroize();
    decoded.with_context(|| {
        format!(
            "{} does not hold a secret key: it must be 64 hexadecimal characters",
            file.display()
        )
    })?;
    Ok(seed)
}
