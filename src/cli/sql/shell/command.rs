//! What begins with a backslash: the shell's own commands.

use clap::ValueEnum;

use crate::cli::failure::UsageError;
use crate::cli::output::Format;
use crate::cli::rules::ParamFlag;
use crate::config::nearest;

pub const HELP: &str = "\
SELECT …;            ask; a statement may have many lines and ends with `;`
\\d                   list tables and views
\\d TABLE             columns of a table or view
\\hunts               list the ready questions
\\hunts NAME [P=V …]  ask one, as in \\hunts timeline-of-user user=erp@example.com
\\rules               list the detections
\\rules ID [P=V …]    ask the query of one
\\explain [QUERY]     how a query, or the last one, would be answered
\\format [FORMAT]     table, csv, tsv, json, jsonl or markdown
\\timing [on|off]     say how long each answer took
\\q                   leave; so does Ctrl-D
\\?                   this help

Tab completes tables, columns, functions, hunts and rules. Ctrl-C stops a running query and gives
up what was typed. Arrow keys and Ctrl-R go through what was asked before.";

/// A command of the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Quit,
    Help,
    Tables,
    Describe(String),
    Timing(Option<bool>),
    Format(Option<Format>),
    Rules(Option<Ready>),
    Hunts(Option<Ready>),
    Explain(Option<String>),
}

/// A rule or a hunt by its id, and values for its parameters.
pub type Ready = (String, Vec<ParamFlag>);

/// The names of the commands, for completion.
pub const NAMES: [&str; 8] = [
    "\\?",
    "\\d",
    "\\explain",
    "\\format",
    "\\hunts",
    "\\q",
    "\\rules",
    "\\timing",
];

/// Whether a line is a command, and not SQL.
pub fn is_command(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('\\') || plain_word(line).is_some()
}

/// What people type who do not know the shell yet.
fn plain_word(line: &str) -> Option<Command> {
    match line.trim_end_matches(';').trim().to_lowercase().as_str() {
        "quit" | "exit" => Some(Command::Quit),
        "help" => Some(Command::Help),
        _ => None,
    }
}

impl Command {
    /// The command of a line; none where it is SQL.
    pub fn read(line: &str) -> Result<Option<Self>, UsageError> {
        let line = line.trim();
        if let Some(command) = plain_word(line) {
            return Ok(Some(command));
        }
        let Some(rest) = line.strip_prefix('\\') else {
            return Ok(None);
        };
        let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (name, rest) = (name.trim_end_matches(';'), rest.trim());
        if name == "explain" {
            let query = rest.trim_end_matches(';').trim();
            let query = (!query.is_empty()).then(|| query.to_owned());
            return Ok(Some(Command::Explain(query)));
        }
        let words = words(rest.trim_end_matches(';'))?;
        let only = || -> Result<Option<&String>, UsageError> {
            match words.as_slice() {
                [] => Ok(None),
                [one] => Ok(Some(one)),
                _ => Err(refused(&format!("\\{name} takes one word"))),
            }
        };
        let command = match name {
            "q" => Command::Quit,
            "?" | "h" => Command::Help,
            "d" => only()?.map_or(Command::Tables, |table| Command::Describe(table.clone())),
            "timing" => Command::Timing(match only()?.map(String::as_str) {
                None => None,
                Some("on") => Some(true),
                Some("off") => Some(false),
                Some(_) => return Err(refused("\\timing is on or off")),
            }),
            "format" => Command::Format(only()?.map(|word| format(word)).transpose()?),
            "rules" => Command::Rules(ready(&words)?),
            "hunts" => Command::Hunts(ready(&words)?),
            _ => return Err(unknown(name)),
        };
        Ok(Some(command))
    }
}

fn unknown(name: &str) -> UsageError {
    let hint = match nearest(name, NAMES.iter().map(|known| &known[1..])) {
        Some(near) => format!("did you mean \\{near}? \\? lists the commands"),
        None => "\\? lists the commands".to_owned(),
    };
    UsageError::new(format!("there is no command \\{name}"), hint)
}

fn refused(what: &str) -> UsageError {
    UsageError::new(what, "\\? lists the commands")
}

fn ready(words: &[String]) -> Result<Option<Ready>, UsageError> {
    let Some((id, params)) = words.split_first() else {
        return Ok(None);
    };
    let params: Result<Vec<ParamFlag>, String> = params.iter().map(|word| word.parse()).collect();
    let params = params.map_err(|hint| UsageError::new("a value has a name", hint))?;
    Ok(Some((id.clone(), params)))
}

fn format(word: &str) -> Result<Format, UsageError> {
    let found = Format::from_str(word, true).map_err(|_| {
        let formats = formats();
        let near = nearest(word, formats.iter().map(String::as_str));
        let hint = near.map_or_else(
            || formats.join(", "),
            |near| format!("did you mean `{near}`?"),
        );
        UsageError::new(format!("there is no format `{word}`"), hint)
    })?;
    check_format(found)?;
    Ok(found)
}

/// What may be shown in the shell: text.
pub fn check_format(format: Format) -> Result<(), UsageError> {
    let name = format_name(format);
    if formats().contains(&name) {
        return Ok(());
    }
    Err(UsageError::new(
        format!("{name} is not for a shell"),
        format!(
            "one of {}; `orgwatch sql --format {name} --output FILE QUERY` writes a file",
            formats().join(", ")
        ),
    ))
}

/// The formats of text that any result has.
pub fn formats() -> Vec<String> {
    let each = Format::value_variants().iter().filter(|format| {
        let shown = format.to_possible_value().is_some_and(|v| !v.is_hide_set());
        shown && !format.is_binary()
    });
    each.map(|format| format_name(*format)).collect()
}

pub fn format_name(format: Format) -> String {
    let value = format.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Words parted by blanks; quotes of either kind keep blanks together.
fn words(text: &str) -> Result<Vec<String>, UsageError> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(refused("a quote is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Command> {
        Command::read(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn every_command_of_the_help_is_one() {
        for line in HELP.lines().filter(|line| line.starts_with('\\')) {
            let name = line.split_whitespace().next().unwrap_or_default();
            assert!(NAMES.contains(&name), "{name}");
            assert!(read(name).is_some(), "{name}");
        }
    }

    #[test]
    fn commands_have_their_words_and_a_semicolon_does_not_matter() {
        assert_eq!(
            read(" \\d logins; "),
            Some(Command::Describe("logins".into()))
        );
        assert_eq!(read("\\d"), Some(Command::Tables));
        assert_eq!(read("\\q;"), Some(Command::Quit));
        assert_eq!(read("EXIT;"), Some(Command::Quit));
        assert_eq!(read("\\timing on"), Some(Command::Timing(Some(true))));
        assert_eq!(
            read("\\format JSONL"),
            Some(Command::Format(Some(Format::Jsonl)))
        );
        assert_eq!(
            read("\\explain SELECT 1;"),
            Some(Command::Explain(Some("SELECT 1".into())))
        );
        let Some(Command::Hunts(Some((id, params)))) = read("\\hunts x user='a b' n=\"c\"") else {
            panic!("a hunt");
        };
        let params: Vec<_> = params
            .iter()
            .map(|p| (p.name.as_str(), p.value.as_str()))
            .collect();
        assert_eq!(
            (id.as_str(), params),
            ("x", vec![("user", "a b"), ("n", "c")])
        );
    }

    #[test]
    fn what_is_no_command_is_sql() {
        for line in ["SELECT 1;", "", "-- \\q", "quit_column"] {
            assert!(!is_command(line), "{line}");
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn a_slip_is_answered_with_the_right_name() {
        let hint = |line| Command::read(line).unwrap_err().hint;
        assert!(hint("\\timng").contains("\\timing"));
        assert!(hint("\\format jsn").contains("`json`"));
        assert!(hint("\\format parquet").contains("--output"));
        assert!(Command::read("\\hunts x user").is_err());
        assert!(Command::read("\\hunts x user='a").is_err());
    }
}
