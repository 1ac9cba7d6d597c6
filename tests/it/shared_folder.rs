//! A folder that several tests of one process share, for what takes too long to be made for each.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// An empty folder of this name. Another process that runs the same tests waits for its turn, which
/// comes when this value is dropped, or this process ends.
#[derive(Debug)]
pub struct SharedFolder {
    pub path: PathBuf,
    _turn: File,
}

impl SharedFolder {
    pub fn empty(name: &str) -> Self {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let turn = File::create(scratch.join(format!("{name}.lock"))).unwrap();
        turn.lock().unwrap();
        let path = scratch.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir_all(&path).unwrap();
        Self { path, _turn: turn }
    }
}
