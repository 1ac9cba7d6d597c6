//! A small lake for tests: rows as JSON, stored as ingest would store them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value, json};

use super::{EngineOptions, Params, Session};
use crate::catalog::{Catalog, classify, ip_key, lake_schema};
use crate::lake::{Commit, Lake, PartWriter, RunId, StagedPart, create_private};
use crate::registry::Registry;

/// A lake in a temporary folder.
pub(crate) struct Fixture {
    folder: tempfile::TempDir,
    pub lake: Lake,
    pub catalog: Arc<Catalog>,
    pub run: RunId,
    rows: i64,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut lake = Lake::open_writer(&folder.path().join("data")).unwrap();
        let run = lake.ledger_mut().start_run("test", now()).unwrap();
        Self {
            folder,
            lake,
            catalog: Arc::new(Catalog::embedded()),
            run,
            rows: 0,
        }
    }

    pub(crate) fn options(&self, threads: usize) -> EngineOptions {
        let temp_dir = self.folder.path().join("spill");
        EngineOptions {
            memory_bytes: 256 << 20,
            threads,
            temp_dir,
        }
    }

    /// Commits rows of one event type, one part per day. A row names its stored columns;
    /// `at` is its time and `ip` its address cell.
    pub(crate) fn add(&mut self, event: &str, rows: &[Value]) {
        self.add_without(event, &[], rows);
    }

    /// The same as written by a release that had no such columns.
    pub(crate) fn add_without(&mut self, event: &str, lacking: &[&str], rows: &[Value]) {
        let event = self
            .catalog
            .event_type(event)
            .cloned()
            .or_else(|| self.catalog.unknown_event_type(event))
            .unwrap();
        let fields = lake_schema(&event).fields().clone();
        let known = fields
            .iter()
            .filter(|f| !lacking.contains(&f.name().as_str()));
        let schema: SchemaRef = Arc::new(Schema::new(known.cloned().collect::<Vec<_>>()));
        let mut days: std::collections::BTreeMap<NaiveDate, Vec<Value>> = Default::default();
        for row in rows {
            let (day, row) = self.stored(&schema, row);
            days.entry(day).or_default().push(row);
        }
        for (day, rows) in days {
            let part = self.staged(&event.name, &schema, day, &rows);
            let commit = Commit {
                add: vec![part],
                ..Commit::default()
            };
            self.lake.commit(self.run, now(), commit).unwrap();
        }
    }

    fn stored(&mut self, schema: &SchemaRef, row: &Value) -> (NaiveDate, Value) {
        let mut out: Map<String, Value> = row.as_object().unwrap().clone();
        let at: DateTime<Utc> = out.remove("at").unwrap().as_str().unwrap().parse().unwrap();
        self.rows += 1;
        out.insert("occurred_at".into(), json!(at.to_rfc3339()));
        for (name, value) in [
            ("file_id", 1),
            ("line_no", self.rows + 1),
            ("row_key", self.rows),
        ] {
            out.entry(name).or_insert(json!(value));
        }
        if schema.index_of("ip_kind").is_ok() {
            let cell = out.remove("ip").and_then(|v| v.as_str().map(str::to_owned));
            let (kind, ip) = classify(cell.unwrap_or_default().as_bytes());
            out.insert("ip_kind".into(), json!(kind.as_str()));
            if let Some(ip) = ip {
                let key: String = ip_key(ip).iter().map(|b| format!("{b:02x}")).collect();
                out.insert("ip".into(), json!(ip.to_string()));
                out.insert("ip_key".into(), json!(key));
            }
        }
        for name in out.keys() {
            assert!(
                schema.index_of(name).is_ok(),
                "the type has no column {name}"
            );
        }
        (at.date_naive(), Value::Object(out))
    }

    fn staged(
        &self,
        event: &str,
        schema: &SchemaRef,
        day: NaiveDate,
        rows: &[Value],
    ) -> StagedPart {
        let mut decoder = ReaderBuilder::new(Arc::clone(schema))
            .build_decoder()
            .unwrap();
        decoder.serialize(rows).unwrap();
        let batch: RecordBatch = decoder.flush().unwrap().unwrap();
        let path = self
            .lake
            .staging_dir()
            .join(format!("{event}-{day}.parquet"));
        let file = create_private(&path).unwrap();
        let mut writer = PartWriter::new(file, Arc::clone(schema));
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        let mut times: Vec<DateTime<Utc>> = rows
            .iter()
            .map(|r| r["occurred_at"].as_str().unwrap().parse().unwrap())
            .collect();
        times.sort();
        StagedPart {
            bytes: std::fs::metadata(&path).unwrap().len(),
            path,
            event_type: event.to_owned(),
            day,
            rows: rows.len() as u64,
            first_event_at: times[0],
            last_event_at: times[times.len() - 1],
        }
    }

    pub(crate) fn session(&self, registry: &str) -> Session {
        let registry = Registry::parse(registry, "registry.toml").unwrap();
        Session::open(&self.lake, &self.catalog, &registry, &self.options(2)).unwrap()
    }

    /// Rows of a query as text, cells separated by `|`, NULL as `-`.
    pub(crate) fn ask(&self, registry: &str, sql: &str) -> Vec<String> {
        shown(&self.session(registry).query(sql, &Params::new()).unwrap())
    }
}

pub(crate) fn shown(batches: &[RecordBatch]) -> Vec<String> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::new().with_null("-");
    let mut lines = vec![];
    for batch in batches {
        let cells: Vec<ArrayFormatter> = batch
            .columns()
            .iter()
            .map(|c| ArrayFormatter::try_new(c, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let line: Vec<String> = cells.iter().map(|c| c.value(row).to_string()).collect();
            lines.push(line.join("|"));
        }
    }
    lines
}

pub(crate) fn now() -> DateTime<Utc> {
    "2026-02-01T03:00:00Z".parse().unwrap()
}
