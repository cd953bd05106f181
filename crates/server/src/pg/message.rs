//! What a client sends, decoded.
//!
//! `pgwire` decodes messages too, but takes their inner lengths on trust and panics where they lie
//! or reads on into the next message. Here a message is first cut out whole, its length bounded,
//! and then read inside its own bytes only: [`Message::decode`] is total.

pub(crate) mod sasl;

use bytes::{Buf, Bytes, BytesMut};
use stele_core::transaction::PARAMETERS_MAX;
use stele_sql::SqlError;

/// Longest start-up packet, in bytes; PostgreSQL's own bound.
pub(crate) const STARTUP_LEN_MAX: usize = 10_000;
/// Longest name of a prepared statement or portal, in bytes.
const NAME_LEN_MAX: usize = 1_024;

const PROTOCOL_3: u16 = 3;
const CANCEL_CODE: u32 = 80_877_102;
const SSL_CODE: u32 = 80_877_103;
const GSS_CODE: u32 = 80_877_104;

/// The first packet of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Asks for TLS.
    Ssl,
    /// Asks for GSSAPI encryption.
    Gss,
    /// Asks to cancel what another connection does.
    Cancel {
        /// Its process id.
        pid: i32,
        /// Its secret.
        secret: Bytes,
    },
    /// Asks for a session.
    Startup {
        /// Minor version of protocol 3.
        minor: u16,
        /// `user`, `database`, settings.
        parameters: Vec<(String, String)>,
    },
}

/// What a Describe or Close is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// Parameters and formats for a prepared statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    /// The portal to make.
    pub(crate) portal: String,
    /// The statement to run.
    pub(crate) statement: String,
    /// Format codes of the parameters.
    pub(crate) parameter_formats: Vec<i16>,
    /// The parameters; none for NULL.
    pub(crate) parameters: Vec<Option<Bytes>>,
    /// Format codes of the result's columns.
    pub(crate) result_formats: Vec<i16>,
}

/// A message of an open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Statements as text.
    Query(String),
    /// Prepares a statement.
    Parse {
        /// Its name; empty for the unnamed one.
        name: String,
        /// Its text.
        sql: String,
        /// Declared parameter types; 0 where the server is to say.
        types: Vec<u32>,
    },
    /// Makes a portal.
    Bind(Bind),
    /// Asks for types and columns.
    Describe(Target, String),
    /// Runs a portal.
    Execute {
        /// Its name.
        portal: String,
        /// Most rows to give; 0 for all.
        rows_max: usize,
    },
    /// Drops a statement or portal.
    Close(Target, String),
    /// Asks for what is ready.
    Flush,
    /// Ends a batch.
    Sync,
    /// Ends the session.
    Terminate,
    /// Part of what a COPY brings.
    CopyData(Bytes),
    /// The end of a COPY.
    CopyDone,
    /// The client gives a COPY up, and why.
    CopyFail(String),
}

/// Why bytes are no message. The connection cannot go on after a `Fatal` one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MessageError {
    /// Where the next message starts is not known any more.
    Fatal(SqlError),
    /// This message is skipped, with those up to the next Sync.
    Skipped(SqlError),
}

fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new("08P01", message)
}

impl Opening {
    /// Cuts the first packet off `input`; none while it is not whole.
    ///
    /// # Errors
    /// 08P01 when it is none.
    pub(crate) fn take(input: &mut BytesMut) -> Result<Option<Self>, SqlError> {
        let Some(len) = input.first_chunk::<4>().copied().map(u32::from_be_bytes) else {
            return Ok(None);
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if !(8..=STARTUP_LEN_MAX).contains(&len) {
            return Err(violation("invalid length of startup packet")
                .hint("This port speaks the PostgreSQL protocol; HTTP has a port of its own."));
        }
        if input.len() < len {
            return Ok(None);
        }
        let mut body = Body(input.split_to(len).freeze().slice(4..));
        Self::decode(&mut body).map(Some)
    }

    fn decode(body: &mut Body) -> Result<Self, SqlError> {
        match body.u32()? {
            SSL_CODE => Ok(Self::Ssl),
            GSS_CODE => Ok(Self::Gss),
            CANCEL_CODE => Ok(Self::Cancel {
                pid: body.u32()? as i32,
                secret: body.0.clone(),
            }),
            version => {
                let (major, minor) = ((version >> 16) as u16, version as u16);
                if major != PROTOCOL_3 {
                    return Err(SqlError::new(
                        "0A000",
                        format!(
                            "unsupported frontend protocol {major}.{minor}: server supports 3.0"
                        ),
                    ));
                }
                let mut parameters = Vec::new();
                loop {
                    let name = body.text()?;
                    if name.is_empty() {
                        return Ok(Self::Startup { minor, parameters });
                    }
                    parameters.push((name, body.text()?));
                }
            }
        }
    }
}

impl Message {
    /// Cuts the next message off `input`; none while it is not whole.
    ///
    /// # Errors
    /// [`MessageError::Fatal`] for an impossible length, [`MessageError::Skipped`] for a body that
    /// does not fit its type.
    pub(crate) fn take(input: &mut BytesMut, len_max: usize) -> Result<Option<Self>, MessageError> {
        let Some([kind, len @ ..]) = input.first_chunk::<5>().copied() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(len) as usize;
        if len < 4 {
            return Err(MessageError::Fatal(violation("invalid message length")));
        }
        if len > len_max {
            return Err(MessageError::Fatal(
                violation(format!(
                    "invalid message length: {len} bytes, at most {len_max} are taken"
                ))
                .hint("Send large data in several statements."),
            ));
        }
        if input.len() < len + 1 {
            return Ok(None);
        }
        let mut body = Body(input.split_to(len + 1).freeze().slice(5..));
        let message = Self::decode(kind, &mut body)?;
        if body.0.is_empty() {
            Ok(Some(message))
        } else {
            Err(unreadable(kind, violation("invalid message format")))
        }
    }

    fn decode(kind: u8, body: &mut Body) -> Result<Self, MessageError> {
        let message = match kind {
            b'Q' => body.text().map(Self::Query),
            b'P' => body.parse(),
            b'B' => body.bind().map(Self::Bind),
            b'D' => body
                .target()
                .map(|(target, name)| Self::Describe(target, name)),
            b'C' => body
                .target()
                .map(|(target, name)| Self::Close(target, name)),
            b'E' => body.execute(),
            b'H' => Ok(Self::Flush),
            b'S' => Ok(Self::Sync),
            b'X' => Ok(Self::Terminate),
            b'd' => Ok(Self::CopyData(std::mem::take(&mut body.0))),
            b'c' => Ok(Self::CopyDone),
            b'f' => body.text().map(Self::CopyFail),
            other => {
                return Err(MessageError::Fatal(violation(format!(
                    "invalid frontend message type {other}"
                ))));
            }
        };
        message.map_err(|error| unreadable(kind, error))
    }
}

fn unreadable(kind: u8, error: SqlError) -> MessageError {
    match kind {
        // A Query has no Sync after it.
        b'Q' => MessageError::Fatal(error),
        _ => MessageError::Skipped(error),
    }
}

/// The bytes of one message, read from the front.
struct Body(Bytes);

impl Body {
    fn too_short() -> SqlError {
        violation("insufficient data left in message")
    }

    fn u8(&mut self) -> Result<u8, SqlError> {
        self.0.try_get_u8().map_err(|_| Self::too_short())
    }

    fn u16(&mut self) -> Result<u16, SqlError> {
        self.0.try_get_u16().map_err(|_| Self::too_short())
    }

    fn u32(&mut self) -> Result<u32, SqlError> {
        self.0.try_get_u32().map_err(|_| Self::too_short())
    }

    fn take(&mut self, len: usize) -> Result<Bytes, SqlError> {
        if len > self.0.len() {
            return Err(Self::too_short());
        }
        Ok(self.0.split_to(len))
    }

    /// UTF-8 up to a NUL.
    fn text(&mut self) -> Result<String, SqlError> {
        let len = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| violation("invalid string in message"))?;
        let bytes = self.take(len)?;
        self.0.advance(1);
        String::from_utf8(bytes.into()).map_err(|_| {
            SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\"")
                .hint("Texts are UTF-8: set client_encoding to UTF8.")
        })
    }

    fn name(&mut self) -> Result<String, SqlError> {
        let name = self.text()?;
        if name.len() > NAME_LEN_MAX {
            return Err(SqlError::new(
                "54000",
                format!(
                    "a name of {} bytes, at most {NAME_LEN_MAX} are taken",
                    name.len()
                ),
            ));
        }
        Ok(name)
    }

    fn codes(&mut self) -> Result<Vec<i16>, SqlError> {
        let count = usize::from(self.u16()?);
        if count * 2 > self.0.len() {
            return Err(Self::too_short());
        }
        (0..count)
            .map(|_| self.u16().map(|code| code as i16))
            .collect()
    }

    fn parse(&mut self) -> Result<Message, SqlError> {
        let name = self.name()?;
        let sql = self.text()?;
        let count = usize::from(self.u16()?);
        if count * 4 > self.0.len() {
            return Err(Self::too_short());
        }
        let types = (0..count).map(|_| self.u32()).collect::<Result<_, _>>()?;
        Ok(Message::Parse { name, sql, types })
    }

    fn bind(&mut self) -> Result<Bind, SqlError> {
        let portal = self.name()?;
        let statement = self.name()?;
        let parameter_formats = self.codes()?;
        let count = usize::from(self.u16()?);
        if count > PARAMETERS_MAX || count * 4 > self.0.len() {
            return Err(Self::too_short());
        }
        let mut parameters = Vec::with_capacity(count);
        for _ in 0..count {
            parameters.push(match self.u32()? as i32 {
                -1 => None,
                len => {
                    let len = usize::try_from(len).map_err(|_| Self::too_short())?;
                    Some(self.take(len)?)
                }
            });
        }
        Ok(Bind {
            portal,
            statement,
            parameter_formats,
            parameters,
            result_formats: self.codes()?,
        })
    }

    fn target(&mut self) -> Result<(Target, String), SqlError> {
        let target = match self.u8()? {
            b'S' => Target::Statement,
            b'P' => Target::Portal,
            other => return Err(violation(format!("invalid message subtype {other}"))),
        };
        Ok((target, self.name()?))
    }

    fn execute(&mut self) -> Result<Message, SqlError> {
        let portal = self.name()?;
        // Negative means all, as 0 does.
        let rows_max = usize::try_from(self.u32()? as i32).unwrap_or_default();
        Ok(Message::Execute { portal, rows_max })
    }
}

#[cfg(test)]
mod tests;
