//! Findings in the light of one another, after all rules of a run.
//!
//! - **Case.** The findings of one subject (user, else app, else address, else the org itself)
//!   and one UTC day form a case. Its id depends on org, subject and day only.
//! - **Raise.** A finding of family misuse or attack is one step graver, never above critical,
//!   where another rule of these families found the same account within 24 hours, and that
//!   account is a machine's (`integration`, `internal_system`) or privileged (`human_admin`, or
//!   it holds an administrator-class permission on that day). `guest` is no such account:
//!   everybody on the internet shares it, so two findings of it are not two of one intruder.
//!   `api-call-volume-anomaly` is critical beside a finding of these families of the same user
//!   within 24 hours, whoever the user is.
//! - **Gather.** `app-token-burst-new-ip` tells that many users' tokens of one app are in other
//!   hands. The single findings of these users (misuse, attack, behaviour) from its first day until
//!   a week after its last event belong to its case, and an alert counts them under it.
//!
//! What is open or acknowledged takes part: that somebody knows of a finding does not make it
//! less true. What is suppressed (staging too) or resolved neither raises nor gathers, nor is
//! it raised or gathered. A finding below medium raises nothing: it tells of something allowed, or
//! of what a control refused, which is no second witness.
//!
//! All of it depends on the findings alone, which the ledger hands over whole: on no order, not
//! on which of them tonight's run has produced, nor on how many nights were run at once. That a
//! run of a few rules (`detect --rule`) does not produce the others lowers nothing.

mod burst;
mod privileged;
mod raise;
#[cfg(test)]
mod tests;

pub use burst::GATHERING_RULE;
pub use privileged::{Privileged, may_be_privileged};

use chrono::NaiveDate;

use self::burst::Bursts;
use self::raise::{Company, Raise};
use super::ids::Hash;
use super::subject::{Subject, day_of};
use crate::lake::{Correlation, Finding, FindingRow, Placed, Status};

/// One answer for each finding, in their order.
pub fn correlate(findings: &[Finding], org_id: &str, privileged: &Privileged) -> Vec<Placed> {
    let company = Company::of(findings);
    let bursts = Bursts::of(findings);
    findings
        .iter()
        .map(|finding| {
            let row = &finding.row;
            let burst = bursts.gatherer_of(finding);
            let (subject, shown) = Subject::of(burst.unwrap_or(row));
            let case_id = case_id(org_id, &subject, day_of(burst.unwrap_or(row)));
            let raise = company.raise(finding, privileged);
            let (severity, raised_from, raised_because) = match raise {
                Some(Raise { to, because }) => (to, Some(row.own_severity()), Some(because)),
                None => (row.own_severity(), None, None),
            };
            Placed {
                severity,
                correlation: Correlation {
                    case_id: Some(case_id),
                    case_subject: shown,
                    raised_from,
                    raised_because,
                    gathered_by: burst.map(|burst| burst.finding_id.clone()),
                },
            }
        })
        .collect()
}

fn case_id(org_id: &str, subject: &Subject, day: NaiveDate) -> String {
    let (kind, value) = match subject {
        Subject::User(key) => ("user", Some(key.as_str())),
        Subject::App(key) => ("app", Some(key.as_str())),
        Subject::Network(text) => ("network", Some(text.as_str())),
        Subject::Nobody => ("nobody", None),
    };
    let mut hash = Hash::new("case");
    hash.field(Some(org_id));
    hash.field(Some(kind));
    hash.field(value);
    hash.field(Some(&day.to_string()));
    hash.finish()
}

/// Whether a finding has a say: nobody wants it gone, and nothing has shown that it is over.
fn takes_part(finding: &Finding) -> bool {
    matches!(
        finding.status,
        Status::New | Status::Ongoing | Status::Acknowledged
    )
}

/// A finding as sentences name it.
fn in_words(row: &FindingRow) -> String {
    let id: String = row.finding_id.chars().take(12).collect();
    format!("{} (finding {id})", row.rule_id)
}
