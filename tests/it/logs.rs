//! Makes small log files, and reads them into a lake of their own.

use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, Utc};
use orgwatch::catalog::Catalog;
use orgwatch::ingest::{IngestOptions, IngestReport, Input, LocalDates, Silent, ingest};
use orgwatch::lake::Lake;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A folder for logs and a lake beside it, both gone at the end of the test.
pub struct Org {
    dir: tempfile::TempDir,
    pub local_dates: LocalDates,
    pub threads: usize,
}

pub fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

impl Org {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            local_dates: LocalDates::default(),
            threads: 2,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn lake_dir(&self) -> PathBuf {
        self.path("lake")
    }

    /// Writes a file below the folder and returns its path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn ingest(&self, inputs: &[&str]) -> IngestReport {
        let mut lake = Lake::open_writer(&self.lake_dir()).unwrap();
        let inputs: Vec<String> = inputs.iter().map(|i| i.to_string()).collect();
        let inputs = Input::expand(&inputs).unwrap();
        let options = IngestOptions {
            threads: self.threads,
            local_dates: self.local_dates,
        };
        let now = at("2026-01-31T03:00:00Z");
        let run = lake.ledger_mut().start_run("test", now).unwrap();
        let report = ingest(
            &mut lake,
            &Catalog::embedded(),
            &inputs,
            &options,
            &Silent,
            run,
            now,
        )
        .unwrap();
        for file in &report.files {
            assert_eq!(
                file.rows_read,
                file.rows_kept + file.rows_duplicate + file.rows_quarantined,
                "rows read = kept + duplicate + quarantined in {}",
                file.name
            );
        }
        report
    }

    /// All rows of an event type, as text by column name, in the order of line numbers.
    pub fn rows(&self, event_type: &str) -> Vec<Row> {
        let lake = Lake::open_reader(&self.lake_dir()).unwrap();
        let mut rows: Vec<Row> = lake
            .parts(event_type)
            .unwrap()
            .iter()
            .flat_map(|p| read_part(&p.path))
            .collect();
        rows.sort_by_key(|r| {
            (
                r.get("file_id").parse::<i64>().unwrap(),
                r.get("line_no").parse::<i64>().unwrap(),
            )
        });
        rows
    }
}

/// One row, every value as text, NULL as the empty text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<(String, String)>);

impl Row {
    pub fn get(&self, column: &str) -> &str {
        &self
            .0
            .iter()
            .find(|(name, _)| name == column)
            .unwrap_or_else(|| panic!("no column {column}"))
            .1
    }
}

fn read_part(path: &Path) -> Vec<Row> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    reader.flat_map(|batch| rows_of(&batch.unwrap())).collect()
}

pub fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    (0..batch.num_rows())
        .map(|row| {
            let cells = schema
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, column)| {
                    let text = match column.is_null(row) {
                        true => String::new(),
                        false => array_value_to_string(column, row).unwrap(),
                    };
                    (field.name().clone(), text)
                });
            Row(cells.collect())
        })
        .collect()
}

/// The Login header of 2025, as the org writes it.
pub const LOGIN: &[&str] = &[
    "EVENT_TYPE",
    "TIMESTAMP",
    "REQUEST_ID",
    "ORGANIZATION_ID",
    "USER_ID",
    "RUN_TIME",
    "CPU_TIME",
    "URI",
    "SESSION_KEY",
    "LOGIN_KEY",
    "USER_TYPE",
    "REQUEST_STATUS",
    "DB_TOTAL_TIME",
    "LOGIN_TYPE",
    "BROWSER_TYPE",
    "API_TYPE",
    "API_VERSION",
    "USER_NAME",
    "TLS_PROTOCOL",
    "CIPHER_SUITE",
    "USE_API_TOKEN",
    "HTTP_REFERER",
    "LOGIN_URL",
    "COUNTRY_CODE",
    "AUTHENTICATION_METHOD_REFERENCE",
    "LOGIN_SUB_TYPE",
    "AUTHENTICATION_SERVICE_ID",
    "TIMESTAMP_DERIVED",
    "USER_ID_DERIVED",
    "CLIENT_IP",
    "URI_ID_DERIVED",
    "LOGIN_STATUS",
    "SOURCE_IP",
    "FORWARDED_FOR_IP",
];

/// A CSV in the way of Event Log Files: all quoted, LF.
pub fn quoted(rows: &[Vec<String>]) -> String {
    let cell = |c: &String| format!("\"{}\"", c.replace('"', "\"\""));
    rows.iter()
        .map(|r| r.iter().map(cell).collect::<Vec<_>>().join(",") + "\n")
        .collect()
}

/// Rows of a log from pairs of heading and value; the first row is the header.
pub fn log(header: &[&str], rows: &[&[(&str, &str)]]) -> Vec<Vec<String>> {
    let mut lines = vec![header.iter().map(|h| h.to_string()).collect::<Vec<_>>()];
    for row in rows {
        lines.push(
            header
                .iter()
                .map(|h| {
                    row.iter()
                        .find(|(name, _)| name == h)
                        .map_or(String::new(), |(_, v)| v.to_string())
                })
                .collect(),
        );
    }
    lines
}

/// A successful login of user `n` at `minute` past ten on 15 January 2026.
pub fn login(n: usize, minute: usize) -> Vec<(&'static str, String)> {
    vec![
        ("EVENT_TYPE", "Login".into()),
        (
            "TIMESTAMP",
            format!("202601151{:01}{:02}00.000", minute / 60, minute % 60),
        ),
        (
            "TIMESTAMP_DERIVED",
            format!("2026-01-15T1{}:{:02}:00.000Z", minute / 60, minute % 60),
        ),
        ("REQUEST_ID", format!("REQ{n:05}{minute:05}")),
        ("USER_ID", format!("00500000000{n:04}")),
        ("USER_NAME", format!("user{n}@example.com")),
        ("LOGIN_TYPE", "i".into()),
        ("URI", "/services/oauth2/token".into()),
        ("LOGIN_KEY", format!("key{n}/{minute}")),
        ("LOGIN_STATUS", "LOGIN_NO_ERROR".into()),
        ("SOURCE_IP", "198.51.100.3".into()),
        ("RUN_TIME", "12".into()),
    ]
}

/// A Login file of these rows.
pub fn login_file(rows: &[Vec<(&'static str, String)>]) -> String {
    let rows: Vec<Vec<(&str, &str)>> = rows
        .iter()
        .map(|r| r.iter().map(|(k, v)| (*k, v.as_str())).collect())
        .collect();
    let rows: Vec<&[(&str, &str)]> = rows.iter().map(Vec::as_slice).collect();
    quoted(&log(LOGIN, &rows))
}
