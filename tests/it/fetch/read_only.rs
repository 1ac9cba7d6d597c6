//! Folders that this user may not write to: nothing is half done, the message says what to do, and the
//! next run has it all. Who may only read the lake may ask it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chrono::TimeDelta;

use super::run::configure;
use crate::fake_salesforce::scenario::generated;
use crate::fake_salesforce::{CLIENT_ID, FakeSf, Scenario, time};
use crate::program::{command, expect, orgwatch, stderr};

const FETCH: [&str; 3] = ["fetch", "--now", "2026-01-31T03:00:00Z"];

/// What may be read, and not written.
fn protect(path: &Path) {
    let mode = if path.is_dir() { 0o500 } else { 0o400 };
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn release(path: &Path) {
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Run by a user whom modes of folders hold back, which root is only without a capability.
fn held_back(dir: &Path, args: &[&str]) -> Output {
    let mut asked = command(dir, args);
    let probe = tempfile::tempdir().unwrap();
    protect(probe.path());
    if File::create(probe.path().join("file")).is_err() {
        return asked.output().unwrap();
    }
    let mut held_back = Command::new("setpriv");
    held_back.arg("--bounding-set=-dac_override,-dac_read_search");
    held_back.arg(asked.get_program()).args(asked.get_args());
    held_back.current_dir(dir);
    for (name, value) in asked.get_envs() {
        match value {
            Some(value) => held_back.env(name, value),
            None => held_back.env_remove(name),
        };
    }
    held_back.output().unwrap()
}

fn fetch(dir: &Path) -> Output {
    held_back(dir, &FETCH)
}

fn add(org: &FakeSf, day: &str, rows: u64) {
    org.with(|state| {
        let day = time(&format!("{day}T00:00:00Z"));
        let body = generated(state, "Login", day, rows);
        state.add_log_file("Login", day, 0, day + TimeDelta::hours(26), body);
    });
}

fn rows(dir: &Path) -> String {
    let rows = "SELECT count(*) AS n FROM elf_login";
    expect(0, orgwatch(dir, &["sql", "--format", "csv", rows]))
}

// F63
#[test]
fn a_folder_that_may_not_be_written_ends_the_fetch_with_what_to_do_and_loses_nothing() {
    let scenario = Scenario::org().set(|state| state.log_files.clear());
    let (org, dir) = (FakeSf::start(scenario), tempfile::tempdir().unwrap());
    configure(dir.path(), &org, CLIENT_ID);
    let refused = |protected: &Path| {
        protect(protected);
        let told = fetch(dir.path());
        release(protected);
        let said = stderr(&told);
        assert_eq!(
            told.status.code(),
            Some(2),
            "{}\n{said}",
            protected.display()
        );
        assert!(said.contains("let this user write"), "{said}");
        assert!(said.contains("data_dir"), "{said}");
    };
    // There is no lake yet, and nowhere to make one.
    add(&org, "2026-01-28", 10);
    refused(dir.path());
    assert_eq!(org.journal().len(), 0);
    assert!(!dir.path().join("out").exists());
    expect(0, fetch(dir.path()));
    assert_eq!(rows(dir.path()), "n\r\n10\r\n");

    add(&org, "2026-01-29", 5);
    let out = dir.path().join("out");
    for name in ["lock", "ledger.sqlite"] {
        refused(&out.join(name));
    }
    // Nowhere to put what comes.
    fs::remove_dir(out.join("inbox")).unwrap();
    refused(&out);
    assert_eq!((org.logins(), org.asked("/LogFile")), (1, 1));
    // It has come, and its rows have nowhere to go.
    refused(&out.join("lake/event=Login"));
    assert!(org.with(|state| state.tokens.iter().all(|token| token.revoked)));
    assert_eq!(rows(dir.path()), "n\r\n10\r\n");

    expect(0, fetch(dir.path()));
    assert_eq!(rows(dir.path()), "n\r\n15\r\n");
    assert_eq!(
        org.asked("/LogFile"),
        2,
        "what has come is not asked for again"
    );
    assert_eq!(fs::read_dir(out.join("inbox")).unwrap().count(), 0);
    expect(0, orgwatch(dir.path(), &["lake", "verify"]));
}

#[test]
fn a_lake_that_may_only_be_read_answers_questions() {
    let scenario = Scenario::org().set(|state| state.log_files.clear());
    let (org, dir) = (FakeSf::start(scenario), tempfile::tempdir().unwrap());
    configure(dir.path(), &org, CLIENT_ID);
    add(&org, "2026-01-28", 10);
    expect(0, orgwatch(dir.path(), &FETCH));
    let all = all_of(&dir.path().join("out"));
    all.iter().rev().for_each(|path| protect(path));
    let rows = "SELECT count(*) AS n, count(DISTINCT user_id) > 0 AS users FROM elf_login";
    let told = held_back(dir.path(), &["sql", "--format", "csv", rows]);
    all.iter().for_each(|path| release(path));
    assert_eq!(expect(0, told), "n,users\r\n10,true\r\n");
}

/// A folder and all in it, each folder before what is in it.
fn all_of(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    if path.is_dir() {
        let inside = fs::read_dir(path).unwrap();
        all.extend(inside.flat_map(|entry| all_of(&entry.unwrap().path())));
    }
    all
}
