//! `orgwatch man`: the manual pages, in roff.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::exit::Exit;
use super::terminal::Terminal;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch man | man -l -
  orgwatch man --output-dir ~/.local/share/man/man1";

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write one page per command into this folder instead of the main page to stdout
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
}

pub fn run(args: &ManArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let command = super::Cli::command();
    match &args.output_dir {
        Some(folder) => clap_mangen::generate_to(command, folder)?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            terminal.data(|out| out.write_all(&page))?;
        }
    }
    Ok(Exit::Done)
}
