//! A rule, and the set of rules in force: those compiled in, extended or overridden by a folder
//! of the operator's own, tuned by settings.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use super::error::RuleError;
use super::folder::{entries_of, is_query_file, read_file};
use super::front_matter::FrontMatter;
use super::params::as_toml;
use super::statement::{Statement, undeclared};
use crate::config::{RuleSetting, Severity, nearest};

include!(concat!(env!("OUT_DIR"), "/embedded_rules.rs"));

/// One detection: its front matter, which it derefs to, and its query.
#[derive(Debug, Clone)]
pub struct Rule {
    /// As written, tuned by the operator's settings.
    pub head: FrontMatter,
    /// The operator's `severity`: see [`Rule::severity_of`].
    pub severity_cap: Option<Severity>,
    /// The whole file: valid SQL, its front matter a comment.
    pub sql: String,
    pub statement: Statement,
    pub origin: Origin,
    /// The cases file beside the rule.
    pub cases: Option<CasesText>,
}

impl Deref for Rule {
    type Target = FrontMatter;

    fn deref(&self) -> &FrontMatter {
        &self.head
    }
}

impl DerefMut for Rule {
    fn deref_mut(&mut self) -> &mut FrontMatter {
        &mut self.head
    }
}

/// Where a rule comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Embedded {
        file: String,
    },
    /// The operator's own; `overrides` says that a rule compiled in has the same id.
    File {
        path: PathBuf,
        overrides: bool,
    },
}

/// A cases file, not yet parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CasesText {
    /// Name for messages.
    pub file: String,
    pub text: String,
}

impl Rule {
    /// Reads a rule file. `origin` is where the text is from.
    pub fn read(text: &str, origin: Origin) -> Result<Self, RuleError> {
        let file = origin.file();
        let head = FrontMatter::read(&file, text)?;
        let statement = Statement::read(&file, text.trim_start_matches('\u{feff}'))?;
        if let Some(error) = undeclared(&file, text, &statement, head.params.keys()) {
            return Err(error);
        }
        Ok(Self {
            head,
            severity_cap: None,
            statement,
            sql: text.trim_start_matches('\u{feff}').to_owned(),
            origin,
            cases: None,
        })
    }

    /// The severity of a row that is of this one by the rule. Where the operator sets a severity,
    /// the rule's own highest becomes that one and lower ones keep their distance to it: an
    /// operator who wants less noise of a rule still sees its grave rows first.
    pub fn severity_of(&self, by_rule: Severity) -> Severity {
        let Some(cap) = self.severity_cap else {
            return by_rule;
        };
        let highest = self.highest_severity() as usize;
        let below = highest.saturating_sub(by_rule as usize);
        Severity::ALL[(cap as usize).saturating_sub(below)]
    }

    /// The highest severity that a row may have: the highest word that the query holds.
    pub fn highest_severity(&self) -> Severity {
        let in_query = self.statement.severities.last().copied();
        in_query.unwrap_or(self.severity).max(self.severity)
    }

    /// Applies the operator's settings; `file` names theirs in messages.
    pub fn apply(&mut self, setting: &RuleSetting, file: &str) -> Result<(), RuleError> {
        for (name, given) in &setting.params {
            self.set_param(name, &as_toml(&given.value))
                .map_err(|what| self.param_error(what, name, file, given.at.line))?;
        }
        self.status = setting.status.unwrap_or(self.status);
        self.severity_cap = setting.severity.or(self.severity_cap);
        Ok(())
    }

    /// Sets a parameter; the error says what is wrong with the name or the value.
    pub fn set_param(&mut self, name: &str, value: &toml::Value) -> Result<(), String> {
        let FrontMatter { id, params, .. } = &mut self.head;
        let Some(param) = params.get_mut(name) else {
            return Err(format!("rule `{id}` has no parameter `{name}`"));
        };
        param.value = param
            .kind
            .read(value)
            .map_err(|what| format!("parameter `{name}` of rule `{id}`: {what}"))?;
        Ok(())
    }

    /// A fault of [`Rule::set_param`] at its place, with the names that there are.
    pub fn param_error(&self, what: String, name: &str, file: &str, line: usize) -> RuleError {
        let error = RuleError::new(file, line, what);
        if self.params.contains_key(name) {
            return error;
        }
        let known: Vec<_> = self.params.keys().map(String::as_str).collect();
        match nearest(name, known.iter().copied()) {
            Some(known) => error.hint(format!("did you mean `{known}`?")),
            None if known.is_empty() => error.hint("the rule has no parameters"),
            None => error.hint(format!("its parameters: {}", known.join(", "))),
        }
    }

    /// Name of the rule's file without folder and `.sql`.
    pub fn file_stem(&self) -> String {
        let file = self.origin.file();
        let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
        name.strip_suffix(".sql").unwrap_or(name).to_owned()
    }
}

impl Origin {
    /// The file's name for messages.
    pub fn file(&self) -> String {
        match self {
            Self::Embedded { file } => format!("queries/detections/{file}"),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

/// Rules in the order of their ids, and the named registries that their cases use.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: BTreeMap<String, Rule>,
    registries: BTreeMap<String, String>,
}

impl RuleSet {
    /// The rules compiled in.
    pub fn embedded() -> Result<Self, RuleError> {
        let mut set = Self::default();
        for (file, text) in RULES {
            let origin = Origin::Embedded {
                file: (*file).to_owned(),
            };
            let mut rule = Rule::read(text, origin)?;
            let cases_name = format!("{}.cases.toml", rule.file_stem());
            rule.cases = CASES
                .iter()
                .find(|(name, _)| *name == cases_name)
                .map(|(name, text)| CasesText {
                    file: format!("queries/detections/{name}"),
                    text: (*text).to_owned(),
                });
            set.add(rule)?;
        }
        for (file, text) in REGISTRIES {
            set.registries
                .insert(registry_name(file), (*text).to_owned());
        }
        Ok(set)
    }

    /// Adds every `*.sql` of a folder. A rule compiled in that has the same id gives way; two
    /// files of the folder with one id are refused.
    pub fn with_dir(mut self, dir: &Path) -> Result<Self, RuleError> {
        for path in &entries_of(dir, "the rules folder")? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".registry.toml") {
                self.registries
                    .insert(registry_name(&name), read_file(path)?);
            }
            if !is_query_file(path) {
                continue;
            }
            let origin = Origin::File {
                path: path.clone(),
                overrides: false,
            };
            let mut rule = Rule::read(&read_file(path)?, origin)?;
            let cases = path.with_extension("cases.toml");
            if cases.is_file() {
                rule.cases = Some(CasesText {
                    file: cases.display().to_string(),
                    text: read_file(&cases)?,
                });
            }
            if let Some(old) = self.rules.get(&rule.id)
                && matches!(old.origin, Origin::Embedded { .. })
            {
                rule.origin = Origin::File {
                    path: path.clone(),
                    overrides: true,
                };
                self.rules.remove(&rule.id);
            }
            self.add(rule)?;
        }
        Ok(self)
    }

    /// Adds one rule; its id must be new.
    pub fn add(&mut self, rule: Rule) -> Result<(), RuleError> {
        if let Some(old) = self.rules.get(&rule.id) {
            let what = format!(
                "rule `{}` is already defined in {}",
                rule.id,
                old.origin.file()
            );
            return Err(RuleError::new(&rule.origin.file(), 0, what));
        }
        self.rules.insert(rule.id.clone(), rule);
        Ok(())
    }

    /// Applies the `[rules."<id>"]` sections of the settings; `file` names theirs in messages.
    pub fn apply(
        &mut self,
        settings: &BTreeMap<String, RuleSetting>,
        file: &str,
    ) -> Result<(), RuleError> {
        for (id, setting) in settings {
            let Some(rule) = self.rules.get_mut(id) else {
                return Err(self.unknown(id, file, setting.at.line));
            };
            rule.apply(setting, file)?;
        }
        Ok(())
    }

    /// What to say of a rule id that does not exist.
    pub fn unknown(&self, id: &str, file: &str, line: usize) -> RuleError {
        let error = RuleError::new(file, line, format!("there is no rule `{id}`"));
        match nearest(id, self.rules.keys().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`orgwatch rules list` shows the rules"),
        }
    }

    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// All registries that cases may name.
    pub fn registries(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.registries.iter();
        all.map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// A registry that cases name (`registry = "cast"` is `cast.registry.toml`).
    pub fn registry_text(&self, name: &str) -> Option<&str> {
        self.registries.get(name).map(String::as_str)
    }
}

fn registry_name(file: &str) -> String {
    file.trim_end_matches(".registry.toml").to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{self, Position, RuleParam, RuleStatus};
    use crate::detect::params::ParamValue;
    use crate::detect::test_rule;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn every_rule_compiled_in_is_well_formed() {
        let set = RuleSet::embedded().unwrap();
        assert_eq!(set.len(), RULES.len());
    }

    #[test]
    fn a_folder_adds_rules_and_overrides_those_compiled_in() {
        let mut set = RuleSet::default();
        let embedded = Origin::Embedded {
            file: "one.sql".into(),
        };
        set.add(Rule::read(&test_rule("one", ""), embedded).unwrap())
            .unwrap();
        let dir = folder(&[
            ("one.sql", &test_rule("one", "")),
            ("two.sql", &test_rule("two", "")),
            ("two.cases.toml", "x = 1"),
            ("readme.md", "no rule"),
            ("our.registry.toml", "[[user]]"),
        ]);
        let set = set.with_dir(dir.path()).unwrap();
        assert_eq!(set.len(), 2);
        let one = &set.get("one").unwrap().origin;
        assert!(matches!(
            one,
            Origin::File {
                overrides: true,
                ..
            }
        ));
        let two = set.get("two").unwrap();
        assert!(matches!(
            two.origin,
            Origin::File {
                overrides: false,
                ..
            }
        ));
        assert_eq!(two.cases.as_ref().unwrap().text, "x = 1");
        assert_eq!(set.registry_text("our"), Some("[[user]]"));
    }

    #[test]
    fn one_id_in_two_files_of_a_folder_is_refused() {
        let dir = folder(&[
            ("a.sql", &test_rule("same", "")),
            ("b.sql", &test_rule("same", "")),
        ]);
        let error = RuleSet::default().with_dir(dir.path()).unwrap_err();
        assert!(
            error.file.ends_with("b.sql") && error.what.contains("a.sql"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_folder_is_refused_by_name() {
        let error = RuleSet::default()
            .with_dir(Path::new("/nowhere/rules"))
            .unwrap_err();
        assert!(error.file.contains("/nowhere/rules"));
    }

    #[test]
    fn settings_change_status_severity_and_typed_parameters() {
        let mut set = RuleSet::default();
        let params = "[params.limit]\ntype = 'int'\ndefault = 3\nmeaning = 'm'\n";
        let origin = Origin::Embedded {
            file: "one.sql".into(),
        };
        set.add(Rule::read(&test_rule("one", params), origin).unwrap())
            .unwrap();
        let at = Position { line: 7, column: 1 };
        let with = |name: &str, value: config::ParamValue| RuleSetting {
            status: Some(RuleStatus::Staging),
            severity: Some(Severity::Low),
            params: BTreeMap::from([(name.to_owned(), RuleParam { value, at })]),
            at,
        };
        let mut apply = |id: &str, setting: RuleSetting| {
            let settings = BTreeMap::from([(id.to_owned(), setting)]);
            set.apply(&settings, "orgwatch.toml")
                .map_err(|e| e.to_string())
        };
        let five = || config::ParamValue::Integer(5);
        apply("one", with("limit", five())).unwrap();
        let unknown = apply("one", with("limits", five())).unwrap_err();
        assert!(unknown.starts_with("orgwatch.toml:7: "), "{unknown}");
        assert!(unknown.ends_with("did you mean `limit`?"), "{unknown}");
        let mistyped = apply("one", with("limit", config::ParamValue::Text("5".into())));
        assert!(mistyped.unwrap_err().contains("whole number"));
        let absent = apply("ona", with("limit", five())).unwrap_err();
        assert!(
            absent.contains("no rule `ona`") && absent.contains("`one`"),
            "{absent}"
        );

        let rule = set.get("one").unwrap();
        assert_eq!(rule.status, RuleStatus::Staging);
        assert_eq!(rule.severity_cap, Some(Severity::Low));
        assert_eq!(rule.params["limit"].value, ParamValue::Int(5));
    }

    #[test]
    fn a_set_severity_caps_the_rule_and_keeps_the_distance_between_its_levels() {
        use Severity::{Critical, High, Info, Low, Medium};
        let origin = Origin::Embedded {
            file: "one.sql".into(),
        };
        let levels = "SELECT ['low', 'critical'][1] AS severity, occurred_at,";
        let text = test_rule("one", "").replace("SELECT occurred_at,", levels);
        let mut rule = Rule::read(&text, origin.clone()).unwrap();
        let all = |rule: &Rule| [Critical, High, Medium, Low, Info].map(|s| rule.severity_of(s));
        assert_eq!(all(&rule), [Critical, High, Medium, Low, Info]);
        rule.severity_cap = Some(High);
        assert_eq!(all(&rule), [High, Medium, Low, Info, Info]);
        rule.severity_cap = Some(Info);
        assert_eq!(all(&rule), [Info; 5]);

        // The rule's own severity is its highest where the query names none.
        let mut plain = Rule::read(&test_rule("one", ""), origin).unwrap();
        plain.severity_cap = Some(Critical);
        assert_eq!(plain.severity_of(High), Critical);
        assert_eq!(plain.severity_of(Medium), High);
        // A row above what the rule was known to say stays at the cap.
        plain.severity_cap = Some(Medium);
        assert_eq!(plain.severity_of(Critical), Medium);
    }
}
