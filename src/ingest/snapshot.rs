//! When a roster file's snapshot was taken: the date, and the time if there is one, in its name.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// Years that a snapshot can be of, as for events.
const YEARS: std::ops::RangeInclusive<i32> = 1999..=9999;

/// The time in an input's name (`User_2026-01-15.csv`, `User_20260115.json`,
/// `User_2026-01-15T0230Z.csv`, `User_2026-01-15T02-30-00Z.csv`), in UTC; of a date alone its
/// midnight. Of an archive's entry the entry's own name counts first, then the archive's; folders
/// never do. None where no name has a date.
pub fn taken_at(name: &str) -> Option<DateTime<Utc>> {
    let (archive, entry) = match name.split_once('!') {
        Some((archive, entry)) => (archive, Some(entry)),
        None => (name, None),
    };
    entry
        .into_iter()
        .chain([archive])
        .find_map(|path| in_file_name(path.rsplit(['/', '\\']).next().unwrap_or(path)))
}

fn in_file_name(name: &str) -> Option<DateTime<Utc>> {
    let bytes = name.as_bytes();
    (0..bytes.len())
        .filter(|&at| at == 0 || !bytes[at - 1].is_ascii_digit())
        .find_map(|at| at_start(&bytes[at..]))
}

/// A date at the start of the text, and the time behind it.
fn at_start(text: &[u8]) -> Option<DateTime<Utc>> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    let dashed = skip(&mut rest, b"-_");
    let month = digits(&mut rest, 2)?;
    if skip(&mut rest, b"-_") != dashed {
        return None;
    }
    let day = digits(&mut rest, 2)?;
    let year = i32::try_from(year).ok()?;
    let date = NaiveDate::from_ymd_opt(year, month, day).filter(|d| YEARS.contains(&d.year()))?;
    let time = if rest.first().is_some_and(u8::is_ascii_digit) {
        // Digits go on: a time without a letter before it (20260115023000), or no date at all.
        time_of_day(rest)?
    } else {
        let behind = match rest.first() {
            Some(b'T' | b't') => time_of_day(&rest[1..]),
            _ => None,
        };
        behind.unwrap_or(NaiveTime::MIN)
    };
    Some(NaiveDateTime::new(date, time).and_utc())
}

/// `0230`, `023000`, `02-30-00`, `02:30`, `02_30`, with or without a `Z`.
fn time_of_day(text: &[u8]) -> Option<NaiveTime> {
    const BETWEEN: &[u8] = b"-:_.";
    let mut rest = text;
    let hour = digits(&mut rest, 2)?;
    skip(&mut rest, BETWEEN);
    let minute = digits(&mut rest, 2)?;
    let before_second = rest;
    skip(&mut rest, BETWEEN);
    let second = match digits(&mut rest, 2) {
        Some(second) => second,
        None => {
            rest = before_second;
            0
        }
    };
    let ends = !rest.first().is_some_and(u8::is_ascii_digit);
    NaiveTime::from_hms_opt(hour, minute, second).filter(|_| ends)
}

fn digits(text: &mut &[u8], count: usize) -> Option<u32> {
    let (head, rest) = text.split_at_checked(count)?;
    let number = head.iter().try_fold(0, |n, d| {
        d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0'))
    })?;
    *text = rest;
    Some(number)
}

/// Steps over one of these characters, and tells whether it did.
fn skip(text: &mut &[u8], any: &[u8]) -> bool {
    match text.split_first() {
        Some((first, rest)) if any.contains(first) => {
            *text = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str) -> Option<String> {
        taken_at(name).map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string())
    }

    #[test]
    fn the_time_of_a_snapshot_is_read_from_its_name_in_every_spelling() {
        for (name, expected) in [
            ("User_2026-01-15.csv", "2026-01-15T00:00:00"),
            ("User_20260115.json", "2026-01-15T00:00:00"),
            ("User_2026_01_15.csv.gz", "2026-01-15T00:00:00"),
            ("2026-01-15-User.csv", "2026-01-15T00:00:00"),
            ("User_2026-01-15T0230Z.csv", "2026-01-15T02:30:00"),
            ("User_2026-01-15T02-30-00Z.csv", "2026-01-15T02:30:00"),
            ("User-20260115T023059.jsonl", "2026-01-15T02:30:59"),
            ("User_20260115023059.csv", "2026-01-15T02:30:59"),
            ("User_2026-01-15T02:30.csv", "2026-01-15T02:30:00"),
            ("User_2026-01-15Team.csv", "2026-01-15T00:00:00"),
            ("/in/2025-12-31/User_2026-01-15.csv", "2026-01-15T00:00:00"),
            ("/in/roster_2026-01-15.zip!User.csv", "2026-01-15T00:00:00"),
            (
                "r_2026-01-15.zip!a/User_2026-01-14.csv",
                "2026-01-14T00:00:00",
            ),
            ("User 0052_2026-01-15.csv", "2026-01-15T00:00:00"),
        ] {
            assert_eq!(taken(name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_only_looks_like_a_date_is_none() {
        for name in [
            "User.csv",
            "User_2026-13-01.csv",
            "User_2026-02-30.csv",
            "User_1234567890.csv",
            "User_2026-0115.csv",
            "User_00010101.csv",
            "/in/2026-01-15/User.csv",
            "/in/2026-01-15/all.zip!2026-01-14/User.csv",
            "",
        ] {
            assert_eq!(taken(name), None, "{name}");
        }
    }
}
