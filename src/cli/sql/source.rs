//! What `orgwatch sql` asks: the lake of the settings, or one made of log files.

use std::any::Any;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::SqlArgs;
use super::cache::{self, Cache, Entry, Told};
use crate::catalog::Catalog;
use crate::cli::account::{ingest_troubles, quarantine_reasons, write_quarantine};
use crate::cli::exit::Exit;
use crate::cli::failure::UsageError;
use crate::cli::interrupt::Leftover;
use crate::cli::night::{program_and_catalog, read_inputs, refresh_rollups};
use crate::cli::workplace::Workplace;
use crate::ingest::Input;
use crate::lake::Lake;
use crate::privacy::printable;
use crate::words::counted;

/// What is asked. The fields are dropped in order: a lake before its folder.
pub enum Source {
    Lake(Box<Lake>),
    /// Log files, as this or an earlier call has read them.
    Kept(Box<Entry>),
    /// Log files, read for this call only.
    Read {
        lake: Box<Lake>,
        told: Told,
        /// The folder is gone with it.
        _folder: Box<dyn Any>,
    },
}

impl Source {
    pub fn open(
        args: &SqlArgs,
        place: &Workplace<'_>,
        catalog: &Arc<Catalog>,
    ) -> anyhow::Result<Self> {
        if args.from.is_empty() {
            return Self::lake_of_settings(place);
        }
        let inputs = Input::expand(&args.from)?;
        if inputs.is_empty() {
            return Err(UsageError::new(
                "--from names no log file",
                "a folder is searched for .csv, .json and .jsonl, also with .gz, and .zip",
            )
            .into());
        }
        let source = match Self::cached(args, &inputs, place, catalog) {
            Some(source) => source?,
            None => {
                // For its owner alone, and gone with this process however it ends.
                let folder = tempfile::Builder::new()
                    .prefix("orgwatch-")
                    .permissions(Permissions::from_mode(0o700))
                    .tempdir()
                    .context("cannot make a temporary folder")?;
                let folder = Leftover::new(folder.keep());
                let (lake, told) = read(&folder.path().join("data"), &inputs, place, catalog)?;
                Self::Read {
                    lake: Box::new(lake),
                    told,
                    _folder: Box::new(folder),
                }
            }
        };
        if let Self::Kept(entry) = &source {
            tell(&entry.told, place);
        }
        if let Self::Read { told, .. } = &source {
            tell(told, place);
        }
        Ok(source)
    }

    fn lake_of_settings(place: &Workplace<'_>) -> anyhow::Result<Self> {
        let lake = Lake::open_reader(place.data_dir())?;
        if !lake.ledger().dirty_days("rollup")?.is_empty() {
            place
                .terminal
                .warn("`logins` lacks the latest rows; `orgwatch detect` brings it up to date");
        }
        Ok(Self::Lake(Box::new(lake)))
    }

    /// The files as they were read before, or read now and kept. None where nothing is kept: it
    /// is not wanted, there is no place, or a file can be read only once.
    fn cached(
        args: &SqlArgs,
        inputs: &[Input],
        place: &Workplace<'_>,
        catalog: &Arc<Catalog>,
    ) -> Option<anyhow::Result<Self>> {
        if args.no_cache {
            return None;
        }
        let unusable = |error: &dyn std::fmt::Display| {
            let why = printable(&error.to_string(), 300);
            place
                .terminal
                .detail(&format!("what is read is not kept: {why}"));
        };
        let cache = match Cache::open(args.cache_size.0) {
            Ok(cache) => cache?,
            Err(error) => {
                unusable(&error);
                return None;
            }
        };
        let how = format!(
            "{} {:?} {}",
            program_and_catalog(place),
            place.ingest_options().local_dates,
            *place.settings.limits.quarantine_ratio
        );
        let key = || cache::key(inputs, &how).ok().flatten();
        let before = key()?;
        if let Some(entry) = cache.find(&before) {
            place.terminal.detail("read before, from the cache");
            return Some(Ok(Self::Kept(Box::new(entry))));
        }
        let making = match cache.make() {
            Ok(making) => making,
            Err(error) => {
                unusable(&error);
                return None;
            }
        };
        let (lake, told) = match read(&making.data(), inputs, place, catalog) {
            Ok(made) => made,
            Err(error) => return Some(Err(error)),
        };
        drop(lake);
        // A file that changed while it was read is no content of this key.
        let kept = match key() == Some(before.clone()) {
            true => cache.keep(&before, making, &told),
            false => Ok(Err(making)),
        };
        Some(match kept {
            Ok(Ok(entry)) => Ok(Self::Kept(Box::new(entry))),
            Ok(Err(making)) => Lake::open_reader(&making.data())
                .map(|lake| Self::Read {
                    lake: Box::new(lake),
                    told,
                    _folder: Box::new(making),
                })
                .map_err(Into::into),
            // The disk is full, most likely: without the cache the question may still be answered.
            Err(error) => {
                unusable(&error);
                return None;
            }
        })
    }

    pub fn lake(&self) -> &Lake {
        match self {
            Self::Lake(lake) | Self::Read { lake, .. } => lake,
            Self::Kept(entry) => &entry.lake,
        }
    }

    pub fn exit(&self) -> Exit {
        let told = match self {
            Self::Lake(_) => return Exit::Done,
            Self::Kept(entry) => &entry.told,
            Self::Read { told, .. } => told,
        };
        match told.is_partial {
            true => Exit::Partial,
            false => Exit::Done,
        }
    }
}

/// Reads the files into a lake at `data`, and says what there is to say of them.
fn read(
    data: &Path,
    inputs: &[Input],
    place: &Workplace<'_>,
    catalog: &Arc<Catalog>,
) -> anyhow::Result<(Lake, Told)> {
    let mut lake = Lake::open_scratch(data)?;
    let run_id = lake.ledger_mut().start_run("sql", place.clock.now())?;
    let report = read_inputs(&mut lake, catalog, inputs, run_id, place)?;
    refresh_rollups(&mut lake, catalog, run_id, place)?;
    let mut told = Told::default();
    for file in &report.files {
        if let Some(reason) = &file.reason {
            let (name, reason) = (printable(&file.name, 300), printable(reason, 1000));
            told.warnings.push(format!("{name}: {reason}"));
        }
    }
    let (read, kept) = (report.total(|f| f.rows_read), report.total(|f| f.rows_kept));
    told.detail = format!(
        "{}, {kept} of {read} rows kept",
        counted(report.files.len(), "file")
    );
    let troubles = ingest_troubles(&report, *place.settings.limits.quarantine_ratio);
    told.is_partial = !troubles.is_empty();
    told.warnings.extend(troubles);
    let mut quarantine = String::new();
    write_quarantine(&mut quarantine, &quarantine_reasons(&lake, &report)?)?;
    told.remarks = quarantine
        .lines()
        .map(|line| line.trim_start().to_owned())
        .collect();
    Ok((lake, told))
}

fn tell(told: &Told, place: &Workplace<'_>) {
    told.warnings
        .iter()
        .for_each(|warning| place.terminal.warn(warning));
    place.terminal.detail(&told.detail);
    told.remarks
        .iter()
        .for_each(|remark| place.terminal.say(remark));
}
