//! One connection: reads messages, hands them to the session, writes its replies.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use stele_node::Node;
use stele_sql::SqlError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::cancel::{Cancels, Registration};
use super::config::PgConfig;
use super::error::stopping;
use super::kept::{Keeper, Kept};
use super::message::{Message, MessageError, Opening};
use super::reply::{Replies, Severity};
use super::session::{Next, Session};
use super::startup::Startup;
use crate::access::{Access, Peer, Stream, Tls};

mod authenticate;

/// Bytes read at a time.
const READ_LEN: usize = 16 * 1024;
/// Replies that wait are sent once they are this long, even inside a batch.
const REPLIES_LEN_MAX: usize = 256 * 1024;
/// An empty input buffer larger than this is given back.
const IDLE_BUFFER_LEN_MAX: usize = 256 * 1024;
/// Bytes of a client that are read and forgotten once its connection ends (256 MiB).
const DISCARD_LEN_MAX: usize = 256 * 1024 * 1024;
/// Longest wait for a client to close a connection that has ended.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(5);
/// Encryption requests a client may make before its start-up message.
const ENCRYPTION_REQUESTS_MAX: usize = 2;
const ENCRYPTION_ACCEPTED: &[u8] = b"S";
const ENCRYPTION_REFUSED: &[u8] = b"N";

/// A connection of a client.
pub(crate) struct Connection {
    stream: Stream,
    peer: Peer,
    input: BytesMut,
    /// Counts a long message as it arrives.
    keeper: Keeper,
    arrived: Option<Kept>,
    config: Arc<PgConfig>,
    stopping: watch::Receiver<bool>,
    /// Whether the client may still send what nobody reads any more.
    unread: bool,
}

/// Why a connection ends.
enum End {
    /// The client closed it, or it broke.
    Closed,
    /// The server closes it and says why.
    Told(SqlError),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        tracing::debug!(%error, "a PostgreSQL connection broke");
        Self::Closed
    }
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        from: IpAddr,
        config: Arc<PgConfig>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        // Without it a reply may wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        Self {
            stream: Stream::Plain(stream),
            peer: Peer::at(from),
            input: BytesMut::new(),
            keeper: Keeper::default(),
            arrived: None,
            config,
            stopping,
            unread: false,
        }
    }

    /// Serves the client until it leaves or must go.
    pub(crate) async fn run(mut self, node: Node, access: Access, cancels: Cancels) {
        let end = match self.open(node, &access, &cancels).await {
            Ok((session, _registration)) => self.serve(session).await,
            Err(end) => end,
        };
        if let End::Told(error) = end {
            self.tell(&error).await;
        }
    }

    /// Waits for the client's start-up message and answers with an error.
    pub(crate) async fn refuse(mut self, access: &Access, error: SqlError) {
        let limit = self.config.startup_timeout;
        match timeout(limit, self.opening(access, &Cancels::default())).await {
            Ok(Ok(_)) => self.tell(&error).await,
            Ok(Err(End::Told(other))) => self.tell(&other).await,
            Ok(Err(End::Closed)) | Err(_) => {}
        }
    }

    async fn tell(&mut self, error: &SqlError) {
        let mut replies = Replies::default();
        replies.error(Severity::Fatal, error);
        // The client may be gone already; there is nobody else to tell.
        if self.send(&mut replies).await.is_ok() {
            let _ = timeout(DISCARD_TIME_MAX, self.close_gently()).await;
        }
    }

    /// Ends what is sent, then reads what the client still sends and forgets it. A socket closed with
    /// unread bytes resets the connection, and the client would lose the error it was just told.
    async fn close_gently(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut left = if self.unread { DISCARD_LEN_MAX } else { 0 };
        while left > 0 {
            self.input.clear();
            self.input.reserve(READ_LEN);
            match self.stream.read_buf(&mut self.input).await? {
                0 => return Ok(()),
                read => left = left.saturating_sub(read),
            }
        }
        Ok(())
    }

    async fn open(
        &mut self,
        node: Node,
        access: &Access,
        cancels: &Cancels,
    ) -> Result<(Session, Registration), End> {
        let limit = self.config.startup_timeout;
        let opened = timeout(limit, async {
            let (minor, parameters) = self.opening(access, cancels).await?;
            let startup = Startup::read(parameters).map_err(End::Told)?;
            let key = self.authenticate(access, &startup.user).await?;
            Ok::<_, End>((minor, startup, key))
        });
        let (minor, startup, key) = opened.await.map_err(|_| {
            End::Told(SqlError::new(
                "08P01",
                "the client did not start its session in time",
            ))
        })??;
        let registration = cancels.register();
        let mut replies = Replies::default();
        if minor > 0 || !startup.unknown_options.is_empty() {
            replies.negotiate(startup.unknown_options);
        }
        replies.authenticated();
        for report in startup.settings.reports() {
            replies.setting(report);
        }
        for warning in &startup.warnings {
            replies.notice("WARNING", warning);
        }
        replies.key_data(registration.pid, registration.secret);
        let session = Session::new(node, &key, self.config.clone(), startup.settings);
        let session = session.stopped_by(registration.cancel.clone());
        replies.ready(session.status());
        self.send(&mut replies).await?;
        tracing::debug!(
            user = startup.user,
            pid = registration.pid,
            "PostgreSQL session opened"
        );
        Ok((session, registration))
    }

    /// The start-up message: its minor protocol version and parameters.
    async fn opening(
        &mut self,
        access: &Access,
        cancels: &Cancels,
    ) -> Result<(u16, Vec<(String, String)>), End> {
        let mut requests = 0;
        loop {
            let opening = Opening::take(&mut self.input).map_err(End::Told)?;
            if matches!(opening, Some(Opening::Ssl | Opening::Gss)) {
                requests += 1;
                if requests > ENCRYPTION_REQUESTS_MAX {
                    return Err(End::Closed);
                }
            }
            let tls = access.tls().filter(|_| !self.peer.tls);
            match (opening, tls) {
                (None, _) => self.receive().await?,
                (Some(Opening::Ssl), Some(tls)) => self.encrypt(tls).await?,
                (Some(Opening::Ssl | Opening::Gss), _) => {
                    self.stream.write_all(ENCRYPTION_REFUSED).await?;
                }
                (Some(Opening::Cancel { pid, secret }), _) => {
                    let known = cancels.request(pid, &secret);
                    tracing::debug!(pid, known, "cancel request");
                    return Err(End::Closed);
                }
                (Some(Opening::Startup { minor, parameters }), _) => {
                    return Ok((minor, parameters));
                }
            }
        }
    }

    async fn encrypt(&mut self, tls: &Tls) -> Result<(), End> {
        // Bytes sent before the handshake would be taken for encrypted ones.
        if !self.input.is_empty() {
            return Err(End::Told(
                SqlError::new("08P01", "received unencrypted data after SSL request")
                    .hint("Wait for the server's answer before the handshake."),
            ));
        }
        self.stream.write_all(ENCRYPTION_ACCEPTED).await?;
        Ok(self.stream.encrypt(tls, &mut self.peer).await?)
    }

    async fn serve(&mut self, mut session: Session) -> End {
        loop {
            match Message::take(&mut self.input, self.config.message_len_max) {
                Ok(Some(message)) => {
                    let more = !self.input.is_empty();
                    if session.handle(message, more).await == Next::Close {
                        return End::Closed;
                    }
                }
                Ok(None) => match self.wait(&mut session).await {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
                Err(MessageError::Skipped(error)) => session.refuse_message(error),
                Err(MessageError::Fatal(error)) => {
                    session.settle();
                    if let Err(end) = self.send(session.replies()).await {
                        return end;
                    }
                    self.unread = true;
                    return End::Told(error);
                }
            }
            if session.replies().len() > REPLIES_LEN_MAX
                && let Err(end) = self.send(session.replies()).await
            {
                return end;
            }
        }
    }

    /// Sends what waits and reads on, with the time-out of the session's state.
    async fn wait(&mut self, session: &mut Session) -> Result<(), End> {
        session.settle();
        self.send(session.replies()).await?;
        if self.input.is_empty() {
            self.arrived = None;
            if self.input.capacity() > IDLE_BUFFER_LEN_MAX {
                self.input = BytesMut::new();
            }
        }
        let (limit, error) = if !self.input.is_empty() {
            let error = SqlError::new("08P01", "the client stopped inside a message");
            (Some(self.config.stall_timeout), error)
        } else if session.in_transaction() {
            let error = SqlError::new(
                "25P03",
                "terminating connection due to idle-in-transaction timeout",
            )
            .hint("The transaction had no effect. COMMIT or ROLLBACK sooner.");
            (Some(self.config.idle_transaction_timeout), error)
        } else {
            (None, stopping())
        };
        let mut stop = self.stopping.clone();
        let told = async {
            // An error means that the server is gone: the same as being told to stop.
            let _ = stop.wait_for(|stopping| *stopping).await;
        };
        let silence = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            received = self.receive() => {
                session.forget_cancel();
                received
            }
            () = told => Err(End::Told(stopping())),
            () = silence => Err(End::Told(error)),
        }
    }

    async fn receive(&mut self) -> Result<(), End> {
        self.input.reserve(READ_LEN);
        if self.stream.read_buf(&mut self.input).await? == 0 {
            return Err(End::Closed);
        }
        // What came before is counted no more.
        self.arrived = None;
        match self.keeper.keep(self.input.capacity()) {
            Ok(arrived) => self.arrived = Some(arrived),
            Err(error) => {
                self.unread = true;
                return Err(End::Told(error));
            }
        }
        Ok(())
    }

    async fn send(&mut self, replies: &mut Replies) -> Result<(), End> {
        if replies.is_empty() {
            return Ok(());
        }
        let (bytes, _counted) = replies.take();
        // Nearly every reply fits the socket's buffer; then no timer is needed.
        let mut rest = match self.stream.try_write(&bytes) {
            Ok(sent) => bytes.get(sent..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => &bytes,
            Err(error) => return Err(error.into()),
        };
        while !rest.is_empty() {
            match timeout(self.config.stall_timeout, self.stream.write(rest)).await {
                Ok(Ok(0)) | Err(_) => return Err(End::Closed),
                Ok(sent) => rest = rest.get(sent?..).unwrap_or_default(),
            }
        }
        // Encryption holds bytes back until then.
        match timeout(self.config.stall_timeout, self.stream.flush()).await {
            Ok(flushed) => Ok(flushed?),
            Err(_) => Err(End::Closed),
        }
    }
}
