//! A ledger of an older release keeps all that it holds.

use std::path::Path;

use rusqlite::Connection;

use super::*;

const STEPS: [&str; 3] = [
    include_str!("../ledger/schema.sql"),
    include_str!("../ledger/schema_2.sql"),
    include_str!("../ledger/schema_3.sql"),
];

/// Puts the rows of a lake's ledger into one as an older version made it.
fn as_version(version: u8, data_dir: &Path) {
    let path = data_dir.join("ledger.sqlite");
    let today = data_dir.join("today.sqlite");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute("VACUUM INTO ?1", [today.to_str().unwrap()])
        .unwrap();
    drop(connection);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(data_dir.join(format!("ledger.sqlite{suffix}")));
    }
    let old = Connection::open(&path).unwrap();
    old.pragma_update(None, "journal_mode", "wal").unwrap();
    for step in &STEPS[..usize::from(version)] {
        old.execute_batch(step).unwrap();
    }
    old.pragma_update(None, "user_version", version).unwrap();
    old.execute("ATTACH ?1 AS today", [today.to_str().unwrap()])
        .unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut statement = old.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    };
    old.pragma_update(None, "foreign_keys", false).unwrap();
    for table in names(
        "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
    ) {
        let columns = names(&format!("SELECT name FROM pragma_table_info('{table}')")).join(", ");
        let copy = format!("INSERT INTO main.{table} SELECT {columns} FROM today.{table}");
        old.execute(&copy, []).unwrap();
    }
    old.execute("DETACH today", []).unwrap();
    drop(old);
    std::fs::remove_file(today).unwrap();
}

/// A lake with a file, a rule run and a finding, and its tables as text.
fn old_lake(version: u8, dir: &Path) -> Vec<String> {
    let (mut lake, run) = small_lake(dir);
    let row = findings::row("open", 2, 3);
    lake.ledger_mut()
        .apply_findings(run, at(3, 0), &[row], &[], &findings::alone, |_| Ok(vec![]))
        .unwrap();
    lake.ledger_mut()
        .finish_run(run, at(3, 1), 0, "{}")
        .unwrap();
    let shown = tables(&lake);
    drop(lake);
    as_version(version, dir);
    shown
}

fn tables(lake: &Lake) -> Vec<String> {
    let shown = |table: LedgerTable| {
        let batch = lake.ledger().snapshot(table).unwrap();
        assert_eq!(batch.schema(), table.schema(), "{}", table.name());
        let text = arrow::util::pretty::pretty_format_batches(&[batch]);
        text.unwrap().to_string()
    };
    LedgerTable::ALL.into_iter().map(shown).collect()
}

#[test]
fn a_writer_brings_a_ledger_of_version_1_up_to_date_and_keeps_every_row() {
    let dir = tempfile::tempdir().unwrap();
    let before = old_lake(1, dir.path());
    let mut lake = Lake::open_writer(dir.path()).unwrap();
    assert_eq!(tables(&lake), before);
    assert_eq!(lake.ledger().integrity().unwrap(), Vec::<String>::new());

    let role = InferredRole {
        user_key: "005000000000001AAA".to_owned(),
        role: "integration".to_owned(),
        reason: "500 logins".to_owned(),
        since: at(2, 0),
        until: None,
        last_seen: at(3, 0),
    };
    lake.ledger_mut()
        .replace_inferred_roles(std::slice::from_ref(&role), "1")
        .unwrap();
    drop(lake);
    let lake = Lake::open_writer(dir.path()).unwrap();
    assert_eq!(lake.ledger().inferred_roles().unwrap(), [role]);
    assert_eq!(
        lake.ledger().roles_inferred_by().unwrap().as_deref(),
        Some("1")
    );
}

#[test]
fn a_reader_shows_an_older_ledger_without_changing_it() {
    for version in [1, 2, 3] {
        reader_shows(version);
    }
}

fn reader_shows(of_version: u8) {
    let dir = tempfile::tempdir().unwrap();
    let before = old_lake(of_version, dir.path());
    let lake = Lake::open_reader(dir.path()).unwrap();
    assert_eq!(tables(&lake), before);
    assert_eq!(lake.ledger().inferred_roles().unwrap(), []);
    let found = lake.ledger().findings(&FindingFilter::default()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(lake.ledger().finding("open").unwrap(), found[0]);
    drop(lake);
    let ledger = Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    let version: i64 = ledger
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, i64::from(of_version));
}

#[test]
fn a_writer_brings_a_ledger_of_version_2_up_to_date_and_the_next_evaluation_finds_the_cases() {
    let dir = tempfile::tempdir().unwrap();
    let before = old_lake(2, dir.path());
    let mut lake = Lake::open_writer(dir.path()).unwrap();
    assert_eq!(tables(&lake), before);
    assert_eq!(lake.ledger().integrity().unwrap(), Vec::<String>::new());
    assert_eq!(
        lake.ledger()
            .snapshot(LedgerTable::Cases)
            .unwrap()
            .num_rows(),
        0
    );

    let correlate = |findings: &[Finding]| -> Vec<Placed> {
        let mut places = findings::alone(findings);
        for place in &mut places {
            place.correlation.case_id = Some("case".to_owned());
        }
        places
    };
    let ledger = lake.ledger_mut();
    let run = ledger.start_run("run", at(4, 0)).unwrap();
    let changes = ledger
        .apply_findings(run, at(4, 0), &[], &[], &correlate, |_| Ok(vec![]))
        .unwrap();
    assert_eq!((changes.moved.len(), changes.updated.len()), (1, 0));
    assert_eq!(
        lake.ledger()
            .snapshot(LedgerTable::Cases)
            .unwrap()
            .num_rows(),
        1
    );
}

#[test]
fn mails_of_an_older_release_keep_their_recipients_and_their_state() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let ledger = lake.ledger_mut();
    for (id, to) in [
        ("a@x", vec!["one@example.com", "two@example.com"]),
        ("b@x", vec!["one@example.com"]),
    ] {
        let mail = OutboxMail {
            message_id: id.to_owned(),
            audience: "default".to_owned(),
            recipients: to.into_iter().map(str::to_owned).collect(),
            subject: "s".to_owned(),
            body: b"body".to_vec(),
            reference: None,
        };
        ledger.outbox_add(run, at(3, 0), &mail).unwrap();
    }
    let sent = Verdict {
        recipient: "one@example.com".to_owned(),
        state: MailState::Sent,
        answer: "out/b.eml".to_owned(),
    };
    ledger.outbox_settle(2, at(4, 0), &[sent]).unwrap();
    ledger.finish_run(run, at(4, 1), 0, "{}").unwrap();
    drop(lake);
    as_version(3, dir.path());

    let old = Lake::open_reader(dir.path()).unwrap();
    let waiting = |lake: &Lake| {
        let pending = lake.ledger().outbox_pending().unwrap();
        let one = pending.first().map(|mail| mail.waiting.clone());
        (pending.len(), one.unwrap_or_default())
    };
    let both = vec!["one@example.com".to_owned(), "two@example.com".to_owned()];
    assert_eq!(waiting(&old), (1, both.clone()));
    drop(old);
    let lake = Lake::open_writer(dir.path()).unwrap();
    assert_eq!(waiting(&lake), (1, both));
    let recipients = lake
        .ledger()
        .snapshot(LedgerTable::AlertRecipients)
        .unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&[recipients]);
    let text = text.unwrap().to_string();
    assert_eq!(recipients_in(&text), 3, "{text}");
    assert!(text.contains("out/b.eml"), "{text}");
}

fn recipients_in(table: &str) -> usize {
    table.lines().filter(|line| line.contains('@')).count()
}

#[test]
fn a_writer_brings_a_ledger_of_version_3_up_to_date_and_keeps_what_people_had_decided() {
    let dir = tempfile::tempdir().unwrap();
    let before = old_lake(3, dir.path());
    let ledger = Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    ledger
        .execute(
            "UPDATE findings SET status = 'acknowledged', held_by = 'ann'",
            [],
        )
        .unwrap();
    drop(ledger);
    let mut lake = Lake::open_writer(dir.path()).unwrap();
    assert_eq!(tables(&lake).len(), before.len());
    assert_eq!(lake.ledger().integrity().unwrap(), Vec::<String>::new());
    let held = lake.ledger().finding("open").unwrap().hold.unwrap();
    assert_eq!((held.by.as_str(), held.count), ("ann", 3));

    let ledger = lake.ledger_mut();
    let run = ledger.start_run("run", at(4, 0)).unwrap();
    let mut night = |count| {
        let rows = [findings::row("open", 2, count)];
        let ledger = lake.ledger_mut();
        ledger
            .apply_findings(run, at(4, 0), &rows, &[], &findings::alone, |_| Ok(vec![]))
            .unwrap()
    };
    assert_eq!(night(3).reopened.len(), 0);
}
