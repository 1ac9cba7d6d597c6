//! From what changed among the findings to the mails in the outbox.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::told::MailHistory;
use crate::alert::{
    AlertError, Audience, Digest, DigestFinding, Invocation, Letterhead, Outgoing, RunHealth,
    gather_news, rows_command, view_of,
};
use crate::config::Severity;
use crate::detect::{RuleSet, suppressed_by};
use crate::lake::{
    FileId, FindingChanges, FindingRow, Lake, LakeError, LedgerTable, OutboxMail, RunId,
};

/// Makes the digests of tonight's changes, one for each group of people.
pub struct Mailer<'a> {
    pub teller: Teller<'a>,
    pub audiences: &'a [Audience],
    pub head: &'a Letterhead,
    /// Groups that hear something today, be it that there is nothing to tell.
    pub heartbeats: BTreeSet<String>,
    pub org: String,
    pub run_id: RunId,
    pub at: DateTime<Utc>,
    pub data_day: NaiveDate,
    pub suppressed: u64,
    pub health: RunHealth,
}

impl Mailer<'_> {
    /// A digest for each group, in their order, whether or not it is worth a mail.
    pub fn digests(&self, changes: &FindingChanges, history: &MailHistory) -> Vec<Digest> {
        let digest = |audience| self.digest(audience, changes, history);
        self.audiences.iter().map(digest).collect()
    }

    fn digest(
        &self,
        audience: &Audience,
        changes: &FindingChanges,
        history: &MailHistory,
    ) -> Digest {
        let told_before = history.of(&audience.name);
        let theirs = |row: &&FindingRow| audience.is_theirs(row);
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
        let untold = history.open().iter();
        let untold = untold.filter(|row| told_before.is_untold(row));
        let untold = untold.map(|row| *moved.get(row.finding_id.as_str()).unwrap_or(&row));
        let mut told = BTreeMap::new();
        let tonight = changes.new.iter().chain(&changes.updated).chain(untold);
        for row in tonight.filter(theirs) {
            if !resolved.contains(row.finding_id.as_str()) {
                told.entry(row.finding_id.as_str()).or_insert(row);
            }
        }
        let told: Vec<&FindingRow> = told.into_values().collect();
        let gathering = history.gathering(changes);
        // Whoever hears of some users only is told nothing of the others under a common heading.
        let gathering = gathering.among(|row| audience.is_theirs(row));
        let to_tell = gathering.to_tell(&told, audience.min_severity, &self.teller);
        let is_new = |row: &&FindingRow| changes.new.iter().any(|n| n.finding_id == row.finding_id);
        let (news, still_active) = gather_news(
            to_tell.findings,
            |key| told_before.mailed(key, changes),
            self.at,
            self.head.quiet_days,
        );
        let ended: BTreeSet<&str> = changes
            .resolved
            .iter()
            .map(|r| r.finding_id.as_str())
            .collect();
        let was_told = |row: &&FindingRow| {
            let leader = row.correlation.gathered_by.as_deref();
            row.severity >= audience.min_severity
                && told_before.knows(&row.dedupe_key)
                && !leader.is_some_and(|leader| ended.contains(leader))
        };
        let resolved: Vec<_> = changes
            .resolved
            .iter()
            .filter(theirs)
            .filter(was_told)
            .map(|row| self.teller.finding(row))
            .collect();
        let is_quiet = news.is_empty() && resolved.is_empty();
        Digest {
            org: self.org.clone(),
            run_id: self.run_id,
            at: self.at,
            data_day: self.data_day,
            news,
            still_active,
            resolved,
            suppressed: self.suppressed,
            below_threshold: to_tell.below.iter().filter(|row| is_new(row)).count() as u64,
            health: self.health.clone(),
            audience: audience.name.clone(),
            is_heartbeat: is_quiet && self.heartbeats.contains(&audience.name),
            elsewhere: 0,
        }
    }

    /// The mails and posts of these digests, in the order in which they go: first what is critical, to
    /// whomever it goes.
    pub fn compose(&self, digests: &[Digest]) -> Result<Vec<(Digest, Outgoing)>, AlertError> {
        let mut mails = Vec::new();
        for (audience, digest) in self.audiences.iter().zip(digests) {
            for part in digest.clone().into_mails() {
                let mail = audience.channel.compose(&part, self.head)?;
                mails.push((part, mail));
            }
        }
        mails.sort_by_key(|(part, _)| !part.is_urgent());
        Ok(mails)
    }

    /// The same as entries of the outbox, which remember what they told.
    pub fn outbox(&self, digests: &[Digest]) -> Result<Vec<OutboxMail>, AlertError> {
        let mails = self.compose(digests)?.into_iter();
        Ok(mails.map(|(part, mail)| to_outbox(mail, &part)).collect())
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
            suppressed_by: suppressed_by(row),
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
fn to_outbox(mail: Outgoing, digest: &Digest) -> OutboxMail {
    let line = |key: &str, severity: Severity, count: u64| format!("{key} {severity} {count}");
    let told = digest.news.iter().flat_map(|news| {
        let finding = &news.finding;
        let gathered = news.gathered();
        std::iter::once(line(&finding.dedupe_key, finding.severity, news.count()))
            .chain(gathered.map(|g| line(&g.dedupe_key, g.severity, g.count)))
    });
    OutboxMail {
        message_id: mail.message_id,
        audience: digest.audience.clone(),
        recipients: mail.recipients,
        subject: mail.subject,
        body: mail.bytes,
        reference: Some(told.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
