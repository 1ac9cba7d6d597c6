//! A mail server for tests: it speaks SMTP over a real socket with real TLS, fails at whichever
//! step it is told to, and remembers every line that it was sent and whether it was encrypted.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub const USER: &str = "orgwatch";
pub const PASSWORD: &str = "canary-Passw0rd-5f1c";

/// A step of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Connect,
    Ehlo,
    StartTls,
    SecureEhlo,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// After the dot that ends the mail.
    Dot,
}

#[derive(Debug, Clone)]
pub enum Fault {
    /// This answer instead of the right one.
    Say(String),
    Drop,
    /// Nothing, until the client goes.
    Hang,
    /// The right answer, late.
    Delay(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Plain,
    Starttls,
    Implicit,
    /// Somebody on the way has taken STARTTLS out of the greeting.
    Stripped,
    /// Somebody on the way answers in the server's place before TLS begins.
    Injected,
    /// The server knows TLS 1.1 and nothing newer.
    Tls11,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    Good,
    Expired,
    OtherHost,
    SelfSigned,
}

/// A line of the client.
#[derive(Debug, Clone)]
pub struct Line {
    pub text: String,
    pub encrypted: bool,
}

/// A mail that arrived whole; `acknowledged` once the server said so.
#[derive(Debug, Clone)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub bytes: Vec<u8>,
    pub acknowledged: bool,
}

#[derive(Default)]
pub struct State {
    pub faults: BTreeMap<Phase, Fault>,
    /// Answer to `RCPT TO` by address.
    pub recipients: BTreeMap<String, String>,
    pub lines: Vec<Line>,
    pub mails: Vec<Received>,
}

pub struct Server {
    pub port: u16,
    /// Of the authority that signed its certificate, in PEM.
    pub ca: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start(security: Security) -> Self {
        Self::with_certificate(security, Certificate::Good)
    }

    pub fn with_certificate(security: Security, certificate: Certificate) -> Self {
        let (ca, tls) = authority(certificate);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (state, tls) = (Arc::clone(&shared), Arc::clone(&tls));
                thread::spawn(move || Session::new(stream, security, tls, state).run());
            }
        });
        Self { port, ca, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn fail(&self, phase: Phase, fault: Fault) {
        self.state().faults.insert(phase, fault);
    }

    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.recipients.clear();
    }

    pub fn acknowledged(&self) -> Vec<Received> {
        let state = self.state();
        let mails = state.mails.iter().filter(|mail| mail.acknowledged);
        mails.cloned().collect()
    }

    /// Waits for mails to arrive whole, acknowledged or not.
    pub fn wait_for(&self, mails: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.state().mails.len() < mails {
            assert!(Instant::now() < deadline, "no mail came");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// All that was sent before the encryption began, as one text.
    pub fn in_clear(&self) -> String {
        let state = self.state();
        let lines = state.lines.iter().filter(|line| !line.encrypted);
        lines.map(|line| line.text.clone() + "\n").collect()
    }
}

/// An authority, and a server's TLS with a certificate of it.
pub fn authority(kind: Certificate) -> (String, Arc<ServerConfig>) {
    let (ca, certificate, key) = certified(kind);
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (ca, Arc::new(config))
}

/// An authority, a server's certificate of it, and its key, each in PEM.
pub fn pem_of(kind: Certificate) -> (String, String, String) {
    let (ca, certificate, key) = certified(kind);
    (ca, certificate.pem(), key.serialize_pem())
}

fn certified(kind: Certificate) -> (String, rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "Test authority");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let host = match kind {
        Certificate::OtherHost => "other.example.com",
        _ => "localhost",
    };
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    if kind == Certificate::Expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match kind {
        Certificate::SelfSigned => params.self_signed(&key).unwrap(),
        _ => params.signed_by(&key, &ca).unwrap(),
    };
    (ca.as_ref().pem(), certificate, key)
}

enum Wire {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(bytes),
            Wire::Secure(stream) => stream.read(bytes),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Wire::Secure(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

struct Session {
    /// Gone for the moment in which TLS begins.
    wire: Option<Wire>,
    security: Security,
    tls: Arc<ServerConfig>,
    state: Arc<Mutex<State>>,
    from: String,
    to: Vec<String>,
}

/// None ends the session.
type Step = Option<()>;

impl Session {
    fn new(
        stream: TcpStream,
        security: Security,
        tls: Arc<ServerConfig>,
        state: Arc<Mutex<State>>,
    ) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Self {
            wire: Some(Wire::Plain(stream)),
            security,
            tls,
            state,
            from: String::new(),
            to: Vec::new(),
        }
    }

    fn run(mut self) {
        let _ = self.converse();
    }

    fn converse(&mut self) -> Step {
        if self.security == Security::Implicit {
            self.begin_tls()?;
        }
        self.answer(Phase::Connect, "220 localhost ESMTP")?;
        while let Some(line) = self.line() {
            self.command(&line)?;
        }
        None
    }

    fn command(&mut self, line: &str) -> Step {
        let word = line.split(' ').next().unwrap_or_default().to_uppercase();
        match word.as_str() {
            "EHLO" => {
                let offer = match self.security {
                    Security::Starttls | Security::Injected | Security::Tls11
                        if !self.is_secure() =>
                    {
                        "250-STARTTLS\r\n"
                    }
                    _ => "",
                };
                let phase = match self.is_secure() {
                    true => Phase::SecureEhlo,
                    false => Phase::Ehlo,
                };
                // A log-in is offered in the clear too: whether one is tried is the question.
                let text = format!("250-localhost\r\n{offer}250-8BITMIME\r\n250 AUTH PLAIN LOGIN");
                self.answer(phase, &text)
            }
            "STARTTLS" => {
                self.answer(Phase::StartTls, self.go_ahead())?;
                self.begin_tls()
            }
            "AUTH" => {
                let proof = STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
                let right = line.ends_with(&proof);
                let said = match right {
                    true => "235 2.7.0 welcome",
                    false => "535 5.7.8 wrong",
                };
                self.answer(Phase::Auth, said)
            }
            "MAIL" => {
                self.from = address(line);
                self.to.clear();
                self.answer(Phase::Mail, "250 2.1.0 sender ok")
            }
            "RCPT" => {
                let to = address(line);
                let own = self.state().recipients.get(&to).cloned();
                let is_refused =
                    matches!(self.state().faults.get(&Phase::Rcpt), Some(Fault::Say(_)));
                if own.is_none() && !is_refused {
                    self.to.push(to);
                }
                let said = own.unwrap_or_else(|| "250 2.1.5 recipient ok".to_owned());
                self.answer(Phase::Rcpt, &said)
            }
            "DATA" => {
                let is_refused =
                    matches!(self.state().faults.get(&Phase::Data), Some(Fault::Say(_)));
                self.answer(Phase::Data, "354 go on")?;
                match is_refused {
                    true => Some(()),
                    false => self.mail(),
                }
            }
            "QUIT" => {
                self.say("221 bye");
                None
            }
            _ => {
                self.say("250 ok");
                Some(())
            }
        }
    }

    fn go_ahead(&self) -> &'static str {
        match self.security {
            // All answers of a whole delivery, sent before there is a key.
            Security::Injected => {
                "220 go\r\n250-localhost\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued"
            }
            _ => "220 go",
        }
    }

    fn mail(&mut self) -> Step {
        let mut bytes = Vec::new();
        loop {
            let line = self.raw_line()?;
            if line == b".\r\n" {
                break;
            }
            let unstuffed = line.strip_prefix(b".").unwrap_or(&line);
            bytes.extend_from_slice(unstuffed);
        }
        let (from, to) = (self.from.clone(), self.to.clone());
        let at = {
            let mut state = self.state();
            state.mails.push(Received {
                from,
                to,
                bytes,
                acknowledged: false,
            });
            state.mails.len() - 1
        };
        let is_refused = matches!(self.state().faults.get(&Phase::Dot), Some(Fault::Say(_)));
        self.answer(Phase::Dot, "250 2.0.0 queued as 4711")?;
        self.state().mails[at].acknowledged = !is_refused;
        Some(())
    }

    /// The right answer, or the fault of this step.
    fn answer(&mut self, phase: Phase, right: &str) -> Step {
        let fault = self.state().faults.get(&phase).cloned();
        match fault {
            None => self.say(right),
            Some(Fault::Say(wrong)) => self.say(&wrong),
            Some(Fault::Drop) => return None,
            Some(Fault::Hang) => {
                while self.line().is_some() {}
                return None;
            }
            Some(Fault::Delay(time)) => {
                thread::sleep(time);
                self.say(right);
            }
        }
        Some(())
    }

    fn begin_tls(&mut self) -> Step {
        let Some(Wire::Plain(mut stream)) = self.wire.take() else {
            return None;
        };
        if self.security == Security::Tls11 {
            let mut hello = [0; 512];
            let _ = stream.read(&mut hello);
            let _ = stream.write_all(&old_server_hello());
            let _ = stream.read(&mut hello);
            return None;
        }
        let connection = ServerConnection::new(Arc::clone(&self.tls)).unwrap();
        let stream = StreamOwned::new(connection, stream);
        self.wire = Some(Wire::Secure(Box::new(stream)));
        Some(())
    }

    fn is_secure(&self) -> bool {
        matches!(self.wire, Some(Wire::Secure(_)))
    }

    fn say(&mut self, text: &str) {
        if let Some(wire) = &mut self.wire {
            let _ = wire.write(format!("{text}\r\n").as_bytes());
        }
    }

    fn line(&mut self) -> Option<String> {
        let line = self.raw_line()?;
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn raw_line(&mut self) -> Option<Vec<u8>> {
        let encrypted = self.is_secure();
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") {
            match self.wire.as_mut()?.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                _ => return None,
            }
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        self.state().lines.push(Line { text, encrypted });
        Some(line)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn address(line: &str) -> String {
    let inner = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or(String::new(), |(address, _)| address.to_owned())
}

/// What a server says that agrees to TLS 1.1.
fn old_server_hello() -> Vec<u8> {
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    // No session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    hello.extend([0x00, 0x00, 0x2f, 0x00]);
    let body = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 0x03, 0x02, 0x00, body + 4, 0x02, 0x00, 0x00, body];
    record.extend(hello);
    record
}
