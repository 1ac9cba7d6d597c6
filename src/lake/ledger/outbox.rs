//! The outbox: a mail is written here in the transaction that makes its cause true, sent
//! afterwards, and marked. A crash in between sends it again under the same Message-ID, never
//! another one.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::Ledger;
use super::values::{count_at, ms, time_at};
use crate::lake::error::Result;
use crate::lake::model::RunId;

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMail {
    /// Identity of the mail: a second one of the same id is not taken.
    pub message_id: String,
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
    pub mail: OutboxMail,
}

impl Ledger {
    /// Puts a mail into the outbox. False if one of its Message-ID is or was there.
    pub fn outbox_add(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        mail: &OutboxMail,
    ) -> Result<bool> {
        insert_mail(&self.conn, run_id, at, mail)
    }

    /// Mails that are not sent yet, oldest first.
    pub fn outbox_pending(&self) -> Result<Vec<PendingMail>> {
        let mut statement = self.conn.prepare(
            "SELECT outbox_id, run_id, created_at, attempts, last_error, message_id, recipients,
                 subject, body, reference
             FROM outbox WHERE state = 'pending' ORDER BY outbox_id",
        )?;
        let mails = statement.query_map([], |row| {
            let recipients: String = row.get("recipients")?;
            Ok(PendingMail {
                outbox_id: row.get("outbox_id")?,
                run_id: row.get("run_id")?,
                created_at: time_at(row, "created_at")?,
                attempts: count_at(row, "attempts")?,
                last_error: row.get("last_error")?,
                mail: OutboxMail {
                    message_id: row.get("message_id")?,
                    recipients: recipients.lines().map(str::to_owned).collect(),
                    subject: row.get("subject")?,
                    body: row.get("body")?,
                    reference: row.get("reference")?,
                },
            })
        })?;
        Ok(mails.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes a delivery; `response` is the server's answer or the path of the written file.
    pub fn outbox_mark_sent(&mut self, id: i64, at: DateTime<Utc>, response: &str) -> Result<()> {
        self.conn.execute(
            "UPDATE outbox SET state = 'sent', sent_at = ?2, response = ?3, last_error = NULL,
                 attempts = attempts + 1
             WHERE outbox_id = ?1",
            params![id, ms(at), response],
        )?;
        Ok(())
    }

    /// Notes an attempt that failed; the mail stays and is tried again.
    pub fn outbox_mark_failed(&mut self, id: i64, _at: DateTime<Utc>, why: &str) -> Result<()> {
        self.conn.execute(
            "UPDATE outbox SET attempts = attempts + 1, last_error = ?2
             WHERE outbox_id = ?1 AND state = 'pending'",
            params![id, why],
        )?;
        Ok(())
    }

    /// Notes a refusal for good: the mail is kept and not tried again.
    pub fn outbox_give_up(&mut self, id: i64, _at: DateTime<Utc>, why: &str) -> Result<()> {
        self.conn.execute(
            "UPDATE outbox SET attempts = attempts + 1, last_error = ?2, state = 'failed'
             WHERE outbox_id = ?1 AND state = 'pending'",
            params![id, why],
        )?;
        Ok(())
    }
}

pub(super) fn insert_mail(
    conn: &Connection,
    run_id: RunId,
    at: DateTime<Utc>,
    mail: &OutboxMail,
) -> Result<bool> {
    let inserted = conn
        .prepare_cached(
            "INSERT INTO outbox (run_id, created_at, message_id, recipients, subject, body,
                 state, reference)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7)
             ON CONFLICT (message_id) DO NOTHING",
        )?
        .execute(params![
            run_id,
            ms(at),
            mail.message_id,
            mail.recipients.join("\n"),
            mail.subject,
            mail.body,
            mail.reference,
        ])?;
    Ok(inserted > 0)
}
