//! What the operator names as input, as a list of files to read: files, folders, globs, archives
//! and standard input.
//!
//! The list is sorted by name, so that the order in which inputs are given changes nothing.
//! Only regular files are read, and a link inside a folder must not lead out of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use zip::{CompressionMethod, ZipArchive};

use super::IngestError;
use crate::privacy::printable;

/// Most entries of a zip file.
const ZIP_ENTRIES: usize = 1000;
/// An archive may inflate to this many times its size.
const INFLATE_RATIO: u64 = 200;
/// Below this size the ratio does not count: small files of one repeated row are honest.
const INFLATE_FREE: u64 = 64 << 20;
const NAME_CHARS: usize = 300;

/// One CSV or JSON text to read, or something in its place that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Shown in messages and kept in the ledger: the path, or `archive.zip!entry.csv`.
    pub name: String,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Plain(PathBuf),
    Gzip(PathBuf),
    ZipEntry {
        path: PathBuf,
        start: u64,
        packed: u64,
        size: u64,
        deflated: bool,
        crc: u32,
    },
    Stdin,
    /// Named, or found in a folder, but not to be read.
    Refused(String),
}

impl Input {
    /// The files that `arguments` stand for: paths, folders (searched for `.csv`, `.json` and
    /// `.jsonl`, each also with `.gz`, and `.zip`), globs, and `-` for standard input.
    ///
    /// # Errors
    /// [`IngestError::Input`] for a path that does not exist or a glob that is none.
    pub fn expand(arguments: &[String]) -> Result<Vec<Input>, IngestError> {
        let mut found = BTreeMap::new();
        for argument in arguments {
            if argument == "-" {
                found.insert("stdin".to_owned(), Place::Stdin);
            } else if argument.contains(['*', '?', '[']) && !Path::new(argument).exists() {
                let paths = glob::glob(argument)
                    .map_err(|e| input(argument, &format!("not a glob: {}", e.msg)))?;
                for path in paths.flatten() {
                    add_path(&path, &mut found)?;
                }
            } else {
                add_path(Path::new(argument), &mut found)?;
            }
        }
        Ok(found
            .into_iter()
            .map(|(name, place)| Input { name, place })
            .collect())
    }

    /// A plain CSV file.
    pub fn file(path: &Path) -> Input {
        Input {
            name: shown(path),
            place: Place::Plain(path.to_owned()),
        }
    }

    /// Size of the CSV, where it is known before reading.
    pub fn size(&self) -> Option<u64> {
        match &self.place {
            Place::Plain(path) => path.metadata().ok().map(|m| m.len()),
            Place::Gzip(path) => gzip_size(path).ok(),
            Place::ZipEntry { size, .. } => Some(*size),
            Place::Stdin | Place::Refused(_) => None,
        }
    }

    /// Whether it can be opened again for another look.
    pub fn is_rereadable(&self) -> bool {
        !matches!(self.place, Place::Stdin | Place::Refused(_))
    }

    /// The file that it is, or is in; none of standard input and of what is not to be read.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Plain(path) | Place::Gzip(path) | Place::ZipEntry { path, .. } => Some(path),
            Place::Stdin | Place::Refused(_) => None,
        }
    }

    /// The CSV's bytes.
    ///
    /// # Errors
    /// The reason why it is not to be read; a fault or an exceeded limit later on comes from the
    /// reader.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, String> {
        let open = |path: &Path| File::open(path).map_err(|e| format!("cannot be opened: {e}"));
        Ok(match &self.place {
            Place::Plain(path) => Box::new(open(path)?),
            Place::Gzip(path) => {
                let file = open(path)?;
                let packed = file.metadata().map_err(|e| e.to_string())?.len();
                Box::new(Limited::new(
                    MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file)),
                    packed,
                ))
            }
            Place::ZipEntry {
                path,
                start,
                packed,
                size,
                deflated,
                crc,
            } => {
                let mut file = open(path)?;
                file.seek(SeekFrom::Start(*start))
                    .map_err(|e| e.to_string())?;
                let body = BufReader::with_capacity(1 << 16, file).take(*packed);
                let body: Box<dyn Read + Send> = match deflated {
                    true => Box::new(DeflateDecoder::new(body)),
                    false => Box::new(body),
                };
                Box::new(Limited::new(Checked::new(body, *size, *crc), *packed))
            }
            Place::Stdin => Box::new(io::stdin()),
            Place::Refused(reason) => return Err(reason.clone()),
        })
    }
}

fn input(path: &str, reason: &str) -> IngestError {
    IngestError::Input {
        path: printable(path, NAME_CHARS),
        reason: reason.to_owned(),
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), NAME_CHARS)
}

fn add_path(path: &Path, found: &mut BTreeMap<String, Place>) -> Result<(), IngestError> {
    let metadata = path.metadata().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => input(&shown(path), "no such file or folder"),
        _ => input(&shown(path), &e.to_string()),
    })?;
    if metadata.is_dir() {
        let root = path
            .canonicalize()
            .map_err(|e| input(&shown(path), &e.to_string()))?;
        add_folder(path, &root, found);
    } else {
        add_file(path, found);
    }
    Ok(())
}

fn add_folder(folder: &Path, root: &Path, found: &mut BTreeMap<String, Place>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => {
            found.insert(
                shown(folder),
                Place::Refused(format!("cannot be listed: {e}")),
            );
            return;
        }
    };
    for path in entries.flatten().map(|e| e.path()) {
        let hidden = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        let is_link = path.is_symlink();
        let inside = path.canonicalize().is_ok_and(|real| real.starts_with(root));
        if is_link && !inside {
            found.insert(
                shown(&path),
                Place::Refused("the link leads out of the folder, or nowhere".into()),
            );
        } else if path.is_dir() {
            // A link to a folder above would never end.
            if !is_link {
                add_folder(&path, root, found);
            }
        } else if is_ours(&path) {
            add_file(&path, found);
        }
    }
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.file_name()
        .is_some_and(|n| n.to_string_lossy().to_ascii_lowercase().ends_with(suffix))
}

fn is_ours(path: &Path) -> bool {
    is_text(&path.to_string_lossy().to_ascii_lowercase())
        || has_suffix(path, ".zip")
        || TEXTS
            .iter()
            .any(|suffix| has_suffix(path, &format!("{suffix}.gz")))
}

/// What a file of records is called: CSV, a JSON answer, JSON lines.
const TEXTS: [&str; 4] = [".csv", ".json", ".jsonl", ".ndjson"];

fn is_text(lower_case_name: &str) -> bool {
    TEXTS.iter().any(|suffix| lower_case_name.ends_with(suffix))
}

fn add_file(path: &Path, found: &mut BTreeMap<String, Place>) {
    let place = if !path.is_file() {
        Place::Refused("not a regular file (pass a stream through standard input: -)".into())
    } else if has_suffix(path, ".zip") {
        match zip_entries(path) {
            Ok(entries) => return found.extend(entries),
            Err(reason) => Place::Refused(reason),
        }
    } else if has_suffix(path, ".gz") {
        Place::Gzip(path.to_owned())
    } else {
        Place::Plain(path.to_owned())
    };
    found.insert(shown(path), place);
}

fn zip_entries(path: &Path) -> Result<Vec<(String, Place)>, String> {
    let file = File::open(path).map_err(|e| format!("cannot be opened: {e}"))?;
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|e| format!("not a readable zip file: {e}"))?;
    if archive.len() > ZIP_ENTRIES {
        return Err(format!(
            "{} entries; at most {ZIP_ENTRIES} are read",
            archive.len()
        ));
    }
    let mut entries = vec![];
    for index in 0..archive.len() {
        let entry = archive
            .by_index_raw(index)
            .map_err(|e| format!("entry {}: {e}", index + 1))?;
        if entry.is_dir() {
            continue;
        }
        let inner = entry
            .name()
            .map_err(|e| format!("entry {}: {e}", index + 1))?;
        let name = format!("{}!{}", shown(path), printable(&inner, NAME_CHARS));
        let inner = inner.to_ascii_lowercase();
        let method = entry.compression();
        let place = if inner.ends_with(".zip") || inner.ends_with(".gz") {
            Place::Refused("an archive inside an archive is not read".into())
        } else if !is_text(&inner) {
            continue;
        } else if entry.encrypted() {
            Place::Refused("the entry is encrypted".into())
        } else if !matches!(
            method,
            CompressionMethod::Stored | CompressionMethod::Deflated
        ) {
            Place::Refused(format!("compressed by {method:?}; only deflate is read"))
        } else {
            match entry.data_start() {
                Some(start) => Place::ZipEntry {
                    path: path.to_owned(),
                    start,
                    packed: entry.compressed_size(),
                    size: entry.size(),
                    deflated: method == CompressionMethod::Deflated,
                    crc: entry.crc32(),
                },
                None => Place::Refused("the entry's data cannot be found".into()),
            }
        };
        entries.push((name, place));
    }
    if entries.is_empty() {
        return Err("no .csv and no .json in the archive".into());
    }
    Ok(entries)
}

/// The last four bytes of a gzip file: its size modulo 4 GiB. Only a hint.
fn gzip_size(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-4))?;
    let mut size = [0; 4];
    file.read_exact(&mut size)?;
    Ok(u32::from_le_bytes(size).into())
}

/// Stops an archive that inflates beyond all measure.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R> Limited<R> {
    fn new(inner: R, packed: u64) -> Self {
        Self {
            inner,
            left: packed.saturating_mul(INFLATE_RATIO).max(INFLATE_FREE),
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(got as u64).ok_or_else(|| {
            io::Error::other(format!(
                "it inflates to more than {INFLATE_RATIO} times its size"
            ))
        })?;
        Ok(got)
    }
}

/// Holds a zip entry to its size and checksum.
struct Checked<R> {
    inner: R,
    crc: flate2::Crc,
    size: u64,
    expected: u32,
}

impl<R> Checked<R> {
    fn new(inner: R, size: u64, expected: u32) -> Self {
        Self {
            inner,
            crc: flate2::Crc::new(),
            size,
            expected,
        }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.crc.update(&buffer[..got]);
        self.size = self
            .size
            .checked_sub(got as u64)
            .ok_or_else(|| io::Error::other("the entry is longer than the archive says"))?;
        if got == 0 && !buffer.is_empty() && (self.size > 0 || self.crc.sum() != self.expected) {
            return Err(io::Error::other(
                "the archive is damaged: the entry's checksum differs",
            ));
        }
        Ok(got)
    }
}
