//! Suppressions: findings that the operator accepts for a while, with reason, owner and end.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::ParamValue;
use super::document::{Item, Section};
use super::fault::{Fault, Position};
use super::value::{UserRef, quoted};

/// No suppression outlives this many days without being renewed.
pub const LONGEST_SUPPRESSION_DAYS: i64 = 180;

pub(super) const KEYS: [&str; 6] = ["rule", "user", "where", "reason", "owner", "until"];

/// One `[[suppress]]` entry. Its findings are still computed and counted, but not reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Suppression {
    /// Stable name made of rule, user and conditions; `suppressed_by` of a finding.
    pub id: String,
    pub rule: String,
    pub user: Option<UserRef>,
    /// Result column → the value it must have, as text. All must match.
    pub conditions: BTreeMap<String, String>,
    pub reason: String,
    pub owner: String,
    /// Ends here; an entry past its end has no effect.
    pub until: DateTime<Utc>,
    pub at: Position,
}

impl Suppression {
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        now < self.until
    }

    pub(super) fn read(entry: &Section<'_>, now: DateTime<Utc>) -> Result<Self, Fault> {
        let rule =
            rule_id(&entry.require("rule", "the id of the rule, as in integration-ui-login")?)?;
        let user = entry
            .get("user")
            .map(|item| item.parsed(str::parse::<UserRef>))
            .transpose()?;
        let conditions = match entry.get("where") {
            Some(item) => conditions(&item)?,
            None => BTreeMap::new(),
        };
        if conditions.is_empty() {
            let what = match user {
                Some(_) => "all that a rule says of a user",
                None => "a whole rule",
            };
            let message = format!("a suppression of {what} would blind it");
            let hint = "add `where` with a column of the finding's evidence and its value, as in \
                        where = { ip = \"192.0.2.10\" }";
            return Err(entry.fault(message, Some(hint.to_owned())));
        }
        let reason = entry.require("reason", "say why, for whoever reads this next")?;
        let owner = entry.require("owner", "say who answers for it")?;
        let until = entry.require("until", "say when it ends, as in until = 2026-03-01")?;
        let end = until.moment()?;
        let latest = now + TimeDelta::days(LONGEST_SUPPRESSION_DAYS);
        if end > latest {
            let message = format!("`until` is more than {LONGEST_SUPPRESSION_DAYS} days away");
            let hint = format!(
                "give {} at the latest, and renew it then",
                latest.date_naive()
            );
            return Err(until.fault(message, Some(hint)));
        }
        Ok(Self {
            id: id_of(&rule, user.as_ref(), &conditions),
            rule,
            user,
            conditions,
            reason: reason.text()?.to_owned(),
            owner: owner.text()?.to_owned(),
            until: end,
            at: entry.position(),
        })
    }
}

fn id_of(rule: &str, user: Option<&UserRef>, conditions: &BTreeMap<String, String>) -> String {
    let mut hash = blake3::Hasher::new();
    let mut part = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    part(rule);
    part(user.map_or("", UserRef::as_str));
    for (column, value) in conditions {
        part(column);
        part(value);
    }
    format!("suppress-{}", &hash.finalize().to_hex()[..12])
}

/// A rule's id: lower-case words joined by `-`.
pub(super) fn rule_id(item: &Item<'_>) -> Result<String, Fault> {
    let text = item.text()?;
    check_rule_id(text)
        .map_err(|hint| item.fault(format!("{} is no rule id", quoted(text)), Some(hint)))?;
    Ok(text.to_owned())
}

pub(super) fn check_rule_id(text: &str) -> Result<(), String> {
    let fits = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits && !text.is_empty() {
        return Ok(());
    }
    Err("ids are lower-case words joined by `-`, as in integration-ui-login".to_owned())
}

fn conditions(item: &Item<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let table = item.open_table("in `where`")?;
    let mut conditions = BTreeMap::new();
    for entry in table.items() {
        let value = match entry.plain()? {
            ParamValue::Text(text) => text,
            ParamValue::Integer(number) => number.to_string(),
            ParamValue::Boolean(value) => value.to_string(),
            ParamValue::Float(_) | ParamValue::List(_) => {
                let hint = "write one [[suppress]] for each value".to_owned();
                let message = format!(
                    "`{}` must be one text, whole number, true or false",
                    entry.name
                );
                return Err(entry.fault(message, Some(hint)));
            }
        };
        conditions.insert(entry.name.to_lowercase(), value);
    }
    Ok(conditions)
}
