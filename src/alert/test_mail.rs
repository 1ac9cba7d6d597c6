//! The mail of `orgwatch alert test`: it says what it is, and nothing else.

use chrono::{DateTime, SecondsFormat, Utc};
use lettre::message::SinglePart;

use super::message::{machine_key, skeleton};
use super::{AlertError, Letterhead, Mail, Recipients};
use crate::privacy::printable;

/// A mail that people recognise as a test, for one group. Each has a Message-ID of its own.
pub fn test_mail(
    org: &str,
    audience: &str,
    at: DateTime<Utc>,
    recipients: &Recipients,
    head: &Letterhead,
) -> Result<Mail, AlertError> {
    let when = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let domain = recipients.domain(head);
    let named = format!(
        "{org}\n{audience}\n{when}\n{}",
        recipients.addresses().join("\n")
    );
    let hash = blake3::hash(named.as_bytes()).to_hex();
    let message_id = format!("orgwatch.test.{}@{domain}", &hash[..24]);
    let group = machine_key(audience);
    let subject = format!("[orgwatch TEST] mail for group {group}");
    let text = format!(
        "This is a test of orgwatch's mail, sent by hand at {when}.\n\n\
         Org    {}\nGroup  {group}\n\n\
         Nothing was found and nothing is to be done. Alerts of this group come to this\n\
         mailbox, from this sender.\n",
        printable(org, 200)
    );
    let message = skeleton(&message_id, &subject, at, &group, recipients, head)
        .singlepart(SinglePart::plain(text.clone()))?;
    Ok(Mail {
        bytes: message.formatted(),
        message_id,
        recipients: recipients.addresses(),
        subject,
        text,
    })
}
