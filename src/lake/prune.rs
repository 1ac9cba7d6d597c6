//! What leaves the lake: days beyond retention, and parts that are damaged.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::error::{LakeError, Result};
use super::ledger::{self, Departed, Departure};
use super::model::{FileId, Part, PartId, RunId};
use super::{Lake, layout, open};

/// What retention took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Days before this one are gone.
    pub before: Option<NaiveDate>,
    pub parts: u64,
    /// Raw rows; those of rollups are not counted.
    pub rows: u64,
    pub bytes: u64,
    pub quarantine_rows: u64,
}

/// What was set aside because it was damaged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SetAside {
    pub parts: Vec<Part>,
    /// Input files that had rows in those parts: they count as unknown again, so that reading
    /// them once more brings the rows back.
    pub files: Vec<FileId>,
}

impl Lake {
    /// Drops every part of days that lie more than `keep_days` days before `today`, and the
    /// quarantine of files that ended before then. The newest snapshot of a roster data set
    /// (`is_roster` tells them by their event type) stays whatever its age: without it everything
    /// in it would look as if it were gone. What the accounts did and were seen with stays as the
    /// days' rollups tell it. The accounts of files, the runs and the findings stay. The Parquet
    /// files themselves are deleted when the next writer opens.
    pub fn prune(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        today: NaiveDate,
        keep_days: u64,
        is_roster: impl Fn(&str) -> bool,
    ) -> Result<Pruned> {
        self.needs_writer("pruning")?;
        let Some(before) = today.checked_sub_days(Days::new(keep_days)) else {
            return Ok(Pruned::default());
        };
        let all = self.ledger.all_parts()?;
        let mut newest: BTreeMap<String, NaiveDate> = BTreeMap::new();
        for part in all.iter().map(|recorded| &recorded.part) {
            if is_roster(&part.event_type) {
                let day = newest.entry(part.event_type.clone()).or_insert(part.day);
                *day = part.day.max(*day);
            }
        }
        let doomed: Vec<Part> = all
            .into_iter()
            .map(|recorded| recorded.part)
            .filter(|part| part.day < before && !layout::outlives_retention(&part.event_type))
            .filter(|part| newest.get(&part.event_type) != Some(&part.day))
            .collect();
        let mut pruned = Pruned {
            before: Some(before),
            ..Pruned::default()
        };
        let tx = self.ledger.write()?;
        for part in &doomed {
            ledger::remove_part(&tx, &self.data_dir, part.part_id, at)?;
            ledger::record_departure(&tx, &departed(part, Departure::Retention, run_id, at))?;
            pruned.parts += 1;
            pruned.bytes += part.bytes;
            if !layout::is_rollup(&part.event_type) {
                pruned.rows += part.rows;
            }
        }
        pruned.quarantine_rows = ledger::forget_quarantine(&tx, before)?;
        ledger::forget_days(&tx, before)?;
        tx.commit()?;
        Ok(pruned)
    }

    /// Takes damaged parts out of sight: their files are moved to `<data>/damaged/` (where they
    /// still exist), their rows are accounted as lost, and the input files they came from may
    /// be ingested again. The days of a damaged rollup are due for being made anew.
    pub fn set_aside(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        parts: &[PartId],
    ) -> Result<SetAside> {
        self.needs_writer("setting parts aside")?;
        let mut aside = SetAside::default();
        let tx = self.ledger.write()?;
        for part_id in parts {
            let part = ledger::remove_part(&tx, &self.data_dir, *part_id, at)?;
            ledger::record_departure(&tx, &departed(&part, Departure::Damage, run_id, at))?;
            aside.files.extend(ledger::lose_files(&tx, *part_id)?);
            if layout::is_rollup(&part.event_type) {
                ledger::remake_rollups(&tx, part.day, part.part_id)?;
            }
            aside.parts.push(part);
        }
        tx.commit()?;
        aside.files.sort_unstable();
        aside.files.dedup();
        self.keep_damaged(&aside.parts)?;
        self.damaged.retain(|d| !parts.contains(&d.part.part_id));
        Ok(aside)
    }

    fn keep_damaged(&self, parts: &[Part]) -> Result<()> {
        let dir = self.data_dir.join(layout::DAMAGED);
        open::make_dir(self.fs.as_ref(), &dir)?;
        for part in parts {
            let name = format!(
                "{}-{}-{:012}.parquet",
                part.event_type, part.day, part.part_id
            );
            match self.fs.rename(&part.path, &dir.join(name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(LakeError::io("set aside", &part.path)(e));
                }
                _ => {}
            }
        }
        open::sync_dir(self.fs.as_ref(), &dir)
    }
}

fn departed(part: &Part, why: Departure, run_id: RunId, at: DateTime<Utc>) -> Departed<'_> {
    Departed {
        event_type: &part.event_type,
        day: part.day,
        why,
        rows: part.rows,
        run_id,
        at,
    }
}
