//! A ledger of an older release keeps all that it holds.

use std::path::Path;

use rusqlite::Connection;

use super::*;

/// Puts the rows of a lake's ledger into one as version 1 made it.
fn as_version_1(data_dir: &Path) {
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
    old.execute_batch(include_str!("../ledger/schema.sql"))
        .unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
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
fn old_lake(dir: &Path) -> Vec<String> {
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
    as_version_1(dir);
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
    let before = old_lake(dir.path());
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
fn a_reader_shows_a_ledger_of_version_1_without_changing_it() {
    let dir = tempfile::tempdir().unwrap();
    let before = old_lake(dir.path());
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
    assert_eq!(version, 1);
}
