//! Who an alert is: the same news to the same people is the same alert, whenever it is told.

use chrono::{DateTime, SecondsFormat, Utc};

use super::Letterhead;
use super::digest::Digest;

/// Length of a hash, in hexadecimal digits.
const HASH: usize = 24;

/// The name of one alert: the Message-ID of a mail, the idempotency key of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub hash: String,
    /// Without the angle brackets of a Message-ID.
    pub message_id: String,
}

impl Identity {
    /// That of a digest. It depends on the group, the recipients and on what is told, not on when:
    /// a night that is told again after a crash is the same alert.
    pub fn of(digest: &Digest, recipients: &[String], head: &Letterhead) -> Self {
        let hash = content_hash(digest, recipients);
        Self {
            message_id: format!("orgwatch.{}.{hash}@{}", digest.data_day, head.domain),
            hash,
        }
    }

    /// That of a test, which is another each time.
    pub fn of_test(
        org: &str,
        audience: &str,
        at: DateTime<Utc>,
        recipients: &[String],
        head: &Letterhead,
    ) -> Self {
        let when = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let named = format!("{org}\n{audience}\n{when}\n{}", recipients.join("\n"));
        let hash = short_hash(&named);
        Self {
            message_id: format!("orgwatch.test.{hash}@{}", head.domain),
            hash,
        }
    }
}

pub fn short_hash(text: &str) -> String {
    let hash = blake3::hash(text.as_bytes()).to_hex();
    hash[..HASH].to_owned()
}

fn content_hash(digest: &Digest, recipients: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(&digest.org);
    add(&digest.data_day.to_string());
    add(&digest.audience);
    if digest.is_heartbeat {
        add("heartbeat");
        add(&digest.at.date_naive().to_string());
    }
    recipients.iter().for_each(|a| add(a));
    let news = digest.news.iter().flat_map(|n| n.all()).map(|f| ("new", f));
    let resolved = digest.resolved.iter().map(|f| ("resolved", f));
    for (status, finding) in news.chain(resolved) {
        add(status);
        add(&finding.finding_id);
        add(finding.severity.as_str());
        add(&finding.count.to_string());
        add(&finding.last_seen.timestamp_millis().to_string());
        add(&finding
            .bucket_start
            .map(|b| b.timestamp_millis().to_string())
            .unwrap_or_default());
        for gathered in &finding.gathered {
            add(&gathered.finding_id);
            add(gathered.severity.as_str());
            add(&gathered.count.to_string());
        }
    }
    let hash = hasher.finalize().to_hex();
    hash[..HASH].to_owned()
}
