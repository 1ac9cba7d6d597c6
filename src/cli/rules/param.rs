//! `--param name=value`: values for the `$name` places of a query, always bound and never
//! written into it.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use crate::cli::failure::UsageError;
use crate::detect::{ParamType, ParamValue, Rule};

/// A name and the text of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamFlag {
    pub name: String,
    pub value: String,
}

impl std::str::FromStr for ParamFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok(Self {
                name: name.trim().trim_start_matches('$').to_owned(),
                value: value.trim().to_owned(),
            }),
            _ => Err("write it as name=value".to_owned()),
        }
    }
}

impl ParamFlag {
    /// `rule-id.name=value`, as the backtest takes it.
    pub fn of_rule(&self) -> Result<(&str, &str), UsageError> {
        self.name.split_once('.').ok_or_else(|| {
            UsageError::new(
                format!("`{}` names no rule", self.name),
                "write it as id.name=value, as in integration-ui-login.session_length=6h",
            )
        })
    }

    /// The value as TOML has it; what is no TOML is a text.
    fn toml(&self) -> toml::Value {
        let table: Result<toml::Table, _> = toml::from_str(&format!("v = {}", self.value));
        let only = table.ok().filter(|table| table.len() == 1);
        let value = only.and_then(|mut table| table.remove("v"));
        value.unwrap_or_else(|| toml::Value::String(self.value.clone()))
    }

    /// The value as a declared type has it. A text may look like a number.
    pub fn value_of(&self, kind: ParamType) -> Result<ParamValue, String> {
        let text = toml::Value::String(self.value.clone());
        let value = kind.read(&self.toml());
        value.or_else(|what| kind.read(&text).map_err(|_| what))
    }

    /// Sets a parameter of a rule.
    pub fn set(&self, rule: &mut Rule, name: &str) -> Result<(), UsageError> {
        let text = toml::Value::String(self.value.clone());
        let set = match rule.set_param(name, &self.toml()) {
            // A text may look like a number.
            Err(_) if rule.set_param(name, &text).is_ok() => Ok(()),
            set => set,
        };
        set.map_err(|what| {
            let error = rule.param_error(what, name, "--param", 0);
            let hint = error
                .hint
                .unwrap_or_else(|| "lists are written as ['a', 'b']".to_owned());
            UsageError::new(error.what, hint)
        })
    }

    /// The value for a query that declares no types: a number, true or false, a time, a list, or
    /// text. In quotes it is text in any case.
    pub fn scalar(&self) -> ScalarValue {
        let text = || ScalarValue::Utf8(Some(self.value.clone()));
        if let Some(at) = moment(&self.value) {
            return time(at);
        }
        match self.toml() {
            toml::Value::String(text) => ScalarValue::Utf8(Some(text)),
            toml::Value::Integer(n) => ScalarValue::Int64(Some(n)),
            toml::Value::Float(x) => ScalarValue::Float64(Some(x)),
            toml::Value::Boolean(b) => ScalarValue::Boolean(Some(b)),
            toml::Value::Array(items) => list(&items).unwrap_or_else(text),
            _ => text(),
        }
    }
}

fn list(items: &[toml::Value]) -> Option<ScalarValue> {
    let whole: Option<Vec<_>> = items
        .iter()
        .map(|item| Some(ScalarValue::Int64(Some(item.as_integer()?))))
        .collect();
    let texts = || -> Option<Vec<_>> {
        let text = |item: &toml::Value| Some(ScalarValue::Utf8(Some(item.as_str()?.to_owned())));
        items.iter().map(text).collect()
    };
    let (values, kind) = match whole.filter(|values| !values.is_empty()) {
        Some(values) => (values, DataType::Int64),
        None => (texts()?, DataType::Utf8),
    };
    Some(ScalarValue::List(ScalarValue::new_list_nullable(
        &values, &kind,
    )))
}

/// A day (its midnight in UTC) or a time with its offset.
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    let day = || text.parse::<NaiveDate>().ok();
    let of_day = || Some(day()?.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|at| at.to_utc())
        .or_else(of_day)
}

/// A time in the type of the lake's times.
pub fn time(at: DateTime<Utc>) -> ScalarValue {
    ScalarValue::TimestampMillisecond(Some(at.timestamp_millis()), Some("UTC".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(text: &str) -> ParamFlag {
        text.parse().unwrap()
    }

    #[test]
    fn a_value_has_the_type_that_it_looks_like_and_text_in_quotes_is_text() {
        let of = |text: &str| flag(&format!("x={text}")).scalar();
        assert_eq!(of("3"), ScalarValue::Int64(Some(3)));
        assert_eq!(of("0.5"), ScalarValue::Float64(Some(0.5)));
        assert_eq!(of("true"), ScalarValue::Boolean(Some(true)));
        assert_eq!(of("'3'"), ScalarValue::Utf8(Some("3".into())));
        assert_eq!(
            of("erp@example.com"),
            ScalarValue::Utf8(Some("erp@example.com".into()))
        );
        assert_eq!(
            of("a'; DROP TABLE x --"),
            ScalarValue::Utf8(Some("a'; DROP TABLE x --".into()))
        );
        assert_eq!(of("2026-01-15"), of("2026-01-15T00:00:00Z"));
        assert!(matches!(
            of("2026-01-15"),
            ScalarValue::TimestampMillisecond(Some(_), Some(_))
        ));
        assert!(matches!(of("['a', 'b']"), ScalarValue::List(_)));
        assert!(matches!(of("[1, 2]"), ScalarValue::List(_)));
        // A value cannot bring keys of its own.
        assert!(matches!(of("1\ny = 2"), ScalarValue::Utf8(_)));
    }

    #[test]
    fn a_name_and_a_value_are_needed_and_a_rule_where_there_are_many() {
        assert!("x".parse::<ParamFlag>().is_err() && "=1".parse::<ParamFlag>().is_err());
        assert_eq!(flag("$a = b=c"), flag("a=b=c"));
        assert_eq!(
            flag("some-rule.limit=3").of_rule().unwrap(),
            ("some-rule", "limit")
        );
        assert!(flag("limit=3").of_rule().is_err());
    }
}
