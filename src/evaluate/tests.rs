//! Small worlds of a few labels and findings, of which the score can be worked out by hand.

use chrono::{DateTime, Utc};

use super::claim::{AppNames, Claim};
use super::judge::{JudgedFinding, Verdict, judge};
use super::labels::{Label, read};
use super::{Judged, Org, score};
use crate::config::{Family, Severity};
use crate::lake::{Correlation, FindingRow};
use crate::registry::Registry;

const USER: &str = "0055e00000VTF7KAAX";
const HEAD: &str = "label_id,kind,name,variant,mutation,user_id,username,app,first_at,last_at,night,\
    rules,must,min_severity,max_severity,tier,rows,ip\n";

fn labels(rows: &[&str]) -> Vec<Label> {
    read("labels.csv", &format!("{HEAD}{}\n", rows.join("\n"))).unwrap()
}

fn attack(id: &str, mutation: &str, who: &str, ip: &str) -> String {
    format!(
        "{id},attack,replay,0,{mutation},{who},2026-05-10T10:00:00Z,2026-05-10T11:00:00Z,2026-05-10,\
         odd-ip;volume,odd-ip,high,,shield,9,{ip}"
    )
}

fn user() -> String {
    format!("{USER},erp@example.com,ERP Sync")
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

struct Told {
    rule: &'static str,
    family: Family,
    severity: Severity,
    user: Option<&'static str>,
    evidence: &'static str,
    at: &'static str,
    bucket: bool,
}

impl Told {
    fn of(rule: &'static str, severity: Severity, at: &'static str) -> Self {
        Self {
            rule,
            family: Family::Misuse,
            severity,
            user: Some(USER),
            evidence: "{}",
            at,
            bucket: true,
        }
    }

    fn nobody(self, evidence: &'static str) -> Self {
        Self {
            user: None,
            evidence,
            ..self
        }
    }

    fn row(&self, id: usize) -> FindingRow {
        let seen = at(self.at);
        let begin = seen.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        FindingRow {
            finding_id: format!("f{id}"),
            dedupe_key: String::new(),
            rule_id: self.rule.to_owned(),
            rule_version: 1,
            severity: self.severity,
            title: String::new(),
            user_key: self.user.map(str::to_owned),
            user_id: self.user.map(str::to_owned),
            username: None,
            user_kind: None,
            bucket_start: self.bucket.then_some(begin),
            first_seen: seen,
            last_seen: seen,
            count: 1,
            expected: String::new(),
            observed: String::new(),
            evidence_json: self.evidence.to_owned(),
            attack: vec![],
            suppressed_by: None,
            family: Some(self.family),
            correlation: Correlation::default(),
        }
    }
}

fn claims(told: &[Told]) -> Vec<Claim> {
    let apps = AppNames::of(&Registry::empty());
    let rows = told.iter().enumerate().map(|(n, told)| told.row(n));
    rows.map(|row| Claim::of(&row, &apps)).collect()
}

fn judged(labels: &[Label], told: &[Told]) -> Judged {
    judge(labels, &claims(told))
}

fn verdicts(judged: &Judged) -> Vec<Verdict> {
    judged.findings.iter().map(|f| f.verdict).collect()
}

fn org(labels: &[Label], told: &[Told]) -> Org {
    Org {
        name: "labels.csv".to_owned(),
        integrations: 10,
        nights: 40,
        clean_nights: 30,
        unasked_nights: 0,
        suppressed: 0,
        judged: judged(labels, told),
        comparators: vec![],
    }
}

#[test]
fn a_finding_answers_by_rule_subject_and_time_together() {
    let labels = labels(&[&attack("a-0-1", "", &user(), "192.0.2.9")]);
    let high = Severity::High;
    let mut other = Told::of("odd-ip", high, "2026-05-10T10:30:00Z");
    other.user = Some("0055e00000AAAAAAAA");
    let found = judged(
        &labels,
        &[
            Told::of("odd-ip", high, "2026-05-10T10:30:00Z"),
            Told::of("volume", high, "2026-05-11T02:00:00Z"),
            Told::of("unrelated", high, "2026-05-10T10:30:00Z"),
            Told::of("odd-ip", high, "2026-05-12T00:00:00Z"),
            Told::of("odd-ip", high, "2026-05-09T23:59:59Z"),
            other,
        ],
    );
    use Verdict::{Answer, FalseAlarm};
    assert_eq!(
        verdicts(&found),
        [
            Answer, Answer, FalseAlarm, FalseAlarm, FalseAlarm, FalseAlarm
        ]
    );
    // What stands beside the attack says so; what is of another time or user does not.
    assert_eq!(found.findings[2].label.as_deref(), Some("a-0-1"));
    assert_eq!(found.findings[3].label, None);
    assert_eq!(found.findings[5].label, None);
    assert_eq!(found.labels[0].told_by, ["odd-ip"]);
    assert_eq!(found.labels[0].nights, Some(0));
}

#[test]
fn a_label_is_told_only_as_gravely_as_it_must_be_and_by_its_own_rules() {
    let labels = labels(&[&attack("a-0-1", "", &user(), "")]);
    let low = judged(
        &labels,
        &[
            Told::of("odd-ip", Severity::Medium, "2026-05-10T10:30:00Z"),
            Told::of("volume", Severity::Critical, "2026-05-10T10:30:00Z"),
        ],
    );
    assert_eq!(low.labels[0].told_by, [""; 0]);
    assert!(low.labels[0].told_at_all);
    let late = judged(
        &labels,
        &[Told::of("odd-ip", Severity::High, "2026-05-11T10:30:00Z")],
    );
    assert_eq!(late.labels[0].nights, Some(1));
}

#[test]
fn a_condition_that_stood_before_tells_nothing_of_an_attack() {
    let labels = labels(&[&attack("a-0-1", "", &user(), "")]);
    let mut standing = Told::of("odd-ip", Severity::High, "2026-04-01T00:00:00Z");
    standing.bucket = false;
    let mut row = standing.row(0);
    row.last_seen = at("2026-05-20T00:00:00Z");
    let claim = Claim::of(&row, &AppNames::of(&Registry::empty()));
    assert_eq!(judge(&labels, &[claim]).labels[0].told_by, [""; 0]);
}

#[test]
fn who_names_nobody_is_known_by_app_or_network() {
    let app = attack("a-0-1", "", ",,Chat Connect", "192.0.2.9");
    let labels = labels(&[&app]);
    let told =
        |evidence| Told::of("odd-ip", Severity::High, "2026-05-10T10:30:00Z").nobody(evidence);
    let by_user = |evidence| Told {
        user: Some(USER),
        ..told(evidence)
    };
    let found = judged(
        &labels,
        &[
            told(r#"{"app":"chat  connect"}"#),
            told(r#"{"ip":"192.0.2.200"}"#),
            told(r#"{"networks":["192.0.2.0/24"]}"#),
            told(r#"{"networks":["203.0.113.0/24"]}"#),
            told("{}"),
            told(r#"{"app":"Other"}"#),
            told(r#"{"ip":"203.0.113.9"}"#),
            by_user(r#"{"ip":"192.0.2.77"}"#),
            by_user("{}"),
        ],
    );
    use Verdict::{Answer, FalseAlarm};
    let expected = [
        Answer, Answer, Answer, Answer, Answer, FalseAlarm, FalseAlarm, Answer, FalseAlarm,
    ];
    assert_eq!(verdicts(&found), expected);
}

#[test]
fn a_wave_strikes_many_users_from_many_networks() {
    let labels = labels(&[&attack("a-0-1", "", ",,", "192.0.2.9")]);
    let told = Told::of("odd-ip", Severity::High, "2026-05-10T10:30:00Z");
    let elsewhere = Told::of("odd-ip", Severity::High, "2026-05-10T10:30:00Z")
        .nobody(r#"{"networks":["203.0.113.0/24"]}"#);
    let late = Told::of("odd-ip", Severity::High, "2026-05-12T10:30:00Z");
    use Verdict::{Answer, FalseAlarm};
    assert_eq!(
        verdicts(&judged(&labels, &[told, elsewhere, late])),
        [Answer, Answer, FalseAlarm]
    );
}

#[test]
fn what_an_alert_counts_under_another_finding_answers_with_it() {
    let labels = labels(&[&attack("a-0-1", "", ",,Chat Connect", "")]);
    let leader = Told::of("odd-ip", Severity::High, "2026-05-10T10:30:00Z")
        .nobody(r#"{"app":"Chat Connect"}"#);
    let gathered = Told::of("volume", Severity::High, "2026-05-10T10:40:00Z");
    let mut claims = claims(&[leader, gathered]);
    assert_eq!(
        verdicts(&judge(&labels, &claims)),
        [Verdict::Answer, Verdict::FalseAlarm]
    );
    claims[1].gathered_by = Some("f0".to_owned());
    assert_eq!(
        verdicts(&judge(&labels, &claims)),
        [Verdict::Answer, Verdict::Answer]
    );
}

#[test]
fn a_story_may_be_told_and_not_too_gravely() {
    let story = format!(
        "s-0-1,story,failover,0,,{},2026-05-10T10:00:00Z,2026-05-10T11:00:00Z,2026-05-10,volume,,,medium,shield,9,",
        user()
    );
    let everybody = "s-0-2,story,monday,0,,,,,2026-05-10T10:00:00Z,2026-05-10T11:00:00Z,2026-05-10,\
        spray,,,medium,shield,9,";
    let labels = labels(&[&story, everybody]);
    let mut spray = Told::of("spray", Severity::Medium, "2026-05-10T10:30:00Z");
    spray.user = Some("0055e00000AAAAAAAA");
    let mut standing = Told::of("no-range", Severity::High, "2026-05-10T10:30:00Z");
    standing.family = Family::Identity;
    let found = judged(
        &labels,
        &[
            Told::of("anything", Severity::Medium, "2026-05-10T10:30:00Z"),
            Told::of("volume", Severity::High, "2026-05-10T10:30:00Z"),
            spray,
            standing,
        ],
    );
    use Verdict::{FalseAlarm, Hygiene, LookAlike};
    assert_eq!(
        verdicts(&found),
        [LookAlike, FalseAlarm, LookAlike, Hygiene]
    );
    assert_eq!(found.labels[0].above, Some(Severity::High));
    assert_eq!(found.labels[1].above, None);
}

#[test]
fn what_tells_of_an_attack_on_the_same_user_is_not_told_of_a_story() {
    let story = format!(
        "s-0-1,story,failover,0,,{},2026-05-10T10:00:00Z,2026-05-10T11:00:00Z,2026-05-10,volume,,,medium,shield,9,",
        user()
    );
    let told = |rule| {
        let claim = Told::of(rule, Severity::Critical, "2026-05-10T10:30:00Z");
        let labels = labels(&[&story, &attack("a-0-1", "", &user(), "")]);
        judged(&labels, &[claim]).labels[0].above
    };
    assert_eq!(told("odd-ip"), None);
    assert_eq!(told("anything"), Some(Severity::Critical));
}

#[test]
fn precision_is_about_claims_and_the_budget_about_all_families() {
    let labels = labels(&[&attack("a-0-1", "", &user(), "")]);
    let mut hygiene = Told::of("weak-flow", Severity::High, "2026-04-01T10:30:00Z");
    hygiene.family = Family::Credential;
    let score = score(&[org(
        &labels,
        &[
            Told::of("odd-ip", Severity::High, "2026-05-10T10:30:00Z"),
            Told::of("odd-ip", Severity::High, "2026-04-01T10:30:00Z"),
            hygiene,
        ],
    )]);
    let claims = &score.precision.claims;
    assert_eq!((claims.answers, claims.false_alarms), (1, 1));
    assert_eq!(claims.precision.value, Some(0.5));
    assert_eq!(score.clean.high.findings, 2);
    // 2 findings on 30 nights of 10 integration users.
    assert_eq!(score.clean.high.high_per_100, Some(0.6667));
    assert_eq!(score.clean.high_claims.findings, 1);
    assert_eq!(score.clean.verdict, "within");
    assert_eq!(score.false_alarms.len(), 1);
    assert_eq!(score.recall.plain.campaigns.value, Some(1.0));
    assert_eq!(score.recall.plain.nights_max, Some(0));
}

#[test]
fn what_evades_unseen_is_a_defect_unless_something_says_that_it_could_not_be_seen() {
    let labels = labels(&[&attack("a-0-1", "null-column", &user(), "")]);
    let silent = score(&[org(&labels, &[])]);
    assert_eq!((silent.missed.len(), silent.silent.len()), (1, 1));
    assert_eq!(silent.recall.by_mutation[0].name, "null-column");
    assert_eq!(silent.recall.plain.labels.of, 0);
    let mut blind =
        Told::of("unmapped-value", Severity::Medium, "2026-05-10T00:00:00Z").nobody("{}");
    blind.family = Family::Coverage;
    let told = score(&[org(&labels, &[blind])]);
    assert_eq!((told.missed.len(), told.silent.len()), (1, 0));
    assert_eq!(told.missed[0].blind_by, ["unmapped-value"]);
}

#[test]
fn pooled_orgs_are_told_apart_even_under_one_name() {
    let labels = labels(&[&attack("a-0-1", "", &user(), "")]);
    let found = org(
        &labels,
        &[Told::of("odd-ip", Severity::High, "2026-05-10T10:30:00Z")],
    );
    let missed = org(&labels, &[]);
    let score = score(&[found, missed]);
    let campaigns = &score.recall.plain.campaigns;
    assert_eq!((campaigns.hits, campaigns.of), (1, 2));
    assert_eq!((score.orgs, score.nights, score.integrations), (2, 80, 20));
}

#[test]
fn without_integrations_there_is_no_rate_and_no_verdict() {
    let mut org = org(&[], &[]);
    org.integrations = 0;
    let score = score(&[org]);
    assert_eq!(score.clean.high.high_per_100, None);
    assert_eq!(score.clean.verdict, "unknown");
}

#[test]
fn a_judged_finding_says_whether_its_night_was_clean() {
    let labels = labels(&[&attack("a-0-1", "", &user(), "")]);
    let days = ["2026-05-09", "2026-05-10", "2026-05-11", "2026-05-12"];
    let clean: Vec<bool> = days
        .iter()
        .map(|day| {
            let at: &'static str = Box::leak(format!("{day}T01:00:00Z").into_boxed_str());
            let found: Vec<JudgedFinding> =
                judged(&labels, &[Told::of("x", Severity::Low, at)]).findings;
            found[0].clean
        })
        .collect();
    assert_eq!(clean, [true, false, false, true]);
}
