//! `stele send`: writes signed here, proven here, with no copy of anything: the mode without a local database.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};
use stele_core::proof::{Proven, Verifier};
use stele_core::transaction::{Payload, Statement, Transaction};
use stele_core::{AccountId, Encode as _};
use stele_flow::Runtime;
use stele_node::KeyStore;

use crate::client::Client;
use crate::config::Config;
use crate::login::LoginArgs;
use crate::paint::Paint;
use crate::table::printable;
use crate::trust::pinned;

const ABOUT: &str = "\
Sign a write with a key of this machine, send it to any node, and check the proof of what became of it.

Nothing is kept here but the key: no blocks, no tables. The node cannot change what was signed, and its word is not \
believed: the answer is shown once a proof, checked against the trust file, says that the validators have the \
transaction in their log with this outcome.";

const EXAMPLES: &str = "\
Examples:
  stele send --key alice --dir keys-only --trust trust.txt --http http://127.0.0.1:8080 \\
      \"INSERT INTO orders VALUES (7, 'paper', 12.50)\"
  stele send --key alice --dir keys-only \"UPDATE orders SET price = 13 WHERE id = 7\" --proof order7.proof

`stele keys new alice --dir keys-only` makes the key; the owner of a table grants to the account it shows.
Exit code: 0 applied and proven, 1 otherwise.";

/// How long a transaction may wait for its block, in microseconds (1 min).
const EXPIRY_US: i64 = 60_000_000;
/// Longest proof read, in bytes (16 MiB).
const PROOF_LEN_MAX: u64 = 16 * 1024 * 1024;

/// Arguments of `stele send`.
#[derive(Debug, Args)]
#[command(about = "Sign a write here, send it, and check the proof of its outcome", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct SendArgs {
    /// Statements of one transaction, in order
    #[arg(required = true, value_name = "SQL")]
    statements: Vec<String>,
    /// Name of the key that signs
    #[arg(long, value_name = "NAME")]
    key: String,
    /// Directory with the folder `keys` [default: node.directory of the configuration]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Trust file that pins the ledger [default: that of the configured data directory]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Address of a node's HTTP API [default: http.listen of the configuration]
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    #[command(flatten)]
    login: LoginArgs,
    /// Keep the proof in this file
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `stele send`.
pub(crate) fn run(args: &SendArgs, config: &Config) -> Result<ExitCode> {
    let trust = pinned(args.trust.as_deref(), config)?.trust;
    let runtime = Runtime::real();
    let directory = args.dir.as_deref().unwrap_or(&config.directory);
    let keys = KeyStore::open(runtime.files.clone(), &directory.join("keys"), trust.suite)?;
    let key = keys.find(&args.key)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let time_us = i64::try_from(now.as_micros()).context("the clock of this machine is wrong")?;
    let (mut nonce, mut seed) = ([0; 16], [0; 16]);
    runtime.random.fill(&mut nonce);
    runtime.random.fill(&mut seed);
    let statements = args.statements.iter().map(|sql| Statement {
        sql: sql.clone(),
        parameters: Vec::new(),
        result: None,
    });
    let transaction = Transaction {
        ledger: trust.ledger,
        account: AccountId::of_key(trust.suite, &key.public()),
        nonce,
        expiry_us: time_us + EXPIRY_US,
        time_us,
        seed,
        expected_versions: Vec::new(),
        payload: Payload::Statements(statements.collect()),
    };
    let signed = transaction.sign(trust.suite, key.secret());
    let id = signed.id(trust.suite);
    let client = Client::new(args.http.as_deref(), config, args.login.login())?;
    // Before anything is sent: a write that was applied must not end in an error.
    let mut proof_file = match &args.proof {
        Some(path) => {
            Some(File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
        }
        None => None,
    };
    let body = json!({ "transaction": STANDARD.encode(signed.encode_to_vec()) });
    // What the node says of it is not looked at, but for why it did not take it.
    let told = client.post_json("/v1/transactions", &body);
    let proof = client.get_text(&format!("/v1/transactions/{id}/proof"), PROOF_LEN_MAX);
    let (proof, told) = match (proof, told) {
        (Ok(proof), told) => (proof, told),
        (Err(_), Err(refused)) => return Err(refused),
        (Err(error), Ok(_)) => return Err(error),
    };
    let words = told.err().map(|error| error.to_string());
    let proven = Verifier::new(trust)
        .verify(proof.as_bytes())
        .context("the node's proof does not hold")?;
    let Proven::Transaction(proven) = proven else {
        bail!("the node gave a proof of something else");
    };
    if proven.entry.transaction != id {
        bail!("the node gave a proof of another transaction");
    }
    if let Some(file) = &mut proof_file {
        file.write_all(proof.as_bytes()).with_context(|| {
            format!("transaction {id} was applied, and its proof cannot be written")
        })?;
    }
    let code = proven.outcome.code;
    let mut out = std::io::stdout().lock();
    if args.json {
        let view: Value = json!({
            "id": id.to_string(),
            "height": proven.entry.height,
            "index": proven.entry.index,
            "code": code.as_str(),
            "rows_affected": proven.outcome.rows_affected,
        });
        writeln!(out, "{view}")?;
    } else {
        let paint = Paint::of_stdout();
        let outcome = match code.is_success() {
            true => paint.good(format!(
                "applied, {} rows affected",
                proven.outcome.rows_affected
            )),
            false => paint.bad(format!("recorded as failed with {code}, without effect")),
        };
        writeln!(
            out,
            "transaction {id}\nblock {}, place {}: {outcome}; proven by the signatures of the pinned validators",
            proven.entry.height, proven.entry.index
        )?;
        if let (Some(words), false) = (words, code.is_success()) {
            writeln!(out, "the node's words for it: {}", printable(&words))?;
        }
    }
    Ok(match code.is_success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
