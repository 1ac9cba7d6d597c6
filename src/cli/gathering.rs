//! Which findings are told by themselves, and which as a number under another: the single
//! findings of a vendor's breach are one alert with a count, not hundreds of alerts.

use std::collections::{BTreeMap, BTreeSet};

use super::mailing::{Teller, who};
use crate::alert::{DigestFinding, Gathered};
use crate::config::Severity;
use crate::detect::GATHERING_RULE;
use crate::lake::{Finding, FindingChanges, FindingRow, Status};

/// The findings that gather others, and those that they gather, as far as they are not over.
#[derive(Debug, Clone, Default)]
pub struct Gathering {
    leaders: BTreeMap<String, FindingRow>,
    /// Id of the leader → id of the finding → the finding.
    followers: BTreeMap<String, BTreeMap<String, FindingRow>>,
}

/// Findings to tell, and those that are not grave enough for it.
pub struct ToTell<'a> {
    pub findings: Vec<DigestFinding>,
    pub below: Vec<&'a FindingRow>,
}

impl Gathering {
    pub fn of<'a>(findings: impl Iterator<Item = &'a Finding>) -> Self {
        let mut gathering = Self::default();
        for finding in findings {
            let is_there = [Status::New, Status::Ongoing, Status::Acknowledged];
            if is_there.contains(&finding.status) {
                gathering.put(&finding.row);
            }
        }
        gathering
    }

    /// The state after these changes.
    pub fn after(&self, changes: &FindingChanges) -> Self {
        let mut after = self.clone();
        let there = [
            &changes.new,
            &changes.updated,
            &changes.unchanged,
            &changes.quiet,
            &changes.moved,
        ];
        for row in changes.resolved.iter().chain(there.into_iter().flatten()) {
            after.leaders.remove(&row.finding_id);
            for followers in after.followers.values_mut() {
                followers.remove(&row.finding_id);
            }
        }
        for row in there.into_iter().flatten() {
            after.put(row);
        }
        after
    }

    /// The same among some findings alone.
    pub fn among(mut self, is_theirs: impl Fn(&FindingRow) -> bool) -> Self {
        self.leaders.retain(|_, row| is_theirs(row));
        for followers in self.followers.values_mut() {
            followers.retain(|_, row| is_theirs(row));
        }
        self
    }

    fn put(&mut self, row: &FindingRow) {
        let id = row.finding_id.clone();
        if let Some(leader) = &row.correlation.gathered_by {
            let followers = self.followers.entry(leader.clone()).or_default();
            followers.insert(id, row.clone());
        } else if row.rule_id == GATHERING_RULE {
            self.leaders.insert(id, row.clone());
        }
    }

    /// The finding under which another is told.
    pub fn leader_of(&self, row: &FindingRow) -> Option<&FindingRow> {
        self.leaders.get(row.correlation.gathered_by.as_ref()?)
    }

    /// A finding in the words of its rule, with what it gathers; `tonight` are the ids of what is
    /// new or changed.
    pub fn tell(
        &self,
        row: &FindingRow,
        tonight: &BTreeSet<&str>,
        teller: &Teller<'_>,
    ) -> DigestFinding {
        let mut told = teller.finding(row);
        let followers = self.followers.get(&row.finding_id).into_iter().flatten();
        told.gathered = followers
            .map(|(id, follower)| Gathered {
                finding_id: id.clone(),
                dedupe_key: follower.dedupe_key.clone(),
                rule_id: follower.rule_id.clone(),
                severity: follower.severity,
                who: who(follower),
                count: follower.count,
                is_of_tonight: tonight.contains(id.as_str()),
            })
            .collect();
        told
    }

    /// What there is to tell of these findings at or above a severity. One that is gathered makes
    /// its leader worth telling, even if that is known already.
    pub fn to_tell<'a>(
        &'a self,
        rows: &[&'a FindingRow],
        least: Severity,
        teller: &Teller<'_>,
    ) -> ToTell<'a> {
        let tonight: BTreeSet<&str> = rows.iter().map(|row| row.finding_id.as_str()).collect();
        let mut shown: BTreeMap<&str, &FindingRow> = BTreeMap::new();
        for row in rows.iter().copied().filter(|row| row.severity >= least) {
            let told = self.leader_of(row).unwrap_or(row);
            shown.insert(&told.finding_id, told);
        }
        let is_told = |row: &FindingRow| {
            let told = self.leader_of(row).unwrap_or(row);
            shown.contains_key(told.finding_id.as_str())
        };
        ToTell {
            below: rows.iter().copied().filter(|row| !is_told(row)).collect(),
            findings: shown
                .values()
                .map(|row| self.tell(row, &tonight, teller))
                .collect(),
        }
    }
}
