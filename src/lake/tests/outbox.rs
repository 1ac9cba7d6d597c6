//! Mails wait, go once, and are kept.

use super::*;

fn mail(message_id: &str) -> OutboxMail {
    OutboxMail {
        message_id: message_id.to_owned(),
        recipients: vec!["soc@example.com".to_owned(), "erp@example.com".to_owned()],
        subject: "orgwatch: 1 finding".to_owned(),
        body: b"Subject: x\r\n\r\nbody \xff".to_vec(),
        reference: Some("run 1".to_owned()),
    }
}

#[test]
fn the_same_message_is_taken_once_even_after_it_was_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let ledger = lake.ledger_mut();
    assert!(
        ledger
            .outbox_add(run, at(3, 0), &mail("<1@example.com>"))
            .unwrap()
    );
    assert!(
        !ledger
            .outbox_add(run, at(4, 0), &mail("<1@example.com>"))
            .unwrap()
    );
    let pending = ledger.outbox_pending().unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].mail, mail("<1@example.com>"));
    let id = pending[0].outbox_id;
    ledger
        .outbox_mark_failed(id, at(4, 0), "connection refused")
        .unwrap();
    assert_eq!(ledger.outbox_pending().unwrap()[0].attempts, 1);
    ledger.outbox_mark_sent(id, at(5, 0), "250 ok").unwrap();
    assert!(ledger.outbox_pending().unwrap().is_empty());
    assert!(
        !ledger
            .outbox_add(run, at(6, 0), &mail("<1@example.com>"))
            .unwrap()
    );
    assert!(ledger.outbox_pending().unwrap().is_empty());
}

#[test]
fn a_mail_given_up_is_kept_but_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let ledger = lake.ledger_mut();
    ledger
        .outbox_add(run, at(3, 0), &mail("<1@example.com>"))
        .unwrap();
    ledger
        .outbox_give_up(1, at(4, 0), "550 no such user")
        .unwrap();
    assert!(ledger.outbox_pending().unwrap().is_empty());
    let alerts = ledger.snapshot(LedgerTable::Alerts).unwrap();
    let shown = arrow::util::pretty::pretty_format_batches(&[alerts])
        .unwrap()
        .to_string();
    assert!(shown.contains("550 no such user") && shown.contains("failed"));
    assert!(shown.contains("soc@example.com, erp@example.com"));
}
