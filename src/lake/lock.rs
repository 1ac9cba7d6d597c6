//! One writer at a time: an advisory lock on `<data>/lock`. The system releases it when the
//! process ends, however it ends, so a lock file left behind blocks nobody.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::{LakeError, Result};
use super::fs::{LakeFs, RealFs};
use super::layout;

/// Held for as long as a writer is open.
pub(super) struct WriterLock {
    file: File,
}

impl WriterLock {
    /// Takes the lock at once or says who holds it.
    pub fn take(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(layout::LOCK);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(LakeError::io("open the lock", &path))?;
        RealFs
            .make_private(&path)
            .map_err(LakeError::io("protect the lock", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LakeError::Locked {
                    path: data_dir.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(e)) => return Err(LakeError::io("take the lock", &path)(e)),
        }
        // Only a courtesy to whoever is refused: a full disk must not keep us from running.
        let _ = write_holder(&mut file);
        Ok(Self { file })
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // A program that is just being started has a copy of the file until it runs, and would hold
        // the lock with it. Closing the file alone would leave it to that.
        let _ = self.file.unlock();
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_given_back_is_free_whoever_still_has_a_copy_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = WriterLock::take(dir.path()).unwrap();
        let copy = lock.file.try_clone().unwrap();
        assert!(WriterLock::take(dir.path()).is_err());
        drop(lock);
        WriterLock::take(dir.path()).unwrap();
        drop(copy);
    }
}
