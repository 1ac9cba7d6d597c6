//! The whole loop: a synthetic org with two attacks and a story, a night over it, and its score.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value;

use crate::program::{expect, orgwatch, stderr};
use crate::shared_folder::SharedFolder;

/// Forty days of a tiny org, after one run.
fn org() -> &'static Path {
    static ORG: OnceLock<SharedFolder> = OnceLock::new();
    let folder = ORG.get_or_init(|| {
        let folder = SharedFolder::empty("evaluated-org");
        let wish = "simulate --seed 21 --size tiny --days 40 --attack ui-login --attack token-replay \
                    --story vendor-egress-change --out .";
        let wish: Vec<&str> = wish.split_whitespace().collect();
        expect(0, orgwatch(&folder.path, &wish));
        let run = "run --config orgwatch.toml --now 2026-07-01T03:00:00Z";
        let run: Vec<&str> = run.split_whitespace().collect();
        let run = orgwatch(&folder.path, &run);
        // Findings; or, besides, a rule without its list of networks.
        assert!(matches!(run.status.code(), Some(1 | 3)), "{}", stderr(&run));
        folder
    });
    &folder.path
}

fn evaluated(arguments: &[&str]) -> String {
    let mut all = vec!["evaluate"];
    all.extend(arguments);
    expect(0, orgwatch(org(), &all))
}

fn json(arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json"]);
    serde_json::from_str(&evaluated(&all)).unwrap()
}

#[test]
fn both_attacks_are_told_on_their_night_and_the_story_is_not_told_gravely() {
    let result = json(&["labels.csv", "--no-comparators"]);
    let score = &result["score"];
    let plain = &score["recall"]["plain"];
    assert_eq!(plain["campaigns"]["of"], 2, "{plain}");
    assert_eq!(plain["campaigns"]["hits"], 2, "{plain}");
    assert_eq!(plain["first_night"]["hits"], 2, "{plain}");
    assert_eq!(score["stories"]["told"], 1);
    assert_eq!(score["nights"], 40);
    assert_eq!(score["integrations"], 10);
    let clean = score["clean_nights"].as_u64().unwrap();
    assert!((34..=37).contains(&clean), "{clean}");
    // Each finding has a verdict, and the tables are sums of them.
    let findings = result["orgs"][0]["findings"].as_array().unwrap();
    let answers = findings.iter().filter(|f| f["verdict"] == "answer");
    let answers = answers.filter(|f| {
        let family = f["family"].as_str().unwrap();
        ["misuse", "attack", "behaviour"].contains(&family)
    });
    assert_eq!(
        score["precision"]["claims"]["answers"].as_u64().unwrap(),
        answers.count() as u64
    );
}

#[test]
fn every_comparator_answers_and_stands_beside_the_program() {
    let result = json(&["labels.csv"]);
    let comparators = result["score"]["comparators"].as_array().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/comparators");
    let files = fs::read_dir(folder).unwrap().count();
    // The program twice: as it is judged, and as the others are.
    assert_eq!(comparators.len(), files + 2);
    for comparator in comparators {
        assert_eq!(comparator["failed"], 0, "{comparator}");
    }
    assert_eq!(comparators[0]["id"], "orgwatch");
    let kinder = &comparators[1]["labels"]["hits"];
    assert!(kinder.as_u64() >= comparators[0]["labels"]["hits"].as_u64());
}

#[test]
fn results_of_single_orgs_are_pooled_without_their_lakes() {
    let dir = tempfile::tempdir().unwrap();
    let one = dir.path().join("one.json");
    let one = one.to_str().unwrap();
    evaluated(&[
        "labels.csv",
        "--no-comparators",
        "--format",
        "json",
        "--output",
        one,
    ]);
    let alone = json(&["labels.csv", "--no-comparators"]);
    let pooled = json(&[one, one]);
    assert_eq!(json(&[one]), alone);
    assert_eq!(pooled["score"]["orgs"], 2);
    assert_eq!(pooled["score"]["recall"]["plain"]["campaigns"]["of"], 4);
    let nights = |result: &Value| result["score"]["clean"]["integration_nights"].as_u64();
    assert_eq!(nights(&pooled), nights(&alone).map(|n| n * 2));
}

#[test]
fn the_score_has_every_format() {
    let markdown = evaluated(&["labels.csv", "--no-comparators", "--format", "markdown"]);
    assert!(markdown.starts_with("### Evaluation\n"), "{markdown}");
    assert!(markdown.contains("\n| ui\\-login ") || markdown.contains("\n| ui-login "));
    let table = evaluated(&["labels.csv", "--no-comparators"]);
    assert!(table.contains("Recall by attack"), "{table}");
    let csv = evaluated(&["labels.csv", "--no-comparators", "--format", "csv"]);
    assert!(csv.starts_with("section,name,measure,value"), "{csv}");
}

#[test]
fn what_is_no_labels_file_is_refused_by_place_and_not_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(org().join("labels.csv")).unwrap();
    let broken = text.replacen(",attack,", ",SECRET-CELL,", 1);
    fs::write(dir.path().join("labels.csv"), broken).unwrap();
    let told = orgwatch(dir.path(), &["evaluate", "labels.csv"]);
    assert_eq!(told.status.code(), Some(2));
    let told = stderr(&told);
    assert!(told.contains("labels.csv:2:"), "{told}");
    assert!(!told.contains("SECRET"), "{told}");
    let none = orgwatch(dir.path(), &["evaluate", "nothing.csv"]);
    assert_eq!(none.status.code(), Some(2));
    fs::write(dir.path().join("bytes.csv"), [0xff, 0xfe, 0x00]).unwrap();
    let bytes = orgwatch(dir.path(), &["evaluate", "bytes.csv"]);
    assert_eq!(bytes.status.code(), Some(2));
}
