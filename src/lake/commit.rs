//! The commit: the one way by which files become visible or stop being so.
//!
//! ```text
//! check accounts, sizes, row counts; hash            nothing has changed yet
//! private mode, fsync of every staged file
//! make folders, rename every file into place         invisible: the ledger does not know them
//! fsync of every touched folder
//! ── one ledger transaction ──                       the moment at which all of it is true
//! ```
//! Failing before the transaction takes the renamed files away again. Failing in it leaves them:
//! the transaction may have reached the disk all the same, and only the next writer, which reads
//! what is really in the ledger, can tell litter from data.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

use ::parquet::file::metadata::ParquetMetaDataReader;
use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::error::{LakeError, Result};
use super::fs::{LakeFs, Step};
use super::layout::{is_rollup, part_path};
use super::ledger::{self, NewPart};
use super::model::{Commit, Part, PartId, RunId, SourceFile, StagedPart};
use super::{Lake, open};

const SYNCS_AT_ONCE: usize = 16;

/// A staged file that has been checked and has its place.
struct Prepared<'a> {
    staged: &'a StagedPart,
    part: Part,
    relative_path: PathBuf,
    blake3: [u8; 32],
}

impl Lake {
    /// Makes a commit visible as a whole, or fails and leaves the lake as it was. Returns the
    /// added parts in the order of `commit.add`. Days of added raw parts become dirty unless
    /// the part replaces others of its day.
    pub fn commit(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        commit: Commit,
    ) -> Result<Vec<Part>> {
        self.commit_many(run_id, at, vec![commit])
    }

    /// Several commits as one: all are visible or none. Costs the folder syncs and the ledger
    /// transaction only once. Returns the added parts of all commits in order.
    pub fn commit_many(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        commits: Vec<Commit>,
    ) -> Result<Vec<Part>> {
        self.needs_writer("committing")?;
        for commit in &commits {
            self.check_account(commit)?;
        }
        let prepared = commits
            .iter()
            .map(|commit| {
                commit
                    .add
                    .iter()
                    .map(|staged| self.prepare(staged))
                    .collect()
            })
            .collect::<Result<Vec<Vec<Prepared>>>>()?;
        let all: Vec<&Prepared> = prepared.iter().flatten().collect();
        if let Err(error) = self.publish(&all) {
            self.withdraw(&all);
            return Err(error);
        }
        self.record(run_id, at, &commits, &prepared)?;
        Ok(prepared.into_iter().flatten().map(|p| p.part).collect())
    }

    fn prepare<'a>(&self, staged: &'a StagedPart) -> Result<Prepared<'a>> {
        let (bytes, rows, blake3) = measure(&staged.path)?;
        let wrong = |detail: String| LakeError::Staged {
            path: staged.path.clone(),
            detail,
        };
        if bytes != staged.bytes {
            return Err(wrong(format!(
                "has {bytes} bytes instead of {}",
                staged.bytes
            )));
        }
        if rows != staged.rows {
            return Err(wrong(format!("has {rows} rows instead of {}", staged.rows)));
        }
        let part_id = self.next_part_id.fetch_add(1, Ordering::Relaxed);
        let relative_path = part_path(&staged.event_type, staged.day, part_id)?;
        Ok(Prepared {
            part: Part {
                part_id,
                path: self.data_dir.join(&relative_path),
                event_type: staged.event_type.clone(),
                day: staged.day,
                rows,
                bytes,
                first_event_at: staged.first_event_at,
                last_event_at: staged.last_event_at,
            },
            staged,
            relative_path,
            blake3,
        })
    }

    /// Puts every file in its place, durably, still invisible.
    fn publish(&self, prepared: &[&Prepared]) -> Result<()> {
        let fs = self.fs.as_ref();
        secure_all(fs, prepared)?;
        let mut touched = BTreeSet::new();
        for p in prepared {
            let day_dir = self.make_day_dir(&p.part.path, &mut touched)?;
            fs.rename(&p.staged.path, &p.part.path)
                .map_err(LakeError::io("move into place", &p.part.path))?;
            touched.insert(day_dir);
        }
        for dir in &touched {
            open::sync_dir(fs, dir)?;
        }
        Ok(())
    }

    /// Makes the folders of a part; adds to `touched` those that got a new entry.
    fn make_day_dir(&self, part: &Path, touched: &mut BTreeSet<PathBuf>) -> Result<PathBuf> {
        let day_dir = part.parent().unwrap_or(part).to_owned();
        if day_dir.is_dir() {
            return Ok(day_dir);
        }
        let event_dir = day_dir.parent().unwrap_or(&day_dir).to_owned();
        for dir in [&event_dir, &day_dir] {
            let made = self
                .fs
                .create_dir(dir)
                .map_err(LakeError::io("create", dir))?;
            if let (true, Some(parent)) = (made, dir.parent()) {
                touched.insert(parent.to_owned());
            }
        }
        Ok(day_dir)
    }

    /// Takes back what `publish` has put in place. Best effort: what stays is swept later.
    fn withdraw(&self, prepared: &[&Prepared]) {
        for p in prepared {
            let _ = self.fs.remove_file(&p.part.path);
        }
    }

    fn record(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        commits: &[Commit],
        prepared: &[Vec<Prepared>],
    ) -> Result<()> {
        let ledger_path = self.data_dir.join(super::layout::LEDGER);
        let stopped = || LakeError::io("commit to", &ledger_path);
        self.fs
            .reached(Step::BeforeTransaction)
            .map_err(stopped())?;
        let tx = self.ledger.write()?;
        for (commit, parts) in commits.iter().zip(prepared) {
            record_one(&tx, &self.data_dir, run_id, at, commit, parts)?;
        }
        self.fs
            .reached(Step::BeforeLedgerCommit)
            .map_err(stopped())?;
        tx.commit()?;
        self.fs.reached(Step::AfterLedgerCommit).map_err(stopped())
    }

    /// Rows may only come from a file's account or from the parts they replace, so that the sum
    /// over all accounts stays the sum over all parts.
    fn check_account(&self, commit: &Commit) -> Result<()> {
        let added: u64 = raw_rows(commit.add.iter().map(|p| (p.event_type.as_str(), p.rows)));
        let wrong = |name: &str, detail: String| LakeError::Account {
            name: name.to_owned(),
            detail,
        };
        if let Some(file) = &commit.file {
            check_file(file).map_err(|detail| wrong(&file.name, detail))?;
            if file.rows_kept != added {
                let detail = format!("{} rows kept, {added} rows written", file.rows_kept);
                return Err(wrong(&file.name, detail));
            }
        } else if !commit.remove.is_empty() {
            let removed = commit
                .remove
                .iter()
                .map(|id| self.ledger.visible_part(*id))
                .collect::<Result<Vec<Part>>>()?;
            let removed = raw_rows(removed.iter().map(|p| (p.event_type.as_str(), p.rows)));
            if removed != added {
                let detail = format!("{removed} rows replaced by {added}");
                return Err(wrong("replaced parts", detail));
            }
        }
        Ok(())
    }
}

/// Private mode and fsync of every staged file. Side by side, because a disk serves many syncs
/// in little more time than one, and a first night has hundreds of small files.
fn secure_all(fs: &dyn LakeFs, prepared: &[&Prepared]) -> Result<()> {
    let secure = |p: &&Prepared| -> Result<()> {
        let staged = &p.staged.path;
        fs.make_private(staged)
            .map_err(LakeError::io("protect", staged))?;
        fs.sync_file(staged).map_err(LakeError::io("sync", staged))
    };
    let share = prepared.len().div_ceil(SYNCS_AT_ONCE).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = prepared
            .chunks(share)
            .map(|some| scope.spawn(move || some.iter().try_for_each(secure)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

fn record_one(
    tx: &Connection,
    data_dir: &Path,
    run_id: RunId,
    at: DateTime<Utc>,
    commit: &Commit,
    parts: &[Prepared],
) -> Result<()> {
    if let Some(file) = &commit.file {
        ledger::insert_file(tx, run_id, at, file)?;
    }
    let removed = commit
        .remove
        .iter()
        .map(|id| ledger::remove_part(tx, data_dir, *id, at))
        .collect::<Result<Vec<Part>>>()?;
    for p in parts {
        let part = &p.part;
        let new = NewPart {
            part,
            relative_path: &p.relative_path,
            blake3: &p.blake3,
            run_id,
            at,
        };
        ledger::insert_part(tx, &new)?;
        let replaced: Vec<PartId> = removed
            .iter()
            .filter(|old| old.event_type == part.event_type && old.day == part.day)
            .map(|old| old.part_id)
            .collect();
        if !is_rollup(&part.event_type) {
            if let Some(file) = &commit.file {
                ledger::link_file(tx, part.part_id, file.file_id)?;
            }
            if replaced.is_empty() {
                ledger::mark_dirty(tx, part.day, part.part_id)?;
            }
        }
        for old in replaced {
            ledger::inherit_files(tx, part.part_id, old)?;
        }
    }
    ledger::insert_quarantine(tx, &commit.quarantine)
}

fn check_file(file: &SourceFile) -> Result<(), String> {
    let told = file.rows_kept + file.rows_duplicate + file.rows_quarantined;
    if file.rows_read == told {
        return Ok(());
    }
    Err(format!(
        "{} rows read, but {} kept + {} duplicate + {} quarantined",
        file.rows_read, file.rows_kept, file.rows_duplicate, file.rows_quarantined
    ))
}

fn raw_rows<'a>(parts: impl Iterator<Item = (&'a str, u64)>) -> u64 {
    parts
        .filter(|(event_type, _)| !is_rollup(event_type))
        .map(|(_, rows)| rows)
        .sum()
}

/// Bytes, rows by the footer, and hash of a Parquet file.
pub(super) fn measure(path: &Path) -> Result<(u64, u64, [u8; 32])> {
    let mut file = File::open(path).map_err(LakeError::io("open", path))?;
    let mut hasher = blake3::Hasher::new();
    let bytes = std::io::copy(&mut file, &mut hasher).map_err(LakeError::io("read", path))?;
    let footer = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .map_err(LakeError::parquet("read the footer of", path))?;
    let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
    Ok((bytes, rows, *hasher.finalize().as_bytes()))
}
