//! A file system for tests that fails one chosen step, and can then lose what was never synced.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::fs::{LakeFs, RealFs, Step};

/// How the chosen step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, the next ones work.
    Error,
    /// The same, for want of space.
    Enospc,
    /// It and all later ones fail: the process is dead.
    Crash,
}

/// Fails the n-th step (from 1) of all that go through it.
#[derive(Clone)]
pub(crate) struct FaultFs {
    fail_at: u64,
    fault: Fault,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    steps: u64,
    synced_files: BTreeSet<PathBuf>,
    /// Renamed or made, and the folder not synced since.
    unsynced_entries: BTreeSet<PathBuf>,
    /// Renamed without having been synced.
    unsynced_contents: BTreeSet<PathBuf>,
}

impl FaultFs {
    pub fn new(fault: Fault, fail_at: u64) -> Self {
        Self {
            fail_at,
            fault,
            state: Arc::default(),
        }
    }

    /// Whether the fault has happened.
    pub fn struck(&self) -> bool {
        self.state().steps >= self.fail_at
    }

    /// What a loss of power does: entries of unsynced folders vanish, contents of unsynced
    /// files are empty.
    pub fn lose_power(&self) {
        let state = self.state();
        for path in &state.unsynced_entries {
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else if path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
        for path in state.unsynced_contents.iter().filter(|p| p.exists()) {
            fs::write(path, b"").unwrap();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn step(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.steps += 1;
        let fails = match self.fault {
            Fault::Crash => state.steps >= self.fail_at,
            Fault::Error | Fault::Enospc => state.steps == self.fail_at,
        };
        match (fails, self.fault) {
            (false, _) => Ok(state),
            (true, Fault::Enospc) => Err(io::ErrorKind::StorageFull.into()),
            (true, _) => Err(io::Error::other("injected fault")),
        }
    }
}

impl LakeFs for FaultFs {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.step()?;
        let made = RealFs.create_dir(path)?;
        if made {
            state.unsynced_entries.insert(path.to_owned());
        }
        Ok(made)
    }

    fn make_private(&self, path: &Path) -> io::Result<()> {
        let _state = self.step()?;
        RealFs.make_private(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.step()?.synced_files.insert(path.to_owned());
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        state.unsynced_entries.retain(|p| p.parent() != Some(path));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        RealFs.rename(from, to)?;
        state.unsynced_entries.insert(to.to_owned());
        if !state.synced_files.contains(from) {
            state.unsynced_contents.insert(to.to_owned());
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let _state = self.step()?;
        RealFs.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let _state = self.step()?;
        RealFs.remove_dir(path)
    }

    fn reached(&self, _step: Step) -> io::Result<()> {
        self.step().map(|_| ())
    }
}
