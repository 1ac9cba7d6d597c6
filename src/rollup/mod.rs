//! Small tables made once from the raw logs, so that a question need not do it again:
//! `rollup_logins`, the merge of the EventLogFile's Login with LoginHistory, and what the
//! baselines rest on, see `history`.
//!
//! A day is made anew when it received rows, and when its neighbour received one near midnight.
//! The result depends on the rows alone, not on the order in which files came or on threads.
//!
//! Two accounts are one attempt when the user (by id, or by a username whose id is known) and
//! the outcome are equal, the addresses are equal or one is unusable, and the times lie at most
//! five seconds apart; the closest go together. Schema: [`crate::engine::login_attempt_schema`].
//!
//! From the merged logins and the calls it also tells which accounts behave like machines: see
//! `machines`.

mod attempts;
mod buckets;
mod compose;
mod days;
mod history;
mod machines;
mod pairing;
mod spellings;
#[cfg(test)]
mod tests;
mod usernames;
#[cfg(test)]
mod view_tests;
mod writer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimestampMillisecondType};
use arrow::error::ArrowError;
use chrono::{DateTime, NaiveDate, Utc};

use crate::catalog::{Catalog, LOGIN_HISTORY};
use crate::engine::{
    EngineError, EngineOptions, Params, ROLLUP_LOGINS, Session, login_attempt_schema,
};
use crate::lake::{Commit, Lake, LakeError, Part, RunId};
use buckets::Buckets;
use days::{Span, whole_day, with_margin, with_neighbours};
pub use history::check as check_history;
use writer::DayWriter;

const ACCOUNTS: &str = include_str!("../../queries/rollups/logins.sql");

/// The dirty-day stage that this module clears.
const STAGE: &str = "rollup";

/// EventLogFile type of the logins.
const LOGIN: &str = "Login";

#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the merged logins do not fit their schema: {0}")]
    Schema(#[from] ArrowError),
    #[error("cannot write {}: {source}", .path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write {}: {source}", .path.display())]
    Parquet {
        path: PathBuf,
        source: parquet::errors::ParquetError,
    },
}

impl RollupError {
    /// A file of the lake is damaged: other days can still be merged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Engine(EngineError::DamagedPart { .. }))
    }

    /// The query can do with less memory when it is asked in another form.
    fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Engine(EngineError::OutOfMemory { .. }))
    }

    fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    fn parquet(path: &Path, source: parquet::errors::ParquetError) -> Self {
        Self::Parquet {
            path: path.to_owned(),
            source,
        }
    }
}

/// What a refresh did.
#[derive(Debug, Default)]
pub struct RollupReport {
    /// Days whose logins were merged anew, ascending. Some of them received no rows themselves.
    pub days: Vec<NaiveDate>,
    /// Login attempts on those days.
    pub attempts: u64,
    /// User ids that got a name or a new one.
    pub usernames: usize,
    /// Days whose sightings and activity were made anew, ascending.
    pub history: Vec<NaiveDate>,
    /// Accounts that behave like a machine, or did.
    pub machines: usize,
    /// Days that a damaged lake file kept from being merged. They stay as they were and are
    /// tried again next time.
    pub failed: Vec<(NaiveDate, RollupError)>,
}

/// Brings the rollups up to date with the lake: learns usernames, merges the logins of every
/// day that changed or was merged by another release, and replaces those days in one commit; then
/// the same with what the accounts did and were seen with.
pub fn refresh(
    lake: &mut Lake,
    catalog: &Arc<Catalog>,
    options: &EngineOptions,
    run_id: RunId,
    at: DateTime<Utc>,
) -> Result<RollupReport, RollupError> {
    refresh_some(lake, catalog, options, run_id, at, true)
}

/// [`refresh`] as the rules' cases ask for it: they stand on this floor and are handed it. Cases
/// of rules that ask for no history do without.
pub fn of_cases(
    catalog: &Arc<Catalog>,
) -> impl Fn(&mut Lake, &EngineOptions, RunId, DateTime<Utc>, bool) -> Result<(), String> + Sync + '_
{
    |lake, options, run_id, at, with_history| {
        refresh_some(lake, catalog, options, run_id, at, with_history)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

fn refresh_some(
    lake: &mut Lake,
    catalog: &Arc<Catalog>,
    options: &EngineOptions,
    run_id: RunId,
    at: DateTime<Utc>,
    with_history: bool,
) -> Result<RollupReport, RollupError> {
    let mut report = RollupReport::default();
    let dirty = lake.ledger().dirty(STAGE)?;
    let touched: BTreeSet<NaiveDate> = dirty.days.iter().copied().collect();
    let merged = refresh_logins(lake, catalog, options, (run_id, at), &touched, &mut report)?;
    if with_history {
        let changed = touched.iter().chain(&report.days).copied().collect();
        refresh_history(lake, catalog, options, (run_id, at), &changed, &mut report)?;
    }
    if merged || lake.ledger().roles_inferred_by()?.as_deref() != Some(machines::RELEASE) {
        infer_roles(lake, catalog, options, at, &mut report)?;
    }
    // After the commits: a crash in between repeats the work, which gives the same rows.
    let done: Vec<NaiveDate> = dirty
        .days
        .into_iter()
        .filter(|day| report.failed.iter().all(|(failed, _)| failed != day))
        .collect();
    if !done.is_empty() {
        lake.ledger_mut().clear_dirty(STAGE, &done, dirty.marker)?;
    }
    Ok(report)
}

/// Learns usernames and merges logins anew; false where there was nothing to do.
fn refresh_logins(
    lake: &mut Lake,
    catalog: &Arc<Catalog>,
    options: &EngineOptions,
    (run_id, at): (RunId, DateTime<Utc>),
    touched: &BTreeSet<NaiveDate>,
    report: &mut RollupReport,
) -> Result<bool, RollupError> {
    let old = lake.parts(ROLLUP_LOGINS)?;
    let mut days: BTreeSet<NaiveDate> = old
        .iter()
        .filter(|part| !writer::is_ours(part))
        .map(|part| part.day)
        .collect();
    if touched.is_empty() && days.is_empty() {
        return Ok(false);
    }
    let Learned {
        names,
        awaiting,
        session,
    } = learn_usernames(lake, catalog, options, touched)?;
    report.usernames = names;

    let parts = login_parts(lake)?;
    days.extend(with_neighbours(touched, &parts));
    days.extend(awaiting);
    let with_logins: BTreeSet<NaiveDate> = parts.iter().chain(&old).map(|part| part.day).collect();
    days.retain(|day| with_logins.contains(day));

    let session = match session {
        Some(session) => session,
        None => Session::with_raw_tables(lake, catalog, options)?,
    };
    let mut commit = Commit::default();
    for group in days::asked_together(&days, &parts) {
        let together = match group.len() {
            1 => None,
            _ => accounts_of(&session, &group)?,
        };
        for day in group {
            let merged = match &together {
                Some(accounts) => merge_day(lake, &session, day, &parts, accounts.of(day)),
                None => merge_day_alone(lake, &session, day, &parts),
            };
            match merged {
                Ok(part) => {
                    report.days.push(day);
                    commit.add.extend(part);
                }
                Err(error) if error.is_damage() => report.failed.push((day, error)),
                Err(error) => return Err(error),
            }
        }
    }
    drop(session);
    commit.remove = old
        .iter()
        .filter(|part| report.days.binary_search(&part.day).is_ok())
        .map(|part| part.part_id)
        .collect();
    report.attempts = commit.add.iter().map(|part| part.rows).sum();
    if !commit.add.is_empty() || !commit.remove.is_empty() {
        lake.commit(run_id, at, commit)?;
    }
    Ok(true)
}

/// Makes the days of the accounts' history anew that changed, or have none yet.
fn refresh_history(
    lake: &mut Lake,
    catalog: &Arc<Catalog>,
    options: &EngineOptions,
    (run_id, at): (RunId, DateTime<Utc>),
    changed: &BTreeSet<NaiveDate>,
    report: &mut RollupReport,
) -> Result<(), RollupError> {
    let plan = history::plan(lake, changed)?;
    if plan.is_empty() {
        return Ok(());
    }
    let session = Session::with_raw_tables(lake, catalog, options)?;
    let made = plan.make(lake, &session)?;
    drop(session);
    report.history = made.days;
    report.failed.extend(made.failed);
    if !made.add.is_empty() || !made.remove.is_empty() {
        let commit = Commit {
            add: made.add,
            remove: made.remove,
            ..Commit::default()
        };
        lake.commit(run_id, at, commit)?;
    }
    Ok(())
}

/// Tells machines from people anew. A damaged file leaves the roles as they were; its days stay
/// dirty, so that they are tried again.
fn infer_roles(
    lake: &mut Lake,
    catalog: &Arc<Catalog>,
    options: &EngineOptions,
    at: DateTime<Utc>,
    report: &mut RollupReport,
) -> Result<(), RollupError> {
    let roles = match machines::infer(lake, catalog, options, at) {
        Err(error) if error.is_damage() => return Ok(()),
        roles => roles?,
    };
    report.machines = roles.len();
    if roles != lake.ledger().inferred_roles()?
        || lake.ledger().roles_inferred_by()?.as_deref() != Some(machines::RELEASE)
    {
        lake.ledger_mut()
            .replace_inferred_roles(&roles, machines::RELEASE)?;
    }
    Ok(())
}

/// What came of [`learn_usernames`].
struct Learned {
    /// How many names are new.
    names: usize,
    /// Days that wait for one of them.
    awaiting: Vec<NaiveDate>,
    /// A session that knows all names; none where one has to be opened anew for that.
    session: Option<Session>,
}

/// Upserts the names of the touched days.
fn learn_usernames(
    lake: &mut Lake,
    catalog: &Arc<Catalog>,
    options: &EngineOptions,
    touched: &BTreeSet<NaiveDate>,
) -> Result<Learned, RollupError> {
    let session = Session::with_raw_tables(lake, catalog, options)?;
    let known: BTreeSet<(String, String)> = lake.ledger().usernames()?.into_iter().collect();
    let mut naming = BTreeSet::new();
    for event_type in usernames::SOURCES {
        let parts = lake.parts(event_type)?;
        naming.extend(parts.iter().map(|part| part.day));
    }
    naming.retain(|day| touched.contains(day));
    let seen = usernames::seen_on(&session, &naming)?;
    lake.ledger_mut().upsert_usernames(&seen)?;
    let now_known = lake.ledger().usernames()?;
    let unchanged = now_known.len() == known.len() && now_known.iter().all(|n| known.contains(n));
    let new: BTreeSet<String> = now_known
        .into_iter()
        .filter(|name| !known.contains(name))
        .map(|(_, name)| name)
        .collect();
    Ok(Learned {
        names: new.len(),
        awaiting: usernames::days_awaiting(&session, &new)?,
        session: unchanged.then_some(session),
    })
}

fn login_parts(lake: &Lake) -> Result<Vec<Part>, LakeError> {
    let mut parts = lake.parts(LOGIN)?;
    parts.extend(lake.parts(LOGIN_HISTORY)?);
    Ok(parts)
}

/// The accounts of several days, asked for at once.
struct Accounts {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Accounts {
    /// Those that can matter to one of the days.
    fn of(&self, day: NaiveDate) -> Batches<'_> {
        let Span { from, to } = with_margin(day);
        let (from, to) = (from.timestamp_millis(), to.timestamp_millis());
        let near = move |batch: &RecordBatch| -> Result<RecordBatch, RollupError> {
            let times = batch
                .column_by_name("occurred_at")
                .ok_or_else(|| ArrowError::SchemaError("no occurred_at".into()))?
                .as_primitive::<TimestampMillisecondType>();
            let inside = BooleanArray::from_unary(times, |at| (from..to).contains(&at));
            Ok(filter_record_batch(batch, &inside)?)
        };
        Batches {
            schema: Arc::clone(&self.schema),
            batches: Box::new(self.batches.iter().map(near)),
        }
    }
}

/// Accounts, batch by batch.
struct Batches<'a> {
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, RollupError>> + 'a>,
}

/// The accounts of a few small days: planning the question for each would be dearer than the
/// answer. None where a file is damaged, and each day has to be tried by itself.
fn accounts_of(session: &Session, days: &[NaiveDate]) -> Result<Option<Accounts>, RollupError> {
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return Ok(None);
    };
    let (from, to) = (with_margin(*first).from, with_margin(*last).to);
    let Batches { schema, batches } = match ask_accounts(session, from, to) {
        Err(error) if error.is_damage() => return Ok(None),
        asked => asked?,
    };
    match batches.collect::<Result<Vec<_>, RollupError>>() {
        Ok(batches) => Ok(Some(Accounts { schema, batches })),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error),
    }
}

fn ask_accounts(
    session: &Session,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Batches<'_>, RollupError> {
    let params = Params::new().with_time("from", from).with_time("to", to);
    let stream = session.stream(ACCOUNTS, &params)?;
    let schema = with_text_views(&RecordBatch::new_empty(stream.schema()))?.schema();
    let batches = stream.map(|batch| Ok(with_text_views(&batch?)?));
    Ok(Batches {
        schema,
        batches: Box::new(batches),
    })
}

fn merge_day_alone(
    lake: &Lake,
    session: &Session,
    day: NaiveDate,
    logins: &[Part],
) -> Result<Option<crate::lake::StagedPart>, RollupError> {
    let Span { from, to } = with_margin(day);
    let accounts = ask_accounts(session, from, to)?;
    merge_day(lake, session, day, logins, accounts)
}

/// Merges one day of these login files into a staged file; None where the day has no logins.
fn merge_day(
    lake: &Lake,
    session: &Session,
    day: NaiveDate,
    logins: &[Part],
    accounts: Batches<'_>,
) -> Result<Option<crate::lake::StagedPart>, RollupError> {
    let span = with_margin(day);
    let near = |part: &&Part| part.first_event_at < span.to && part.last_event_at >= span.from;
    // The EventLogFile's accounts alone are attempts as they stand. LoginHistory's, even alone,
    // may tell one login in two spellings.
    let to_be_paired = logins
        .iter()
        .filter(near)
        .any(|part| part.event_type == LOGIN_HISTORY);
    let inside = whole_day(day);
    let inside = (inside.from.timestamp_millis(), inside.to.timestamp_millis());

    let merge = |accounts: &RecordBatch| -> Result<RecordBatch, RollupError> {
        let attempts = attempts::attempts(accounts)?;
        Ok(compose::compose(accounts, &attempts, inside)?)
    };
    let mut writer = DayWriter::create(lake, ROLLUP_LOGINS, login_attempt_schema(), day)?;
    if !to_be_paired {
        for batch in accounts.batches {
            writer.write(&merge(&batch?)?)?;
        }
        return writer.finish();
    }
    let rows = logins
        .iter()
        .filter(|part| part.day == day)
        .map(|part| part.rows)
        .sum();
    let mut buckets = Buckets::new(accounts.schema, rows, lake.staging_dir())?;
    for batch in accounts.batches {
        buckets.add(batch?)?;
    }
    buckets.each_sorted(session.threads(), merge, |merged| writer.write(&merged))?;
    writer.finish()
}

/// Literals and functions of SQL make plain text columns; the lake's text is Utf8View.
fn with_text_views(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let column = match column.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 => cast(column, &DataType::Utf8View)?,
                _ => Arc::clone(column),
            };
            Ok((field.name().clone(), column, true))
        });
    RecordBatch::try_from_iter_with_nullable(columns.collect::<Result<Vec<_>, ArrowError>>()?)
}

/// The same rows without the text buffers of the rows that were before them.
fn detached(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
            _ => Arc::clone(column),
        })
        .collect();
    RecordBatch::try_new(batch.schema(), columns)
}
