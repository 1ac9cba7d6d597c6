//! `orgwatch findings ack|resolve|reopen|suppress`: what people decide, with who and why.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use clap::Args;

use super::{midnight, parse_severity, parse_user, print_list};
use crate::cli::detect::parse_day;
use crate::cli::exit::Exit;
use crate::cli::failure::UsageError;
use crate::cli::terminal::Terminal;
use crate::cli::workplace::{Flags, Workplace};
use crate::cli::{Global, HiddenNow};
use crate::config::{LONGEST_SUPPRESSION_DAYS, Severity, nearest};
use crate::detect::{Acceptance, suppress_entry};
use crate::lake::{ByHand, Decision, Finding, FindingFilter, Lake, PROGRAM, Status};
use crate::privacy::printable;
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch findings ack 3f2a91c04b7d --why \"the owner is asked, CHG-77\"
  orgwatch findings resolve 3f2a91c04b7d 9bc2 --why \"token revoked\" --by ann@example.com
  orgwatch findings ack --rule weak-tls --user erp@example.com --why \"upgrade on Friday\" --yes
  orgwatch findings reopen 3f2a91c04b7d --why \"the new token is misused, too\"

What is decided holds as long as there is no more to see: see `Life of a finding` in the README.

Exit codes: 0 done, or nothing to do; 2 no such finding, an id that means several, or a decision
that is not possible for one of them: nothing was changed then; 75 a run holds the lock.";

pub const SUPPRESS_EXAMPLES: &str = "\
Examples:
  orgwatch findings suppress 3f2a91c04b7d --why \"a drill\" --until 2026-03-01
  orgwatch findings suppress 3f2a91c04b7d --why \"a drill\" --owner soc@example.com > entry.toml

Hides these findings until then, or until they are graver. Findings of other days and users are
not hidden: that takes an entry in the configuration, which is printed and never written.

Exit codes: as those of `orgwatch findings ack`.";

/// Days for which a suppression holds where nobody says how long.
const SUPPRESSION_DAYS: u64 = 30;
const LONGEST_WHY: usize = 1000;
const LONGEST_NAME: usize = 100;

#[derive(Debug, Args)]
pub struct DecideArgs {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub ground: Ground,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Args)]
pub struct SuppressArgs {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub ground: Ground,
    /// The day (UTC) on which it ends, at most 180 days away; otherwise in 30 days
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub until: Option<NaiveDate>,
    /// Who answers for it; otherwise who says so
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub owner: Option<String>,
    #[command(flatten)]
    pub now: HiddenNow,
}

/// Which findings.
#[derive(Debug, Args)]
pub struct Selection {
    /// Ids of findings, or as much of their beginning as is unique
    #[arg(
        value_name = "ID",
        required_unless_present_any = ["rule", "user", "severity", "case"],
        conflicts_with_all = ["rule", "user", "severity", "case"],
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    pub ids: Vec<String>,
    /// All of this rule for which it would change something
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// All of this user, by id or username
    #[arg(long, value_name = "USER", value_parser = parse_user)]
    pub user: Option<String>,
    /// All of this severity and above
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub severity: Option<Severity>,
    /// All of this case
    #[arg(long, value_name = "CASE")]
    pub case: Option<String>,
    /// Do it for all that match, without asking back
    #[arg(long)]
    pub yes: bool,
}

/// Who says so, and why.
#[derive(Debug, Args)]
pub struct Ground {
    /// The reason, for whoever reads it next
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub why: String,
    /// Who says so; otherwise your login name
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub by: Option<String>,
}

fn reason(text: &str) -> Result<String, String> {
    one_line(text, LONGEST_WHY)
}

fn name(text: &str) -> Result<String, String> {
    let name = one_line(text, LONGEST_NAME)?;
    match name.eq_ignore_ascii_case(PROGRAM) {
        true => Err("that is the program itself: name a person".to_owned()),
        false => Ok(name),
    }
}

fn one_line(text: &str, longest: usize) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("say it in words".to_owned()),
        n if n > longest => Err(format!("{n} characters; at most {longest} are kept")),
        _ => Ok(printable(text, longest)),
    }
}

pub fn acknowledge(
    args: &DecideArgs,
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    decide(args, ByHand::Acknowledge, global, terminal)
}

pub fn resolve(args: &DecideArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    decide(args, ByHand::Resolve, global, terminal)
}

pub fn reopen(args: &DecideArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    decide(args, ByHand::Reopen, global, terminal)
}

fn decide(
    args: &DecideArgs,
    what: ByHand,
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let place = Workplace::open(terminal, global, args.now.now, &Flags::default())?;
    let (lake, changed) = carry_out(&args.selection, &args.ground, what, &place)?;
    print_list(&changed, &lake, &place, global, None)?;
    Ok(Exit::Done)
}

pub fn suppress(args: &SuppressArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let place = Workplace::open(terminal, global, args.now.now, &Flags::default())?;
    let until = end_of_suppression(args.until, place.clock.now())?;
    let what = ByHand::Suppress { until };
    let (_, changed) = carry_out(&args.selection, &args.ground, what, &place)?;
    let owner = match &args.owner {
        Some(owner) => owner.clone(),
        None => args.ground.who(),
    };
    let accepted = Acceptance {
        reason: &args.ground.why,
        owner: &owner,
        until,
    };
    // Findings of one subject need one entry.
    let mut seen = BTreeSet::new();
    let entries: Vec<String> = changed
        .iter()
        .map(|finding| suppress_entry(&finding.row, &accepted))
        .filter(|entry| seen.insert(entry.clone()))
        .collect();
    terminal.data(|out| out.write_all(entries.join("\n").as_bytes()))?;
    if !entries.is_empty() {
        terminal.say(
            "other findings like these are not hidden: for that, paste the entries above into the \
             configuration",
        );
    }
    Ok(Exit::Done)
}

fn end_of_suppression(
    until: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, UsageError> {
    let default = || now.date_naive() + Days::new(SUPPRESSION_DAYS);
    let end = midnight(until.unwrap_or_else(default));
    let latest = now + TimeDelta::days(LONGEST_SUPPRESSION_DAYS);
    if end <= now {
        let hint = "name a day to come; the suppression ends as it begins, at midnight UTC";
        return Err(UsageError::new("--until lies in the past", hint));
    }
    if end > latest {
        return Err(UsageError::new(
            format!("--until is more than {LONGEST_SUPPRESSION_DAYS} days away"),
            format!(
                "give {} at the latest, and renew it then",
                latest.date_naive()
            ),
        ));
    }
    Ok(end)
}

/// Does it, and says so. Returns what has changed, the gravest first.
fn carry_out(
    selection: &Selection,
    ground: &Ground,
    what: ByHand,
    place: &Workplace<'_>,
) -> anyhow::Result<(Lake, Vec<Finding>)> {
    // A lake is made by `run` and `ingest`; a mistyped folder must not become an empty one.
    drop(Lake::open_reader(place.data_dir())?);
    let mut lake = Lake::open_writer(place.data_dir())?;
    let chosen = selection.choose(&lake, what, place)?;
    let who = ground.who();
    let decision = Decision {
        what,
        who: &who,
        why: &ground.why,
        at: place.clock.now(),
    };
    let mut changed = lake.ledger_mut().decide(&chosen, &decision)?;
    changed.sort_by_key(|f| std::cmp::Reverse((f.row.severity, f.row.last_seen)));
    let mut said = format!(
        "{} {} by {who}",
        counted(changed.len(), "finding"),
        what.done()
    );
    if chosen.len() > changed.len() {
        let same = chosen.len() - changed.len();
        said.push_str(&format!("; {} so already", counted(same, "finding")));
    }
    place.terminal.say(&said);
    Ok((lake, changed))
}

impl Selection {
    /// Ids in full, each once.
    fn choose(
        &self,
        lake: &Lake,
        what: ByHand,
        place: &Workplace<'_>,
    ) -> anyhow::Result<Vec<String>> {
        let mut ids = Vec::new();
        for prefix in &self.ids {
            let id = lake.ledger().finding(prefix)?.row.finding_id;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if !self.ids.is_empty() {
            return Ok(ids);
        }
        let filter = FindingFilter {
            rule_id: self.rule.clone(),
            min_severity: self.severity,
            user: self.user.clone(),
            case_id: self.case.clone(),
            ..FindingFilter::default()
        };
        let found = lake.ledger().findings(&filter)?;
        if found.is_empty() {
            self.check_rule(place)?;
        }
        let concerned: Vec<Finding> = found
            .into_iter()
            .filter(|finding| is_meant(finding, what))
            .collect();
        if !concerned.is_empty() && !self.yes {
            return Err(UsageError::new(
                format!(
                    "{} would be {}; nothing was changed",
                    counted(concerned.len(), "finding"),
                    what.done()
                ),
                "say --yes, or name the findings by their ids (`orgwatch findings list` shows them)",
            )
            .into());
        }
        Ok(concerned.into_iter().map(|f| f.row.finding_id).collect())
    }

    /// A slip of the pen in a rule's id must not look like `nothing to do`.
    fn check_rule(&self, place: &Workplace<'_>) -> anyhow::Result<()> {
        let Some(id) = &self.rule else { return Ok(()) };
        let rules = place.rules()?;
        if rules.get(id).is_some() {
            return Ok(());
        }
        let hint = match nearest(id, rules.iter().map(|rule| rule.id.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`orgwatch rules list` shows the rules".to_owned(),
        };
        let id = printable(id, LONGEST_NAME);
        Err(UsageError::new(format!("there is no rule `{id}`"), hint).into())
    }
}

/// Whether a decision about all that matches means this one as well. What an evaluation resolved
/// was not closed by anybody who could have been wrong.
fn is_meant(finding: &Finding, what: ByHand) -> bool {
    let is_open = matches!(finding.status, Status::New | Status::Ongoing);
    let is_held = finding.hold.is_some();
    match what {
        ByHand::Acknowledge => is_open,
        ByHand::Resolve | ByHand::Suppress { .. } => {
            is_open || finding.status == Status::Acknowledged
        }
        ByHand::Reopen => is_held,
    }
}

impl Ground {
    fn who(&self) -> String {
        self.by.clone().unwrap_or_else(login_name)
    }
}

/// Who runs the program: the login's name, or that of the process's user.
fn login_name() -> String {
    let named = ["LOGNAME", "USER"].iter().find_map(|variable| {
        let name = std::env::var(variable).ok()?;
        one_line(&name, LONGEST_NAME).ok()
    });
    named.unwrap_or_else(|| {
        let uid = fs::metadata("/proc/self").map(|process| process.uid());
        let Ok(uid) = uid else {
            return "somebody".to_owned();
        };
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        user_of(uid, &users).unwrap_or_else(|| format!("uid {uid}"))
    })
}

fn user_of(uid: u32, passwd: &str) -> Option<String> {
    let mut lines = passwd.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (id == uid).then(|| one_line(name, LONGEST_NAME).ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_and_a_name_are_one_line_of_words() {
        assert_eq!(reason(" a\nb ").as_deref(), Ok("a\\u{a}b"));
        assert!(reason(" \t").is_err() && reason(&"x".repeat(1001)).is_err());
        assert!(name("Orgwatch").is_err() && name("").is_err());
        assert_eq!(name("ann@example.com").as_deref(), Ok("ann@example.com"));
    }

    #[test]
    fn the_name_of_a_user_is_read_from_the_list_of_users() {
        let users = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_of(1000, users).as_deref(), Some("ann"));
        assert_eq!(user_of(7, users), None);
        assert_eq!(user_of(7, "broken\n:::\n"), None);
    }

    #[test]
    fn a_suppression_ends_in_the_time_to_come_and_within_half_a_year() {
        let now: DateTime<Utc> = "2026-01-31T03:00:00Z".parse().unwrap();
        let ends = |day: Option<&str>| {
            let day = day.map(|day| day.parse().unwrap());
            let end = end_of_suppression(day, now).map_err(|error| error.message);
            end.map(|end| end.to_rfc3339())
        };
        assert_eq!(ends(None).unwrap(), "2026-03-02T00:00:00+00:00");
        assert!(ends(Some("2026-01-31")).is_err());
        assert!(ends(Some("2026-07-30")).is_ok());
        assert!(ends(Some("2026-07-31")).unwrap_err().contains("180"));
    }
}
