use super::*;

#[test]
fn every_list_can_be_read() {
    assert!(LOGIN_TYPES.len() > 40 && LOGIN_SUB_TYPES.len() == 20);
    assert!(STATUSES.len() > 110);
    for field in [
        CodedField::SessionType,
        CodedField::UserType,
        CodedField::ApiType,
        CodedField::TlsProtocol,
        CodedField::ApiFamily,
        CodedField::JobStatus,
    ] {
        assert!(CODES.iter().any(|c| c.field == field.as_str()), "{field:?}");
    }
}

#[test]
fn codes_are_case_sensitive_and_labels_are_not() {
    assert!(known(CodedField::LoginType, "i") && known(CodedField::LoginType, "I"));
    assert!(known(CodedField::LoginType, " i "));
    assert!(!known(CodedField::LoginType, "a") && !known(CodedField::LoginType, "Q9"));
    assert!(known(CodedField::LoginType, "REMOTE ACCESS 2.0"));
    assert!(known(CodedField::UserType, "standard") && !known(CodedField::UserType, "s"));
    assert!(known(CodedField::ApiType, "f") && !known(CodedField::ApiType, "F"));
}

#[test]
fn nothing_recorded_is_no_unknown_value() {
    for field in CodedField::ALL {
        assert!(known(field, "") && known(field, "  "));
        assert!(!known(field, "Definitely New"));
    }
}

#[test]
fn session_types_have_one_name_in_every_spelling() {
    for (raw, name) in [
        ("U", "UI"),
        ("UI", "UI"),
        ("F", "TempUIFrontdoor"),
        ("TempUiFrontdoor", "TempUIFrontdoor"),
        ("G", "TempOauthAccessTokenFrontdoor"),
        ("O", "Oauth2"),
        ("UI(db=U,api=UI)", "UI"),
    ] {
        assert_eq!(session_type(raw), Some(name));
    }
    for raw in ["TempAuraExchange", "u", "X", "UI(db=U", ""] {
        assert_eq!(session_type(raw), None, "{raw}");
    }
}

#[test]
fn the_long_form_of_older_logout_files_is_read() {
    let raw = "Standard(db=S,api=Standard)";
    assert!(known(CodedField::UserType, raw));
    assert_eq!(canonical(CodedField::UserType, raw), Some("Standard"));
}

#[test]
fn only_login_no_error_and_success_are_success() {
    for raw in ["LOGIN_NO_ERROR", "Success", "success "] {
        assert_eq!(outcome(raw), Outcome::Success);
    }
    for raw in [
        "",
        "LOGIN_DATA_DOWNLOAD_ONLY",
        "Successful",
        "LOGIN_SOMETHING_NEW",
    ] {
        assert_eq!(outcome(raw), Outcome::Failure, "{raw}");
    }
    for raw in [
        "LOGIN_TWOFACTOR_REQ",
        "LOGIN_CHALLENGE_ISSUED",
        "LOGIN_CHALLENGE_BRAND_NEW",
        "Failed: Computer activation required",
        "Multi-factor required",
    ] {
        assert_eq!(outcome(raw), Outcome::Challenge, "{raw}");
    }
}

#[test]
fn failures_are_classed_alike_in_code_and_in_text() {
    for (code, text, class) in [
        (
            "LOGIN_ERROR_INVALID_PASSWORD",
            "Invalid Password",
            "bad_credential",
        ),
        (
            "LOGIN_ERROR_PASSWORD_LOCKOUT",
            "Password Lockout",
            "bad_credential",
        ),
        (
            "LOGIN_ERROR_RESTRICTED_DOMAIN",
            "Restricted IP",
            "valid_credential_blocked",
        ),
        (
            "LOGIN_ERROR_MUST_USE_API_TOKEN",
            "Failed: Security token required",
            "valid_credential_blocked",
        ),
        (
            "LOGIN_OAUTH_INVALID_IP",
            "Failed: IP Address Not Allowed",
            "valid_credential_blocked",
        ),
        ("LOGIN_ERROR_USER_FROZEN", "User is frozen", "account_state"),
        (
            "LOGIN_OAUTH_INVALID_NONCE",
            "Failed: Invalid Nonce",
            "oauth_error",
        ),
        (
            "LOGIN_OAUTH_NO_CONSUMER",
            "Failed: Missing Consumer Key Parameter",
            "oauth_error",
        ),
        (
            "LOGIN_SAML_INVALID_AUDIENCE",
            "Failed: Audience Invalid",
            "saml_error",
        ),
        (
            "LOGIN_ERROR_RATE_EXCEEDED",
            "Login rate exceeded",
            "platform",
        ),
        (
            "LOGIN_ERROR_USER_API_ONLY",
            "Failed: API-only user",
            "other",
        ),
    ] {
        for raw in [code, text] {
            assert!(known(CodedField::LoginStatus, raw), "{raw}");
            assert_eq!(fail_class(raw).map(FailClass::as_str), Some(class), "{raw}");
            assert_eq!(status_code(raw), Some(code), "{raw}");
        }
    }
    assert_eq!(fail_class("Success"), None);
    assert_eq!(fail_class("LOGIN_TWOFACTOR_REQ"), None);
}

#[test]
fn a_new_code_is_reported_and_still_classed_by_its_family() {
    for (raw, class) in [
        ("LOGIN_OAUTH_NEW", FailClass::OauthError),
        ("LOGIN_SAML_NEW", FailClass::SamlError),
        ("LOGIN_ERROR_NEW", FailClass::Other),
    ] {
        assert!(!known(CodedField::LoginStatus, raw));
        assert_eq!(fail_class(raw), Some(class));
    }
}

#[test]
fn user_types_tell_guests_and_system_users_from_people() {
    for raw in ["Guest", "G", "guest"] {
        assert_eq!(user_kind(raw), UserKind::Guest);
    }
    for raw in ["A", "AutomatedProcess", "Automated Process"] {
        assert_eq!(user_kind(raw), UserKind::InternalSystem);
    }
    for raw in ["Standard", "S", "PowerPartner", "", "new"] {
        assert_eq!(user_kind(raw), UserKind::Human, "{raw}");
    }
}

#[test]
fn clients_are_told_apart_by_their_user_agent() {
    for (text, family) in [
        (
            "Mozilla/5.0 (Windows NT 10.0) Chrome/128.0 Safari/537.36",
            "browser",
        ),
        ("\"Mozilla/5.0 (X11; Linux)\"", "browser"),
        (
            "Mozilla/4.0 (compatible; MSIE 8.0; .NET CLR 3.5)",
            "browser",
        ),
        ("Chrome 110", "browser"),
        ("Edge 147", "browser"),
        ("CURL", "curl"),
        ("curl/8.4.0", "curl"),
        ("python-requests/2.28.2", "python"),
        ("JAX-WS RI 2.1.5-b03-", "java"),
        ("Java (Salesforce.com)", "java"),
        ("Java/17.0.2", "java"),
        ("Go-http-client/1.1", "go"),
        (
            "Mozilla/5.0 (Windows NT) WindowsPowerShell/5.1",
            "powershell",
        ),
        ("PostmanRuntime/7.39", "postman"),
        ("Gearset/1.0", "other"),
        ("Unknown", "other"),
        ("14013002", "code"),
        ("", "missing"),
        ("N/A", "missing"),
    ] {
        assert_eq!(ua_family(Some(text)), family, "{text}");
    }
    assert_eq!(ua_family(None), "missing");
}

#[test]
fn fields_are_found_by_the_headings_of_both_sources() {
    for (name, field) in [
        ("LOGIN_TYPE", CodedField::LoginType),
        ("LoginType", CodedField::LoginType),
        ("Status", CodedField::LoginStatus),
        ("LOGIN_STATUS", CodedField::LoginStatus),
    ] {
        assert_eq!(CodedField::from_name(name), Some(field));
    }
    assert_eq!(CodedField::from_name("URI"), None);
}
