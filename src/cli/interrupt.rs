//! Ctrl-C and SIGTERM: the program ends at once with [`Exit::Interrupted`].
//!
//! A lake needs no farewell: what was not committed is swept by the next writer. Only what lies
//! outside of it (a folder of `sql --from`, an unfinished `--output`) is removed on the way out.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::exit::Exit;

static LEFTOVERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removed when dropped, and when the program is interrupted before.
pub struct Leftover(PathBuf);

impl Leftover {
    pub fn new(path: PathBuf) -> Self {
        leftovers().push(path.clone());
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        leftovers().retain(|path| *path != self.0);
        remove(&self.0);
    }
}

/// Listens for the signals from now on.
pub fn watch() {
    let listen = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(signal())?;
        for path in leftovers().drain(..) {
            remove(&path);
        }
        std::process::exit(i32::from(Exit::Interrupted.code()));
    };
    let spawned = std::thread::Builder::new()
        .name("interrupt".into())
        .spawn(move || -> std::io::Result<()> { listen() });
    // Without the thread the system's default holds: the signal ends the program.
    drop(spawned);
}

async fn signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

fn remove(path: &Path) {
    // It may be gone already: a finished output has been renamed.
    let _ = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
}

fn leftovers() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    LEFTOVERS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
