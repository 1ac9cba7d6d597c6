//! Metadata only: unique strings are planted in every column that holds record data or a token,
//! in unknown columns, in broken rows and refused files. The whole program runs at its most
//! talkative, and no byte of what it leaves or says holds one of them.

use std::fs;
use std::path::{Path, PathBuf};

use orgwatch::catalog::{
    Catalog, Column, ColumnKind, EventType, LogFamily, PrivacyClass, Treatment,
};

use crate::logs::{Org, quoted, rows_of};
use crate::program::orgwatch;

const MARK: &str = "Kanarienvogel";

/// The cell of a column: a canary in every form that the column's text may take.
fn cell(event: &EventType, column: &Column, n: usize) -> String {
    let canary = format!("{MARK}{n:04}");
    let heading = column.heading.as_str();
    match (column.class, column.treatment) {
        // What is no number, flag or time is nothing.
        _ if column.kind != ColumnKind::Text && event.is_roster() => canary,
        (PrivacyClass::RecordData, Treatment::Mentions) => {
            format!("{canary} changed {canary}@{canary}.example.com to {canary}")
        }
        // The org's own usernames are kept; what was typed into a login may be a password.
        (_, Treatment::Username) if event.is_roster() => "int_erp@example.com".into(),
        (PrivacyClass::RecordData, Treatment::UriTemplate) if n.is_multiple_of(2) => {
            format!("/services/apexrest/{canary}/{canary}?q={canary}")
        }
        (PrivacyClass::RecordData, Treatment::UriTemplate) => {
            format!("/services/data/v60.0/sobjects/Account/{canary}?q={canary}#{canary}")
        }
        (PrivacyClass::RecordData, Treatment::ApexTemplate) => format!("/{canary}/{canary}"),
        (PrivacyClass::RecordData, Treatment::QueryShape) => {
            format!(
                "SELECT {canary} FROM Account WHERE Name LIKE '%password {canary}%' AND {canary} > 1"
            )
        }
        (PrivacyClass::RecordData, Treatment::QueryClasses) => format!("password {canary}*"),
        (PrivacyClass::RecordData, Treatment::ActionTally) => format!(
            "1$aura://A/ACTION$b=1;{canary};1$apex://{canary}@x/ACTION$ {canary}=1;\
             1$apex://A/ACTION$execute({canary} .{canary}-)={canary};{canary}$aura://A/ACTION$b=1"
        ),
        (PrivacyClass::RecordData, Treatment::Contributors) => format!(
            r#"[{{"featureName":"rowCount","featureValue":"{canary}","{canary}":"{canary}"}},
                {{"featureName":"{canary} {canary}","previousValue":"{canary}"}}]"#
        ),
        (PrivacyClass::RecordData | PrivacyClass::Token, _) => canary,
        (_, Treatment::AddressList) => format!("198.51.100.7, {canary}"),
        (_, Treatment::Username) => canary,
        (_, Treatment::Address) => "192.0.2.66".into(),
        (_, Treatment::UserId) => "005000000000001".into(),
        (_, Treatment::OccurredAt) if heading == "TIMESTAMP" => "20260115100000.000".into(),
        (_, Treatment::OccurredAt) => "2026-01-15T10:00:00.000Z".into(),
        _ => match heading {
            "EVENT_TYPE" => event.name.clone(),
            "LOGIN_STATUS" => "LOGIN_ERROR_INVALID_PASSWORD".into(),
            "Status" => "Invalid Password".into(),
            _ => "1".into(),
        },
    }
}

/// The same as an answer of the API: a good record, a broken one, and fields and errors that hold
/// canaries in the places that only JSON has.
fn answer(event: &EventType, n: usize) -> String {
    let mut record = serde_json::json!({
        "attributes": {"type": event.name, "url": format!("/{MARK}")},
        format!("{MARK}@example.com"): MARK,
        "Unknown__r": {"attributes": {"type": MARK}, "Deep__r": {"Name": MARK}},
        "Cases": {"totalSize": 1, "records": [{"Subject": MARK}]},
        "List__c": [MARK, {"a": MARK}],
    });
    for column in &event.columns {
        record[&column.heading] = cell(event, column, n).into();
    }
    let records = format!("{record},{{\"Id\" \"{MARK}\"}},\"{MARK}\"");
    format!(r#"{{"totalSize":9,"done":false,"nextRecordsUrl":"/{MARK}","records":[{records}]}}"#)
}

/// One log file of every event type, with canaries.
fn plant(org: &Org) -> usize {
    let catalog = Catalog::embedded();
    let mut n = 0;
    for event in catalog.event_types() {
        let mut header: Vec<String> = event.columns.iter().map(|c| c.heading.clone()).collect();
        let mut row: Vec<String> = event
            .columns
            .iter()
            .map(|c| {
                n += 1;
                cell(event, c, n)
            })
            .collect();
        if event.family == LogFamily::EventLogFile && !header.iter().any(|h| h == "EVENT_TYPE") {
            header.insert(0, "EVENT_TYPE".into());
            row.insert(0, event.name.clone());
        }
        header.push("COLUMN_OF_TOMORROW".into());
        row.push(format!("{MARK}unknown"));
        let mut broken = row.clone();
        broken.push(format!("{MARK}broken"));
        let mut untimed = row.clone();
        for (at, heading) in header.iter().enumerate() {
            if event
                .columns
                .iter()
                .any(|c| &c.heading == heading && c.treatment == Treatment::OccurredAt)
            {
                untimed[at] = format!("{MARK}time");
            }
        }
        let text =
            quoted(&[header, row, broken, untimed]) + &format!("\"{}\",\"{MARK}torn", event.name);
        org.file(&format!("logs/{}.csv", event.name), text);
        if event.family != LogFamily::EventLogFile {
            org.file(&format!("logs/{}.json", event.name), answer(event, n));
        }
    }
    for (name, text) in [
        (
            "error",
            format!(r#"[{{"message":"{MARK}","errorCode":"{MARK}"}}]"#),
        ),
        (
            "sf_error",
            format!(r#"{{"status":1,"name":"{MARK}","message":"{MARK}"}}"#),
        ),
        ("cut", format!(r#"[{{"Id":"1","{MARK}":"{MARK}"#)),
        (
            "other",
            format!(r#"{{"{MARK}@example.com":{{"{MARK}":"{MARK}"}}}}"#),
        ),
        (
            "secret",
            format!(
                "[{{\"fullName\":\"{MARK}\",\"oauthConfig\":{{\"consumerSecret\":\"{MARK}\"}}}}]"
            ),
        ),
    ] {
        org.file(&format!("logs/{name}.json"), text);
    }
    org.file(
        "logs/secret.csv",
        format!(
            "Id,Name,OptionsAllowAdminApprovedUsersOnly,ConsumerSecret\n1,{MARK},true,{MARK}\n"
        ),
    );
    org.file(
        "logs/refused.csv",
        format!("AccessToken,{MARK}\n{MARK},{MARK}\n"),
    );
    org.file("logs/other.csv", format!("Name,Email\n{MARK},{MARK}\n"));
    n
}

pub fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => files_below(&path, found),
            path => found.push(path),
        }
    }
}

/// A file's content as text: Parquet and SQLite decoded, anything else as its bytes.
pub fn content(path: &Path) -> String {
    let mut text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    if path.extension().is_some_and(|e| e == "parquet") {
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
            fs::File::open(path).unwrap(),
        );
        for batch in reader.unwrap().build().unwrap() {
            text += &format!("{:?}", rows_of(&batch.unwrap()));
        }
    }
    if path.extension().is_some_and(|e| e == "eml") {
        let mail = fs::read(path).unwrap();
        let mail = mail_parser::MessageParser::default().parse(&mail).unwrap();
        for part in 0..mail.parts.len() {
            text += &mail.body_text(part).unwrap_or_default();
            text += &mail.body_html(part).unwrap_or_default();
        }
    }
    if path.file_name().is_some_and(|n| n == "ledger.sqlite") {
        let ledger = rusqlite::Connection::open(path).unwrap();
        let mut tables = ledger
            .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
            .unwrap();
        let tables: Vec<String> = tables
            .query_map([], |r| r.get(0))
            .unwrap()
            .flatten()
            .collect();
        for table in tables {
            let mut rows = ledger
                .prepare(&format!("SELECT * FROM \"{table}\""))
                .unwrap();
            let columns = rows.column_count();
            let mut rows = rows.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for column in 0..columns {
                    text += &match row.get_ref(column).unwrap() {
                        rusqlite::types::ValueRef::Blob(b) | rusqlite::types::ValueRef::Text(b) => {
                            String::from_utf8_lossy(b).into_owned()
                        }
                        other => format!("{other:?}"),
                    };
                }
            }
        }
    }
    text
}

#[test]
fn record_data_and_tokens_reach_no_output() {
    let org = Org::new();
    assert!(plant(&org) > 500);
    org.file(
        "orgwatch.toml",
        "[store]\ndata_dir = \"lake\"\n[inputs]\npaths = [\"logs\"]\ntimezone = \"UTC\"\n\
         [alert.email]\ntransport = \"file\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n",
    );
    let dir = org.path("");
    let mut said = vec![];
    let mut call = |arguments: &[&str]| {
        let output = orgwatch(
            &dir,
            &[&["--config", "orgwatch.toml", "-vvv"], arguments].concat(),
        );
        said.push((arguments.join(" "), output.stdout));
        said.push((arguments.join(" "), output.stderr));
    };
    call(&[
        "run",
        "--now",
        "2026-01-16T03:00:00Z",
        "--log-format",
        "json",
        "--metrics-file",
        "lake/metrics.prom",
    ]);
    let tables: Vec<String> = Catalog::embedded()
        .event_types()
        .iter()
        .map(|e| e.table.clone())
        .collect();
    let views = [
        "logins",
        "logouts",
        "api_calls",
        "bulk_jobs",
        "ui_activity",
        "queries",
        "aura_actions",
        "threat_events",
        "login_key_apps",
        "unmapped_values",
        "users",
        "permissions",
        "permission_assignments",
        "apps",
        "oauth_tokens",
        "login_ip_ranges",
        "roster_snapshots",
        "roster_as_of",
        "files",
        "runs",
        "quarantine",
        "findings",
        "alerts",
        "parts",
        "rule_runs",
    ];
    for table in tables.iter().map(String::as_str).chain(views) {
        call(&[
            "sql",
            "--format",
            "jsonl",
            &format!("SELECT * FROM {table}"),
        ]);
    }
    call(&[
        "sql",
        "--from",
        "logs",
        "--format",
        "csv",
        "SELECT * FROM elf_rest_api",
    ]);
    call(&["findings", "list", "--format", "jsonl"]);
    call(&["lake", "verify"]);
    call(&["sql", &format!("SELECT '{}' FROM nowhere", "x")]);
    let mut files = vec![];
    files_below(&org.lake_dir(), &mut files);
    files_below(&org.path(".cache"), &mut files);
    assert!(
        files
            .iter()
            .filter(|f| f.extension().is_some_and(|e| e == "parquet"))
            .count()
            > 40
    );
    for file in files {
        assert!(
            !content(&file).contains(MARK),
            "{} holds a canary",
            file.display()
        );
    }
    for (what, bytes) in &said {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains(MARK), "{what} says a canary: {text}");
    }
    // Standard output is every other entry.
    let answered = |table: &str| {
        let answers = said.iter().step_by(2);
        answers
            .filter(|(what, out)| what.contains(table) && !out.is_empty())
            .count()
    };
    assert!(answered("FROM elf_") > 30, "the tables were really asked");
    assert_eq!(answered("FROM roster_"), 14);
}
