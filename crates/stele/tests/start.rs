//! A node as a person starts it: the real program, its banner, its shell, its stop.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const START_WAIT_MAX: Duration = Duration::from_secs(60);
const STOP_WAIT_MAX: Duration = Duration::from_secs(60);

/// `stele` in a directory, with nothing of this machine's configuration.
fn stele(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.current_dir(directory).env_remove("NO_COLOR");
    command
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    stele(directory).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running `stele start` on free ports.
struct Started {
    child: Child,
    banner: String,
    postgres_port: String,
    http: String,
}

impl Started {
    fn new(directory: &Path) -> Self {
        let mut child = stele(directory)
            .args(["start", "--postgres-listen", "127.0.0.1:0"])
            .args(["--http-listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        let begun = Instant::now();
        while !banner.contains("Ctrl-C") {
            match lines.next() {
                Some(line) => banner.push_str(&(line.unwrap() + "\n")),
                None => {
                    let mut error = String::new();
                    child
                        .stderr
                        .take()
                        .unwrap()
                        .read_to_string(&mut error)
                        .unwrap();
                    panic!("the node did not start: {error}");
                }
            }
            assert!(begun.elapsed() < START_WAIT_MAX, "{banner}");
        }
        // What follows is not read, but must not block the node either.
        std::thread::spawn(move || lines.count());
        let fact = |name: &str| {
            let line = banner.lines().find(|line| line.trim().starts_with(name));
            line.unwrap().trim()[name.len()..].trim().to_owned()
        };
        let postgres = fact("PostgreSQL");
        Self {
            postgres_port: postgres.rsplit(':').next().unwrap().to_owned(),
            http: fact("HTTP").trim_end_matches('/').to_owned(),
            banner,
            child,
        }
    }

    fn sql(&self, directory: &Path, arguments: &[&str]) -> Output {
        stele(directory)
            .args(["sql", "--port", &self.postgres_port, "--http", &self.http])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Sends SIGTERM and gives the exit code.
    fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(&id).status().unwrap().success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < STOP_WAIT_MAX, "the node does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a3_a_node_starts_with_one_command_and_says_all_that_is_needed() {
    let directory = tempfile::tempdir().unwrap();
    let node = Started::new(directory.path());
    for word in [
        "ledger id",
        "operator    st1",
        "trust.txt",
        "psql -h",
        "curl http",
        "stele sql",
    ] {
        assert!(node.banner.contains(word), "{word:?} in {}", node.banner);
    }
    assert!(!node.banner.contains('\x1b'), "colours in a pipe");
    let status = run(directory.path(), &["status", "--http", &node.http]);
    assert!(status.status.success(), "{}", text(&status.stderr));
    assert!(text(&status.stdout).contains("localhost/stele"));
    let json = run(
        directory.path(),
        &["status", "--json", "--http", &node.http],
    );
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["height"], 0);
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_second_instance_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let node = Started::new(directory.path());
    let second = run(
        directory.path(),
        &[
            "start",
            "--postgres-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
        ],
    );
    assert_eq!(second.status.code(), Some(1));
    let message = text(&second.stderr);
    for word in [
        "stele-data",
        &format!("process {}", node.child.id()),
        "--dir",
    ] {
        assert!(message.contains(word), "{word:?} in {message}");
    }
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(
        directory.path(),
        &[
            "start",
            "--postgres-listen",
            "127.0.0.1:0",
            "--http-listen",
            &address,
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    for word in [address.as_str(), "http.listen", "--http-listen"] {
        assert!(message.contains(word), "{word:?} in {message}");
    }
}

#[test]
fn a_listener_open_to_others_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["start", "--http-listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("ssh -L"));
    assert!(!directory.path().join("stele-data").exists());
}

#[test]
fn no_node_is_told_with_what_helps() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["status", "--http", "http://127.0.0.1:1"][..],
        &["audit", "--http", "http://127.0.0.1:1"],
        &["sql", "--port", "1", "-c", "SELECT 1"],
    ] {
        let output = run(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let message = text(&output.stderr);
        assert!(message.contains("`stele start`"), "{message}");
    }
}

#[test]
fn the_shell_writes_reads_and_proves() {
    let directory = tempfile::tempdir().unwrap();
    let node = Started::new(directory.path());
    let made = node.sql(
        directory.path(),
        &[
            "-c",
            "CREATE TABLE orders (order_no INTEGER PRIMARY KEY, name TEXT, price NUMERIC(10,2));",
            "-c",
            "INSERT INTO orders VALUES (1001, '小明', 100), (1002, NULL, 12.5)",
            "-c",
            "SELECT * FROM orders ORDER BY order_no",
        ],
    );
    let told = text(&made.stdout);
    assert!(made.status.success(), "{told}{}", text(&made.stderr));
    for line in [
        "CREATE TABLE",
        "INSERT, 2 rows",
        "     1001 │ 小明 │ 100.00",
        "(2 rows)",
    ] {
        assert!(
            told.lines().any(|shown| shown == line),
            "{line:?} in\n{told}"
        );
    }
    assert!(told.contains("NULL"), "{told}");

    let proven = node.sql(
        directory.path(),
        &["-c", "\\proof orders 1001", "-c", "\\proof orders 7"],
    );
    let told = text(&proven.stdout);
    assert!(proven.status.success(), "{told}{}", text(&proven.stderr));
    assert!(
        told.contains("holds this row") && told.contains("holds no row"),
        "{told}"
    );
    let verified = run(
        directory.path(),
        &["verify", "orders-1001.proof", "orders-7.proof"],
    );
    assert!(verified.status.success(), "{}", text(&verified.stdout));

    let audit = run(directory.path(), &["audit", "--http", &node.http]);
    assert_eq!(
        audit.status.code(),
        Some(0),
        "{}{}",
        text(&audit.stdout),
        text(&audit.stderr)
    );
    assert_eq!(node.stop(), Some(0));
    let whole = run(
        directory.path(),
        &[
            "verify",
            "--data",
            "stele-data",
            "--trust",
            "stele-data/trust.txt",
        ],
    );
    assert!(
        whole.status.success(),
        "{}{}",
        text(&whole.stdout),
        text(&whole.stderr)
    );
}

#[test]
fn the_shell_shows_where_a_statement_fails() {
    let directory = tempfile::tempdir().unwrap();
    let node = Started::new(directory.path());
    let failed = node.sql(
        directory.path(),
        &["-c", "SELECT *\nFROM nothing", "-c", "SELECT 1"],
    );
    assert_eq!(failed.status.code(), Some(1));
    let message = text(&failed.stderr);
    assert!(
        message.contains("ERROR 42P01: relation \"nothing\" does not exist"),
        "{message}"
    );
    assert!(
        failed.stdout.is_empty(),
        "what follows a failure is not run"
    );

    let mut piped = stele(directory.path())
        .args(["sql", "--port", &node.postgres_port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let script =
        b"CREATE TABLE t (a INTEGER PRIMARY KEY);\nINSERT INTO t\n VALUES (1); SELECT a FROM t";
    piped.stdin.take().unwrap().write_all(script).unwrap();
    let output = piped.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("(1 row)"));
    // COPY would wait for data that this shell has not.
    let copy = "COPY t FROM STDIN";
    let copied = node.sql(directory.path(), &["-c", copy, "-c", "SELECT 1"]);
    assert_eq!(copied.status.code(), Some(1));
    assert!(text(&copied.stderr).contains("psql"));
    let described = node.sql(
        directory.path(),
        &[
            "-c",
            "CREATE TABLE d (a INTEGER, b VARCHAR(40), c NUMERIC(10,2), PRIMARY KEY (c, a))",
            "-c",
            "\\d d",
        ],
    );
    let shown = text(&described.stdout);
    for part in ["character varying(40)", "numeric(10,2)", "primary key"] {
        assert!(
            shown.contains(part),
            "{part} in\n{shown}{}",
            text(&described.stderr)
        );
    }
    let nobody = node.sql(directory.path(), &["-U", "nobody", "-c", "SELECT 1"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(
        text(&nobody.stderr).contains("nobody"),
        "{}",
        text(&nobody.stderr)
    );
}
