//! `\proof`: fetch, check against the pinned trust file, save.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::meta::Meta;
use crate::client::{Client, encoded};
use crate::config::Config;
use crate::login::Login;
use crate::paint::Paint;
use crate::start::quoted;
use crate::trust::pinned;
use crate::verify::{Checker, PROOF_LEN_MAX};

/// Most files of one name that are told apart by a number.
const SAME_NAME_MAX: usize = 10_000;
/// Longest name of a saved file before its ending, in bytes.
const NAME_LEN_MAX: usize = 80;

/// Where proofs come from and what they are checked against.
pub(super) struct Prover {
    http: Option<String>,
    trust: Option<PathBuf>,
    config: Config,
}

impl Prover {
    /// Proofs of the node at `http`, checked against `trust`, or the configured ones.
    pub(super) fn new(http: Option<String>, trust: Option<PathBuf>, config: Config) -> Self {
        Self {
            http,
            trust,
            config,
        }
    }

    /// Fetches the proof, checks it, saves it and tells what it shows.
    pub(super) fn prove(&self, what: &Meta, login: Login, paint: Paint) -> Result<String> {
        let (path, name) = match what {
            Meta::ProveRow { schema, table, key } => {
                let mut path = format!("/v1/tables/{}/{}/proof", encoded(schema), encoded(table));
                for (place, value) in key.iter().enumerate() {
                    let mark = if place == 0 { '?' } else { '&' };
                    let _ = write!(path, "{mark}key={}", encoded(value));
                }
                (path, format!("{table}-{}", key.join("-")))
            }
            Meta::ProveTransaction(id) => (
                format!("/v1/transactions/{}/proof", encoded(id)),
                format!("tx-{}", id.chars().take(16).collect::<String>()),
            ),
            other => bail!("{other:?} proves nothing"),
        };
        let pinned = pinned(self.trust.as_deref(), &self.config)?;
        let client = Client::new(self.http.as_deref(), &self.config, login)?;
        let proof = client.get_text(&path, PROOF_LEN_MAX as u64)?;
        let trust_file = pinned.path;
        let shown = Checker::new(pinned.trust)
            .check(proof.as_bytes())
            .with_context(|| {
                format!(
                    "{} gave a proof that is not believed with {}: the node is of another ledger, or cannot be trusted",
                    client.base(),
                    trust_file.display()
                )
            })?;
        let saved = save(&name, proof.as_bytes())?;
        Ok(format!(
            "{} checked against {}\n{}{} {}\n",
            paint.good("OK"),
            trust_file.display(),
            shown.to_text(paint),
            paint.faint("Saved. Anyone can check it, offline:"),
            paint.command(format!(
                "stele verify --trust {} {}",
                quoted(&trust_file),
                quoted(&saved)
            )),
        ))
    }
}

/// Writes a proof to a file of its own in the working directory: earlier proofs stay.
fn save(name: &str, proof: &[u8]) -> Result<PathBuf> {
    let name = file_name(name);
    for number in 1..=SAME_NAME_MAX {
        let path = PathBuf::from(match number {
            1 => format!("{name}.proof"),
            _ => format!("{name}-{number}.proof"),
        });
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path);
        match opened {
            Ok(mut file) => {
                file.write_all(proof)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "cannot write {}: run the shell in a directory you can write to",
                        path.display()
                    )
                });
            }
        }
    }
    bail!("{SAME_NAME_MAX} files named {name}.proof are here: move them away")
}

/// A name without anything a file system or a shell could take amiss.
fn file_name(name: &str) -> String {
    let mut kept = String::new();
    for c in name.chars() {
        let c = if c.is_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '_'
        };
        if kept.len() + c.len_utf8() > NAME_LEN_MAX {
            break;
        }
        kept.push(c);
    }
    kept.trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_harmless() {
        assert_eq!(file_name("orders-../../x y"), "orders-______x_y");
        assert_eq!(file_name("-rf"), "rf");
        assert!(file_name(&"é".repeat(200)).len() <= NAME_LEN_MAX);
    }
}
