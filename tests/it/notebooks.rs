//! The notebooks say what is true of this program: they are executed, and compared with what is
//! committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::other_tools::{call, python_with};

fn notebooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("notebooks")
}

/// The program that executes notebooks, with its temporary files in `scratch`.
fn make(scratch: &Path) -> Command {
    let python = python_with(
        &notebooks().join("requirements.txt"),
        None,
        "notebooks-venv",
    );
    let mut command = Command::new(python);
    command
        .arg(notebooks().join("make.py"))
        .env("ORGWATCH_BINARY", env!("CARGO_BIN_EXE_orgwatch"))
        .env("TMPDIR", scratch)
        .env("HOME", scratch)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn every_notebook_runs_and_says_what_is_committed() {
    let scratch = TempDir::new().unwrap();
    let said = call(make(scratch.path()).arg("--check"));
    let passed = said.lines().filter(|line| line.ends_with(": ok")).count();
    assert_eq!(passed, 5, "{said}");
}

#[test]
fn committed_notebooks_are_small() {
    let sizes = fs::read_dir(notebooks()).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let counts = entry.path().extension().is_some_and(|e| e == "ipynb");
        if counts {
            entry.metadata().unwrap().len()
        } else {
            0
        }
    });
    let total: u64 = sizes.sum();
    assert!((10_000..1_500_000).contains(&total), "{total} bytes");
}

const SCRIPT: &str = "\
# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: -jupytext.text_representation
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %%
word = \"quiet\"
print(word)

# %%
assert word
";

/// A folder with one small notebook, executed; and what its `.ipynb` holds.
struct Small {
    dir: TempDir,
}

impl Small {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let small = Self { dir };
        small.script(SCRIPT);
        let made = small.make(&[]);
        assert!(made.status.success(), "{}", said(&made));
        small
    }

    fn script(&self, text: &str) {
        fs::write(self.dir.path().join("01_small.py"), text).unwrap();
    }

    fn notebook(&self) -> PathBuf {
        self.dir.path().join("01_small.ipynb")
    }

    fn make(&self, arguments: &[&str]) -> Output {
        make(self.dir.path())
            .arg("--folder")
            .arg(self.dir.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What the check says of the notebook after a change to it; it has to be refused.
    fn refused(&self, arguments: &[&str], change: impl Fn(&mut Value)) -> String {
        let good = fs::read_to_string(self.notebook()).unwrap();
        let mut notebook: Value = serde_json::from_str(&good).unwrap();
        change(&mut notebook);
        fs::write(self.notebook(), notebook.to_string()).unwrap();
        let output = self.make(arguments);
        fs::write(self.notebook(), good).unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        said(&output)
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn what_may_not_be_published_is_found_in_a_notebook() {
    let small = Small::new();
    let check = ["--check", "--static"];
    let fine = small.make(&check);
    assert!(fine.status.success(), "{}", said(&fine));
    for (text, told) in [
        ("ann@corp.test wrote", "e-mail address ann@corp.test"),
        ("from 10.1.2.3, twice", "address 10.1.2.3"),
        ("from http://8.8.4.4/x", "address 8.8.4.4"),
        ("from 2a00:1450::5", "address 2a00:1450::5"),
        ("see /home/ann/lake", "path /home/ann"),
        ("see /tmp/x1/data", "path /tmp/x1"),
    ] {
        let said = small.refused(&check, |n| {
            n["cells"][0]["outputs"][0]["text"] = text.into()
        });
        assert!(said.contains(told), "{text}: {said}");
    }
    let kept =
        "erp@example.com, 192.0.2.7, 2001:db8::1, 03:00:00, Chrome/131.0.0.0, 208.68.36.90\n";
    let good = fs::read_to_string(small.notebook()).unwrap();
    let mut notebook: Value = serde_json::from_str(&good).unwrap();
    notebook["cells"][0]["outputs"][0]["text"] = kept.into();
    fs::write(small.notebook(), notebook.to_string()).unwrap();
    let output = small.make(&check);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_notebook_that_is_not_its_script_or_fails_or_says_something_else_is_refused() {
    let small = Small::new();
    let check = ["--check", "--static"];
    let other = small.refused(&check, |n| {
        n["cells"][1]["source"] = "assert word == 1".into()
    });
    assert!(
        other.contains("is not the notebook of 01_small.py"),
        "{other}"
    );
    let metadata = small.refused(&check, |n| n["metadata"]["kernelspec"]["path"] = "x".into());
    assert!(metadata.contains("01_small: WRONG"), "{metadata}");
    let raw = small.refused(&check, |n| n["cells"][0]["execution_count"] = Value::Null);
    assert!(raw.contains("not executed"), "{raw}");
    let warned = small.refused(&check, |n| {
        n["cells"][0]["outputs"][0]["name"] = "stderr".into()
    });
    assert!(warned.contains("an error or a warning"), "{warned}");

    let differs = small.refused(&["--check"], |n| {
        n["cells"][0]["outputs"][0]["text"] = json!(["loud\n"]);
    });
    assert!(differs.contains("says something else today"), "{differs}");
    assert!(
        differs.contains("-loud") && differs.contains("+quiet"),
        "{differs}"
    );

    small.script(&SCRIPT.replace("\"quiet\"", "\"\""));
    let failed = small.make(&[]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("a cell fails"), "{}", said(&failed));
}
