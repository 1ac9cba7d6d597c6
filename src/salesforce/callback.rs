//! Where the browser comes back to: one path of one port of this machine, for as long as somebody
//! waits for it. Each connection has a thread, a few seconds and one question; whatever does not
//! belong to the sign-in is answered, counted and forgotten.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use reqwest::Url;

use super::authorize::{Approval, Brought, CALLBACK_PATH, Question};
use super::{Class, Retry, SalesforceError};
use crate::config::Salesforce;

/// Longest head of a request, in bytes: browsers send cookies of other servers of this machine.
const MAX_HEAD: usize = 32 << 10;
/// How long a request may take to come, and its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections at one time; browsers open some that they never use.
const MOST_CONNECTIONS: usize = 64;
/// Before the next attempt, where the machine has no room for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What a person is told in the browser.
struct Page {
    status: &'static str,
    title: &'static str,
    text: &'static str,
}

const RECEIVED: Page = Page {
    status: "200 OK",
    title: "The org has answered",
    text: "Go back to the terminal: it says what this user may read. This page can be closed.",
};
const REFUSED: Page = Page {
    status: "200 OK",
    title: "The org has refused",
    text: "Go back to the terminal: it says why, and what to do. This page can be closed.",
};
const FOREIGN: Page = Page {
    status: "400 Bad Request",
    title: "Not of this sign-in",
    text: "What came here does not belong to the sign-in that the terminal waits for. Open the address that it shows, and no older one.",
};
const OVER: Page = Page {
    status: "410 Gone",
    title: "This sign-in is over",
    text: "The terminal has its answer already. This page can be closed.",
};
const SIGN_IN_ONLY: &str = "This address is for a sign-in only.";
const NOT_FOUND: Page = Page {
    status: "404 Not Found",
    title: "Nothing is here",
    text: SIGN_IN_ONLY,
};
const WRONG_METHOD: Page = Page {
    status: "405 Method Not Allowed",
    title: "Nothing is taken here",
    text: SIGN_IN_ONLY,
};
const MALFORMED: Page = Page {
    status: "400 Bad Request",
    title: "Not understood",
    text: SIGN_IN_ONLY,
};
const TOO_LONG: Page = Page {
    status: "431 Request Header Fields Too Large",
    title: "Too long",
    text: "Delete the cookies of localhost in this browser, or use a private window, and open the address once more.",
};
const TOO_SLOW: Page = Page {
    status: "408 Request Timeout",
    title: "Too slow",
    text: "Open the address once more.",
};

type Outcome = Result<Approval, SalesforceError>;

/// One sign-in that is waited for. Nobody listens any more when it is dropped.
pub struct Callback {
    desk: Arc<Desk>,
    address: SocketAddr,
    outcome: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections share.
struct Desk {
    question: Question,
    /// Until the first answer.
    told: Mutex<Option<Sender<Outcome>>>,
    strays: AtomicUsize,
    connections: AtomicUsize,
    is_closed: AtomicBool,
}

impl Callback {
    /// Listens from now on, on this machine's own address only.
    ///
    /// # Errors
    /// [`Class::Config`] where the port is taken.
    pub fn listen(port: u16) -> Result<Self, SalesforceError> {
        let unusable = |error: io::Error| {
            SalesforceError::Setup {
            what: format!("cannot listen on port {port} of this machine: {error}"),
            fix: "end the program that uses it (`ss -ltnp` names it), or take another with --port, whose callback URL the app must name as well".into(),
        }
        };
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(unusable)?;
        let address = socket.local_addr().map_err(unusable)?;
        let (told, outcome) = mpsc::channel();
        let desk = Arc::new(Desk {
            question: Question::new(address.port())?,
            told: Mutex::new(Some(told)),
            strays: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
        });
        let thread = thread::Builder::new().name("callback".to_owned());
        let thread = thread.spawn({
            let desk = Arc::clone(&desk);
            move || take(&socket, &desk)
        });
        Ok(Self {
            desk,
            address,
            outcome,
            thread: Some(thread.map_err(unusable)?),
        })
    }

    /// The callback URL that the app must name.
    pub fn url(&self) -> &str {
        self.desk.question.redirect_uri()
    }

    /// Where the person goes.
    pub fn authorize_url(&self, settings: &Salesforce) -> Url {
        let question = &self.desk.question;
        question.authorize_url(&settings.login_url, &settings.client_id)
    }

    /// Waits until the person has approved.
    ///
    /// # Errors
    /// The org's refusal, as the browser brings it; [`Class::Passing`] where nobody comes in time.
    pub fn wait(&self, patience: Duration) -> Result<Approval, SalesforceError> {
        let outcome = self.outcome.recv_timeout(patience);
        outcome.unwrap_or_else(|_| Err(self.nobody_came()))
    }

    /// Callbacks so far that did not belong to this sign-in.
    pub fn strays(&self) -> usize {
        self.desk.strays.load(Ordering::Relaxed)
    }

    fn nobody_came(&self) -> SalesforceError {
        SalesforceError::SignIn {
            class: Class::Passing,
            what: "no sign-in: the browser did not come back in time".to_owned(),
            code: None,
            fix: format!(
                "where it shows redirect_uri_mismatch, add {} to the callback URLs of the app (it takes up to 10 minutes); where it cannot reach localhost, it runs on another machine: forward the port to this one; --timeout waits longer",
                self.url()
            )
            .into(),
            retry: Retry::Never,
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.desk.is_closed.store(true, Ordering::Relaxed);
        // Whoever waits for a connection gets this one, and sees that it is the last.
        let last = TcpStream::connect_timeout(&self.address, PATIENCE);
        if let Some(thread) = self.thread.take().filter(|_| last.is_ok()) {
            // A panic in it was told already.
            let _ = thread.join();
        }
    }
}

/// Takes connections until the desk is closed.
fn take(socket: &TcpListener, desk: &Arc<Desk>) {
    for stream in socket.incoming() {
        if desk.is_closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else {
            thread::sleep(PAUSE);
            continue;
        };
        if let Some(place) = Place::at(desk) {
            let thread = thread::Builder::new().name("callback".to_owned());
            // Without a thread the connection is closed, and the browser tries again.
            let _ = thread.spawn(move || serve(stream, &place.0));
        }
    }
}

/// One of the desk's connections.
struct Place(Arc<Desk>);

impl Place {
    fn at(desk: &Arc<Desk>) -> Option<Self> {
        let before = desk.connections.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(desk));
        (before < MOST_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One question, one answer. What goes wrong with it is the browser's to repeat.
fn serve(mut stream: TcpStream, desk: &Desk) {
    let deadline = Instant::now() + PATIENCE;
    let (page, outcome) = match head(&mut stream, deadline) {
        Ok(Some(head)) => desk.judge(&head),
        Ok(None) => (TOO_LONG, None),
        Err(error) if is_slow(&error) => (TOO_SLOW, None),
        // Nobody is there, or there was nothing to ask.
        Err(_) => return,
    };
    // The page first: the program may end as soon as it knows the outcome.
    let answered = answer(&mut stream, &page);
    if let Some((told, outcome)) = outcome {
        // Nobody waits any more: it was too late.
        let _ = told.send(outcome);
    }
    // What is left unread when a connection is closed can take the answer with it.
    let _ = answered.and_then(|()| read_rest(&mut stream, deadline));
}

impl Desk {
    /// What to show; and what to tell, where this is the answer that is waited for.
    fn judge(&self, head: &[u8]) -> (Page, Option<(Sender<Outcome>, Outcome)>) {
        let Some((method, target)) = request_line(head) else {
            return (MALFORMED, None);
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path != CALLBACK_PATH {
            return (NOT_FOUND, None);
        }
        if method != "GET" {
            return (WRONG_METHOD, None);
        }
        let (page, outcome) = match self.question.judge(query) {
            Brought::Approval(approval) => (RECEIVED, Ok(approval)),
            Brought::Refusal(error) => (REFUSED, Err(error)),
            Brought::Nothing => {
                self.strays.fetch_add(1, Ordering::Relaxed);
                return (FOREIGN, None);
            }
        };
        let told = self
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match told {
            Some(told) => (page, Some((told, outcome))),
            None => (OVER, None),
        }
    }
}

/// Everything up to the empty line; None where that is too long.
fn head(stream: &mut TcpStream, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while head.len() <= MAX_HEAD {
        stream.set_read_timeout(Some(left(deadline)?))?;
        let length = match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => length,
        };
        // The empty line may have begun in the piece before.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(&piece[..length]);
        if head[from..].windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

fn read_rest(stream: &mut TcpStream, deadline: Instant) -> io::Result<()> {
    let mut rest = [0; 4096];
    let mut read = 0;
    while read < MAX_HEAD {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut rest)? {
            0 => break,
            length => read += length,
        }
    }
    Ok(())
}

/// Method and target of HTTP/1.
fn request_line(head: &[u8]) -> Option<(&str, &str)> {
    let line = head.split(|b| *b == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut parts = line.split(' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && matches!(version, "HTTP/1.0" | "HTTP/1.1");
    let is_plain = target.bytes().all(|b| b.is_ascii_graphic());
    (is_whole && is_plain).then_some((method, target))
}

fn answer(stream: &mut TcpStream, page: &Page) -> io::Result<()> {
    let Page {
        status,
        title,
        text,
    } = page;
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>orgwatch: {title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n</html>\n"
    );
    let length = body.len();
    let allow = match page.status == WRONG_METHOD.status {
        true => "allow: GET\r\n",
        false => "",
    };
    let whole = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {length}\r\n{allow}{HEADERS}\r\n{body}"
    );
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(whole.as_bytes())?;
    stream.shutdown(Shutdown::Write)
}

/// The address of the page holds the code: it goes to no cache, no other page and no script.
const HEADERS: &str = "connection: close\r\n\
    cache-control: no-store\r\n\
    referrer-policy: no-referrer\r\n\
    content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    x-content-type-options: nosniff\r\n";

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

fn is_slow(error: &io::Error) -> bool {
    // Which of them a socket says depends on the system.
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}
