//! From the outbox to the people: each alert that waits is tried, and what became of it is noted
//! before the next one goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::{DateTime, Datelike, Days, NaiveTime, TimeZone, Utc, Weekday};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::workplace::Workplace;
use crate::alert::{
    Audience, Letter, Letterhead, Signer, Transport, Trouble, WebhookTransport, webhook_of,
};
use crate::clock::Clock;
use crate::config::{Email, TransportKind, Webhook, dkim_key, smtp_password, webhook_secrets};
use crate::lake::{Lake, LakeError, MailState, PendingMail, Verdict};
use crate::privacy::printable;
use crate::words::counted;

/// Passing troubles in a row after which a server counts as down: the others need not wait out
/// its silence one by one.
const PATIENCE: usize = 3;

/// Longest text shown, in characters.
const MAX_TEXT: usize = 600;

/// An alert that left.
#[derive(Debug, Clone)]
pub struct Sent {
    pub audience: String,
    pub to: Vec<String>,
    /// The server's answer, or the path of the written file.
    pub answer: String,
    pub as_what: Form,
}

/// What an alert left as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    File,
    Mail,
    Post,
}

/// What became of the alerts that waited.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// In the order in which they went.
    pub sent: Vec<Sent>,
    /// Recipient and answer, where it was a refusal for good.
    pub refused: Vec<(String, String)>,
    /// Alerts that still wait, and why, each reason once.
    pub waiting: usize,
    pub reasons: Vec<String>,
}

impl Deliveries {
    /// Adds what a later round of the same courier came to.
    pub fn join(&mut self, later: Deliveries) {
        self.sent.extend(later.sent);
        self.refused.extend(later.refused);
        self.waiting = later.waiting;
        for reason in later.reasons {
            self.add_reason(reason);
        }
    }

    /// Whether there was nothing to deliver.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.refused.is_empty() && self.waiting == 0
    }

    /// Why not all that should have gone has gone.
    pub fn not_delivered(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.waiting > 0 {
            let alerts = counted(self.waiting, "alert");
            reasons.push(format!("{alerts} in the outbox still to be delivered"));
        }
        if !self.refused.is_empty() {
            let refused = counted(self.refused.len(), "recipient");
            reasons.push(format!("{refused} refused an alert for good"));
        }
        reasons
    }

    /// For people.
    pub fn write(&self, out: &mut String) -> std::fmt::Result {
        let text = |text: &str| printable(text, MAX_TEXT);
        for sent in &self.sent {
            let (to, answer) = (text(&sent.to.join(", ")), text(&sent.answer));
            match sent.as_what {
                Form::File => writeln!(out, "Mail      written to {answer} (to {to})")?,
                Form::Mail => writeln!(out, "Mail      sent to {to}: {answer}")?,
                Form::Post => writeln!(out, "Post      sent to {to}: {answer}")?,
            }
        }
        for (to, answer) in &self.refused {
            let (to, answer) = (text(to), text(answer));
            writeln!(
                out,
                "Alert     refused for good by {to}, kept in the outbox: {answer}"
            )?;
        }
        for why in &self.reasons {
            let why = text(why);
            writeln!(out, "Alert     not delivered, waits in the outbox: {why}")?;
        }
        Ok(())
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let written = self.sent.iter().filter(|sent| sent.as_what == Form::File);
        let sent =
            |sent: &Sent| json!({"group": sent.audience, "to": sent.to, "answer": sent.answer});
        let refused = |(to, answer): &(String, String)| json!({"to": to, "answer": answer});
        json!({
            "written": written.map(|sent| sent.answer.as_str()).collect::<Vec<_>>(),
            "sent": self.sent.iter().map(sent).collect::<Vec<_>>(),
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
            "waiting": self.waiting,
            "reasons": self.reasons,
        })
    }

    fn add_reason(&mut self, reason: String) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

/// Takes alerts from the outbox to where they are read; tries each one once.
pub struct Courier {
    mail: Transport,
    mail_form: Form,
    webhooks: BTreeMap<String, WebhookTransport>,
    clock: Clock,
    tried: BTreeSet<i64>,
}

/// What all mails have in common, with the key that signs them where the configuration wants that.
pub fn letterhead(place: &Workplace<'_>) -> anyhow::Result<Letterhead> {
    let email = &place.settings.email;
    Ok(Letterhead::of(email, open_signer(email)?)?)
}

/// Reads and checks the key that signs mails.
pub fn open_signer(email: &Email) -> anyhow::Result<Option<Signer>> {
    let Some(dkim) = &email.dkim else {
        return Ok(None);
    };
    let key = dkim_key(dkim, &|name| std::env::var_os(name))?;
    Ok(Some(Signer::open(dkim, &key)?))
}

/// Reads the password and whatever else the configured way of mails needs.
pub fn open_mail(place: &Workplace<'_>) -> anyhow::Result<Transport> {
    let email = &place.settings.email;
    let password = smtp_password(email, &|name| std::env::var_os(name))?;
    let outbox = place.data_dir().join("outbox");
    Ok(Transport::open(email, password, outbox)?)
}

/// Reads the address, the secret and whatever else a webhook needs.
pub fn open_webhook(webhook: &Webhook) -> anyhow::Result<WebhookTransport> {
    let (url, secret) = webhook_secrets(webhook, &|name| std::env::var_os(name))?;
    Ok(WebhookTransport::open(webhook, url, secret.as_ref())?)
}

impl Courier {
    /// Opens every configured way out.
    pub fn open(place: &Workplace<'_>) -> anyhow::Result<Self> {
        let email = &place.settings.email;
        let webhooks = email.webhooks.iter();
        let webhooks = webhooks.map(|webhook| Ok((webhook.name.clone(), open_webhook(webhook)?)));
        Ok(Self {
            mail: open_mail(place)?,
            mail_form: match *email.transport {
                TransportKind::File => Form::File,
                TransportKind::Smtp | TransportKind::Sendmail => Form::Mail,
            },
            webhooks: webhooks.collect::<anyhow::Result<_>>()?,
            clock: place.clock,
            tried: BTreeSet::new(),
        })
    }

    /// One attempt, by the way that the recipients name.
    pub fn hand_over(&self, letter: &Letter<'_>) -> Result<Vec<Verdict>, Trouble> {
        let Some(name) = webhook_of(letter.to) else {
            return self.mail.deliver(letter);
        };
        match self.webhooks.get(name) {
            Some(webhook) => webhook.deliver(letter),
            // Where it led nobody knows any more: what waits for ever hides what can be mended.
            None => Ok(letter
                .to
                .iter()
                .map(|recipient| Verdict {
                    recipient: recipient.clone(),
                    state: MailState::Failed,
                    answer: "no [[alert.webhook]] has this name any more".to_owned(),
                })
                .collect()),
        }
    }

    /// One round over all that waits and was not tried yet.
    pub fn deliver(&mut self, lake: &mut Lake) -> Result<Deliveries, LakeError> {
        let mut round = Deliveries::default();
        // Of each way: the silence of one holds up no other.
        let mut patience: BTreeMap<Option<String>, usize> = BTreeMap::new();
        for pending in lake.ledger().outbox_pending()? {
            let way = webhook_of(&pending.mail.recipients).map(str::to_owned);
            let patience = patience.entry(way).or_insert(PATIENCE);
            if *patience == 0 || !self.tried.insert(pending.outbox_id) {
                continue;
            }
            *patience = match self.try_once(lake, &pending, &mut round)? {
                Go::On => PATIENCE,
                Go::OnForNow => *patience - 1,
                Go::Home => 0,
            };
        }
        round.waiting = lake.ledger().outbox_pending()?.len();
        Ok(round)
    }

    fn try_once(
        &self,
        lake: &mut Lake,
        pending: &PendingMail,
        round: &mut Deliveries,
    ) -> Result<Go, LakeError> {
        let letter = Letter {
            message_id: &pending.mail.message_id,
            to: &pending.waiting,
            bytes: &pending.mail.body,
        };
        let outcome = self.hand_over(&letter);
        let at = self.clock.now();
        let verdicts = match outcome {
            Ok(verdicts) => verdicts,
            Err(trouble) => {
                let why = trouble.to_string();
                lake.ledger_mut()
                    .outbox_postpone(pending.outbox_id, at, &why)?;
                round.add_reason(why);
                return Ok(match trouble.is_passing {
                    true => Go::OnForNow,
                    false => Go::Home,
                });
            }
        };
        lake.ledger_mut()
            .outbox_settle(pending.outbox_id, at, &verdicts)?;
        let mut accepted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for verdict in verdicts {
            match verdict.state {
                MailState::Sent => accepted
                    .entry(verdict.answer)
                    .or_default()
                    .push(verdict.recipient),
                MailState::Failed => round.refused.push((verdict.recipient, verdict.answer)),
                MailState::Pending => {
                    round.add_reason(format!("{}: {}", verdict.recipient, verdict.answer));
                }
            }
        }
        let as_what = match webhook_of(&pending.mail.recipients) {
            Some(_) => Form::Post,
            None => self.mail_form,
        };
        round
            .sent
            .extend(accepted.into_iter().map(|(answer, to)| Sent {
                audience: pending.mail.audience.clone(),
                to,
                answer,
                as_what,
            }));
        Ok(Go::On)
    }
}

/// What a round does after one alert.
enum Go {
    On,
    OnForNow,
    Home,
}

/// Groups that have heard nothing since the last such day of the week began, in the org's zone.
pub fn heartbeats_due(
    lake: &Lake,
    audiences: &[Audience],
    day: Option<Weekday>,
    zone: Tz,
    at: DateTime<Utc>,
) -> Result<BTreeSet<String>, LakeError> {
    let mut due = BTreeSet::new();
    let Some(day) = day else {
        return Ok(due);
    };
    let since = last_begin(day, zone, at);
    for audience in audiences {
        let last = lake.ledger().outbox_last_for(&audience.name)?;
        if last.is_none_or(|last| last < since) {
            due.insert(audience.name.clone());
        }
    }
    Ok(due)
}

/// When the last such day of the week began, today included.
fn last_begin(day: Weekday, zone: Tz, at: DateTime<Utc>) -> DateTime<Utc> {
    let today = at.with_timezone(&zone).date_naive();
    let back = today.weekday().days_since(day);
    let day = today.checked_sub_days(Days::new(u64::from(back)));
    let begin = day.unwrap_or(today).and_time(NaiveTime::MIN);
    // Where summer time takes midnight away, that of UTC is near enough.
    let local = zone.from_local_datetime(&begin).earliest();
    local.map_or_else(|| begin.and_utc(), |begin| begin.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_at_midnight_of_its_day_where_the_org_is() {
        let berlin: Tz = "Europe/Berlin".parse().expect("zone");
        let begin = |at: &str| {
            let at = at.parse().expect("time");
            last_begin(Weekday::Mon, berlin, at).to_rfc3339()
        };
        // 2026-01-26 is a Monday; Berlin is an hour ahead.
        assert_eq!(begin("2026-01-26T03:00:00Z"), "2026-01-25T23:00:00+00:00");
        assert_eq!(begin("2026-01-25T23:30:00Z"), "2026-01-25T23:00:00+00:00");
        assert_eq!(begin("2026-02-01T22:59:59Z"), "2026-01-25T23:00:00+00:00");
    }
}
