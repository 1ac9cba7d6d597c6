//! The one seam to the file system for everything that changes a lake, so that tests can make
//! any single step fail. Reading does not go through it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;

/// A point of the commit that is not a file operation but can still be the last one reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    BeforeTransaction,
    BeforeLedgerCommit,
    AfterLedgerCommit,
}

/// Operations that change a lake's files.
pub trait LakeFs: Send + Sync {
    /// Makes one private folder; its parent must exist. False if it was there already.
    fn create_dir(&self, path: &Path) -> io::Result<bool>;
    /// Takes all access from everyone but the owner.
    fn make_private(&self, path: &Path) -> io::Result<()>;
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    fn reached(&self, _step: Step) -> io::Result<()> {
        Ok(())
    }
}

/// The real file system.
#[derive(Debug, Clone, Copy)]
pub struct RealFs;

impl LakeFs for RealFs {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        match DirBuilder::new().mode(PRIVATE_DIR).create(path) {
            // The umask can only take bits away: the owner's own may be among them.
            Ok(()) => set_mode(path, PRIVATE_DIR).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn make_private(&self, path: &Path) -> io::Result<()> {
        set_mode(
            path,
            if path.is_dir() {
                PRIVATE_DIR
            } else {
                PRIVATE_FILE
            },
        )
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }
}

/// The real file system without waiting for the disk: for a lake that nobody wants back after a
/// crash.
#[derive(Debug, Clone, Copy)]
pub struct ScratchFs;

impl LakeFs for ScratchFs {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        RealFs.create_dir(path)
    }

    fn make_private(&self, path: &Path) -> io::Result<()> {
        RealFs.make_private(path)
    }

    fn sync_file(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_dir(path)
    }
}

/// Creates a file that only its owner may read, whatever the umask; fails if it exists.
/// Staged files are best made with it: the commit then has no permissions left to mend.
pub fn create_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(PRIVATE_FILE)
        .open(path)?;
    set_mode(path, PRIVATE_FILE)?;
    Ok(file)
}

/// Changes the mode only where it differs: a change costs the next fsync a journal write.
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    if fs::metadata(path)?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}
