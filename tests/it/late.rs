//! Nights in a row: what comes late is raised once, what comes again is raised no more.

use serde_json::Value;

use orgwatch::detect::RuleSet;

use crate::logs::{Org, login_file};
use crate::program::{expect, orgwatch};
use crate::sample::mails;

pub type Row = Vec<(&'static str, String)>;

/// A login of user `n` on a day of January at an hour, by its key or through the login page.
pub fn login(n: usize, day: u32, hour: u32, through_ui: bool) -> Row {
    let mut row = crate::logs::login(n, 0);
    row.retain(|(name, _)| {
        !["TIMESTAMP", "TIMESTAMP_DERIVED", "REQUEST_ID", "LOGIN_TYPE"].contains(name)
    });
    row.extend([
        ("TIMESTAMP", format!("202601{day:02}{hour:02}0000.000")),
        (
            "TIMESTAMP_DERIVED",
            format!("2026-01-{day:02}T{hour:02}:00:00.000Z"),
        ),
        ("REQUEST_ID", format!("R{n}/{day}/{hour}/{through_ui}")),
        ("LOGIN_TYPE", if through_ui { "A" } else { "i" }.into()),
    ]);
    if through_ui {
        row.push(("LOGIN_SUB_TYPE", "UsernamePasswordUiLogin".into()));
    }
    row
}

/// A whole day of an integration, every hour.
pub fn calm(day: u32) -> Vec<Row> {
    (0..24).map(|hour| login(1, day, hour, false)).collect()
}

/// The rule whose findings are followed; what the others make of so small an org is told elsewhere.
const RULE: &str = "integration-ui-login";

pub fn org() -> Org {
    let org = Org::new();
    let rules = RuleSet::embedded().unwrap();
    let off: String = rules
        .iter()
        .filter(|rule| rule.id != RULE)
        .map(|rule| format!("[rules.\"{}\"]\nstatus = \"off\"\n", rule.id))
        .collect();
    let config = "[store]\ndata_dir = \"data\"\n[registry]\nfile = \"registry.toml\"\n";
    org.file("orgwatch.toml", format!("{config}{off}"));
    org.file(
        "registry.toml",
        "[[user]]\nusername = \"user1@example.com\"\nrole = \"integration\"\n",
    );
    org
}

fn night(org: &Org, code: i32, now: &str, inputs: &[&str]) -> String {
    let arguments = [&["run", "--now", now], inputs].concat();
    expect(code, orgwatch(&org.path(""), &arguments))
}

fn findings(org: &Org) -> Vec<Value> {
    let list = ["findings", "list", "--format", "jsonl"];
    let found = expect(0, orgwatch(&org.path(""), &list));
    found
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn mail_count(org: &Org) -> usize {
    mails(&org.path("data")).len()
}

#[test]
fn a_row_that_comes_late_raises_its_finding_once_and_a_reissued_file_adds_nothing() {
    let org = org();
    let attack = login(1, 14, 22, true);
    org.file("day-14.csv", login_file(&calm(14)));
    night(&org, 0, "2026-01-15T03:00:00Z", &["day-14.csv"]);
    assert_eq!((findings(&org), mail_count(&org)), (vec![], 0));

    // A row of the 14th comes with the file of the 15th.
    org.file(
        "day-15.csv",
        login_file(&[vec![attack.clone()], calm(15)].concat()),
    );
    let summary = night(&org, 1, "2026-01-16T03:00:00Z", &["day-15.csv"]);
    assert!(summary.contains("Findings  1 new (high 1)"), "{summary}");
    let raised = findings(&org);
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0]["rule_id"], RULE);
    assert_eq!(raised[0]["first_seen"], "2026-01-14T22:00:00.000Z");
    assert_eq!(
        (&raised[0]["count"], mail_count(&org)),
        (&Value::from(1), 1)
    );

    // The 14th is issued again, now whole, and the 15th without the late row.
    org.file(
        "day-14-again.csv",
        login_file(&[calm(14), vec![attack]].concat()),
    );
    org.file("day-15-again.csv", login_file(&calm(15)));
    let again = ["day-14-again.csv", "day-15-again.csv"];
    let summary = night(&org, 0, "2026-01-16T04:00:00Z", &again);
    assert!(
        summary.contains("Rows      49 read = 0 kept + 49 duplicate + 0 quarantined"),
        "{summary}"
    );
    assert!(summary.contains("Findings  nothing new"), "{summary}");
    let same = findings(&org);
    assert_eq!(same.len(), 1);
    for field in ["finding_id", "count", "first_seen", "last_seen", "evidence"] {
        assert_eq!(same[0][field], raised[0][field], "{field}");
    }

    // A night with no new file.
    let all = [
        "day-14.csv",
        "day-15.csv",
        "day-14-again.csv",
        "day-15-again.csv",
    ];
    let summary = night(&org, 0, "2026-01-16T05:00:00Z", &all);
    assert!(
        summary.contains("Files     0 read, 4 known already"),
        "{summary}"
    );
    assert!(summary.contains("Mail      none: nothing new"), "{summary}");
    assert_eq!((findings(&org).len(), mail_count(&org)), (1, 1));
}

#[test]
fn a_second_event_on_another_day_is_news_and_mails_again() {
    let org = org();
    for (day, logins) in [(14, 1), (15, 2)] {
        let attacks = (0..logins).map(|n| login(1, day, 20 + n, true)).collect();
        let name = format!("day-{day}.csv");
        org.file(&name, login_file(&[calm(day), attacks].concat()));
        night(&org, 1, &format!("2026-01-{}T03:00:00Z", day + 1), &[&name]);
    }
    let counts: Vec<_> = findings(&org)
        .iter()
        .map(|f| f["count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), 3, "{counts:?}");
    assert_eq!(counts.len(), 2);
    assert_eq!(mail_count(&org), 2);
}

#[test]
fn a_mail_that_could_not_be_delivered_goes_out_the_next_night_and_once() {
    let attacked = login_file(&[calm(14), vec![login(1, 14, 22, true)]].concat());
    let twin = org();
    twin.file("day-14.csv", &attacked);
    night(&twin, 1, "2026-01-15T03:00:00Z", &["day-14.csv"]);
    let mail = mails(&twin.path("data")).remove(0);

    // The same night again, with a folder where the mail should go.
    let org = org();
    org.file("day-14.csv", &attacked);
    let blocked = org.path("data/outbox").join(mail.file_name().unwrap());
    std::fs::create_dir_all(&blocked).unwrap();
    let summary = night(&org, 4, "2026-01-15T03:00:00Z", &["day-14.csv"]);
    assert!(
        summary.contains("not delivered, waits in the outbox"),
        "{summary}"
    );
    assert!(
        summary.contains("(1)") && summary.contains("(4)"),
        "{summary}"
    );
    assert_eq!(findings(&org).len(), 1);

    std::fs::remove_dir(&blocked).unwrap();
    let summary = night(&org, 0, "2026-01-15T04:00:00Z", &["day-14.csv"]);
    assert!(summary.contains("Mail      written to "), "{summary}");
    night(&org, 0, "2026-01-15T05:00:00Z", &["day-14.csv"]);
    assert_eq!(mail_count(&org), 1);
    let sent = mails(&org.path("data")).remove(0);
    assert_eq!(std::fs::read(sent).unwrap(), std::fs::read(mail).unwrap());
}

/// What the account did and was seen with, as it is asked for.
fn history(org: &Org) -> String {
    let ask = |sql: &str| expect(0, orgwatch(&org.path(""), &["sql", "--format", "csv", sql]));
    ask("SELECT hour, user_key, logins FROM activity_hourly ORDER BY hour")
        + &ask("SELECT day, kind, value, events, first_at, last_at FROM sightings ORDER BY 1, 2, 3")
        + &ask("SELECT day, metric, actual, history FROM expected_activity ORDER BY day, metric")
}

#[test]
fn a_late_and_a_reissued_file_correct_the_history_and_retention_leaves_it() {
    let whole = org();
    whole.file("day-14.csv", login_file(&calm(14)));
    night(&whole, 0, "2026-01-15T03:00:00Z", &["day-14.csv"]);

    let org = org();
    org.file("half.csv", login_file(&calm(14)[..12]));
    night(&org, 0, "2026-01-15T03:00:00Z", &["half.csv"]);
    assert_ne!(history(&org), history(&whole));
    org.file("day-14.csv", login_file(&calm(14)));
    night(&org, 0, "2026-01-15T04:00:00Z", &["day-14.csv"]);
    assert_eq!(history(&org), history(&whole));
    let verdict = expect(0, orgwatch(&org.path(""), &["lake", "verify"]));
    assert!(verdict.starts_with("sound"), "{verdict}");

    let prune = [
        "lake",
        "prune",
        "--keep-days",
        "3",
        "--now",
        "2026-02-14T03:00:00Z",
    ];
    expect(0, orgwatch(&org.path(""), &prune));
    let raw = ["sql", "--format", "csv", "SELECT count(*) AS n FROM logins"];
    let left = expect(0, orgwatch(&org.path(""), &raw));
    assert_eq!(left.lines().last(), Some("0"), "{left}");
    assert_eq!(history(&org), history(&whole));
    let verdict = expect(0, orgwatch(&org.path(""), &["lake", "verify"]));
    assert!(verdict.starts_with("sound"), "{verdict}");
}
