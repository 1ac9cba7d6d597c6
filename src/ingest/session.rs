//! An ingest from the first file to the last: what is known already, what is rejected, what is
//! committed together.

use std::collections::HashMap;
use std::io::Read;

use chrono::{DateTime, NaiveDate, Utc};

use super::IngestError;
use super::batch::FileContext;
use super::chunk::{Chunker, Refusal};
use super::dedupe::{self, Deduped, Known};
use super::file::{self, ReadFile};
use super::input::Input;
use super::json;
use super::snapshot;
use super::time::LocalDates;
use crate::catalog::Catalog;
use crate::lake::{Commit, ContentHash, FileId, FileState, Lake, RunId, SourceFile, StagedPart};

/// Files smaller than this are read by one thread: starting another costs more.
const ONE_THREAD_BYTES: u64 = 8 << 20;
/// What is committed at once: so many files or so many bytes of Parquet.
const COMMIT_FILES: usize = 128;
const COMMIT_BYTES: u64 = 256 << 20;

#[derive(Debug, Clone, Copy)]
pub struct IngestOptions {
    pub threads: usize,
    pub local_dates: LocalDates,
}

/// Told how far the work has come.
pub trait Progress: Sync {
    /// `bytes` of CSV in all, as far as it is known.
    fn begin(&self, _files: usize, _bytes: u64) {}
    fn file(&self, _name: &str) {}
    fn advance(&self, _bytes: u64) {}
    fn end(&self) {}
}

/// No progress shown.
pub struct Silent;

impl Progress for Silent {}

/// An input whose content the lake holds already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    pub name: String,
    pub file_id: FileId,
}

/// What is known of a JSON text besides its records.
struct Answer {
    /// In what it falls short of what was asked.
    shortfall: Option<String>,
}

const CUT_OFF: &str = "the file ends inside a record";

/// The account of an ingest.
#[derive(Debug, Clone, Default)]
pub struct IngestReport {
    /// Files read or rejected in this run, in the order of their names.
    pub files: Vec<SourceFile>,
    pub known: Vec<KnownFile>,
}

impl IngestReport {
    /// Adds the account of another ingest of the same run.
    pub fn join(&mut self, other: &IngestReport) {
        self.files.extend(other.files.iter().cloned());
        self.known.extend(other.known.iter().cloned());
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
    }

    pub fn total(&self, count: impl Fn(&SourceFile) -> u64) -> u64 {
        self.files.iter().map(count).sum()
    }

    pub fn rejected(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|f| f.state == FileState::Rejected)
    }
}

/// Reads `inputs` into the lake. One file that cannot be read is rejected and the others go on;
/// an error means that the lake could not be written, and that nothing half-written is visible.
pub fn ingest(
    lake: &mut Lake,
    catalog: &Catalog,
    inputs: &[Input],
    options: &IngestOptions,
    progress: &dyn Progress,
    run_id: RunId,
    at: DateTime<Utc>,
) -> Result<IngestReport, IngestError> {
    progress.begin(inputs.len(), inputs.iter().filter_map(Input::size).sum());
    let mut session = Session {
        next_file_id: lake.next_file_id()?,
        known_sizes: lake.known_sizes()?,
        lake,
        catalog,
        options,
        progress,
        run_id,
        at,
        pending: vec![],
        pending_bytes: 0,
        seen: HashMap::new(),
        report: IngestReport::default(),
    };
    for input in inputs {
        progress.file(&input.name);
        session.read_input(input)?;
        if session.pending.len() >= COMMIT_FILES || session.pending_bytes >= COMMIT_BYTES {
            session.commit()?;
        }
    }
    session.commit()?;
    progress.end();
    Ok(session.report)
}

struct Session<'a> {
    lake: &'a mut Lake,
    catalog: &'a Catalog,
    options: &'a IngestOptions,
    progress: &'a dyn Progress,
    run_id: RunId,
    at: DateTime<Utc>,
    next_file_id: FileId,
    known_sizes: std::collections::HashSet<u64>,
    pending: Vec<Commit>,
    pending_bytes: u64,
    /// Contents read in this run.
    seen: HashMap<ContentHash, FileId>,
    report: IngestReport,
}

impl Session<'_> {
    fn read_input(&mut self, input: &Input) -> Result<(), IngestError> {
        if let Some(file_id) = self.known_before_reading(input)? {
            self.report.known.push(KnownFile {
                name: input.name.clone(),
                file_id,
            });
            return Ok(());
        }
        let source = match input.open() {
            Ok(source) => source,
            Err(reason) => {
                self.reject(&input.name, reason, [0; 32], 0);
                return Ok(());
            }
        };
        let (source, is_json) = json::sniff(source);
        if is_json {
            return self.read_json(source, input);
        }
        let large = input.size().is_none_or(|size| size >= ONE_THREAD_BYTES);
        let threads = if large { self.options.threads } else { 1 };
        let mut chunker = Chunker::new(source, self.lake.key().row_seed());
        let mut name = input.name.clone();
        for part in 2.. {
            self.read_one_type(&mut chunker, &name, threads, None)?;
            if !chunker.other_type_follows {
                break;
            }
            chunker.begin_other_type();
            name = format!("{} (part {part})", input.name);
        }
        Ok(())
    }

    /// Reads each kind of record of a JSON text as a file of its own.
    fn read_json(&mut self, source: impl Read, input: &Input) -> Result<(), IngestError> {
        let tables = match json::read(source, &input.name, self.catalog) {
            Ok(tables) => tables,
            Err(reason) => {
                self.reject(&input.name, reason, [0; 32], 0);
                return Ok(());
            }
        };
        let row_seed = self.lake.key().row_seed();
        let answer = Answer {
            shortfall: tables.shortfall,
        };
        for (at, csv) in tables.csv.iter().enumerate() {
            let name = match at {
                0 => input.name.clone(),
                _ => format!("{} (part {})", input.name, at + 1),
            };
            let mut chunker = Chunker::of_records(csv.as_slice(), row_seed);
            self.read_one_type(&mut chunker, &name, 1, Some(&answer))?;
        }
        Ok(())
    }

    /// A file of a size that the lake has seen is hashed first: reading is cheaper than parsing.
    /// Snapshots are small and never found here: their identity has the day in it.
    fn known_before_reading(&self, input: &Input) -> Result<Option<FileId>, IngestError> {
        const BOM: u64 = 3;
        let of_known_size = input.size().is_some_and(|size| {
            self.known_sizes.contains(&size) || self.known_sizes.contains(&size.wrapping_sub(BOM))
        });
        if !of_known_size || !input.is_rereadable() {
            return Ok(None);
        }
        let Ok(source) = input.open() else {
            return Ok(None);
        };
        match hash_content(source) {
            Ok(hash) => Ok(self.lake.file_by_hash(&hash)?),
            // The reading proper will meet the same fault and say so.
            Err(_) => Ok(None),
        }
    }

    fn read_one_type<R: Read + Send>(
        &mut self,
        chunker: &mut Chunker<R>,
        name: &str,
        threads: usize,
        json: Option<&Answer>,
    ) -> Result<(), IngestError> {
        let file_id = self.next_file_id;
        let key = self.lake.key().clone();
        let taken_at = snapshot::taken_at(name).unwrap_or(self.at);
        let context = FileContext {
            file_id,
            key: &key,
            local_dates: self.options.local_dates,
            taken_ms: taken_at.timestamp_millis(),
            from_json: json.is_some(),
        };
        let staging = self.lake.staging_dir().to_owned();
        let read = file::read(
            chunker,
            self.catalog,
            &context,
            &staging,
            threads,
            self.progress,
        )?;
        let ReadFile {
            account,
            parts,
            refusal,
        } = read;
        let hash = chunker.content_hash();
        if let Some(refusal) = refusal {
            throw_away(&parts)?;
            let reason = match refusal {
                Refusal::Header(reason) => reason,
                Refusal::Io(reason) => format!("reading stopped: {reason}"),
            };
            self.reject(name, reason, hash, chunker.size);
            return Ok(());
        }
        let is_snapshot = chunker.layout().is_some_and(|l| l.event.is_roster());
        // The same list on another day says that nothing has changed since, which is news.
        let hash = match is_snapshot {
            true => hash_of_snapshot(&hash, taken_at.date_naive()),
            false => hash,
        };
        let known = match self.seen.get(&hash) {
            Some(file_id) => Some(*file_id),
            None if is_snapshot => self.lake.reading_by_hash(&hash)?,
            None => self.lake.file_by_hash(&hash)?,
        };
        if let Some(file_id) = known {
            throw_away(&parts)?;
            self.report.known.push(KnownFile {
                name: name.to_owned(),
                file_id,
            });
            return Ok(());
        }
        let event_type = parts.first().map(|p| p.event_type.clone());
        let deduped = match is_snapshot {
            // A snapshot repeats what earlier ones say: that is its meaning.
            true => Deduped {
                parts,
                duplicates: 0,
            },
            false => dedupe::remove_repeats(parts, &chunker.sections, |day| {
                self.held(event_type.as_deref().unwrap_or_default(), day)
            })?,
        };
        let layout = chunker.layout();
        let shortfall = match json {
            Some(answer) => answer.shortfall.clone(),
            None => account.torn.then(|| CUT_OFF.to_owned()),
        };
        // A snapshot without rows is one, too: it says that there are none.
        let instant = |ms: Option<i64>| match is_snapshot {
            true => Some(taken_at),
            false => ms.and_then(DateTime::from_timestamp_millis),
        };
        let file = SourceFile {
            file_id,
            name: name.to_owned(),
            content_hash: hash,
            size_bytes: chunker.size,
            event_type: layout.map_or(String::new(), |l| l.event.name.clone()),
            interval: match is_snapshot {
                true => None,
                false => interval(name, account.first_ms, account.last_ms),
            },
            state: match &shortfall {
                Some(_) => FileState::Torn,
                None => FileState::Ingested,
            },
            reason: shortfall,
            unknown_columns: layout.map_or(vec![], |l| l.unknown.clone()),
            missing_columns: layout.map_or(vec![], |l| l.missing.clone()),
            absent_columns: layout.map_or(vec![], |l| l.absent.clone()),
            first_event_at: instant(account.first_ms),
            last_event_at: instant(account.last_ms),
            rows_read: account.rows_read,
            rows_kept: deduped.parts.iter().map(|p| p.rows).sum(),
            rows_duplicate: deduped.duplicates,
            rows_quarantined: account.rows_quarantined,
            repeated_headers: chunker.repeated_headers,
            timestamp_fallbacks: account.timestamp_fallbacks,
            unreadable_values: account.unreadable_values,
        };
        self.seen.insert(hash, file_id);
        self.next_file_id += 1;
        self.pending_bytes += deduped.parts.iter().map(|p| p.bytes).sum::<u64>();
        self.report.files.push(file.clone());
        self.pending.push(Commit {
            file: Some(file),
            add: deduped.parts,
            remove: vec![],
            quarantine: account.quarantine,
        });
        Ok(())
    }

    /// What the lake and the commits to come hold of an event type's day.
    fn held(&self, event_type: &str, day: NaiveDate) -> Result<Vec<Known>, IngestError> {
        let visible = self.lake.parts_between(event_type, day, day)?;
        let visible = visible.into_iter().map(|p| Known {
            path: p.path,
            first_event_at: p.first_event_at,
            last_event_at: p.last_event_at,
        });
        let pending = self.pending.iter().flat_map(|c| &c.add);
        let pending = pending
            .filter(|p| p.event_type == event_type && p.day == day)
            .map(|p| Known {
                path: p.path.clone(),
                first_event_at: p.first_event_at,
                last_event_at: p.last_event_at,
            });
        Ok(visible.chain(pending).collect())
    }

    fn reject(&mut self, name: &str, reason: String, content_hash: ContentHash, size_bytes: u64) {
        let file = SourceFile {
            file_id: self.next_file_id,
            name: name.to_owned(),
            content_hash,
            size_bytes,
            event_type: String::new(),
            interval: None,
            state: FileState::Rejected,
            reason: Some(reason),
            unknown_columns: vec![],
            missing_columns: vec![],
            absent_columns: vec![],
            first_event_at: None,
            last_event_at: None,
            rows_read: 0,
            rows_kept: 0,
            rows_duplicate: 0,
            rows_quarantined: 0,
            repeated_headers: 0,
            timestamp_fallbacks: 0,
            unreadable_values: 0,
        };
        self.next_file_id += 1;
        self.report.files.push(file.clone());
        self.pending.push(Commit {
            file: Some(file),
            ..Commit::default()
        });
    }

    fn commit(&mut self) -> Result<(), IngestError> {
        if !self.pending.is_empty() {
            let commits = std::mem::take(&mut self.pending);
            self.pending_bytes = 0;
            self.lake.commit_many(self.run_id, self.at, commits)?;
        }
        Ok(())
    }
}

fn throw_away(parts: &[StagedPart]) -> Result<(), IngestError> {
    parts
        .iter()
        .try_for_each(|p| std::fs::remove_file(&p.path).map_err(IngestError::io("remove", &p.path)))
}

/// Identity of a snapshot: its content and the day it was taken.
fn hash_of_snapshot(content: &ContentHash, day: NaiveDate) -> ContentHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(content);
    hasher.update(day.to_string().as_bytes());
    *hasher.finalize().as_bytes()
}

/// BLAKE3 of the content as the chunker counts it: without a byte order mark.
fn hash_content(mut source: impl Read) -> std::io::Result<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    let mut first = true;
    loop {
        let mut got = 0;
        while got < buffer.len() {
            match source.read(&mut buffer[got..])? {
                0 => break,
                n => got += n,
            }
        }
        if got == 0 {
            return Ok(*hasher.finalize().as_bytes());
        }
        let bytes = &buffer[..got];
        let bytes = match first {
            true => bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
            false => bytes,
        };
        hasher.update(bytes);
        first = false;
    }
}

/// Whether a file is an hourly or a daily one, by the word in its name, else by its events: more
/// than one UTC hour within a day is daily. Rows alone cannot show a file to be hourly.
fn interval(name: &str, first_ms: Option<i64>, last_ms: Option<i64>) -> Option<String> {
    const HOUR_MS: i64 = 3_600_000;
    let lower = name.to_ascii_lowercase();
    if let Some(word) = ["hourly", "daily"].into_iter().find(|w| lower.contains(w)) {
        return Some(word.to_owned());
    }
    let (first, last) = (first_ms?.div_euclid(HOUR_MS), last_ms?.div_euclid(HOUR_MS));
    (first != last && first.div_euclid(24) == last.div_euclid(24)).then(|| "daily".to_owned())
}
