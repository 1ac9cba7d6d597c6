//! Transport `sendmail`: the mail goes to the standard input of the machine's own program, which
//! queues it.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lettre::Address;

use super::{Letter, MAX_ANSWER, Trouble, verdicts};
use crate::lake::{MailState, Verdict};
use crate::privacy::printable;

/// Exit codes of `sysexits.h` that speak of the mail or its recipients.
const REFUSED: [i32; 4] = [65, 67, 68, 77];
const TRY_AGAIN: i32 = 75;
/// How often a running program is looked at.
const GLANCE: Duration = Duration::from_millis(10);
/// Most that is read of what the program complains about, in bytes.
const MAX_COMPLAINT: u64 = 4096;

pub struct SendmailTransport {
    program: PathBuf,
    from: Address,
    timeout: Duration,
}

impl SendmailTransport {
    pub(super) fn new(program: PathBuf, from: Address, timeout_seconds: u32) -> Self {
        Self {
            program,
            from,
            timeout: Duration::from_secs(u64::from(timeout_seconds)),
        }
    }

    pub(super) fn describe(&self) -> String {
        printable(&self.program.display().to_string(), MAX_ANSWER)
    }

    pub(super) fn deliver(&self, letter: &Letter<'_>) -> Result<Vec<Verdict>, Trouble> {
        let trouble = |what: String, is_passing: bool| Trouble {
            what: format!("{}: {}", self.describe(), printable(&what, MAX_ANSWER)),
            fix: "check `sendmail` in [alert.email] and the log of the mail system".to_owned(),
            is_passing,
        };
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            // Passwords and keys stand in variables of ours.
            if name.as_encoded_bytes().starts_with(b"ORGWATCH_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["-i", "-f", self.from.as_ref(), "--"])
            .args(letter.to)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| trouble(error.to_string(), false))?;

        // Fed and listened to from the side: a program that reads nothing must not hold us up.
        let (input, complaints) = (child.stdin.take(), child.stderr.take());
        let text = unix_lines(letter.bytes);
        thread::spawn(move || {
            if let Some(mut input) = input {
                // Its exit code says what it made of it.
                let _ = input.write_all(&text);
            }
        });
        let (told, complaint) = mpsc::channel();
        thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(pipe) = complaints {
                let _ = pipe.take(MAX_COMPLAINT).read_to_end(&mut text);
            }
            let _ = told.send(String::from_utf8_lossy(&text).trim().to_owned());
        });

        let deadline = Instant::now() + self.timeout;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => thread::sleep(GLANCE),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let seconds = self.timeout.as_secs();
                    return Err(trouble(format!("no end after {seconds} seconds"), true));
                }
                Err(error) => return Err(trouble(error.to_string(), true)),
            }
        };
        let complaint = complaint.recv_timeout(Duration::from_secs(1));
        let complaint = complaint.unwrap_or_default();
        let said = |code: i32| match complaint.is_empty() {
            true => format!("exit code {code}"),
            false => printable(&format!("exit code {code}: {complaint}"), MAX_ANSWER),
        };
        match status.code() {
            Some(0) => Ok(verdicts(letter.to, MailState::Sent, "queued by sendmail")),
            Some(TRY_AGAIN) => Ok(verdicts(letter.to, MailState::Pending, &said(TRY_AGAIN))),
            Some(code) if REFUSED.contains(&code) => {
                Ok(verdicts(letter.to, MailState::Failed, &said(code)))
            }
            Some(code) => Err(trouble(said(code), true)),
            None => Err(trouble("ended by a signal".to_owned(), true)),
        }
    }
}

/// Lines as programs of this machine expect them on their standard input.
fn unix_lines(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bytes.len());
    for (n, byte) in bytes.iter().enumerate() {
        if *byte != b'\r' || bytes.get(n + 1) != Some(&b'\n') {
            lines.push(*byte);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    fn program(dir: &Path, script: &str) -> SendmailTransport {
        let path = dir.join("sendmail");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("write");
        let executable = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&path, executable).expect("chmod");
        let from = "orgwatch@example.com".parse().expect("address");
        SendmailTransport::new(path, from, 1)
    }

    fn send(dir: &Path, script: &str) -> Result<Vec<Verdict>, Trouble> {
        let to = ["-oQ/tmp@example.com".to_owned(), "b@example.com".to_owned()];
        let letter = Letter {
            message_id: "m@example.com",
            to: &to,
            bytes: b"Subject: x\r\n\r\na\r\n.\r\nb\r\n",
        };
        program(dir, script).deliver(&letter)
    }

    #[test]
    fn the_program_gets_the_whole_mail_and_takes_no_address_for_an_option() {
        let dir = tempfile::tempdir().expect("temp dir");
        let script = "cd \"${0%/*}\"; cat > mail; for a in \"$@\"; do echo \"$a\"; done > words";
        let verdicts = send(dir.path(), script).expect("sent");
        assert!(verdicts.iter().all(|v| v.state == MailState::Sent));
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("read");
        assert_eq!(read("mail"), "Subject: x\n\na\n.\nb\n");
        let words = "-i\n-f\norgwatch@example.com\n--\n-oQ/tmp@example.com\nb@example.com\n";
        assert_eq!(read("words"), words);
    }

    #[test]
    fn its_exit_code_says_whether_the_mail_waits_or_is_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        let states =
            |script: &str| send(dir.path(), script).map(|v| (v[0].state, v[0].answer.clone()));
        let later = states("cat > /dev/null; echo busy >&2; exit 75").expect("verdicts");
        assert_eq!(later, (MailState::Pending, "exit code 75: busy".to_owned()));
        let refused = states("exit 67").expect("verdicts");
        assert_eq!(refused.0, MailState::Failed);
        assert!(states("exit 78").expect_err("trouble").is_passing);
    }

    #[test]
    fn a_program_that_hangs_or_is_missing_holds_nothing_up() {
        let dir = tempfile::tempdir().expect("temp dir");
        let slow = send(dir.path(), "exec sleep 60").expect_err("trouble");
        assert!(slow.what.contains("no end after 1 seconds"), "{slow}");
        let from = "orgwatch@example.com".parse().expect("address");
        let missing = SendmailTransport::new(dir.path().join("none"), from, 1);
        let letter = Letter {
            message_id: "m@example.com",
            to: &["a@example.com".to_owned()],
            bytes: b"",
        };
        let error = missing.deliver(&letter).expect_err("trouble");
        assert!(
            !error.is_passing && error.fix.contains("`sendmail`"),
            "{error}"
        );
    }
}
