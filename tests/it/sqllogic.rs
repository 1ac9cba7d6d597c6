//! The engine answers as DuckDB does: the questions of `tests/sqllogic` asked of the sample org's
//! lake by us, and of its raw CSV files by DuckDB, with the answers in the files for both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use orgwatch::catalog::Catalog;
use orgwatch::engine::{EngineError, EngineOptions, Params, Session};
use orgwatch::lake::Lake;
use orgwatch::registry::Registry;
use serde_json::Value;
use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};

use crate::other_tools::{call, python};
use crate::sample::{self, WholeNight};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sqllogic");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "slt"))
        .collect();
    files.sort();
    files
}

/// The engine as sqllogictest asks it.
struct Engine(Session);

impl DB for Engine {
    type Error = EngineError;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, EngineError> {
        let mut rows = vec![];
        let mut types = vec![];
        for batch in self.0.query(sql, &Params::new())? {
            let columns: Vec<Vec<String>> = batch.columns().iter().map(|c| cells(c)).collect();
            types = vec![DefaultColumnType::Any; columns.len()];
            rows.extend((0..batch.num_rows()).map(|row| {
                let cells = columns.iter().map(|column| column[row].clone());
                cells.collect::<Vec<_>>()
            }));
        }
        Ok(DBOutput::Rows { types, rows })
    }
}

/// Cells as the files have them; `cell` in the Python beside says the same.
fn cells(column: &dyn Array) -> Vec<String> {
    const SHOWN: FormatOptions<'static> = FormatOptions::new()
        .with_null("NULL")
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.3fZ"));
    let shown = ArrayFormatter::try_new(column, &SHOWN).unwrap();
    (0..column.len())
        .map(|row| match column.data_type() {
            DataType::Float64 if column.is_valid(row) => {
                format!("{:.3}", column.as_primitive::<Float64Type>().value(row))
            }
            _ => match shown.value(row).to_string() {
                empty if empty.is_empty() => "(empty)".to_owned(),
                text => text,
            },
        })
        .collect()
}

#[test]
fn the_engine_answers_every_question_as_the_files_say() {
    let night = WholeNight::get();
    let open = || {
        let lake = Lake::open_reader(&night.dir.join("out")).unwrap();
        let options = EngineOptions {
            memory_bytes: 512 << 20,
            threads: 2,
            temp_dir: night.dir.join("spill"),
        };
        let catalog = Arc::new(Catalog::embedded());
        Engine(Session::open(&lake, &catalog, &Registry::empty(), &options).unwrap())
    };
    for file in files() {
        let mut runner = Runner::new(|| async { Ok(open()) });
        if let Err(error) = runner.run_file(&file) {
            panic!("{error}");
        }
    }
}

#[test]
fn duckdb_gives_the_same_answers_from_the_raw_files() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sqllogic_with_duckdb.py");
    let logs = sample::folder().join("logs");
    let told = call(Command::new(python()).arg(script).arg(logs).args(files()));
    let told: Value = serde_json::from_str(&told).unwrap();
    let queries: u64 = told["queries"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert!(queries >= 100, "{told}");
    assert_eq!(
        told["differences"].as_array().map(Vec::len),
        Some(0),
        "{told:#}"
    );
}
