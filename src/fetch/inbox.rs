//! The folder in which fetched files wait for their ingest, and the names that they have there.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chrono::DateTime;
use indicatif::HumanBytes;

use super::{FetchError, LOGIN_IP_RANGE};
use crate::lake::OrgFileKey;
use crate::salesforce::{HISTORIES, Interval, LOG_FILES, LogFile, ROSTER, SalesforceError};

const FOLDER: &str = "inbox";
const PRIVATE: u32 = 0o700;
/// What is still being written.
const HALF: &str = ".part";
/// Longest name of an event type in a file's name.
const MAX_TYPE: usize = 80;
/// Of a log's length, what its rows may take in the lake before it is removed.
const SHARE_OF_ROWS: u64 = 2;
/// Bytes that no log is to take: the ledger and the system need room, too.
const KEPT_FREE: u64 = 64 << 20;

fn fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |source| FetchError::Inbox {
        action,
        path,
        source,
    }
}

/// The inbox of a lake, made where there is none. Half files of a run that was killed are removed.
pub(super) fn open(data_dir: &Path) -> Result<PathBuf, FetchError> {
    let inbox = data_dir.join(FOLDER);
    match DirBuilder::new().mode(PRIVATE).create(&inbox) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fault("make", &inbox)(error)),
    }
    let metadata = fs::symlink_metadata(&inbox).map_err(fault("look at", &inbox))?;
    if !metadata.is_dir() {
        return Err(fault("use", &inbox)(io::Error::other("it is no folder")));
    }
    fs::set_permissions(&inbox, fs::Permissions::from_mode(PRIVATE))
        .map_err(fault("protect", &inbox))?;
    for path in files(&inbox)? {
        if path.to_string_lossy().ends_with(HALF) {
            remove(&path)?;
        }
    }
    Ok(inbox)
}

/// Refuses a log file, before a byte of it is asked for, for which the disk has no room: for itself
/// and then for its rows. Where nobody can say what is free, it is tried.
pub(super) fn check_room(inbox: &Path, length: u64) -> Result<(), SalesforceError> {
    let Ok(disk) = rustix::fs::statvfs(inbox) else {
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = length.saturating_add(length / SHARE_OF_ROWS);
    if needed.saturating_add(KEPT_FREE) <= free {
        return Ok(());
    }
    let (needed, free) = (HumanBytes(needed), HumanBytes(free));
    let what = format!("a log file needs {needed} beside what is kept free, and {free} are free");
    Err(SalesforceError::Disk {
        path: inbox.to_owned(),
        source: io::Error::new(io::ErrorKind::StorageFull, what),
    })
}

/// All files of the inbox, by name.
pub(super) fn files(inbox: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let read = fault("read", inbox);
    let mut files = fs::read_dir(inbox)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<io::Result<Vec<_>>>()
        })
        .map_err(read)?;
    files.retain(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file()));
    files.sort();
    Ok(files)
}

pub(super) fn remove(path: &Path) -> Result<(), FetchError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The name of a log file, which says all that the ledger knows it by:
/// `EventLogFile_Login_daily_2026-01-30T00Z_0_0AT…_1769817600000_2692.csv`.
pub(super) fn name_of(file: &LogFile) -> String {
    let mut event_type: String = file
        .event_type
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(MAX_TYPE)
        .collect();
    if event_type.is_empty() {
        event_type = "Unknown".to_owned();
    }
    format!(
        "{LOG_FILES}_{event_type}_{}_{}_{}_{}_{}_{}.csv",
        match file.interval {
            Interval::Hourly => "hourly",
            Interval::Daily => "daily",
        },
        file.log_date.format("%Y-%m-%dT%HZ"),
        file.sequence,
        file.id,
        file.created_at.timestamp_millis(),
        file.length,
    )
}

/// Whether a file of the inbox has a name that a fetch gives. Whatever else lies there is left alone.
pub(super) fn is_ours(path: &Path) -> bool {
    key_in(path).is_some()
        || is_snapshot(path)
        || HISTORIES.iter().any(|set| is_named(path, set.name))
}

/// Whether it is a list of the org, which says by what is not in it, too.
pub(super) fn is_snapshot(path: &Path) -> bool {
    let mut names = ROSTER.iter().map(|set| set.name).chain([LOGIN_IP_RANGE]);
    names.any(|name| is_named(path, name))
}

fn is_named(path: &Path, data_set: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let rest = name.and_then(|name| name.strip_prefix(data_set));
    rest.is_some_and(|rest| rest.starts_with('_') && rest.ends_with(".csv"))
}

/// Which log file a file of the inbox is; none for other data sets.
pub(super) fn key_in(path: &Path) -> Option<OrgFileKey> {
    let name = path.file_name()?.to_str()?.strip_suffix(".csv")?;
    let name = name.strip_prefix(LOG_FILES)?;
    let mut from_the_end = name.rsplit('_');
    let length = from_the_end.next()?.parse().ok()?;
    let created = from_the_end.next()?.parse().ok()?;
    Some(OrgFileKey {
        created_at: DateTime::from_timestamp_millis(created)?,
        length,
        log_file_id: from_the_end.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn log_file(event_type: &str) -> LogFile {
        LogFile {
            id: "0AT4x000000001AGAQ".to_owned(),
            event_type: event_type.to_owned(),
            log_date: time("2026-01-30T00:00:00Z"),
            interval: Interval::Daily,
            sequence: 0,
            created_at: time("2026-01-31T02:10:00.500Z"),
            length: 2692,
        }
    }

    #[test]
    fn a_name_says_which_log_file_it_is() {
        let file = log_file("Login");
        let name = name_of(&file);
        assert_eq!(
            name,
            "EventLogFile_Login_daily_2026-01-30T00Z_0_0AT4x000000001AGAQ_1769825400500_2692.csv"
        );
        let key = key_in(&Path::new("inbox").join(name)).unwrap();
        assert_eq!(
            (key.log_file_id, key.created_at, key.length),
            (file.id, file.created_at, file.length)
        );
    }

    #[test]
    fn no_event_type_leads_out_of_the_inbox_or_hides_which_file_it_is() {
        for hostile in [
            "../../etc/passwd",
            "a/b_c_1_2",
            "",
            "\u{202e}\n\0",
            &"x".repeat(400),
        ] {
            let name = name_of(&log_file(hostile));
            assert!(
                !name.contains(['/', '\0', '\n']) && name.len() < 200,
                "{name}"
            );
            assert_eq!(key_in(Path::new(&name)).unwrap().length, 2692);
        }
    }

    #[test]
    fn other_files_of_the_inbox_are_no_log_files() {
        for other in [
            "User_2026-01-31T0300Z.csv",
            "LoginHistory_1_2.csv",
            "EventLogFile.csv",
        ] {
            assert_eq!(key_in(Path::new(other)), None);
        }
    }

    #[test]
    fn what_a_fetch_did_not_put_there_is_none_of_its_business() {
        for ours in [
            "User_2026-01-31T0300Z.csv",
            "LoginIpRange_2026-01-31T0300Z.csv",
        ] {
            assert!(is_ours(Path::new(ours)) && is_snapshot(Path::new(ours)));
        }
        let history = Path::new("LoginHistory_20260130T000000Z_20260131T000000Z.csv");
        assert!(is_ours(history) && !is_snapshot(history));
        for other in [
            "notes.txt",
            "Users.csv",
            "User_.csv.gz",
            "EventLogFile_.csv",
        ] {
            assert!(!is_ours(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn half_files_are_swept_and_the_inbox_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = open(dir.path()).unwrap();
        fs::write(inbox.join("a.csv.part"), "half").unwrap();
        fs::write(inbox.join("b.csv"), "whole").unwrap();
        fs::set_permissions(&inbox, fs::Permissions::from_mode(0o755)).unwrap();
        let inbox = open(dir.path()).unwrap();
        assert_eq!(files(&inbox).unwrap(), [inbox.join("b.csv")]);
        let mode = fs::metadata(&inbox).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
