//! When a machine works, as people write it: hours of the week, how often, how long it may be silent.

use std::fmt;

use crate::config::{BadValue, hint_for_word};
use crate::privacy::printable;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const LONG_WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// How often a machine is expected to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cadence {
    Continuous,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Quarterly,
    Annual,
}

impl Cadence {
    pub const ALL: [Cadence; 7] = [
        Cadence::Continuous,
        Cadence::Hourly,
        Cadence::Daily,
        Cadence::Weekly,
        Cadence::Monthly,
        Cadence::Quarterly,
        Cadence::Annual,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Cadence::Continuous => "continuous",
            Cadence::Hourly => "hourly",
            Cadence::Daily => "daily",
            Cadence::Weekly => "weekly",
            Cadence::Monthly => "monthly",
            Cadence::Quarterly => "quarterly",
            Cadence::Annual => "annual",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }
}

/// A part of the week, UTC: some weekdays, from a minute of the day to another. Where the end is
/// not after the begin, it is on the following day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hours {
    /// Monday first.
    days: [bool; 7],
    from_minute: u16,
    to_minute: u16,
}

impl Hours {
    /// `days` from Monday on; minutes of the day, the end at most 1440. None for what holds never.
    pub fn new(days: [bool; 7], from_minute: u16, to_minute: u16) -> Option<Self> {
        let holds = days.contains(&true)
            && from_minute < DAY
            && to_minute <= DAY
            && from_minute != to_minute;
        holds.then_some(Self {
            days,
            from_minute,
            to_minute,
        })
    }

    /// (weekday 1 = Monday to 7, first minute, minute after the last), none over midnight.
    pub fn spans(&self) -> Vec<(i64, i64, i64)> {
        let (from, to) = (i64::from(self.from_minute), i64::from(self.to_minute));
        let mut spans = vec![];
        for weekday in (1..=7).filter(|n| self.days[*n as usize - 1]) {
            if from < to {
                spans.push((weekday, from, to));
                continue;
            }
            spans.push((weekday, from, i64::from(DAY)));
            if to > 0 {
                spans.push((weekday % 7 + 1, 0, to));
            }
        }
        spans.sort_unstable();
        spans
    }
}

/// As the registry takes it: `mon-fri 06:00-20:00`.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days == [true; 7] {
            f.write_str("daily")?;
        } else {
            let mut day = 0;
            let mut parts = vec![];
            while day < 7 {
                let run = self.days[day..].iter().take_while(|on| **on).count();
                match run {
                    0 => {}
                    1 => parts.push(WEEKDAYS[day].to_owned()),
                    _ => parts.push(format!("{}-{}", WEEKDAYS[day], WEEKDAYS[day + run - 1])),
                }
                day += run.max(1);
            }
            f.write_str(&parts.join(","))?;
        }
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, " {}-{}", clock(self.from_minute), clock(self.to_minute))
    }
}

/// `mon-fri 06:00-20:00`, `sat,sun 22:00-02:00`, `daily 00:00-24:00`, or without days for every day.
pub(super) fn parse_hours(text: &str) -> Result<Hours, BadValue> {
    let shown = printable(text, 60);
    let bad = |why: &str| {
        BadValue::new(
            format!("\"{shown}\" is no part of the week: {why}"),
            "write weekdays and hours UTC, as in \"mon-fri 06:00-20:00\" or \"daily 22:00-02:00\"",
        )
    };
    let text = text.trim().to_lowercase();
    let (days, times) = text.rsplit_once(char::is_whitespace).unwrap_or(("", &text));
    let (from, to) = times
        .split_once('-')
        .and_then(|(from, to)| Some((minute_of(from)?, minute_of(to)?)))
        .ok_or_else(|| bad("it does not end in two times of day"))?;
    if from == to || from == DAY {
        return Err(bad("it begins where it ends; a whole day is 00:00-24:00"));
    }
    let days = weekdays(days).map_err(|word| match word {
        "" => bad("a weekday is missing"),
        word => BadValue::new(
            format!(
                "\"{shown}\" names the unknown weekday \"{}\"",
                printable(word, 20)
            ),
            hint_for_word(word, &WEEKDAYS),
        ),
    })?;
    Hours::new(days, from, to).ok_or_else(|| bad("it never holds"))
}

/// The error is the word that is no weekday.
fn weekdays(text: &str) -> Result<[bool; 7], &str> {
    let text = text.trim();
    if matches!(text, "" | "daily" | "every day") {
        return Ok([true; 7]);
    }
    let number = |word: &str| {
        let known = |names: &[&str; 7]| names.iter().position(|name| *name == word);
        known(&WEEKDAYS).or_else(|| known(&LONG_WEEKDAYS))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim(), last.trim());
        let mut day = number(first).ok_or(first)?;
        let last = number(last).ok_or(last)?;
        // fri-mon runs over the end of the week.
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}

fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| -> Option<u16> {
        let digits = matches!(text.len(), 1 | 2) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok())?
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= DAY).then_some(at)
}

pub(super) fn parse_cadence(text: &str) -> Result<Cadence, BadValue> {
    Cadence::from_word(text).ok_or_else(|| {
        let message = format!("unknown cadence \"{}\"", printable(text, 60));
        BadValue::new(
            message,
            hint_for_word(text, &Cadence::ALL.map(Cadence::as_str)),
        )
    })
}

/// Whole minutes of `7h`, `90m`, `2d`; at least one minute, at most ten years.
pub(super) fn parse_silence(text: &str) -> Result<i64, BadValue> {
    const LONGEST_MINUTES: i64 = 3660 * DAY as i64;
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let minutes = digits.and_then(|end| {
        let number: i64 = text[..end].parse().ok()?;
        let unit = match text[end..].trim() {
            "m" => 1,
            "h" => 60,
            "d" => i64::from(DAY),
            _ => return None,
        };
        number
            .checked_mul(unit)
            .filter(|n| (1..=LONGEST_MINUTES).contains(n))
    });
    minutes.ok_or_else(|| {
        let message = format!("\"{}\" is no length of time", printable(text, 60));
        BadValue::new(
            message,
            "write a whole number of minutes, hours or days, as in 90m, 7h or 2d",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_written_as_weekdays_and_times() {
        for (text, shown, spans) in [
            ("mon-fri 06:00-20:00", "mon-fri 06:00-20:00", 5),
            ("Monday - Friday 6:00-20:00", "mon-fri 06:00-20:00", 5),
            ("tue,thu, sat 08:30-09:00", "tue,thu,sat 08:30-09:00", 3),
            ("daily 00:00-24:00", "daily 00:00-24:00", 7),
            ("06:00-07:00", "daily 06:00-07:00", 7),
            ("fri-mon 01:00-02:00", "mon,fri-sun 01:00-02:00", 4),
            ("sun 22:00-02:00", "sun 22:00-02:00", 2),
            ("sun 22:00-00:00", "sun 22:00-00:00", 1),
        ] {
            let hours = parse_hours(text).unwrap_or_else(|bad| panic!("{text}: {bad}"));
            assert_eq!(hours.to_string(), shown);
            assert_eq!(hours.spans().len(), spans, "{text}");
            assert_eq!(parse_hours(&hours.to_string()).unwrap(), hours);
        }
    }

    #[test]
    fn hours_over_midnight_end_on_the_next_day_and_the_week_is_a_ring() {
        assert_eq!(
            parse_hours("sun 22:00-02:30").unwrap().spans(),
            [(1, 0, 150), (7, 1320, 1440)]
        );
    }

    #[test]
    fn what_is_no_part_of_the_week_is_refused_with_the_form_to_write() {
        for text in [
            "",
            "mon-fri",
            "06:00",
            "mon 06:00-25:00",
            "mon 06:60-07:00",
            "mon 06:00-06:00",
            "mon 24:00-24:00",
            "mon, 06:00-07:00",
            "mon 6-7",
            "mon 006:00-07:00",
            "mon \u{fe}06:00-07:00",
        ] {
            let bad = parse_hours(text).unwrap_err();
            assert!(bad.hint.unwrap().contains("mon-fri 06:00"), "{text}");
        }
        let bad = parse_hours("mno-fri 06:00-07:00").unwrap_err();
        assert_eq!(bad.hint.as_deref(), Some("did you mean `mon`?"));
    }

    #[test]
    fn a_silence_is_a_number_with_its_unit() {
        for (text, minutes) in [("7h", 420), ("90m", 90), ("2 d", 2880), ("1m", 1)] {
            assert_eq!(parse_silence(text), Ok(minutes), "{text}");
        }
        for text in [
            "",
            "7",
            "h",
            "0h",
            "-1h",
            "7w",
            "1.5h",
            "99999999999999999999h",
            "4000d",
            "7hé",
        ] {
            assert!(parse_silence(text).unwrap_err().hint.is_some(), "{text}");
        }
    }
}
