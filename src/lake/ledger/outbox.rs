//! The outbox: a mail is written here in the transaction that makes its cause true, sent
//! afterwards, and marked. A crash in between sends it again under the same Message-ID, never
//! another one.
//!
//! What became of a mail is kept by recipient: one that refuses it for good loses it for nobody
//! else, and one that could not be reached gets it later without a second copy for the others.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Ledger;
use super::values::{count_at, ms, time_at};
use crate::lake::error::{LakeError, Result};
use crate::lake::model::RunId;

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMail {
    /// Identity of the mail: a second one of the same id is not taken.
    pub message_id: String,
    /// The group of people that it is for.
    pub audience: String,
    pub recipients: Vec<String>,
    pub subject: String,
    /// The whole message, header and body, as it goes over the wire.
    pub body: Vec<u8>,
    /// What it is about (a digest's run, a finding's dedupe key), for threading.
    pub reference: Option<String>,
}

/// A mail that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMail {
    pub outbox_id: i64,
    pub run_id: RunId,
    pub created_at: DateTime<Utc>,
    pub attempts: u64,
    pub last_error: Option<String>,
    /// Recipients that have neither got nor refused it yet.
    pub waiting: Vec<String>,
    pub mail: OutboxMail,
}

/// What became of a mail at one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MailState {
    /// To be tried again.
    Pending,
    Sent,
    /// Refused for good: kept, and not tried again.
    Failed,
}

impl MailState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Sent, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// The state of a lower-case word, if it is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// The word of one recipient's server on a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub recipient: String,
    pub state: MailState,
    /// The server's answer, or the path of the written file.
    pub answer: String,
}

impl Ledger {
    /// Puts a mail into the outbox. False if one of its Message-ID is or was there.
    pub fn outbox_add(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        mail: &OutboxMail,
    ) -> Result<bool> {
        let tx = self.write()?;
        let added = insert_mail(&tx, run_id, at, mail)?;
        tx.commit()?;
        Ok(added)
    }

    /// Mails that are not sent yet: those that were tried least first, of these the oldest, so
    /// that one which always fails holds up no other.
    pub fn outbox_pending(&self) -> Result<Vec<PendingMail>> {
        let recipients = match self.version {
            ..4 => "recipients AS waiting, 'default' AS audience",
            _ => {
                "(SELECT group_concat(recipient, char(10) ORDER BY recipient)
                  FROM outbox_recipients AS r
                  WHERE r.outbox_id = outbox.outbox_id AND r.state = 'pending') AS waiting,
                 audience"
            }
        };
        let mut statement = self.conn.prepare(&format!(
            "SELECT outbox_id, run_id, created_at, attempts, last_error, message_id, recipients,
                 subject, body, reference, {recipients}
             FROM outbox WHERE state = 'pending' ORDER BY attempts, outbox_id"
        ))?;
        let mails = statement.query_map([], pending_of)?;
        Ok(mails.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes what an attempt came to at the recipients that it reached; the others wait on.
    pub fn outbox_settle(
        &mut self,
        id: i64,
        at: DateTime<Utc>,
        verdicts: &[Verdict],
    ) -> Result<MailState> {
        let tx = self.write()?;
        for verdict in verdicts {
            tx.prepare_cached(
                "UPDATE outbox_recipients SET state = ?3, at = ?4, answer = ?5
                 WHERE outbox_id = ?1 AND recipient = ?2 AND state = 'pending'",
            )?
            .execute(params![
                id,
                verdict.recipient,
                verdict.state.as_str(),
                ms(at),
                verdict.answer
            ])?;
        }
        let state = sum_up(&tx, id)?;
        let said = |wanted: MailState| -> Option<String> {
            let said = verdicts.iter().filter(|v| v.state == wanted);
            let said: Vec<_> = said
                .map(|v| format!("{}: {}", v.recipient, v.answer))
                .collect();
            (!said.is_empty()).then(|| said.join("; "))
        };
        let first_answer = verdicts.iter().find(|v| v.state == MailState::Sent);
        tx.execute(
            "UPDATE outbox SET state = ?2, tried_at = ?3, attempts = attempts + 1,
                 sent_at = CASE WHEN ?4 IS NULL THEN sent_at ELSE ?3 END,
                 response = coalesce(?4, response), last_error = ?5
             WHERE outbox_id = ?1",
            params![
                id,
                state.as_str(),
                ms(at),
                first_answer.map(|verdict| verdict.answer.as_str()),
                said(MailState::Failed).or_else(|| said(MailState::Pending)),
            ],
        )?;
        tx.commit()?;
        Ok(state)
    }

    /// Notes an attempt that came to nothing; the mail stays and is tried again.
    pub fn outbox_postpone(&mut self, id: i64, at: DateTime<Utc>, why: &str) -> Result<()> {
        self.conn.execute(
            "UPDATE outbox SET attempts = attempts + 1, tried_at = ?2, last_error = ?3
             WHERE outbox_id = ?1 AND state = 'pending'",
            params![id, ms(at), why],
        )?;
        Ok(())
    }

    /// Makes the recipients of a mail that refused it for good wait again. Their number.
    pub fn outbox_retry(&mut self, id: i64) -> Result<usize> {
        let tx = self.write()?;
        let state: Option<String> = tx
            .query_row(
                "SELECT state FROM outbox WHERE outbox_id = ?1",
                [id],
                |row| row.get(0),
            )
            .optional()?;
        match state.as_deref() {
            Some("failed") => {}
            Some(_) => return Err(LakeError::MailNotFailed { id }),
            None => return Err(LakeError::NoMail { id }),
        }
        let waiting = tx.execute(
            "UPDATE outbox_recipients SET state = 'pending' WHERE outbox_id = ?1 AND state = 'failed'",
            [id],
        )?;
        tx.execute(
            "UPDATE outbox SET state = 'pending' WHERE outbox_id = ?1",
            [id],
        )?;
        tx.commit()?;
        Ok(waiting)
    }

    /// Number of mails that a recipient refused for good at or after a time.
    pub fn outbox_failed_since(&self, since: DateTime<Utc>) -> Result<u64> {
        let failed = match self.version {
            ..4 => "SELECT count(*) AS n FROM outbox WHERE state = 'failed' AND created_at >= ?1",
            _ => {
                "SELECT count(*) AS n FROM outbox
                 WHERE state = 'failed' AND coalesce(tried_at, created_at) >= ?1"
            }
        };
        let count = |row: &Row<'_>| count_at(row, "n");
        Ok(self.conn.query_row(failed, [ms(since)], count)?)
    }

    /// When a mail for a group was last written. None where none ever was.
    pub fn outbox_last_for(&self, audience: &str) -> Result<Option<DateTime<Utc>>> {
        if self.version < 4 {
            return Ok(None);
        }
        let mut statement = self.conn.prepare(
            "SELECT created_at FROM outbox WHERE audience = ?1
             ORDER BY created_at DESC LIMIT 1",
        )?;
        let mut times = statement.query_map([audience], |row| time_at(row, "created_at"))?;
        Ok(times.next().transpose()?)
    }
}

fn pending_of(row: &Row<'_>) -> rusqlite::Result<PendingMail> {
    let lines = |column: &str| -> rusqlite::Result<Vec<String>> {
        let text: Option<String> = row.get(column)?;
        let text = text.unwrap_or_default();
        Ok(text.lines().map(str::to_owned).collect())
    };
    Ok(PendingMail {
        outbox_id: row.get("outbox_id")?,
        run_id: row.get("run_id")?,
        created_at: time_at(row, "created_at")?,
        attempts: count_at(row, "attempts")?,
        last_error: row.get("last_error")?,
        waiting: lines("waiting")?,
        mail: OutboxMail {
            message_id: row.get("message_id")?,
            audience: row.get("audience")?,
            recipients: lines("recipients")?,
            subject: row.get("subject")?,
            body: row.get("body")?,
            reference: row.get("reference")?,
        },
    })
}

/// The state of a mail by those of its recipients.
fn sum_up(conn: &Connection, id: i64) -> Result<MailState> {
    let mut statement =
        conn.prepare_cached("SELECT DISTINCT state FROM outbox_recipients WHERE outbox_id = ?1")?;
    let states = statement.query_map([id], |row| row.get(0))?;
    let states = states.collect::<rusqlite::Result<Vec<String>>>()?;
    let any = |state: MailState| states.iter().any(|s| s == state.as_str());
    Ok(if any(MailState::Pending) {
        MailState::Pending
    } else if any(MailState::Failed) {
        MailState::Failed
    } else {
        MailState::Sent
    })
}

pub(super) fn insert_mail(
    conn: &Connection,
    run_id: RunId,
    at: DateTime<Utc>,
    mail: &OutboxMail,
) -> Result<bool> {
    let inserted = conn
        .prepare_cached(
            "INSERT INTO outbox (run_id, created_at, message_id, audience, recipients, subject,
                 body, state, reference)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8)
             ON CONFLICT (message_id) DO NOTHING",
        )?
        .execute(params![
            run_id,
            ms(at),
            mail.message_id,
            mail.audience,
            mail.recipients.join("\n"),
            mail.subject,
            mail.body,
            mail.reference,
        ])?;
    if inserted == 0 {
        return Ok(false);
    }
    let id = conn.last_insert_rowid();
    for recipient in &mail.recipients {
        conn.prepare_cached(
            "INSERT OR IGNORE INTO outbox_recipients (outbox_id, recipient, state)
             VALUES (?1, ?2, 'pending')",
        )?
        .execute(params![id, recipient])?;
    }
    Ok(true)
}
