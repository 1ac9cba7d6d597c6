//! One file, read by several threads: chunks in, staged Parquet parts and an account out.

use std::io::Read;
use std::path::Path;
use std::sync::Mutex;

use super::batch::{self, Account, FileContext};
use super::chunk::{Chunker, Refusal};
use super::writer::DayWriter;
use super::{IngestError, Progress};
use crate::catalog::Catalog;
use crate::lake::StagedPart;

/// What reading one event type of a file gave.
pub struct ReadFile {
    pub account: Account,
    pub parts: Vec<StagedPart>,
    /// Why the file is to be rejected as a whole; its parts are then to be thrown away.
    pub refusal: Option<Refusal>,
}

/// Reads to the end of the file, or of this event type in it.
pub fn read<R: Read + Send>(
    chunker: &mut Chunker<R>,
    catalog: &Catalog,
    context: &FileContext,
    staging: &Path,
    threads: usize,
    progress: &dyn Progress,
) -> Result<ReadFile, IngestError> {
    let shared = Mutex::new((chunker, None::<Refusal>));
    let work = &|worker: usize| -> Result<(Account, Vec<StagedPart>), IngestError> {
        let mut account = Account::default();
        let mut writer: Option<DayWriter> = None;
        loop {
            let chunk = {
                let mut shared = shared.lock().map_err(|_| IngestError::Thread)?;
                let (chunker, refusal) = &mut *shared;
                if refusal.is_some() {
                    break;
                }
                match chunker.next(catalog) {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => break,
                    Err(why) => {
                        *refusal = Some(why);
                        break;
                    }
                }
            };
            let event_type = chunk.layout.event.name.clone();
            let bytes = chunk.bytes.len() as u64;
            let (batch, read) = batch::read(chunk, context)?;
            account.add(read);
            writer
                .get_or_insert_with(|| {
                    DayWriter::new(
                        staging,
                        format!("{}-{worker}", context.file_id),
                        &event_type,
                    )
                })
                .write(&batch)?;
            progress.advance(bytes);
        }
        Ok((account, writer.map_or(Ok(vec![]), DayWriter::finish)?))
    };
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.max(1))
            .map(|n| scope.spawn(move || work(n)))
            .collect();
        let mut results = vec![work(0)];
        results.extend(
            workers
                .into_iter()
                .map(|w| w.join().unwrap_or(Err(IngestError::Thread))),
        );
        results
    });
    let mut read = ReadFile {
        account: Account::default(),
        parts: vec![],
        refusal: None,
    };
    for result in results {
        let (account, parts) = result?;
        read.account.add(account);
        read.parts.extend(parts);
    }
    read.refusal = shared.into_inner().map_err(|_| IngestError::Thread)?.1;
    Ok(read)
}
