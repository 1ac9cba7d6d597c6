//! Promises of what is written: repeatable, bounded, honest.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::registry::Registry;

fn request(out: &Path, seed: u64) -> Request {
    Request {
        out: out.to_owned(),
        seed,
        days: 40,
        end: NaiveDate::from_ymd_opt(2026, 6, 30).unwrap(),
        size: Size::Tiny,
        tier: Tier::Shield,
        attacks: vec![],
        stories: vec![],
        mutation: None,
    }
}

fn wishes(names: &[&str]) -> Vec<Wish> {
    names.iter().map(|name| Wish::parse(name)).collect()
}

fn written(request: &Request) -> Written {
    write(request, &Catalog::embedded(), |_| ()).unwrap()
}

/// Every file below a folder, by its path in it.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
    }
    found
}

fn labels(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let mut file = csv::Reader::from_path(folder.join("labels.csv")).unwrap();
    file.deserialize().map(Result::unwrap).collect()
}

#[test]
fn a_seed_writes_the_same_bytes_and_another_seed_others() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, seed| {
        let mut request = request(&dir.path().join(name), seed);
        request.attacks = wishes(&["all"]);
        request.stories = wishes(&["all"]);
        written(&request);
        tree(&request.out)
    };
    let (first, again, other) = (make("a", 7), make("b", 7), make("c", 8));
    assert!(first == again);
    let shared = first
        .iter()
        .filter(|(name, bytes)| other.get(*name) == Some(bytes))
        .count();
    assert!(
        shared * 10 < first.len(),
        "{shared} of {} files are the same",
        first.len()
    );
}

#[test]
fn an_attack_adds_its_rows_and_changes_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let plain = request(&dir.path().join("plain"), 3);
    let attacked = Request {
        out: dir.path().join("attacked"),
        attacks: wishes(&["token-replay@30"]),
        ..plain.clone()
    };
    written(&plain);
    written(&attacked);
    let (plain, attacked_tree) = (tree(&plain.out), tree(&attacked.out));
    let lines = |files: &BTreeMap<String, Vec<u8>>| -> BTreeMap<Vec<u8>, i64> {
        let mut counts = BTreeMap::new();
        let logs = files.iter().filter(|(name, _)| name.starts_with("logs"));
        for line in logs.flat_map(|(_, bytes)| bytes.split(|b| *b == b'\n')) {
            *counts.entry(line.to_vec()).or_default() += 1;
        }
        counts
    };
    let (before, after) = (lines(&plain), lines(&attacked_tree));
    let more: i64 = after.values().sum::<i64>() - before.values().sum::<i64>();
    let gone = before
        .iter()
        .filter(|(line, n)| after.get(*line).is_none_or(|m| m < n))
        .count();
    let label = &labels(&attacked.out)[0];
    assert_eq!(gone, 0);
    assert_eq!(more.to_string(), label["rows"]);
    assert_eq!(label["night"], "2026-06-20");
}

#[test]
fn the_free_tier_has_the_free_logs_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut request = request(dir.path(), 2);
    request.tier = Tier::Free;
    request.attacks = wishes(&["all"]);
    written(&request);
    let free = ["Login_", "Logout_", "ApiTotalUsage_", "LoginHistory_"];
    for name in tree(dir.path())
        .keys()
        .filter(|name| name.starts_with("logs"))
    {
        let file = name.rsplit('/').next().unwrap();
        assert!(free.iter().any(|kind| file.starts_with(kind)), "{name}");
    }
    // What needs logs that are not there is not promised.
    let shield_only = [
        "session-hijack-suspected",
        "guest-aura-scraping",
        "loginas-then-export",
        "rapid-job-deletion",
    ];
    for label in labels(dir.path()) {
        assert!(
            !shield_only.iter().any(|rule| label["must"].contains(rule)),
            "{label:?}"
        );
    }
}

#[test]
fn every_attack_and_story_leaves_rows_and_right_answers() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..3 {
        let mut request = request(&dir.path().join(seed.to_string()), seed);
        request.days = 120;
        request.attacks = wishes(&["all"]);
        request.stories = wishes(&["all"]);
        written(&request);
        let labels = labels(&request.out);
        for attack in attacks::ALL {
            assert!(
                labels.iter().any(|l| l["name"] == attack.name),
                "{}",
                attack.name
            );
        }
        for label in &labels {
            let id = &label["label_id"];
            // A story about the delivery changes no row.
            assert!(
                label["rows"] != "0" || label["name"] == "late-files",
                "{id}"
            );
            assert!(!label["rules"].is_empty(), "{id}");
            assert_eq!(
                label["must"].is_empty(),
                label["min_severity"].is_empty(),
                "{id}"
            );
            assert_eq!(
                label["kind"] == "story",
                label["max_severity"] == "medium",
                "{id}"
            );
            let must: Vec<_> = label["must"].split(';').collect();
            let rules: Vec<_> = label["rules"].split(';').collect();
            assert!(
                must.iter().all(|m| m.is_empty() || rules.contains(m)),
                "{id}"
            );
        }
        let mut ids: Vec<_> = labels.iter().map(|l| &l["label_id"]).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), labels.len());
    }
}

#[test]
fn the_published_campaigns_happen_to_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut request = request(dir.path(), 4);
    request.end = NaiveDate::from_ymd_opt(2025, 8, 31).unwrap();
    request.days = 60;
    request.attacks = wishes(&["drift"]);
    written(&request);
    let labels = labels(dir.path());
    let times: Vec<_> = labels.iter().map(|l| l["first_at"].as_str()).collect();
    assert!(times.contains(&"2025-08-09T11:51:04.000Z"), "{times:?}");
    assert!(times.contains(&"2025-08-12T22:14:09.000Z"), "{times:?}");
    assert!(times.contains(&"2025-08-17T11:11:23.000Z"), "{times:?}");
    let jobs =
        fs::read_to_string(dir.path().join("logs/2025-08-18/BulkApi2_2025-08-17.csv")).unwrap();
    for state in ["20250817111518.000", "20250817111542.000"] {
        assert!(jobs.contains(state), "{state}");
    }
    assert!(
        labels
            .iter()
            .all(|l| l["must"].contains("ioc-match") || l["username"].is_empty())
    );
}

#[test]
fn every_mutation_changes_some_attack() {
    let dir = tempfile::tempdir().unwrap();
    for mutation in mutate::ALL {
        let mut request = request(&dir.path().join(mutation.name), 5);
        request.days = 50;
        request.attacks = wishes(&["all"]);
        request.mutation = Some(mutation.name.to_owned());
        written(&request);
        let labels = labels(&request.out);
        let changed = labels
            .iter()
            .filter(|l| l["mutation"] == mutation.name)
            .count();
        assert!(
            changed > labels.len() / 4,
            "{}: {changed} of {}",
            mutation.name,
            labels.len()
        );
    }
}

#[test]
fn what_an_org_declares_is_a_registry_whatever_happens_side_by_side() {
    let Request {
        end, size, tier, ..
    } = request(Path::new(""), 0);
    let all = wishes(&["all"]);
    for (mutation, seed) in mutate::ALL
        .iter()
        .flat_map(|m| (1..9).map(move |seed| (m, seed)))
    {
        let mut org = Org::cast(seed, size, later(end, -59), end);
        let plan = plan::plan(&mut org, tier, &all, &all, Some(mutation)).unwrap();
        let registry = declare::registry(&org, &plan.declared);
        Registry::parse(&registry, "registry.toml")
            .unwrap_or_else(|error| panic!("{}, seed {seed}: {error}", mutation.name));
    }
}

#[test]
fn a_folder_with_anything_in_it_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.txt"), "x").unwrap();
    let request = request(dir.path(), 1);
    let refused = write(&request, &Catalog::embedded(), |_| ());
    assert!(matches!(refused, Err(SimulateError::NotEmpty { .. })));
    assert_eq!(tree(dir.path()).len(), 1);
}

#[test]
fn a_wish_that_cannot_be_fulfilled_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |attack: &str, story: &str, mutation: Option<&str>| {
        let mut request = request(&dir.path().join("never"), 1);
        request.attacks = wishes(&[attack]);
        request.stories = wishes(&[story]);
        request.mutation = mutation.map(str::to_owned);
        let refused = write(&request, &Catalog::embedded(), |_| ());
        assert!(!request.out.exists());
        refused.unwrap_err().to_string()
    };
    assert!(refused("no-such", "dst", None).contains("unknown attack"));
    assert!(refused("drift", "no-such", None).contains("unknown story"));
    assert!(refused("drift", "backfill", Some("no-such")).contains("unknown mutation"));
    assert!(refused("drift@400", "backfill", None).contains("from 1 to 40"));
    assert!(refused("drift@2020-01-01", "backfill", None).contains("2026-05-22"));
}

#[test]
fn a_day_is_forgotten_when_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let request = request(dir.path(), 6);
    let first = later(request.end, 1 - request.days);
    let org = Org::cast(6, Size::Tiny, first, request.end);
    let mut book = Book::new(&org, &Catalog::embedded(), Tier::Shield, 0);
    let delivery = Delivery::new(dir.path(), 6, Tier::Shield, &[], request.end);
    for n in 0..3 {
        let day = later(first, n);
        book.open(day);
        life::live(&mut book, &life::Asked::default(), day);
        assert!(book.rows_held() > 500);
        delivery.deliver(&mut book, day, false).unwrap();
        // A logout after midnight, a LoginHistory row two seconds late: no more.
        assert!(book.rows_held() < 100, "{}", book.rows_held());
    }
}
