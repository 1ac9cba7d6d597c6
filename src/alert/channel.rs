//! How a group is told: by mail, or by a post to a webhook. Both go through the one outbox.

use chrono::{DateTime, Utc};

use super::digest::Digest;
use super::message::{Recipients, compose};
use super::test_mail::test_mail;
use super::{AlertError, Letterhead, webhook};
use crate::config::WebhookFormat;

/// What stands before the name of a webhook where mails have an address. No address has it: it
/// would have an `@`.
const WEBHOOK: &str = "webhook:";

/// The way to one group.
#[derive(Debug, Clone)]
pub enum Channel {
    Mail(Recipients),
    /// A webhook, by its name.
    Webhook {
        name: String,
        format: WebhookFormat,
    },
}

/// An alert in the form of its channel, ready for the outbox.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Without angle brackets. Of a post, its idempotency key.
    pub message_id: String,
    /// Bare addresses, or `webhook:` and a name.
    pub recipients: Vec<String>,
    pub subject: String,
    /// For a look at it: the text part of a mail, the JSON of a post.
    pub text: String,
    /// As they go over the wire.
    pub bytes: Vec<u8>,
}

impl Channel {
    /// Whom the outbox remembers: bare addresses in order, or `webhook:` and a name.
    pub fn recipients(&self) -> Vec<String> {
        match self {
            Self::Mail(recipients) => recipients.addresses(),
            Self::Webhook { name, .. } => vec![format!("{WEBHOOK}{name}")],
        }
    }

    /// A digest in the form of this channel. The same digest gives the same bytes.
    pub fn compose(&self, digest: &Digest, head: &Letterhead) -> Result<Outgoing, AlertError> {
        match self {
            Self::Mail(recipients) => compose(digest, recipients, head),
            Self::Webhook { format, .. } => {
                Ok(webhook::compose(digest, *format, self.recipients(), head))
            }
        }
    }

    /// What people recognise as a test, for one group. Each has an id of its own.
    pub fn test(
        &self,
        org: &str,
        audience: &str,
        at: DateTime<Utc>,
        head: &Letterhead,
    ) -> Result<Outgoing, AlertError> {
        match self {
            Self::Mail(recipients) => test_mail(org, audience, at, recipients, head),
            Self::Webhook { format, .. } => {
                let to = self.recipients();
                Ok(webhook::test_post(org, audience, at, *format, to, head))
            }
        }
    }
}

/// The name of the webhook that an entry of the outbox is for; None where it is a mail.
pub fn webhook_of(recipients: &[String]) -> Option<&str> {
    recipients.first()?.strip_prefix(WEBHOOK)
}
