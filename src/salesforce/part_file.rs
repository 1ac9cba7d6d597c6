//! Files that appear under their name whole or not at all: `<name>.part` until then.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::SalesforceError;

/// An unfinished file, for its owner's eyes only. Dropped before [`PartFile::finish`] it is gone.
#[derive(Debug)]
pub(super) struct PartFile {
    file: File,
    part: PathBuf,
    to: PathBuf,
    is_finished: bool,
}

impl PartFile {
    /// What an earlier run left under the name of the part goes. A link there is taken away, and
    /// never followed.
    pub fn create(to: &Path) -> Result<Self, SalesforceError> {
        let mut name = to.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let open = || {
            match fs::remove_file(&part) {
                Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
                _ => {}
            }
            // Fails where anything has the name, a dangling link too.
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).open(&part)
        };
        match open() {
            Ok(file) => Ok(Self {
                file,
                part,
                to: to.to_owned(),
                is_finished: false,
            }),
            Err(source) => Err(SalesforceError::Disk { path: part, source }),
        }
    }

    /// Empties the file: its content comes again.
    pub fn restart(&self) -> Result<(), SalesforceError> {
        let emptied = self.file.set_len(0);
        emptied
            .and_then(|()| (&self.file).seek(SeekFrom::Start(0)))
            .map(|_| ())
            .map_err(|source| self.fault(source))
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), SalesforceError> {
        self.file
            .write_all(bytes)
            .map_err(|source| self.fault(source))
    }

    /// Makes the content durable and gives the file its name, in place of what had it.
    pub async fn finish(self) -> Result<(), SalesforceError> {
        let part = self.part.clone();
        // Syncing gigabytes takes its time, in which other downloads must not starve.
        match tokio::task::spawn_blocking(move || self.finish_now()).await {
            Ok(finished) => finished,
            Err(stopped) => Err(SalesforceError::Disk {
                path: part,
                source: io::Error::other(stopped),
            }),
        }
    }

    fn finish_now(mut self) -> Result<(), SalesforceError> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.part, &self.to))
            .map_err(|source| self.fault(source))?;
        self.is_finished = true;
        let folder = match self.to.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| SalesforceError::Disk {
                path: folder.to_owned(),
                source,
            })
    }

    fn fault(&self, source: io::Error) -> SalesforceError {
        SalesforceError::Disk {
            path: self.part.clone(),
            source,
        }
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // What cannot be removed is overwritten by the next run.
            let _ = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::Class;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn finish(file: PartFile) -> Result<(), SalesforceError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(file.finish())
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("a.csv");
        fs::write(&to, "old and longer").unwrap();
        let mut file = PartFile::create(&to).unwrap();
        file.append(b"twice").unwrap();
        file.restart().unwrap();
        file.append(b"new").unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"old and longer");
        finish(file).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        let mode = fs::metadata(&to).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode, names(dir.path())), (0o600, vec!["a.csv".to_owned()]));
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = PartFile::create(&dir.path().join("a.csv")).unwrap();
        file.append(b"half").unwrap();
        drop(file);
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_killed_runs_leftover_is_replaced_and_a_link_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("a.csv");
        let part = dir.path().join("a.csv.part");
        fs::write(&part, "a longer leftover").unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o644)).unwrap();
        let mut file = PartFile::create(&to).unwrap();
        file.append(b"new").unwrap();
        let mode = fs::metadata(&part).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        finish(file).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");

        let victim = dir.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        fs::remove_file(&to).unwrap();
        symlink(&victim, &part).unwrap();
        symlink(&victim, &to).unwrap();
        let mut file = PartFile::create(&to).unwrap();
        file.append(b"new").unwrap();
        finish(file).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
        assert!(fs::symlink_metadata(&to).unwrap().is_file());
        assert_eq!(fs::read(&to).unwrap(), b"new");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_this_machines_fault() {
        let dir = tempfile::tempdir().unwrap();
        let fault = PartFile::create(&dir.path().join("nowhere/a.csv")).unwrap_err();
        assert_eq!(fault.class(), Class::Local);
        fs::create_dir(dir.path().join("b.csv.part")).unwrap();
        let fault = PartFile::create(&dir.path().join("b.csv")).unwrap_err();
        assert_eq!(fault.class(), Class::Local);
        fs::create_dir(dir.path().join("c.csv")).unwrap();
        let fault = finish(PartFile::create(&dir.path().join("c.csv")).unwrap()).unwrap_err();
        assert_eq!(fault.class(), Class::Local);
        assert_eq!(names(dir.path()), ["b.csv.part", "c.csv"]);
    }
}
