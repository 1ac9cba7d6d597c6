//! The command line explains itself.

use clap::CommandFactory;
use orgwatch::cli::Cli;

use crate::program::{expect, orgwatch, stderr};

/// The words of every subcommand, as in `lake verify`.
fn subcommands(of: &clap::Command, above: &[String], found: &mut Vec<Vec<String>>) {
    for command in of.get_subcommands().filter(|c| c.get_name() != "help") {
        let words = [above, &[command.get_name().to_owned()]].concat();
        subcommands(command, &words, found);
        found.push(words);
    }
}

#[test]
fn every_subcommand_has_help_with_examples_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut commands = vec![];
    subcommands(&Cli::command(), &[], &mut commands);
    for wanted in [
        "run", "ingest", "detect", "sql", "findings", "rules", "lake", "registry",
    ] {
        assert!(commands.iter().any(|words| words[0] == wanted), "{wanted}");
    }
    for words in commands {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        let line = format!("orgwatch {}", arguments.join(" "));
        arguments.push("--help");
        let help = expect(0, orgwatch(dir.path(), &arguments));
        let examples = help.split_once("Examples:").map(|(_, examples)| examples);
        assert!(
            examples.is_some_and(|e| e.contains(&line)),
            "{line}\n{help}"
        );
    }
    let help = expect(0, orgwatch(dir.path(), &["--help"]));
    assert!(help.contains("Examples:\n  orgwatch run"), "{help}");
}

#[test]
fn the_help_of_run_lists_its_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let help = expect(0, orgwatch(dir.path(), &["run", "--help"]));
    let codes = help.split_once("Exit codes:").unwrap().1;
    for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "75 "] {
        assert!(codes.contains(code), "{code} in {codes}");
    }
}

#[test]
fn completions_and_the_manual_page_name_every_command() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = expect(0, orgwatch(dir.path(), &["completions", shell]));
        assert!(
            script.contains("orgwatch") && script.contains("findings"),
            "{shell}"
        );
    }
    let page = expect(0, orgwatch(dir.path(), &["man"]));
    assert!(page.contains(".TH") && page.contains("findings"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_mistyped_command_line_ends_with_2_and_one_hint() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, says) in [
        (&["runn"][..], "run"),
        (&["run", "--thread", "2"], "--threads"),
        (&["run", "--threads", "none"], "--threads"),
        (&["run", "--now", "yesterday"], "--now"),
        (&["run", "--fail-on", "severe"], "unknown severity"),
        (&["sql", "--hunt"], "--hunt"),
        (&["findings", "list", "--format", "xml"], "jsonl"),
    ] {
        let output = orgwatch(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(
            stderr(&output).contains(says),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
