//! `registry.toml` to entries: every key known, every value checked.

use crate::config::{
    BadValue, Document, Fault, Item, Section, UserRef, hint_for_word, parse_id, parse_network,
    parse_user_id, parse_username,
};
use crate::privacy::printable;

use super::Registry;
use super::duplicates;
use super::model::{
    AllowedApp, Declared, LOGIN_PATHS, OrgApp, OrgDeclared, RegistryUser, Role, Validity, Window,
    WindowKind,
};
use super::schedule::{parse_cadence, parse_hours, parse_silence};

const USER: [&str; 21] = [
    "username",
    "id",
    "role",
    "system",
    "owner",
    "networks",
    "apps",
    "flows",
    "allow_salesforce_ip",
    "gateway_networks",
    "allow_ui_paths",
    "tools",
    "endpoints",
    "hours",
    "mtls",
    "cadence",
    "max_silence",
    "review",
    "valid_from",
    "valid_to",
    "ticket",
];
const APP: [&str; 10] = [
    "name",
    "id",
    "vendor",
    "grant",
    "system",
    "mobile_sdk",
    "subjects",
    "valid_from",
    "valid_to",
    "ticket",
];
const WINDOW: [&str; 8] = [
    "kind",
    "user",
    "from",
    "to",
    "networks",
    "valid_from",
    "valid_to",
    "ticket",
];
const ORG: [&str; 2] = ["base_profiles", "log_readers"];

pub(super) fn registry(doc: &Document) -> Result<Registry, Fault> {
    let table = doc.parse()?;
    let top = doc.root(&table, &["user", "app", "window", "org"])?;
    let entries = |key: &str, keys: &[&str]| match top.get(key) {
        Some(item) => item.tables(&format!("in [[{key}]]"), keys),
        None => Ok(vec![]),
    };
    let registry = Registry {
        users: entries("user", &USER)?
            .iter()
            .map(user)
            .collect::<Result<_, _>>()?,
        apps: entries("app", &APP)?
            .iter()
            .map(app)
            .collect::<Result<_, _>>()?,
        windows: entries("window", &WINDOW)?
            .iter()
            .map(window)
            .collect::<Result<_, _>>()?,
        org: match top.get("org") {
            Some(item) => org(&item.table("in [org]", &ORG)?)?,
            None => OrgDeclared::default(),
        },
    };
    duplicates::refuse(doc, &registry)?;
    Ok(registry)
}

fn user(entry: &Section<'_>) -> Result<RegistryUser, Fault> {
    let username = parsed(entry, "username", parse_username)?;
    let user_id = parsed(entry, "id", parse_user_id)?;
    if username.is_none() && user_id.is_none() {
        let hint = "add username = \"name@domain\" or id = \"005…\"".to_owned();
        return Err(entry.fault("this [[user]] does not say who it is", Some(hint)));
    }
    let words = Role::ALL.map(Role::as_str);
    let role = entry
        .require("role", &format!("one of: {}", words.join(", ")))?
        .parsed(role)?;
    let valid = validity(entry)?;
    Ok(RegistryUser {
        username,
        user_id,
        role,
        system: text(entry, "system")?,
        owner: text(entry, "owner")?,
        networks: declared(
            entry,
            "networks",
            &["network", "cidr"],
            valid,
            parse_network,
        )?,
        apps: match entry.get("apps") {
            Some(item) => item
                .list()?
                .iter()
                .map(|one| allowed_app(one, valid))
                .collect::<Result<_, _>>()?,
            None => vec![],
        },
        flows: declared(
            entry,
            "flows",
            &["flow", "login_path", "name"],
            valid,
            login_path,
        )?,
        allow_salesforce_ip: flag(entry, "allow_salesforce_ip")?,
        gateway_networks: declared(
            entry,
            "gateway_networks",
            &["network", "cidr"],
            valid,
            parse_network,
        )?,
        allow_ui_paths: declared(entry, "allow_ui_paths", &["path"], valid, |path| {
            Ok(path.to_owned())
        })?,
        tools: declared(entry, "tools", &["tool", "name"], valid, |tool| {
            Ok(tool.to_owned())
        })?,
        endpoints: declared(entry, "endpoints", &["endpoint", "path"], valid, endpoint)?,
        hours: declared(entry, "hours", &["hours"], valid, parse_hours)?,
        mtls: flag(entry, "mtls")?,
        cadence: parsed(entry, "cadence", parse_cadence)?,
        max_silence_minutes: parsed(entry, "max_silence", parse_silence)?,
        review: match entry.get("review") {
            Some(item) => Some(item.moment()?.date_naive()),
            None => None,
        },
        valid,
        ticket: text(entry, "ticket")?,
        at: entry.position(),
    })
}

fn app(entry: &Section<'_>) -> Result<OrgApp, Fault> {
    let name = entry.require("name", "the label of the app as the logs show it")?;
    let subjects = match entry.get("subjects") {
        Some(item) => item
            .list()?
            .iter()
            .map(|one| one.parsed(str::parse::<UserRef>))
            .collect::<Result<_, _>>()?,
        None => vec![],
    };
    Ok(OrgApp {
        name: name.text()?.to_owned(),
        id: parsed(entry, "id", parse_id)?,
        vendor: text(entry, "vendor")?,
        grant: text(entry, "grant")?,
        system: text(entry, "system")?,
        mobile_sdk: flag(entry, "mobile_sdk")?,
        subjects,
        valid: validity(entry)?,
        ticket: text(entry, "ticket")?,
        at: entry.position(),
    })
}

fn window(entry: &Section<'_>) -> Result<Window, Fault> {
    let words = WindowKind::ALL.map(WindowKind::as_str);
    let kind = entry
        .require("kind", &format!("one of: {}", words.join(", ")))?
        .parsed(window_kind)?;
    let user = entry.require("user", "the username or id for which it opens")?;
    let from = entry
        .require("from", "when it opens, as in from = 2026-01-15T09:00:00Z")?
        .moment()?;
    let to_item = entry.require("to", "when it closes, as in to = 2026-01-15T10:00:00Z")?;
    let to = to_item.moment()?;
    if to <= from {
        let hint = "a window closes after it opens; swap them, or correct the year".to_owned();
        return Err(to_item.fault("`to` is not after `from`", Some(hint)));
    }
    let open = Validity {
        from_ms: from.timestamp_millis(),
        to_ms: to.timestamp_millis(),
    };
    let valid = within(open, validity(entry)?).map_err(|bad| entry.fault(bad.message, bad.hint))?;
    let networks = match entry.get("networks") {
        Some(item) => item
            .list()?
            .iter()
            .map(|one| one.parsed(parse_network))
            .collect::<Result<_, _>>()?,
        None => vec![],
    };
    let user = user.parsed(str::parse::<UserRef>)?;
    Ok(Window {
        kind,
        user,
        valid,
        networks,
        ticket: text(entry, "ticket")?,
        at: entry.position(),
    })
}

fn org(table: &Section<'_>) -> Result<OrgDeclared, Fault> {
    Ok(OrgDeclared {
        base_profiles: plain(table, "base_profiles", |name| Ok(name.to_owned()))?,
        log_readers: plain(table, "log_readers", str::parse::<UserRef>)?,
    })
}

/// A list of plain text that holds as long as it stands there.
fn plain<T>(
    entry: &Section<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, BadValue>,
) -> Result<Vec<Declared<T>>, Fault> {
    let Some(list) = entry.get(key) else {
        return Ok(vec![]);
    };
    let one = |item: &Item<'_>| {
        Ok(Declared {
            value: item.parsed(&parse)?,
            valid: Validity::ALWAYS,
            ticket: None,
            at: item.position(),
        })
    };
    list.list()?.iter().map(one).collect()
}

/// A list whose entries are plain text, or tables that hold the text under one of `names` beside
/// a validity of their own.
fn declared<T>(
    entry: &Section<'_>,
    key: &str,
    names: &[&str],
    outer: Validity,
    parse: impl Fn(&str) -> Result<T, BadValue>,
) -> Result<Vec<Declared<T>>, Fault> {
    let Some(list) = entry.get(key) else {
        return Ok(vec![]);
    };
    let mut all = vec![];
    for item in list.list()? {
        let at = item.position();
        if !item.is_table() {
            all.push(Declared {
                value: item.parsed(&parse)?,
                valid: outer,
                ticket: None,
                at,
            });
            continue;
        }
        let keys: Vec<&str> = names
            .iter()
            .copied()
            .chain(["valid_from", "valid_to", "ticket"])
            .collect();
        let table = item.table(&format!("in an entry of `{key}`"), &keys)?;
        let value = match names.iter().find_map(|name| table.get(name)) {
            Some(value) => value,
            None => table.require(
                names[0],
                &format!("write {{ {} = \"…\", valid_from = … }}", names[0]),
            )?,
        };
        let value = value.parsed(&parse)?;
        let valid = inner_validity(&table, outer)?;
        all.push(Declared {
            value,
            valid,
            ticket: text(&table, "ticket")?,
            at,
        });
    }
    Ok(all)
}

fn allowed_app(item: &Item<'_>, outer: Validity) -> Result<Declared<AllowedApp>, Fault> {
    let at = item.position();
    if !item.is_table() {
        let written = item.text()?;
        // Ids of connected apps begin with 0H4; an app whose label looks like one has none.
        let value = match parse_id(written).ok().filter(|id| id.starts_with("0H4")) {
            Some(id) => AllowedApp {
                name: None,
                id: Some(id),
            },
            None => AllowedApp {
                name: Some(written.to_owned()),
                id: None,
            },
        };
        return Ok(Declared {
            value,
            valid: outer,
            ticket: None,
            at,
        });
    }
    let keys = ["name", "id", "valid_from", "valid_to", "ticket"];
    let table = item.table("in an entry of `apps`", &keys)?;
    let value = AllowedApp {
        name: text(&table, "name")?,
        id: parsed(&table, "id", parse_id)?,
    };
    if value.name.is_none() && value.id.is_none() {
        let hint = "write { name = \"…\", id = \"0H4…\" }".to_owned();
        return Err(table.fault("this app has neither `name` nor `id`", Some(hint)));
    }
    let valid = inner_validity(&table, outer)?;
    Ok(Declared {
        value,
        valid,
        ticket: text(&table, "ticket")?,
        at,
    })
}

fn text(entry: &Section<'_>, key: &str) -> Result<Option<String>, Fault> {
    entry
        .get(key)
        .map(|item| Ok(item.text()?.to_owned()))
        .transpose()
}

fn parsed<T>(
    entry: &Section<'_>,
    key: &str,
    parse: impl FnOnce(&str) -> Result<T, BadValue>,
) -> Result<Option<T>, Fault> {
    entry.get(key).map(|item| item.parsed(parse)).transpose()
}

fn flag(entry: &Section<'_>, key: &str) -> Result<bool, Fault> {
    entry.get(key).map_or(Ok(false), |item| item.boolean())
}

fn validity(entry: &Section<'_>) -> Result<Validity, Fault> {
    let mut valid = Validity::ALWAYS;
    if let Some(from) = entry.get("valid_from") {
        valid.from_ms = from.moment()?.timestamp_millis();
    }
    if let Some(to) = entry.get("valid_to") {
        valid.to_ms = to.moment()?.timestamp_millis();
        if valid.to_ms <= valid.from_ms {
            let hint = "it is the first moment at which the entry no longer holds".to_owned();
            return Err(to.fault("`valid_to` is not after `valid_from`", Some(hint)));
        }
    }
    Ok(valid)
}

fn inner_validity(table: &Section<'_>, outer: Validity) -> Result<Validity, Fault> {
    within(validity(table)?, outer).map_err(|bad| table.fault(bad.message, bad.hint))
}

fn within(inner: Validity, outer: Validity) -> Result<Validity, BadValue> {
    inner.intersection(&outer).ok_or_else(|| {
        let hint = "correct valid_from and valid_to here or of the whole entry";
        BadValue::new(
            "this never holds: its time lies outside of its entry's",
            hint,
        )
    })
}

fn role(text: &str) -> Result<Role, BadValue> {
    Role::from_word(text).ok_or_else(|| unknown("role", text, &Role::ALL.map(Role::as_str)))
}

fn window_kind(text: &str) -> Result<WindowKind, BadValue> {
    let words = WindowKind::ALL.map(WindowKind::as_str);
    WindowKind::from_word(text).ok_or_else(|| unknown("kind of window", text, &words))
}

fn login_path(text: &str) -> Result<&'static str, BadValue> {
    let known = LOGIN_PATHS.into_iter().find(|path| *path == text);
    known.ok_or_else(|| unknown("flow", text, &LOGIN_PATHS))
}

/// A path, or a class of Apex; `*` stands for any id.
fn endpoint(text: &str) -> Result<String, BadValue> {
    if text.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#')) {
        let message = format!("\"{}\" is no endpoint", printable(text, 60));
        let hint = "write the path without query, as in \"/services/apexrest/CaseCreation/*\"";
        return Err(BadValue::new(message, hint));
    }
    let part_of_a_name = |s: &str| s.contains('*') && s != "*" && !s.ends_with(".*");
    if text.contains('/') && text.split('/').any(part_of_a_name) {
        let message = format!("\"{}\" is no endpoint", printable(text, 60));
        let hint =
            "`*` stands for a whole part of the path, as in \"/services/apexrest/CaseCreation/*\"";
        return Err(BadValue::new(message, hint));
    }
    Ok(text.to_owned())
}

fn unknown(what: &str, written: &str, words: &[&str]) -> BadValue {
    let message = format!("unknown {what} \"{}\"", printable(written, 60));
    BadValue::new(message, hint_for_word(written, words))
}
