//! The parameters of a rule: declared with a type in its front matter, set by the operator,
//! bound to the query as typed values and never formatted into it.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::scalar::ScalarValue;
use serde::Deserialize;

use crate::config;

/// Type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamType {
    Int,
    Float,
    Text,
    Bool,
    TextList,
    IntList,
    /// A whole number and its unit: `"90s"`, `"30m"`, `"24h"`, `"7d"`.
    Duration,
}

/// Value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    Int(i64),
    Float(f64),
    Text(String),
    Bool(bool),
    TextList(Vec<String>),
    IntList(Vec<i64>),
    Duration { seconds: i64 },
}

/// One parameter as a rule declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    pub kind: ParamType,
    /// Value in force: the default, or what the operator's settings say.
    pub value: ParamValue,
    pub meaning: String,
}

/// The parameters of a rule by name.
pub type RuleParams = BTreeMap<String, Param>;

impl ParamType {
    /// Reads a TOML value as this type. The error says what was expected.
    pub fn read(self, value: &toml::Value) -> Result<ParamValue, String> {
        let read = match (self, value) {
            (Self::Int, toml::Value::Integer(n)) => Some(ParamValue::Int(*n)),
            (Self::Float, toml::Value::Float(x)) if x.is_finite() => Some(ParamValue::Float(*x)),
            // A whole number is a fine float to the one who writes it; above 2^53 none is meant.
            (Self::Float, toml::Value::Integer(n)) => Some(ParamValue::Float(*n as f64)),
            (Self::Text, toml::Value::String(s)) => Some(ParamValue::Text(s.clone())),
            (Self::Bool, toml::Value::Boolean(b)) => Some(ParamValue::Bool(*b)),
            (Self::TextList, toml::Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map(ParamValue::TextList),
            (Self::IntList, toml::Value::Array(items)) => items
                .iter()
                .map(toml::Value::as_integer)
                .collect::<Option<_>>()
                .map(ParamValue::IntList),
            (Self::Duration, toml::Value::String(s)) => {
                read_duration(s).map(|seconds| ParamValue::Duration { seconds })
            }
            _ => None,
        };
        read.ok_or_else(|| format!("expected {self}, found {}", value.type_str()))
    }
}

impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Text => "a text",
            Self::Bool => "true or false",
            Self::TextList => "a list of texts",
            Self::IntList => "a list of whole numbers",
            Self::Duration => "a duration such as \"90s\", \"30m\", \"24h\" or \"7d\"",
        })
    }
}

impl ParamValue {
    /// The value as it is bound: Int64, Float64, Utf8, Boolean, List(Utf8), List(Int64), or an
    /// interval (months and days 0, so that a day has 24 hours).
    pub fn to_scalar(&self) -> ScalarValue {
        match self {
            Self::Int(n) => ScalarValue::Int64(Some(*n)),
            Self::Float(x) => ScalarValue::Float64(Some(*x)),
            Self::Text(s) => ScalarValue::Utf8(Some(s.clone())),
            Self::Bool(b) => ScalarValue::Boolean(Some(*b)),
            Self::TextList(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|s| ScalarValue::Utf8(Some(s.clone())))
                    .collect();
                ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Utf8))
            }
            Self::IntList(items) => {
                let items: Vec<_> = items.iter().map(|n| ScalarValue::Int64(Some(*n))).collect();
                ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Int64))
            }
            Self::Duration { seconds } => {
                let nanoseconds = seconds.saturating_mul(1_000_000_000);
                let interval = IntervalMonthDayNano::new(0, 0, nanoseconds);
                ScalarValue::IntervalMonthDayNano(Some(interval))
            }
        }
    }
}

/// A value of the settings file as TOML, so that defaults and settings are read alike.
pub fn as_toml(value: &config::ParamValue) -> toml::Value {
    match value {
        config::ParamValue::Text(text) => toml::Value::String(text.clone()),
        config::ParamValue::Integer(number) => toml::Value::Integer(*number),
        config::ParamValue::Float(number) => toml::Value::Float(*number),
        config::ParamValue::Boolean(value) => toml::Value::Boolean(*value),
        config::ParamValue::List(items) => toml::Value::Array(items.iter().map(as_toml).collect()),
    }
}

/// Seconds of `<number><unit>`, unit s, m, h or d; at most ten years.
fn read_duration(text: &str) -> Option<i64> {
    const LONGEST_SECONDS: i64 = 3660 * 86_400;
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: i64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.checked_mul(unit)?;
    (seconds <= LONGEST_SECONDS).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml_value(text: &str) -> toml::Value {
        let table: toml::Table = toml::from_str(&format!("v = {text}")).unwrap();
        table["v"].clone()
    }

    #[test]
    fn each_type_reads_its_own_values_and_refuses_the_others() {
        let good = [
            (ParamType::Int, "3", ParamValue::Int(3)),
            (ParamType::Float, "0.5", ParamValue::Float(0.5)),
            (ParamType::Float, "2", ParamValue::Float(2.0)),
            (ParamType::Text, "'x'", ParamValue::Text("x".into())),
            (ParamType::Bool, "true", ParamValue::Bool(true)),
            (
                ParamType::TextList,
                "['a','b']",
                ParamValue::TextList(vec!["a".into(), "b".into()]),
            ),
            (ParamType::IntList, "[1,2]", ParamValue::IntList(vec![1, 2])),
            (
                ParamType::Duration,
                "'24h'",
                ParamValue::Duration { seconds: 86_400 },
            ),
        ];
        for (kind, text, value) in good {
            assert_eq!(kind.read(&toml_value(text)), Ok(value), "{text}");
        }
        let bad = [
            (ParamType::Int, "'3'"),
            (ParamType::Int, "3.0"),
            (ParamType::Float, "nan"),
            (ParamType::Bool, "1"),
            (ParamType::TextList, "['a', 1]"),
            (ParamType::IntList, "'1'"),
            (ParamType::Duration, "24"),
            (ParamType::Duration, "'24'"),
            (ParamType::Duration, "'-1h'"),
            (ParamType::Duration, "'99999999999999999999d'"),
        ];
        for (kind, text) in bad {
            assert!(kind.read(&toml_value(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_list_is_bound_with_its_type() {
        let scalar = ParamValue::TextList(vec![]).to_scalar();
        assert!(
            matches!(scalar.data_type(), DataType::List(f) if *f.data_type() == DataType::Utf8)
        );
    }
}
