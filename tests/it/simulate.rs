//! A synthetic org, from its seed through a night's run: the files are Salesforce's, the labels
//! are true, and the attacks are found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::program::{expect, orgwatch};
use crate::shared_folder::SharedFolder;

/// Three weeks and a half of a tiny org with every attack and story that fits, after one run.
struct Org {
    dir: PathBuf,
    labels: Vec<BTreeMap<String, String>>,
    _folder: SharedFolder,
}

impl Org {
    fn get() -> &'static Self {
        static ORG: OnceLock<Org> = OnceLock::new();
        ORG.get_or_init(|| {
            let folder = SharedFolder::empty("synthetic-org");
            let dir = folder.path.clone();
            let out = dir.display().to_string();
            // A User-Agent full of traps: ingest has to read every row all the same.
            let wish = "simulate --seed 11 --size tiny --days 24 --attack all --story all \
                        --mutate hostile-agent --out";
            let mut wish: Vec<&str> = wish.split_whitespace().collect();
            wish.push(&out);
            expect(0, orgwatch(&dir, &wish));
            let run = [
                "run",
                "--config",
                "orgwatch.toml",
                "--now",
                "2026-07-01T03:00:00Z",
            ];
            let run = orgwatch(&dir, &run);
            assert_eq!(
                run.status.code(),
                Some(1),
                "{}",
                String::from_utf8_lossy(&run.stderr)
            );
            let labels = rows(&fs::read_to_string(dir.join("labels.csv")).unwrap());
            Org {
                dir,
                labels,
                _folder: folder,
            }
        })
    }

    fn sql(&self, query: &str) -> Vec<BTreeMap<String, String>> {
        let arguments = ["sql", "--config", "orgwatch.toml", "--format", "csv", query];
        rows(&expect(0, orgwatch(&self.dir, &arguments)))
    }
}

fn rows(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn every_file_of_a_synthetic_org_is_read_and_no_row_is_quarantined() {
    let org = Org::get();
    let files = org.sql(
        "SELECT state, count(*) AS files, sum(rows_quarantined) AS quarantined FROM files GROUP BY state",
    );
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(files[0]["state"], "ingested");
    assert_eq!(files[0]["quarantined"], "0");
    assert!(files[0]["files"].parse::<u32>().unwrap() > 300);
}

#[test]
fn every_label_has_its_rows_in_the_lake() {
    let org = Org::get();
    let seen = org.sql(
        "SELECT DISTINCT user_id, CAST(date_trunc('second', occurred_at) AS VARCHAR) AS second FROM (
             SELECT user_id, occurred_at FROM elf_login UNION ALL
             SELECT user_id, occurred_at FROM elf_logout UNION ALL
             SELECT user_id, occurred_at FROM elf_api_total_usage UNION ALL
             SELECT user_id, occurred_at FROM elf_aura_request UNION ALL
             SELECT user_id, occurred_at FROM elf_uri UNION ALL
             SELECT user_id, occurred_at FROM elf_lightning_page_view UNION ALL
             SELECT user_id, occurred_at FROM setup_audit_trail UNION ALL
             SELECT user_id, occurred_at FROM elf_login_as) happened",
    );
    let seen: BTreeSet<(String, String)> = seen
        .iter()
        .map(|row| {
            (
                row["user_id"].clone(),
                row["second"][..19].replace(' ', "T"),
            )
        })
        .collect();
    let attacks = org
        .labels
        .iter()
        .filter(|l| l["kind"] == "attack" && !l["user_id"].is_empty());
    let mut tried = 0;
    for label in attacks {
        for end in ["first_at", "last_at"] {
            let second = label[end][..19].to_owned();
            assert!(
                seen.contains(&(label["user_id"].clone(), second)),
                "{label:?}"
            );
        }
        tried += 1;
    }
    assert!(tried > 12, "{tried}");
}

#[test]
fn attacks_of_a_synthetic_org_are_found_on_their_night() {
    let org = Org::get();
    let findings = org.sql("SELECT rule_id, user_id, severity, first_seen FROM findings");
    let severities = ["info", "low", "medium", "high", "critical"];
    let level = |word: &str| severities.iter().position(|s| *s == word);
    for name in ["ui-login", "token-replay"] {
        let labels: Vec<_> = org.labels.iter().filter(|l| l["name"] == name).collect();
        assert!(!labels.is_empty(), "{name}");
        for label in labels {
            let found = findings.iter().any(|f| {
                label["must"].split(';').any(|rule| rule == f["rule_id"])
                    && f["user_id"] == label["user_id"]
                    && f["first_seen"][..10] == label["night"]
                    && level(&f["severity"]) >= level(&label["min_severity"])
            });
            assert!(found, "{label:?}\n{findings:#?}");
        }
    }
}
