//! One org: its labels beside its lake.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::EvaluateError;
use super::claim::{AppNames, Claim};
use super::comparators::JudgedComparator;
use super::judge::{Judged, attacked_days, judge};
use super::labels::Label;
use crate::catalog::Catalog;
use crate::lake::{FindingFilter, Lake, LakeError, Status};
use crate::registry::{Registry, Role};

/// The stage that asks the rules, as the ledger calls it.
const DETECT: &str = "detect";

/// What became of one org; a result file holds these, so that they can be pooled later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Org {
    /// The labels' file, as it was named.
    pub name: String,
    /// Integration users that the registry declares.
    pub integrations: u64,
    /// Days of which there are logs.
    pub nights: u64,
    /// Those on which no attack goes on.
    pub clean_nights: u64,
    /// Those of which no rule has been asked since their last rows came.
    pub unasked_nights: u64,
    /// Findings that a suppression hides: not told, so not judged.
    pub suppressed: u64,
    #[serde(flatten)]
    pub judged: Judged,
    pub comparators: Vec<JudgedComparator>,
}

/// Judges the findings of a lake by the labels of its logs.
pub fn evaluate(
    name: &str,
    labels: &[Label],
    lake: &Lake,
    catalog: &Catalog,
    registry: &Registry,
) -> Result<Org, EvaluateError> {
    let apps = AppNames::of(registry);
    let found = lake.ledger().findings(&FindingFilter::default())?;
    let (hidden, told): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|finding| finding.status == Status::Suppressed);
    let mut claims: Vec<Claim> = told.iter().map(|f| Claim::of(&f.row, &apps)).collect();
    claims.sort_by(|a, b| (a.day, &a.rule, &a.id).cmp(&(b.day, &b.rule, &b.id)));
    let nights = nights(lake, catalog)?;
    let unasked = lake.ledger().dirty_days(DETECT)?;
    let unasked = nights.iter().filter(|day| unasked.contains(day)).count();
    if unasked == nights.len() {
        return Err(EvaluateError::NotAsked {
            path: lake.data_dir().to_owned(),
        });
    }
    let attacked = attacked_days(labels);
    let integrations = registry.users.iter();
    let integrations = integrations.filter(|user| user.role == Role::Integration);
    Ok(Org {
        name: name.to_owned(),
        integrations: integrations.count() as u64,
        nights: nights.len() as u64,
        clean_nights: nights.iter().filter(|day| !attacked(**day)).count() as u64,
        unasked_nights: unasked as u64,
        suppressed: hidden.len() as u64,
        judged: judge(labels, &claims),
        comparators: vec![],
    })
}

/// The days of which the lake has logs.
pub fn nights(lake: &Lake, catalog: &Catalog) -> Result<BTreeSet<NaiveDate>, LakeError> {
    let mut days = BTreeSet::new();
    for event_type in lake.event_types()? {
        if !catalog.is_roster(&event_type) && !event_type.starts_with("rollup_") {
            days.extend(lake.parts(&event_type)?.iter().map(|part| part.day));
        }
    }
    Ok(days)
}
