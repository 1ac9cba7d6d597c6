//! The times that log files write: Event Log File timestamps, ISO 8601, and the local date
//! formats of Setup's downloads, whose zone the user gives.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

/// How local dates without a zone of their own are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDates {
    /// Zone of the person who made the export; without it only times that carry their zone
    /// are read.
    pub zone: Option<Tz>,
    /// `26/04/2026` rather than `04/26/2026`.
    pub day_first: bool,
}

/// Why a time could not be read. Never holds the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFault {
    Missing,
    Unreadable,
    /// Local time, and the zone was not given.
    NoZone,
    /// The clock jumped over it (start of daylight saving).
    NoSuchTime,
    /// The time names a zone, and it is not the one that was given.
    OtherZone,
}

impl std::fmt::Display for TimeFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TimeFault::Missing => "the time is missing",
            TimeFault::Unreadable => "the time is not in a known format",
            TimeFault::NoZone => {
                "the time is local: give its zone (--timezone, or inputs.timezone)"
            }
            TimeFault::NoSuchTime => "the local time was skipped by daylight saving",
            TimeFault::OtherZone => {
                "the time names another zone than --timezone (or inputs.timezone) does"
            }
        })
    }
}

/// Years that a log can be of. What is outside is a broken cell.
const YEARS: std::ops::RangeInclusive<i32> = 1999..=9999;

/// Reads times cell by cell; the day of the last one is remembered, for logs are in order.
#[derive(Debug, Default)]
pub struct TimeReader {
    local: LocalDates,
    day: [u8; 10],
    day_ms: i64,
}

impl TimeReader {
    pub fn new(local: LocalDates) -> Self {
        Self {
            local,
            ..Self::default()
        }
    }

    /// Milliseconds since 1970 UTC.
    pub fn read(&mut self, cell: &[u8]) -> Result<i64, TimeFault> {
        if let Some(ms) = self.read_derived(cell) {
            return Ok(ms);
        }
        let text = std::str::from_utf8(cell)
            .map_err(|_| TimeFault::Unreadable)?
            .trim();
        if text.is_empty() {
            return Err(TimeFault::Missing);
        }
        read_compact(text)
            .or_else(|| read_iso(text))
            .filter(in_years)
            .map(|t| t.timestamp_millis())
            .map_or_else(|| self.read_local(text), Ok)
    }

    /// As [`TimeReader::read`], and a date alone (`2026-01-15`) is its midnight UTC.
    pub fn read_moment(&mut self, cell: &[u8]) -> Option<i64> {
        if let Ok(ms) = self.read(cell) {
            return Some(ms);
        }
        let day = NaiveDate::parse_from_str(std::str::from_utf8(cell).ok()?.trim(), "%Y-%m-%d");
        let midnight = day.ok()?.and_time(chrono::NaiveTime::MIN).and_utc();
        in_years(&midnight).then(|| midnight.timestamp_millis())
    }

    /// `2026-01-15T10:00:00.000Z`, which nearly every row has.
    fn read_derived(&mut self, cell: &[u8]) -> Option<i64> {
        let cell: &[u8; 24] = cell.try_into().ok()?;
        if cell[10] != b'T'
            || cell[13] != b':'
            || cell[16] != b':'
            || cell[19] != b'.'
            || cell[23] != b'Z'
        {
            return None;
        }
        if cell[..10] != self.day {
            let day = NaiveDate::parse_from_str(std::str::from_utf8(&cell[..10]).ok()?, "%Y-%m-%d")
                .ok()?;
            let day = day.and_time(chrono::NaiveTime::MIN).and_utc();
            if !in_years(&day) {
                return None;
            }
            self.day.copy_from_slice(&cell[..10]);
            self.day_ms = day.timestamp_millis();
        }
        let number = |digits: &[u8]| -> Option<i64> {
            digits.iter().try_fold(0, |n, d| {
                d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0'))
            })
        };
        let (hour, minute) = (number(&cell[11..13])?, number(&cell[14..16])?);
        let (second, milli) = (number(&cell[17..19])?, number(&cell[20..23])?);
        // A leap second counts as the last moment of its minute.
        (hour < 24 && minute < 60 && second < 61)
            .then(|| self.day_ms + ((hour * 60 + minute) * 60 + second.min(59)) * 1000 + milli)
    }

    /// Setup's download: `4/26/2026, 10:51:16 AM PDT` and its relatives.
    fn read_local(&self, text: &str) -> Result<i64, TimeFault> {
        let (stamp, zone_word) = split_zone_word(text);
        let naive = self.naive_local(stamp).ok_or(TimeFault::Unreadable)?;
        if zone_word.is_some_and(|w| matches!(w, "UTC" | "GMT" | "Z")) {
            return Ok(naive.and_utc().timestamp_millis());
        }
        let zone = self.local.zone.ok_or(TimeFault::NoZone)?;
        let at = match zone.from_local_datetime(&naive) {
            LocalResult::Single(at) => at,
            // The hour that daylight saving repeats: the zone's own word tells which.
            LocalResult::Ambiguous(first, second) => match zone_word {
                Some(word) if second.format("%Z").to_string() == word => second,
                _ => first,
            },
            LocalResult::None => return Err(TimeFault::NoSuchTime),
        };
        // Words differ between languages, so only those that a page in English is sure to write
        // can prove the given zone wrong.
        match zone_word.and_then(us_zone) {
            Some(named) if us_zone(&at.format("%Z").to_string()) != Some(named) => {
                Err(TimeFault::OtherZone)
            }
            _ => Ok(at.timestamp_millis()),
        }
    }

    fn naive_local(&self, stamp: &str) -> Option<NaiveDateTime> {
        let dates: &[&str] = if self.local.day_first {
            &["%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y-%m-%d"]
        } else {
            &["%m/%d/%Y", "%m-%d-%Y", "%Y-%m-%d"]
        };
        const TIMES: [&str; 5] = [
            "%I:%M:%S %p",
            "%I:%M %p",
            "%H:%M:%S%.f",
            "%H:%M:%S",
            "%H:%M",
        ];
        let stamp = stamp
            .replace(['\u{202f}', '\u{a0}'], " ")
            .replace(", ", " ");
        let with_date_of_four_digits =
            |at: &NaiveDateTime| YEARS.contains(&chrono::Datelike::year(at));
        dates
            .iter()
            .flat_map(|date| TIMES.iter().map(move |time| format!("{date} {time}")))
            .find_map(|format| NaiveDateTime::parse_from_str(&stamp, &format).ok())
            .filter(with_date_of_four_digits)
    }
}

fn in_years(at: &DateTime<Utc>) -> bool {
    YEARS.contains(&chrono::Datelike::year(at))
}

/// `20260115100000.000`, with none to nine digits behind the point.
fn read_compact(text: &str) -> Option<DateTime<Utc>> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() != 14 || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let milli: i64 = match fraction {
        "" => 0,
        f if f.len() <= 9 && f.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{f:0<3}").get(..3)?.parse().ok()?
        }
        _ => return None,
    };
    let at = NaiveDateTime::parse_from_str(whole, "%Y%m%d%H%M%S")
        .ok()?
        .and_utc();
    Some(at + chrono::TimeDelta::milliseconds(milli))
}

/// ISO 8601 with a zone: `Z`, `+0000` or `+00:00`.
fn read_iso(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .ok()
        .map(|at| at.to_utc())
}

/// The letters of a zone at the end (`PDT`), apart from AM and PM.
fn split_zone_word(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(' ') {
        Some((stamp, word))
            if word.len() >= 2
                && word.bytes().all(|b| b.is_ascii_alphabetic())
                && !matches!(word.to_ascii_uppercase().as_str(), "AM" | "PM") =>
        {
            (stamp.trim_end(), Some(word))
        }
        _ => (text, None),
    }
}

/// What a zone word of the United States names, summer or winter. `CST` is China's, too: a given
/// zone whose own word is the same always fits.
fn us_zone(word: &str) -> Option<&'static str> {
    match word {
        "EST" | "EDT" => Some("Eastern"),
        "CST" | "CDT" => Some("Central"),
        "MST" | "MDT" => Some("Mountain"),
        "PST" | "PDT" => Some("Pacific"),
        "AKST" | "AKDT" => Some("Alaska"),
        "HST" | "HDT" => Some("Hawaii"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text)
            .unwrap()
            .timestamp_millis()
    }

    fn read(cell: &str) -> Result<i64, TimeFault> {
        TimeReader::default().read(cell.as_bytes())
    }

    #[test]
    fn every_spelling_of_a_utc_time_is_read() {
        let at = utc("2021-10-19T05:07:07.130Z");
        for cell in [
            "2021-10-19T05:07:07.130Z",
            "20211019050707.130",
            "20211019050707.13",
            "2021-10-19T05:07:07.130+0000",
            "2021-10-19T07:07:07.13+02:00",
            " 2021-10-19T05:07:07.130Z ",
        ] {
            assert_eq!(read(cell), Ok(at), "{cell}");
        }
        assert_eq!(read("20220803011210"), Ok(utc("2022-08-03T01:12:10Z")));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for cell in [
            "yesterday",
            "20260230000000.000",
            "2026-13-01T00:00:00.000Z",
            "0001-01-01T00:00:00.000Z",
            "2026-01-01T25:00:00.000Z",
            "1767225600000",
            "-",
            "+262142-01-01T00:00:00Z",
        ] {
            assert_eq!(read(cell), Err(TimeFault::Unreadable), "{cell}");
        }
        assert_eq!(read("  "), Err(TimeFault::Missing));
    }

    #[test]
    fn local_dates_need_the_zone_that_the_user_gives() {
        let cell = "4/26/2026, 10:51:16 AM PDT";
        assert_eq!(read(cell), Err(TimeFault::NoZone));
        let zone = Some(chrono_tz::America::Los_Angeles);
        let mut reader = TimeReader::new(LocalDates {
            zone,
            day_first: false,
        });
        assert_eq!(
            reader.read(cell.as_bytes()),
            Ok(utc("2026-04-26T17:51:16Z"))
        );
        assert_eq!(
            reader.read(b"04/26/2026 10:51 AM"),
            Ok(utc("2026-04-26T17:51:00Z"))
        );
        let mut reader = TimeReader::new(LocalDates {
            zone,
            day_first: true,
        });
        assert_eq!(
            reader.read(b"26/04/2026, 23:49:15"),
            Ok(utc("2026-04-27T06:49:15Z"))
        );
    }

    #[test]
    fn a_time_that_names_another_zone_than_the_given_one_is_refused() {
        let read = |zone, cell: &str| {
            TimeReader::new(LocalDates {
                zone: Some(zone),
                day_first: false,
            })
            .read(cell.as_bytes())
        };
        let at = "1/16/2026, 10:51:16 AM EST";
        assert_eq!(
            read(chrono_tz::America::New_York, at),
            Ok(utc("2026-01-16T15:51:16Z"))
        );
        for zone in [
            chrono_tz::Europe::Berlin,
            chrono_tz::UTC,
            chrono_tz::America::Chicago,
        ] {
            assert_eq!(read(zone, at), Err(TimeFault::OtherZone), "{zone}");
        }
        let at = "1/16/2026, 10:51:16 AM CST";
        assert!(read(chrono_tz::Asia::Shanghai, at).is_ok());
        assert!(read(chrono_tz::America::Chicago, at).is_ok());
        let other_language = "16.1.2026 10:51:16 MEZ";
        let mut reader = TimeReader::new(LocalDates {
            zone: Some(chrono_tz::Europe::Berlin),
            day_first: true,
        });
        assert!(reader.read(other_language.as_bytes()).is_ok());
    }

    #[test]
    fn the_hour_that_daylight_saving_repeats_is_told_apart_by_its_word() {
        let zone = Some(chrono_tz::America::Los_Angeles);
        let mut reader = TimeReader::new(LocalDates {
            zone,
            day_first: false,
        });
        assert_eq!(
            reader.read(b"11/1/2026, 1:30:00 AM PDT"),
            Ok(utc("2026-11-01T08:30:00Z"))
        );
        assert_eq!(
            reader.read(b"11/1/2026, 1:30:00 AM PST"),
            Ok(utc("2026-11-01T09:30:00Z"))
        );
        assert_eq!(
            reader.read(b"3/8/2026, 2:30:00 AM PST"),
            Err(TimeFault::NoSuchTime)
        );
    }
}
