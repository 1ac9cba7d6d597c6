//! `[alert]` of the configuration file.

use std::path::{Path, PathBuf};

use chrono::Weekday;

use super::webhook::{self, Webhook};
use super::{AlertGroup, DEFAULT_GROUP, Dkim, TlsMode, TransportKind, WEEKDAYS, is_loopback};
use crate::config::document::{Item, Section};
use crate::config::fault::Fault;
use crate::config::file::{Given, given, parse_severity};
use crate::config::value::{BadValue, UserRef, parse_mailbox, quoted};
use crate::config::{Family, Severity};

/// What the file says of mails and webhooks.
#[derive(Debug, Default)]
pub(in crate::config) struct FileEmail {
    pub transport: Given<TransportKind>,
    pub from: Given<String>,
    pub to: Given<Vec<String>>,
    pub min_severity: Given<Severity>,
    pub reply_to: Given<Option<String>>,
    pub link: Given<Option<String>>,
    pub domain: Given<Option<String>>,
    pub threading: Given<bool>,
    pub quiet_days: Given<u32>,
    pub max_shown: Given<u32>,
    pub heartbeat: Given<Option<Weekday>>,
    pub host: Given<Option<String>>,
    pub port: Given<u16>,
    pub tls: Given<TlsMode>,
    pub username: Given<Option<String>>,
    pub password_file: Given<Option<PathBuf>>,
    pub ca_file: Given<Option<PathBuf>>,
    pub timeout_seconds: Given<u32>,
    pub helo: Given<Option<String>>,
    pub sendmail: Given<PathBuf>,
    pub groups: Vec<AlertGroup>,
    pub webhooks: Vec<Webhook>,
    pub dkim: Option<Dkim>,
    /// Whether there is an `[alert.email]`.
    pub is_given: bool,
}

/// Whose findings, and which of them, a group or a webhook is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    /// That of `[alert.email]` where None.
    pub min_severity: Option<Severity>,
    /// All where empty.
    pub families: Vec<Family>,
    /// All where empty.
    pub users: Vec<UserRef>,
}

const EMAIL: [&str; 21] = [
    "transport",
    "from",
    "to",
    "min_severity",
    "reply_to",
    "link",
    "domain",
    "threading",
    "quiet_days",
    "max_shown",
    "heartbeat",
    "host",
    "port",
    "tls",
    "username",
    "password_file",
    "ca_file",
    "timeout_seconds",
    "helo",
    "sendmail",
    "dkim",
];

const GROUP: [&str; 6] = ["name", "to", "owners", "min_severity", "families", "users"];

/// Reads `[alert]`; relative paths are joined to `folder`.
pub(in crate::config) fn read(alert: &Section<'_>, folder: &Path) -> Result<FileEmail, Fault> {
    let mut file = FileEmail::default();
    if let Some(groups) = alert.get("group") {
        for entry in groups.tables("in [[alert.group]]", &GROUP)? {
            let group = read_group(&entry)?;
            if file.groups.iter().any(|other| other.name == group.name) {
                let message = format!("two groups are called {}", quoted(&group.name));
                return Err(entry.fault(message, Some("give each its own name".into())));
            }
            file.groups.push(group);
        }
    }
    if let Some(webhooks) = alert.get("webhook") {
        for entry in webhooks.tables("in [[alert.webhook]]", &webhook::KEYS)? {
            let webhook = webhook::read(&entry, folder)?;
            let name = &webhook.name;
            let is_taken = file.groups.iter().any(|group| group.name == *name)
                || file.webhooks.iter().any(|other| other.name == *name);
            if is_taken {
                let message = format!("two groups or webhooks are called {}", quoted(name));
                return Err(entry.fault(message, Some("give each its own name".into())));
            }
            file.webhooks.push(webhook);
        }
    }
    if let Some(item) = alert.get("email") {
        file.is_given = true;
        let email = item.table("in [alert.email]", &EMAIL)?;
        read_email(&email, folder, &mut file)?;
        check(&email, &file)?;
    }
    Ok(file)
}

fn read_email(email: &Section<'_>, folder: &Path, file: &mut FileEmail) -> Result<(), Fault> {
    let path = |item: &Item<'_>| item.text().map(|text| folder.join(text));
    let text = |item: &Item<'_>| Ok(Some(item.text()?.to_owned()));
    file.transport = given(email, "transport", |item| {
        choice(item, &TransportKind::ALL, TransportKind::as_str)
    })?;
    file.from = given(email, "from", |item| item.parsed(parse_mailbox))?;
    file.to = given(email, "to", mailboxes)?;
    file.min_severity = given(email, "min_severity", |item| item.parsed(parse_severity))?;
    file.reply_to = given(email, "reply_to", |item| {
        item.parsed(parse_mailbox).map(Some)
    })?;
    file.link = given(email, "link", |item| item.parsed(parse_link).map(Some))?;
    file.domain = given(email, "domain", |item| item.parsed(parse_host).map(Some))?;
    file.threading = given(email, "threading", Item::boolean)?;
    file.quiet_days = given(email, "quiet_days", |item| number(item, 0..=366))?;
    file.max_shown = given(email, "max_shown", |item| number(item, 1..=500))?;
    file.heartbeat = given(email, "heartbeat", |item| {
        let words = WEEKDAYS.map(|(word, _)| word);
        let word = item.word(&words)?;
        let day = WEEKDAYS.iter().find(|(name, _)| *name == word);
        Ok(day.map(|(_, day)| *day))
    })?;
    file.host = given(email, "host", |item| item.parsed(parse_host).map(Some))?;
    file.port = given(email, "port", |item| {
        // The range makes the conversion lossless.
        Ok(item.integer(1..=65_535)? as u16)
    })?;
    file.tls = given(email, "tls", |item| {
        choice(item, &TlsMode::ALL, TlsMode::as_str)
    })?;
    file.username = given(email, "username", text)?;
    file.password_file = given(email, "password_file", |item| path(item).map(Some))?;
    file.ca_file = given(email, "ca_file", |item| path(item).map(Some))?;
    file.timeout_seconds = given(email, "timeout_seconds", |item| number(item, 1..=600))?;
    file.helo = given(email, "helo", |item| item.parsed(parse_host).map(Some))?;
    file.sendmail = given(email, "sendmail", path)?;
    if let Some(item) = email.get("dkim") {
        let dkim = item.table("in [alert.email.dkim]", &["domain", "selector", "key_file"])?;
        file.dkim = Some(read_dkim(&dkim, folder)?);
    }
    Ok(())
}

fn read_dkim(dkim: &Section<'_>, folder: &Path) -> Result<Dkim, Fault> {
    let domain = dkim.require("domain", "who signs, as in domain = \"example.com\"")?;
    let hint = "the name of the key in DNS, as in selector = \"orgwatch\"";
    let selector = dkim.require("selector", hint)?;
    let key_file = dkim.get("key_file");
    let key_file = key_file.map(|item| item.text().map(|text| folder.join(text)));
    Ok(Dkim {
        domain: domain.parsed(parse_labels)?,
        selector: selector.parsed(parse_labels)?,
        key_file: key_file.transpose()?,
        at: dkim.position(),
    })
}

/// What only several keys together show to be wrong.
fn check(email: &Section<'_>, file: &FileEmail) -> Result<(), Fault> {
    let missing = |key: &str, hint: &str| email.require(key, hint).map(|_| ());
    let transport = file.transport.as_ref().map(|(kind, _)| *kind);
    if matches!(
        transport,
        Some(TransportKind::Smtp | TransportKind::Sendmail)
    ) {
        missing("from", "the sender, as in from = \"orgwatch@example.com\"")?;
        if file.groups.is_empty() {
            missing(
                "to",
                "who gets the mails, as in to = [\"security@example.com\"]",
            )?;
        }
    }
    if transport == Some(TransportKind::Smtp) {
        missing("host", "the mail server, as in host = \"smtp.example.com\"")?;
    }
    let plaintext = matches!(file.tls, Some((TlsMode::None, _)));
    let host = file.host.as_ref().and_then(|(host, _)| host.as_deref());
    if let (true, Some(host), Some(item)) = (plaintext, host, email.get("tls"))
        && !is_loopback(host)
    {
        let message = format!(
            "without TLS mails may go to this machine only, not to {}",
            quoted(host)
        );
        let hint = "use tls = \"starttls\" or \"implicit\", or host = \"127.0.0.1\"";
        return Err(item.fault(message, Some(hint.to_owned())));
    }
    if let (true, Some(item)) = (plaintext, email.get("username")) {
        let hint = "remove `username`, or use tls = \"starttls\" or \"implicit\"";
        return Err(item.key_fault(
            "a password is never sent without TLS",
            Some(hint.to_owned()),
        ));
    }
    if let (None, Some(item)) = (&file.username, email.get("password_file")) {
        let hint = "add `username`, or remove `password_file`";
        return Err(item.key_fault("a password without a user name", Some(hint.to_owned())));
    }
    Ok(())
}

fn read_group(entry: &Section<'_>) -> Result<AlertGroup, Fault> {
    let name = entry.require(
        "name",
        "what the group is called, as in name = \"managers\"",
    )?;
    let name = name.parsed(parse_group_name)?;
    let owners = entry.get("owners").map(|item| item.boolean()).transpose()?;
    let owners = owners.unwrap_or(false);
    let to = match (owners, entry.get("to")) {
        (true, Some(item)) => {
            let hint = "remove `to`, or make a second group for these mailboxes";
            let message = "a group of owners has its mailboxes from the registry";
            return Err(item.key_fault(message, Some(hint.to_owned())));
        }
        (true, None) => Vec::new(),
        (false, _) => {
            let hint = "to = [\"name@example.com\"], or owners = true";
            mailboxes(&entry.require("to", hint)?)?
        }
    };
    Ok(AlertGroup {
        name,
        to,
        owners,
        scope: scope(entry)?,
        at: entry.position(),
    })
}

pub(super) fn scope(entry: &Section<'_>) -> Result<Scope, Fault> {
    let list = |key: &str| entry.get(key).map(|item| item.list()).transpose();
    let words = Family::ALL.map(Family::as_str);
    let families = list("families")?.unwrap_or_default();
    let families = families.iter().map(|item| item.word(&words));
    let families = families.collect::<Result<Vec<_>, _>>()?;
    let users = list("users")?.unwrap_or_default();
    let users = users
        .iter()
        .map(|item| item.parsed(str::parse::<UserRef>))
        .collect::<Result<_, _>>()?;
    Ok(Scope {
        min_severity: entry
            .get("min_severity")
            .map(|item| item.parsed(parse_severity))
            .transpose()?,
        families: families.into_iter().filter_map(Family::from_word).collect(),
        users,
    })
}

fn mailboxes(item: &Item<'_>) -> Result<Vec<String>, Fault> {
    let to: Vec<_> = item
        .list()?
        .iter()
        .map(|one| one.parsed(parse_mailbox))
        .collect::<Result<_, _>>()?;
    if to.is_empty() {
        return Err(item.fault(
            format!("`{}` names nobody", item.name),
            Some("give at least one mail address".into()),
        ));
    }
    Ok(to)
}

pub(super) fn choice<T: Copy>(
    item: &Item<'_>,
    all: &[T],
    word_of: impl Fn(T) -> &'static str,
) -> Result<T, Fault> {
    let words: Vec<&'static str> = all.iter().map(|one| word_of(*one)).collect();
    let word = item.word(&words)?;
    let chosen = all.iter().find(|one| word_of(**one) == word);
    // `word` is one of them.
    chosen
        .copied()
        .ok_or_else(|| item.fault("an unknown word", None))
}

pub(super) fn number(
    item: &Item<'_>,
    allowed: std::ops::RangeInclusive<u32>,
) -> Result<u32, Fault> {
    let (low, high) = (i64::from(*allowed.start()), i64::from(*allowed.end()));
    // The range makes the conversion lossless.
    Ok(item.integer(low..=high)? as u32)
}

pub(super) fn parse_group_name(text: &str) -> Result<String, BadValue> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.len() > 40 || !text.bytes().all(fits) {
        let message = format!("{} is no name for a group", quoted(text));
        let hint = "at most 40 lower-case letters, digits and `-`, as in erp-team";
        return Err(BadValue::new(message, hint));
    }
    if text == DEFAULT_GROUP {
        let message = format!("{} is the group of `to` in [alert.email]", quoted(text));
        return Err(BadValue::new(message, "choose another name"));
    }
    Ok(text.to_owned())
}

/// A host name or an address, as it goes into a protocol line.
fn parse_host(text: &str) -> Result<String, BadValue> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    if text.len() > 253 || !text.chars().all(fits) {
        let message = format!("{} is no host name", quoted(text));
        let hint = "write a name or an address alone, as in smtp.example.com";
        return Err(BadValue::new(message, hint));
    }
    Ok(text.to_owned())
}

/// A name as DNS has it, without anything that ends a tag of a signature.
fn parse_labels(text: &str) -> Result<String, BadValue> {
    let fits = |label: &str| {
        let all = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        !label.is_empty() && label.len() <= 63 && label.bytes().all(all)
    };
    if text.len() > 253 || !text.split('.').all(fits) {
        let message = format!("{} is no name in DNS", quoted(text));
        return Err(BadValue::new(message, "as in example.com"));
    }
    Ok(text.to_ascii_lowercase())
}

fn parse_link(text: &str) -> Result<String, BadValue> {
    let fits = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    let rest = text.strip_prefix("https://").unwrap_or_default();
    if text.len() > 500 || rest.is_empty() || rest.starts_with('/') || !text.chars().all(fits) {
        let message = format!("{} is no link", quoted(text));
        return Err(BadValue::new(
            message,
            "write a whole address that begins with https://",
        ));
    }
    Ok(text.to_owned())
}
