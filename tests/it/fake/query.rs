//! SOQL: as strict as the real one where it is strict, and as odd where it is odd.

use serde_json::{Value, json};

use super::{get, http, log_in, refusal, soql, soql_refusal};
use crate::fake_salesforce::journal::Breach;
use crate::fake_salesforce::quirks::NextUrl;
use crate::fake_salesforce::{FakeSf, Scenario, ids};

/// Users 1 to `count`.
fn many_users(count: u64) -> Scenario {
    Scenario::empty().set(|state| {
        let row = |number| json!({"Id": ids::id("005", number), "Username": format!("user{number:04}@example.com")});
        state.add_rows("User", (1..=count).map(row));
    })
}

/// All pages of a query, at most 20, by batches of 200; sizes of the pages too.
async fn pages(org: &FakeSf, token: &str, query: &str) -> (Vec<Value>, Vec<usize>) {
    let url = format!("{}/services/data/v66.0/query/", org.login_url());
    let first = http().get(url).query(&[("q", query)]).bearer_auth(token);
    let first = first.header("Sforce-Query-Options", "batchSize=200");
    let mut page: Value = first.send().await.unwrap().json().await.unwrap();
    let (mut records, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let found = page["records"]
            .as_array()
            .unwrap_or_else(|| panic!("{page}"));
        sizes.push(found.len());
        records.extend(found.iter().cloned());
        if page["done"] == true {
            break;
        }
        let next = page["nextRecordsUrl"].as_str().unwrap().to_owned();
        let url = format!("{}{next}", org.login_url());
        let next = http().get(url).bearer_auth(token);
        let next = next.header("Sforce-Query-Options", "batchSize=200");
        page = next.send().await.unwrap().json().await.unwrap();
    }
    (records, sizes)
}

#[tokio::test]
async fn a_query_answers_in_the_guides_shape() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let query = "SELECT Id, EventType, LogDate, LogFileLength, Interval, Sequence FROM EventLogFile \
                 WHERE Interval IN ('Hourly','Daily') AND CreatedDate >= 2026-01-29T00:00:00.000Z \
                 ORDER BY CreatedDate, Id";
    let (status, body) = soql(&org, &token, query).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        (&body["totalSize"], &body["done"]),
        (&json!(12), &json!(true))
    );
    let first = &body["records"][0];
    let id = first["Id"].as_str().unwrap();
    let url = format!("/services/data/v66.0/sobjects/EventLogFile/{id}");
    assert_eq!(
        first["attributes"],
        json!({"type": "EventLogFile", "url": url})
    );
    assert_eq!(first["LogDate"], "2026-01-28T00:00:00.000+0000");
    assert_eq!(first["Sequence"].to_string(), "0.0");
    assert!(ids::is_id(id) && id.len() == 18);
}

#[tokio::test]
async fn what_the_real_one_refuses_is_refused_with_its_code() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    for (query, code) in [
        ("", "MALFORMED_QUERY"),
        ("SELECT FROM User", "MALFORMED_QUERY"),
        ("SELECT * FROM User", "MALFORMED_QUERY"),
        ("SELECT Id FROM User;", "MALFORMED_QUERY"),
        ("SELECT Id FROM User LIMIT x", "MALFORMED_QUERY"),
        ("SELECT Id, FROM User", "MALFORMED_QUERY"),
        (
            "SELECT Id FROM User WHERE IsActive = true AND Username = 'a' OR Username = 'b'",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM User WHERE CreatedDate > 2026-01-01",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM User WHERE CreatedDate > 2026-01-01T00:00:00.000+0000",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM User WHERE CreatedDate > 2026-01-01T00:00:00 0000",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM User WHERE CreatedDate > '2026-01-01T00:00:00Z'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM User WHERE IsActive = 'true'",
            "INVALID_FIELD",
        ),
        ("SELECT Id FROM User WHERE Username = 5", "INVALID_FIELD"),
        (
            "SELECT Id FROM User WHERE Username = 'open",
            "MALFORMED_QUERY",
        ),
        ("SELECT Id, Id FROM User", "INVALID_FIELD"),
        ("SELECT Foo FROM User", "INVALID_FIELD"),
        ("SELECT Nobody.Name FROM User", "INVALID_FIELD"),
        ("SELECT Profile.Foo FROM User", "INVALID_FIELD"),
        ("SELECT Id FROM User ORDER BY Foo", "INVALID_FIELD"),
        ("SELECT Id FROM Unheard", "INVALID_TYPE"),
        (
            "SELECT Id FROM LoginHistory WHERE Status = 'Success'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM LoginHistory WHERE Application LIKE 'E%'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM LoginHistory WHERE SourceIp LIKE '198%'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM SetupAuditTrail WHERE Display = 'x'",
            "INVALID_FIELD",
        ),
        ("SELECT count(Id) FROM SetupAuditTrail", "MALFORMED_QUERY"),
        ("SELECT FIELDS(ALL) FROM User", "MALFORMED_QUERY"),
        (
            "SELECT Id FROM User OFFSET 2001",
            "NUMBER_OUTSIDE_VALID_RANGE",
        ),
        (
            "SELECT Id FROM User WHERE Id = 'nonsense'",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
    ] {
        let refused = soql_refusal(&org, &token, query).await;
        assert_eq!(refused, (400, code.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn an_error_repeats_the_query_and_points_into_it() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let (_, body) = soql(&org, &token, "SELECT Id, Foo FROM User").await;
    let message = body[0]["message"].as_str().unwrap();
    let start = "\nSELECT Id, Foo FROM User\n           ^\nERROR at Row:1:Column:12\nNo such column 'Foo' on entity 'User'.";
    assert!(message.starts_with(start), "{message}");
}

#[tokio::test]
async fn filters_find_what_they_say() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let one = ids::id("005", 1);
    for (filter, count) in [
        ("Username = 'ERP@example.com'".to_owned(), 1),
        ("Username LIKE '%@example.com'".to_owned(), 3),
        ("Username LIKE '_rp%'".to_owned(), 1),
        ("NOT Username LIKE 'erp%'".to_owned(), 2),
        ("Username IN ('erp@example.com', 'nobody')".to_owned(), 1),
        ("Username NOT IN ('erp@example.com')".to_owned(), 2),
        (format!("Id = '{}'", &one[..15]), 1),
        (format!("Id > '{one}'"), 2),
        ("LastPasswordChangeDate = null".to_owned(), 3),
        ("LastPasswordChangeDate > 2020-01-01T00:00:00Z".to_owned(), 0),
        ("LastLoginDate = YESTERDAY".to_owned(), 3),
        ("LastLoginDate = TODAY".to_owned(), 0),
        ("LastLoginDate = LAST_N_DAYS:1 AND (Username = 'erp@example.com' OR NumberOfFailedLogins > 0)".to_owned(), 1),
        ("CreatedDate < 2025-12-31T01:00:00+01:00".to_owned(), 3),
        ("IsActive = false".to_owned(), 0),
    ] {
        let query = format!("SELECT Id FROM User WHERE {filter}");
        let (_, body) = soql(&org, &token, &query).await;
        assert_eq!(body["totalSize"], count, "{filter}: {body}");
    }
    let (_, body) = soql(
        &org,
        &token,
        "SELECT Username FROM User ORDER BY Username DESC LIMIT 1 OFFSET 1",
    )
    .await;
    assert_eq!(body["records"][0]["Username"], "erp@example.com");
}

#[tokio::test]
async fn without_a_word_on_interval_only_daily_files_are_found_or_counted() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let first = org.with(|state| state.log_files[0].id.clone());
    for (query, total) in [
        ("SELECT Id FROM EventLogFile".to_owned(), 9),
        ("SELECT COUNT() FROM EventLogFile".to_owned(), 9),
        (
            "SELECT Id FROM EventLogFile WHERE Interval = 'Hourly'".to_owned(),
            3,
        ),
        (
            "SELECT Id FROM EventLogFile WHERE Sequence >= 0".to_owned(),
            12,
        ),
        (
            format!("SELECT Id FROM EventLogFile WHERE Id >= '{first}'"),
            12,
        ),
    ] {
        let (_, body) = soql(&org, &token, &query).await;
        assert_eq!(body["totalSize"], total, "{query}: {body}");
    }
    let grouped =
        "SELECT EventType, COUNT(Id) FROM EventLogFile WHERE Interval = 'Daily' GROUP BY EventType";
    let (_, body) = soql(&org, &token, grouped).await;
    let expected =
        json!({"attributes": {"type": "AggregateResult"}, "EventType": "Login", "expr0": 3});
    assert_eq!(body["records"][0], expected);
    org.with(|state| state.drop_hourly());
    let query = "SELECT Id FROM EventLogFile WHERE Interval = 'Daily'";
    assert_eq!(
        soql_refusal(&org, &token, query).await,
        (400, "INVALID_FIELD".to_owned())
    );
    assert_eq!(
        soql(&org, &token, "SELECT Id FROM EventLogFile").await.1["totalSize"],
        9
    );
}

#[tokio::test]
async fn parents_are_nested_or_null_and_each_has_its_attributes() {
    let org = FakeSf::start(Scenario::org().set(|state| {
        state.add_rows(
            "User",
            [json!({"Id": ids::id("005", 9), "Username": "automation@example.com"})],
        );
    }));
    let token = log_in(&org).await;
    let query = "SELECT Username, Profile.Name, Profile.UserLicense.Name, IsActive FROM User ORDER BY Username";
    let (_, body) = soql(&org, &token, query).await;
    let admin = &body["records"][0]["Profile"];
    assert_eq!(admin["Name"], "System Administrator");
    assert_eq!(admin["UserLicense"]["Name"], "Salesforce");
    assert_eq!(admin["attributes"]["type"], "Profile");
    let automation = &body["records"][1];
    assert_eq!(
        (&automation["Profile"], &automation["IsActive"]),
        (&Value::Null, &json!(false))
    );
}

#[tokio::test]
async fn pages_have_the_wanted_size_and_hold_each_row_once() {
    let org = FakeSf::start(many_users(450));
    let token = log_in(&org).await;
    let query = "SELECT Username FROM User ORDER BY Username";
    let (records, sizes) = pages(&org, &token, query).await;
    assert_eq!((records.len(), sizes), (450, vec![200, 200, 50]));
    org.with(|state| state.quirks.ragged_pages = true);
    let (ragged, sizes) = pages(&org, &token, query).await;
    assert_eq!(ragged, records);
    assert!(
        sizes.len() > 3 && sizes.iter().all(|size| *size <= 200),
        "{sizes:?}"
    );
    org.with(|state| {
        state.quirks.ragged_pages = false;
        state.quirks.empty_first_page = true;
    });
    let (same, sizes) = pages(&org, &token, query).await;
    assert_eq!((same, sizes), (records, vec![0, 200, 200, 50]));
}

#[tokio::test]
async fn a_locator_ends_with_its_offset_and_dies_of_age_and_of_the_eleventh_query() {
    let org = FakeSf::start(many_users(300));
    let token = log_in(&org).await;
    let begin = async || {
        let url = format!("{}/services/data/v66.0/query", org.login_url());
        let page = http()
            .get(url)
            .query(&[("q", "SELECT Id FROM User")])
            .bearer_auth(&token);
        let page = page
            .header("Sforce-Query-Options", "batchSize=200")
            .send()
            .await
            .unwrap();
        page.json::<Value>().await.unwrap()["nextRecordsUrl"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = begin().await;
    assert!(
        first.starts_with("/services/data/v66.0/query/0r8") && first.ends_with("-200"),
        "{first}"
    );
    let lost = (400, "INVALID_QUERY_LOCATOR".to_owned());
    assert_eq!(get(&org, &token, &first, &[]).await.status(), 200);
    for _ in 0..10 {
        begin().await;
    }
    assert_eq!(refusal(get(&org, &token, &first, &[]).await).await, lost);
    let last = begin().await;
    org.clock().advance(chrono::TimeDelta::days(2));
    let token = log_in(&org).await;
    assert_eq!(refusal(get(&org, &token, &last, &[]).await).await, lost);
    let made_up = "/services/data/v66.0/query/0r8xx0000000000AAA-200";
    assert_eq!(refusal(get(&org, &token, made_up, &[]).await).await, lost);
}

#[tokio::test]
async fn broken_paging_is_broken_in_the_way_that_is_asked_for() {
    let org = FakeSf::start(many_users(300).set(|state| state.quirks.page_cap = Some(200)));
    let token = log_in(&org).await;
    let page = async |next: NextUrl, off: i64| {
        org.with(|state| {
            state.quirks.next_url = next;
            state.quirks.total_off = off;
        });
        soql(&org, &token, "SELECT Id FROM User").await.1
    };
    let missing = page(NextUrl::Missing, 0).await;
    assert_eq!(
        (&missing["done"], missing.get("nextRecordsUrl")),
        (&json!(false), None)
    );
    let repeated = page(NextUrl::Repeated, 0).await;
    let next = repeated["nextRecordsUrl"].as_str().unwrap();
    assert!(next.ends_with("-0"));
    let again: Value = get(&org, &token, next, &[]).await.json().await.unwrap();
    assert_eq!(again["nextRecordsUrl"], next);
    let foreign = page(NextUrl::Foreign("http://evil.example.com".to_owned()), 0).await;
    assert!(
        foreign["nextRecordsUrl"]
            .as_str()
            .unwrap()
            .starts_with("http://evil.example.com/services")
    );
    let off = page(NextUrl::Right, 7).await;
    assert_eq!(off["totalSize"], 307);
    org.with(|state| state.quirks.page_cap = None);
    let late = page(NextUrl::AfterTheEnd, 0).await;
    assert_eq!(
        (&late["done"], late["nextRecordsUrl"].is_string()),
        (&json!(true), true)
    );
}

#[tokio::test]
async fn oauth_tokens_stop_at_2500_and_say_that_this_is_all() {
    let org = FakeSf::start(Scenario::empty().set(|state| {
        let user = ids::id("005", 2);
        let row = |number| json!({"UserId": user, "AppName": format!("App {number}"), "AccessToken": "LEAK-CANARY-token"});
        state.add_rows("OauthToken", (0..2600).map(row));
    }));
    let token = log_in(&org).await;
    let url = "/services/data/v66.0/query";
    let query = [("q", "SELECT AppName FROM OauthToken")];
    let first: Value = get(&org, &token, url, &query).await.json().await.unwrap();
    assert_eq!(
        (
            &first["totalSize"],
            first["records"].as_array().unwrap().len()
        ),
        (&json!(2500), 500)
    );
    let (_, counted) = soql(&org, &token, "SELECT COUNT() FROM OauthToken").await;
    assert_eq!(counted["totalSize"], 2600);
    assert!(org.breaches().is_empty());
    let (_, leaked) = soql(&org, &token, "SELECT AccessToken FROM OauthToken LIMIT 1").await;
    assert_eq!(leaked["records"][0]["AccessToken"], "LEAK-CANARY-token");
    assert_eq!(
        org.breaches(),
        [Breach::SecretColumn("AccessToken".to_owned())]
    );
}

#[tokio::test]
async fn a_profiles_metadata_comes_alone_or_not_at_all() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let path = "/services/data/v66.0/tooling/query";
    let ask = async |query: &str| get(&org, &token, path, &[("q", query)]).await;
    let all = ask("SELECT Id, Name, Metadata FROM Profile").await;
    assert_eq!(refusal(all).await, (400, "MALFORMED_QUERY".to_owned()));
    let one = format!(
        "SELECT Id, Name, Metadata FROM Profile WHERE Id = '{}'",
        ids::id("00e", 1)
    );
    let one: Value = ask(&one).await.json().await.unwrap();
    let range = json!({"startAddress": "198.51.100.0", "endAddress": "198.51.100.15", "description": "office"});
    assert_eq!(
        one["records"][0]["Metadata"]["loginIpRanges"],
        json!([range])
    );
    let plain: Value = ask("SELECT Id FROM Profile").await.json().await.unwrap();
    assert_eq!(plain["records"].as_array().unwrap().len(), 3);
}
