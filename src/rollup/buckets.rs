//! A day's accounts in buckets of users, each sorted in memory: a day of any size is merged in
//! bounded memory, by one pass over its rows.
//!
//! A small day is one bucket that never leaves memory. The buckets of a larger one wait in
//! Arrow IPC files in the staging folder, which the next writer of the lake sweeps if we die.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{
    SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use xxhash_rust::xxh3::xxh3_64;

use super::{RollupError, detached};
use crate::lake::create_private;

/// Rows that are sorted at a time, about: some hundred bytes each.
const BUCKET_ROWS: u64 = 32_768;

/// By user, then time; the rest makes the order total.
const ORDER: [&str; 6] = [
    "user_key",
    "occurred_at",
    "account",
    "row_key",
    "line_no",
    "file_id",
];

/// A bucket's file, gone when done with.
struct BucketFile {
    path: PathBuf,
    writer: StreamWriter<BufWriter<File>>,
}

impl Drop for BucketFile {
    fn drop(&mut self) {
        // What stays all the same is swept by the next writer of the lake.
        let _ = std::fs::remove_file(&self.path);
    }
}

pub(super) struct Buckets {
    schema: SchemaRef,
    memory: Vec<RecordBatch>,
    files: Vec<BucketFile>,
}

impl Buckets {
    /// Buckets for about so many `rows`; `folder` takes the files that they may need.
    pub(super) fn new(schema: SchemaRef, rows: u64, folder: &Path) -> Result<Self, RollupError> {
        let count = rows.div_ceil(BUCKET_ROWS);
        let files = match count {
            0 | 1 => vec![],
            _ => (0..count)
                .map(|n| BucketFile::create(folder.join(format!("bucket-{n}.arrows")), &schema))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self {
            schema,
            memory: vec![],
            files,
        })
    }

    /// Adds rows, all of one user to one bucket.
    pub(super) fn add(&mut self, batch: RecordBatch) -> Result<(), RollupError> {
        if self.files.is_empty() {
            self.memory.push(batch);
            return Ok(());
        }
        let users = batch
            .column(self.schema.index_of("user_key")?)
            .as_string_view();
        let mut rows = vec![vec![]; self.files.len()];
        for row in 0..batch.num_rows() {
            let user = if users.is_null(row) {
                ""
            } else {
                users.value(row)
            };
            let bucket = xxh3_64(user.as_bytes()) % self.files.len() as u64;
            // A batch has far fewer rows than 2^32.
            rows[bucket as usize].push(row as u32);
        }
        for (file, rows) in self.files.iter_mut().zip(rows) {
            if !rows.is_empty() {
                let rows = take_record_batch(&batch, &UInt32Array::from(rows))?;
                file.writer.write(&detached(&rows)?)?;
            }
        }
        Ok(())
    }

    /// Makes something of each bucket, sorted, `threads` at a time, and hands it to `done` in the
    /// order of the buckets.
    pub(super) fn each_sorted<T: Send>(
        mut self,
        threads: usize,
        make: impl Fn(&RecordBatch) -> Result<T, RollupError> + Sync,
        mut done: impl FnMut(T) -> Result<(), RollupError>,
    ) -> Result<(), RollupError> {
        if self.files.is_empty() {
            let all = concat_batches(&self.schema, &std::mem::take(&mut self.memory))?;
            return done(make(&sorted(&all)?)?);
        }
        let (make, schema) = (&make, &self.schema);
        while !self.files.is_empty() {
            let some = self.files.drain(..threads.clamp(1, self.files.len()));
            let made = std::thread::scope(|scope| {
                let workers: Vec<_> = some
                    .map(|file| scope.spawn(move || make(&sorted(&file.read(schema)?)?)))
                    .collect();
                workers.into_iter().map(|w| w.join()).collect::<Vec<_>>()
            });
            for result in made {
                done(result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)?;
            }
        }
        Ok(())
    }
}

impl BucketFile {
    fn create(path: PathBuf, schema: &SchemaRef) -> Result<Self, RollupError> {
        let file = create_private(&path).map_err(|e| RollupError::io(&path, e))?;
        let writer = StreamWriter::try_new(BufWriter::new(file), schema)?;
        Ok(Self { path, writer })
    }

    fn read(mut self, schema: &SchemaRef) -> Result<RecordBatch, RollupError> {
        self.writer.finish()?;
        let file = File::open(&self.path).map_err(|e| RollupError::io(&self.path, e))?;
        let batches: Vec<RecordBatch> =
            StreamReader::try_new(BufReader::new(file), None)?.collect::<Result<_, _>>()?;
        Ok(concat_batches(schema, &batches)?)
    }
}

fn sorted(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let options = Some(SortOptions {
        descending: false,
        nulls_first: true,
    });
    let columns = ORDER
        .iter()
        .map(|name| {
            let values = batch.column(batch.schema().index_of(name)?).clone();
            Ok(SortColumn { values, options })
        })
        .collect::<Result<Vec<_>, ArrowError>>()?;
    take_record_batch(batch, &lexsort_to_indices(&columns, None)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringViewArray, TimestampMillisecondArray};

    use super::*;

    fn rows(users: &[&str]) -> RecordBatch {
        let n = users.len() as i64;
        let text = |t: Vec<&str>| Arc::new(StringViewArray::from(t)) as ArrayRef;
        let numbers = || Arc::new(Int64Array::from_iter_values((0..n).rev())) as ArrayRef;
        let times = TimestampMillisecondArray::from_iter_values((0..n).rev());
        RecordBatch::try_from_iter([
            ("user_key", text(users.to_vec())),
            ("occurred_at", Arc::new(times) as ArrayRef),
            ("account", text(vec!["elf"; users.len()])),
            ("row_key", numbers()),
            ("line_no", numbers()),
            ("file_id", numbers()),
        ])
        .unwrap()
    }

    #[test]
    fn however_many_buckets_no_row_is_lost_and_each_user_is_in_order_in_one() {
        let folder = tempfile::tempdir().unwrap();
        for expected_rows in [10, 350_000] {
            let batch = rows(&[
                "b",
                "a",
                "c",
                "a-user-of-more-than-twelve-letters",
                "b",
                "a",
            ]);
            let mut buckets = Buckets::new(batch.schema(), expected_rows, folder.path()).unwrap();
            for _ in 0..3 {
                buckets.add(batch.clone()).unwrap();
            }
            let mut seen: Vec<Vec<(String, i64)>> = vec![];
            let lines_of = |bucket: &RecordBatch| {
                let users = bucket.column(0).as_string_view();
                let lines = bucket
                    .column(4)
                    .as_primitive::<arrow::datatypes::Int64Type>();
                let row = |n: usize| (users.value(n).to_owned(), lines.value(n));
                Ok((0..bucket.num_rows()).map(row).collect::<Vec<_>>())
            };
            let keep = |lines| {
                seen.push(lines);
                Ok(())
            };
            buckets.each_sorted(2, lines_of, keep).unwrap();
            assert!(seen.iter().all(|bucket| bucket.is_sorted()));
            assert_eq!(seen.iter().map(Vec::len).sum::<usize>(), 18);
            let holding_a = seen
                .iter()
                .filter(|b| b.iter().any(|(user, _)| user == "a"))
                .count();
            assert_eq!(holding_a, 1);
            assert_eq!(
                folder.path().read_dir().unwrap().count(),
                0,
                "no file is left"
            );
        }
    }
}
