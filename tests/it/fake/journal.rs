//! The journal tells what was asked without telling secrets, and which rules a client broke; the
//! remote control steers the org.

use serde_json::{Value, json};

use super::{JWT, claims, get, http, log_in, signed, soql};
use crate::fake_salesforce::journal::{Breach, Listener};
use crate::fake_salesforce::{CLIENT_SECRET, FakeSf, Scenario};

#[tokio::test]
async fn no_secret_is_in_the_journal() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    soql(&org, &token, "SELECT Id FROM User").await;
    let url = format!("{}/services/data/v66.0/query", org.login_url());
    let leaking = http()
        .get(url)
        .query(&[("q", "SELECT Id FROM User"), ("access_token", &token)]);
    leaking.bearer_auth(&token).send().await.unwrap();
    let text = serde_json::to_string(&org.journal()).unwrap();
    for secret in [token.as_str(), CLIENT_SECRET, "LEAK-CANARY", "eyJ"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let journal = org.journal();
    assert_eq!(journal[0].form_keys, ["grant_type", "assertion"]);
    assert_eq!((journal[1].token, journal[1].status), (Some(1), 200));
    assert!(
        journal[1]
            .header("authorization")
            .unwrap()
            .starts_with("sha256:")
    );
    assert_eq!(journal[1].soql(), Some("SELECT Id FROM User"));
    let path = "/services/data/v66.0/query".to_owned();
    assert_eq!(org.breaches(), [Breach::CredentialInUrl(path)]);
}

#[tokio::test]
async fn a_stranger_remembers_who_came_with_credentials() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let evil = org.evil_url();
    http().get(evil).send().await.unwrap();
    assert!(org.breaches().is_empty());
    http().get(evil).bearer_auth(&token).send().await.unwrap();
    let assertion = signed(&claims(&org));
    let form = [("grant_type", JWT), ("assertion", assertion.as_str())];
    http().post(evil).form(&form).send().await.unwrap();
    assert_eq!(
        org.breaches(),
        [Breach::CredentialToStranger, Breach::CredentialToStranger]
    );
    assert_eq!(org.with(|state| state.journal.at(Listener::Evil).len()), 3);
}

#[tokio::test]
async fn a_cookie_is_set_and_must_not_come_back() {
    let org = FakeSf::start(Scenario::org());
    let token = log_in(&org).await;
    let path = "/services/data/v66.0/limits";
    let answer = get(&org, &token, path, &[]).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("BrowserId="));
    assert!(org.breaches().is_empty());
    let url = format!("{}{path}", org.login_url());
    http()
        .get(url)
        .bearer_auth(&token)
        .header("cookie", cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(org.breaches(), [Breach::CookieReturned]);
}

#[tokio::test]
async fn each_data_call_counts_and_so_do_refused_ones() {
    let org = FakeSf::start(Scenario::org().set(|state| {
        state.org.app_usage = Some("17/250(appName=orgwatch)".to_owned());
    }));
    let token = log_in(&org).await;
    soql(&org, &token, "SELECT Id FROM Nothing").await;
    let answer = get(&org, &token, "/services/data/v66.0/limits", &[]).await;
    let usage = "api-usage=122/100000; per-app-api-usage=17/250(appName=orgwatch)";
    assert_eq!(answer.headers()["sforce-limit-info"], usage);
}

#[tokio::test]
async fn the_control_steers_the_org_and_is_nowhere_else() {
    let org = FakeSf::start(Scenario::empty());
    let token = log_in(&org).await;
    let tell = async |path: &str, body: Value| {
        let url = format!("{}{path}", org.control_url());
        let answer = http().post(url).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (_, state) = tell("/clock", json!({"advance_seconds": 60})).await;
    assert_eq!(state["now"], "2026-01-31T03:01:00Z");
    let file = json!({"event_type": "Login", "log_date": "2026-01-30T00:00:00Z", "created": "2026-01-31T01:00:00Z", "rows": 3});
    assert_eq!(tell("/file", file).await.1["log_files"], 1);
    let fault = json!({"path": "/query$", "times": 1, "action": {"status": {"code": 503}}});
    assert_eq!(tell("/fault", fault).await.0, 200);
    let query = [("q", "SELECT Id FROM EventLogFile")];
    let path = "/services/data/v66.0/query";
    assert_eq!(get(&org, &token, path, &query).await.status(), 503);
    assert_eq!(soql(&org, &token, query[0].1).await.1["totalSize"], 1);
    tell(
        "/permission",
        json!({"name": "ViewEventLogFiles", "held": false}),
    )
    .await;
    assert_eq!(get(&org, &token, path, &query).await.status(), 400);
    assert_eq!(tell("/end-sessions", json!({})).await.0, 200);
    assert_eq!(get(&org, &token, path, &query).await.status(), 401);
    assert_eq!(
        tell("/fault", json!({"path": "x", "action": "melt"}))
            .await
            .0,
        400
    );
    let url = format!("{}/journal", org.control_url());
    let journal: Value = http().get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        journal.as_array().unwrap().len(),
        5,
        "the control's own calls are not in it"
    );
    assert_eq!(journal[1]["status"], 503);
}
