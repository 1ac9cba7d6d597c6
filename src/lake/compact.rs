//! Compaction: the many small parts of one event type and day become one, sorted by user and
//! time so that a query for a user reads a few pages instead of all.
//!
//! Rows are unchanged, and counted. Inputs are checked against their hash first, so that damage
//! is never written down as truth; a day with a damaged part is left alone and reported. The
//! replaced files stay for readers that planned with them until the next writer opens the lake.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use chrono::{DateTime, NaiveDate, Utc};

use super::error::{LakeError, Result};
use super::fs::create_private;
use super::ledger::RecordedPart;
use super::model::{Commit, Part, RunId, StagedPart};
use super::parquet::{PartWriter, Written};
use super::{Lake, verify};

/// A day is sorted if it is no larger than this, and joined as it is beyond: sorting holds the
/// whole day in memory.
const MAX_SORTED_ROWS: u64 = 1_000_000;
const MAX_SORTED_PARQUET_BYTES: u64 = 48 * 1024 * 1024;
const BATCH_ROWS: usize = 8_192;
/// Days per ledger transaction.
const DAYS_PER_COMMIT: usize = 32;
/// The order within a day; the last two make it total.
const SORTED_BY: [&str; 4] = ["user_id", "occurred_at", "file_id", "line_no"];

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Pairs of event type and day that became one part.
    pub days: u64,
    pub parts_before: u64,
    pub rows: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Pairs that were left alone, with the reason.
    pub skipped: Vec<(String, NaiveDate, String)>,
}

impl Lake {
    /// Joins the parts of every event type and day that has at least `min_parts` (and two).
    pub fn compact(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        min_parts: usize,
    ) -> Result<Compacted> {
        self.needs_writer("compacting")?;
        let mut done = Compacted::default();
        let mut waiting = Vec::new();
        let all = self.ledger.all_parts()?;
        let same_day = |a: &RecordedPart, b: &RecordedPart| {
            (&a.part.event_type, a.part.day) == (&b.part.event_type, b.part.day)
        };
        for day in all
            .chunk_by(same_day)
            .filter(|day| day.len() >= min_parts.max(2))
        {
            match self.join(day)? {
                Ok(commit) => waiting.push(commit),
                Err(reason) => {
                    let part = &day[0].part;
                    done.skipped
                        .push((part.event_type.clone(), part.day, reason));
                }
            }
            if waiting.len() == DAYS_PER_COMMIT {
                self.finish_days(run_id, at, std::mem::take(&mut waiting), &mut done)?;
            }
        }
        self.finish_days(run_id, at, waiting, &mut done)?;
        Ok(done)
    }

    fn finish_days(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        commits: Vec<Commit>,
        done: &mut Compacted,
    ) -> Result<()> {
        let added = commits.len() as u64;
        let mut removed = 0;
        for commit in &commits {
            for part_id in &commit.remove {
                done.bytes_before += self.ledger.visible_part(*part_id)?.bytes;
                removed += 1;
            }
        }
        for part in self.commit_many(run_id, at, commits)? {
            done.rows += part.rows;
            done.bytes_after += part.bytes;
        }
        done.days += added;
        done.parts_before += removed;
        Ok(())
    }

    /// One staged file from all parts of a day, or why the day is left alone.
    fn join(&self, day: &[RecordedPart]) -> Result<Result<Commit, String>> {
        for recorded in day {
            if let Err(detail) = verify::check_bytes(recorded) {
                return Ok(Err(format!("part {} {detail}", recorded.part.part_id)));
            }
        }
        let parts: Vec<&Part> = day.iter().map(|recorded| &recorded.part).collect();
        let schema = match common_schema(&parts)? {
            Ok(schema) => schema,
            Err(reason) => return Ok(Err(reason)),
        };
        let name = format!("compact-{:012}.parquet", parts[0].part_id);
        let path = self.staging_dir.join(name);
        // Left by an earlier attempt of this process that failed.
        let _ = self.fs.remove_file(&path);
        let rows: u64 = parts.iter().map(|p| p.rows).sum();
        let bytes: u64 = parts.iter().map(|p| p.bytes).sum();
        let sorts = rows <= MAX_SORTED_ROWS && bytes <= MAX_SORTED_PARQUET_BYTES;
        let staged = JoinedFile {
            path,
            schema,
            sorts,
        }
        .write(&parts)?;
        if staged.rows != rows {
            let detail = format!("has {} rows instead of {rows}", staged.rows);
            return Err(LakeError::Staged {
                path: staged.path,
                detail,
            });
        }
        Ok(Ok(Commit {
            add: vec![staged],
            remove: parts.iter().map(|p| p.part_id).collect(),
            ..Commit::default()
        }))
    }
}

struct JoinedFile {
    path: PathBuf,
    schema: SchemaRef,
    sorts: bool,
}

impl JoinedFile {
    fn write(self, parts: &[&Part]) -> Result<StagedPart> {
        let file = create_private(&self.path).map_err(LakeError::io("create", &self.path))?;
        let failed = || LakeError::parquet("write", &self.path);
        let mut writer = PartWriter::new(file, self.schema.clone());
        if self.sorts {
            let mut batches = Vec::new();
            for part in parts {
                self.read(part, |batch| {
                    batches.push(batch);
                    Ok(())
                })?;
            }
            let sorted = sorted(&concat_batches(&self.schema, &batches)?)?;
            writer.write(&sorted).map_err(failed())?;
        } else {
            for part in parts {
                self.read(part, |batch| writer.write(&batch).map_err(failed()))?;
            }
        }
        let Written { file, rows } = writer.finish().map_err(failed())?;
        let synced = file.sync_all();
        synced.map_err(LakeError::io("sync", &self.path))?;
        let size = file.metadata().map_err(LakeError::io("read", &self.path))?;
        let times = parts.iter().map(|p| p.first_event_at);
        let ends = parts.iter().map(|p| p.last_event_at);
        Ok(StagedPart {
            event_type: parts[0].event_type.clone(),
            day: parts[0].day,
            rows,
            bytes: size.len(),
            first_event_at: times.min().unwrap_or(parts[0].first_event_at),
            last_event_at: ends.max().unwrap_or(parts[0].last_event_at),
            path: self.path,
        })
    }

    /// Hands every batch of a part to `take`, in the common schema.
    fn read(&self, part: &Part, mut take: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let reader = open(part)?
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(LakeError::parquet("read", &part.path))?;
        for batch in reader {
            take(in_schema(&batch?, &self.schema)?)?;
        }
        Ok(())
    }
}

/// A schema that holds the columns of all parts, the newest part's first. None if one column
/// has two types.
fn common_schema(parts: &[&Part]) -> Result<Result<SchemaRef, String>> {
    let mut schemas = Vec::new();
    for part in parts.iter().rev() {
        schemas.push(open(part)?.schema().clone());
    }
    let mut fields: Vec<Field> = Vec::new();
    for schema in &schemas {
        for field in schema.fields() {
            match fields.iter_mut().find(|f| f.name() == field.name()) {
                None => fields.push(field.as_ref().clone()),
                Some(known) if known.data_type() == field.data_type() => {
                    known.set_nullable(known.is_nullable() || field.is_nullable());
                }
                Some(_) => {
                    return Ok(Err(format!("column `{}` has two types", field.name())));
                }
            }
        }
    }
    for field in &mut fields {
        if schemas
            .iter()
            .any(|s| s.field_with_name(field.name()).is_err())
        {
            field.set_nullable(true);
        }
    }
    Ok(Ok(Arc::new(Schema::new(fields))))
}

fn in_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => column.clone(),
            None => new_null_array(field.data_type(), batch.num_rows()),
        })
        .collect();
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

fn sorted(batch: &RecordBatch) -> Result<RecordBatch> {
    let keys: Vec<SortColumn> = SORTED_BY
        .iter()
        .filter_map(|name| batch.column_by_name(name))
        .map(|column| SortColumn {
            values: column.clone(),
            options: None,
        })
        .collect();
    if keys.is_empty() {
        return Ok(batch.clone());
    }
    let order = lexsort_to_indices(&keys, None)?;
    Ok(take_record_batch(batch, &order)?)
}

fn open(part: &Part) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(&part.path).map_err(LakeError::io("open", &part.path))?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(LakeError::parquet("read the footer of", &part.path))
}
