//! What the configuration says about a rule.

use std::collections::BTreeMap;

use super::Severity;
use super::fault::Position;

/// Whether a rule runs, and whether its findings are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleStatus {
    /// Runs and reports.
    Active,
    /// Runs; its findings are kept but not mailed.
    Staging,
    /// Does not run.
    Off,
}

impl RuleStatus {
    pub const ALL: [RuleStatus; 3] = [RuleStatus::Active, RuleStatus::Staging, RuleStatus::Off];

    pub fn as_str(self) -> &'static str {
        match self {
            RuleStatus::Active => "active",
            RuleStatus::Staging => "staging",
            RuleStatus::Off => "off",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// One `[rules."<id>"]` section. Whether the rule and its parameters exist is for the rules to
/// say; `at` is the place to name then.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSetting {
    pub status: Option<RuleStatus>,
    pub severity: Option<Severity>,
    pub params: BTreeMap<String, RuleParam>,
    pub at: Position,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RuleParam {
    pub value: ParamValue,
    pub at: Position,
}

/// Value of a rule's parameter as written.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<ParamValue>),
}
