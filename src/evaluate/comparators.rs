//! The logic that others have published, asked of the same lake and scored in the same harness.
//!
//! An alert of a comparator answers any attack's label of its subject and days, whatever the
//! label's right answers are: nobody can know them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type};
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::EvaluateError;
use super::claim::{About, Span};
use super::judge::attacked_days;
use super::labels::{Kind, Label};
use crate::catalog::parse_ip;
use crate::config::Severity;
use crate::engine::{Params, Session, app_name_key};

include!(concat!(env!("OUT_DIR"), "/embedded_comparators.rs"));

/// Alerts of one comparator that are looked at.
const MOST_ALERTS: usize = 1_000_000;

/// One file of `queries/comparators`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparator {
    pub id: String,
    pub title: String,
    pub source: String,
    pub claims: String,
    /// The logs that it needs: `free` or `shield`.
    pub tier: String,
    /// Severity of a row that states none.
    pub severity: Severity,
    pub notes: String,
    pub sql: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    id: String,
    title: String,
    source: String,
    claims: String,
    tier: String,
    severity: Severity,
    #[serde(default)]
    notes: String,
}

impl Comparator {
    /// A file: a block comment with TOML, then one query.
    pub fn read(file: &str, text: &str) -> Result<Self, EvaluateError> {
        let wrong = |line: usize, what: String| EvaluateError::Comparator {
            file: file.to_owned(),
            line,
            what,
            hint: "the file begins with /* id, title, source, claims, tier, severity, notes */ as TOML",
        };
        let rest = text.strip_prefix("/*");
        let parts = rest.and_then(|rest| rest.split_once("*/"));
        let Some((head, _)) = parts else {
            return Err(wrong(
                1,
                "the comment at its beginning is missing".to_owned(),
            ));
        };
        let head: Head = toml::from_str(head).map_err(|error| {
            let before = error.span().map_or(0, |span| span.start);
            let lines = head.get(..before).unwrap_or_default().matches('\n').count();
            wrong(lines + 1, error.message().to_owned())
        })?;
        if file.strip_suffix(".sql") != Some(&head.id) {
            return Err(wrong(1, "its `id` is not the file's name".to_owned()));
        }
        if !["free", "shield"].contains(&head.tier.as_str()) {
            return Err(wrong(1, "its `tier` is neither free nor shield".to_owned()));
        }
        Ok(Self {
            id: head.id,
            title: head.title,
            source: head.source,
            claims: head.claims,
            tier: head.tier,
            severity: head.severity,
            notes: head.notes,
            sql: text.to_owned(),
        })
    }

    /// Those that come with the program, by id.
    pub fn embedded() -> Result<Vec<Self>, EvaluateError> {
        let files = COMPARATORS.iter();
        files.map(|(file, text)| Self::read(file, text)).collect()
    }
}

/// What a comparator says of one subject and day.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alert {
    day: NaiveDate,
    about: About,
    severity: Severity,
}

/// What one comparator told of one org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedComparator {
    pub id: String,
    pub title: String,
    pub tier: String,
    pub alerts: u64,
    pub answers: u64,
    pub look_alikes: u64,
    pub false_alarms: u64,
    /// On clean nights.
    pub clean: u64,
    pub clean_high: u64,
    /// Positions of the org's labels of which it told.
    pub told: BTreeSet<usize>,
    /// Why it told nothing.
    pub failed: Option<String>,
}

/// Asks a comparator and judges what it says. One that fails is told, and told as failed.
pub fn ask(
    comparator: &Comparator,
    session: &Session,
    labels: &[Label],
    limit: Duration,
) -> JudgedComparator {
    let alerts = alerts(comparator, session, limit);
    let mut judged = judge(comparator, labels, alerts.as_deref().unwrap_or_default());
    judged.failed = alerts.err();
    judged
}

fn alerts(
    comparator: &Comparator,
    session: &Session,
    limit: Duration,
) -> Result<Vec<Alert>, String> {
    let began = Instant::now();
    let told = |error: crate::engine::EngineError| error.to_string();
    let stream = session
        .stream(&comparator.sql, &Params::new())
        .map_err(told)?;
    let left = limit.saturating_sub(began.elapsed());
    let Some(batches) = stream.collect_within(left).map_err(told)? else {
        return Err(format!("it took longer than {} seconds", limit.as_secs()));
    };
    let mut all = vec![];
    for batch in &batches {
        read(batch, comparator.severity, &mut all)?;
        if all.len() > MOST_ALERTS {
            return Err(format!("it told more than {MOST_ALERTS} times"));
        }
    }
    Ok(all)
}

/// Rows as alerts: `day`, and of `user_key`, `ip`, `app` and `severity` what there is.
fn read(batch: &RecordBatch, severity: Severity, all: &mut Vec<Alert>) -> Result<(), String> {
    let column = |name: &str, kind: &DataType| {
        let column = batch.column_by_name(name);
        let column = column.map(|column| cast(column, kind));
        column.transpose().map_err(|error| error.to_string())
    };
    let days = column("day", &DataType::Date32)?.ok_or("its result has no column `day`")?;
    let days = days.as_primitive::<Date32Type>();
    let text = |name: &str| column(name, &DataType::Utf8);
    let (users, ips) = (text("user_key")?, text("ip")?);
    let (apps, severities) = (text("app")?, text("severity")?);
    let cell = |column: &Option<arrow::array::ArrayRef>, row: usize| {
        let cells = column.as_ref()?.as_string::<i32>();
        cells.is_valid(row).then(|| cells.value(row).to_owned())
    };
    for row in 0..batch.num_rows() {
        let day = days
            .is_valid(row)
            .then(|| days.value_as_date(row))
            .flatten();
        let Some(day) = day else { continue };
        let ip = cell(&ips, row).and_then(|ip| parse_ip(ip.as_bytes()));
        let stated = cell(&severities, row).and_then(|word| Severity::from_word(&word));
        all.push(Alert {
            day,
            about: About {
                names: cell(&users, row)
                    .map(|user| user.to_lowercase())
                    .into_iter()
                    .collect(),
                apps: cell(&apps, row)
                    .map(|app| app_name_key(&app))
                    .into_iter()
                    .collect(),
                networks: ip.map(ipnet::IpNet::from).into_iter().collect(),
            },
            severity: stated.unwrap_or(severity),
        });
    }
    Ok(())
}

fn judge(comparator: &Comparator, labels: &[Label], alerts: &[Alert]) -> JudgedComparator {
    let known: Vec<(&Label, About, Span)> = labels
        .iter()
        .map(|label| (label, About::of_label(label), Span::of(label)))
        .collect();
    let attacked = attacked_days(labels);
    let mut judged = JudgedComparator {
        id: comparator.id.clone(),
        title: comparator.title.clone(),
        tier: comparator.tier.clone(),
        alerts: alerts.len() as u64,
        answers: 0,
        look_alikes: 0,
        false_alarms: 0,
        clean: 0,
        clean_high: 0,
        told: BTreeSet::new(),
        failed: None,
    };
    for alert in alerts {
        let of = |kind: Kind| {
            known.iter().enumerate().filter(move |(_, known)| {
                let (label, about, span) = known;
                // Generous: what happened to nobody in particular is anybody's.
                let about = alert.about.agrees(about) || *about == About::default();
                label.kind == kind && about && span.holds(alert.day)
            })
        };
        let answered: Vec<usize> = of(Kind::Attack).map(|(n, _)| n).collect();
        let excused = of(Kind::Story).any(|(_, (story, ..))| alert.severity <= story.max_severity);
        match (answered.is_empty(), excused) {
            (false, _) => judged.answers += 1,
            (true, true) => judged.look_alikes += 1,
            (true, false) => judged.false_alarms += 1,
        }
        judged.told.extend(answered);
        if !attacked(alert.day) {
            judged.clean += 1;
            judged.clean_high += u64::from(alert.severity >= Severity::High);
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::super::read_labels;
    use super::*;

    const HEAD: &str = "/*\nid = \"x\"\ntitle = \"t\"\nsource = \"s\"\nclaims = \"c\"\ntier = \"free\"\n\
        severity = \"high\"\n*/\nSELECT 1";

    #[test]
    fn every_comparator_that_comes_with_the_program_is_well_formed() {
        let all = Comparator::embedded().unwrap();
        assert!(all.len() >= 8);
        assert!(all.iter().all(|one| !one.source.is_empty()));
    }

    #[test]
    fn a_mistake_in_a_head_is_told_with_its_line() {
        assert_eq!(
            Comparator::read("x.sql", HEAD).unwrap().severity,
            Severity::High
        );
        for (text, told) in [
            ("SELECT 1".to_owned(), "x.sql:1: the comment"),
            (
                HEAD.replace("tier", "teir"),
                "x.sql:6: unknown field `teir`",
            ),
            (HEAD.replace("\"free\"", "\"gold\""), "x.sql:1: its `tier`"),
            (HEAD.replace("\"x\"", "\"y\""), "x.sql:1: its `id`"),
        ] {
            let message = Comparator::read("x.sql", &text).unwrap_err().to_string();
            assert!(message.starts_with(told), "{message}");
        }
    }

    #[test]
    fn any_alert_of_an_attacks_subject_and_days_is_right() {
        let labels = read_labels(
            "labels.csv",
            "label_id,kind,name,variant,user_id,ip,first_at,last_at,rules,must,tier,max_severity\n\
             a-0-1,attack,a,0,0055e00000VTF7KAAX,192.0.2.9,2026-05-10T10:00:00Z,2026-05-10T11:00:00Z,r,r,free,\n\
             s-0-1,story,s,0,0055e00000BBBBBAAA,,2026-05-20T10:00:00Z,2026-05-20T11:00:00Z,r,,free,medium\n",
        )
        .unwrap();
        let alert = |user: &str, day: &str, severity| Alert {
            day: day.parse().unwrap(),
            about: About {
                names: [user.to_lowercase()].into(),
                ..About::default()
            },
            severity,
        };
        let by_ip = Alert {
            about: About {
                networks: vec!["192.0.2.9/32".parse().unwrap()],
                ..About::default()
            },
            ..alert("", "2026-05-10", Severity::Low)
        };
        let judged = judge(
            &Comparator::read("x.sql", HEAD).unwrap(),
            &labels,
            &[
                alert("0055e00000VTF7KAAX", "2026-05-10", Severity::Info),
                by_ip,
                alert("0055e00000VTF7KAAX", "2026-05-12", Severity::High),
                alert("0055e00000BBBBBAAA", "2026-05-20", Severity::Medium),
                alert("0055e00000BBBBBAAA", "2026-05-20", Severity::High),
            ],
        );
        assert_eq!(
            (judged.answers, judged.look_alikes, judged.false_alarms),
            (2, 1, 2)
        );
        assert_eq!(judged.told, BTreeSet::from([0]));
        assert_eq!((judged.clean, judged.clean_high), (3, 2));
    }
}
