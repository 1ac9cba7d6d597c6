//! A registry proposed from what was seen, as a file for a person to read and finish. The same
//! logs give the same bytes, and our own parser accepts them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::SuggestError;
use super::compare::differences;
use super::entry::{Lists, machine_entry, platform_entry};
use super::model::{Account, App, Reality, label_key};
use super::toml_text::{is_plain, quoted, remark};
use super::trust::Scale;
use crate::config::parse_id;
use crate::registry::{Bounds, Registry, Resolution};
use crate::words::counted;

const HEAD: &str = "\
# A registry proposed by `orgwatch registry suggest`. Read it before you use it:
#   - fill in who owns each account, and correct what is only a guess;
#   - lines that are commented out were seen, but too seldom to be trusted: an attack looks like that.
#     Take the # away from those that you know to be yours;
#   - a WARNING is something that no machine should do. Look into it.
# Then: orgwatch registry check --registry FILE, and run with it.
";

/// What is known already, and how far networks may go.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    pub bounds: Bounds,
    /// Declared already. Its accounts are left out unless `with_declared`.
    pub registry: &'a Registry,
    pub resolution: &'a Resolution,
    /// Name of the registry's file, for places in it.
    pub registry_file: &'a str,
    pub with_declared: bool,
    /// Keys of the only accounts to propose.
    pub only: Option<&'a [String]>,
}

/// A proposed registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The text of the file.
    pub toml: String,
    /// Machines in it.
    pub machines: usize,
    /// Guests and accounts of the platform in it.
    pub platform: usize,
    /// Accounts that look like machines and are declared already.
    pub declared: usize,
    /// Accounts in it that were used through the UI.
    pub with_ui_logins: usize,
}

/// Writes the proposal.
pub fn propose(reality: &Reality, style: &Style<'_>) -> Result<Proposal, SuggestError> {
    let declared = declared_keys(style, reality);
    let asked = |key: &str| {
        style
            .only
            .is_none_or(|keys| keys.iter().any(|own| own == key))
    };
    let accounts: Vec<&Account> = reality
        .accounts
        .iter()
        .filter(|account| account.marks.is_machine() || account.marks.wanted)
        .filter(|account| asked(&account.key))
        .collect();
    let (known, new): (Vec<&Account>, Vec<&Account>) = accounts
        .into_iter()
        .partition(|account| declared.contains(&account.key));
    let shown = |account: &&Account| {
        style.with_declared || style.only.is_some() || !declared.contains(&account.key)
    };
    let mut accounts: Vec<&Account> = new.iter().chain(&known).copied().filter(shown).collect();
    accounts.sort_by_key(|account| (account.name().to_owned(), account.key.clone()));
    let platform: Vec<_> = reality
        .platform
        .iter()
        .filter(|account| asked(&account.key))
        .filter(|account| style.with_declared || !declared.contains(&account.key))
        .collect();

    let mut toml = head(reality);
    let lists = Lists::new(reality, style.bounds);
    let differing = differences(style.registry, style.resolution, reality);
    let mut names = BTreeSet::new();
    for account in &accounts {
        let notes: Vec<String> = differing
            .iter()
            .filter(|(key, _)| *key == account.key)
            .map(|(_, problem)| {
                let line = problem.at.line;
                format!("{}:{line} {}", remark(style.registry_file), problem.message)
            })
            .collect();
        toml.push('\n');
        toml.push_str(&checked(machine_entry(account, &lists, &notes, &mut names)));
    }
    for account in &platform {
        toml.push('\n');
        toml.push_str(&checked(platform_entry(account, &mut names)));
    }
    for entry in org_apps(&accounts, reality, &lists, style.registry) {
        toml.push('\n');
        toml.push_str(&checked(entry));
    }
    Registry::parse(&toml, "the proposed registry")?;
    Ok(Proposal {
        toml,
        machines: accounts.len(),
        platform: platform.len(),
        declared: known.len(),
        with_ui_logins: accounts.iter().filter(|a| a.ui_logins > 0).count(),
    })
}

/// Accounts for which an entry holds at the end of the time that was looked at, or later.
fn declared_keys(style: &Style<'_>, reality: &Reality) -> BTreeSet<String> {
    let last = reality
        .covered
        .last()
        .and_then(|day| day.and_hms_opt(0, 0, 0));
    let last_ms = last.map_or(i64::MIN, |at| at.and_utc().timestamp_millis());
    let entries = style.registry.users.iter();
    entries
        .filter(|user| user.valid.to_ms > last_ms)
        .flat_map(|user| style.resolution.keys(user))
        .collect()
}

fn head(reality: &Reality) -> String {
    let mut head = HEAD.to_owned();
    // Writing to a String cannot fail, here and below.
    let _ = match (reality.covered.first(), reality.covered.last()) {
        (Some(first), Some(last)) => writeln!(
            head,
            "# From the logs of {first} to {last}: {} covered. Times are UTC.",
            counted(reality.covered.len(), "day")
        ),
        _ => writeln!(
            head,
            "# There are no logins and no calls in the logs of this time."
        ),
    };
    if reality.roster.is_none() {
        head.push_str("# No roster was read: licences and permissions did not speak.\n");
    }
    head
}

/// A block as it stands; commented out where our own parser would refuse it, so that one odd
/// account never spoils the file.
fn checked(block: String) -> String {
    match Registry::parse(&block, "block") {
        Ok(_) => block,
        Err(_) => {
            let mut out =
                String::from("# This cannot be written as an entry; correct it by hand.\n");
            for line in block.lines() {
                let _ = writeln!(out, "# {line}");
            }
            out
        }
    }
}

/// The label without regard to case, and the id in 18 characters.
type LabelAndId = (String, Option<String>);

/// `[[app]]` entries of the apps that are proposed for the accounts and not declared yet.
fn org_apps(
    accounts: &[&Account],
    reality: &Reality,
    lists: &Lists,
    registry: &Registry,
) -> Vec<String> {
    let Some(last) = reality.covered.last() else {
        return vec![];
    };
    // By label, then id: one app of two accounts is one entry.
    let mut apps: BTreeMap<LabelAndId, (&App, BTreeSet<&str>)> = BTreeMap::new();
    for account in accounts {
        let scale = Scale::of(account, *last);
        let apps_of = account.apps.iter();
        for app in apps_of.filter(|app| scale.is_proven(&app.sight) && !lists.is_look_alike(app)) {
            let Some(label) = app.labels.first().filter(|label| is_plain(label)) else {
                continue;
            };
            let id = app.id.as_deref().and_then(|id| parse_id(id).ok());
            let entry = apps.entry((label_key(label), id));
            entry
                .or_insert((app, BTreeSet::new()))
                .1
                .insert(account.name());
        }
    }
    let with_id: BTreeSet<String> = apps
        .keys()
        .filter(|(_, id)| id.is_some())
        .map(|(label, _)| label.clone())
        .collect();
    let mut ids = BTreeSet::new();
    let mut entries = vec![];
    for ((label, id), (app, users)) in apps {
        let is_declared = registry.apps.iter().any(|own| match (&own.id, &id) {
            (Some(own), Some(id)) => own == id,
            _ => label_key(&own.name) == label,
        });
        let is_doubled = match &id {
            // Under two labels; the first holds.
            Some(id) => !ids.insert(id.clone()),
            None => with_id.contains(&label),
        };
        if is_declared || is_doubled {
            continue;
        }
        let name = app.labels.first().map(|l| l.trim()).unwrap_or_default();
        let mut entry = format!("[[app]]\nname = {}\n", quoted(name));
        if let Some(id) = &id {
            let _ = writeln!(entry, "id = {}", quoted(id));
        }
        entry.push_str("# vendor = \"TODO: own, or who made it\"\n");
        let users: Vec<String> = users.iter().take(10).map(|user| remark(user)).collect();
        let _ = writeln!(entry, "# used by {}", users.join(", "));
        entries.push(entry);
    }
    entries
}
