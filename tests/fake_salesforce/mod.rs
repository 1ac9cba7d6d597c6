//! A fake Salesforce org on 127.0.0.1 that behaves like the real one, the unpleasant parts
//! included. `FIDELITY.md` says what of it is documented, what was seen and what is assumed.
//!
//! ```ignore
//! let org = FakeSf::start(Scenario::org().without("ViewSetup"));
//! org.with(|state| state.faults.push(Fault::on("LogFile$").status(503).times(2)));
//! // … a client talks to org.login_url() …
//! assert_eq!(org.with(|state| state.journal.logins()), 1);
//! ```
//!
//! Time stands still unless `FakeSf::clock` is moved; a client under test gets the same clock.

// Two programs include this folder, and each uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod answer;
pub mod authorize;
pub mod check;
pub mod clock;
pub mod control;
pub mod evaluate;
pub mod faults;
pub mod ids;
pub mod journal;
pub mod keys;
pub mod log_files;
pub mod objects;
pub mod query;
pub mod quirks;
pub mod request;
pub mod routes;
pub mod sample_org;
pub mod scenario;
pub mod server;
pub mod soql;
pub mod state;
pub mod tls;
pub mod token;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use clock::Clock;
use journal::{Breach, Entry, Listener};
use server::Shared;
use state::{Addresses, State};
use tls::Shown;

pub use answer::Ending;
pub use clock::time;
pub use faults::{Action, Fault};
pub use log_files::Blob;
pub use scenario::{CLIENT_ID, CLIENT_SECRET, Scenario, USERNAME};

/// A running fake org; it stops when this is dropped.
pub struct FakeSf {
    state: Shared,
    clock: Clock,
    addresses: Addresses,
    folder: tempfile::TempDir,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl FakeSf {
    /// Starts it on free ports.
    pub fn start(scenario: Scenario) -> Self {
        Self::start_at(scenario, 0)
    }

    /// Starts it with its My Domain at this port, or a free one for 0.
    pub fn start_at(scenario: Scenario, port: u16) -> Self {
        let mut state = scenario.state;
        let clock = state.clock.clone();
        let my_domain = Door::open(port, "http://127.0.0.1");
        let login = Door::open(0, "http://127.0.0.1");
        let evil = Door::open(0, "http://127.0.0.1");
        let tls = Door::open(0, "https://localhost");
        let mutual_tls = Door::open(0, "https://localhost");
        let control = Door::open(0, "http://127.0.0.1");
        let addresses = Addresses {
            login: login.url.clone(),
            my_domain: my_domain.url.clone(),
            tls: tls.url.clone(),
            mutual_tls: mutual_tls.url.clone(),
            evil: evil.url.clone(),
            control: control.url.clone(),
        };
        state.addresses = addresses.clone();
        let state: Shared = Arc::new(Mutex::new(state));
        let (stop, stopped) = oneshot::channel::<()>();
        let (runtime, thread) = run(stopped);
        let folder = tempfile::tempdir().expect("a folder");
        keys::write_client_files(folder.path());
        tls::write_client_files(folder.path());
        let fake = Self {
            state,
            clock,
            addresses,
            folder,
            runtime,
            stop: Some(stop),
            thread: Some(thread),
        };
        fake.serve(my_domain, Listener::MyDomain, None);
        fake.serve(login, Listener::Login, None);
        fake.serve(evil, Listener::Evil, None);
        fake.serve(control, Listener::Control, None);
        fake.serve(tls, Listener::Tls, Some(Shown::Good));
        fake.serve(mutual_tls, Listener::MutualTls, Some(Shown::GoodWithClient));
        fake
    }

    fn serve(&self, door: Door, listener: Listener, shown: Option<Shown>) {
        let state = Arc::clone(&self.state);
        self.runtime.spawn(async move {
            let socket = TcpListener::from_std(door.socket).expect("a socket of this runtime");
            match shown {
                Some(shown) => tls::serve(socket, shown, listener, state).await,
                None => server::serve(socket, listener, state).await,
            }
        });
    }

    /// A further listener, whose TLS is so; its address. Journal entries of it say `Tls`.
    pub fn tls_with(&self, shown: Shown) -> String {
        let door = Door::open(0, "https://localhost");
        let url = door.url.clone();
        self.serve(door, Listener::Tls, Some(shown));
        url
    }

    /// My Domain, which the setting `login_url` is for: everything is here. Without a slash at its
    /// end, like all of these.
    pub fn login_url(&self) -> &str {
        &self.addresses.my_domain
    }

    /// The host that all orgs share: only OAuth, and not client credentials.
    pub fn shared_login_url(&self) -> &str {
        &self.addresses.login
    }

    /// My Domain by TLS, with a certificate of `ca_pem_file`.
    pub fn tls_url(&self) -> &str {
        &self.addresses.tls
    }

    /// My Domain by TLS that wants the client's certificate.
    pub fn mtls_url(&self) -> &str {
        &self.addresses.mutual_tls
    }

    /// A stranger, who must never hear a credential.
    pub fn evil_url(&self) -> &str {
        &self.addresses.evil
    }

    /// Where programs steer it; see [`control`].
    pub fn control_url(&self) -> &str {
        &self.addresses.control
    }

    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Looks into the org, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut state)
    }

    pub fn fault(&self, fault: Fault) {
        self.with(|state| state.faults.push(fault));
    }

    /// All requests so far.
    pub fn journal(&self) -> Vec<Entry> {
        self.with(|state| state.journal.entries.clone())
    }

    /// Requests whose path contains this.
    pub fn asked(&self, path: &str) -> usize {
        self.with(|state| state.journal.of(path).len())
    }

    pub fn logins(&self) -> usize {
        self.with(|state| state.journal.logins())
    }

    /// Rules that the client broke so far.
    pub fn breaches(&self) -> Vec<Breach> {
        self.with(|state| state.journal.breaches.clone())
    }

    /// Everything that must not be seen anywhere outside: tokens, secrets, key material.
    pub fn secrets(&self) -> Vec<String> {
        let tokens = self.with(|state| {
            let tokens = state.tokens.iter().map(|token| &token.value);
            let refresh = state.refresh_tokens.iter().map(|token| &token.value);
            let codes = state.codes.iter().map(|code| &code.value);
            let all = tokens.chain(refresh).chain(codes).chain(&state.verifiers);
            all.cloned().collect::<Vec<String>>()
        });
        let key = keys::jwt_key_pem();
        let line = key.lines().nth(3).unwrap_or_default().to_owned();
        let known = [CLIENT_SECRET.to_owned(), "LEAK-CANARY".to_owned(), line];
        tokens.into_iter().chain(known).collect()
    }

    /// Folder of all files below; goes with this.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The integration's key for JWT, PKCS#8, mode 0600.
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join(keys::JWT_KEY)
    }

    /// Its certificate.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.path().join(keys::JWT_CERTIFICATE)
    }

    /// The app's secret for client credentials, mode 0600.
    pub fn secret_file(&self) -> PathBuf {
        self.folder.path().join(keys::SECRET)
    }

    /// The authority of `tls_url` and `mtls_url`.
    pub fn ca_pem_file(&self) -> PathBuf {
        self.folder.path().join(tls::CA)
    }

    /// Key and certificate that `mtls_url` takes.
    pub fn client_key_file(&self) -> PathBuf {
        self.folder.path().join(tls::CLIENT_KEY)
    }

    pub fn client_certificate_file(&self) -> PathBuf {
        self.folder.path().join(tls::CLIENT_CERTIFICATE)
    }

    /// Key and certificate of an authority that `mtls_url` does not know.
    pub fn stranger_key_file(&self) -> PathBuf {
        self.folder.path().join(tls::STRANGER_KEY)
    }

    pub fn stranger_certificate_file(&self) -> PathBuf {
        self.folder.path().join(tls::STRANGER_CERTIFICATE)
    }
}

impl Drop for FakeSf {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was told already.
            let _ = thread.join();
        }
    }
}

/// The sample that comes with the project.
pub fn sample_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data")
}

/// A bound socket: who connects waits until it is served.
struct Door {
    socket: std::net::TcpListener,
    url: String,
}

impl Door {
    fn open(port: u16, base: &str) -> Self {
        let socket = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        socket.set_nonblocking(true).expect("a socket");
        let port = socket.local_addr().expect("an address").port();
        Self {
            socket,
            url: format!("{base}:{port}"),
        }
    }
}

/// A runtime on a thread of its own, until it is stopped.
fn run(stopped: oneshot::Receiver<()>) -> (Handle, thread::JoinHandle<()>) {
    let (ready, handle) = mpsc::channel();
    let thread = thread::Builder::new().name("fake-salesforce".to_owned());
    let thread = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        ready
            .send(runtime.handle().clone())
            .expect("the starter waits");
        // Ends with an error: its other end is dropped.
        let _ = runtime.block_on(stopped);
    });
    let handle = handle.recv().expect("the thread starts");
    (handle, thread.expect("a thread"))
}
