//! Ways for an alert to leave. What an attempt came to is one of three things, and what happens
//! next follows from it alone:
//!
//! ```text
//! verdicts   the server spoke on each recipient: accepted, not now (4xx), refused for good (5xx)
//! trouble    nobody spoke, or only of the connection: everything waits and goes again as it is
//! ```
//! Refused log-ins and failed TLS are troubles of the second kind: they say nothing about the
//! mail, and a mended configuration sends it.

mod file;
mod sendmail;
mod smtp;
mod webhook;

use std::fmt;
use std::path::PathBuf;

pub use file::FileTransport;
use sendmail::SendmailTransport;
use smtp::SmtpTransport;
pub use webhook::WebhookTransport;

use super::AlertError;
use super::message::address_of;
use crate::config::{Email, TransportKind};
use crate::lake::{MailState, Verdict};
use crate::privacy::{Secret, printable};

/// Longest answer of a server that is kept, in characters.
const MAX_ANSWER: usize = 300;

/// An alert as it goes over the wire.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    pub message_id: &'a str,
    /// As the outbox knows them.
    pub to: &'a [String],
    pub bytes: &'a [u8],
}

/// Why an alert did not leave, where that is no fault of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In printable words; no secret.
    pub what: String,
    /// What to do.
    pub fix: String,
    /// It concerns this conversation alone: the next mail may fare better.
    pub is_passing: bool,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.fix)
    }
}

/// The configured way of mails.
pub enum Transport {
    File(FileTransport),
    Smtp(SmtpTransport),
    Sendmail(SendmailTransport),
}

impl Transport {
    /// The way that `[alert.email]` names, with all that it needs read and checked. `outbox` is
    /// the folder of transport `file`.
    pub fn open(
        email: &Email,
        password: Option<Secret>,
        outbox: PathBuf,
    ) -> Result<Self, AlertError> {
        let from = address_of("from", &email.from)?;
        Ok(match email.transport.value {
            TransportKind::File => Self::File(FileTransport::new(outbox)),
            TransportKind::Smtp => Self::Smtp(SmtpTransport::open(&email.server, from, password)?),
            TransportKind::Sendmail => Self::Sendmail(SendmailTransport::new(
                email.sendmail.value.clone(),
                from,
                *email.server.timeout_seconds,
            )),
        })
    }

    /// One attempt. Recipients without a verdict wait on.
    pub fn deliver(&self, letter: &Letter<'_>) -> Result<Vec<Verdict>, Trouble> {
        match self {
            Self::File(folder) => match folder.deliver(letter.message_id, letter.bytes) {
                Ok(path) => Ok(verdicts(
                    letter.to,
                    MailState::Sent,
                    &path.display().to_string(),
                )),
                Err(error) => Err(Trouble {
                    what: with_causes(&error),
                    fix: "make room for it, or give this user access to the folder".to_owned(),
                    is_passing: true,
                }),
            },
            Self::Smtp(server) => server.deliver(letter),
            Self::Sendmail(program) => program.deliver(letter),
        }
    }

    /// Where mails go, in a few printable words.
    pub fn describe(&self) -> String {
        match self {
            Self::File(folder) => format!("files in {}", folder.describe()),
            Self::Smtp(server) => server.describe(),
            Self::Sendmail(program) => program.describe(),
        }
    }
}

/// The same verdict on each of them.
fn verdicts(to: &[String], state: MailState, answer: &str) -> Vec<Verdict> {
    let one = |recipient: &String| Verdict {
        recipient: recipient.clone(),
        state,
        answer: answer.to_owned(),
    };
    to.iter().map(one).collect()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    printable(&text, MAX_ANSWER)
}
