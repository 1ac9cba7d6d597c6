//! The org that is fetched from, and what opens it.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use super::*;

const JWT: &str = "[salesforce]\nlogin_url = \"https://example.my.salesforce.com\"\n\
    client_id = \"3MVG9.key\"\nusername = \"Orgwatch@Example.com\"\n";
const SECRET: &str = "[salesforce]\nlogin_url = \"https://example.my.salesforce.com\"\n\
    client_id = \"3MVG9.key\"\nflow = \"client_credentials\"\n";

fn org(text: &str) -> Salesforce {
    resolve(text).unwrap().salesforce.unwrap()
}

#[test]
fn without_the_section_nothing_is_fetched() {
    let s = resolve("[org]\nname = \"x\"\n").unwrap();
    assert_eq!(s.salesforce, None);
    assert!(
        !s.listing()
            .iter()
            .any(|row| row.0.starts_with("salesforce"))
    );
}

#[test]
fn three_keys_are_enough() {
    let s = org(JWT);
    assert_eq!(s.login_url.as_str(), "https://example.my.salesforce.com/");
    assert_eq!(s.server(), "example.my.salesforce.com");
    let username = "orgwatch@example.com".to_owned();
    let certificate_file = None;
    assert_eq!(
        s.flow,
        Flow::Jwt {
            username,
            certificate_file
        }
    );
    assert_eq!((s.api_version, s.downloads, s.first_days), (66, 2, 30));
    assert_eq!((s.usage_share, s.time_budget_minutes), (0.8, 120));
    assert_eq!(s.idle_timeout_seconds, 60);
    assert_eq!(s.intervals, Intervals::Both);
    assert!(s.login_history && s.setup_audit_trail && s.roster && !s.plaintext);
    assert!(s.event_types.is_empty() && s.mtls.is_none() && s.audience.is_none());
}

#[test]
fn every_key_of_the_org_is_read_and_listed_with_its_place() {
    let file = file(&format!(
        "[org]\n{JWT}audience = \"https://login.salesforce.com/\"\nkey_file = \"jwt.key\"\n\
         certificate_file = \"jwt.crt\"\nca_file = \"ca.pem\"\napi_version = 64\n\
         event_types = [\"Login\", \"RestApi\", \"Login\"]\nintervals = \"daily\"\n\
         login_history = false\nsetup_audit_trail = false\nroster = false\ndownloads = 4\n\
         usage_share = 0.5\nfirst_days = 7\ntime_budget_minutes = 30\nidle_timeout_seconds = 5\n\
         [salesforce.mtls]\ncertificate_file = \"tls.crt\"\nkey_file = \"tls.key\"\n"
    ));
    let dir = file.dir.path();
    let settings =
        Settings::resolve(Overrides::default(), &no_env, Some(&file.path), now()).unwrap();
    let s = settings.salesforce.clone().unwrap();
    assert_eq!(s.audience.as_deref(), Some("https://login.salesforce.com"));
    assert_eq!(s.key_file, Some(dir.join("jwt.key")));
    let Flow::Jwt {
        certificate_file, ..
    } = &s.flow
    else {
        panic!("JWT is the default");
    };
    assert_eq!(*certificate_file, Some(dir.join("jwt.crt")));
    assert_eq!(s.ca_file, Some(dir.join("ca.pem")));
    assert_eq!(s.event_types, ["Login", "RestApi"]);
    assert_eq!(s.intervals, Intervals::Daily);
    assert!(!s.login_history && !s.setup_audit_trail && !s.roster);
    assert_eq!((s.api_version, s.downloads, s.first_days), (64, 4, 7));
    assert_eq!((s.usage_share, s.time_budget_minutes), (0.5, 30));
    assert_eq!(s.idle_timeout_seconds, 5);
    let mtls = s.mtls.unwrap();
    assert_eq!(mtls.certificate_file, dir.join("tls.crt"));
    assert_eq!(mtls.key_file, Some(dir.join("tls.key")));
    let listed = settings.listing();
    let row = |key: &str| listed.iter().find(|row| row.0 == key).unwrap();
    assert_eq!(
        row("salesforce.login_url").1,
        "https://example.my.salesforce.com"
    );
    assert_eq!(row("salesforce.event_types").1, "Login, RestApi");
    assert!(matches!(row("salesforce.flow").2, Origin::File(at) if at.line == 2));
}

#[test]
fn client_credentials_take_a_secret_and_any_run_as_user_or_one() {
    let s = org(&format!("{SECRET}secret_file = \"s\"\n"));
    assert_eq!(s.flow, Flow::ClientCredentials { username: None });
    let s = org(&format!("{SECRET}username = \"a@example.com\"\n"));
    let username = Some("a@example.com".to_owned());
    assert_eq!(s.flow, Flow::ClientCredentials { username });
}

#[test]
fn two_keys_are_enough_for_a_person_and_nothing_signs_in_by_itself() {
    let text = JWT.replace("username", "# username");
    let s = org(&text);
    assert_eq!((&s.flow, s.flow.username()), (&Flow::Undecided, None));
    assert!(
        login_secrets(&s, &|_| None)
            .unwrap()
            .client_secret
            .is_none()
    );
    let error = salesforce_secrets(&s, &|_| None).unwrap_err().to_string();
    assert!(
        error.contains("`username`") && error.contains("line 1"),
        "{error}"
    );
    let listing = resolve(&text).unwrap().listing();
    assert!(!listing.iter().any(|row| row.0 == "salesforce.flow"));
    for key in [
        "flow = \"jwt\"",
        "key_file = \"k\"",
        "audience = \"https://x\"",
    ] {
        let (message, _) = refusal(&format!("{text}{key}\n"));
        assert!(
            message.contains("`username` is missing"),
            "{key}: {message}"
        );
    }
}

#[test]
fn a_person_needs_no_key_of_the_program_and_a_client_secret_only_where_there_is_one() {
    let s = org(&format!("{JWT}key_file = \"not-there\"\n"));
    let none = login_secrets(&s, &|_| None).unwrap();
    assert!(none.client_secret.is_none() && none.tls.mtls.is_none());
    let look_up = |name: &str| -> Option<OsString> {
        (name == "ORGWATCH_SALESFORCE_SECRET").then(|| "canary".into())
    };
    let given = login_secrets(&s, &look_up).unwrap();
    assert!(!format!("{given:?}").contains("canary"));
    assert_eq!(given.client_secret.unwrap().expose(), "canary");
    let s = org(&format!("{SECRET}secret_file = \"not-there\"\n"));
    let error = login_secrets(&s, &|_| None).unwrap_err().to_string();
    assert!(error.contains("not-there"), "{error}");
}

#[test]
fn each_mistake_is_refused_at_its_place_with_a_hint() {
    let host = "https://example.my.salesforce.com";
    let changed = |from: &str, to: &str| JWT.replace(from, to);
    let with = |rest: &str| format!("{JWT}{rest}\n");
    for (text, told, hint) in [
        (
            changed("login_url", "#"),
            "1:1: `login_url` is missing",
            "My Domain",
        ),
        (
            changed("client_id", "#"),
            "1:1: `client_id` is missing",
            "consumer key",
        ),
        (
            changed("username", "key_file = \"k\" #"),
            "1:1: `username` is missing",
            "orgwatch@example.com",
        ),
        (
            changed(host, "example.my.salesforce.com"),
            "2:13: this is no address",
            "https://",
        ),
        (
            changed(host, "http://example.my.salesforce.com"),
            "2:13: orgs are reached by https only",
            "https://",
        ),
        (
            changed(host, "http://127.0.0.1:8"),
            "without TLS",
            "plaintext",
        ),
        (
            changed(host, "https://u:canary@example.my.salesforce.com"),
            "never holds a user",
            "https://",
        ),
        (
            changed(host, "https://example.my.salesforce.com/services?x=1"),
            "goes on behind its host",
            "https://",
        ),
        (
            changed(host, "https://example.lightning.force.com"),
            "where people look",
            "my.salesforce.com",
        ),
        (
            with("plaintext = true"),
            "begins with http://",
            "remove `plaintext`",
        ),
        (
            changed(host, "http://example.com\"\nplaintext = true #"),
            "this machine only",
            "127.0.0.1",
        ),
        (changed("3MVG9.key", "3MVG9 key"), "no consumer key", "copy"),
        (
            changed("Orgwatch@Example.com", "orgwatch"),
            "no username",
            "name@domain",
        ),
        (
            with("flow = \"password\""),
            "unknown value \"password\"",
            "one of: jwt, client_credentials",
        ),
        (
            with("secret_file = \"s\""),
            "5:1: `secret_file` is for another flow",
            "client_credentials",
        ),
        (
            format!("{SECRET}key_file = \"k\"\n"),
            "5:1: `key_file` is for another flow",
            "flow = \"jwt\"",
        ),
        (
            format!("{SECRET}audience = \"{host}\"\n"),
            "`audience` is for another flow",
            "jwt",
        ),
        (
            SECRET.replace("example.my.", "login."),
            "My Domain only",
            "Setup > My Domain",
        ),
        (
            format!(
                "{}[salesforce.mtls]\ncertificate_file = \"c\"\n",
                changed("example.my.", "test.")
            ),
            "My Domain only",
            "Setup",
        ),
        (
            with("[salesforce.mtls]"),
            "`certificate_file` is missing in [salesforce.mtls]",
            "PEM",
        ),
        (
            format!(
                "{}plaintext = true\n[salesforce.mtls]\ncertificate_file = \"c\"\n",
                changed(host, "http://localhost:1")
            ),
            "no mutual TLS without TLS",
            "remove",
        ),
        (
            with("audience = \"production\""),
            "no address to sign in at",
            "login.salesforce.com",
        ),
        (
            with("event_types = [\"Login' OR Id != '\"]"),
            "no event type",
            "RestApi",
        ),
        (with("event_types = []"), "names none", "leave the key out"),
        (with("intervals = \"dialy\""), "unknown value", "`daily`"),
        (with("password = \"x\""), "unknown key `password`", ""),
        (with("refresh_token = \"x\""), "unknown key", ""),
    ] {
        let (message, advice) = refusal(&text);
        assert!(message.contains(told), "{text}: {message}");
        assert!(advice.contains(hint), "{text}: {advice}");
        assert!(!message.contains("canary") && !advice.contains("canary"));
    }
    for (rest, told) in [
        ("api_version = 60", "between 61 and 99"),
        ("downloads = 5", "between 1 and 4"),
        ("usage_share = 0.0", "between 0.01 and 1"),
        ("first_days = 0", "between 1 and 366"),
        ("time_budget_minutes = 0", "between 1 and 1440"),
        ("idle_timeout_seconds = 601", "between 1 and 600"),
    ] {
        let (message, _) = refusal(&with(rest));
        assert!(message.contains(told), "{rest}: {message}");
    }
    for here in ["http://127.0.0.1:8", "http://localhost", "http://[::1]:9"] {
        let text = changed(host, here) + "plaintext = true\n";
        assert!(org(&text).plaintext, "{here}");
    }
}

/// Credential, certificate and key of mutual TLS as they are found with these files and this
/// environment.
fn found(
    text: &str,
    files: &[(&str, &[u8], u32)],
    env: &[(&str, &str)],
) -> Result<(String, Option<String>, Option<String>), String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, content, mode) in files {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
    }
    let config = dir.path().join("orgwatch.toml");
    std::fs::write(&config, text).unwrap();
    let s = Settings::resolve(Overrides::default(), &no_env, Some(&config), now()).unwrap();
    let look_up = |name: &str| -> Option<OsString> {
        let found = env.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.replace("HERE", dir.path().to_str().unwrap()).into())
    };
    salesforce_secrets(&s.salesforce.unwrap(), &look_up)
        .map(|secrets| {
            assert!(!format!("{secrets:?}").contains("canary"));
            let credential = secrets.credential.expose().to_owned();
            let mtls = secrets.tls.mtls.map(|pair| pair.key.expose().to_owned());
            (credential, secrets.certificate, mtls)
        })
        .map_err(|error| error.to_string())
}

#[test]
fn what_opens_the_org_comes_from_the_environment_private_files_or_credentials() {
    let text = format!(
        "{JWT}key_file = \"k\"\ncertificate_file = \"c\"\n\
         [salesforce.mtls]\ncertificate_file = \"c\"\nkey_file = \"m\"\n"
    );
    let files: [(&str, &[u8], u32); 3] = [
        ("k", b"canary\nkey\n", 0o600),
        ("c", b"PEM\n", 0o644),
        ("m", b"canary mtls", 0o400),
    ];
    let all = (
        "canary\nkey".to_owned(),
        Some("PEM\n".to_owned()),
        Some("canary mtls".to_owned()),
    );
    assert_eq!(found(&text, &files, &[]), Ok(all));
    let env = [
        ("ORGWATCH_SALESFORCE_KEY", "canary env"),
        ("ORGWATCH_SALESFORCE_MTLS_KEY", "canary env mtls"),
    ];
    let (key, _, mtls) = found(&text, &files, &env).unwrap();
    assert_eq!(
        (key.as_str(), mtls.as_deref()),
        ("canary env", Some("canary env mtls"))
    );
    let text = format!("{JWT}[salesforce.mtls]\ncertificate_file = \"c\"\n");
    let files: [(&str, &[u8], u32); 3] = [
        ("salesforce_key", b"canary", 0o440),
        ("salesforce_mtls_key", b"canary m", 0o440),
        ("c", b"PEM", 0o644),
    ];
    let here = [("CREDENTIALS_DIRECTORY", "HERE")];
    let (key, _, mtls) = found(&text, &files, &here).unwrap();
    assert_eq!(
        (key.as_str(), mtls.as_deref()),
        ("canary", Some("canary m"))
    );
    let secret: [(&str, &[u8], u32); 1] = [("salesforce_secret", b"canary\n", 0o440)];
    assert_eq!(found(SECRET, &secret, &here).unwrap().0, "canary");
    let env = [("ORGWATCH_SALESFORCE_SECRET", "canary")];
    assert_eq!(found(SECRET, &[], &env).unwrap().0, "canary");
}

#[test]
fn what_opens_the_org_and_is_missing_open_to_others_or_unusable_is_refused_unshown() {
    let key = format!("{JWT}key_file = \"k\"\n");
    let certificate = format!("{key}certificate_file = \"c\"\n");
    let secret = format!("{SECRET}secret_file = \"k\"\n");
    fn private(bytes: &[u8]) -> (&str, &[u8], u32) {
        ("k", bytes, 0o600)
    }
    for (text, files, told) in [
        (JWT, vec![], "ORGWATCH_SALESFORCE_KEY"),
        (SECRET, vec![], "ORGWATCH_SALESFORCE_SECRET"),
        (&key, vec![("k", &b"canary"[..], 0o644)], "mode 0644"),
        (&key, vec![("k", b"canary", 0o640)], "chmod 600"),
        (&key, vec![private(b"\x30\x82canary\xff")], "openssl pkcs12"),
        (&key, vec![private(&[b'x'; 20_000])], "is too long"),
        (&key, vec![], "cannot read the key file"),
        (&secret, vec![private(b"canary\nmore")], "several lines"),
        (
            &certificate,
            vec![private(b"canary")],
            "cannot read the certificate file",
        ),
        (
            &certificate,
            vec![private(b"canary"), ("c", b"\x30\x82\xff", 0o644)],
            "openssl x509 -inform DER",
        ),
    ] {
        let error = found(text, &files, &[]).unwrap_err();
        assert!(error.contains(told) && error.contains("hint: "), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}
