//! Alerts: who gets them, the ways out, and what waits. Nothing is sent: `orgwatch alert test` does.

use chrono::{DateTime, Utc};

use super::Check;
use crate::alert::{Audiences, Letterhead};
use crate::config::{Email, TransportKind, Webhook, WebhookFormat};
use crate::lake::{Lake, LakeError};
use crate::registry::Registry;
use crate::words::counted;

/// Groups that are named.
const MAX_NAMED: usize = 5;

/// Every group and its addresses.
pub fn recipients(email: &Email, registry: &Registry, now: DateTime<Utc>) -> Vec<Check> {
    let audiences = Audiences::of(email, registry, now)
        .and_then(|audiences| Letterhead::of(email, None).map(|_| audiences));
    let audiences = match audiences {
        Ok(audiences) => audiences,
        Err(error) => {
            return vec![Check::fail(
                "mail",
                "recipients",
                error.to_string(),
                "correct the addresses in [alert.email] and [[alert.group]]",
            )];
        }
    };
    let all = &audiences.all;
    let named: Vec<String> = all
        .iter()
        .take(MAX_NAMED)
        .map(|group| {
            let to = group.channel.recipients();
            format!("{}: {}", group.name, to.join(", "))
        })
        .collect();
    let more = match all.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        n => format!("; + {n} more"),
    };
    let mut checks = vec![match all.len() {
        0 => Check::warn(
            "mail",
            "recipients",
            "none: nobody is told",
            "set `to` in [alert.email], a [[alert.webhook]], or owners in the registry",
        ),
        _ => Check::pass("mail", "recipients", named.join("; ") + &more),
    }];
    checks.extend(audiences.remarks.iter().map(|remark| {
        let fix = "write the owner as a mail address in the registry";
        Check::warn("mail", "owners", remark.clone(), fix)
    }));
    checks
}

/// Whether the way out can be used as far as this machine knows; `opened` is what opening it
/// came to, in words.
pub fn way_out(email: &Email, opened: Result<String, String>) -> Check {
    match (opened, email.transport.value) {
        (Err(why), _) => {
            let (what, fix) = why.split_once("\nhint: ").unwrap_or((why.as_str(), ""));
            Check::fail("mail", "transport", what, fix)
        }
        (Ok(place), TransportKind::File) => Check::pass(
            "mail",
            "transport",
            format!("{place}: no mail leaves the machine"),
        ),
        (Ok(place), TransportKind::Sendmail) if !email.sendmail.is_file() => Check::fail(
            "mail",
            "transport",
            format!("{place}: there is no such program"),
            "install a mail system, or set `sendmail` in [alert.email]",
        ),
        (Ok(place), _) => Check::pass(
            "mail",
            "transport",
            format!("{place}; `orgwatch alert test` tries it"),
        ),
    }
}

/// Whether mails can be signed, and whether the signature speaks for their sender; `opened` is what
/// opening the key came to. None where nobody signs.
pub fn signature(email: &Email, opened: Result<(), String>) -> Option<Check> {
    let dkim = email.dkim.as_ref()?;
    let name = format!("{}._domainkey.{}", dkim.selector, dkim.domain);
    if let Err(why) = opened {
        let (what, fix) = why.split_once("\nhint: ").unwrap_or((why.as_str(), ""));
        return Some(Check::fail("mail", "signature", what, fix));
    }
    let sender = email.from.trim_end_matches('>').to_lowercase();
    let sender = sender.rsplit('@').next().unwrap_or_default();
    let covers = sender == dkim.domain || sender.ends_with(&format!(".{}", dkim.domain));
    Some(match covers {
        true => Check::pass(
            "mail",
            "signature",
            format!("the public key belongs at {name}"),
        ),
        false => Check::warn(
            "mail",
            "signature",
            format!(
                "{} signs for {sender}, which receivers (DMARC) do not count",
                dkim.domain
            ),
            "set `domain` in [alert.email.dkim] to the sender's domain",
        ),
    })
}

/// The same for a webhook.
pub fn webhook(webhook: &Webhook, opened: Result<String, String>) -> Check {
    let name = webhook.name.as_str();
    match opened {
        Err(why) => {
            let (what, fix) = why.split_once("\nhint: ").unwrap_or((why.as_str(), ""));
            Check::fail("webhook", name, what, fix)
        }
        Ok(place) if webhook.format == WebhookFormat::Slack && webhook.url.is_some() => {
            Check::warn(
                "webhook",
                name,
                format!("{place}: whoever reads the configuration can post as orgwatch"),
                "Slack's address is itself the secret: move it into a file of mode 0600, and name that as `url_file`",
            )
        }
        Ok(place) => Check::pass(
            "webhook",
            name,
            format!("{place}; `orgwatch alert test --group {name}` tries it"),
        ),
    }
}

/// Alerts that are written and not sent.
pub fn outbox(lake: &Lake) -> Result<Check, LakeError> {
    let waiting = lake.ledger().outbox_pending()?.len();
    let refused = lake.ledger().outbox_failed_since(DateTime::UNIX_EPOCH)?;
    Ok(match (waiting, refused) {
        (0, 0) => Check::pass("mail", "outbox", "nothing waits"),
        (0, n) => Check::warn(
            "mail",
            "outbox",
            format!("{} refused for good", counted(n, "alert")),
            "`orgwatch alert list --state failed` says why; mend it, then `orgwatch alert send --retry-failed ID`",
        ),
        (n, _) => Check::warn(
            "mail",
            "outbox",
            format!("{} wait", counted(n, "alert")),
            "`orgwatch alert list --state pending` says why; `orgwatch alert send` or the next `orgwatch run` sends them",
        ),
    })
}
