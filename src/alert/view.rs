//! What a digest says, as ready strings. Both parts of the mail are rendered from this one
//! value, so that they cannot tell different facts, and every text in it is printable.

use chrono::{DateTime, Days, SecondsFormat, Utc};
use serde::Serialize;

use super::digest::{Digest, DigestFinding, News, RunHealth, StillActive, case_of};
use super::{GatheredWords, Letterhead};
use crate::config::Severity;
use crate::privacy::printable;
use crate::words::counted;

/// Longest text of one field, in characters.
const MAX_TEXT: usize = 400;
const MAX_EVIDENCE: usize = 10;
const MAX_LISTED: usize = 10;

#[derive(Debug, Serialize)]
pub struct View {
    pub verdict: String,
    pub night: String,
    pub tally: String,
    /// What another mail of the same run tells.
    pub elsewhere: Option<String>,
    pub findings: Vec<FindingView>,
    pub more: Option<String>,
    pub still_active: Vec<String>,
    /// Why what is listed as still active is not told again.
    pub quiet_note: String,
    pub resolved: Vec<String>,
    pub health: Vec<String>,
    /// TOML that silences the first finding, ready to paste.
    pub suppress: Vec<String>,
    /// The one link of a mail, from the configuration.
    pub link: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct FindingView {
    pub number: usize,
    /// The case, on the first finding of it.
    pub case: Option<String>,
    /// Upper-case word.
    pub severity: String,
    /// Colour of the word, beside it and never instead of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<&'static str>,
    pub title: String,
    pub who: String,
    pub expected: String,
    pub observed: String,
    pub seen: String,
    pub count: String,
    /// From which severity, and why.
    pub raised: Option<String>,
    pub gathers: Option<GathersView>,
    pub why: Option<String>,
    pub evidence: Vec<String>,
    pub false_positives: Option<String>,
    pub response: Option<String>,
    pub command: String,
    pub rule: String,
}

/// Findings that are told as a number.
#[derive(Debug, Serialize)]
pub struct GathersView {
    pub summary: String,
    pub details: String,
}

impl View {
    pub fn new(digest: &Digest, head: &Letterhead) -> Self {
        let shown = gravest(&digest.news, head.max_shown);
        let findings: Vec<_> = shown
            .iter()
            .enumerate()
            .map(|(n, news)| {
                let before = n.checked_sub(1).and_then(|n| shown.get(n));
                let is_first =
                    before.is_none_or(|before| case_of(&before.finding) != case_of(&news.finding));
                FindingView::new(n + 1, news, is_first)
            })
            .collect();
        let hidden = digest.news.len().saturating_sub(head.max_shown);
        Self {
            verdict: verdict(digest),
            night: format!(
                "Data up to {}, run {} at {}",
                digest.data_day,
                digest.run_id,
                instant(digest.at)
            ),
            tally: tally(digest),
            elsewhere: elsewhere(digest),
            findings,
            more: (hidden > 0)
                .then(|| format!("+ {hidden} more; `orgwatch findings list` shows all")),
            still_active: capped(digest.still_active.iter().map(still_active_line)),
            quiet_note: format!(
                "Mailed within the last {} and no graver since:",
                counted(head.quiet_days as usize, "day")
            ),
            resolved: capped(digest.resolved.iter().map(resolved_line)),
            health: health_lines(&digest.health),
            suppress: digest
                .news
                .first()
                .map(|news| suppress_lines(&news.finding, digest.at))
                .unwrap_or_default(),
            link: head.link.clone(),
        }
    }
}

/// As many as a mail shows, in their order. A slight finding in a grave case takes the place of no
/// grave one.
pub(super) fn gravest(news: &[News], most: usize) -> Vec<&News> {
    let mut ranked: Vec<usize> = (0..news.len()).collect();
    ranked.sort_by_key(|n| std::cmp::Reverse(news[*n].severity()));
    ranked.truncate(most);
    ranked.sort_unstable();
    ranked.into_iter().map(|n| &news[n]).collect()
}

impl FindingView {
    fn new(number: usize, news: &News, is_first_of_case: bool) -> Self {
        let finding = &news.finding;
        let days = news.days();
        let (first, last) = (news.first_seen(), news.last_seen());
        let mut seen = if first == last {
            instant(first)
        } else {
            format!("{} to {}", instant(first), instant(last))
        };
        if days.len() > 1 {
            seen.push_str(&format!(", on {} days", days.len()));
        }
        Self {
            number,
            case: is_first_of_case.then(|| case_line(finding)),
            severity: news.severity().as_str().to_uppercase(),
            colour: Some(colour(news.severity())),
            title: text(&finding.title),
            who: who(finding),
            expected: text(&finding.expected),
            observed: text(&finding.observed),
            seen,
            count: events(news.count()),
            raised: finding.raised.as_ref().map(|(from, because)| {
                format!("from {}: {}", from.as_str().to_uppercase(), text(because))
            }),
            gathers: GatheredWords::of(news).map(|words| GathersView {
                summary: words.summary,
                details: words.details,
            }),
            why: prose(&finding.description),
            evidence: evidence(finding),
            false_positives: prose(&finding.false_positives),
            response: prose(&finding.response),
            command: command(finding),
            rule: rule_line(finding),
        }
    }
}

/// The command line that shows the rows, unwrapped, so that it can be copied.
pub(super) fn command(finding: &DigestFinding) -> String {
    printable(&finding.rows_command, 2 * MAX_TEXT)
}

/// Who a finding is about, in one printable phrase.
pub fn who(finding: &DigestFinding) -> String {
    match (&finding.who, &finding.user_kind) {
        (Some(who), Some(kind)) => format!("{} ({})", text(who), text(kind)),
        (Some(who), None) => text(who),
        (None, _) => "no single user".to_owned(),
    }
}

/// Whom a case is about, its day, and its id as far as one needs it.
fn case_line(finding: &DigestFinding) -> String {
    let name = match (&finding.who, &finding.case_subject) {
        (None, Some(subject)) => text(subject),
        (None, None) => "The org itself".to_owned(),
        (Some(_), _) => who(finding),
    };
    let mut line = format!("{name}, {}", finding.day());
    if let Some(id) = &finding.case_id {
        let id: String = id.chars().take(12).collect();
        line.push_str(&format!(", case {}", text(&id)));
    }
    line
}

pub(super) fn verdict(digest: &Digest) -> String {
    let org = text(&digest.org);
    let new = digest.new_findings();
    if new == 0 && digest.resolved.is_empty() {
        return match digest.still_active.len() {
            0 => format!("All quiet in {org}: nothing new"),
            n => format!(
                "Nothing new in {org}; {} still active",
                counted(n, "finding")
            ),
        };
    }
    if new == 0 {
        return format!(
            "Nothing new in {org}; {} resolved",
            counted(digest.resolved.len(), "finding")
        );
    }
    let mut line = format!(
        "{}: {} in {org}",
        digest.severity().as_str().to_uppercase(),
        counted(new, "new finding")
    );
    let cases = digest.cases();
    if new > cases {
        line.push_str(&format!(", {}", counted(cases, "case")));
    }
    let gathered = digest.gathered_findings();
    if gathered > 0 {
        let of = counted(gathered, "finding");
        line.push_str(&format!(", and {of} of single users gathered under them"));
    }
    line
}

fn elsewhere(digest: &Digest) -> Option<String> {
    let others = digest.elsewhere;
    (others > 0).then(|| match digest.is_urgent() {
        true => format!(
            "{} of this run that {} not critical: in a mail of {} own",
            counted(others, "finding"),
            if others == 1 { "is" } else { "are" },
            if others == 1 { "its" } else { "their" },
        ),
        false => format!(
            "What is critical in this run and what belongs to it ({}): in a mail of its own, sent \
             before this one",
            counted(others, "finding"),
        ),
    })
}

fn tally(digest: &Digest) -> String {
    let mut parts = vec![
        format!("{} still active", digest.still_active.len()),
        format!("{} resolved", digest.resolved.len()),
        format!("{} suppressed", digest.suppressed),
    ];
    if digest.below_threshold > 0 {
        parts.push(format!(
            "{} below this group's threshold",
            digest.below_threshold
        ));
    }
    parts.join(", ")
}

fn still_active_line(active: &StillActive) -> String {
    let finding = &active.news.finding;
    let gathers = gathers_in_brief(&active.news);
    format!(
        "{} {}: {}, night {}, mailed {}{gathers}",
        active.news.severity().as_str().to_uppercase(),
        text(&finding.title),
        who(finding),
        active.mailed.nights,
        active.mailed.at.date_naive()
    )
}

fn gathers_in_brief(news: &News) -> String {
    let words = GatheredWords::of(news);
    words.map_or(String::new(), |words| {
        format!(", gathers {}", words.summary)
    })
}

fn resolved_line(finding: &DigestFinding) -> String {
    format!(
        "{} {}: {}, last seen {}",
        finding.severity.as_str().to_uppercase(),
        text(&finding.title),
        who(finding),
        instant(finding.last_seen)
    )
}

fn rule_line(finding: &DigestFinding) -> String {
    let mut line = format!(
        "{} version {}",
        text(&finding.rule_id),
        finding.rule_version
    );
    if !finding.attack.is_empty() {
        line.push_str(&format!(", ATT&CK {}", text(&finding.attack.join(" "))));
    }
    line.push_str(&format!(", finding {}", text(&finding.finding_id)));
    line
}

pub(super) fn evidence(finding: &DigestFinding) -> Vec<String> {
    let mut lines: Vec<_> = finding
        .evidence
        .iter()
        .take(MAX_EVIDENCE)
        .map(|l| text(l))
        .collect();
    if finding.evidence.len() > MAX_EVIDENCE {
        lines.push(format!("+ {} more", finding.evidence.len() - MAX_EVIDENCE));
    }
    lines
}

fn health_lines(health: &RunHealth) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} read, {} known already, {} rejected",
            counted(health.files_read, "file"),
            health.files_known,
            health.files_rejected.len()
        ),
        format!(
            "{} rows read = {} kept + {} duplicate + {} quarantined",
            health.rows_read, health.rows_kept, health.rows_duplicate, health.rows_quarantined
        ),
        format!(
            "{} asked, {} failed, {} blind, {} never had input",
            counted(health.rules_ok, "rule"),
            health.rules_failed.len(),
            health.rules_blind.len(),
            health.rules_never_had_input.len()
        ),
    ];
    let troubles = [
        ("rejected", &health.files_rejected),
        ("rule failed", &health.rules_failed),
        ("rule blind", &health.rules_blind),
        ("never had input", &health.rules_never_had_input),
    ];
    for (what, list) in troubles {
        let described = list
            .iter()
            .map(|(name, why)| format!("{what}: {}: {}", text(name), text(why)));
        lines.extend(capped(described));
    }
    lines.extend(capped(health.remarks.iter().map(|r| text(r))));
    lines
}

fn suppress_lines(finding: &DigestFinding, at: DateTime<Utc>) -> Vec<String> {
    let until = at
        .checked_add_days(Days::new(30))
        .unwrap_or(at)
        .date_naive();
    let covers = finding.suppressed_by.iter();
    let mut lines: Vec<String> = covers.map(|line| printable(line, 3 * MAX_TEXT)).collect();
    lines.push("reason = \"\"    # why this is expected".to_owned());
    lines.push("owner  = \"\"    # who answers for it".to_owned());
    lines.push(format!("until  = {until}"));
    lines
}

fn capped(lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let hidden = lines.len().saturating_sub(MAX_LISTED);
    let mut shown: Vec<_> = lines.take(MAX_LISTED).collect();
    if hidden > 0 {
        shown.push(format!("+ {hidden} more"));
    }
    shown
}

fn colour(severity: Severity) -> &'static str {
    use Severity::*;
    match severity {
        Critical => "#8b0000",
        High => "#b3261e",
        Medium => "#8a5300",
        Low => "#1d5b8f",
        Info => "#555555",
    }
}

fn events(n: u64) -> String {
    counted(n, "event")
}

pub(super) fn prose(value: &str) -> Option<String> {
    let joined = value.split_whitespace().collect::<Vec<_>>().join(" ");
    (!joined.is_empty()).then(|| printable(&joined, 3 * MAX_TEXT))
}

pub(super) fn text(value: &str) -> String {
    printable(value, MAX_TEXT)
}

pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
