//! `stele demo`: what Stele is, in a minute.

mod damage;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use story::Story;

const ABOUT: &str = "\
See in a minute what this is.

A ledger is made in a directory of its own, on no network. A publisher's order, activity and profile go \
into it, as rows and as opaque records; they are read back and proven to a second program that trusts nobody. \
Then the demo plays the villain: it changes a byte of a block file and a row of the database behind the \
node's back, and has both found.";

/// Arguments of `stele demo`.
#[derive(Debug, Args)]
#[command(about = "See in a minute what this is", long_about = ABOUT)]
pub(crate) struct DemoArgs {
    /// Directory to play in, which must be empty, and is kept [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs `stele demo`.
pub(crate) fn run(args: &DemoArgs) -> Result<ExitCode> {
    let (directory, _temporary) = match &args.dir {
        Some(dir) => {
            let taken = dir.exists()
                && std::fs::read_dir(dir)
                    .with_context(|| format!("cannot read {}", dir.display()))?
                    .next()
                    .is_some();
            if taken {
                bail!(
                    "{} is not empty, and the demo damages what it finds: give it a directory of its own",
                    dir.display()
                );
            }
            (dir.clone(), None)
        }
        None => {
            let temporary = tempfile::Builder::new()
                .prefix("stele-demo-")
                .tempdir()
                .context("cannot make a temporary directory; name one with --dir")?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let kept = args.dir.is_some();
    Story::new(directory).tell(kept)?;
    Ok(ExitCode::SUCCESS)
}
