//! Transport `file`: a mail becomes `<outbox>/<message-id>.eml`, whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions, rename};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::MAX_ANSWER;
use crate::alert::AlertError;
use crate::privacy::printable;

/// Writes mails into a folder that only its owner can read.
#[derive(Debug, Clone)]
pub struct FileTransport {
    folder: PathBuf,
}

impl FileTransport {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn describe(&self) -> String {
        printable(&self.folder.display().to_string(), MAX_ANSWER)
    }

    /// Writes one mail and returns where. Writing the same mail again replaces it by itself.
    pub fn deliver(&self, message_id: &str, bytes: &[u8]) -> Result<PathBuf, AlertError> {
        let path = self.folder.join(file_name(message_id));
        self.write(&path, bytes)
            .map_err(|source| AlertError::Write {
                path: path.clone(),
                source,
            })?;
        Ok(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let unfinished = path.with_extension("eml.part");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        rename(&unfinished, path)?;
        File::open(&self.folder)?.sync_all()
    }
}

/// The Message-ID as a file name that stays in its folder.
fn file_name(message_id: &str) -> String {
    let safe: String = message_id
        .trim_start_matches('.')
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "@._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(200)
        .collect();
    format!("{safe}.eml")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_mail_is_a_private_file_named_by_its_message_id() {
        let dir = tempfile::tempdir().expect("temp dir");
        let transport = FileTransport::new(dir.path().join("outbox"));
        let path = transport
            .deliver("orgwatch.1@example.com", b"Subject: x\r\n")
            .expect("write");
        assert!(path.ends_with("outbox/orgwatch.1@example.com.eml"));
        assert_eq!(std::fs::read(&path).expect("read"), b"Subject: x\r\n");
        let mode = |p: &Path| std::fs::metadata(p).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), mode(&dir.path().join("outbox"))),
            (0o600, 0o700)
        );
        assert_eq!(
            std::fs::read_dir(dir.path().join("outbox"))
                .expect("list")
                .count(),
            1
        );
    }

    #[test]
    fn a_hostile_message_id_stays_in_the_folder() {
        assert_eq!(file_name("../../etc/cron.d/x"), "_.._etc_cron.d_x.eml");
        assert_eq!(file_name("a\0b/c"), "a_b_c.eml");
    }

    #[test]
    fn an_unwritable_outbox_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().expect("temp dir");
        let blocked = dir.path().join("outbox");
        std::fs::write(&blocked, b"a file").expect("write");
        let error = FileTransport::new(blocked)
            .deliver("m@example.com", b"")
            .unwrap_err();
        assert!(error.to_string().contains("outbox/m@example.com.eml"));
    }
}
