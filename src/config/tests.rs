//! What the configuration promises, seen from outside.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::*;

mod documents;
mod mail;
mod refusals;
mod salesforce;
mod suppressions;
mod webhooks;

fn now() -> DateTime<Utc> {
    "2026-01-31T03:00:00Z".parse().unwrap()
}

fn no_env(_: &str) -> Option<String> {
    None
}

struct File {
    dir: TempDir,
    path: PathBuf,
}

fn file(text: &str) -> File {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("orgwatch.toml");
    std::fs::write(&path, text).unwrap();
    File { dir, path }
}

fn resolve(text: &str) -> Result<Settings, ConfigError> {
    Settings::resolve(Overrides::default(), &no_env, Some(&file(text).path), now())
}

/// The refusal of a text: `line:column: message` and its hint.
fn refusal(text: &str) -> (String, String) {
    let Err(ConfigError::Fault(fault)) = resolve(text) else {
        panic!("accepted: {text}")
    };
    assert!(
        fault
            .to_string()
            .starts_with(&format!("{}:{}: ", fault.file, fault.at))
    );
    (
        format!("{}: {}", fault.at, fault.message),
        fault.hint.unwrap_or_default(),
    )
}

const FULL: &str = r#"
[org]
name = "Example"
id = "00D000000000001"
timezone = "Europe/Berlin"
[store]
data_dir = "data"
retention_days = 400
[inputs]
paths = ["logs/*.csv", "/var/lib/logs"]
day_first = true
[registry]
file = "registry.toml"
[catalog]
file = "more.toml"
[detect]
lookback_days = 7
fail_on = "medium"
rules_dir = "rules"
[rules."integration-ui-login"]
status = "staging"
severity = "critical"
params = { grace = 5, types = ["URI", "Report"], ratio = 0.5, on = true, word = "x" }
[[suppress]]
rule = "integration-ui-login"
user = "ERP@example.com"
where = { IP = "192.0.2.1", count = 3 }
reason = "migration"
owner = "sec@example.com"
until = 2026-03-01
[alert.email]
transport = "file"
from = "orgwatch@example.com"
to = ["Sec Team <sec@example.com>"]
min_severity = "medium"
host = "mail.example.com"
port = 587
tls = "starttls"
username = "u"
password_file = "/run/secrets/mail"
[report]
html = "out/report.html"
[limits]
memory = "256MiB"
threads = 2
quarantine_ratio = 0.05
"#;

#[test]
fn every_documented_key_is_read() {
    let file = file(FULL);
    let dir = file.dir.path();
    let s = Settings::resolve(Overrides::default(), &no_env, Some(&file.path), now()).unwrap();
    assert_eq!(s.org.name.as_deref(), Some("Example"));
    assert_eq!(s.org.id.as_deref(), Some("00D000000000001EAA"));
    assert_eq!(s.org.timezone.value, chrono_tz::Europe::Berlin);
    assert_eq!(s.store.data_dir.value, dir.join("data"));
    assert_eq!(s.store.retention_days.value, Some(400));
    assert_eq!(
        s.inputs.paths.value,
        [dir.join("logs/*.csv"), "/var/lib/logs".into()]
    );
    assert_eq!(s.inputs.day_first.value, Some(true));
    assert_eq!(s.registry_file.value, Some(dir.join("registry.toml")));
    assert_eq!(s.catalog_file.value, Some(dir.join("more.toml")));
    assert_eq!(s.detect.lookback_days.value, 7);
    assert_eq!(s.detect.fail_on.value, Some(Severity::Medium));
    assert_eq!(s.detect.rules_dir.value, Some(dir.join("rules")));
    let rule = &s.rules["integration-ui-login"];
    assert_eq!(
        (rule.status, rule.severity),
        (Some(RuleStatus::Staging), Some(Severity::Critical))
    );
    assert_eq!(rule.params["grace"].value, ParamValue::Integer(5));
    assert_eq!(rule.params["ratio"].value, ParamValue::Float(0.5));
    assert_eq!(rule.params["on"].value, ParamValue::Boolean(true));
    assert!(matches!(&rule.params["types"].value, ParamValue::List(l) if l.len() == 2));
    assert_eq!(rule.at.line, 20);
    let suppression = &s.suppressions[0];
    assert_eq!(
        suppression.user,
        Some(UserRef::Username("erp@example.com".into()))
    );
    assert_eq!(suppression.conditions["ip"], "192.0.2.1");
    assert_eq!(suppression.conditions["count"], "3");
    assert!(suppression.is_active(now()) && !suppression.is_active(suppression.until));
    assert_eq!(s.email.to.value, ["Sec Team <sec@example.com>"]);
    assert_eq!(s.email.min_severity.value, Severity::Medium);
    assert_eq!(s.report_html.value, Some(dir.join("out/report.html")));
    assert_eq!(s.limits.memory.value, ByteSize(256 << 20));
    assert_eq!(
        (s.limits.threads.value, s.limits.quarantine_ratio.value),
        (2, 0.05)
    );
}

#[test]
fn files_of_enrichment_are_lists_of_paths_beside_the_configuration() {
    let file = file(
        "[enrich]\ndatabases = [\"City.mmdb\", \"/usr/share/ASN.mmdb\"]\nnetworks = [\"tor.csv\"]\n
         [detect]\nindicators = [\"own.csv\"]\n",
    );
    let dir = file.dir.path();
    let s = Settings::resolve(Overrides::default(), &no_env, Some(&file.path), now()).unwrap();
    let databases = [dir.join("City.mmdb"), "/usr/share/ASN.mmdb".into()];
    assert_eq!(s.enrich.databases.value, databases);
    assert_eq!(s.enrich.networks.value, [dir.join("tor.csv")]);
    assert_eq!(s.detect.indicators.value, [dir.join("own.csv")]);
    let shown: Vec<_> = s.listing().into_iter().map(|row| row.0).collect();
    for key in ["enrich.databases", "enrich.networks", "detect.indicators"] {
        assert!(shown.contains(&key), "{key}");
    }
    let (told, hint) = refusal("[enrich]\ndatabase = []\n");
    assert!(
        told.contains("`database`") && hint.contains("`databases`"),
        "{told} {hint}"
    );
    assert!(
        refusal("[enrich]\nnetworks = \"tor.csv\"\n")
            .0
            .contains("a list")
    );
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = file("[store]\ndata_dir = \"f\"\n[limits]\nthreads = 3\nmemory = \"1GiB\"\n");
    let env = |name: &str| match name {
        "ORGWATCH_DATA_DIR" => Some("e".to_owned()),
        "ORGWATCH_THREADS" => Some("4".to_owned()),
        "ORGWATCH_REGISTRY" => Some(String::new()),
        _ => None,
    };
    let flags = Overrides {
        data_dir: Some("c".into()),
        ..Overrides::default()
    };
    let s = Settings::resolve(flags, &env, Some(&file.path), now()).unwrap();
    assert_eq!(s.store.data_dir.value, Path::new("c"));
    assert_eq!(s.store.data_dir.origin, Origin::Flag("--data-dir"));
    assert_eq!(
        (s.limits.threads.value, &s.limits.threads.origin),
        (4, &Origin::Env("ORGWATCH_THREADS"))
    );
    assert_eq!(
        s.limits.memory.origin,
        Origin::File(Position {
            line: 5,
            column: 10
        })
    );
    assert_eq!(
        (s.registry_file.value, s.registry_file.origin),
        (None, Origin::Default)
    );
}

#[test]
fn without_a_file_the_defaults_hold() {
    let env = |name: &str| (name == "HOME").then(|| "/home/u".to_owned());
    let s = Settings::resolve(Overrides::default(), &env, None, now()).unwrap();
    assert_eq!(
        s.store.data_dir.value,
        Path::new("/home/u/.local/state/orgwatch")
    );
    assert_eq!(s.store.retention_days.value, None);
    assert_eq!(s.detect.fail_on.value, Some(Severity::High));
    assert_eq!(s.inputs.timezone.value, None);
    assert_eq!(s.limits.memory.value, ByteSize(512 << 20));
    let env = |name: &str| match name {
        "HOME" => Some("/home/u".to_owned()),
        "XDG_STATE_HOME" => Some("/state".to_owned()),
        _ => None,
    };
    let s = Settings::resolve(Overrides::default(), &env, None, now()).unwrap();
    assert_eq!(s.store.data_dir.value, Path::new("/state/orgwatch"));
}

#[test]
fn exports_with_local_times_take_the_orgs_zone_where_it_was_given() {
    let s = resolve("[org]\ntimezone = \"Asia/Tokyo\"\n").unwrap();
    assert_eq!(s.inputs.timezone.value, Some(chrono_tz::Asia::Tokyo));
    let s = resolve("[org]\ntimezone = \"Asia/Tokyo\"\n[inputs]\ntimezone = \"UTC\"\n").unwrap();
    assert_eq!(s.inputs.timezone.value, Some(chrono_tz::UTC));
}

#[test]
fn a_missing_file_is_named() {
    let path = Path::new("/nonexistent/orgwatch.toml");
    let error = Settings::resolve(Overrides::default(), &no_env, Some(path), now()).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/orgwatch.toml"));
}

#[test]
fn a_bad_environment_variable_is_named() {
    for (name, value) in [
        ("ORGWATCH_THREADS", "many"),
        ("ORGWATCH_MEMORY", "9"),
        ("ORGWATCH_TIMEZONE", "Mars"),
        ("ORGWATCH_DAY_FIRST", "maybe"),
        ("ORGWATCH_QUARANTINE_RATIO", "2"),
        ("ORGWATCH_FAIL_ON", "bad"),
        ("ORGWATCH_ORG_ID", "x"),
    ] {
        let env = |asked: &str| (asked == name).then(|| value.to_owned());
        let error = Settings::resolve(Overrides::default(), &env, None, now()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("environment variable {name}: ")),
            "{error}"
        );
        assert!(error.to_string().contains("hint: "), "{error}");
    }
}

#[test]
fn the_listing_names_every_setting_with_its_origin() {
    let s = resolve(FULL).unwrap();
    let listing = s.listing();
    let find = |key: &str| listing.iter().find(|row| row.0 == key).unwrap();
    assert_eq!(find("limits.memory").1, "256MiB");
    assert_eq!(
        find("limits.memory").2.to_string(),
        "configuration file, line 44"
    );
    assert_eq!(find("inputs.timezone").1, "Europe/Berlin");
}

#[test]
fn a_fault_seen_from_above_names_the_file_and_the_place() {
    let s = resolve(FULL).unwrap();
    let fault = s.fault(s.rules["integration-ui-login"].at, "no such rule", None);
    assert!(
        fault
            .to_string()
            .ends_with("orgwatch.toml:20:8: no such rule"),
        "{fault}"
    );
}
