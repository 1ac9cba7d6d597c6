//! Times as milliseconds since 1970, UTC, and the spellings in which logs write them.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// The first moment of a day.
pub fn start_of(day: NaiveDate) -> i64 {
    day.and_time(chrono::NaiveTime::MIN)
        .and_utc()
        .timestamp_millis()
}

fn utc(at: i64) -> NaiveDateTime {
    DateTime::<Utc>::from_timestamp_millis(at)
        .unwrap_or_default()
        .naive_utc()
}

pub fn day_of(at: i64) -> NaiveDate {
    utc(at).date()
}

pub fn hour_of(at: i64) -> u32 {
    utc(at).hour()
}

/// Days after `day`; before it where negative.
pub fn later(day: NaiveDate, days: i64) -> NaiveDate {
    day_of(start_of(day) + days * DAY)
}

/// That minute of the local day, as UTC. In the hour that a change of clocks skips: an hour later.
pub fn local(zone: Tz, day: NaiveDate, minute: i64) -> i64 {
    let wall = utc(start_of(day) + minute * MINUTE);
    let at = |wall: NaiveDateTime| zone.from_local_datetime(&wall).earliest();
    at(wall)
        .or_else(|| at(wall + chrono::TimeDelta::hours(1)))
        .map_or(start_of(day) + minute * MINUTE, |t| t.timestamp_millis())
}

/// Hour of the local day.
pub fn local_hour(zone: Tz, at: i64) -> u32 {
    zone.from_utc_datetime(&utc(at)).hour()
}

pub fn local_day(zone: Tz, at: i64) -> NaiveDate {
    zone.from_utc_datetime(&utc(at)).date_naive()
}

/// How far local time is ahead of UTC, in minutes.
pub fn offset_minutes(zone: Tz, at: i64) -> i64 {
    let wall = zone.from_utc_datetime(&utc(at)).naive_local();
    (wall - utc(at)).num_minutes()
}

pub fn is_weekend(day: NaiveDate) -> bool {
    day.weekday().num_days_from_monday() >= 5
}

/// Days on which offices are closed wherever the org is.
pub fn is_holiday(day: NaiveDate) -> bool {
    matches!(
        (day.month(), day.day()),
        (1, 1) | (5, 1) | (12, 24) | (12, 25) | (12, 26) | (12, 31)
    )
}

pub fn is_working_day(day: NaiveDate) -> bool {
    !is_weekend(day) && !is_holiday(day)
}

/// Days to the end of the month: 0 on its last one.
pub fn days_to_month_end(day: NaiveDate) -> i64 {
    i64::from(day.num_days_in_month()) - i64::from(day.day())
}

/// TIMESTAMP: `20260105130000.123`
pub fn put_compact(at: i64, out: &mut Vec<u8>) {
    let t = utc(at);
    put_date(t, b"", out);
    put_two(t.hour(), out);
    put_two(t.minute(), out);
    put_two(t.second(), out);
    out.push(b'.');
    put_millis(at, out);
}

/// TIMESTAMP_DERIVED: `2026-01-05T13:00:00.123Z`
pub fn put_derived(at: i64, out: &mut Vec<u8>) {
    put_clock(at, out);
    out.push(b'.');
    put_millis(at, out);
    out.push(b'Z');
}

/// As a query answers: `2026-01-05T13:00:00.000+0000`
pub fn put_queried(at: i64, out: &mut Vec<u8>) {
    put_clock(at, out);
    out.extend_from_slice(b".000+0000");
}

pub fn queried(at: i64) -> String {
    let mut out = Vec::with_capacity(28);
    put_queried(at, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// RFC 3339 to the millisecond: `2026-01-05T13:00:00.123Z`
pub fn rfc3339(at: i64) -> String {
    let mut out = Vec::with_capacity(24);
    put_derived(at, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// RFC 3339 to the second, as the registry writes it.
pub fn rfc3339_seconds(at: i64) -> String {
    let mut out = Vec::with_capacity(20);
    put_clock(at, &mut out);
    out.push(b'Z');
    String::from_utf8_lossy(&out).into_owned()
}

fn put_clock(at: i64, out: &mut Vec<u8>) {
    let t = utc(at);
    put_date(t, b"-", out);
    out.push(b'T');
    put_two(t.hour(), out);
    out.push(b':');
    put_two(t.minute(), out);
    out.push(b':');
    put_two(t.second(), out);
}

fn put_date(t: NaiveDateTime, between: &[u8], out: &mut Vec<u8>) {
    let year = t.year().clamp(0, 9999) as u32;
    put_two(year / 100, out);
    put_two(year % 100, out);
    out.extend_from_slice(between);
    put_two(t.month(), out);
    out.extend_from_slice(between);
    put_two(t.day(), out);
}

fn put_two(number: u32, out: &mut Vec<u8>) {
    out.push(b'0' + (number / 10 % 10) as u8);
    out.push(b'0' + (number % 10) as u8);
}

fn put_millis(at: i64, out: &mut Vec<u8>) {
    let millis = at.rem_euclid(SECOND) as u32;
    out.push(b'0' + (millis / 100) as u8);
    put_two(millis % 100, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_salesforce_writes_them() {
        let at =
            start_of(NaiveDate::from_ymd_opt(2026, 1, 5).unwrap()) + 13 * HOUR + 4 * SECOND + 7;
        let text = |put: fn(i64, &mut Vec<u8>)| {
            let mut out = vec![];
            put(at, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(put_compact), "20260105130004.007");
        assert_eq!(text(put_derived), "2026-01-05T13:00:04.007Z");
        assert_eq!(queried(at), "2026-01-05T13:00:04.000+0000");
        assert_eq!(rfc3339_seconds(at), "2026-01-05T13:00:04Z");
    }

    #[test]
    fn a_local_morning_moves_in_utc_when_the_clocks_change() {
        let zone = chrono_tz::Europe::Berlin;
        let day = |d| NaiveDate::from_ymd_opt(2026, 3, d).unwrap();
        assert_eq!(hour_of(local(zone, day(28), 9 * 60)), 8);
        assert_eq!(hour_of(local(zone, day(29), 9 * 60)), 7);
        // 02:30 does not exist on that day.
        assert_eq!(hour_of(local(zone, day(29), 150)), 1);
        assert_eq!(days_to_month_end(day(31)), 0);
    }
}
