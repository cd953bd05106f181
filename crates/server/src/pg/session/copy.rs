//! COPY from and to the client.
//!
//! `COPY … FROM STDIN` becomes INSERTs of the open transaction, or of one of its own: all rows or
//! none, within the bounds of a transaction. With the setting `stele.copy_batches` it becomes as many
//! transactions as it takes, one after the other.

use bytes::{Bytes, BytesMut};
use stele_core::Value;
use stele_core::transaction::Statement;
use stele_sql::SqlError;

use super::plan::Plan;
use super::{Next, Session, blocking};
use crate::pg::codec::{self, Format, Parameter};
use crate::pg::command::copy::{Copy, What};
use crate::pg::copy::{Field, RowReader};
use crate::pg::error::node_error;
use crate::pg::message::Message;
use crate::pg::settings::COPY_BATCHES;

/// Rows one INSERT takes.
const ROWS_OF_INSERT: usize = 100;
/// Parameters one INSERT takes.
const PARAMETERS_OF_INSERT: usize = 2_000;

/// Bytes one INSERT takes, unless one row has more.
const BYTES_OF_INSERT: usize = 128 * 1024;
/// Rows of a batch, and the INSERT that reaches it.
const ROWS_OF_BATCH: u64 = 10_000;
/// Bytes of a batch, unless one row has more.
const BYTES_OF_BATCH: usize = 512 * 1024;

/// A COPY FROM STDIN that is going on.
pub(super) struct CopyIn {
    table: String,
    columns: Vec<String>,
    parameters: Vec<Parameter>,
    reader: RowReader,
    format: Format,
    /// Values of rows that wait for their INSERT.
    waiting: Vec<Value>,
    /// Their bytes, as the client sent them.
    waiting_len: usize,
    rows: u64,
    /// Rows that are on the ledger already; none unless it is stored in batches.
    stored: Option<u64>,
    /// Why the rest is only read to its end.
    failed: Option<SqlError>,
    /// What follows in a simple-query message; none in the extended protocol.
    rest: Option<String>,
}

impl Session {
    /// A message while COPY FROM STDIN goes on.
    pub(super) async fn handle_copying(&mut self, message: Message) -> Next {
        let done = match message {
            Message::CopyData(bytes) => {
                self.copy_data(&bytes).await;
                return Next::GoOn;
            }
            Message::Flush | Message::Sync => return Next::GoOn,
            Message::Terminate => return Next::Close,
            Message::CopyDone => {
                let rest = self
                    .copying
                    .as_mut()
                    .and_then(|copying| copying.rest.take());
                let done = self.copy_done().await;
                (done, rest)
            }
            other => {
                let reason = match other {
                    Message::CopyFail(reason) => reason,
                    _ => "unexpected message during COPY from stdin".to_owned(),
                };
                let copying = self.copying.take();
                let error = SqlError::new("57014", format!("COPY from stdin failed: {reason}"));
                let error = match &copying {
                    Some(copying) => copying.telling(error),
                    None => error,
                };
                (Err(error), copying.and_then(|copying| copying.rest))
            }
        };
        match done {
            (Ok(()), Some(rest)) if rest.is_empty() => self.finish_batch(),
            (Ok(()), Some(rest)) => self.query(&rest).await,
            (Ok(()), None) => {}
            (Err(error), Some(_)) => {
                self.fail(error);
                self.finish_batch();
            }
            (Err(error), None) => {
                self.fail(error);
                self.skipping = true;
            }
        }
        Next::GoOn
    }

    /// COPY … TO STDOUT.
    pub(super) fn copy_out(&mut self, copy: &Copy, plan: &Plan) -> Result<(), SqlError> {
        self.preview_deferred()?;
        let result = self.read(plan, Vec::new(), 0)?;
        let count = result.columns.len();
        self.out.copy_out(copy.options.is_binary(), count);
        // Clients rely on what PostgreSQL does: a message a row; the head of a binary copy goes with
        // the first.
        let mut piece = BytesMut::new();
        copy.options.put_start(&result.columns, &mut piece);
        if !copy.options.is_binary() && !piece.is_empty() {
            self.out.copy_data(&piece.split());
        }
        for row in &result.rows {
            copy.options.put_row(&result.columns, row, &mut piece);
            self.out.copy_data(&piece.split());
        }
        copy.options.put_end(&mut piece);
        if !piece.is_empty() {
            self.out.copy_data(&piece);
        }
        self.out.copy_done();
        self.out.count();
        let tag = format!("COPY {}", result.rows.len());
        self.out.command_complete(&tag);
        Ok(())
    }

    /// COPY … FROM STDIN: asks for the rows.
    pub(super) fn copy_in(&mut self, copy: &Copy, rest: Option<String>) -> Result<(), SqlError> {
        self.preview_deferred()?;
        self.check_newest(|| "COPY FROM".to_owned())?;
        let What::Table { name, columns } = &copy.what else {
            return Err(SqlError::new("42601", "COPY FROM takes a table"));
        };
        let in_batches = self.settings.is_on(COPY_BATCHES);
        if in_batches && self.in_transaction() {
            return Err(SqlError::new(
                "25001",
                "COPY FROM in batches cannot run inside a transaction block",
            )
            .hint(format!(
                "Each batch is a transaction: COMMIT first, or SET {COPY_BATCHES} = off."
            )));
        }
        let columns = match columns.is_empty() {
            false => columns.clone(),
            true => self.columns_of(name)?,
        };
        let plan = self.plan(&insert(name, &columns, 1), &[])?;
        let names = columns.iter().map(|name| shown(name)).collect();
        let binary = copy.options.is_binary();
        self.out.copy_in(binary, columns.len());
        self.copying = Some(CopyIn {
            table: name.clone(),
            columns,
            parameters: plan.parameters,
            reader: RowReader::new(copy.options.clone(), names),
            format: if binary { Format::Binary } else { Format::Text },
            waiting: Vec::new(),
            waiting_len: 0,
            rows: 0,
            stored: in_batches.then_some(0),
            failed: None,
            rest,
        });
        Ok(())
    }

    fn columns_of(&self, table: &str) -> Result<Vec<String>, SqlError> {
        let plan = self.plan(&format!("SELECT * FROM {table}"), &[])?;
        let columns = plan.columns.unwrap_or_default();
        Ok(columns
            .iter()
            .map(|column| format!("\"{}\"", column.name.replace('"', "\"\"")))
            .collect())
    }

    /// Rows of the client.
    async fn copy_data(&mut self, bytes: &Bytes) {
        let Some(mut copying) = self.copying.take() else {
            return;
        };
        if copying.failed.is_none() {
            copying.failed = self.cancel.check().err();
        }
        if copying.failed.is_none() {
            copying.reader.feed(bytes);
            copying.failed = self.copy_rows(&mut copying, false).await.err();
        }
        self.copying = Some(copying);
    }

    async fn copy_rows(&mut self, copying: &mut CopyIn, last: bool) -> Result<(), SqlError> {
        while let Some(row) = copying.reader.next_row(last)? {
            let len = row.iter().flatten().map(|bytes| bytes.len()).sum();
            let width = copying.columns.len().max(1);
            let is_full = copying.waiting.len() / width >= ROWS_OF_INSERT
                || copying.waiting.len() >= PARAMETERS_OF_INSERT
                || copying.waiting_len.saturating_add(len) > BYTES_OF_INSERT;
            if is_full {
                self.copy_insert(copying).await?;
            }
            copying.take(&row)?;
            copying.waiting_len += len;
        }
        if last {
            self.copy_insert(copying).await?;
        }
        Ok(())
    }

    /// Puts the rows that wait into the transaction; before it, stores what a batch has got if that is
    /// enough.
    async fn copy_insert(&mut self, copying: &mut CopyIn) -> Result<(), SqlError> {
        let rows = copying.waiting.len() / copying.columns.len().max(1);
        if rows == 0 {
            return Ok(());
        }
        let before = copying.rows - rows as u64;
        let len = std::mem::take(&mut copying.waiting_len);
        if let Some(stored) = &mut copying.stored {
            let open = self.transaction.as_ref();
            let bytes = open.map_or(0, |transaction| transaction.open.bytes());
            if before - *stored >= ROWS_OF_BATCH || bytes.saturating_add(len) > BYTES_OF_BATCH {
                self.commit().await?;
                *stored = before;
            }
        }
        let statement = Statement {
            sql: insert(&copying.table, &copying.columns, rows),
            parameters: std::mem::take(&mut copying.waiting),
            result: None,
        };
        let transaction = self.begin();
        if transaction.read_only {
            return Err(SqlError::new(
                "25006",
                "cannot execute COPY FROM in a read-only transaction",
            ));
        }
        let noted = transaction.open.note(statement);
        noted.map_err(|error| match copying.stored {
            None => error.hint(format!(
                "A COPY is one transaction: SET {COPY_BATCHES} = on stores it in several, or split the file."
            )),
            Some(_) => error.hint(
                "A row must fit into a transaction: append large data as records over HTTP.",
            ),
        })
    }

    /// Tries the rows inside the transaction that is open.
    fn preview_copied(&mut self) -> Result<(), SqlError> {
        let bounds = self.bounds();
        let Some(transaction) = &mut self.transaction else {
            return Ok(());
        };
        transaction.count_preview(bounds)?;
        let known = transaction.open.answered();
        let node = &self.node;
        let previewed =
            blocking(|| node.preview(&mut transaction.open, None)).map_err(node_error)?;
        match previewed.failure {
            None => Ok(()),
            Some(failure) => {
                transaction.fail(failure.place.max(known));
                Err(failure.error)
            }
        }
    }

    async fn copy_rest(&mut self, copying: &mut CopyIn) -> Result<(), SqlError> {
        self.cancel.check()?;
        self.copy_rows(copying, true).await?;
        if self.in_transaction() {
            self.preview_copied()
        } else {
            self.commit().await
        }
    }

    /// The client has sent all rows.
    async fn copy_done(&mut self) -> Result<(), SqlError> {
        let Some(mut copying) = self.copying.take() else {
            return Ok(());
        };
        if let Some(error) = copying.failed.take() {
            return Err(copying.telling(error));
        }
        let done = self.copy_rest(&mut copying).await;
        done.map_err(|error| copying.telling(error))?;
        let tag = format!("COPY {}", copying.rows);
        self.out.command_complete(&tag);
        Ok(())
    }
}

impl CopyIn {
    /// An error that also says what of the COPY is stored all the same.
    fn telling(&self, error: SqlError) -> SqlError {
        let Some(stored) = self.stored else {
            return error;
        };
        let said = match &error.detail {
            Some(detail) => format!("{detail}\n"),
            None => String::new(),
        };
        let table = &self.table;
        let others = match error.code.as_str() {
            // The answer to the last batch has not come.
            "08007" => "the transaction named holds those after them",
            _ => "the others are not",
        };
        error.detail(format!(
            "{said}COPY {table}: the first {stored} rows are stored, {others}."
        ))
    }

    fn take(&mut self, row: &[Field]) -> Result<(), SqlError> {
        let number = self.reader.row();
        if row.len() != self.columns.len() {
            let message = match row.len() < self.columns.len() {
                true => "missing data for a column",
                false => "extra data after last expected column",
            };
            return Err(SqlError::new("22P04", message).detail(format!(
                "COPY {}, line {number}: {} fields, {} are expected",
                self.table,
                row.len(),
                self.columns.len()
            )));
        }
        for (place, field) in row.iter().enumerate() {
            let parameter = self.parameters.get(place).copied();
            let value = match (field, parameter) {
                (Some(bytes), Some(parameter)) => {
                    codec::read(parameter, place + 1, self.format, bytes).map_err(|error| {
                        let column = self.columns.get(place).map_or("", String::as_str);
                        let table = &self.table;
                        error.detail(format!("COPY {table}, line {number}, column {column}"))
                    })?
                }
                _ => Value::Null,
            };
            self.waiting.push(value);
        }
        self.rows += 1;
        Ok(())
    }
}

/// A column's name as a HEADER gives it.
fn shown(written: &str) -> String {
    match written
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    {
        Some(name) => name.replace("\"\"", "\""),
        None => written.to_lowercase(),
    }
}

/// INSERT of so many rows.
fn insert(table: &str, columns: &[String], rows: usize) -> String {
    let mut number = 0;
    let mut row = || {
        let marks: Vec<String> = columns
            .iter()
            .map(|_| {
                number += 1;
                format!("${number}")
            })
            .collect();
        format!("({})", marks.join(","))
    };
    let rows: Vec<String> = (0..rows).map(|_| row()).collect();
    format!(
        "INSERT INTO {table} ({}) VALUES {}",
        columns.join(","),
        rows.join(",")
    )
}
