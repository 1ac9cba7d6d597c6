//! The files under `deploy/`: other programs read them, and our own command line, settings and
//! metrics are as they say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser;
use orgwatch::cli::Cli;
use orgwatch::config::{Overrides, Settings};
use serde_json::Value;

use crate::logs::at;
use crate::other_tools::{call, python};
use crate::program::{stderr, stdout};

const PROGRAM: &str = "/usr/bin/orgwatch";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn text(name: &str) -> String {
    let path = repository().join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Keys and values by section.
pub type Unit = BTreeMap<String, Vec<(String, String)>>;

/// A unit file.
pub fn unit(name: &str) -> Unit {
    let mut sections = Unit::new();
    let mut section = String::new();
    for line in text(name).lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            Some(title) => section = title.to_owned(),
            None => {
                let (key, value) = line
                    .split_once('=')
                    .unwrap_or_else(|| panic!("{name}: {line}"));
                let pair = (key.to_owned(), value.to_owned());
                sections.entry(section.clone()).or_default().push(pair);
            }
        }
    }
    sections
}

/// The one value of a key.
pub fn value(unit: &Unit, section: &str, key: &str) -> String {
    let found: Vec<_> = unit[section].iter().filter(|(k, _)| k == key).collect();
    assert_eq!(found.len(), 1, "{key}");
    found[0].1.clone()
}

pub fn exec_start() -> Vec<String> {
    let line = value(&unit("systemd/orgwatch.service"), "Service", "ExecStart");
    line.split(' ').map(str::to_owned).collect()
}

/// The command of the one line of the crontab that is no comment and no variable.
pub fn cron_command() -> String {
    let cron = text("cron/orgwatch");
    let mut lines = cron.lines().filter(|line| line.contains(" * "));
    let line = lines.next().unwrap();
    assert!(lines.next().is_none());
    // Cron makes a line break of a percent sign.
    assert!(!line.contains('%'), "{line}");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[5], "orgwatch", "the user: {line}");
    words[6..].join(" ")
}

fn yaml(name: &str) -> Vec<Value> {
    let script = repository().join("tests/read_yaml.py");
    let file = repository().join("deploy").join(name);
    let read = call(Command::new(python()).arg(script).arg(file));
    serde_json::from_str(&read).unwrap()
}

#[test]
fn the_units_hold_only_keys_that_systemd_knows() {
    let known: BTreeMap<&str, &[&str]> = BTreeMap::from([
        (
            "Unit",
            &[
                "Description",
                "Wants",
                "After",
                "OnFailure",
                "Documentation",
            ][..],
        ),
        (
            "Timer",
            &[
                "OnCalendar",
                "RandomizedDelaySec",
                "Persistent",
                "AccuracySec",
            ],
        ),
        ("Install", &["WantedBy"]),
        (
            "Service",
            &[
                "AmbientCapabilities",
                "CapabilityBoundingSet",
                "DevicePolicy",
                "ExecStart",
                "Group",
                "KeyringMode",
                "LimitCORE",
                "LoadCredential",
                "LockPersonality",
                "MemoryDenyWriteExecute",
                "MemoryMax",
                "Nice",
                "NoNewPrivileges",
                "PrivateDevices",
                "PrivateIPC",
                "PrivateTmp",
                "PrivateUsers",
                "ProcSubset",
                "ProtectClock",
                "ProtectControlGroups",
                "ProtectHome",
                "ProtectHostname",
                "ProtectKernelLogs",
                "ProtectKernelModules",
                "ProtectKernelTunables",
                "ProtectProc",
                "ProtectSystem",
                "ReadWritePaths",
                "RemoveIPC",
                "RestrictAddressFamilies",
                "RestrictNamespaces",
                "RestrictRealtime",
                "RestrictSUIDSGID",
                "StateDirectory",
                "StateDirectoryMode",
                "SuccessExitStatus",
                "SystemCallArchitectures",
                "SystemCallErrorNumber",
                "SystemCallFilter",
                "TasksMax",
                "TimeoutStartSec",
                "Type",
                "UMask",
                "User",
            ],
        ),
    ]);
    for name in ["systemd/orgwatch.service", "systemd/orgwatch.timer"] {
        for (section, pairs) in unit(name) {
            let keys = known
                .get(section.as_str())
                .unwrap_or_else(|| panic!("{name}: [{section}]"));
            for (key, _) in pairs {
                assert!(keys.contains(&key.as_str()), "{name}: {key} in [{section}]");
            }
        }
    }
    let timer = unit("systemd/orgwatch.timer");
    assert_eq!(value(&timer, "Timer", "Persistent"), "true");
    assert!(!value(&timer, "Timer", "RandomizedDelaySec").is_empty());
}

/// systemd's own word on the units. `.ci/run` installs it and insists; elsewhere the keys above
/// are all that can be checked without it.
#[test]
fn systemd_accepts_the_units_and_calls_the_service_well_locked_up() {
    let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).output();
    if analyze(&["--version"]).is_err() {
        let insists = std::env::var_os("ORGWATCH_CI").is_some();
        assert!(
            !insists,
            "systemd-analyze is missing: apt-get install systemd"
        );
        println!("systemd-analyze is missing: the units were not shown to systemd");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let service = text("systemd/orgwatch.service").replace(PROGRAM, env!("CARGO_BIN_EXE_orgwatch"));
    fs::write(dir.path().join("orgwatch.service"), service).unwrap();
    fs::write(
        dir.path().join("orgwatch.timer"),
        text("systemd/orgwatch.timer"),
    )
    .unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let said = |output: Output| stdout(&output) + &stderr(&output);

    let verify = [
        "verify",
        "--man=no",
        &path("orgwatch.service"),
        &path("orgwatch.timer"),
    ];
    let output = analyze(&verify).unwrap();
    let is_fine = output.status.success();
    // It says what it does not know, and calls that a success.
    let said_of_ours: String = said(output)
        .lines()
        .filter(|l| l.contains("orgwatch"))
        .collect();
    assert!(is_fine && said_of_ours.is_empty(), "{said_of_ours}");

    // In tenths: the less the better, and an unguarded service has 96.
    let security = [
        "security",
        "--offline=true",
        "--threshold=15",
        &path("orgwatch.service"),
    ];
    let output = analyze(&security).unwrap();
    assert!(output.status.success(), "{}", said(output));
}

#[test]
fn every_command_in_the_files_is_one_of_ours() {
    let mut commands: Vec<Vec<String>> = vec![exec_start()];
    let words =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let cron = cron_command();
    commands.push(words(&cron[cron.find("orgwatch run").unwrap()..]));

    let dockerfile = text("docker/Dockerfile");
    let list = |key: &str| -> Vec<String> {
        let line = dockerfile
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap();
        serde_json::from_str(line).unwrap()
    };
    commands.push([list("ENTRYPOINT "), list("CMD ")].concat());

    let job = yaml("kubernetes/cronjob.yaml").pop().unwrap();
    let container = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
    commands.push([vec![PROGRAM.to_owned()], arguments].concat());

    // What the pages tell to type: `orgwatch` at the beginning of a line, or after the user's name.
    for page in [
        "README.md",
        "prometheus/orgwatch.rules.yml",
        "orgwatch.toml",
        "cron/orgwatch",
    ] {
        for line in text(page).lines().map(str::trim) {
            let line = line.strip_prefix("sudo -u orgwatch ").unwrap_or(line);
            let line = line.strip_prefix("description: ").unwrap_or(line);
            if line.starts_with("orgwatch ") && !line.contains(':') {
                let line = line.split(" #").next().unwrap_or_default();
                commands.push(words(line.split(" >").next().unwrap_or_default()));
            }
        }
    }
    assert!(commands.len() > 7, "{commands:?}");
    for command in commands {
        if let Err(error) = Cli::try_parse_from(&command) {
            panic!("{command:?}: {error}");
        }
    }
}

#[test]
fn the_example_configuration_is_accepted_and_agrees_with_the_units() {
    let file = repository().join("deploy/orgwatch.toml");
    let resolve = |file: &Path| {
        Settings::resolve(
            Overrides::default(),
            &|_| None,
            Some(file),
            at("2026-01-31T03:00:00Z"),
        )
    };
    let settings = resolve(&file).unwrap();
    let service = unit("systemd/orgwatch.service");
    let state = format!("/var/lib/{}", value(&service, "Service", "StateDirectory"));
    assert_eq!(*settings.store.data_dir, PathBuf::from(state));
    let inbox = settings.inputs.paths[0].display().to_string();
    assert!(
        text("systemd/orgwatch.tmpfiles").contains(&format!("d {inbox} ")),
        "{inbox}"
    );

    // What is commented out is right, too, and the service may write where it says.
    let text = text("orgwatch.toml")
        .replace("\n#[", "\n[")
        .replace("\n#file", "\nfile");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("orgwatch.toml"), text).unwrap();
    let settings = resolve(&dir.path().join("orgwatch.toml")).unwrap();
    let metrics = settings.operations.metrics_file.value.unwrap();
    let writable = value(&service, "Service", "ReadWritePaths");
    assert_eq!(
        metrics.parent(),
        Some(Path::new(writable.trim_start_matches('-')))
    );
    assert_eq!(metrics.extension().and_then(|e| e.to_str()), Some("prom"));
}

#[test]
fn the_cron_job_of_kubernetes_runs_alone_and_without_privileges() {
    let documents = yaml("kubernetes/cronjob.yaml");
    let job = documents.iter().find(|d| d["kind"] == "CronJob").unwrap();
    assert_eq!(job["spec"]["concurrencyPolicy"], "Forbid");
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    for (place, key, value) in [
        (&pod["securityContext"], "runAsNonRoot", Value::Bool(true)),
        (
            &pod["securityContext"]["seccompProfile"],
            "type",
            "RuntimeDefault".into(),
        ),
        (
            &container["securityContext"],
            "readOnlyRootFilesystem",
            true.into(),
        ),
        (
            &container["securityContext"],
            "allowPrivilegeEscalation",
            false.into(),
        ),
        (
            &container["securityContext"]["capabilities"]["drop"],
            "0",
            "ALL".into(),
        ),
        (pod, "automountServiceAccountToken", false.into()),
    ] {
        let found = match place {
            Value::Array(items) => &items[key.parse::<usize>().unwrap()],
            place => &place[key],
        };
        assert_eq!(*found, value, "{key}");
    }
    assert!(container["resources"]["limits"]["memory"].is_string());
    // Each volume is mounted, each mount has a volume, each claim is made here.
    let names = |list: &Value| -> BTreeSet<String> {
        let items = list.as_array().unwrap().iter();
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&pod["volumes"]), names(&container["volumeMounts"]));
    for volume in pod["volumes"].as_array().unwrap() {
        let claim = &volume["persistentVolumeClaim"]["claimName"];
        let made = documents.iter().any(|d| d["metadata"]["name"] == *claim);
        assert!(claim.is_null() || made, "{claim}");
    }
    // The image runs as the user that the pod asks for.
    let user = pod["securityContext"]["runAsUser"].to_string();
    assert!(text("docker/Dockerfile").contains(&format!("USER {user}:{user}")));
}

#[test]
fn the_alerts_ask_only_for_metrics_that_there_are() {
    let source = fs::read_to_string(repository().join("src/metrics.rs")).unwrap();
    let words = |text: &str| -> BTreeSet<String> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text
            .split(|c| !is_word(c))
            .filter(|w| w.starts_with("orgwatch_"));
        words.map(str::to_owned).collect()
    };
    let written = words(&source);
    let rules = yaml("prometheus/orgwatch.rules.yml");
    let rules = rules[0]["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() > 7);
    for rule in rules {
        let asked = words(rule["expr"].as_str().unwrap());
        assert!(!asked.is_empty(), "{rule}");
        assert!(asked.is_subset(&written), "{asked:?}");
        assert!(rule["labels"]["severity"].is_string(), "{rule}");
        assert!(rule["annotations"]["summary"].is_string(), "{rule}");
    }
    // The page lists what there is, and nothing else.
    let page = text("README.md");
    assert_eq!(words(&page), written);
}

#[test]
fn the_image_is_built_from_what_its_build_needs_and_runs_as_nobody() {
    let dockerfile = text("docker/Dockerfile");
    let lines = |key: &str| -> Vec<String> {
        let lines = dockerfile.lines().filter_map(|line| line.strip_prefix(key));
        lines.map(str::to_owned).collect()
    };
    let images = lines("FROM ");
    assert_eq!(images.len(), 2);
    for image in &images {
        let (_, tag) = image
            .split_once(':')
            .unwrap_or_else(|| panic!("{image} has no tag"));
        assert!(!tag.starts_with("latest"), "{image}");
    }
    let cargo = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let cargo: toml::Table = cargo.parse().unwrap();
    let rust = cargo["package"]["rust-version"].as_str().unwrap();
    assert!(
        images[0].starts_with(&format!("rust:{rust}-")),
        "{}",
        images[0]
    );
    assert!(lines("RUN ")[0].starts_with("cargo build --release --locked"));
    assert!(!lines("USER ")[0].starts_with('0'));
    assert!(lines("SHELL").is_empty());
    // What the build reads is let through to it.
    let ignored = text("docker/Dockerfile.dockerignore");
    let let_through: Vec<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    for needed in ["Cargo.toml", "Cargo.lock", "build.rs", "src", "queries"] {
        assert!(let_through.contains(&needed), "{needed}");
    }
    let mut folders = vec![repository().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = fs::read_to_string(&entry).unwrap_or_default();
            for (_, rest) in text
                .match_indices("include_str!(\"")
                .map(|(at, m)| text.split_at(at + m.len()))
            {
                let included = rest.split('"').next().unwrap();
                let path = entry
                    .parent()
                    .unwrap()
                    .join(included)
                    .canonicalize()
                    .unwrap();
                let below = path.strip_prefix(repository()).unwrap();
                let top = below
                    .components()
                    .next()
                    .unwrap()
                    .as_os_str()
                    .to_str()
                    .unwrap();
                assert!(
                    let_through.contains(&top),
                    "{}: {included}",
                    entry.display()
                );
            }
        }
    }
}
