//! `labels.csv`: what was put into the logs, and what a monitor should say of it.
//!
//! One row for each subject and night of an attack, and one for each subject of a story:
//!
//! | column | meaning |
//! |---|---|
//! | label_id | the label: `name-variant-number` |
//! | kind | `attack` or `story` |
//! | name, variant, mutation | which one, in which of its forms, evaded how (empty: plainly) |
//! | user_id, username, app, ip | whose doing it looks like; empty where nobody's |
//! | first_at, last_at | first and last labelled event, RFC 3339 |
//! | night | UTC day whose logs hold the first event |
//! | rules | right answers: a finding of these of this subject in this time is no false alarm |
//! | must | of these at least one has to be told, at `min_severity` or above |
//! | max_severity | of a story: the gravest that may be told of its subject in its time, if no attack explains it |
//! | tier | the logs that were written: `free` or `shield` |
//! | rows | labelled log rows |

use std::io::{self, Write};

use super::acts::Text;
use super::book::{Tally, Tier};
use super::moment::{day_of, rfc3339};
use super::org::Org;
use super::table::{Quoting, put_cell};
use crate::config::Severity;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelKind {
    Attack,
    Story,
}

/// What should and what may be said.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub rules: Vec<&'static str>,
    pub must: Vec<&'static str>,
    pub min: Option<Severity>,
    pub max: Option<Severity>,
}

#[derive(Debug, Clone)]
pub struct Label {
    pub kind: LabelKind,
    pub name: &'static str,
    pub variant: u64,
    /// Counts the labels of one attack or story from 1.
    pub number: usize,
    pub mutation: &'static str,
    pub user: Option<usize>,
    pub app: Text,
    pub ip: Text,
    pub expected: Expected,
    /// The time of a story, which need not begin or end with an event of its own.
    pub span: Option<(i64, i64)>,
}

const HEADINGS: &str = "label_id,kind,name,variant,mutation,user_id,username,app,first_at,last_at,\
    night,rules,must,min_severity,max_severity,tier,rows,ip\n";

pub fn write(
    out: &mut dyn Write,
    org: &Org,
    tier: Tier,
    labels: &[Label],
    tallies: &[Tally],
) -> io::Result<()> {
    out.write_all(HEADINGS.as_bytes())?;
    for (label, tally) in labels.iter().zip(tallies) {
        let user = label.user.and_then(|n| org.users.get(n));
        let first = label.span.map(|s| s.0).or(tally.first_at);
        let last = label.span.map(|s| s.1).or(tally.last_at);
        let severity = |s: Option<Severity>| s.map_or("", Severity::as_str).to_owned();
        let time = |at: Option<i64>| at.map(rfc3339).unwrap_or_default();
        let cells = [
            format!("{}-{}-{}", label.name, label.variant, label.number),
            match label.kind {
                LabelKind::Attack => "attack".to_owned(),
                LabelKind::Story => "story".to_owned(),
            },
            label.name.to_owned(),
            label.variant.to_string(),
            label.mutation.to_owned(),
            user.map(|u| u.id18.to_string()).unwrap_or_default(),
            user.map(|u| u.username.to_string()).unwrap_or_default(),
            label.app.to_string(),
            time(first),
            time(last),
            first.map(|at| day_of(at).to_string()).unwrap_or_default(),
            label.expected.rules.join(";"),
            label.expected.must.join(";"),
            severity(label.expected.min),
            severity(label.expected.max),
            tier.as_str().to_owned(),
            tally.rows.to_string(),
            label.ip.to_string(),
        ];
        let mut line = vec![];
        for (n, cell) in cells.iter().enumerate() {
            if n > 0 {
                line.push(b',');
            }
            put_cell(cell.as_bytes(), Quoting::WhereNeeded, &mut line);
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}
