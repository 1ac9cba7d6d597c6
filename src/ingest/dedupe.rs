//! Rows count once across files: takes out of freshly staged parts what the lake holds already.
//!
//! A row's identity is (`occurred_at`, `row_key`). Within one file equal rows are separate events
//! and all stay; against earlier files an identity that the lake holds n times takes the first n
//! of its rows in the new file as repeats. The identities are read back from the parts
//! themselves, so that memory is bounded by [`PASS_ROWS`], not by the file; a day that the lake
//! does not know costs nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{BooleanArray, cast::AsArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use chrono::{DateTime, NaiveDate, Utc};
use hashbrown::{HashMap, HashSet};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::statistics::Statistics;

use super::IngestError;
use super::writer::DayWriter;
use crate::lake::StagedPart;

/// Identities held at a time. A larger day is worked through in several passes.
const PASS_ROWS: u64 = 2_000_000;

/// What the lake (or an earlier file of the same commit) holds of a day.
#[derive(Debug, Clone)]
pub struct Known {
    pub path: PathBuf,
    pub first_event_at: DateTime<Utc>,
    pub last_event_at: DateTime<Utc>,
}

/// Parts without their repeats, and how many rows were repeats.
pub struct Deduped {
    pub parts: Vec<StagedPart>,
    pub duplicates: u64,
}

/// `sections` holds the lines at which further header rows stand: each begins another file.
/// `known` gives what is held of a day already.
pub fn remove_repeats(
    staged: Vec<StagedPart>,
    sections: &[u64],
    known: impl Fn(NaiveDate) -> Result<Vec<Known>, IngestError>,
) -> Result<Deduped, IngestError> {
    let mut by_day: BTreeMap<NaiveDate, Vec<StagedPart>> = BTreeMap::new();
    for part in staged {
        by_day.entry(part.day).or_default().push(part);
    }
    let mut deduped = Deduped {
        parts: vec![],
        duplicates: 0,
    };
    for (day, parts) in by_day {
        let first = parts.iter().map(|p| p.first_event_at).min();
        let last = parts.iter().map(|p| p.last_event_at).max();
        let known: Vec<Known> = known(day)?
            .into_iter()
            .filter(|k| Some(k.last_event_at) >= first && Some(k.first_event_at) <= last)
            .collect();
        if known.is_empty() && sections.is_empty() {
            deduped.parts.extend(parts);
            continue;
        }
        let repeats = repeats_of_day(&parts, sections, &known)?;
        deduped.duplicates += repeats.len() as u64;
        for part in parts {
            deduped.parts.extend(without(part, &repeats)?);
        }
    }
    Ok(deduped)
}

/// Lines of the rows that are repeats.
fn repeats_of_day(
    parts: &[StagedPart],
    sections: &[u64],
    known: &[Known],
) -> Result<HashSet<i64>, IngestError> {
    let new_rows: u64 = parts.iter().map(|p| p.rows).sum();
    let passes = new_rows.div_ceil(PASS_ROWS).max(1);
    let span = Span {
        first_ms: parts
            .iter()
            .map(|p| p.first_event_at.timestamp_millis())
            .min()
            .unwrap_or(0),
        last_ms: parts
            .iter()
            .map(|p| p.last_event_at.timestamp_millis())
            .max()
            .unwrap_or(0),
    };
    let mut repeats = HashSet::new();
    for pass in 0..passes {
        let mine = |id: Identity| id.1.cast_unsigned() % passes == pass;
        let mut rows: Vec<(u32, i64, Identity)> = Vec::new();
        for part in parts {
            each_row(&part.path, None, |id, line| {
                if mine(id) {
                    rows.push((section_of(line, sections), line, id));
                }
            })?;
        }
        rows.sort_unstable();
        let wanted: HashSet<Identity> = rows.iter().map(|r| r.2).collect();
        let mut held: HashMap<Identity, u64> = HashMap::new();
        for known in known {
            each_row(&known.path, Some(span), |id, _| {
                if wanted.contains(&id) {
                    *held.entry(id).or_default() += 1;
                }
            })?;
        }
        for section in rows.chunk_by(|a, b| a.0 == b.0) {
            let mut kept: Vec<Identity> = Vec::new();
            let mut left = held.clone();
            for (_, line, id) in section {
                match left.get_mut(id).filter(|n| **n > 0) {
                    Some(n) => {
                        *n -= 1;
                        repeats.insert(*line);
                    }
                    None => kept.push(*id),
                }
            }
            if !sections.is_empty() {
                for id in kept {
                    *held.entry(id).or_default() += 1;
                }
            }
        }
    }
    Ok(repeats)
}

/// `occurred_at` in milliseconds and `row_key`.
type Identity = (i64, i64);

#[derive(Clone, Copy)]
struct Span {
    first_ms: i64,
    last_ms: i64,
}

fn section_of(line: i64, sections: &[u64]) -> u32 {
    sections.partition_point(|&start| start <= line.cast_unsigned()) as u32
}

/// Reads the identity and line of each row; of a `span`, only row groups that touch it.
fn each_row(
    path: &Path,
    span: Option<Span>,
    mut row: impl FnMut(Identity, i64),
) -> Result<(), IngestError> {
    let file = File::open(path).map_err(IngestError::io("open", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = builder.parquet_schema();
    let mask = ProjectionMask::columns(schema, ["occurred_at", "line_no", "row_key"]);
    let groups = (0..builder.metadata().num_row_groups())
        .filter(|&group| {
            let bounds = builder.metadata().row_group(group).column(0).statistics();
            match (bounds, span) {
                (Some(Statistics::Int64(bounds)), Some(span)) => {
                    bounds.min_opt().is_none_or(|min| *min <= span.last_ms)
                        && bounds.max_opt().is_none_or(|max| *max >= span.first_ms)
                }
                _ => true,
            }
        })
        .collect();
    let reader = builder
        .with_projection(mask)
        .with_row_groups(groups)
        .with_batch_size(32_768)
        .build()?;
    for batch in reader {
        let batch = batch?;
        let times = batch.column(0).as_primitive::<TimestampMillisecondType>();
        let lines = batch.column(1).as_primitive::<Int64Type>();
        let keys = batch.column(2).as_primitive::<Int64Type>();
        for ((&time, &line), &key) in times.values().iter().zip(lines.values()).zip(keys.values()) {
            row((time, key), line);
        }
    }
    Ok(())
}

/// The part without the rows of these lines; nothing where no row is left.
fn without(part: StagedPart, repeats: &HashSet<i64>) -> Result<Vec<StagedPart>, IngestError> {
    let mut hits = 0;
    each_row(&part.path, None, |_, line| {
        hits += u64::from(repeats.contains(&line))
    })?;
    if hits == 0 {
        return Ok(vec![part]);
    }
    let mut kept = vec![];
    if hits < part.rows {
        let file = File::open(&part.path).map_err(IngestError::io("open", &part.path))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?
            .with_batch_size(8192)
            .build()?;
        let folder = part.path.parent().unwrap_or(Path::new("."));
        let name = part
            .path
            .file_stem()
            .map_or("part".into(), |s| s.to_string_lossy().into_owned());
        let mut writer = DayWriter::new(folder, format!("{name}-once"), &part.event_type);
        for batch in reader {
            let batch = batch?;
            let lines = batch
                .column_by_name("line_no")
                .ok_or_else(|| IngestError::damaged(&part.path))?
                .as_primitive::<Int64Type>();
            let keep: BooleanArray = lines
                .values()
                .iter()
                .map(|line| Some(!repeats.contains(line)))
                .collect();
            writer.write(&filter_record_batch(&batch, &keep)?)?;
        }
        kept = writer.finish()?;
    }
    std::fs::remove_file(&part.path).map_err(IngestError::io("remove", &part.path))?;
    Ok(kept)
}
