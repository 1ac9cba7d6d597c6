//! The files of a folder of queries (rules, hunts) that a user keeps.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::RuleError;

/// Largest rule, cases or hunt file read, in bytes.
const LARGEST_FILE_BYTES: u64 = 4 << 20;

/// All entries of a folder, in the order of their names. `what` is what messages call it.
pub fn entries_of(dir: &Path, what: &str) -> Result<Vec<PathBuf>, RuleError> {
    let unreadable = |error: std::io::Error| {
        let shown = dir.display().to_string();
        RuleError::new(&shown, 0, format!("{what} cannot be read: {error}"))
    };
    let mut paths = vec![];
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Whether an entry is a query: `*.sql`, and not hidden.
pub fn is_query_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".sql") && !name.starts_with('.')
}

pub fn read_file(path: &Path) -> Result<String, RuleError> {
    let shown = path.display().to_string();
    let cannot = |why: String| RuleError::new(&shown, 0, format!("cannot be read: {why}"));
    let facts = fs::metadata(path).map_err(|e| cannot(e.to_string()))?;
    if !facts.is_file() {
        return Err(cannot("it is not a file".into()));
    }
    if facts.len() > LARGEST_FILE_BYTES {
        return Err(cannot(format!(
            "it is larger than {LARGEST_FILE_BYTES} bytes"
        )));
    }
    fs::read_to_string(path).map_err(|e| cannot(e.to_string()))
}
