//! The shell of `orgwatch sql`: reads statements and commands, line by line, until `\q`. The lake
//! and the engine are opened once. Ctrl-C stops what runs, never the shell.

mod command;
mod complete;
mod highlight;
mod history;
mod list;
mod pager;
mod prompt;

use std::sync::Arc;
use std::time::Instant;

use reedline::{
    ColumnarMenu, Emacs, InputMode, KeyCode, KeyModifiers, MenuBuilder, Reedline, ReedlineEvent,
    ReedlineMenu, Signal, ValidationResult, Validator, default_emacs_keybindings,
};

use super::answer::{Answered, LimitFlags, Unanswered, answer};
use super::question::Question;
use super::source::Source;
use super::{SqlArgs, excerpt, hunts, question};
use crate::catalog::Catalog;
use crate::cli::Global;
use crate::cli::exit::Exit;
use crate::cli::failure::{self, UsageError};
use crate::cli::interrupt;
use crate::cli::output::{Format, Layout, Rows, writer};
use crate::cli::rules::{ParamFlag, one};
use crate::cli::terminal::Terminal;
use crate::cli::workplace::Workplace;
use crate::detect::RuleSet;
use crate::engine::script::{self, ScriptStatement};
use crate::engine::{Params, Session, SqlPlace};
use crate::hunt::HuntSet;
use crate::lake::Lake;
use crate::words::counted;
use command::Command;
use complete::{Names, SqlCompleter};
use pager::Pager;
use prompt::ShellPrompt;

/// Rows shown of one result unless `--max-rows` says otherwise: nobody reads more.
const MOST_ROWS: u64 = 10_000;
const MENU: &str = "completion";

pub fn run(args: &SqlArgs, global: &Global, place: &Workplace<'_>) -> anyhow::Result<Exit> {
    if args.output.is_some() {
        return Err(UsageError::new(
            "--output is for a query, and there is none",
            "name a query, --file, --rule or --hunt; in the shell results go to the terminal",
        )
        .into());
    }
    let format = global.format.unwrap_or_default();
    command::check_format(format)?;
    let catalog = place.catalog()?;
    let registry = place.registry()?;
    let hunts = hunts::all(args.hunts_dir.as_deref())?;
    let rules = place.rules()?;
    let source = Source::open(args, place, &catalog)?;
    let session = Arc::new(place.session(source.lake(), &catalog, &registry)?);
    let limits = LimitFlags {
        max_rows: args.limits.max_rows.or(Some(MOST_ROWS)),
        ..args.limits
    };
    let names = Arc::new(Names::new(Arc::clone(&session), &hunts, &rules));
    let mut editor = editor(&names, place.terminal);
    let mut shell = Shell {
        session: &session,
        lake: source.lake(),
        catalog: &catalog,
        hunts: &hunts,
        rules: &rules,
        place,
        terminal: place.terminal,
        given: &args.params,
        limits,
        format,
        timing: false,
        last: None,
    };
    let stop = session.stop();
    let _diverted = interrupt::divert(move || stop.now());
    place.terminal.say(&format!(
        "orgwatch {}: statements end with `;`, \\? for help, \\q to leave",
        env!("CARGO_PKG_VERSION")
    ));
    shell.read(&mut editor)?;
    Ok(Exit::Done)
}

fn editor(names: &Arc<Names>, terminal: &Terminal) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let complete = vec![
        ReedlineEvent::Menu(MENU.to_owned()),
        ReedlineEvent::MenuNext,
    ];
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(complete),
    );
    keys.add_binding(
        KeyModifiers::SHIFT,
        KeyCode::BackTab,
        ReedlineEvent::MenuPrevious,
    );
    // Enter, typed while an answer was still coming and the terminal not yet the shell's.
    keys.add_binding(
        KeyModifiers::CONTROL,
        KeyCode::Char('j'),
        ReedlineEvent::Enter,
    );
    let menu = ColumnarMenu::default()
        .with_name(MENU)
        .with_input_mode(InputMode::FullBuffer);
    Reedline::create()
        .with_history(history::open(terminal))
        .with_validator(Box::new(Whole))
        .with_highlighter(Box::new(highlight::SqlHighlighter::new(names)))
        .with_completer(Box::new(SqlCompleter::new(Arc::clone(names))))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_ansi_colors(terminal.colours_messages())
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .use_bracketed_paste(true)
}

/// Enter ends a command, and SQL that ends with `;`.
struct Whole;

impl Validator for Whole {
    fn validate(&self, line: &str) -> ValidationResult {
        match command::is_command(line) || script::is_complete(line) {
            true => ValidationResult::Complete,
            false => ValidationResult::Incomplete,
        }
    }
}

struct Shell<'a> {
    session: &'a Session,
    lake: &'a Lake,
    catalog: &'a Catalog,
    hunts: &'a HuntSet,
    rules: &'a RuleSet,
    place: &'a Workplace<'a>,
    terminal: &'a Terminal,
    /// `--param` of the call, for the `$name` places of what is typed.
    given: &'a [ParamFlag],
    limits: LimitFlags,
    format: Format,
    timing: bool,
    /// What `\explain` alone explains.
    last: Option<String>,
}

impl Shell<'_> {
    fn read(&mut self, editor: &mut Reedline) -> anyhow::Result<()> {
        loop {
            let line = match editor.read_line(&ShellPrompt)? {
                Signal::Success(line) => line,
                Signal::CtrlD => return Ok(()),
                // What was typed is given up.
                _ => continue,
            };
            // A shell that is killed keeps what was asked until then.
            if let Err(error) = editor.sync_history() {
                self.terminal
                    .detail(&format!("the history was not kept: {error}"));
            }
            let outcome = match Command::read(&line) {
                Ok(Some(Command::Quit)) => return Ok(()),
                Ok(Some(command)) => self.obey(command),
                Ok(None) => self.ask(&line),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = outcome {
                // Whoever leaves the pager has seen enough.
                if !failure::is_broken_pipe(&error) {
                    failure::tell(&error, self.terminal);
                }
            }
        }
    }

    /// Asks the statements of what was typed; one that fails ends the line.
    fn ask(&mut self, text: &str) -> anyhow::Result<()> {
        let statements = script::statements(text);
        for (n, statement) in statements.iter().enumerate() {
            let number = (statements.len() > 1).then_some((n + 1, statements.len()));
            let failed = |error| excerpt::failed(error, text, statement, number);
            script::check(statement).map_err(failed)?;
            let params = question::of_text(&statement.sql, self.given);
            self.last = Some(statement.sql.clone());
            self.show_answer(text, statement, &params, number)?;
        }
        Ok(())
    }

    fn show_answer(
        &self,
        text: &str,
        statement: &ScriptStatement,
        params: &Params,
        number: Option<(usize, usize)>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let answered = self.paged(|sink, layout| {
            answer(
                self.session,
                &statement.sql,
                params,
                self.limits,
                |schema| writer(self.format, schema, layout, sink),
            )
        })?;
        let answered = match answered {
            Ok(answered) => answered,
            Err(Unanswered::Output(error)) => return Err(error.into()),
            Err(Unanswered::Engine(error)) => {
                return Err(excerpt::failed(error, text, statement, number));
            }
        };
        self.tell(answered, started);
        Ok(())
    }

    fn tell(&self, answered: Answered, started: Instant) {
        let rows = counted(answered.rows, "row");
        let took = match self.timing {
            true => format!(", {:.3} s", started.elapsed().as_secs_f64()),
            false => String::new(),
        };
        match answered.cut {
            true => {
                let hint = "there are more (start with --max-rows N, or add a LIMIT)";
                self.terminal.say(&format!("({rows}{took}; {hint})"));
            }
            false => self.terminal.say(&format!("({rows}{took})")),
        }
    }

    /// Has something write to the terminal, through the pager where it is long.
    fn paged<T>(
        &self,
        write: impl FnOnce(Box<dyn std::io::Write + Send + '_>, Layout) -> T,
    ) -> anyhow::Result<T> {
        let layout = Layout {
            width: self.terminal.out_width(),
            to_terminal: true,
        };
        let pager = Pager::new(self.terminal);
        let outcome = write(Box::new(pager.sink()), layout);
        pager.finish()?;
        Ok(outcome)
    }

    fn obey(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Quit => Ok(()),
            Command::Help => self.show_text(command::HELP),
            Command::Tables => self.show(list::tables(self.session, self.lake, self.catalog)?),
            Command::Describe(table) => {
                self.session.begin(self.limits.timeout);
                self.show(list::columns(&table, self.session, self.catalog)?)
            }
            Command::Timing(wanted) => {
                self.timing = wanted.unwrap_or(!self.timing);
                let state = if self.timing { "on" } else { "off" };
                self.terminal.say(&format!("timing is {state}"));
                Ok(())
            }
            Command::Format(None) => {
                self.terminal
                    .say(&format!("format is {}", command::format_name(self.format)));
                Ok(())
            }
            Command::Format(Some(format)) => {
                self.format = format;
                Ok(())
            }
            Command::Rules(None) => self.show(list::rules(self.rules)),
            Command::Rules(Some((id, params))) => {
                let rule = one(self.rules, &id)?.clone();
                self.ask_ready(&Question::Rule(Box::new(rule)), &params)
            }
            Command::Hunts(None) => self.show(hunts::rows(self.hunts)),
            Command::Hunts(Some((id, params))) => {
                let hunt = hunts::one(self.hunts, &id)?;
                self.ask_ready(&Question::Hunt(Box::new(hunt)), &params)
            }
            Command::Explain(query) => self.explain(query),
        }
    }

    /// Asks a rule or a hunt.
    fn ask_ready(&mut self, question: &Question, params: &[ParamFlag]) -> anyhow::Result<()> {
        self.session.begin(self.limits.timeout);
        let catalog = self.catalog;
        let params = question.params(params, self.session, self.lake, catalog, self.place)?;
        for statement in question.checked()? {
            self.show_answer(question.sql(), &statement, &params, None)?;
        }
        Ok(())
    }

    fn explain(&self, query: Option<String>) -> anyhow::Result<()> {
        let query = query.or_else(|| self.last.clone());
        let Some(query) = query else {
            let what = "there is no query to explain yet";
            return Err(UsageError::new(what, "\\explain SELECT …").into());
        };
        let statement = ScriptStatement {
            sql: query,
            place: SqlPlace { line: 1, column: 1 },
        };
        self.session.begin(self.limits.timeout);
        let params = question::of_text(&statement.sql, self.given);
        let plan = self.session.physical_plan(&statement.sql, &params);
        let plan = plan.map_err(|e| excerpt::failed(e, &statement.sql, &statement, None))?;
        self.show_text(&plan)
    }

    /// Shows rows that the shell itself made.
    fn show(&self, rows: Rows) -> anyhow::Result<()> {
        let batch = rows.batch()?;
        self.paged(|sink, layout| {
            let mut writer = writer(self.format, batch.schema(), layout, sink)?;
            writer.write(&batch)?;
            writer.finish()
        })??;
        Ok(())
    }

    fn show_text(&self, text: &str) -> anyhow::Result<()> {
        self.paged(|mut sink, _| {
            for line in text.lines() {
                writeln!(sink, "{}", crate::privacy::printable(line, 10_000))?;
            }
            sink.flush()
        })??;
        Ok(())
    }
}
