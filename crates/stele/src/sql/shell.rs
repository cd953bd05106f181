//! The shell: reads lines, runs what is complete, shows what came.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use rustyline::error::ReadlineError;

use super::connection::{Connection, Target};
use super::meta::{HELP, Meta};
use super::proof::Prover;
use super::split::{is_blank, is_copy, split};
use super::{failure, history, output};
use crate::login::Login;
use crate::paint::Paint;
use crate::trust::read_bounded;

/// Longest file of statements, in bytes (256 MiB).
const SCRIPT_LEN_MAX: usize = 256 * 1024 * 1024;
/// Deepest nesting of files that include each other.
const INCLUDE_DEPTH_MAX: usize = 16;
/// SQLSTATE of a relation that is not there.
const UNDEFINED_TABLE: &str = "42P01";

const TABLES: &str = "SELECT table_schema AS schema, table_name AS name FROM information_schema.tables \
                      WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2";

/// How a line or text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Done,
    Failed,
    Quit,
}

/// One session of the shell.
pub(super) struct Shell {
    connection: Connection,
    prover: Prover,
    paint: Paint,
    timing: bool,
    /// A person is there: failures do not end it.
    at_terminal: bool,
    depth: usize,
}

impl Shell {
    /// Connects.
    pub(super) fn connect(target: Target, prover: Prover, at_terminal: bool) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(target, at_terminal)?,
            prover,
            paint: Paint::of_stdout(),
            timing: at_terminal,
            at_terminal,
            depth: 0,
        })
    }

    /// Talks with a person until they leave.
    pub(super) fn talk(&mut self) -> Result<()> {
        let settings = rustyline::Config::builder()
            .max_history_size(history::LINES_MAX)?
            .history_ignore_space(true)
            .auto_add_history(false)
            .build();
        let mut editor = rustyline::DefaultEditor::with_config(settings)?;
        let history_file = history::file();
        if let Some(file) = &history_file {
            // An unreadable history is no reason not to work.
            let _ = editor.load_history(file);
        }
        let target = self.connection.target();
        self.say(&format!(
            "Connected to {}:{} as {}. End statements with ; — \\? for help, \\q to leave.\n",
            target.host, target.port, target.user
        ))?;
        let mut waiting = String::new();
        loop {
            let prompt = if waiting.is_empty() {
                "stele=> "
            } else {
                "stele-> "
            };
            match editor.readline(prompt) {
                Ok(line) => {
                    if !line.trim().is_empty() {
                        let _ = editor.add_history_entry(line.as_str());
                        if let Some(file) = &history_file {
                            let _ = editor.append_history(file);
                        }
                    }
                    if self.line(&mut waiting, &line)? == Flow::Quit {
                        return Ok(());
                    }
                }
                Err(ReadlineError::Interrupted) => waiting.clear(),
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(error).context("cannot read from the terminal"),
            }
        }
    }

    /// Runs a text of statements and commands; whether all succeeded.
    pub(super) fn run_text(&mut self, text: &str) -> Result<bool> {
        Ok(self.text(text)? != Flow::Failed)
    }

    /// Runs a file; whether all succeeded.
    pub(super) fn run_file(&mut self, file: &Path) -> Result<bool> {
        Ok(self.file(file)? != Flow::Failed)
    }

    fn file(&mut self, file: &Path) -> Result<Flow> {
        let bytes = read_bounded(file, SCRIPT_LEN_MAX)?;
        let text = String::from_utf8(bytes)
            .with_context(|| format!("{} is not UTF-8 text", file.display()))?;
        self.text(&text)
    }

    fn text(&mut self, text: &str) -> Result<Flow> {
        let mut waiting = String::new();
        for line in text.lines() {
            match self.line(&mut waiting, line)? {
                Flow::Done => {}
                Flow::Failed if self.at_terminal => {}
                other => return Ok(other),
            }
        }
        if is_blank(&waiting) {
            return Ok(Flow::Done);
        }
        let last = waiting.trim().to_owned();
        self.statement(&last)
    }

    /// Takes a line: a command, or a piece of a statement that may now be complete.
    fn line(&mut self, waiting: &mut String, line: &str) -> Result<Flow> {
        if is_blank(waiting) && line.trim_start().starts_with('\\') {
            waiting.clear();
            return self.command(line);
        }
        waiting.push_str(line);
        waiting.push('\n');
        let taken = std::mem::take(waiting);
        let split = split(&taken);
        if !is_blank(split.rest) {
            waiting.push_str(split.rest.trim_start());
        }
        for statement in split.statements {
            if self.statement(statement)? == Flow::Failed {
                waiting.clear();
                return Ok(Flow::Failed);
            }
        }
        Ok(Flow::Done)
    }

    fn statement(&mut self, statement: &str) -> Result<Flow> {
        if is_copy(statement) {
            let paint = self.complaint_paint();
            let Target {
                host, port, user, ..
            } = self.connection.target();
            self.complain(&format!(
                "{} this shell has no data to COPY from or to\n{} use psql: psql -h {host} -p {port} -U {user} stele, and there \\copy\n",
                paint.bad("ERROR"),
                paint.strong("hint:")
            ))?;
            return Ok(Flow::Failed);
        }
        if self.connection.revive()? {
            self.say("(the connection had ended; this is a new one)\n")?;
        }
        let begun = Instant::now();
        let answer = self.connection.run(statement);
        let elapsed = begun.elapsed();
        let flow = match answer {
            Ok(messages) => {
                self.say(&output::describe(statement, &messages))?;
                Flow::Done
            }
            Err(error) => {
                self.complain(&failure::describe(
                    statement,
                    &error,
                    self.complaint_paint(),
                ))?;
                Flow::Failed
            }
        };
        if self.timing {
            self.say(&output::timing(elapsed, self.paint))?;
        }
        Ok(flow)
    }

    fn command(&mut self, line: &str) -> Result<Flow> {
        let done = match Meta::parse(line) {
            Err(wrong) => Err(anyhow::anyhow!(wrong)),
            Ok(Meta::Quit) => return Ok(Flow::Quit),
            Ok(Meta::Help) => self.say(HELP),
            Ok(Meta::Timing) => {
                self.timing = !self.timing;
                let now = if self.timing { "shown" } else { "hidden" };
                self.say(&format!("times are {now}\n"))
            }
            Ok(Meta::Tables) => return self.catalogue(TABLES),
            Ok(Meta::Describe(table)) => return self.catalogue(&columns_of(&table)),
            Ok(Meta::Include(file)) => {
                if self.depth == INCLUDE_DEPTH_MAX {
                    Err(anyhow::anyhow!(
                        "files include each other more than {INCLUDE_DEPTH_MAX} deep"
                    ))
                } else {
                    self.depth += 1;
                    let flow = self.file(Path::new(&file));
                    self.depth -= 1;
                    match flow {
                        Ok(flow) => return Ok(flow),
                        Err(error) => Err(error),
                    }
                }
            }
            Ok(proof) => {
                let target = self.connection.target();
                let login = Login::new(&target.user, target.password.clone());
                self.prover
                    .prove(&proof, login, self.paint)
                    .and_then(|text| self.say(&text))
            }
        };
        match done {
            Ok(()) => Ok(Flow::Done),
            Err(error) => {
                let paint = self.complaint_paint();
                self.complain(&format!("{} {error:#}\n", paint.bad("error:")))?;
                Ok(Flow::Failed)
            }
        }
    }

    /// Asks the node's catalogue, which may not answer yet.
    fn catalogue(&mut self, query: &str) -> Result<Flow> {
        self.connection.revive()?;
        match self.connection.run(query) {
            Ok(messages) => {
                self.say(&output::describe(query, &messages))?;
                Ok(Flow::Done)
            }
            Err(error)
                if error
                    .code()
                    .is_some_and(|code| code.code() == UNDEFINED_TABLE) =>
            {
                self.complain(
                    "this node does not list its tables: it has no information_schema\n",
                )?;
                Ok(Flow::Failed)
            }
            Err(error) => {
                self.complain(&failure::describe(query, &error, self.complaint_paint()))?;
                Ok(Flow::Failed)
            }
        }
    }

    fn say(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    fn complain(&self, text: &str) -> Result<()> {
        Ok(std::io::stderr().lock().write_all(text.as_bytes())?)
    }

    fn complaint_paint(&self) -> Paint {
        Paint::of_stderr()
    }
}

fn columns_of(table: &str) -> String {
    let (schema, table) = table.split_once('.').unwrap_or(("public", table));
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let (schema, table) = (literal(schema), literal(table));
    format!(
        "SELECT c.column_name AS column, format_type(a.atttypid, a.atttypmod) AS type, c.is_nullable AS nullable, \
         c.column_default AS \"default\", k.ordinal_position AS \"primary key\" \
         FROM information_schema.columns c \
         JOIN pg_namespace n ON n.nspname = c.table_schema \
         JOIN pg_class r ON r.relnamespace = n.oid AND r.relname = c.table_name \
         JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = c.column_name \
         LEFT JOIN information_schema.table_constraints p ON p.table_schema = c.table_schema \
         AND p.table_name = c.table_name AND p.constraint_type = 'PRIMARY KEY' \
         LEFT JOIN information_schema.key_column_usage k ON k.constraint_schema = p.constraint_schema \
         AND k.constraint_name = p.constraint_name AND k.table_name = c.table_name AND k.column_name = c.column_name \
         WHERE c.table_schema = {schema} AND c.table_name = {table} ORDER BY c.ordinal_position"
    )
}
