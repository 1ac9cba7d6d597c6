//! From the inbox into the lake: the ingest, batch by batch, and what it made of each file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::inbox::remove;
use super::{FetchError, FetchOptions};
use crate::catalog::Catalog;
use crate::ingest::{IngestReport, Input, Silent, ingest};
use crate::lake::{FileState, Lake};

pub(super) struct Intake<'a> {
    pub lake: &'a mut Lake,
    catalog: &'a Catalog,
    options: &'a FetchOptions,
    /// Of all batches.
    pub report: IngestReport,
}

/// Why the ingest refused a file; none where it has its rows.
pub(super) type Refusal = Option<String>;

impl<'a> Intake<'a> {
    pub fn new(lake: &'a mut Lake, catalog: &'a Catalog, options: &'a FetchOptions) -> Self {
        Self {
            lake,
            catalog,
            options,
            report: IngestReport::default(),
        }
    }

    /// Reads files of the inbox. They are still there afterwards.
    pub fn read(&mut self, paths: &[PathBuf]) -> Result<HashMap<PathBuf, Refusal>, FetchError> {
        if paths.is_empty() {
            return Ok(HashMap::new());
        }
        let inputs = paths
            .iter()
            .map(|path| Input::file(path))
            .collect::<Vec<_>>();
        let options = self.options;
        let report = ingest(
            self.lake,
            self.catalog,
            &inputs,
            &options.ingest,
            &Silent,
            options.run_id,
            options.at,
        )?;
        let refused: HashMap<&str, &str> = report
            .files
            .iter()
            .filter(|file| file.state == FileState::Rejected)
            .map(|file| {
                (
                    file.name.as_str(),
                    file.reason.as_deref().unwrap_or_default(),
                )
            })
            .collect();
        let outcome = |(path, input): (&PathBuf, &Input)| {
            let refusal = refused
                .get(input.name.as_str())
                .map(|why| (*why).to_owned());
            (path.clone(), refusal)
        };
        let outcomes = paths.iter().zip(&inputs).map(outcome).collect();
        self.report.files.extend(report.files);
        self.report.known.extend(report.known);
        Ok(outcomes)
    }

    /// Reads a file and removes it.
    pub fn take(&mut self, path: &Path) -> Result<Refusal, FetchError> {
        let mut outcomes = self.read(&[path.to_owned()])?;
        remove(path)?;
        Ok(outcomes.remove(path).flatten())
    }
}
