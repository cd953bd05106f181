//! COPY from and to the client.
//!
//! `COPY … FROM STDIN` becomes INSERTs of the open transaction, or of one of its own: all rows or
//! none, within the bounds of a transaction.

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

/// Rows one INSERT takes.
const ROWS_OF_INSERT: usize = 100;
/// Parameters one INSERT takes.
const PARAMETERS_OF_INSERT: usize = 2_000;

/// A COPY FROM STDIN that is going on.
pub(super) struct CopyIn {
    table: String,
    columns: Vec<String>,
    parameters: Vec<Parameter>,
    reader: RowReader,
    format: Format,
    /// Values of rows that wait for their INSERT.
    waiting: Vec<Value>,
    rows: u64,
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
                self.copy_data(&bytes);
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
                let rest = self.copying.take().and_then(|copying| copying.rest);
                let error = SqlError::new("57014", format!("COPY from stdin failed: {reason}"));
                (Err(error), rest)
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
        let columns = match columns.is_empty() {
            false => columns.clone(),
            true => self.columns_of(name)?,
        };
        let plan = self.plan(&insert(name, &columns, 1), &[])?;
        let binary = copy.options.is_binary();
        self.out.copy_in(binary, columns.len());
        self.copying = Some(CopyIn {
            table: name.clone(),
            columns,
            parameters: plan.parameters,
            reader: RowReader::new(copy.options.clone()),
            format: if binary { Format::Binary } else { Format::Text },
            waiting: Vec::new(),
            rows: 0,
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
    fn copy_data(&mut self, bytes: &Bytes) {
        let Some(mut copying) = self.copying.take() else {
            return;
        };
        if copying.failed.is_none() {
            copying.reader.feed(bytes);
            copying.failed = self.copy_rows(&mut copying, false).err();
        }
        self.copying = Some(copying);
    }

    fn copy_rows(&mut self, copying: &mut CopyIn, last: bool) -> Result<(), SqlError> {
        while let Some(row) = copying.reader.next_row(last)? {
            copying.take(&row)?;
            let width = copying.columns.len().max(1);
            let rows = copying.waiting.len() / width;
            if rows >= ROWS_OF_INSERT || copying.waiting.len() >= PARAMETERS_OF_INSERT {
                self.copy_insert(copying)?;
            }
        }
        if last {
            self.copy_insert(copying)?;
        }
        Ok(())
    }

    /// Puts the rows that wait into the transaction.
    fn copy_insert(&mut self, copying: &mut CopyIn) -> Result<(), SqlError> {
        let rows = copying.waiting.len() / copying.columns.len().max(1);
        if rows == 0 {
            return Ok(());
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
        transaction.open.note(statement).map_err(|error| {
            error.hint(
                "A COPY is one transaction: split the file, for example with `split -l 1000`.",
            )
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

    /// The client has sent all rows.
    async fn copy_done(&mut self) -> Result<(), SqlError> {
        let Some(mut copying) = self.copying.take() else {
            return Ok(());
        };
        if let Some(error) = copying.failed.take() {
            return Err(error);
        }
        self.copy_rows(&mut copying, true)?;
        if self.in_transaction() {
            self.preview_copied()?;
        } else {
            self.commit().await?;
        }
        let tag = format!("COPY {}", copying.rows);
        self.out.command_complete(&tag);
        Ok(())
    }
}

impl CopyIn {
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
