//! Ctrl-C and SIGTERM: the program ends at once with [`Exit::Interrupted`]. Only the shell of
//! `orgwatch sql` has another use for Ctrl-C: it stops the query.
//!
//! A lake needs no farewell: what was not committed is swept by the next writer. Only what lies
//! outside of it (a folder of `sql --from`, an unfinished `--output`) is removed on the way out.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::exit::Exit;

type OnInterrupt = Box<dyn Fn() + Send>;

static DIVERTED: Mutex<Option<OnInterrupt>> = Mutex::new(None);
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

/// As long as it lives, Ctrl-C does something else than end the program.
pub struct Diversion(());

/// Has Ctrl-C call `instead`.
pub fn divert(instead: impl Fn() + Send + 'static) -> Diversion {
    *locked(&DIVERTED) = Some(Box::new(instead));
    Diversion(())
}

impl Drop for Diversion {
    fn drop(&mut self) {
        *locked(&DIVERTED) = None;
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

/// Returns when the program is to end.
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => match &*locked(&DIVERTED) {
                Some(instead) => instead(),
                None => return Ok(()),
            },
        }
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

fn leftovers() -> MutexGuard<'static, Vec<PathBuf>> {
    locked(&LEFTOVERS)
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
