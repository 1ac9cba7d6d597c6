//! The page that a security team reads: whole, by itself, the same each time, and readable for
//! everybody who opens it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::{expect, orgwatch, stderr, stdout};
use crate::sample::{self, WholeNight};

const NOW: &str = "2026-01-31T03:00:00Z";

fn page_of(dir: &Path, arguments: &[&str]) -> String {
    let mut all = vec!["report", "--now", NOW];
    all.extend(arguments);
    expect(0, orgwatch(dir, &all))
}

/// Where pictures of the page are kept for people to look at.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("report")
}

#[test]
fn the_page_of_the_sample_org_is_read_in_a_real_browser_in_light_dark_phone_and_print() {
    let night = WholeNight::get();
    let folder = pictures();
    fs::create_dir_all(&folder).unwrap();
    let page = folder.join("report.html");
    fs::write(&page, page_of(&night.dir, &["--format", "html"])).unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/browser.py");
    let output = Command::new("python3")
        .arg(script)
        .args([&page, &folder])
        .output()
        .unwrap_or_else(|error| panic!("the tests need Python 3: {error}"));
    assert!(output.status.success(), "{}", stderr(&output));
    let seen: Value = serde_json::from_str(&stdout(&output)).unwrap();

    assert_eq!(seen["console"], Value::from(Vec::<Value>::new()));
    let requests: Vec<&str> = seen["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let own = format!("file://{}", page.display());
    assert_eq!(requests, [own.as_str()]);
    for view in ["light", "dark", "phone", "print"] {
        let found = &seen["views"][view];
        let none = Value::from(Vec::<Value>::new());
        assert_eq!(found["faint"], none, "{view}: too little contrast");
        assert_eq!(found["faults"], none, "{view}");
        assert!(found["texts"].as_u64().unwrap() > 1000, "{view}: {found}");
        assert!(found["charts"].as_u64().unwrap() >= 15, "{view}: {found}");
    }
    let ground = |view: &str| seen["views"][view]["ground"].as_str().unwrap().to_owned();
    assert_ne!(ground("light"), ground("dark"));
    assert_eq!(ground("print"), "rgb(255, 255, 255)", "ink for a dark page");
    // On paper nothing stays folded.
    let print = &seen["views"]["print"];
    assert_eq!(print["shown"], print["articles"]);
    assert!(fs::metadata(folder.join("print.pdf")).unwrap().len() > 50_000);
}

#[test]
fn the_page_tells_what_the_night_told() {
    let night = WholeNight::get();
    let page = page_of(&night.dir, &[]);
    let open = night.second_findings.lines().filter(|line| {
        let finding: Value = serde_json::from_str(line).unwrap();
        finding["last_seen"].as_str() >= Some("2026-01-01") && finding["status"] == "ongoing"
    });
    let verdict = format!(
        "CRITICAL: {} open findings in Acme Example Org<",
        open.count()
    );
    for told in [
        verdict.as_str(),
        "2026-01-01 to 2026-01-30",
        // The rows of the run, and what became of the rules.
        // The second run, which had nothing to do, and the first in the list of runs.
        "0 read = 0 kept + 0 duplicate + 0 quarantined",
        "<td class=\"number\">48,498</td>",
        "92 asked: 87 ok, 0 blind, 0 failed, 5 never had input",
        "docs.archive@example.com (integration)",
        "1 successful UI login by ui_password from 203.0.113.120",
        "orgwatch findings show 4c67f7564d8b",
        "no AuraRequest files in the lake",
        "text follows a closing quote",
        "API calls against the baseline",
        "Beyond the usual: ",
    ] {
        assert!(page.contains(told), "{told}");
    }
    assert!(!page.contains("does not add up"));
    assert!(page.len() < 4_000_000, "{}", page.len());
    assert_eq!(
        page,
        page_of(&night.dir, &[]),
        "another page of the same lake"
    );
}

#[test]
fn a_report_of_one_user_and_a_few_days_is_about_nothing_else() {
    let night = WholeNight::get();
    let days = ["--since", "2026-01-20", "--until", "2026-01-26"];
    let all = page_of(&night.dir, &days);
    let mut arguments = days.to_vec();
    arguments.extend(["--user", "docs.archive@example.com"]);
    let one = page_of(&night.dir, &arguments);
    assert!(one.contains("open finding") && one.contains("of docs.archive@example.com"));
    assert!(one.contains("2026-01-20 to 2026-01-26"));
    assert!(all.contains("mkt.cloud@example.com") && !one.contains("mkt.cloud@example.com"));
    assert_eq!(one.matches("<details class=\"user\"").count(), 1);
    assert!(!all.contains("hr.feed@example.com (integration), 2026-01-06"));
}

#[test]
fn a_file_appears_whole_and_private_or_not_at_all() {
    let night = WholeNight::get();
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let name = page.display().to_string();
    fs::write(&page, "before").unwrap();
    expect(
        2,
        orgwatch(
            &night.dir,
            &[
                "report",
                "--now",
                NOW,
                "--user",
                "nobody@example.com",
                "--output",
                &name,
            ],
        ),
    );
    assert_eq!(fs::read_to_string(&page).unwrap(), "before");
    assert_eq!(page_of(&night.dir, &["--output", &name]), "");
    assert!(fs::read_to_string(&page).unwrap().ends_with("</html>"));
    let mode = fs::metadata(&page).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_reported_is_a_usage_error_with_a_hint() {
    let night = WholeNight::get();
    for (arguments, says) in [
        (
            vec!["report", "--format", "table"],
            "`report` writes a page",
        ),
        (
            vec!["report", "--format", "csv", "--user", "nobody@example.com"],
            "the logs do not know",
        ),
        (
            vec!["report", "--since", "2026-02-01", "--until", "2026-01-01"],
            "comes after",
        ),
        (
            vec!["report", "--since", "2020-01-01", "--until", "2026-01-01"],
            "has room for 366",
        ),
        (
            vec!["report", "--user", "nobody@example.com"],
            "the logs do not know",
        ),
        (vec!["report", "--data-dir", "nowhere"], "nowhere"),
        (
            vec!["findings", "list", "--format", "html"],
            "only `orgwatch report` writes HTML",
        ),
    ] {
        let output = orgwatch(&night.dir, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn the_findings_of_a_reports_days_leave_in_every_format_that_a_list_has() {
    let night = WholeNight::get();
    let folder = tempfile::tempdir().unwrap();
    let days = [
        "--since",
        "2026-01-20",
        "--until",
        "2026-01-25",
        "--now",
        NOW,
    ];
    for format in [
        "ocsf", "sarif", "jsonl", "json", "csv", "markdown", "parquet", "arrow",
    ] {
        let bytes = |command: &[&str]| {
            let arguments = [command, &["--format", format], &days].concat();
            let output = orgwatch(&night.dir, &arguments);
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            assert!(stderr(&output).contains(" findings"), "{}", stderr(&output));
            output.stdout
        };
        let listed = bytes(&["findings", "list"]);
        assert!(listed.len() > 1000, "{format}");
        assert!(bytes(&["report"]) == listed, "{format}");
        let file = folder.path().join(format);
        let name = file.to_str().unwrap();
        assert_eq!(bytes(&["report", "--output", name]), b"");
        assert!(fs::read(&file).unwrap() == listed, "{format}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 8);
    let of_user = [
        "report",
        "--format",
        "jsonl",
        "--user",
        "docs.archive@example.com",
    ];
    let lines = expect(0, orgwatch(&night.dir, &of_user));
    assert!(!lines.is_empty());
    for line in lines.lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        assert_eq!(finding["username"], "docs.archive@example.com");
    }
}

/// A night over one day of logs, with `html` in [report].
fn night_with_page(dir: &Path, html: &str) -> std::process::Output {
    sample::desk(dir);
    let config = dir.join("orgwatch.toml");
    let mut text = fs::read_to_string(&config).unwrap();
    text.push_str(&format!("\n[report]\nhtml = \"{html}\"\n"));
    fs::write(config, text).unwrap();
    let mut arguments = vec![
        "run".to_owned(),
        "--now".into(),
        "2026-01-14T03:00:00Z".into(),
    ];
    arguments.extend(sample::days(13..=13));
    arguments.extend(["--fail-on".into(), "never".into()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    orgwatch(dir, &arguments)
}

#[test]
fn a_night_leaves_the_page_that_the_config_names_and_it_knows_of_that_night() {
    let folder = tempfile::tempdir().unwrap();
    let summary = expect(0, night_with_page(folder.path(), "out/report.html"));
    assert!(summary.contains("Report    written to "), "{summary}");
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(
        page.contains("Last nightly run: number 1, 2026-01-14 03:00:00 UTC, finished, exit code 0")
    );
    assert!(!page.contains("Before you believe the rest") || !page.contains("did not finish"));
}

#[test]
fn a_page_that_cannot_be_written_loses_nothing_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = night_with_page(folder.path(), "no/such/folder/report.html");
    let summary = expect(3, output);
    assert!(
        summary.contains("Report    not written: cannot write "),
        "{summary}"
    );
    assert!(summary.contains("the report was not written"), "{summary}");
    let runs = orgwatch(
        folder.path(),
        &[
            "sql",
            "--format",
            "jsonl",
            "SELECT state, exit_code FROM runs",
        ],
    );
    assert_eq!(
        expect(0, runs).trim(),
        r#"{"state":"finished","exit_code":3}"#
    );
}
