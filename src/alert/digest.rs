//! The digest: what is news tonight, what goes on, what ended, and how the run went.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::config::Severity;

/// One finding as a mail tells it. Texts are as the rule and the logs gave them; the view makes
/// them printable.
#[derive(Debug, Clone)]
pub struct DigestFinding {
    pub finding_id: String,
    pub dedupe_key: String,
    pub rule_id: String,
    pub rule_version: i64,
    pub severity: Severity,
    pub title: String,
    /// Username, else the user's id, else nothing: the finding is about no single user.
    pub who: Option<String>,
    /// Role of the user: `integration`, `guest` …
    pub user_kind: Option<String>,
    pub bucket_start: Option<DateTime<Utc>>,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    pub count: u64,
    pub expected: String,
    pub observed: String,
    /// `column: value` lines.
    pub evidence: Vec<String>,
    pub attack: Vec<String>,
    /// From the rule file: why it matters, when it is harmless, what to do.
    pub description: String,
    pub false_positives: String,
    pub response: String,
    /// The command line that shows the rows.
    pub rows_command: String,
    /// The head of a `[[suppress]]` entry that covers findings like it, a line for each key.
    pub suppressed_by: Vec<String>,
    /// None where an older release wrote the finding.
    pub case_id: Option<String>,
    /// What its case is about: a user, an app, an address; None for the org itself.
    pub case_subject: Option<String>,
    /// The rule's own severity and why it was raised, where other findings raised it.
    pub raised: Option<(Severity, String)>,
    /// Findings of single users that are told as a number under this one.
    pub gathered: Vec<Gathered>,
}

/// A finding that is told under another.
#[derive(Debug, Clone)]
pub struct Gathered {
    pub finding_id: String,
    pub dedupe_key: String,
    pub rule_id: String,
    pub severity: Severity,
    pub who: Option<String>,
    pub count: u64,
    /// Tonight it is new, or changed; otherwise it is known and goes on.
    pub is_of_tonight: bool,
}

impl DigestFinding {
    /// The finding's day: its bucket, else when it was first seen.
    pub fn day(&self) -> NaiveDate {
        self.bucket_start.unwrap_or(self.first_seen).date_naive()
    }
}

/// What the outbox remembers of a dedupe key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mailed {
    /// When a mail last told of it as news.
    pub at: DateTime<Utc>,
    pub severity: Severity,
    pub count: u64,
    /// Nights on which it was found so far, tonight included.
    pub nights: u32,
}

/// One subject's news: the findings of one dedupe key, told by the gravest and latest of them.
#[derive(Debug, Clone)]
pub struct News {
    pub finding: DigestFinding,
    /// The other findings of the same key, by day.
    pub others: Vec<DigestFinding>,
}

impl News {
    pub fn count(&self) -> u64 {
        self.all().map(|f| f.count).sum()
    }

    pub fn first_seen(&self) -> DateTime<Utc> {
        self.all()
            .map(|f| f.first_seen)
            .fold(self.finding.first_seen, DateTime::min)
    }

    pub fn last_seen(&self) -> DateTime<Utc> {
        self.all()
            .map(|f| f.last_seen)
            .fold(self.finding.last_seen, DateTime::max)
    }

    /// Distinct days, in order.
    pub fn days(&self) -> Vec<NaiveDate> {
        let mut days: Vec<_> = self.all().map(DigestFinding::day).collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    pub fn all(&self) -> impl Iterator<Item = &DigestFinding> {
        std::iter::once(&self.finding).chain(&self.others)
    }

    /// What is told under it.
    pub fn gathered(&self) -> impl Iterator<Item = &Gathered> {
        self.all().flat_map(|finding| &finding.gathered)
    }

    /// The gravest of it and of all that is told under it.
    pub fn severity(&self) -> Severity {
        let own = self.finding.severity;
        self.gathered().map(|g| g.severity).fold(own, Severity::max)
    }
}

/// A subject that was mailed within the quiet days and goes on.
#[derive(Debug, Clone)]
pub struct StillActive {
    pub news: News,
    pub mailed: Mailed,
}

/// How the run itself went. Silence is never success: what could not be read, could not be
/// asked, or never had input is said.
#[derive(Debug, Clone, Default)]
pub struct RunHealth {
    pub files_read: u64,
    pub files_known: u64,
    /// Name and reason of each input that was refused or torn.
    pub files_rejected: Vec<(String, String)>,
    pub rows_read: u64,
    pub rows_kept: u64,
    pub rows_duplicate: u64,
    pub rows_quarantined: u64,
    pub rules_ok: u64,
    /// Rule id and reason.
    pub rules_failed: Vec<(String, String)>,
    pub rules_blind: Vec<(String, String)>,
    pub rules_never_had_input: Vec<(String, String)>,
    /// Anything else that the reader should know (expired suppressions, dropped columns …).
    pub remarks: Vec<String>,
}

/// All that one mail tells.
#[derive(Debug, Clone)]
pub struct Digest {
    pub org: String,
    pub run_id: i64,
    pub at: DateTime<Utc>,
    /// The last day that the data reach.
    pub data_day: NaiveDate,
    pub news: Vec<News>,
    pub still_active: Vec<StillActive>,
    pub resolved: Vec<DigestFinding>,
    /// Findings that a suppression covers: counted, not shown.
    pub suppressed: u64,
    /// New findings below the recipients' `min_severity`: counted, not shown.
    pub below_threshold: u64,
    pub health: RunHealth,
    /// The group of people that it is for.
    pub audience: String,
    /// The day has come by which they hear something, be it that there is nothing to tell.
    pub is_heartbeat: bool,
    /// New findings that are in another mail of the same run and group.
    pub elsewhere: usize,
}

impl Digest {
    /// Whether there is something to tell: a mail goes out for news and for what ended, not for
    /// what was told already, unless it is time for a sign of life.
    pub fn is_worth_a_mail(&self) -> bool {
        !self.news.is_empty() || !self.resolved.is_empty() || self.is_heartbeat
    }

    /// The gravest severity among the news, else among what is resolved.
    pub fn severity(&self) -> Severity {
        let news = self.news.iter().map(News::severity).max();
        let resolved = || self.resolved.iter().map(|f| f.severity).max();
        news.or_else(resolved).unwrap_or(Severity::Info)
    }

    /// Whether something critical is news.
    pub fn is_urgent(&self) -> bool {
        let mut news = self.news.iter();
        news.any(|news| news.severity() == Severity::Critical)
    }

    /// Number of new findings that are told by themselves.
    pub fn new_findings(&self) -> usize {
        self.news.iter().map(|n| 1 + n.others.len()).sum()
    }

    /// Number of findings that are told as a number under others.
    pub fn gathered_findings(&self) -> usize {
        self.news.iter().map(|n| n.gathered().count()).sum()
    }

    /// Number of cases that the new findings belong to.
    pub fn cases(&self) -> usize {
        let of = |news: &News| case_of(&news.finding).to_owned();
        self.news.iter().map(of).collect::<BTreeSet<_>>().len()
    }
}

/// The finding's case; by itself, where it has none.
pub(super) fn case_of(finding: &DigestFinding) -> &str {
    finding.case_id.as_deref().unwrap_or(&finding.finding_id)
}

/// Groups tonight's findings by dedupe key and separates news from what was mailed within
/// `quiet_days` and neither grew graver nor doubled in volume; what is told under a finding makes
/// news of it as well. Both lists are ordered by severity, then time (latest first), then id, with
/// the findings of one case beside its first.
pub fn gather_news(
    findings: Vec<DigestFinding>,
    mailed: impl Fn(&str) -> Option<Mailed>,
    at: DateTime<Utc>,
    quiet_days: u32,
) -> (Vec<News>, Vec<StillActive>) {
    let quiet_since = at.checked_sub_days(Days::new(u64::from(quiet_days)));
    let (mut news, mut still_active) = (Vec::new(), Vec::new());
    for group in group_by_subject(findings) {
        match mailed(&group.finding.dedupe_key) {
            Some(before) if is_quiet(&group, &before, &mailed, quiet_since) => {
                still_active.push(StillActive {
                    news: group,
                    mailed: before,
                });
            }
            _ => news.push(group),
        }
    }
    (news, still_active)
}

fn is_quiet(
    news: &News,
    before: &Mailed,
    mailed: impl Fn(&str) -> Option<Mailed>,
    quiet_since: Option<DateTime<Utc>>,
) -> bool {
    let told = |before: &Mailed, severity: Severity, count: u64| {
        quiet_since.is_none_or(|since| before.at > since)
            && severity <= before.severity
            && count < before.count.saturating_mul(2)
    };
    let mut tonight = news.gathered().filter(|gathered| gathered.is_of_tonight);
    told(before, news.finding.severity, news.count())
        && tonight.all(|gathered| {
            mailed(&gathered.dedupe_key)
                .is_some_and(|before| told(&before, gathered.severity, gathered.count))
        })
}

fn group_by_subject(mut findings: Vec<DigestFinding>) -> Vec<News> {
    let gravest = |finding: &DigestFinding| {
        let gathered = finding.gathered.iter().map(|g| g.severity);
        gathered.fold(finding.severity, Severity::max)
    };
    findings.sort_by(|a, b| {
        let (of_a, of_b) = (gravest(a), gravest(b));
        (of_b, b.severity, b.last_seen, &a.finding_id).cmp(&(
            of_a,
            a.severity,
            a.last_seen,
            &b.finding_id,
        ))
    });
    let mut groups: Vec<News> = Vec::new();
    let mut by_key: HashMap<String, usize> = HashMap::new();
    // A case stands where its gravest finding does.
    let mut ranks: HashMap<String, usize> = HashMap::new();
    for finding in findings {
        match by_key.get(&finding.dedupe_key) {
            Some(at) => groups[*at].others.push(finding),
            None => {
                by_key.insert(finding.dedupe_key.clone(), groups.len());
                let case = case_of(&finding).to_owned();
                ranks.entry(case).or_insert(groups.len());
                groups.push(News {
                    finding,
                    others: Vec::new(),
                });
            }
        }
    }
    groups.sort_by_key(|news| ranks.get(case_of(&news.finding)).copied());
    groups
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("test time")
    }

    pub(crate) fn finding(id: &str, key: &str, severity: Severity) -> DigestFinding {
        DigestFinding {
            finding_id: id.into(),
            dedupe_key: key.into(),
            rule_id: "integration-ui-login".into(),
            rule_version: 3,
            severity,
            title: "Integration user logged in through the UI".into(),
            who: Some("erp@example.com".into()),
            user_kind: Some("integration".into()),
            bucket_start: Some(at("2026-01-30T00:00:00Z")),
            first_seen: at("2026-01-30T02:11:00Z"),
            last_seen: at("2026-01-30T02:14:00Z"),
            count: 3,
            expected: "no login through the user interface".into(),
            observed: "3 logins of type Application from 203.0.113.77".into(),
            evidence: vec!["ip: 203.0.113.77".into(), "login_type: Application".into()],
            attack: vec!["T1078.004".into()],
            description: "An integration user has no business in the UI.".into(),
            false_positives: "An admin who debugs the integration.".into(),
            response: "Freeze the user, then rotate its credential.".into(),
            rows_command: "orgwatch sql \"SELECT 1\"".into(),
            suppressed_by: vec![
                "[[suppress]]".into(),
                "rule   = \"integration-ui-login\"".into(),
                "where  = { ip = \"203.0.113.77\" }".into(),
            ],
            case_id: None,
            case_subject: None,
            raised: None,
            gathered: vec![],
        }
    }

    fn mailed(count: u64, severity: Severity, when: &str) -> Mailed {
        Mailed {
            at: at(when),
            severity,
            count,
            nights: 2,
        }
    }

    fn outcome(before: Mailed) -> (usize, usize) {
        let tonight = vec![finding("f1", "k1", Severity::High)];
        let (news, active) = gather_news(tonight, |_| Some(before), at("2026-01-31T03:00:00Z"), 7);
        (news.len(), active.len())
    }

    #[test]
    fn what_was_mailed_within_the_quiet_days_folds() {
        assert_eq!(
            outcome(mailed(3, Severity::High, "2026-01-28T03:00:00Z")),
            (0, 1)
        );
    }

    #[test]
    fn after_the_quiet_days_it_is_news_again() {
        assert_eq!(
            outcome(mailed(3, Severity::High, "2026-01-24T03:00:00Z")),
            (1, 0)
        );
    }

    #[test]
    fn a_graver_or_much_larger_repeat_is_news() {
        assert_eq!(
            outcome(mailed(3, Severity::Medium, "2026-01-30T03:00:00Z")),
            (1, 0)
        );
        assert_eq!(
            outcome(mailed(1, Severity::High, "2026-01-30T03:00:00Z")),
            (1, 0)
        );
    }

    #[test]
    fn the_nights_of_one_subject_are_one_piece_of_news() {
        let mut second = finding("f2", "k1", Severity::High);
        second.bucket_start = Some(at("2026-01-29T00:00:00Z"));
        second.last_seen = at("2026-01-29T05:00:00Z");
        let (news, _) = gather_news(
            vec![
                second,
                finding("f1", "k1", Severity::High),
                finding("f3", "k2", Severity::Critical),
            ],
            |_| None,
            at("2026-01-31T03:00:00Z"),
            7,
        );
        let told: Vec<_> = news.iter().map(|n| n.finding.finding_id.as_str()).collect();
        assert_eq!(told, ["f3", "f1"]);
        assert_eq!(news[1].count(), 6);
        assert_eq!(news[1].days().len(), 2);
    }

    fn of_case(id: &str, case: &str, severity: Severity) -> DigestFinding {
        DigestFinding {
            case_id: Some(case.into()),
            ..finding(id, id, severity)
        }
    }

    #[test]
    fn the_findings_of_a_case_stand_together_where_its_gravest_stands() {
        let tonight = vec![
            of_case("f1", "a", Severity::Low),
            of_case("f2", "b", Severity::High),
            of_case("f3", "c", Severity::Medium),
            of_case("f4", "a", Severity::Critical),
            finding("f5", "f5", Severity::Medium),
        ];
        let (news, _) = gather_news(tonight, |_| None, at("2026-01-31T03:00:00Z"), 7);
        let told: Vec<_> = news.iter().map(|n| n.finding.finding_id.as_str()).collect();
        assert_eq!(told, ["f4", "f1", "f2", "f3", "f5"]);
    }

    pub(crate) fn gathered(id: &str, who: &str, severity: Severity) -> Gathered {
        Gathered {
            finding_id: id.into(),
            dedupe_key: format!("key of {id}"),
            rule_id: "session-hijack-suspected".into(),
            severity,
            who: Some(who.into()),
            count: 3,
            is_of_tonight: true,
        }
    }

    /// Whether a burst that was mailed last night is news with what it gathers tonight.
    fn is_news(gathered: Gathered, told: Option<Mailed>) -> bool {
        let mut burst = finding("burst", "key of the burst", Severity::Critical);
        burst.gathered = vec![gathered];
        let last_night = "2026-01-30T03:00:00Z";
        let (news, active) = gather_news(
            vec![burst],
            |key| match key {
                "key of the burst" => Some(mailed(3, Severity::Critical, last_night)),
                _ => told,
            },
            at("2026-01-31T03:00:00Z"),
            7,
        );
        assert_eq!(news.len() + active.len(), 1);
        !news.is_empty()
    }

    #[test]
    fn what_a_finding_gathers_is_news_once() {
        let of_tonight = || gathered("g", "ann@example.com", Severity::High);
        let known = Gathered {
            is_of_tonight: false,
            ..of_tonight()
        };
        let told = |severity| Some(mailed(3, severity, "2026-01-30T03:00:00Z"));
        assert!(is_news(of_tonight(), None));
        assert!(!is_news(of_tonight(), told(Severity::High)));
        assert!(is_news(of_tonight(), told(Severity::Medium)));
        assert!(!is_news(known, None));
    }

    #[test]
    fn a_finding_is_as_grave_as_the_gravest_that_it_gathers() {
        let mut burst = finding("burst", "k", Severity::Medium);
        burst.gathered = vec![gathered("g", "ann@example.com", Severity::Critical)];
        let other = finding("other", "o", Severity::High);
        let (news, _) = gather_news(vec![other, burst], |_| None, at("2026-01-31T03:00:00Z"), 7);
        assert_eq!(news[0].finding.finding_id, "burst");
        assert_eq!(news[0].severity(), Severity::Critical);
    }
}
