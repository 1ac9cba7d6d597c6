//! What `sql --from` has read is kept, so that the second question about the same files is quick.
//!
//! ```text
//! $XDG_CACHE_HOME/orgwatch/from/<key>/     one set of files, read: a lake, and what was said of it
//!                               making-…/  not finished yet
//! ```
//! The key is a digest of the files' content, of their names, and of all that decides how they are
//! read; who asks about other content asks of another entry. An entry appears whole, by a rename.
//! Whoever uses or makes one holds a lock on its file `lock`, which the system releases however a
//! process ends; what nobody holds may be taken away. All of it is as private as a lake.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::cli::interrupt::Leftover;
use crate::cli::xdg;
use crate::ingest::Input;
use crate::lake::Lake;

/// Changes when an entry of an older release cannot be read.
const FORMAT: &str = "orgwatch from 1";
const LOCK: &str = "lock";
const TOLD: &str = "told.json";
const DATA: &str = "data";
const MAKING: &str = "making-";
/// What is being made and has no lock yet is litter after this time.
const LITTER_AGE: Duration = Duration::from_secs(3600);

/// What was said when the files were read, to be said again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Told {
    pub warnings: Vec<String>,
    pub remarks: Vec<String>,
    pub detail: String,
    pub is_partial: bool,
}

pub struct Cache {
    folder: PathBuf,
    most_bytes: u64,
}

/// An entry in use. Nobody takes it away while this lives.
pub struct Entry {
    pub lake: Lake,
    pub told: Told,
    _lock: File,
}

/// An entry to be made. It is gone with this unless it is finished.
pub struct Making {
    folder: Leftover,
    lock: File,
}

impl Making {
    /// The folder of the lake.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join(DATA)
    }
}

impl Cache {
    /// The cache of this user, made where there is none; none where there is no place for it.
    pub fn open(most_bytes: u64) -> io::Result<Option<Self>> {
        xdg::cache()
            .map(|folder| Self::of_folder(folder, most_bytes))
            .transpose()
    }

    fn of_folder(folder: PathBuf, most_bytes: u64) -> io::Result<Self> {
        xdg::make_private(&folder)?;
        let folder = folder.join("from");
        xdg::make_private(&folder)?;
        Ok(Self { folder, most_bytes })
    }

    /// The entry of this key, if there is a whole one.
    pub fn find(&self, key: &str) -> Option<Entry> {
        let folder = self.folder.join(key);
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.join(LOCK))
            .ok()?;
        lock.lock_shared().ok()?;
        // It may have been taken away while we waited.
        let told = fs::read(folder.join(TOLD)).ok();
        let told = told.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let lake = Lake::open_reader(&folder.join(DATA)).ok();
        match (told, lake.filter(|lake| lake.damaged().is_empty())) {
            (Some(told), Some(lake)) => {
                // When it was last used; without that it is taken away the sooner.
                let _ = lock.set_modified(SystemTime::now());
                Some(Entry {
                    lake,
                    told,
                    _lock: lock,
                })
            }
            _ => {
                drop(lock);
                self.take_away(&folder);
                None
            }
        }
    }

    /// A place for a new entry.
    pub fn make(&self) -> io::Result<Making> {
        self.sweep();
        let folder = tempfile::Builder::new()
            .prefix(MAKING)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&self.folder)?;
        let folder = Leftover::new(folder.keep());
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.path().join(LOCK))?;
        lock.lock()?;
        Ok(Making { folder, lock })
    }

    /// Makes an entry visible under its key, and takes old ones away until all fit. None where it
    /// is too large to be kept; then the maker still has it.
    pub fn keep(
        &self,
        key: &str,
        making: Making,
        told: &Told,
    ) -> io::Result<Result<Entry, Making>> {
        let from = making.folder.path();
        let mut file = crate::lake::create_private(&from.join(TOLD))?;
        file.write_all(&serde_json::to_vec(told)?)?;
        drop(file);
        if bytes_below(from) > self.most_bytes {
            return Ok(Err(making));
        }
        // Whole after a power failure as well: what is renamed was written before.
        sync_below(from)?;
        let to = self.folder.join(key);
        match fs::rename(from, &to) {
            Ok(()) => {}
            // Somebody else has read the same files meanwhile.
            Err(_) if to.join(TOLD).exists() => return Ok(Err(making)),
            Err(error) => return Err(error),
        }
        // From here on others may use it as well.
        making.lock.unlock()?;
        let entry = self.find(key);
        self.evict();
        entry
            .map(Ok)
            .ok_or_else(|| io::Error::other("what was kept cannot be read"))
    }

    /// Takes away the entries that were used longest ago until the others fit.
    fn evict(&self) {
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = self
            .folders()
            .filter(|folder| !is_making(folder))
            .map(|folder| {
                let used = fs::metadata(folder.join(LOCK)).and_then(|lock| lock.modified());
                (
                    used.unwrap_or(SystemTime::UNIX_EPOCH),
                    bytes_below(&folder),
                    folder,
                )
            })
            .collect();
        entries.sort();
        let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, folder) in entries {
            if bytes <= self.most_bytes {
                break;
            }
            if self.take_away(&folder) {
                bytes -= size;
            }
        }
    }

    /// Removes what makers left that died.
    fn sweep(&self) {
        let now = SystemTime::now();
        for folder in self.folders().filter(|folder| is_making(folder)) {
            let age = fs::metadata(&folder).and_then(|folder| folder.modified());
            let age = age.ok().and_then(|at| now.duration_since(at).ok());
            let is_old = age.is_some_and(|age| age > LITTER_AGE);
            if folder.join(LOCK).exists() || is_old {
                self.take_away(&folder);
            }
        }
    }

    /// Removes a folder that nobody holds. Whether it is gone.
    fn take_away(&self, folder: &Path) -> bool {
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .open(folder.join(LOCK));
        if let Ok(lock) = &lock
            && lock.try_lock().is_err()
        {
            return false;
        }
        // Out of sight first: nobody finds half of it.
        let gone = tempfile::Builder::new()
            .prefix(MAKING)
            .tempdir_in(&self.folder);
        let moved = gone.and_then(|gone| fs::rename(folder, gone.path()).map(|()| gone));
        moved.is_ok()
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
    }
}

/// The key of these inputs, read as `how` says; none where one of them can be read only once.
///
/// # Errors
/// When a file cannot be read.
pub fn key(inputs: &[Input], how: &str) -> io::Result<Option<String>> {
    let mut hash = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(FORMAT.as_bytes());
    part(how.as_bytes());
    let mut before: Option<(PathBuf, [u8; 32])> = None;
    for input in inputs {
        let Some(path) = input.path() else {
            return Ok(None);
        };
        part(input.name.as_bytes());
        // The entries of an archive stand side by side.
        let known = before.as_ref().filter(|(known, _)| known == path);
        let digest = match known {
            Some((_, digest)) => *digest,
            None => digest_of(path)?,
        };
        part(&digest);
        before = Some((path.to_owned(), digest));
    }
    Ok(Some(hash.finalize().to_hex().to_string()))
}

fn digest_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(*hash.finalize().as_bytes()),
            got => hash.update(&buffer[..got]),
        };
    }
}

fn is_making(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with(MAKING)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut pending) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => pending.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files
}

fn bytes_below(folder: &Path) -> u64 {
    let sizes = files_below(folder)
        .into_iter()
        .filter_map(|file| file.metadata().ok());
    sizes.map(|file| file.len()).sum()
}

fn sync_below(folder: &Path) -> io::Result<()> {
    files_below(folder)
        .iter()
        .try_for_each(|file| File::open(file)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &Path, most_bytes: u64) -> Cache {
        Cache::of_folder(folder.join("cache"), most_bytes).unwrap()
    }

    /// An entry with an empty lake.
    fn kept(cache: &Cache, key: &str) -> Result<Entry, Making> {
        let making = cache.make().unwrap();
        drop(Lake::open_scratch(&making.data()).unwrap());
        cache.keep(key, making, &Told::default()).unwrap()
    }

    fn entries(cache: &Cache) -> Vec<String> {
        let names = cache
            .folders()
            .map(|f| f.file_name().unwrap().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_kept_is_found_and_what_was_not_finished_never() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path(), 1 << 30);
        assert!(cache.find("a").is_none());
        let making = cache.make().unwrap();
        drop(Lake::open_scratch(&making.data()).unwrap());
        assert!(cache.find("a").is_none());
        drop(making);
        assert!(entries(&cache).is_empty());
        assert!(kept(&cache, "a").is_ok());
        assert!(cache.find("a").is_some());
    }

    #[test]
    fn the_maker_that_comes_second_uses_its_own_and_the_first_stays() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path(), 1 << 30);
        let first = kept(&cache, "a").ok().unwrap();
        assert!(kept(&cache, "a").is_err());
        drop(first);
        assert_eq!(entries(&cache), ["a"]);
    }

    #[test]
    fn a_dead_makers_litter_is_swept_and_a_living_ones_is_not() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path(), 1 << 30);
        let living = cache.make().unwrap();
        // As after a kill: the folder stays, the lock is released.
        let dead = cache.make().unwrap();
        let left = dead.folder.path().to_owned();
        dead.lock.unlock().unwrap();
        let new = cache.make().unwrap();
        assert!(!left.exists());
        assert!(living.folder.path().exists() && new.folder.path().exists());
    }

    #[test]
    fn the_entry_used_longest_ago_goes_first_and_one_in_use_never() {
        let home = tempfile::tempdir().unwrap();
        let unbounded = cache(home.path(), 1 << 30);
        for key in ["a", "b", "c"] {
            drop(kept(&unbounded, key).ok().unwrap());
        }
        let size = bytes_below(&unbounded.folder.join("a"));
        for (key, seconds) in [("a", 30), ("b", 20), ("c", 10)] {
            let lock = OpenOptions::new()
                .write(true)
                .open(unbounded.folder.join(key).join(LOCK));
            let at = SystemTime::now() - Duration::from_secs(seconds);
            lock.unwrap().set_modified(at).unwrap();
        }
        // `a` is used again, `b` is in use by somebody who opened it long ago.
        drop(unbounded.find("a").unwrap());
        let bounded = cache(home.path(), size * 5 / 2);
        bounded.evict();
        assert_eq!(entries(&bounded), ["a", "c"]);
        let lock = OpenOptions::new()
            .write(true)
            .open(bounded.folder.join("c").join(LOCK))
            .unwrap();
        lock.lock_shared().unwrap();
        let tight = cache(home.path(), size / 2);
        tight.evict();
        assert_eq!(entries(&tight), ["c"]);
    }

    #[test]
    fn a_damaged_entry_is_none_and_goes() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path(), 1 << 30);
        drop(kept(&cache, "a").ok().unwrap());
        let ledger = cache.folder.join("a").join(DATA).join("ledger.sqlite");
        fs::write(&ledger, b"not a ledger").unwrap();
        assert!(cache.find("a").is_none());
        assert!(entries(&cache).is_empty());
    }

    #[test]
    fn what_is_too_large_is_used_once_and_not_kept() {
        let home = tempfile::tempdir().unwrap();
        let cache = cache(home.path(), 10);
        let making = kept(&cache, "a").err().unwrap();
        assert!(making.data().exists());
        drop(making);
        assert!(entries(&cache).is_empty());
    }
}
