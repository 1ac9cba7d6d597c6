//! The sample org: one night over all of it, shared by the promises that need no more, and a few
//! of its days for those that need a lake of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::program::{expect, orgwatch};
use crate::shared_folder::SharedFolder;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data")
}

/// A folder with the sample's config and registry, and no logs.
pub fn desk(dir: &Path) {
    for name in ["orgwatch.toml", "registry.toml"] {
        fs::copy(folder().join(name), dir.join(name)).unwrap();
    }
}

/// The event log files of these days of January, hourly and daily, in the order of their names.
pub fn days(days: std::ops::RangeInclusive<u32>) -> Vec<String> {
    let dates: Vec<String> = days.map(|day| format!("2026-01-{day:02}")).collect();
    let mut found: Vec<String> = ["logs/eventlogfile", "logs/eventlogfile/hourly"]
        .iter()
        .flat_map(|below| fs::read_dir(folder().join(below)).unwrap())
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| dates.iter().any(|date| path.contains(date)))
        .collect();
    found.sort();
    found
}

/// The night of 31 January over the whole sample and the same night ten minutes later, in a
/// folder of its own.
pub struct WholeNight {
    pub dir: PathBuf,
    pub summary: String,
    pub findings: String,
    pub second_summary: String,
    pub second_findings: String,
    _folder: SharedFolder,
}

impl WholeNight {
    /// The night, which the first test that asks for it waits for.
    pub fn get() -> &'static Self {
        static NIGHT: OnceLock<WholeNight> = OnceLock::new();
        NIGHT.get_or_init(|| {
            let shared = SharedFolder::empty("whole-night");
            let dir = shared.path.clone();
            desk(&dir);
            let logs = folder().join("logs").display().to_string();
            let night = |code, now| {
                let summary = expect(code, orgwatch(&dir, &["run", &logs, "--now", now]));
                let list = orgwatch(&dir, &["findings", "list", "--format", "jsonl"]);
                (summary, expect(0, list))
            };
            let (summary, findings) = night(1, "2026-01-31T03:00:00Z");
            let (second_summary, second_findings) = night(0, "2026-01-31T03:10:00Z");
            WholeNight {
                dir,
                summary,
                findings,
                second_summary,
                second_findings,
                _folder: shared,
            }
        })
    }
}

/// The mails that a lake's outbox folder holds, by name.
pub fn mails(data: &Path) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(data.join("outbox")) else {
        return Vec::new();
    };
    let mut mails: Vec<PathBuf> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "eml"))
        .collect();
    mails.sort();
    mails
}
