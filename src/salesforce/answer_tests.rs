use super::*;
use crate::salesforce::Class::*;

fn said(status: u16, body: &str) -> Said {
    Said {
        status,
        location: None,
        wish: None,
        body: body.as_bytes().to_vec(),
    }
}

fn error(status: u16, body: &str, asked: Asked) -> SalesforceError {
    let said = said(status, body);
    refused(&said, Words::of(&said.body), asked, &Hidden::default())
}

fn api(code: &str, message: &str) -> String {
    serde_json::json!([{"message": message, "errorCode": code}]).to_string()
}

#[test]
fn a_code_says_more_than_its_status() {
    for (status, code, message, class, retry) in [
        (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
            Throttled,
            Retry::Never,
        ),
        (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
            Throttled,
            Retry::Crowded,
        ),
        (
            500,
            "QUERY_TIMEOUT",
            "Your query request was running for too long.",
            TooLarge,
            Retry::Never,
        ),
        (400, "QUERY_TIMEOUT", "", TooLarge, Retry::Never),
        (400, "OPERATION_TOO_LARGE", "", TooLarge, Retry::Never),
        (
            400,
            "INVALID_FIELD",
            "No such column",
            Unreadable,
            Retry::Never,
        ),
        (
            400,
            "INVALID_TYPE",
            "sObject type 'X' is not supported.",
            Unreadable,
            Retry::Never,
        ),
        (
            400,
            "MALFORMED_QUERY",
            "unexpected token",
            Protocol,
            Retry::Never,
        ),
        (
            400,
            "INVALID_QUERY_LOCATOR",
            "invalid query locator",
            Protocol,
            Retry::Never,
        ),
        (403, "API_DISABLED_FOR_ORG", "", Config, Retry::Never),
        (403, "INSUFFICIENT_ACCESS", "", Unreadable, Retry::Never),
        (403, "SOMETHING_NEW", "", Unreadable, Retry::Never),
        (
            401,
            "MUTUAL_AUTHENTICATION_FAILED",
            "",
            Config,
            Retry::Never,
        ),
        (
            403,
            "MUTUAL_AUTHENTICATION_FAILED",
            "",
            Config,
            Retry::Never,
        ),
        (
            401,
            "INVALID_SESSION_ID",
            "Session expired or invalid",
            Config,
            Retry::Never,
        ),
        (
            200,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
            Throttled,
            Retry::Never,
        ),
        (200, "SOMETHING_NEW", "", Unreadable, Retry::Never),
        (
            503,
            "SERVER_UNAVAILABLE",
            "",
            Passing,
            Retry::Backoff { most: 5 },
        ),
        (
            500,
            "UNKNOWN_EXCEPTION",
            "",
            Passing,
            Retry::Backoff { most: 3 },
        ),
    ] {
        let error = error(status, &api(code, message), Asked::Data);
        assert_eq!(
            (error.class(), error.retry()),
            (class, retry),
            "{status} {code}"
        );
        assert_eq!(error.code(), Some(code));
        assert!(error.to_string().contains(code) && !error.fix().is_empty());
    }
}

#[test]
fn a_status_without_a_code_says_what_to_do_by_itself() {
    let backoff = |most| Retry::Backoff { most };
    for (status, class, retry) in [
        (204, Protocol, Retry::Never),
        (206, Protocol, Retry::Never),
        (302, Protocol, Retry::Never),
        (400, Unreadable, Retry::Never),
        (401, Config, Retry::Never),
        (403, Unreadable, Retry::Never),
        (404, Config, Retry::Never),
        (405, Protocol, Retry::Never),
        (406, Passing, backoff(5)),
        (408, Passing, backoff(5)),
        (409, Protocol, Retry::Never),
        (410, Config, Retry::Never),
        (414, Protocol, Retry::Never),
        (420, Passing, backoff(2)),
        (429, Throttled, backoff(5)),
        (431, Protocol, Retry::Never),
        (500, Passing, backoff(3)),
        (502, Passing, backoff(5)),
        (503, Passing, backoff(5)),
        (504, Passing, backoff(5)),
        (599, Passing, backoff(3)),
    ] {
        let error = error(status, "", Asked::Data);
        assert_eq!((error.class(), error.retry()), (class, retry), "{status}");
        assert!(error.to_string().contains(&status.to_string()));
    }
    let gone = error(404, &api("NOT_FOUND", "x"), Asked::LogFile);
    assert_eq!((gone.class(), gone.retry()), (Gone, Retry::Never));
    assert_eq!(
        error(404, &api("NOT_FOUND", "x"), Asked::Data).class(),
        Config
    );
}

#[test]
fn every_form_of_a_body_is_told_in_a_bounded_line() {
    let html = "<!DOCTYPE html><html><title>Down \u{1b}[31m</title></html>";
    let xml = "<?xml version=\"1.0\"?><Errors><Error><errorCode>SERVER_UNAVAILABLE</errorCode><message>later</message></Error></Errors>";
    let fault = "<soapenv:Fault><faultcode>sf:INVALID_SESSION_ID</faultcode><faultstring>x</faultstring></soapenv:Fault>";
    for (body, code, told) in [
        ("", None, "503: without a word"),
        (html, None, "page of HTML"),
        (xml, Some("SERVER_UNAVAILABLE"), "later"),
        (fault, Some("INVALID_SESSION_ID"), "x"),
        (
            "{\"error\":\"unknown_error\",\"error_description\":\"retry your request\"}",
            Some("unknown_error"),
            "retry your request",
        ),
        ("{\"errorCode\":\"X_Y\"}", Some("X_Y"), "503 X_Y"),
        ("[]", None, "503: []"),
        ("[{\"errorCode\":7}]", None, "503"),
        ("[{\"errorCode\":\"no word\"}]", None, "503"),
        ("plain\u{202e}\r\ntext", None, "plain\\u{202e} text"),
        ("\u{feff}{\"errorCode\":\"X\"}", Some("X"), "503 X"),
    ] {
        let error = error(503, body, Asked::Data);
        assert_eq!(error.code(), code, "{body}");
        assert!(error.to_string().contains(told), "{body}: {error}");
    }
    let huge = error(503, &"x".repeat(1 << 20), Asked::Data).to_string();
    assert!(huge.len() < 600, "{}", huge.len());
    let deep = "[".repeat(100_000);
    assert!(error(503, &deep, Asked::Data).to_string().len() < 600);
}

#[test]
fn a_redirect_is_told_with_the_host_that_it_points_to_and_nothing_more() {
    let redirect = |location: &str| {
        let said = Said {
            location: Some(location.to_owned()),
            ..said(302, "")
        };
        refused(&said, Words::of(b""), Asked::Data, &Hidden::default()).to_string()
    };
    let told = redirect("https://evil.example.com/path?token=canary");
    assert!(
        told.contains("evil.example.com") && !told.contains("canary"),
        "{told}"
    );
    for odd in [
        "/elsewhere?canary",
        "canary\u{1b}",
        "data:canary",
        "https://",
    ] {
        let told = redirect(odd);
        assert!(
            told.contains("another address") && !told.contains("canary"),
            "{told}"
        );
    }
}

#[test]
fn a_session_is_over_where_a_new_one_may_help_and_only_there() {
    let over = |status, body: &str| {
        let said = said(status, body);
        is_session_over(&said, &Words::of(&said.body))
    };
    let ended = |message| api("INVALID_SESSION_ID", message);
    assert!(over(401, &ended("Session expired or invalid")));
    assert!(over(403, &ended("Session expired or invalid")));
    assert!(over(401, ""));
    assert!(over(401, "<html></html>"));
    assert!(!over(
        401,
        &ended("This session is not valid for use with the REST API")
    ));
    assert!(!over(401, &ended("Connected app is not attached to Agent")));
    assert!(!over(401, &api("MUTUAL_AUTHENTICATION_FAILED", "x")));
    assert!(!over(403, &api("INSUFFICIENT_ACCESS", "x")));
    assert!(!over(500, ""));
}

#[test]
fn a_wish_of_the_server_is_kept_where_one_asks_again() {
    let wish = Some(Duration::from_secs(7));
    let retry = |status| {
        let said = Said {
            wish,
            ..said(status, "")
        };
        refused(&said, Words::of(b""), Asked::Data, &Hidden::default()).retry()
    };
    let wait = Duration::from_secs(7);
    assert_eq!(retry(429), Retry::After { most: 5, wait });
    assert_eq!(retry(503), Retry::After { most: 5, wait });
    assert_eq!(retry(403), Retry::Never);
}
