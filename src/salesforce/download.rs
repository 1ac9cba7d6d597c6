//! A log file of the org as a file of this machine: streamed, measured, and never half there.

use std::path::Path;

use super::export::unreadable;
use super::log_files::{LOG_FILES, LOG_FILES_PERMISSION};
use super::part_file::PartFile;
use super::{Client, LogFile, SalesforceError};

/// No log file is longer than this when inflated.
const BYTES_MAX: u64 = 8 << 30;
/// A file is not cut below this length, however short the org says it is.
const BYTES_FREE: u64 = 64 << 20;
/// How much longer than listed a file may be: it grows while it is written and made again.
const GROWTH_MAX: u64 = 16;
/// Bytes of the beginning that are kept to see what it is.
const HEAD: usize = 4096;
/// Bytes of the beginning that tell an error from a log.
const SIGN: usize = 64;

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    pub bytes: u64,
    pub remark: Option<String>,
}

impl Client {
    /// Downloads a log file to `to`. `told` gets the number of new bytes as they come, those of a
    /// failed attempt too.
    ///
    /// The org says how long a file is. Where it is not, it is downloaded once more; one that is
    /// longer then has grown and is whole, one that is shorter is refused.
    ///
    /// # Errors
    /// [`Class::Gone`](super::Class::Gone) where the org does not have it;
    /// [`Class::Passing`](super::Class::Passing) where it is not whole after all attempts.
    /// Nothing is at `to` then that was not there before.
    pub async fn download(
        &self,
        file: &LogFile,
        to: &Path,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<Downloaded, SalesforceError> {
        let mut part = PartFile::create(to)?;
        let first = self.fill(file, &mut part, told).await?;
        let bytes = match first == file.length {
            true => first,
            false => self.fill(file, &mut part, told).await?,
        };
        if bytes == 0 || bytes < file.length || bytes < first {
            return Err(SalesforceError::Network {
                what: format!(
                    "a log file of {} has {} bytes and should have {}",
                    file.event_type,
                    bytes,
                    first.max(file.length)
                ),
                fix: "the org may still be writing it; the next run tries again".into(),
            });
        }
        part.finish().await?;
        let remark = (bytes != file.length).then(|| {
            format!(
                "a log file of {} has {bytes} bytes and not {}, as the org's list says",
                file.event_type, file.length
            )
        });
        Ok(Downloaded { bytes, remark })
    }

    /// Fills the part with the whole body, in as many attempts as it takes. Returns its length.
    async fn fill(
        &self,
        file: &LogFile,
        part: &mut PartFile,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<u64, SalesforceError> {
        let path = format!("/sobjects/EventLogFile/{}/LogFile", file.id);
        let most = match file.length {
            0 => BYTES_MAX,
            length => length
                .saturating_mul(GROWTH_MAX)
                .clamp(BYTES_FREE, BYTES_MAX),
        };
        let filled = self.retrying(async || {
            part.restart()?;
            let mut response = self.get_stream(&path).await?;
            let mut head = Vec::with_capacity(HEAD);
            let mut bytes = 0;
            while let Some(chunk) = response.chunk().await.map_err(|e| self.broken(&e))? {
                told(chunk.len() as u64);
                bytes += chunk.len() as u64;
                if bytes > most {
                    return Err(too_long(file, most));
                }
                if head.len() < HEAD {
                    head.extend_from_slice(&chunk[..chunk.len().min(HEAD - head.len())]);
                }
                if head.len() == HEAD && is_error(&head) {
                    break;
                }
                part.append(&chunk)?;
            }
            match is_error(&head) {
                true => Err(match self.refusal_in(&head) {
                    Some(refusal) if refusal.code().is_some() => refusal,
                    _ => no_log(file),
                }),
                false => Ok(bytes),
            }
        });
        let filled = filled.await;
        filled.map_err(|fault| unreadable(LOG_FILES, LOG_FILES_PERMISSION, fault))
    }
}

/// Whether a body begins as errors do, which no log does: JSON, a page of HTML, XML.
fn is_error(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let head = head.trim_ascii_start();
    let begin: Vec<u8> = head
        .iter()
        .take(SIGN)
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    [&b"[{"[..], b"{", b"<"]
        .iter()
        .any(|sign| begin.starts_with(sign))
}

fn no_log(file: &LogFile) -> SalesforceError {
    SalesforceError::Network {
        what: format!(
            "the org sent an error page for a log file of {}",
            file.event_type
        ),
        fix: "the org may be under maintenance; the next run tries again".into(),
    }
}

fn too_long(file: &LogFile, most: u64) -> SalesforceError {
    SalesforceError::protocol(format!(
        "a log file of {} has more than {most} bytes where the org's list says {}",
        file.event_type, file.length
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_from_logs_by_how_they_begin() {
        for error in [
            "[{\"message\":\"x\",\"errorCode\":\"Y\"}]",
            " [ {\n\"message\"",
            "{\"error\":\"invalid_session\"}",
            "<html>",
            "\u{feff}\r\n<?xml version=\"1.0\"?>",
        ] {
            assert!(is_error(error.as_bytes()), "{error}");
        }
        for log in [
            "\"EVENT_TYPE\",\"TIMESTAMP\"\n",
            "EVENT_TYPE,TIMESTAMP",
            "\u{feff}\"EVENT_TYPE\"",
            "",
            "\0",
        ] {
            assert!(!is_error(log.as_bytes()), "{log}");
        }
    }
}
