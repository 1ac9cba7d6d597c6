//! The listeners: sockets of 127.0.0.1, HTTP/1.1 by hyper, the state behind one lock.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::answer::{Ending, Wired};
use super::journal::Listener;
use super::request::{Request, form_decode, percent_decode};
use super::routes;
use super::state::State;

pub type Shared = Arc<Mutex<State>>;

/// Takes connections until the runtime ends.
pub async fn serve(socket: TcpListener, listener: Listener, state: Shared) {
    while let Ok((stream, _)) = socket.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let (socket, reset) = Socket::new(stream);
            speak(socket, reset, listener, None, state).await;
        });
    }
}

/// Speaks HTTP on one connection until it ends.
pub async fn speak<S>(
    stream: S,
    reset: Arc<AtomicBool>,
    listener: Listener,
    client: Option<String>,
    state: Shared,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let state = Arc::clone(&state);
        let client = client.clone();
        let reset = Arc::clone(&reset);
        async move { respond(request, listener, client, &state, &reset).await }
    });
    let connection = http1::Builder::new()
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // It may end by a fault of ours, or when the client goes.
    let _ = connection.await;
}

async fn respond(
    request: hyper::Request<Incoming>,
    listener: Listener,
    client: Option<String>,
    state: &Shared,
    reset: &AtomicBool,
) -> Result<hyper::Response<Wired>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, 1 << 20).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(_) => return Err(io::Error::other("a request of more than a megabyte")),
    };
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let request = Request {
        listener,
        method: parts.method.as_str().to_owned(),
        path: percent_decode(parts.uri.path()),
        query: form_decode(&raw_query),
        raw_query,
        headers: parts.headers,
        body,
        client,
    };
    let reaction = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        routes::react(&mut state, &request)
    };
    tokio::time::sleep(reaction.delay).await;
    let answer = reaction.answer;
    if let Some((_, Ending::Reset)) = answer.wire.cut {
        reset.store(true, Ordering::Relaxed);
    }
    if answer.status == 0 {
        return Err(io::Error::other("no answer"));
    }
    Ok(answer.on_the_wire(request.accepts_gzip()))
}

/// A TCP connection that can be told to end with a reset.
pub struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Socket {
    pub fn new(stream: TcpStream) -> (Self, Arc<AtomicBool>) {
        let reset = Arc::new(AtomicBool::new(false));
        let _ = stream.set_nodelay(true);
        let socket = Self {
            stream,
            reset: Arc::clone(&reset),
        };
        (socket, reset)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Before a reset nothing says good-bye.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.reset.load(Ordering::Relaxed) {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut self.stream).poll_shutdown(context),
        }
    }
}
