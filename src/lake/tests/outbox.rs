//! Mails wait, go once, and are kept.

use super::*;

fn mail(message_id: &str) -> OutboxMail {
    OutboxMail {
        message_id: message_id.to_owned(),
        audience: "default".to_owned(),
        recipients: vec!["soc@example.com".to_owned(), "erp@example.com".to_owned()],
        subject: "orgwatch: 1 finding".to_owned(),
        body: b"Subject: x\r\n\r\nbody \xff".to_vec(),
        reference: Some("run 1".to_owned()),
    }
}

fn verdict(recipient: &str, state: MailState, answer: &str) -> Verdict {
    Verdict {
        recipient: format!("{recipient}@example.com"),
        state,
        answer: answer.to_owned(),
    }
}

fn shown(ledger: &Ledger, table: LedgerTable) -> String {
    let table = ledger.snapshot(table).unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&[table]);
    text.unwrap().to_string()
}

#[test]
fn the_same_message_is_taken_once_even_after_it_was_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let ledger = lake.ledger_mut();
    let add = |ledger: &mut Ledger, hour| {
        let mail = mail("<1@example.com>");
        ledger.outbox_add(run, at(hour, 0), &mail).unwrap()
    };
    assert!(add(ledger, 3));
    assert!(!add(ledger, 4));
    let pending = ledger.outbox_pending().unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].mail, mail("<1@example.com>"));
    assert_eq!(pending[0].waiting, ["erp@example.com", "soc@example.com"]);
    let id = pending[0].outbox_id;
    ledger
        .outbox_postpone(id, at(4, 0), "connection refused")
        .unwrap();
    assert_eq!(ledger.outbox_pending().unwrap()[0].attempts, 1);
    let accepted = ["soc", "erp"].map(|to| verdict(to, MailState::Sent, "250 ok"));
    let state = ledger.outbox_settle(id, at(5, 0), &accepted).unwrap();
    assert_eq!(state, MailState::Sent);
    assert!(ledger.outbox_pending().unwrap().is_empty());
    assert!(!add(ledger, 6));
    assert!(ledger.outbox_pending().unwrap().is_empty());
}

#[test]
fn a_refused_recipient_is_kept_and_loses_the_mail_for_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let ledger = lake.ledger_mut();
    ledger
        .outbox_add(run, at(3, 0), &mail("<1@example.com>"))
        .unwrap();
    let first = [
        verdict("erp", MailState::Failed, "550 no such user"),
        verdict("soc", MailState::Pending, "451 later"),
    ];
    let state = ledger.outbox_settle(1, at(4, 0), &first).unwrap();
    assert_eq!(state, MailState::Pending);
    // Only who neither got nor refused it is tried again.
    assert_eq!(
        ledger.outbox_pending().unwrap()[0].waiting,
        ["soc@example.com"]
    );
    let second = [verdict("soc", MailState::Sent, "250 ok")];
    let state = ledger.outbox_settle(1, at(5, 0), &second).unwrap();
    assert_eq!(state, MailState::Failed);
    assert!(ledger.outbox_pending().unwrap().is_empty());
    assert_eq!(ledger.outbox_failed_since(at(5, 0)).unwrap(), 1);
    assert_eq!(ledger.outbox_failed_since(at(6, 0)).unwrap(), 0);
    let alerts = shown(ledger, LedgerTable::Alerts);
    assert!(
        alerts.contains("failed") && alerts.contains("250 ok"),
        "{alerts}"
    );
    assert!(alerts.contains("soc@example.com, erp@example.com"));
    let recipients = shown(ledger, LedgerTable::AlertRecipients);
    assert!(recipients.contains("550 no such user"), "{recipients}");
}

#[test]
fn a_mail_refused_for_good_waits_again_only_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let ledger = lake.ledger_mut();
    ledger
        .outbox_add(run, at(3, 0), &mail("<1@example.com>"))
        .unwrap();
    assert!(matches!(
        ledger.outbox_retry(1),
        Err(LakeError::MailNotFailed { id: 1 })
    ));
    assert!(matches!(
        ledger.outbox_retry(2),
        Err(LakeError::NoMail { id: 2 })
    ));
    let verdicts = [
        verdict("erp", MailState::Failed, "550 no such user"),
        verdict("soc", MailState::Sent, "250 ok"),
    ];
    ledger.outbox_settle(1, at(4, 0), &verdicts).unwrap();
    assert_eq!(ledger.outbox_retry(1).unwrap(), 1);
    let pending = ledger.outbox_pending().unwrap();
    assert_eq!(pending[0].waiting, ["erp@example.com"]);
}

#[test]
fn a_mail_that_always_fails_stands_behind_those_that_were_tried_less() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let ledger = lake.ledger_mut();
    for id in ["<1@example.com>", "<2@example.com>", "<3@example.com>"] {
        ledger.outbox_add(run, at(3, 0), &mail(id)).unwrap();
    }
    ledger.outbox_postpone(1, at(4, 0), "hangs").unwrap();
    let order = ledger.outbox_pending().unwrap();
    let order: Vec<i64> = order.iter().map(|pending| pending.outbox_id).collect();
    assert_eq!(order, [2, 3, 1]);
}
