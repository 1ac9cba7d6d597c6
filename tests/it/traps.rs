//! The traps that log formats and senders of files lay, one promise each.

use std::io::Write;

use crate::logs::{LOGIN, Org, log, login, login_file, quoted};
use flate2::Compression;
use flate2::write::GzEncoder;
use orgwatch::lake::FileState;

/// One Login file with these cells over a good login; returns the rows that were kept.
fn one(cells: &[(&str, &str)]) -> (Org, orgwatch::ingest::IngestReport) {
    let org = Org::new();
    let base = login(1, 1);
    let mut row: Vec<(&str, &str)> = base
        .iter()
        .map(|(k, v)| (*k, v.as_str()))
        .filter(|(k, _)| !cells.iter().any(|(c, _)| c == k))
        .collect();
    row.extend(cells);
    let report = org.ingest(&[&org.file("Login.csv", quoted(&log(LOGIN, &[&row])))]);
    (org, report)
}

#[test]
fn a_heading_with_a_comma_is_reported_and_the_rest_is_read() {
    let org = Org::new();
    let header = [
        "EVENT_TYPE",
        "TIMESTAMP_DERIVED",
        "USER_ID",
        "API_VERSION,USER_INITIATED_LOGOUT",
        "SESSION_TYPE",
    ];
    let row: &[(&str, &str)] = &[
        ("EVENT_TYPE", "Logout"),
        ("TIMESTAMP_DERIVED", "2026-01-15T10:00:00.000Z"),
        ("SESSION_TYPE", "U"),
    ];
    let report = org.ingest(&[&org.file("x.csv", quoted(&log(&header, &[row])))]);
    assert_eq!(
        report.files[0].unknown_columns,
        ["API_VERSION,USER_INITIATED_LOGOUT"]
    );
    assert_eq!(org.rows("Logout")[0].get("session_type"), "U");
}

#[test]
fn a_file_with_a_repeated_heading_is_refused_and_the_others_are_read() {
    let org = Org::new();
    let twice = login_file(&[login(1, 1)]).replacen("\"CPU_TIME\"", "\"RUN_TIME\"", 1);
    let report = org.ingest(&[
        &org.file("bad.csv", twice),
        &org.file("good.csv", login_file(&[login(2, 2)])),
    ]);
    let states: Vec<_> = report.files.iter().map(|f| f.state).collect();
    assert_eq!(states, [FileState::Rejected, FileState::Ingested]);
    assert_eq!(org.rows("Login").len(), 1);
}

#[test]
fn a_header_and_nothing_below_it_is_a_file_without_events() {
    let org = Org::new();
    let report = org.ingest(&[&org.file("empty.csv", login_file(&[]))]);
    assert_eq!(
        (report.files[0].state, report.files[0].rows_read),
        (FileState::Ingested, 0)
    );
}

#[test]
fn windows_line_ends_a_byte_order_mark_and_no_final_line_end_change_nothing() {
    let plain = login_file(&[login(1, 1), login(2, 2)]);
    let unix = Org::new();
    unix.ingest(&[&unix.file("log.csv", &plain)]);
    for variant in [
        plain.replace('\n', "\r\n"),
        format!("\u{feff}{plain}"),
        plain.trim_end().to_owned(),
        format!("\n{plain}\n\n"),
    ] {
        let org = Org::new();
        let report = org.ingest(&[&org.file("log.csv", &variant)]);
        assert_eq!(report.files[0].rows_quarantined, 0);
        let ids = |org: &Org| -> Vec<String> {
            org.rows("Login")
                .iter()
                .map(|r| format!("{} {}", r.get("request_id"), r.get("ip")))
                .collect()
        };
        assert_eq!(ids(&org), ids(&unix));
    }
}

#[test]
fn cells_of_many_lines_many_quotes_and_many_bytes_are_one_cell() {
    let agent = "\"Mozilla\n5.0\n\"";
    let long = "x".repeat(200_000);
    let (org, report) = one(&[("BROWSER_TYPE", agent), ("HTTP_REFERER", &long)]);
    assert_eq!(report.files[0].rows_quarantined, 0);
    assert_eq!(org.rows("Login")[0].get("browser_type"), agent);
}

#[test]
fn line_numbers_count_physical_lines_also_behind_a_cell_of_several() {
    let org = Org::new();
    let mut tall = login(1, 1);
    tall.push(("BROWSER_TYPE", "a\nb\nc".into()));
    org.ingest(&[&org.file("log.csv", login_file(&[tall, login(2, 2)]))]);
    let lines: Vec<String> = org
        .rows("Login")
        .iter()
        .map(|r| r.get("line_no").to_owned())
        .collect();
    assert_eq!(lines, ["2", "5"]);
}

#[test]
fn the_derived_time_is_preferred_and_fallbacks_are_counted() {
    let (org, _) = one(&[
        ("TIMESTAMP", "20260115100000.200"),
        ("TIMESTAMP_DERIVED", "2026-01-15T10:00:00.151Z"),
    ]);
    assert_eq!(
        org.rows("Login")[0].get("occurred_at"),
        "2026-01-15T10:00:00.151Z"
    );
    let (org, report) = one(&[
        ("TIMESTAMP", "20260115100000.13"),
        ("TIMESTAMP_DERIVED", ""),
    ]);
    assert_eq!(
        org.rows("Login")[0].get("occurred_at"),
        "2026-01-15T10:00:00.130Z"
    );
    assert_eq!(report.files[0].timestamp_fallbacks, 1);
}

#[test]
fn a_row_without_a_readable_time_is_quarantined_with_its_line_and_column() {
    let (org, report) = one(&[("TIMESTAMP", "soon"), ("TIMESTAMP_DERIVED", "later")]);
    assert_eq!(report.files[0].rows_quarantined, 1);
    let lake = orgwatch::lake::Lake::open_reader(&org.lake_dir()).unwrap();
    let rows = lake
        .ledger()
        .snapshot(orgwatch::lake::LedgerTable::Quarantine)
        .unwrap();
    let row = &crate::logs::rows_of(&rows)[0];
    assert_eq!(
        (row.get("line_no"), row.get("column_name")),
        ("2", "TIMESTAMP_DERIVED")
    );
    assert_eq!(row.get("user_id"), "005000000000001AAA");
    assert!(
        !row.get("reason").contains("later"),
        "a cell's value is never shown"
    );
}

#[test]
fn codes_keep_their_case() {
    for code in ["i", "I", "r", "R", "s"] {
        let (org, _) = one(&[("LOGIN_TYPE", code)]);
        assert_eq!(org.rows("Login")[0].get("login_type"), code);
    }
}

#[test]
fn ids_of_15_and_of_18_characters_are_one_user() {
    for (short, derived) in [
        ("005B0000000Dabc", ""),
        ("005B0000000DabcIAC", ""),
        ("", "005B0000000DabcIAC"),
        (" 005B0000000Dabc", ""),
    ] {
        let (org, _) = one(&[("USER_ID", short), ("USER_ID_DERIVED", derived)]);
        assert_eq!(
            org.rows("Login")[0].get("user_id"),
            orgwatch::catalog::sf_id18("005B0000000Dabc").unwrap()
        );
    }
}

#[test]
fn every_kind_of_address_cell_has_its_kind() {
    for (source, client, ip, kind) in [
        ("198.51.100.3", "", "198.51.100.3", "public"),
        (
            "Salesforce.com IP",
            "198.51.100.4",
            "198.51.100.4",
            "public",
        ),
        ("Salesforce.com IP", "", "", "salesforce"),
        ("::ffff:198.51.100.3", "", "198.51.100.3", "public"),
        ("2001:DB8::1", "", "2001:db8::1", "public"),
        ("10.0.0.1", "", "10.0.0.1", "private"),
        ("198.51.100.3, 192.0.2.1", "", "", "unparsed"),
        ("", "", "", "missing"),
    ] {
        let (org, _) = one(&[
            ("SOURCE_IP", source),
            ("CLIENT_IP", client),
            ("FORWARDED_FOR_IP", "192.0.2.99"),
        ]);
        let row = &org.rows("Login")[0];
        assert_eq!(
            (row.get("ip"), row.get("ip_kind")),
            (ip, kind),
            "{source:?}"
        );
    }
}

#[test]
fn a_column_that_is_gone_is_named_and_its_rows_are_read() {
    let header: Vec<&str> = LOGIN.iter().copied().filter(|h| *h != "RUN_TIME").collect();
    let org = Org::new();
    let base = login(1, 1);
    let row: Vec<(&str, &str)> = base.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let report = org.ingest(&[&org.file("log.csv", quoted(&log(&header, &[&row])))]);
    assert_eq!(report.files[0].missing_columns, ["RUN_TIME"]);
    assert_eq!(org.rows("Login").len(), 1);
}

#[test]
fn an_event_type_that_nobody_knows_keeps_its_common_columns_only() {
    let org = Org::new();
    let header = [
        "EVENT_TYPE",
        "TIMESTAMP_DERIVED",
        "USER_ID",
        "CLIENT_IP",
        "PRIVATE_TEXT",
    ];
    let row: &[(&str, &str)] = &[
        ("EVENT_TYPE", "BrandNew"),
        ("TIMESTAMP_DERIVED", "2026-01-15T10:00:00.000Z"),
        ("USER_ID", "005000000000001"),
        ("CLIENT_IP", "192.0.2.1"),
        ("PRIVATE_TEXT", "secret"),
    ];
    let report = org.ingest(&[&org.file("x.csv", quoted(&log(&header, &[row])))]);
    assert_eq!(report.files[0].unknown_columns, ["PRIVATE_TEXT"]);
    assert_eq!(org.rows("BrandNew")[0].get("ip"), "192.0.2.1");
}

#[test]
fn an_event_type_that_is_a_path_is_refused() {
    for name in [
        "../../etc/cron.d/x",
        "/abs",
        "a b",
        "rollup_logins",
        "CON\u{0}",
    ] {
        let (org, report) = one(&[("EVENT_TYPE", name)]);
        assert_eq!(report.files[0].state, FileState::Rejected, "{name}");
        assert!(
            !org.lake_dir()
                .join("lake")
                .read_dir()
                .is_ok_and(|mut d| d.next().is_some())
        );
    }
}

#[test]
fn an_export_of_live_oauth_tokens_is_refused_without_showing_one() {
    let org = Org::new();
    let report = org.ingest(&[&org.file(
        "tokens.csv",
        "Id,UserId,AppName,AccessToken\n1,2,App,SECRETTOKEN\n",
    )]);
    let reason = report.files[0].reason.as_deref().unwrap();
    assert!(
        reason.contains("AccessToken") && !reason.contains("SECRETTOKEN"),
        "{reason}"
    );
}

#[test]
fn what_is_no_csv_of_ours_is_refused_with_what_was_expected() {
    for bytes in [
        &b""[..],
        b"\x7fELF\0\0",
        b"<html><body>",
        b"{\"a\":1}",
        b"a;b;c\n1;2;3\n",
        b"x,y\n1,2\n",
        b"\xff\xfeE\0V\0",
    ] {
        let org = Org::new();
        let report = org.ingest(&[&org.file("x.csv", bytes)]);
        assert_eq!(report.files[0].state, FileState::Rejected);
        assert!(
            report.files[0]
                .reason
                .as_deref()
                .is_some_and(|r| r.len() > 20)
        );
    }
}

#[test]
fn gzip_and_zip_hold_the_same_rows_as_the_plain_file() {
    let org = Org::new();
    let plain = login_file(&[login(1, 1), login(2, 2)]);
    let mut gz = GzEncoder::new(vec![], Compression::fast());
    gz.write_all(plain.as_bytes()).unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    zip.start_file(
        "logs/../../Login.csv",
        zip::write::SimpleFileOptions::default(),
    )
    .unwrap();
    zip.write_all(plain.as_bytes()).unwrap();
    org.ingest(&[&org.file("a.csv.gz", gz.finish().unwrap())]);
    assert_eq!(org.rows("Login").len(), 2);
    let zipped = org.file("a.zip", zip.finish().unwrap().into_inner());
    assert_eq!(org.ingest(&[&zipped]).known.len(), 1);
    assert_eq!(org.ingest(&[&org.file("a.csv", plain)]).known.len(), 1);
}

#[test]
fn an_archive_that_inflates_beyond_measure_is_stopped() {
    let org = Org::new();
    let mut gz = GzEncoder::new(vec![], Compression::best());
    let mut row = login(1, 1);
    row.push(("BROWSER_TYPE", "x".repeat(1 << 20)));
    gz.write_all(login_file(&vec![row; 70]).as_bytes()).unwrap();
    let report = org.ingest(&[&org.file("bomb.csv.gz", gz.finish().unwrap())]);
    assert_eq!(report.files[0].state, FileState::Rejected);
    assert!(
        report.files[0]
            .reason
            .as_deref()
            .unwrap()
            .contains("200 times")
    );
}

#[test]
fn a_cut_off_archive_is_rejected_and_says_so() {
    let org = Org::new();
    let mut gz = GzEncoder::new(vec![], Compression::fast());
    gz.write_all(login_file(&(0..500).map(|m| login(m, m % 600)).collect::<Vec<_>>()).as_bytes())
        .unwrap();
    let whole = gz.finish().unwrap();
    let report = org.ingest(&[&org.file("cut.csv.gz", &whole[..whole.len() / 2])]);
    assert_eq!(report.files[0].state, FileState::Rejected);
}

#[cfg(unix)]
#[test]
fn links_out_of_a_folder_and_pipes_are_not_read() {
    let org = Org::new();
    let outside = org.file("outside.csv", login_file(&[login(1, 1)]));
    org.file("drop/good.csv", login_file(&[login(2, 2)]));
    std::os::unix::fs::symlink(&outside, org.path("drop/link.csv")).unwrap();
    std::os::unix::fs::symlink("/", org.path("drop/root")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(org.path("drop/pipe.csv"))
        .status()
        .unwrap();
    assert!(made.success());
    let report = org.ingest(&[org.path("drop").to_str().unwrap()]);
    assert_eq!(report.rejected().count(), 3);
    assert_eq!(org.rows("Login").len(), 1);
}

#[test]
fn login_history_reads_in_every_spelling() {
    let mut org = Org::new();
    org.local_dates.zone = Some(chrono_tz::America::Los_Angeles);
    let soql = org.file("soql.csv", "Id,UserId,LoginTime,LoginType,Status,SourceIp,Application\n\
        0Ya000000000001AAA,005000000000001AAA,2026-01-15T18:51:16.000+0000,Remote Access 2.0,Success,198.51.100.3,ERP Sync\n");
    let loader = org.file("loader.csv", "\"ID\",\"USERID\",\"LOGINTIME\",\"LOGINTYPE\",\"STATUS\",\"SOURCEIP\"\n\
        \"0Ya000000000002AAA\",\"005000000000001AAA\",\"2026-01-15T18:51:17.000Z\",\"Application\",\"Success\",\"198.51.100.3\"\n");
    let setup = org.file("setup.csv", "Username,Login Time,Source IP,Location,Login Type,Status,Browser,Platform,Application,Login URL\n\
        ERP@example.com,\"1/15/2026, 10:51:18 AM PST\",198.51.100.3,Germany,Remote Access 2.0,Success,Unknown,Unknown,ERP Sync,login.salesforce.com\n");
    org.ingest(&[&soql, &loader, &setup]);
    let rows = org.rows("LoginHistory");
    let mut times: Vec<_> = rows
        .iter()
        .map(|r| r.get("occurred_at").to_owned())
        .collect();
    times.sort();
    assert_eq!(
        times,
        [
            "2026-01-15T18:51:16Z",
            "2026-01-15T18:51:17Z",
            "2026-01-15T18:51:18Z"
        ]
    );
    assert!(rows.iter().any(|r| r.get("username") == "erp@example.com"));
}

#[test]
fn a_file_of_broken_rows_alone_costs_bounded_memory_and_keeps_its_first_rows_by_line() {
    let mut org = Org::new();
    let header = login_file(&[login(1, 1)]);
    let broken = "\"Login\",\"x\"\n".repeat(700_000);
    let path = org.file("broken.csv", format!("{header}{broken}"));
    let mut seen = vec![];
    for threads in [1, 2] {
        org.threads = threads;
        let _ = std::fs::remove_dir_all(org.lake_dir());
        let report = org.ingest(&[&path]);
        assert_eq!(report.files[0].rows_quarantined, 700_000);
        let lake = orgwatch::lake::Lake::open_reader(&org.lake_dir()).unwrap();
        let rows = lake
            .ledger()
            .snapshot(orgwatch::lake::LedgerTable::Quarantine)
            .unwrap();
        let lines: Vec<String> = crate::logs::rows_of(&rows)
            .iter()
            .map(|r| r.get("line_no").to_owned())
            .collect();
        assert_eq!(
            (lines.len(), lines[0].as_str(), lines[9_999].as_str()),
            (10_000, "3", "10002")
        );
        seen.push(lines);
    }
    assert_eq!(seen[0], seen[1]);
}
