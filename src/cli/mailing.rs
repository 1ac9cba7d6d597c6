//! From what changed among the findings to the mail in the outbox, and from the outbox to where
//! mails are read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::gathering::Gathering;
use super::workplace::Workplace;
use crate::alert::{
    Digest, DigestFinding, FileTransport, Invocation, Mail, Mailed, QUIET_DAYS, Recipients,
    RunHealth, compose, gather_news, rows_command, view_of,
};
use crate::config::Severity;
use crate::detect::RuleSet;
use crate::lake::{
    FileId, Finding, FindingChanges, FindingFilter, FindingRow, Lake, LakeError, LedgerTable,
    OutboxMail, RunId, Status,
};

/// What earlier mails told and what nobody was told yet, read before tonight's changes.
pub struct MailHistory {
    mailed: BTreeMap<String, Vec<Mailed>>,
    /// Open findings of which no mail has told, or not that they are so grave: found or raised by
    /// `detect`, or below a threshold that has changed since.
    untold: Vec<FindingRow>,
    nights: BTreeMap<String, BTreeSet<NaiveDate>>,
    gathering: Gathering,
}

impl MailHistory {
    pub fn read(lake: &Lake) -> anyhow::Result<Self> {
        let findings = lake.ledger().findings(&FindingFilter::default())?;
        let mailed = mailed(lake, &reopened(&findings))?;
        let mut nights: BTreeMap<String, BTreeSet<NaiveDate>> = BTreeMap::new();
        let mut untold = Vec::new();
        let gathering = Gathering::of(findings.iter());
        for finding in findings {
            let row = finding.row;
            let day = row.bucket_start.unwrap_or(row.first_seen).date_naive();
            nights
                .entry(row.dedupe_key.clone())
                .or_default()
                .insert(day);
            let open = matches!(finding.status, Status::New | Status::Ongoing);
            if open && gravest_told(&mailed, &row).is_none_or(|told| row.severity > told) {
                untold.push(row);
            }
        }
        Ok(Self {
            mailed,
            untold,
            nights,
            gathering,
        })
    }

    /// What is gathered after tonight's changes.
    pub fn gathering(&self, changes: &FindingChanges) -> Gathering {
        self.gathering.after(changes)
    }
}

/// The gravest that mails called a finding: those after its first event, which may have told of
/// it; none of these, then any of its key.
fn gravest_told(mailed: &BTreeMap<String, Vec<Mailed>>, row: &FindingRow) -> Option<Severity> {
    let words = mailed.get(&row.dedupe_key)?;
    let since = words.iter().filter(|word| word.at >= row.first_seen);
    let gravest = since.map(|word| word.severity).max();
    gravest.or_else(|| words.iter().map(|word| word.severity).max())
}

/// The last run, of each dedupe key that is open again after a person had closed it, whose mails
/// told of the time before.
fn reopened(findings: &[Finding]) -> BTreeMap<&str, RunId> {
    let mut reopened: BTreeMap<&str, RunId> = BTreeMap::new();
    for finding in findings {
        if let Some(again) = &finding.reopened {
            let after = reopened.entry(&finding.row.dedupe_key).or_default();
            *after = again.after_run.max(*after);
        }
    }
    reopened
}

/// Reads the references that [`to_outbox`] writes: each word on each dedupe key, the latest last.
/// Words up to the run of `reopened` are of another time.
fn mailed(
    lake: &Lake,
    reopened: &BTreeMap<&str, RunId>,
) -> Result<BTreeMap<String, Vec<Mailed>>, LakeError> {
    let alerts = lake.ledger().snapshot(LedgerTable::Alerts)?;
    let mut mailed: BTreeMap<String, Vec<Mailed>> = BTreeMap::new();
    let (Some(created), Some(references), Some(runs)) = (
        alerts.column_by_name("created_at"),
        alerts.column_by_name("reference"),
        alerts.column_by_name("run_id"),
    ) else {
        return Ok(mailed);
    };
    let created = created.as_primitive::<TimestampMillisecondType>();
    let references = references.as_string_view();
    let runs = runs.as_primitive::<Int64Type>();
    for row in (0..alerts.num_rows()).filter(|row| references.is_valid(*row)) {
        let Some(at) = DateTime::from_timestamp_millis(created.value(row)) else {
            continue;
        };
        for line in references.value(row).split(", ") {
            if let Some((key, severity, count)) = told(line)
                && reopened
                    .get(key)
                    .is_none_or(|after| runs.value(row) > *after)
            {
                mailed.entry(key.to_owned()).or_default().push(Mailed {
                    at,
                    severity,
                    count,
                    nights: 1,
                });
            }
        }
    }
    Ok(mailed)
}

fn told(line: &str) -> Option<(&str, Severity, u64)> {
    let mut words = line.split(' ');
    let (key, severity, count) = (words.next()?, words.next()?, words.next()?);
    Some((key, Severity::from_word(severity)?, count.parse().ok()?))
}

/// Makes the digest of tonight's changes.
pub struct Mailer<'a> {
    pub teller: Teller<'a>,
    pub org: String,
    pub run_id: RunId,
    pub at: DateTime<Utc>,
    pub data_day: NaiveDate,
    pub min_severity: Severity,
    pub suppressed: u64,
    pub health: RunHealth,
}

impl Mailer<'_> {
    /// The digest, whether or not it is worth a mail.
    pub fn digest(&self, changes: &FindingChanges, history: &MailHistory) -> Digest {
        let resolved: BTreeSet<&str> = changes
            .resolved
            .iter()
            .chain(&changes.quiet)
            .map(|r| r.finding_id.as_str())
            .collect();
        // Tonight may have changed what nobody was told yet without making news of it.
        let moved = changes.unchanged.iter().chain(&changes.moved);
        let moved: BTreeMap<&str, &FindingRow> =
            moved.map(|row| (row.finding_id.as_str(), row)).collect();
        let untold = history.untold.iter();
        let untold = untold.map(|row| *moved.get(row.finding_id.as_str()).unwrap_or(&row));
        let mut told = BTreeMap::new();
        for row in changes.new.iter().chain(&changes.updated).chain(untold) {
            if !resolved.contains(row.finding_id.as_str()) {
                told.entry(row.finding_id.as_str()).or_insert(row);
            }
        }
        let told: Vec<&FindingRow> = told.into_values().collect();
        let gathering = history.gathering(changes);
        let to_tell = gathering.to_tell(&told, self.min_severity, &self.teller);
        let is_new = |row: &&FindingRow| changes.new.iter().any(|n| n.finding_id == row.finding_id);
        let (news, still_active) = gather_news(
            to_tell.findings,
            |key| self.mailed(key, changes, history),
            self.at,
            QUIET_DAYS,
        );
        let ended: BTreeSet<&str> = changes
            .resolved
            .iter()
            .map(|r| r.finding_id.as_str())
            .collect();
        let was_told = |row: &&FindingRow| {
            let leader = row.correlation.gathered_by.as_deref();
            row.severity >= self.min_severity
                && history.mailed.contains_key(&row.dedupe_key)
                && !leader.is_some_and(|leader| ended.contains(leader))
        };
        Digest {
            org: self.org.clone(),
            run_id: self.run_id,
            at: self.at,
            data_day: self.data_day,
            news,
            still_active,
            resolved: changes
                .resolved
                .iter()
                .filter(was_told)
                .map(|row| self.teller.finding(row))
                .collect(),
            suppressed: self.suppressed,
            below_threshold: to_tell.below.iter().filter(|row| is_new(row)).count() as u64,
            health: self.health.clone(),
        }
    }

    fn mailed(&self, key: &str, changes: &FindingChanges, history: &MailHistory) -> Option<Mailed> {
        if changes.reopens(key) {
            return None;
        }
        let mut nights = history.nights.get(key).cloned().unwrap_or_default();
        let tonight = changes
            .new
            .iter()
            .chain(&changes.updated)
            .filter(|r| r.dedupe_key == key);
        nights.extend(tonight.map(|r| r.bucket_start.unwrap_or(r.first_seen).date_naive()));
        let nights = u32::try_from(nights.len()).unwrap_or(u32::MAX);
        let words = history.mailed.get(key)?;
        words.last().map(|mailed| Mailed { nights, ..*mailed })
    }
}

/// Tells a stored finding in the words of its rule.
pub struct Teller<'a> {
    rules: &'a RuleSet,
    invocation: &'a Invocation,
    /// Event type of each input file.
    event_types: HashMap<FileId, String>,
}

impl<'a> Teller<'a> {
    pub fn new(
        lake: &Lake,
        rules: &'a RuleSet,
        invocation: &'a Invocation,
    ) -> Result<Self, LakeError> {
        let files = lake.ledger().snapshot(LedgerTable::Files)?;
        let mut event_types = HashMap::new();
        if let (Some(ids), Some(types)) = (
            files.column_by_name("file_id"),
            files.column_by_name("event_type"),
        ) {
            let (ids, types) = (ids.as_primitive::<Int64Type>(), types.as_string_view());
            for row in (0..files.num_rows()).filter(|row| types.is_valid(*row)) {
                event_types.insert(ids.value(row), types.value(row).to_owned());
            }
        }
        Ok(Self {
            rules,
            invocation,
            event_types,
        })
    }

    /// A finding with its rule's words and the command that shows its rows.
    pub fn finding(&self, row: &FindingRow) -> DigestFinding {
        let rule = self.rules.get(&row.rule_id);
        let user_key = row.user_key.as_deref().or(row.user_id.as_deref());
        let place = &row.correlation;
        DigestFinding {
            finding_id: row.finding_id.clone(),
            dedupe_key: row.dedupe_key.clone(),
            rule_id: row.rule_id.clone(),
            rule_version: row.rule_version,
            severity: row.severity,
            title: row.title.clone(),
            who: who(row),
            user_kind: row.user_kind.clone(),
            bucket_start: row.bucket_start,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            count: row.count,
            expected: row.expected.clone(),
            observed: row.observed.clone(),
            evidence: evidence_lines(&row.evidence_json),
            attack: row.attack.clone(),
            description: rule.map(|r| r.description.clone()).unwrap_or_default(),
            false_positives: rule
                .map(|r| r.false_positives.join("; "))
                .unwrap_or_default(),
            response: rule.map(|r| r.response.join("; ")).unwrap_or_default(),
            rows_command: rows_command(
                self.invocation,
                &self.tables(row),
                &row.finding_id,
                user_key,
                row.first_seen,
                row.last_seen,
            ),
            case_id: place.case_id.clone(),
            case_subject: place.case_subject.clone(),
            raised: place.raised_from.zip(place.raised_because.clone()),
            gathered: Vec::new(),
        }
    }

    /// Where to look first: the tables that the rule's query reads, led by the view of the rows
    /// that the finding cites as proof.
    fn tables(&self, row: &FindingRow) -> Vec<String> {
        let rule = self.rules.get(&row.rule_id);
        let mut tables = rule.map(|r| names_in(&r.sql)).unwrap_or_default();
        let cited = cited_file(&row.evidence_json).and_then(|id| self.event_types.get(&id));
        if let Some(view) = cited.map(|event_type| view_of(event_type))
            && let Some(at) = tables.iter().position(|table| table == view)
        {
            let view = tables.remove(at);
            tables.insert(0, view);
        }
        tables
    }
}

pub fn who(row: &FindingRow) -> Option<String> {
    row.username
        .clone()
        .or_else(|| row.user_id.clone())
        .or_else(|| row.user_key.clone())
}

/// The file of the first row in `proof`, whose entries are `file_id:line_no`.
fn cited_file(evidence_json: &str) -> Option<FileId> {
    let evidence: Value = serde_json::from_str(evidence_json).ok()?;
    let first = evidence.get("proof")?.get(0)?.as_str()?;
    first.split(':').next()?.parse().ok()
}

/// The names that a query may read from, in the order of the text.
fn names_in(sql: &str) -> Vec<String> {
    let code = sql.split_once("*/").map_or(sql, |(_, code)| code);
    let words: Vec<&str> = code
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|w| !w.is_empty())
        .collect();
    let reads = |word: &str| word.eq_ignore_ascii_case("from") || word.eq_ignore_ascii_case("join");
    words
        .windows(2)
        .filter(|pair| reads(pair[0]))
        .map(|pair| pair[1].to_lowercase())
        .collect()
}

/// `column: value` for every evidence column that says something.
pub fn evidence_lines(json: &str) -> Vec<String> {
    let Ok(Value::Object(columns)) = serde_json::from_str(json) else {
        return Vec::new();
    };
    columns
        .iter()
        // The role stands beside the user already.
        .filter(|(name, _)| !matches!(name.as_str(), "role" | "role_source"))
        .filter_map(|(name, value)| value_text(value).map(|text| format!("{name}: {text}")))
        .collect()
}

fn value_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().filter_map(value_text).collect();
            (!items.is_empty()).then(|| items.join(", "))
        }
        Value::Object(map) => {
            let pairs: Vec<_> = map
                .iter()
                .filter_map(|(k, v)| Some(format!("{k}={}", value_text(v)?)))
                .collect();
            (!pairs.is_empty()).then(|| pairs.join(" "))
        }
        other => Some(other.to_string()),
    }
}

/// A composed digest as an outbox entry that remembers what it told.
pub fn to_outbox(mail: Mail, digest: &Digest) -> OutboxMail {
    let line = |key: &str, severity: Severity, count: u64| format!("{key} {severity} {count}");
    let told = digest.news.iter().flat_map(|news| {
        let finding = &news.finding;
        let gathered = news.gathered();
        std::iter::once(line(&finding.dedupe_key, finding.severity, news.count()))
            .chain(gathered.map(|g| line(&g.dedupe_key, g.severity, g.count)))
    });
    OutboxMail {
        message_id: mail.message_id,
        recipients: mail.recipients,
        subject: mail.subject,
        body: mail.bytes,
        reference: Some(told.collect::<Vec<_>>().join(", ")),
    }
}

/// The outbox entries of a digest: one, or none where there is nothing to tell.
pub fn outbox_of(
    digest: &Digest,
    recipients: &Recipients,
) -> Result<Vec<OutboxMail>, crate::alert::AlertError> {
    if !digest.is_worth_a_mail() {
        return Ok(Vec::new());
    }
    let mail = compose(digest, recipients)?;
    Ok(vec![to_outbox(mail, digest)])
}

/// What became of the mails that waited.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Where each mail was written, oldest first.
    pub written: Vec<PathBuf>,
    /// Why mails are still waiting.
    pub failed: Vec<String>,
}

/// Delivers all that waits, oldest first. A mail that cannot be delivered stays.
pub fn deliver(lake: &mut Lake, place: &Workplace<'_>) -> anyhow::Result<Deliveries> {
    let transport = FileTransport::new(lake.data_dir().join("outbox"));
    let mut deliveries = Deliveries::default();
    for pending in lake.ledger().outbox_pending()? {
        let at = place.clock.now();
        match transport.deliver(&pending.mail.message_id, &pending.mail.body) {
            Ok(path) => {
                let written = path.display().to_string();
                lake.ledger_mut()
                    .outbox_mark_sent(pending.outbox_id, at, &written)?;
                deliveries.written.push(path);
            }
            Err(error) => {
                let why = format!("{:#}", anyhow::Error::from(error));
                lake.ledger_mut()
                    .outbox_mark_failed(pending.outbox_id, at, &why)?;
                deliveries.failed.push(why);
            }
        }
    }
    Ok(deliveries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mail_told_is_read_back() {
        assert_eq!(told("ab12 high 7"), Some(("ab12", Severity::High, 7)));
        assert_eq!(told("a digest's run"), None);
        assert_eq!(told(""), None);
    }

    #[test]
    fn evidence_becomes_lines_without_empty_columns() {
        let json =
            r#"{"ip":"203.0.113.7","app":null,"flows":["a","b"],"n":3,"none":[],"o":{"k":1}}"#;
        assert_eq!(
            evidence_lines(json),
            ["ip: 203.0.113.7", "flows: a, b", "n: 3", "o: k=1"]
        );
        assert!(evidence_lines("not json").is_empty());
    }

    #[test]
    fn the_tables_of_a_rule_are_read_from_its_query() {
        let sql = "/* inputs: from nowhere */ WITH x AS (SELECT * FROM logins l JOIN registry_users u) SELECT * FROM x";
        assert_eq!(names_in(sql), ["logins", "registry_users", "x"]);
    }
}
