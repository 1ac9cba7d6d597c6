//! The fake's browser flow: whom it sends back where, and what a code is good for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{ask_token, get, http};
use crate::fake_salesforce::scenario::CALLBACK_URL;
use crate::fake_salesforce::state::Permitted;
use crate::fake_salesforce::{CLIENT_ID, CLIENT_SECRET, FakeSf, Scenario, USERNAME};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// What a client asks for, with what is changed in it; an empty value is left out.
async fn authorize(org: &FakeSf, changes: &[(&str, &str)]) -> Response {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut query = vec![
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK_URL),
        ("state", "a state"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for change in changes {
        query.retain(|(key, _)| key != &change.0);
        query.push(*change);
    }
    query.retain(|(_, value)| !value.is_empty());
    let url = format!("{}/services/oauth2/authorize", org.login_url());
    http().get(url).query(&query).send().await.unwrap()
}

/// Where the browser is sent back to, and one value of it.
fn back(answer: &Response, name: &str) -> String {
    assert_eq!(answer.status(), StatusCode::FOUND);
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(location.starts_with(CALLBACK_URL), "{location}");
    let url: Url = location.parse().unwrap();
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    found
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

async fn exchange(org: &FakeSf, code: &str, changes: &[(&str, &str)]) -> (StatusCode, Value) {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK_URL),
        ("client_id", CLIENT_ID),
        ("code_verifier", VERIFIER),
    ];
    for change in changes {
        form.retain(|(key, _)| key != &change.0);
        form.push(*change);
    }
    ask_token(org.login_url(), &form).await
}

#[tokio::test]
async fn a_person_who_approves_comes_back_with_a_code_that_is_good_once() {
    let org = FakeSf::start(Scenario::org());
    let answer = authorize(&org, &[("scope", "api")]).await;
    assert_eq!(back(&answer, "state"), "a state");
    let code = back(&answer, "code");
    let (status, body) = exchange(&org, &code, &[]).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["scope"], "api");
    assert!(body.get("refresh_token").is_none());
    let token = body["access_token"].as_str().unwrap();
    let who = get(&org, token, "/services/oauth2/userinfo", &[]).await;
    assert_eq!(
        who.json::<Value>().await.unwrap()["preferred_username"],
        USERNAME
    );
    let (status, body) = exchange(&org, &code, &[]).await;
    assert_eq!(status, 400);
    assert_eq!(body["error_description"], "invalid authorization code");
}

#[tokio::test]
async fn a_code_is_bound_to_its_app_callback_challenge_and_quarter_of_an_hour() {
    let org = FakeSf::start(Scenario::org().set(|state| {
        let mut other = Scenario::empty().state.apps.remove(0);
        other.consumer_key = "3MVG9.other".to_owned();
        state.apps.push(other);
    }));
    for (changes, told) in [
        (&[("code_verifier", "x")][..], "invalid code verifier"),
        (&[("code_verifier", "")], "invalid code verifier"),
        (
            &[("client_id", "3MVG9.other")],
            "invalid authorization code",
        ),
        (&[("client_id", "unknown")], "client identifier invalid"),
        (
            &[("redirect_uri", "http://localhost:1718/OauthRedirect")],
            "redirect_uri must match configuration",
        ),
        (&[("client_secret", "wrong")], "invalid client credentials"),
    ] {
        let code = back(&authorize(&org, &[]).await, "code");
        let (status, body) = exchange(&org, &code, changes).await;
        assert_eq!(
            (status.as_u16(), body["error_description"].as_str()),
            (400, Some(told))
        );
    }
    let code = back(&authorize(&org, &[]).await, "code");
    org.clock().advance(chrono::TimeDelta::minutes(15));
    let (_, body) = exchange(&org, &code, &[]).await;
    assert_eq!(body["error_description"], "expired authorization code");
    assert!(org.with(|state| state.tokens.is_empty()));

    org.with(|state| state.app().secret_required = true);
    let code = back(&authorize(&org, &[]).await, "code");
    let (_, body) = exchange(&org, &code, &[]).await;
    assert_eq!(body["error"], "invalid_client");
    let secret = [("client_secret", CLIENT_SECRET)];
    assert_eq!(exchange(&org, &code, &secret).await.0, 200);
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_the_app_does_not_name() {
    let org = FakeSf::start(Scenario::org());
    for change in [
        ("redirect_uri", "http://localhost:1718/OauthRedirect"),
        ("redirect_uri", "http://localhost:1717/OauthRedirect/"),
        ("redirect_uri", ""),
        ("client_id", "unknown"),
    ] {
        let answer = authorize(&org, &[change]).await;
        assert_eq!(answer.status(), 400, "{change:?}");
        assert!(answer.headers().get("location").is_none());
    }
}

#[tokio::test]
async fn what_the_app_or_the_person_does_not_allow_comes_back_as_an_error() {
    let org = FakeSf::start(Scenario::org());
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("scope", "api full"), "invalid_scope"),
        (("__deny", "1"), "access_denied"),
        (("__user", "nobody@example.com"), "OAUTH_APP_ACCESS_DENIED"),
    ] {
        let answer = authorize(&org, &[change]).await;
        assert_eq!(back(&answer, "error"), error, "{change:?}");
        assert_eq!(back(&answer, "code"), "");
        assert_eq!(back(&answer, "state"), "a state");
    }
    org.with(|state| {
        state.app().permitted = Permitted::SelfAuthorise;
        state.app().approved.clear();
        state.app().pkce_required = false;
    });
    let bare = [("code_challenge", ""), ("code_challenge_method", "")];
    let code = back(&authorize(&org, &bare).await, "code");
    assert_eq!(exchange(&org, &code, &[]).await.0, 200);
}

#[tokio::test]
async fn a_refresh_token_comes_with_its_scope_and_ends_by_revocation() {
    let org = FakeSf::start(Scenario::org());
    let code = back(&authorize(&org, &[]).await, "code");
    let (_, body) = exchange(&org, &code, &[]).await;
    let token = body["refresh_token"].as_str().unwrap();
    let revoke = format!("{}/services/oauth2/revoke", org.login_url());
    let revoke = || http().post(&revoke).form(&[("token", token)]).send();
    assert_eq!(revoke().await.unwrap().status(), 200);
    assert_eq!(revoke().await.unwrap().status(), 400);
}
