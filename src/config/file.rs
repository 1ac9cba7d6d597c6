//! The sections of `orgwatch.toml`, each key checked and placed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::alert::{self, FileEmail};
use super::document::{Document, Item, Section};
use super::fault::{Fault, Position};
use super::operations::{LogFormat, parse_log_format};
use super::salesforce::{self, Salesforce};
use super::suppress::{self, Suppression, check_rule_id};
use super::value::{
    BadValue, ByteSize, parse_fail_on, parse_id, parse_memory, parse_timezone, quoted,
};
use super::{RuleParam, RuleSetting, RuleStatus, Severity};

/// A value that the file gives, with its place.
pub(super) type Given<T> = Option<(T, Position)>;

/// What the file says. Paths are already relative to the file's folder.
#[derive(Debug, Default)]
pub(super) struct FileSettings {
    pub org_name: Given<Option<String>>,
    pub org_id: Given<Option<String>>,
    pub org_timezone: Given<Tz>,
    pub data_dir: Given<PathBuf>,
    pub retention_days: Given<Option<u32>>,
    pub input_paths: Given<Vec<PathBuf>>,
    pub input_timezone: Given<Option<Tz>>,
    pub input_day_first: Given<Option<bool>>,
    pub registry_file: Given<Option<PathBuf>>,
    pub catalog_file: Given<Option<PathBuf>>,
    pub lookback_days: Given<u32>,
    pub fail_on: Given<Option<Severity>>,
    pub rules_dir: Given<Option<PathBuf>>,
    pub canaries: Given<bool>,
    pub indicators: Given<Vec<PathBuf>>,
    pub enrich_databases: Given<Vec<PathBuf>>,
    pub enrich_networks: Given<Vec<PathBuf>>,
    pub rules: BTreeMap<String, RuleSetting>,
    pub suppressions: Vec<Suppression>,
    pub email: FileEmail,
    pub report_html: Given<Option<PathBuf>>,
    pub salesforce: Option<Salesforce>,
    pub memory: Given<ByteSize>,
    pub threads: Given<usize>,
    pub quarantine_ratio: Given<f64>,
    pub log_format: Given<LogFormat>,
    pub metrics_file: Given<Option<PathBuf>>,
}

const TOP: [&str; 15] = [
    "org",
    "store",
    "inputs",
    "registry",
    "catalog",
    "enrich",
    "detect",
    "rules",
    "suppress",
    "alert",
    "report",
    "salesforce",
    "limits",
    "log",
    "metrics",
];

/// Reads the text of a configuration file; relative paths are joined to `folder`.
pub(super) fn read(
    doc: &Document,
    folder: &Path,
    now: DateTime<Utc>,
) -> Result<FileSettings, Fault> {
    let table = doc.parse()?;
    let top = doc.root(&table, &TOP)?;
    let path = |item: &Item<'_>| item.text().map(|text| folder.join(text));
    let paths = |item: &Item<'_>| item.list()?.iter().map(path).collect::<Result<Vec<_>, _>>();
    let section = |name: &str, keys: &[&str]| {
        top.get(name)
            .map(|item| item.table(&format!("in [{name}]"), keys))
            .transpose()
    };
    let mut file = FileSettings::default();

    if let Some(org) = section("org", &["name", "id", "timezone"])? {
        file.org_name = given(&org, "name", |item| Ok(Some(item.text()?.to_owned())))?;
        file.org_id = given(&org, "id", |item| item.parsed(parse_org_id).map(Some))?;
        file.org_timezone = given(&org, "timezone", |item| item.parsed(parse_timezone))?;
    }
    if let Some(store) = section("store", &["data_dir", "retention_days"])? {
        file.data_dir = given(&store, "data_dir", path)?;
        file.retention_days = given(&store, "retention_days", |item| {
            Ok(Some(days(item, 36_500)?))
        })?;
    }
    if let Some(inputs) = section("inputs", &["paths", "timezone", "day_first"])? {
        file.input_paths = given(&inputs, "paths", paths)?;
        file.input_timezone = given(&inputs, "timezone", |item| {
            item.parsed(parse_timezone).map(Some)
        })?;
        file.input_day_first = given(&inputs, "day_first", |item| item.boolean().map(Some))?;
    }
    if let Some(registry) = section("registry", &["file"])? {
        file.registry_file = given(&registry, "file", |item| path(item).map(Some))?;
    }
    if let Some(catalog) = section("catalog", &["file"])? {
        file.catalog_file = given(&catalog, "file", |item| path(item).map(Some))?;
    }
    if let Some(enrich) = section("enrich", &["databases", "networks"])? {
        file.enrich_databases = given(&enrich, "databases", paths)?;
        file.enrich_networks = given(&enrich, "networks", paths)?;
    }
    if let Some(detect) = section(
        "detect",
        &[
            "lookback_days",
            "fail_on",
            "rules_dir",
            "canaries",
            "indicators",
        ],
    )? {
        file.indicators = given(&detect, "indicators", paths)?;
        file.lookback_days = given(&detect, "lookback_days", |item| days(item, 3_660))?;
        file.fail_on = given(&detect, "fail_on", |item| item.parsed(parse_fail_on))?;
        file.rules_dir = given(&detect, "rules_dir", |item| path(item).map(Some))?;
        file.canaries = given(&detect, "canaries", |item| item.boolean())?;
    }
    if let Some(rules) = top.get("rules") {
        for item in rules.open_table("in [rules]")?.items() {
            file.rules.insert(item.name.clone(), rule_setting(&item)?);
        }
    }
    if let Some(suppress) = top.get("suppress") {
        for entry in suppress.tables("in [[suppress]]", &suppress::KEYS)? {
            file.suppressions.push(Suppression::read(&entry, now)?);
        }
    }
    if let Some(table) = section("alert", &["email", "group", "webhook"])? {
        file.email = alert::read(&table, folder)?;
    }
    if let Some(report) = section("report", &["html"])? {
        file.report_html = given(&report, "html", |item| path(item).map(Some))?;
    }
    if let Some(salesforce) = section("salesforce", &salesforce::KEYS)? {
        file.salesforce = Some(salesforce::read(&salesforce, folder)?);
    }
    if let Some(limits) = section("limits", &["memory", "threads", "quarantine_ratio"])? {
        file.memory = given(&limits, "memory", |item| item.parsed(parse_memory))?;
        file.threads = given(&limits, "threads", |item| {
            Ok(item.integer(1..=1024)? as usize)
        })?;
        file.quarantine_ratio = given(&limits, "quarantine_ratio", |item| item.number(0.0..=1.0))?;
    }
    if let Some(log) = section("log", &["format"])? {
        file.log_format = given(&log, "format", |item| item.parsed(parse_log_format))?;
    }
    if let Some(metrics) = section("metrics", &["file"])? {
        file.metrics_file = given(&metrics, "file", |item| path(item).map(Some))?;
    }
    Ok(file)
}

fn rule_setting(item: &Item<'_>) -> Result<RuleSetting, Fault> {
    if let Err(hint) = check_rule_id(&item.name) {
        return Err(item.key_fault(format!("{} is no rule id", quoted(&item.name)), Some(hint)));
    }
    let title = format!("in [rules.\"{}\"]", item.name);
    let section = item.table(&title, &["status", "severity", "params"])?;
    let mut params = BTreeMap::new();
    if let Some(table) = section.get("params") {
        for param in table.open_table("in `params`")?.items() {
            let value = param.plain()?;
            params.insert(
                param.name.clone(),
                RuleParam {
                    value,
                    at: param.position(),
                },
            );
        }
    }
    let words = RuleStatus::ALL.map(RuleStatus::as_str);
    let status = section
        .get("status")
        .map(|item| item.word(&words))
        .transpose()?;
    let severity = section
        .get("severity")
        .map(|item| item.parsed(parse_severity))
        .transpose()?;
    Ok(RuleSetting {
        status: status.and_then(RuleStatus::from_word),
        severity,
        params,
        at: item.key_position(),
    })
}

pub(super) fn parse_severity(text: &str) -> Result<Severity, BadValue> {
    Severity::from_word(text).ok_or_else(|| {
        let words = Severity::ALL.map(Severity::as_str);
        let hint = super::fault::hint_for_word(text, &words);
        BadValue::new(format!("unknown severity {}", quoted(text)), hint)
    })
}

pub(super) fn parse_org_id(text: &str) -> Result<String, BadValue> {
    let id = parse_id(text)?;
    if !id.starts_with("00D") {
        let message = format!("{} is no org id", quoted(text));
        return Err(BadValue::new(message, "ids of orgs begin with 00D"));
    }
    Ok(id)
}

fn days(item: &Item<'_>, most: u32) -> Result<u32, Fault> {
    // The range makes the conversion lossless.
    Ok(item.integer(1..=i64::from(most))? as u32)
}

pub(super) fn given<'a, T>(
    section: &Section<'a>,
    key: &str,
    read: impl FnOnce(&Item<'a>) -> Result<T, Fault>,
) -> Result<Given<T>, Fault> {
    let Some(item) = section.get(key) else {
        return Ok(None);
    };
    Ok(Some((read(&item)?, item.position())))
}
