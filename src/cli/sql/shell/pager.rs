//! Long answers go through `$PAGER`, else `less` where there is one. What fits the screen is shown
//! as it is. An empty PAGER, or `cat`, switches paging off.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::terminal::Terminal;

/// Lines that the prompt and the count of rows need below an answer.
const RESERVED: usize = 3;
/// Flags of `less` unless LESS says otherwise: leave at the end of a short text, keep it on the
/// screen.
const LESS: &str = "FX";

/// Collects an answer until it is known whether it fits.
pub struct Pager<'t> {
    terminal: &'t Terminal,
    state: Arc<Mutex<State>>,
}

struct State {
    /// What was not shown yet.
    held: Vec<u8>,
    lines: usize,
    /// Lines that fit; none: the answer is not paged.
    fit: Option<usize>,
    command: String,
    child: Option<Child>,
}

impl<'t> Pager<'t> {
    pub fn new(terminal: &'t Terminal) -> Self {
        let command = match std::env::var("PAGER") {
            Ok(command) => command.trim().to_owned(),
            Err(_) if is_there("less") => "less".to_owned(),
            Err(_) => String::new(),
        };
        let is_off = matches!(command.as_str(), "" | "cat");
        let height = terminal.out_height().filter(|_| !is_off);
        let fit = height.map(|height| height.saturating_sub(RESERVED).max(1));
        let state = State {
            held: Vec::new(),
            lines: 0,
            fit,
            command,
            child: None,
        };
        Self {
            terminal,
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub fn sink(&self) -> PagerSink<'t> {
        PagerSink {
            terminal: self.terminal,
            state: Arc::clone(&self.state),
        }
    }

    /// Shows what is still held, and waits until the reader leaves the pager.
    pub fn finish(self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let held = std::mem::take(&mut state.held);
        self.terminal.data(|out| out.write_all(&held))?;
        if let Some(mut child) = state.child.take() {
            drop(child.stdin.take());
            child.wait()?;
        }
        Ok(())
    }
}

/// Where an answer is written.
pub struct PagerSink<'t> {
    terminal: &'t Terminal,
    state: Arc<Mutex<State>>,
}

impl Write for PagerSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = state.child.as_mut().and_then(|child| child.stdin.as_mut()) {
            return pipe.write(bytes);
        }
        let Some(fit) = state.fit else {
            self.terminal.data(|out| out.write_all(bytes))?;
            return Ok(bytes.len());
        };
        state.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        state.held.extend_from_slice(bytes);
        if state.lines > fit {
            state.start(self.terminal)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.child.as_mut().and_then(|child| child.stdin.as_mut()) {
            Some(pipe) => pipe.flush(),
            None => Ok(()),
        }
    }
}

impl State {
    /// Hands what is held to the pager; without one it is shown as it is.
    fn start(&mut self, terminal: &Terminal) -> io::Result<()> {
        let mut command = Command::new("sh");
        command.args(["-c", &self.command]);
        command.stdin(Stdio::piped());
        if std::env::var_os("LESS").is_none() {
            command.env("LESS", LESS);
        }
        let held = std::mem::take(&mut self.held);
        match command.spawn() {
            Ok(mut child) => {
                if let Some(pipe) = child.stdin.as_mut() {
                    pipe.write_all(&held)?;
                }
                self.child = Some(child);
                Ok(())
            }
            Err(_) => {
                self.fit = None;
                terminal.data(|out| out.write_all(&held))
            }
        }
    }
}

/// Whether a program of this name is in PATH.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
