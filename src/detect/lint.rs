//! `rules lint`: what can be known about a rule before any log comes in.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};

use super::cases::{CaseFile, CaseKind};
use super::controls::controls;
use super::error::RuleError;
use super::front_matter::Bucket;
use super::inputs::is_known_view;
use super::rows::COMMON_COLUMNS;
use super::rule::Rule;
use super::runner::{Bindings, bindings};
use super::statement::{Order, OrderItem};
use super::windows::Window;
use crate::catalog::Catalog;

/// Fewest cases of each kind beside a rule.
const POSITIVES_MIN: usize = 1;
const NEGATIVES_MIN: usize = 2;

/// Who plans a query without running it: the engine's session, or a test.
pub trait Plans {
    /// The columns of the result, or why there are none.
    fn plan(&self, sql: &str, bindings: &Bindings) -> Result<SchemaRef, String>;
}

/// All that is wrong with a rule; nothing where it is fit for use.
pub fn lint(rule: &Rule, plans: &dyn Plans, catalog: &Catalog) -> Vec<RuleError> {
    let file = rule.origin.file();
    let mut faults = vec![];
    let mut fault = |what: String| faults.push(RuleError::new(&file, 0, what));

    for what in head_faults(rule, catalog) {
        fault(what);
    }
    for what in param_faults(rule) {
        fault(what);
    }
    for name in &rule.statement.unordered_aggregates {
        fault(format!(
            "`{name}` without ORDER BY gives another result on every run"
        ));
    }
    if rule.statement.collects_shared_text {
        fault(
            "`flatten(array_agg(list))` can take all memory; collect `arrow_cast(list, \
             'List(Utf8)')`"
                .to_owned(),
        );
    }
    match plans.plan(&rule.sql, &sample_bindings(rule)) {
        Err(why) => fault(format!("the query cannot be planned: {why}")),
        Ok(schema) => {
            for what in result_faults(rule, &schema)
                .into_iter()
                .chain(order_faults(rule, &schema))
            {
                fault(what);
            }
        }
    }
    faults.extend(case_faults(rule));
    faults
}

fn head_faults(rule: &Rule, catalog: &Catalog) -> Vec<String> {
    let mut faults = vec![];
    if rule.file_stem() != rule.id {
        faults.push(format!(
            "the file is called `{}.sql`, but its id is `{}`",
            rule.file_stem(),
            rule.id
        ));
    }
    let empty = [
        ("description", rule.description.is_empty()),
        ("control", rule.control.is_empty()),
        ("attack", rule.attack.is_empty()),
        ("false_positives", rule.false_positives.is_empty()),
        ("response", rule.response.is_empty()),
    ];
    for (key, _) in empty.iter().filter(|(_, is_empty)| *is_empty) {
        faults.push(format!("`{key}` is empty"));
    }
    for id in rule.attack.iter().filter(|id| !is_attack_id(id)) {
        faults.push(format!(
            "`{id}` in `attack` is no MITRE ATT&CK id, such as T1078.004"
        ));
    }
    let known = controls();
    for id in rule
        .control
        .iter()
        .filter(|id| known.iter().all(|c| c.id != **id))
    {
        faults.push(format!(
            "`{id}` in `control` is no statement of the table (`orgwatch rules coverage` lists them)"
        ));
    }
    for name in rule.inputs.iter().flat_map(|input| &input.alternatives) {
        let table = |name: &str| catalog.event_types().iter().any(|e| e.table == name);
        if !is_known_view(name) && catalog.event_type(name).is_none() && !table(name) {
            faults.push(format!(
                "`{name}` in `inputs` is no event type, table or view"
            ));
        }
    }
    for (name, param) in &rule.params {
        if param.meaning.trim().is_empty() {
            faults.push(format!("parameter `{name}` has no meaning"));
        }
    }
    faults
}

/// `T` and four digits, with three more for a sub-technique.
fn is_attack_id(id: &str) -> bool {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    id.strip_prefix('T')
        .is_some_and(|rest| match rest.split_once('.') {
            Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
            None => digits(rest, 4),
        })
}

fn param_faults(rule: &Rule) -> Vec<String> {
    let used = &rule.statement.params;
    let declared: BTreeSet<&str> = rule.params.keys().map(String::as_str).collect();
    let unused = declared
        .iter()
        .filter(|name| !used.contains(**name))
        .map(|name| format!("parameter `{name}` is declared and not used"));
    let mut faults: Vec<_> = unused.collect();
    // A standing condition looks back as far as it likes; the others must keep to their window.
    if rule.bucket != Bucket::None {
        let missing = ["window_start", "window_end"]
            .into_iter()
            .filter(|name| !used.contains(*name));
        faults.extend(missing.map(|name| format!("the query does not use `${name}`")));
    }
    faults
}

fn result_faults(rule: &Rule, schema: &Schema) -> Vec<String> {
    let mut faults = vec![];
    let has = |name: &str| schema.field_with_name(name).is_ok();
    let mut typed = |name: &str, expected: &str, fits: fn(&DataType) -> bool| {
        if let Ok(field) = schema.field_with_name(name)
            && !fits(field.data_type())
            && field.data_type() != &DataType::Null
        {
            faults.push(format!(
                "column `{name}` must be {expected}, not {}",
                field.data_type()
            ));
        }
    };
    typed("occurred_at", "a timestamp", is_time);
    typed("last_at", "a timestamp", is_time);
    typed("event_count", "a whole number", DataType::is_integer);
    for name in [
        "user_key", "user_id", "username", "severity", "expected", "observed", "role",
    ] {
        typed(name, "text", is_text);
    }
    if !has("occurred_at") {
        faults.push("the result has no column `occurred_at`".into());
    }
    if !has("user_key") && !has("user_id") {
        faults.push("the result has neither `user_key` nor `user_id`".into());
    }
    for column in rule.dedupe.iter().filter(|column| !has(column)) {
        faults.push(format!("the result has no dedupe column `{column}`"));
    }
    let mut seen = BTreeSet::new();
    for field in schema.fields() {
        if !seen.insert(field.name().as_str()) {
            faults.push(format!(
                "the result has the column `{}` twice",
                field.name()
            ));
        }
    }
    if seen.iter().all(|name| COMMON_COLUMNS.contains(name)) {
        faults.push("the result has no evidence: no column besides the common ones".into());
    }
    faults
}

fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..))
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_text(value),
        _ => kind.is_string(),
    }
}

/// Rows are ordered at least by time and subject, so that a result reads the same every time.
fn order_faults(rule: &Rule, schema: &Schema) -> Vec<String> {
    let items = match &rule.statement.order {
        Order::Missing => return vec!["the query has no ORDER BY".into()],
        Order::By(items) => items,
    };
    let ordered: BTreeSet<&str> = items
        .iter()
        .filter_map(|item| match item {
            OrderItem::Column(name) => Some(name.as_str()),
            OrderItem::Position(n) => schema
                .fields()
                .get(n.checked_sub(1)?)
                .map(|field| field.name().as_str()),
            OrderItem::Expression => None,
        })
        .collect();
    std::iter::once("occurred_at")
        .chain(rule.dedupe.iter().map(String::as_str))
        .filter(|column| !ordered.contains(column))
        .map(|column| format!("ORDER BY does not cover `{column}`"))
        .collect()
}

fn case_faults(rule: &Rule) -> Vec<RuleError> {
    let file = rule.origin.file();
    let Some(text) = &rule.cases else {
        let what = format!(
            "there is no `{}.cases.toml` beside the rule",
            rule.file_stem()
        );
        return vec![RuleError::new(&file, 0, what)];
    };
    let cases = match CaseFile::read(text) {
        Ok(cases) => cases,
        Err(error) => return vec![error],
    };
    let mut faults = vec![];
    for (kind, word, min) in [
        (CaseKind::Positive, "positive", POSITIVES_MIN),
        (CaseKind::Negative, "negative", NEGATIVES_MIN),
    ] {
        let found = cases.cases.iter().filter(|case| case.kind == kind).count();
        if found < min {
            let what = format!("{found} {word} cases, at least {min} are needed");
            faults.push(RuleError::new(&text.file, 0, what));
        }
    }
    faults
}

/// Defaults and any one day: enough to plan.
fn sample_bindings(rule: &Rule) -> Bindings {
    let from = DateTime::<Utc>::UNIX_EPOCH;
    let to = from + TimeDelta::days(1);
    bindings(rule, Window { from, to }, to)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{Field, TimeUnit};

    use super::*;
    use crate::detect::{CasesText, Origin, test_rule};

    struct Columns(Vec<(&'static str, DataType)>);

    impl Plans for Columns {
        fn plan(&self, _: &str, _: &Bindings) -> Result<SchemaRef, String> {
            let fields = self
                .0
                .iter()
                .map(|(name, kind)| Field::new(*name, kind.clone(), true));
            Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
        }
    }

    struct Unplannable;

    impl Plans for Unplannable {
        fn plan(&self, _: &str, _: &Bindings) -> Result<SchemaRef, String> {
            Err("there is no column ocurred_at".into())
        }
    }

    fn good_columns() -> Vec<(&'static str, DataType)> {
        vec![
            (
                "occurred_at",
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            ),
            ("user_key", DataType::Utf8View),
            ("user_id", DataType::Utf8View),
            ("username", DataType::Utf8),
            ("ip", DataType::Utf8View),
        ]
    }

    const CASES: &str = r#"
[defaults]
now = 2026-01-16T03:00:00Z
registry = "cast"
[[case]]
name = "p"
kind = "positive"
[[case.expect]]
user = "u@example.com"
[[case]]
name = "n1"
kind = "negative"
[[case]]
name = "n2"
kind = "negative"
"#;

    fn rule(text: &str, cases: Option<&str>) -> Rule {
        let file = "some-rule.sql".to_owned();
        let mut rule = Rule::read(text, Origin::Embedded { file }).unwrap();
        rule.cases = cases.map(|text| CasesText {
            file: "some-rule.cases.toml".into(),
            text: text.into(),
        });
        rule
    }

    fn faults_of(rule: &Rule, plans: &dyn Plans) -> Vec<String> {
        let faults = lint(rule, plans, &Catalog::embedded());
        faults.iter().map(ToString::to_string).collect()
    }

    fn faults(from: &str, to: &str) -> Vec<String> {
        let text = test_rule("some-rule", "").replace(from, to);
        faults_of(&rule(&text, Some(CASES)), &Columns(good_columns()))
    }

    fn with_columns(columns: Vec<(&'static str, DataType)>) -> Vec<String> {
        let rule = rule(&test_rule("some-rule", ""), Some(CASES));
        faults_of(&rule, &Columns(columns))
    }

    #[test]
    fn a_good_rule_has_no_faults() {
        assert_eq!(faults("", ""), Vec::<String>::new());
    }

    #[test]
    fn each_fault_of_the_front_matter_is_named() {
        for (from, to, word) in [
            ("id = \"some-rule\"", "id = \"other\"", "`other`"),
            ("[\"T1078.004\"]", "[]", "`attack` is empty"),
            ("[\"S0.1\"]", "[\"S0.99\"]", "`S0.99`"),
            ("T1078.004", "T10", "MITRE"),
            ("[\"Login\"]", "[\"Logging\"]", "`Logging`"),
            ("\"For tests\"", "\" \"", "`description`"),
        ] {
            let found = faults(from, to);
            assert!(
                found.len() == 1 && found[0].contains(word),
                "{to}: {found:?}"
            );
        }
    }

    #[test]
    fn declared_parameters_and_the_window_are_used() {
        let extra = "[params.x]\ntype = 'int'\ndefault = 1\nmeaning = 'm'\n";
        let unused = rule(&test_rule("some-rule", extra), Some(CASES));
        let found = faults_of(&unused, &Columns(good_columns()));
        assert!(
            found.len() == 1 && found[0].contains("not used"),
            "{found:?}"
        );
        let found = faults("$window_start", "'2026-01-01'");
        assert!(
            found.len() == 1 && found[0].contains("window_start"),
            "{found:?}"
        );
    }

    #[test]
    fn the_order_covers_time_and_subject() {
        let found = faults("ORDER BY occurred_at, user_key", "");
        assert!(
            found.len() == 1 && found[0].contains("no ORDER BY"),
            "{found:?}"
        );
        let found = faults("ORDER BY occurred_at, user_key", "ORDER BY occurred_at");
        assert!(
            found.len() == 1 && found[0].contains("`user_key`"),
            "{found:?}"
        );
        assert!(faults("ORDER BY occurred_at, user_key", "ORDER BY 2, 1 DESC").is_empty());
    }

    #[test]
    fn the_result_has_the_promised_columns_and_types() {
        let without = |name: &str| {
            let columns = good_columns().into_iter().filter(|(n, _)| *n != name);
            with_columns(columns.collect())
        };
        assert!(
            without("occurred_at")
                .iter()
                .any(|f| f.contains("no column `occurred_at`"))
        );
        assert!(
            without("user_key")
                .iter()
                .any(|f| f.contains("dedupe column `user_key`"))
        );
        assert!(without("ip").iter().any(|f| f.contains("no evidence")));
        let mut columns = good_columns();
        columns[0].1 = DataType::Utf8;
        columns.push(("severity", DataType::Int64));
        let found = with_columns(columns);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_query_that_cannot_be_planned_is_a_fault() {
        let rule = rule(&test_rule("some-rule", ""), Some(CASES));
        let found = faults_of(&rule, &Unplannable);
        assert!(
            found.len() == 1 && found[0].contains("ocurred_at"),
            "{found:?}"
        );
    }

    #[test]
    fn a_rule_comes_with_a_positive_and_two_negative_cases() {
        let none = rule(&test_rule("some-rule", ""), None);
        assert_eq!(faults_of(&none, &Columns(good_columns())).len(), 1);
        let one = CASES.rsplit_once("[[case]]").unwrap().0;
        let few = rule(&test_rule("some-rule", ""), Some(one));
        let found = faults_of(&few, &Columns(good_columns()));
        assert!(
            found.len() == 1 && found[0].contains("1 negative"),
            "{found:?}"
        );
    }
}
