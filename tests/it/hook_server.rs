//! A service with a webhook for tests: it speaks HTTP over a real socket with real TLS, answers as
//! it is told, and remembers every post.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::smtp_server::{Certificate, authority};

/// What the server does with a post that arrived whole.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status line, headers and body.
    Say(String),
    /// A good status, and a body of which the rest never comes.
    Trickle,
    Drop,
    /// Nothing, until the client goes.
    Hang,
}

/// An answer with this status, further headers and body.
pub fn answer(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Say(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}"
    ))
}

/// A post that arrived whole.
#[derive(Debug, Clone)]
pub struct Post {
    /// First line and headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
    /// Whether it was answered with 200.
    pub acknowledged: bool,
}

impl Post {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    pub fn key(&self) -> &str {
        self.header("idempotency-key").expect("a key")
    }
}

#[derive(Default)]
pub struct State {
    /// Used up one by one; after them comes `200 ok`.
    replies: VecDeque<Reply>,
    posts: Vec<Post>,
    connections: usize,
}

pub struct HookServer {
    pub port: u16,
    /// Of the authority that signed its certificate, in PEM.
    pub ca: String,
    state: Arc<Mutex<State>>,
}

impl HookServer {
    pub fn start() -> Self {
        Self::with_certificate(Some(Certificate::Good))
    }

    /// None speaks in the clear.
    pub fn with_certificate(certificate: Option<Certificate>) -> Self {
        let (ca, tls) = certificate.map(authority).unzip();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                state.lock().unwrap().connections += 1;
                thread::spawn(move || converse(stream, tls, &state));
            }
        });
        let ca = ca.unwrap_or_default();
        Self { port, ca, state }
    }

    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().replies.extend(replies);
    }

    pub fn posts(&self) -> Vec<Post> {
        self.state().posts.clone()
    }

    pub fn acknowledged(&self) -> Vec<Post> {
        let posts = self.posts().into_iter();
        posts.filter(|post| post.acknowledged).collect()
    }

    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// Waits for posts to arrive whole, acknowledged or not.
    pub fn wait_for(&self, posts: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.state().posts.len() < posts {
            assert!(Instant::now() < deadline, "no post came");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn converse(stream: TcpStream, tls: Option<Arc<ServerConfig>>, state: &Mutex<State>) {
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).unwrap();
    let _ = match tls {
        Some(tls) => {
            let connection = ServerConnection::new(tls).unwrap();
            serve(StreamOwned::new(connection, stream), state)
        }
        None => serve(stream, state),
    };
}

fn serve(mut wire: impl Read + Write, state: &Mutex<State>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        wire.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut post = Post {
        head: String::from_utf8_lossy(&head).into_owned(),
        body: Vec::new(),
        acknowledged: false,
    };
    let length = post.header("content-length").map(|n| n.parse().unwrap());
    post.body = vec![0; length.unwrap_or(0)];
    wire.read_exact(&mut post.body)?;
    let (reply, at) = {
        let mut state = state.lock().unwrap();
        state.posts.push(post);
        (state.replies.pop_front(), state.posts.len() - 1)
    };
    let say = match reply {
        None => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        Some(Reply::Say(text)) => text,
        Some(Reply::Trickle) => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok".to_owned(),
        Some(Reply::Drop) => return Ok(()),
        Some(Reply::Hang) => {
            let _ = wire.read(&mut byte);
            return Ok(());
        }
    };
    // Before the client can know: it may be gone when the answer is out.
    state.lock().unwrap().posts[at].acknowledged = say.starts_with("HTTP/1.1 200");
    wire.write_all(say.as_bytes())?;
    wire.flush()?;
    // Until the client has read it all.
    let _ = wire.read(&mut byte);
    Ok(())
}
