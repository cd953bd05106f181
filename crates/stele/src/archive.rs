//! `stele archive`: a ledger's blocks, certificates and newest snapshot in one file, for another organisation.

mod create;
mod import;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::config::Config;

const ABOUT: &str = "\
Carry a ledger to another organisation in one file: blocks, effects, certificates, the newest snapshot.

An archive is a tar file of parts of a data directory, without keys and without the state. Whoever imports it checks \
every block, signature and snapshot against a trust file that came another way, and can then restore \
tables as of any height from it, prove and verify.";

const EXAMPLES: &str = "\
Examples:
  stele archive create trade.tar                                   of the configured data directory
  stele archive import trade.tar --dir imported --trust trust.txt
  stele restore --data imported --to sqlite:theirs.db --table '*'";

/// What an offline verifier pins.
const TRUST: &str = "trust.txt";
/// Names at the top of an archive, besides the folders of [`FOLDERS`].
const FILES: [&str; 3] = ["format", "genesis", TRUST];
/// What says how far the segments were durable: without it one that was cut looks like one whose end was torn.
const MARK: &str = "mark";
/// Folders of an archive.
const FOLDERS: [&str; 2] = ["segments", "snapshots"];

/// Arguments of `stele archive`.
#[derive(Debug, Args)]
#[command(about = "Carry a ledger to another organisation in one file", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct ArchiveArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(create::CreateArgs),
    Import(import::ImportArgs),
}

/// Runs `stele archive`.
pub(crate) fn run(args: &ArchiveArgs, config: &Config) -> Result<ExitCode> {
    match &args.action {
        Action::Create(args) => create::run(args, config),
        Action::Import(args) => import::run(args, config),
    }
}
