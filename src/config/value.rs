//! Single values as people write them, the same in the file, the environment and on the command
//! line: sizes, time zones, users, addresses of mail.

use std::fmt;
use std::str::FromStr;

use chrono_tz::Tz;

use super::Severity;
use super::fault::{hint_for_word, nearest};
use crate::catalog::sf_id18;
use crate::privacy::printable;

/// Why a value is refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadValue {
    pub message: String,
    pub hint: Option<String>,
}

impl BadValue {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Text of the user's own made fit to be repeated in a message.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text, 60))
}

/// An amount of memory in bytes. Written `512MiB`, `2 GiB`, `500MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = || {
            let message = format!("{} is no amount of memory", quoted(text));
            BadValue::new(
                message,
                "write a whole number and a unit, as in 512MiB or 2GiB",
            )
        };
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let unit = unit.trim();
        let unit = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .ok_or_else(bad)?;
        number.checked_mul(unit.1).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(unit.1);
        match UNITS[..3].iter().find(fits) {
            Some((name, bytes)) => write!(f, "{}{name}", self.0 / bytes),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// Least memory with which a night can run.
pub const LEAST_MEMORY: ByteSize = ByteSize(64 << 20);

/// A memory limit: at least [`LEAST_MEMORY`].
pub fn parse_memory(text: &str) -> Result<ByteSize, BadValue> {
    let size: ByteSize = text.parse()?;
    if size < LEAST_MEMORY {
        let message = format!("{} of memory is too little", quoted(text));
        return Err(BadValue::new(
            message,
            format!("give at least {LEAST_MEMORY}"),
        ));
    }
    Ok(size)
}

/// A time zone by its IANA name, in any case.
pub fn parse_timezone(text: &str) -> Result<Tz, BadValue> {
    Tz::from_str_insensitive(text.trim()).map_err(|_| {
        let names = chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name());
        let hint = match nearest(text.trim(), names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "use an IANA name, as in Europe/Berlin or UTC".to_owned(),
        };
        BadValue::new(format!("unknown time zone {}", quoted(text)), hint)
    })
}

/// The severity from which a run exits with 1; `never` is None.
pub fn parse_fail_on(text: &str) -> Result<Option<Severity>, BadValue> {
    if text == "never" {
        return Ok(None);
    }
    Severity::from_word(text).map(Some).ok_or_else(|| {
        let words: Vec<_> = Severity::ALL
            .iter()
            .map(|s| s.as_str())
            .chain(["never"])
            .collect();
        BadValue::new(
            format!("unknown severity {}", quoted(text)),
            hint_for_word(text, &words),
        )
    })
}

/// A user as people name one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UserRef {
    /// 18 characters.
    Id(String),
    /// Lower case, without blanks around it.
    Username(String),
}

impl UserRef {
    pub fn as_str(&self) -> &str {
        match self {
            UserRef::Id(text) | UserRef::Username(text) => text,
        }
    }
}

impl FromStr for UserRef {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text.contains('@') {
            parse_username(text).map(UserRef::Username)
        } else {
            parse_user_id(text).map(UserRef::Id)
        }
    }
}

/// The form in which usernames are compared.
pub fn canonical_username(text: &str) -> String {
    text.trim().to_lowercase()
}

/// A username `name@domain` in its form for comparison.
pub fn parse_username(text: &str) -> Result<String, BadValue> {
    let text = text.trim();
    let fits =
        |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
    let parts: Vec<&str> = text.split('@').collect();
    if parts.len() != 2 || !parts.iter().all(|part| fits(part)) || text.chars().count() > 255 {
        let message = format!("{} is no username", quoted(text));
        return Err(BadValue::new(
            message,
            "a Salesforce username has the form name@domain",
        ));
    }
    Ok(canonical_username(text))
}

/// A user id of 15 or 18 characters, in 18.
pub fn parse_user_id(text: &str) -> Result<String, BadValue> {
    let id = parse_id(text)?;
    if !id.starts_with("005") {
        let message = format!("{} is no user id", quoted(text));
        return Err(BadValue::new(
            message,
            "ids of users begin with 005; or name the user by username",
        ));
    }
    Ok(id)
}

/// An id of any object, 15 or 18 characters, in 18. A suffix that does not belong to the rest
/// is a slip of the finger, unless it is the `AAA` that people append to make up 18.
pub fn parse_id(text: &str) -> Result<String, BadValue> {
    let text = text.trim();
    let Some(id) = sf_id18(text) else {
        let message = format!("{} is no Salesforce id", quoted(text));
        return Err(BadValue::new(
            message,
            "an id has 15 or 18 letters and digits",
        ));
    };
    let slip = text.len() == 18 && text != id && text[..15] == id[..15] && !text.ends_with("AAA");
    if slip {
        let message = format!(
            "the last three characters of {} do not belong to it",
            quoted(text)
        );
        let hint = format!("copy the id again; if its first 15 characters are right, it is `{id}`");
        return Err(BadValue::new(message, hint));
    }
    Ok(id)
}

/// A mailbox: `name@domain` or `Name <name@domain>`.
pub fn parse_mailbox(text: &str) -> Result<String, BadValue> {
    let bad = |_| {
        let message = format!("{} is no mail address", quoted(text));
        BadValue::new(message, "write name@domain or Name <name@domain>")
    };
    lettre::message::Mailbox::from_str(text).map_err(bad)?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_written_with_a_unit() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("2 GiB", 2 << 30),
            ("500MB", 500_000_000),
            ("100000kb", 100_000_000),
        ] {
            assert_eq!(parse_memory(text).unwrap(), ByteSize(bytes), "{text}");
        }
        for text in [
            "512",
            "MiB",
            "-1MiB",
            "1.5GiB",
            "99999999999999GiB",
            "1XiB",
            "",
            "1MiB",
        ] {
            assert!(parse_memory(text).unwrap_err().hint.is_some(), "{text}");
        }
    }

    #[test]
    fn a_size_reads_back_as_it_is_shown() {
        for bytes in [512 << 20, 3 << 30, 64_000_001] {
            let size = ByteSize(bytes);
            assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        }
    }

    #[test]
    fn time_zones_are_found_in_any_case_and_near_misses_named() {
        assert_eq!(parse_timezone("europe/berlin").unwrap(), Tz::Europe__Berlin);
        let bad = parse_timezone("Europe/Berln").unwrap_err();
        assert_eq!(bad.hint.as_deref(), Some("did you mean `Europe/Berlin`?"));
    }

    #[test]
    fn users_are_named_by_username_in_any_case_or_by_id() {
        assert_eq!(
            " ERP@Example.com ".parse(),
            Ok(UserRef::Username("erp@example.com".into()))
        );
        assert_eq!(
            "0055j00000AT6I1".parse(),
            Ok(UserRef::Id("0055j00000AT6I1AAL".into()))
        );
        for text in [
            "erp",
            "a@b@c",
            "@example.com",
            "erp@",
            "e rp@example.com",
            "0015j00000AT6I1",
        ] {
            assert!(text.parse::<UserRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mistyped_suffix_is_refused_with_the_right_one() {
        let bad = parse_user_id("0055j00000AT6I1AAM").unwrap_err();
        assert!(bad.hint.unwrap().contains("0055j00000AT6I1AAL"));
        assert_eq!(
            parse_id("0H4000000000001AAA").unwrap(),
            sf_id18("0H4000000000001").unwrap()
        );
        assert_eq!(
            parse_user_id("0055J00000AT6I1AAL").unwrap(),
            "0055j00000AT6I1AAL"
        );
    }

    #[test]
    fn a_mail_address_cannot_carry_a_header() {
        assert!(parse_mailbox("Sec Team <sec@example.com>").is_ok());
        for text in [
            "sec",
            "sec@example.com\r\nBcc: x@example.net",
            "a@example.com, b@example.com",
        ] {
            assert!(parse_mailbox(text).is_err(), "{text}");
        }
    }
}
