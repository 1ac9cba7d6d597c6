//! What ingest promises of rows: each counts once, none is lost, none hides another.

use crate::logs::{LOGIN, Org, log, login, login_file, quoted};
use orgwatch::lake::FileState;

#[test]
fn a_row_counts_once_in_hourly_daily_reissued_and_renamed_files() {
    let org = Org::new();
    let rows: Vec<_> = (0..90).map(|m| login(m % 5, m)).collect();
    let first = org.file("hourly-10.csv", login_file(&rows[..60]));
    let second = org.file("hourly-11.csv", login_file(&rows[60..80]));
    let daily = org.file("daily.csv", login_file(&rows[..85]));
    let again = org.file("daily-again.csv", login_file(&rows));
    let renamed = org.file("renamed.csv", login_file(&rows));
    org.ingest(&[&first, &second]);
    let report = org.ingest(&[&daily]);
    assert_eq!(
        (report.files[0].rows_kept, report.files[0].rows_duplicate),
        (5, 80)
    );
    let report = org.ingest(&[&again]);
    assert_eq!(
        (report.files[0].rows_kept, report.files[0].rows_duplicate),
        (5, 85)
    );
    let report = org.ingest(&[&renamed, &first]);
    assert_eq!((report.files.len(), report.known.len()), (0, 2));
    assert_eq!(org.rows("Login").len(), 90);
}

#[test]
fn overlapping_files_of_one_run_count_once_too() {
    let org = Org::new();
    let rows: Vec<_> = (0..30).map(|m| login(m % 3, m)).collect();
    org.file("logs/a.csv", login_file(&rows[..20]));
    org.file("logs/b.csv", login_file(&rows[10..]));
    org.file("logs/c.csv", login_file(&rows[10..]));
    let report = org.ingest(&[org.path("logs").to_str().unwrap()]);
    assert_eq!(org.rows("Login").len(), 30);
    assert_eq!(report.known.len(), 1, "c is b under another name");
}

#[test]
fn a_column_added_since_does_not_make_rows_new() {
    let org = Org::new();
    let rows: Vec<_> = (0..10).map(|m| login(1, m)).collect();
    org.ingest(&[&org.file("old.csv", login_file(&rows))]);
    let mut header = LOGIN.to_vec();
    header.extend(["AUTHENTICATION_CONTEXT_CLASS_REFERENCE", "BRAND_NEW_COLUMN"]);
    let rows: Vec<Vec<(&str, &str)>> = rows
        .iter()
        .map(|r| {
            let mut row: Vec<_> = r.iter().map(|(k, v)| (*k, v.as_str())).collect();
            row.extend([
                ("AUTHENTICATION_CONTEXT_CLASS_REFERENCE", "urn:x"),
                ("BRAND_NEW_COLUMN", "y"),
            ]);
            row
        })
        .collect();
    let rows: Vec<&[(&str, &str)]> = rows.iter().map(Vec::as_slice).collect();
    let report = org.ingest(&[&org.file("new.csv", quoted(&log(&header, &rows)))]);
    assert_eq!(
        (report.files[0].rows_kept, report.files[0].rows_duplicate),
        (0, 10)
    );
    assert_eq!(report.files[0].unknown_columns, ["BRAND_NEW_COLUMN"]);
}

#[test]
fn two_equal_events_in_one_file_stay_two_and_repeat_as_two() {
    let org = Org::new();
    let hourly = [login(1, 1), login(1, 1), login(2, 2)];
    let daily = [login(1, 1), login(1, 1), login(1, 1), login(2, 2)];
    org.ingest(&[&org.file("hourly.csv", login_file(&hourly))]);
    assert_eq!(org.rows("Login").len(), 3);
    let report = org.ingest(&[&org.file("daily.csv", login_file(&daily))]);
    assert_eq!(
        (report.files[0].rows_kept, report.files[0].rows_duplicate),
        (1, 3)
    );
}

#[test]
fn concatenated_hourly_files_count_as_the_files_they_were() {
    let org = Org::new();
    let rows: Vec<_> = (0..30).map(|m| login(1, m)).collect();
    let joined = [login_file(&rows[..20]), login_file(&rows[10..])].concat();
    let report = org.ingest(&[&org.file("joined.csv", joined)]);
    assert_eq!(report.files[0].repeated_headers, 1);
    assert_eq!(
        (report.files[0].rows_read, report.files[0].rows_kept),
        (40, 30)
    );
}

#[test]
fn types_concatenated_into_one_file_are_read_as_their_own_files() {
    let org = Org::new();
    let logout = quoted(&log(
        &["EVENT_TYPE", "TIMESTAMP_DERIVED", "USER_ID", "SESSION_TYPE"],
        &[&[
            ("EVENT_TYPE", "Logout"),
            ("TIMESTAMP_DERIVED", "2026-01-15T10:00:00.000Z"),
            ("SESSION_TYPE", "U"),
        ]],
    ));
    let report = org.ingest(&[&org.file("all.csv", login_file(&[login(1, 1)]) + &logout)]);
    assert_eq!(report.files.len(), 2);
    assert_eq!((org.rows("Login").len(), org.rows("Logout").len()), (1, 1));
}

#[test]
fn a_file_cut_at_every_byte_loses_only_its_tail_and_is_finished_by_the_whole_one() {
    let rows: Vec<_> = (0..3).map(|m| login(m, m)).collect();
    let whole = login_file(&rows);
    let header = whole.find('\n').unwrap() + 1;
    let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at + 1).collect();
    for cut in (header + 1..whole.len()).step_by(7) {
        let org = Org::new();
        let report = org.ingest(&[&org.file("cut.csv", &whole[..cut])]);
        // A row is whole up to its line end, and up to its last cell, which is empty here.
        let whole_at = |end: &usize| [0, 1, 3].contains(&(end.max(&cut) - cut));
        let complete = ends
            .iter()
            .filter(|end| **end > header && (**end <= cut || whole_at(end)))
            .count();
        assert_eq!(org.rows("Login").len(), complete, "cut at {cut}");
        let at_border = ends.iter().any(|end| *end >= cut && whole_at(end));
        assert_eq!(
            report.files[0].state == FileState::Ingested,
            at_border,
            "cut at {cut}"
        );
        org.ingest(&[&org.file("whole.csv", &whole)]);
        assert_eq!(org.rows("Login").len(), 3, "cut at {cut}");
    }
}

#[test]
fn a_hostile_row_does_not_hide_the_row_behind_it() {
    let good = login_file(&[login(7, 30)]);
    let attack = good.split_once('\n').unwrap().1;
    let header = good.split_once('\n').unwrap().0;
    let wide = format!("\"Login\"{}\n", ",\"x\"".repeat(5000));
    let long = format!("\"Login\",\"{}\"\n", "x".repeat(10 << 20));
    for hostile in [
        "\"Login\",\"open\n",
        "\"Login\",\"a\"b\",\"c\"\n",
        "\"Login\",\"\0\"\n",
        "\"Login\",\"a\rb\"\n",
        "\"Login\"\n",
        "\"\n",
        "\"\"\"\n",
        "Login,x,\"\n",
        "\n\n",
        ",,,\n",
        "\"Login\",\"\u{202e}\",\"ＬＯＧＩＮ\"\n",
        &wide,
        &long,
    ] {
        let org = Org::new();
        org.ingest(&[&org.file("log.csv", format!("{header}\n{attack}{hostile}{attack}"))]);
        assert_eq!(
            org.rows("Login").len(),
            2,
            "hidden by {:?}",
            &hostile[..hostile.len().min(30)]
        );
    }
}

#[test]
fn bytes_that_are_no_utf8_cost_their_cell_and_not_their_row() {
    let org = Org::new();
    let mut row = login(1, 1);
    row.push(("BROWSER_TYPE", "MARK".into()));
    let mut bytes = login_file(&[row]).into_bytes();
    let at = bytes.windows(4).position(|w| w == b"MARK").unwrap();
    bytes[at] = 0xff;
    org.ingest(&[&org.file("log.csv", bytes)]);
    assert_eq!(org.rows("Login")[0].get("browser_type"), "\u{fffd}ARK");
}

#[test]
fn the_order_of_inputs_and_the_number_of_threads_change_nothing() {
    let rows: Vec<_> = (0..200).map(|m| login(m % 7, m % 600)).collect();
    let mut seen = vec![];
    for (threads, reversed) in [(1, false), (2, true)] {
        let mut org = Org::new();
        org.threads = threads;
        let a = org.file("a.csv", login_file(&rows[..150]));
        let b = org.file("b.csv", login_file(&rows[100..]));
        if reversed {
            org.ingest(&[&b, &a])
        } else {
            org.ingest(&[&a, &b])
        };
        let rows = org.rows("Login");
        seen.push(
            rows.iter()
                .map(|r| ["file_id", "line_no", "request_id"].map(|c| r.get(c).to_owned()))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn an_id_that_was_exported_empty_makes_no_two_logins_one() {
    let org = Org::new();
    let header = "Id,UserId,LoginTime,LoginType,Status,SourceIp\n";
    let row = |id: &str, user: u32| {
        format!(
            "{id},00500000000000{user},2026-01-15T10:00:00.000Z,Remote Access 2.0,Success,198.51.100.3\n"
        )
    };
    org.ingest(&[&org.file("a.csv", format!("{header}{}", row("", 1)))]);
    let report = org.ingest(&[&org.file("b.csv", format!("{header}{}{}", row("", 2), row("", 1)))]);
    assert_eq!(
        (report.files[0].rows_kept, report.files[0].rows_duplicate),
        (1, 1)
    );
    // With an id it is the id that counts, whatever else was exported anew.
    org.ingest(&[&org.file("c.csv", format!("{header}{}", row("0Ya000000000001", 3)))]);
    let report =
        org.ingest(&[&org.file("d.csv", format!("{header}{}", row("0Ya000000000001", 4)))]);
    assert_eq!(report.files[0].rows_duplicate, 1);
}
