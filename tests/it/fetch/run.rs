//! The fetch as the operator meets it: by itself, as the first step of a night, and when the org says no.

use std::fs;
use std::path::Path;

use chrono::TimeDelta;

use crate::fake_salesforce::scenario::generated;
use crate::fake_salesforce::{FakeSf, Scenario, USERNAME, time};
use crate::program::{command, expect, orgwatch, stderr, stdout};

const NOW: &str = "2026-01-31T03:00:00Z";

pub fn configure(dir: &Path, org: &FakeSf, client_id: &str) {
    let text = format!(
        "[store]\ndata_dir = \"out\"\n\n[salesforce]\nlogin_url = \"{}\"\nplaintext = true\n\
         client_id = \"{client_id}\"\nusername = \"{USERNAME}\"\nkey_file = \"{}\"\n",
        org.login_url(),
        org.key_file().display(),
    );
    fs::write(dir.join("orgwatch.toml"), text).unwrap();
}

#[test]
fn a_night_needs_no_input_but_the_org_and_the_next_one_finds_nothing_new() {
    let (org, dir) = (FakeSf::start(Scenario::org()), tempfile::tempdir().unwrap());
    configure(dir.path(), &org, crate::fake_salesforce::CLIENT_ID);
    let night = orgwatch(dir.path(), &["run", "--now", NOW]);
    let told = stdout(&night);
    assert!(
        told.contains("Org       00D5e000000AcmEEAS as orgwatch@example.com"),
        "{told}"
    );
    assert!(told.contains("log files: 12 listed, 10 fetched"), "{told}");
    assert!(told.contains("Exit      "), "{told}");
    let asked = [
        "sql",
        "--format",
        "csv",
        "SELECT state, count(*) AS n FROM org_log_files GROUP BY 1 ORDER BY 1",
    ];
    let states = expect(0, orgwatch(dir.path(), &asked));
    assert_eq!(states, "state,n\r\ningested,10\r\nsuperseded,2\r\n");
    let next = stdout(&orgwatch(dir.path(), &["run", "--now", NOW]));
    assert!(next.contains("0 fetched (0 B)"), "{next}");
    assert_eq!(
        fs::read_dir(dir.path().join("out/inbox")).unwrap().count(),
        0
    );
    let calls = org.journal().len();
    let metrics = [
        "run",
        "--no-fetch",
        "--now",
        NOW,
        "--metrics-file",
        "night.prom",
    ];
    orgwatch(dir.path(), &metrics);
    let metrics = fs::read_to_string(dir.path().join("night.prom")).unwrap();
    assert!(
        metrics.contains("orgwatch_org_log_files{state=\"ingested\"} 10"),
        "{metrics}"
    );
    assert!(
        metrics.contains("orgwatch_org_data_set_readable{data_set=\"User\"} 1"),
        "{metrics}"
    );
    assert_eq!(org.journal().len(), calls);
}

#[test]
fn an_org_that_refuses_ends_a_fetch_and_keeps_a_night_from_nothing_but_its_logs() {
    let (org, dir) = (FakeSf::start(Scenario::org()), tempfile::tempdir().unwrap());
    configure(dir.path(), &org, "3MVG9.somebody.elses");
    let refused = orgwatch(dir.path(), &["fetch", "--now", NOW]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("invalid_client_id"),
        "{}",
        stderr(&refused)
    );

    let rows = "TIMESTAMP,EVENT_TYPE,USER_ID\n20260130120000.000,Logout,0055e000000zGP3\n";
    fs::write(dir.path().join("Logout.csv"), rows).unwrap();
    let night = orgwatch(dir.path(), &["run", "Logout.csv", "--now", NOW]);
    assert_eq!(night.status.code(), Some(3), "{}", stderr(&night));
    let told = stdout(&night);
    assert!(told.contains("Rows      1 read = 1 kept"), "{told}");
    assert!(told.contains("Rules     "), "{told}");
    assert!(told.contains("the org's logs: "), "{told}");
    // One sign-in each: a refusal is not tried again.
    assert_eq!(org.asked("/oauth2/token"), 2);
}

#[test]
fn without_an_org_there_is_nothing_to_fetch_and_a_key_that_others_can_read_stops_the_night() {
    use std::os::unix::fs::PermissionsExt;
    let (org, dir) = (FakeSf::start(Scenario::org()), tempfile::tempdir().unwrap());
    let nothing = orgwatch(dir.path(), &["fetch", "--now", NOW]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(
        stderr(&nothing).contains("[salesforce]"),
        "{}",
        stderr(&nothing)
    );
    configure(dir.path(), &org, crate::fake_salesforce::CLIENT_ID);
    fs::set_permissions(org.key_file(), fs::Permissions::from_mode(0o644)).unwrap();
    for command in ["fetch", "run"] {
        let refused = orgwatch(dir.path(), &[command, "--now", NOW]);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("0644"), "{}", stderr(&refused));
    }
    fs::set_permissions(org.key_file(), fs::Permissions::from_mode(0o600)).unwrap();
    let config = fs::read_to_string(dir.path().join("orgwatch.toml")).unwrap();
    let wrong = config.replace(&org.key_file().display().to_string(), "none.key");
    fs::write(
        dir.path().join("none.key"),
        "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n",
    )
    .unwrap();
    fs::set_permissions(
        dir.path().join("none.key"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    fs::write(dir.path().join("orgwatch.toml"), wrong).unwrap();
    let refused = orgwatch(dir.path(), &["fetch", "--now", NOW]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("hint: "), "{}", stderr(&refused));
    assert!(!dir.path().join("out").exists());
    assert_eq!(org.logins(), 0);
}

// F63
#[test]
fn a_log_that_does_not_fit_on_the_disk_keeps_no_other_out_and_is_there_when_it_fits() {
    let scenario = Scenario::org().set(|state| {
        state.log_files.clear();
        let day = time("2026-01-29T00:00:00Z");
        let body = generated(state, "Login", day, 50_000);
        state.add_log_file("Login", day, 0, day + TimeDelta::hours(26), body);
        let body = generated(state, "RestApi", day, 20);
        state.add_log_file("RestApi", day, 0, day + TimeDelta::hours(27), body);
    });
    let (org, dir) = (FakeSf::start(scenario), tempfile::tempdir().unwrap());
    configure(dir.path(), &org, crate::fake_salesforce::CLIENT_ID);
    // No file may be longer than a few megabytes, and a signal does not say so first.
    let small = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let fetch = command(dir.path(), &["fetch", "--now", NOW]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", small]).arg(fetch.get_program());
    limited.args(fetch.get_args()).current_dir(dir.path());
    for (name, value) in fetch.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let told = limited.output().unwrap();
    assert_eq!(told.status.code(), Some(3), "{}", stderr(&told));
    let said = stderr(&told);
    assert!(
        said.contains("1 log file of the org (") && said.contains("make room"),
        "{said}"
    );
    assert!(said.contains("1 fetched"), "{said}");
    assert_eq!(org.logins(), 1);
    let inbox = dir.path().join("out/inbox");
    assert_eq!(fs::read_dir(&inbox).unwrap().count(), 0);
    expect(0, orgwatch(dir.path(), &["fetch", "--now", NOW]));
    let rows = "SELECT count(*) AS n FROM elf_login";
    let rows = expect(0, orgwatch(dir.path(), &["sql", "--format", "csv", rows]));
    assert_eq!(rows, "n\r\n50000\r\n");
}

// F63
#[test]
fn a_log_that_the_disk_has_no_room_for_is_not_even_asked_for() {
    let scenario = Scenario::org().set(|state| {
        state.log_files.clear();
        let day = time("2026-01-29T00:00:00Z");
        for (event_type, hours) in [("Login", 26), ("RestApi", 27)] {
            let body = generated(state, event_type, day, 20);
            state.add_log_file(event_type, day, 0, day + TimeDelta::hours(hours), body);
        }
        // No disk has so much.
        state.log_files[0].claimed_length = Some(1 << 50);
    });
    let (org, dir) = (FakeSf::start(scenario), tempfile::tempdir().unwrap());
    configure(dir.path(), &org, crate::fake_salesforce::CLIENT_ID);
    let told = orgwatch(dir.path(), &["fetch", "--now", NOW]);
    assert_eq!(told.status.code(), Some(3), "{}", stderr(&told));
    let said = stderr(&told);
    assert!(
        said.contains("1 log file of the org (1.00 PiB) did not fit"),
        "{said}"
    );
    assert_eq!(org.asked("/LogFile"), 1);
    let why = "SELECT reason FROM org_log_files WHERE state = 'listed'";
    let why = expect(0, orgwatch(dir.path(), &["sql", "--format", "csv", why]));
    assert!(
        why.contains("a log file needs 1.50 PiB") && why.contains("are free"),
        "{why}"
    );
    org.with(|state| state.log_files[0].claimed_length = None);
    expect(0, orgwatch(dir.path(), &["fetch", "--now", NOW]));
    let rows = "SELECT count(*) AS n FROM elf_login";
    let rows = expect(0, orgwatch(dir.path(), &["sql", "--format", "csv", rows]));
    assert_eq!(rows, "n\r\n20\r\n");
}

#[test]
fn doctor_says_what_this_user_may_not_read_and_asks_nobody_when_told() {
    let scenario = Scenario::org().without("ViewEventLogFiles");
    let (org, dir) = (FakeSf::start(scenario), tempfile::tempdir().unwrap());
    configure(dir.path(), &org, crate::fake_salesforce::CLIENT_ID);
    let seen = stdout(&orgwatch(dir.path(), &["doctor", "--now", NOW]));
    let line = |name: &str| {
        let mut lines = seen.lines();
        let found = lines.find(|line| line.contains("org      ") && line.contains(name));
        found.unwrap_or_else(|| panic!("{name}\n{seen}"))
    };
    assert!(line("sign-in").starts_with("PASS"), "{seen}");
    assert!(line("EventLogFile").starts_with("WARN"), "{seen}");
    assert!(line("Profile").starts_with("PASS"), "{seen}");
    assert!(org.with(|state| state.tokens.iter().all(|token| token.revoked)));
    let calls = org.journal().len();
    orgwatch(dir.path(), &["doctor", "--offline", "--now", NOW]);
    assert_eq!(org.journal().len(), calls);
}
