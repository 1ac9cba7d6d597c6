//! A digest as a mail: headers, two parts, bytes. The same digest gives the same bytes.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use lettre::Address;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MessageBuilder, MultiPart, SinglePart};

use super::channel::Outgoing;
use super::digest::{Digest, DigestFinding};
use super::identity::{Identity, short_hash};
use super::render::render;
use super::view::View;
use super::{AlertError, Letterhead};
use crate::config::Severity;

/// Longest subject, in characters.
const MAX_SUBJECT: usize = 90;
/// Longest value of an `X-Orgwatch-` header.
const MAX_MACHINE_KEY: usize = 100;

/// Sender and recipients, from `[alert.email]`.
#[derive(Debug, Clone)]
pub struct Recipients {
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Recipients {
    /// Checks the addresses of the config. The order and repetition of `to` do not matter.
    pub fn parse(from: &str, to: &[String]) -> Result<Self, AlertError> {
        let mut to = to
            .iter()
            .map(|a| mailbox_of("to", a))
            .collect::<Result<Vec<_>, _>>()?;
        to.sort_by_key(|m| m.email.to_string());
        to.dedup_by_key(|m| m.email.to_string());
        if to.is_empty() {
            return Err(AlertError::NoRecipient);
        }
        Ok(Self {
            from: mailbox_of("from", from)?,
            to,
        })
    }

    /// Bare addresses, in order.
    pub fn addresses(&self) -> Vec<String> {
        self.to.iter().map(|m| m.email.to_string()).collect()
    }
}

/// The mailbox that a key of the configuration gives.
pub(super) fn mailbox_of(key: &'static str, text: &str) -> Result<Mailbox, AlertError> {
    text.parse::<Mailbox>().map_err(|_| AlertError::Address {
        key,
        address: crate::privacy::printable(text, MAX_MACHINE_KEY),
    })
}

/// Its bare address.
pub(super) fn address_of(key: &'static str, text: &str) -> Result<Address, AlertError> {
    Ok(mailbox_of(key, text)?.email)
}

/// The mail of a digest.
pub(super) fn compose(
    digest: &Digest,
    recipients: &Recipients,
    head: &Letterhead,
) -> Result<Outgoing, AlertError> {
    let addresses = recipients.addresses();
    let Identity { hash, message_id } = Identity::of(digest, &addresses, head);
    let subject = subject(digest);
    let parts = render(&View::new(digest, head))?;

    let mut builder = skeleton(
        &message_id,
        &subject,
        digest.at,
        &digest.audience,
        recipients,
        head,
    )
    .header(OrgwatchRun(digest.run_id.to_string()))
    .header(OrgwatchSeverity(digest.severity().as_str().into()))
    .header(OrgwatchRule(machine_key(&rules(digest))));
    if let Some(main) = digest.news.first() {
        builder = builder.header(OrgwatchDedupe(machine_key(&main.finding.dedupe_key)));
    }
    if let Some(main) = digest.news.first().filter(|_| head.threading) {
        // A parent that never existed: mail clients group what names the same one, so the
        // nights of one subject form a thread.
        let parent = format!(
            "<thread.{}@{}>",
            short_hash(&main.finding.dedupe_key),
            head.domain
        );
        builder = builder.in_reply_to(parent.clone()).references(parent);
    }
    if digest.severity() == Severity::Critical && !digest.news.is_empty() {
        builder = builder
            .header(Importance("high".into()))
            .header(Priority("1".into()));
    }
    let body = MultiPart::alternative()
        .boundary(format!("=_orgwatch_{hash}"))
        .singlepart(SinglePart::plain(parts.text.clone()))
        .singlepart(SinglePart::html(parts.html));
    let bytes = match &head.signer {
        Some(signer) => signer.signed(builder, body.headers(), &body.formatted())?,
        None => builder.multipart(body)?.formatted(),
    };
    Ok(Outgoing {
        message_id,
        recipients: addresses,
        subject,
        text: parts.text,
        bytes,
    })
}

/// The headers that every mail of the program has.
pub(super) fn skeleton(
    message_id: &str,
    subject: &str,
    at: DateTime<Utc>,
    audience: &str,
    recipients: &Recipients,
    head: &Letterhead,
) -> MessageBuilder {
    let mut builder = Message::builder()
        .from(recipients.from.clone())
        .subject(subject)
        .date(date_header(at))
        .message_id(Some(format!("<{message_id}>")))
        .header(AutoSubmitted("auto-generated".into()))
        .header(AutoResponseSuppress("All".into()))
        .header(ListId(format!("<alerts.orgwatch.{}>", head.domain)))
        .header(OrgwatchGroup(machine_key(audience)));
    for mailbox in &recipients.to {
        builder = builder.to(mailbox.clone());
    }
    match &head.reply_to {
        Some(reply_to) => builder.reply_to(reply_to.clone()),
        None => builder,
    }
}

/// `[orgwatch HIGH] 3 new findings - erp@example.com - 2026-01-30`: plain ASCII, at most
/// [`MAX_SUBJECT`] characters, the machine-readable ends never cut.
pub(super) fn subject(digest: &Digest) -> String {
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let new = digest.new_findings();
    let head = if new > 0 {
        let severity = digest.severity().as_str().to_uppercase();
        format!("[orgwatch {severity}] {new} new finding{}", plural(new))
    } else {
        match (digest.resolved.len(), digest.still_active.len()) {
            (0, 0) => "[orgwatch OK] all quiet".to_owned(),
            (0, active) => format!("[orgwatch OK] nothing new, {active} still active"),
            (resolved, _) => {
                format!(
                    "[orgwatch OK] {resolved} finding{} resolved",
                    plural(resolved)
                )
            }
        }
    };
    let tail = format!(" - {}", digest.data_day);
    let cases = digest.cases();
    let mut entity = digest
        .news
        .first()
        .map(|n| ascii(&name(&n.finding)))
        .unwrap_or_default();
    if cases > 1 {
        entity.push_str(&format!(" + {} more", cases - 1));
    }
    let room = MAX_SUBJECT.saturating_sub(head.len() + tail.len() + 3);
    if entity.is_empty() || room < 8 {
        return head + &tail;
    }
    if entity.len() > room {
        entity.truncate(room - 3);
        entity.push_str("...");
    }
    format!("{head} - {entity}{tail}")
}

/// The subject's name alone: its role costs room that the counts need more.
fn name(finding: &DigestFinding) -> String {
    let name = finding.who.as_ref().or(finding.case_subject.as_ref());
    let name = name.unwrap_or(&finding.rule_id);
    crate::privacy::printable(name, MAX_SUBJECT)
}

fn rules(digest: &Digest) -> String {
    let mut rules: Vec<_> = digest
        .news
        .iter()
        .map(|n| n.finding.rule_id.as_str())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    rules.join(" ")
}

/// Mail dates begin in 1970 and have four-digit years; a clock outside is shown at the border.
fn date_header(at: DateTime<Utc>) -> SystemTime {
    const YEAR_10000: i64 = 253_402_300_800;
    let seconds = at.timestamp().clamp(0, YEAR_10000 - 1);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii() && !c.is_ascii_control() {
                c
            } else {
                '?'
            }
        })
        .collect()
}

pub(super) fn machine_key(text: &str) -> String {
    ascii(text).chars().take(MAX_MACHINE_KEY).collect()
}

/// Headers that the mail library has no type for. The values are ours or passed `machine_key`.
macro_rules! headers {
    ($($type:ident = $name:literal),* $(,)?) => {$(
        #[derive(Clone)]
        struct $type(String);

        impl Header for $type {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }

            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    )*};
}

headers! {
    AutoSubmitted = "Auto-Submitted",
    AutoResponseSuppress = "X-Auto-Response-Suppress",
    ListId = "List-Id",
    Importance = "Importance",
    Priority = "X-Priority",
    OrgwatchRun = "X-Orgwatch-Run",
    OrgwatchGroup = "X-Orgwatch-Group",
    OrgwatchRule = "X-Orgwatch-Rule",
    OrgwatchSeverity = "X-Orgwatch-Severity",
    OrgwatchDedupe = "X-Orgwatch-Dedupe",
}

#[cfg(test)]
mod rhythm_tests;
#[cfg(test)]
mod tests;
