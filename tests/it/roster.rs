//! What the org says of itself: each data set in each spelling, snapshots that tell what changed,
//! and nothing that is missing, cut off or unreadable ever looks as if it were gone.

use std::sync::Arc;

use orgwatch::catalog::{Catalog, ColumnKind, Treatment};
use orgwatch::engine::{EngineOptions, Params, Session};
use orgwatch::lake::{FileState, Lake};
use orgwatch::registry::Registry;

use crate::logs::{Org, at, login, login_file, quoted, rows_of};

/// The answer, each row's cells joined by bars.
pub fn ask(org: &Org, sql: &str) -> Vec<String> {
    let lake = Lake::open_reader(&org.lake_dir()).unwrap();
    let options = EngineOptions {
        memory_bytes: 256 << 20,
        threads: 1,
        temp_dir: org.path("spill"),
    };
    let catalog = Arc::new(Catalog::embedded());
    let session = Session::open(&lake, &catalog, &Registry::empty(), &options).unwrap();
    let batches = session.query(sql, &Params::new()).unwrap();
    let mut lines = vec![];
    for batch in &batches {
        let names: Vec<String> = batch
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        for row in rows_of(batch) {
            let cells: Vec<&str> = names.iter().map(|name| row.get(name)).collect();
            lines.push(cells.join("|"));
        }
    }
    lines
}

pub const ERP: &str = "005000000000001AAA";
pub const BOB: &str = "005000000000002AAA";
const PROFILE: &str = "00e000000000001AAA";

fn users(rows: &[(&str, &str, &str)]) -> String {
    let mut text = "Id,Username,IsActive,ProfileId,LastPasswordChangeDate\n".to_owned();
    for (id, name, changed) in rows {
        text += &format!("{id},{name}@example.com,true,{PROFILE},{changed}\n");
    }
    text
}

/// Sets: a plain one, and a group of which the sum lacks what its component has.
const SETS: &str = "Id,Name,Label,Type,IsOwnedByProfile,ProfileId,PermissionSetGroupId,\
                    PermissionsModifyAllData,PermissionsViewAllData,PermissionsApiUserOnly\n\
     0PS000000000001AAA,View_All,View All,Regular,false,,,false,true,false\n\
     0PS000000000002AAA,Component,Component,Regular,false,,,true,true,false\n\
     0PS000000000003AAA,Sum,Sum,Group,false,,0PG000000000001AAA,false,true,false\n\
     0PS000000000004AAA,Mute,Mute,Muting,false,,,true,false,false\n\
     0PS000000000009AAA,X00e1,X00e1,Profile,true,00e000000000001AAA,,false,false,true\n";

fn held(rows: &[&str]) -> String {
    let header = "Id,AssigneeId,PermissionSetId,PermissionSetGroupId,IsActive,ExpirationDate\n";
    let rows: String = rows.iter().map(|r| format!("0Pa,{r}\n")).collect();
    header.to_owned() + &rows
}

const PERMISSIONS: &str = "SELECT day, username, permission, source_kind, source_name
     FROM permissions ORDER BY 1, 2, 3, 4, 5";

#[test]
fn every_data_set_is_stored_in_each_spelling_of_its_headings() {
    let catalog = Catalog::embedded();
    let cell = |heading: &str, kind: ColumnKind, treatment: Treatment| match (kind, treatment) {
        (ColumnKind::Boolean, _) => "TRUE",
        (ColumnKind::Integer, _) => "7",
        (ColumnKind::Time, _) => "2026-01-02T03:04:05.000+0000",
        (_, Treatment::UserId) => "005000000000001",
        (_, Treatment::Username) => "Int_ERP@Example.com",
        (_, Treatment::Address) => "192.0.2.1",
        (_, Treatment::Id18) => "00e000000000001",
        _ if heading == "Type" => "Regular",
        _ => "word",
    };
    for event in catalog.roster() {
        let mut stored = vec![];
        for spelling in ["as_is", "upper", "alias"] {
            let headings: Vec<String> = event
                .columns
                .iter()
                .map(|c| match spelling {
                    "upper" => c.heading.to_uppercase(),
                    "alias" => c.aliases.last().unwrap_or(&c.heading).clone(),
                    _ => c.heading.clone(),
                })
                .collect();
            let row = event
                .columns
                .iter()
                .map(|c| cell(&c.heading, c.kind, c.treatment).to_owned())
                .collect();
            let org = Org::new();
            let path = org.file("x_2026-01-15.csv", quoted(&[headings, row]));
            let report = org.ingest(&[&path]);
            let file = &report.files[0];
            assert_eq!(file.event_type, event.name, "{spelling}: {:?}", file.reason);
            assert_eq!(
                (file.rows_kept, file.unreadable_values),
                (1, 0),
                "{}",
                event.name
            );
            assert!(
                file.unknown_columns.is_empty(),
                "{:?}",
                file.unknown_columns
            );
            let mut row = org.rows(&event.name)[0].clone();
            assert_eq!(row.get("occurred_at"), "2026-01-15T00:00:00Z");
            row.0.retain(|(name, _)| name != "row_key");
            stored.push(row);
        }
        assert!(
            stored.windows(2).all(|pair| pair[0] == pair[1]),
            "{}",
            event.name
        );
    }
}

#[test]
fn two_nights_say_what_changed() {
    let org = Org::new();
    let first = org.file(
        "a/PermissionSetAssignment_2026-01-15.csv",
        held(&[&format!("{BOB},0PS000000000001AAA,,true,")]),
    );
    let second = org.file(
        "a/PermissionSetAssignment_2026-01-16T0230Z.csv",
        held(&[&format!("{ERP},0PS000000000001AAA,,true,")]),
    );
    let both = [(ERP, "int_erp", ""), (BOB, "bob", "2025-01-01")];
    let changed = [
        (ERP, "int_erp", "2026-01-16T02:13:00.000+0000"),
        (BOB, "bob", "2025-01-01"),
    ];
    let users_first = org.file("a/User_2026-01-15.csv", users(&both));
    let users_second = org.file("a/User_20260116.csv", users(&changed));
    let sets = org.file("a/PermissionSet_2026-01-15.csv", SETS);
    org.ingest(&[&first, &second, &users_first, &users_second, &sets]);
    let gained = "SELECT n.day, n.username, n.permission FROM permissions AS n
         LEFT JOIN permissions AS o
             ON o.day = n.previous_day AND o.user_key = n.user_key AND o.permission = n.permission
         WHERE n.previous_day IS NOT NULL AND o.day IS NULL";
    assert_eq!(
        ask(&org, gained),
        ["2026-01-16|int_erp@example.com|ViewAllData"]
    );
    let moved = "SELECT n.day, n.username FROM users AS n
         JOIN users AS o ON o.day = n.previous_day AND o.user_key = n.user_key
         WHERE n.last_password_change_at IS DISTINCT FROM o.last_password_change_at";
    assert_eq!(ask(&org, moved), ["2026-01-16|int_erp@example.com"]);
    let as_of_now = "SELECT username FROM users
         WHERE DATE '2026-03-01' >= day AND DATE '2026-03-01' < next_day ORDER BY 1";
    assert_eq!(
        ask(&org, as_of_now),
        ["bob@example.com", "int_erp@example.com"]
    );
}

#[test]
fn a_missing_file_carries_its_last_snapshot_forward() {
    let org = Org::new();
    org.ingest(&[
        &org.file("User_2026-01-15.csv", users(&[(ERP, "int_erp", "")])),
        &org.file("PermissionSet_2026-01-15.csv", SETS),
        &org.file(
            "PermissionSetAssignment_2026-01-15.csv",
            held(&[&format!("{ERP},0PS000000000001AAA,,true,")]),
        ),
        &org.file("User_2026-01-17.csv", users(&[(ERP, "int_erp", "")])),
    ]);
    let of = |day: &str| -> Vec<String> {
        let all = ask(&org, PERMISSIONS).into_iter();
        all.filter_map(|line| line.strip_prefix(day).map(str::to_owned))
            .collect()
    };
    assert_eq!(of("2026-01-15").len(), 2);
    assert_eq!(of("2026-01-15"), of("2026-01-17"));
}

#[test]
fn an_empty_snapshot_says_that_there_are_none() {
    let org = Org::new();
    org.ingest(&[
        &org.file(
            "OauthToken_2026-01-15.csv",
            format!("AppName,UserId\nERP Sync,{ERP}\n"),
        ),
        &org.file("OauthToken_2026-01-16.csv", "AppName,UserId\n"),
        &org.file(
            "OauthToken_2026-01-18.json",
            r#"{"totalSize":0,"done":true,"records":[]}"#,
        ),
    ]);
    assert_eq!(
        ask(&org, "SELECT day, next_day, app_name FROM oauth_tokens"),
        ["2026-01-15|2026-01-16|ERP Sync"]
    );
    assert_eq!(
        ask(&org, "SELECT day FROM roster_snapshots ORDER BY 1").len(),
        3
    );
}

#[test]
fn effective_permissions_are_what_muting_and_expiry_leave() {
    let org = Org::new();
    org.ingest(&[
        &org.file(
            "User_2026-01-15.csv",
            users(&[(ERP, "int_erp", ""), (BOB, "bob", "")]),
        ),
        &org.file("PermissionSet_2026-01-15.csv", SETS),
        &org.file(
            "PermissionSetAssignment_2026-01-15.csv",
            held(&[
                // By the group, by the sum of the group, by the profile's own set; one expired,
                // one withdrawn.
                &format!("{ERP},0PS000000000003AAA,0PG000000000001AAA,true,"),
                &format!("{ERP},0PS000000000009AAA,,true,"),
                &format!("{BOB},0PS000000000003AAA,,true,"),
                &format!("{BOB},0PS000000000002AAA,,true,2026-01-14T23:59:59.000+0000"),
                &format!("{BOB},0PS000000000002AAA,,false,"),
            ]),
        ),
    ]);
    assert_eq!(
        ask(&org, PERMISSIONS),
        [
            "2026-01-15|bob@example.com|ApiUserOnly|profile|X00e1",
            "2026-01-15|bob@example.com|ViewAllData|group|Sum",
            "2026-01-15|int_erp@example.com|ApiUserOnly|profile|X00e1",
            "2026-01-15|int_erp@example.com|ViewAllData|group|Sum",
        ]
        .map(|line| line.replace("|profile|X00e1", "|profile|"))
    );
}

#[test]
fn the_same_file_is_known_on_its_day_and_a_snapshot_on_another() {
    let org = Org::new();
    let text = users(&[(ERP, "int_erp", "")]);
    let first = org.file("User_2026-01-15.csv", &text);
    org.ingest(&[&first]);
    let again = org.ingest(&[&first, &org.file("renamed_2026-01-15T0500Z.csv", &text)]);
    assert_eq!((again.files.len(), again.known.len()), (0, 2));
    let later = org.ingest(&[&org.file("User_2026-01-16.csv", &text)]);
    assert_eq!(
        (later.files[0].rows_kept, later.files[0].rows_duplicate),
        (1, 0)
    );
    assert_eq!(
        ask(&org, "SELECT day FROM users ORDER BY 1"),
        ["2026-01-15", "2026-01-16"]
    );
}

#[test]
fn without_a_date_in_its_name_a_snapshot_is_of_the_run() {
    let org = Org::new();
    org.ingest(&[&org.file("2025-12-24/User.csv", users(&[(ERP, "int_erp", "")]))]);
    assert_eq!(
        org.rows("User")[0].get("occurred_at"),
        "2026-01-31T03:00:00Z"
    );
}

#[test]
fn what_was_cut_off_never_replaces_a_whole_snapshot() {
    let org = Org::new();
    let both = users(&[(ERP, "int_erp", ""), (BOB, "bob", "")]);
    org.ingest(&[&org.file("User_2026-01-15.csv", &both)]);
    let torn = org.file("User_2026-01-16.csv", &both[..both.len() - 30]);
    let short = r#"{"totalSize":2,"done":false,"records":[{"Id":"005000000000001AAA",
        "Username":"int_erp@example.com","IsActive":true,"ProfileId":"00e000000000001AAA"}]}"#;
    let truncated = org.file("User_2026-01-17.json", short);
    let report = org.ingest(&[&torn, &truncated]);
    assert!(report.files.iter().all(|f| f.state == FileState::Torn));
    assert!(
        report.files[1]
            .reason
            .as_deref()
            .unwrap()
            .contains("1 of 2 records")
    );
    assert_eq!(ask(&org, "SELECT DISTINCT day FROM users"), ["2026-01-15"]);
    // Read again it is as short as before.
    assert_eq!(org.ingest(&[&truncated]).known.len(), 1);
    // On its own it is better than nothing.
    let org = Org::new();
    org.ingest(&[&org.file("User_2026-01-17.json", short)]);
    assert_eq!(
        ask(&org, "SELECT username FROM users"),
        ["int_erp@example.com"]
    );
    assert_eq!(
        ask(&org, "SELECT is_complete FROM roster_snapshots"),
        ["false"]
    );
}

#[test]
fn an_error_body_is_refused_and_the_last_snapshot_stays() {
    let org = Org::new();
    org.ingest(&[&org.file("User_2026-01-15.csv", users(&[(ERP, "int_erp", "")]))]);
    let error = r#"[{"message":"sObject type is not supported.","errorCode":"INVALID_TYPE"}]"#;
    let report = org.ingest(&[&org.file("User_2026-01-16.json", error)]);
    assert_eq!(report.files[0].state, FileState::Rejected);
    assert_eq!(
        report.files[0].reason.as_deref(),
        Some("unreadable: INVALID_TYPE")
    );
    assert_eq!(ask(&org, "SELECT username FROM users").len(), 1);
}

#[test]
fn the_newest_snapshot_outlives_retention() {
    let org = Org::new();
    org.ingest(&[
        &org.file("User_2026-01-01.csv", users(&[(ERP, "int_erp", "")])),
        &org.file("User_2026-01-02.csv", users(&[(ERP, "int_erp", "")])),
        &org.file("Login.csv", login_file(&[login(1, 1)])),
    ]);
    let mut lake = Lake::open_writer(&org.lake_dir()).unwrap();
    let now = at("2026-01-31T03:00:00Z");
    let run = lake.ledger_mut().start_run("prune", now).unwrap();
    let catalog = Catalog::embedded();
    let pruned = lake.prune(run, now, now.date_naive(), 7, |event| {
        catalog.is_roster(event)
    });
    assert_eq!(pruned.unwrap().parts, 2);
    drop(lake);
    assert_eq!(ask(&org, "SELECT day FROM users"), ["2026-01-02"]);
    assert_eq!(
        ask(&org, "SELECT day FROM roster_snapshots"),
        ["2026-01-02"]
    );
}
