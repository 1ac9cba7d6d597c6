//! Transport `smtp`: one conversation with the mail server for each mail.
//!
//! No password and no mail leaves before the server has proved who it is: STARTTLS is demanded,
//! not hoped for, and the certificate is verified against the system's roots or the given CA.
//! Plaintext is for this machine only. The library's own `send` gives up a mail at the first
//! refused recipient; the steps are taken one by one here, so that the others get it.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, SmtpConnection, TlsParameters, TlsVersion,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;

use super::{Letter, MAX_ANSWER, Trouble, verdicts};
use crate::alert::AlertError;
use crate::config::{Server, TlsMode};
use crate::lake::{MailState, Verdict};
use crate::privacy::{Secret, printable};

/// Codes by which a server asks for a log-in, or refuses one.
const LOG_IN: [u16; 4] = [530, 534, 535, 538];
const CLOSING: u16 = 421;
const LOGGED_IN: u16 = 235;
const GO_AHEAD: u16 = 354;
const DONE: u16 = 250;
/// How long one looks for answers that were sent before TLS began.
const GLANCE: Duration = Duration::from_millis(5);

pub struct SmtpTransport {
    host: String,
    port: u16,
    mode: TlsMode,
    /// None for plaintext.
    tls: Option<TlsParameters>,
    log_in: Option<LogIn>,
    from: Address,
    helo: ClientId,
    timeout: Duration,
}

struct LogIn {
    username: String,
    password: Secret,
}

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connect,
    StartTls,
    LogIn,
    Sender,
    Recipient,
    Data,
    /// The mail is out, the server's word is not in.
    End,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Connect => "at the greeting",
            Phase::StartTls => "at STARTTLS",
            Phase::LogIn => "at the log-in",
            Phase::Sender => "at the sender (MAIL FROM)",
            Phase::Recipient => "at a recipient (RCPT TO)",
            Phase::Data => "before the mail (DATA)",
            Phase::End => "after the mail",
        })
    }
}

impl SmtpTransport {
    /// Reads the CA and checks what can be checked without the server.
    pub(super) fn open(
        server: &Server,
        from: Address,
        password: Option<Secret>,
    ) -> Result<Self, AlertError> {
        let host = server.host.value.as_deref().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mode = server.tls.value;
        let tls = match mode {
            TlsMode::None => None,
            TlsMode::Starttls | TlsMode::Implicit => {
                Some(tls_parameters(host, server.ca_file.value.as_deref())?)
            }
        };
        let log_in = server.username.value.clone().zip(password);
        let helo = server.helo.value.as_deref();
        Ok(Self {
            host: host.to_owned(),
            port: *server.port,
            mode,
            tls,
            log_in: log_in.map(|(username, password)| LogIn { username, password }),
            from,
            helo: helo.map(client_id).unwrap_or_default(),
            timeout: Duration::from_secs(u64::from(*server.timeout_seconds)),
        })
    }

    pub(super) fn describe(&self) -> String {
        format!("{}:{} (tls {})", self.host, self.port, self.mode)
    }

    pub(super) fn deliver(&self, letter: &Letter<'_>) -> Result<Vec<Verdict>, Trouble> {
        let mut server = self.connect()?;
        let verdicts = self.hand_over(&mut server, letter);
        if verdicts.is_ok() {
            // What it says to that changes nothing; after a trouble one waits for no more words.
            let _ = server.quit();
        }
        verdicts
    }

    /// A connection on which a mail may go: encrypted, and logged in where a user is set.
    fn connect(&self) -> Result<SmtpConnection, Trouble> {
        let addresses = self.addresses()?;
        let at_once = match self.mode {
            TlsMode::Implicit => self.tls.as_ref(),
            TlsMode::Starttls | TlsMode::None => None,
        };
        let mut server = SmtpConnection::connect(
            addresses.as_slice(),
            Some(self.timeout),
            &self.helo,
            at_once,
            None,
        )
        .map_err(|error| self.trouble(Phase::Connect, &error))?;
        if let (TlsMode::Starttls, Some(tls)) = (self.mode, &self.tls) {
            self.start_tls(&mut server, tls)?;
        }
        let Some(LogIn { username, password }) = &self.log_in else {
            return Ok(server);
        };
        // The configuration refuses a user without TLS; this is the last door before the wire.
        if !server.is_encrypted() {
            return Err(self.stop(Phase::LogIn, "the connection is not encrypted", FIX_TLS));
        }
        let credentials = Credentials::new(username.clone(), password.expose().to_owned());
        let answer = server.auth(DEFAULT_MECHANISMS, &credentials);
        let answer = answer.map_err(|error| self.trouble(Phase::LogIn, &error))?;
        if !answer.has_code(LOGGED_IN) {
            return Err(self.out_of_step(Phase::LogIn, &answer));
        }
        Ok(server)
    }

    /// Addresses of the server; in plaintext none but this machine's own.
    fn addresses(&self) -> Result<Vec<SocketAddr>, Trouble> {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let found: Vec<_> = found
            .map_err(|error| self.stop(Phase::Connect, &error.to_string(), FIX_HOST))?
            .collect();
        if self.mode == TlsMode::None && !found.iter().all(|address| address.ip().is_loopback()) {
            let what = "the name leads to another machine, and there is no TLS";
            return Err(self.stop(Phase::Connect, what, FIX_TLS));
        }
        Ok(found)
    }

    fn start_tls(&self, server: &mut SmtpConnection, tls: &TlsParameters) -> Result<(), Trouble> {
        if !server.can_starttls() {
            let what = "the server does not offer STARTTLS, or somebody on the way hides it";
            return Err(self.stop(Phase::StartTls, what, FIX_STARTTLS));
        }
        let started = server.starttls(tls, &self.helo);
        started.map_err(|error| self.trouble(Phase::StartTls, &error))?;
        // Answers that were sent before the encryption began stand in the buffer as if the
        // server had given them under its protection: whoever is on the way could write them.
        let glanced = server
            .set_timeout(Some(GLANCE))
            .map(|()| server.read_response());
        let unasked = match glanced {
            Ok(Err(error)) => !is_timeout(&error),
            Ok(Ok(_)) | Err(_) => true,
        };
        if unasked || server.set_timeout(Some(self.timeout)).is_err() {
            let what = "an answer came that nothing had asked for";
            return Err(self.stop(Phase::StartTls, what, FIX_STARTTLS));
        }
        Ok(())
    }

    fn hand_over(
        &self,
        server: &mut SmtpConnection,
        letter: &Letter<'_>,
    ) -> Result<Vec<Verdict>, Trouble> {
        let mut options = Vec::new();
        let info = server.server_info();
        let has_utf8 = info.supports_feature(Extension::SmtpUtfEight);
        let from: &str = self.from.as_ref();
        let is_utf8 = !letter.to.iter().all(|to| to.is_ascii()) || !from.is_ascii();
        if is_utf8 && has_utf8 {
            options.push(MailParameter::SmtpUtfEight);
        }
        if !letter.bytes.is_ascii() && info.supports_feature(Extension::EightBitMime) {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let sender = Mail::new(Some(self.from.clone()), options);
        match server.command(sender) {
            Ok(answer) if answer.has_code(DONE) => {}
            Ok(answer) => return Err(self.out_of_step(Phase::Sender, &answer)),
            Err(error) => {
                let (state, answer) = self.verdict(Phase::Sender, &error)?;
                return Ok(verdicts(letter.to, state, &answer));
            }
        }

        let mut settled = Vec::new();
        let mut willing = Vec::new();
        for recipient in letter.to {
            let address = recipient.parse::<Address>();
            let Some(address) = address.ok().filter(|_| has_utf8 || recipient.is_ascii()) else {
                let answer = "the server takes no such address";
                let one = std::slice::from_ref(recipient);
                settled.extend(verdicts(one, MailState::Failed, answer));
                continue;
            };
            match server.command(Rcpt::new(address, Vec::new())) {
                Ok(answer) if is_accepted(&answer) => willing.push(recipient.clone()),
                Ok(answer) => return Err(self.out_of_step(Phase::Recipient, &answer)),
                Err(error) => {
                    let (state, answer) = self.verdict(Phase::Recipient, &error)?;
                    settled.extend(verdicts(std::slice::from_ref(recipient), state, &answer));
                }
            }
        }
        if willing.is_empty() {
            return Ok(settled);
        }

        let (state, answer) = self.body(server, letter.bytes)?;
        settled.extend(verdicts(&willing, state, &answer));
        Ok(settled)
    }

    /// The mail itself, for the recipients that the server took.
    fn body(
        &self,
        server: &mut SmtpConnection,
        bytes: &[u8],
    ) -> Result<(MailState, String), Trouble> {
        match server.command(Data) {
            Ok(answer) if answer.has_code(GO_AHEAD) => {}
            Ok(answer) => return Err(self.out_of_step(Phase::Data, &answer)),
            Err(error) => return self.verdict(Phase::Data, &error),
        }
        // The library ends the last line itself: so the mail arrives as it was written.
        let bytes = bytes.strip_suffix(b"\r\n").unwrap_or(bytes);
        match server.message(bytes) {
            Ok(answer) if is_accepted(&answer) => Ok((MailState::Sent, self.said(&answer))),
            Ok(answer) => Err(self.out_of_step(Phase::End, &answer)),
            Err(error) => self.verdict(Phase::End, &error),
        }
    }

    /// What a refusal says of the mail; a trouble where it says nothing of it.
    fn verdict(&self, phase: Phase, error: &Error) -> Result<(MailState, String), Trouble> {
        let code = code_of(error);
        match code {
            Some(CLOSING) | None => Err(self.trouble(phase, error)),
            Some(code) if LOG_IN.contains(&code) => Err(self.trouble(phase, error)),
            Some(code) => {
                let state = match code {
                    ..500 => MailState::Pending,
                    _ => MailState::Failed,
                };
                let words = self.without_secrets(&words_of(error));
                Ok((state, printable(&format!("{code} {words}"), MAX_ANSWER)))
            }
        }
    }

    fn trouble(&self, phase: Phase, error: &Error) -> Trouble {
        let words = self.without_secrets(&words_of(error));
        let (what, fix, is_passing) = match code_of(error) {
            Some(code) if LOG_IN.contains(&code) || phase == Phase::LogIn => {
                (format!("{code} {words}"), FIX_LOG_IN, false)
            }
            Some(code) => (
                format!("{code} {words}"),
                FIX_LATER,
                // A server that greets with a refusal greets the next mail so.
                !matches!(phase, Phase::Connect | Phase::StartTls),
            ),
            None if is_timeout(error) => {
                let seconds = self.timeout.as_secs();
                let what = format!("no answer within {seconds} seconds");
                (what, FIX_LATER, phase != Phase::Connect)
            }
            None if is_tls(error) => (words, FIX_CERTIFICATE, false),
            None if phase == Phase::Connect => (words, FIX_HOST, false),
            None if phase == Phase::LogIn && error.is_client() => (words, FIX_LOG_IN, false),
            None => (words, FIX_LATER, true),
        };
        Trouble {
            is_passing,
            ..self.stop(phase, &what, fix)
        }
    }

    /// The server gave an answer that does not belong to the question.
    fn out_of_step(&self, phase: Phase, answer: &Response) -> Trouble {
        let what = format!("an answer out of place: {}", self.said(answer));
        self.stop(phase, &what, FIX_LATER)
    }

    fn stop(&self, phase: Phase, what: &str, fix: &str) -> Trouble {
        let what = printable(what, MAX_ANSWER);
        Trouble {
            what: format!("{}:{} {phase}: {what}", self.host, self.port),
            fix: fix.to_owned(),
            is_passing: false,
        }
    }

    fn said(&self, answer: &Response) -> String {
        let lines: Vec<&str> = answer.message().collect();
        let text = format!("{} {}", answer.code(), lines.join(" "));
        printable(&self.without_secrets(&text), MAX_ANSWER)
    }

    /// A server may repeat what it was told, the password too.
    fn without_secrets(&self, text: &str) -> String {
        let Some(LogIn { username, password }) = &self.log_in else {
            return text.to_owned();
        };
        let password = password.expose();
        let forms = [
            password.to_owned(),
            STANDARD.encode(password),
            STANDARD.encode(format!("\0{username}\0{password}")),
        ];
        match forms.iter().any(|form| text.contains(form)) {
            true => "(an answer that repeats the password)".to_owned(),
            false => text.to_owned(),
        }
    }
}

const FIX_HOST: &str =
    "check `host` and `port` in [alert.email], and that the server can be reached from here";
const FIX_TLS: &str = "use tls = \"starttls\" or \"implicit\" in [alert.email]";
const FIX_STARTTLS: &str = "nothing was sent; use the server's submission port, or tls = \"implicit\" (port 465) in [alert.email]";
const FIX_CERTIFICATE: &str = "nothing was sent; the server's certificate must be in date, name the `host` of [alert.email], and come from a CA that this machine trusts or `ca_file` holds";
const FIX_LOG_IN: &str =
    "check `username` and the password of [alert.email]; `orgwatch alert test` tries them";
const FIX_LATER: &str = "the next run tries again; see the server's log if it stays so";

fn tls_parameters(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, AlertError> {
    let mut builder =
        TlsParameters::builder(host.to_owned()).set_min_tls_version(TlsVersion::Tlsv12);
    if let Some(path) = ca_file {
        let unreadable = |source| AlertError::CaFile {
            section: SECTION.to_owned(),
            path: path.to_owned(),
            source,
        };
        let pem = std::fs::read(path).map_err(unreadable)?;
        let garbage = || unreadable(io::Error::other("it holds no certificate in PEM"));
        let certificate = Certificate::from_pem(&pem).map_err(|_| garbage())?;
        if !pem.windows(BEGIN.len()).any(|part| part == BEGIN) {
            return Err(garbage());
        }
        // The given CA instead of the system's, not beside it.
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate);
    }
    builder.build().map_err(|error| AlertError::Tls {
        section: SECTION.to_owned(),
        what: printable(&error.to_string(), MAX_ANSWER),
    })
}

const SECTION: &str = "[alert.email]";
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn client_id(name: &str) -> ClientId {
    match name.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(std::net::IpAddr::V4(ip)) => ClientId::Ipv4(ip),
        Ok(std::net::IpAddr::V6(ip)) => ClientId::Ipv6(ip),
        Err(_) => ClientId::Domain(name.to_owned()),
    }
}

/// 250, or 251 for a recipient that the server forwards to.
fn is_accepted(answer: &Response) -> bool {
    answer.has_code(DONE) || answer.has_code(251)
}

fn code_of(error: &Error) -> Option<u16> {
    error.status()?.to_string().parse().ok()
}

/// The innermost words of an error: those of the server, where it spoke.
fn words_of(error: &Error) -> String {
    match error.source() {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

fn io_kinds(error: &Error) -> impl Iterator<Item = io::ErrorKind> {
    let first: Option<&(dyn std::error::Error + 'static)> = error.source();
    let chain = std::iter::successors(first, |cause| (*cause).source());
    chain.filter_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind))
}

/// A socket whose time is up says `WouldBlock` here, `TimedOut` while it connects.
fn is_timeout(error: &Error) -> bool {
    io_kinds(error).any(|kind| matches!(kind, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock))
}

/// The handshake takes place at the first byte that is read or written, and its errors are the
/// stream's.
fn is_tls(error: &Error) -> bool {
    error.is_tls() || io_kinds(error).any(|kind| kind == io::ErrorKind::InvalidData)
}
