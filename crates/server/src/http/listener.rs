//! The listener: a bounded number of connections, none of which may sit idle for long.
//!
//! With a certificate it speaks TLS to whoever begins a handshake; others may be on this machine, and
//! are answered in plain, if only to be turned away.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_rustls::Accept;

use crate::access::{Peer, Stream, Tls};

/// First byte of a TLS handshake; no HTTP request begins with it.
const HANDSHAKE: u8 = 0x16;

/// Accepts while there are connections to spare; the others wait in the system's queue.
pub(super) struct BoundedListener {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    idle_timeout: Duration,
    tls: Option<Tls>,
}

/// The other end of a connection, known once its first request is.
#[derive(Clone)]
pub(super) struct ConnectedPeer {
    address: SocketAddr,
    encrypted: Arc<OnceLock<Peer>>,
}

impl ConnectedPeer {
    /// What is known of it.
    pub(super) fn peer(&self) -> Peer {
        match self.encrypted.get() {
            Some(peer) => peer.clone(),
            None => Peer::at(self.address.ip()),
        }
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for ConnectedPeer {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self {
            address: *stream.remote_addr(),
            encrypted: stream.io().encrypted.clone(),
        }
    }
}

impl BoundedListener {
    pub(super) fn new(
        listener: TcpListener,
        connections_max: usize,
        idle_timeout: Duration,
        tls: Option<Tls>,
    ) -> Self {
        Self {
            listener,
            connections: Arc::new(Semaphore::new(connections_max)),
            idle_timeout,
            tls,
        }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        // The semaphore is never closed, so a permit always comes.
        let permit = self.connections.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let state = match &self.tls {
            Some(tls) => State::New(stream, tls.clone()),
            None => State::Open(Stream::Plain(stream)),
        };
        let stream = BoundedStream {
            state,
            peer: Peer::at(address.ip()),
            encrypted: Arc::default(),
            idle: Box::pin(tokio::time::sleep(self.idle_timeout)),
            idle_timeout: self.idle_timeout,
            _permit: permit,
        };
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that fails once no byte has moved for its idle time.
pub(super) struct BoundedStream {
    state: State,
    peer: Peer,
    encrypted: Arc<OnceLock<Peer>>,
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
    _permit: Option<OwnedSemaphorePermit>,
}

enum State {
    /// Nothing has come yet.
    New(TcpStream, Tls),
    /// The handshake goes on.
    Handshake(Box<Accept<TcpStream>>),
    /// Requests may come.
    Open(Stream),
}

impl BoundedStream {
    /// The connection, once its handshake is done.
    fn open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&mut Stream>> {
        if let State::New(stream, _) = &mut self.state {
            let mut first = [0];
            let mut buffer = ReadBuf::new(&mut first);
            ready!(stream.poll_peek(context, &mut buffer))?;
            let handshake = buffer.filled() == [HANDSHAKE];
            self.state = match std::mem::replace(&mut self.state, State::Open(Stream::Broken)) {
                State::New(stream, tls) if handshake => {
                    State::Handshake(Box::new(tls.accept(stream)))
                }
                State::New(stream, _) => State::Open(Stream::Plain(stream)),
                other => other,
            };
        }
        if let State::Handshake(accept) = &mut self.state {
            let stream = ready!(Pin::new(accept.as_mut()).poll(context))?;
            self.state = State::Open(Stream::encrypted(stream, &mut self.peer));
            // Set once, before the first request is read.
            let _ = self.encrypted.set(self.peer.clone());
        }
        match &mut self.state {
            State::Open(stream) => Poll::Ready(Ok(stream)),
            State::New(..) | State::Handshake(_) => Poll::Pending,
        }
    }

    /// A result that is there restarts the idle time; none is an error once the time is over.
    fn watch<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            let end = Instant::now() + self.idle_timeout;
            self.idle.as_mut().reset(end);
            return polled;
        }
        match self.idle.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = match self.open(context) {
            Poll::Ready(Ok(stream)) => Pin::new(stream).poll_read(context, buffer),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        self.watch(polled, context)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = match self.open(context) {
            Poll::Ready(Ok(stream)) => Pin::new(stream).poll_write(context, bytes),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        self.watch(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(ready!(self.open(context))?).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Open(stream) => Pin::new(stream).poll_shutdown(context),
            State::New(..) | State::Handshake(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = match self.open(context) {
            Poll::Ready(Ok(stream)) => Pin::new(stream).poll_write_vectored(context, pieces),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        self.watch(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.state {
            State::Open(stream) => stream.is_write_vectored(),
            State::New(..) | State::Handshake(_) => false,
        }
    }
}
