//! `orgwatch sql`: asks and never changes; every format says the same; what an attacker wrote
//! into a log or a registry stays text.

use std::fs;
use std::path::Path;
use std::process::Command;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::logs::{Org, login, login_file};
use crate::program::{expect, orgwatch, stderr};

/// A username that is valid, and SQL and shell commands to whoever forgets to quote it.
const HOSTILE: &str = "x'or'1'='1');--$(touch${IFS}pwned)`touch${IFS}pwned`@example.com";
const FORMULA: &str = "=HYPERLINK(\"http://example.com\",\"x\")";
const CONTROL: &str = "red\u{1b}[31m\u{202e}\u{7}";

/// An org of four logins by three integrations, one of them the hostile one.
fn org() -> Org {
    let org = Org::new();
    let mut rows: Vec<_> = (0..4).map(|n| login(n % 2, n)).collect();
    for (row, browser) in rows.iter_mut().zip([FORMULA, CONTROL, "+1", "Firefox"]) {
        row.push(("BROWSER_TYPE", browser.into()));
    }
    for (name, value) in &mut rows[3] {
        match *name {
            "USER_ID" => value.clear(),
            "USER_NAME" => *value = HOSTILE.into(),
            "LOGIN_TYPE" => *value = "A".into(),
            _ => {}
        }
    }
    rows[3].push(("LOGIN_SUB_TYPE", "UsernamePasswordUiLogin".into()));
    org.file("logins.csv", login_file(&rows));
    let user = |name: &str| format!("[[user]]\nusername = '''{name}'''\nrole = \"integration\"\n");
    org.file("registry.toml", user("user0@example.com") + &user(HOSTILE));
    org.file(
        "orgwatch.toml",
        "[store]\ndata_dir = \"data\"\n[registry]\nfile = \"registry.toml\"\n",
    );
    let run = ["run", "logins.csv", "--now", "2026-01-16T03:00:00Z"];
    expect(1, orgwatch(&org.path(""), &run));
    org
}

fn sql(org: &Org, format: &str, query: &str) -> String {
    expect(
        0,
        orgwatch(&org.path(""), &["sql", "--format", format, query]),
    )
}

fn files_of(dir: &Path) -> Vec<(String, u64)> {
    let mut files = vec![];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_of(&path));
        } else {
            files.push((path.display().to_string(), path.metadata().unwrap().len()));
        }
    }
    files.sort();
    files
}

#[test]
fn whatever_is_no_question_is_refused_and_changes_nothing() {
    let org = org();
    org.file("secret.csv", "a,b\nKanarienvogel,2\n");
    let before = files_of(&org.path(""));
    for query in [
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW logins AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'secret.csv'",
        "COPY (SELECT * FROM logins) TO 'stolen.csv'",
        "COPY logins TO 'stolen.parquet'",
        "INSERT INTO elf_login SELECT * FROM elf_login",
        "INSERT INTO findings VALUES (1)",
        "UPDATE elf_login SET ip = NULL",
        "DELETE FROM elf_login",
        "DROP TABLE elf_login",
        "TRUNCATE TABLE elf_login",
        "SET datafusion.execution.batch_size = 1",
        "PREPARE p AS SELECT 1",
        "EXPLAIN ANALYZE INSERT INTO elf_login SELECT * FROM elf_login",
        "SELECT 1; DROP TABLE elf_login",
        "SELECT * FROM 'secret.csv'",
        "SELECT * FROM \"secret.csv\"",
        "SELECT * FROM read_csv('secret.csv')",
        "SELECT * FROM read_parquet('data/lake/event=Login/*/*.parquet')",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT $unbound",
        "nonsense",
        "",
    ] {
        let output = orgwatch(&org.path(""), &["sql", query]);
        assert_eq!(output.status.code(), Some(2), "{query}");
        assert!(output.stdout.is_empty(), "{query}");
        let said = stderr(&output);
        let messages = said.lines().filter(|l| l.starts_with("error: ")).count();
        assert_eq!(messages, 1, "{query}: {said}");
        assert!(!said.contains("Kanarienvogel"), "{said}");
    }
    let after = files_of(&org.path(""));
    let changed: Vec<_> = after
        .iter()
        .filter(|f| !before.contains(f) && !f.0.contains("ledger.sqlite-"))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
    assert_eq!(
        sql(&org, "csv", "SELECT count(*) AS n FROM elf_login"),
        "n\r\n4\r\n"
    );
}

#[test]
fn a_question_that_fails_on_a_cell_does_not_quote_it() {
    let org = org();
    for column in [
        "CAST(username AS INT)",
        "CAST(username AS TIMESTAMP)",
        "1 / (line_no - line_no)",
    ] {
        let query = format!("SELECT {column} FROM logins");
        let output = orgwatch(&org.path(""), &["sql", &query]);
        assert_eq!(output.status.code(), Some(2), "{column}");
        let said = stderr(&output);
        assert!(said.contains("the query failed: "), "{said}");
        assert!(!said.contains("example.com"), "{said}");
    }
}

#[test]
fn a_hostile_username_is_a_name_and_no_command() {
    let org = org();
    assert_eq!(
        sql(&org, "csv", "SELECT count(*) AS n FROM logins"),
        "n\r\n4\r\n"
    );
    let who = sql(
        &org,
        "jsonl",
        "SELECT user_key, role FROM logins WHERE user_id IS NULL",
    );
    let who: Value = serde_json::from_str(&who).unwrap();
    assert_eq!(who["user_key"], HOSTILE.to_lowercase());
    assert_eq!(who["role"], "integration");
    let found = orgwatch(&org.path(""), &["findings", "list", "--format", "jsonl"]);
    let found = expect(0, found);
    let finding = found
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
        .find(|f| f["rule_id"] == "integration-ui-login")
        .unwrap();
    assert_eq!(finding["username"], HOSTILE.to_lowercase());

    // The command that the finding gives, pasted into a shell.
    let id = &finding["finding_id"].as_str().unwrap()[..12];
    let shown = expect(0, orgwatch(&org.path(""), &["findings", "show", id]));
    let command = shown
        .split_once("orgwatch sql ")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap();
    let pasted = Command::new("sh")
        .current_dir(org.path(""))
        .arg("-c")
        .arg(format!(
            "'{}' sql {command}",
            env!("CARGO_BIN_EXE_orgwatch")
        ))
        .output()
        .unwrap();
    let rows = expect(0, pasted);
    assert!(rows.contains(&HOSTILE.to_lowercase()), "{rows}");
    assert!(!org.path("pwned").exists());
}

#[test]
fn cells_that_look_like_formulas_are_text_in_csv_and_whole_elsewhere() {
    let org = org();
    let query = "SELECT browser, '@SUM(1)' AS at, -1 AS n FROM logins ORDER BY occurred_at LIMIT 3";
    let text = sql(&org, "csv", query);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<Vec<String>> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows[0], [format!("'{FORMULA}").as_str(), "'@SUM(1)", "-1"]);
    assert_eq!(rows[2][0], "'+1");
    let first: Value =
        serde_json::from_str(sql(&org, "jsonl", query).lines().next().unwrap()).unwrap();
    assert_eq!(first["browser"], FORMULA);
}

#[test]
fn control_characters_are_escaped_where_they_are_shown() {
    let org = org();
    let query = "SELECT browser FROM logins WHERE browser LIKE 'red%'";
    for format in ["table", "json", "jsonl"] {
        let text = sql(&org, format, query);
        assert!(
            text.chars()
                .all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')),
            "{format}: {text:?}"
        );
        assert!(text.contains("red\\u"), "{format}: {text:?}");
    }
    let row: Value = serde_json::from_str(&sql(&org, "jsonl", query)).unwrap();
    assert_eq!(row["browser"], CONTROL);
}

const TIMES: FormatOptions<'static> =
    FormatOptions::new().with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));

fn cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|c| ArrayFormatter::try_new(c.as_ref(), &TIMES).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect())
        .collect()
}

fn json_cells(row: &Value) -> Vec<String> {
    let object = row.as_object().unwrap();
    let text = |v: &Value| match v {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    object.values().map(text).collect()
}

fn table_cells(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().skip(2);
    rows.map(|l| {
        l.split("  ")
            .map(str::trim)
            .filter(|c| !c.is_empty())
            .map(Into::into)
            .collect()
    })
    .collect()
}

#[test]
fn every_format_gives_the_same_rows() {
    let org = org();
    let query = "SELECT user_key, login_path, is_ui, run_time * 1.5 AS half, line_no, \
                 occurred_at FROM logins ORDER BY occurred_at, line_no";
    let text = sql(&org, "csv", query);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<Vec<String>> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0][5], "2026-01-15T10:00:00Z");

    let lines = sql(&org, "jsonl", query);
    let lines: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.iter().map(json_cells).collect::<Vec<_>>(), rows);
    let array: Vec<Value> = serde_json::from_str(&sql(&org, "json", query)).unwrap();
    assert_eq!(array, lines);
    assert_eq!(table_cells(&sql(&org, "table", query)), rows);

    for format in ["parquet", "arrow", "csv"] {
        let file = org.path(&format!("result.{format}"));
        let name = file.to_str().unwrap();
        let arguments = ["sql", "--format", format, "--output", name, query];
        let said = expect(0, orgwatch(&org.path(""), &arguments));
        assert_eq!(said, "", "{format}");
    }
    assert_eq!(fs::read_to_string(org.path("result.csv")).unwrap(), text);
    let file = fs::File::open(org.path("result.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let batches = reader.build().unwrap();
    assert_eq!(
        batches.flat_map(|b| cells(&b.unwrap())).collect::<Vec<_>>(),
        rows
    );
    let file = fs::File::open(org.path("result.arrow")).unwrap();
    let batches = arrow::ipc::reader::FileReader::try_new(file, None).unwrap();
    assert_eq!(
        batches.flat_map(|b| cells(&b.unwrap())).collect::<Vec<_>>(),
        rows
    );
}

#[test]
fn an_empty_result_still_says_its_columns() {
    let org = org();
    let query = "SELECT user_key, occurred_at FROM logins WHERE false";
    assert_eq!(sql(&org, "csv", query), "user_key,occurred_at\r\n");
    assert_eq!(sql(&org, "json", query).trim(), "[]");
    assert_eq!(sql(&org, "jsonl", query), "");
    assert!(sql(&org, "table", query).starts_with("user_key"));
    let path = org.path("empty.parquet");
    let arguments = [
        "sql",
        "--format",
        "parquet",
        "--output",
        path.to_str().unwrap(),
        query,
    ];
    expect(0, orgwatch(&org.path(""), &arguments));
    let file = fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(reader.schema().field(1).name(), "occurred_at");
    assert_eq!(reader.build().unwrap().count(), 0);
}

#[test]
fn a_question_needs_no_lake_and_leaves_none() {
    let org = Org::new();
    org.file("logins.csv", login_file(&[login(1, 1), login(2, 2)]));
    let query = "SELECT count(*) AS n, count(DISTINCT user_key) AS users FROM logins";
    let arguments = [
        "sql",
        "--from",
        "logins.csv",
        "--no-cache",
        "--format",
        "csv",
        query,
    ];
    assert_eq!(
        expect(0, orgwatch(&org.path(""), &arguments)),
        "n,users\r\n2,2\r\n"
    );
    assert_eq!(files_of(&org.path("")).len(), 1);
    let output = orgwatch(&org.path(""), &["sql", query]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no lake"));
}

/// Asks the log twice, and says whether the second answer came from what the first had read.
fn is_remembered(org: &Org, more: &[&str]) -> bool {
    let query = "SELECT count(*) AS n FROM elf_login";
    let words = ["sql", "-v", "--from", "logins.csv", "--format", "csv"];
    let words = [&words[..], more, &[query]].concat();
    expect(0, orgwatch(&org.path(""), &words));
    stderr(&orgwatch(&org.path(""), &words)).contains("from the cache")
}

#[test]
fn files_are_read_once_as_long_as_their_content_and_their_reading_stay_the_same() {
    let org = Org::new();
    org.file("logins.csv", login_file(&[login(1, 1), login(2, 2)]));
    assert!(is_remembered(&org, &[]));
    let count = |more: &[&str]| {
        let words = ["sql", "-v", "--from", "logins.csv", "--format", "csv"];
        let words = [&words[..], more, &["SELECT count(*) AS n FROM elf_login"]].concat();
        let output = orgwatch(&org.path(""), &words);
        let told = stderr(&output).contains("from the cache");
        (expect(0, output), told)
    };
    // Other rows under the same name, of the same length; another zone of local times.
    org.file("logins.csv", login_file(&[login(1, 1), login(1, 2)]));
    assert_eq!(count(&[]), ("n\r\n2\r\n".into(), false));
    assert!(!count(&["--timezone", "Europe/Berlin"]).1);
    assert!(count(&[]).1);
    assert!(!count(&["--no-cache"]).1);
}

#[test]
fn what_was_wrong_with_a_file_is_said_again_when_it_comes_from_the_cache() {
    let org = Org::new();
    org.file("refused.csv", "a,b\n1,2\n");
    let call = || {
        let query = "SELECT 1 AS a";
        orgwatch(&org.path(""), &["sql", "--from", "refused.csv", query])
    };
    let (first, second) = (call(), call());
    assert_eq!(first.status.code(), Some(3));
    assert_eq!(second.status.code(), Some(3));
    assert_eq!(stderr(&first), stderr(&second));
    assert!(!stderr(&first).is_empty());
}

#[test]
fn several_at_once_read_the_same_files_and_none_of_them_fails() {
    let org = Org::new();
    let rows: Vec<_> = (0..200).map(|n| login(n % 9, n)).collect();
    org.file("logins.csv", login_file(&rows));
    let words = [
        "sql",
        "--from",
        "logins.csv",
        "--format",
        "csv",
        "SELECT count(*) AS n FROM elf_login",
    ];
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let mut call = crate::program::command(&org.path(""), &words);
            call.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for call in calls {
        let output = call.wait_with_output().unwrap();
        assert_eq!(expect(0, output), "n\r\n200\r\n");
    }
    let kept = fs::read_dir(org.path(".cache/orgwatch/from")).unwrap();
    assert_eq!(kept.count(), 1);
}

#[test]
fn of_several_statements_the_one_that_fails_is_named_and_the_others_are_answered() {
    let org = org();
    org.file(
        "script.sql",
        "SELECT 1 AS a;\n-- next\nSELECT usr_id\n  FROM elf_login;\nSELECT 3 AS c;\n",
    );
    let output = orgwatch(
        &org.path(""),
        &["sql", "--file", "script.sql", "--format", "csv"],
    );
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("statement 2 of 3 (line 3): there is no column usr_id"),
        "{said}"
    );
    assert!(
        said.contains("(line 3, column 8)\n3 | SELECT usr_id\n  |        ^\n"),
        "{said}"
    );
    assert_eq!(crate::program::stdout(&output), "a\r\n1\r\nc\r\n3\r\n");
    // A file appears whole or not at all.
    let words = [
        "sql",
        "--file",
        "script.sql",
        "--format",
        "csv",
        "--output",
        "out.csv",
    ];
    assert_eq!(orgwatch(&org.path(""), &words).status.code(), Some(2));
    assert!(!org.path("out.csv").exists());
    let binary = ["sql", "--format", "arrow", "SELECT 1; SELECT 2"];
    assert_eq!(orgwatch(&org.path(""), &binary).status.code(), Some(2));
}

#[test]
fn time_and_rows_of_a_question_have_limits() {
    let org = org();
    let cross = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 10000000) b \
                 WHERE a.value + b.value < 0";
    let began = std::time::Instant::now();
    let output = orgwatch(&org.path(""), &["sql", "--timeout", "1s", cross]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("stopped after 1 second"),
        "{}",
        stderr(&output)
    );
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
    let rows = [
        "sql",
        "--max-rows",
        "2",
        "--format",
        "csv",
        "SELECT line_no FROM elf_login ORDER BY 1",
    ];
    let output = orgwatch(&org.path(""), &rows);
    assert!(stderr(&output).contains("--max-rows"));
    assert_eq!(expect(0, output).lines().count(), 3);
}
