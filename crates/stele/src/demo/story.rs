//! The story the demo tells, step by step, each step on a real node and real files.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use stele_core::Hash;
use stele_core::proof::{Proven, Verifier};
use stele_core::schema::Table as TableDefinition;
use stele_core::transaction::{Payload, Statement};
use stele_core::value::text;
use stele_core::{AccountId, Value};
use stele_flow::Runtime;
use stele_node::{Node, NodeConfig, Receipt};

use super::damage::{ByteChange, change_row};
use crate::paint::Paint;
use crate::start::quoted;
use crate::table::{Align, Table};

/// Whose data it is: 小明 publishes an order, an activity and a profile of user 1.
const PUBLISHER: &str = "xiaoming";
const ORIGIN: &str = "demo.example/records";

const SCHEMA: &str = "\
CREATE TABLE orders (order_no VARCHAR(20) PRIMARY KEY, user_id VARCHAR(20) NOT NULL, price INTEGER NOT NULL);
CREATE TABLE activities (user_id VARCHAR(20), activity_name VARCHAR(100), PRIMARY KEY (user_id, activity_name));
CREATE TABLE profiles (user_id VARCHAR(20) PRIMARY KEY, phone TEXT, address TEXT)";
const ROWS: &str = "\
INSERT INTO orders (user_id, order_no, price) VALUES ('1', '1001', 100);
INSERT INTO activities (user_id, activity_name) VALUES ('1', 'xxxxx');
INSERT INTO profiles (user_id, phone, address) VALUES ('1', '123456789', 'xxx')";
const RECORDS: [&str; 3] = [
    r#"{"user_id": "1", "order_no": "1001", "price": 100}"#,
    r#"{"user_id": "1", "activity_name": "xxxxx"}"#,
    r#"{"user_id": "1", "phone": "123456789", "address": "xxx"}"#,
];

/// The stage.
pub(super) struct Story {
    directory: PathBuf,
    paint: Paint,
    step: usize,
}

impl Story {
    /// A story in a directory of its own.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            paint: Paint::of_stdout(),
            step: 0,
        }
    }

    /// Tells all of it. `kept`: the directory outlives the story.
    pub(super) fn tell(mut self, kept: bool) -> Result<()> {
        let data = self.directory.join("data");
        self.step("A ledger is made")?;
        let node = start(&data)?;
        self.say(&format!(
            "No server, no network: a node inside this process, on {}\nLedger {} has id {}",
            data.display(),
            self.paint.strong(ORIGIN),
            node.ledger()
        ))?;
        node.keys().create(PUBLISHER, &Runtime::real())?;
        let account = node.keys().find(PUBLISHER)?.account;
        self.say(&format!(
            "小明 publishes data: key {PUBLISHER:?} speaks for account {account}"
        ))?;

        self.write_rows(&node, account)?;
        let records = self.write_records(&node)?;
        let proofs = self.prove(&node, &data, &records)?;
        let orders = orders_table(&data, &proofs.row)?;
        let height = node.status().height;
        node.stop();
        drop(node);

        self.change_proof(&data, &proofs.row)?;
        self.change_block_file(&data)?;
        self.change_state(&data, &orders)?;
        self.heal(&data, account, height)?;
        self.end(kept)
    }

    fn write_rows(&mut self, node: &Node, account: AccountId) -> Result<()> {
        self.step("Three kinds of data go in, as rows of SQL tables")?;
        self.show(SCHEMA)?;
        self.show(ROWS)?;
        let made = run(node, SCHEMA)?;
        let written = run(node, ROWS)?;
        self.say(&format!(
            "Two signed transactions, in blocks {} and {}, durable on disk. Read back:",
            made.height, written.height
        ))?;
        for table in ["orders", "activities", "profiles"] {
            let sql = format!("SELECT * FROM {table}");
            self.show(&sql)?;
            self.print(&query(node, account, &sql)?)?;
        }
        Ok(())
    }

    fn write_records(&mut self, node: &Node) -> Result<Vec<Hash>> {
        self.step("The same data goes in once more, as opaque records")?;
        self.say("A record is any bytes; the ledger does not look inside. Written, then read back by place:")?;
        let mut ids = Vec::new();
        for record in RECORDS {
            let pending = node.append_record(PUBLISHER, record.as_bytes())?;
            ids.push(pending.id);
            let receipt = wait(pending)?;
            let back = node.record_at(receipt.height, receipt.index)?;
            ensure!(
                back.bytes == record.as_bytes(),
                "the record read back differs"
            );
            self.print(&format!(
                "block {}, index {}  {}\n",
                receipt.height,
                receipt.index,
                String::from_utf8_lossy(&back.bytes)
            ))?;
        }
        Ok(ids)
    }

    fn prove(&mut self, node: &Node, data: &Path, records: &[Hash]) -> Result<Proofs> {
        self.step("Proven to someone who trusts neither this program's memory nor its files")?;
        let row = self.directory.join("order-1001.proof");
        let absence = self.directory.join("order-1002.proof");
        let record = self.directory.join("record.proof");
        let id = records.first().context("no record was written")?;
        let key = |key: &str| node.prove_row("public", "orders", &[key.to_owned()]);
        save(&row, &key("1001")?)?;
        save(&absence, &key("1002")?)?;
        save(&record, &node.prove_transaction(id)?)?;
        self.say(
            "Three proof files: of the order's row, of the first record, and that there is NO order 1002.\n\
             Another process checks them, knowing only trust.txt: the ledger's id and its validators' keys.",
        )?;
        let trust = data.join(crate::trust::TRUST_FILE);
        let checked = self.verify(&[
            Path::new("--trust"),
            trust.as_path(),
            row.as_path(),
            absence.as_path(),
            record.as_path(),
        ])?;
        ensure!(
            checked,
            "a proof of the demo was not accepted; please report this"
        );
        Ok(Proofs { row })
    }

    fn change_proof(&mut self, data: &Path, proof: &Path) -> Result<()> {
        self.step("Somebody changes one character of a proof")?;
        let text = std::fs::read_to_string(proof)?;
        // Inside the long line of evidence: the middle of the file.
        let at = text.len() / 2;
        let forged: String = text
            .char_indices()
            .map(|(place, c)| match c {
                'A' if place == at => 'B',
                c if place == at && c.is_ascii_alphanumeric() => 'A',
                c => c,
            })
            .collect();
        ensure!(forged != text, "the middle of the proof holds no letter");
        let path = self.directory.join("forged.proof");
        save(&path, &forged)?;
        let trust = data.join(crate::trust::TRUST_FILE);
        let believed = self.verify(&[Path::new("--trust"), &trust, &path])?;
        ensure!(!believed, "a forged proof was accepted; please report this");
        Ok(())
    }

    fn change_block_file(&mut self, data: &Path) -> Result<()> {
        self.step("The node is stopped, and somebody changes one byte of a block file")?;
        let segment = data.join("segments").join("00000001.seg");
        let change = ByteChange::make(&segment, r#""price": 1"#, b'9')?;
        self.say(&format!(
            "In {}, the byte at {} goes from '{}' to '{}': the price 100 in the record becomes 900.\n\
             Every block is read again, every hash and signature checked anew:",
            segment.display(),
            change.offset,
            char::from(change.before),
            char::from(change.after)
        ))?;
        self.expect_damage(data, &["00000001.seg"])?;
        change.undo()?;
        self.say("(The byte is put back.)")
    }

    fn change_state(&mut self, data: &Path, orders: &TableDefinition) -> Result<()> {
        self.step("Somebody changes one row of the database, with any SQLite program")?;
        let state = data.join("state.db");
        let sql = change_row(&state, orders, "price", 1, "1001")?;
        self.show(&format!("sqlite3 {} \"{sql}\"", quoted(&state)))?;
        self.say("SQLite does not mind. The signed state root does:")?;
        self.expect_damage(data, &["orders", "1001"])
    }

    fn heal(&mut self, data: &Path, account: AccountId, height: u64) -> Result<()> {
        self.step("And back: the database is only a view of the blocks")?;
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            let path = data.join(name);
            if path.exists() {
                std::fs::remove_file(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        let node = start(data)?;
        let answer = query(&node, account, "SELECT * FROM orders")?;
        let now = node.status().height;
        node.stop();
        ensure!(
            now == height,
            "the node came back at height {now} instead of {height}"
        );
        self.say("state.db is deleted, the node started again, and the rows made anew from the signed blocks:")?;
        self.print(&answer)
    }

    fn end(&mut self, kept: bool) -> Result<()> {
        let where_to = if kept {
            format!(
                "Everything is in {}: run `stele start --dir {}` on it.",
                self.directory.display(),
                quoted(&self.directory.join("data"))
            )
        } else {
            "The directory is removed now; `stele demo --dir DIR` keeps it.".to_owned()
        };
        let text = format!(
            "\n{} {where_to}\nNext: {} and, in another terminal, {}\n",
            self.paint.good("That is all."),
            self.paint.command("stele start"),
            self.paint.command("stele sql"),
        );
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }

    /// Runs the offline check of a directory, which must fail and name all of `named`.
    fn expect_damage(&self, data: &Path, named: &[&str]) -> Result<()> {
        let (well, output) = self.run_verify(&[Path::new("--data"), data])?;
        ensure!(!well, "the damage was not found; please report this");
        for name in named {
            ensure!(
                output.contains(name),
                "the check does not name {name}; please report this"
            );
        }
        Ok(())
    }

    fn verify(&self, arguments: &[&Path]) -> Result<bool> {
        Ok(self.run_verify(arguments)?.0)
    }

    /// Runs `stele verify` as a process of its own; whether it was content, and what it said.
    fn run_verify(&self, arguments: &[&Path]) -> Result<(bool, String)> {
        let program = std::env::current_exe().context("cannot find this program's file")?;
        // Named as seen from the directory the check runs in.
        let arguments: Vec<&Path> = arguments
            .iter()
            .map(|argument| argument.strip_prefix(&self.directory).unwrap_or(argument))
            .collect();
        let shown: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
        self.show(&format!("stele verify {}", shown.join(" ")))?;
        let output = Command::new(program)
            .arg("verify")
            .args(&arguments)
            // The configuration of whoever plays the demo has no say in it.
            .current_dir(&self.directory)
            .output()
            .context("cannot start `stele verify`")?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        self.print(&text)?;
        let code = match output.status.code() {
            Some(0) => self.paint.good("exit code 0"),
            Some(code) => self.paint.bad(format!("exit code {code}")),
            None => bail!("`stele verify` was ended by a signal"),
        };
        self.print(&format!("{code}\n"))?;
        Ok((output.status.success(), text))
    }

    fn step(&mut self, title: &str) -> Result<()> {
        self.step += 1;
        let heading = self.paint.strong(format!("{}. {title}", self.step));
        writeln!(std::io::stdout(), "\n{heading}\n")?;
        Ok(())
    }

    /// What happens, in words.
    fn say(&self, text: &str) -> Result<()> {
        self.indented("  ", text, |line| line.to_owned())
    }

    /// Something typed.
    fn show(&self, text: &str) -> Result<()> {
        self.indented("  > ", text, |line| self.paint.command(line))
    }

    /// What came of it.
    fn print(&self, text: &str) -> Result<()> {
        self.indented("    ", text, |line| line.to_owned())
    }

    fn indented(&self, indent: &str, text: &str, paint: impl Fn(&str) -> String) -> Result<()> {
        let mut out = std::io::stdout().lock();
        for line in text.lines() {
            writeln!(out, "{}", format!("{indent}{}", paint(line)).trim_end())?;
        }
        out.flush()?;
        Ok(())
    }
}

/// Proof files that the villain plays with later.
struct Proofs {
    row: PathBuf,
}

fn start(data: &Path) -> Result<Node> {
    let config = NodeConfig {
        directory: data.to_owned(),
        origin: ORIGIN.to_owned(),
        self_check_interval_s: 0,
        ..NodeConfig::default()
    };
    Node::start(config, Runtime::real())
        .with_context(|| format!("cannot start a node on {}", data.display()))
}

/// Runs statements, separated by semicolons, as one transaction of the publisher.
fn run(node: &Node, sql: &str) -> Result<Receipt> {
    let statements = sql
        .split(";\n")
        .map(|sql| Statement {
            sql: sql.to_owned(),
            parameters: Vec::new(),
            result: None,
        })
        .collect();
    wait(node.write(PUBLISHER, Payload::Statements(statements))?)
}

fn wait(pending: stele_node::Pending) -> Result<Receipt> {
    let receipt = futures::executor::block_on(pending.receipt).context("the node stopped")??;
    if let Some(error) = &receipt.error {
        bail!("a transaction of the demo failed: {error}");
    }
    Ok(receipt)
}

fn query(node: &Node, account: AccountId, sql: &str) -> Result<String> {
    let result = node.query(account, sql, &[])?.result;
    let names: Vec<&str> = result
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let align = result
        .rows
        .first()
        .map(|row| {
            row.iter()
                .map(|value| match value {
                    Value::Int(_) => Align::Right,
                    _ => Align::Left,
                })
                .collect()
        })
        .unwrap_or_default();
    let mut table = Table::new(&names).aligned(align);
    for row in &result.rows {
        table.row(
            row.iter()
                .zip(&result.columns)
                .map(|(value, column)| text::format(column.ty, value)),
        );
    }
    Ok(table.to_string())
}

fn save(path: &Path, proof: &str) -> Result<()> {
    std::fs::write(path, proof).with_context(|| format!("cannot write {}", path.display()))
}

/// The table as its proof carries it: with the ids by which the database names it.
fn orders_table(data: &Path, proof: &Path) -> Result<TableDefinition> {
    let trust = std::fs::read_to_string(data.join(crate::trust::TRUST_FILE))?.parse()?;
    match Verifier::new(trust).verify(&std::fs::read(proof)?)? {
        Proven::Rows(proven) => Ok(proven.table),
        Proven::Transaction(_) => bail!("the proof of a row shows a transaction"),
    }
}
