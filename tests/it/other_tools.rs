//! The lake belongs to its owner: another tool reads it without help from orgwatch.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::program::{expect, orgwatch};
use crate::sample::WholeNight;

/// What a program prints, which must succeed.
pub fn call(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{shown} (the tests need Python 3 with venv): {error}"));
    assert!(
        output.status.success(),
        "{shown}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A Python with what `tests/requirements.txt` and `tests/requirements-source.txt` pin.
pub fn python() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let sources = tests.join("requirements-source.txt");
    python_with(&tests.join("requirements.txt"), Some(&sources), "it-venv")
}

/// A Python with the wheels that one file pins and the sources that the other does, in a folder of
/// that name; made once per build folder.
pub fn python_with(wheels: &Path, sources: Option<&Path>, name: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let lists = [Some(wheels), sources].into_iter().flatten();
    let wanted: String = lists
        .map(|list| fs::read_to_string(list).unwrap())
        .collect();
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(name);
    let python = venv.join("bin/python");
    let installed = venv.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return python;
    }
    call(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    );
    install(&python, &["--only-binary=:all:"], wheels);
    if let Some(sources) = sources {
        let own_tools = ["--no-binary=:all:", "--no-build-isolation", "--no-deps"];
        install(&python, &own_tools, sources);
    }
    fs::write(installed, wanted).unwrap();
    python
}

fn install(python: &Path, how: &[&str], list: &Path) {
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    let mut pip_install = Command::new(python);
    pip_install.args(pip).arg("--require-hashes").args(how);
    call(pip_install.arg("-r").arg(list));
}

fn ask(dir: &Path, query: &str) -> Vec<Value> {
    let rows = expect(0, orgwatch(dir, &["sql", "--format", "jsonl", query]));
    rows.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn duckdb_reads_every_row_of_the_lake() {
    let night = WholeNight::get();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_with_duckdb.py");
    let read = call(
        Command::new(python())
            .arg(script)
            .arg(night.dir.join("out")),
    );
    let read: Value = serde_json::from_str(&read).unwrap();

    let mut events: BTreeMap<String, u64> = serde_json::from_value(read["events"].clone()).unwrap();
    events.retain(|name, _| !name.starts_with("rollup_"));
    let kept = ask(
        &night.dir,
        "SELECT event_type, sum(rows_kept) AS n FROM files GROUP BY 1 HAVING sum(rows_kept) > 0",
    );
    let kept: BTreeMap<String, u64> = kept
        .iter()
        .map(|row| {
            (
                row["event_type"].as_str().unwrap().into(),
                row["n"].as_u64().unwrap(),
            )
        })
        .collect();
    assert!(kept.len() > 8, "{kept:?}");
    assert_eq!(events, kept);

    let logins = ask(
        &night.dir,
        "SELECT coalesce(user_id, '') AS user_id, count(*) AS n, \
         count(DISTINCT date_trunc('day', occurred_at)) AS days \
         FROM elf_login GROUP BY 1 ORDER BY 1",
    );
    let ours: Vec<_> = logins
        .iter()
        .map(|row| {
            (
                row["user_id"].clone(),
                row["n"].clone(),
                row["days"].clone(),
            )
        })
        .collect();
    let theirs = read["logins"].as_array().unwrap();
    let theirs: Vec<_> = theirs
        .iter()
        .map(|row| (row[0].clone(), row[1].clone(), row[3].clone()))
        .collect();
    assert!(ours.len() > 20);
    assert_eq!(ours, theirs);
}

#[test]
fn the_printed_sql_opens_the_same_rows_in_duckdb() {
    let night = WholeNight::get();
    let sql = expect(0, orgwatch(&night.dir, &["sql", "--duckdb"]));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/open_with_duckdb.py");
    let snippet = night.dir.join("lake.sql");
    fs::write(&snippet, sql).unwrap();
    let read = call(Command::new(python()).arg(script).arg(&snippet));
    let read: BTreeMap<String, u64> = serde_json::from_str(&read).unwrap();
    assert!(read.len() > 8, "{read:?}");
    for (table, rows) in &read {
        let ours = ask(&night.dir, &format!("SELECT count(*) AS n FROM {table}"));
        assert_eq!(ours[0]["n"].as_u64(), Some(*rows), "{table}");
    }
}

#[test]
fn the_printed_python_is_python_and_names_every_file() {
    let night = WholeNight::get();
    let python_text = expect(0, orgwatch(&night.dir, &["sql", "--polars"]));
    let parse = "import ast, sys; ast.parse(sys.stdin.read())";
    let mut parser = Command::new("python3")
        .args(["-c", parse])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut parser.stdin.take().unwrap(), python_text.as_bytes()).unwrap();
    assert!(parser.wait().unwrap().success(), "{python_text}");
    let duckdb = expect(0, orgwatch(&night.dir, &["sql", "--duckdb"]));
    let files = |text: &str| text.matches(".parquet").count();
    assert!(files(&python_text) > 100);
    assert_eq!(files(&python_text), files(&duckdb));
}

#[test]
fn the_parquet_files_say_what_each_column_means_and_in_which_unit_it_counts() {
    let night = WholeNight::get();
    let logs = night.dir.join("out/lake/event=Login");
    let is_part = |path: &Path| path.extension().is_some_and(|end| end == "parquet");
    let days = fs::read_dir(logs).unwrap();
    let mut parts = days.flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap());
    let part = parts.find_map(|file| Some(file.unwrap().path()).filter(|path| is_part(path)));

    let file = fs::File::open(part.unwrap()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let said = |column: &str, what: &str| {
        let field = reader.schema().field_with_name(column).unwrap();
        field.metadata().get(what).cloned().unwrap_or_default()
    };
    for field in reader.schema().fields() {
        assert_ne!(said(field.name(), "description"), "", "{}", field.name());
    }
    assert_eq!(said("run_time", "unit"), "ms");
    assert_eq!(said("line_no", "unit"), "");
}
