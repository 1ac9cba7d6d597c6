//! Files, as a downloader leaves them: each night's folder holds what came in that night, which is
//! the logs of the day before. Now and then a file comes a night late, or comes incomplete and
//! again, or once more by the hour.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::acts::Mark;
use super::book::{Book, Kind, Tier};
use super::draw::Draw;
use super::error::SimulateError;
use super::moment::{DAY, HOUR, hour_of, later, start_of};
use super::table::{Line, Table};

/// How the files of a day come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A night late.
    Late,
    /// Without the hours from this one on, and a night later as a whole.
    Reissued(u32),
    /// By the hour, beside the daily file.
    HourlyToo,
    /// In two files, the labelled rows spread over both.
    InTwo,
}

/// Something asked for: for the files of one log, or of all logs.
#[derive(Debug, Clone)]
pub struct Irregular {
    pub day: NaiveDate,
    pub kind: Option<Kind>,
    pub how: How,
}

pub struct Delivery<'a> {
    folder: &'a Path,
    seed: u64,
    tier: Tier,
    asked: &'a [Irregular],
    last_day: NaiveDate,
}

impl<'a> Delivery<'a> {
    /// Delivers into night folders below `folder`.
    pub fn new(
        folder: &'a Path,
        seed: u64,
        tier: Tier,
        asked: &'a [Irregular],
        last_day: NaiveDate,
    ) -> Self {
        Self {
            folder,
            seed,
            tier,
            asked,
            last_day,
        }
    }

    /// Writes the files of a day, and forgets its rows. `labelled`: something happened on that day
    /// that is labelled, so that its files come as usual unless something else is asked for.
    pub fn deliver(
        &self,
        book: &mut Book<'_>,
        day: NaiveDate,
        labelled: bool,
    ) -> Result<(), SimulateError> {
        let end = start_of(day) + DAY;
        for (kind, table) in book.tables() {
            let lines = table.lines_before(end).to_vec();
            if !lines.is_empty() {
                let how = self.how(*kind, day, labelled);
                self.files(*kind, table, &lines, day, how)?;
            }
            table.forget_before(end);
        }
        Ok(())
    }

    fn how(&self, kind: Kind, day: NaiveDate, labelled: bool) -> Option<How> {
        let asked = |i: &&Irregular| i.day == day && i.kind.is_none_or(|k| k == kind);
        if let Some(irregular) = self.asked.iter().find(asked) {
            return Some(irregular.how);
        }
        if labelled || day >= self.last_day {
            return None;
        }
        let mut draw = Draw::new(self.seed, &["delivery", kind.as_str(), &day.to_string()]);
        let hour = draw.between(14, 22) as u32;
        match (kind, draw.below(1000)) {
            (Kind::LoginHistory | Kind::SetupAuditTrail, _) => None,
            (_, 0..=7) => Some(How::Late),
            (_, 8..=19) => Some(How::Reissued(hour)),
            (Kind::Login | Kind::ApiTotalUsage, 20..=49) if self.tier == Tier::Shield => {
                Some(How::HourlyToo)
            }
            _ => None,
        }
    }

    fn files(
        &self,
        kind: Kind,
        table: &Table,
        lines: &[Line],
        day: NaiveDate,
        how: Option<How>,
    ) -> Result<(), SimulateError> {
        let name = format!("{}_{day}", kind.as_str());
        let nights = |n| self.folder.join(later(day, n).to_string());
        let whole = |folder: PathBuf| {
            self.file(&folder.join(format!("{name}.csv")), table, lines, |_| true)
        };
        match how {
            None => whole(nights(1)),
            Some(How::Late) => whole(nights(2)),
            Some(How::Reissued(hour)) => {
                let early = |line: &Line| hour_of(line.at) < hour;
                self.file(&nights(1).join(format!("{name}.csv")), table, lines, early)?;
                self.file(
                    &nights(2).join(format!("{name}_reissued.csv")),
                    table,
                    lines,
                    |_| true,
                )
            }
            Some(How::HourlyToo) => {
                let hourly = nights(1).join("hourly");
                for hour in 0..24 {
                    let in_hour = |line: &Line| (line.at - start_of(day)) / HOUR == hour;
                    let path = hourly.join(format!("{name}T{hour:02}.csv"));
                    self.file(&path, table, lines, in_hour)?;
                }
                whole(nights(1))
            }
            Some(How::InTwo) => {
                for part in 0..2 {
                    let path = nights(1).join(format!("{name}_{}.csv", part + 1));
                    let mut labelled = 0;
                    self.file(&path, table, lines, |line| match line.mark {
                        Mark::NONE => part == 0,
                        _ => {
                            labelled += 1;
                            labelled % 2 == part
                        }
                    })?;
                }
                Ok(())
            }
        }
    }

    /// One file, or none where it would hold no row: Salesforce makes no empty files.
    fn file(
        &self,
        path: &Path,
        table: &Table,
        lines: &[Line],
        mut wanted: impl FnMut(&Line) -> bool,
    ) -> Result<(), SimulateError> {
        let wrong = |source| SimulateError::Write {
            path: path.to_owned(),
            source,
        };
        let mut wanted = lines.iter().filter(|line| wanted(line)).peekable();
        if wanted.peek().is_none() {
            return Ok(());
        }
        let mut file = create(path)?;
        file.write_all(&table.header()).map_err(wrong)?;
        for line in wanted {
            file.write_all(table.text(line)).map_err(wrong)?;
        }
        file.flush().map_err(wrong)
    }
}

/// A new file, with the folders above it.
pub fn create(path: &Path) -> Result<BufWriter<File>, SimulateError> {
    let wrong = |source| SimulateError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let file = File::create_new(path).map_err(wrong)?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}
