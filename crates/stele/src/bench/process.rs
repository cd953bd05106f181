//! A node in a process of its own, as users run it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::wire::Target;

/// A user besides the operator.
pub(super) const USER: &str = "bench";
/// Longest wait for a node to start or to stop.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How often a wait looks.
const POLL: Duration = Duration::from_millis(20);
/// How much of a node's log is shown when it fails, in bytes.
const LOG_SHOWN_MAX: usize = 2_000;

/// A running `stele start`.
pub(super) struct NodeProcess {
    child: Child,
    address: SocketAddr,
    /// Its data directory.
    pub(super) directory: PathBuf,
    log: PathBuf,
}

impl NodeProcess {
    /// Starts a node on a fresh directory beneath `base`.
    pub(super) async fn start(base: &Path, name: &str) -> Result<Self> {
        let directory = base.join(name);
        let log = base.join(format!("{name}.log"));
        let (address, http) = (free_address()?, free_address()?);
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = Command::new(&program);
        // Settings of the caller, in a file or the environment, must not change what is measured.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STELE_") {
                command.env_remove(name);
            }
        }
        command.current_dir(base);
        Self::make_key(&program, base, &directory)?;
        let child = command
            .arg("start")
            .arg("--dir")
            .arg(&directory)
            .args(["--postgres-listen", &address.to_string()])
            .args(["--http-listen", &http.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start a node")?;
        let mut process = Self {
            child,
            address,
            directory,
            log,
        };
        process.wait_for_start().await?;
        Ok(process)
    }

    /// A second user, [`USER`].
    fn make_key(program: &Path, base: &Path, directory: &Path) -> Result<()> {
        let made = Command::new(program)
            .current_dir(base)
            .args(["keys", "new", USER, "--dir"])
            .arg(directory)
            .stdin(Stdio::null())
            .output()
            .context("cannot make a key")?;
        if !made.status.success() {
            bail!("no key was made: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(())
    }

    async fn wait_for_start(&mut self) -> Result<()> {
        let (target, start) = (self.target()?, Instant::now());
        loop {
            if target.connect().await.is_ok() {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || start.elapsed() > WAIT_MAX {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let from = log.len().saturating_sub(LOG_SHOWN_MAX);
                bail!(
                    "the node did not start:\n{}",
                    log.get(from..).unwrap_or_default()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Where its PostgreSQL listener is.
    pub(super) fn target(&self) -> Result<Target> {
        Target::new(
            "Stele",
            &format!("postgres://operator@{}/stele", self.address),
        )
    }

    /// Memory it holds now, in MiB (VmRSS).
    pub(super) fn resident_mib(&self) -> Result<u64> {
        resident_mib(self.child.id())
    }

    /// Stops it as a user would; gives its data directory.
    pub(super) fn stop(mut self) -> Result<PathBuf> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > WAIT_MAX {
                bail!("the node did not stop within {} s", WAIT_MAX.as_secs());
            }
            std::thread::sleep(POLL);
        }
        Ok(self.directory.clone())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // Nothing to do about a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory a process holds now, in MiB (VmRSS).
pub(super) fn resident_mib(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {path}: memory is measured on Linux only"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib
        .with_context(|| format!("{path} has no VmRSS"))?
        .div_ceil(1024))
}

/// An address nobody listens on now.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
