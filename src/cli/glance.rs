//! What can be known before the command line and the configuration are: how to tell the user that
//! one of them is wrong.

use std::ffi::OsString;
use std::path::Path;

use super::exit::Exit;
use super::terminal::{Talk, Terminal};
use crate::config::{Glance, LogFormat, Overrides, find_file, parse_log_format};

/// Help and version go to stdout with 0, mistakes to stderr with 2.
pub fn usage(error: &clap::Error, arguments: &[OsString]) -> Exit {
    if !error.use_stderr() {
        // A closed stdout is no reason to fail a `--help`.
        let _ = error.print();
        return Exit::Done;
    }
    let seen = glance_at(asked_for(arguments, "--config").map(Path::new), |flags| {
        let format = asked_for(arguments, "--log-format");
        flags.log_format = format.and_then(|word| parse_log_format(word).ok());
    });
    match seen.log_format {
        LogFormat::Text => {
            // When stderr itself fails there is nobody left to tell.
            let _ = error.print();
        }
        LogFormat::Json => {
            let text = error.render().to_string();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let message = lines.next().unwrap_or_default();
            let hints: Vec<String> = lines.map(str::to_owned).collect();
            let talk = Talk {
                format: LogFormat::Json,
                ..Talk::default()
            };
            let message = message.trim_start_matches("error: ");
            Terminal::open(talk).fatal(message, &hints, Exit::Usage);
        }
    }
    Exit::Usage
}

/// The value of a flag in a command line that could not be parsed.
fn asked_for<'a>(arguments: &'a [OsString], flag: &str) -> Option<&'a str> {
    let words: Vec<&str> = arguments.iter().filter_map(|a| a.to_str()).collect();
    words
        .iter()
        .enumerate()
        .find_map(|(at, word)| match word.strip_prefix(flag)? {
            "" => words.get(at + 1).copied(),
            value => value.strip_prefix('='),
        })
}

/// What the settings seem to be.
pub fn glance_at(config: Option<&Path>, set_flags: impl FnOnce(&mut Overrides)) -> Glance {
    let env = |name: &str| std::env::var(name).ok();
    let file = find_file(config, &env);
    let mut flags = Overrides::default();
    set_flags(&mut flags);
    Glance::at(&flags, &env, file.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_found_in_a_command_line_that_cannot_be_parsed() {
        let words = |line: &str| -> Vec<OsString> { line.split(' ').map(Into::into).collect() };
        let format = |line: &str| asked_for(&words(line), "--log-format").map(str::to_owned);
        assert_eq!(
            format("orgwatch rum --log-format json"),
            Some("json".into())
        );
        assert_eq!(
            format("orgwatch --log-format=json rum"),
            Some("json".into())
        );
        assert_eq!(format("orgwatch rum --log-format"), None);
        assert_eq!(format("orgwatch rum --log-formats json"), None);
    }
}
