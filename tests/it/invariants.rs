//! What must not change a finding: how rows lie in files, and people who have nothing to do with
//! it. And what a wider declaration may do: make address findings fewer, never more.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{expect, orgwatch};
use crate::sample;

/// Severity and count by rule, user and first time.
type Found = BTreeMap<(String, String, String), (String, u64)>;

fn found(jsonl: &str) -> Found {
    let text = |f: &Value, name: &str| f[name].as_str().unwrap_or_default().to_owned();
    jsonl
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|f| {
            let key = ["rule_id", "username", "first_seen"].map(|name| text(&f, name));
            (
                key.into(),
                (text(&f, "severity"), f["count"].as_u64().unwrap()),
            )
        })
        .collect()
}

fn night(dir: &Path, inputs: &[String]) -> Found {
    let mut arguments = vec!["run", "--now", "2026-01-10T03:00:00Z"];
    arguments.extend(inputs.iter().map(String::as_str));
    expect(1, orgwatch(dir, &arguments));
    let list = orgwatch(dir, &["findings", "list", "--format", "jsonl"]);
    found(&expect(0, list))
}

#[test]
fn a_file_in_pieces_and_the_logins_of_strangers_change_no_finding() {
    let whole = sample::days(6..=8);
    let one = tempfile::tempdir().unwrap();
    sample::desk(one.path());
    let before = night(one.path(), &whole);
    assert!(before.len() >= 4, "{before:?}");

    let two = tempfile::tempdir().unwrap();
    sample::desk(two.path());
    let (mut inputs, mut strangers) = (vec![], 0);
    for path in whole {
        // No cell of these files holds a line break.
        if !(path.contains("/Login_") && path.ends_with(".csv")) {
            inputs.push(path);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let (header, rows) = text.split_once('\n').unwrap();
        let mut rows: Vec<&str> = rows.lines().collect();
        rows.reverse();
        let stem = Path::new(&path).file_stem().unwrap().to_str().unwrap();
        for (n, rows) in rows.chunks(rows.len().div_ceil(3)).enumerate() {
            let piece = two.path().join(format!("{stem}.{n}.csv"));
            let mut text = format!("{header}\n{}\n", rows.join("\n"));
            if n == 0 {
                // The same people once more, with other names, other ids and other keys.
                let people = rows.iter().filter(|row| row.contains("\"8\",\"Mozilla"));
                for row in people.take(5) {
                    let id = row.split("\",\"").nth(4).unwrap();
                    let mut stranger = id.to_owned();
                    stranger.replace_range(5..7, "zz");
                    let row = row.replace(id, &stranger);
                    text += &row.replace("@example.com", ".other@example.com");
                    text += "\n";
                    strangers += 1;
                }
            }
            fs::write(&piece, text).unwrap();
            inputs.push(piece.display().to_string());
        }
    }
    assert!(strangers >= 10, "{strangers}");
    assert_eq!(night(two.path(), &inputs), before);
}

const ADDRESS_RULES: [&str; 2] = [
    "integration-unexpected-ip-login",
    "integration-unexpected-ip-api",
];

#[test]
fn one_more_allowed_network_only_takes_address_findings_away() {
    let dir = tempfile::tempdir().unwrap();
    sample::desk(dir.path());
    let mut ingest = vec!["ingest".to_owned()];
    ingest.extend(sample::days(7..=8));
    ingest.extend(sample::days(21..=23));
    let ingest: Vec<&str> = ingest.iter().map(String::as_str).collect();
    expect(0, orgwatch(dir.path(), &ingest));
    let declared = fs::read_to_string(dir.path().join("registry.toml")).unwrap();
    let ask = |registry: &str| {
        fs::write(dir.path().join("other.toml"), registry).unwrap();
        let mut arguments = vec![
            "detect",
            "--registry",
            "other.toml",
            "--since",
            "2026-01-06",
            "--until",
            "2026-01-23",
            "--now",
            "2026-01-24T03:00:00Z",
            "--format",
            "jsonl",
        ];
        arguments.extend(ADDRESS_RULES.iter().flat_map(|rule| ["--rule", rule]));
        let output = orgwatch(dir.path(), &arguments);
        assert!(matches!(output.status.code(), Some(0 | 1)));
        found(&crate::program::stdout(&output))
    };
    let level = |severity: &str| {
        let levels = ["info", "low", "medium", "high", "critical"];
        levels.iter().position(|l| *l == severity).unwrap()
    };
    let before = ask(&declared);
    assert!(before.len() >= 6, "{before:?}");
    let mut fewest = before.len();
    for more in ["192.0.2.23/32", "192.0.2.0/24", "2001:db8:bad::/48"] {
        let wider = declared.replace("networks = [\"", &format!("networks = [\"{more}\", \""));
        let after = ask(&wider);
        for (key, (severity, count)) in &after {
            let (was, counted) = before
                .get(key)
                .unwrap_or_else(|| panic!("{more}: new {key:?}"));
            assert!(
                level(severity) <= level(was) && count <= counted,
                "{more}: {key:?}"
            );
        }
        fewest = fewest.min(after.len());
    }
    assert!(fewest < before.len());
}
