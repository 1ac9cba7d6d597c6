use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use super::*;

fn jwt() -> Grant {
    let pem = KeyPair::generate_for(&PKCS_RSA_SHA256)
        .unwrap()
        .serialize_pem();
    Grant::Jwt {
        key: SigningKey::read(&Secret::new(pem)).unwrap(),
        username: "orgwatch@example.com".to_owned(),
        audience: "https://example.my.salesforce.com".to_owned(),
    }
}

fn secret() -> Grant {
    Grant::Secret(Secret::new("hunter2-hunter2".to_owned()))
}

fn refusal(grant: &Grant, status: u16, error: &str, description: &str) -> SalesforceError {
    let body = json!({"error": error, "error_description": description}).to_string();
    let said = Said {
        status,
        location: None,
        wish: None,
        body: body.into_bytes(),
    };
    let words = Words::of(&said.body);
    refused(&said, words, grant, None, &Hidden::default())
}

#[test]
fn every_row_of_the_table_of_refusals_names_its_own_remedy() {
    let (jwt, secret) = (jwt(), secret());
    for (grant, error, description, fix) in [
        (
            &jwt,
            "invalid_grant",
            "user hasn't approved this consumer",
            "Admin approved users",
        ),
        (
            &jwt,
            "invalid_app_access",
            "user is not admin approved to access this app",
            "permission set",
        ),
        (&jwt, "OAUTH_APP_ACCESS_DENIED", "", "permission set"),
        (
            &jwt,
            "invalid_client_id",
            "client identifier invalid",
            "`client_id`",
        ),
        (
            &jwt,
            "invalid_client",
            "invalid client credentials",
            "upload the certificate",
        ),
        (
            &secret,
            "invalid_client",
            "invalid client credentials",
            "client secret",
        ),
        (
            &jwt,
            "invalid_grant",
            "invalid assertion",
            "upload the certificate",
        ),
        (
            &jwt,
            "invalid_grant",
            "audience is invalid",
            "https://test.salesforce.com",
        ),
        (
            &jwt,
            "invalid_grant",
            "Audience validation failed",
            "https://login.salesforce.com",
        ),
        (&jwt, "invalid_grant", "expired authorization code", "NTP"),
        (
            &jwt,
            "invalid_grant",
            "invalid authorization code",
            "run again",
        ),
        (
            &jwt,
            "invalid_grant",
            "authentication failure",
            "not frozen",
        ),
        (&jwt, "invalid_grant", "ip restricted", "login IP ranges"),
        (
            &jwt,
            "invalid_grant",
            "expired access/refresh token",
            "run again",
        ),
        (
            &secret,
            "invalid_grant",
            "no client credentials user enabled",
            "Run-As user",
        ),
        (
            &secret,
            "invalid_grant",
            "request not supported on this domain",
            "My Domain",
        ),
        (
            &jwt,
            "unsupported_grant_type",
            "grant type not supported",
            "JWT bearer",
        ),
        (
            &secret,
            "unsupported_grant_type",
            "grant type not supported",
            "Client Credentials Flow",
        ),
        (&jwt, "inactive_user", "", "active"),
        (&jwt, "inactive_org", "", "not active"),
        (&jwt, "invalid_request", "", "OAuth settings"),
        (&jwt, "invalid_scope", "", "scopes"),
        (&jwt, "redirect_uri_mismatch", "", "OAuth settings"),
        (
            &jwt,
            "MUTUAL_AUTHENTICATION_FAILED",
            "",
            "[salesforce.mtls]",
        ),
        (
            &jwt,
            "invalid_grant",
            "a text of next year",
            "Login History",
        ),
        (&jwt, "an_error_of_next_year", "", "Login History"),
    ] {
        let told = refusal(grant, 400, error, description);
        assert_eq!(told.class(), Class::Config, "{error} {description}");
        assert_eq!(told.retry(), Retry::Never, "{error} {description}");
        assert!(
            told.fix().contains(fix),
            "{error} {description}: {}",
            told.fix()
        );
        assert_eq!(told.code(), Some(error));
        let text = told.to_string();
        assert!(text.contains(error) && text.contains(description), "{text}");
    }
}

#[test]
fn only_what_may_pass_is_asked_again_and_a_limit_waits_for_the_next_run() {
    let jwt = jwt();
    let once = refusal(&jwt, 400, "unknown_error", "retry your request");
    assert_eq!(
        (once.class(), once.retry()),
        (Class::Passing, Retry::Backoff { most: 1 })
    );
    for (error, description) in [
        ("rate_limit_exceeded", ""),
        ("LOGIN_RATE_EXCEEDED", ""),
        ("invalid_grant", "login rate exceeded"),
    ] {
        let later = refusal(&jwt, 400, error, description);
        assert_eq!(
            (later.class(), later.retry()),
            (Class::Throttled, Retry::Never)
        );
    }
    for (status, most) in [(500, 3), (502, 5), (503, 5), (408, 5), (420, 2)] {
        let passing = refusal(&jwt, status, "server_error", "");
        assert_eq!(
            (passing.class(), passing.retry()),
            (Class::Passing, Retry::Backoff { most })
        );
    }
    for status in [302, 404, 405] {
        let config = refusal(&jwt, status, "x", "");
        assert_eq!(
            (config.class(), config.retry()),
            (Class::Config, Retry::Never)
        );
    }
}

#[test]
fn a_clock_that_differs_is_told_where_a_signature_had_expired() {
    let grant = jwt();
    let fix = |seconds| {
        let body =
            json!({"error": "invalid_grant", "error_description": "expired authorization code"});
        let said = Said {
            status: 400,
            location: None,
            wish: None,
            body: body.to_string().into_bytes(),
        };
        let skew = Some(TimeDelta::seconds(seconds));
        let error = refused(
            &said,
            Words::of(&said.body),
            &grant,
            skew,
            &Hidden::default(),
        );
        error.fix().to_owned()
    };
    assert!(fix(600).ends_with("it is 600 seconds behind the org's"));
    assert!(fix(-600).ends_with("it is 600 seconds ahead of the org's"));
    assert!(fix(30).ends_with("NTP"));
}

#[test]
fn the_signature_holds_two_minutes_and_says_who_signs_in_where() {
    let now: DateTime<Utc> = "2026-01-31T03:00:00Z".parse().unwrap();
    let hidden = Hidden::default();
    let form = jwt().form("3MVG9.key", now, &hidden).unwrap();
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (name, assertion) = &form[1];
    assert_eq!((*name, form.len()), ("assertion", 2));
    let parts: Vec<&str> = assertion.split('.').collect();
    let part = |n: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[n]).unwrap()).unwrap()
    };
    assert_eq!(part(0)["alg"], "RS256");
    assert_eq!(
        part(1),
        json!({
            "iss": "3MVG9.key",
            "sub": "orgwatch@example.com",
            "aud": "https://example.my.salesforce.com",
            "exp": now.timestamp() + 120,
        })
    );
    assert_eq!(hidden.shown(assertion), "(words that repeat a secret)");
}

#[test]
fn an_answer_that_is_no_token_is_refused_and_not_shown() {
    for body in [
        "<html>canary</html>",
        "",
        "null",
        "[]",
        "{}",
        "{\"access_token\":\"canary\"}",
        "{\"access_token\":\"canary\",\"instance_url\":7}",
        "{\"access_token\":\"canary canary\",\"instance_url\":\"https://x\"}",
        "{\"access_token\":\"canary\\r\\nX: y\",\"instance_url\":\"https://x\"}",
        "{\"access_token\":\"\",\"instance_url\":\"https://x\"}",
        "{\"access_token\":null,\"instance_url\":\"https://x\"}",
    ] {
        let error = match granted(body.as_bytes(), &Hidden::default()) {
            Ok(_) => panic!("accepted {body}"),
            Err(error) => error,
        };
        assert_eq!(error.class(), Class::Protocol, "{body}");
        let all = format!("{error} {error:?} {}", error.fix());
        assert!(!all.contains("canary"), "{all}");
    }
    let body =
        json!({"access_token": "00D!x", "instance_url": "https://x", "scope": 7, "new": null});
    assert!(granted(body.to_string().as_bytes(), &Hidden::default()).is_ok());
}

#[test]
fn what_a_person_brings_back_is_refused_with_the_remedy_for_a_person() {
    let bare = Grant::person(None);
    let with_secret = Grant::person(Some(Secret::new("hunter2-hunter2".to_owned())));
    for (grant, error, description, fix) in [
        (&bare, "access_denied", "end-user denied", "choose Allow"),
        (&bare, "access-denied", "", "choose Allow"),
        (
            &bare,
            "invalid_client",
            "app must be installed into org",
            "OAuth Usage",
        ),
        (
            &bare,
            "invalid_grant",
            "expired authorization code",
            "for 15 minutes",
        ),
        (
            &bare,
            "invalid_grant",
            "invalid authorization code",
            "for 15 minutes",
        ),
        (
            &bare,
            "invalid_grant",
            "invalid code verifier",
            "another program",
        ),
        (
            &bare,
            "redirect_uri_mismatch",
            "must match",
            "callback URL that was shown",
        ),
        (
            &bare,
            "invalid_client",
            "invalid client credentials",
            "ORGWATCH_SALESFORCE_SECRET",
        ),
        (
            &with_secret,
            "invalid_client",
            "invalid client credentials",
            "consumer secret",
        ),
        (&bare, "invalid_client_id", "", "`client_id`"),
        (&bare, "OAUTH_APP_ACCESS_DENIED", "", "user that signs in"),
        (&bare, "invalid_app_access", "", "user that signs in"),
        (&bare, "invalid_scope", "", "scope api"),
        (&bare, "unsupported_grant_type", "", "web server flow"),
        (&bare, "unsupported_response_type", "", "web server flow"),
        (&bare, "invalid_grant", "ip restricted", "login IP ranges"),
        (&bare, "inactive_user", "", "active"),
        (&bare, "an_error_of_next_year", "", "Login History"),
    ] {
        let told = refusal(grant, 400, error, description);
        assert_eq!(told.class(), Class::Config, "{error} {description}");
        assert!(
            told.fix().contains(fix),
            "{error} {description}: {}",
            told.fix()
        );
    }
    for error in ["unknown_error", "server_error", "temporarily_unavailable"] {
        let told = refusal(&bare, 400, error, "");
        assert_eq!((told.class(), told.retry()), (Class::Passing, Retry::Never));
        assert!(told.fix().contains("orgwatch login"), "{}", told.fix());
    }
}

#[test]
fn a_refresh_token_that_nobody_asked_for_is_hidden_like_the_other() {
    let hidden = Hidden::default();
    let body = br#"{"access_token":"00Dx!access-access","refresh_token":"5Aep-refresh-refresh","instance_url":"https://x"}"#;
    assert!(granted(body, &hidden).is_ok());
    for token in ["00Dx!access-access", "5Aep-refresh-refresh"] {
        assert_eq!(hidden.shown(token), "(words that repeat a secret)");
    }
}
