//! The `stele` command: the command line and the configuration of everything else.
//!
//! Each subcommand is a module with its arguments and a `run` that gives the exit code: 0 when all is
//! well, 1 when something failed or was not believed, 2 for a wrong command line or findings of an audit.

// This program's output is what its user reads.
#![allow(clippy::print_stdout)]

mod archive;
mod audit;
mod bench;
mod cli;
mod client;
mod config;
mod demo;
mod import;
mod keys;
mod login;
mod paint;
mod progress;
mod proxy;
mod replica;
mod report;
mod restore;
mod send;
mod snapshot;
mod sql;
mod start;
mod status;
mod table;
mod target;
mod testnet;
mod trust;
mod verify;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::paint::Paint;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let paint = Paint::of_stderr();
            // Nothing is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{} {error:#}", paint.bad("error:"));
            ExitCode::FAILURE
        }
    }
}

/// Whoever read our output has seen enough (`stele … | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
