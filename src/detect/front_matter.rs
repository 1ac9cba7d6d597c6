//! The head of a rule file: one block comment that holds TOML, so that the whole file stays
//! valid SQL for any tool.

use serde::Deserialize;

use super::error::RuleError;
use super::head::{Head, WrittenParams, declared_params, is_query_id};
use super::inputs::Input;
use super::params::{Param, RuleParams};
use crate::config::{Family, RuleStatus, Severity, hint_for_word};

/// Span of time in which equal rows are one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bucket {
    Hour,
    #[default]
    Day,
    /// A standing condition: one finding as long as it lasts.
    None,
}

/// The front matter, types and bounds checked. The operator's settings change it afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontMatter {
    pub id: String,
    pub title: String,
    /// What the rule is about; decides how suppressions of its findings and of others act.
    pub family: Family,
    /// Severity of a row that states none.
    pub severity: Severity,
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    title: String,
    family: toml::Spanned<String>,
    severity: Severity,
    status: toml::Spanned<String>,
    version: i64,
    control: OneOrMany,
    attack: OneOrMany,
    description: String,
    false_positives: OneOrMany,
    response: OneOrMany,
    references: OneOrMany,
    inputs: toml::Spanned<Vec<String>>,
    dedupe: toml::Spanned<Vec<String>>,
    #[serde(default)]
    bucket: Bucket,
    #[serde(default)]
    params: WrittenParams,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::One(text) if text.trim().is_empty() => vec![],
            Self::One(text) => vec![text.trim().to_owned()],
            Self::Many(texts) => texts,
        }
    }
}

impl FrontMatter {
    /// Reads the front matter of a rule file. `file` is only for messages.
    pub fn read(file: &str, text: &str) -> Result<Self, RuleError> {
        let head = Head::of(file, text)?;
        let written: Written = head.read()?;
        let first_line = head.first_line;
        let line_at = |offset: usize| head.line_at(offset);
        let refuse = |line: usize, what: String| RuleError::new(file, line, what);

        if !is_query_id(&written.id) {
            return Err(
                refuse(first_line, format!("`{}` is no rule id", written.id))
                    .hint("lower-case letters, digits and `-`, beginning with a letter"),
            );
        }
        if written.version < 1 {
            return Err(refuse(first_line, "`version` counts from 1".into()));
        }
        if written.title.trim().is_empty() {
            return Err(refuse(first_line, "`title` is empty".into()));
        }
        let inputs_line = line_at(written.inputs.span().start);
        if written.inputs.get_ref().is_empty() {
            return Err(refuse(inputs_line, "`inputs` is empty".into())
                .hint("name the event types or views that the rule cannot do without"));
        }
        let inputs = written.inputs.get_ref().iter();
        let inputs = inputs
            .map(|written| Input::read(written))
            .collect::<Result<_, _>>()
            .map_err(|what| refuse(inputs_line, what))?;
        let family_line = line_at(written.family.span().start);
        let family = Family::from_word(written.family.get_ref()).ok_or_else(|| {
            let words = Family::ALL.map(Family::as_str);
            refuse(family_line, "`family` has an unknown value".into())
                .hint(hint_for_word(written.family.get_ref(), &words))
        })?;
        let status_line = line_at(written.status.span().start);
        let status = RuleStatus::from_word(written.status.get_ref()).ok_or_else(|| {
            let words = RuleStatus::ALL.map(RuleStatus::as_str);
            refuse(status_line, "`status` has an unknown value".into())
                .hint(hint_for_word(written.status.get_ref(), &words))
        })?;
        let dedupe_line = line_at(written.dedupe.span().start);
        let dedupe = written.dedupe.into_inner();
        check_dedupe(&dedupe).map_err(|what| {
            refuse(dedupe_line, what).hint("1 to 3 columns that name the subject, such as user_key")
        })?;

        let mut params = RuleParams::new();
        for (name, declared) in declared_params(&head, written.params)? {
            let Some(value) = declared.default else {
                return Err(refuse(
                    first_line,
                    format!("parameter `{name}` has no `default`"),
                ));
            };
            params.insert(
                name,
                Param {
                    kind: declared.kind,
                    value,
                    meaning: declared.meaning,
                },
            );
        }

        Ok(Self {
            id: written.id,
            title: written.title.trim().to_owned(),
            family,
            severity: written.severity,
            status,
            version: written.version,
            control: written.control.into_list(),
            attack: written.attack.into_list(),
            description: written.description.trim().to_owned(),
            false_positives: written.false_positives.into_list(),
            response: written.response.into_list(),
            references: written.references.into_list(),
            inputs,
            dedupe,
            bucket: written.bucket,
            params,
        })
    }
}

fn check_dedupe(columns: &[String]) -> Result<(), String> {
    /// A row id or a time would make every row a finding of its own.
    const NEVER: [&str; 6] = [
        "occurred_at",
        "last_at",
        "line_no",
        "row_key",
        "request_id",
        "file_id",
    ];
    if columns.is_empty() || columns.len() > 3 {
        return Err(format!("`dedupe` has {} columns", columns.len()));
    }
    if let Some(column) = columns.iter().find(|c| NEVER.contains(&c.as_str())) {
        return Err(format!(
            "`dedupe` must not hold `{column}`, a row id or a time"
        ));
    }
    let mut seen = columns.to_vec();
    seen.sort();
    seen.dedup();
    if seen.len() < columns.len() {
        return Err("`dedupe` names a column twice".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"/*
id = "some-rule"
title = "Something odd"
family = "misuse"
severity = "high"
status = "active"
version = 2
control = ["S0.1"]
attack = ["T1078.004"]
description = "What it is"
false_positives = "None known"
response = ["Ask", "Act"]
references = []
inputs = ["Login | LoginHistory"]
dedupe = ["user_key", "app"]
[params.repeat_threshold]
type = "int"
default = 3
meaning = "attempts from which it is more than a slip"
*/
SELECT 1
"#;

    fn refused(from: &str, to: &str) -> RuleError {
        let text = HEAD.replace(from, to);
        assert_ne!(text, HEAD, "the test must change something");
        FrontMatter::read("r.sql", &text).unwrap_err()
    }

    #[test]
    fn a_complete_front_matter_is_read_with_its_defaults() {
        let head = FrontMatter::read("r.sql", HEAD).unwrap();
        assert_eq!(head.id, "some-rule");
        assert_eq!(head.bucket, Bucket::Day);
        assert_eq!(head.false_positives, ["None known"]);
        assert_eq!(head.response, ["Ask", "Act"]);
        assert_eq!(
            head.params["repeat_threshold"].value,
            super::super::params::ParamValue::Int(3)
        );
    }

    #[test]
    fn an_unknown_key_is_refused_with_file_line_and_hint() {
        let error = refused("version = 2", "version = 2\nseverty = 1");
        assert_eq!((error.file.as_str(), error.line), ("r.sql", 8));
        assert!(error.what.contains("severty"), "{error}");
        assert!(error.hint.unwrap().contains("severity"));
    }

    #[test]
    fn a_missing_key_is_refused_by_name() {
        for (line, key) in [
            ("title = \"Something odd\"\n", "title"),
            ("family = \"misuse\"\n", "family"),
        ] {
            assert!(refused(line, "").what.contains(key));
        }
    }

    #[test]
    fn an_input_that_is_no_name_is_refused_on_its_line() {
        let error = refused("Login | LoginHistory", "Login, LoginHistory");
        assert_eq!(error.line, 14);
    }

    #[test]
    fn an_unknown_word_is_refused_on_its_line() {
        let error = refused("\"high\"", "\"severe\"");
        assert_eq!(error.line, 5);
        assert!(error.hint.unwrap().contains("critical"));
        let error = refused("\"misuse\"", "\"misuses\"");
        assert_eq!(error.line, 4);
        assert!(error.hint.unwrap().contains("misuse"));
    }

    #[test]
    fn a_parameter_whose_default_has_another_type_is_refused_on_its_line() {
        let error = refused("default = 3", "default = \"3\"");
        assert_eq!(error.line, 18);
        assert!(error.what.contains("repeat_threshold"), "{error}");
    }

    #[test]
    fn a_dedupe_by_time_or_row_is_refused() {
        assert!(
            refused("\"app\"", "\"request_id\"")
                .what
                .contains("request_id")
        );
        assert!(
            refused("\"app\"", "\"occurred_at\"")
                .what
                .contains("occurred_at")
        );
        assert_eq!(refused("\"app\"", "\"user_key\"").line, 15);
        assert!(
            refused("[\"user_key\", \"app\"]", "[]")
                .what
                .contains("0 columns")
        );
    }

    #[test]
    fn a_file_without_front_matter_or_with_an_open_comment_is_refused() {
        let error = FrontMatter::read("r.sql", "\n\nSELECT 1").unwrap_err();
        assert_eq!((error.line, error.what.as_str()), (3, "no front matter"));
        assert!(refused("*/", "").what.contains("never ends"));
        assert!(
            refused("What it is", "What /* it is")
                .what
                .contains("inside")
        );
    }

    #[test]
    fn a_window_parameter_cannot_be_redefined() {
        assert!(
            refused("params.repeat_threshold", "params.window_end")
                .what
                .contains("window_end")
        );
    }
}
