//! What others know of addresses and indicators: whether the files are there, whole and fresh.

use std::path::Path;
use std::slice::from_ref;

use chrono::{DateTime, Utc};

use super::Check;
use crate::enrich::{DATABASE_DAYS, EnrichError, EnrichFiles, Enrichment, NetworkClass};
use crate::words::counted;

/// Anonymisers move: a list of them that nobody renewed for this many days misses many.
const LIST_DAYS: i64 = 30;

const AREA: &str = "enrich";

/// One check per file, and one where there is none.
pub fn enrichment(files: &EnrichFiles<'_>, now: DateTime<Utc>) -> Vec<Check> {
    let mut checks = vec![];
    for path in files.databases {
        checks.push(database(path, now));
    }
    if files.databases.is_empty() {
        checks.push(Check::skip(
            AREA,
            "databases",
            "none: nobody knows where an address is, and rules that need it are not asked",
            "name City and ASN databases in MaxMind's format: `databases` in [enrich]",
        ));
    }
    for path in files.networks {
        checks.push(network_list(path, now));
    }
    if files.networks.is_empty() {
        checks.push(Check::skip(
            AREA,
            "network lists",
            "none: Tor, VPNs and hosting are not told from other networks",
            "name CSV lists: `networks` in [enrich]",
        ));
    }
    let shipped = Enrichment::shipped();
    checks.push(judged("shipped indicators", shipped, |known| {
        // They are of past campaigns; that most have ended is in the nature of things.
        Check::pass(AREA, "shipped indicators", in_force(known, now).1)
    }));
    for path in files.indicators {
        checks.push(indicators(path, now));
    }
    checks
}

fn database(path: &Path, now: DateTime<Utc>) -> Check {
    let path = path.to_owned();
    let files = EnrichFiles {
        databases: from_ref(&path),
        ..EnrichFiles::default()
    };
    let name = shown(&path);
    judged(&name, Enrichment::load(&files), |known| {
        let Some(database) = known.databases().first() else {
            return Check::pass(AREA, name.clone(), "empty");
        };
        if let Err(error) = database.verify() {
            return failed(&name, &error);
        }
        let kind = crate::privacy::printable(database.kind(), 100);
        let Some(built) = database.built_at() else {
            return Check::warn(
                AREA,
                name.clone(),
                format!("{kind}, does not say when it was built"),
                "download it again",
            );
        };
        let days = (now - built).num_days();
        let detail = format!("{kind}, built {}", built.format("%Y-%m-%d"));
        if days > DATABASE_DAYS {
            let detail = format!("{detail}, {} ago", counted(days.unsigned_abs(), "day"));
            let fix = "download a newer one: addresses move, and old ones are misplaced";
            return Check::warn(AREA, name.clone(), detail, fix);
        }
        Check::pass(AREA, name.clone(), detail)
    })
}

fn network_list(path: &Path, now: DateTime<Utc>) -> Check {
    let path = path.to_owned();
    let files = EnrichFiles {
        networks: from_ref(&path),
        ..EnrichFiles::default()
    };
    let name = shown(&path);
    judged(&name, Enrichment::load(&files), |known| {
        let entries = known.lists().entries();
        let now_ms = now.timestamp_millis();
        let ended = entries.iter().filter(|e| e.valid.to_ms <= now_ms).count();
        let mut detail = counted(entries.len(), "network");
        if ended > 0 {
            detail += &format!(", {ended} of them past their time");
        }
        if ended == entries.len() {
            let fix = "download the list again, or take it out of `networks` in [enrich]";
            return Check::warn(AREA, name.clone(), detail, fix);
        }
        let moves = |class| {
            use NetworkClass::{Proxy, Tor, Vpn};
            matches!(class, Tor | Vpn | Proxy)
        };
        let changed = std::fs::metadata(&path).and_then(|file| file.modified());
        let age = changed.map_or(0, |at| (now - DateTime::<Utc>::from(at)).num_days());
        if age > LIST_DAYS && entries.iter().any(|entry| moves(entry.class)) {
            let detail = format!("{detail}, not renewed for {age} days");
            return Check::warn(AREA, name.clone(), detail, "download the list again");
        }
        Check::pass(AREA, name.clone(), detail)
    })
}

fn indicators(path: &Path, now: DateTime<Utc>) -> Check {
    let path = path.to_owned();
    let name = shown(&path);
    let own = Enrichment::own_indicators(&path);
    judged(&name, own, |known| {
        let (some_hold, detail) = in_force(known, now);
        match some_hold {
            true => Check::pass(AREA, name.clone(), detail),
            false => Check::warn(
                AREA,
                name.clone(),
                detail,
                "what is past its time weighs low: ask the source for new indicators",
            ),
        }
    })
}

/// Whether any indicator is in its time, and a sentence about all of them.
fn in_force(known: &Enrichment, now: DateTime<Utc>) -> (bool, String) {
    let rows = known.indicators().rows();
    let now_ms = now.timestamp_millis();
    let ended = rows.iter().filter(|row| row.valid.to_ms <= now_ms).count();
    let mut detail = counted(rows.len(), "indicator");
    if ended > 0 {
        detail += &format!(", {ended} of them past their time");
    }
    (ended < rows.len(), detail)
}

fn judged(
    name: &str,
    known: Result<Enrichment, EnrichError>,
    judge: impl FnOnce(&Enrichment) -> Check,
) -> Check {
    match known {
        Ok(known) => judge(&known),
        Err(error) => failed(name, &error),
    }
}

fn failed(name: &str, error: &EnrichError) -> Check {
    let text = error.to_string();
    let (what, fix) = text.split_once("\nhint: ").unwrap_or((&text, ""));
    Check::fail(AREA, name, what, fix)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::doctor::Verdict;
    use crate::enrich::mmdb::{Writer, asn};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn verdict(files: &EnrichFiles<'_>, name: &str, now: &str) -> (Verdict, String) {
        let checks = enrichment(files, at(now));
        let check = checks
            .iter()
            .find(|check| check.name.contains(name))
            .unwrap();
        (check.verdict, format!("{} / {}", check.detail, check.fix))
    }

    #[test]
    fn what_is_not_configured_is_skipped_and_the_shipped_indicators_are_counted() {
        let checks = enrichment(&EnrichFiles::default(), at("2027-06-01T00:00:00Z"));
        let verdicts: Vec<_> = checks.iter().map(|check| check.verdict).collect();
        assert_eq!(verdicts, [Verdict::Skip, Verdict::Skip, Verdict::Pass]);
        assert!(
            checks[2].detail.contains("past their time"),
            "{}",
            checks[2].detail
        );
    }

    #[test]
    fn an_old_a_missing_and_a_damaged_database_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new("Example-ASN", 1_767_225_600);
        writer.add("192.0.2.0/24", asn(64_500, "Example Net"));
        let whole = writer.bytes();
        let paths = ["fresh.mmdb", "cut.mmdb", "gone.mmdb"].map(|name| dir.path().join(name));
        std::fs::write(&paths[0], &whole).unwrap();
        std::fs::write(&paths[1], &whole[..whole.len() - 40]).unwrap();
        let files = EnrichFiles {
            databases: &paths,
            ..EnrichFiles::default()
        };
        let of = |name, now| verdict(&files, name, now);
        assert_eq!(of("fresh", "2026-03-02T00:00:00Z").0, Verdict::Pass);
        let (old, detail) = of("fresh", "2026-03-03T00:00:00Z");
        assert!(
            old == Verdict::Warn && detail.contains("61 days ago"),
            "{detail}"
        );
        for name in ["cut", "gone"] {
            assert_eq!(of(name, "2026-01-02T00:00:00Z").0, Verdict::Fail, "{name}");
        }
    }

    #[test]
    fn lists_and_indicators_that_have_ended_or_cannot_be_read_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| -> PathBuf {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let lists = [
            write(
                "ended.csv",
                "network,class,valid_to\n192.0.2.1,tor,2025-12-31\n",
            ),
            write("wrong.csv", "network,class\n192.0.2.1,exit\n"),
            write("office.csv", "network,class\n192.0.2.1,egress\n"),
        ];
        let own = [
            write("feed.csv", "kind,value,valid_to\nip,192.0.2.1,2025-12-31\n"),
            write("open.csv", "kind,value\nip,192.0.2.1\n"),
        ];
        let files = EnrichFiles {
            networks: &lists,
            indicators: &own,
            ..EnrichFiles::default()
        };
        let now = "2026-01-01T00:00:00Z";
        let of = |name| verdict(&files, name, now).0;
        assert_eq!(of("ended.csv"), Verdict::Warn);
        assert_eq!(of("wrong.csv"), Verdict::Fail);
        assert_eq!(of("office.csv"), Verdict::Pass);
        assert_eq!(of("feed.csv"), Verdict::Warn);
        assert_eq!(of("open.csv"), Verdict::Pass);
        // Nobody has touched the files for years, seen from then.
        let later = "2036-01-01T00:00:00Z";
        assert_eq!(verdict(&files, "office.csv", later).0, Verdict::Pass);
    }
}
