//! Hunts: an analyst's ready questions. Each is a file `queries/hunts/<id>.sql` that says in its
//! head what it asks, over how many days and with which values; users may have a folder of their
//! own.
//!
//! Columns of a hunt's result are its own; its rows are in a total order, as those of a rule.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::NaiveDate;
use serde::Deserialize;

use crate::detect::{
    DeclaredParam, Head, Order, RuleError, Statement, Window, WrittenParams, declared_params,
    entries_of, is_query_file, is_query_id, read_file, undeclared,
};
use crate::words::counted;

include!(concat!(env!("OUT_DIR"), "/embedded_hunts.rs"));

/// One ready question.
#[derive(Debug, Clone, PartialEq)]
pub struct Hunt {
    pub id: String,
    /// What it asks, in a line.
    pub title: String,
    /// What one has to know to read the answer, in one line; often empty.
    pub notes: String,
    /// Days up to the last one with rows that are asked about unless told otherwise; 0: all.
    pub days: u32,
    pub params: BTreeMap<String, DeclaredParam>,
    pub statement: Statement,
    /// The whole file, which is valid SQL.
    pub sql: String,
    /// Where it is from, for messages.
    pub file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    title: String,
    #[serde(default)]
    notes: String,
    days: u32,
    #[serde(default)]
    params: WrittenParams,
}

impl Hunt {
    /// Reads a file. `file` is its name for messages.
    ///
    /// # Errors
    /// A head that is not one, a query that is not one SELECT with an ORDER BY, a value that is
    /// used and not declared or declared and not used.
    pub fn read(file: &str, text: &str) -> Result<Self, RuleError> {
        let head = Head::of(file, text)?;
        let written: Written = head.read()?;
        let first_line = head.first_line;
        let refuse = |what: String| RuleError::new(file, first_line, what);
        if !is_query_id(&written.id) {
            return Err(refuse(format!("`{}` is no hunt id", written.id))
                .hint("lower-case letters, digits and `-`, beginning with a letter"));
        }
        if written.title.trim().is_empty() {
            return Err(refuse("`title` is empty".to_owned()));
        }
        let params = declared_params(&head, written.params)?;
        let statement = Statement::read(file, text.trim_start_matches('\u{feff}'))?;
        if let Some(error) = undeclared(file, text, &statement, params.keys()) {
            return Err(error);
        }
        if let Some(name) = params.keys().find(|name| !statement.params.contains(*name)) {
            return Err(refuse(format!("parameter `{name}` is not used")));
        }
        if statement.order == Order::Missing {
            return Err(refuse("the result has no order".to_owned())
                .hint("end with an ORDER BY that leaves no two rows alike"));
        }
        Ok(Self {
            id: written.id,
            title: written.title.trim().to_owned(),
            notes: one_line(&written.notes),
            days: written.days,
            params,
            statement,
            sql: text.to_owned(),
            file: file.to_owned(),
        })
    }

    /// The days that it asks about if nobody says: the last ones up to `last`, the first day of
    /// the lake being `first`.
    pub fn window(&self, first: NaiveDate, last: NaiveDate) -> Window {
        let back = u64::from(self.days).checked_sub(1);
        let from = back.and_then(|days| last.checked_sub_days(chrono::Days::new(days)));
        Window::of_days(from.unwrap_or(first).min(last), last)
    }

    /// `user (needed), rows`: its parameters in a line, those without a default first.
    pub fn signature(&self) -> String {
        let (needed, others): (Vec<_>, Vec<_>) = self
            .params
            .iter()
            .partition(|(_, param)| param.default.is_none());
        let names = needed
            .into_iter()
            .map(|(name, _)| format!("{name} (needed)"));
        let names: Vec<String> = names
            .chain(others.into_iter().map(|(name, _)| name.clone()))
            .collect();
        names.join(", ")
    }

    /// The days in words.
    pub fn span(&self) -> String {
        match self.days {
            0 => "all days".to_owned(),
            days => counted(days as usize, "day"),
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All hunts by id.
#[derive(Debug, Clone, Default)]
pub struct HuntSet(BTreeMap<String, Hunt>);

impl HuntSet {
    /// The hunts compiled in.
    pub fn embedded() -> Result<Self, RuleError> {
        let mut set = Self::default();
        for (name, text) in HUNTS {
            let file = format!("queries/hunts/{name}");
            set.add(Hunt::read(&file, text)?, true)?;
        }
        Ok(set)
    }

    /// Adds every `*.sql` of a folder; one of an id that is compiled in takes its place.
    pub fn with_dir(mut self, dir: &Path) -> Result<Self, RuleError> {
        let mut own = Self::default();
        for path in entries_of(dir, "the folder of hunts")? {
            if is_query_file(&path) {
                let file = path.display().to_string();
                own.add(Hunt::read(&file, &read_file(&path)?)?, false)?;
            }
        }
        self.0.extend(own.0);
        Ok(self)
    }

    fn add(&mut self, hunt: Hunt, is_embedded: bool) -> Result<(), RuleError> {
        let stem = hunt.file.rsplit('/').next().unwrap_or_default();
        if is_embedded && stem.strip_suffix(".sql") != Some(&hunt.id) {
            return Err(RuleError::new(
                &hunt.file,
                1,
                "its `id` is not the file's name",
            ));
        }
        if let Some(old) = self.0.get(&hunt.id) {
            let what = format!("hunt `{}` is already defined in {}", hunt.id, old.file);
            return Err(RuleError::new(&hunt.file, 0, what));
        }
        self.0.insert(hunt.id.clone(), hunt);
        Ok(())
    }

    pub fn get(&self, id: &str) -> Option<&Hunt> {
        self.0.get(id)
    }

    /// In order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Hunt> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const WHO: &str = "/*\nid = \"who\"\ntitle = \"Who it was\"\ndays = 7\n[params.user]\ntype = \"text\"\nmeaning = \"the user\"\n*/\nSELECT username FROM logins WHERE username = $user AND occurred_at >= $window_start ORDER BY username\n";

    fn refused(from: &str, to: &str) -> String {
        let text = WHO.replace(from, to);
        assert_ne!(text, WHO, "the test must change something");
        Hunt::read("who.sql", &text).unwrap_err().to_string()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_ready_questions_are_well_formed_and_there_are_at_least_fifteen() {
        let hunts = HuntSet::embedded().unwrap();
        assert!(hunts.iter().count() >= 15);
        assert!(hunts.iter().all(|hunt| hunt.title.chars().count() <= 100));
    }

    #[test]
    fn a_hunt_says_what_it_needs_and_over_which_days_it_asks() {
        let hunt = Hunt::read("who.sql", WHO).unwrap();
        assert_eq!(
            (hunt.signature().as_str(), hunt.span().as_str()),
            ("user (needed)", "7 days")
        );
        let window = hunt.window(day("2025-01-01"), day("2026-01-31"));
        assert_eq!(
            window,
            Window::of_days(day("2026-01-25"), day("2026-01-31"))
        );
        let all = Hunt { days: 0, ..hunt };
        let window = all.window(day("2025-01-01"), day("2026-01-31"));
        assert_eq!(
            window,
            Window::of_days(day("2025-01-01"), day("2026-01-31"))
        );
    }

    #[test]
    fn a_value_that_is_not_declared_or_not_used_is_refused() {
        assert!(refused("= $user", "= $person").contains("$person"));
        assert!(refused("username = $user AND ", "").contains("`user` is not used"));
    }

    #[test]
    fn a_hunt_without_order_or_with_two_statements_is_refused() {
        assert!(refused(" ORDER BY username", "").contains("no order"));
        assert!(!refused("ORDER BY username", "ORDER BY username; SELECT 1").is_empty());
        assert!(refused("SELECT username FROM", "DELETE FROM").contains("SELECT"));
    }

    #[test]
    fn a_hunt_of_ones_own_takes_the_place_of_the_ready_one() {
        let dir = tempfile::tempdir().unwrap();
        let own = WHO.replace("\"who\"", "\"login-as\"");
        fs::write(dir.path().join("mine.sql"), own).unwrap();
        let hunts = HuntSet::embedded().unwrap().with_dir(dir.path()).unwrap();
        assert_eq!(hunts.get("login-as").unwrap().title, "Who it was");
        fs::write(
            dir.path().join("other.sql"),
            WHO.replace("\"who\"", "\"login-as\""),
        )
        .unwrap();
        let error = HuntSet::embedded()
            .unwrap()
            .with_dir(dir.path())
            .unwrap_err();
        assert!(error.to_string().contains("already defined"), "{error}");
    }
}
