//! A real mail system: what a night sends to Debian's Postfix lies in the Maildir as it was written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use mail_parser::MessageParser;

use crate::late::org;
use crate::mail::{NIGHT, attacked, configure, night, outbox};
use crate::sample::mails;
use crate::smtp_server::{Certificate, pem_of};

struct Postfix {
    folder: tempfile::TempDir,
    port: u16,
    ca: String,
}

fn script(arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postfix.sh");
    Command::new(script).args(arguments).output().unwrap()
}

impl Postfix {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (ca, certificate, key) = pem_of(Certificate::Good);
        std::fs::write(path("certificate"), certificate).unwrap();
        std::fs::write(path("key"), key).unwrap();
        // Free a moment ago, and nobody else here asks for ports by number.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let here = folder.path().display().to_string();
        let started = script(&[
            "start",
            &here,
            &port.to_string(),
            &path("certificate"),
            &path("key"),
        ]);
        let said = String::from_utf8_lossy(&started.stderr).into_owned();
        assert!(started.status.success(), "{said}");
        Self { folder, port, ca }
    }

    fn inbox(&self) -> Vec<PathBuf> {
        let new = self.folder.path().join("mail/inbox/new");
        let entries = std::fs::read_dir(new).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// The mails, once there are as many.
    fn wait_for(&self, mails: usize) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.inbox().len() < mails {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            assert!(Instant::now() < deadline, "{}", log.unwrap_or_default());
            thread::sleep(Duration::from_millis(50));
        }
        let inbox = self.inbox();
        inbox
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        script(&["stop", &self.folder.path().display().to_string()]);
    }
}

/// Header and parts as a mail client sees them, without what the way adds.
fn seen(bytes: &[u8]) -> Vec<String> {
    let mail = MessageParser::default().parse(bytes).unwrap();
    let raw = |name: &'static str| mail.header_raw(name).unwrap_or_default().trim().to_owned();
    let mut seen: Vec<String> = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "List-Id",
        "Auto-Submitted",
        "X-Orgwatch-Rule",
        "X-Orgwatch-Dedupe",
    ]
    .map(raw)
    .into();
    let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    seen.push(lines(&mail.body_text(0).unwrap()));
    seen.push(lines(&mail.body_html(0).unwrap()));
    seen
}

#[test]
fn a_mail_through_postfix_lies_in_the_maildir_as_it_was_written() {
    let postfix = Postfix::start();
    let org = org();
    org.file("ca.pem", &postfix.ca);
    org.file("day-14.csv", attacked());
    let email = |transport: &str| {
        format!(
            "[alert.email]\ntransport = \"{transport}\"\nhost = \"localhost\"\nport = {}\n\
             ca_file = \"ca.pem\"\nfrom = \"orgwatch@example.com\"\n\
             to = [\"soc@example.com\", \"nobody@example.org\"]\n",
            postfix.port
        )
    };
    configure(&org, &email("smtp"));
    // Postfix relays to nobody: the one recipient is refused, and the other gets the mail.
    let summary = night(&org, 4, NIGHT);
    assert!(
        summary.contains("sent to soc@example.com: 250 2.0.0 Ok: queued"),
        "{summary}"
    );
    assert!(
        summary.contains("refused for good by nobody@example.org"),
        "{summary}"
    );
    let arrived = postfix.wait_for(1);
    assert_eq!(arrived.len(), 1);
    assert_eq!(outbox(&org)[0]["state"], "failed");

    // The same night written to a file.
    let twin = crate::late::org();
    twin.file("day-14.csv", attacked());
    configure(&twin, &email("file"));
    night(&twin, 1, NIGHT);
    let written = std::fs::read(&mails(&twin.path("data"))[0]).unwrap();
    assert_eq!(seen(&arrived[0]), seen(&written));
}
