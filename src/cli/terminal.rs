//! The one place that knows stdout and stderr: data to the first, everything else to the second.
//!
//! Text that may come from logs is made printable before it reaches a terminal, so that no log
//! line can move a cursor, set a title or a clipboard, or forge a line of output.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::EnvFilter;

use super::exit::Exit;
use super::log::Log;
use crate::clock::Clock;
use crate::config::{LogFormat, Severity};
use crate::doctor::Verdict;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColourChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Talk {
    pub verbose: u8,
    pub quiet: bool,
    pub no_progress: bool,
    pub colour: ColourChoice,
    pub format: LogFormat,
}

/// Stdout and stderr, with what is known about them.
pub struct Terminal {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    log: Log,
    talk: Talk,
    out_is_terminal: bool,
    err_is_terminal: bool,
    no_colour: bool,
}

impl Terminal {
    /// The process's own streams; starts the log on stderr as `talk` asks.
    pub fn open(talk: Talk) -> Self {
        let log = Log::new(talk.format);
        start_log(talk, &log);
        Self {
            log,
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            out: Mutex::new(Box::new(BufWriter::new(io::stdout()))),
            err: Mutex::new(Box::new(io::stderr())),
            talk,
            no_colour: no_colour(),
        }
    }

    /// Writes data to stdout.
    pub fn data(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = lock(&self.out);
        write(&mut **out)?;
        out.flush()
    }

    /// Stdout as a sink for a writer that keeps it for long.
    pub fn data_sink(&self) -> DataSink<'_> {
        DataSink { terminal: self }
    }

    /// The log has the time of this clock from now on.
    pub fn use_clock(&self, clock: Clock) {
        self.log.use_clock(clock);
    }

    /// A remark on stderr, silent under `--quiet`.
    pub fn say(&self, line: &str) {
        match self.log.is_json() {
            true => self.record(Level::INFO, line.trim(), &Value::Null),
            false => self.for_people(line),
        }
    }

    /// A remark that only `-v` shows.
    pub fn detail(&self, line: &str) {
        if self.talk.verbose > 0 {
            match self.log.is_json() {
                true => self.record(Level::DEBUG, line.trim(), &Value::Null),
                false => self.for_people(line),
            }
        }
    }

    pub fn warn(&self, line: &str) {
        if self.log.is_json() {
            return self.record(Level::WARN, line, &Value::Null);
        }
        let label = paint("warning:", "33;1", self.colours(self.err_is_terminal));
        self.for_people(&format!("{label} {line}"));
    }

    /// An error with its hints; `--quiet` does not silence it.
    pub fn error(&self, line: &str, hints: &[String]) {
        self.tell_error(line, hints, None);
    }

    /// The error that ends the program with this code.
    pub fn fatal(&self, line: &str, hints: &[String], exit: Exit) {
        self.tell_error(line, hints, Some(exit));
    }

    fn tell_error(&self, line: &str, hints: &[String], exit: Option<Exit>) {
        if self.log.is_json() {
            let mut fields = serde_json::Map::new();
            if !hints.is_empty() {
                fields.insert("hints".into(), json!(hints));
            }
            if let Some(exit) = exit {
                fields.insert("exit_code".into(), exit.code().into());
            }
            return self.record(Level::ERROR, line, &Value::Object(fields));
        }
        let label = paint("error:", "31;1", self.colours(self.err_is_terminal));
        self.stderr(&format!("{label} {line}"));
        for hint in hints {
            self.stderr(&format!("hint: {hint}"));
        }
    }

    /// What cannot go on before the user has acted: `--quiet` does not silence it.
    pub fn ask(&self, message: &str, text: &str) {
        match self.log.is_json() {
            true => self.stderr(&self.log.line(Level::INFO, message, &Value::Null)),
            false => text.lines().for_each(|line| self.stderr(line)),
        }
    }

    /// What only people read, laid out in lines; machines get a [`Self::record`] instead.
    pub fn for_people(&self, text: &str) {
        if !self.talk.quiet && !self.log.is_json() {
            // An empty remark is an empty line.
            match text.is_empty() {
                true => self.stderr(""),
                false => text.lines().for_each(|line| self.stderr(line)),
            }
        }
    }

    /// What only machines read: nothing unless the log is JSON.
    pub fn record(&self, level: Level, message: &str, fields: &Value) {
        let silent = self.talk.quiet && level != Level::ERROR;
        if self.log.is_json() && !silent && !message.is_empty() {
            self.stderr(&self.log.line(level, message, fields));
        }
    }

    /// Whether a person sits at it: input, output and messages are a terminal that can move its
    /// cursor.
    pub fn is_for_people(&self) -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let all = self.out_is_terminal && self.err_is_terminal && io::stdin().is_terminal();
        all && !is_dumb && !self.log.is_json()
    }

    /// Whether what is typed may be coloured.
    pub fn colours_messages(&self) -> bool {
        self.colours(self.err_is_terminal)
    }

    /// Lines of the terminal behind stdout; none when stdout is a pipe or a file.
    pub fn out_height(&self) -> Option<usize> {
        let asked = || terminal_size::terminal_size_of(io::stdout()).map(|(_, h)| usize::from(h.0));
        self.out_is_terminal.then(asked).flatten()
    }

    pub fn verbose(&self) -> u8 {
        self.talk.verbose
    }

    pub fn err_is_terminal(&self) -> bool {
        self.err_is_terminal
    }

    pub fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Columns of the terminal behind stdout; none when stdout is a pipe or a file.
    pub fn out_width(&self) -> Option<usize> {
        let asked = || terminal_size::terminal_size_of(io::stdout()).map(|(w, _)| usize::from(w.0));
        self.out_is_terminal.then(|| asked().unwrap_or(80).max(20))
    }

    /// A severity's word in capitals, coloured where stdout takes colour.
    pub fn severity(&self, severity: Severity) -> String {
        let code = match severity {
            Severity::Critical => "31;1;7",
            Severity::High => "31;1",
            Severity::Medium => "33;1",
            Severity::Low => "36",
            Severity::Info => "2",
        };
        let word = severity.as_str().to_uppercase();
        paint(&word, code, self.colours(self.out_is_terminal))
    }

    /// A verdict's word, coloured where stdout takes colour.
    pub fn verdict(&self, verdict: Verdict) -> String {
        let code = match verdict {
            Verdict::Pass => "32",
            Verdict::Skip => "2",
            Verdict::Warn => "33;1",
            Verdict::Fail => "31;1",
        };
        paint(verdict.as_str(), code, self.colours(self.out_is_terminal))
    }

    pub fn bold(&self, text: &str) -> String {
        paint(text, "1", self.colours(self.out_is_terminal))
    }

    /// A bar on stderr that counts bytes, or a hidden one where nobody watches.
    pub fn progress(&self, total_bytes: u64) -> ProgressBar {
        let unwanted = self.talk.quiet || self.talk.no_progress || self.log.is_json();
        if !self.err_is_terminal || unwanted {
            return ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template(
            "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {wide_msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::stderr())
            .with_style(style)
    }

    /// The same for work that is counted in steps.
    pub fn steps(&self, total: u64) -> ProgressBar {
        let bar = self.progress(total);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    fn colours(&self, is_terminal: bool) -> bool {
        match self.talk.colour {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto => is_terminal && !self.no_colour,
        }
    }

    fn stderr(&self, line: &str) {
        // In one piece, so that no other thread's line comes in between. When stderr itself fails
        // there is nobody left to tell.
        let _ = lock(&self.err).write_all(format!("{line}\n").as_bytes());
    }
}

/// Stdout for writers that outlive one call.
pub struct DataSink<'t> {
    terminal: &'t Terminal,
}

impl Write for DataSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.terminal.out).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        lock(&self.terminal.out).flush()
    }
}

fn paint(text: &str, code: &str, colours: bool) -> String {
    if colours {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// NO_COLOR, as its own page says: any value but the empty one.
pub fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
}

/// A panic names its place and nothing else: its payload could quote a cell.
pub fn hide_panic_payloads(terminal: &Terminal) {
    let log = terminal.log.clone();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = format!("internal error at {place}");
        let hint = "please report this place; nothing half-written is visible in the lake";
        let text = match log.is_json() {
            true => log.line(Level::ERROR, &message, &json!({"hints": [hint]})),
            false => format!("error: {message}\nhint: {hint}"),
        };
        // When stderr itself fails there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{text}");
    }));
}

fn lock<T: ?Sized>(stream: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere does not make a stream unusable.
    stream
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Only our own events, at the level that `-v` asks for: the log of a dependency could quote a
/// query's values.
fn start_log(talk: Talk, log: &Log) {
    let level = match (talk.quiet, talk.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let events = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("orgwatch={level}")))
        .with_writer(io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false);
    let started = match log.is_json() {
        true => events.event_format(log.clone()).try_init(),
        false => events.try_init(),
    };
    // A second start in one process (tests) keeps the first log.
    drop(started);
}
