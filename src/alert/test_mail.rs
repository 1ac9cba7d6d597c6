//! The mail of `orgwatch alert test`: it says what it is, and nothing else.

use chrono::{DateTime, SecondsFormat, Utc};
use lettre::message::SinglePart;

use super::channel::Outgoing;
use super::identity::Identity;
use super::message::{Recipients, machine_key, skeleton};
use super::{AlertError, Letterhead};
use crate::privacy::printable;

/// A mail that people recognise as a test, for one group.
pub(super) fn test_mail(
    org: &str,
    audience: &str,
    at: DateTime<Utc>,
    recipients: &Recipients,
    head: &Letterhead,
) -> Result<Outgoing, AlertError> {
    let when = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let addresses = recipients.addresses();
    let Identity { message_id, .. } = Identity::of_test(org, audience, at, &addresses, head);
    let group = machine_key(audience);
    let subject = format!("[orgwatch TEST] mail for group {group}");
    let text = format!(
        "This is a test of orgwatch's mail, sent by hand at {when}.\n\n\
         Org    {}\nGroup  {group}\n\n\
         Nothing was found and nothing is to be done. Alerts of this group come to this\n\
         mailbox, from this sender.\n",
        printable(org, 200)
    );
    let builder = skeleton(&message_id, &subject, at, &group, recipients, head);
    let body = SinglePart::plain(text.clone());
    let bytes = match &head.signer {
        Some(signer) => signer.signed(builder, body.headers(), &body.formatted())?,
        None => builder.singlepart(body)?.formatted(),
    };
    Ok(Outgoing {
        bytes,
        message_id,
        recipients: addresses,
        subject,
        text,
    })
}
