//! `orgwatch rules new`: the files of a new rule.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::failure::UsageError;
use crate::cli::terminal::Terminal;
use crate::detect::{RuleSet, scaffold};

pub const EXAMPLES: &str = "\
Examples:
  orgwatch rules new my-rule
  orgwatch rules new night-logins --dir my-rules --title \"Logins at night\"

The new rule is in staging: it is judged each night and mails nothing. `orgwatch rules test
--rules-dir DIR ID` runs its cases. A file that exists is never overwritten.";

#[derive(Debug, Args)]
pub struct NewArgs {
    /// The new rule's id: lower-case letters, digits and `-`
    #[arg(value_name = "ID")]
    pub id: String,
    /// The folder for its files; made if it is missing
    #[arg(long, value_name = "FOLDER", default_value = "rules")]
    pub dir: PathBuf,
    /// What its findings are called
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
}

pub fn run(args: &NewArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let made = scaffold(&args.id, args.title.as_deref())?;
    if RuleSet::embedded()?.get(&args.id).is_some() {
        return Err(UsageError::new(
            format!("`{}` is a built-in rule", args.id),
            format!(
                "to change it, begin with its own text: orgwatch rules show {0} > {0}.sql",
                args.id
            ),
        )
        .into());
    }
    let files = [
        (args.dir.join(&made.sql_name), &made.sql),
        (args.dir.join(&made.cases_name), &made.cases),
    ];
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(exists(path).into());
    }
    let failed = |path: &Path, error: &std::io::Error| {
        let message = format!("cannot write `{}`: {error}", path.display());
        UsageError::new(message, "choose another folder with --dir")
    };
    std::fs::create_dir_all(&args.dir).map_err(|e| failed(&args.dir, &e))?;
    for (path, text) in &files {
        let file = std::fs::File::create_new(path);
        let mut file = match file {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(exists(path).into());
            }
            file => file.map_err(|e| failed(path, &e))?,
        };
        file.write_all(text.as_bytes())
            .map_err(|e| failed(path, &e))?;
    }
    terminal.data(|out| {
        for (path, _) in &files {
            writeln!(out, "{}", path.display())?;
        }
        Ok(())
    })?;
    terminal.say(&format!(
        "next: orgwatch rules test --rules-dir {} {}",
        args.dir.display(),
        args.id
    ));
    Ok(Exit::Done)
}

fn exists(path: &Path) -> UsageError {
    UsageError::new(
        format!("`{}` exists already", path.display()),
        "choose another id, or delete the file",
    )
}
