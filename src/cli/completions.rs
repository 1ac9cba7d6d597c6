//! `orgwatch completions`: tab completion for a shell.

use clap::{Args, CommandFactory};

use super::exit::Exit;
use super::terminal::Terminal;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch completions bash > ~/.local/share/bash-completion/completions/orgwatch
  orgwatch completions zsh > ~/.zfunc/_orgwatch";

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

pub fn run(args: &CompletionsArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut super::Cli::command(),
        "orgwatch",
        &mut script,
    );
    terminal.data(|out| out.write_all(&script))?;
    Ok(Exit::Done)
}
