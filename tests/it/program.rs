//! The program as its users run it.

use std::path::Path;
use std::process::{Command, Output};

/// A call of `orgwatch` with these arguments, away from the caller's own settings.
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orgwatch"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORGWATCH_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(dir)
        .env("HOME", dir)
        .env("XDG_STATE_HOME", dir.join("state"))
        .env("XDG_CONFIG_HOME", dir.join("config"))
        .env_remove("XDG_CACHE_HOME")
        // What they prove is proved once, not in each of hundreds of runs.
        .env("ORGWATCH_CANARIES", "false")
        .args(arguments);
    command
}

/// Runs `orgwatch` to its end.
pub fn orgwatch(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output of a call that must end with this exit code.
pub fn expect(code: i32, output: Output) -> String {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    stdout(&output)
}
