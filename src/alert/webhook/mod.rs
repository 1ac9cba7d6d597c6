//! A digest as what is posted to a webhook: the program's own JSON, or Slack's blocks. Every text
//! in it is printable and bounded, and so is the whole. The same digest gives the same bytes.

mod json;
mod slack;

#[cfg(test)]
mod tests;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::Letterhead;
use super::channel::Outgoing;
use super::digest::Digest;
use super::identity::Identity;
use super::message::subject;
use super::view::text;
use crate::config::WebhookFormat;

/// The post of a digest.
pub(super) fn compose(
    digest: &Digest,
    format: WebhookFormat,
    recipients: Vec<String>,
    head: &Letterhead,
) -> Outgoing {
    let Identity { message_id, .. } = Identity::of(digest, &recipients, head);
    let subject = subject(digest);
    let body = match format {
        WebhookFormat::Json => json::body(digest, &message_id, &subject, head),
        WebhookFormat::Slack => slack::body(digest, head),
    };
    outgoing(message_id, recipients, subject, &body)
}

/// A post that people recognise as a test, for one group.
pub(super) fn test_post(
    org: &str,
    audience: &str,
    at: DateTime<Utc>,
    format: WebhookFormat,
    recipients: Vec<String>,
    head: &Letterhead,
) -> Outgoing {
    let Identity { message_id, .. } = Identity::of_test(org, audience, at, &recipients, head);
    let (org, audience) = (text(org), text(audience));
    let when = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let subject = format!("[orgwatch TEST] post for {audience}");
    let body = match format {
        WebhookFormat::Json => json::test_body(&org, &audience, &when, &message_id, &subject),
        WebhookFormat::Slack => slack::test_body(&org, &audience, &when, &subject),
    };
    outgoing(message_id, recipients, subject, &body)
}

fn outgoing(
    message_id: String,
    recipients: Vec<String>,
    subject: String,
    body: &Value,
) -> Outgoing {
    Outgoing {
        message_id,
        recipients,
        subject,
        text: format!("{body:#}"),
        bytes: body.to_string().into_bytes(),
    }
}
