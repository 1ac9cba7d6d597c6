//! What the lake holds of the inputs of rules, and for which days.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};

use super::inputs::{Input, ROSTER_DAYS, ROSTER_TABLES, Source, source_of};
use super::known::Known;
use super::sight::Sight;
use crate::catalog::{Catalog, LogFamily};
use crate::enrich::Enrichment;
use crate::lake::{Lake, LakeError};

/// The days for which the lake holds each event type.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    days: BTreeMap<String, BTreeSet<NaiveDate>>,
    /// Days whose rows retention has taken: the rollups still tell of them.
    pruned: BTreeSet<NaiveDate>,
    /// Days of the snapshots of each roster data set.
    snapshots: BTreeMap<String, BTreeSet<NaiveDate>>,
    /// Raw table → event type.
    tables: BTreeMap<String, String>,
    /// Names of the roster data sets.
    data_sets: BTreeSet<String>,
    known: Known,
    /// Event types of which a file comes when something happened: that none came is no blindness.
    now_and_then: BTreeSet<String>,
}

fn now_and_then(catalog: &Catalog) -> BTreeSet<String> {
    let events = catalog.event_types().iter();
    let threats = events.filter(|event| event.family == LogFamily::ThreatDetection);
    threats.map(|event| event.name.clone()).collect()
}

impl Coverage {
    /// What the lake holds now.
    pub fn of_lake(lake: &Lake, catalog: &Catalog) -> Result<Self, LakeError> {
        let mut coverage = Self::default();
        for event_type in lake.event_types()? {
            // Rollups are no logs, and some outlive theirs.
            if !catalog.is_roster(&event_type) && !event_type.starts_with("rollup_") {
                for part in lake.parts(&event_type)? {
                    coverage.add(&event_type, part.day);
                }
            }
        }
        coverage.pruned = lake.ledger().pruned_days()?.into_iter().collect();
        let mut whole: BTreeSet<String> = BTreeSet::new();
        for reading in lake.ledger().readings()? {
            // As in the view `roster_snapshots`: what was cut off tells nothing new once there
            // was a whole snapshot.
            if !catalog.is_roster(&reading.event_type)
                || !reading.is_complete && whole.contains(&reading.event_type)
            {
                continue;
            }
            coverage.add_snapshot(&reading.event_type, reading.day);
            if reading.is_complete {
                whole.insert(reading.event_type);
            }
        }
        let tables = catalog
            .event_types()
            .iter()
            .map(|e| (e.table.clone(), e.name.clone()));
        coverage.tables = tables.collect();
        coverage.data_sets = catalog.roster().map(|e| e.name.clone()).collect();
        coverage.now_and_then = now_and_then(catalog);
        Ok(coverage)
    }

    /// The same with what is known of addresses and indicators.
    pub fn enriched(mut self, enrichment: &Enrichment) -> Self {
        self.known = Known::of(enrichment);
        self
    }

    pub fn add(&mut self, event_type: &str, day: NaiveDate) {
        self.days
            .entry(event_type.to_owned())
            .or_default()
            .insert(day);
    }

    pub fn add_snapshot(&mut self, data_set: &str, day: NaiveDate) {
        self.snapshots
            .entry(data_set.to_owned())
            .or_default()
            .insert(day);
    }

    /// Whether a day has a snapshot of any roster data set.
    pub fn has_snapshot(&self, day: NaiveDate) -> bool {
        self.snapshots.values().any(|days| days.contains(&day))
    }

    /// Latest day up to `limit` that has a snapshot of any roster data set.
    pub fn last_snapshot(&self, limit: NaiveDate) -> Option<NaiveDate> {
        self.snapshots
            .values()
            .filter_map(|days| days.range(..=limit).next_back())
            .max()
            .copied()
    }

    /// Whether a rule of these inputs is about snapshots of the org: then it is also asked about
    /// the days on which there is a snapshot and no log. Optional inputs tell only where a rule
    /// has no other.
    pub fn reads_roster(&self, inputs: &[Input]) -> bool {
        let only_optional = inputs.iter().all(|input| input.optional);
        inputs
            .iter()
            .filter(|input| only_optional || !input.optional)
            .flat_map(|input| &input.alternatives)
            .any(|name| {
                ROSTER_TABLES.contains(&name.to_lowercase().as_str())
                    || matches!(self.source_of(name), Source::Roster(_))
            })
    }

    /// What a name stands for in this lake.
    fn source_of(&self, name: &str) -> Source {
        let raw_table = |table: &str| self.tables.get(table).cloned();
        match source_of(name, raw_table) {
            Source::Logs(types) if types.iter().any(|t| self.data_sets.contains(t)) => {
                Source::Roster(vec![types])
            }
            source => source,
        }
    }

    /// Latest day up to `limit` that has rows of any log.
    pub fn last_day(&self, limit: NaiveDate) -> Option<NaiveDate> {
        self.days
            .values()
            .filter_map(|days| days.range(..=limit).next_back())
            .max()
            .copied()
    }

    /// Earliest day that has rows of any log.
    pub fn first_day(&self) -> Option<NaiveDate> {
        self.days
            .values()
            .filter_map(BTreeSet::first)
            .min()
            .copied()
    }

    /// How many earlier days have, or had, rows of any log.
    pub fn days_before(&self, day: NaiveDate) -> usize {
        let of_logs = self.days.values().chain([&self.pruned]);
        let days = of_logs.flat_map(|days| days.range(..day));
        days.collect::<BTreeSet<_>>().len()
    }

    pub fn has_day(&self, day: NaiveDate) -> bool {
        self.days.values().any(|days| days.contains(&day))
    }

    /// Judges required inputs over the `blind_days` days that end with `last_day`; snapshots of
    /// the org hold for [`ROSTER_DAYS`].
    pub fn judge(&self, inputs: &[Input], last_day: NaiveDate, blind_days: u32) -> Sight {
        let mut blind = None;
        for input in inputs.iter().filter(|input| !input.optional) {
            let mut events = vec![];
            let mut sights = vec![];
            for name in &input.alternatives {
                match self.source_of(name) {
                    Source::AlwaysThere => sights.push(Sight::Sees),
                    Source::Knowledge => {
                        sights.push(self.known.judge(&name.to_lowercase(), last_day));
                    }
                    Source::Logs(types) => events.extend(types),
                    Source::Roster(groups) => sights.push(self.judge_snapshots(&groups, last_day)),
                }
            }
            if !events.is_empty() {
                // A view of a few logs is told by these: it is they that are to be delivered.
                let shown = match events.len() {
                    ..=3 => events.join(" or "),
                    _ => input.alternatives.join(" or "),
                };
                sights.push(self.judge_logs(&events, &shown, last_day, blind_days));
            }
            // The best of the alternatives: to be blind is to have seen before.
            match sights.into_iter().min_by_key(Sight::darkness) {
                Some(Sight::Blind(reason)) => {
                    blind.get_or_insert(reason);
                }
                Some(Sight::NeverHadInput(reason)) => return Sight::NeverHadInput(reason),
                Some(Sight::Sees) | None => {}
            }
        }
        blind.map_or(Sight::Sees, Sight::Blind)
    }

    /// Judges logs: any of these event types will do.
    fn judge_logs(
        &self,
        events: &[String],
        shown: &str,
        last_day: NaiveDate,
        blind_days: u32,
    ) -> Sight {
        let days = || events.iter().filter_map(|event| self.days.get(event));
        let Some(seen) = days().filter_map(BTreeSet::last).max() else {
            let reason = format!("never had input: no {shown} files in the lake");
            return Sight::NeverHadInput(reason);
        };
        let first = last_day
            .checked_sub_days(Days::new(u64::from(blind_days.max(1)) - 1))
            .unwrap_or(last_day);
        if *seen >= first || events.iter().all(|e| self.now_and_then.contains(e)) {
            return Sight::Sees;
        }
        let missing = (last_day - *seen).num_days();
        Sight::Blind(format!(
            "blind: no {shown} files since {seen} ({missing} days)"
        ))
    }

    /// Judges snapshots: of each group one data set must have one that is not too old.
    fn judge_snapshots(&self, groups: &[Vec<String>], last_day: NaiveDate) -> Sight {
        let oldest = last_day
            .checked_sub_days(Days::new(ROSTER_DAYS))
            .unwrap_or(last_day);
        let mut stale = None;
        for group in groups {
            let newest = group
                .iter()
                .filter_map(|data_set| self.snapshots.get(data_set)?.last())
                .max();
            let shown = group.join(" or ");
            match newest {
                None => {
                    let reason = format!("never had input: no {shown} snapshot in the lake");
                    return Sight::NeverHadInput(reason);
                }
                Some(day) if *day < oldest => {
                    let age = (last_day - *day).num_days();
                    let reason = format!("blind: the newest {shown} snapshot is {age} days old");
                    stale.get_or_insert(reason);
                }
                Some(_) => {}
            }
        }
        stale.map_or(Sight::Sees, Sight::Blind)
    }
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
