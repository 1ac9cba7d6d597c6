//! Opening a lake: making what is missing, taking the lock, sweeping what a crash left behind,
//! and noticing files that have gone or changed size.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;

use super::error::{LakeError, Result};
use super::fs::{LakeFs, RealFs, ScratchFs, create_private};
use super::ledger::{Ledger, PartState};
use super::lock::WriterLock;
use super::model::Part;
use super::{Lake, layout, verify};
use crate::privacy::{DigestKey, random_bytes};

const KEY_BYTES: usize = 32;
/// Name in the ledger of the digest by which a key is recognised.
const KEY_CHECK: &str = "key_check";

/// A visible part whose file is not what the ledger says.
#[derive(Debug, Clone, PartialEq)]
pub struct Damage {
    pub part: Part,
    /// One line, for people.
    pub detail: String,
}

impl Lake {
    /// Opens the lake for writing; makes it where there is none. Takes the lock
    /// ([`LakeError::Locked`] if another process has it), deletes what earlier writers left
    /// behind, and marks runs that died as interrupted.
    pub fn open_writer(data_dir: &Path) -> Result<Self> {
        Self::open_writer_on(data_dir, Box::new(RealFs))
    }

    /// A lake that is thrown away after its one use, in a folder of its own: as [`Lake::open_writer`], but
    /// nothing waits for the disk, so that a crash may leave anything behind.
    pub fn open_scratch(data_dir: &Path) -> Result<Self> {
        let lake = Self::open_writer_on(data_dir, Box::new(ScratchFs))?;
        lake.ledger.never_sync()?;
        Ok(lake)
    }

    pub(super) fn open_writer_on(data_dir: &Path, fs: Box<dyn LakeFs>) -> Result<Self> {
        make_data_dir(fs.as_ref(), data_dir)?;
        let data_dir = canonical(data_dir)?;
        let lock = WriterLock::take(&data_dir)?;
        for name in [layout::PARTS, layout::STAGING, layout::OUTBOX] {
            make_dir(fs.as_ref(), &data_dir.join(name))?;
        }
        let ledger_is_new = ledger_is_empty(&data_dir);
        if ledger_is_new && holds_parquet(&data_dir.join(layout::PARTS))? {
            return Err(LakeError::LedgerMissing { path: data_dir });
        }
        if ledger_is_new && !data_dir.join(layout::KEY).exists() {
            create_key(fs.as_ref(), &data_dir)?;
        }
        let key = read_key(&data_dir)?;
        let mut ledger = Ledger::open_writer(&data_dir)?;
        sync_dir(fs.as_ref(), &data_dir)?;
        match ledger.meta(KEY_CHECK)? {
            None => ledger.set_meta(KEY_CHECK, &key_check(&key))?,
            Some(_) => check_key(&key, &ledger, &data_dir)?,
        }
        ledger.mark_interrupted()?;
        let mut lake = Self::assemble(data_dir, key, ledger, fs, Some(lock))?;
        lake.sweep()?;
        Ok(lake)
    }

    /// Opens the lake as it is at this moment: no lock, nothing written, nothing created.
    /// [`LakeError::Missing`] if there is none.
    pub fn open_reader(data_dir: &Path) -> Result<Self> {
        let missing = || LakeError::Missing {
            path: data_dir.to_owned(),
        };
        if !data_dir.is_dir() {
            return Err(missing());
        }
        let data_dir = canonical(data_dir)?;
        if ledger_is_empty(&data_dir) {
            return Err(match holds_parquet(&data_dir.join(layout::PARTS))? {
                true => LakeError::LedgerMissing { path: data_dir },
                false => missing(),
            });
        }
        let ledger = Ledger::open_reader(&data_dir)?;
        let key = read_key(&data_dir)?;
        check_key(&key, &ledger, &data_dir)?;
        Self::assemble(data_dir, key, ledger, Box::new(RealFs), None)
    }

    fn assemble(
        data_dir: PathBuf,
        key: DigestKey,
        ledger: Ledger,
        fs: Box<dyn LakeFs>,
        lock: Option<WriterLock>,
    ) -> Result<Self> {
        let damaged = damaged_parts(&ledger)?;
        Ok(Self {
            staging_dir: data_dir.join(layout::STAGING),
            next_file_id: AtomicI64::new(ledger.last_file_id()? + 1),
            next_part_id: AtomicI64::new(ledger.last_part_id()? + 1),
            damaged,
            data_dir,
            key,
            ledger,
            fs,
            lock,
        })
    }

    /// Visible parts whose file was gone or of another size when the lake was opened.
    pub fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    /// Deletes staged files, removed parts and Parquet files that the ledger does not know.
    fn sweep(&mut self) -> Result<()> {
        for path in files_under(&self.staging_dir)? {
            self.remove(&path)?;
        }
        let removed = self.ledger.paths(PartState::Removed)?;
        for (_, path) in &removed {
            self.remove(&self.data_dir.join(path))?;
        }
        let gone: Vec<_> = removed.iter().map(|(id, _)| *id).collect();
        if !gone.is_empty() {
            self.ledger.forget_removed(&gone)?;
        }
        let known: HashSet<PathBuf> = self
            .ledger
            .paths(PartState::Visible)?
            .into_iter()
            .map(|(_, path)| self.data_dir.join(path))
            .collect();
        for path in files_under(&self.data_dir.join(layout::PARTS))? {
            if is_parquet(&path) && !known.contains(&path) {
                self.remove(&path)?;
            }
        }
        self.remove_empty_dirs()
    }

    fn remove(&self, path: &Path) -> Result<()> {
        match self.fs.remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(LakeError::io("delete", path)(e)),
            _ => Ok(()),
        }
    }

    /// Folders of days that were pruned, and of event types without days.
    fn remove_empty_dirs(&self) -> Result<()> {
        for event_dir in dirs_in(&self.data_dir.join(layout::PARTS))? {
            for day_dir in dirs_in(&event_dir)? {
                self.remove_if_empty(&day_dir)?;
            }
            self.remove_if_empty(&event_dir)?;
        }
        Ok(())
    }

    fn remove_if_empty(&self, dir: &Path) -> Result<()> {
        let entries = fs::read_dir(dir).map_err(LakeError::io("list", dir))?;
        if entries.count() > 0 {
            return Ok(());
        }
        self.fs
            .remove_dir(dir)
            .map_err(LakeError::io("delete", dir))
    }
}

/// A folder of ours: made private. A folder that was there keeps its mode unless it is empty,
/// for it may serve other purposes too.
fn make_data_dir(fs: &dyn LakeFs, path: &Path) -> Result<()> {
    if let Some(parent) = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty() && !p.exists())
    {
        fs::create_dir_all(parent).map_err(LakeError::io("create", parent))?;
    }
    let made = fs.create_dir(path).map_err(LakeError::io("create", path))?;
    let mut entries = fs::read_dir(path).map_err(LakeError::io("list", path))?;
    if !made && entries.next().is_none() {
        fs.make_private(path)
            .map_err(LakeError::io("protect", path))?;
    }
    Ok(())
}

pub(super) fn make_dir(fs: &dyn LakeFs, path: &Path) -> Result<()> {
    fs.create_dir(path).map_err(LakeError::io("create", path))?;
    fs.make_private(path)
        .map_err(LakeError::io("protect", path))
}

pub(super) fn sync_dir(fs: &dyn LakeFs, path: &Path) -> Result<()> {
    fs.sync_dir(path).map_err(LakeError::io("sync", path))
}

fn canonical(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(LakeError::io("open", path))
}

/// No ledger, or one that was created but never filled.
fn ledger_is_empty(data_dir: &Path) -> bool {
    let size = |name: &str| fs::metadata(data_dir.join(name)).map_or(0, |m| m.len());
    size(layout::LEDGER) == 0 && size(&format!("{}-wal", layout::LEDGER)) == 0
}

fn create_key(fs: &dyn LakeFs, data_dir: &Path) -> Result<()> {
    let path = data_dir.join(layout::KEY);
    let staged = data_dir.join(layout::STAGING).join(layout::KEY);
    let _ = fs.remove_file(&staged);
    let written = || -> io::Result<()> {
        let bytes: [u8; KEY_BYTES] = random_bytes()?;
        create_private(&staged)?.write_all(&bytes)?;
        fs.sync_file(&staged)?;
        fs.rename(&staged, &path)?;
        fs.sync_dir(data_dir)
    };
    written().map_err(LakeError::io("create the key", &path))
}

fn read_key(data_dir: &Path) -> Result<DigestKey> {
    let path = data_dir.join(layout::KEY);
    let bad = |detail| LakeError::Key {
        path: path.clone(),
        detail,
    };
    let bytes = fs::read(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => bad("is missing"),
        _ => LakeError::io("read the key", &path)(e),
    })?;
    let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| bad("is not 32 bytes long"))?;
    Ok(DigestKey::from_bytes(bytes))
}

fn key_check(key: &DigestKey) -> String {
    key.digest(b"key check")
}

fn check_key(key: &DigestKey, ledger: &Ledger, data_dir: &Path) -> Result<()> {
    match ledger.meta(KEY_CHECK)? {
        Some(check) if check != key_check(key) => Err(LakeError::Key {
            path: data_dir.join(layout::KEY),
            detail: "is not the one this lake was made with",
        }),
        _ => Ok(()),
    }
}

fn damaged_parts(ledger: &Ledger) -> Result<Vec<Damage>> {
    let parts = ledger
        .all_parts()?
        .into_iter()
        .map(|recorded| recorded.part);
    Ok(parts
        .filter_map(|part| {
            let detail = verify::check_size(&part).err()?;
            Some(Damage { part, detail })
        })
        .collect())
}

fn holds_parquet(dir: &Path) -> Result<bool> {
    Ok(files_under(dir)?.iter().any(|p| is_parquet(p)))
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "parquet")
}

/// Everything under a folder that is not a folder itself; links are not followed.
fn files_under(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(LakeError::io("list", &dir))?,
        };
        for entry in entries {
            let entry = entry.map_err(LakeError::io("list", &dir))?;
            let kind = entry.file_type().map_err(LakeError::io("list", &dir))?;
            match kind.is_dir() {
                true => pending.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files.sort();
    Ok(files)
}

fn dirs_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(dir).map_err(LakeError::io("list", dir))? {
        let entry = entry.map_err(LakeError::io("list", dir))?;
        if entry
            .file_type()
            .map_err(LakeError::io("list", dir))?
            .is_dir()
        {
            dirs.push(entry.path());
        }
    }
    dirs.sort();
    Ok(dirs)
}
