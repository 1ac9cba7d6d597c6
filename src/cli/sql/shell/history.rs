//! What was asked before, kept for the next shell in `$XDG_STATE_HOME/orgwatch/sql_history`: for its
//! owner's eyes only, and bounded.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use reedline::{FileBackedHistory, History};

use crate::cli::terminal::Terminal;
use crate::cli::xdg;
use crate::privacy::printable;

const ENTRIES: usize = 1000;
/// A longer file, of pasted queries, is cut to its last entries when a shell opens it.
const BYTES: u64 = 4 << 20;
const NAME: &str = "sql_history";

/// The history of the file; one that ends with this shell where there can be none.
pub fn open(terminal: &Terminal) -> Box<dyn History> {
    let kept = match xdg::state() {
        None => return Box::new(FileBackedHistory::default()),
        Some(folder) => of_folder(&folder),
    };
    match kept {
        Ok(history) => Box::new(history),
        Err(error) => {
            let why = printable(&error.to_string(), 300);
            terminal.warn(&format!("what is asked here is not kept: {why}"));
            Box::new(FileBackedHistory::default())
        }
    }
}

fn of_folder(folder: &Path) -> io::Result<FileBackedHistory> {
    xdg::make_private(folder)?;
    let path = folder.join(NAME);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    make_readable(&mut file)?;
    drop(file);
    FileBackedHistory::with_file(ENTRIES, path).map_err(io::Error::from)
}

/// Cuts what is too long, and replaces what is no text: a damaged file must not cost the history.
fn make_readable(file: &mut File) -> io::Result<()> {
    file.lock()?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes)?;
    let text = match String::from_utf8(bytes) {
        Ok(_) if start == 0 => return Ok(()),
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    // The first line was cut somewhere.
    let whole = if start > 0 {
        text.split_once('\n').map_or("", |(_, rest)| rest)
    } else {
        &text
    };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(whole.as_bytes())
}

#[cfg(test)]
mod tests {
    use reedline::{HistoryItem, SearchDirection, SearchQuery};

    use super::*;

    fn asked(folder: &Path) -> Vec<String> {
        let history = of_folder(folder).unwrap();
        let all = SearchQuery::everything(SearchDirection::Forward, None);
        let items = history.search(all).unwrap();
        items.into_iter().map(|item| item.command_line).collect()
    }

    #[test]
    fn the_history_is_private_whatever_was_there() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("orgwatch");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join(NAME);
        std::fs::write(&path, "SELECT 1;\n").unwrap();
        for path in [&folder, &path] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        assert_eq!(asked(&folder), ["SELECT 1;"]);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    }

    #[test]
    fn a_history_that_is_damaged_or_too_long_is_still_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(NAME);
        std::fs::write(&path, b"SELECT 1;\n\xff\xfe\nSELECT 2;\n").unwrap();
        let kept = asked(home.path());
        assert_eq!((kept.len(), kept[2].as_str()), (3, "SELECT 2;"));
        let line = format!("SELECT '{}';\n", "x".repeat(1 << 16));
        std::fs::write(&path, line.repeat(100)).unwrap();
        assert!(asked(home.path()).len() < 70);
        assert!(std::fs::metadata(&path).unwrap().len() <= BYTES);
    }

    #[test]
    fn no_more_than_the_last_entries_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let mut history = of_folder(home.path()).unwrap();
        for n in 0..ENTRIES + 5 {
            history
                .save(HistoryItem::from_command_line(format!("SELECT {n};")))
                .unwrap();
        }
        drop(history);
        let kept = asked(home.path());
        assert_eq!((kept.len(), kept[0].as_str()), (ENTRIES, "SELECT 5;"));
    }
}
