//! Log files: whole, re-issued, half-written, expired; and big ones that nobody holds.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{get, http, log_in, refusal, soql};
use crate::fake_salesforce::quirks::{ContentType, Gzip};
use crate::fake_salesforce::scenario::generated;
use crate::fake_salesforce::state::ElfState;
use crate::fake_salesforce::{Blob, FakeSf, Scenario, time};

fn path(id: &str) -> String {
    format!("/services/data/v66.0/sobjects/EventLogFile/{id}/LogFile")
}

async fn body(org: &FakeSf, token: &str, id: &str) -> Vec<u8> {
    let answer = get(org, token, &path(id), &[]).await;
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn a_log_file_is_chunked_and_as_long_as_the_list_says() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let query = "SELECT Id, LogFile, LogFileLength, LogFileFieldNames FROM EventLogFile";
    let (_, listed) = soql(&org, &token, query).await;
    let record = &listed["records"][0];
    let answer = get(&org, &token, record["LogFile"].as_str().unwrap(), &[]).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(header("content-type"), Some("application/octetstream"));
    assert_eq!(header("transfer-encoding"), Some("chunked"));
    assert_eq!(header("sforce-limit-info"), Some("api-usage=122/100000"));
    assert_eq!(header("date"), Some("Sat, 31 Jan 2026 03:00:00 GMT"));
    let text = answer.text().await.unwrap();
    assert_eq!(text.len() as f64, record["LogFileLength"].as_f64().unwrap());
    assert_eq!(text.lines().count(), 21);
    let names = record["LogFileFieldNames"].as_str().unwrap();
    assert_eq!(names, text.lines().next().unwrap().replace('"', ""));
}

#[tokio::test]
async fn a_reissued_file_keeps_its_id_and_shows_its_newest_version_only() {
    let first = Blob::text("\"EVENT_TYPE\"\n\"Login\"\n");
    let second = Blob::text("\"EVENT_TYPE\"\n\"Login\"\n\"Login\"\n");
    let org = FakeSf::start(Scenario::empty());
    let id = org.with(|state| {
        let day = time("2026-01-29T00:00:00Z");
        let id = state.add_log_file("Login", day, 0, time("2026-01-30T01:00:00Z"), first.clone());
        state.reissue(&id, time("2026-01-31T04:00:00Z"), second.clone());
        id
    });
    let token = log_in(&org).await;
    let list = "SELECT Id, CreatedDate FROM EventLogFile";
    assert_eq!(body(&org, &token, &id).await, first.whole());
    org.clock().advance(TimeDelta::hours(1));
    assert_eq!(body(&org, &token, &id).await, second.whole());
    let (_, listed) = soql(&org, &token, list).await;
    assert_eq!(listed["totalSize"], 1);
    assert_eq!(
        listed["records"][0]["CreatedDate"],
        "2026-01-31T04:00:00.000+0000"
    );
}

#[tokio::test]
async fn a_file_in_the_making_is_missing_or_short_and_an_expired_one_gone() {
    let org = FakeSf::start(Scenario::empty());
    let whole = Blob::text("\"EVENT_TYPE\"\n\"Login\"\n");
    let (ready, missing) = org.with(|state| {
        let start = time("2026-01-30T20:00:00Z");
        let id = state.add_log_file(
            "Login",
            start,
            1,
            time("2026-01-31T02:59:00Z"),
            whole.clone(),
        );
        state.log_file_mut(&id).state = ElfState::Writing {
            ready_at: time("2026-01-31T03:05:00Z"),
            shows: Some(15),
        };
        let other =
            state.add_log_file("API", start, 1, time("2026-01-31T02:59:00Z"), whole.clone());
        state.log_file_mut(&other).state = ElfState::Writing {
            ready_at: time("2026-01-31T03:05:00Z"),
            shows: None,
        };
        (id, other)
    });
    let token = log_in(&org).await;
    let not_found = (404, "NOT_FOUND".to_owned());
    assert_eq!(body(&org, &token, &ready).await, b"\"EVENT_TYPE\"\n\"L");
    assert_eq!(
        refusal(get(&org, &token, &path(&missing), &[]).await).await,
        not_found
    );
    let listed = "SELECT LogFileLength FROM EventLogFile WHERE Interval = 'Hourly'";
    assert_eq!(
        soql(&org, &token, listed).await.1["records"][0]["LogFileLength"],
        21.0
    );
    org.clock().advance(TimeDelta::minutes(5));
    assert_eq!(body(&org, &token, &ready).await, whole.whole());
    assert_eq!(body(&org, &token, &missing).await, whole.whole());
    org.clock().advance(TimeDelta::days(30));
    let token = log_in(&org).await;
    assert_eq!(
        refusal(get(&org, &token, &path(&ready), &[]).await).await,
        not_found
    );
    assert_eq!(soql(&org, &token, listed).await.1["totalSize"], 0);
}

#[tokio::test]
async fn a_file_of_gigabytes_is_made_while_it_is_read() {
    let org = FakeSf::start(Scenario::empty());
    let (id, length) = org.with(|state| {
        let day = time("2026-01-30T00:00:00Z");
        let rows = generated(state, "RestApi", day, 22_000_000);
        let length = rows.length();
        (
            state.add_log_file("RestApi", day, 0, time("2026-01-31T01:00:00Z"), rows),
            length,
        )
    });
    assert!(length > 4 << 30, "{length}");
    let token = log_in(&org).await;
    let mut answer = get(&org, &token, &path(&id), &[]).await;
    let mut seen = Vec::new();
    while seen.len() < 1 << 20 {
        seen.extend_from_slice(&answer.chunk().await.unwrap().unwrap());
    }
    let text = String::from_utf8(seen).unwrap();
    let rows: Vec<&str> = text.lines().skip(1).take(3000).collect();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    let distinct: std::collections::BTreeSet<&&str> = rows.iter().collect();
    assert_eq!(distinct.len(), 3000);
}

#[tokio::test]
async fn a_made_file_has_the_length_that_is_said_of_it() {
    let mut scenario = Scenario::empty();
    let rows = generated(
        &mut scenario.state,
        "URI",
        time("2026-01-30T00:00:00Z"),
        1234,
    );
    assert_eq!(rows.whole().len() as u64, rows.length());
    assert_eq!(rows.whole(), rows.whole());
    let other = generated(
        &mut scenario.state,
        "URI",
        time("2026-01-30T00:00:00Z"),
        1234,
    );
    assert_ne!(rows.whole(), other.whole());
}

#[tokio::test]
async fn headers_and_compression_are_as_the_quirks_say() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let id = org.with(|state| state.log_files[0].id.clone());
    let ask = async |accepted: Option<&str>| {
        let url = format!("{}{}", org.login_url(), path(&id));
        let client = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .build()
            .unwrap();
        let mut request = client.get(url).bearer_auth(&token);
        if let Some(accepted) = accepted {
            request = request.header("accept-encoding", accepted);
        }
        let answer = request.send().await.unwrap();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        ["content-encoding", "content-length", "content-type"].map(header)
    };
    let plain = Some("application/octetstream".to_owned());
    let gzip = Some("gzip".to_owned());
    assert_eq!(ask(None).await, [None, None, plain.clone()]);
    assert_eq!(
        ask(Some("gzip, br")).await,
        [gzip.clone(), None, plain.clone()]
    );
    org.with(|state| state.quirks.gzip = Gzip::Never);
    assert_eq!(ask(Some("gzip")).await, [None, None, plain]);
    org.with(|state| {
        state.quirks.gzip = Gzip::Always;
        state.quirks.content_type = ContentType::None;
    });
    assert_eq!(ask(None).await, [gzip, None, None]);
    let length = org.with(|state| {
        state.quirks.gzip = Gzip::AsAsked;
        state.quirks.content_length = true;
        state.log_files[0].body.length().to_string()
    });
    assert_eq!(ask(None).await, [None, Some(length), None]);
}

#[tokio::test]
async fn ids_of_both_lengths_name_a_file_and_nonsense_is_told_from_absence() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let id = org.with(|state| state.log_files[0].id.clone());
    assert_eq!(
        body(&org, &token, &id[..15]).await,
        body(&org, &token, &id).await
    );
    let nonsense = get(&org, &token, &path("nonsense"), &[]).await;
    assert_eq!(refusal(nonsense).await, (404, "MALFORMED_ID".to_owned()));
    let absent = get(&org, &token, &path("0AT5e0000000000"), &[]).await;
    assert_eq!(refusal(absent).await, (404, "NOT_FOUND".to_owned()));
}

/// What the folder holds, once and as it is.
#[tokio::test]
async fn the_sample_org_hands_out_the_sample() {
    let folder = crate::fake_salesforce::sample_folder();
    let org = FakeSf::start(Scenario::sample(&folder));
    let mut as_reader = super::claims(&org);
    as_reader["sub"] = json!("log.reader@example.com");
    let (_, answer) = super::by_assertion(&org, &super::signed(&as_reader)).await;
    let token = answer["access_token"].as_str().unwrap();
    let query = "SELECT Id, LogDate FROM EventLogFile WHERE EventType = 'Login' AND Interval = 'Daily' \
                 AND LogDate = 2026-01-07T00:00:00Z";
    let (_, listed) = soql(&org, token, query).await;
    assert_eq!(listed["totalSize"], 1, "issued twice, and one file");
    let id = listed["records"][0]["Id"].as_str().unwrap();
    let second =
        std::fs::read(folder.join("logs/eventlogfile/Login_2026-01-07_reissued.csv")).unwrap();
    assert_eq!(body(&org, token, id).await, second);
    let count = async |query: &str| soql(&org, token, query).await.1["totalSize"].clone();
    assert_eq!(
        count("SELECT COUNT() FROM EventLogFile WHERE Interval = 'Hourly'").await,
        96
    );
    let days = "SELECT COUNT() FROM LoginHistory WHERE LoginTime >= 2026-01-13T00:00:00Z AND LoginTime < 2026-01-18T00:00:00Z";
    assert_ne!(
        count(days).await,
        0,
        "what only the Setup page's download has"
    );
    assert_eq!(count("SELECT COUNT() FROM User").await, 46);
    assert_eq!(
        count("SELECT COUNT() FROM PermissionSetAssignment").await,
        8
    );
    assert_eq!(count("SELECT COUNT() FROM SetupAuditTrail").await, 3);
    org.clock().set(time("2026-01-30T03:00:00Z"));
    as_reader["exp"] = json!(org.clock().now().timestamp() + 100);
    assert_eq!(
        count("SELECT COUNT() FROM PermissionSetAssignment").await,
        6,
        "the night before"
    );
    let newest = "SELECT LogDate FROM EventLogFile ORDER BY LogDate DESC LIMIT 1";
    let (_, newest) = soql(&org, token, newest).await;
    assert_eq!(
        newest["records"][0]["LogDate"],
        "2026-01-29T00:00:00.000+0000"
    );
    let all: Value = http()
        .get(format!("{}/services/data/", org.login_url()))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(all.as_array().unwrap().len(), 36);
    assert_eq!(
        all[35],
        json!({"label": "Summer '26", "url": "/services/data/v66.0", "version": "66.0"})
    );
}
