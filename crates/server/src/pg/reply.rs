//! What the server sends, appended to a buffer.

use bytes::{BufMut, BytesMut};
use pgwire::messages::data::{
    FORMAT_CODE_BINARY, FORMAT_CODE_TEXT, FieldDescription, NoData, ParameterDescription,
    RowDescription,
};
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, ReadyForQuery,
    TransactionStatus,
};
use pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey,
};
use pgwire::messages::{Message, data};
use stele_core::{Type, Value};
use stele_sql::{OutputColumn, SqlError};

use super::codec::{self, Format, Formats};
use super::settings::Report;
use super::system_value;
use super::unsent::{self, Unsent};
use super::wire_type::WireType;

/// Longest text in an error or notice, in bytes.
const TEXT_LEN_MAX: usize = 8 * 1024;

/// Whether the session can go on after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
}

/// Replies waiting to be sent.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    bytes: BytesMut,
    /// What waits, as it was last counted.
    counted: Option<Unsent>,
    /// A result that is about to be added.
    reserved: Option<Unsent>,
}

impl Replies {
    /// Bytes waiting.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what waits.
    pub(crate) fn take(&mut self) -> (BytesMut, Unsent) {
        let bytes = self.bytes.split();
        let unsent = Unsent::new(bytes.len());
        (self.counted, self.reserved) = (None, None);
        (bytes, unsent)
    }

    /// Counts a result of so many bytes before it is added.
    ///
    /// # Errors
    /// 53200, see [`unsent::reserve`].
    pub(crate) fn reserve(&mut self, len: usize) -> Result<(), SqlError> {
        self.reserved = Some(unsent::reserve(len)?);
        Ok(())
    }

    /// Counts what waits, once a result has been added: it may wait long until it is sent.
    pub(crate) fn count(&mut self) {
        self.counted = Some(Unsent::new(self.bytes.len()));
        self.reserved = None;
    }

    /// Appends replies made elsewhere.
    pub(crate) fn append(&mut self, other: Self) {
        if self.bytes.is_empty() {
            self.bytes = other.bytes;
        } else {
            self.bytes.extend_from_slice(&other.bytes);
        }
    }

    fn put(&mut self, message: &impl Message) {
        let start = self.bytes.len();
        // Only a reply longer than the protocol allows fails, and those are bounded before.
        if message.encode(&mut self.bytes).is_err() {
            self.bytes.truncate(start);
        }
    }

    /// The user is accepted.
    pub(crate) fn authenticated(&mut self) {
        self.put(&Authentication::Ok);
    }

    /// How the client may prove who it is.
    pub(crate) fn sasl(&mut self, mechanisms: Vec<String>) {
        self.put(&Authentication::SASL(mechanisms));
    }

    /// The next message of a SASL exchange.
    pub(crate) fn sasl_continue(&mut self, message: String) {
        self.put(&Authentication::SASLContinue(message.into()));
    }

    /// The last message of a SASL exchange.
    pub(crate) fn sasl_final(&mut self, message: String) {
        self.put(&Authentication::SASLFinal(message.into()));
    }

    /// The value of a setting.
    pub(crate) fn setting(&mut self, report: Report) {
        self.put(&ParameterStatus::new(report.name.to_owned(), report.value));
    }

    /// What a cancel request for this session must hold.
    pub(crate) fn key_data(&mut self, pid: i32, secret: i32) {
        self.put(&BackendKeyData::new(pid, SecretKey::I32(secret)));
    }

    /// The newest protocol version spoken here is 3.0, and these options are not known.
    pub(crate) fn negotiate(&mut self, unknown: Vec<String>) {
        self.put(&NegotiateProtocolVersion::new(0, unknown));
    }

    /// Ready for the next statement.
    pub(crate) fn ready(&mut self, status: TransactionStatus) {
        self.put(&ReadyForQuery::new(status));
    }

    /// A statement is prepared.
    pub(crate) fn parse_complete(&mut self) {
        self.put(&ParseComplete::new());
    }

    /// A portal is made.
    pub(crate) fn bind_complete(&mut self) {
        self.put(&BindComplete::new());
    }

    /// A statement or portal is dropped.
    pub(crate) fn close_complete(&mut self) {
        self.put(&CloseComplete::new());
    }

    /// The row limit was reached.
    pub(crate) fn portal_suspended(&mut self) {
        self.put(&PortalSuspended::new());
    }

    /// The text held no statement.
    pub(crate) fn empty_query(&mut self) {
        self.put(&EmptyQueryResponse::new());
    }

    /// A statement is done.
    pub(crate) fn command_complete(&mut self, tag: &str) {
        self.put(&CommandComplete::new(tag.to_owned()));
    }

    /// Types of parameters.
    pub(crate) fn parameter_description(&mut self, oids: Vec<u32>) {
        self.put(&ParameterDescription::new(oids));
    }

    /// Columns of a result; NoData when there are none.
    pub(crate) fn row_description(&mut self, columns: &[OutputColumn], formats: &Formats) {
        if columns.is_empty() {
            self.put(&NoData::new());
            return;
        }
        let fields = columns
            .iter()
            .enumerate()
            .map(|(place, column)| {
                let wire = WireType::of_column(column);
                let format = match formats.of(place) {
                    Format::Text => FORMAT_CODE_TEXT,
                    Format::Binary => FORMAT_CODE_BINARY,
                };
                let name = column.name.replace('\0', "");
                FieldDescription::new(name, 0, 0, wire.oid, wire.size, wire.modifier, format)
            })
            .collect();
        self.put(&RowDescription::new(fields));
    }

    /// A row. One without columns is none: a client was told that no rows come.
    pub(crate) fn row(&mut self, columns: &[OutputColumn], row: &[Value], formats: &Formats) {
        if columns.is_empty() {
            return;
        }
        let start = self.bytes.len();
        self.bytes.put_u8(data::MESSAGE_TYPE_BYTE_DATA_ROW);
        self.bytes.put_u32(0);
        self.bytes.put_u16(row.len() as u16);
        for (place, value) in row.iter().enumerate() {
            let format = formats.of(place);
            match columns.get(place) {
                Some(OutputColumn {
                    system: Some(system),
                    ..
                }) => system_value::put(*system, value, format, &mut self.bytes),
                Some(column) => codec::put(column.ty, value, format, &mut self.bytes),
                None => codec::put(Type::Text, value, format, &mut self.bytes),
            }
        }
        let len = (self.bytes.len() - start - 1) as u32;
        if let Some(place) = self.bytes.get_mut(start + 1..start + 5) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }

    /// The server will send the rows of a COPY.
    pub(crate) fn copy_out(&mut self, binary: bool, columns: usize) {
        self.copy_response(b'H', binary, columns);
    }

    /// The client is to send the rows of a COPY.
    pub(crate) fn copy_in(&mut self, binary: bool, columns: usize) {
        self.copy_response(b'G', binary, columns);
    }

    fn copy_response(&mut self, kind: u8, binary: bool, columns: usize) {
        self.bytes.put_u8(kind);
        codec::with_length_of_all(&mut self.bytes, |out| {
            out.put_u8(binary.into());
            out.put_u16(columns as u16);
            for _ in 0..columns {
                out.put_u16(binary.into());
            }
        });
    }

    /// Some rows of a COPY.
    pub(crate) fn copy_data(&mut self, rows: &[u8]) {
        self.bytes.put_u8(b'd');
        codec::with_length_of_all(&mut self.bytes, |out| out.put_slice(rows));
    }

    /// The end of the rows of a COPY.
    pub(crate) fn copy_done(&mut self) {
        self.bytes.put_u8(b'c');
        self.bytes.put_u32(4);
    }

    /// A failure.
    pub(crate) fn error(&mut self, severity: Severity, error: &SqlError) {
        let severity = match severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        };
        self.put(&ErrorResponse::new(fields(severity, error)));
    }

    /// Something the user should know.
    pub(crate) fn notice(&mut self, severity: &'static str, notice: &SqlError) {
        self.put(&NoticeResponse::new(fields(severity, notice)));
    }
}

fn fields(severity: &str, error: &SqlError) -> Vec<(u8, String)> {
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', error.code.as_str().to_owned()),
        (b'M', shown(&error.message)),
    ];
    let optional = [
        (b'D', &error.detail),
        (b'H', &error.hint),
        (b'n', &error.constraint),
    ];
    for (code, text) in optional {
        if let Some(text) = text {
            fields.push((code, shown(text)));
        }
    }
    if let Some(position) = error.position {
        fields.push((b'P', position.to_string()));
    }
    fields
}

/// A NUL would end the field early.
fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_LEN_MAX);
    text.get(..end)
        .unwrap_or_default()
        .replace('\0', "\u{fffd}")
}
