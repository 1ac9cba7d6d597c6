//! Where alerts go: the mail server, the groups of people, the webhooks, and what each of them
//! asked for.

mod read;
mod webhook;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use chrono::Weekday;

use super::Severity;
use super::fault::Position;
use super::origin::{Origin, Setting};

pub use read::Scope;
pub(super) use read::{FileEmail, read};
pub use webhook::{HookUrl, Webhook, WebhookFormat};

/// The group of `to` in `[alert.email]`.
pub const DEFAULT_GROUP: &str = "default";
/// Port of a server with STARTTLS, and of one in plaintext.
const SUBMISSION_PORT: u16 = 587;
/// Port of a server that speaks TLS from the first byte.
const IMPLICIT_TLS_PORT: u16 = 465;
const DEFAULT_MAILBOX: &str = "orgwatch@localhost";
const DEFAULT_QUIET_DAYS: u32 = 7;
const DEFAULT_MAX_SHOWN: u32 = 50;
const DEFAULT_TIMEOUT_SECONDS: u32 = 30;
const DEFAULT_SENDMAIL: &str = "/usr/sbin/sendmail";

/// How mails leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportKind {
    /// As `.eml` files into the outbox folder.
    File,
    /// To a mail server.
    Smtp,
    /// Through the machine's own `sendmail` program.
    Sendmail,
}

impl TransportKind {
    pub const ALL: [Self; 3] = [Self::File, Self::Smtp, Self::Sendmail];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Smtp => "smtp",
            Self::Sendmail => "sendmail",
        }
    }
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Plaintext until STARTTLS, which the server must offer.
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// Plaintext, to this machine only.
    None,
}

impl TlsMode {
    pub const ALL: [Self; 3] = [Self::Starttls, Self::Implicit, Self::None];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starttls => "starttls",
            Self::Implicit => "implicit",
            Self::None => "none",
        }
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `[alert.email]`, with the groups and webhooks beside it. What it says of the rhythm of mails
/// (`quiet_days`, `heartbeat`, `max_shown`, `link`, `domain`) holds for webhooks too.
#[derive(Debug, Clone)]
pub struct Email {
    pub transport: Setting<TransportKind>,
    pub from: Setting<String>,
    /// The group [`DEFAULT_GROUP`]; empty where only others are named.
    pub to: Setting<Vec<String>>,
    /// Findings below it are counted, not listed. `low` by default.
    pub min_severity: Setting<Severity>,
    /// Whom an answer reaches.
    pub reply_to: Setting<Option<String>>,
    /// The one link of a mail, https.
    pub link: Setting<Option<String>>,
    /// Right side of Message-IDs; of the sender's address where None.
    pub domain: Setting<Option<String>>,
    /// Whether the nights of one subject form a thread. They do by default.
    pub threading: Setting<bool>,
    /// Days for which a finding that was mailed folds into "still active". 7 by default.
    pub quiet_days: Setting<u32>,
    /// Findings shown in full in one mail. 50 by default.
    pub max_shown: Setting<u32>,
    /// Day of the week, in the org's zone, by which a group has heard something. None by default.
    pub heartbeat: Setting<Option<Weekday>>,
    pub server: Server,
    /// The program of transport `sendmail`.
    pub sendmail: Setting<PathBuf>,
    /// Who signs mails; nobody where None.
    pub dkim: Option<Dkim>,
    pub groups: Vec<AlertGroup>,
    /// Services beside the groups of people.
    pub webhooks: Vec<Webhook>,
}

/// The mail server of transport `smtp`.
#[derive(Debug, Clone)]
pub struct Server {
    /// Name or address; given where the transport is `smtp`.
    pub host: Setting<Option<String>>,
    /// 587, or 465 for implicit TLS, by default.
    pub port: Setting<u16>,
    pub tls: Setting<TlsMode>,
    pub username: Setting<Option<String>>,
    pub password_file: Setting<Option<PathBuf>>,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca_file: Setting<Option<PathBuf>>,
    /// For each step of a conversation. 30 by default.
    pub timeout_seconds: Setting<u32>,
    /// What this machine calls itself; its host name where None.
    pub helo: Setting<Option<String>>,
}

/// `[alert.email.dkim]`: mails are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dkim {
    /// Who signs. Lower case.
    pub domain: String,
    /// Name of the key in DNS: `<selector>._domainkey.<domain>`.
    pub selector: String,
    /// The private key in PEM; None where a credential or the environment holds it.
    pub key_file: Option<PathBuf>,
    pub at: Position,
}

/// One `[[alert.group]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertGroup {
    /// Lower-case words joined by `-`; not [`DEFAULT_GROUP`].
    pub name: String,
    /// Mailboxes; empty where `owners`.
    pub to: Vec<String>,
    /// Each owner in the registry gets the findings of the accounts that it answers for.
    pub owners: bool,
    pub scope: Scope,
    pub at: Position,
}

impl Email {
    pub(super) fn resolve(given: FileEmail) -> Self {
        let tls = Setting::from_file(given.tls, || TlsMode::Starttls);
        let default_port = match tls.value {
            TlsMode::Implicit => IMPLICIT_TLS_PORT,
            TlsMode::Starttls | TlsMode::None => SUBMISSION_PORT,
        };
        // Whoever names groups, or webhooks and no mail at all, has said who is told.
        let others = !given.groups.is_empty() || (!given.webhooks.is_empty() && !given.is_given);
        Self {
            transport: Setting::from_file(given.transport, || TransportKind::File),
            from: Setting::from_file(given.from, || DEFAULT_MAILBOX.to_owned()),
            to: Setting::from_file(given.to, || match others {
                true => Vec::new(),
                false => vec![DEFAULT_MAILBOX.to_owned()],
            }),
            min_severity: Setting::from_file(given.min_severity, || Severity::Low),
            reply_to: Setting::from_file(given.reply_to, || None),
            link: Setting::from_file(given.link, || None),
            domain: Setting::from_file(given.domain, || None),
            threading: Setting::from_file(given.threading, || true),
            quiet_days: Setting::from_file(given.quiet_days, || DEFAULT_QUIET_DAYS),
            max_shown: Setting::from_file(given.max_shown, || DEFAULT_MAX_SHOWN),
            heartbeat: Setting::from_file(given.heartbeat, || None),
            server: Server {
                host: Setting::from_file(given.host, || None),
                port: Setting::from_file(given.port, || default_port),
                tls,
                username: Setting::from_file(given.username, || None),
                password_file: Setting::from_file(given.password_file, || None),
                ca_file: Setting::from_file(given.ca_file, || None),
                timeout_seconds: Setting::from_file(given.timeout_seconds, || {
                    DEFAULT_TIMEOUT_SECONDS
                }),
                helo: Setting::from_file(given.helo, || None),
            },
            sendmail: Setting::from_file(given.sendmail, || PathBuf::from(DEFAULT_SENDMAIL)),
            dkim: given.dkim,
            groups: given.groups,
            webhooks: given.webhooks,
        }
    }

    /// Key, value and origin of every setting. Holds no secret.
    pub(super) fn listing(&self) -> Vec<(&'static str, String, Origin)> {
        fn row<T>(
            key: &'static str,
            setting: &Setting<T>,
            show: impl Fn(&T) -> String,
        ) -> (&'static str, String, Origin) {
            (key, show(&setting.value), setting.origin.clone())
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let path = |value: &Option<PathBuf>| {
            let shown = value.as_ref().map(|path| path.display().to_string());
            shown.unwrap_or_else(|| "-".to_owned())
        };
        let server = &self.server;
        let mut rows = vec![
            row("alert.email.transport", &self.transport, |kind| {
                kind.as_str().to_owned()
            }),
            row("alert.email.from", &self.from, String::clone),
            row("alert.email.to", &self.to, |to| to.join(", ")),
            row(
                "alert.email.min_severity",
                &self.min_severity,
                Severity::to_string,
            ),
            row("alert.email.reply_to", &self.reply_to, text),
            row("alert.email.link", &self.link, text),
            row("alert.email.domain", &self.domain, text),
            row("alert.email.threading", &self.threading, bool::to_string),
            row("alert.email.quiet_days", &self.quiet_days, u32::to_string),
            row("alert.email.max_shown", &self.max_shown, u32::to_string),
            row("alert.email.heartbeat", &self.heartbeat, |day| {
                day.map_or_else(|| "-".to_owned(), |day| word_of(day).to_owned())
            }),
        ];
        match self.transport.value {
            TransportKind::File => {}
            TransportKind::Sendmail => {
                let shown = row("alert.email.sendmail", &self.sendmail, |path| {
                    path.display().to_string()
                });
                rows.push(shown);
            }
            TransportKind::Smtp => rows.extend([
                row("alert.email.host", &server.host, text),
                row("alert.email.port", &server.port, u16::to_string),
                row("alert.email.tls", &server.tls, TlsMode::to_string),
                row("alert.email.username", &server.username, text),
                row("alert.email.password_file", &server.password_file, path),
                row("alert.email.ca_file", &server.ca_file, path),
                row(
                    "alert.email.timeout_seconds",
                    &server.timeout_seconds,
                    u32::to_string,
                ),
                row("alert.email.helo", &server.helo, text),
            ]),
        }
        rows.extend(self.dkim.iter().map(|dkim| {
            let shown = format!("{}._domainkey.{}", dkim.selector, dkim.domain);
            ("alert.email.dkim", shown, Origin::File(dkim.at))
        }));
        rows.extend(self.groups.iter().map(|group| {
            let to = match group.owners {
                true => "the owners in the registry".to_owned(),
                false => group.to.join(", "),
            };
            let shown = format!("{}: {to}", group.name);
            ("alert.group", shown, Origin::File(group.at))
        }));
        rows.extend(self.webhooks.iter().map(|webhook| {
            let origin = Origin::File(webhook.at);
            ("alert.webhook", webhook.describe(), origin)
        }));
        rows
    }
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Mon),
    ("tuesday", Weekday::Tue),
    ("wednesday", Weekday::Wed),
    ("thursday", Weekday::Thu),
    ("friday", Weekday::Fri),
    ("saturday", Weekday::Sat),
    ("sunday", Weekday::Sun),
];

fn word_of(day: Weekday) -> &'static str {
    WEEKDAYS[day.num_days_from_monday() as usize].0
}

/// Whether a host is this machine by its very name.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
