//! A night as the files under `deploy/` start it, on a machine as they want it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::deploy::{cron_command, exec_start, text, unit, value};
use crate::program::{expect, stderr};
use crate::sample;

const CONFIG: &str = "/etc/orgwatch/orgwatch.toml";

/// A machine as the files want it, below a scratch folder: the configuration with its registry, an
/// inbox with three days of the sample's logs, and the program.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let below = |path: &str| dir.path().join(path.trim_start_matches('/'));
        let (etc, inbox) = (below("/etc/orgwatch"), below("/var/spool/orgwatch"));
        for folder in [&etc, &inbox, &below("/var/lib"), &below("/usr/bin")] {
            fs::create_dir_all(folder).unwrap();
        }
        sample::desk(&etc);
        let root = dir.path().display().to_string();
        let config = text("orgwatch.toml").replace("\"/var/", &format!("\"{root}/var/"));
        // Its own org is not the sample's.
        let config = config.replace("id = \"00D000000000001AAA\"", "id = \"00D5e000000AcmE\"");
        // What canaries prove is proved elsewhere.
        let config = config.replace("[detect]\n", "[detect]\ncanaries = false\n");
        fs::write(etc.join("orgwatch.toml"), config).unwrap();
        for file in sample::days(28..=30) {
            let name = Path::new(&file).file_name().unwrap();
            let folder = Path::new(&file).parent().unwrap().file_name().unwrap();
            let name = format!("{}-{}", folder.display(), name.display());
            fs::copy(&file, inbox.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_orgwatch"), below("/usr/bin/orgwatch"))
            .unwrap();
        Self(dir)
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.0.path().display())
    }

    /// A word of a command line, with the places of this machine.
    fn here(&self, word: &str) -> String {
        match word.starts_with("/etc/") || word.starts_with("/usr/") {
            true => self.path(word),
            false => word.to_owned(),
        }
    }
}

#[test]
fn the_services_command_line_does_the_night_in_an_empty_environment() {
    let machine = Machine::new();
    let command: Vec<String> = exec_start().iter().map(|word| machine.here(word)).collect();
    assert!(command.contains(&machine.path(CONFIG)));
    let night = || {
        let mut call = Command::new(&command[0]);
        call.args(&command[1..])
            .args(["--now", "2026-01-31T03:00:00Z"]);
        // As systemd starts it: no HOME, no PATH, the root as its folder.
        call.env_clear().current_dir("/").output().unwrap()
    };
    let first = night();
    let summary = expect(1, first.clone());
    let accepted = value(
        &unit("systemd/orgwatch.service"),
        "Service",
        "SuccessExitStatus",
    );
    assert_eq!(accepted, "1");
    assert!(
        summary.starts_with("Run 1 at 2026-01-31T03:00:00Z"),
        "{summary}"
    );
    assert_eq!(stderr(&first), "");
    let data = machine.path("/var/lib/orgwatch");
    let mode = fs::metadata(&data).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    // What is critical stands in a mail of its own.
    assert_eq!(sample::mails(Path::new(&data)).len(), 2);

    // What cron would send is the summary: words in lines, nothing for a terminal. The inbox is
    // as it was, and nothing in it is read twice.
    let line = cron_command();
    assert!(
        line.contains(&format!("orgwatch run --config {CONFIG}")),
        "{line}"
    );
    let line = line.replace(CONFIG, &machine.path(CONFIG));
    let mut call = Command::new("/bin/sh");
    call.args(["-c", &format!("{line} --now 2026-01-31T04:00:00Z")]);
    let path = format!("{}:/usr/bin:/bin", machine.path("/usr/bin"));
    call.env_clear()
        .env("PATH", path)
        .env("SHELL", "/bin/sh")
        .current_dir("/");
    let second = call.output().unwrap();
    let mail = expect(0, second.clone());
    assert_eq!(stderr(&second), "");
    assert!(mail.contains("Files     0 read, "), "{mail}");
    assert!(
        mail.ends_with("Exit      0: nothing at or above the threshold\n"),
        "{mail}"
    );
    let plain = |c: char| c == '\n' || !c.is_control();
    assert!(summary.chars().chain(mail.chars()).all(plain));
    assert!(
        mail.lines()
            .chain(summary.lines())
            .all(|l| l.chars().count() <= 998)
    );
}
