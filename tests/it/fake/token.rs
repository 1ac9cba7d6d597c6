//! The token endpoint: who gets a session, and in which order the others are refused.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{JWT, ask_token, by_assertion, claims, get, http, log_in, refusal, signed};
use crate::fake_salesforce::clock::rest_time;
use crate::fake_salesforce::journal::Breach;
use crate::fake_salesforce::quirks::InstanceUrl;
use crate::fake_salesforce::state::{AppKind, Permitted};
use crate::fake_salesforce::{CLIENT_ID, CLIENT_SECRET, FakeSf, Scenario, USERNAME, keys};

/// `error: error_description` of a refusal.
async fn words(org: &FakeSf, claims: &Value) -> String {
    let (status, body) = by_assertion(org, &signed(claims)).await;
    assert_eq!(status, 400, "{body}");
    let text = |key: &str| body[key].as_str().unwrap().to_owned();
    format!("{}: {}", text("error"), text("error_description"))
}

#[tokio::test]
async fn a_signed_assertion_gets_a_session_with_documented_keys_only() {
    let org = FakeSf::start(Scenario::org());
    let (status, body) = by_assertion(&org, &signed(&claims(&org))).await;
    assert_eq!(status, 200);
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    let documented = ["access_token", "scope", "instance_url", "id", "token_type"];
    assert_eq!(keys, documented);
    assert_eq!(body["instance_url"], org.login_url());
    let token = body["access_token"].as_str().unwrap();
    let who = get(&org, token, "/services/oauth2/userinfo", &[]).await;
    let who: Value = who.json().await.unwrap();
    assert_eq!(who["preferred_username"], USERNAME);
    assert_eq!(who["organization_id"], "00D5e000000AcmEEAS");
}

/// Everything is wrong at first, and mended step by step: each answer shows which check is next.
#[tokio::test]
async fn the_checks_of_an_assertion_come_in_their_order() {
    let org = FakeSf::start(Scenario::org().set(|state| {
        state.quirks.strict_exp = true;
        let user = state.integration();
        user.active = false;
        user.frozen = true;
        user.logins = vec![crate::fake_salesforce::time("2026-01-31T02:30:00Z"); 3600];
        let app = state.app();
        app.jwt = false;
        app.permitted = Permitted::AdminApproved;
        app.approved.clear();
        app.address_refused = true;
    }));
    let now = org.clock().now().timestamp();
    let mut wrong = json!({"iss": "unknown", "sub": USERNAME, "aud": "https://evil.example.com", "exp": now - 1});
    let mut steps = vec![words(&org, &wrong).await];
    wrong["iss"] = json!(CLIENT_ID);
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let other = EncodingKey::from_rsa_pem(other.serialize_pem().as_bytes()).unwrap();
    let forged = encode(&Header::new(Algorithm::RS256), &wrong, &other).unwrap();
    let (_, body) = by_assertion(&org, &forged).await;
    steps.push(format!(
        "{}: {}",
        body["error"].as_str().unwrap(),
        body["error_description"].as_str().unwrap()
    ));
    steps.push(words(&org, &wrong).await);
    org.with(|state| state.app().jwt = true);
    steps.push(words(&org, &wrong).await);
    wrong["aud"] = json!("https://login.salesforce.com/");
    steps.push(words(&org, &wrong).await);
    wrong["exp"] = json!(now + 200);
    steps.push(words(&org, &wrong).await);
    wrong["exp"] = json!(now + 120);
    steps.push(words(&org, &wrong).await);
    org.with(|state| state.integration().active = true);
    steps.push(words(&org, &wrong).await);
    org.with(|state| state.integration().frozen = false);
    steps.push(words(&org, &wrong).await);
    org.with(|state| state.app().permitted = Permitted::SelfAuthorise);
    steps.push(words(&org, &wrong).await);
    org.with(|state| state.app().approved.insert(USERNAME.to_owned()));
    steps.push(words(&org, &wrong).await);
    org.with(|state| state.app().address_refused = false);
    steps.push(words(&org, &wrong).await);
    assert_eq!(
        steps,
        [
            "invalid_client_id: client identifier invalid",
            "invalid_grant: invalid assertion",
            "unsupported_grant_type: grant type not supported",
            "invalid_grant: audience is invalid",
            "invalid_grant: expired authorization code",
            "invalid_grant: expired authorization code",
            "invalid_grant: user hasn't approved this consumer",
            "invalid_grant: authentication failure",
            "invalid_app_access: user is not admin approved to access this app",
            "invalid_grant: user hasn't approved this consumer",
            "invalid_grant: ip restricted",
            "invalid_grant: login rate exceeded",
        ]
    );
    org.clock().advance(chrono::TimeDelta::hours(1));
    wrong["exp"] = json!(now + 3700);
    assert_eq!(by_assertion(&org, &signed(&wrong)).await.0, 200);
}

#[tokio::test]
async fn only_rs256_is_a_signature_and_an_unknown_user_is_not_told_from_an_unapproved_one() {
    let org = FakeSf::start(Scenario::org());
    let hmac = encode(
        &Header::new(Algorithm::HS256),
        &claims(&org),
        &EncodingKey::from_secret(keys::jwt_public_pem().as_bytes()),
    );
    let signed_part = signed(&claims(&org));
    let mut parts = signed_part.split('.');
    let (_, body, signature) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{body}.");
    let none = format!("eyJhbGciOiJub25lIn0.{body}.{signature}");
    for assertion in [
        hmac.unwrap(),
        unsigned,
        none,
        format!("{signed_part}.x"),
        String::new(),
    ] {
        let (status, body) = by_assertion(&org, &assertion).await;
        assert_eq!(
            (status.as_u16(), &body["error_description"]),
            (400, &json!("invalid assertion"))
        );
    }
    let mut nobody = claims(&org);
    nobody["sub"] = json!("nobody@example.com");
    assert_eq!(
        words(&org, &nobody).await,
        "invalid_grant: user hasn't approved this consumer"
    );
}

#[tokio::test]
async fn an_external_client_app_does_not_take_the_sandbox_hosts_audience() {
    let org = FakeSf::start(Scenario::org());
    let mut sandbox = claims(&org);
    sandbox["aud"] = json!("https://test.salesforce.com");
    assert_eq!(
        words(&org, &sandbox).await,
        "invalid_grant: audience is invalid"
    );
    org.with(|state| state.app().kind = AppKind::Connected);
    assert_eq!(by_assertion(&org, &signed(&sandbox)).await.0, 200);
}

#[tokio::test]
async fn client_credentials_are_for_my_domain_and_need_a_user_to_run_as() {
    let org = FakeSf::start(Scenario::org());
    let right = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
    ];
    let (status, body) = ask_token(org.shared_login_url(), &right).await;
    assert_eq!(status, 400);
    assert_eq!(
        body["error_description"],
        "request not supported on this domain"
    );
    assert_eq!(ask_token(org.login_url(), &right).await.0, 200);
    let url = format!("{}/services/oauth2/token", org.login_url());
    let basic = http()
        .post(&url)
        .basic_auth(CLIENT_ID, Some(CLIENT_SECRET))
        .form(&right[..1]);
    assert_eq!(basic.send().await.unwrap().status(), 200);
    let mut wrong = right;
    wrong[2].1 = "wrong";
    assert_eq!(
        ask_token(org.login_url(), &wrong).await.1["error"],
        "invalid_client"
    );
    wrong[1].1 = "unknown";
    assert_eq!(
        ask_token(org.login_url(), &wrong).await.1["error"],
        "invalid_client_id"
    );
    org.with(|state| state.app().run_as = None);
    let (_, body) = ask_token(org.login_url(), &right).await;
    assert_eq!(
        body["error_description"],
        "no client credentials user enabled"
    );
    org.with(|state| state.app().client_credentials = false);
    assert_eq!(
        ask_token(org.login_url(), &right).await.1["error"],
        "unsupported_grant_type"
    );
}

#[tokio::test]
async fn flows_that_nobody_may_use_are_refused_and_remembered() {
    let org = FakeSf::start(Scenario::org());
    let password = [
        ("grant_type", "password"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("username", USERNAME),
        ("password", "x"),
    ];
    let (status, body) = ask_token(org.login_url(), &password).await;
    assert_eq!(
        (status.as_u16(), &body["error"]),
        (400, &json!("unsupported_grant_type"))
    );
    let soap = format!("{}/services/Soap/u/64.0", org.login_url());
    let soap = http().post(soap).body("<login/>").send().await.unwrap();
    assert_eq!(soap.status(), 500);
    assert!(soap.text().await.unwrap().contains("INVALID_OPERATION"));
    let breaches = ["password", "SOAP login"].map(|flow| Breach::ForbiddenFlow(flow.to_owned()));
    assert_eq!(org.breaches(), breaches);
}

#[tokio::test]
async fn credentials_in_the_url_are_refused_though_the_form_is_right() {
    let org = FakeSf::start(Scenario::org());
    let assertion = signed(&claims(&org));
    let url = format!("{}/services/oauth2/token", org.login_url());
    let request = http().post(&url).query(&[("assertion", &assertion)]);
    let form = [("grant_type", JWT), ("assertion", assertion.as_str())];
    let answer = request.form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let breach = Breach::CredentialInUrl("/services/oauth2/token".to_owned());
    assert_eq!(org.breaches(), [breach]);
    let untyped = http().post(&url).body("grant_type=x").send().await.unwrap();
    assert_eq!(untyped.status(), 400);
    assert_eq!(http().get(&url).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_session_ends_by_rest_by_revocation_and_by_its_owners_end() {
    let org = FakeSf::start(Scenario::org());
    let path = "/services/data/v66.0/limits";
    let over = (401, "INVALID_SESSION_ID".to_owned());
    let token = log_in(&org).await;
    for _ in 0..3 {
        org.clock().advance(chrono::TimeDelta::minutes(110));
        assert_eq!(
            get(&org, &token, path, &[]).await.status(),
            200,
            "use renews it"
        );
    }
    org.clock().advance(chrono::TimeDelta::minutes(121));
    assert_eq!(refusal(get(&org, &token, path, &[]).await).await, over);

    let token = log_in(&org).await;
    let revoke = format!("{}/services/oauth2/revoke", org.login_url());
    let revoke = || http().post(&revoke).form(&[("token", &token)]).send();
    let first = revoke().await.unwrap();
    assert_eq!(
        (first.status().as_u16(), first.text().await.unwrap()),
        (200, String::new())
    );
    assert_eq!(revoke().await.unwrap().status(), 400);
    assert_eq!(refusal(get(&org, &token, path, &[]).await).await, over);

    let token = log_in(&org).await;
    org.with(|state| state.integration().active = false);
    assert_eq!(refusal(get(&org, &token, path, &[]).await).await, over);
    assert_eq!(refusal(get(&org, "made up", path, &[]).await).await, over);
}

#[tokio::test]
async fn a_new_login_leaves_older_sessions_alone() {
    let org = FakeSf::start(Scenario::org());
    let (first, second) = (log_in(&org).await, log_in(&org).await);
    assert_ne!(first, second);
    for token in [&first, &second] {
        assert_eq!(
            get(&org, token, "/services/data/v66.0/limits", &[])
                .await
                .status(),
            200
        );
    }
    let journal = org.journal();
    let used: Vec<Option<usize>> = journal.iter().map(|entry| entry.token).collect();
    assert_eq!(used, [None, None, Some(1), Some(2)]);
}

#[tokio::test]
async fn quirks_change_the_token_answer_as_named() {
    let org = FakeSf::start(Scenario::org().set(|state| {
        state.quirks.omit_scope = true;
        state.quirks.unknown_keys = true;
        state.quirks.long_token = true;
        state.quirks.instance_url = InstanceUrl::Given("https://evil.example.com".to_owned());
        state.quirks.userinfo_username = Some("other@example.com".to_owned());
    }));
    let (_, body) = by_assertion(&org, &signed(&claims(&org))).await;
    assert_eq!(body["instance_url"], "https://evil.example.com");
    assert!(body.get("scope").is_none() && body.get("frobnication").is_some());
    let token = body["access_token"].as_str().unwrap();
    assert!(
        token.starts_with("eyJ") && token.len() > 1500,
        "{}",
        token.len()
    );
    let who = get(&org, token, "/services/oauth2/userinfo", &[]).await;
    assert_eq!(
        who.json::<Value>().await.unwrap()["preferred_username"],
        "other@example.com"
    );
    assert_eq!(rest_time(org.clock().now()), "2026-01-31T03:00:00.000+0000");
}
