//! Every row of the login-path table in the reference, in each spelling, is a case here.

use super::*;

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/128.0 Safari/537.36";

fn verdict(facts: LoginFacts) -> (&'static str, &'static str) {
    let verdict = decide(&facts);
    (verdict.path.as_str(), verdict.certainty.as_str())
}

fn elf<'a>(login_type: &'a str, sub_type: &'a str, uri: &'a str) -> LoginFacts<'a> {
    LoginFacts {
        login_type: Some(login_type),
        login_sub_type: Some(sub_type),
        uri: Some(uri),
        ..LoginFacts::default()
    }
}

fn history<'a>(login_type: &'a str, sub_type: &'a str, application: &'a str) -> LoginFacts<'a> {
    LoginFacts {
        login_type: Some(login_type),
        login_sub_type: Some(sub_type),
        application: Some(application),
        api_type: Some("N/A"),
        ..LoginFacts::default()
    }
}

const TOKEN: &str = "/services/oauth2/token";

#[test]
fn row_1_a_password_in_a_browser_is_ui_password() {
    let old = LoginFacts {
        browser_type: Some(CHROME),
        ..elf("A", "", "/index.jsp")
    };
    assert_eq!(verdict(old), ("ui_password", "sure"));
    let feed = LoginFacts {
        api_type: Some("f"),
        ..old
    };
    assert_eq!(verdict(feed), ("ui_password", "sure"));
    assert_eq!(
        verdict(elf("A", "uiup", "/index.jsp")),
        ("ui_password", "likely")
    );
    assert_eq!(verdict(elf("A", "", "/login")), ("ui_password", "likely"));
    assert_eq!(
        verdict(history("Application", "", "Browser")),
        ("ui_password", "sure")
    );
    let sub_type = "UsernamePasswordUiLogin";
    assert_eq!(
        verdict(history("Application", sub_type, "Browser")),
        ("ui_password", "likely")
    );
    assert_eq!(
        verdict(history("Application", "UI Username-Password", "Browser")).0,
        "ui_password"
    );
    assert_eq!(
        verdict(elf("A", "UsernamePasswordUiLogin", "")).0,
        "ui_password"
    );
}

#[test]
fn row_2_a_password_reset_is_ui_other() {
    assert_eq!(verdict(elf("A", "uipwdrst", "")), ("ui_other", "likely"));
    for label in ["UiPasswordReset", "Change Password", "UI Password Reset"] {
        assert_eq!(
            verdict(history("Application", label, "Browser")).0,
            "ui_other"
        );
    }
}

#[test]
fn row_3_a_password_grant_is_not_taken_for_a_browser_login() {
    let path = "oauth_username_password";
    assert_eq!(verdict(elf("A", "oauthpassword", TOKEN)), (path, "sure"));
    assert_eq!(verdict(elf("A", "", TOKEN)), (path, "likely"));
    assert_eq!(verdict(elf("A", "", "XIApi")), (path, "likely"));
    for token in ["T", "P"] {
        let facts = LoginFacts {
            use_api_token: Some(token),
            ..elf("A", "", "/index.jsp")
        };
        assert_eq!(verdict(facts), (path, "likely"));
    }
    for login_type in ["Remote Access 2.0", "Application"] {
        assert_eq!(
            verdict(history(login_type, "OauthUsernamePassword", "X")).0,
            path
        );
        assert_eq!(
            verdict(history(login_type, "OAuth Username-Password", "X")).0,
            path
        );
    }
}

#[test]
fn rows_4_to_7_the_sub_type_tells_the_oauth_flow() {
    for (code, api_name, label, path, certainty) in [
        (
            "oauthrefreshtoken",
            "OauthRefreshToken",
            "OAuth Refresh Token",
            "oauth_refresh",
            "sure",
        ),
        (
            "oauthcode",
            "OauthWebServer",
            "OAuth Web Server",
            "oauth_web_server",
            "likely",
        ),
        (
            "oauthhybridauthcode",
            "OauthHybridWebServer",
            "OAuth Web Server for Hybrid Apps",
            "oauth_web_server",
            "likely",
        ),
        (
            "oauthtoken",
            "OauthUserAgent",
            "OAuth User-Agent",
            "oauth_user_agent",
            "likely",
        ),
        (
            "oauthhybridtoken",
            "OauthHybridUserAgent",
            "OAuth User-Agent for Hybrid Apps",
            "oauth_user_agent",
            "likely",
        ),
        (
            "oauthtokenidtoken",
            "OauthUserAgentIdToken",
            "OAuth User-Agent with ID Token",
            "oauth_user_agent",
            "likely",
        ),
        (
            "oauthclientcredential",
            "OauthClientCredentials",
            "OAuth Client Credentials",
            "oauth_client_credentials",
            "likely",
        ),
    ] {
        assert_eq!(verdict(elf("i", code, TOKEN)), (path, certainty));
        for spelling in [api_name, label] {
            let facts = history("Remote Access 2.0", spelling, "ERP Sync");
            assert_eq!(verdict(facts), (path, certainty));
        }
    }
}

#[test]
fn rows_8_to_10_oauth_without_a_sub_type_is_not_called_jwt() {
    assert_eq!(verdict(elf("i", "", TOKEN)), ("oauth_bearer", "guess"));
    assert_eq!(
        verdict(history("Remote Access 2.0", "", "ERP Sync")),
        ("oauth_bearer", "guess")
    );
    assert_eq!(verdict(history("Oauth2", "", "ERP Sync")).0, "oauth_bearer");
}

#[test]
fn rows_11_and_12_token_exchange_and_one_time_password() {
    for label in [
        "OauthTokenExchange",
        "OauthHybridTokenExchange",
        "OAuth Token Exchange",
    ] {
        let facts = history("Remote Access 2.0", label, "X");
        assert_eq!(verdict(facts), ("oauth_token_exchange", "likely"));
    }
    assert_eq!(
        verdict(history("Remote Access 2.0", "OauthOtpLogin", "X")),
        ("oauth_otp", "likely")
    );
}

#[test]
fn row_13_oauth_1() {
    assert_eq!(verdict(elf("6", "", "")), ("oauth1", "likely"));
    assert_eq!(
        verdict(history("Remote Access Client", "", "X")),
        ("oauth1", "likely")
    );
}

#[test]
fn row_14_soap_login_outside_connected_apps() {
    for login_type in ["I", "R"] {
        for api_type in ["P", "E"] {
            let facts = LoginFacts {
                api_type: Some(api_type),
                use_api_token: Some("P"),
                browser_type: Some("JAX-WS RI 2.1.5-b03-"),
                ..elf(login_type, "", "Api")
            };
            assert_eq!(verdict(facts), ("soap_login", "sure"));
        }
        assert_eq!(verdict(elf(login_type, "", "")), ("soap_login", "likely"));
    }
    for login_type in ["Other Apex API", "Partner Product"] {
        let facts = LoginFacts {
            api_type: Some("SOAP Partner"),
            ..history(login_type, "", "N/A")
        };
        assert_eq!(verdict(facts), ("soap_login", "sure"));
        assert_eq!(
            verdict(history(login_type, "", "N/A")),
            ("soap_login", "likely")
        );
    }
    for label in ["SoapApiLogin", "SOAP API"] {
        assert_eq!(
            verdict(history("Other Apex API", label, "N/A")),
            ("soap_login", "likely")
        );
    }
    assert_eq!(verdict(elf("A", "", "Api")), ("soap_login", "sure"));
}

#[test]
fn rows_15_to_17_single_sign_on() {
    assert_eq!(verdict(elf("8", "", "/index.jsp")), ("ui_sso", "sure"));
    assert_eq!(
        verdict(history("SAML Sfdc Initiated SSO", "", "Browser")),
        ("ui_sso", "sure")
    );
    assert_eq!(verdict(elf("5", "", "")), ("ui_sso", "likely"));
    assert_eq!(
        verdict(history("SAML Idp Initiated SSO", "", "Browser")),
        ("ui_sso", "likely")
    );
    assert_eq!(verdict(elf("j", "", "")), ("ui_sso", "likely"));
    assert_eq!(
        verdict(history("Third Party SSO", "", "Browser")),
        ("ui_sso", "likely")
    );
}

#[test]
fn rows_18_and_19_certificates_and_passwordless_logins() {
    assert_eq!(verdict(elf("s", "", "")), ("certificate", "likely"));
    assert_eq!(
        verdict(history("Certificate-based login", "", "")).0,
        "certificate"
    );
    assert_eq!(verdict(elf("w", "", "")), ("ui_passwordless", "likely"));
    assert_eq!(verdict(elf("z", "", "")), ("ui_passwordless", "likely"));
    assert_eq!(
        verdict(history("PasswordlessPasskeyLogin", "", "Browser")).0,
        "ui_passwordless"
    );
}

#[test]
fn row_20_portals_by_password_are_portal_and_by_sso_are_sso() {
    for code in ["k", "r", "l", "3", "9", "E"] {
        assert_eq!(verdict(elf(code, "", "")), ("portal", "likely"), "{code}");
    }
    for code in ["n", "q", "m", "b", "c", "h"] {
        assert_eq!(verdict(elf(code, "", "")), ("ui_sso", "likely"), "{code}");
    }
}

#[test]
fn rows_21_and_22_services_of_salesforce_and_login_as() {
    for facts in [
        elf("7", "", ""),
        elf("x", "", ""),
        history("Help And Training", "", ""),
        history("Offline Client", "", ""),
    ] {
        assert_eq!(verdict(facts), ("internal", "likely"));
    }
    assert_eq!(
        verdict(history("SysAdmin Switch", "", "")),
        ("ui_other", "likely")
    );
}

#[test]
fn codes_are_case_sensitive_and_trimmed() {
    assert_eq!(verdict(elf(" i", "", TOKEN)).0, "oauth_bearer");
    assert_eq!(verdict(elf("I", "", "")).0, "soap_login");
    assert_eq!(verdict(elf("a", "", "/index.jsp")).0, "unmapped");
    assert_eq!(verdict(elf("S", "", "")).0, "unmapped");
    assert_eq!(
        verdict(history("remote access 2.0", "oauth refresh token", "X")).0,
        "oauth_refresh"
    );
}

#[test]
fn an_unknown_type_or_sub_type_is_unmapped_whatever_else_is_known() {
    assert_eq!(verdict(elf("Q9", "oauthrefreshtoken", TOKEN)).0, "unmapped");
    assert_eq!(verdict(elf("i", "oauthnewflow", TOKEN)).0, "unmapped");
    assert_eq!(
        verdict(history("Brand New Login", "", "Browser")).0,
        "unmapped"
    );
    assert_eq!(verdict(history("Unknown", "", "Browser")).0, "unmapped");
}

#[test]
fn an_application_login_of_no_known_shape_is_unmapped() {
    assert_eq!(
        verdict(history("Application", "", "ERP Sync")).0,
        "unmapped"
    );
    assert_eq!(verdict(elf("A", "", "/services/data/v60.0")).0, "unmapped");
    assert_eq!(verdict(LoginFacts::default()).0, "unmapped");
}

#[test]
fn files_from_before_login_type_are_read_by_uri() {
    let browser = LoginFacts {
        browser_type: Some(CHROME),
        ..elf("", "", "/index.jsp")
    };
    assert_eq!(verdict(browser), ("ui_password", "likely"));
    let script = LoginFacts {
        browser_type: Some("curl/8.0"),
        ..browser
    };
    assert_eq!(verdict(script).0, "unmapped");
    assert_eq!(verdict(elf("", "", TOKEN)), ("oauth_bearer", "guess"));
    let soap = LoginFacts {
        api_type: Some("P"),
        ..elf("", "", "Api")
    };
    assert_eq!(verdict(soap).0, "soap_login");
}

#[test]
fn every_word_of_the_design_is_a_path_and_back() {
    for path in LoginPath::ALL {
        assert_eq!(LoginPath::from_word(path.as_str()), Some(path));
    }
    assert_eq!(LoginPath::from_word("jwt"), None);
}

#[test]
fn every_row_of_the_table_can_be_reached_by_known_values_only() {
    for row in TABLE.iter() {
        for sub_type in row.sub_type.split('|').filter(|s| !matches!(*s, "" | "-")) {
            assert_eq!(codes::login_sub_type(sub_type), Some(sub_type));
        }
        for login_type in row
            .login_type
            .split('|')
            .filter(|s| !matches!(*s, "" | "-"))
        {
            let known = codes::login_types().any(|t| match login_type.strip_prefix('@') {
                Some(group) => t.group == group,
                None => t.api_name == login_type,
            });
            assert!(known, "{login_type}");
        }
    }
}

#[test]
fn the_flags_agree_with_the_meaning_of_the_paths() {
    let of = |flag: fn(LoginPath) -> bool| -> Vec<&str> {
        LoginPath::ALL
            .into_iter()
            .filter(|p| flag(*p))
            .map(LoginPath::as_str)
            .collect()
    };
    assert_eq!(
        of(LoginPath::is_ui),
        [
            "ui_password",
            "ui_sso",
            "ui_passwordless",
            "ui_other",
            "portal",
            "certificate"
        ]
    );
    assert!(
        of(LoginPath::is_connected_app)
            .iter()
            .all(|w| w.starts_with("oauth"))
    );
    assert_eq!(
        of(LoginPath::is_password_based),
        ["ui_password", "soap_login", "oauth_username_password"]
    );
    assert_eq!(
        of(LoginPath::is_deprecated),
        ["soap_login", "oauth_username_password", "oauth1"]
    );
}
