//! A program as a sink: whatever can read and write lines of JSON can take row changes.
//!
//! The program is started once and spoken to over its standard input and output: one request a line, one answer a line
//! (a read: one line a row, then an end). `docs/plugins.md` describes both. The program keeps the cursor and what is remembered of
//! tables as it gets them, in the same step as the changes: so it takes them exactly once. What it writes to standard
//! error goes to the node's log.

mod wire;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use serde_json::{Value as Json, json};
use stele_core::codec::Encode as _;
use stele_core::key::encode_key;
use stele_core::value::text;
use stele_core::{Type, Value};
use stele_flow::sink::EachRead;
use stele_flow::{
    Batch, Cursor, Held, HeldTable, KeyRange, Load, Mirror, ReadRow, RowChange, Sink, SinkError,
    SinkErrorKind, Step, Table,
};

use crate::memory;
use crate::naming::Naming;
use crate::readback;
use wire::{base64, hex, row_json, shape_json, unbase64};

/// Longest answer, in bytes (64 MiB).
const ANSWER_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Longest wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Lines read ahead.
const LINES_AHEAD: usize = 256;

/// A program that takes row changes.
pub struct PluginSink {
    /// The program and its arguments.
    command: Vec<String>,
    naming: Naming,
    running: Option<Running>,
    cursor: Option<Cursor>,
    tables: Vec<HeldTable>,
}

struct Running {
    child: Child,
    input: ChildStdin,
    /// Lines of its output, read by a thread of their own: a program that says nothing is not waited for without end.
    output: Receiver<std::io::Result<String>>,
}

/// Reads lines until the program's output ends or nobody wants more.
fn read_lines(output: ChildStdout, lines: &SyncSender<std::io::Result<String>>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = String::new();
        let read = output.by_ref().take(ANSWER_LEN_MAX).read_line(&mut line);
        let ended = matches!(read, Ok(0) | Err(_));
        if lines.send(read.map(|_| line)).is_err() || ended {
            return;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its input ends with it; one that does not end by itself is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl PluginSink {
    /// The sink of a program and its arguments, the first of which is the program.
    #[must_use]
    pub fn new(command: Vec<String>, naming: Naming) -> Self {
        Self {
            command,
            naming,
            running: None,
            cursor: None,
            tables: Vec::new(),
        }
    }

    fn start(&mut self) -> Result<(), SinkError> {
        let failed = |why: String| {
            SinkError::new(
                SinkErrorKind::Unreachable,
                format!("{}: {why}", self.describe()),
            )
            .remedy("mend the command in the configuration file; it is tried again")
        };
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| failed("no program is named".to_owned()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| failed(format!("cannot be started: {error}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("has no input or output".to_owned()));
        };
        let (lines, received) = sync_channel(LINES_AHEAD);
        std::thread::Builder::new()
            .name("stele-plugin".to_owned())
            .spawn(move || read_lines(output, &lines))
            .map_err(|error| failed(format!("no thread can be started: {error}")))?;
        self.running = Some(Running {
            child,
            input,
            output: received,
        });
        Ok(())
    }

    fn gone(&self, why: impl std::fmt::Display) -> SinkError {
        SinkError::new(
            SinkErrorKind::Unreachable,
            format!("{}: the program ended or is stuck: {why}", self.describe()),
        )
        .remedy("its own words are in the node's log; it is started again")
    }

    fn garbage(&self, why: impl std::fmt::Display) -> SinkError {
        SinkError::new(
            SinkErrorKind::Other,
            format!("{}: an answer does not read: {why}", self.describe()),
        )
        .remedy("docs/plugins.md says what answers look like")
    }

    fn send(&mut self, request: &Json) -> Result<(), SinkError> {
        if self.running.is_none() {
            self.start()?;
        }
        let mut line = request.to_string();
        line.push('\n');
        let sent = self.running.as_mut().map(|running| {
            running.input.write_all(line.as_bytes())?;
            running.input.flush()
        });
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                // What it wrote before it closed its input tells more than a broken pipe.
                let last = self.answer();
                self.running = None;
                match last {
                    Err(failure) if failure.kind != SinkErrorKind::Unreachable => Err(failure),
                    _ => Err(self.gone(error)),
                }
            }
            None => Err(self.gone("it was not started")),
        }
    }

    /// The next line the program writes.
    fn answer(&mut self) -> Result<Json, SinkError> {
        let received = self
            .running
            .as_ref()
            .map(|running| running.output.recv_timeout(ANSWER_WAIT));
        let line = match received {
            Some(Ok(Ok(line))) if line.ends_with('\n') => Ok(line),
            Some(Ok(Ok(line))) if line.is_empty() => Err("it closed its output".to_owned()),
            Some(Ok(Ok(_))) => Err("a line has no end".to_owned()),
            Some(Ok(Err(error))) => Err(error.to_string()),
            Some(Err(RecvTimeoutError::Timeout)) => {
                Err(format!("no answer within {} s", ANSWER_WAIT.as_secs()))
            }
            Some(Err(RecvTimeoutError::Disconnected)) | None => Err("it has ended".to_owned()),
        };
        let line = match line {
            Ok(line) => line,
            Err(failure) => {
                self.running = None;
                return Err(self.gone(failure));
            }
        };
        let answer: Json = serde_json::from_str(&line).map_err(|error| self.garbage(error))?;
        match answer.get("error") {
            None => Ok(answer),
            Some(error) => {
                self.running = None;
                Err(self.told(error))
            }
        }
    }

    fn ask(&mut self, request: &Json) -> Result<Json, SinkError> {
        self.send(request)?;
        self.answer()
    }

    /// An error in the program's own words.
    fn told(&self, error: &Json) -> SinkError {
        let field = |name: &str| error.get(name).and_then(Json::as_str);
        let kind = match field("kind") {
            Some("unreachable") => SinkErrorKind::Unreachable,
            Some("refused") => SinkErrorKind::Refused,
            Some("full") => SinkErrorKind::Full,
            Some("drift") => SinkErrorKind::Drift,
            Some("foreign_row") => SinkErrorKind::ForeignRow,
            Some("missing_row") => SinkErrorKind::MissingRow,
            Some("overtaken") => SinkErrorKind::Overtaken,
            Some("unfit") => SinkErrorKind::Unfit,
            _ => SinkErrorKind::Other,
        };
        let message = field("message").unwrap_or("it says nothing of its error");
        let told = SinkError::new(kind, format!("{}: {message}", self.describe()));
        match field("remedy") {
            Some(remedy) => told.remedy(remedy),
            None => told,
        }
    }

    /// What the program says it holds.
    fn held_of(&self, source_id: &str, answer: &Json) -> Result<Held, SinkError> {
        let target = self.describe();
        let bytes = |value: Option<&Json>| match value {
            None | Some(Json::Null) => Ok(None),
            Some(value) => {
                let decoded = value.as_str().and_then(unbase64);
                decoded
                    .map(Some)
                    .ok_or_else(|| self.garbage("what it remembers is not base64"))
            }
        };
        let cursor = bytes(answer.get("cursor"))?;
        let cursor = cursor.map(|bytes| memory::cursor(&target, source_id, &bytes));
        let tables = answer.get("tables").and_then(Json::as_array);
        let mut held = Vec::new();
        for table in tables.into_iter().flatten() {
            let name = table.get("name").and_then(Json::as_str);
            let name = name.ok_or_else(|| self.garbage("a table has no name"))?;
            let shape = bytes(table.get("shape"))?;
            let shape = shape.ok_or_else(|| self.garbage("a table has no shape"))?;
            let load = bytes(table.get("filled_to"))?;
            let one = memory::held_table(&target, name.to_owned(), &shape, load)?;
            memory::check_name(&target, &one, &self.naming.flat(&one.table))?;
            held.push(one);
        }
        held.sort_by_key(|held| held.table.id);
        Ok(Held {
            cursor: cursor.transpose()?,
            tables: held,
        })
    }

    /// What is to be remembered with the next changes.
    fn memory(&self, cursor: &Cursor, tables: &[HeldTable]) -> Json {
        let tables: Vec<Json> = tables
            .iter()
            .map(|held| {
                json!({
                    "id": held.table.id.0,
                    "name": held.target,
                    "shape": base64(&memory::shape_bytes(&held.table)),
                    "filled_to": memory::load_bytes(&held.load).map(base64),
                })
            })
            .collect();
        json!({
            "height": cursor.height,
            "block": cursor.block_hash.to_string(),
            "cursor": base64(&cursor.encode_to_vec()),
            "tables": tables,
        })
    }

    fn step(&self, step: &Step, tables: &mut Vec<HeldTable>) -> Result<Json, SinkError> {
        match step {
            Step::Rows(table, rows) => {
                let held = tables.iter().find(|held| held.table.id == table.id);
                let held = held.ok_or_else(|| memory::unknown(&self.describe(), table))?;
                Ok(rows_json(held, rows))
            }
            Step::Table { before, after } => {
                let known = |table: &Table| tables.iter().position(|one| one.table.id == table.id);
                match (before, after) {
                    (Some(before), None) => {
                        let place = known(before)
                            .ok_or_else(|| memory::unknown(&self.describe(), before))?;
                        tables.remove(place);
                    }
                    (Some(before), Some(after)) => {
                        let place = known(before)
                            .ok_or_else(|| memory::unknown(&self.describe(), before))?;
                        if let Some(held) = tables.get_mut(place) {
                            held.target = self.naming.flat(after);
                            held.table = after.clone();
                        }
                    }
                    (None, Some(after)) => tables.push(HeldTable {
                        table: after.clone(),
                        target: self.naming.flat(after),
                        load: Load::Done,
                    }),
                    (None, None) => {}
                }
                let shape = |table: &Option<Arc<Table>>| {
                    let named = |table: &Arc<Table>| shape_json(table, &self.naming.flat(table));
                    table.as_ref().map(named)
                };
                Ok(json!({ "table": { "before": shape(before), "after": shape(after) } }))
            }
        }
    }

    fn read_row(&self, table: &Table, answer: &Json) -> Result<ReadRow, SinkError> {
        let fields = answer.get("row").and_then(Json::as_array);
        let fields = fields.ok_or_else(|| self.garbage("a row was expected"))?;
        if fields.len() != table.columns.len() {
            return Err(
                self.garbage("a row has another number of values than its table has columns")
            );
        }
        let columns = table.columns.iter().zip(fields);
        let read = columns.map(|(column, field)| match field {
            Json::Null => Ok(Value::Null),
            Json::String(found) => {
                text::parse(column.ty, found).map_err(|error| format!("{found:?}: {error}"))
            }
            other => Err(other.to_string()),
        });
        Ok(readback::row(table, read))
    }

    /// The request that changes rows, remembering what is remembered already.
    fn set(&mut self, held: &HeldTable, at: &Cursor, rows: Json) -> Result<(), SinkError> {
        let request = json!({
            "do": "mend", "source": at.source_id, "expect": base64(&at.encode_to_vec()),
            "table": held.table.id.0, "rows": rows,
        });
        self.ask(&request).map(drop)
    }
}

/// Changes of rows as JSON.
fn rows_json(held: &HeldTable, rows: &[RowChange]) -> Json {
    let table = &held.table;
    let changes: Vec<Json> = rows
        .iter()
        .map(|row| {
            json!({
                "place": hex(&row.key),
                "before": row.before.as_ref().map(|values| row_json(table, values)),
                "after": row.after.as_ref().map(|values| row_json(table, values)),
            })
        })
        .collect();
    json!({ "rows": { "table": table.id.0, "name": held.target, "changes": changes } })
}

/// The place of a key's values in the order of rows.
fn place(table: &Table, key: &[Value]) -> Option<String> {
    let types = table.key_columns().map(|column| column.ty);
    let pairs: Vec<(Type, &Value)> = types.zip(key).collect();
    encode_key(&pairs).ok().map(|key| hex(&key))
}

impl Sink for PluginSink {
    fn describe(&self) -> String {
        format!("plugin:{}", self.command.join(" "))
    }

    fn open(&mut self, source_id: &str) -> Result<Held, SinkError> {
        self.running = None;
        let answer = self.ask(&json!({ "do": "open", "protocol": 1, "source": source_id }))?;
        let held = self.held_of(source_id, &answer)?;
        let expect = held
            .cursor
            .as_ref()
            .map(|cursor| base64(&cursor.encode_to_vec()));
        let (held, cursor) = memory::taken_over(held, source_id);
        let request = json!({
            "do": "apply", "source": source_id, "expect": expect, "steps": [],
            "remember": self.memory(&cursor, &held.tables),
        });
        self.ask(&request)?;
        self.cursor = Some(cursor);
        self.tables.clone_from(&held.tables);
        Ok(held)
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let own = self.cursor.clone().ok_or_else(memory::unopened)?;
        let mut tables = self.tables.clone();
        let mut steps = Vec::with_capacity(batch.steps.len());
        for step in &batch.steps {
            steps.push(self.step(step, &mut tables)?);
        }
        for (id, load) in &batch.loads {
            if let Some(held) = tables.iter_mut().find(|held| held.table.id == *id) {
                held.load = load.clone();
            }
        }
        let mut cursor = own.clone();
        if let Some(position) = batch.position {
            cursor.height = position.height;
            cursor.block_hash = position.hash;
        }
        let request = json!({
            "do": "apply", "source": own.source_id, "expect": base64(&own.encode_to_vec()),
            "steps": steps, "remember": self.memory(&cursor, &tables),
        });
        self.ask(&request)?;
        self.cursor = Some(cursor);
        self.tables = tables;
        Ok(())
    }

    fn held(&self) -> &[HeldTable] {
        &self.tables
    }

    fn remove(&mut self, source_id: &str, tables: bool) -> Result<(), SinkError> {
        self.ask(&json!({ "do": "remove", "source": source_id, "tables": tables }))?;
        self.running = None;
        Ok(())
    }
}

impl Mirror for PluginSink {
    fn begin_read(&mut self, source_id: &str) -> Result<Held, SinkError> {
        self.running = None;
        let answer =
            self.ask(&json!({ "do": "begin_read", "protocol": 1, "source": source_id }))?;
        self.held_of(source_id, &answer)
    }

    fn end_read(&mut self) {
        self.running = None;
    }

    fn drift(&mut self, _: &HeldTable) -> Result<Vec<String>, SinkError> {
        // Its tables are what the program makes of them.
        Ok(Vec::new())
    }

    fn read(
        &mut self,
        held: &HeldTable,
        range: &KeyRange,
        each: EachRead<'_>,
    ) -> Result<(), SinkError> {
        let table = held.table.clone();
        let bound = |key: &Option<Vec<Value>>| key.as_ref().and_then(|key| place(&table, key));
        self.send(&json!({
            "do": "read", "table": table.id.0,
            "from": bound(&range.from), "to": bound(&range.to),
        }))?;
        let mut wanted = true;
        loop {
            let answer = self.answer()?;
            if answer.get("end").is_some() {
                return Ok(());
            }
            // Rows that nobody wants any more are read to their end.
            if wanted {
                wanted = each(self.read_row(&table, &answer)?);
            }
        }
    }

    fn mend(
        &mut self,
        held: &HeldTable,
        at: &Cursor,
        rows: &[RowChange],
    ) -> Result<bool, SinkError> {
        self.running = None;
        let changes = rows_json(held, rows);
        let changes = changes
            .pointer("/rows/changes")
            .cloned()
            .unwrap_or_default();
        match self.set(held, at, changes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind == SinkErrorKind::Overtaken => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn renew(&mut self, source_id: &str, table: &Arc<Table>) -> Result<(), SinkError> {
        let now = self.begin_read(source_id)?;
        self.end_read();
        let mut cursor = now
            .cursor
            .ok_or_else(|| memory::overtaken(&self.describe()))?;
        let expect = base64(&cursor.encode_to_vec());
        // The owner must see it: what it remembers of the table is no longer so.
        cursor.owner_epoch += 1;
        let mut tables = now.tables;
        tables.retain(|one| one.table.id != table.id);
        let target = self.naming.flat(table);
        let shape = shape_json(table, &target);
        tables.push(HeldTable {
            table: table.clone(),
            target,
            load: Load::UpTo(Vec::new()),
        });
        let request = json!({
            "do": "apply", "source": source_id, "expect": expect,
            "steps": [
                { "table": { "before": shape, "after": null } },
                { "table": { "before": null, "after": shape } },
            ],
            "remember": self.memory(&cursor, &tables),
        });
        self.ask(&request)?;
        self.running = None;
        Ok(())
    }
}
