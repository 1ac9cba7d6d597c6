//! What the org says of itself arrives whole, as files that the ingest reads; and what may not be
//! read is never taken for empty.

use std::path::{Path, PathBuf};

use orgwatch::lake::FileState;
use orgwatch::salesforce::{
    Class, Client, DataSet, Exported, LOGIN_HISTORY, ROSTER, SETUP_AUDIT_TRAIL, SalesforceError,
    VERIFICATION_HISTORY,
};
use serde_json::{Value, json};

use super::connection::{client, column, names, roster, table, wait};
use crate::fake_salesforce::state::State;
use crate::fake_salesforce::{FakeSf, Fault, Scenario, USERNAME, ids};
use crate::logs::Org;
use crate::roster::ask;

fn start(change: impl FnOnce(&mut State)) -> FakeSf {
    FakeSf::start(Scenario::org().set(change))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}_2026-01-31T0300Z.csv"))
    }

    fn export(&self, client: &Client, what: &DataSet) -> Result<Exported, SalesforceError> {
        wait(client.export(what, None, &self.file(what.name)))
    }

    fn has(&self, what: &DataSet) -> bool {
        names(self.0.path())
            .iter()
            .any(|n| n.starts_with(&format!("{}_", what.name)))
    }
}

fn all() -> impl Iterator<Item = &'static DataSet> {
    [&LOGIN_HISTORY, &SETUP_AUDIT_TRAIL, &VERIFICATION_HISTORY]
        .into_iter()
        .chain(ROSTER)
}

/// Every data set and the login IP ranges as files, read into a lake of their own.
fn into_lake(org: &FakeSf) -> Org {
    let lake = Org::new();
    let client = client(org);
    let mut files = vec![];
    for what in all() {
        let to = lake.path(&format!("{}_2026-01-31T0300Z.csv", what.name));
        let exported = wait(client.export(what, None, &to)).unwrap();
        assert_eq!(exported.remarks, Vec::<String>::new(), "{}", what.name);
        files.push((what.name, exported.rows, to));
    }
    let profiles = column(&files[5].2, "Id");
    let to = lake.path("LoginIpRange_2026-01-31T0300Z.csv");
    let exported = wait(client.login_ip_ranges(&profiles, &to)).unwrap();
    files.push(("LoginIpRange", exported.rows, to));
    let paths: Vec<&str> = files
        .iter()
        .map(|(_, _, path)| path.to_str().unwrap())
        .collect();
    let report = lake.ingest(&paths);
    assert_eq!(report.files.len(), files.len());
    for (name, rows, path) in &files {
        let path = path.to_str().unwrap();
        let file = report.files.iter().find(|file| file.name == path).unwrap();
        assert_eq!(file.event_type, *name, "{:?}", file.reason);
        assert_eq!(file.state, FileState::Ingested, "{name}: {:?}", file.reason);
        assert_eq!(
            (file.rows_kept, file.unreadable_values),
            (*rows, 0),
            "{name}"
        );
        assert_eq!(file.unknown_columns, Vec::<String>::new(), "{name}");
    }
    lake
}

#[test]
fn every_data_set_is_what_ingest_reads() {
    let org = start(|_| ());
    let lake = into_lake(&org);
    let users =
        "SELECT username, profile_name, licence, is_active, is_frozen FROM users ORDER BY 1";
    assert_eq!(
        ask(&lake, users),
        [
            "admin@example.com|System Administrator|Salesforce|true|false",
            "erp@example.com|API Base erp|Salesforce Integration|true|false",
            "orgwatch@example.com|API Base orgwatch|Salesforce Integration|true|false",
        ]
    );
    let held =
        "SELECT username, permission FROM permissions WHERE username LIKE 'erp@%' ORDER BY 2";
    assert_eq!(
        ask(&lake, held),
        ["erp@example.com|ApiEnabled", "erp@example.com|ApiUserOnly"]
    );
    let ranges = "SELECT profile_name, start_ip FROM login_ip_ranges ORDER BY 1";
    assert_eq!(
        ask(&lake, ranges),
        [
            "API Base erp|198.51.100.0",
            "API Base orgwatch|198.51.100.0",
            "System Administrator|",
        ]
    );
    assert_eq!(
        ask(
            &lake,
            "SELECT username, app_name, use_count FROM oauth_tokens"
        ),
        ["erp@example.com|ERP Sync|4021"]
    );
    assert_eq!(
        ask(
            &lake,
            "SELECT app_name, refresh_policy, refresh_period_hours FROM apps"
        )
        .len(),
        1
    );
    assert_eq!(lake.rows("LoginHistory").len(), 48);
    assert_eq!(
        lake.rows("SetupAuditTrail")[0].get("username"),
        "admin@example.com"
    );
}

// F80
#[test]
fn no_secret_column_and_nothing_of_a_person_is_ever_asked_for() {
    let org = start(|_| ());
    let folder = Folder::new();
    let client = client(&org);
    for what in all() {
        folder.export(&client, what).unwrap();
    }
    assert_eq!(org.breaches(), vec![]);
    for name in names(folder.0.path()) {
        let text = std::fs::read_to_string(folder.0.path().join(&name)).unwrap();
        assert!(!text.to_uppercase().contains("LEAK-CANARY"), "{name}");
    }
    let queries = org.with(|state| state.journal.queries().join("\n"));
    for word in [
        "AccessToken",
        "DeleteToken",
        "RequestToken",
        "Secret",
        "Email",
        "FIELDS",
    ] {
        assert!(!queries.contains(word), "{word}");
    }
}

// F70
#[test]
fn a_data_set_that_is_denied_is_unreadable_by_name_and_the_others_go_on() {
    for (permission, denied, words) in [
        (
            "ViewSetup",
            &[
                "SetupAuditTrail",
                "Profile",
                "ConnectedApplication",
                "SetupEntityAccess",
            ][..],
            "View Setup and Configuration",
        ),
        (
            "ManageUsers",
            &["VerificationHistory", "UserLogin"][..],
            "Manage Users",
        ),
    ] {
        let org = FakeSf::start(Scenario::org().without(permission));
        let folder = Folder::new();
        let client = client(&org);
        for what in all() {
            let exported = folder.export(&client, what);
            let is_denied = denied.contains(&what.name);
            assert_eq!(exported.is_err(), is_denied, "{} {exported:?}", what.name);
            assert_eq!(folder.has(what), !is_denied);
            if let Err(fault) = exported {
                assert_eq!(fault.class(), Class::Unreadable, "{fault:?}");
                assert!(fault.to_string().starts_with(what.name), "{fault}");
                assert!(fault.fix().contains(words), "{}", fault.fix());
            }
        }
    }
}

// F70
#[test]
fn each_code_of_a_refusal_leaves_a_data_set_unreadable() {
    let org = start(|_| ());
    let (folder, client) = (Folder::new(), client(&org));
    for (status, code) in [
        (400, "INVALID_TYPE"),
        (403, "INSUFFICIENT_ACCESS"),
        (403, "FUNCTIONALITY_NOT_ENABLED"),
        (400, "INVALID_FIELD"),
    ] {
        let what = roster("ConnectedApplication");
        let refused = Fault::on("/query").soql("ConnectedApplication").times(2);
        org.fault(refused.api_error(
            status,
            code,
            "No such column 'Id' on entity 'ConnectedApplication'.",
        ));
        let fault = folder.export(&client, what).unwrap_err();
        assert_eq!(
            (fault.class(), fault.code()),
            (Class::Unreadable, Some(code))
        );
        assert!(!folder.has(what));
        org.with(|state| state.faults.clear());
    }
}

#[test]
fn rows_of_the_asking_user_alone_are_told() {
    let org = FakeSf::start(
        Scenario::org()
            .without("ManageUsers")
            .without("MonitorLoginHistory"),
    );
    let folder = Folder::new();
    let exported = folder.export(&client(&org), &LOGIN_HISTORY).unwrap();
    let own = org.with(|state| state.user(USERNAME).unwrap().id.clone());
    assert_eq!((exported.rows, exported.only_user), (16, Some(own)));
    let org = start(|_| ());
    let exported = folder.export(&client(&org), &LOGIN_HISTORY).unwrap();
    assert_eq!((exported.rows, exported.only_user), (48, None));
}

// F70
#[test]
fn a_list_of_the_asking_user_alone_is_not_the_whole_list() {
    let org = FakeSf::start(
        Scenario::org()
            .without("ManageUsers")
            .without("ViewSetup")
            .without("CustomizeApplication")
            .set(|state| tokens(state, &[(1, 2), (2, 1)])),
    );
    let folder = Folder::new();
    for (name, permission) in [
        ("User", "View Setup and Configuration"),
        ("OauthToken", "Customize Application"),
    ] {
        let fault = folder.export(&client(&org), roster(name)).unwrap_err();
        assert_eq!(fault.class(), Class::Unreadable, "{name}");
        assert!(fault.to_string().contains("own rows"), "{fault}");
        assert!(fault.fix().contains(permission), "{}", fault.fix());
        assert!(!folder.has(roster(name)));
    }
}

#[test]
fn a_column_that_the_org_does_not_have_is_left_out_and_told() {
    let org = start(|state| {
        state.objects.take_away("User", "NumberOfFailedLogins");
        state.objects.take_away("User", "Profile.UserLicense.Name");
    });
    let folder = Folder::new();
    let exported = folder.export(&client(&org), roster("User")).unwrap();
    assert_eq!(exported.rows, 3);
    assert_eq!(exported.remarks.len(), 2, "{:?}", exported.remarks);
    let (header, _) = table(&folder.file("User"));
    assert!(header.contains(&"Profile.Name".to_owned()));
    assert!(!header.contains(&"NumberOfFailedLogins".to_owned()));
    // Three questions: with both, with one, with none of them.
    assert_eq!(org.with(|state| state.journal.queries().len()), 3);
}

#[test]
fn permissions_are_those_that_the_org_describes() {
    let org = start(|state| {
        state
            .objects
            .take_away("Profile", "PermissionsModifyAllData");
    });
    let folder = Folder::new();
    let exported = folder.export(&client(&org), roster("Profile")).unwrap();
    assert_eq!((exported.rows, exported.remarks), (3, vec![]));
    let (header, _) = table(&folder.file("Profile"));
    assert!(header.contains(&"PermissionsViewAllData".to_owned()));
    assert!(!header.contains(&"PermissionsModifyAllData".to_owned()));
    assert_eq!(org.with(|state| state.journal.queries().len()), 1);
}

fn tokens(state: &mut State, of: &[(u64, u64)]) {
    state.rows.remove("OauthToken");
    for (user, count) in of {
        let rows = (0..*count).map(|n| {
            json!({"Id": null, "UserId": ids::id("005", *user), "AppName": format!("App {n}"),
                "AppMenuItemId": null, "UseCount": 1.0, "LastUsedDate": null,
                "AccessToken": "LEAK-CANARY-access-token"})
        });
        state.add_rows("OauthToken", rows.collect::<Vec<Value>>());
    }
}

fn add_users(state: &mut State, numbers: impl Iterator<Item = u64>) {
    let rows = numbers.map(|n| {
        json!({"Id": ids::id("005", n), "Username": format!("user{n}@example.com"), "IsActive": true,
            "UserType": "Standard", "ProfileId": ids::id("00e", 3), "LastLoginDate": null})
    });
    state.add_rows("User", rows.collect::<Vec<Value>>());
}

// F71
#[test]
fn more_tokens_than_one_answer_holds_are_asked_for_user_by_user() {
    let org = start(|state| {
        add_users(state, 10..130);
        // A hundred of them have more than an answer holds too.
        let of: Vec<(u64, u64)> = (10..130).map(|user| (user, 26)).collect();
        tokens(state, &of);
    });
    let folder = Folder::new();
    let exported = folder.export(&client(&org), roster("OauthToken")).unwrap();
    assert_eq!((exported.rows, exported.cut_short), (120 * 26, None));
    let users = column(&folder.file("OauthToken"), "UserId");
    let apps = column(&folder.file("OauthToken"), "AppName");
    let mut rows: Vec<(String, String)> = users.into_iter().zip(apps).collect();
    rows.sort();
    rows.dedup();
    assert_eq!(rows.len(), 120 * 26);
    assert_eq!(org.breaches(), vec![]);
}

// F71
#[test]
fn tokens_that_stay_out_of_reach_are_told() {
    // One user has more than an answer holds.
    let org = start(|state| tokens(state, &[(1, 5), (2, 2600), (3, 7)]));
    let folder = Folder::new();
    let exported = folder.export(&client(&org), roster("OauthToken")).unwrap();
    assert_eq!(exported.rows, 2512);
    let cut_short = exported.cut_short.unwrap();
    assert!(
        cut_short.contains("2612") && cut_short.contains("2512"),
        "{cut_short}"
    );
    // Of some user the org does not say that there is one.
    let org = start(|state| tokens(state, &[(2, 2400), (77, 200)]));
    let exported = folder.export(&client(&org), roster("OauthToken")).unwrap();
    assert_eq!(exported.rows, 2400);
    assert!(exported.cut_short.unwrap().contains("2600"));
    // Users cannot be asked for.
    let org = start(|state| tokens(state, &[(1, 2000), (2, 2000)]));
    let refused = Fault::on("/query").soql("FROM User ").forever();
    org.fault(refused.api_error(400, "INVALID_TYPE", "sObject type 'User' is not supported."));
    let exported = folder.export(&client(&org), roster("OauthToken")).unwrap();
    assert_eq!((exported.rows, exported.cut_short.is_some()), (2500, true));
}

// F71
#[test]
fn an_answer_that_is_whole_is_asked_for_once() {
    let org = start(|state| tokens(state, &[(1, 2000), (2, 500)]));
    let exported = Folder::new()
        .export(&client(&org), roster("OauthToken"))
        .unwrap();
    assert_eq!((exported.rows, exported.cut_short), (2500, None));
    assert_eq!(org.with(|state| state.journal.queries().len()), 2);
}

fn ranges(org: &FakeSf, profiles: &[String], to: &Path) -> Result<Exported, SalesforceError> {
    wait(client(org).login_ip_ranges(profiles, to))
}

// F72
#[test]
fn a_profile_has_no_range_one_or_fifty_of_either_family() {
    let profiles: Vec<String> = (1..=3).map(|n| ids::id("00e", n)).collect();
    for null in [false, true] {
        let org = start(|state| {
            state.quirks.null_ranges = null;
            let fifty = (0..50).map(|n| {
                let (start, end) = match n % 2 {
                    0 => (format!("203.0.113.{n}"), format!("203.0.113.{n}")),
                    _ => (format!("2001:db8:{n}::"), format!("2001:db8:{n}::ffff")),
                };
                (start, end, "LEAK-CANARY".to_owned())
            });
            let fifty = fifty.collect();
            state.login_ip_ranges.insert(ids::id("00e", 3), fifty);
        });
        let folder = Folder::new();
        let to = folder.file("LoginIpRange");
        let exported = ranges(&org, &profiles, &to).unwrap();
        assert_eq!((exported.rows, exported.remarks), (52, vec![]));
        let (header, rows) = table(&to);
        assert_eq!(
            header,
            ["ProfileId", "Profile.Name", "StartAddress", "EndAddress"]
        );
        assert_eq!(
            rows[0],
            [
                &profiles[0],
                "API Base orgwatch",
                "198.51.100.0",
                "198.51.100.15"
            ]
        );
        assert_eq!(rows[1], [&profiles[1], "System Administrator", "", ""]);
        assert_eq!(
            rows[3],
            [
                &profiles[2],
                "API Base erp",
                "2001:db8:1::",
                "2001:db8:1::ffff"
            ]
        );
        assert_eq!(org.asked("/tooling/query"), 3, "one call per profile");
        let lake = Org::new();
        let report = lake.ingest(&[to.to_str().unwrap()]);
        assert_eq!(
            (report.files[0].rows_kept, report.files[0].unreadable_values),
            (52, 0)
        );
    }
}

// F72
#[test]
fn profiles_that_cannot_be_read_are_not_profiles_without_ranges() {
    let org = start(|_| ());
    let folder = Folder::new();
    let to = folder.file("LoginIpRange");
    let known = ids::id("00e", 1);
    let exported = ranges(&org, &[known.clone(), ids::id("00e", 99)], &to).unwrap();
    assert_eq!((exported.rows, exported.remarks.len()), (1, 1));
    assert_eq!(column(&to, "ProfileId"), [known.as_str()]);
    std::fs::remove_file(&to).unwrap();
    let fault = ranges(&org, &[ids::id("00e", 99)], &to).unwrap_err();
    assert_eq!(fault.class(), Class::Unreadable);
    let org = FakeSf::start(Scenario::org().without("ViewSetup"));
    let fault = ranges(&org, &[known], &to).unwrap_err();
    assert_eq!(fault.class(), Class::Unreadable);
    assert!(fault.fix().contains("View Setup and Configuration"));
    assert_eq!(names(folder.0.path()), Vec::<String>::new());
}

// F73
#[test]
fn a_user_whose_profile_nobody_shows_is_a_user_all_the_same() {
    let org = start(|state| {
        let row = json!({"Id": ids::id("005", 9), "Username": "autoproc@00d5e000000acme",
            "IsActive": true, "UserType": "AutomatedProcess", "ProfileId": ids::id("00e", 99),
            "Profile": null, "CreatedDate": null, "LastLoginDate": null});
        state.add_rows("User", [row]);
    });
    let lake = into_lake(&org);
    let users = "SELECT user_type, profile_name, is_platform_user FROM users
         WHERE username LIKE 'autoproc%'";
    assert_eq!(ask(&lake, users), ["AutomatedProcess||true"]);
}
