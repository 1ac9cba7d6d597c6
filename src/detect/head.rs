//! The head of a query file (a rule, a hunt): one block comment that holds TOML, so that the whole
//! file stays valid SQL for any tool, and the parameters that it declares.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::RuleError;
use super::params::{ParamType, ParamValue};

/// Names that a query may use without declaring them: the window and the time of the run.
pub const BUILT_IN_PARAMS: [&str; 3] = ["window_start", "window_end", "now"];

/// The TOML at the head of a file.
pub struct Head<'a> {
    file: &'a str,
    toml: &'a str,
    /// Line of the file on which the comment begins, from 1.
    pub first_line: usize,
}

impl<'a> Head<'a> {
    /// The text between `/*` and `*/` at the beginning of the file. `file` is only for messages.
    pub fn of(file: &'a str, text: &'a str) -> Result<Self, RuleError> {
        const HOW: &str = "the file begins with `/*`, its front matter in TOML, and `*/`";
        let body = text.trim_start_matches('\u{feff}').trim_start();
        let line = 1 + text[..text.len() - body.len()].matches('\n').count();
        let Some(inside) = body.strip_prefix("/*") else {
            return Err(RuleError::new(file, line, "no front matter").hint(HOW));
        };
        let Some(end) = inside.find("*/") else {
            return Err(
                RuleError::new(file, line, "the front matter's comment never ends").hint(HOW),
            );
        };
        let toml = &inside[..end];
        // Some SQL dialects nest comments, some do not: the file must mean the same to all.
        if let Some(at) = toml.find("/*") {
            let line = line + toml[..at].matches('\n').count();
            return Err(RuleError::new(file, line, "`/*` inside the front matter"));
        }
        Ok(Self {
            file,
            toml,
            first_line: line,
        })
    }

    pub fn read<T: DeserializeOwned>(&self) -> Result<T, RuleError> {
        toml::from_str(self.toml)
            .map_err(|error| RuleError::of_toml(self.file, self.toml, self.first_line, &error))
    }

    /// Line of the file at an offset of the TOML.
    pub fn line_at(&self, offset: usize) -> usize {
        let before = &self.toml.as_bytes()[..offset.min(self.toml.len())];
        self.first_line + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// The tables `[params.NAME]`.
pub type WrittenParams = BTreeMap<toml::Spanned<String>, WrittenParam>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenParam {
    #[serde(rename = "type")]
    kind: ParamType,
    default: Option<toml::Spanned<toml::Value>>,
    meaning: String,
}

/// A parameter as its file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredParam {
    pub kind: ParamType,
    /// None: whoever asks has to say.
    pub default: Option<ParamValue>,
    pub meaning: String,
}

/// The parameters of a head by name, names and types checked.
pub fn declared_params(
    head: &Head<'_>,
    written: WrittenParams,
) -> Result<BTreeMap<String, DeclaredParam>, RuleError> {
    let refuse = |line: usize, what: String| RuleError::new(head.file, line, what);
    let mut declared = BTreeMap::new();
    for (name, param) in written {
        let line = head.line_at(name.span().start);
        let name = name.into_inner();
        if !is_param_name(&name) {
            return Err(refuse(line, format!("`{name}` is no parameter name"))
                .hint("lower-case letters, digits and `_`"));
        }
        if BUILT_IN_PARAMS.contains(&name.as_str()) {
            return Err(refuse(line, format!("`${name}` is set by the runner")));
        }
        let default = match param.default {
            Some(default) => {
                let line = head.line_at(default.span().start);
                let value = param.kind.read(default.get_ref());
                let wrong = |what| refuse(line, format!("default of parameter `{name}`: {what}"));
                Some(value.map_err(wrong)?)
            }
            None => None,
        };
        let param = DeclaredParam {
            kind: param.kind,
            default,
            meaning: param.meaning,
        };
        declared.insert(name, param);
    }
    Ok(declared)
}

/// Lower-case letters, digits and `-`, beginning with a letter.
pub fn is_query_id(id: &str) -> bool {
    id.len() <= 80
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_param_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
