//! What the runner promises, with canned answers in the place of a session.

use std::sync::{Arc, Condvar, Mutex};

use chrono::NaiveDate;
use datafusion::arrow::array::{StringArray, TimestampMillisecondArray};

use super::*;
use crate::detect::finding::to_jsonl;
use crate::detect::{Origin, test_rule};

/// Answers every query with the rows that lie in its window, and fails those of one rule.
struct Canned {
    rows: Vec<(&'static str, &'static str)>,
    broken: &'static str,
}

impl Answers for Canned {
    fn answer(&self, sql: &str, bindings: &Bindings) -> Result<Vec<RecordBatch>, Unanswered> {
        if !self.broken.is_empty() && sql.contains(self.broken) {
            return Err("column \"x\" does not exist\u{1b}[0m".to_owned().into());
        }
        let bound = |name: &str| match bindings.get(name) {
            Some(ScalarValue::TimestampMillisecond(Some(at), _)) => *at,
            other => panic!("{name} is {other:?}"),
        };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp_millis();
        // One day of look-back, to see that rows outside the window are not judged.
        let from = bound("window_start") - 86_400_000;
        let rows: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, text)| (from..bound("window_end")).contains(&at(text)))
            .collect();
        let times: Vec<_> = rows.iter().map(|(_, text)| at(text)).collect();
        let users: Vec<_> = rows.iter().map(|(user, _)| *user).collect();
        let times = TimestampMillisecondArray::from(times).with_timezone("UTC");
        let batch = RecordBatch::try_from_iter([
            ("occurred_at", Arc::new(times) as _),
            ("user_key", Arc::new(StringArray::from(users)) as _),
        ]);
        Ok(vec![batch.unwrap()])
    }
}

fn day(n: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, n).unwrap()
}

fn rules(each: &[(&str, &str)]) -> RuleSet {
    let mut set = RuleSet::default();
    for (id, extra) in each {
        let file = format!("{id}.sql");
        set.add(Rule::read(&test_rule(id, extra), Origin::Embedded { file }).unwrap())
            .unwrap();
    }
    set
}

fn night(answers: &dyn Answers, rules: &RuleSet, dirty: &[u32]) -> DetectReport {
    let mut coverage = Coverage::default();
    for n in 1..=20 {
        coverage.add("Login", day(n));
    }
    let now = "2026-01-21T03:00:00Z".parse().unwrap();
    let dirty: Vec<_> = dirty.iter().map(|n| day(*n)).collect();
    let windows = Windows::of_dirty_days(&dirty, &coverage, now, 35);
    let options = RunOptions {
        org_id: "00D000000000001AAA",
        now,
        blind_days: 3,
        only: None,
        suppressions: &Suppressions::default(),
        stage: None,
    };
    run(answers, rules, &windows, &coverage, &options, &mut |_| {})
}

fn shown(report: &DetectReport) -> Vec<String> {
    report.findings.iter().map(|f| to_jsonl(f, "new")).collect()
}

fn canned() -> Canned {
    Canned {
        rows: vec![
            ("u", "2026-01-10T23:59:59.999Z"),
            ("u", "2026-01-11T00:00:00Z"),
            ("v", "2026-01-11T08:00:00Z"),
            ("u", "2026-01-11T09:00:00Z"),
        ],
        broken: "",
    }
}

#[test]
fn a_night_judged_again_gives_the_same_findings() {
    let rules = rules(&[("one", "")]);
    let first = night(&canned(), &rules, &[10, 11]);
    assert_eq!(first.findings.len(), 3);
    assert_eq!(shown(&first), shown(&night(&canned(), &rules, &[10, 11])));
    let wider = night(&canned(), &rules, &[5, 8, 9, 10, 11, 12]);
    assert_eq!(shown(&first), shown(&wider));
}

/// Answers for one day at a time only.
struct Narrow(Canned);

impl Answers for Narrow {
    fn answer(&self, sql: &str, bindings: &Bindings) -> Result<Vec<RecordBatch>, Unanswered> {
        let at = |name: &str| match bindings.get(name) {
            Some(ScalarValue::TimestampMillisecond(Some(at), _)) => *at,
            other => panic!("{name} is {other:?}"),
        };
        match at("window_end") - at("window_start") > 86_400_000 {
            true => Err(Unanswered {
                reason: "too much at once".into(),
                out_of_memory: true,
            }),
            false => self.0.answer(sql, bindings),
        }
    }
}

#[test]
fn days_that_are_too_many_at_once_are_asked_one_by_one_and_come_to_the_same() {
    let rules = rules(&[("one", "")]);
    let at_once = night(&canned(), &rules, &[9, 10, 11, 12, 13]);
    let one_by_one = night(&Narrow(canned()), &rules, &[9, 10, 11, 12, 13]);
    assert_eq!(at_once.rules[0].status, RunStatus::Ok);
    assert_eq!(shown(&at_once), shown(&one_by_one));
    assert!(one_by_one.evaluated.len() > at_once.evaluated.len());
}

/// Answers a question when the next one is planned, and the last one at once.
struct Overlapping {
    canned: Canned,
    planned: (Mutex<usize>, Condvar),
    questions: usize,
    asked: Mutex<Vec<(usize, usize)>>,
}

impl Answers for Overlapping {
    fn answer(&self, sql: &str, bindings: &Bindings) -> Result<Vec<RecordBatch>, Unanswered> {
        self.canned.answer(sql, bindings)
    }

    fn ready<'a>(&'a self, sql: &'a str, bindings: Bindings) -> Ready<'a> {
        let (planned, changed) = &self.planned;
        let number = {
            let mut planned = planned.lock().unwrap();
            *planned += 1;
            *planned
        };
        changed.notify_all();
        Box::new(move || {
            let next = (number + 1).min(self.questions);
            let waited = changed.wait_timeout_while(
                planned.lock().unwrap(),
                std::time::Duration::from_secs(60),
                |planned| *planned < next,
            );
            self.asked
                .lock()
                .unwrap()
                .push((number, *waited.unwrap().0));
            self.answer(sql, &bindings)
        })
    }
}

#[test]
fn while_a_rule_is_answered_the_next_is_planned() {
    let rules = rules(&[("one", ""), ("three", ""), ("two", "")]);
    let overlapping = Overlapping {
        canned: canned(),
        planned: Default::default(),
        questions: 3,
        asked: Mutex::default(),
    };
    let report = night(&overlapping, &rules, &[10, 11]);
    let asked = overlapping.asked.into_inner().unwrap();
    let order: Vec<usize> = asked.iter().map(|(number, _)| *number).collect();
    assert_eq!(order, [1, 2, 3]);
    assert!(
        asked
            .iter()
            .all(|(number, planned)| *planned > *number || *number == 3)
    );
    assert_eq!(shown(&report), shown(&night(&canned(), &rules, &[10, 11])));
}

#[test]
fn rows_outside_the_window_are_counted_and_not_judged() {
    let report = night(&canned(), &rules(&[("one", "")]), &[11]);
    assert_eq!(report.findings.len(), 2);
    assert_eq!(report.rules[0].rows_outside_window, 1);
    assert_eq!(report.evaluated.len(), 1);
    assert_eq!(
        report.evaluated[0].from,
        super::super::windows::midnight(day(11))
    );
}

#[test]
fn a_rule_that_fails_silences_no_other_and_keeps_its_days_dirty() {
    let mut answers = canned();
    answers.broken = "id = \"bad\"";
    let report = night(&answers, &rules(&[("bad", ""), ("good", "")]), &[11]);
    let statuses: Vec<_> = report.rules.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [RunStatus::Failed, RunStatus::Ok]);
    let reason = report.rules[0].reason.as_deref().unwrap();
    assert!(reason.contains("does not exist") && !reason.contains('\u{1b}'));
    assert_eq!(report.findings.len(), 2);
    assert!(!report.may_clear_dirty_days());
    assert!(report.evaluated.iter().all(|w| w.rule_id == "good"));
}

#[test]
fn a_rule_without_input_is_never_zero_hits() {
    let rules = rules(&[("one", ""), ("two", "")]);
    let mut set = RuleSet::default();
    for (rule, input) in rules.iter().zip(["ApiTotalUsage", "Login"]) {
        let mut rule = rule.clone();
        rule.inputs = vec![crate::detect::Input::read(input).unwrap()];
        set.add(rule).unwrap();
    }
    let report = night(&canned(), &set, &[11]);
    assert_eq!(report.rules[0].status, RunStatus::NeverHadInput);
    assert!(
        report.rules[0]
            .reason
            .as_deref()
            .unwrap()
            .contains("ApiTotalUsage")
    );
    assert_eq!(report.rules[1].status, RunStatus::Ok);
    assert!(report.may_clear_dirty_days());
}

#[test]
fn a_standing_condition_is_judged_once_over_the_look_back() {
    let report = night(&canned(), &rules(&[("one", "bucket = 'none'\n")]), &[3, 11]);
    assert_eq!(report.evaluated.len(), 1);
    assert_eq!(report.findings.len(), 2);
    assert!(report.findings.iter().all(|f| f.bucket_start.is_none()));
    let counts: Vec<_> = report.findings.iter().map(|f| f.count).collect();
    assert!(counts.contains(&3) && counts.contains(&1));
}

#[test]
fn a_rule_that_is_off_does_not_run_and_one_in_staging_is_marked() {
    let mut set = RuleSet::default();
    for (rule, status) in rules(&[("a", ""), ("b", "")])
        .iter()
        .zip([RuleStatus::Off, RuleStatus::Staging])
    {
        let mut rule = rule.clone();
        rule.status = status;
        set.add(rule).unwrap();
    }
    let report = night(&canned(), &set, &[11]);
    assert_eq!(report.rules.len(), 1);
    assert_eq!(report.rules[0].suppressed, 2);
    assert!(
        report
            .findings
            .iter()
            .all(|f| f.suppressed_by.as_deref() == Some(STAGING))
    );
}

#[test]
fn only_parameters_that_the_query_uses_are_bound() {
    let params = "[params.unused]\ntype = 'int'\ndefault = 3\nmeaning = 'm'\n";
    let rules = rules(&[("one", params)]);
    let window = Window::of_days(day(1), day(1));
    let bound = bindings(rules.get("one").unwrap(), window, window.to);
    let names: Vec<_> = bound.keys().map(String::as_str).collect();
    assert_eq!(names, ["window_end", "window_start"]);
}
