//! Each function as SQL sees it, with the NULLs and the bad text that logs bring.

use crate::engine::fixture::Fixture;

const REGISTRY: &str = r#"
[[user]]
id = "005000000000001AAA"
role = "integration"
networks = ["198.51.100.0/28", "2001:db8:10::/48",
            { network = "203.0.113.0/24", valid_from = 2026-02-01T00:00:00Z }]
[[window]]
kind = "consent"
user = "005000000000001AAA"
from = 2026-01-15T09:00:00Z
to = 2026-01-15T10:00:00Z
networks = ["192.0.2.0/24"]
ticket = "CHG-77"
"#;

/// Asserts `expression = text`, NULL written `-`.
fn answers(pairs: &[(&str, &str)]) {
    let fixture = Fixture::new();
    let session = fixture.session(REGISTRY);
    for (expression, expected) in pairs {
        let sql = format!("SELECT {expression}");
        let batches = session
            .query(&sql, &crate::engine::Params::new())
            .unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(
            crate::engine::fixture::shown(&batches),
            [*expected],
            "{expression}"
        );
    }
}

#[test]
fn addresses_are_in_networks_of_their_own_family() {
    answers(&[
        ("ip_in('198.51.100.15', '198.51.100.0/28')", "true"),
        ("ip_in('198.51.100.16', '198.51.100.0/28')", "false"),
        ("ip_in('::ffff:198.51.100.3', '198.51.100.0/28')", "true"),
        ("ip_in('198.51.100.3', '::ffff:198.51.100.0/124')", "true"),
        ("ip_in('2001:db8:10::1', '2001:db8:10::/48')", "true"),
        ("ip_in('2001:db8:10::1', '198.51.100.0/28')", "false"),
        ("ip_in('198.51.100.3', '198.51.100.3')", "true"),
        ("ip_in('198.51.100.3', 'no network')", "-"),
        ("ip_in('Salesforce.com IP', '0.0.0.0/0')", "-"),
        ("ip_in(NULL, '0.0.0.0/0')", "-"),
        ("ip_in('198.51.100.3', NULL)", "-"),
    ]);
}

#[test]
fn address_cells_have_a_kind_and_a_network() {
    answers(&[
        ("ip_kind('192.0.2.66')", "public"),
        ("ip_kind('10.0.0.1')", "private"),
        ("ip_kind('Salesforce.com IP')", "salesforce"),
        ("ip_kind('junk')", "unparsed"),
        ("ip_kind('')", "missing"),
        ("ip_kind(NULL)", "missing"),
        ("network_of('192.0.2.66')", "192.0.2.0/24"),
        ("network_of('2001:db8:1:2::3')", "2001:db8:1::/48"),
        ("network_of('192.0.2.66', 16, 32)", "192.0.0.0/16"),
        ("network_of('2001:db8:1:2::3', 16, 32)", "2001:db8::/32"),
        ("network_of('junk')", "-"),
        ("network_of(NULL)", "-"),
    ]);
}

#[test]
fn an_impossible_prefix_is_an_error_and_not_a_silent_null() {
    let session = Fixture::new().session("");
    let told = session.query(
        "SELECT network_of('192.0.2.66', 33, 48)",
        &Default::default(),
    );
    assert!(
        told.unwrap_err()
            .to_string()
            .contains("33 is no prefix length")
    );
}

#[test]
fn declared_networks_hold_while_they_are_valid() {
    let at = "TIMESTAMP '2026-01-15T09:30:00Z'";
    let user = "'005000000000001AAA'";
    let inside = |ip: &str| format!("in_networks({user}, {ip}, {at})");
    let nearest = format!("nearest_network({user}, '198.51.100.200', {at})");
    answers(&[
        (&inside("'198.51.100.15'"), "true"),
        (&inside("'::ffff:198.51.100.15'"), "true"),
        (&inside("'198.51.100.16'"), "false"),
        (&inside("'2001:db8:bad::1'"), "false"),
        (&inside("'203.0.113.1'"), "false"),
        (
            &format!("in_networks({user}, '203.0.113.1', TIMESTAMP '2026-02-01T00:00:00Z')"),
            "true",
        ),
        (&inside("'Salesforce.com IP'"), "-"),
        (&inside("NULL"), "-"),
        (
            &format!("in_networks('unknown', '198.51.100.3', {at})"),
            "-",
        ),
        (&format!("in_networks(NULL, '198.51.100.3', {at})"), "-"),
        (&nearest, "198.51.100.0/28"),
    ]);
}

#[test]
fn a_window_covers_its_user_its_time_and_its_networks() {
    let window = |user: &str, ip: &str, at: &str, kind: &str| {
        format!("in_window('{user}', {ip}, TIMESTAMP '2026-01-15T{at}Z', '{kind}')")
    };
    let user = "005000000000001AAA";
    answers(&[
        (&window(user, "'192.0.2.66'", "09:00:00", "consent"), "true"),
        (
            &window(user, "'192.0.2.66'", "10:00:00", "consent"),
            "false",
        ),
        (
            &window(user, "'203.0.113.1'", "09:00:00", "consent"),
            "false",
        ),
        (&window(user, "NULL", "09:00:00", "consent"), "false"),
        (
            &window(user, "'192.0.2.66'", "09:00:00", "breakglass"),
            "false",
        ),
        (
            &window("other", "'192.0.2.66'", "09:00:00", "consent"),
            "false",
        ),
    ]);
}

#[test]
fn ids_have_eighteen_characters_or_are_none() {
    answers(&[
        ("sf_id18('0055j00000AT6I1')", "0055j00000AT6I1AAL"),
        ("sf_id18('0055j00000AT6I1AAL')", "0055j00000AT6I1AAL"),
        ("sf_id18('short')", "-"),
        ("sf_id18(NULL)", "-"),
    ]);
}

#[test]
fn names_that_look_alike_have_one_skeleton_and_keep_their_keys() {
    answers(&[
        ("skeleton('ＥRP Sync') = skeleton('ERP Sync')", "true"),
        ("skeleton('ЕRР Ѕуnс') = skeleton('ERP Sync')", "true"),
        ("skeleton('ERP-Sync!') = skeleton('erp sync')", "true"),
        ("skeleton('Data L0ader') = skeleton('Data Loader')", "true"),
        ("skeleton('Data Loader') = skeleton('Workbench')", "false"),
        ("skeleton(NULL)", "-"),
        ("app_name_key(' ERP  Sync ')", "erp sync"),
        ("app_name_key('ＥRP Sync')", "erp sync"),
        (
            "app_name_key('ЕRP Sync') = app_name_key('ERP Sync')",
            "false",
        ),
        ("levenshtein('ERP Sync', 'ERP Sink')", "2"),
        ("printable(concat('a', chr(27), 'b'))", "a\\u{1b}b"),
    ]);
}

#[test]
fn codes_are_told_as_the_catalogue_knows_them() {
    answers(&[
        ("outcome('LOGIN_NO_ERROR')", "success"),
        ("outcome('Success')", "success"),
        ("outcome('LOGIN_TWOFACTOR_REQ')", "challenge"),
        ("outcome('Invalid Password')", "failure"),
        ("outcome('SOMETHING_NEW')", "failure"),
        ("outcome(NULL)", "failure"),
        (
            "fail_class('LOGIN_ERROR_INVALID_PASSWORD')",
            "bad_credential",
        ),
        ("fail_class('LOGIN_NO_ERROR')", "-"),
        (
            "login_path('i', 'oauthrefreshtoken', NULL, NULL, NULL, NULL, NULL)",
            "oauth_refresh",
        ),
        (
            "login_path('Q9', NULL, NULL, NULL, NULL, NULL, NULL)",
            "unmapped",
        ),
        (
            "path_certainty('i', NULL, NULL, NULL, NULL, NULL, NULL)",
            "guess",
        ),
        (
            "ua_family('Mozilla/5.0 (Windows NT 10.0) Chrome/128.0')",
            "browser",
        ),
        ("ua_family('python-requests/2.28.2')", "python"),
        ("ua_family(NULL)", "missing"),
        ("session_type('F')", "TempUIFrontdoor"),
        ("session_type('TempAuraExchange')", "unmapped"),
        ("session_type(NULL)", "-"),
        ("known_code('login_type', 'i')", "true"),
        ("known_code('login_type', 'Q9')", "false"),
        ("known_code('login_type', NULL)", "-"),
        ("inferred_role('Guest', NULL)", "guest"),
    ]);
}

#[test]
fn a_path_that_somebody_guesses_gets_the_template_of_the_log() {
    let cases = "uri_template('/services/apexrest/CaseCreation/*')";
    answers(&[
        ("uri_template(NULL)", "-"),
        (
            "uri_template('/services/data/v60.0/sobjects/Account/001000000000001AAA')",
            "/services/data/v60.0/sobjects/Account/{id}",
        ),
        (
            &format!("{cases} = uri_template('/services/apexrest/casecreation/x')"),
            "true",
        ),
        (
            &format!("{cases} = uri_template('/services/apexrest/AdminTools/x')"),
            "false",
        ),
        (
            &format!(
                "regexp_like({cases}, '^/services/apexrest/[{{]name:~[A-Za-z0-9_-]{{22}}[}}]/[{{]name[}}]$')"
            ),
            "true",
        ),
    ]);
}
