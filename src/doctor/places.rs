//! Who may read and change the program's files.

use std::fs;
use std::path::Path;

use super::Check;

/// What a folder or file is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Written by the program: nobody else may even read it.
    Private,
    /// Written by a person and believed by the program: nobody else may change it.
    Believed,
}

/// Checks the data folder, and every file that the program believes.
pub fn places(data_dir: &Path, believed: &[(&str, &Path)]) -> Vec<Check> {
    let mut checks = vec![];
    if data_dir.exists() {
        let inside = ["", "ledger.sqlite", "digest.key", "lake", "outbox"];
        let mut loose: Vec<Check> = inside
            .iter()
            .map(|name| match *name {
                "" => data_dir.to_owned(),
                name => data_dir.join(name),
            })
            .filter(|path| path.exists())
            .filter_map(|path| judge("data folder", &path, Kind::Private))
            .collect();
        if loose.is_empty() {
            let detail = format!("{}: private", data_dir.display());
            loose.push(Check::pass("files", "data folder", detail));
        }
        checks.extend(loose);
        checks.push(writable(data_dir));
    } else {
        checks.push(Check::skip(
            "files",
            "data folder",
            format!("{} is not there yet", data_dir.display()),
            "the first `orgwatch run` or `orgwatch ingest` makes it",
        ));
    }
    for (name, path) in believed {
        checks.push(judge(name, path, Kind::Believed).unwrap_or_else(|| {
            Check::pass(
                "files",
                *name,
                format!("{}: only its owner may change it", path.display()),
            )
        }));
    }
    checks
}

/// What is wrong with the permissions of a path; none where nothing is.
#[cfg(unix)]
fn judge(name: &str, path: &Path, kind: Kind) -> Option<Check> {
    use std::os::unix::fs::PermissionsExt;

    let mode = match fs::metadata(path) {
        Ok(facts) => facts.permissions().mode() & 0o777,
        Err(error) => {
            return Some(Check::fail(
                "files",
                name,
                format!("{}: {error}", path.display()),
                "correct the path, or let the user of the nightly job read it",
            ));
        }
    };
    let shown = format!("{}: mode {mode:03o}", path.display());
    match kind {
        Kind::Private if mode & 0o077 != 0 => Some(Check::warn(
            "files",
            name,
            format!("{shown}, others may read it"),
            format!("chmod go-rwx {}", path.display()),
        )),
        Kind::Believed if mode & 0o002 != 0 => Some(Check::fail(
            "files",
            name,
            format!("{shown}, everybody may change what is judged"),
            format!("chmod o-w {}", path.display()),
        )),
        Kind::Believed if mode & 0o020 != 0 => Some(Check::warn(
            "files",
            name,
            format!("{shown}, its group may change what is judged"),
            format!("chmod g-w {}", path.display()),
        )),
        _ => None,
    }
}

#[cfg(not(unix))]
fn judge(name: &str, path: &Path, _kind: Kind) -> Option<Check> {
    fs::metadata(path).err().map(|error| {
        Check::fail(
            "files",
            name,
            format!("{}: {error}", path.display()),
            "correct the path",
        )
    })
}

/// Whether a file that each run writes anew can be: it is written aside, into the same folder.
pub fn output(name: &'static str, path: &Path) -> Check {
    let shown = path.display();
    if path.is_dir() {
        let what = format!("{shown}: it is a folder");
        return Check::fail("files", name, what, "name a file in it");
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    match probe(folder) {
        Ok(_) => Check::pass("files", name, format!("{shown}: its folder takes a file")),
        Err(error) => Check::fail(
            "files",
            name,
            format!("{}: {error}", folder.display()),
            "make the folder, and let the user of the nightly job write into it",
        ),
    }
}

/// A file that goes as it came.
fn probe(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new();
    file.prefix(".doctor-").tempfile_in(folder)
}

fn writable(data_dir: &Path) -> Check {
    match probe(data_dir) {
        Ok(_) => Check::pass("files", "room to write", "a file could be made and removed"),
        Err(error) => Check::fail(
            "files",
            "room to write",
            format!("{}: {error}", data_dir.display()),
            "the nightly job must run as the user that owns the data folder, with room on the disk",
        ),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::doctor::Verdict;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn verdicts(checks: &[Check]) -> Vec<(String, Verdict)> {
        checks.iter().map(|c| (c.name.clone(), c.verdict)).collect()
    }

    #[test]
    fn a_data_folder_that_others_may_read_is_named_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        mode(dir.path(), 0o755);
        let checks = places(dir.path(), &[]);
        assert_eq!(checks[0].verdict, Verdict::Warn);
        assert!(checks[0].fix.starts_with("chmod go-rwx "));
        mode(dir.path(), 0o700);
        assert_eq!(places(dir.path(), &[])[0].verdict, Verdict::Pass);
        fs::write(dir.path().join("ledger.sqlite"), "").unwrap();
        mode(&dir.path().join("ledger.sqlite"), 0o640);
        let checks = places(dir.path(), &[]);
        assert!(checks[0].detail.contains("ledger.sqlite") && checks[0].verdict == Verdict::Warn);
    }

    #[test]
    fn a_config_that_everybody_may_change_fails_and_one_for_its_group_warns() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("orgwatch.toml");
        fs::write(&file, "").unwrap();
        for (bits, verdict) in [
            (0o644, Verdict::Pass),
            (0o664, Verdict::Warn),
            (0o666, Verdict::Fail),
        ] {
            mode(&file, bits);
            let checks = places(Path::new("/nowhere/data"), &[("configuration", &file)]);
            assert_eq!(
                verdicts(&checks),
                [
                    ("data folder".to_owned(), Verdict::Skip),
                    ("configuration".to_owned(), verdict)
                ]
            );
        }
    }

    #[test]
    fn what_a_run_is_to_write_passes_where_its_folder_takes_a_file_and_leaves_none() {
        let dir = tempfile::tempdir().unwrap();
        let page = dir.path().join("page.html");
        assert_eq!(output("report", &page).verdict, Verdict::Pass);
        fs::write(&page, "last night's").unwrap();
        assert_eq!(output("report", &page).verdict, Verdict::Pass);
        assert_eq!(fs::read_to_string(&page).unwrap(), "last night's");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        for nowhere in [
            dir.path(),
            &page.join("x"),
            &dir.path().join("none/page.html"),
        ] {
            let check = output("report", nowhere);
            assert!(check.verdict == Verdict::Fail && !check.fix.is_empty());
        }
    }

    #[test]
    fn a_file_that_is_named_and_not_there_fails() {
        let checks = places(
            Path::new("/nowhere"),
            &[("registry", Path::new("/nowhere/r.toml"))],
        );
        assert_eq!(checks[1].verdict, Verdict::Fail);
    }
}
