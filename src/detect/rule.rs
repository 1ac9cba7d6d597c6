//! A rule, and the set of rules in force: those compiled in, extended or overridden by a folder
//! of the operator's own, tuned by settings.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::RuleError;
use super::front_matter::{Bucket, FrontMatter, RuleStatus};
use super::inputs::Input;
use super::params::RuleParams;
use super::statement::Statement;
use crate::config::Severity;

include!(concat!(env!("OUT_DIR"), "/embedded_rules.rs"));

/// Largest rule or cases file read, in bytes.
const LARGEST_FILE_BYTES: u64 = 4 << 20;

/// One detection.
#[derive(Debug, Clone)]
pub struct Rule {
    pub id: String,
    pub title: String,
    /// Severity of a row that states none.
    pub severity: Severity,
    /// Set by the operator: the severity of every row, whatever the query says.
    pub fixed_severity: Option<Severity>,
    pub status: RuleStatus,
    pub version: i64,
    pub control: Vec<String>,
    pub attack: Vec<String>,
    pub description: String,
    pub false_positives: Vec<String>,
    pub response: Vec<String>,
    pub references: Vec<String>,
    pub inputs: Vec<Input>,
    pub dedupe: Vec<String>,
    pub bucket: Bucket,
    pub params: RuleParams,
    /// The whole file: valid SQL, its front matter a comment.
    pub sql: String,
    pub statement: Statement,
    pub origin: Origin,
    /// The cases file beside the rule.
    pub cases: Option<CasesText>,
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

/// The operator's settings of one rule (`[rules."<id>"]`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleSettings {
    pub status: Option<RuleStatus>,
    pub severity: Option<Severity>,
    pub params: BTreeMap<String, toml::Value>,
}

impl Rule {
    /// Reads a rule file. `origin` is where the text is from.
    pub fn read(text: &str, origin: Origin) -> Result<Self, RuleError> {
        let file = origin.file();
        let head = FrontMatter::read(&file, text)?;
        let statement = Statement::read(&file, text.trim_start_matches('\u{feff}'))?;
        let inputs = head
            .inputs
            .iter()
            .map(|written| Input::read(written))
            .collect::<Result<_, _>>()
            .map_err(|what| RuleError::new(&file, 0, what))?;
        Ok(Self {
            id: head.id,
            title: head.title,
            severity: head.severity,
            fixed_severity: None,
            status: head.status,
            version: head.version,
            control: head.control,
            attack: head.attack,
            description: head.description,
            false_positives: head.false_positives,
            response: head.response,
            references: head.references,
            inputs,
            dedupe: head.dedupe,
            bucket: head.bucket,
            params: head.params,
            sql: text.trim_start_matches('\u{feff}').to_owned(),
            statement,
            origin,
            cases: None,
        })
    }

    /// Applies settings; `place` names them in messages (`orgwatch.toml [rules."x"]`).
    pub fn apply(&mut self, settings: &RuleSettings, place: &str) -> Result<(), RuleError> {
        let mut params = self.params.clone();
        for (name, value) in &settings.params {
            let Some(param) = params.get_mut(name) else {
                let known: Vec<_> = self.params.keys().map(String::as_str).collect();
                let what = format!("rule `{}` has no parameter `{name}`", self.id);
                return Err(RuleError::new(place, 0, what).hint(match known.as_slice() {
                    [] => "the rule has no parameters".to_owned(),
                    names => format!("its parameters: {}", names.join(", ")),
                }));
            };
            param.value = param.kind.read(value).map_err(|what| {
                RuleError::new(
                    place,
                    0,
                    format!("parameter `{name}` of rule `{}`: {what}", self.id),
                )
            })?;
        }
        self.params = params;
        self.status = settings.status.unwrap_or(self.status);
        self.fixed_severity = settings.severity.or(self.fixed_severity);
        Ok(())
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
        let shown = dir.display().to_string();
        let unreadable = |error: std::io::Error| {
            RuleError::new(
                &shown,
                0,
                format!("the rules folder cannot be read: {error}"),
            )
        };
        let mut paths = vec![];
        for entry in fs::read_dir(dir).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.sort();
        for path in &paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".registry.toml") {
                self.registries
                    .insert(registry_name(&name), read_file(path)?);
            }
            if !name.ends_with(".sql") || name.starts_with('.') {
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

    /// Applies the operator's settings of one rule.
    pub fn apply(
        &mut self,
        id: &str,
        settings: &RuleSettings,
        place: &str,
    ) -> Result<(), RuleError> {
        let near = self.nearest(id).map(str::to_owned);
        let Some(rule) = self.rules.get_mut(id) else {
            let error = RuleError::new(place, 0, format!("there is no rule `{id}`"));
            return Err(match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("`orgwatch rules list` shows the rules"),
            });
        };
        rule.apply(settings, place)
    }

    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// The rule whose id is most like a mistyped one.
    pub fn nearest(&self, id: &str) -> Option<&str> {
        self.rules
            .keys()
            .map(|known| (edit_distance(known, id), known))
            .min()
            .filter(|(distance, known)| *distance <= known.len() / 3)
            .map(|(_, known)| known.as_str())
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

    /// A registry that cases name (`registry = "cast"` is `cast.registry.toml`).
    pub fn registry_text(&self, name: &str) -> Option<&str> {
        self.registries.get(name).map(String::as_str)
    }
}

fn registry_name(file: &str) -> String {
    file.trim_end_matches(".registry.toml").to_owned()
}

fn read_file(path: &Path) -> Result<String, RuleError> {
    let shown = path.display().to_string();
    let cannot = |why: String| RuleError::new(&shown, 0, format!("cannot be read: {why}"));
    let facts = fs::metadata(path).map_err(|e| cannot(e.to_string()))?;
    if !facts.is_file() {
        return Err(cannot("it is not a file".into()));
    }
    if facts.len() > LARGEST_FILE_BYTES {
        return Err(cannot(format!(
            "it is larger than {LARGEST_FILE_BYTES} bytes"
        )));
    }
    fs::read_to_string(path).map_err(|e| cannot(e.to_string()))
}

/// Levenshtein distance, for "did you mean".
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let with = |name: &str, value: toml::Value| RuleSettings {
            status: Some(RuleStatus::Staging),
            severity: Some(Severity::Low),
            params: BTreeMap::from([(name.to_owned(), value)]),
        };
        set.apply("one", &with("limit", 5.into()), "orgwatch.toml")
            .unwrap();
        let rule = set.get("one").unwrap();
        assert_eq!(rule.status, RuleStatus::Staging);
        assert_eq!(rule.fixed_severity, Some(Severity::Low));
        assert_eq!(rule.params["limit"].value, ParamValue::Int(5));

        let unknown = set.apply("one", &with("limits", 5.into()), "orgwatch.toml");
        assert!(unknown.unwrap_err().hint.unwrap().contains("limit"));
        let mistyped = set.apply("one", &with("limit", "5".into()), "orgwatch.toml");
        assert!(mistyped.unwrap_err().what.contains("whole number"));
        let absent = set.apply("won", &RuleSettings::default(), "orgwatch.toml");
        assert!(absent.unwrap_err().what.contains("no rule `won`"));
    }
}
