//! What `orgwatch sql` is asked: a query as it stands, a rule's or a hunt's, and the values that
//! are bound to it.

use std::io::Read;

use chrono::{DateTime, Utc};

use super::{SqlArgs, excerpt};
use crate::catalog::Catalog;
use crate::cli::failure::UsageError;
use crate::cli::hunts;
use crate::cli::rules::{ParamFlag, one, param::moment};
use crate::cli::workplace::Workplace;
use crate::config::nearest;
use crate::detect::{Coverage, Origin, Rule, Window, bindings, rfc3339};
use crate::engine::script::{self, ScriptStatement};
use crate::engine::{Params, Session, SqlPlace};
use crate::hunt::Hunt;
use crate::lake::Lake;
use crate::privacy::printable;

/// Longest note shown, in characters.
const MAX_NOTES: usize = 1000;

pub enum Question {
    Plain(String),
    Rule(Box<Rule>),
    Hunt(Box<Hunt>),
}

impl Question {
    pub fn read(args: &SqlArgs, place: &Workplace<'_>) -> anyhow::Result<Self> {
        if let Some(id) = &args.rule {
            let rules = place.rules()?;
            return Ok(Question::Rule(Box::new(one(&rules, id)?.clone())));
        }
        if let Some(name) = &args.hunt {
            let hunt = hunts::one(&hunts::all(args.hunts_dir.as_deref())?, name)?;
            return Ok(Question::Hunt(Box::new(hunt)));
        }
        let text = query(args)?;
        let Some(path) = &args.file else {
            return Ok(Question::Plain(text));
        };
        let origin = Origin::File {
            path: path.clone(),
            overrides: false,
        };
        if let Ok(rule) = Rule::read(&text, origin) {
            return Ok(Question::Rule(Box::new(rule)));
        }
        Ok(match Hunt::read(&path.display().to_string(), &text) {
            Ok(hunt) => Question::Hunt(Box::new(hunt)),
            Err(_) => Question::Plain(text),
        })
    }

    pub fn sql(&self) -> &str {
        match self {
            Question::Plain(sql) => sql,
            Question::Rule(rule) => &rule.sql,
            Question::Hunt(hunt) => &hunt.sql,
        }
    }

    /// The statements, each of which parses and changes nothing: one that does not is told before
    /// any of them is asked.
    pub fn checked(&self) -> anyhow::Result<Vec<ScriptStatement>> {
        let statements = match self {
            Question::Plain(text) => script::statements(text),
            // A rule or a hunt is one, its head a comment.
            Question::Rule(_) | Question::Hunt(_) => vec![ScriptStatement {
                sql: self.sql().to_owned(),
                place: SqlPlace { line: 1, column: 1 },
            }],
        };
        if statements.is_empty() {
            return Err(UsageError::new("there is no statement", "write a SELECT").into());
        }
        for (n, statement) in statements.iter().enumerate() {
            let number = (statements.len() > 1).then_some((n + 1, statements.len()));
            script::check(statement)
                .map_err(|error| excerpt::failed(error, self.sql(), statement, number))?;
        }
        Ok(statements)
    }

    /// The values to bind.
    pub fn params(
        &self,
        given: &[ParamFlag],
        session: &Session,
        lake: &Lake,
        catalog: &Catalog,
        place: &Workplace<'_>,
    ) -> anyhow::Result<Params> {
        let now = place.clock.now();
        let today = now.date_naive();
        let days = || -> anyhow::Result<_> {
            let coverage = Coverage::of_lake(lake, catalog)?;
            let last = coverage.last_day(today).unwrap_or(today);
            Ok((coverage.first_day().unwrap_or(last).min(last), last))
        };
        match self {
            Question::Plain(sql) => Ok(plain(sql, given)?),
            Question::Rule(rule) => {
                let (_, last) = days()?;
                let (times, others) = Times::of(given, Window::of_days(last, last), now)?;
                let mut rule = rule.as_ref().clone();
                for flag in others {
                    flag.set(&mut rule, &flag.name)?;
                }
                times.tell(&format!("rule {}", rule.id), session, place);
                let mut params = Params::new();
                for (name, value) in bindings(&rule, times.window, times.now) {
                    params.set(name, value);
                }
                Ok(params)
            }
            Question::Hunt(hunt) => {
                let (first, last) = days()?;
                let (times, others) = Times::of(given, hunt.window(first, last), now)?;
                times.tell(&format!("hunt {}", hunt.id), session, place);
                if !hunt.notes.is_empty() {
                    place.terminal.say(&printable(&hunt.notes, MAX_NOTES));
                }
                let mut params = Params::new()
                    .with_time("window_start", times.window.from)
                    .with_time("window_end", times.window.to)
                    .with_time("now", times.now);
                bind(hunt, &others, &mut params)?;
                Ok(params)
            }
        }
    }
}

/// The values of a query that declares none.
fn plain(sql: &str, given: &[ParamFlag]) -> Result<Params, UsageError> {
    let sql = sql.to_lowercase();
    let mut params = Params::new();
    for flag in given {
        if !sql.contains(&format!("${}", flag.name.to_lowercase())) {
            return Err(UsageError::new(
                format!("the query has no ${}", flag.name),
                "names are written as they stand in the query",
            ));
        }
        params.set(flag.name.clone(), flag.scalar());
    }
    Ok(params)
}

/// Of the values given to a shell those that this text has a place for.
pub fn of_text(sql: &str, given: &[ParamFlag]) -> Params {
    let sql = sql.to_lowercase();
    let mut params = Params::new();
    for flag in given {
        if sql.contains(&format!("${}", flag.name.to_lowercase())) {
            params.set(flag.name.clone(), flag.scalar());
        }
    }
    params
}

/// The values of a hunt: those given, else its defaults.
fn bind(hunt: &Hunt, given: &[&ParamFlag], params: &mut Params) -> Result<(), UsageError> {
    for flag in given {
        if !hunt.params.contains_key(&flag.name) {
            let near = nearest(&flag.name, hunt.params.keys().map(String::as_str));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if hunt.params.is_empty() => "it has none".to_owned(),
                None => format!("its parameters: {}", hunt.signature()),
            };
            let what = format!("hunt `{}` has no parameter `{}`", hunt.id, flag.name);
            return Err(UsageError::new(what, hint));
        }
    }
    for (name, param) in &hunt.params {
        let flag = given.iter().rev().find(|flag| flag.name == *name);
        let value = match (flag, &param.default) {
            (Some(flag), _) => flag.value_of(param.kind).map_err(|what| {
                let what = format!("parameter `{name}` of hunt `{}`: {what}", hunt.id);
                UsageError::new(what, param.meaning.clone())
            })?,
            (None, Some(default)) => default.clone(),
            (None, None) => {
                return Err(UsageError::new(
                    format!("hunt `{}` needs `{name}`: {}", hunt.id, param.meaning),
                    format!("add --param {name}=…"),
                ));
            }
        };
        params.set(name.clone(), value.to_scalar());
    }
    Ok(())
}

/// The window and the time of a question.
struct Times {
    window: Window,
    now: DateTime<Utc>,
}

impl Times {
    /// Those given as parameters, else the others; and the flags that are none of these.
    fn of(
        given: &[ParamFlag],
        window: Window,
        now: DateTime<Utc>,
    ) -> Result<(Self, Vec<&ParamFlag>), UsageError> {
        let mut times = Self { window, now };
        let mut others = vec![];
        for flag in given {
            let place = match flag.name.as_str() {
                "window_start" => &mut times.window.from,
                "window_end" => &mut times.window.to,
                "now" => &mut times.now,
                _ => {
                    others.push(flag);
                    continue;
                }
            };
            *place = moment(&flag.value).ok_or_else(|| {
                UsageError::new(
                    format!("`{}` is no time", flag.name),
                    "write a day or a time in UTC, as in 2026-01-15 or 2026-01-15T10:00:00Z",
                )
            })?;
        }
        Ok((times, others))
    }

    fn tell(&self, what: &str, session: &Session, place: &Workplace<'_>) {
        session.judge_days(&self.window.days().collect());
        let (from, to) = (rfc3339(self.window.from), rfc3339(self.window.to));
        place.terminal.say(&format!("{what}, {from} to {to}"));
    }
}

fn query(args: &SqlArgs) -> anyhow::Result<String> {
    let unreadable = |what: String| {
        move |error: std::io::Error| {
            UsageError::new(
                format!("cannot read the query from {what}: {error}"),
                "check the path",
            )
        }
    };
    let text = match (&args.file, args.query.as_deref()) {
        (Some(path), _) => {
            std::fs::read_to_string(path).map_err(unreadable(format!("`{}`", path.display())))?
        }
        (None, Some("-") | None) => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(unreadable("standard input".to_owned()))?;
            text
        }
        (None, Some(query)) => query.to_owned(),
    };
    if text.trim().is_empty() {
        return Err(
            UsageError::new("the query is empty", "write it as one argument in quotes").into(),
        );
    }
    Ok(text)
}
